"""Requests are signed with temporary credentials, whatever provider they came from and whatever changed them since."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import botocore.credentials
import botocore.tokens
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError, PartialCredentialsError
from sockets import Answer, certificates, listening, record_signatures
from support import REGION, WIRE_ONLY, new_core, new_session

import safe_sqs
from safe_sqs import Config, RefusedError, guard

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
BODY = "a message that nobody may see"
RULE = "static-credentials"


class Keys(NamedTuple):
    """What a provider is made to hand out."""

    access_key: str
    secret_key: str
    token: str


TEMPORARY = Keys("ASIAEXAMPLEEXAMPLE11", "temporary-secret", "temporary-token")
LONG_TERM = Keys("AKIAEXAMPLEEXAMPLE12", "long-term-secret", "")
LONG_TERM_WITH_TOKEN = Keys("AKIAEXAMPLEEXAMPLE13", "long-term-secret", "a-token-of-something-else")
TEMPORARY_WITHOUT_TOKEN = Keys("ASIAEXAMPLEEXAMPLE14", "temporary-secret", "")


def in_hours(hours):
    """A time that many hours from now, as AWS writes it."""
    return (datetime.now(timezone.utc) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that stands for SQS: it keeps what it is asked."""
    context, authority = certificates(tmp_path_factory.mktemp("server"))
    with listening(context=context) as listener:
        listener.authority = authority
        yield listener


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch, server):
    """A server that has been asked nothing yet, no retries, and a default session of this test's own."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(safe_sqs, "DEFAULT_SESSION", None)
    server.requests.clear()


@pytest.fixture
def signatures(monkeypatch):
    """Every signature that is made while the test runs."""
    return record_signatures(monkeypatch)


class Stage:
    """Where a provider finds its credentials, for one test."""

    def __init__(self, monkeypatch, folder, stack):
        self.setenv = monkeypatch.setenv
        self.delenv = monkeypatch.delenv
        self.setattr = monkeypatch.setattr
        self.folder = folder
        self._stack = stack

    def config(self, text):
        """Write the AWS config file."""
        Path(os.environ["AWS_CONFIG_FILE"]).write_text(text)

    def credentials(self, text):
        """Write the shared credentials file."""
        Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).write_text(text)

    def file(self, name, text):
        """Write some other file, and say where it is."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def serve(self, answer):
        """A server over plain HTTP, until the test ends."""
        return self._stack.enter_context(listening(answer))


@pytest.fixture
def stage(monkeypatch, tmp_path):
    """An empty stage."""
    with ExitStack() as stack:
        yield Stage(monkeypatch, tmp_path, stack)


def client_for(server, guarded=True, session_arguments=None, config=None, **arguments):
    """A client for the server, and its guard."""
    client = new_session(**(session_arguments or {})).client(
        "sqs", endpoint_url=server.url, verify=server.authority, **arguments
    )
    return guard(client, config or config_for(server)) if guarded else client


def config_for(server, **settings):
    """A configuration that trusts the server, and looks at no queue."""
    return Config(trusted_endpoint_hosts=[server.netloc], modes=WIRE_ONLY, **settings)


def send(client):
    """Try to send a message."""
    return client.send_message(QueueUrl=QUEUE, MessageBody=BODY)


def rules_of(caught):
    """The names of the rules that refused."""
    return {finding.rule for finding in caught.value.findings}


def assert_refused(client, server, signatures=None):
    """The message is refused for its credentials alone, and nothing of it or of them gets out."""
    before = server.connections
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert rules_of(caught) == {RULE}
    assert server.requests == []
    assert server.connections == before
    if signatures is not None:
        assert server.netloc not in {signature.netloc for signature in signatures}
    return caught.value.findings[0]


def assert_sent(client, server, access_key):
    """The message is sent, signed with this key."""
    send(client)
    (request,) = server.requests
    assert f"Credential={access_key}/" in request.headers["Authorization"]
    assert request.headers["X-Amz-Security-Token"]
    server.requests.clear()


# --- providers: each puts keys where botocore looks for them, and says with what arguments a session finds them -------


def explicit_of_the_client(_, keys):
    return {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": keys.token or None,
    }


def explicit_of_the_session(_, keys):
    return {"session_arguments": explicit_of_the_client(_, keys)}


def environment(stage, keys):
    stage.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
    stage.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
    if keys.token:
        stage.setenv("AWS_SESSION_TOKEN", keys.token)
    return {}


def environment_with_the_old_name_of_the_token(stage, keys):
    environment(stage, keys._replace(token=""))
    stage.setenv("AWS_SECURITY_TOKEN", keys.token)
    return {}


def environment_with_an_expiration(stage, keys):
    stage.setenv("AWS_CREDENTIAL_EXPIRATION", in_hours(6))
    return environment(stage, keys)


