"""What the guard does not look at: other roads to SQS, and what counts as meant."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any
from urllib.request import Request, urlopen

from botocore.auth import SigV4Auth
from botocore.credentials import Credentials
from support import REGION, TEMPORARY, WIRE_ONLY

from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("beyond the client")
out_of_scope = FAMILY.out_of_scope


@out_of_scope("Other AWS SDKs, version 2 of the AWS CLI, raw HTTP")
def raw_http(stage: Stage) -> None:
    """A message by the standard library's HTTP client."""
    request = stage.request_by_hand(stage.unprotected(), stage.bad)
    SigV4Auth(Credentials(*TEMPORARY.values()), "sqs", REGION).add_auth(request)
    context = ssl.create_default_context(cafile=stage.front.authority)
    with urlopen(Request(request.url, request.data, dict(request.headers)), context=context):
        pass


@out_of_scope("counts as meant, without a check of whose it is")
def policy_that_names_a_stranger(stage: Stage) -> None:
    """A message to a queue whose policy names a foreign account in full."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Action": "sqs:ReceiveMessage",
        "Resource": stage.arn(stage.good),
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes={"Policy": policy})
    stage.client().send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@out_of_scope("What is in a message is neither looked at nor encrypted")
def secret_in_a_message(stage: Stage) -> None:
    """A message with a key in it, to a good queue."""
    stage.client().send_message(QueueUrl=stage.good, MessageBody=f"AKIAEXAMPLEEXAMPLE02 {stage.secret}")


@out_of_scope("The connection resolves it again, and may be given another address")
def name_that_resolves_to_something_else(stage: Stage) -> None:
    """A name that resolves to a private address when the guard asks, and to another when the connection does."""
    real = socket.getaddrinfo
    asked: list[int] = []

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **more: Any) -> Any:
        if host == "localhost" and port == stage.unknown.server_port:
            asked.append(1)
            if len(asked) == 1 and stage.is_guarded:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]
        return real(host, port, *arguments, **more)

    stage.patch.setattr(socket, "getaddrinfo", getaddrinfo)
    client = stage.client(stage.to_unknown, modes={**WIRE_ONLY, "vpc-route": "enforce"})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)
