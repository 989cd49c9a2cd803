"""What the demonstration does: guarded programs at work, and things that must not happen, each with what has to come of
it. Nothing is printed here.

The programs are set up as deployed ones are, by the environment; every queue and every port is on the loopback address.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Thread
from typing import Any, NamedTuple

import boto3.session

import safe_sqs
from safe_sqs import Config, RefusedError, events, guard
from safe_sqs.demo import emulator as emulators
from safe_sqs.demo.surroundings import REGION, clean_surroundings

__all__ = ["MESSAGES", "Attempt", "Result", "Stage", "Told", "attempts", "on_stage", "tell"]

MESSAGES = 48

_ACCOUNT = "123456789012"
_TEMPORARY = {
    "AWS_ACCESS_KEY_ID": "ASIADEMONSTRATION001",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-demonstration",
    "AWS_SESSION_TOKEN": "a-token-of-the-demonstration",
}
_LONG_TERM = {
    "aws_access_key_id": "AKIADEMONSTRATION002",
    "aws_secret_access_key": "a-stored-secret-of-the-demonstration",
    "aws_session_token": None,
}
_LOOK_ALIKE = "sqs.us-east-1.amazonaws.com.evil.example"
_FOREIGN = "foreign"
_ENCRYPTED = {"SqsManagedSseEnabled": "true"}
_UNENCRYPTED = {"SqsManagedSseEnabled": "false"}
_ENCRYPTION = ("queue-encryption",)
_HELD_SECONDS = 1.0
_PATIENCE_SECONDS = 30.0


class Attempt(NamedTuple):
    """Something a program does, by which road, and what has to come of it: `refused_by` and `warned_by` are the rules
    that have to speak up; with none in `refused_by` it has to pass."""

    group: str
    what: str
    road: str
    do: Callable[[], object]
    refused_by: tuple[str, ...] = ()
    warned_by: tuple[str, ...] = ()


class Result(NamedTuple):
    """What came of an attempt. `rules` and `why` tell what refused it or, where it passed, what warned."""

    attempt: Attempt
    passed: bool
    rules: tuple[str, ...]
    why: str
    error: str

    @property
    def is_as_it_must_be(self) -> bool:
        """The outcome is the expected one, for the expected reasons."""
        attempt = self.attempt
        return self.passed is not bool(attempt.refused_by) and self.rules == (attempt.refused_by or attempt.warned_by)


class Stage(NamedTuple):
    """The emulator with its queues, by URL, and a port that would take plain HTTP."""

    emulator: emulators.Emulator
    plain: socket.socket
    session: boto3.session.Session
    raw: Any
    good: str
    lax: str
    unencrypted: str
    public: str
    source: str
    turning: str
    foreign: str
    deleted: str

    @property
    def plain_url(self) -> str:
        """The address of the port that would take plain HTTP."""
        return f"http://localhost:{self.plain.getsockname()[1]}"


class Told(NamedTuple):
    """All that came of it. `problems` are sentences about what was not as it must be."""

    results: tuple[Result, ...]
    problems: tuple[str, ...]


def tell(progress: Callable[[str], None] = lambda _: None, messages: int = MESSAGES) -> Told:
    """Play the whole story. `progress` is called with "sent", "received" and "tried" for each step."""
    with on_stage() as stage:
        before = stage.emulator.arrived.copy()
        results = tuple(_try(attempt, progress) for attempt in attempts(stage, progress, messages))
        problems = [
            f"{result.attempt.what} ({result.attempt.road}): expected {_expected(result.attempt)}, got {_got(result)}"
            for result in results
            if not result.is_as_it_must_be
        ]
        # More are for the queue which turns bad, for the one that only warns, and by the program that nobody changed.
        arrived = stage.emulator.arrived - before
        sent = arrived["SendMessage"] + arrived["SendMessageBatch"]
        if sent != messages + 3:
            problems.append(f"{sent} requests with messages reached the emulator, and {messages + 3} should have")
        if _somebody_came(stage.plain):
            problems.append("somebody connected to the port for plain HTTP")
    return Told(results, tuple(problems))


# --- the stage ---------------------------------------------------------------------------------------------------


@contextmanager
def on_stage() -> Iterator[Stage]:
    """Start the emulator, create good and bad queues, and set up the environment as a deployment does."""
    with (
        clean_surroundings(),
        emulators.running(unreadable={_FOREIGN}) as emulator,
        socket.create_server(("127.0.0.1", 0)) as plain,
    ):
        plain.setblocking(False)
        os.environ |= {
            **_TEMPORARY,
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_CA_BUNDLE": emulator.authority,
            "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": f"{emulator.host},localhost:{plain.getsockname()[1]}",
        }
        session = boto3.session.Session()
        raw: Any = session.client("sqs")
        created: list[str] = []

        def create(name: str, *statements: dict[str, Any], **attributes: str) -> str:
            only_https = _statement(name, Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})
            policy = {"Version": "2012-10-17", "Statement": [only_https, *statements]}
            attributes = {"Policy": json.dumps(policy), **attributes}
            url: str = raw.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
            created.append(url)
            return url

        try:
            create("failed", **_UNENCRYPTED)
            yield Stage(
                emulator,
                plain,
                session,
                raw,
                good=create("orders"),
                lax=create("no-policy", Policy=""),
                unencrypted=create("unencrypted", **_UNENCRYPTED),
                public=create("public", _statement("public", Sid="Anybody", Effect="Allow", Action="sqs:SendMessage")),
                source=create("with-dead-letters", RedrivePolicy=_redrive_to("failed")),
                turning=create("turning"),
                foreign=create(_FOREIGN),
                deleted=f"{emulator.url}/{_ACCOUNT}/deleted",
            )
        finally:
            for url in created:  # moto keeps its queues for as long as the process lives
                raw.delete_queue(QueueUrl=url)
            raw.close()


def _statement(queue: str, **rest: Any) -> dict[str, Any]:
    return {"Principal": "*", "Action": "sqs:*", "Resource": f"arn:aws:sqs:{REGION}:{_ACCOUNT}:{queue}", **rest}


def _redrive_to(queue: str) -> str:
    return json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{_ACCOUNT}:{queue}", "maxReceiveCount": "5"})


# --- the attempts ------------------------------------------------------------------------------------------------


class _Cast(NamedTuple):
    """The programs of the story: three guarded clients with a role, and the drop-in session."""

    stage: Stage
    drop_in: Any
    producer: Any
    consumer: Any
    administrator: Any

    def send_to(self, queue: str, client: Any = None) -> Callable[[], object]:
        """Send a message to a queue, by the producer unless said otherwise."""
        client = client or self.producer
        return lambda: client.send_message(QueueUrl=queue, MessageBody="a message of the demonstration")

    def send_by(self, **arguments: Any) -> Callable[[], object]:
        """Send a message to the good queue by a drop-in client that is made for it."""
        return lambda: self.send_to(self.stage.good, self.drop_in.client("sqs", **arguments))()


def attempts(stage: Stage, progress: Callable[[str], None], messages: int) -> Iterator[Attempt]:
    """What the programs do, in order."""
    clients = [_client(stage, role) for role in ("producer", "consumer", "administrator")]
    cast = _Cast(stage, safe_sqs.Session(), *clients)
    worker = _Worker(stage)
    yield from _work(cast, worker, _Pair(cast, messages, progress))
    yield from _encryption_in_transit(cast)
    yield from _roles_not_stored_credentials(cast)
    yield from _encryption_at_rest(cast)
    yield from _no_public_queues(cast)
    yield from _least_privilege(cast)
    yield from _vpc_endpoints(cast)
    yield from _cannot_be_verified(cast)
    yield from _under_a_worker(worker)
    yield from _nobody_changed(cast)
    yield Attempt(
        "All at once",
        "unknown host, plain HTTP, long-term key",
        "send_message()",
        cast.send_by(endpoint_url=f"http://{_LOOK_ALIKE}", **_LONG_TERM),
        ("https-endpoint", "endpoint-host", "static-credentials"),
    )


def _client(stage: Stage, role: str, **settings: Any) -> Any:
    return guard(stage.session.client("sqs"), Config(role=role, **settings))


def _work(cast: _Cast, worker: _Worker, pair: _Pair) -> Iterator[Attempt]:
    group = "Work goes on"
    yield Attempt(group, f"send {pair.messages} messages", "a producer, on a thread", pair.produce)
    yield Attempt(group, "receive and delete them", "a consumer, on a thread", pair.consume)
    yield Attempt(group, "receive one more, and work on it", "another consumer", worker.receive)
    sqs, queue = cast.drop_in.client("sqs"), cast.stage.lax
    yield Attempt(
        group,
        "send to a queue without a policy",
        "send_message_batch()",
        lambda: sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "MessageBody": "a batch of one"}]),
        warned_by=("tls-only-policy",),
    )


def _encryption_in_transit(cast: _Cast) -> Iterator[Attempt]:
    group, plain = "Encryption in transit", cast.stage.plain_url
    rule = ("https-endpoint",)
    yield Attempt(group, "send over plain HTTP", "endpoint_url='http://...'", cast.send_by(endpoint_url=plain), rule)
    yield Attempt(
        group, "the same, set from outside", "AWS_ENDPOINT_URL_SQS", _with_endpoint(plain, cast.send_by()), rule
    )
    yield Attempt(
        group, "leave certificates unchecked", "verify=False", cast.send_by(verify=False), ("tls-verification",)
    )
    url = f"https://{_LOOK_ALIKE}"
    yield Attempt(
        group,
        "send to a look-alike of AWS",
        "endpoint_url='https://...'",
        cast.send_by(endpoint_url=url),
        ("endpoint-host",),
    )


def _roles_not_stored_credentials(cast: _Cast) -> Iterator[Attempt]:
    group = "Roles, not stored credentials"
    rule = ("static-credentials",)
    yield Attempt(group, "sign with a long-term key", "aws_access_key_id='AKIA...'", cast.send_by(**_LONG_TERM), rule)
    client, queue = cast.drop_in.client("sqs", **_LONG_TERM), cast.stage.good
    yield Attempt(
        group,
        "hand out a URL signed with it",
        "generate_presigned_url()",
        lambda: client.generate_presigned_url("receive_message", Params={"QueueUrl": queue}),
        rule,
    )


def _encryption_at_rest(cast: _Cast) -> Iterator[Attempt]:
    group = "Encryption at rest"
    stage, administrator = cast.stage, cast.administrator
    yield Attempt(
        group,
        "send to an unencrypted queue",
        "resource('sqs'), Queue.send_message()",
        lambda: cast.drop_in.resource("sqs").Queue(stage.unencrypted).send_message(MessageBody="by resource"),
        _ENCRYPTION,
    )
    rule = ("dead-letter-queue",)
    yield Attempt(group, "have an unencrypted dead-letter queue", "send_message()", cast.send_to(stage.source), rule)
    yield Attempt(
        group,
        "take the encryption away",
        "an administrator: set_queue_attributes()",
        lambda: administrator.set_queue_attributes(QueueUrl=stage.good, Attributes=_UNENCRYPTED),
        _ENCRYPTION,
    )
    yield Attempt(
        group,
        "encrypt the unencrypted queue",
        "an administrator: set_queue_attributes()",
        lambda: administrator.set_queue_attributes(QueueUrl=stage.unencrypted, Attributes=_ENCRYPTED),
    )


def _nobody_changed(cast: _Cast) -> Iterator[Attempt]:
    group, stage = "A program that nobody changed", cast.stage
    road = "boto3 itself, after safe_sqs.install()"

    def send_to(queue: str) -> Callable[[], object]:
        def send() -> None:
            safe_sqs.install()
            try:
                cast.send_to(queue, stage.session.client("sqs"))()
            finally:
                safe_sqs.uninstall()

        return send

    yield Attempt(group, "send to a good queue", road, send_to(stage.good))
    yield Attempt(group, "send to a public queue", road, send_to(stage.public), ("public-access",))


def _no_public_queues(cast: _Cast) -> Iterator[Attempt]:
    group = "No public queues"
    rule = ("public-access",)
    yield Attempt(group, "send to a public queue", "send_message()", cast.send_to(cast.stage.public), rule)
    permission = {"Label": "everybody", "AWSAccountIds": ["*"], "Actions": ["SendMessage"]}
    yield Attempt(
        group,
        "open a queue to everybody",
        "an administrator: add_permission()",
        lambda: cast.administrator.add_permission(QueueUrl=cast.stage.good, **permission),
        rule,
    )


def _least_privilege(cast: _Cast) -> Iterator[Attempt]:
    group, queue = "Least privilege", cast.stage.good
    rule = ("role-operations",)
    yield Attempt(group, "send, as a consumer", "Config(role='consumer')", cast.send_to(queue, cast.consumer), rule)
    yield Attempt(
        group,
        "purge a queue, as a producer",
        "Config(role='producer')",
        lambda: cast.producer.purge_queue(QueueUrl=queue),
        rule,
    )


def _vpc_endpoints(cast: _Cast) -> Iterator[Attempt]:
    confined = _client(cast.stage, "producer", modes={"vpc-only-policy": "enforce"})
    yield Attempt(
        "VPC endpoints",
        "send to a queue open outside the VPC",
        "modes={'vpc-only-policy': 'enforce'}",
        cast.send_to(cast.stage.good, confined),
        ("vpc-only-policy",),
    )


def _cannot_be_verified(cast: _Cast) -> Iterator[Attempt]:
    group = "What cannot be verified"
    rule = ("queue-attributes",)
    stage = cast.stage
    yield Attempt(
        group, "send without a look at the queue", "no sqs:GetQueueAttributes", cast.send_to(stage.foreign), rule
    )
    yield Attempt(group, "send to a deleted queue", "send_message()", cast.send_to(stage.deleted), rule)


def _under_a_worker(worker: _Worker) -> Iterator[Attempt]:
    group = "A queue turns bad under a worker"
    yield Attempt(group, "receive the next message", "the other consumer", worker.receive_more, _ENCRYPTION)
    yield Attempt(group, "delete the one that it holds", "the other consumer", worker.delete)


def _with_endpoint(url: str, do: Callable[[], object]) -> Callable[[], object]:
    def wrapped() -> object:
        os.environ["AWS_ENDPOINT_URL_SQS"] = url
        try:
            return do()
        finally:
            del os.environ["AWS_ENDPOINT_URL_SQS"]

    return wrapped


# --- programs at work --------------------------------------------------------------------------------------------


class _Pair:
    """A producer and a consumer at work at the same time. `produce` starts both and waits for the first, `consume` for
    the second."""

    def __init__(self, cast: _Cast, messages: int, progress: Callable[[str], None]) -> None:
        self.messages = messages
        self._producer = cast.producer
        self._consumer = cast.consumer
        self._queue = cast.stage.good
        self._progress = progress
        self._ends: dict[str, Queue[BaseException | None]] = {"produce": Queue(), "consume": Queue()}

    def produce(self) -> None:
        for name, work in (("produce", self._send_all), ("consume", self._receive_all)):
            Thread(target=self._run, args=(name, work), daemon=True).start()
        self._wait("produce")

    def consume(self) -> None:
        self._wait("consume")

    def _wait(self, name: str) -> None:
        error = self._ends[name].get(timeout=_PATIENCE_SECONDS)
        if error is not None:
            raise error

    def _run(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # handed on to the thread that waits
            self._ends[name].put(error)
        else:
            self._ends[name].put(None)

    def _send_all(self) -> None:
        for number in range(self.messages):
            self._producer.send_message(QueueUrl=self._queue, MessageBody=f"order {number}")
            self._progress("sent")

    def _receive_all(self) -> None:
        received = 0
        end = time.monotonic() + _PATIENCE_SECONDS
        while received < self.messages and time.monotonic() < end:
            answer = self._consumer.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                self._consumer.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
                received += 1
                self._progress("received")
        if received != self.messages:
            raise RuntimeError(f"{received} of {self.messages} messages were received")


class _Worker:
    """A consumer that still holds a message when somebody takes the encryption of its queue away."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._client = _client(stage, "consumer", ttl_seconds=_HELD_SECONDS)
        self._receipt = ""
        self._looked = 0.0

    def receive(self) -> None:
        self._stage.raw.send_message(QueueUrl=self._stage.turning, MessageBody="one more")
        answer = self._client.receive_message(QueueUrl=self._stage.turning)
        self._looked = time.monotonic()
        self._receipt = answer["Messages"][0]["ReceiptHandle"]

    def receive_more(self) -> None:
        self._stage.raw.set_queue_attributes(QueueUrl=self._stage.turning, Attributes=_UNENCRYPTED)
        # The next check is due when the verdict has lived for ttl_seconds.
        time.sleep(max(0.0, self._looked + _HELD_SECONDS + 0.05 - time.monotonic()))
        self._client.receive_message(QueueUrl=self._stage.turning)

    def delete(self) -> None:
        self._client.delete_message(QueueUrl=self._stage.turning, ReceiptHandle=self._receipt)


