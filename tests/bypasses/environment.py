"""What the environment and the AWS files say, before a client is made and after."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import botocore.session
from botocore.config import Config as ClientConfig
from support import TEMPORARY, UNENCRYPTED

import safe_sqs
from bypasses.stage import Stage
from bypasses.ways import Face, Family

FAMILY = Family("environment and config files")
way, way_where, out_of_scope = FAMILY.way, FAMILY.way_where, FAMILY.out_of_scope


def say_in_config_file(stage: Stage, text: str) -> None:
    """Write the AWS config file, as the only source of an endpoint."""
    os.environ.pop("AWS_ENDPOINT_URL", None)
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(text)


@way
def endpoint_of_the_service(stage: Stage) -> None:
    """AWS_ENDPOINT_URL_SQS names plain HTTP."""
    os.environ["AWS_ENDPOINT_URL_SQS"] = stage.plain.url
    stage.client().send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def endpoint_of_all_services(stage: Stage) -> None:
    """AWS_ENDPOINT_URL names plain HTTP."""
    os.environ["AWS_ENDPOINT_URL"] = stage.plain.url
    stage.client().send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def endpoint_set_after_the_first_client(stage: Stage) -> None:
    """AWS_ENDPOINT_URL_SQS is set when a first client was made and used already, and counts for the second."""
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody="harmless")
    os.environ["AWS_ENDPOINT_URL_SQS"] = stage.plain.url
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def endpoint_in_the_config_file(stage: Stage) -> None:
    """The AWS config file names an endpoint over plain HTTP."""
    say_in_config_file(stage, f"[default]\nendpoint_url = {stage.plain.url}\n")
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def services_section_of_the_config_file(stage: Stage) -> None:
    """The section `services` of the AWS config file names an endpoint for SQS."""
    section = f"[default]\nservices = local\n[services local]\nsqs =\n  endpoint_url = {stage.plain.url}\n"
    say_in_config_file(stage, section)
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def profile_with_an_endpoint(stage: Stage) -> None:
    """AWS_PROFILE chooses a profile whose endpoint is over plain HTTP."""
    say_in_config_file(stage, f"[profile staging]\nendpoint_url = {stage.plain.url}\nregion = us-east-1\n")
    os.environ["AWS_PROFILE"] = "staging"
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def profile_of_the_session(stage: Stage) -> None:
    """The same by the argument of the session."""
    keys = "".join(f"{name} = {value}\n" for name, value in TEMPORARY.items())
    say_in_config_file(stage, f"[profile staging]\nendpoint_url = {stage.plain.url}\nregion = us-east-1\n{keys}")
    stage.session(profile_name="staging").client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def another_home(stage: Stage) -> None:
    """HOME is changed to a folder whose AWS config file names plain HTTP."""
    home = stage.folder / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").write_text(f"[default]\nendpoint_url = {stage.plain.url}\n")
    del os.environ["AWS_CONFIG_FILE"], os.environ["AWS_ENDPOINT_URL"]
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(home)
    stage.session().client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


def without_tls(**variables: str) -> Callable[[Stage], None]:
    """A client for AWS itself without TLS, where the environment chooses the host and the proxy."""

    def attempt(stage: Stage) -> None:
        os.environ.pop("NO_PROXY", None)
        del os.environ["AWS_ENDPOINT_URL"]
        os.environ.update(variables, HTTP_PROXY=stage.plain.url)
        client = stage.session().client("sqs", use_ssl=False)
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    return attempt


FAMILY.add("http-proxy", "HTTP_PROXY for a client with `use_ssl=False`.", without_tls())
FAMILY.add(
    "fips-endpoint",
    "AWS_USE_FIPS_ENDPOINT for a client with `use_ssl=False`.",
    without_tls(AWS_USE_FIPS_ENDPOINT="true"),
)
FAMILY.add(
    "dual-stack-endpoint",
    "AWS_USE_DUALSTACK_ENDPOINT for a client with `use_ssl=False`.",
    without_tls(AWS_USE_DUALSTACK_ENDPOINT="true"),
)


@way
def configured_endpoints_ignored(stage: Stage) -> None:
    """AWS_IGNORE_CONFIGURED_ENDPOINT_URLS takes a safe endpoint of the environment away, with `use_ssl=False`."""
    os.environ.pop("NO_PROXY", None)
    os.environ.update(AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true", HTTP_PROXY=stage.plain.url)
    stage.session().client("sqs", use_ssl=False).send_message(QueueUrl=stage.good, MessageBody=stage.secret)


def data_path(stage: Stage, name: str, text: str) -> None:
    """Put a data file of botocore where AWS_DATA_PATH finds it."""
    file = stage.folder / "data" / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    os.environ["AWS_DATA_PATH"] = str(stage.folder / "data")


@way
def endpoint_rules_of_somebody(stage: Stage) -> None:
    """AWS_DATA_PATH holds endpoint rules for SQS that lead to plain HTTP."""
    rules = {
        "version": "1.0",
        "parameters": {"Region": {"builtIn": "AWS::Region", "required": False, "documentation": "", "type": "String"}},
        "rules": [{"conditions": [], "endpoint": {"url": stage.plain.url, "headers": {}}, "type": "endpoint"}],
    }
    del os.environ["AWS_ENDPOINT_URL"]
    data_path(stage, "sqs/2012-11-05/endpoint-rule-set-1.json", json.dumps(rules))
    session = stage.library.Session(botocore_session=botocore.session.Session())
    session.client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def partition_of_somebody(stage: Stage) -> None:
    """AWS_DATA_PATH holds a partition that makes another domain one of AWS."""
    outputs = {"dnsSuffix": "evil.example", "dualStackDnsSuffix": "evil.example", "name": "aws"}
    partition = {
        "id": "aws",
        "outputs": {**outputs, "supportsFIPS": True, "supportsDualStack": True, "implicitGlobalRegion": "us-east-1"},
        "regionRegex": r"^us\-\w+\-\d+$",
        "regions": {"us-east-1": {"description": ""}},
    }
    del os.environ["AWS_ENDPOINT_URL"]
    data_path(stage, "partitions.json", json.dumps({"partitions": [partition], "version": "1.1"}))
    session = stage.library.Session(botocore_session=botocore.session.Session())
    client = session.client("sqs", config=ClientConfig(proxies={"https": stage.plain.url}))
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


def no_plugins() -> str:
    try:
        import botocore.plugin  # noqa: F401
    except ImportError:
        return "this botocore loads no plugins"
    return ""


@way_where(missing=no_plugins)
def plugin_of_botocore(stage: Stage) -> None:
    """BOTOCORE_EXPERIMENTAL__PLUGINS loads a plugin that turns every request to plain HTTP."""
    os.environ["BOTOCORE_EXPERIMENTAL__PLUGINS"] = "turning=bypasses.plugin"
    os.environ["TURN_TO"] = stage.plain.url
    from botocore import plugin

    token = plugin.set_plugin_context(plugin.PluginContext(plugins="turning=bypasses.plugin"))
    try:
        client = stage.session().client("sqs")
    finally:
        plugin.reset_plugin_context(token)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


# --- the settings of the guard -----------------------------------------------------------------------------------


@way
def looser_once_the_client_is_guarded(stage: Stage) -> None:
    """The environment is loosened when the client is guarded already."""
    client = stage.client()
    os.environ["SAFE_SQS_PROFILE"] = "observe"
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def looser_once_the_client_is_made(stage: Stage) -> None:
    """The environment is loosened between the making of a client and its first use."""
    client = stage.library.client("sqs")
    os.environ["SAFE_SQS_PROFILE"] = "observe"
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def looser_before_the_first_use_where_nobody_said_anything(stage: Stage) -> None:
    """The same where neither the environment nor a file said anything before."""
    del os.environ["SAFE_SQS_TRUSTED_ENDPOINT_HOSTS"]
    client = stage.library.client("sqs")
    os.environ["SAFE_SQS_PROFILE"] = "observe"
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way_where(only=Face.SWITCH)
def looser_once_the_switch_is_on(stage: Stage) -> None:
    """The environment is loosened when the switch is on already."""
    os.environ["SAFE_SQS_PROFILE"] = "observe"
    stage.unprotected().send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way_where(only=Face.SWITCH)
def looser_once_the_switch_is_on_and_nobody_said_anything(stage: Stage) -> None:
    """The same where neither the environment nor a file said anything before."""
    del os.environ["SAFE_SQS_TRUSTED_ENDPOINT_HOSTS"]
    if stage.is_guarded:
        safe_sqs.install()
    os.environ["SAFE_SQS_PROFILE"] = "observe"
    stage.unprotected().send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def role_of_the_environment_taken_away(stage: Stage) -> None:
    """The role is taken out of the environment when the client is made already."""
    os.environ["SAFE_SQS_ROLE"] = "producer"
    client = stage.library.client("sqs")
    del os.environ["SAFE_SQS_ROLE"]
    stage.watch(stage.good)
    client.receive_message(QueueUrl=stage.good)


@way
def variable_with_a_spelling_mistake(stage: Stage) -> None:
    """A variable that is to switch a rule off, and whose name is misspelt."""
    os.environ["SAFE_SQS_MODE"] = "queue-encryption=off"
    stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def variable_with_a_value_that_means_nothing(stage: Stage) -> None:
    """A variable that is to switch the guard off, and whose value does not exist."""
    os.environ["SAFE_SQS_PROFILE"] = "off"
    stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("and `SAFE_SQS_*` from the environment")
def looser_environment_from_the_start(stage: Stage) -> None:
    """The environment is loosened before the program starts."""
    os.environ["SAFE_SQS_MODES"] = "queue-encryption=off"
    url = stage.queue("plain", **UNENCRYPTED)
    stage.library.client("sqs").send_message(QueueUrl=url, MessageBody=stage.secret)
