"""Sends or receives one message with a resource of aioboto3."""

import asyncio
import json
import sys

import aioboto3


async def main(task, queue_url):
    async with aioboto3.Session().resource("sqs") as sqs:
        queue = await sqs.Queue(queue_url)
        if task == "send":
            messages = ["hello"]
            await queue.send_message(MessageBody=messages[0])
            return messages
        messages = []
        for message in await queue.receive_messages(MaxNumberOfMessages=10):
            messages.append(await message.body)
            await message.delete()
        return messages


print(json.dumps({"passed": True, "messages": asyncio.run(main(*sys.argv[1:]))}))