# --- what came of it ---------------------------------------------------------------------------------------------


def _try(attempt: Attempt, progress: Callable[[str], None]) -> Result:
    warned: list[events.Event] = []
    unsubscribe = events.subscribe(warned.append)
    try:
        attempt.do()
    except RefusedError as refused:
        return _result(attempt, False, refused.findings, str(refused))
    except Exception as error:  # whatever it is, it is not what had to come of it
        return Result(attempt, False, (), f"{type(error).__name__}: {error}", str(error))
    finally:
        unsubscribe()
        progress("tried")
    findings = [finding for event in warned if isinstance(event, events.Warned) for finding in event.findings]
    return _result(attempt, True, findings, "")


def _result(attempt: Attempt, passed: bool, findings: Any, error: str) -> Result:
    return Result(
        attempt,
        passed,
        rules=tuple(finding.rule for finding in findings),
        why="; ".join(finding.found for finding in findings),
        error=error,
    )


def _expected(attempt: Attempt) -> str:
    return f"a refusal by {', '.join(attempt.refused_by)}" if attempt.refused_by else "that it passes"


def _got(result: Result) -> str:
    outcome = "it passed" if result.passed else "it did not pass"
    return f"{outcome} ({', '.join(result.rules) or 'no rule spoke up'}{': ' if result.why else ''}{result.why})"


def _somebody_came(plain: socket.socket) -> bool:
    try:
        connection, _ = plain.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True
