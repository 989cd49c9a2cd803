"""The load: threads that send and receive through guarded clients, and forks every so often.

It runs in a process of its own, together with the asynchronous half (`soak.tasks`). Each second it prints a line of
JSON that says what the process takes up, and the last word at its end.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import logging
import multiprocessing
import os
import sys
import threading
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError
from support import REGION, TEMPORARY, new_session

import safe_sqs
from safe_sqs import Config, Mode, RefusedError, UnverifiableError, events, guard
from safe_sqs.cache import all_caches
from safe_sqs.hooks import Hooks
from soak.service import ACCOUNT, Play, name_of, say

__all__ = ["REST", "Caller", "arguments_of", "calls_of", "configuration_of", "pick", "queue_url", "stamp"]

CHILD_SECONDS = 60
"""After which a child that hangs says where, and ends."""
SHARED_CLIENTS = 4
REST = 10
"""How many times as long as its last call took a thread or task rests at the most, where calls take long."""
CALLS_OF_A_THREAD = (100, 300)
EXPECTED = ("KmsDisabled", "QueueDoesNotExist")
"""What the service denies by itself."""
RUSH_SHARE, HOT_SHARE = 0.1, 0.6

_outer: ContextVar[float] = ContextVar("outer", default=0.0)
_left: ContextVar[float] = ContextVar("left", default=0.0)
"""When the call began, and when the look for it left, that is under way in this thread or task."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


def configuration_of(play: Play) -> Config:
    """The guard's settings, which all clients share, and with them their verdicts."""
    return Config(
        trusted_endpoint_hosts=[f"127.0.0.1:{play.port}"],
        ttl_seconds=play.ttl_seconds,
        modes={"tls-only-policy": Mode.ENFORCE},
    )


def arguments_of(play: Play) -> dict[str, Any]:
    """The arguments with which clients are made. They never retry, so that one call is one request."""
    return {
        "endpoint_url": f"https://127.0.0.1:{play.port}",
        "verify": play.authority,
        "region_name": REGION,
        "config": ClientConfig(retries={"total_max_attempts": 1}, max_pool_connections=64, read_timeout=300),
        **TEMPORARY,
    }


def queue_url(play: Play, number: int) -> str:
    """The URL of a queue."""
    return f"https://127.0.0.1:{play.port}/{ACCOUNT}/{name_of(number)}"


def stamp(client: Any, side: str, *, closes: bool = False) -> None:
    """Have each request say which process sends it, and when the guard began to judge it. Before the guard's handler,
    so that the time is never later than the one that the guard goes by."""

    def before_send(request: Any, event_name: str, **_: Any) -> None:
        now = monotonic()
        if event_name.endswith(".GetQueueAttributes"):
            outer = _outer.get()
            _left.set(now)
        else:
            outer = now
            _outer.set(now)
        request.headers["X-Soak"] = f"{os.getpid()} {side} {outer!r} {now!r}"
        if closes:
            request.headers["X-Soak-Close"] = "1"

    client.meta.events.register_first("before-send.sqs", before_send)


def pick(play: Play, random: Random) -> int:
    """A queue: often the one that everybody rushes to just now, or one of those that are used much for a while."""
    now, chance = monotonic(), random.random()
    if chance < RUSH_SHARE:
        return int(now) * 7_919 % play.queues
    if chance < RUSH_SHARE + HOT_SHARE:
        return (play.first_hot(now) + random.randrange(play.hot)) % play.queues
    return random.randrange(play.queues)


def calls_of(client: Any, random: Random) -> tuple[Callable[..., Any], dict[str, Any]]:
    """One of the guarded operations, and its parameters."""
    chance = random.random()
    if chance < 0.15:
        return client.receive_message, {}
    if chance < 0.3:
        return client.send_message_batch, {"Entries": [{"Id": "0", "MessageBody": "a teapot"}]}
    return client.send_message, {"MessageBody": "a teapot"}


class Caller:
    """Counts what became of calls, and reports refusals. Each thread or loop has its own."""

    def __init__(self, play: Play) -> None:
        self.counts: Counter[str] = Counter()
        self.last = self.longest = 0.0
        self._play = play

    def call(self, client: Any, number: int, random: Random) -> None:
        """Send to a queue, or receive from it."""
        operation, parameters = calls_of(client, random)
        began = monotonic()
        try:
            operation(QueueUrl=queue_url(self._play, number), **parameters)
        except Exception as error:
            self.failed(error, number, began)
        else:
            self.went(began)

    def went(self, began: float) -> None:
        """A call went well."""
        self.counts["accepted"] += 1
        self._took(monotonic() - began)

    def _took(self, seconds: float) -> None:
        self.last = seconds
        self.longest = max(self.longest, seconds)

    def failed(self, error: Exception, number: int, began: float) -> None:
        """A call did not."""
        ended = monotonic()
        if isinstance(error, RefusedError):
            self.counts["refused"] += 1
            untold = int(isinstance(error, UnverifiableError))
            self.report("refused", os.getpid(), name_of(number), began, ended, untold)
        elif isinstance(error, ClientError) and error.response["Error"]["Code"] in EXPECTED:
            self.counts["denied by the service"] += 1
        else:
            self.counts[f"trouble: {type(error).__name__}: {error}"[:300]] += 1
        self._took(ended - began)

    def report(self, *words: object) -> None:
        """Tell the referee. A line is written whole, whoever else writes."""
        os.write(self._play.reports, (" ".join(map(str, words)) + "\n").encode())


