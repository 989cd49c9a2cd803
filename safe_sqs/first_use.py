"""Guards a client at its first request, so that importing and making clients costs no more than with boto3.

Only for clients about which nobody has said anything: a configuration is read, and its mistakes told, at once.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from safe_sqs.guarded import forget_guard, note_guard

__all__ = ["guard_at_first_use"]


def guard_at_first_use(client: Any) -> None:
    """Subscribe to the two events that every request passes; the first one brings the guard itself."""
    subscriber = _Subscriber(client)
    note_guard(client, subscriber)
    client.meta.events.register_last("before-sign", subscriber.before_sign)
    client.meta.events.register_last("before-send", subscriber.before_send)


class _Subscriber:
    def __init__(self, client: Any) -> None:
        self._client = client
        self._hooks: Any = None
        self._lock = Lock()

    def before_sign(self, **event: Any) -> Any:
        return self._arm().before_sign(**event)

    def before_send(self, **event: Any) -> Any:
        return self._arm().before_send(**event)

    def _arm(self) -> Any:
        """Put the guard in the place of this subscriber. What is under way here is still handed on to it."""
        with self._lock:
            if self._hooks is None:
                from safe_sqs.adapters import subscribe
                from safe_sqs.config import Config

                # Not what the environment says by now: a client keeps the settings that it was made under.
                self._hooks = subscribe(self._client, Config.of_nobody())
                events = self._client.meta.events
                events.unregister("before-sign", self.before_sign)
                events.unregister("before-send", self.before_send)
                forget_guard(self._client, self)
            return self._hooks
