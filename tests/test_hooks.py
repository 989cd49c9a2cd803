"""What the guard says of a call, and what it does with one that it has seen before: the details of the adapter."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Semaphore
from types import SimpleNamespace
from typing import Any

import pytest
import scripted
from botocore.awsrequest import HeadersDict
from botocore.credentials import Credentials
from scripted import Asked, Server, attributes
from sockets import record_signatures
from support import LONG_TERM, UNENCRYPTED, WIRE_ONLY, ManualClock

from safe_sqs import GuardError, RefusedError, events, guard
from safe_sqs.adapters import subscribe
from safe_sqs.events import LookedUp, Outcome, Refused, Warned
from safe_sqs.guarded import guards_of
from safe_sqs.model import Verdict

KEYS = {**LONG_TERM, "aws_session_token": None}
OPEN = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]}
)
TTL = 100.0


@pytest.fixture
def server() -> Iterator[Server]:
    """A server whose answers the test scripts."""
    with scripted.running() as running:
        yield running


def send(client: Any, queue: str) -> None:
    client.send_message(QueueUrl=queue, MessageBody="x")


def rules(error: pytest.ExceptionInfo[RefusedError]) -> list[str]:
    return [finding.rule for finding in error.value.findings]


def warnings_in(told: list[events.Event], rule: str) -> list[tuple[str, str]]:
    """The operations and queues with which a rule warned."""
    return [
        (event.operation, event.queue)
        for event in told
        if isinstance(event, Warned) and rule in {finding.rule for finding in event.findings}
    ]


def unencrypted(asked: Asked) -> scripted.Answer:
    return attributes(asked, **UNENCRYPTED)


# --- what is said ------------------------------------------------------------------------------------------------


def test_a_look_up_that_refuses_is_told_as_such(server, told):
    server.script["GetQueueAttributes"] = unencrypted
    with pytest.raises(RefusedError):
        send(server.client(), server.queue())
    assert [event for event in told if isinstance(event, LookedUp)] == [LookedUp(server.queue(), Outcome.REFUSES)]


def test_an_operation_of_another_role_that_only_warns_is_told_with_operation_and_queue(server, told):
    send(server.client(role="consumer", modes={"role-operations": "warn"}), server.queue())
    assert warnings_in(told, "role-operations") == [("SendMessage", server.queue())]


def test_all_that_is_wrong_with_a_change_is_said_at_once(server):
    client = server.client(role="producer")
    with pytest.raises(RefusedError) as caught:
        client.set_queue_attributes(QueueUrl=server.queue(), Attributes=UNENCRYPTED)
    assert rules(caught) == ["role-operations", "queue-encryption"]


def test_all_that_is_wrong_is_said_when_the_look_at_the_queue_is_refused_as_well(server):
    client = server.client(role="consumer")

    def downgrade(request: Any, **_: Any) -> None:
        request.url = request.url.replace("https:", "http:")

    client.meta.events.register("before-sign.sqs.GetQueueAttributes", downgrade)
    with pytest.raises(RefusedError) as caught:
        send(client, server.queue())
    assert rules(caught) == ["role-operations", "https-endpoint"]
    assert server.asked == []


def test_over_a_bad_way_out_no_queue_is_looked_at_for_a_change(server):
    client = server.client(client=KEYS)
    with pytest.raises(RefusedError) as caught:
        client.set_queue_attributes(QueueUrl=server.queue(), Attributes=UNENCRYPTED)
    assert rules(caught) == ["static-credentials"]
    assert server.asked == []


def test_a_change_that_only_warns_is_told_with_operation_and_queue(server, told):
    server.client(profile="observe").set_queue_attributes(QueueUrl=server.queue(), Attributes=UNENCRYPTED)
    assert warnings_in(told, "queue-encryption") == [("SetQueueAttributes", server.queue())]


@pytest.mark.parametrize("operation", ["SendMessage", "SetQueueAttributes"])
def test_a_request_without_a_body_that_can_be_read_is_told_with_its_operation(operation, server, told):
    client = server.client(profile="observe")

    def garble(request: Any, **_: Any) -> None:
        request.data = b"[]"

    client.meta.events.register(f"before-sign.sqs.{operation}", garble)
    if operation == "SendMessage":
        send(client, server.queue())
    else:
        client.set_queue_attributes(QueueUrl=server.queue(), Attributes=UNENCRYPTED)
    assert warnings_in(told, "request-body") == [(operation, "")]


def test_a_way_out_that_only_warns_is_told_with_the_operation_that_went_it(server, told):
    client = server.client(profile="observe", client=KEYS)
    send(client, server.queue())
    assert warnings_in(told, "static-credentials") == [("SendMessage", server.queue())]


def test_a_way_out_that_was_changed_after_the_signature_is_told_with_its_operation(server, told):
    client = server.client(profile="observe")

    def swap(request: Any, **_: Any) -> None:
        request.headers["Authorization"] = request.headers["Authorization"].replace(b"ASIA", b"AKIA")

    client.meta.events.register("before-send.sqs.SendMessage", swap)
    send(client, server.queue())
    assert warnings_in(told, "static-credentials") == [("SendMessage", server.queue())]


def test_a_check_at_start_says_which_queues_are_bad_and_why(server, told):
    def answer(asked: Asked) -> scripted.Answer:
        return attributes(asked, **({"Policy": OPEN} if asked.queue.endswith("public") else UNENCRYPTED))

    server.script["GetQueueAttributes"] = answer
    bad, public = server.queue("bad"), server.queue("public")
    with pytest.raises(RefusedError) as caught:
        server.client(verify_queues=[bad, public])
    assert rules(caught) == ["queue-encryption", "public-access"]
    assert [finding.found.partition(": ")[0] for finding in caught.value.findings] == [bad, public]
    assert caught.value.findings[0].found != f"{bad}: "
    assert (caught.value.operation, caught.value.queue) == ("the check at start", f"{bad}, {public}")
    assert told[-1] == Refused("the check at start", f"{bad}, {public}", caught.value.findings)


def test_a_check_at_start_over_a_bad_way_out_names_the_first_queue(server):
    with pytest.raises(RefusedError) as caught:
        server.client(verify_queues=[server.queue()], client=KEYS)
    assert (caught.value.operation, caught.value.queue) == ("the check at start", server.queue())


def test_a_check_at_start_that_only_warns_is_told_as_such(server, told):
    server.script["GetQueueAttributes"] = unencrypted
    server.client(profile="observe", verify_queues=[server.queue()])
    assert warnings_in(told, "queue-encryption") == [("the check at start", server.queue())]


def test_a_call_from_within_a_look_that_only_warns_is_told_with_operation_and_queue(server, told):
    client = server.client(profile="observe")
    done = []

    def within(**_: Any) -> None:
        if not done:
            done.append(1)
            send(client, server.queue())

    client.meta.events.register_first("before-send.sqs.GetQueueAttributes", within)
    send(client, server.queue())
    assert ("SendMessage", server.queue()) in warnings_in(told, "queue-attributes")


def test_whoever_waits_for_a_look_that_is_refused_is_refused_with_it(server):
    client = server.client()
    arrived = Semaphore(0)
    client.meta.events.register("before-sign.sqs.SendMessage", lambda **_: arrived.release())

    def downgrade(request: Any, **_: Any) -> None:
        for _ in range(2):
            assert arrived.acquire(timeout=60)
        time.sleep(0.2)  # from the signature to the flight that is waited for
        request.url = request.url.replace("https:", "http:")

    client.meta.events.register("before-sign.sqs.GetQueueAttributes", downgrade)

    def attempt(_: int) -> Any:
        with pytest.raises(RefusedError) as caught:
            send(client, server.queue())
        return rules(caught), caught.value.operation, caught.value.queue

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(attempt, range(2))) == [(["https-endpoint"], "SendMessage", server.queue())] * 2
    assert server.asked == []


# --- what was seen before ----------------------------------------------------------------------------------------


def test_a_role_holds_for_a_queue_and_a_way_that_are_known(server):
    client = server.client(role="producer")
    for _ in range(2):
        send(client, server.queue())
        with pytest.raises(RefusedError) as caught:
            client.receive_message(QueueUrl=server.queue())
        assert rules(caught) == ["role-operations"]
    assert server.count("ReceiveMessage") == 0


def test_another_url_is_refused_before_it_is_signed_for_though_the_rest_is_known(server, monkeypatch):
    client = server.client()
    send(client, server.queue())

    def move(request: Any, **_: Any) -> None:
        request.url = "https://queues.example/"

    client.meta.events.register("before-sign.sqs.SendMessage", move)
    signatures = record_signatures(monkeypatch)
    with pytest.raises(RefusedError) as caught:
        send(client, server.queue())
    assert rules(caught) == ["endpoint-host"]
    assert signatures == []


@pytest.mark.parametrize(("reading", "end"), [("seconds", "fresh"), ("wall_seconds", "fresh_wall")])
def test_a_verdict_ends_at_its_very_moment_by_either_clock(server, reading, end):
    clock = ManualClock()
    client = server.client(clock=clock.clock, ttl_seconds=TTL)
    for _ in range(2):
        send(client, server.queue())
    assert server.count() == 1
    (entry,) = guards_of(client)[0]._cache.entries.values()
    setattr(clock, reading, getattr(entry, end))
    send(client, server.queue())
    assert server.count() == 2


def test_a_way_that_was_resolved_ends_at_its_very_moment(server):
    clock = ManualClock()
    modes = {**WIRE_ONLY, "vpc-route": "enforce"}
    client = server.client(clock=clock.clock, ttl_seconds=TTL, modes=modes)
    way_out = guards_of(client)[0]._way_out
    send(client, server.queue())
    approved = way_out.approved
    send(client, server.queue())
    assert way_out.approved is approved
    clock.advance(TTL)
    send(client, server.queue())
    assert way_out.approved is not approved


@pytest.mark.parametrize("kind", [bytearray, lambda body: body.decode()])
def test_a_body_of_another_kind_is_judged_anew_each_time(server, kind):
    """botocore sends what it is given, text too."""
    client = server.client()
    send(client, server.queue())
    server.script["GetQueueAttributes"] = unencrypted

    def change(request: Any, **_: Any) -> None:
        request.body = kind(request.body.replace(b"/queue", b"/other"))

    client.meta.events.register("before-send.sqs.SendMessage", change)
    with pytest.raises(GuardError):
        send(client, server.queue())
    assert server.count("SendMessage") == 1


@pytest.mark.parametrize("warm", [0, 1, 2])
def test_what_comes_after_the_guard_changes_no_request_however_well_known(server, warm):
    client = server.client()
    for _ in range(warm):
        send(client, server.queue())

    def move(request: Any, **_: Any) -> None:
        request.url = "https://queues.example/"

    client.meta.events.register_last("before-send", move)
    for _ in range(2):
        with pytest.raises(GuardError, match="the url of a request was changed"):
            send(client, server.queue())
    assert server.count("SendMessage") == warm


def test_where_nothing_is_refused_others_may_change_what_they_like(server):
    client = server.client(profile="observe")

    def move(request: Any, **_: Any) -> None:
        request.url = f"{request.url}?moved"
        request.headers["Host"] = server.host

    client.meta.events.register_last("before-send", move)
    for _ in range(2):
        send(client, server.queue())
    assert server.count("SendMessage") == 2


@pytest.mark.parametrize("name", ["Authorization", "X-Amz-Security-Token", "Host", "authorization"])
@pytest.mark.parametrize("removes", [False, True])
def test_what_comes_after_the_guard_changes_no_header_that_decides(server, name, removes):
    client = server.client()

    def change(request: Any, **_: Any) -> None:
        if removes:
            del request.headers[name]
        else:
            request.headers[name] = "another"

    client.meta.events.register_last("before-send", change)
    for _ in range(2):
        with pytest.raises(GuardError, match=f"the header {name} of a request was changed"):
            send(client, server.queue())
    assert server.asked == []


def test_what_comes_after_the_guard_adds_and_removes_other_headers(server):
    client = server.client()

    def trace(request: Any, **_: Any) -> None:
        request.headers["traceparent"] = "00-1-2-03"
        del request.headers["Amz-Sdk-Request"]

    client.meta.events.register_last("before-send", trace)
    for _ in range(2):
        send(client, server.queue())
    assert server.count("SendMessage") == 2
    headers = {name.lower(): value for name, value in server.asked[-1].headers.items()}
    assert headers["traceparent"] == "00-1-2-03"
    assert "amz-sdk-request" not in headers


def test_a_request_with_credentials_of_its_own_is_judged_in_full_before_it_is_signed(server, monkeypatch):
    server.script["GetQueueAttributes"] = unencrypted
    client = server.client()

    def sign_as_another(context: dict[str, Any], **_: Any) -> None:
        credentials = client._request_signer._credentials
        context["signing"] = {"request_credentials": credentials}

    client.meta.events.register("before-parameter-build.sqs.SendMessage", sign_as_another)
    signatures = record_signatures(monkeypatch)
    with pytest.raises(RefusedError) as caught:
        send(client, server.queue())
    assert rules(caught) == ["queue-encryption"]
    assert len(signatures) == server.count() == 1


def test_headers_of_another_kind_are_read_as_well(server):
    """Of a library that brings its own."""

    class Headers(HeadersDict):
        pass

    def replace(request: Any, **_: Any) -> None:
        request.headers = Headers(request.headers.items())

    client = server.client()
    client.meta.events.register("before-send.sqs.SendMessage", replace)
    for _ in range(3):
        send(client, server.queue())
    assert (server.count(), server.count("SendMessage")) == (1, 3)


def test_calls_that_are_known_are_counted(server):
    client = server.client()
    cache = guards_of(client)[0]._cache
    before = cache.hits
    for _ in range(4):
        send(client, server.queue())
    assert cache.hits == before + 3


# --- ways out ----------------------------------------------------------------------------------------------------


def test_a_way_that_was_gone_is_known_in_all_its_parts(server):
    client = server.client()
    send(client, server.queue())
    way = guards_of(client)[0]._way_out.approved
    session = client._endpoint.http_session
    assert (way.url, way.signature_version) == (f"{server.url}/", "v4")
    assert way.credentials is client._request_signer._credentials
    assert way.signed == server.asked[-1].headers["Authorization"][:-64].encode()
    assert way.http_session is session
    assert way.verify is session._verify
    assert way.ends == math.inf
    send(client, server.queue())
    assert guards_of(client)[0]._way_out.approved is way


def test_a_bad_way_is_not_signed_for_however_often(server, monkeypatch):
    client = server.client(client=KEYS)
    signatures = record_signatures(monkeypatch)
    for _ in range(3):
        with pytest.raises(RefusedError):
            send(client, server.queue())
    assert signatures == []


def test_the_credentials_of_one_request_are_judged_before_they_sign(server, monkeypatch):
    client = server.client()
    send(client, server.queue())

    def sign_as_another(context: dict[str, Any], **_: Any) -> None:
        credentials = Credentials(KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"])
        context["signing"] = {"request_credentials": credentials}

    client.meta.events.register("before-parameter-build.sqs.SendMessage", sign_as_another)
    signatures = record_signatures(monkeypatch)
    with pytest.raises(RefusedError) as caught:
        send(client, server.queue())
    assert rules(caught) == ["static-credentials"]
    assert signatures == []


def test_each_way_that_only_warns_is_told_of_once(server, told):
    client = server.client(profile="observe", client=KEYS)
    for _ in range(2):
        send(client, server.queue())
    assert len(warnings_in(told, "static-credentials")) == 1
    client._request_signer._credentials = Credentials("AKIAANOTHEREXAMPLE09", "s")
    for _ in range(2):
        send(client, server.queue())
    assert len(warnings_in(told, "static-credentials")) == 2


def test_observing_a_session_of_which_nothing_is_known_stops_nothing(server, told):
    """A transport of somebody's own, which has a way to send and nothing else."""
    client = server.client(profile="observe")
    client._endpoint.http_session = SimpleNamespace(send=client._endpoint.http_session.send)
    for _ in range(3):
        send(client, server.queue())
    assert server.count("SendMessage") == 3
    assert len(warnings_in(told, "tls-verification")) == 1