def as_section(name, keys):
    """A section of an AWS file with keys."""
    token = f"aws_session_token = {keys.token}\n" if keys.token else ""
    return f"[{name}]\naws_access_key_id = {keys.access_key}\naws_secret_access_key = {keys.secret_key}\n{token}"


def shared_file(stage, keys):
    stage.credentials(as_section("default", keys))
    return {}


def shared_file_by_named_profile(stage, keys):
    stage.credentials(as_section("other", keys))
    return {"session_arguments": {"profile_name": "other"}}


def shared_file_by_profile_variable(stage, keys):
    stage.credentials(as_section("other", keys))
    stage.config("[profile other]\n")
    stage.setenv("AWS_PROFILE", "other")
    return {}


def config_file(stage, keys):
    stage.config(as_section("default", keys))
    return {}


def config_file_by_named_profile(stage, keys):
    stage.config(as_section("profile other", keys))
    return {"session_arguments": {"profile_name": "other"}}


def old_ec2_file(stage, keys):
    text = f"AWSAccessKeyId={keys.access_key}\nAWSSecretKey={keys.secret_key}\n"
    stage.setenv("AWS_CREDENTIAL_FILE", str(stage.file("ec2-credentials", text)))
    return {}


def old_boto_file(stage, keys):
    text = f"[Credentials]\naws_access_key_id = {keys.access_key}\naws_secret_access_key = {keys.secret_key}\n"
    stage.setenv("BOTO_CONFIG", str(stage.file("boto.cfg", text)))
    return {}


PRINT_FILE = "import sys, pathlib\ntext = pathlib.Path(sys.argv[1]).read_text()\nprint(text) if text else sys.exit(1)\n"


def printed(keys, **more):
    """What a credential process prints."""
    answer = {"Version": 1, "AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key, **more}
    return json.dumps(answer | ({"SessionToken": keys.token} if keys.token else {}))


def process(stage, keys, **more):
    script = stage.file("print_credentials.py", PRINT_FILE)
    answer = stage.file("credentials.json", printed(keys, **more))
    stage.config(f'[default]\ncredential_process = "{sys.executable}" -S "{script}" "{answer}"\n')
    return {}


def process_with_an_expiration(stage, keys):
    return process(stage, keys, Expiration=in_hours(6))


STS_ANSWER = """<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result><Credentials>
<AccessKeyId>{1.access_key}</AccessKeyId><SecretAccessKey>{1.secret_key}</SecretAccessKey>
<SessionToken>{1.token}</SessionToken><Expiration>{2}</Expiration>
</Credentials></{0}Result></{0}Response>"""


def token_service(stage, action, keys):
    """A security token service that hands out these keys."""
    text = STS_ANSWER.format(action, keys, in_hours(6)).encode()
    sts = stage.serve(lambda _: Answer(200, text, {"Content-Type": "text/xml"}))
    stage.setenv("AWS_ENDPOINT_URL_STS", sts.url)


ROLE = "arn:aws:iam::123456789012:role/orders"


def assume_role_from_a_profile(stage, keys):
    token_service(stage, "AssumeRole", keys)
    stage.credentials(as_section("source", LONG_TERM))
    stage.config(f"[profile orders]\nrole_arn = {ROLE}\nsource_profile = source\n")
    return {"session_arguments": {"profile_name": "orders"}}


def assume_role_from_the_environment(stage, keys):
    token_service(stage, "AssumeRole", keys)
    environment(stage, LONG_TERM)
    stage.config(f"[profile orders]\nrole_arn = {ROLE}\ncredential_source = Environment\n")
    return {"session_arguments": {"profile_name": "orders"}}


def web_identity_by_variables(stage, keys):
    token_service(stage, "AssumeRoleWithWebIdentity", keys)
    stage.setenv("AWS_ROLE_ARN", ROLE)
    stage.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(stage.file("token", "a-web-token")))
    return {}


def web_identity_by_profile(stage, keys):
    token_service(stage, "AssumeRoleWithWebIdentity", keys)
    token = stage.file("token", "a-web-token")
    stage.config(f"[profile orders]\nrole_arn = {ROLE}\nweb_identity_token_file = {token}\n")
    return {"session_arguments": {"profile_name": "orders"}}


def portal(stage, keys, cache_key):
    """The portal of IAM Identity Center, with somebody logged in."""
    role = {
        "accessKeyId": keys.access_key,
        "secretAccessKey": keys.secret_key,
        "sessionToken": keys.token,
        "expiration": int((datetime.now(timezone.utc) + timedelta(hours=6)).timestamp() * 1000),
    }
    text = json.dumps({"roleCredentials": role}).encode()
    stage.setenv("AWS_ENDPOINT_URL_SSO", stage.serve(lambda _: Answer(200, text)).url)
    login = {"accessToken": "an-access-token", "expiresAt": in_hours(6)}
    name = hashlib.sha1(cache_key.encode()).hexdigest()
    folder = stage.file(f"sso/cache/{name}.json", json.dumps(login)).parent
    # botocore reads the home directory when it is imported.
    for provider in (botocore.credentials.SSOProvider, botocore.tokens.SSOTokenProvider):
        stage.setattr(provider, "_SSO_TOKEN_CACHE_DIR", str(folder))


