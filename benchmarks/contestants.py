"""Who takes part in the race: boto3 as it is, with the guard, with the instrumentations that programs use, and with a
guard as one would write it on an afternoon.

Instrumentations are set up as their manuals say, with everything that a program's own thread does: spans are made,
given their attributes and handed on, and trace headers are put into requests. Only the last step is left out, the way
to a collector: nobody is made slower by a network that is not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

__all__ = ["CONTESTANTS", "GUARD", "INSTRUMENTATIONS", "NAIVE", "RAW", "Contestant", "begin"]


def _nothing(*_: object) -> None:
    """As it is."""


class Contestant(NamedTuple):
    """One of them. `prepare` is done before a client is made, as some patch botocore's classes; `dress` is done with
    the client, and gets the hosts that are to be trusted. `module` is what a program imports for boto3."""

    name: str
    libraries: tuple[str, ...] = ()
    module: str = "boto3"
    prepare: Callable[[], None] = _nothing
    dress: Callable[[Any, tuple[str, ...]], None] = _nothing


def _guarded(client: Any, hosts: tuple[str, ...]) -> None:
    from safe_sqs import Config, guard

    guard(client, Config(trusted_endpoint_hosts=hosts))


def _opentelemetry() -> None:
    from opentelemetry import trace
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, _: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    trace.set_tracer_provider(provider)
    BotocoreInstrumentor().instrument()


def _xray() -> None:
    from aws_xray_sdk.core import patch, xray_recorder

    class Nowhere:
        def send_entity(self, entity: Any) -> None:
            pass

    xray_recorder.configure(service="race", sampling=False, emitter=Nowhere())
    xray_recorder.begin_segment("race")
    patch(["botocore"])


def _ddtrace() -> None:
    os.environ |= {
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_TRACE_STARTUP_LOGS": "false",
        "DD_TRACE_STATS_COMPUTATION_ENABLED": "false",
    }
    from ddtrace import patch
    from ddtrace.trace import TraceFilter, tracer

    class Nowhere(TraceFilter):
        """Takes every trace before the writer has to encode it."""

        def process_trace(self, _: Any) -> None:
            return None

    tracer.configure(trace_processors=[Nowhere()])
    patch(botocore=True)


class NotSafeError(Exception):
    """What the naive guard raises."""


def _naive(client: Any, hosts: tuple[str, ...]) -> None:
    """Asks for the queue's attributes before each call, and looks for a star and for encryption."""

    def look(params: Any, **_: Any) -> None:
        answer = client.get_queue_attributes(QueueUrl=params["QueueUrl"], AttributeNames=["All"])
        attributes = answer["Attributes"]
        policy = json.loads(attributes.get("Policy", '{"Statement": []}'))
        is_open = any(
            each["Effect"] == "Allow" and each["Principal"] in ("*", {"AWS": "*"}) for each in policy["Statement"]
        )
        is_encrypted = attributes.get("SqsManagedSseEnabled") == "true" or "KmsMasterKeyId" in attributes
        if is_open or not is_encrypted:
            raise NotSafeError(params["QueueUrl"])

    for operation in ("SendMessage", "SendMessageBatch", "ReceiveMessage"):
        client.meta.events.register(f"provide-client-params.sqs.{operation}", look)


RAW = ("boto3", "boto3 again")
"""The same twice: how far these come out apart is what the race cannot tell from nothing."""

GUARD = "safe_sqs"
INSTRUMENTATIONS = ("OpenTelemetry", "AWS X-Ray SDK", "ddtrace")
NAIVE = "naive guard"

CONTESTANTS = {
    each.name: each
    for each in (
        Contestant(RAW[0]),
        Contestant(RAW[1]),
        Contestant(GUARD, ("safe_sqs",), module="safe_sqs", dress=_guarded),
        Contestant(
            INSTRUMENTATIONS[0],
            ("opentelemetry-instrumentation-botocore", "opentelemetry-sdk"),
            prepare=_opentelemetry,
        ),
        Contestant(INSTRUMENTATIONS[1], ("aws-xray-sdk",), prepare=_xray),
        Contestant(INSTRUMENTATIONS[2], ("ddtrace",), prepare=_ddtrace),
        Contestant(NAIVE, dress=_naive),
    )
}


def begin(name: str) -> Any:
    """What a program does at its start: everything is imported and put in place, and a client is made."""
    contestant = CONTESTANTS[name]
    contestant.prepare()
    client = import_module(contestant.module).client("sqs")
    if contestant.module == "boto3":
        contestant.dress(client, ())
    return client
