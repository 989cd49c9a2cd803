"""What real programs use is recorded on every road: Celery's worker receives by one that no other client takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from clients.launched import run, started, surroundings
from support import cli_runner

from safe_sqs.cli.policy_from_usage import from_usage
from safe_sqs.demo.emulator import Emulator

pytestmark = pytest.mark.skipif(find_spec("celery") is None, reason="celery is not installed: see clients.txt")

SEND = ("python", "-c", "import sys; from celery_app import *; note.delay('one')")
WORKER = ("celery", "-A", "celery_app", "worker", "--loglevel=info", "--without-gossip", "--without-mingle")


@pytest.fixture
def environment(emulator: Emulator, good: str, tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """The environment of a Celery program that records into a file of this name."""

    def make(name: str) -> dict[str, str]:
        ours: dict[str, str | None] = {
            "CELERY_BROKER_URL": "sqs://",
            "TASK_RECORD": str(tmp_path / "record"),
            "TASK_QUEUE_URL": good,
            "SAFE_SQS_RECORD": str(tmp_path / name),
        }
        return surroundings(emulator, tmp_path, **ours)

    return make


@pytest.mark.parametrize("pool", [("--pool=solo",), ("--pool=prefork", "--concurrency=2")], ids=["solo", "prefork"])
def test_a_celery_worker_gets_a_policy_to_receive_and_its_sender_one_to_send(
    pool: tuple[str, ...], environment: Callable[[str], dict[str, str]], good: str, raw: Any, tmp_path: Path
) -> None:
    """The worker's receives pass no event but the one before the signature."""
    assert run(*SEND, environment=environment("sender.jsonl")).code == 0
    record = tmp_path / "record"
    with started(*WORKER, *pool, environment=environment("worker.jsonl")) as worker:
        worker.wait_until(record.exists)
        worker.wait_until(lambda: _messages(raw, good) == 0)
        assert worker.stop().code == 0
    assert _allowed(tmp_path / "sender.jsonl") >= {"sqs:SendMessage"}
    assert "sqs:ReceiveMessage" not in _allowed(tmp_path / "sender.jsonl")
    assert _allowed(tmp_path / "worker.jsonl") >= {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
    assert "sqs:SendMessage" not in _allowed(tmp_path / "worker.jsonl")


def _messages(raw: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = raw.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(map(int, found.values()))


def _allowed(file: Path) -> set[str]:
    done = cli_runner().invoke(from_usage, [str(file)])
    assert done.exit_code == 0, done.output
    actions = [each["Action"] for each in json.loads(done.stdout)["Statement"]]
    return {name for each in actions for name in (each if isinstance(each, list) else [each])}