# --- the guard's own calls to KMS ----------------------------------------------------------------------------------


@pytest.fixture
def with_key(server) -> Callable[..., Any]:
    """Make a client that asks about the key of each queue: `with_key(event="before-send", handler)` has a handler see
    its calls to KMS, all but the first."""
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, KmsMasterKeyId="the-key")

    def make(event: str, handler: Callable[..., None], last: bool = False, **settings: Any) -> Any:
        client = server.client(levels={"queue-encryption": "customer-key"}, **settings)
        send(client, server.queue("first"))
        emitter = guards_of(client)[0]._key_client.meta.events
        (emitter.register_last if last else emitter.register)(event, handler)
        return client

    return make


def test_a_look_at_a_key_is_held_to_its_way_out_before_it_is_signed(server, with_key, monkeypatch):
    def downgrade(request: Any, **_: Any) -> None:
        request.url = request.url.replace("https:", "http:")

    client = with_key("before-sign.kms", downgrade)
    signatures = record_signatures(monkeypatch)
    with pytest.raises(RefusedError) as caught:
        send(client, server.queue())
    assert set(rules(caught)) == {"https-endpoint"}
    assert server.count("DescribeKey") == 1
    assert len(signatures) == 2  # of the message, and of the question about its queue


def swap_key(request: Any, **_: Any) -> None:
    """Have a request be signed by a long-term key, as far as its header goes."""
    request.headers["Authorization"] = request.headers["Authorization"].replace(b"ASIA", b"AKIA")


