"""The batch utility of Powertools for AWS Lambda, in the real runtime client, behind the handler of safe_sqs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from clients.launched import PROGRAMS
from lambda_runtime import Sandbox, sandbox
from support import LONG_TERM

from safe_sqs.demo.emulator import Emulator

pytestmark = pytest.mark.skipif(
    find_spec("aws_lambda_powertools") is None or find_spec("awslambdaric") is None,
    reason="aws-lambda-powertools and awslambdaric are not installed: see clients.txt",
)

GUARD = "safe_sqs.lambda_layer.handler"
PUBLIC = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
ENFORCE = {"SAFE_SQS_EVENT_SOURCE": "enforce"}


def event_of(url: str, *bodies: str) -> dict[str, Any]:
    """What the Lambda service hands to a function that has this queue as its event source."""
    arn = f"arn:aws:sqs:us-east-1:123456789012:{url.rpartition('/')[2]}"
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "0", "MessageGroupId": "1"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


@pytest.fixture
def function(emulator: Emulator, tmp_path: Path) -> Callable[..., Any]:
    """Run the function: `function(handler, **environment)`, behind the guard unless that is said."""

    @contextmanager
    def running(handler: str, *, is_guarded: bool = True, **more: str) -> Iterator[Sandbox]:
        task = tmp_path / "task"
        task.mkdir()
        shutil.copy(PROGRAMS / "powertools_batch.py", task)
        own = f"powertools_batch.{handler}"
        ours = {
            "AWS_ENDPOINT_URL_SQS": emulator.url,
            "AWS_CA_BUNDLE": emulator.authority,
            "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": emulator.host,
            "PYTHONPATH": os.pathsep.join([str(task.parent / "task-runtime"), str(task)]),
            **({"SAFE_SQS_HANDLER": own} if is_guarded else {}),
            **more,
        }
        with sandbox(task, tmp_path, GUARD if is_guarded else own, ours) as it:
            yield it

    return running


@pytest.mark.parametrize("settings", [{}, ENFORCE], ids=["warn", "enforce"])
@pytest.mark.parametrize(
    ("handler", "bodies", "failed"),
    [
        ("handler", ["one", "two"], []),
        ("handler", ["one", "bad", "two"], ["message-1"]),
        ("fifo_handler", ["one", "bad", "two"], ["message-1", "message-2"]),
    ],
    ids=["all work", "one fails", "one fails in a FIFO queue"],
)
def test_partial_failures_of_a_batch_are_reported_as_without_the_guard(
    handler: str,
    bodies: list[str],
    failed: list[str],
    settings: dict[str, str],
    good: str,
    function: Callable[..., Any],
) -> None:
    with function(handler, **settings) as guarded:
        outcome = guarded.invoke(event_of(good, *bodies))
    assert outcome.error is None
    assert [each["itemIdentifier"] for each in outcome.result["batchItemFailures"]] == failed
    assert outcome.result["workedOff"] == [
        body for number, body in enumerate(bodies) if f"message-{number}" not in failed
    ]


def test_when_all_messages_fail_the_error_of_powertools_comes_through(good: str, function: Callable[..., Any]) -> None:
    with function("handler", **ENFORCE) as guarded:
        assert guarded.invoke(event_of(good, "bad")).error["errorType"] == "BatchProcessingError"


def make_unsafe(rule: str, url: str, raw: Any) -> dict[str, str]:
    """Make an attempt unsafe. Gives what an operator would have set for it."""
    if rule == "queue-encryption":
        raw.set_queue_attributes(QueueUrl=url, Attributes={"SqsManagedSseEnabled": "false"})
    elif rule == "public-access":
        policy = json.dumps({"Version": "2012-10-17", "Statement": [PUBLIC]})
        raw.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    elif rule == "https-endpoint":
        return {"AWS_ENDPOINT_URL_SQS": "http://localhost:9"}
    else:
        return {**{name.upper(): value for name, value in LONG_TERM.items()}, "AWS_SESSION_TOKEN": ""}
    return {}


RULES = pytest.mark.parametrize("rule", ["queue-encryption", "public-access", "https-endpoint", "static-credentials"])


@RULES
def test_messages_of_an_unsafe_queue_do_not_reach_the_function_where_that_is_enforced(
    rule: str, good: str, raw: Any, function: Callable[..., Any]
) -> None:
    """The whole batch fails, so Lambda makes its messages visible again."""
    with function("handler", **ENFORCE, **make_unsafe(rule, good, raw)) as guarded:
        outcome = guarded.invoke(event_of(good, "one"))
    assert outcome.error["errorType"] == "RefusedError"
    assert rule in outcome.error["errorMessage"]


@RULES
def test_messages_of_an_unsafe_queue_are_worked_off_with_a_warning_unless_said_otherwise(
    rule: str, good: str, raw: Any, function: Callable[..., Any]
) -> None:
    """Somebody else has received them by then."""
    with function("handler", **make_unsafe(rule, good, raw)) as guarded:
        outcome = guarded.invoke(event_of(good, "one"))
        assert outcome.result == {"batchItemFailures": [], "workedOff": ["one"]}
        assert f"rule='{rule}'" in guarded.log


def test_the_function_alone_does_not_look_at_where_its_messages_come_from(
    bad: str, function: Callable[..., Any]
) -> None:
    with function("handler", is_guarded=False) as alone:
        assert alone.invoke(event_of(bad, "one")).result == {"batchItemFailures": [], "workedOff": ["one"]}
