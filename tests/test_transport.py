"""Nothing leaves over an unsafe way, on whatever road the way came: not a byte, and no signature for it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, EndpointConnectionError, ProxyConnectionError, SSLError
from botocore.httpsession import URLLib3Session
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from sockets import Answer, certificates, listening, record_resolving, record_signatures
from support import LONG_TERM, REGION, TEMPORARY, WIRE_ONLY, new_core, new_session
from werkzeug.serving import WSGIRequestHandler, make_server

import safe_sqs
from safe_sqs import Config, GuardError, RefusedError, guard, hooks, wire
from safe_sqs.way_out import SealedRequest

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
BODY = "a message that nobody may see"


@pytest.fixture(autouse=True)
def temporary_credentials(monkeypatch):
    """Good credentials from the environment, no retries, and a default session of this test's own."""
    for name, value in TEMPORARY.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(safe_sqs, "DEFAULT_SESSION", None)


@pytest.fixture
def signatures(monkeypatch):
    """Every signature that is made while the test runs."""
    return record_signatures(monkeypatch)


@pytest.fixture
def names(monkeypatch):
    """Every name that somebody tried to resolve while the test runs; none of them does."""
    return record_resolving(monkeypatch)


@pytest.fixture
def plain():
    """A server that speaks plain HTTP."""
    with listening() as server:
        yield server


@pytest.fixture
def unknown(tmp_path):
    """A server that speaks TLS with the certificate of an authority that nobody knows."""
    context, _ = certificates(tmp_path)
    with listening(context=context) as server:
        yield server


@pytest.fixture
def known(tmp_path):
    """A server that speaks TLS, and its authority."""
    context, authority = certificates(tmp_path)
    with listening(context=context) as server:
        yield server, authority


def raw_client(**arguments):
    """A client of boto3, which nobody guards."""
    return new_session().client("sqs", **arguments)


def send(client):
    """Try to send a message."""
    return client.send_message(QueueUrl=QUEUE, MessageBody=BODY)


def rules_of(caught):
    """The names of the rules that refused."""
    return {finding.rule for finding in caught.value.findings}


# --- settings that lead to a wrong endpoint --------------------------------------------------------------------------


def write_config(text):
    """Write the AWS config file."""
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(text)


def by_argument(_, url):
    return {"endpoint_url": url}


def by_variable(monkeypatch, url):
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    return {}


def by_variable_of_the_service(monkeypatch, url):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", url)
    return {}


def by_config_file(_, url):
    write_config(f"[default]\nendpoint_url = {url}\n")
    return {}


def by_named_profile(monkeypatch, url):
    write_config(f"[default]\nregion = {REGION}\n[profile emulator]\nendpoint_url = {url}\n")
    monkeypatch.setenv("AWS_PROFILE", "emulator")
    return {}


def by_services_section(_, url):
    write_config(f"[default]\nservices = emulators\n[services emulators]\nsqs =\n  endpoint_url = {url}\n")
    return {}


def by_argument_with_ssl_asked_for(_, url):
    return {"endpoint_url": url, "use_ssl": True}


SETTINGS = [
    by_argument,
    by_argument_with_ssl_asked_for,
    by_variable,
    by_variable_of_the_service,
    by_config_file,
    by_named_profile,
    by_services_section,
]


def guarded_client(**arguments):
    return guard(raw_client(**arguments))


def drop_in_client(**arguments):
    safe_sqs.setup_default_session(botocore_session=new_core())
    return safe_sqs.client("sqs", **arguments)


def drop_in_session(**arguments):
    return safe_sqs.Session(botocore_session=new_core()).client("sqs", **arguments)


def drop_in_resource(**arguments):
    safe_sqs.setup_default_session(botocore_session=new_core())
    return safe_sqs.resource("sqs", **arguments).meta.client


def drop_in_session_resource(**arguments):
    return safe_sqs.Session(botocore_session=new_core()).resource("sqs", **arguments).meta.client


def drop_in_client_when_configured(**arguments):
    Path("safe-sqs.toml").write_text('profile = "baseline"\n')
    return drop_in_client(**arguments)


