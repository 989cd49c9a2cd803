"""Answers that send a client elsewhere. botocore follows none of them by itself; programs help it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sockets import Answer
from support import WIRE_ONLY

from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("redirects")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope


def follow(client: Any) -> None:
    """A handler that has botocore try again where a redirect leads to."""

    def handler(response: Any, request_dict: dict[str, Any], attempts: int, **_: Any) -> int | None:
        if response is not None and response[0].status_code in (301, 302, 307, 308) and attempts == 1:
            request_dict["url"] = response[0].headers["Location"]
            return 0
        return None

    client.meta.events.register_first("needs-retry.sqs", handler)


def followed(status: int, place: Callable[[Stage], str]) -> Callable[[Stage], None]:
    """A trusted server that redirects, and a client that was taught to follow."""

    def attempt(stage: Stage) -> None:
        stage.unknown.answer = lambda _: Answer(status, headers={"Location": place(stage)})
        stage.allowed_at_unknown = 1
        client = stage.client(stage.to_unknown, modes=WIRE_ONLY)
        follow(client)
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    return attempt


for _status in (301, 302, 307, 308):
    FAMILY.add(
        f"{_status}-to-plain-http",
        f"A redirect with status {_status} to plain HTTP, which a handler of `needs-retry` follows.",
        followed(_status, lambda stage: stage.plain.url),
    )


@way
def to_a_host_that_nobody_trusts(stage: Stage) -> None:
    """A redirect to a host that is not trusted, which a handler of `needs-retry` follows through a proxy."""
    stage.unknown.answer = lambda _: Answer(307, headers={"Location": "https://evil.example/"})
    stage.allowed_at_unknown = 1
    client = stage.client(stage.to_unknown, modes=WIRE_ONLY)
    follow(client)

    def through_a_proxy(**_: object) -> None:
        client._endpoint.http_session._proxy_config._proxies = {"https": stage.plain.url}

    client.meta.events.register("response-received.sqs", through_a_proxy)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def region_redirect(stage: Stage) -> None:
    """An error that names another endpoint, as S3 has them, which a handler of `before-sign` remembers for the next
    call."""
    stage.unknown.answer = lambda _: Answer(400, headers={"X-Endpoint": stage.plain.url})
    stage.allowed_at_unknown = 1
    client = stage.client(stage.to_unknown, modes=WIRE_ONLY)
    found: list[str] = []

    def remember(response_dict: dict[str, Any], **_: object) -> None:
        found.append(response_dict["headers"].get("X-Endpoint", ""))

    def turn(request: Any, **_: object) -> None:
        if found:
            request.url = found[0]

    client.meta.events.register("response-received.sqs", remember)
    client.meta.events.register("before-sign.sqs", turn)
    for _ in range(2):
        try:
            client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)
        except client.exceptions.ClientError:
            continue


@way
def queue_url_in_an_answer(stage: Stage) -> None:
    """A trusted server that answers GetQueueUrl with a URL over plain HTTP, which the program takes for its
    endpoint."""
    body = f'{{"QueueUrl": "{stage.plain.url}/123456789012/orders"}}'.encode()
    stage.unknown.answer = lambda _: Answer(body=body)
    stage.allowed_at_unknown = 1
    url = stage.client(stage.to_unknown).get_queue_url(QueueName="orders")["QueueUrl"]
    parts = urlsplit(url)
    client = stage.client({"endpoint_url": f"{parts.scheme}://{parts.netloc}"})
    client.send_message(QueueUrl=url, MessageBody=stage.secret)


@out_of_scope("trusts certifi's authorities and follows redirects, to plain HTTP too, and then with the session token")
def followed_by_another_http_client(stage: Stage) -> None:
    """A receive that is signed with the client, as Celery's worker does, and sent by an HTTP client that follows
    redirects."""
    stage.unknown.answer = lambda _: Answer(302, headers={"Location": stage.plain.url})
    stage.allowed_at_unknown = 1
    client = stage.client(stage.to_unknown, modes=WIRE_ONLY)
    request = stage.request_by_hand(client, stage.good)
    request.method = "GET"
    client._request_signer.sign("ReceiveMessage", request)
    context = ssl.create_default_context(cafile=stage.unknown.authority)
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    with urlopen(Request(request.url, headers=headers), context=context):
        pass
