"""What happened, as frozen records, for those who subscribe and for the log.

Nothing is written for a call that passes. Records carry findings, operations and queue URLs: no message, no secret.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from threading import Lock
from typing import Any, NamedTuple

from safe_sqs.model import Finding

__all__ = ["Event", "LookedUp", "Noticed", "Outcome", "Refused", "Warned", "emit", "subscribe"]


class Outcome(str, Enum):
    """How a look-up of a queue ended."""

    PASSES = "pass"
    REFUSES = "refuse"
    UNVERIFIABLE = "unverifiable"


class Refused(NamedTuple):
    """A call was refused; the same findings are in the error that was raised."""

    operation: str
    queue: str
    findings: tuple[Finding, ...]


class Warned(NamedTuple):
    """Rules in the mode `warn` found something. Told once for each look at a queue or a connection, not for each
    call."""

    operation: str
    queue: str
    findings: tuple[Finding, ...]


class Noticed(NamedTuple):
    """Something that no rule judges and that a person should know: `topic` is fixed, `text` is a sentence."""

    topic: str
    text: str
    queue: str = ""


class LookedUp(NamedTuple):
    """The attributes of a queue were asked for. Not logged."""

    queue: str
    outcome: Outcome


Event = Refused | Warned | Noticed | LookedUp


class _Subscription(NamedTuple):
    callback: Callable[[Event], None]


_subscriptions: tuple[_Subscription, ...] = ()
_subscribing = Lock()


def subscribe(callback: Callable[[Event], None]) -> Callable[[], None]:
    """Have every event passed to `callback`, in the thread that caused it. Returns the function that ends this.

    An exception in `callback` is logged and changes nothing else.
    """
    global _subscriptions
    subscription = _Subscription(callback)
    with _subscribing:
        _subscriptions = (*_subscriptions, subscription)

    def unsubscribe() -> None:
        global _subscriptions
        with _subscribing:
            _subscriptions = tuple(entry for entry in _subscriptions if entry is not subscription)

    return unsubscribe


def emit(event: Event) -> None:
    """Tell the log and the subscribers."""
    if not isinstance(event, LookedUp):
        _log(event)
    for subscription in _subscriptions:
        try:
            subscription.callback(event)
        except Exception:  # a subscriber must not change what becomes of a call
            logging.getLogger("safe_sqs").exception("a subscriber of safe_sqs failed")


def _log(event: Refused | Warned | Noticed) -> None:
    logger = _logger()
    if isinstance(event, Noticed):
        logger.warning(event.text, topic=event.topic, **({"queue": event.queue} if event.queue else {}))
        return
    word = "refused" if isinstance(event, Refused) else "would be refused by a rule that only warns"
    for finding in event.findings:
        logger.warning(
            f"{event.operation} {word}",
            rule=finding.rule,
            queue=event.queue,
            found=finding.found,
            expected=finding.expected,
            next_step=finding.next_step,
        )


def _logger() -> Any:
    """Structlog as the application configured it; where it did not, the standard logger `safe_sqs`, because structlog
    left to itself prints to standard output."""
    import structlog

    if structlog.is_configured():
        return structlog.get_logger("safe_sqs")
    return structlog.wrap_logger(
        logging.getLogger("safe_sqs"),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.KeyValueRenderer(key_order=["event", "rule", "queue"], drop_missing=True),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
