"""An asynchronous client is judged as a synchronous one: the same rules, errors, findings and messages."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from aiobotocore.credentials import AioCredentials
from botocore import UNSIGNED
from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials
from clients.asynchronous import guarded_client, run
from scripted import RESET, Answer, Asked, Script, Server, attributes, fails, running
from sockets import Signature, record_signatures
from support import LONG_TERM, UNENCRYPTED, ManualClock

from safe_sqs import GuardError, Mode, RefusedError, Role

EVERYONE = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
PUBLIC = json.dumps({"Version": "2012-10-17", "Statement": EVERYONE})
ENTRY = {"Id": "1", "MessageBody": "secret"}


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> list[Signature]:
    return record_signatures(monkeypatch)


def queue(**changed: str) -> Script:
    """A service whose queues are so."""
    return lambda asked: attributes(asked, **changed)


def with_bad_dead_letters(asked: Asked) -> Answer:
    if asked.queue.endswith("/dead"):
        return attributes(asked, **UNENCRYPTED)
    target = f"arn:aws:sqs:us-east-1:{asked.queue.split('/')[-2]}:dead"
    return attributes(asked, RedrivePolicy=json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 5}))


class Attempt(NamedTuple):
    """What somebody tries: with which client and configuration, at which queue, and the call."""

    method: str = "send_message"
    parameters: Mapping[str, Any] = {"MessageBody": "secret"}
    client: Mapping[str, Any] = {}
    config: Mapping[str, Any] = {}
    service: Script | Answer = attributes
    own_keys: bool = False
    looks: int = 0

    def arguments(self, server: Server) -> dict[str, Any]:
        return {"QueueUrl": server.queue(), **self.parameters}


ONCE = {"retries": {"total_max_attempts": 1}}
KMS_KEY = {"KmsMasterKeyId": "arn:aws:kms:us-east-1:123456789012:key/1"}
CUSTOMER_KEY = {"levels": {"queue-encryption": "customer-key"}}
POLICY = {"Attributes": {"Policy": PUBLIC}}

REFUSED = {
    "plain HTTP": Attempt(client={"endpoint_url": "http://localhost:1"}),
    "plain HTTP to AWS": Attempt(client={"endpoint_url": None, "use_ssl": False}),
    "certificates not checked": Attempt(client={"verify": False}),
    "a host that nobody knows": Attempt(client={"endpoint_url": "https://queue.example.test"}),
    "a long-term key": Attempt(client={**LONG_TERM, "aws_session_token": None}),
    "no signature": Attempt(client={"config": ClientConfig(signature_version=UNSIGNED, **ONCE)}),
    "all of the way out": Attempt(
        client={"endpoint_url": "http://localhost:1", "verify": False, **LONG_TERM, "aws_session_token": None}
    ),
    "no encryption": Attempt(service=queue(**UNENCRYPTED), looks=1),
    "no encryption, batch": Attempt("send_message_batch", {"Entries": [ENTRY]}, service=queue(**UNENCRYPTED), looks=1),
    "no encryption, receive": Attempt("receive_message", {}, service=queue(**UNENCRYPTED), looks=1),
    "public": Attempt(service=queue(Policy=PUBLIC), looks=1),
    "public and not encrypted": Attempt(service=queue(Policy=PUBLIC, **UNENCRYPTED), looks=1),
    "a policy that cannot be read": Attempt(service=queue(Policy="{"), looks=1),
    "attributes that may not be read": Attempt(service=fails("AccessDenied", 403), looks=1),
    "attributes that cannot be had": Attempt(service=fails("ServiceUnavailable", 503), looks=1),
    "an answer that makes no sense": Attempt(service=Answer(b"<html>"), looks=1),
    "a bad dead-letter queue": Attempt(service=with_bad_dead_letters, looks=2),
    "an operation of another role": Attempt("receive_message", {}, config={"role": Role.PRODUCER}, looks=1),
    "an operation of an administrator": Attempt("purge_queue", {}, config={"role": Role.CONSUMER}),
    "a change that would open the queue": Attempt("set_queue_attributes", POLICY, looks=1),
    "a change of a queue that cannot be read": Attempt(
        "set_queue_attributes", POLICY, service=fails("AccessDenied", 403), looks=1
    ),
    "a permission for everybody": Attempt(
        "add_permission", {"Label": "a", "AWSAccountIds": ["*"], "Actions": ["SendMessage"]}, looks=1
    ),
    "a key of AWS's": Attempt(service=queue(KmsMasterKeyId="alias/aws/sqs"), config=CUSTOMER_KEY, looks=1),
    "no key": Attempt(config=CUSTOMER_KEY, looks=1),
    "strict": Attempt(config={"profile": "strict"}),
    "keys of the request's own": Attempt(own_keys=True),
}
PASSING = {
    "a good queue": Attempt(looks=1),
    "a delete at a bad queue": Attempt("delete_message", {"ReceiptHandle": "r"}, service=queue(**UNENCRYPTED)),
    "a visibility change at a public queue": Attempt(
        "change_message_visibility", {"ReceiptHandle": "r", "VisibilityTimeout": 1}, service=queue(Policy=PUBLIC)
    ),
    "a customer's key": Attempt(service=queue(**KMS_KEY), config=CUSTOMER_KEY, looks=1),
    "a change that opens nothing": Attempt("set_queue_attributes", {"Attributes": {"DelaySeconds": "1"}}),
    "a URL that says nothing": Attempt(parameters={"MessageBody": "secret", "QueueUrl": "https://x.test/"}, looks=1),
    "what only warns": Attempt(service=queue(Policy=PUBLIC, **UNENCRYPTED), config={"profile": "observe"}, looks=1),
}


class Seen(NamedTuple):
    """How an attempt ended, and what the service saw of it."""

    kind: str
    message: str
    findings: tuple[Any, ...]
    operation: str
    queue: str
    asked: tuple[str, ...]
    signatures: int


def seen(server: Server, signatures: list[Signature], error: BaseException | None) -> Seen:
    asked = tuple(each.operation for each in server.asked)
    made = len(signatures)
    server.asked.clear()
    signatures.clear()
    if isinstance(error, RefusedError):
        return Seen(type(error).__name__, str(error), error.findings, error.operation, error.queue, asked, made)
    return Seen(type(error).__name__, "" if error is None else str(error), (), "", "", asked, made)


def bring_own_keys(client: Any, kind: Callable[..., Any]) -> None:
    def add(context: Any, **_: Any) -> None:
        context["signing"] = {**context.get("signing", {}), "request_credentials": kind(*LONG_TERM.values())}

    client.meta.events.register("before-call.sqs", add)


def synchronously(server: Server, attempt: Attempt, clock: Any) -> BaseException | None:
    client = server.client(client=attempt.client, clock=clock, **attempt.config)
    if attempt.own_keys:
        bring_own_keys(client, Credentials)
    try:
        getattr(client, attempt.method)(**attempt.arguments(server))
    except GuardError as error:
        return error
    return None


def asynchronously(server: Server, attempt: Attempt, clock: Any) -> BaseException | None:
    async def main() -> BaseException | None:
        async with guarded_client(server, client=dict(attempt.client), clock=clock, **attempt.config) as client:
            if attempt.own_keys:
                bring_own_keys(client, AioCredentials)
            try:
                await getattr(client, attempt.method)(**attempt.arguments(server))
            except GuardError as error:
                return error
        return None

    return run(main)


@pytest.fixture
def both(server: Server, signatures: list[Signature]) -> Callable[[Attempt], tuple[Seen, Seen]]:
    """Make an attempt through both clients, each with verdicts of its own."""

    def attempt(it: Attempt) -> tuple[Seen, Seen]:
        server.script["GetQueueAttributes"] = it.service
        first = seen(server, signatures, synchronously(server, it, ManualClock().clock))
        return first, seen(server, signatures, asynchronously(server, it, ManualClock().clock))

    return attempt


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED.keys())
def test_what_a_synchronous_client_refuses_an_asynchronous_one_refuses_in_the_same_words(both, attempt):
    synchronous, asynchronous = both(attempt)
    assert asynchronous == synchronous
    assert asynchronous.kind in ("RefusedError", "UnverifiableError")
    assert set(asynchronous.asked) <= {"GetQueueAttributes"}
    assert len(asynchronous.asked) == attempt.looks
    if not attempt.looks and "role" not in attempt.config:
        assert asynchronous.signatures == 0


@pytest.mark.parametrize("attempt", PASSING.values(), ids=PASSING.keys())
def test_what_a_synchronous_client_lets_through_an_asynchronous_one_lets_through(both, attempt):
    synchronous, asynchronous = both(attempt)
    assert asynchronous == synchronous
    assert asynchronous.kind == "NoneType"
    assert asynchronous.asked[-1].lower() == attempt.method.replace("_", "")
    assert asynchronous.asked.count("GetQueueAttributes") == attempt.looks


def test_a_broken_connection_is_the_same_refusal_though_each_library_calls_it_by_a_name_of_its_own(both):
    synchronous, asynchronous = both(Attempt(service=RESET))
    names = re.compile(r"could not be read: \w+")
    assert names.sub("", asynchronous.message) == names.sub("", synchronous.message)
    assert asynchronous._replace(message="", findings=()) == synchronous._replace(message="", findings=())


PRESIGNED = {
    "good": ({}, {}, attributes),
    "long-term": ({**LONG_TERM, "aws_session_token": None}, {}, attributes),
    "plain HTTP": ({"endpoint_url": "http://localhost:1"}, {}, attributes),
    "no encryption": ({}, {}, queue(**UNENCRYPTED)),
    "another role": ({}, {"role": Role.CONSUMER}, attributes),
}


@pytest.mark.parametrize(("client", "config", "service"), PRESIGNED.values(), ids=PRESIGNED.keys())
def test_a_presigned_url_is_judged_alike(server, signatures, client, config, service):
    server.script["GetQueueAttributes"] = service
    arguments = ("send_message", {"QueueUrl": server.queue(), "MessageBody": "secret"})
    ends: list[BaseException | None] = []
    try:
        server.client(client=client, **config).generate_presigned_url(*arguments)
        ends.append(None)
    except GuardError as error:
        ends.append(error)
    synchronous = seen(server, signatures, ends[0])

    async def main() -> BaseException | None:
        async with guarded_client(server, client=client, **config) as one:
            try:
                await one.generate_presigned_url(*arguments)
            except GuardError as error:
                return error
        return None

    asynchronous = seen(server, signatures, run(main))
    assert asynchronous._replace(asked=(), signatures=0) == synchronous._replace(asked=(), signatures=0)
    assert (synchronous.kind == "NoneType") == (client == config == {} and service is attributes)
    assert "SendMessage" not in asynchronous.asked


def test_what_is_in_flight_can_be_finished_on_a_queue_that_turned_bad(server, manual_clock):
    async def main() -> None:
        async with guarded_client(server, clock=manual_clock.clock) as client:
            await client.receive_message(QueueUrl=server.queue())
            server.script["GetQueueAttributes"] = queue(**UNENCRYPTED)
            manual_clock.advance(301)
            with pytest.raises(RefusedError):
                await client.receive_message(QueueUrl=server.queue())
            held = {"QueueUrl": server.queue()}
            await client.delete_message(**held, ReceiptHandle="r")
            await client.delete_message_batch(**held, Entries=[{"Id": "1", "ReceiptHandle": "r"}])
            await client.change_message_visibility(**held, ReceiptHandle="r", VisibilityTimeout=0)
            entry = {"Id": "1", "ReceiptHandle": "r", "VisibilityTimeout": 0}
            await client.change_message_visibility_batch(**held, Entries=[entry])

    run(main)
    assert server.count("ReceiveMessage") == 1
    for operation in ("DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch"):
        assert server.count(operation) == 1


def test_warnings_and_refusals_are_told_alike(server, told):
    server.script["GetQueueAttributes"] = queue(Policy=PUBLIC)
    modes = {"public-access": Mode.ENFORCE, "tls-only-policy": Mode.WARN}
    attempt = Attempt(config={"modes": modes})
    synchronously(server, attempt, None)
    first = told.copy()
    told.clear()
    asynchronously(server, Attempt(config={"modes": modes, "ttl_seconds": 299}), None)
    assert told == first
    assert len(told) > 1


def test_a_look_at_a_key_goes_out_with_the_keys_of_the_client_and_over_the_same_way(server):
    server.script["GetQueueAttributes"] = queue(**KMS_KEY)
    answer = asyncio.run(_send(server, CUSTOMER_KEY))
    assert answer["MessageId"]
    (asked,) = [each for each in server.asked if each.operation == "DescribeKey"]
    assert asked.parameters == {"KeyId": KMS_KEY["KmsMasterKeyId"]}
    assert "ASIAEXAMPLEEXAMPLE01" in asked.headers["Authorization"]


async def _send(server: Server, config: Mapping[str, Any]) -> Any:
    async with guarded_client(server, **config) as client:
        return await client.send_message(QueueUrl=server.queue(), MessageBody="x")
