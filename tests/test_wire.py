"""What is read of botocore's own objects, piece by piece."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.awsrequest import HeadersDict
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials, RefreshableCredentials
from support import REGION, TEMPORARY, new_session

from safe_sqs import wire
from safe_sqs.model import Connection, Identity, IdentityKind

URL = "https://sqs.us-east-1.amazonaws.com/"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
DIGITS = "0" * 64


def client_with(**arguments: Any) -> Any:
    return new_session().client("sqs", **({"region_name": REGION} | TEMPORARY | arguments))


# --- connections -------------------------------------------------------------------------------------------------

WHO = Identity(IdentityKind.TEMPORARY)


def seen(client: Any, url: str = URL) -> Connection:
    return wire.describe(client, url, WHO, "sqs")


def test_a_connection_is_described_with_all_that_is_judged():
    assert seen(client_with()) == Connection(
        url=URL,
        service="sqs",
        certificates_checked=True,
        proxied=False,
        proxy_sees_plain_text=False,
        identity=WHO,
        partitions=wire.partitions(),
    )


@pytest.mark.parametrize(
    ("proxies", "forwards", "url", "proxied", "plain"),
    [
        ({"https": "http://proxy.example:3128"}, None, URL, True, False),
        ({"https": "http://proxy.example:3128"}, True, URL, True, True),
        ({"https": "http://proxy.example:3128"}, False, URL, True, False),
        ({"https": "http://proxy.example:3128"}, True, "http://queues.example/", False, False),
        ({"http": "http://proxy.example:3128"}, True, "http://queues.example/", True, True),
        ({"http": "http://proxy.example:3128"}, None, URL, False, False),
    ],
)
def test_a_proxy_is_seen_where_it_is_on_the_way(proxies, forwards, url, proxied, plain):
    settings = {} if forwards is None else {"proxies_config": {"proxy_use_forwarding_for_https": forwards}}
    found = seen(client_with(config=ClientConfig(proxies=proxies, **settings)), url)
    assert (found.proxied, found.proxy_sees_plain_text) == (proxied, plain)


def context(**attributes: Any) -> ssl.SSLContext:
    made = ssl.create_default_context()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


CHECKED = {
    "True": (True, True),
    "a file": ("authority.pem", True),
    "False": (False, False),
    "nothing": ("", False),
    "None": (None, False),
    "a context": (context(), True),
    "any host": (context(check_hostname=False), False),
    "a certificate if there is one": (context(verify_mode=ssl.CERT_OPTIONAL), False),
    "no certificate": (context(check_hostname=False, verify_mode=ssl.CERT_NONE), False),
}


@pytest.mark.parametrize(("verify", "checked"), CHECKED.values(), ids=CHECKED)
def test_certificates_are_checked_where_all_of_them_are(verify, checked):
    client = client_with()
    client._endpoint.http_session._verify = verify
    assert seen(client).certificates_checked is checked


def test_a_session_of_which_nothing_is_known_checks_no_certificates():
    client = client_with()
    client._endpoint.http_session = SimpleNamespace()
    found = seen(client)
    assert (found.certificates_checked, found.proxied, found.proxy_sees_plain_text) == (False, False, False)


def test_addresses_are_asked_for_with_the_port_that_is_used():
    steps = wire.addresses_of("https://queues.example:8443/1/q")
    assert next(steps) == wire.Resolve("queues.example", 8443)
    with pytest.raises(StopIteration) as answered:
        steps.send(("10.0.0.7",))
    assert answered.value.value == ("10.0.0.7",)


def test_what_is_no_url_has_no_addresses():
    with pytest.raises(StopIteration) as answered:
        next(wire.addresses_of("queues"))
    assert answered.value.value == ()


def test_the_partitions_are_told_with_their_names():
    known = {partition.id: partition for partition in wire.partitions()}
    assert known["aws"].dns_suffix == "amazonaws.com"
    assert known["aws"].dual_stack_dns_suffix == "api.aws"
    assert known["aws-cn"].dns_suffix == "amazonaws.com.cn"
    assert "eu-central-1" in known["aws"].regions
    assert known["aws-cn"].region_pattern.startswith("^cn")


def test_an_emitter_of_another_kind_tells_nothing_of_its_handlers():
    client = client_with()
    assert wire.emitter_of(client) is client.meta.events._emitter
    for events in (SimpleNamespace(), SimpleNamespace(_emitter=object())):
        assert dict(wire.emitter_of(SimpleNamespace(meta=SimpleNamespace(events=events)))._lookup_cache) == {}


# --- who signs ---------------------------------------------------------------------------------------------------


def identity_of(credentials: Any, signature_version: Any = "v4") -> Identity:
    steps = wire.identity_of(credentials, signature_version)
    try:
        assert next(steps) == wire.Freeze(credentials)
        steps.send(credentials.get_frozen_credentials())
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits for something else")


def refreshable(method: str) -> RefreshableCredentials:
    return RefreshableCredentials.create_from_metadata(
        {"access_key": "ASIAEXAMPLEEXAMPLE01", "secret_key": "s", "token": "t", "expiry_time": "2099-01-01T00:00:00Z"},
        refresh_using=dict,
        method=method,
    )


@pytest.mark.parametrize(
    ("credentials", "identity"),
    [
        (Credentials("ASIAEXAMPLE-0123", "s", "t", "explicit"), Identity(IdentityKind.TEMPORARY, "0123", "explicit")),
        (Credentials("ASIAEXAMPLE-012", "s", "t", "explicit"), Identity(IdentityKind.TEMPORARY, "", "explicit")),
        (Credentials("ASIAEXAMPLE-0123", "s", None, "own"), Identity(IdentityKind.LONG_TERM, "0123", "own")),
        (Credentials("AKIAEXAMPLE-0123", "s", "t", "own"), Identity(IdentityKind.LONG_TERM, "0123", "own")),
        (Credentials("", "s", "t", "own"), Identity(IdentityKind.LONG_TERM, "", "own")),
        (Credentials("ASIAEXAMPLE-0123", "s", "t", "env"), Identity(IdentityKind.TEMPORARY, "0123", "env")),
        (refreshable("iam-role"), Identity(IdentityKind.TEMPORARY, "LE01", "iam-role", renews_itself=True)),
        (refreshable("env"), Identity(IdentityKind.TEMPORARY, "LE01", "env")),
        (None, Identity(IdentityKind.ABSENT)),
    ],
)
def test_who_is_about_to_sign(credentials, identity):
    assert identity_of(credentials) == identity
    assert identity_of(credentials, "v4a") == identity


@pytest.mark.parametrize("signature_version", [UNSIGNED, "v2", "s3", None])
def test_another_signature_is_none(signature_version):
    assert identity_of(Credentials("ASIAEXAMPLE-0123", "s", "t"), signature_version) == Identity(IdentityKind.UNSIGNED)


def test_the_environment_of_lambda_renews_itself(monkeypatch):
    credentials = Credentials("ASIAEXAMPLE-0123", "s", "t", "env")
    assert not identity_of(credentials).renews_itself
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    assert identity_of(credentials).renews_itself
    assert not identity_of(Credentials("ASIAEXAMPLE-0123", "s", "t", "explicit")).renews_itself


class Nameless:
    """Credentials of a library that does not say where they are from, and has no key either."""

    def get_frozen_credentials(self) -> Any:
        return SimpleNamespace(access_key=None, secret_key="s", token=None)


def test_credentials_that_do_not_say_where_they_are_from_are_taken_as_they_are():
    assert identity_of(Nameless()) == Identity(IdentityKind.LONG_TERM, "", "")


def signed(start: str = "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE-0123/20261130/us-east-1/sqs/aws4_request") -> str:
    return f"{start}, SignedHeaders=host, Signature={DIGITS}"


@pytest.mark.parametrize(
    ("authorization", "key"),
    [
        (signed(), b"ASIAEXAMPLE-0123"),
        (signed().encode(), b"ASIAEXAMPLE-0123"),
        (signed("AWS4-ECDSA-P256-SHA256 Credential=ASIAEXAMPLE-0123/1/sqs"), b"ASIAEXAMPLE-0123"),
        (signed("AWS4-HMAC-SHA256 Credential=ключ/1/sqs"), b"????"),
        (signed("AWS4-HMAC-SHA256 Credential=/1/sqs"), b""),
        (signed("AWS Credential=ASIAEXAMPLE-0123/1/sqs"), b""),
        (f"{signed()} and more", b""),
        ("Bearer token", b""),
        ("", b""),
        (None, b""),
        (17, b""),
    ],
)
def test_the_key_in_a_header(authorization, key):
    assert wire.key_in_header({} if authorization is None else {"Authorization": authorization}) == key


@pytest.mark.parametrize("kind", [dict, HeadersDict])
def test_who_did_sign(kind):
    credentials = Credentials("ASIAEXAMPLE-0123", "s", "t", "iam-role")

    def who(headers: Mapping[str, Any]) -> Identity:
        return wire.identity_in_header(kind(headers), credentials)

    header = {"Authorization": signed()}
    assert who({**header, "X-Amz-Security-Token": "t"}) == Identity(IdentityKind.TEMPORARY, "0123", "iam-role")
    assert who(header) == Identity(IdentityKind.LONG_TERM, "0123", "iam-role")
    assert who({**header, "X-Amz-Security-Token": ""}) == Identity(IdentityKind.LONG_TERM, "0123", "iam-role")
    assert who({"X-Amz-Security-Token": "t"}) == Identity(IdentityKind.UNSIGNED)


def test_the_key_of_a_header_may_hold_any_letter():
    said = {"Authorization": signed("AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE-é012/1/sqs")}
    assert wire.identity_in_header(said, None).key_tail == "é012"


@pytest.mark.parametrize(
    ("authorization", "start"),
    [
        (signed(), signed()[:-64].encode()),
        (signed().encode(), signed()[:-64].encode()),
        (signed()[:-1], b"\0"),
        (signed("AWS4-ECDSA-P256-SHA256 Credential=ASIAEXAMPLE-0123/1/sqs"), b"\0"),
        (signed("AWS4-HMAC-SHA256 Credential=/1/sqs"), b"\0"),
        (signed().replace(", Signature", ",  Signature="), b"\0"),
        ("", b"\0"),
        (None, b"\0"),
    ],
)
def test_what_stands_before_a_signature(authorization, start):
    assert wire.signed_in_header({} if authorization is None else {"Authorization": authorization}) == start


# --- bodies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        (b'{"QueueUrl": "q"}', {"QueueUrl": "q"}),
        ('{"QueueUrl": "q"}', {"QueueUrl": "q"}),
        (b"{}", {}),
        (b"[]", None),
        (b'"q"', None),
        (b"Action=SendMessage", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (None, None),
        (17, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_parameters_in_a_body(body, parameters):
    assert wire.parameters_in_body(body) == parameters


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"QueueUrl": "https://x/1/q", "MessageBody": "b"}', b"https://x/1/q"),
        (b'{"MessageBody": "b", "QueueUrl": "https://x/1/q"}', b"https://x/1/q"),
        (b'{"QueueUrl":"https://x/1/q"}', b"https://x/1/q"),
        (b'{"QueueUrl": "https://x/1/\\u00fc"}', b"https://x/1/\\u00fc"),
        (b'{"QueueUrl": "https:\\/\\/x/1/q"}', b"https://x/1/q"),
        ('{"QueueUrl": "https://x/1/ü"}'.encode(), b"https://x/1/\\u00fc"),
        (b'{"MessageBody": "\\"QueueUrl\\": \\"https://x/1/q\\""}', b""),
        (b'{"QueueUrl": ""}', b""),
        (b'{"QueueUrl": 17}', b""),
        (b'{"QueueUrl": "https://x/1/q', b""),
        (b'{"QueueName": "q"}', b""),
        (b"[]", b""),
        ('{"QueueUrl": "https://x/1/q"}', b""),
        (None, b""),
    ],
)
def test_the_queue_in_a_body(body, key):
    assert wire.queue_in_body(body) == key


@pytest.mark.parametrize("url", [QUEUE, "https://x/1/ü", 'https://x/1/"q"', "https://x/1/\\q", ""])
def test_a_url_is_written_and_read_as_a_body_has_it(url):
    assert wire.url_of(wire.key_of(url)) == url
    assert wire.queue_in_body(b'{"QueueUrl": "' + wire.key_of(url) + b'"}') == wire.key_of(url)


def test_a_url_is_shown_without_what_may_be_secret():
    assert wire.shown_url(wire.key_of("https://user:word@x/1/q?X-Amz-Signature=1")) == "https://x/1/q"


# --- the client for keys -------------------------------------------------------------------------------------------


def test_a_client_for_keys_goes_to_aws_where_the_other_does():
    config = ClientConfig(connect_timeout=7)
    client = client_with(config=config)
    assert wire.key_client_arguments(client) == {
        "service_name": "kms",
        "region_name": REGION,
        "endpoint_url": None,
        "verify": client._endpoint.http_session._verify,
        "config": client.meta.config,
    }


@pytest.mark.parametrize("url", ["https://queues.example:4566", "https://sqs.us-east-1.amazonaws.com.example"])
def test_a_client_for_keys_goes_to_an_emulator_where_the_other_does(url):
    client = client_with(endpoint_url=url, verify=False)
    arguments = wire.key_client_arguments(client)
    assert (arguments["endpoint_url"], arguments["verify"]) == (url, False)