MAKERS = [
    guarded_client,
    drop_in_client,
    drop_in_client_when_configured,
    drop_in_session,
    drop_in_resource,
    drop_in_session_resource,
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_without_the_guard_the_setting_sends_the_message_in_plain_text(monkeypatch, plain, signatures, setting):
    send(raw_client(**setting(monkeypatch, plain.url)))
    (request,) = plain.requests
    assert BODY.encode() in request.body
    assert request.headers["X-Amz-Security-Token"] == TEMPORARY["aws_session_token"]
    assert [signature.netloc for signature in signatures] == [plain.netloc]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_that_leads_to_plain_http_is_refused(monkeypatch, plain, signatures, setting, make):
    client = make(**setting(monkeypatch, plain.url))
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert {"https-endpoint", "endpoint-host"} <= rules_of(caught)
    assert plain.connections == 0
    assert signatures == []


@pytest.mark.parametrize("setting", SETTINGS)
def test_plain_http_is_refused_to_a_trusted_host_too(monkeypatch, plain, signatures, setting):
    client = guard(
        raw_client(**setting(monkeypatch, plain.url)), Config(trusted_endpoint_hosts=[plain.netloc], modes=WIRE_ONLY)
    )
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert rules_of(caught) == {"https-endpoint"}
    assert plain.connections == 0
    assert signatures == []


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_that_leads_to_a_foreign_host_is_refused(monkeypatch, known, signatures, setting):
    server, authority = known
    monkeypatch.setenv("AWS_CA_BUNDLE", authority)
    client = guarded_client(**setting(monkeypatch, server.url))
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert rules_of(caught) == {"endpoint-host"}
    assert server.connections == 0
    assert signatures == []


@pytest.mark.parametrize("scheme", ["HTTP", "Http"])
def test_letter_case_does_not_hide_plain_http(plain, signatures, scheme):
    client = guarded_client(endpoint_url=f"{scheme}://{plain.netloc}")
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert "https-endpoint" in rules_of(caught)
    assert plain.connections == 0
    assert signatures == []


def every_operation():
    """Calls of all kinds, with the arguments that botocore asks for."""
    batch = [{"Id": "1", "ReceiptHandle": "r"}]
    return {
        "send_message": {"QueueUrl": QUEUE, "MessageBody": BODY},
        "send_message_batch": {"QueueUrl": QUEUE, "Entries": [{"Id": "1", "MessageBody": BODY}]},
        "receive_message": {"QueueUrl": QUEUE},
        "delete_message": {"QueueUrl": QUEUE, "ReceiptHandle": "r"},
        "delete_message_batch": {"QueueUrl": QUEUE, "Entries": batch},
        "change_message_visibility": {"QueueUrl": QUEUE, "ReceiptHandle": "r", "VisibilityTimeout": 0},
        "change_message_visibility_batch": {"QueueUrl": QUEUE, "Entries": batch},
        "create_queue": {"QueueName": "orders"},
        "delete_queue": {"QueueUrl": QUEUE},
        "purge_queue": {"QueueUrl": QUEUE},
        "get_queue_url": {"QueueName": "orders"},
        "get_queue_attributes": {"QueueUrl": QUEUE},
        "set_queue_attributes": {"QueueUrl": QUEUE, "Attributes": {"DelaySeconds": "1"}},
        "add_permission": {"QueueUrl": QUEUE, "Label": "l", "AWSAccountIds": ["111122223333"], "Actions": ["*"]},
        "remove_permission": {"QueueUrl": QUEUE, "Label": "l"},
        "list_queues": {},
        "list_queue_tags": {"QueueUrl": QUEUE},
        "tag_queue": {"QueueUrl": QUEUE, "Tags": {"a": "b"}},
        "untag_queue": {"QueueUrl": QUEUE, "TagKeys": ["a"]},
        "list_dead_letter_source_queues": {"QueueUrl": QUEUE},
        "start_message_move_task": {"SourceArn": "arn:aws:sqs:us-east-1:123456789012:orders"},
        "cancel_message_move_task": {"TaskHandle": "t"},
        "list_message_move_tasks": {"SourceArn": "arn:aws:sqs:us-east-1:123456789012:orders"},
    }


@pytest.mark.parametrize("operation", every_operation())
def test_every_operation_is_held_to_the_way_out(plain, signatures, operation):
    client = guarded_client(endpoint_url=plain.url)
    with pytest.raises(RefusedError) as caught:
        getattr(client, operation)(**every_operation()[operation])
    assert "https-endpoint" in rules_of(caught)
    assert plain.connections == 0
    assert signatures == []


def test_the_list_of_operations_is_complete():
    assert set(raw_client().meta.method_to_api_mapping) == set(every_operation())


def test_a_paginator_is_held_to_the_way_out(plain, signatures):
    pages = guarded_client(endpoint_url=plain.url).get_paginator("list_queues").paginate()
    with pytest.raises(RefusedError):
        list(pages)
    assert plain.connections == 0
    assert signatures == []


@pytest.mark.parametrize("of_session", [False, True])
def test_a_resource_is_held_to_the_way_out(plain, signatures, of_session):
    maker = safe_sqs.Session() if of_session else safe_sqs
    sqs = maker.resource("sqs", endpoint_url=plain.url)
    for attempt in (
        lambda: sqs.get_queue_by_name(QueueName="orders"),
        lambda: sqs.Queue(QUEUE).send_message(MessageBody=BODY),
        lambda: sqs.Queue(QUEUE).send_messages(Entries=[{"Id": "1", "MessageBody": BODY}]),
        lambda: sqs.Queue(QUEUE).receive_messages(),
        lambda: sqs.Queue(QUEUE).attributes,
        lambda: sqs.Message(QUEUE, "receipt").delete(),
        lambda: list(sqs.queues.all()),
        lambda: sqs.create_queue(QueueName="orders"),
    ):
        with pytest.raises(RefusedError):
            attempt()
    assert plain.connections == 0
    assert signatures == []


def test_other_services_of_the_drop_in_are_left_alone(plain):
    safe_sqs.client("sns", endpoint_url=plain.url).meta.events.register("before-parse", lambda **_: None)
    with pytest.raises(Exception) as caught:
        safe_sqs.client("dynamodb", endpoint_url=plain.url).describe_table(TableName="t")
        raise RuntimeError("sent")
    assert isinstance(caught.value, RuntimeError)
    assert len(plain.requests) == 1


# --- AWS's own host over plain HTTP ----------------------------------------------------------------------------------


def test_without_the_guard_use_ssl_false_means_plain_http_to_aws(names, signatures):
    with pytest.raises(EndpointConnectionError, match=r"http://sqs\.us-east-1\.amazonaws\.com"):
        send(raw_client(use_ssl=False))
    assert names == ["sqs.us-east-1.amazonaws.com"]
    assert [signature.url for signature in signatures] == ["http://sqs.us-east-1.amazonaws.com/"]


@pytest.mark.parametrize("make", MAKERS)
def test_use_ssl_false_is_refused_before_a_name_is_resolved(names, signatures, make):
    client = make(use_ssl=False)
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert rules_of(caught) == {"https-endpoint"}
    assert names == []
    assert signatures == []


@pytest.mark.parametrize(
    "url",
    [
        "http://sqs.us-east-1.amazonaws.com",
        "http://sqs.us-east-1.amazonaws.com:443",
        "http://queue.amazonaws.com",
        "http://vpce-0a1b2c3d-abcdefgh.sqs.us-east-1.vpce.amazonaws.com",
    ],
)
@pytest.mark.parametrize("profile", ["baseline", "strict", "local"])
def test_plain_http_to_aws_is_refused_in_every_profile_that_refuses(names, signatures, profile, url):
    client = guard(raw_client(endpoint_url=url), Config(profile=profile))
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert "https-endpoint" in rules_of(caught)
    assert names == []
    assert signatures == []


def test_use_ssl_false_is_refused_for_fips_and_dual_stack_hosts_too(names, signatures):
    config = ClientConfig(use_fips_endpoint=True, use_dualstack_endpoint=True)
    with pytest.raises(RefusedError) as caught:
        send(guarded_client(use_ssl=False, config=config))
    assert rules_of(caught) == {"https-endpoint"}
    assert names == []
    assert signatures == []


# --- hosts that only look like AWS's ---------------------------------------------------------------------------------

LOOK_ALIKES = [
    "https://sqs.us-east-1.amazonaws.com.evil.example",
    "https://sqs.us-east-1.amazonaws.com.",
    "https://sqs.us-east-1.amazonaws.com:8443",
    "https://sqs.us-east-1.amazonaws.com@evil.example",
    "https://user:password@sqs.us-east-1.amazonaws.com",
    "https://sqs.us-east-1.amazonaws.com\\@evil.example",
    "https://sqs.us-east-1.amazonaws.com\\.evil.example",
    "https://sqs.us-east-1.amazonaws.com%2eevil.example",
    "https://sqs.us-east-1.amazonaws.com\t.evil.example",
    "https://sqs.us-east-1.\uff41mazonaws.com",
    "https://sqs.us-east-1.\u0430mazonaws.com",
    "https://xn--sqs-us-east-1-mazonaws-com-9tk.example",
    "https://sqs.s3.amazonaws.com",
    "https://sqs-123456789.us-east-1.elb.amazonaws.com",
    "https://abcdef1234.execute-api.us-east-1.amazonaws.com",
    "https://ec2-203-0-113-9.compute-1.amazonaws.com",
    "https://vpce-0a1b2c3d-abcdefgh.vpce-svc-0f9e8d7c6b5a43210.us-east-1.vpce.amazonaws.com",
    "https://[2001:db8::1]",
    "https://[::ffff:203.0.113.9]",
    "https://203.0.113.9",
    "https://3405803785",
    "https://0xcb007109",
    "https://203.113",
    "https://" + "sqs." * 50 + "amazonaws.com",
]


@pytest.mark.parametrize("url", LOOK_ALIKES, ids=ascii)
def test_an_endpoint_that_only_looks_like_aws_is_refused(names, signatures, url):
    with pytest.raises((RefusedError, ValueError)) as caught:  # botocore itself refuses some at once
        send(guarded_client(endpoint_url=url))
    if isinstance(caught.value, RefusedError):
        assert rules_of(caught) == {"endpoint-host"}
    else:
        assert "Invalid endpoint" in str(caught.value)
    assert names == []
    assert signatures == []


@pytest.mark.parametrize("url", LOOK_ALIKES, ids=ascii)
def test_a_request_that_was_turned_to_a_look_alike_is_refused(emulator, make_client, good, names, signatures, url):
    client = make_client()
    client.meta.events.register("before-send", turning_to(url))
    with pytest.raises(RefusedError) as caught:
        client.send_message(QueueUrl=good, MessageBody=BODY)
    assert rules_of(caught) == {"endpoint-host"}
    assert names == []
    assert {signature.netloc for signature in signatures} == {emulator.host}


@pytest.mark.parametrize("url", ["https://SQS.us-east-1.AMAZONAWS.com", "HTTPS://sqs.us-east-1.amazonaws.com:443"])
def test_upper_case_and_the_standard_port_are_aws_all_the_same(names, url):
    with pytest.raises(EndpointConnectionError):  # it does not resolve here, but it was on its way
        send(guard(raw_client(endpoint_url=url), Config(modes=WIRE_ONLY)))
    assert [name.lower() for name in names] == ["sqs.us-east-1.amazonaws.com"]


# --- somebody else's handlers ----------------------------------------------------------------------------------------


def turning_to(url):
    """A handler that sends every request somewhere else."""

    def handler(params=None, request=None, **_):
        if request is not None:
            request.url = url
        elif isinstance(params, dict) and "url" in params:
            params["url"] = url

    return handler


EVENTS = ["before-call", "request-created", "before-sign", "before-send"]
NAMES = ["{}", "{}.sqs", "{}.sqs.SendMessage", "{}.*.SendMessage", "*.sqs.SendMessage"]
REGISTER = ["register_first", "register", "register_last"]


@pytest.fixture(scope="module")
def trusted(tmp_path_factory):
    """A server that speaks TLS, for the whole module, and its authority."""
    context, authority = certificates(tmp_path_factory.mktemp("trusted"))
    with listening(context=context) as server:
        yield server, authority


@pytest.mark.parametrize("method", REGISTER)
@pytest.mark.parametrize("event", EVENTS)
def test_without_the_guard_a_handler_turns_the_request_to_plain_http(trusted, plain, event, method):
    server, authority = trusted
    client = raw_client(endpoint_url=server.url, verify=authority)
    getattr(client.meta.events, method)(event, turning_to(plain.url))
    send(client)
    assert BODY.encode() in plain.requests[0].body


BEHIND_THE_GUARD = ("before-sign", "{}", "register_last", "after the guard")
"""The one place from which a handler gets a signature for another host. The request is not sent all the same."""


@pytest.mark.parametrize("when", ["before the guard", "after the guard"])
@pytest.mark.parametrize("method", REGISTER)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("event", EVENTS)
def test_a_handler_that_turns_the_request_to_plain_http_is_refused(
    trusted, plain, signatures, event, name, method, when
):
    server, authority = trusted
    client = raw_client(endpoint_url=server.url, verify=authority)
    for step in ("before the guard", "guard", "after the guard"):
        if step == "guard":
            guard(client, Config(trusted_endpoint_hosts=[server.netloc], modes=WIRE_ONLY))
        elif step == when:
            getattr(client.meta.events, method)(name.format(event), turning_to(plain.url))
    with pytest.raises(GuardError):
        send(client)
    assert plain.connections == 0
    if (event, name, method, when) != BEHIND_THE_GUARD:
        assert plain.netloc not in {signature.netloc for signature in signatures}


@pytest.mark.parametrize("event", EVENTS)
def test_a_handler_that_comes_when_the_client_has_long_been_in_use_is_refused(
    make_client, plain, signatures, good, event
):
    client = make_client()
    client.send_message(QueueUrl=good, MessageBody="harmless")
    client.meta.events.register(event, turning_to(plain.url))
    with pytest.raises(GuardError):
        client.send_message(QueueUrl=good, MessageBody=BODY)
    assert plain.connections == 0
    assert plain.netloc not in {signature.netloc for signature in signatures}


class Late(list):
    """A handler that turns the request elsewhere, and the kinds of requests that it has seen."""

    def __init__(self, url):
        self._url = url

    def __call__(self, request, **_):
        self.append(type(request))
        request.url = self._url


@pytest.mark.parametrize("operation", ["send_message", "get_queue_url"])
def test_a_handler_that_comes_after_the_guard_when_the_client_is_in_use_is_refused(make_client, plain, good, operation):
    client = make_client()
    arguments = {
        "send_message": {"QueueUrl": good, "MessageBody": BODY},
        "get_queue_url": {"QueueName": good.rpartition("/")[2]},
    }
    call = partial(getattr(client, operation), **arguments[operation])
    call()
    call()
    late = Late(plain.url)
    client.meta.events.register_last("before-send", late)
    with pytest.raises(GuardError, match="the url of a request was changed"):
        call()
    assert late == [SealedRequest]
    assert plain.connections == 0


def test_a_handler_that_another_one_subscribes_within_a_call_is_refused_from_the_next_call_on(make_client, plain, good):
    client = make_client()
    client.send_message(QueueUrl=good, MessageBody="harmless")
    late = Late(plain.url)
    client.meta.events.register("before-send", lambda **_: client.meta.events.register_last("before-send", late))
    client.send_message(QueueUrl=good, MessageBody="harmless")
    assert late == []
    with pytest.raises(GuardError):
        client.send_message(QueueUrl=good, MessageBody=BODY)
    assert set(late) == {SealedRequest}
    assert plain.connections == 0


def test_a_request_after_which_no_handler_comes_is_not_changed(make_client, good):
    client = make_client()
    session = client._endpoint.http_session
    sent, send_on = [], session.send
    session.send = lambda request: sent.append(type(request)) or send_on(request)
    client.send_message(QueueUrl=good, MessageBody="harmless")
    client.send_message(QueueUrl=good, MessageBody="harmless")
    assert sent[-1] is AWSPreparedRequest


class Silent:
    """An emitter that does not tell whom it calls, as that of another botocore might not."""

    def __init__(self, emitter):
        self._theirs = emitter

    def __getattr__(self, name):
        if name == "_lookup_cache":
            raise AttributeError(name)
        return getattr(self._theirs, name)


def test_a_botocore_that_keeps_handlers_and_headers_otherwise_is_guarded_as_well(
    make_raw, make_config, plain, good, monkeypatch
):
    monkeypatch.setattr(hooks, "AUTHORIZATION", None)
    raw = make_raw()
    raw.meta.events._emitter = Silent(raw.meta.events._emitter)
    client = guard(raw, make_config())
    client.send_message(QueueUrl=good, MessageBody="harmless")
    client.send_message(QueueUrl=good, MessageBody="harmless")
    late = Late(plain.url)
    client.meta.events.register_last("before-send", late)
    with pytest.raises(GuardError, match="the url of a request was changed"):
        client.send_message(QueueUrl=good, MessageBody=BODY)
    assert late == [SealedRequest]
    assert plain.connections == 0


@pytest.mark.parametrize("event", EVENTS)
def test_a_handler_of_the_session_is_refused(make_config, emulator, plain, signatures, good, event):
    own = new_session()
    own.events.register_last(event, turning_to(plain.url))
    client = own.client("sqs", endpoint_url=emulator.url, verify=emulator.authority)
    guard(client, make_config())
    with pytest.raises(GuardError):
        client.send_message(QueueUrl=good, MessageBody=BODY)
    assert plain.connections == 0
    assert plain.netloc not in {signature.netloc for signature in signatures}


@pytest.mark.parametrize("event", ["before-sign", "before-send"])
def test_a_handler_that_comes_last_of_all_cannot_hide_behind_the_first_use_of_the_drop_in(
    plain, signatures, names, event
):
    client = safe_sqs.client("sqs")
    client.meta.events.register_last(event, turning_to(plain.url))
    with pytest.raises((GuardError, EndpointConnectionError)):  # its own look at the queue does not get anywhere here
        send(client)
    assert plain.connections == 0
    if event != "before-sign":
        assert plain.netloc not in {signature.netloc for signature in signatures}


def test_a_handler_that_turns_the_endpoint_rules_to_plain_http_is_refused(make_client, plain, signatures, good):
    def turn(builtins, **_):
        builtins["SDK::Endpoint"] = plain.url

    client = make_client()
    client.meta.events.register("before-endpoint-resolution", turn)
    with pytest.raises(RefusedError) as caught:
        client.send_message(QueueUrl=good, MessageBody=BODY)
    assert "https-endpoint" in rules_of(caught)
    assert plain.connections == 0
    assert plain.netloc not in {signature.netloc for signature in signatures}


def test_a_request_that_is_turned_on_its_second_attempt_is_refused(known, plain, signatures, monkeypatch):
    server, authority = known
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    client = guard(
        raw_client(endpoint_url=server.url, verify=authority),
        Config(trusted_endpoint_hosts=[server.netloc], modes=WIRE_ONLY),
    )

    def break_off(**_):
        client.meta.events.register_first("request-created", turning_to(plain.url))
        raise EndpointConnectionError(endpoint_url="the first attempt fails")

    client.meta.events.register_first("before-send", break_off, unique_id="once")
    client.meta.events.register_first(
        "needs-retry", lambda **_: client.meta.events.unregister("before-send", break_off)
    )
    with pytest.raises(GuardError):
        send(client)
    assert plain.connections == 0
    assert plain.netloc not in {signature.netloc for signature in signatures}


# --- presigned URLs --------------------------------------------------------------------------------------------------

PRESIGNED = {
    "send_message": {"QueueUrl": QUEUE, "MessageBody": BODY},
    "receive_message": {"QueueUrl": QUEUE},
    "delete_message": {"QueueUrl": QUEUE, "ReceiptHandle": "r"},
    "get_queue_url": {"QueueName": "orders"},
    "create_queue": {"QueueName": "orders"},
    "list_queues": {},
}


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("operation", PRESIGNED)
def test_a_presigned_url_for_plain_http_is_refused(plain, signatures, operation, method):
    client = guarded_client(endpoint_url=plain.url)
    with pytest.raises(RefusedError) as caught:
        client.generate_presigned_url(operation, Params=PRESIGNED[operation], HttpMethod=method)
    assert "https-endpoint" in rules_of(caught)
    assert signatures == []


@pytest.mark.parametrize("operation", PRESIGNED)
def test_a_presigned_url_for_a_foreign_host_is_refused(names, signatures, operation):
    client = guarded_client(endpoint_url="https://sqs.us-east-1.amazonaws.com.evil.example")
    with pytest.raises(RefusedError) as caught:
        client.generate_presigned_url(operation, Params=PRESIGNED[operation])
    assert rules_of(caught) == {"endpoint-host"}
    assert names == []
    assert signatures == []


def test_a_presigned_url_for_a_bad_queue_is_refused(make_client, emulator, bad, signatures):
    with pytest.raises(RefusedError) as caught:
        make_client().generate_presigned_url("send_message", Params={"QueueUrl": bad, "MessageBody": BODY})
    assert rules_of(caught) == {"queue-encryption"}
    assert not [signature for signature in signatures if "X-Amz-Algorithm" in signature.url]


def test_a_presigned_url_for_a_good_queue_is_made(make_client, emulator, good):
    url = make_client().generate_presigned_url("send_message", Params={"QueueUrl": good, "MessageBody": BODY})
    assert urlsplit(url).netloc == emulator.host
    assert "X-Amz-Signature=" in url


@pytest.mark.parametrize("method", REGISTER)
@pytest.mark.parametrize("event", ["before-sign", "before-sign.sqs", "before-sign.sqs.SendMessage"])
def test_a_handler_that_turns_a_presigned_url_is_refused(trusted, plain, signatures, event, method):
    server, authority = trusted
    client = guard(
        raw_client(endpoint_url=server.url, verify=authority),
        Config(trusted_endpoint_hosts=[server.netloc], modes=WIRE_ONLY),
    )
    getattr(client.meta.events, method)(event, turning_to(plain.url))
    with pytest.raises(GuardError):
        client.generate_presigned_url("send_message", Params=PRESIGNED["send_message"])
    assert signatures == []


# --- certificates that nobody checks ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_without_the_guard_verify_false_talks_to_anyone(unknown):
    send(raw_client(endpoint_url=unknown.url, verify=False))
    assert BODY.encode() in unknown.requests[0].body


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("make", [guarded_client, drop_in_client_when_configured, drop_in_resource])
def test_verify_false_is_refused(monkeypatch, unknown, signatures, make):
    monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", unknown.netloc)
    client = make(endpoint_url=unknown.url, verify=False)
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert rules_of(caught) == {"tls-verification"}
    assert unknown.connections == 0
    assert signatures == []


def test_verify_false_is_refused_to_aws_too(names, signatures):
    with pytest.raises(RefusedError) as caught:
        send(safe_sqs.client("sqs", verify=False))
    assert rules_of(caught) == {"tls-verification"}
    assert names == []
    assert signatures == []


@pytest.mark.parametrize("value", ["", "0", 0, b"", [], None])
def test_a_value_of_verify_that_switches_it_off_never_lets_a_message_out(unknown, value):
    with pytest.raises((RefusedError, BotoCoreError, OSError, TypeError, ValueError)):
        send(
            guard(
                raw_client(endpoint_url=unknown.url, verify=value),
                Config(trusted_endpoint_hosts=[unknown.netloc], modes=WIRE_ONLY),
            )
        )
    assert unknown.requests == []


def by_empty_variable(name):
    def setting(monkeypatch):
        monkeypatch.setenv(name, "")

    setting.__name__ = name
    return setting


def by_empty_config_file(_):
    write_config("[default]\nca_bundle =\n")


EMPTY_BUNDLES = [
    by_empty_variable("AWS_CA_BUNDLE"),
    by_empty_variable("REQUESTS_CA_BUNDLE"),
    by_empty_variable("CURL_CA_BUNDLE"),
    by_empty_config_file,
]


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("setting", EMPTY_BUNDLES)
def test_an_empty_ca_bundle_never_lets_a_message_out(monkeypatch, unknown, signatures, setting):
    """What an empty bundle means depends on botocore's version: off, no matter, or an error of botocore's own."""
    setting(monkeypatch)
    is_off = talks_to(unknown)
    del unknown.requests[:], signatures[:]
    before = unknown.connections
    with pytest.raises((RefusedError, BotoCoreError)) as caught:
        send(
            guard(
                raw_client(endpoint_url=unknown.url),
                Config(trusted_endpoint_hosts=[unknown.netloc], modes=WIRE_ONLY),
            )
        )
    assert unknown.requests == []
    assert isinstance(caught.value, RefusedError) == is_off
    if is_off:
        assert rules_of(caught) == {"tls-verification"}
        assert unknown.connections == before
        assert signatures == []


def talks_to(server):
    """Whether a client that nobody guards sends its message to a server whose certificate is worth nothing."""
    try:
        send(raw_client(endpoint_url=server.url))
    except BotoCoreError:
        return False
    return bool(server.requests)


@pytest.mark.parametrize("how", ["an argument", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "the config file"])
def test_a_private_authority_is_fine(monkeypatch, known, how):
    server, authority = known
    if how == "the config file":
        write_config(f"[default]\nca_bundle = {authority}\n")
    elif how != "an argument":
        monkeypatch.setenv(how, authority)
    client = raw_client(endpoint_url=server.url, verify=authority if how == "an argument" else None)
    send(guard(client, Config(trusted_endpoint_hosts=[server.netloc], modes=WIRE_ONLY)))
    assert len(server.requests) == 1


def test_a_server_with_a_wrong_certificate_gets_nothing(unknown):
    client = guard(
        raw_client(endpoint_url=unknown.url), Config(trusted_endpoint_hosts=[unknown.netloc], modes=WIRE_ONLY)
    )
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        send(client)
    assert unknown.requests == []


# --- a living client that is changed ---------------------------------------------------------------------------------


def switch_off(client):
    client._endpoint.http_session._verify = False


def empty(client):
    client._endpoint.http_session._verify = ""


def swap_http_session(client):
    client._endpoint.http_session = URLLib3Session(verify=False)


def swap_endpoint(client):
    client._endpoint = type(client._endpoint)(
        client._endpoint.host, "sqs", client.meta.events, http_session=URLLib3Session(verify=False)
    )


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("change", [switch_off, empty, swap_http_session, swap_endpoint])
@pytest.mark.parametrize("is_used", [False, True])
def test_verification_that_is_switched_off_under_a_living_client_is_refused(known, signatures, change, is_used):
    server, authority = known
    client = guard(
        raw_client(endpoint_url=server.url, verify=authority),
        Config(trusted_endpoint_hosts=[server.netloc], modes=WIRE_ONLY),
    )
    if is_used:
        send(client)
    sent, made = len(server.requests), len(signatures)
    old = client._endpoint.http_session
    change(client)
    with pytest.raises(RefusedError) as caught:
        send(client)
    old.close()
    assert rules_of(caught) == {"tls-verification"}
    assert len(server.requests) == sent
    assert len(signatures) - made <= 1  # for the trusted host, and never sent


def test_verification_that_is_switched_on_again_is_fine(known):
    server, authority = known
    client = guard(
        raw_client(endpoint_url=server.url, verify=authority),
        Config(trusted_endpoint_hosts=[server.netloc], modes=WIRE_ONLY),
    )
    switch_off(client)
    with pytest.raises(RefusedError):
        send(client)
    client._endpoint.http_session._verify = authority
    send(client)
    assert len(server.requests) == 1


# --- proxies ---------------------------------------------------------------------------------------------------------

FORWARDING = {"proxy_use_forwarding_for_https": True}


@pytest.mark.filterwarnings("ignore:Passing ssl_context:FutureWarning")
def test_without_the_guard_a_forwarding_proxy_reads_the_message(known):
    proxy, authority = known
    config = ClientConfig(
        proxies={"https": f"https://{proxy.netloc}"}, proxies_config={"proxy_ca_bundle": authority, **FORWARDING}
    )
    send(raw_client(config=config, verify=authority))
    (request,) = proxy.requests
    assert request.path == "https://sqs.us-east-1.amazonaws.com/"
    assert BODY.encode() in request.body
    assert request.headers["X-Amz-Security-Token"] == TEMPORARY["aws_session_token"]


@pytest.mark.parametrize("is_trusted_host", [False, True])
def test_an_https_proxy_that_would_read_the_message_is_refused(known, tmp_path, signatures, is_trusted_host):
    proxy, authority = known
    config = ClientConfig(
        proxies={"https": f"https://{proxy.netloc}"}, proxies_config={"proxy_ca_bundle": authority, **FORWARDING}
    )
    url = "https://sqs.corp.example" if is_trusted_host else None
    client = raw_client(config=config, endpoint_url=url)
    guard(client, Config(trusted_endpoint_hosts=["sqs.corp.example"]))
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert rules_of(caught) == {"tls-verification"}
    assert proxy.connections == 0
    assert signatures == []


def test_a_forwarding_proxy_from_the_environment_is_refused(monkeypatch, known, signatures):
    proxy, authority = known
    monkeypatch.setenv("HTTPS_PROXY", f"https://{proxy.netloc}")
    config = ClientConfig(proxies_config={"proxy_ca_bundle": authority, **FORWARDING})
    with pytest.raises(RefusedError) as caught:
        send(guarded_client(config=config))
    assert rules_of(caught) == {"tls-verification"}
    assert proxy.connections == 0
    assert signatures == []


def test_a_proxy_that_tunnels_sees_the_name_only(plain):
    config = ClientConfig(proxies={"https": plain.url})
    client = guard(raw_client(config=config), Config(modes=WIRE_ONLY))
    plain.answer = lambda _: Answer(502)
    with pytest.raises(ProxyConnectionError):  # the proxy does not let it through, but it was on its way
        send(client)
    (request,) = plain.requests
    assert (request.method, request.path, request.body) == ("CONNECT", "sqs.us-east-1.amazonaws.com:443", b"")
    assert "Authorization" not in request.headers


# --- the profile `local` ---------------------------------------------------------------------------------------------


class Quiet(WSGIRequestHandler):
    """Writes no access log."""

    def log(self, *_):
        """Nothing."""


@contextmanager
def plain_moto(address):
    """A real emulator that speaks plain HTTP."""
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server(address, 0, application, threaded=True, request_handler=Quiet)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def has_ipv6():
    """Whether this machine has a loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as attempt:
            attempt.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        pytest.param("::1", "[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")),
    ],
)
@pytest.mark.parametrize("keys", [LONG_TERM, TEMPORARY], ids=["long-term keys", "temporary keys"])
def test_local_lets_plain_http_with_made_up_keys_to_a_loopback_address(address, host, keys, queue_name):
    with plain_moto(address) as port:
        client = raw_client(endpoint_url=f"http://{host}:{port}", **{"aws_session_token": None, **keys})
        guard(client, Config(profile="local"))
        url = client.create_queue(QueueName=queue_name)["QueueUrl"]
        client.send_message(QueueUrl=url, MessageBody="hello")
        assert client.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "hello"


def test_local_still_judges_the_queue(queue_name):
    with plain_moto("127.0.0.1") as port:
        client = guard(raw_client(endpoint_url=f"http://127.0.0.1:{port}", **LONG_TERM), Config(profile="local"))
        with pytest.raises(RefusedError) as caught:
            client.create_queue(QueueName=queue_name, Attributes={"SqsManagedSseEnabled": "false"})
        assert rules_of(caught) == {"queue-encryption"}


@pytest.mark.parametrize("maker", [drop_in_client, drop_in_resource])
def test_local_is_set_for_the_drop_in_by_the_environment(monkeypatch, plain, maker):
    monkeypatch.setenv("SAFE_SQS_PROFILE", "local")
    maker(endpoint_url=plain.url).list_queues()
    assert len(plain.requests) == 1


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "203.0.113.9",
        "host.docker.internal",
        "emulator",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost.",
        "evil.localhost",
        "[2001:db8::1]",
        "[::]",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_local_lets_nothing_to_any_other_address(names, signatures, scheme, host):
    client = guard(raw_client(endpoint_url=f"{scheme}://{host}:4566"), Config(profile="local"))
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert rules_of(caught) == ({"endpoint-host"} if scheme == "https" else {"endpoint-host", "https-endpoint"})
    assert names == []
    assert signatures == []


def test_local_does_not_let_made_up_keys_to_aws(names, signatures):
    client = guard(raw_client(**{**LONG_TERM, "aws_session_token": None}), Config(profile="local"))
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert rules_of(caught) == {"static-credentials"}
    assert names == []
    assert signatures == []


def test_without_the_guard_a_proxy_reads_what_goes_to_a_loopback_address(monkeypatch, plain):
    monkeypatch.setenv("HTTP_PROXY", plain.url)
    send(raw_client(endpoint_url="http://localhost:4566"))
    assert plain.requests[0].path.startswith("http://localhost:4566/")


def test_local_does_not_let_plain_http_to_a_loopback_address_through_a_proxy(monkeypatch, plain, signatures):
    monkeypatch.setenv("HTTP_PROXY", plain.url)
    client = guard(raw_client(endpoint_url="http://localhost:4566"), Config(profile="local"))
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert "https-endpoint" in rules_of(caught)
    assert plain.connections == 0
    assert signatures == []


@pytest.mark.parametrize("profile", ["baseline", "strict"])
def test_no_other_profile_lets_plain_http_to_a_loopback_address(plain, signatures, profile):
    client = guard(raw_client(endpoint_url=plain.url), Config(profile=profile))
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert {"https-endpoint", "endpoint-host"} <= rules_of(caught)
    assert plain.connections == 0
    assert signatures == []


# --- doctored data ---------------------------------------------------------------------------------------------------


def doctored(folder):
    """A folder with partition data in which AWS lives at evil.example."""
    from botocore.loaders import Loader

    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    folder.mkdir(parents=True)
    for name in ("partitions", "endpoints"):
        text = json.dumps(loader.load_data(name)).replace("amazonaws.com", "aws.evil.example")
        (folder / f"{name}.json").write_text(text)
    return folder


DOCTORED = """
import json, sys
import boto3
from safe_sqs import Config, RefusedError, guard

url = None
def keep(params, **_):
    global url
    url = params["url"]
client = boto3.client("sqs")
client.meta.events.register("before-call", keep)
try:
    guard(client, Config()).list_queues()
except RefusedError as error:
    print(json.dumps([url, [finding.rule for finding in error.findings]]))
"""


@pytest.mark.parametrize("how", ["AWS_DATA_PATH", "the home directory"])
def test_partition_data_that_somebody_put_there_is_not_believed(monkeypatch, tmp_path, how):
    folder = doctored(tmp_path / ".aws" / "models")
    monkeypatch.setenv(*("AWS_DATA_PATH", str(folder)) if how == "AWS_DATA_PATH" else ("HOME", str(tmp_path)))
    done = subprocess.run([sys.executable, "-c", DOCTORED], capture_output=True, text=True, timeout=60, check=True)
    url, rules = json.loads(done.stdout)
    assert url == "https://sqs.us-east-1.aws.evil.example/"  # so botocore does believe it
    assert rules == ["endpoint-host"]


# --- programs that sign with the client and send by themselves -------------------------------------------------------


def hand_made(url, operation="SendMessage", queue=QUEUE):
    """A request as programs make it that bring an HTTP client of their own."""
    body = json.dumps({"QueueUrl": queue, "MessageBody": BODY}).encode()
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{operation}"}
    return AWSRequest(method="POST", url=url, data=body, headers=headers)


SECRET_HEADERS = {"Authorization", "X-Amz-Security-Token", "X-Amz-Date"}


def test_without_the_guard_a_hand_made_request_is_signed_for_any_host(plain):
    request = hand_made(plain.url)
    client = raw_client()
    client._request_signer.sign("SendMessage", request)
    assert set(request.headers) >= SECRET_HEADERS


@pytest.mark.parametrize("operation", ["ReceiveMessage", "SendMessage", "DeleteMessage", "GetQueueUrl", "Unheard"])
@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://sqs.us-east-1.amazonaws.com", "https-endpoint"),
        ("https://sqs.us-east-1.amazonaws.com.evil.example", "endpoint-host"),
        ("https://user@sqs.us-east-1.amazonaws.com", "endpoint-host"),
    ],
)
def test_a_hand_made_request_gets_no_signature_for_a_bad_host(names, signatures, operation, url, rule):
    client = guarded_client()
    request = hand_made(url, operation)
    with pytest.raises(RefusedError) as caught:
        client._request_signer.sign(operation, request)
    assert rules_of(caught) == {rule}
    assert not SECRET_HEADERS & set(request.headers)
    assert names == []
    assert signatures == []


def test_a_hand_made_request_gets_no_signature_for_a_bad_host_from_a_client_in_use(
    make_client, plain, signatures, good
):
    client = make_client()
    client.send_message(QueueUrl=good, MessageBody="harmless")
    request = hand_made(plain.url, "ReceiveMessage", good)
    with pytest.raises(RefusedError):
        client._request_signer.sign("ReceiveMessage", request)
    assert not SECRET_HEADERS & set(request.headers)
    assert plain.netloc not in {signature.netloc for signature in signatures}


@pytest.mark.parametrize("method", REGISTER)
def test_a_handler_that_turns_a_hand_made_request_is_refused(trusted, plain, signatures, method):
    server, authority = trusted
    client = guard(
        raw_client(endpoint_url=server.url, verify=authority),
        Config(trusted_endpoint_hosts=[server.netloc], modes=WIRE_ONLY),
    )
    getattr(client.meta.events, method)("before-sign", turning_to(plain.url))
    request = hand_made(f"{server.url}/")
    with pytest.raises(GuardError):
        client._request_signer.sign("SendMessage", request)
    assert not SECRET_HEADERS & set(request.headers)
    assert signatures == []


def test_a_hand_made_request_to_a_good_queue_is_signed_and_to_a_bad_one_it_is_not(make_client, emulator, good, bad):
    client = make_client()
    request = hand_made(emulator.url, "ReceiveMessage", good)
    client._request_signer.sign("ReceiveMessage", request)
    assert set(request.headers) >= SECRET_HEADERS
    request = hand_made(emulator.url, "ReceiveMessage", bad)
    with pytest.raises(RefusedError) as caught:
        client._request_signer.sign("ReceiveMessage", request)
    assert rules_of(caught) == {"queue-encryption"}
    assert not SECRET_HEADERS & set(request.headers)


def test_a_hand_made_request_in_the_old_query_protocol_is_refused(make_client, emulator, good):
    request = AWSRequest(
        method="POST", url=emulator.url, data={"Action": "SendMessage", "QueueUrl": good, "MessageBody": BODY}
    )
    with pytest.raises(RefusedError) as caught:
        make_client()._request_signer.sign("SendMessage", request)
    assert rules_of(caught) == {"request-body"}
    assert not SECRET_HEADERS & set(request.headers)


def test_a_hand_made_request_over_a_client_that_does_not_verify_is_refused(names, signatures):
    client = guarded_client(verify=False)
    with pytest.raises(RefusedError) as caught:
        client._request_signer.sign("ReceiveMessage", hand_made("https://sqs.us-east-1.amazonaws.com"))
    assert rules_of(caught) == {"tls-verification"}
    assert signatures == []


# --- the profile `observe`, and what is told -------------------------------------------------------------------------


def test_observe_lets_it_pass_and_says_so(plain, told):
    send(guard(raw_client(endpoint_url=plain.url), Config(profile="observe", modes=WIRE_ONLY)))
    assert len(plain.requests) == 1
    warned = [event for event in told if hasattr(event, "findings")]
    assert {finding.rule for event in warned for finding in event.findings} == {"https-endpoint", "endpoint-host"}


def test_all_that_is_wrong_with_the_way_out_is_said_at_once(signatures):
    client = guard(
        raw_client(endpoint_url="https://evil.example", verify=False, **{**LONG_TERM, "aws_session_token": None}),
        Config(),
    )
    with pytest.raises(RefusedError) as caught:
        send(client)
    assert rules_of(caught) == {"endpoint-host", "tls-verification", "static-credentials"}
    assert caught.value.operation == "SendMessage"
    assert caught.value.queue == QUEUE
    assert signatures == []


def test_the_partitions_are_botocores_own(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_DATA_PATH", str(doctored(tmp_path / "models")))
    wire.partitions.cache_clear()
    assert not [partition for partition in wire.partitions() if "evil" in partition.dns_suffix]


# --- the way through a VPC endpoint ----------------------------------------------------------------------------------

THROUGH_A_VPC = {**WIRE_ONLY, "vpc-route": "enforce"}


def test_an_endpoint_that_resolves_to_a_private_address_is_used(known):
    """The resolver and the sockets are the machine's own."""
    server, authority = known
    client = raw_client(endpoint_url=server.url, verify=authority)
    send(guard(client, Config(trusted_endpoint_hosts=[server.netloc], modes=THROUGH_A_VPC)))
    assert len(server.requests) == 1


@pytest.mark.parametrize("host", ["52.94.5.1", "[2600:1f18::1]"])
def test_an_endpoint_that_resolves_to_a_public_address_is_refused_before_anything_is_signed(signatures, host):
    """The resolver is the machine's own: an address resolves to itself."""
    client = raw_client(endpoint_url=f"https://{host}")
    with pytest.raises(RefusedError) as caught:
        send(guard(client, Config(trusted_endpoint_hosts=[host], modes=THROUGH_A_VPC)))
    assert [finding.found for finding in caught.value.findings] == [
        f"the endpoint resolves to the public address {host.strip('[]')}"
    ]
    assert signatures == []


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["10.0.0.7"], None),
        (["10.0.0.7", "fd00::7"], None),
        (["10.0.0.7", "52.94.5.1"], "the endpoint resolves to the public address 52.94.5.1"),
        ([], "the endpoint's name does not resolve"),
    ],
)
@pytest.mark.parametrize(
    "host", ["vpce-0a1b2c3d-4e5f6a7b.sqs.us-east-1.vpce.amazonaws.com", "sqs.us-east-1.amazonaws.com"]
)
def test_a_host_of_aws_is_used_where_it_resolves_to_private_addresses_only(
    monkeypatch, signatures, host, addresses, found
):
    asked = []

    def getaddrinfo(name, port, *_, **__):
        asked.append(name)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    class Body:
        def stream(self):
            yield b'{"MessageId": "1"}'

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    client = guard(raw_client(endpoint_url=f"https://{host}"), Config(modes=THROUGH_A_VPC))
    client.meta.events.register("before-send.sqs", lambda request, **_: AWSResponse(request.url, 200, {}, Body()))
    if found is None:
        assert send(client)["MessageId"] == "1"
        assert len(signatures) == 1
    else:
        with pytest.raises(RefusedError) as caught:
            send(client)
        assert [finding.found for finding in caught.value.findings] == [found]
        assert signatures == []
    assert set(asked) == {host}


# --- the guard's own look at a key -----------------------------------------------------------------------------------


def test_the_look_at_a_key_goes_no_unsafe_way_either(monkeypatch, plain, names):
    """The queue's attributes come from a handler, as moto's mock gives them, so that the client is one for AWS."""
    attributes = {"QueueArn": "arn:aws:sqs:us-east-1:123456789012:orders", "KmsMasterKeyId": "1234abcd"}

    class Body:
        def stream(self):
            yield json.dumps({"Attributes": attributes}).encode()

    def answer(request, **_):
        return AWSResponse(request.url, 200, {"Content-Type": "application/x-amz-json-1.0"}, Body())

    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", plain.url)
    client = raw_client()
    client.meta.events.register("before-send.sqs.GetQueueAttributes", answer)
    with pytest.raises(RefusedError) as caught:
        send(guard(client, Config(levels={"queue-encryption": "customer-key"})))
    assert {"https-endpoint", "endpoint-host"} <= rules_of(caught)
    assert plain.connections == 0
    assert names == []
