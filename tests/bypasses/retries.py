"""What changes between two attempts of one call, and programs that try again by themselves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botocore.config import Config as ClientConfig
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from sockets import Answer
from support import LONG_TERM, UNENCRYPTED, WIRE_ONLY, ManualClock

from bypasses.stage import KEYS, Stage
from bypasses.ways import Face, Family
from safe_sqs import GuardError

FAMILY = Family("retries")
way, way_where = FAMILY.way, FAMILY.way_where

Change = Callable[[Any, dict[str, Any]], None]


def once_more(client: Any, change: Change) -> None:
    """Have botocore try once more after the first attempt, whatever came of it, with something changed."""

    def handler(attempts: int, request_dict: dict[str, Any], **_: Any) -> int | None:
        if attempts > 1:
            return None
        change(client, request_dict)
        return 0

    client.meta.events.register_first("needs-retry.sqs.SendMessage", handler)


@way
def trying_again_and_again(stage: Stage) -> None:
    """A loop that swallows refusals and tries again, then a receive."""
    client = stage.client()
    for _ in range(10):
        with suppress(GuardError):
            client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)
    client.receive_message(QueueUrl=stage.bad)


@way
def good_calls_first(stage: Stage) -> None:
    """Some calls to a good queue, then one to a bad queue."""
    client = stage.client()
    for _ in range(3):
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def falling_back_to_plain_http(stage: Stage) -> None:
    """A program that falls back to plain HTTP when HTTPS is refused to it."""
    for url in ("https://localhost:9", stage.plain.url):
        try:
            client = stage.client({"endpoint_url": url, "verify": stage.front.authority})
            client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)
        except Exception:
            if url == stage.plain.url:
                raise


@way
def falling_back_to_no_verification(stage: Stage) -> None:
    """A program that falls back to no certificate checks when a certificate is refused."""
    for verify in (stage.front.authority, False):
        try:
            client = stage.client({"endpoint_url": stage.unknown.url, "verify": verify})
            client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)
        except Exception:
            if verify is False:
                raise
            stage.unknown.forget()  # it saw a handshake that was broken off


@way
def another_queue_at_the_second_attempt(stage: Stage) -> None:
    """A handler that puts another queue into the second attempt."""
    client = stage.client()

    def change(_: Any, request: dict[str, Any]) -> None:
        request["body"] = request["body"].replace(stage.good.encode(), stage.bad.encode())

    once_more(client, change)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")


@way
def another_endpoint_at_the_second_attempt(stage: Stage) -> None:
    """A handler that sends the second attempt to plain HTTP."""
    client = stage.client()
    once_more(client, lambda _, request: request.update(url=stage.plain.url))
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")


def at_the_second_attempt(change: Change, config: ClientConfig | None = None) -> Callable[[Stage], None]:
    """A trusted server that fails once, and a change before botocore tries again."""

    def attempt(stage: Stage) -> None:
        code = b'{"__type": "com.amazonaws.sqs#ExpiredTokenException", "message": "expired"}'
        stage.unknown.answer = lambda _: Answer(403, code)
        stage.allowed_at_unknown = 1
        own = {"config": config} if config else {}
        client = stage.client({**stage.to_unknown, **own}, modes=WIRE_ONLY)
        once_more(client, change)
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    return attempt


def long_term_keys(client: Any, _: dict[str, Any]) -> None:
    client._request_signer._credentials = Credentials(*KEYS)


def no_verification(client: Any, _: dict[str, Any]) -> None:
    client._endpoint.http_session.close()
    client._endpoint.http_session = URLLib3Session(verify=False)


FAMILY.add(
    "long-term-keys-when-a-token-has-expired",
    "A handler that falls back to long-term keys when the service says that the token has expired.",
    at_the_second_attempt(long_term_keys),
)
FAMILY.add(
    "no-verification-at-the-second-attempt",
    "A handler that puts in an HTTP session without certificate checks before the second attempt.",
    at_the_second_attempt(no_verification),
)
for _mode in ("standard", "adaptive"):
    FAMILY.add(
        f"long-term-keys-in-mode-{_mode}",
        f"The same fall-back to long-term keys in the retry mode {_mode}.",
        at_the_second_attempt(long_term_keys, ClientConfig(retries={"mode": _mode, "total_max_attempts": 3})),
    )


@way
def long_term_keys_in_a_second_client(stage: Stage) -> None:
    """A program that makes a client with long-term keys when the first one fails."""
    with suppress(Exception):
        stage.client({"endpoint_url": "https://localhost:9"}).list_queues()
    client = stage.client({**LONG_TERM, "aws_session_token": None})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way_where(only=Face.GUARD)
def verdict_that_ends_between_two_attempts(stage: Stage) -> None:
    """A queue whose encryption is taken away between two attempts of one call, while the verdict comes to its end."""
    time = ManualClock()
    client = stage.client(clock=time.clock)

    def change(_: Any, __: Any) -> None:
        stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)
        time.advance(400)
        stage.watch(stage.good)

    once_more(client, change)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
