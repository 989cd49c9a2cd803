"""amazon-sqs-extended-client: sends a message whose body goes to S3, or receives one with the body from there."""

import json
import os
import sys

import boto3
import sqs_extended_client  # noqa: F401  (it replaces boto3's Session when it is imported)

action, queue_url = sys.argv[1:]
client = boto3.client("sqs")
client.large_payload_support = os.environ.get("PAYLOAD_BUCKET", "payloads")
client.always_through_s3 = os.environ.get("PAYLOAD_SIZE") == "small"
body = "hello" if client.always_through_s3 else "x" * 300_000
received = []
if action == "send":
    client.send_message(QueueUrl=queue_url, MessageBody=body)
else:
    for message in client.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1).get("Messages", []):
        received.append(message["Body"][:5])
        client.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
print(json.dumps({"passed": True, "messages": received}))
