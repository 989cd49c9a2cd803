"""dramatiq over SQS: the dramatiq command with worker processes and threads, namespace, dead letters, over TLS."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from clients.launched import run, started, surroundings
from support import UNENCRYPTED

from safe_sqs.demo.emulator import Emulator

pytestmark = pytest.mark.skipif(
    find_spec("dramatiq_sqs") is None, reason="dramatiq-sqs is not installed: see clients.txt"
)

WORKER = ("dramatiq", "dramatiq_app", "--processes=2", "--threads=4", "--worker-shutdown-timeout=5000")
FROM_PYTHON = "from dramatiq_app import *; "


@pytest.fixture
def arrived(emulator: Emulator) -> Callable[[str], int]:
    """How many calls of an operation the emulator has seen since this test began."""
    before = Counter(emulator.arrived)
    return lambda operation: emulator.arrived[operation] - before[operation]


@pytest.fixture
def environment(emulator: Emulator, tmp_path: Path, queue_name: str) -> dict[str, str]:
    """The environment of an operator whose queues have a namespace of their own."""
    return surroundings(emulator, tmp_path, TASK_RECORD=str(tmp_path / "record"), TASK_NAMESPACE=queue_name)


@pytest.fixture
def record(tmp_path: Path) -> Callable[[], list[list[str]]]:
    """What actors have written down: text and process id, for each."""
    file = tmp_path / "record"
    return lambda: [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def bodies_in(raw: Any, url: str) -> list[str]:
    """What waits in a queue."""
    return [each["Body"] for each in raw.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])]


@pytest.mark.parametrize("way", [(), ("--use-spawn",)], ids=["fork", "spawn"])
def test_worker_processes_and_threads_work_off_every_message(
    way: tuple[str, ...],
    environment: dict[str, str],
    record: Callable[[], list[list[str]]],
    arrived: Callable[[str], int],
) -> None:
    """On a queue that dramatiq has created itself.

    moto may hand a message to both processes at once, so it is not counted how often each was worked off.
    """
    sent = run(
        "python", "-c", f"{FROM_PYTHON}[note.send(str(number)) for number in range(40)]", environment=environment
    )
    assert sent.code == 0, sent.errors
    with started(*WORKER, *way, environment=environment) as workers:
        workers.wait_until(lambda: len({text for text, _ in record()}) == 40 and arrived("DeleteMessage") >= 40)
        assert workers.stop().code == 0
    assert {int(text) for text, _ in record()} == set(range(40))
    assert (arrived("CreateQueue"), arrived("SendMessage")) == (1, 40)


@pytest.mark.parametrize("way", [(), ("--use-spawn",)], ids=["fork", "spawn"])
def test_worker_processes_receive_nothing_from_an_unsafe_queue(
    way: tuple[str, ...],
    make_queue: Callable[..., str],
    raw: Any,
    environment: dict[str, str],
    arrived: Callable[[str], int],
) -> None:
    """dramatiq logs the refusal, and tries again every three seconds, so that it goes on when the queue is mended."""
    url = make_queue("_tasks", **UNENCRYPTED)
    raw.send_message(QueueUrl=url, MessageBody="e30=")
    with started(*WORKER, *way, environment=environment) as workers:
        workers.wait_until(lambda: workers.log.read_text().count("Restarting consumer in") >= 3)
        workers.stop()
    log = workers.log.read_text()
    assert "Consumer encountered an unexpected error." in log
    assert len(re.findall(r"RefusedError: .*ReceiveMessage.*\n +1\. queue-encryption ", log)) >= 2, log
    assert arrived("ReceiveMessage") == 0


def test_a_worker_goes_on_when_its_queue_is_mended(
    make_queue: Callable[..., str], raw: Any, environment: dict[str, str], record: Callable[[], list[list[str]]]
) -> None:
    """By itself: dramatiq tries again, and a refusal is kept for no longer than a verdict lives."""
    url = make_queue("_tasks")
    with started(*WORKER, environment={**environment, "SAFE_SQS_TTL_SECONDS": "1"}) as workers:
        assert run("python", "-c", f"{FROM_PYTHON}note.send('before')", environment=environment).code == 0
        workers.wait_until(lambda: len(record()) == 1)
        raw.set_queue_attributes(QueueUrl=url, Attributes=UNENCRYPTED)
        workers.wait_until(lambda: "RefusedError" in workers.log.read_text())
        raw.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "true"})
        assert run("python", "-c", f"{FROM_PYTHON}note.send('after')", environment=environment).code == 0
        workers.wait_until(lambda: len(record()) == 2)
    assert [text for text, _ in record()] == ["before", "after"]


def test_a_message_that_fails_goes_to_the_dead_letter_queue_of_dramatiq(
    raw: Any, queue_name: str, environment: dict[str, str], arrived: Callable[[str], int]
) -> None:
    """dramatiq creates that queue, and sends to it, by itself."""
    with_dead_letters = {**environment, "TASK_DEAD_LETTERS": "yes"}
    sent = run("python", "-c", f"{FROM_PYTHON}fail.send('one')", environment=with_dead_letters)
    assert sent.code == 0, sent.errors
    assert arrived("CreateQueue") == 2
    with started(*WORKER, environment=with_dead_letters) as workers:
        workers.wait_until(lambda: arrived("DeleteMessage") == 1)
        workers.stop()
    assert len(bodies_in(raw, raw.get_queue_url(QueueName=f"{queue_name}_tasks_dlq")["QueueUrl"])) == 1


def test_a_message_that_fails_is_not_sent_to_an_unsafe_dead_letter_queue(
    make_queue: Callable[..., str], raw: Any, environment: dict[str, str], arrived: Callable[[str], int]
) -> None:
    """It stays in its own queue, where it is received again when its visibility timeout has passed."""
    url, dead_letters = make_queue("_tasks"), make_queue("_tasks_dlq", **UNENCRYPTED)
    with_dead_letters = {**environment, "TASK_DEAD_LETTERS": "yes"}
    sent = run("python", "-c", f"{FROM_PYTHON}fail.send('one')", environment=with_dead_letters)
    assert sent.code == 0, sent.errors
    with started(*WORKER, environment=with_dead_letters) as workers:
        workers.wait_until(lambda: "RefusedError" in workers.log.read_text())
        workers.stop()
    assert re.search(
        r"RefusedError: .*SendMessage on \S+_tasks_dlq: .*\n +1\. queue-encryption ", workers.log.read_text()
    )
    assert arrived("DeleteMessage") == 0
    assert bodies_in(raw, dead_letters) == []
    name = "ApproximateNumberOfMessagesNotVisible"
    assert raw.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name] == "1"
