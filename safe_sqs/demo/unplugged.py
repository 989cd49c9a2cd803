"""SQS clients whose network is stubbed at their HTTP session: what a call of theirs costs, it costs in this process."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
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

__all__ = ["BODY", "FIRST_SEND", "KEYS", "ONE_CLIENT", "QUEUE_URL", "Provider", "two_clients_and_a_guarded_one"]

QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
_QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:orders"
BODY = json.dumps({"order": 4711, "customer": "c-0815", "lines": [{"article": "a-1", "count": 2}] * 3})
KEYS: dict[str, Any] = {
    "access_key": "ASIAEXAMPLEEXAMPLE01",
    "secret_key": "a-secret-for-measuring",
    "token": "t" * 400,
}


class Provider(str, Enum):
    """Where the temporary credentials come from: the environment, or a provider that renews them."""

    STATIC = "static"
    REFRESHABLE = "refreshable"


@contextmanager
def two_clients_and_a_guarded_one(provider: Provider) -> Iterator[tuple[Any, Any, Any]]:
    """Two clients without guard and one with, all with a stubbed network. Raises RuntimeError at the end when the
    guard has not looked at the queue exactly once: then something else than the usual case was measured."""
    looks: list[str] = []
    gc.collect()  # ends what the last trio knew of the queue, and its garbage
    with clean_surroundings():
        session = botocore.session.Session()
        session.register_component("credential_provider", _Credentials(provider))
        boto = boto3.session.Session(botocore_session=session)
        clients: list[Any] = [boto.client("sqs") for _ in range(3)]
        for client in clients:
            client._endpoint.http_session.send = partial(_answer, looks)
        guarded = guard(clients[2], Config())
        yield clients[0], clients[1], guarded
    if len(looks) != 1:
        raise RuntimeError(f"the guard looked {len(looks)} times at the queue, so this was not the usual case")


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


def _answer(looks: list[str], request: Any) -> AWSResponse:
    target = request.headers["X-Amz-Target"]
    if target == b"AmazonSQS.GetQueueAttributes":
        looks.append(request.url)
    headers: Any = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amzn-RequestId": "df6bcdc5-8ee3-5b2d-9d1c-94a7d6f5b9e1",
    }
    return AWSResponse(request.url, 200, headers, _Content(_CONTENTS[target]))


# --- answers ----------------------------------------------------------------------------------------------------


def _message(number: int) -> dict[str, object]:
    return {
        "MessageId": f"5fea7756-0ea4-451a-a703-a558b933e27{number}",
        "ReceiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a" * 8,
        "MD5OfBody": "fafb00f5732ab283681e124bf8747ed1",
        "Body": BODY,
    }


_ONLY_HTTPS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": _QUEUE_ARN,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}
_ANSWERS = {
    b"AmazonSQS.SendMessage": {
        "MessageId": "5fea7756-0ea4-451a-a703-a558b933e274",
        "MD5OfMessageBody": "fafb00f5732ab283681e124bf8747ed1",
    },
    b"AmazonSQS.ReceiveMessage": {"Messages": [_message(number) for number in range(10)]},
    b"AmazonSQS.GetQueueAttributes": {
        "Attributes": {"QueueArn": _QUEUE_ARN, "SqsManagedSseEnabled": "true", "Policy": json.dumps(_ONLY_HTTPS)}
    },
}
_CONTENTS = {target: json.dumps(answer).encode() for target, answer in _ANSWERS.items()}

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
