"""The guard under faults of network and service: a proxy that ends TLS stands between client and emulator.

Each run arms one fault at one place (the first look at a queue, a later one, the look at its key, the call itself),
before or after the request is forwarded, once or always, under one of botocore's ways of retrying, with threads on
boto3 or tasks on aiobotocore. A raw client suffers it first. The guarded one has to do the same in as many requests,
and moreover nothing of the bad queue leaves, every message that is sent once is received once, and nothing is stuck.

Examples:
  python -m faults                                  # every combination once
  python -m faults --budget                         # and what looks take of a client's budget for retries
  python -m faults --minutes 10                     # combinations at random, for so long
  python -m faults --fault reset --place call       # a part of it
  python -m faults --fault reset --stage after --place facts --lasts once --retries standard --side sync --seed 3
  python -m faults --faults                         # the names of all faults

To be run in tests/, with benchmarks/ on PYTHONPATH. The exit status is 0 when all of it holds, else 1; then the seed
and the command are shown that do it again.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from random import Random
from typing import NamedTuple

from record import LIBRARIES, Table, describe_machine, keep

from faults.budget import MOST_SENDS, Spent, measure_all
from faults.catalogue import FAULTS, FAULTS_BY_NAME, Stage
from faults.runs import RETRIES, SIDES, Case, Place, Report, World, all_cases, run, world

COMMAND = "cd tests && PYTHONPATH=../benchmarks python -m faults"
THREADS_OF_THE_GUARD = "safe_sqs"
MUST_BE_ZERO = ("messages lost", "messages doubled by the guard", "stuck")


class Result(NamedTuple):
    """What all runs came to."""

    reports: list[Report]
    seconds: float
    threads_left: int

    @property
    def counts(self) -> Counter[str]:
        """All counts of all runs."""
        return sum((report.counts for report in self.reports), Counter())

    @property
    def failed(self) -> list[Report]:
        """The runs in which something did not hold."""
        return [report for report in self.reports if report.problems]


def main() -> int:
    """Runs what is asked for."""
    options = _parser().parse_args()
    if options.faults:
        for fault in FAULTS:
            _say(f"{fault.name:26} {fault.level.value:5} {', '.join(stage.value for stage in fault.stages)}")
        return 0
    logging.getLogger("safe_sqs").setLevel(logging.CRITICAL)  # what it refuses is counted here
    cases = _chosen(options)
    with world(options.timeout) as made:
        result = _try(made, _order(cases, options), options.seed, options.jobs)
        for line in _figures(result, options.seed):
            _say(line)
        spent = measure_all(made) if options.budget else []
    for row in spent:
        _say("  ".join(f"{cell!s:>14}" for cell in _spent_cells(row)))
    for report in result.failed:
        _say(f"\n{report.case}\n  " + "\n  ".join(report.problems[:5]))
        _say(f"  again: {COMMAND} {report.case} --seed {options.seed}")
    if result.threads_left:
        _say(f"\n{result.threads_left} threads are left over")
    if options.keep:
        _keep(result, spent, options)
    return 1 if result.failed or result.threads_left or any(result.counts[name] for name in MUST_BE_ZERO) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fault", choices=sorted(FAULTS_BY_NAME), action="append", metavar="NAME", help="see --faults")
    parser.add_argument("--stage", choices=[stage.value for stage in Stage], help="before or after it is forwarded")
    parser.add_argument("--place", choices=[place.value for place in Place], help="which requests it strikes")
    parser.add_argument("--lasts", choices=("once", "always"), help="the first request, or all until it ends")
    parser.add_argument("--retries", choices=RETRIES, help="botocore's retry mode")
    parser.add_argument("--side", choices=SIDES, help="threads on boto3, or tasks on aiobotocore")
    parser.add_argument("--rounds", type=int, default=1, help="how often everything is tried (1)")
    parser.add_argument("--minutes", type=float, help="try combinations at random for so long, in place of everything")
    parser.add_argument("--seed", type=int, default=0, help="from which all that is random comes (0)")
    parser.add_argument("--jobs", type=int, default=12, help="runs at the same time (12)")
    parser.add_argument("--timeout", type=float, default=2.0, help="of the clients, in seconds (2)")
    parser.add_argument("--budget", action="store_true", help="measure what looks take of the budget for retries, too")
    parser.add_argument("--keep", action="store_true", help="write a record into benchmarks/results")
    parser.add_argument("--faults", action="store_true", help="list the faults, and do nothing else")
    return parser


def _chosen(options: argparse.Namespace) -> list[Case]:
    sides = [side for side in SIDES if side == "sync" or find_spec("aiobotocore")]
    if len(sides) < len(SIDES) and options.side != "sync":
        _say("aiobotocore is not installed here, so asynchronous clients are left out")
    cases = [
        case
        for case in all_cases(sides)
        if (not options.fault or case.fault in options.fault)
        and all(
            getattr(options, field) in (None, getattr(case, field))
            for field in ("stage", "place", "lasts", "retries", "side")
        )
    ]
    if not cases:
        sys.exit("nothing to try: such a combination means nothing, or its client is not installed here")
    return cases


def _order(cases: list[Case], options: argparse.Namespace) -> Iterator[Case]:
    """What is tried, in an order that does not put the slow ones together."""
    random = Random(options.seed)
    if options.minutes is not None:
        ends = time.monotonic() + 60 * options.minutes
        while time.monotonic() < ends:
            yield random.choice(cases)
        return
    for _ in range(options.rounds):
        yield from random.sample(cases, len(cases))


def _try(made: World, cases: Iterable[Case], seed: int, jobs: int) -> Result:
    began = time.monotonic()
    before = set(threading.enumerate())
    reports: list[Report] = []
    free = threading.Semaphore(jobs)  # so that cases are taken when they are about to be tried

    def done(future: Future[Report]) -> None:
        free.release()
        if not future.cancelled() and future.exception() is None:
            reports.append(future.result())
            if len(reports) % 100 == 0:
                bad = sum(bool(report.problems) for report in reports)
                _say(f"{len(reports)} runs in {time.monotonic() - began:.0f} s, {bad} bad")

    with ThreadPoolExecutor(jobs) as pool:
        futures = []
        for case in _taken(cases, free):
            future = pool.submit(run, made, case, seed)
            future.add_done_callback(done)
            futures.append(future)
    for future in futures:
        future.result()
    return Result(reports, time.monotonic() - began, _threads_left(before))


def _taken(cases: Iterable[Case], free: threading.Semaphore) -> Iterator[Case]:
    for case in cases:
        free.acquire()
        yield case


def _threads_left(before: set[threading.Thread]) -> int:
    """Threads that were not there before, once they have had time to end; the guard keeps two for judging."""
    for _ in range(100):
        left = [
            thread
            for thread in set(threading.enumerate()) - before
            if not thread.name.startswith(THREADS_OF_THE_GUARD) and "process_request_thread" not in thread.name
        ]
        if not left:
            return 0
        time.sleep(0.1)
    return len(left)


# --- what is shown ------------------------------------------------------------------------------------------------


def _figures(result: Result, seed: int) -> Iterator[str]:
    bad = len(result.failed)
    yield f"\n{len(result.reports)} runs in {result.seconds:.0f} s, seed {seed}: {bad} in which something does not hold"
    for name, count in _ordered(result):
        yield f"  {count:8}  {name}"
    raw, guarded = _longest(result.reports)
    yield f"  the longest call took {raw:.1f} s with botocore alone, {guarded:.1f} s with the guard"


def _ordered(result: Result) -> list[tuple[str, int]]:
    counts = result.counts
    for name in MUST_BE_ZERO:
        counts.setdefault(name, 0)
    return sorted(counts.items()) + [("threads left over", result.threads_left)]


def _longest(reports: Iterable[Report]) -> tuple[float, float]:
    seconds = [report.seconds for report in reports]
    return max((raw for raw, _ in seconds), default=0.0), max((ours for _, ours in seconds), default=0.0)


def _spent_cells(row: Spent) -> tuple[object, ...]:
    again = "at once" if row.retried else f"more than {MOST_SENDS}" if row.sends is None else row.sends
    return (
        row.retries,
        row.outage,
        row.queues,
        row.client,
        row.requests,
        again,
        f"{row.seconds:.1f}" if row.seconds else "",
    )


def _keep(result: Result, spent: list[Spent], options: argparse.Namespace) -> None:
    counts = result.counts
    sides = {report.case.side for report in result.reports}
    name = "faults-async" if sides == {"async"} else "faults"
    client = "aiobotocore" if sides == {"async"} else "boto3" if sides == {"sync"} else "boto3 and aiobotocore"
    tables = [
        Table("What was counted", ["Count", "Of what"], [[count, of] for of, count in _ordered(result)]),
        Table(
            "By fault",
            [
                "Fault",
                "Level",
                "Runs",
                "Struck",
                "Sent",
                "Unverifiable",
                "Doubled, raw",
                "Doubled, guarded",
                "Lost",
                "Stuck",
            ],
            _by_fault(result.reports),
            "Doubled are messages whose answer was lost after the service had taken them, so that botocore sent them "
            "again, the raw client as the guarded one.",
        ),
        Table(
            "By place",
            ["Place", "Retries", "Runs", "Longest call in seconds, raw", "Longest call in seconds, guarded"],
            _by_place(result.reports),
            "A guarded call whose queue is not known yet waits for the look and for itself.",
        ),
    ]
    if spent:
        tables.append(
            Table(
                "What looks take of a client's budget for retries",
                [
                    "Retries",
                    "Outage",
                    "Queues",
                    "Client",
                    "Requests in the outage",
                    "Sends until a call is retried again",
                ]
                + ["Ten sends after a throttling, in seconds"],
                [list(_spent_cells(row)) for row in spent],
                "One client tries each queue once in the outage. A look that fails takes as much of the budget as a "
                "call that fails.",
            )
        )
    summary = (
        f"{len(result.reports)} runs with {client}, {counts['faults']} faults: {counts['messages sent']} messages "
        f"sent, {counts['messages lost']} lost, {counts['messages doubled by the guard']} doubled by the guard, "
        f"{counts['stuck']} stuck, {len(result.failed)} runs in which something does not hold."
    )
    file = keep(
        name,
        title=f"Faults between client and service, {client}",
        command="make faults",
        tables=tables,
        summary=summary,
        measured_on=describe_machine((*LIBRARIES, *(("aiobotocore", "aiohttp") if "async" in sides else ()))),
    )
    _say(f"kept in {file}")


def _by_fault(reports: Iterable[Report]) -> list[list[object]]:
    groups: defaultdict[str, list[Report]] = defaultdict(list)
    for report in reports:
        groups[report.case.fault].append(report)
    rows = []
    for fault in FAULTS:
        counts = sum((report.counts for report in groups[fault.name]), Counter())
        names = ("faults", "messages sent", "calls unverifiable", "messages doubled by botocore's retries, raw")
        names += ("messages doubled by botocore's retries, guarded", "messages lost", "stuck")
        if groups[fault.name]:
            rows.append([fault.name, fault.level.value, len(groups[fault.name]), *(counts[name] for name in names)])
    return rows


def _by_place(reports: list[Report]) -> list[list[object]]:
    rows = []
    for place in Place:
        for retries in RETRIES:
            these = [each for each in reports if (each.case.place, each.case.retries) == (place.value, retries)]
            if these:
                rows.append([place.value, retries, len(these), *(f"{seconds:.1f}" for seconds in _longest(these))])
    return rows


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
