"""What is left of the guard's cost on a call that passes, part by part, and why each part is needed.

A part is measured by leaving the others out: after the guard has judged queue and way out, some of its handlers are
taken off a client, or put off by ones that do nothing, and what that saves is what they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from contestants import RAW, Contestant

from safe_sqs import Config, guard
from safe_sqs.demo.unplugged import OPERATIONS

__all__ = ["DRESSED", "PARTS", "Part"]

EVENTS = ("before-sign", "before-send", "after-call")
"""The events of a call that passes at which the guard has a handler."""


class Part(NamedTuple):
    """Something that the guard does: what it costs is what `with_it` takes more than `without_it`."""

    name: str
    with_it: str
    without_it: str
    why: str


def _keeping(client: Any, _: tuple[str, ...], *, kept: Iterable[str]) -> None:
    """Guard a client, make each call once, and then leave only the handlers of some events; at the others of `EVENTS`
    that the guard used stands one that does nothing."""
    subscribed: list[tuple[str, Any, Any]] = []
    emitter = client.meta.events
    register = emitter.register_last

    def note(event: str, handler: Any, unique_id: Any = None, **more: Any) -> None:
        subscribed.append((event, handler, unique_id))
        register(event, handler, unique_id=unique_id, **more)

    emitter.register_last = note
    guard(client, Config())
    del emitter.register_last
    for make in OPERATIONS.values():
        make(client)()
    for event, handler, unique_id in subscribed:
        if event in EVENTS and event not in kept:
            emitter.unregister(event, handler, unique_id=unique_id)
            emitter.register_last(event, _IDLE_AT[event])


# Handlers at their cheapest: arguments that are not named are collected, which costs more.


def _idle_before_sign(
    request: Any,
    signature_version: Any,
    request_signer: Any,
    operation_name: str,
    signing_name: Any = None,
    region_name: Any = None,
    event_name: Any = None,
    **_: Any,
) -> None:
    pass


def _idle_before_send(request: Any, event_name: str, **_: Any) -> None:
    pass


def _idle_after_call(
    http_response: Any, parsed: Any, context: Any, model: Any = None, event_name: Any = None, **_: Any
) -> None:
    pass


_IDLE_AT = dict(zip(EVENTS, (_idle_before_sign, _idle_before_send, _idle_after_call), strict=True))


def _dressed(name: str, dress: Callable[[Any, tuple[str, ...]], None]) -> Contestant:
    return Contestant(name, dress=dress)


_IDLE = "idle handlers"

DRESSED = {
    each.name: each
    for each in (
        _dressed(_IDLE, partial(_keeping, kept=())),
        *(_dressed(f"{event} alone", partial(_keeping, kept=(event,))) for event in EVENTS),
    )
}

PARTS = (
    Part(
        "botocore's calls of three handlers",
        _IDLE,
        RAW[0],
        "A client's events are the only public place where all roads of a request pass. Two of them come before the "
        "bytes, as credentials are judged before a signature exists and the rest on what really leaves; the third "
        "brings the answer.",
    ),
    Part(
        "before-sign",
        "before-sign alone",
        _IDLE,
        "No signature and no session token is made for a host, a scheme or credentials that were not approved: URL, "
        "signature version and credentials are compared with those of last time. The body is noted for the answer.",
    ),
    Part(
        "before-send",
        "before-send alone",
        _IDLE,
        "What leaves is compared with what was approved: URL, signature, HTTP session and its certificate check, and "
        "the queue in the body with a verdict that is still good by both clocks. Any handler may have changed them "
        "since. Where a handler of others comes after the guard's, the request is sealed as well.",
    ),
    Part(
        "after-call",
        "after-call alone",
        _IDLE,
        "An answer which says that the queue is not what it was drops its verdict at once.",
    ),
)
