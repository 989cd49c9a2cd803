"""URLs that carry their signature with them."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.request import Request, urlopen

from support import LONG_TERM, UNENCRYPTED

from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("presigned URLs")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope


def presign(client: Any, url: str, text: str, operation: str = "send_message", **more: Any) -> str:
    """A URL for a message."""
    parameters = {"QueueUrl": url} | ({"MessageBody": text} if operation == "send_message" else {})
    made: str = client.generate_presigned_url(operation, Params=parameters, **more)
    return made


def use(stage: Stage, url: str, operation: str = "SendMessage", authority: str = "") -> None:
    """Use a URL, as whoever was given it does."""
    context = ssl.create_default_context(cafile=authority or stage.front.authority)
    headers = {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    with urlopen(Request(url, method="POST", headers=headers), context=context if url.startswith("https") else None):
        pass


@way
def over_plain_http(stage: Stage) -> None:
    """A URL over plain HTTP."""
    client = stage.client({"endpoint_url": stage.plain.url})
    use(stage, presign(client, stage.bad, stage.secret))


@way
def for_a_message_to_a_bad_queue(stage: Stage) -> None:
    """A URL for a message to a queue without encryption."""
    use(stage, presign(stage.client(), stage.bad, stage.secret))


@way
def for_a_receive_from_a_bad_queue(stage: Stage) -> None:
    """A URL for a receive from a queue without encryption."""
    client = stage.client()
    use(stage, presign(client, stage.bad, "", "receive_message"), "ReceiveMessage")


@way
def by_get(stage: Stage) -> None:
    """A URL for a message to a bad queue, to be used with GET."""
    use(stage, presign(stage.client(), stage.bad, stage.secret, HttpMethod="GET"))


@way
def with_long_term_keys(stage: Stage) -> None:
    """A URL that is signed with long-term keys."""
    client = stage.client({**LONG_TERM, "aws_session_token": None})
    use(stage, presign(client, stage.good, stage.secret))


@way
def for_a_host_that_nobody_trusts(stage: Stage) -> None:
    """A URL for a host that is not trusted."""
    client = stage.client(stage.to_unknown, trusted_endpoint_hosts=[stage.front.host])
    use(stage, presign(client, stage.good, stage.secret), authority=stage.unknown.authority)


@way
def by_the_signer(stage: Stage) -> None:
    """A URL that the client's signer makes from a request by hand."""
    client = stage.client()
    request = stage.dict_by_hand(client, stage.bad)
    use(stage, client._request_signer.generate_presigned_url(request, "SendMessage"))


@way
def by_the_resource(stage: Stage) -> None:
    """A URL that the client of a resource makes."""
    client = stage.library.resource("sqs").Queue(stage.bad).meta.client
    use(stage, presign(client, stage.bad, stage.secret))


@way
def that_a_handler_turns(stage: Stage) -> None:
    """A URL whose request a handler turns to plain HTTP before it is signed."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")

    def turn(request: Any, **_: Any) -> None:
        request.url = stage.plain.url

    client.meta.events.register_last("before-sign", turn)
    use(stage, presign(client, stage.good, stage.secret))


@way
def by_a_producer_for_a_receive(stage: Stage) -> None:
    """A URL for a receive, made by a client whose role is to send."""
    stage.watch(stage.good)
    client = stage.client(role="producer")
    use(stage, presign(client, stage.good, "", "receive_message"), "ReceiveMessage")


@out_of_scope("They are judged when they are made, not when they are used")
def used_when_the_queue_turned_bad(stage: Stage) -> None:
    """A URL for a queue that is good when it is made, and bad when it is used."""
    url = presign(stage.client(), stage.good, stage.secret)
    stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)
    use(stage, url)


@out_of_scope("They are judged when they are made, not when they are used")
def changed_after_it_was_made(stage: Stage) -> None:
    """A URL in which another queue is named after it was made. Its signature is wrong then, and AWS refuses it."""
    url = presign(stage.client(), stage.good, stage.secret)
    use(stage, url.replace(stage.good.rpartition("/")[2], stage.bad.rpartition("/")[2]))
