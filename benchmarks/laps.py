"""What the race measures: contestants in processes of their own, told in turn, in an order that is shuffled anew for
each round, to make some calls while the others wait.
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean, median, stdev
from typing import NamedTuple

from contestants import GUARD, RAW
from quick_server import Server
from racer import Racer, Round

from safe_sqs.demo.surroundings import clean_surroundings
from safe_sqs.demo.unplugged import KEYS, OPERATIONS

__all__ = ["Crowd", "Effort", "Growth", "Laps", "Result", "Start", "crowds", "growth", "laps", "results", "starts"]


class Effort(NamedTuple):
    """How much to measure. For each set the processes are new, as where objects happen to lie in memory makes a
    difference that lasts as long as they live."""

    sets: int
    rounds: int
    sets_over_tls: int
    calls: int
    crowd_rounds: int
    starts: int
    queues: Sequence[int]
    counted: int


Laps = dict[tuple[str, str], list[list[Round]]]
"""The rounds of a contestant with an operation, set by set. The rounds with one number were made after each other."""

Progress = Callable[[str], None]


@contextmanager
def field(names: Iterable[str], server: Server | None, hash_seed: int) -> Iterator[list[Racer]]:
    """A process for each contestant."""
    with ExitStack() as stack:
        yield [stack.enter_context(Racer(name, server, hash_seed=hash_seed)) for name in names]


def laps(names: Sequence[str], effort: Effort, server: Server | None, progress: Progress) -> Laps:
    """All operations of all contestants, over the stubbed network or by a server."""
    found: Laps = {(name, operation): [] for name in names for operation in OPERATIONS}
    sets, shuffled = effort.sets_over_tls if server else effort.sets, random.Random(effort.sets)
    for number in range(sets):
        for rounds in found.values():
            rounds.append([])
        with field(names, server, hash_seed=number) as racers:
            for turn in range(-1, effort.rounds):
                progress(f"{'loopback TLS' if server else 'stubbed network'}, set {number + 1} of {sets}")
                for operation in OPERATIONS:
                    for racer in shuffled.sample(racers, len(racers)):
                        lap = racer.run(operation, effort.calls)
                        if turn >= 0:  # the first round only warms
                            found[racer.name, operation][-1].append(lap)
    return found


class Result(NamedTuple):
    """What a contestant does with an operation: the median of its rounds, in microseconds of processor time, and what
    it adds to boto3 in the same round; and percentiles of single calls by the clock. `error` is the standard error of
    `added`, from how the sets differ."""

    busy: float
    added: float
    error: float
    ratio: float
    p50: float
    p99: float


def results(found: Laps) -> dict[tuple[str, str], Result]:
    """The outcome for each contestant and operation."""
    return {(name, operation): _result(found, name, operation) for name, operation in found}


def _result(found: Laps, name: str, operation: str) -> Result:
    def busy(lap: Round) -> float:
        return lap.busy_seconds / len(lap.singles) * 1e6

    added_by_set = []
    for number, rounds in enumerate(found[name, operation]):
        raw = zip(*(found[one, operation][number] for one in RAW if one != name), strict=True)
        added_by_set.append([busy(lap) - fmean(map(busy, each)) for lap, each in zip(rounds, raw, strict=True)])
    everything = [lap for rounds in found[name, operation] for lap in rounds]
    raw_busy = median(busy(lap) for one in RAW if one != name for rounds in found[one, operation] for lap in rounds)
    added = median(each for one in added_by_set for each in one)
    singles = sorted(single / 1e3 for lap in everything for single in lap.singles)
    return Result(
        busy=median(map(busy, everything)),
        added=added,
        error=_error_of([median(one) for one in added_by_set]),
        ratio=1 + added / raw_busy,
        p50=percentile(singles, 50),
        p99=percentile(singles, 99),
    )


def _error_of(values: Sequence[float]) -> float:
    return stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value below which so many per cent of the ordered ones lie."""
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


# --- threads -----------------------------------------------------------------------------------------------------


class Crowd(NamedTuple):
    """One client that many threads use: sends in a second, and a percentile of single calls in microseconds."""

    name: str
    threads: int
    per_second: float
    p99: float


THREADS = (1, 2, 4, 8, 16, 32, 64)


def crowds(names: Sequence[str], effort: Effort, server: Server | None, progress: Progress) -> list[Crowd]:
    """Sends by 1 to 64 threads of each contestant."""
    found: dict[tuple[str, int], list[Round]] = {(name, threads): [] for threads in THREADS for name in names}
    shuffled = random.Random(effort.crowd_rounds)
    with field(names, server, hash_seed=0) as racers:
        for racer in racers:
            racer.run("send", 2, max(THREADS))
        for _ in range(effort.crowd_rounds):
            for threads in THREADS:
                progress(f"{threads} threads, {'loopback TLS' if server else 'stubbed network'}")
                for racer in shuffled.sample(racers, len(racers)):
                    found[racer.name, threads].append(racer.run("send", max(1, 256 // threads), threads))
    return [
        Crowd(
            name,
            threads,
            median(len(lap.singles) / lap.seconds for lap in rounds),
            percentile(sorted(single / 1e3 for lap in rounds for single in lap.singles), 99),
        )
        for (name, threads), rounds in found.items()
    ]


# --- many queues -------------------------------------------------------------------------------------------------


class Growth(NamedTuple):
    """With verdicts about so many queues: the memory of the process in bytes, and what the guard adds to a send to
    one of them at random, in microseconds of processor time."""

    queues: int
    memory: float
    added: float


def growth(effort: Effort, progress: Progress) -> list[Growth]:
    """What more queues cost."""
    found = []
    with Racer(GUARD) as guarded, Racer(RAW[0]) as raw:
        for count in effort.queues:
            progress(f"{count:,} queues")
            memory = guarded.ask("queues", count=count)
            raw.ask("queues", count=count)
            added = []
            for turn in range(effort.rounds):
                pair = [guarded, raw][:: 1 if turn % 2 else -1]
                busy = {racer.name: Round(*racer.ask("turn", calls=effort.calls)).busy_seconds for racer in pair}
                added.append((busy[GUARD] - busy[RAW[0]]) / effort.calls * 1e6)
            found.append(Growth(count, memory, median(added)))
    return found


# --- the start of a program --------------------------------------------------------------------------------------


class Start(NamedTuple):
    """A fresh interpreter that imports and makes a client: its processor time in milliseconds."""

    name: str
    busy: float
    added: float


def starts(names: Sequence[str], effort: Effort, progress: Progress) -> list[Start]:
    """What each contestant does to the start of a program."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from contestants import begin; begin({{!r}})"
    )
    found: dict[str, list[float]] = {name: [] for name in names}
    shuffled = random.Random(effort.starts)
    with clean_surroundings():
        os.environ |= {
            "AWS_ACCESS_KEY_ID": KEYS["access_key"],
            "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"],
            "AWS_SESSION_TOKEN": KEYS["token"],
        }
        for number in range(-1, effort.starts):
            progress(f"start {max(number, 0) + 1} of {effort.starts}")
            for name in shuffled.sample(list(names), len(names)):
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run([sys.executable, "-c", code.format(name)], check=True, stderr=subprocess.DEVNULL)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                if number >= 0:  # the first of each fills the disk's cache
                    found[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    raw = [fmean(pair) for pair in zip(*(found[name] for name in RAW), strict=True)]
    return [
        Start(
            name,
            median(times) * 1e3,
            median(own - other for own, other in zip(times, raw, strict=True)) * 1e3,
        )
        for name, times in found.items()
    ]
