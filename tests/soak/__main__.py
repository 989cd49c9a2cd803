"""Load and soak: what the guard does under many threads, tasks and forks, on thousands of queues that change under way.

A service of SQS's protocol runs in a process of its own, over real TLS. It holds the truth: how each queue is and since
when, who looked at it, and when each message arrived. Queues turn public, lose their encryption, let plain HTTP in, are
deleted, cannot be read or have their KMS key disabled, and turn good again. The load runs in another process: threads
with clients of boto3 and, where aiobotocore is installed, tasks of asyncio with clients of that. All share one cache of
verdicts, whose TTL is short, so that many lives pass. Clients, threads and tasks come and go, tasks are cancelled, and
every few seconds the process is forked, and the child goes on.

What must hold is printed with the figures that show it. It is told by the time at which the guard began to judge a
request, which every request carries, so a busy machine cannot make it fail or hide a failure. Only the bound on the way
to the service (--way) depends on the machine.

Examples:
  python -m soak                                     # five minutes, 64 threads, 1,000 tasks, 10,000 queues
  python -m soak --seconds 3600 --keep               # an hour, kept in benchmarks/results/soak.json
  python -m soak --seconds 60 --threads 16 --tasks 0 --queues 500 --ttl 3
  python -m soak --seconds 120 --trace               # with tracemalloc: what safe_sqs holds, by line
  python -m soak --seed 7                            # other queues, other changes; times are never the same

The exit status is 0 when all of it held, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any, NamedTuple

from record import Table, keep

from soak.referee import Breach
from soak.service import Play

__all__ = ["Held", "Outcome", "main", "run"]

SLACK_MIB = 24.0
"""What the allocator may take besides, however long the run is."""
KIB_PER_VERDICT = 2.0
"""What the verdict about a queue may take that was not in the cache before."""
BLOCKS_SLACK, BLOCKS_PER_VERDICT = 50_000, 30
ENDS_SECONDS = 300.0
"""After which the load is ended when it does not end by itself."""
SAID = 12

_PROGRAM = (
    "import json, sys; sys.path[:0] = json.loads(sys.argv[2]); {prelude}\n"
    "from soak.service import Play; from soak import load; load.main(Play(**json.loads(sys.argv[1])))"
)


class Held(NamedTuple):
    """Something that must hold, whether it did, and the figure that shows it."""

    what: str
    held: bool
    figure: str


class Outcome(NamedTuple):
    """What the two processes said in the end. `said` is what they wrote to standard error, which should be nothing."""

    play: Play
    service: dict[str, Any]
    load: dict[str, Any]
    seconds: float
    said: str

    @property
    def thirds(self) -> tuple[dict[str, float], dict[str, float]]:
        """The middle of the samples of the second third and of the last: the first third is the warm-up."""
        samples = self.load["samples"]
        third = max(1, len(samples) // 3)
        parts = samples[third : 2 * third] or samples, samples[2 * third :] or samples
        middle = [{name: median(each[name] for each in part) for name in samples[0]} for part in parts]
        return middle[0], middle[1]

    @property
    def calls(self) -> int:
        """How many calls were made, refused ones included, without those of children."""
        return sum(self.load["counts"].values())

    def checks(self) -> list[Held]:
        """All that must hold."""
        return [*self._by_the_service(), *self._by_the_process()]

    def _by_the_service(self) -> list[Held]:
        service, ttl = self.service, self.play.ttl_seconds
        late = f"longest {service['latest_check']:.2f} s by the check, {service['latest_arrival']:.2f} s by the arrival"
        figures = {
            Breach.STALE: f"{service['messages']:,} messages, TTL {ttl:g} s",
            Breach.LATE: f"{late}, TTL {ttl:g} s",
            Breach.SLOW: f"longest way with the look {service['longest_way']:.2f} s, bound {self.play.way_seconds:g} s",
            Breach.KNOWN: f"{service['asked'].get('GetQueueAttributes', 0):,} looks",
            Breach.GOOD_REFUSED: f"{service['refusals']:,} refusals",
            Breach.LOOKED_AGAIN: f"{service['looks']:,} looks, {service['least_looks']:,} at the least without"
            f" refreshing ahead; {service['pardoned']} after a denial by the service or a cancellation",
        }
        counts = service["breaches"]
        return [
            Held(f"never: {breach.value}", not counts.get(breach.name), f"{counts.get(breach.name, 0)}; {figure}")
            for breach, figure in figures.items()
        ]

    def _by_the_process(self) -> list[Held]:
        load, counts = self.load, self.load["counts"]
        before, after = self.thirds
        fresh = max(0.0, after["verdicts"] - before["verdicts"])
        grown, blocks = after["mib"] - before["mib"], after["blocks"] - before["blocks"]
        troubles = [what for what in counts if what.startswith("trouble")]
        left = {name: load[f"left_{name}"] for name in ("threads", "tasks", "files", "guards", "caches")}
        lived = all(counts.get(what) for what in ("accepted", "refused")) and self.service["changes"] and load["forks"]
        return [
            Held(
                "memory is flat",
                self.play.trace or grown <= SLACK_MIB + KIB_PER_VERDICT * fresh / 1024,
                f"{before['mib']:.1f} MiB in the second third, {after['mib']:.1f} in the last;"
                f" {fresh:,.0f} more verdicts",
            ),
            Held(
                "the number of allocated blocks is flat",
                self.play.trace or blocks <= BLOCKS_SLACK + BLOCKS_PER_VERDICT * fresh,
                f"{before['blocks']:,.0f}, then {after['blocks']:,.0f}",
            ),
            Held(
                "nothing is left over",
                not any(value if isinstance(value, list) else value > 0 for value in left.values()),
                ", ".join(f"{name} {value or 0}" for name, value in left.items()),
            ),
            Held(
                "every child began with an empty cache and ended well",
                not load["ended_badly"],
                f"{load['forks']} forks; {'; '.join(load['ended_badly'][:3]) or 'none ended badly'}",
            ),
            Held("no call ended in another error", not troubles, "; ".join(troubles[:3]) or f"{self.calls:,} calls"),
            Held("nobody complained", not self.said, self.said[-500:] or "standard error is empty"),
            Held("enough happened", bool(lived), f"{self.service['changes']:,} changes of queues"),
        ]

    def figures(self) -> list[tuple[str, str]]:
        """What was done, for people."""
        load, counts, service = self.load, self.load["counts"], self.service
        asked = ", ".join(f"{name} {count:,}" for name, count in sorted(service["asked"].items()))
        half = (
            f"{load['tasks_made']:,} tasks made" if self.play.has_tasks else "left out, as aiobotocore is not installed"
        )
        looks, least = service["looks"], service["least_looks"]
        return [
            ("time", f"{self.seconds:.0f} s"),
            ("calls", f"{self.calls:,}, {self.calls / self.seconds:,.0f} a second"),
            *sorted((what, f"{count:,}") for what, count in counts.items() if not what.startswith("trouble")),
            ("arrived at the service", asked),
            ("looks for each that is needed", f"{looks / max(1, least):.2f}"),
            ("changes of queues", f"{service['changes']:,}"),
            ("threads", f"{load['threads_made']:,} made, {self.play.threads} at a time"),
            ("asynchronous half", half if self.play.has_tasks else "left out: no tasks wanted, or no aiobotocore"),
            ("forks", f"{load['forks']}"),
            ("longest call", f"{load['longest_call']:.2f} s"),
        ]

    def by_time(self) -> list[dict[str, Any]]:
        """Some of the samples."""
        samples = self.load["samples"]
        step = max(1, len(samples) // SAID)
        return samples[step - 1 :: step]


def run(
    play: Play,
    *,
    prelude: str = "",
    progress: Callable[[dict[str, Any]], None] | None = None,
    enough: Callable[[dict[str, Any]], bool] = lambda _: False,
) -> Outcome:
    """Run service and load to their end. `prelude` is Python that the load runs before anything else. When one of them
    says what is `enough`, the load ends before its time.

    Raises RuntimeError when one of them ends otherwise.
    """
    reading, writing = os.pipe()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        said = stack.enter_context((folder / "said").open("w+"))
        began = time.monotonic()
        service = _start(stack, ("-m", "soak.service", _arguments(play._replace(reports=reading))), reading, said)
        first = _line(service, said)
        (folder / "authority.pem").write_text(first["authority"])
        play = play._replace(reports=writing, port=first["port"], authority=str(folder / "authority.pem"))
        program = _PROGRAM.format(prelude=prelude)
        load = _start(stack, ("-c", program, _arguments(play), json.dumps(sys.path)), writing, said)
        over = Event()

        def told(line: dict[str, Any]) -> None:
            if progress is not None:
                progress(line)
            if enough(line):
                over.set()

        words = [_listen(process, told) for process in (service, load)]
        while load.poll() is None and not over.wait(0.1):
            if time.monotonic() - began > play.seconds + ENDS_SECONDS:
                raise RuntimeError(f"the load does not end: {(folder / 'said').read_text()}")
        _end(load)
        seconds = time.monotonic() - began
        _end(service)
        last = [word() for word in words]
        said.seek(0)
        complaints = said.read()
    if service.returncode or load.returncode or "counts" not in last[1]:
        raise RuntimeError(f"service {service.returncode}, load {load.returncode}: {complaints[-2000:]}")
    return Outcome(play, *last, seconds, complaints)


def _arguments(play: Play) -> str:
    return json.dumps(play._asdict())


def _start(stack: ExitStack, arguments: Sequence[str], reports: int, said: Any) -> subprocess.Popen[str]:
    """Start a process that has one end of the pipe, and nobody else here any more."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            pass_fds=[reports],
            env=environment,
        )
    finally:
        os.close(reports)
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def _line(process: subprocess.Popen[str], said: Any) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        said.seek(0)
        raise RuntimeError(f"the service did not start: {said.read()}")
    first: dict[str, Any] = json.loads(line)
    return first


