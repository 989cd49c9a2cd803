"""Celery over SQS: a sender and real worker processes, as their operators start them, over TLS to the emulator."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from clients.launched import run, started, surroundings
from sockets import Answer, Listener, listening
from support import LONG_TERM, UNENCRYPTED

from safe_sqs.demo.emulator import Emulator

pytestmark = pytest.mark.skipif(find_spec("celery") is None, reason="celery is not installed: see clients.txt")

ROOT = Path(__file__).resolve().parent.parent.parent
PUBLIC = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
WORKER = ("celery", "-A", "celery_app", "worker", "--loglevel=info", "--without-gossip", "--without-mingle")

LONG_TERM_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": LONG_TERM["aws_access_key_id"],
    "AWS_SECRET_ACCESS_KEY": LONG_TERM["aws_secret_access_key"],
    "AWS_SESSION_TOKEN": None,
}

FROM_PYTHON = "import sys; from celery_app import *; "
SEND = ("python", "-c", f"{FROM_PYTHON}note.delay('one')")

RESOLVER = """
import socket
_real = socket.getaddrinfo
def _here(host, port, *arguments, **more):
    if host == "sqs.us-east-1.amazonaws.com":
        host, port = "127.0.0.1", {port}
    return _real(host, port, *arguments, **more)
socket.getaddrinfo = _here
"""
"""A sitecustomize that leads the name of the service to a listener of the test, whatever the port."""


@pytest.fixture
def arrived(emulator: Emulator) -> Callable[[str], int]:
    """How many calls of an operation the emulator has seen since this test began."""
    before = Counter(emulator.arrived)
    return lambda operation: emulator.arrived[operation] - before[operation]


@pytest.fixture
def environment(emulator: Emulator, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """The environment of an operator who has pointed Celery to the emulator."""

    def make(**more: str | None) -> dict[str, str]:
        ours: dict[str, str | None] = {"CELERY_BROKER_URL": "sqs://", "TASK_RECORD": str(tmp_path / "record")}
        return surroundings(emulator, tmp_path, **{**ours, **more})

    return make


@pytest.fixture
def record(tmp_path: Path) -> Callable[[], list[list[str]]]:
    """What tasks have written down: text and process id, for each."""
    file = tmp_path / "record"
    return lambda: [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def in_queue(raw: Any, url: str) -> int:
    """How many messages a queue holds, received or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = raw.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(map(int, found.values()))