class Clients:
    """Makes guarded clients, one at a time, because sessions are not for several threads."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._config = configuration_of(play)
        self._session = new_session()
        self._making = threading.Lock()

    def make(self, *, closes: bool = False) -> Any:
        """A client. With `closes`, it keeps no connection, so that a child has none of its parent's."""
        with self._making:
            client = self._session.client("sqs", **arguments_of(self._play))
        guard(client, self._config)
        stamp(client, "threads", closes=closes)
        return client


class Threads:
    """So many threads at any time: each makes some calls and ends, and another takes its place."""

    def __init__(self, play: Play, clients: Clients) -> None:
        self.made = 0
        self.longest = 0.0
        self.total: Counter[str] = Counter()
        self._play = play
        self._clients = clients
        self._shared = [clients.make() for _ in range(SHARED_CLIENTS)]
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._running: set[threading.Thread] = set()
        # Half of the calls are those of threads. A pause is half of this on average.
        share = play.calls_per_second / 2 if play.has_tasks else play.calls_per_second
        self._pause = 2 * play.threads / share

    def start(self) -> None:
        """Start all of them."""
        for _ in range(self._play.threads):
            self._start_one()

    def stop(self) -> None:
        """Have them end, and wait."""
        self._stop.set()
        while self._running:
            with self._lock:
                one = next(iter(self._running), None)
            if one is not None:
                one.join()
        for client in self._shared:
            client.close()
        self._shared.clear()

    def _start_one(self) -> None:
        with self._lock:
            self.made += 1
            thread = threading.Thread(target=self._work, args=(self.made,), name=f"soak-{self.made}")
            self._running.add(thread)
        thread.start()

    def _work(self, number: int) -> None:
        random = Random(self._play.seed * 1_000_003 + number)
        caller = Caller(self._play)
        own = self._clients.make() if random.random() < 0.25 else None
        client = own or random.choice(self._shared)
        for _ in range(random.randint(*CALLS_OF_A_THREAD)):
            # Where the machine cannot go along, calls become fewer and do not pile up.
            if self._stop.wait(max(self._pause, REST * caller.last) * random.random()):
                break
            caller.call(client, pick(self._play, random), random)
        if own is not None:
            own.close()
        with self._lock:
            self.total.update(caller.counts)
            self.longest = max(self.longest, caller.longest)
        if not self._stop.is_set():
            self._start_one()
        with self._lock:
            self._running.discard(threading.current_thread())


class Forks:
    """Forks now and then, with a client that the child goes on with."""

    def __init__(self, play: Play, clients: Clients) -> None:
        self.made = 0
        self.ended_badly: list[str] = []
        self._caller = Caller(play)
        self._play = play
        self._random = Random(play.seed + 1)
        self._client = clients.make(closes=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fork_for_ever, name="soak-forks")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End, after the last child."""
        self._stop.set()
        self._thread.join()
        self._client.close()

    @property
    def total(self) -> Counter[str]:
        """What became of the calls of the thread that forks."""
        return self._caller.counts

    @property
    def longest(self) -> float:
        """How long the longest of them took."""
        return self._caller.longest

    def _fork_for_ever(self) -> None:
        while not self._stop.wait(self._play.fork_seconds):
            numbers = [pick(self._play, self._random) for _ in range(5)]
            for number in numbers:  # so that there are verdicts which the child must not have
                self._caller.call(self._client, number, self._random)
            self.made += 1
            forked = self._with_os if self.made % 2 else self._with_multiprocessing
            process, status = forked(numbers)
            self._caller.report("ended", process)
            if status:
                self.ended_badly.append(f"{forked.__name__.removeprefix('_with_')}: exit status {status}")
            self._caller.call(self._client, numbers[0], self._random)

    def _with_os(self, numbers: list[int]) -> tuple[int, int]:
        process = os.fork()
        if process == 0:
            status = 1
            try:
                status = self._child(numbers)
            finally:
                os._exit(status)
        return process, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    def _with_multiprocessing(self, numbers: list[int]) -> tuple[int, int]:
        process = multiprocessing.get_context("fork").Process(target=self._spawned, args=(numbers,))
        process.start()
        process.join()
        ended = process.pid or 0, process.exitcode or 0
        process.close()
        return ended

    def _spawned(self, numbers: list[int]) -> None:
        sys.exit(self._child(numbers))

    def _child(self, numbers: list[int]) -> int:
        """Go on with the parent's client, then with one of its own. Returns the exit status."""
        faulthandler.dump_traceback_later(CHILD_SECONDS, exit=True)
        if sum(map(len, all_caches())):
            return 3
        caller = Caller(self._play)
        for number in numbers * 2:
            caller.call(self._client, number, self._random)
        own = Clients(self._play).make()
        for number in numbers:
            caller.call(own, number, self._random)
        if self._play.has_tasks:
            from soak.tasks import call_some

            call_some(self._play, caller, numbers)
        own.close()
        faulthandler.cancel_dump_traceback_later()
        if troubles := [what for what in caller.counts if what.startswith("trouble")]:
            sys.stderr.write(f"in a child: {troubles}\n")
            sys.stderr.flush()
            return 4
        return 0


