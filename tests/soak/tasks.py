"""The asynchronous half of the load: many tasks in one event loop, with clients of aiobotocore."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from random import Random
from time import monotonic
from typing import Any

from aiobotocore.config import AioConfig
from clients.asynchronous import new_aio_session

from safe_sqs import guard
from soak.load import REST, Caller, arguments_of, calls_of, configuration_of, pick, queue_url, stamp
from soak.service import Play, name_of

__all__ = ["Tasks", "call_some"]

GROUPS = 10
GROUP_SECONDS = (5.0, 15.0)
"""How long a client lives, with the tasks that use it."""
POOL = 10


class Tasks:
    """So many tasks at any time, in groups that share a client and end with it. Now and then one is cancelled."""

    def __init__(self, play: Play) -> None:
        self.made = 0
        self.left = 0
        self.longest = 0.0
        self.total: Counter[str] = Counter()
        self._play = play
        self._random = Random(play.seed + 2)
        self._caller = Caller(play)
        self._config = configuration_of(play)
        self._stop = threading.Event()
        self._ends = 0.0
        self._pause = 2 * play.tasks / (play.calls_per_second / 2)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="soak-loop")

    def start(self) -> None:
        self._ends = monotonic() + self._play.seconds
        self._thread.start()

    def stop(self) -> None:
        """Have all tasks end, and wait."""
        self._stop.set()
        self._thread.join()
        self.total.update(self._caller.counts)
        self.longest = self._caller.longest

    async def _run(self) -> None:
        await asyncio.gather(*(self._groups(number) for number in range(GROUPS)))
        self.left = len(asyncio.all_tasks()) - 1

    async def _groups(self, number: int) -> None:
        size = self._play.tasks * (number + 1) // GROUPS - self._play.tasks * number // GROUPS
        while not self._is_over(self._ends):
            await self._group(size)

    async def _group(self, size: int) -> None:
        ends = min(self._ends, monotonic() + self._random.uniform(*GROUP_SECONDS))
        async with _client(self._play) as client:
            guard(client, self._config)
            stamp(client, "loop")
            tasks = [self._new_task(client, ends) for _ in range(size)]
            while not self._is_over(ends):
                await asyncio.sleep(0.5)
                at = self._random.randrange(size)
                tasks[at].cancel()
                await asyncio.wait([tasks[at]])
                tasks[at] = self._new_task(client, ends)
            await asyncio.wait(tasks)
            for task in tasks:
                task.result()

    def _new_task(self, client: Any, ends: float) -> asyncio.Task[None]:
        self.made += 1
        return asyncio.create_task(self._work(client, ends, Random(self._play.seed * 1_000_033 + self.made)))

    async def _work(self, client: Any, ends: float, random: Random) -> None:
        while not self._is_over(ends):
            pause = max(self._pause, REST * self._caller.last) * random.random()
            await asyncio.sleep(min(pause, max(0.0, ends - monotonic())))
            await call(self._play, self._caller, client, pick(self._play, random), random)

    def _is_over(self, ends: float) -> bool:
        return self._stop.is_set() or monotonic() > ends


async def call(play: Play, caller: Caller, client: Any, number: int, random: Random) -> None:
    """Send to a queue, or receive from it."""
    operation, parameters = calls_of(client, random)
    began = monotonic()
    try:
        await operation(QueueUrl=queue_url(play, number), **parameters)
    except asyncio.CancelledError:
        caller.report("cancelled", os.getpid(), name_of(number), monotonic())
        raise
    except Exception as error:
        caller.failed(error, number, began)
    else:
        caller.went(began)


def _client(play: Play) -> Any:
    arguments = arguments_of(play)
    del arguments["config"]
    config = AioConfig(retries={"total_max_attempts": 1}, max_pool_connections=POOL, read_timeout=300)
    return new_aio_session().create_client("sqs", config=config, **arguments)


def call_some(play: Play, caller: Caller, numbers: list[int]) -> None:
    """The same in an event loop of its own, for a child."""

    async def main() -> None:
        async with _client(play) as client:
            guard(client, configuration_of(play))
            stamp(client, "loop")
            await asyncio.gather(*(call(play, caller, client, number, Random(number)) for number in numbers * 4))

    asyncio.run(main())
