"""What the tests of asynchronous clients share: clients for the scripted server, and a watch on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Event, Thread
from typing import Any, TypeVar

from aiobotocore.session import AioSession, get_session
from scripted import Answer, Asked, Script, Server, attributes
from support import new_core

from safe_sqs import guard

R = TypeVar("R")

SECONDS = 60
"""After which a test that hangs fails, on a machine that is busy with others."""

_data_files = new_core().get_component("data_loader")


def new_aio_session() -> AioSession:
    """A session of aiobotocore that does not read botocore's data files again."""
    session = get_session()
    session.register_component("data_loader", _data_files)
    return session


@asynccontextmanager
async def raw_client(server: Server, **arguments: Any) -> AsyncIterator[Any]:
    """An SQS client of aiobotocore that is not guarded. It never retries unless told."""
    async with new_aio_session().create_client("sqs", **server.settings(**arguments)) as client:
        yield client


@asynccontextmanager
async def guarded_client(
    server: Server, *, clock: Any = None, client: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Any]:
    """A guarded one, as `Server.client` makes them."""
    async with raw_client(server, **(client or {})) as made:
        yield guard(made, server.config(**settings), clock=clock)


def run(main: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run it in an event loop of its own, for a while at the most."""

    async def bounded() -> R:
        return await asyncio.wait_for(main(), SECONDS)

    return asyncio.run(bounded())


async def until(condition: Callable[[], Any]) -> None:
    """Let the others go on until something has come true."""
    while not condition():
        await asyncio.sleep(0.002)


async def outcome_of(call: Awaitable[Any]) -> Any:
    """What a call returns or raises."""
    try:
        return await call
    except Exception as error:
        return error


def gate(script: Script | Answer = attributes) -> tuple[Script, Event]:
    """The same answers, which wait until the event is set."""
    opened = Event()

    def answer(asked: Asked) -> Answer:
        said = script if isinstance(script, Answer) else script(asked)
        return said._replace(after=opened)

    return answer, opened


@contextmanager
def opening_after(opened: Event, server: Server, operation: str = "GetQueueAttributes") -> Iterator[list[int]]:
    """From another thread, open a gate once somebody stands before it and the event loop has turned a hundred times
    meanwhile. A loop that is blocked by what waits at the gate never turns, and the gate opens all the same in the end,
    with few turns counted."""
    turns = [0]
    done = Event()

    def watch() -> None:
        ends = time.monotonic() + 5
        while not done.is_set() and time.monotonic() < ends and not (server.count(operation) and turns[0] >= 100):
            done.wait(0.002)
        opened.set()

    thread = Thread(target=watch)
    thread.start()
    try:
        yield turns
    finally:
        done.set()
        thread.join()


async def turning(turns: list[int]) -> None:
    """Count the turns of the loop."""
    while True:
        turns[0] += 1
        await asyncio.sleep(0)
