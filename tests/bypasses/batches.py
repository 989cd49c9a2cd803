"""Batches with mixed content, and content that looks like a request."""

from __future__ import annotations

import json

from support import UNENCRYPTED

from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("batches with mixed content")
way = FAMILY.way


def names_the(queue: str) -> dict[str, dict[str, str]]:
    """A message attribute that is called as the parameter with the queue is."""
    return {"QueueUrl": {"DataType": "String", "StringValue": queue}}


@way
def all_kinds_of_content(stage: Stage) -> None:
    """A batch to a bad queue whose messages name a good one in every way."""
    stage.client().send_message_batch(
        QueueUrl=stage.bad,
        Entries=[
            {"Id": "1", "MessageBody": json.dumps({"QueueUrl": stage.good})},
            {"Id": "2", "MessageBody": stage.good, "MessageAttributes": names_the(stage.good)},
            {"Id": "3", "MessageBody": "\u00e9\U0001f600", "DelaySeconds": 0},
        ],
    )


@way
def entries_ahead_of_the_queue(stage: Stage) -> None:
    """A batch whose entries, which name a good queue, stand ahead of the bad one."""
    entries = [{"Id": "1", "MessageBody": f'"QueueUrl": "{stage.good}"', "MessageAttributes": names_the(stage.good)}]
    stage.client().send_message_batch(Entries=entries, QueueUrl=stage.bad)


@way
def body_ahead_of_the_queue(stage: Stage) -> None:
    """A message that names a good queue as a request would, ahead of the bad one."""
    client = stage.client()
    client.send_message(MessageBody=f'{{"QueueUrl": "{stage.good}"}}', QueueUrl=stage.bad)


@way
def attribute_ahead_of_the_queue(stage: Stage) -> None:
    """A message attribute that names a good queue, ahead of the bad one."""
    client = stage.client()
    client.send_message(MessageAttributes=names_the(stage.good), MessageBody=stage.secret, QueueUrl=stage.bad)


@way
def body_that_ends_its_string(stage: Stage) -> None:
    """A message with quotation marks and escapes that would end the string which it stands in."""
    text = f'", "QueueUrl": "{stage.good}", "x": "\\", "QueueUrl": "{stage.good}'
    stage.client().send_message(MessageBody=text, QueueUrl=stage.bad)


@way
def ten_at_once(stage: Stage) -> None:
    """A full batch of ten, of which one is not harmless."""
    entries = [{"Id": str(number), "MessageBody": "harmless"} for number in range(9)]
    stage.client().send_message_batch(QueueUrl=stage.bad, Entries=[*entries, {"Id": "9", "MessageBody": stage.secret}])


@way
def same_id_twice(stage: Stage) -> None:
    """A batch in which two messages have the same id, which the service refuses as a whole."""
    entries = [{"Id": "1", "MessageBody": stage.secret}, {"Id": "1", "MessageBody": stage.secret}]
    stage.client().send_message_batch(QueueUrl=stage.bad, Entries=entries)


@way
def empty_batch(stage: Stage) -> None:
    """A batch without messages to a bad queue."""
    stage.client().send_message_batch(QueueUrl=stage.bad, Entries=[])


@way
def fifo_queue(stage: Stage) -> None:
    """A batch to a FIFO queue without encryption."""
    url = stage.queue("evil.fifo", FifoQueue="true", ContentBasedDeduplication="true", **UNENCRYPTED)
    entries = [{"Id": "1", "MessageBody": stage.secret, "MessageGroupId": stage.good}]
    stage.client().send_message_batch(QueueUrl=url, Entries=entries)


@way
def names_of_attributes(stage: Stage) -> None:
    """A receive from a bad queue that asks for message attributes whose names look like a parameter."""
    names = ["QueueUrl", f'"QueueUrl": "{stage.good}"']
    stage.client().receive_message(MessageAttributeNames=names, QueueUrl=stage.bad)


@way
def system_attributes(stage: Stage) -> None:
    """A message whose tracing header names a good queue, ahead of the bad one."""
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": f'"QueueUrl": "{stage.good}"'}}
    client = stage.client()
    client.send_message(MessageSystemAttributes=header, MessageBody=stage.secret, QueueUrl=stage.bad)


@way
def binary_attribute(stage: Stage) -> None:
    """A message attribute of bytes that look like a request."""
    attribute = {"QueueUrl": {"DataType": "Binary", "BinaryValue": f'{{"QueueUrl": "{stage.good}"}}'.encode()}}
    client = stage.client()
    client.send_message(MessageAttributes=attribute, MessageBody=stage.secret, QueueUrl=stage.bad)


@way
def settling_over_plain_http(stage: Stage) -> None:
    """A batch that deletes messages, which no rule about queues holds, over plain HTTP."""
    client = stage.client({"endpoint_url": stage.plain.url})
    client.delete_message_batch(QueueUrl=stage.good, Entries=[{"Id": "1", "ReceiptHandle": stage.secret}])