SSO = f"sso_region = {REGION}\nsso_start_url = https://example.awsapps.com/start\n"
SSO_ROLE = "sso_account_id = 123456789012\nsso_role_name = orders\n"


def identity_centre(stage, keys):
    portal(stage, keys, "https://example.awsapps.com/start")
    stage.config(f"[default]\n{SSO}{SSO_ROLE}")
    return {}


def identity_centre_by_session(stage, keys):
    portal(stage, keys, "company")
    stage.config(f"[default]\nsso_session = company\n{SSO_ROLE}[sso-session company]\n{SSO}")
    return {}


def as_metadata(keys):
    """What the metadata services answer."""
    answer = {
        "Code": "Success",
        "AccessKeyId": keys.access_key,
        "SecretAccessKey": keys.secret_key,
        "Token": keys.token,
        "Expiration": in_hours(6),
    }
    return Answer(200, json.dumps(answer).encode())


def container(stage, keys):
    def answer(request):
        return as_metadata(keys) if request.headers["Authorization"] == "let-me-in" else Answer(403)

    stage.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{stage.serve(answer).url}/role")
    stage.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in")
    return {}


def container_with_a_token_file(stage, keys):
    container(stage, keys)
    stage.delenv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    stage.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(stage.file("token", "let-me-in")))
    return {}


def instance(stage, keys):
    def answer(request):
        if (request.method, request.path) == ("PUT", "/latest/api/token"):
            return Answer(200, b"a-metadata-token")
        if request.headers["X-aws-ec2-metadata-token"] != "a-metadata-token":
            return Answer(401)
        if request.path == "/latest/meta-data/iam/security-credentials/":
            return Answer(200, b"orders")
        return as_metadata(keys) if request.path.endswith("/security-credentials/orders") else Answer(404)

    stage.delenv("AWS_EC2_METADATA_DISABLED")
    stage.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", stage.serve(answer).url)
    return {}


def login(stage, keys):
    if getattr(botocore.credentials, "EC", None) is None:
        pytest.skip("this botocore has no login provider, or awscrt is not installed")
    token = {
        "accessToken": {
            "accessKeyId": keys.access_key,
            "secretAccessKey": keys.secret_key,
            "sessionToken": keys.token,
            "accountId": "123456789012",
            "expiresAt": in_hours(6),
        },
        "refreshToken": "a-refresh-token",
        "dpopKey": "a-key-that-is-not-used",
        "clientId": "arn:aws:signin:::devtools/same-device",
    }
    name = hashlib.sha256(b"company").hexdigest()
    folder = stage.file(f"login/cache/{name}.json", json.dumps(token)).parent
    stage.setenv("AWS_LOGIN_CACHE_DIRECTORY", str(folder))
    stage.config("[default]\nlogin_session = company\n")
    return {}


METHODS = {
    explicit_of_the_client: "explicit",
    explicit_of_the_session: "explicit",
    environment: "env",
    environment_with_the_old_name_of_the_token: "env",
    environment_with_an_expiration: "env",
    shared_file: "shared-credentials-file",
    shared_file_by_named_profile: "shared-credentials-file",
    shared_file_by_profile_variable: "shared-credentials-file",
    config_file: "config-file",
    config_file_by_named_profile: "config-file",
    old_ec2_file: "ec2-credentials-file",
    old_boto_file: "boto-config",
    process: "custom-process",
    process_with_an_expiration: "custom-process",
    assume_role_from_a_profile: "assume-role",
    assume_role_from_the_environment: "assume-role",
    web_identity_by_variables: "assume-role-with-web-identity",
    web_identity_by_profile: "assume-role-with-web-identity",
    identity_centre: "sso",
    identity_centre_by_session: "sso",
    container: "container-role",
    container_with_a_token_file: "container-role",
    instance: "iam-role",
    login: "login",
}
"""Every provider, and the name that botocore gives it."""

CANNOT_SAY_TOKEN = [old_ec2_file, old_boto_file]
MUST_SAY_TOKEN = [
    environment_with_the_old_name_of_the_token,
    assume_role_from_a_profile,
    assume_role_from_the_environment,
    web_identity_by_variables,
    web_identity_by_profile,
    identity_centre,
    identity_centre_by_session,
    container,
    container_with_a_token_file,
    instance,
    login,
]
RENEWING = [*MUST_SAY_TOKEN[1:], process_with_an_expiration]
NOT_RENEWING = [each for each in METHODS if each not in RENEWING and each not in CANNOT_SAY_TOKEN]