def test_a_look_at_a_key_is_held_to_its_way_out_after_it_was_signed(server, with_key):
    client = with_key("before-send.kms", swap_key)
    with pytest.raises(RefusedError) as caught:
        send(client, server.queue())
    assert set(rules(caught)) == {"static-credentials"}
    assert server.count("DescribeKey") == 1


def test_what_comes_after_the_guard_changes_no_look_at_a_key(server, with_key):
    def move(request: Any, **_: Any) -> None:
        request.url = "https://keys.example/"

    client = with_key("before-send", move, last=True)
    with pytest.raises(GuardError, match="the url of a request was changed"):
        send(client, server.queue())
    assert server.count("DescribeKey") == 1


def test_a_look_at_a_key_that_only_warns_is_told_with_its_operation(server, with_key, told):
    client = with_key("before-send.kms", swap_key, profile="observe")
    send(client, server.queue())
    assert warnings_in(told, "static-credentials") == [("DescribeKey", "")]


def test_a_look_at_a_key_with_long_term_keys_that_only_warns_is_told_with_its_operation(server, with_key, told):
    with_key("before-send.kms", lambda **_: None, profile="observe", client=KEYS)
    assert [operation for operation, _ in warnings_in(told, "static-credentials")] == ["SendMessage", "DescribeKey"]


