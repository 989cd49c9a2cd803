"""One process in which the guard, three tracers and a client are set up in the order that the command line gives:

  python instrumented.py GOOD_QUEUE UNENCRYPTED_QUEUE install opentelemetry xray datadog client

`adopt` guards a client that is there already. It prints, as JSON, what each tracer saw, and what is left when the guard
is uninstalled. It runs in the environment that has the tracers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3
from aws_xray_sdk.core import patch as patch_for_xray
from aws_xray_sdk.core import xray_recorder
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from ddtrace import patch as patch_for_datadog
from ddtrace.trace import TraceFilter, tracer
from opentelemetry import trace
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import safe_sqs
from safe_sqs.guarded import is_guarded

exporter = InMemorySpanExporter()
segments: list[Any] = []
spans: list[Any] = []


class KeepSegments:
    """Takes what X-Ray would send to its daemon."""

    def send_entity(self, entity: Any) -> None:
        segments.append(json.loads(entity.serialize()))


class KeepSpans(TraceFilter):
    """Takes what Datadog would send to its agent."""

    def process_trace(self, trace: Any) -> None:
        spans.extend(trace)


class Process:
    """What the words of the command line do."""

    client: Any = None

    def install(self) -> None:
        safe_sqs.install()

    def opentelemetry(self) -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        BotocoreInstrumentor().instrument()

    def xray(self) -> None:
        xray_recorder.configure(emitter=KeepSegments(), sampling=False)
        patch_for_xray(["botocore"])

    def datadog(self) -> None:
        tracer.configure(trace_processors=[KeepSpans()])
        patch_for_datadog(botocore=True, urllib3=True)

    def create(self) -> None:
        self.client = boto3.client("sqs")

    def adopt(self) -> None:
        safe_sqs.guard(self.client)


def attempt(client: Any, queue_url: str) -> str:
    try:
        with xray_recorder.in_subsegment("task"):
            client.send_message(QueueUrl=queue_url, MessageBody="the-body-of-the-message")
        return "sent"
    except safe_sqs.RefusedError as error:
        return error.findings[0].rule


def below(segment: Any) -> Iterator[Any]:
    """A segment of X-Ray, and all that are in it."""
    yield segment
    for each in segment.get("subsegments", []):
        yield from below(each)


def main(good: str, unencrypted: str, *words: str) -> dict[str, Any]:
    before = BaseClient.__dict__["__init__"]
    process = Process()
    for word in words:
        getattr(process, word)()
    with (
        xray_recorder.in_segment("program"),
        trace.get_tracer(__name__).start_as_current_span("program"),
        tracer.trace("program"),
    ):
        outcomes = [attempt(process.client, url) for url in (good, good, unencrypted)]
    wrapped = (BaseClient.__dict__["_make_api_call"], Endpoint.__dict__["prepare_request"])
    safe_sqs.uninstall()
    unguarded = boto3.session.Session().client("sqs")
    with xray_recorder.in_segment("afterwards"):
        afterwards = attempt(unguarded, unencrypted)
    return {
        "outcomes": outcomes,
        "opentelemetry": [[each.name, each.status.status_code.name] for each in exporter.get_finished_spans()],
        "xray": [
            [each.get("aws", {}).get("operation", each["name"]), bool(each.get("fault"))]
            for segment in segments
            for each in below(segment)
        ],
        "datadog": [
            [each.get_tag("aws.operation"), bool(each.error)] for each in spans if each.get_tag("aws.operation")
        ],
        "everything": repr(
            [
                [each.to_json() for each in exporter.get_finished_spans()],
                segments,
                [[each.get_tags(), each.get_metrics(), each.resource] for each in spans],
            ]
        ),
        "constructor is as before": BaseClient.__dict__["__init__"] is before,
        "wrappers are kept": wrapped == (BaseClient.__dict__["_make_api_call"], Endpoint.__dict__["prepare_request"]),
        "new client is guarded": is_guarded(unguarded),
        "sent by a new client": afterwards,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