def test_every_provider_of_botocore_is_here():
    providers = botocore.credentials.CredentialProvider.__subclasses__()
    methods = {provider.METHOD for provider in providers if provider.__module__ == "botocore.credentials"}
    assert methods - {None} - set(METHODS.values()) == set()


@pytest.mark.parametrize("provide", METHODS)
def test_the_provider_is_really_used(stage, server, provide):
    client = client_for(server, guarded=False, **provide(stage, LONG_TERM_WITH_TOKEN))
    send(client)
    credentials = client._request_signer._credentials
    assert credentials.method == METHODS[provide]
    assert credentials.get_frozen_credentials().access_key == LONG_TERM_WITH_TOKEN.access_key
    assert LONG_TERM_WITH_TOKEN.access_key in server.requests[0].headers["Authorization"]


@pytest.mark.parametrize("provide", [each for each in METHODS if each not in MUST_SAY_TOKEN])
def test_long_term_keys_are_refused(stage, server, signatures, provide):
    client = client_for(server, **provide(stage, LONG_TERM))
    finding = assert_refused(client, server, signatures)
    assert LONG_TERM.access_key[-4:] in finding.found
    assert METHODS[provide] in finding.found


@pytest.mark.parametrize("provide", [each for each in METHODS if each not in CANNOT_SAY_TOKEN])
def test_long_term_keys_are_refused_when_a_token_stands_beside_them(stage, server, signatures, provide):
    client = client_for(server, **provide(stage, LONG_TERM_WITH_TOKEN))
    assert_refused(client, server, signatures)


@pytest.mark.parametrize("provide", [each for each in METHODS if each not in MUST_SAY_TOKEN])
def test_a_temporary_key_without_its_token_is_refused(stage, server, signatures, provide):
    client = client_for(server, **provide(stage, TEMPORARY_WITHOUT_TOKEN))
    assert_refused(client, server, signatures)


@pytest.mark.parametrize("provide", [each for each in METHODS if each not in CANNOT_SAY_TOKEN])
def test_temporary_credentials_pass(stage, server, provide):
    assert_sent(client_for(server, **provide(stage, TEMPORARY)), server, TEMPORARY.access_key)


@pytest.mark.parametrize(
    "key", ["ABIAEXAMPLEEXAMPLE15", "AROAEXAMPLEEXAMPLE16", "asiaEXAMPLEEXAMPLE17", "test", "ASI", "-"]
)
def test_a_key_of_any_other_kind_is_refused(stage, server, signatures, key):
    client = client_for(server, **explicit_of_the_client(stage, TEMPORARY._replace(access_key=key)))
    assert_refused(client, server, signatures)


@pytest.mark.parametrize("provide", METHODS)
def test_nothing_secret_is_in_a_refusal(stage, server, told, caplog, provide):
    client = client_for(server, **provide(stage, LONG_TERM_WITH_TOKEN))
    with pytest.raises(RefusedError) as caught:
        send(client)
    text = f"{caught.value} {caught.value!r} {told} {caplog.text}"
    for secret in (*LONG_TERM_WITH_TOKEN, BODY):
        assert secret not in text


# --- the level `renewing`, which is the one of the profile `strict` ---------------------------------------------------


def renewing(server):
    """A configuration that asks for a provider that renews itself."""
    return config_for(server, levels={RULE: "renewing"})


@pytest.mark.parametrize("provide", RENEWING)
def test_renewing_lets_a_provider_that_renews_itself_pass(stage, server, provide):
    client = client_for(server, config=renewing(server), **provide(stage, TEMPORARY))
    assert_sent(client, server, TEMPORARY.access_key)


@pytest.mark.parametrize("provide", NOT_RENEWING)
def test_renewing_refuses_temporary_credentials_that_nothing_renews(stage, server, signatures, provide):
    client = client_for(server, config=renewing(server), **provide(stage, TEMPORARY))
    finding = assert_refused(client, server, signatures)
    assert "nothing renews" in finding.found


@pytest.mark.parametrize("provide", [each for each in METHODS if each not in CANNOT_SAY_TOKEN])
def test_renewing_refuses_long_term_keys_all_the_same(stage, server, signatures, provide):
    client = client_for(server, config=renewing(server), **provide(stage, LONG_TERM_WITH_TOKEN))
    assert_refused(client, server, signatures)


def test_renewing_lets_the_environment_of_lambda_pass(stage, server):
    stage.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    client = client_for(server, config=renewing(server), **environment(stage, TEMPORARY))
    assert_sent(client, server, TEMPORARY.access_key)


