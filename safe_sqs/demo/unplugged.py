"""SQS clients whose network is stubbed at their HTTP session: what a call of theirs costs, it costs in this process."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from enum import Enum
from functools import partial
from typing import Any

import boto3.session
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials, RefreshableCredentials

from safe_sqs import Config, guard
from safe_sqs.demo.surroundings import clean_surroundings

__all__ = [
    "BODY",
    "FIRST_SEND",
    "KEYS",
    "ONE_CLIENT",
    "OPERATIONS",
    "QUEUE_URL",
    "Network",
    "Provider",
    "content_of",
    "session_with",
    "two_clients_and_a_guarded_one",
]

QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
BODY = json.dumps({"order": 4711, "customer": "c-0815", "lines": [{"article": "a-1", "count": 2}] * 3})
KEYS: dict[str, Any] = {
    "access_key": "ASIAEXAMPLEEXAMPLE01",
    "secret_key": "a-secret-for-measuring",
    "token": "t" * 400,
}
OPERATIONS: dict[str, Callable[[Any], Callable[[], object]]] = {
    "send": lambda sqs: partial(sqs.send_message, QueueUrl=QUEUE_URL, MessageBody=BODY),
    "batch of ten": lambda sqs: partial(
        sqs.send_message_batch,
        QueueUrl=QUEUE_URL,
        Entries=[{"Id": str(number), "MessageBody": BODY} for number in range(10)],
    ),
    "receive of ten": lambda sqs: partial(sqs.receive_message, QueueUrl=QUEUE_URL, MaxNumberOfMessages=10),
}
"""The calls that are measured, of a client: one message of some 200 bytes, ten of them, and an answer with ten."""


class Provider(str, Enum):
    """Where the temporary credentials come from: the environment, or a provider that renews them."""

    STATIC = "static"
    REFRESHABLE = "refreshable"


class Network:
    """Answers in the place of the network, from memory. `looks` is how often a queue's attributes were asked for."""

    def __init__(self) -> None:
        self.looks = 0

    def unplug(self, client: Any) -> None:
        """From now on the requests of this client come here."""
        client._endpoint.http_session.send = self._answer

    def _answer(self, request: Any) -> AWSResponse:
        target = request.headers["X-Amz-Target"]
        if target == _LOOK:
            self.looks += 1
        headers: Any = {
            "Content-Type": "application/x-amz-json-1.0",
            "x-amzn-RequestId": "df6bcdc5-8ee3-5b2d-9d1c-94a7d6f5b9e1",
        }
        return AWSResponse(request.url, 200, headers, _Content(content_of(target, request.body)))


def session_with(provider: Provider) -> boto3.session.Session:
    """A session of boto3 with temporary credentials."""
    session = botocore.session.Session()
    session.register_component("credential_provider", _Credentials(provider))
    return boto3.session.Session(botocore_session=session)


@contextmanager
def two_clients_and_a_guarded_one(provider: Provider) -> Iterator[tuple[Any, Any, Any]]:
    """Two clients without guard and one with, all with a stubbed network. Raises RuntimeError at the end when the
    guard has not looked at the queue exactly once: then something else than the usual case was measured."""
    network = Network()
    gc.collect()  # ends what the last trio knew of the queue, and its garbage
    with clean_surroundings():
        session = session_with(provider)
        clients: list[Any] = [session.client("sqs") for _ in range(3)]
        for client in clients:
            network.unplug(client)
        guarded = guard(clients[2], Config())
        yield clients[0], clients[1], guarded
    if network.looks != 1:
        raise RuntimeError(f"the guard looked {network.looks} times at the queue, so this was not the usual case")


class _Credentials:
    """A provider in botocore's sense, with temporary credentials."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def load_credentials(self) -> Credentials:
        if self._provider is Provider.STATIC:
            return Credentials(**KEYS, method="env")
        ends = datetime.now(timezone.utc) + timedelta(hours=6)
        return RefreshableCredentials(**KEYS, expiry_time=ends, refresh_using=self._renew, method="assume-role")

    def _renew(self) -> dict[str, str]:
        raise RuntimeError("credentials that last for hours were renewed within minutes")


class _Content:
    """The body of an answer, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


# --- answers ----------------------------------------------------------------------------------------------------


def _message(number: int) -> dict[str, object]:
    return {
        "MessageId": f"5fea7756-0ea4-451a-a703-a558b933e27{number}",
        "ReceiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a" * 8,
        "MD5OfBody": "fafb00f5732ab283681e124bf8747ed1",
        "Body": BODY,
    }


def _attributes(queue_url: str) -> dict[str, object]:
    """What is told of a queue: encrypted, and open to nobody else."""
    arn = f"arn:aws:sqs:us-east-1:123456789012:{queue_url.rpartition('/')[2]}"
    only_https = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [only_https]})
    return {"Attributes": {"QueueArn": arn, "SqsManagedSseEnabled": "true", "Policy": policy}}


_SENT = {"MessageId": "5fea7756-0ea4-451a-a703-a558b933e274", "MD5OfMessageBody": "fafb00f5732ab283681e124bf8747ed1"}
_LOOK = b"AmazonSQS.GetQueueAttributes"
_ANSWERS: dict[bytes, dict[str, object]] = {
    b"AmazonSQS.SendMessage": {**_SENT},
    b"AmazonSQS.SendMessageBatch": {"Successful": [{"Id": str(number), **_SENT} for number in range(10)], "Failed": []},
    b"AmazonSQS.ReceiveMessage": {"Messages": [_message(number) for number in range(10)]},
    _LOOK: _attributes(QUEUE_URL),
}
_CONTENTS = {target: json.dumps(answer).encode() for target, answer in _ANSWERS.items()}


def content_of(target: bytes, body: bytes) -> bytes:
    """The body of the answer to a request, whatever the queue: a target is the operation, as in `X-Amz-Target`."""
    if target == _LOOK and json.dumps(QUEUE_URL).encode() not in body:
        return json.dumps(_attributes(json.loads(body)["QueueUrl"])).encode()
    return _CONTENTS[target]


ONE_CLIENT = "sqs = boto3.client('sqs')"
FIRST_SEND = f"""
from botocore.awsrequest import AWSResponse

class Content:
    def __init__(self, content): self.content = content
    def stream(self): yield self.content

def answer(request):
    return AWSResponse(request.url, 200, {{}}, Content(contents[request.headers["X-Amz-Target"]]))

contents = {_CONTENTS!r}
{ONE_CLIENT}
sqs._endpoint.http_session.send = answer
sqs.send_message(QueueUrl={QUEUE_URL!r}, MessageBody={BODY!r})
"""