def make_public(raw: Any, url: str) -> None:
    """Let anyone use a queue."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": [PUBLIC]})
    raw.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})


@pytest.mark.parametrize(
    ("tasks", "pool"),
    [
        pytest.param(1_000, ("--pool=prefork", "--concurrency=2"), marks=pytest.mark.whole_matrix),
        (150, ("--pool=prefork", "--concurrency=2")),
        (50, ("--pool=solo",)),
    ],
    ids=["1000 in prefork", "150 in prefork", "50 in solo"],
)
def test_a_worker_works_off_every_task_once(
    tasks: int,
    pool: tuple[str, ...],
    good: str,
    raw: Any,
    environment: Callable[..., dict[str, str]],
    record: Callable[[], list[list[str]]],
    arrived: Callable[[str], int],
) -> None:
    """On an encrypted queue, which an operator has named in `predefined_queues`."""
    ours = environment(TASK_QUEUE_URL=good)
    sent = run(
        "python", "-c", f"{FROM_PYTHON}[note.delay(f'task-{{number}}') for number in range({tasks})]", environment=ours
    )
    assert sent.code == 0, sent.errors
    assert arrived("SendMessage") == tasks
    begin = time.monotonic()
    with started(*WORKER, *pool, environment=ours) as worker:
        worker.wait_until(lambda: len(record()) >= tasks)
        seconds = time.monotonic() - begin
        worker.wait_until(lambda: in_queue(raw, good) == 0)
        ended = worker.stop()
    sys.stdout.write(f"{tasks} tasks, {pool[0]}: {seconds:.1f} s, {arrived('ReceiveMessage')} receives\n")
    assert ended.code == 0, ended.errors
    assert sorted(text for text, _ in record()) == sorted(f"task-{number}" for number in range(tasks))
    assert len({process for _, process in record()}) == (2 if "--concurrency=2" in pool else 1)
    assert arrived("DeleteMessage") == tasks


@contextmanager
def refusing(attempt: str, raw: Any, good: str) -> Iterator[dict[str, str | None]]:
    """Make an attempt unsafe. Gives what an operator would have set for it."""
    if attempt == "static-credentials":
        yield LONG_TERM_ENVIRONMENT
    elif attempt == "queue-encryption":
        raw.set_queue_attributes(QueueUrl=good, Attributes=UNENCRYPTED)
        yield {}
    elif attempt == "public-access":
        make_public(raw, good)
        yield {}
    else:
        with listening() as plain:
            yield {
                "AWS_ENDPOINT_URL_SQS": plain.url,
                "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": plain.netloc,
            }
            assert plain.connections == 0


ATTEMPTS = ["https-endpoint", "static-credentials", "queue-encryption", "public-access"]


@pytest.mark.parametrize("rule", ATTEMPTS)
def test_a_task_is_not_sent_when_something_is_unsafe(
    rule: str, good: str, raw: Any, environment: Callable[..., dict[str, str]], arrived: Callable[[str], int]
) -> None:
    """The error goes up to the caller of delay()."""
    with refusing(rule, raw, good) as unsafe:
        sent = run(*SEND, environment=environment(TASK_QUEUE_URL=good, **unsafe))
    assert sent.code == 1
    assert re.search(rf"RefusedError: .*\n +1\. {rule} ", sent.errors), sent.errors
    assert arrived("SendMessage") == 0


@pytest.mark.parametrize("pool", [("--pool=prefork", "--concurrency=2"), ("--pool=solo",)], ids=["prefork", "solo"])
@pytest.mark.parametrize("rule", ATTEMPTS)
def test_a_worker_ends_with_an_error_when_what_it_receives_from_is_unsafe(
    rule: str,
    pool: tuple[str, ...],
    good: str,
    raw: Any,
    environment: Callable[..., dict[str, str]],
    arrived: Callable[[str], int],
) -> None:
    """It exits by itself, with the rule in its log, and the message stays where it is."""
    raw.send_message(QueueUrl=good, MessageBody="e30=")
    with (
        refusing(rule, raw, good) as unsafe,
        started(*WORKER, *pool, environment=environment(TASK_QUEUE_URL=good, **unsafe)) as worker,
    ):
        ended = worker.wait()
    assert ended.code == 1, ended.errors
    assert "Unrecoverable error: " in ended.errors
    assert re.search(rf"WARNING/MainProcess\] .*refused.*rule='{rule}'", ended.errors), ended.errors
    assert arrived("ReceiveMessage") == 0
    assert in_queue(raw, good) == 1


def test_a_queue_that_goes_bad_under_a_running_worker_is_received_from_no_more(
    good: str,
    raw: Any,
    environment: Callable[..., dict[str, str]],
    record: Callable[[], list[list[str]]],
    arrived: Callable[[str], int],
) -> None:
    """After the life of a verdict. The worker says so once, and then idles: kombu logs the error and polls no more."""
    ours = environment(TASK_QUEUE_URL=good, SAFE_SQS_TTL_SECONDS="1")
    with started(*WORKER, "--pool=solo", environment=ours) as worker:
        assert run(*SEND, environment=ours).code == 0
        worker.wait_until(lambda: len(record()) == 1)
        make_public(raw, good)
        worker.wait_until(lambda: "rule='public-access'" in worker.log.read_text())
        receives = arrived("ReceiveMessage")
        raw.send_message(QueueUrl=good, MessageBody="e30=")
        time.sleep(2)
        assert worker.process.poll() is None
        assert arrived("ReceiveMessage") == receives
        assert "Error in timer: RefusedError" in worker.log.read_text()
    assert in_queue(raw, good) == 1


def test_a_worker_with_the_module_of_the_guide_ends_when_its_queue_goes_bad(
    good: str,
    raw: Any,
    environment: Callable[..., dict[str, str]],
    record: Callable[[], list[list[str]]],
    tmp_path: Path,
) -> None:
    """The module is taken from the guide as it stands there."""
    ours = environment(TASK_QUEUE_URL=good, SAFE_SQS_TTL_SECONDS="1")
    guide = (ROOT / "docs" / "how-to" / "celery.md").read_text(encoding="utf-8")
    (tmp_path / "certificates" / "end_when_refused.py").write_text(guide[guide.index("import os") :].split("```")[0])
    with started(*WORKER, "--include=end_when_refused", "--concurrency=2", environment=ours) as worker:
        assert run(*SEND, environment=ours).code == 0
        worker.wait_until(lambda: len(record()) == 1)
        make_public(raw, good)
        assert worker.wait().code == 0
    assert "Warm shutdown" in worker.log.read_text()


def test_what_a_worker_process_of_the_pool_sends_is_judged_there(
    good: str,
    bad: str,
    environment: Callable[..., dict[str, str]],
    record: Callable[[], list[list[str]]],
) -> None:
    """Also when the application has made its client before the pool was forked."""
    ours = environment(TASK_QUEUE_URL=good, TASK_QUEUE_URL_ELSEWHERE=bad)
    pass_on = "[pass_on.delay(f'{queue}-{number}', queue) for number in range(10) for queue in ('tasks', 'elsewhere')]"
    assert run("python", "-c", f"{FROM_PYTHON}{pass_on}", environment=ours).code == 0
    before = {**ours, "TASK_SEND_AT_IMPORT": "before"}
    with started(*WORKER, "--pool=prefork", "--concurrency=2", environment=before) as worker:
        worker.wait_until(lambda: len(record()) >= 21)
        ended = worker.stop()
    assert ended.code == 0, ended.errors
    assert Counter(text for text, _ in record()) == Counter(
        ["before", *(f"tasks-{n}" for n in range(10)), *(f"elsewhere-{n}:RefusedError" for n in range(10))]
    )
    assert re.search(r"WARNING/ForkPoolWorker-\d\] .*SendMessage refused.*rule='queue-encryption'", ended.errors)
    assert str(worker.process.pid) not in {process for _, process in record()}


@pytest.mark.parametrize("sse", ["true", "false"])
def test_a_queue_that_celery_creates_is_judged_by_the_attributes_it_is_given(
    sse: str,
    queue_name: str,
    raw: Any,
    environment: Callable[..., dict[str, str]],
    record: Callable[[], list[list[str]]],
    arrived: Callable[[str], int],
) -> None:
    """Without `predefined_queues` Celery looks for its queues, and creates those that are missing."""
    ours = environment(TASK_QUEUE=queue_name, TASK_QUEUE_SSE=sse)
    sent = run(*SEND, environment=ours)
    if sse == "false":
        assert re.search(r"RefusedError: .*CreateQueue.*\n +1\. queue-encryption ", sent.errors), sent.errors
        assert arrived("CreateQueue") == 0
        return
    assert sent.code == 0, sent.errors
    with started(*WORKER, "--pool=solo", environment=ours) as worker:
        worker.wait_until(lambda: len(record()) == 1)
        assert worker.stop().code == 0
    assert arrived("CreateQueue") == 1
    raw.delete_queue(QueueUrl=raw.get_queue_url(QueueName=queue_name)["QueueUrl"])


@pytest.fixture
def amazon(environment: Callable[..., dict[str, str]], tmp_path: Path) -> Iterator[tuple[Listener, dict[str, str]]]:
    """A listener that answers to the name of the service, and the environment of a program that believes it."""
    with listening(lambda _: Answer(body=b'{"Attributes": {"ApproximateNumberOfMessages": "0"}}')) as plain:
        (tmp_path / "resolver").mkdir()
        (tmp_path / "resolver" / "sitecustomize.py").write_text(RESOLVER.format(port=plain.server_port))
        ours = environment(
            CELERY_BROKER_URL="sqs://sqs.us-east-1.amazonaws.com",
            AWS_ENDPOINT_URL=None,
            AWS_ENDPOINT_URL_SQS=None,
            TASK_QUEUE_URL="https://sqs.us-east-1.amazonaws.com/123456789012/tasks",
        )
        yield plain, {**ours, "PYTHONPATH": f"{tmp_path / 'resolver'}:{ours['PYTHONPATH']}"}


def test_a_broker_url_with_a_host_makes_celery_send_over_plain_http(
    amazon: tuple[Listener, dict[str, str]],
) -> None:
    """Without the guard: the URL of the queue says https, and the credentials' token and the task are on the wire."""
    plain, ours = amazon
    run(*SEND, environment=ours, is_guarded=False)
    sent = next(each for each in plain.requests if each.headers["X-Amz-Target"] == "AmazonSQS.SendMessage")
    assert sent.headers["X-Amz-Security-Token"] == ours["AWS_SESSION_TOKEN"]
    assert b"MessageBody" in sent.body


@pytest.mark.parametrize(
    "command", [SEND, (*WORKER, "--pool=solo"), (*WORKER, "--concurrency=2")], ids=["sender", "solo", "prefork"]
)
@pytest.mark.parametrize("queues", ["predefined", "looked for"])
def test_a_broker_url_with_a_host_is_refused_before_any_byte_leaves(
    command: tuple[str, ...], queues: str, amazon: tuple[Listener, dict[str, str]]
) -> None:
    """Sender and worker end with an error that names the rule, and nobody connects."""
    plain, ours = amazon
    if queues == "looked for":
        del ours["TASK_QUEUE_URL"]
    with started(*command, environment=ours) as program:
        ended = program.wait()
    assert ended.code == 1, ended.errors
    assert re.search(r"RefusedError: .*\n +1\. https-endpoint ", ended.errors), ended.errors
    assert plain.connections == 0