@pytest.mark.parametrize("keys", [LONG_TERM, LONG_TERM_WITH_TOKEN, TEMPORARY_WITHOUT_TOKEN])
def test_renewing_refuses_long_term_keys_in_the_environment_of_lambda(stage, server, signatures, keys):
    stage.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    client = client_for(server, config=renewing(server), **environment(stage, keys))
    assert_refused(client, server, signatures)


@pytest.mark.parametrize(
    "provide", [explicit_of_the_client, explicit_of_the_session, shared_file, config_file, process]
)
def test_renewing_refuses_the_other_providers_inside_lambda(stage, server, signatures, provide):
    stage.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    client = client_for(server, config=renewing(server), **provide(stage, TEMPORARY))
    assert_refused(client, server, signatures)


def test_renewing_lets_credentials_pass_that_the_program_renews(server):
    core = new_core()
    core._credentials = RefreshableCredentials.create_from_metadata(
        {**TEMPORARY._asdict(), "expiry_time": in_hours(6)}, refresh_using=lambda: None, method="of-the-program"
    )
    client = core.create_client("sqs", REGION, endpoint_url=server.url, verify=server.authority)
    assert_sent(guard(client, renewing(server)), server, TEMPORARY.access_key)


@pytest.mark.parametrize("is_used", [False, True])
def test_renewing_refuses_other_credentials_for_one_request_that_nothing_renews(stage, server, is_used):
    client = client_for(server, config=renewing(server), **process_with_an_expiration(stage, TEMPORARY))
    if is_used:
        assert_sent(client, server, TEMPORARY.access_key)
    override_in_the_context(client, TEMPORARY._replace(access_key="ASIAEXAMPLEEXAMPLE19"))
    assert_refused(client, server)


def test_strict_asks_for_a_provider_that_renews_itself(stage, make_raw, emulator, good):
    config = Config(profile="strict", trusted_endpoint_hosts=[emulator.host], modes={"vpc-route": "off"})
    with pytest.raises(RefusedError) as caught:
        guard(make_raw(), config).send_message(QueueUrl=good, MessageBody=BODY)
    assert RULE in rules_of(caught)


def test_baseline_does_not(make_client, good):
    make_client().send_message(QueueUrl=good, MessageBody=BODY)


# --- real emulated services ------------------------------------------------------------------------------------------


@pytest.fixture
def emulated_sts(stage, emulator):
    """The emulator's security token service in the place of AWS's."""
    stage.setenv("AWS_ENDPOINT_URL_STS", emulator.url)
    stage.setenv("AWS_CA_BUNDLE", emulator.authority)


def emulated_assume_role(stage):
    stage.credentials(as_section("source", LONG_TERM))
    stage.config(f"[default]\nrole_arn = {ROLE}\nsource_profile = source\n")


def emulated_web_identity(stage):
    stage.setenv("AWS_ROLE_ARN", ROLE)
    stage.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(stage.file("token", "a-web-token")))


@pytest.mark.usefixtures("emulated_sts")
@pytest.mark.parametrize("provide", [emulated_assume_role, emulated_web_identity])
def test_a_role_assumed_from_a_real_token_service_passes_where_renewing_is_asked_for(stage, emulator, good, provide):
    provide(stage)
    client = new_session().client("sqs", endpoint_url=emulator.url)
    guard(client, Config(trusted_endpoint_hosts=[emulator.host], levels={RULE: "renewing"}))
    client.send_message(QueueUrl=good, MessageBody="hello")
    assert client.receive_message(QueueUrl=good)["Messages"][0]["Body"] == "hello"
    assert client._request_signer._credentials.method.startswith("assume-role")


# --- unsigned, and signed by something else --------------------------------------------------------------------------


def client_with(server, version):
    """A client that nobody guards, with this version of signatures."""
    return new_session().client(
        "sqs", endpoint_url=server.url, verify=server.authority, config=ClientConfig(signature_version=version)
    )


def test_without_the_guard_an_unsigned_request_is_sent(server):
    send(client_with(server, UNSIGNED))
    assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    "version", [UNSIGNED, "v2", "v3", "v3https", "bearer"], ids=["unsigned", "v2", "v3", "v3https", "bearer"]
)
def test_a_client_that_does_not_sign_with_version_4_is_refused(stage, server, signatures, version):
    environment(stage, TEMPORARY)
    assert_refused(guard(client_with(server, version), config_for(server)), server, signatures)


@pytest.mark.parametrize("is_used", [False, True])
@pytest.mark.parametrize("when", ["before the guard", "after the guard"])
@pytest.mark.parametrize("method", ["register_first", "register", "register_last"])
def test_a_handler_that_takes_the_signature_away_is_refused(stage, server, signatures, method, when, is_used):
    environment(stage, TEMPORARY)
    client = client_for(server, guarded=False)
    asked = []

    def choose(**_):
        asked.append(1)
        return UNSIGNED if not is_used or len(asked) > 1 else None

    if when == "before the guard":
        getattr(client.meta.events, method)("choose-signer.sqs", choose)
    guard(client, config_for(server))
    if when == "after the guard":
        getattr(client.meta.events, method)("choose-signer.sqs", choose)
    if is_used:
        assert_sent(client, server, TEMPORARY.access_key)
        signatures.clear()
    assert_refused(client, server, signatures)