def _told(play: Play) -> Callable[[events.Event], None]:
    caller = Caller(play)

    def told(event: events.Event) -> None:
        if isinstance(event, events.LookedUp):
            queue = event.queue.rpartition("/")[2]
            caller.report("looked", os.getpid(), queue, repr(_left.get()), repr(monotonic()))

    return told


def _sample(began: float) -> dict[str, Any]:
    """What the process takes up."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    return {
        "at": round(monotonic() - began, 1),
        "mib": round(resident / 2**20, 1),
        "blocks": sys.getallocatedblocks(),
        "verdicts": sum(map(len, all_caches())),
        "threads": threading.active_count(),
        "files": _open_files(),
    }


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _held() -> dict[str, int]:
    """The bytes that lines of safe_sqs have allocated and that are still held, by line."""
    gc.collect()
    package = str(Path(safe_sqs.__file__).parent / "*")
    lines = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, package)]).statistics("lineno")
    return {f"{Path(each.traceback[0].filename).name}:{each.traceback[0].lineno}": each.size for each in lines}


def _watch(play: Play, began: float) -> dict[str, Any]:
    """Look at this process until the time is over, or standard input is at its end."""
    samples = []
    held: list[dict[str, int]] = []
    over = threading.Event()
    # Not sys.stdin: a child that is forked while it is being read from could not close it.
    threading.Thread(target=lambda: (os.read(0, 1), over.set()), name="soak-input", daemon=True).start()
    while (now := monotonic() - began) < play.seconds and not over.wait(min(1.0, play.seconds - now)):
        samples.append(_sample(began))
        say(samples[-1])
        if play.trace and not held and now > play.seconds / 2:
            held.append(_held())
    if play.trace:
        held.append(_held())
    return {"samples": samples, "held": held}


def _run(play: Play) -> dict[str, Any]:
    clients = Clients(play)
    parts: list[Any] = [Forks(play, clients), Threads(play, clients)]
    if play.has_tasks:
        from soak.tasks import Tasks

        parts.append(Tasks(play))
    began = monotonic()
    for part in parts:
        part.start()
    figures = _watch(play, began)
    for part in parts:
        part.stop()
    forks, threads, *tasks = parts
    return figures | {
        "counts": dict(sum((part.total for part in parts), Counter())),
        "threads_made": threads.made,
        "tasks_made": sum(part.made for part in tasks),
        "left_tasks": sum(part.left for part in tasks),
        "forks": forks.made,
        "ended_badly": forks.ended_badly,
        "longest_call": max(part.longest for part in parts),
    }


def main(play: Play) -> None:
    """Run all of it for its time, and see what is left."""
    faulthandler.enable()
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    logger = logging.getLogger("safe_sqs")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    if play.trace:
        tracemalloc.start()
    threads, files = set(threading.enumerate()), _open_files()
    unsubscribe = events.subscribe(_told(play))
    figures = _run(play)
    unsubscribe()
    gc.collect()
    names = (thread.name for thread in threading.enumerate() if thread not in threads)
    say(
        figures
        | {
            # The two threads in which the guard judges for event loops stay for the next loop.
            "left_threads": [name for name in names if not name.startswith(("safe_sqs_", "soak-input"))],
            "left_files": _open_files() - files,
            "left_guards": sum(isinstance(each, Hooks) for each in gc.get_objects()),
            "left_caches": len(all_caches()),
        }
    )


if __name__ == "__main__":
    main(Play(**json.loads(sys.argv[1])))