# --- without a call ----------------------------------------------------------------------------------------------


def test_a_verdict_is_had_without_a_call_where_the_operation_needs_one(server):
    client = server.client()
    (hooks,) = guards_of(client)
    assert hooks.verdict_on(server.queue(), "ListQueues") == Verdict()
    assert server.asked == []
    assert not hooks.verdict_on(server.queue(), "ReceiveMessage").refusals
    server.script["GetQueueAttributes"] = unencrypted
    assert not hooks.verdict_on(server.queue(), "ReceiveMessage").refusals
    assert [finding.rule for finding in hooks.verdict_on(server.queue("bad"), "ReceiveMessage").refusals] == [
        "queue-encryption"
    ]
    assert [asked.operation for asked in server.asked] == ["GetQueueAttributes"] * 2


def test_a_verdict_without_a_call_that_only_warns_is_told_with_the_operation(server, told):
    server.script["GetQueueAttributes"] = unencrypted
    guards_of(server.client(profile="observe"))[0].verdict_on(server.queue(), "ReceiveMessage")
    assert warnings_in(told, "queue-encryption") == [("ReceiveMessage", server.queue())]


def test_threads_that_guard_a_client_at_the_same_moment_put_one_guard_to_it(server):
    config = server.config()
    together = Barrier(4)

    def guard_it(client: Any) -> None:
        together.wait(60)
        guard(client, config)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(30):
            client = server.raw()
            list(pool.map(guard_it, [client] * 4))
            assert len(guards_of(client)) == 1


def test_a_guard_that_is_taken_away_judges_nothing_and_leaves_others(server):
    server.script["GetQueueAttributes"] = unencrypted
    client = server.client()
    strict, observing = guards_of(client)[0], subscribe(client, server.config(profile="observe"))
    with pytest.raises(RefusedError):
        send(client, server.queue())
    strict.unsubscribe()
    send(client, server.queue())
    assert guards_of(client) == (observing,)
    observing.unsubscribe()
    before = server.count()
    send(client, server.queue("another"))
    assert server.count() == before
    assert guards_of(client) == ()