@pytest.mark.parametrize("auth_type", ["none", "bearer"])
def test_a_handler_that_sets_another_kind_of_signature_is_refused(stage, server, signatures, auth_type):
    environment(stage, TEMPORARY)
    client = client_for(server)

    def change(params, **_):
        params["context"]["auth_type"] = auth_type

    client.meta.events.register("before-call", change)
    assert_refused(client, server, signatures)


def test_an_unsigned_client_without_credentials_is_refused_and_not_let_pass(server):
    assert_refused(guard(client_with(server, UNSIGNED), config_for(server)), server)


# --- credentials that change under a living client -------------------------------------------------------------------


def replace_credentials(client):
    client._request_signer._credentials = Credentials(*LONG_TERM)


def replace_credentials_with_a_token(client):
    client._request_signer._credentials = Credentials(*LONG_TERM_WITH_TOKEN)


def mutate_the_key(client):
    client._request_signer._credentials.access_key = LONG_TERM.access_key


def mutate_all(client):
    credentials = client._request_signer._credentials
    credentials.access_key, credentials.secret_key, credentials.token = LONG_TERM


def replace_the_signer(client):
    signer = client._request_signer
    client._request_signer = type(signer)(
        signer._service_id, REGION, "sqs", "v4", Credentials(*LONG_TERM), client.meta.events
    )
    client.meta.events.unregister("request-created.sqs", signer.handler)
    client.meta.events.register_first("request-created.sqs", client._request_signer.handler)


def override_in_the_context(client, keys=LONG_TERM):
    def override(context, **_):
        context["signing"] = {**context.get("signing", {}), "request_credentials": Credentials(*keys)}

    client.meta.events.register("before-parameter-build", override)


def override_before_the_signature(client):
    def override(request, **_):
        request.context["signing"] = {"request_credentials": Credentials(*LONG_TERM)}

    client.meta.events.register_first("before-sign", override)


CHANGES = [
    replace_credentials,
    replace_credentials_with_a_token,
    mutate_the_key,
    mutate_all,
    replace_the_signer,
    override_in_the_context,
    override_before_the_signature,
]


@pytest.mark.parametrize("change", CHANGES)
def test_without_the_guard_the_change_sends_long_term_keys(stage, server, change):
    environment(stage, TEMPORARY)
    client = client_for(server, guarded=False)
    change(client)
    send(client)
    assert "Credential=AKIA" in server.requests[0].headers["Authorization"]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("is_used", [False, True])
def test_credentials_that_change_under_a_living_client_are_refused(stage, server, change, is_used):
    environment(stage, TEMPORARY)
    client = client_for(server)
    if is_used:
        assert_sent(client, server, TEMPORARY.access_key)
    change(client)
    assert_refused(client, server)
    assert_refused(client, server)


@pytest.mark.parametrize("change", CHANGES)
def test_credentials_that_change_are_refused_where_a_program_sends_by_itself(stage, server, change):
    environment(stage, TEMPORARY)
    client = client_for(server)
    assert_sent(client, server, TEMPORARY.access_key)
    change(client)
    request = hand_made(server)
    if change is override_in_the_context:
        request.context["signing"] = {"request_credentials": Credentials(*LONG_TERM)}
    with pytest.raises(RefusedError) as caught:
        client._request_signer.sign("ReceiveMessage", request)
    assert rules_of(caught) == {RULE}
    assert "Authorization" not in request.headers


def test_a_signature_that_is_taken_away_is_refused_where_a_program_sends_by_itself(stage, server):
    environment(stage, TEMPORARY)
    client = client_for(server)
    assert_sent(client, server, TEMPORARY.access_key)
    client.meta.events.register("choose-signer", lambda **_: UNSIGNED)
    with pytest.raises(RefusedError) as caught:
        client._request_signer.sign("ReceiveMessage", hand_made(server))
    assert rules_of(caught) == {RULE}


def test_credentials_that_change_to_the_good_are_accepted(stage, server):
    environment(stage, LONG_TERM)
    client = client_for(server)
    assert_refused(client, server)
    client._request_signer._credentials = Credentials(*TEMPORARY)
    assert_sent(client, server, TEMPORARY.access_key)


def test_what_signs_this_very_request_counts_and_not_what_the_client_has(stage, server):
    environment(stage, LONG_TERM)
    client = client_for(server)

    def override(context, **_):
        context["signing"] = {**context.get("signing", {}), "request_credentials": Credentials(*TEMPORARY)}

    client.meta.events.register("before-parameter-build", override)
    assert_sent(client, server, TEMPORARY.access_key)
    client.meta.events.unregister("before-parameter-build", override)
    assert_refused(client, server)


