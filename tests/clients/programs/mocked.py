"""A test of a program that uses boto3, under moto's mock: nothing of it is meant to leave the process.

The queue is made as the variable QUEUE_ATTRIBUTES says, as if it were read from the infrastructure code.
"""

import json
import os
import sys

import boto3
from moto import mock_aws
from moto.sqs import sqs_backends

task, queue_url = sys.argv[1:]
with mock_aws(config={"core": {"mock_credentials": False}}):
    backend = sqs_backends["123456789012"][os.environ["AWS_DEFAULT_REGION"]]
    queue = backend.create_queue("mocked", **json.loads(os.environ["QUEUE_ATTRIBUTES"]))
    sqs = boto3.client("sqs")
    if task == "send":
        sqs.send_message(QueueUrl=queue_url, MessageBody="hello")
        messages = [each.body for each in queue.messages]
    else:
        backend.send_message("mocked", "hello")
        messages = [each["Body"] for each in sqs.receive_message(QueueUrl=queue_url).get("Messages", [])]
print(json.dumps({"passed": True, "messages": messages}))
