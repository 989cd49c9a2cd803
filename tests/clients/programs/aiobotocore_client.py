"""Sends or receives one message with aiobotocore."""

import asyncio
import json
import sys

from aiobotocore.session import get_session


async def main(task, queue_url):
    async with get_session().create_client("sqs") as sqs:
        if task == "send":
            messages = ["hello"]
            await sqs.send_message(QueueUrl=queue_url, MessageBody=messages[0])
            return messages
        received = (await sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)).get("Messages", [])
        deletions = [sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=each["ReceiptHandle"]) for each in received]
        await asyncio.gather(*deletions)
        return [each["Body"] for each in received]


print(json.dumps({"passed": True, "messages": asyncio.run(main(*sys.argv[1:]))}))