def test_one_good_request_with_other_credentials_does_not_excuse_the_next(stage, server, signatures):
    environment(stage, TEMPORARY)
    client = client_for(server)
    assert_sent(client, server, TEMPORARY.access_key)
    replace_credentials(client)

    def override(context, **_):
        context["signing"] = {**context.get("signing", {}), "request_credentials": Credentials(*TEMPORARY)}

    client.meta.events.register("before-parameter-build", override)
    assert_sent(client, server, TEMPORARY.access_key)
    client.meta.events.unregister("before-parameter-build", override)
    signatures.clear()
    assert_refused(client, server, signatures)


def process_that_changes(stage, first):
    """A credential process whose answer ends so soon that every signature asks it again, and what changes it."""
    process(stage, first, Expiration=in_hours(0.1))

    def change(text):
        stage.file("credentials.json", text)

    return change


def test_a_provider_that_renews_to_temporary_credentials_goes_on(stage, server):
    change = process_that_changes(stage, TEMPORARY)
    client = client_for(server)
    assert_sent(client, server, TEMPORARY.access_key)
    later = TEMPORARY._replace(access_key="ASIAEXAMPLEEXAMPLE18")
    change(printed(later, Expiration=in_hours(6)))
    assert_sent(client, server, later.access_key)


def test_a_provider_that_renews_to_long_term_keys_is_refused(stage, server):
    change = process_that_changes(stage, TEMPORARY)
    client = client_for(server)
    assert_sent(client, server, TEMPORARY.access_key)
    change(printed(LONG_TERM, Expiration=in_hours(6)))
    assert_refused(client, server)


def test_a_provider_that_fails_to_renew_gives_botocores_own_error(stage, server):
    change = process_that_changes(stage, TEMPORARY)
    client = client_for(server)
    change("")
    with pytest.raises(CredentialRetrievalError):
        send(client)
    assert server.requests == []


# --- headers that somebody else writes -------------------------------------------------------------------------------

FOREIGN = {
    "long-term keys": f"AWS4-HMAC-SHA256 Credential={LONG_TERM.access_key}/20300101/us-east-1/sqs/aws4_request, "
    "SignedHeaders=host, Signature=00",
    "a bearer token": "Bearer abc",
    "basic authentication": "Basic dXNlcjpwYXNzd29yZA==",
    "version 2": f"AWS {TEMPORARY.access_key}:abc",
    "version 3": f"AWS3-HTTPS AWSAccessKeyId={TEMPORARY.access_key}, Algorithm=HmacSHA256, Signature=abc",
    "no signature in it": f"AWS4-HMAC-SHA256 Credential={TEMPORARY.access_key}/20300101/us-east-1/sqs/aws4_request",
    "nothing": "",
    "no header": None,
}


def writing(value, as_bytes=False):
    """A handler that writes the Authorization header."""

    def handler(request, **_):
        del request.headers["Authorization"]
        if value is not None:
            request.headers["Authorization"] = value.encode() if as_bytes else value

    return handler


@pytest.mark.parametrize("header", FOREIGN)
@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("is_used", [False, True])
def test_a_handler_that_writes_the_authorization_is_refused(stage, server, header, as_bytes, is_used):
    environment(stage, TEMPORARY)
    client = client_for(server)
    if is_used:
        assert_sent(client, server, TEMPORARY.access_key)
    client.meta.events.register("before-send", writing(FOREIGN[header], as_bytes))
    assert_refused(client, server)


@pytest.mark.parametrize("when", ["before the guard", "after the guard"])
@pytest.mark.parametrize("name", ["before-send", "before-send.sqs", "before-send.sqs.SendMessage"])
@pytest.mark.parametrize("method", ["register_first", "register", "register_last"])
@pytest.mark.parametrize("is_used", [False, True])
def test_wherever_a_handler_stands_its_authorization_does_not_leave(stage, server, method, name, when, is_used):
    environment(stage, TEMPORARY)
    client = client_for(server, guarded=False)
    is_on = []

    def handler(request, **_):
        if is_on:
            writing(FOREIGN["long-term keys"], as_bytes=True)(request)

    if when == "before the guard":
        getattr(client.meta.events, method)(name, handler)
    guard(client, config_for(server))
    if when == "after the guard":
        getattr(client.meta.events, method)(name, handler)
    if is_used:
        assert_sent(client, server, TEMPORARY.access_key)
    is_on.append(True)
    with pytest.raises(safe_sqs.GuardError):
        send(client)
    assert server.requests == []


def test_a_handler_that_takes_the_session_token_away_is_refused(stage, server):
    environment(stage, TEMPORARY)
    client = client_for(server)

    def take(request, **_):
        del request.headers["X-Amz-Security-Token"]

    client.meta.events.register("before-send", take)
    assert_refused(client, server)


