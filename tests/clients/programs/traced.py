"""Sends or receives one message with boto3, watched by OpenTelemetry, X-Ray and Datadog at the same time."""

import json
import sys

import boto3
from aws_xray_sdk.core import patch as patch_for_xray
from aws_xray_sdk.core import xray_recorder
from ddtrace import patch as patch_for_datadog
from opentelemetry import trace
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())
BotocoreInstrumentor().instrument()
patch_for_xray(["botocore"])
patch_for_datadog(botocore=True, urllib3=True)

task, queue_url = sys.argv[1:]
sqs = boto3.client("sqs")
with xray_recorder.in_segment(task), trace.get_tracer(__name__).start_as_current_span(task):
    if task == "send":
        messages = ["hello"]
        sqs.send_message(QueueUrl=queue_url, MessageBody=messages[0])
    else:
        received = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
        messages = [each["Body"] for each in received]
        for each in received:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=each["ReceiptHandle"])
print(json.dumps({"passed": True, "messages": messages}))
