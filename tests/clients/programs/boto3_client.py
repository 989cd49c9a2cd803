"""Sends or receives one message with boto3's default session."""

import json
import sys

import boto3

task, queue_url = sys.argv[1:]
sqs = boto3.client("sqs")
if task == "send":
    messages = ["hello"]
    sqs.send_message(QueueUrl=queue_url, MessageBody=messages[0])
else:
    received = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    messages = [each["Body"] for each in received]
    for each in received:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=each["ReceiptHandle"])
print(json.dumps({"passed": True, "messages": messages}))
