"""Guards clients that are being made. The guard itself comes with the first request of a client, so that importing and
making clients costs little more than with boto3.

What was said about a client is read when it is made, and mistakes in it are told then.
"""

from __future__ import annotations

from threading import Lock

from safe_sqs.guarded import forget_guard, guards_of, is_asynchronous, note_guard
from safe_sqs.sources import any_said, record_path, report_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from safe_sqs.config import Config

__all__ = ["armed_guards_of", "guard_new", "said"]


def said(config: Config | None = None) -> Config | None:
    """The configuration for clients that are made now: the given one, or what environment and files say, or None where
    nobody says anything. The report and the recording are started, where there are any.

    Raises ConfigError.
    """
    if config is None and any_said():
        from safe_sqs.config import Config

        config = Config()
    if report_path() is not None:
        from safe_sqs.report import start

        start()
    if record_path() is not None:
        from safe_sqs import usage

        usage.start()
    return config


def guard_new(client: Any, config: Config | None) -> None:
    """Guard a client that was made just now, by what was `said`. Raises RefusedError when one of `verify_queues` is not
    fit for use."""
    if config is not None:
        if config.verify_queues:
            from safe_sqs.adapters import guard

            guard(client, config)
            return
        from safe_sqs.loosened import tell_if_loose

        tell_if_loose(config)
    subscriber = (_AsyncSubscriber if is_asynchronous(client) else _Subscriber)(client, config)
    note_guard(client, subscriber)
    client.meta.events.register_last("before-sign", subscriber.before_sign)
    client.meta.events.register_last("before-send", subscriber.before_send)
    if record_path() is not None:
        from safe_sqs.listening import listen

        listen(client)


def armed_guards_of(client: Any) -> tuple[Any, ...]:
    """What guards a client; what waits for a first request is brought now."""
    return tuple(each.arm() if isinstance(each, _Subscriber) else each for each in guards_of(client))


class _Subscriber:
    """Subscribes to the two events that every request passes; the first one brings the guard itself."""

    def __init__(self, client: Any, config: Config | None) -> None:
        self.config = config
        self._client = client
        self._hooks: Any = None
        self._lock = Lock()

    def before_sign(self, **event: Any) -> Any:
        return self.arm().before_sign(**event)

    def before_send(self, **event: Any) -> Any:
        return self.arm().before_send(**event)

    def arm(self) -> Any:
        """Put the guard in the place of this subscriber. What is under way here is still handed on to it."""
        with self._lock:
            if self._hooks is None:
                from safe_sqs.adapters import subscribe
                from safe_sqs.config import Config

                # Not what the environment says by now: a client keeps the settings that it was made under.
                self._hooks = subscribe(self._client, self.config or Config.of_nobody())
                events = self._client.meta.events
                events.unregister("before-sign", self.before_sign)
                events.unregister("before-send", self.before_send)
                forget_guard(self._client, self)
            return self._hooks


class _AsyncSubscriber(_Subscriber):
    """The same for a client of aiobotocore. The guard is loaded in a thread, because that takes a tenth of a second,
    and the event loop has others to serve."""

    async def before_sign(self, **event: Any) -> None:
        await self._load()
        await _waited_for(super().before_sign(**event))

    async def before_send(self, **event: Any) -> None:
        await self._load()
        await _waited_for(super().before_send(**event))

    async def _load(self) -> None:
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the loop is that of trio
            return
        if self._hooks is None:
            threads = ThreadPoolExecutor(max_workers=1)
            try:
                await loop.run_in_executor(threads, _load)
            finally:
                threads.shutdown(wait=False)


def _load() -> None:
    """Load all that the first judgement needs."""
    import structlog  # noqa: F401

    import safe_sqs.adapters
    import safe_sqs.async_hooks  # noqa: F401
    from safe_sqs.wire import partitions

    partitions()


async def _waited_for(judgement: Any) -> None:
    if judgement is not None:
        await judgement
