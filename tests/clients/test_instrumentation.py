"""boto3 under OpenTelemetry, X-Ray and Datadog at the same time, set up in any order with the guard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted
from clients.harness import ATTEMPTS, CLIENTS, Stage, bin_of, environment, is_installed, run_program
from support import TEMPORARY

(TRACED,) = (client for client in CLIENTS if "ddtrace" in client.libraries)
PROGRAM = Path(__file__).resolve().parent / "instrumented.py"
BODY = "the-body-of-the-message"

pytestmark = pytest.mark.skipif(
    not is_installed(TRACED), reason=f"make compat installs {bin_of(TRACED.venv).parent.name}"
)

ORDERS = (
    ("install", "opentelemetry", "xray", "datadog", "create"),
    ("opentelemetry", "xray", "datadog", "install", "create"),
    ("install", "create", "datadog", "xray", "opentelemetry"),
    ("datadog", "install", "opentelemetry", "create", "xray"),
    ("xray", "datadog", "create", "opentelemetry", "adopt"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[scripted.Server]:
    """A service that remembers headers. Its queue `unencrypted` is."""

    def attributes(asked: scripted.Asked) -> scripted.Answer:
        is_encrypted = str(not asked.queue.endswith("unencrypted")).lower()
        return scripted.attributes(asked, SqsManagedSseEnabled=is_encrypted)

    with scripted.running() as server:
        server.script["GetQueueAttributes"] = attributes
        yield server


@pytest.fixture(scope="module", params=ORDERS, ids=" ".join)
def seen(request: pytest.FixtureRequest, server: scripted.Server, stage: Stage) -> Any:
    """What the process says, and what arrived at the service from it."""
    settings = {
        **environment(stage, TRACED, ATTEMPTS[0]),
        "AWS_ENDPOINT_URL_SQS": server.url,
        "AWS_CA_BUNDLE": server.authority,
        "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": server.host,
    }
    server.asked.clear()
    words = ("python", str(PROGRAM), server.queue("good"), server.queue("unencrypted"), *request.param)
    done = run_program(words, settings, guarded=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), list(server.asked), done.stderr


def sent(asked: list[scripted.Asked]) -> list[scripted.Asked]:
    return [each for each in asked if each.operation == "SendMessage"]


def test_calls_work_and_are_refused_as_without_tracers(seen: Any) -> None:
    told, asked, _ = seen
    assert told["outcomes"] == ["sent", "sent", "queue-encryption"]
    assert [each.queue.rpartition("/")[2] for each in sent(asked)[:2]] == ["good", "good"]


def test_the_trace_goes_on_in_the_message_and_in_the_headers(seen: Any) -> None:
    _, asked, _ = seen
    for each in sent(asked)[:2]:
        assert "_datadog" in each.parameters["MessageAttributes"]
        assert any(name.lower() == "x-amzn-trace-id" for name in each.headers)
        assert any(name.lower() == "x-datadog-trace-id" for name in each.headers)


def calls(told: Any, tracer: str, name: str) -> list[Any]:
    return [how for each, how in told[tracer] if each == name]


def test_opentelemetry_and_datadog_see_a_refusal_as_an_error(seen: Any) -> None:
    told, _, _ = seen
    assert calls(told, "opentelemetry", "SQS.SendMessage")[:3] == ["UNSET", "UNSET", "ERROR"]
    assert calls(told, "datadog", "SendMessage")[:3] == [False, False, True]


def test_xray_sees_a_refusal_in_the_subsegment_around_the_call(seen: Any) -> None:
    """Of the call itself it only keeps errors that the service has answered with, as with a lost connection."""
    told, _, _ = seen
    assert calls(told, "xray", "task")[:3] == [False, False, True]
    assert calls(told, "xray", "SendMessage")[:3] == [False, False, False]


def test_no_span_has_a_message_or_a_secret_in_it(seen: Any) -> None:
    told, _, complaint = seen
    assert "queue-encryption" in told["everything"]
    for secret in (BODY, TEMPORARY["aws_secret_access_key"], TEMPORARY["aws_session_token"]):
        assert secret not in told["everything"]
        assert secret not in complaint


def test_uninstalling_takes_away_what_the_guard_has_wrapped_and_nothing_else(seen: Any) -> None:
    told, _, _ = seen
    assert told["constructor is as before"]
    assert told["wrappers are kept"]
    assert not told["new client is guarded"]
    assert told["sent by a new client"] == "sent"