def _end(process: subprocess.Popen[str]) -> None:
    """Have a process end: that is what the end of its standard input says."""
    assert process.stdin is not None
    process.stdin.close()
    process.wait(ENDS_SECONDS)


def _listen(process: subprocess.Popen[str], told: Callable[[dict[str, Any]], None]) -> Callable[[], dict[str, Any]]:
    """Read what a process prints. Returns what gives its last word."""
    last: dict[str, Any] = {}

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            last.clear()
            last.update(json.loads(line))
            told(dict(last))

    thread = Thread(target=listen)
    thread.start()

    def word() -> dict[str, Any]:
        thread.join()
        return last

    return word


def _progress(line: dict[str, Any]) -> None:
    """One line that is written over, on a terminal."""
    words = {
        name: line[name]
        for name in ("at", "mib", "verdicts", "messages", "looks", "refusals", "changes")
        if name in line
    }
    if "messages" in line:
        words["breaches"] = sum(line["breaches"].values())
    sys.stderr.write("\r\033[K" + "  ".join(f"{name} {value:,}" for name, value in words.items()))
    sys.stderr.flush()


def _shown(outcome: Outcome, command: str) -> str:
    lines = [f"{name + ':':32} {value}" for name, value in outcome.figures()]
    lines += ["", "process by time:"]
    for each in outcome.by_time():
        text = (
            "{at:8.0f} s {mib:8.1f} MiB {blocks:10,} blocks {verdicts:7,} verdicts {threads:4} threads {files:5} files"
        )
        lines.append(text.format(**each))
    if outcome.load["held"]:
        first, last = outcome.load["held"][0], outcome.load["held"][-1]
        lines += [
            "",
            f"held by lines of safe_sqs: {sum(first.values()):,} bytes half-way, {sum(last.values()):,} at the end",
        ]
        grown = sorted(((last[at] - first.get(at, 0), at) for at in last), reverse=True)[:5]
        lines += [f"  {at:32} {by:+,}" for by, at in grown]
    lines += ["", "what must hold:"]
    lines += [f"  {'held' if each.held else 'BROKEN':7} {each.what}: {each.figure}" for each in outcome.checks()]
    lines += [f"  for example: {text}" for text in outcome.service["examples"]]
    if not all(each.held for each in outcome.checks()):
        lines += ["", f"something did not hold; once more: {command}"]
    return "\n".join(lines)


