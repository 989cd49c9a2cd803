"""Sends or receives one message with botocore alone, in batches."""

import json
import sys

from botocore.session import get_session

task, queue_url = sys.argv[1:]
sqs = get_session().create_client("sqs")
if task == "send":
    messages = ["hello"]
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(messages)]
    assert not sqs.send_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed")
else:
    received = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    messages = [each["Body"] for each in received]
    entries = [{"Id": each["MessageId"], "ReceiptHandle": each["ReceiptHandle"]} for each in received]
    assert not sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries).get("Failed")
print(json.dumps({"passed": True, "messages": messages}))
