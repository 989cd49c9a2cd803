"""amazon-sqs-extended-client: bodies that go to S3 and back, over TLS, and what a refusal leaves there."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from clients.launched import PROGRAMS, Ended, run, surroundings

from safe_sqs.demo.emulator import Emulator

pytestmark = pytest.mark.skipif(
    find_spec("sqs_extended_client") is None, reason="amazon-sqs-extended-client is not installed: see clients.txt"
)

SIZES = pytest.mark.parametrize("size", ["large", "small"])


@pytest.fixture
def arrived(emulator: Emulator) -> Callable[[str], int]:
    """How many calls of an operation the emulator has seen since this test began."""
    before = Counter(emulator.arrived)
    return lambda operation: emulator.arrived[operation] - before[operation]


@pytest.fixture
def bucket(make_raw: Callable[..., Any], queue_name: str) -> Callable[[], int]:
    """Create a bucket for this test. Gives what tells how many objects are in it."""
    s3 = make_raw("s3")
    s3.create_bucket(Bucket=queue_name)
    return lambda: len(s3.list_objects_v2(Bucket=queue_name).get("Contents", []))


@pytest.fixture
def use(emulator: Emulator, tmp_path: Path, queue_name: str, bucket: Callable[[], int]) -> Callable[..., Ended]:
    """Run the program: `use("send", url, size="large", **environment)`."""

    def program(action: str, url: str, *, size: str = "large", **more: str | None) -> Ended:
        ours = surroundings(emulator, tmp_path, PAYLOAD_BUCKET=queue_name, PAYLOAD_SIZE=size, **more)
        return run("python", str(PROGRAMS / "extended_client.py"), action, url, environment=ours)

    return program


@SIZES
def test_a_body_goes_to_s3_and_comes_back(
    size: str, good: str, use: Callable[..., Ended], bucket: Callable[[], int], arrived: Callable[[str], int]
) -> None:
    """The queue gets a pointer; deleting the message deletes the body too."""
    sent = use("send", good, size=size)
    assert (sent.code, arrived("SendMessage"), bucket()) == (0, 1, 1), sent.errors
    received = use("receive", good, size=size)
    assert received.code == 0, received.errors
    assert json.loads(received.output)["messages"] == ["xxxxx" if size == "large" else "hello"]
    assert arrived("DeleteMessage") == 1


def test_a_refused_message_leaves_its_body_in_s3(
    bad: str, use: Callable[..., Ended], bucket: Callable[[], int], arrived: Callable[[str], int]
) -> None:
    """The client stores the body before it calls SendMessage, and S3 is not guarded."""
    sent = use("send", bad)
    assert re.search(r"RefusedError: .*\n +1\. queue-encryption ", sent.errors), sent.errors
    assert (sent.code, arrived("SendMessage"), bucket()) == (1, 0, 1)


def test_a_queue_that_is_verified_at_start_leaves_nothing_in_s3(
    bad: str, use: Callable[..., Ended], bucket: Callable[[], int], arrived: Callable[[str], int]
) -> None:
    """With `verify_queues`, making the client is what is refused."""
    sent = use("send", bad, SAFE_SQS_VERIFY_QUEUES=bad)
    assert re.search(r"RefusedError: .*\n +1\. queue-encryption ", sent.errors), sent.errors
    assert (sent.code, arrived("SendMessage"), bucket()) == (1, 0, 0)


def test_a_refused_receive_fetches_no_body(
    bad: str, raw: Any, use: Callable[..., Ended], bucket: Callable[[], int], arrived: Callable[[str], int]
) -> None:
    """Neither the message nor its body is touched."""
    use("send", bad, SAFE_SQS_MODES="queue-encryption=warn")
    received = use("receive", bad)
    assert re.search(r"RefusedError: .*\n +1\. queue-encryption ", received.errors), received.errors
    assert (arrived("ReceiveMessage"), bucket()) == (0, 1)
    assert len(raw.receive_message(QueueUrl=bad)["Messages"]) == 1