def _keep(outcome: Outcome, command: str) -> Path:
    service, seen = outcome.service, ("mib", "blocks", "verdicts", "threads", "files")
    return keep(
        "soak",
        title="Load and soak",
        command=command,
        tables=[
            Table(
                "What must hold",
                ("What", "Held", "Figure"),
                [(each.what, "yes" if each.held else "no", each.figure) for each in outcome.checks()],
            ),
            Table("What was done", ("What", "Figure"), outcome.figures()),
            Table(
                "The process by time",
                ("Seconds", "MiB", "Blocks", "Verdicts", "Threads", "Files"),
                [(round(sample["at"]), *(sample[name] for name in seen)) for sample in outcome.by_time()],
                "Memory is the resident set; blocks are those of Python's allocator.",
            ),
        ],
        summary=f"{outcome.calls:,} calls in {outcome.seconds:.0f} s on {outcome.play.queues:,} queues that changed"
        f" {service['changes']:,} times, and {outcome.load['forks']} forks:"
        f" {sum(service['breaches'].values())} breaches."
        f" The latest message to a bad queue was judged {service['latest_check']:.1f} s after it had turned"
        f" (TTL {outcome.play.ttl_seconds:g} s).",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it, and prints the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="how long, 300 unless said")
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--tasks", type=int, default=1_000, help="of asyncio; 0 leaves that half out")
    parser.add_argument("--queues", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ttl", type=float, default=10.0, help="the life of a verdict in seconds")
    parser.add_argument("--rate", type=float, default=300.0, help="calls a second, as far as the machine goes along")
    parser.add_argument("--changes", type=float, default=20.0, help="changes of queues a second")
    parser.add_argument("--fork", type=float, default=5.0, help="seconds between forks")
    parser.add_argument("--way", type=float, default=10.0, help="seconds that a request may be on its way at the most")
    parser.add_argument("--trace", action="store_true", help="with tracemalloc, whose own memory is not judged")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/soak.json")
    options = parser.parse_args(arguments)
    play = Play(
        options.seconds,
        options.threads,
        options.tasks,
        options.queues,
        options.seed,
        options.ttl,
        options.rate,
        options.changes,
        options.fork,
        options.way,
        trace=options.trace,
    )
    given = sys.argv[1:] if arguments is None else arguments
    command = f'make soak SOAK="{" ".join(each for each in given if each != "--keep")}"'
    outcome = run(play, progress=_progress if sys.stderr.isatty() else None)
    sys.stdout.write(f"{'' if not sys.stderr.isatty() else chr(10)}{_shown(outcome, command)}\n")
    if options.keep:
        sys.stdout.write(f"\nkept in {_keep(outcome, command)}\n")
    return 0 if all(each.held for each in outcome.checks()) else 1


if __name__ == "__main__":
    sys.exit(main())
