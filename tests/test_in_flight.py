"""A queue turns bad while a worker holds messages of it: what is held can be finished, nothing new is taken or sent."""

from __future__ import annotations

import json
from collections import Counter
from threading import Event, Thread

import boto3
import pytest
from support import REGION, TEMPORARY, UNENCRYPTED

from safe_sqs import RefusedError, UnverifiableError, guard
from safe_sqs.cache import REFUSAL_SECONDS

TTL = 300.0
HELD_SECONDS = 600
"""How long a received message stays hidden: longer than any of these tests runs."""

PUBLIC = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]}
)


def clear_encryption(raw, queue: str) -> None:
    raw.set_queue_attributes(QueueUrl=queue, Attributes=UNENCRYPTED)


def open_to_all(raw, queue: str) -> None:
    raw.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": PUBLIC})


def mend(raw, queue: str) -> None:
    # The emulator forgets a policy that is not named; an empty one takes it away on AWS, too.
    raw.set_queue_attributes(QueueUrl=queue, Attributes={"SqsManagedSseEnabled": "true", "Policy": ""})


TURNS = pytest.mark.parametrize("turn_bad", [clear_encryption, open_to_all], ids=["no encryption", "public"])


def fill(raw, queue: str, count: int) -> None:
    """Put `count` numbered messages into a queue."""
    for start in range(0, count, 10):
        numbers = range(start, min(start + 10, count))
        raw.send_message_batch(
            QueueUrl=queue, Entries=[{"Id": str(number), "MessageBody": str(number)} for number in numbers]
        )


