"""What the guard's looks take of botocore's budget for retries, which a client's calls share.

The modes `standard` and `adaptive` give each client 500 tokens. A retry takes some, a success gives some back, and a
call that finds too few is not retried. `adaptive` also slows a client down that is throttled. So a look that fails
takes from the calls of the same client. Here is measured how much, beside a raw client in the same trouble.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from botocore.config import Config as ClientConfig
from support import REGION, ManualClock

from faults.callers import OK, Call, Threads
from faults.catalogue import FAULTS_BY_NAME, Stage
from faults.proxy import Proxy, running
from faults.runs import ACCOUNT, World
from safe_sqs import Config, guard
from safe_sqs.cache import UNVERIFIABLE_SECONDS

__all__ = ["Spent", "measure", "measure_all"]

LOOKS, CALLS = frozenset({"GetQueueAttributes"}), frozenset({"SendMessage"})
OUTAGES = {"of the service": LOOKS | CALLS, "of looks only": LOOKS}
MOST_SENDS = 20
ATTEMPTS = 3


class Spent(NamedTuple):
    """What a client had left after an outage in which it tried each of some queues once."""

    retries: str
    outage: str
    queues: int
    client: str
    requests: int
    """Requests that it made in the outage."""
    retried: bool
    """Whether a call that fails once right after the outage is still retried, so that it is not lost."""
    sends: int | None
    """After how many sends that go well a call is retried again; None for more than were tried."""
    seconds: float
    """How long the sends after a throttling took in all, or 0 where nothing was throttled."""


def measure_all(world: World) -> list[Spent]:
    """The table: modes, outages, few queues and many, raw and guarded."""
    rows = [
        measure(world, retries, outage, queues, client)
        for retries in ("legacy", "standard", "adaptive")
        for outage in OUTAGES
        for queues in ((10,) if retries == "legacy" else (10, 50))  # legacy has no budget
        for client in ("raw", "guarded")
    ]
    return rows + [
        measure(world, "adaptive", outage, 3, client, "429") for outage in OUTAGES for client in ("raw", "guarded")
    ]


def measure(world: World, retries: str, outage: str, queues: int, client: str, fault: str = "500") -> Spent:
    name = world.names()
    world.sqs.create_queue(QueueName=name)
    with running(world.upstream, world.timeout, world.elsewhere.url, {}) as proxy:
        clock = ManualClock()
        caller = Threads(_client(world, proxy, retries, client, clock))
        _send(caller, proxy, name)
        proxy.arm(FAULTS_BY_NAME[fault], Stage.BEFORE, OUTAGES[outage], None)
        before = len(proxy.asked)
        for number in range(queues):
            _send(caller, proxy, f"{name}-{number}")
        requests = len(proxy.asked) - before
        proxy.disarm()
        clock.advance(UNVERIFIABLE_SECONDS)
        began = time.monotonic()
        if fault == "429":
            for _ in range(10):
                _send(caller, proxy, name)
            seconds = time.monotonic() - began
            caller.close()
            return Spent(retries, outage, queues, client, requests, True, 0, seconds)
        retried = _is_retried(caller, proxy, name)
        sends = 0
        while not retried and sends < MOST_SENDS and not _is_retried(caller, proxy, name):
            _send(caller, proxy, name)
            sends += 1
        caller.close()
        return Spent(retries, outage, queues, client, requests, retried, sends if sends < MOST_SENDS else None, 0.0)


def _is_retried(caller: Threads, proxy: Proxy, queue: str) -> bool:
    """Whether a send succeeds whose first attempt is answered with 500."""
    proxy.arm(FAULTS_BY_NAME["500"], Stage.BEFORE, CALLS, 1)
    kind = _send(caller, proxy, queue)
    proxy.disarm()
    return kind == OK


def _send(caller: Threads, proxy: Proxy, queue: str) -> str:
    """How a send ends."""
    url = f"{proxy.url}/{ACCOUNT}/{queue}"
    return caller.at_once([Call("SendMessage", {"QueueUrl": url, "MessageBody": "x"})])[0].kind


def _client(world: World, proxy: Proxy, retries: str, client: str, clock: ManualClock) -> Any:
    made = world.make_client(
        "sqs",
        {
            "endpoint_url": proxy.url,
            "verify": world.authority,
            "region_name": REGION,
            "config": ClientConfig(retries={"mode": retries, "total_max_attempts": ATTEMPTS}),
        },
    )
    if client == "raw":
        return made
    return guard(made, Config(trusted_endpoint_hosts=[proxy.host]), clock=clock.clock)
