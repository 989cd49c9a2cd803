"""Who calls: threads with a client of boto3, or tasks with one of aiobotocore. Both say how each call ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import ClientError

from safe_sqs.guarded import guards_of

__all__ = ["OK", "STUCK", "Call", "Caller", "Outcome", "Tasks", "Threads"]

OK, STUCK = "ok", "stuck"
HANG_SECONDS = 180.0
"""After which a call counts as stuck. No fault of the catalogue keeps botocore so long."""

_METHODS = {
    "DeleteMessage": "delete_message",
    "DescribeKey": "describe_key",
    "GetQueueAttributes": "get_queue_attributes",
    "ReceiveMessage": "receive_message",
    "SendMessage": "send_message",
    "SendMessageBatch": "send_message_batch",
}


class Call(NamedTuple):
    """One call of a client."""

    operation: str
    parameters: Mapping[str, Any]


class Outcome(NamedTuple):
    """How a call ended: OK, STUCK, or the error's class with its code, and after how many seconds."""

    kind: str
    seconds: float
    answer: Mapping[str, Any] = {}


class Caller(Protocol):
    """Somebody with a client."""

    def at_once(self, calls: Sequence[Call]) -> list[Outcome]:
        """Make calls at the same time. Returns when all have ended or are stuck."""

    def close(self) -> int:
        """End the client. Returns how many threads or tasks are left, and how many looks at queues are under way."""


class Threads:
    """Calls of a client of boto3, each in a thread of its own."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._threads: list[Thread] = []

    def at_once(self, calls: Sequence[Call]) -> list[Outcome]:
        ends: list[Outcome] = [Outcome(STUCK, HANG_SECONDS)] * len(calls)

        def one(at: int, call: Call) -> None:
            started = time.monotonic()
            try:
                answer = getattr(self._client, _METHODS[call.operation])(**call.parameters)
            except Exception as error:
                ends[at] = Outcome(kind_of(error), time.monotonic() - started)
            else:
                ends[at] = Outcome(OK, time.monotonic() - started, answer)

        threads = [Thread(target=one, args=(at, call), daemon=True) for at, call in enumerate(calls)]
        for thread in threads:
            thread.start()
        ends_at = time.monotonic() + HANG_SECONDS
        for thread in threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
        self._threads += threads
        return list(ends)

    def close(self) -> int:
        self._client.close()
        return sum(1 for thread in self._threads if thread.is_alive()) + flights_of(self._client)


class Tasks:
    """Calls of a client of aiobotocore, each in a task of its own, in an event loop in a thread of its own."""

    def __init__(self, made: Any, prepare: Callable[[Any], Any]) -> None:
        """`made` is what gives the client in `async with`, and `prepare` what is done to it then."""
        self._made = made
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = prepare(self._bring(made.__aenter__()))

    def _bring(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(HANG_SECONDS + 10)

    def at_once(self, calls: Sequence[Call]) -> list[Outcome]:
        outcomes: list[Outcome] = self._bring(self._gather(calls))
        return outcomes

    async def _gather(self, calls: Sequence[Call]) -> list[Outcome]:
        return list(await asyncio.gather(*map(self._one, calls)))

    async def _one(self, call: Call) -> Outcome:
        started = time.monotonic()
        task = asyncio.ensure_future(getattr(self._client, _METHODS[call.operation])(**call.parameters))
        done, _ = await asyncio.wait([task], timeout=HANG_SECONDS)
        seconds = time.monotonic() - started
        if not done:
            task.cancel()
            return Outcome(STUCK, seconds)
        error = task.exception()
        return Outcome(OK, seconds, task.result()) if error is None else Outcome(kind_of(error), seconds)

    def close(self) -> int:
        self._bring(self._made.__aexit__(None, None, None))
        left = self._bring(_tasks_left()) + flights_of(self._client)
        self._bring(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        if self._thread.is_alive():
            return left + 1
        self._loop.close()
        return left


async def _tasks_left() -> int:
    """Tasks that are still there once everything that is about to end has ended."""
    for _ in range(50):
        if len(asyncio.all_tasks()) == 1:
            return 0
        await asyncio.sleep(0.02)
    return len(asyncio.all_tasks()) - 1


def flights_of(client: Any) -> int:
    """Looks at queues that the guards of a client have under way."""
    return sum(len(guard._cache._flights) for guard in guards_of(client))


def kind_of(error: BaseException) -> str:
    """The class of an error, with the code where the service gave one."""
    if isinstance(error, ClientError):
        return f"ClientError {error.response.get('Error', {}).get('Code')}"
    return type(error).__name__