def left_in(raw, queue: str) -> int:
    """How many messages are in a queue, hidden ones included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = raw.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


class Worker(Thread):
    """Receives ten messages at a time and finishes them: asks for more time, then deletes; half of them one by one, the
    rest in a batch. It stops when a receive is refused or the queue is empty, and tells when it holds messages."""

    def __init__(self, client, queue: str) -> None:
        super().__init__()
        self.finished: Counter[str] = Counter()
        self.refused: RefusedError | None = None
        self.failed: Exception | None = None
        self.holds, self.go_on = Event(), Event()
        self._client = client
        self._queue = queue

    def run(self) -> None:
        try:
            while messages := self._receive():
                self.holds.set()
                self.go_on.wait(60)
                self._one_by_one(messages[::2])
                self._in_a_batch(messages[1::2])
        except RefusedError as error:
            self.refused = error
        except Exception as error:
            self.failed = error
        finally:
            self.holds.set()

    def _receive(self) -> list:
        answer = self._client.receive_message(
            QueueUrl=self._queue, MaxNumberOfMessages=10, VisibilityTimeout=HELD_SECONDS, WaitTimeSeconds=0
        )
        return answer.get("Messages", [])

    def _one_by_one(self, messages: list) -> None:
        for message in messages:
            handle = message["ReceiptHandle"]
            self._client.change_message_visibility(
                QueueUrl=self._queue, ReceiptHandle=handle, VisibilityTimeout=HELD_SECONDS + 1
            )
            self._client.delete_message(QueueUrl=self._queue, ReceiptHandle=handle)
            self.finished[message["Body"]] += 1

    def _in_a_batch(self, messages: list) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]} for number, message in enumerate(messages)
        ]
        more_time = [entry | {"VisibilityTimeout": HELD_SECONDS + 1} for entry in entries]
        changed = self._client.change_message_visibility_batch(QueueUrl=self._queue, Entries=more_time)
        deleted = self._client.delete_message_batch(QueueUrl=self._queue, Entries=entries)
        assert len(changed["Successful"]) == len(deleted["Successful"]) == len(messages)
        self.finished.update(message["Body"] for message in messages)


@TURNS
def test_a_worker_finishes_what_it_holds_and_takes_nothing_more(raw, make_client, good, manual_clock, turn_bad):
    fill(raw, good, 40)
    worker = Worker(make_client(role="consumer", clock=manual_clock.clock, ttl_seconds=TTL), good)
    worker.start()
    assert worker.holds.wait(60)
    turn_bad(raw, good)
    manual_clock.advance(TTL)
    worker.go_on.set()
    worker.join(60)
    assert worker.failed is None
    assert worker.refused is not None
    assert worker.refused.operation == "ReceiveMessage"
    held = sum(worker.finished.values())
    assert held == 10, "all that it held, and nothing that it took after the queue had turned bad"
    assert left_in(raw, good) == 40 - held

    mend(raw, good)
    manual_clock.advance(REFUSAL_SECONDS)
    second = Worker(make_client(role="consumer", clock=manual_clock.clock, ttl_seconds=TTL), good)
    second.go_on.set()
    second.start()
    second.join(60)
    assert (second.failed, second.refused) == (None, None)
    assert worker.finished + second.finished == Counter(map(str, range(40))), "nothing lost, nothing twice"
    assert left_in(raw, good) == 0


@TURNS
def test_sends_are_refused_from_the_next_check_on(raw, make_client, good, manual_clock, turn_bad):
    producer = make_client(role="producer", clock=manual_clock.clock, ttl_seconds=TTL)
    producer.send_message(QueueUrl=good, MessageBody="before")
    turn_bad(raw, good)
    manual_clock.advance(0.79 * TTL)
    producer.send_message(QueueUrl=good, MessageBody="still valid")
    manual_clock.advance(0.21 * TTL)
    with pytest.raises(RefusedError):
        producer.send_message(QueueUrl=good, MessageBody="after")
    with pytest.raises(RefusedError):
        producer.send_message_batch(QueueUrl=good, Entries=[{"Id": "1", "MessageBody": "after"}])
    assert left_in(raw, good) == 2


def test_a_refused_receive_hides_no_message(raw, make_client, bad):
    """A message that was received and not handed out would be invisible to others, and counted as received."""
    fill(raw, bad, 1)
    for _ in range(3):
        with pytest.raises(RefusedError):
            make_client().receive_message(QueueUrl=bad, VisibilityTimeout=HELD_SECONDS)
    [message] = raw.receive_message(QueueUrl=bad, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


@TURNS
def test_what_was_received_by_another_process_can_be_finished_without_any_look_at_the_queue(
    raw, make_client, good, turn_bad
):
    """The client that finishes has never seen the queue, so no verdict is there."""
    fill(raw, good, 4)
    messages = [raw.receive_message(QueueUrl=good, VisibilityTimeout=HELD_SECONDS)["Messages"][0] for _ in range(4)]
    turn_bad(raw, good)
    client = make_client()
    handles = [message["ReceiptHandle"] for message in messages]
    client.change_message_visibility(QueueUrl=good, ReceiptHandle=handles[0], VisibilityTimeout=HELD_SECONDS)
    client.delete_message(QueueUrl=good, ReceiptHandle=handles[0])
    entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles[1:])]
    client.delete_message_batch(QueueUrl=good, Entries=entries)
    assert left_in(raw, good) == 0


def test_a_message_of_a_bad_queue_can_be_given_back(raw, make_client, good):
    fill(raw, good, 1)
    [message] = raw.receive_message(QueueUrl=good, VisibilityTimeout=HELD_SECONDS)["Messages"]
    clear_encryption(raw, good)
    client = make_client()
    client.change_message_visibility(QueueUrl=good, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    [again] = raw.receive_message(QueueUrl=good)["Messages"]
    assert again["MessageId"] == message["MessageId"]


def test_what_is_held_can_be_finished_when_the_queue_cannot_be_judged_any_more(
    raw, make_client, make_queue, good, manual_clock
):
    """Its dead-letter queue is deleted: the next receive cannot be verified, the deletion needs no judgement."""
    dead = make_queue("-dead")
    arn = raw.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    raw.set_queue_attributes(QueueUrl=good, Attributes={"RedrivePolicy": redrive})
    client = make_client(clock=manual_clock.clock, ttl_seconds=TTL)
    fill(raw, good, 2)
    [message] = client.receive_message(QueueUrl=good, VisibilityTimeout=HELD_SECONDS)["Messages"]
    raw.delete_queue(QueueUrl=dead)
    manual_clock.advance(TTL)
    with pytest.raises(UnverifiableError):
        client.receive_message(QueueUrl=good)
    client.delete_message(QueueUrl=good, ReceiptHandle=message["ReceiptHandle"])
    assert left_in(raw, good) == 1


def test_the_messages_of_a_resource_can_be_finished(raw, emulator, make_config, good, manual_clock):
    arguments = {"endpoint_url": emulator.url, "verify": emulator.authority, "region_name": REGION, **TEMPORARY}
    resource = boto3.session.Session().resource("sqs", **arguments)
    guard(resource.meta.client, make_config(ttl_seconds=TTL), clock=manual_clock.clock)
    queue = resource.Queue(good)
    fill(raw, good, 4)
    messages = [queue.receive_messages(VisibilityTimeout=HELD_SECONDS)[0] for _ in range(3)]
    clear_encryption(raw, good)
    manual_clock.advance(TTL)
    with pytest.raises(RefusedError):
        queue.receive_messages()
    messages[0].change_visibility(VisibilityTimeout=HELD_SECONDS)
    messages[0].delete()
    entries = [{"Id": message.message_id, "ReceiptHandle": message.receipt_handle} for message in messages[1:]]
    queue.delete_messages(Entries=entries)
    assert left_in(raw, good) == 1
