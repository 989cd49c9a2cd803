"""However a client is made, by whatever face of boto3 and botocore."""

from __future__ import annotations

import functools
import json
import os

import boto3
import boto3.session
import botocore.session
from botocore.loaders import Loader
from support import new_core, new_session

import safe_sqs
from bypasses.stage import KEYS, Stage
from bypasses.ways import Face, Family
from safe_sqs import Config, guard

FAMILY = Family("client creation")
way, way_where, out_of_scope = FAMILY.way, FAMILY.way_where, FAMILY.out_of_scope
road = FAMILY.way_where(only=Face.SWITCH)

client_of_boto3 = boto3.client
part_of_boto3 = functools.partial(boto3.client, "sqs")


@way
def function_of_the_library(stage: Stage) -> None:
    """A client by the library's function `client`."""
    stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def session_of_the_library(stage: Stage) -> None:
    """A client by a session of the library."""
    stage.library.Session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def session_module_of_the_library(stage: Stage) -> None:
    """A client by the session in the library's module `session`."""
    stage.library.session.Session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def default_session(stage: Stage) -> None:
    """A client by the default session after it was set up."""
    stage.library.setup_default_session()
    stage.library.DEFAULT_SESSION.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def function_behind_the_default_session(stage: Stage) -> None:
    """A client by the private function that gives the default session."""
    stage.library._get_default_session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def default_session_set_up_in_boto3(stage: Stage) -> None:
    """A client by the default session, which somebody else has set up in boto3 itself."""
    boto3.setup_default_session()
    stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def default_session_assigned(stage: Stage) -> None:
    """A client by the default session, in the place of which somebody put a session of boto3."""
    stage.library.DEFAULT_SESSION = boto3.session.Session(botocore_session=new_core())
    stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def default_session_set_up_twice(stage: Stage) -> None:
    """A client by the default session, when it was set up for another region after a first use."""
    stage.library.client("sqs")
    stage.library.setup_default_session(region_name="eu-west-1")
    stage.library.client("sqs", region_name="us-east-1").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def session_over_a_core(stage: Stage) -> None:
    """A client by a session of the library around a session of botocore."""
    stage.session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def service_as_a_keyword(stage: Stage) -> None:
    """A client for which the service is named by a keyword."""
    stage.library.client(service_name="sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def all_arguments_by_position(stage: Stage) -> None:
    """A client for which every argument is given by its position."""
    client = stage.session().client("sqs", "us-east-1", None, True, stage.front.authority, stage.front.url)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def second_client_of_a_session(stage: Stage) -> None:
    """A second client of a session whose first client was refused nothing."""
    session = stage.session()
    session.client("sqs").send_message(QueueUrl=stage.good, MessageBody="harmless")
    session.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def model_under_another_name(stage: Stage) -> None:
    """A client of SQS whose model somebody stored under a name of his own, as `aws configure add-model` does."""
    target = stage.folder / "models" / "our-queues" / "2012-11-05"
    target.mkdir(parents=True)
    for name in ("service-2.json", "endpoint-rule-set-1.json"):
        found = Loader().load_data(f"sqs/2012-11-05/{name.removesuffix('.json')}")
        (target / name).write_text(json.dumps(found))
    os.environ["AWS_DATA_PATH"] = str(stage.folder / "models")
    core = botocore.session.Session()
    session = stage.library.Session(botocore_session=core)
    session.client("our-queues").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def client_that_a_module_keeps(stage: Stage) -> None:
    """A client that a decorated function makes once and keeps."""

    @functools.lru_cache
    def client(region: str) -> object:
        return stage.library.client("sqs", region_name=region)

    for queue, text in ((stage.good, "harmless"), (stage.bad, stage.secret)):
        client("us-east-1").send_message(QueueUrl=queue, MessageBody=text)


@way
def guarded_twice_the_second_time_looser(stage: Stage) -> None:
    """A client that is guarded again, by a looser configuration."""
    client = stage.protect(stage.client(), profile="observe")
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def guarded_twice_the_first_time_looser(stage: Stage) -> None:
    """A client that is guarded by a looser configuration first."""
    client = stage.protect(stage.client(profile="observe"))
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


# --- programs that know nothing of the guard ---------------------------------------------------------------------


@road
def boto3_itself(stage: Stage) -> None:
    """A client by boto3's own function."""
    boto3.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@road
def function_imported_before(stage: Stage) -> None:
    """A client by a function of boto3 that a module imported before the switch was on."""
    client_of_boto3("sqs").receive_message(QueueUrl=stage.bad)


@road
def partial_function_made_before(stage: Stage) -> None:
    """A client by a partial function that was made before the switch was on."""
    part_of_boto3().send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@road
def default_session_of_boto3(stage: Stage) -> None:
    """A client by boto3's default session."""
    boto3.setup_default_session(botocore_session=new_core())
    boto3.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@road
def session_of_botocore(stage: Stage) -> None:
    """A client by a session of botocore, without boto3."""
    new_core().create_client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@road
def session_of_botocore_over_plain_http(stage: Stage) -> None:
    """A client by a session of botocore, over plain HTTP."""
    new_core().create_client("sqs", endpoint_url=stage.plain.url).list_queues()


@road
def session_of_botocore_to_an_unknown_host(stage: Stage) -> None:
    """A client by a session of botocore, for a host that is not trusted."""
    if stage.is_guarded:
        safe_sqs.install(Config(trusted_endpoint_hosts=[stage.front.host]))
    new_core().create_client("sqs", **stage.to_unknown).list_queues()


@road
def session_of_botocore_without_verification(stage: Stage) -> None:
    """A client by a session of botocore, which checks no certificate."""
    new_core().create_client("sqs", verify=False).send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@road
def session_of_botocore_with_a_long_term_key(stage: Stage) -> None:
    """A client by a session of botocore, with a long-term key that was set by a method."""
    core = new_core()
    core.set_credentials(*KEYS)
    core.create_client("sqs").send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@road
def constructor_of_the_class(stage: Stage) -> None:
    """A client by the constructor of another client's class."""
    kept: dict[str, object] = {}

    class Keeps:
        def __init__(self, **arguments: object) -> None:
            kept.update(arguments)
            super().__init__(**arguments)

    core = new_core()
    core.register("creating-client-class.sqs", lambda base_classes, **_: base_classes.insert(0, Keeps))
    client = type(core.create_client("sqs"))(**kept)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@road
def looser_guard_by_hand(stage: Stage) -> None:
    """A client of a guarded process that a program guards itself, by a looser configuration."""
    client = guard(boto3.client("sqs"), Config(profile="observe"))
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@road
def drop_in_under_a_looser_environment(stage: Stage) -> None:
    """A client of the drop-in, in a guarded process whose environment was loosened since."""
    os.environ["SAFE_SQS_PROFILE"] = "observe"
    safe_sqs.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@road
def installed_twice(stage: Stage) -> None:
    """A client that was made when somebody had switched on once more, and off never."""
    if stage.is_guarded:
        safe_sqs.install(stage.config())
    new_session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@road
def client_from_before_that_sees_the_switch_go_off(stage: Stage) -> None:
    """A client that was made while the switch was on, and is used when it is off."""
    client = new_session().client("sqs")
    safe_sqs.uninstall()
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


# --- what is not stopped -----------------------------------------------------------------------------------------


@out_of_scope("before `safe_sqs.install()` and not passed to `guard()`, is not guarded", refused_by={Face.SWITCH})
def client_that_nobody_guards(stage: Stage) -> None:
    """A client of boto3 itself, in a program that uses the drop-in elsewhere."""
    new_session().client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("before `safe_sqs.install()` and not passed to `guard()`, is not guarded", only=Face.SWITCH)
def client_made_before_the_switch(stage: Stage) -> None:
    """A client that was made before the switch was on."""
    safe_sqs.uninstall()
    client = new_session().client("sqs")
    safe_sqs.install(stage.config())
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("A client made with boto3 or botocore themselves", refused_by={Face.SWITCH})
def core_inside_of_a_guarded_session(stage: Stage) -> None:
    """A client of the session of botocore that is inside of a session of the drop-in."""
    client = stage.library.Session()._session.create_client("sqs")
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("A client made with boto3 or botocore themselves", refused_by={Face.SWITCH})
def method_of_boto3_on_a_session_of_the_drop_in(stage: Stage) -> None:
    """A client by the method of boto3's class, called with a session of the drop-in."""
    client = boto3.session.Session.client(stage.session(), "sqs")
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)