# --- presigned URLs and hand-made requests ---------------------------------------------------------------------------


def hand_made(server):
    """A request as programs make it that bring an HTTP client of their own."""
    body = json.dumps({"QueueUrl": QUEUE}).encode()
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.ReceiveMessage"}
    return AWSRequest(method="POST", url=f"{server.url}/", data=body, headers=headers)


BAD_KEYS = [LONG_TERM, LONG_TERM_WITH_TOKEN, TEMPORARY_WITHOUT_TOKEN]
OPERATIONS = {
    "send_message": {"QueueUrl": QUEUE, "MessageBody": BODY},
    "receive_message": {"QueueUrl": QUEUE},
    "list_queues": {},
}


@pytest.mark.parametrize("keys", BAD_KEYS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_url_is_not_presigned_with_long_term_keys(stage, server, signatures, operation, keys):
    environment(stage, keys)
    with pytest.raises(RefusedError) as caught:
        client_for(server).generate_presigned_url(operation, Params=OPERATIONS[operation])
    assert rules_of(caught) == {RULE}
    assert signatures == []


def test_a_url_is_not_presigned_without_a_signature(stage, server):
    environment(stage, TEMPORARY)
    client = guard(client_with(server, UNSIGNED), config_for(server))
    with pytest.raises(RefusedError) as caught:
        client.generate_presigned_url("list_queues")
    assert rules_of(caught) == {RULE}


def test_a_url_is_not_presigned_with_what_nothing_renews_where_renewing_is_asked_for(stage, server, signatures):
    environment(stage, TEMPORARY)
    with pytest.raises(RefusedError) as caught:
        client_for(server, config=renewing(server)).generate_presigned_url("list_queues")
    assert rules_of(caught) == {RULE}
    assert signatures == []


def test_a_url_is_not_presigned_with_credentials_that_were_replaced(stage, server, signatures):
    environment(stage, TEMPORARY)
    client = client_for(server)
    assert TEMPORARY.access_key in client.generate_presigned_url("list_queues")
    signatures.clear()
    replace_credentials(client)
    with pytest.raises(RefusedError) as caught:
        client.generate_presigned_url("list_queues")
    assert rules_of(caught) == {RULE}
    assert signatures == []


@pytest.mark.parametrize("keys", BAD_KEYS)
def test_a_hand_made_request_is_not_signed_with_long_term_keys(stage, server, signatures, keys):
    environment(stage, keys)
    client, request = client_for(server), hand_made(server)
    with pytest.raises(RefusedError) as caught:
        client._request_signer.sign("ReceiveMessage", request)
    assert rules_of(caught) == {RULE}
    assert "Authorization" not in request.headers
    assert signatures == []


def test_a_hand_made_request_is_signed_with_temporary_credentials(stage, server):
    environment(stage, TEMPORARY)
    client, request = client_for(server), hand_made(server)
    client._request_signer.sign("ReceiveMessage", request)
    assert TEMPORARY.access_key in request.headers["Authorization"]


# --- no credentials --------------------------------------------------------------------------------------------------


def without_credentials(server, **settings):
    return client_for(server, config=config_for(server, **settings))


@pytest.mark.parametrize("level", ["temporary", "renewing"])
def test_without_credentials_botocore_says_so(server, level):
    with pytest.raises(NoCredentialsError):
        send(without_credentials(server, levels={RULE: level}))
    assert server.requests == []


def test_without_credentials_botocore_says_so_when_a_queue_has_to_be_looked_at(server):
    client = client_for(server, config=Config(trusted_endpoint_hosts=[server.netloc]))
    for call in (
        lambda: send(client),
        lambda: client.receive_message(QueueUrl=QUEUE),
        lambda: client.set_queue_attributes(QueueUrl=QUEUE, Attributes={"SqsManagedSseEnabled": "true"}),
        lambda: client.generate_presigned_url("send_message", Params=OPERATIONS["send_message"]),
        lambda: client.generate_presigned_url("list_queues"),
    ):
        with pytest.raises(NoCredentialsError):
            call()
    assert server.requests == []


def test_without_credentials_botocore_says_so_in_the_drop_in():
    with pytest.raises(NoCredentialsError):
        send(safe_sqs.Session(botocore_session=new_core()).client("sqs"))


def test_without_credentials_a_bad_way_out_is_refused_first(server):
    with pytest.raises(RefusedError) as caught:
        send(client_for(server, config=Config()))
    assert rules_of(caught) == {"endpoint-host"}


def test_half_of_the_keys_is_botocores_own_error(stage, server):
    stage.setenv("AWS_ACCESS_KEY_ID", LONG_TERM.access_key)
    with pytest.raises(PartialCredentialsError):
        send(client_for(server))
