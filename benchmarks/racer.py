"""One contestant of the race, in a process of its own, that does what it is told on its standard input, a line of JSON
at a time, and answers with a line of JSON. `Racer` is the other end.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from threading import Barrier
from types import TracebackType
from typing import Any, NamedTuple

from contestants import CONTESTANTS
from guard_parts import DRESSED
from quick_server import Server

from safe_sqs.cache import all_caches
from safe_sqs.demo.surroundings import clean_surroundings
from safe_sqs.demo.unplugged import BODY, OPERATIONS, QUEUE_URL, Network, Provider, content_of, session_with
from safe_sqs.guarded import guards_of
from safe_sqs.wire import key_of

__all__ = ["Racer", "Round", "taking_part"]

KNOWN = {**CONTESTANTS, **DRESSED}


class Round(NamedTuple):
    """Some calls. The times of the single calls are by the clock, in nanoseconds."""

    busy_seconds: float
    seconds: float
    singles: Sequence[int]


class Racer:
    """A contestant's process. It waits while it is not asked."""

    def __init__(
        self,
        name: str,
        server: Server | None = None,
        *,
        under: Sequence[str] = (),
        hash_seed: int = 0,
    ) -> None:
        self.name = name
        where = [] if server is None else [server.url, server.authority]
        self._process = subprocess.Popen(
            [*under, sys.executable, str(Path(__file__)), name, *where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        )
        self.pid = self._process.pid

    def __enter__(self) -> Racer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def ask(self, task: str, **parameters: object) -> Any:
        """Have a task done, and wait for its outcome. Raises RuntimeError when the process ends instead."""
        self._process.stdin.write(json.dumps({"task": task, **parameters}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self._process.wait()}")
        return json.loads(line)

    def run(self, operation: str, calls: int, threads: int = 1) -> Round:
        """So many calls, by each of so many threads."""
        return Round(*self.ask("calls", operation=operation, calls=calls, threads=threads))


def taking_part() -> list[str]:
    """The contestants whose libraries are installed."""
    return [name for name, contestant in CONTESTANTS.items() if all(map(_is_installed, contestant.libraries))]


def _is_installed(library: str) -> bool:
    try:
        version(library)
    except PackageNotFoundError:
        return False
    return True


# --- in the process ----------------------------------------------------------------------------------------------


def make_client(name: str, server: Server | None) -> tuple[Any, Network]:
    """The client of a contestant, and what stands in the network's place where there is no server."""
    from botocore.config import Config as ClientConfig

    contestant, network = KNOWN[name], Network()
    contestant.prepare()
    config = ClientConfig(max_pool_connections=64)
    session = session_with(Provider.STATIC)
    if server is None:
        client = session.client("sqs", config=config)
        network.unplug(client)
        contestant.dress(client, ())
    else:
        client = session.client("sqs", config=config, endpoint_url=server.url, verify=server.authority)
        contestant.dress(client, (server.url.removeprefix("https://"),))
    return client, network


def timed(call: Callable[[], object], calls: int) -> list[int]:
    singles, clock = [], time.perf_counter_ns
    for _ in range(calls):
        began = clock()
        call()
        singles.append(clock() - began)
    return singles


class Tasks:
    """What a contestant can be asked to do."""

    def __init__(self, client: Any, network: Network) -> None:
        self._client = client
        self._network = network
        self._calls = {operation: make(client) for operation, make in OPERATIONS.items()}
        self._pool = ThreadPoolExecutor(64)
        self._queues = 0

    def calls(self, operation: str, calls: int, threads: int) -> Round:
        """Calls by each of so many threads, after one that is not counted: it finds the processor's cache cold."""
        call = self._calls[operation]
        if threads == 1:
            call()
            return _measured(lambda: timed(call, calls))
        start = Barrier(threads)

        def run() -> tuple[float, list[int], float]:
            start.wait()
            return time.perf_counter(), timed(call, calls), time.perf_counter()

        busy = time.process_time()
        runs = [future.result() for future in [self._pool.submit(run) for _ in range(threads)]]
        seconds = max(ended for *_, ended in runs) - min(began for began, *_ in runs)
        return Round(time.process_time() - busy, seconds, [each for _, singles, _ in runs for each in singles])

    def counted(self, operations: Sequence[str], calls: int) -> list[str]:
        """The calls of each operation, with a call of getloadavg() before and after, by which valgrind is told to
        note what was counted: nothing else in the process calls it. The operation "turn" sends to the queues in
        turn."""
        mark, each_call = os.getloadavg, {**self._calls, "nothing": _nothing, "turn": self._sending_in_turn(calls)}
        gc.collect()
        gc.disable()  # when it comes depends on what was done before
        for operation in operations:
            call = each_call[operation]
            mark()
            for _ in range(calls):
                call()
            mark()
        gc.enable()
        return list(operations)

    def queues(self, count: int) -> int:
        """Have verdicts about so many queues, and send to these from now on. Returns the memory of the process, in
        bytes. The answer about a queue is handed to the guard, which is quicker than a call for each."""
        for hooks in guards_of(self._client):
            for number in range(self._queues, count):
                url = queue_url(number)
                body = json.dumps({"QueueUrl": url}).encode()
                _, verdict = hooks.examine(url, json.loads(content_of(b"AmazonSQS.GetQueueAttributes", body)))
                (cache,) = all_caches()
                flight = cache.look_up(key_of(url)).flight
                if flight is not None:
                    cache.settle(key_of(url), flight, verdict)
        self._queues = count
        gc.collect()
        return resident_bytes()

    def turn(self, calls: int) -> Round:
        """Sends to queues at random, of those that there are. Raises RuntimeError when one was looked at."""
        send, looks = self._sending_in_turn(calls), self._network.looks
        taken = _measured(lambda: timed(send, calls))
        if self._network.looks != looks:
            raise RuntimeError("a queue was looked at, so this was not the usual case")
        return taken

    def _sending_in_turn(self, calls: int) -> Callable[[], object]:
        random = Random(calls)
        urls = iter([queue_url(random.randrange(max(self._queues, 1))) for _ in range(calls)])
        send = self._client.send_message
        return lambda: send(QueueUrl=next(urls), MessageBody=BODY)

    def looks(self) -> int:
        """How often a queue was asked for its attributes."""
        return self._network.looks


def _nothing() -> None:
    """What a loop costs by itself."""


def _measured(run: Callable[[], list[int]]) -> Round:
    busy, began = time.process_time(), time.perf_counter()
    singles = run()
    return Round(time.process_time() - busy, time.perf_counter() - began, singles)


def queue_url(number: int) -> str:
    """The URL of a queue; all are of the same length."""
    return f"{QUEUE_URL}-{number:06}"


def resident_bytes() -> int:
    """The memory that the process takes now, or at its most where the system does not tell."""
    file = Path("/proc/self/statm")
    if file.is_file():
        return int(file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    name, *where = sys.argv[1:]
    with clean_surroundings():
        tasks = Tasks(*make_client(name, Server(*where) if where else None))
        for line in sys.stdin:
            order = json.loads(line)
            outcome = getattr(tasks, order.pop("task"))(**order)
            print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
