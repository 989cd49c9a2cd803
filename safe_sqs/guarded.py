"""Which clients are guarded, and by what: a mark on the events of the client, where the guard listens."""

from __future__ import annotations

from typing import Any

__all__ = ["forget_guard", "guards_of", "is_asynchronous", "is_guarded", "is_sqs", "note_guard"]

_MARK = "_safe_sqs"


def is_sqs(client: Any) -> bool:
    """True for a client of SQS, under whatever name its model is stored: `aws configure add-model` lets one choose."""
    model = getattr(getattr(client, "meta", None), "service_model", None)
    return getattr(model, "service_name", "") == "sqs" or getattr(model, "metadata", {}).get("serviceId") == "SQS"


def note_guard(client: Any, guard: Any) -> None:
    """Note that a client is guarded by something."""
    # Not by way of vars(): once its __dict__ was asked for, each call finds the emitter's attributes more slowly.
    setattr(client.meta.events, _MARK, (*guards_of(client), guard))


def forget_guard(client: Any, guard: Any) -> None:
    """Note that something does not guard a client any more."""
    setattr(client.meta.events, _MARK, tuple(each for each in guards_of(client) if each is not guard))


def guards_of(client: Any) -> tuple[Any, ...]:
    """What guards a client: the subscriptions that were made for it, in their order."""
    return tuple(getattr(client.meta.events, _MARK, ()))


def is_guarded(client: Any) -> bool:
    """True when a client has a guard."""
    return bool(guards_of(client))


def is_asynchronous(client: Any) -> bool:
    """True for a client of aiobotocore, whose events await what handlers return."""
    return any(base.__module__ == "aiobotocore.client" for base in type(client).__mro__)
