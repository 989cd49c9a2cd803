"""An audit of many queues in one run: how fast it is, how much memory it takes, and how it goes on after it was killed.

The emulator runs in a process of its own, over real TLS. `safe-sqs audit` runs in another one, exactly as a user starts
it; its memory (resident set size) is read while its journal grows. Then it is run again, killed half-way (SIGKILL), and
resumed: no queue may be looked at twice but those that were under way, and the output has to be the same.

The emulator answers on the same machine, so the speed is that of the two together. What AWS adds is latency, which
--jobs hides, and throttling.

Examples:
  python benchmarks/fleet.py                       # ten thousand queues
  python benchmarks/fleet.py --queues 300          # the short form
  python benchmarks/fleet.py --jobs 32 --json fleet.json

The exit status is 0 when memory stayed flat and the resumed run told the same, else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from record import Table, describe_machine, keep

FLAT_KIB_PER_QUEUE = 1.0
"""How much memory a queue may take: what a run keeps of each is its key, and where its evaluation stands."""
SLACK_KIB = 8_192
"""What the allocator may take besides, whatever the number of queues."""
KEYS = {
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLEEXAMPLE01",
    "AWS_SECRET_ACCESS_KEY": "temporary-secret-for-benchmarks",
    "AWS_SESSION_TOKEN": "session-token-for-benchmarks",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Sample(NamedTuple):
    """How much memory the audit took when so many queues were done."""

    queues: int
    rss_kib: int


class Measured(NamedTuple):
    """What came of it."""

    queues: int
    seconds: float
    calls: dict[str, int]
    peak_kib: int
    samples: list[Sample]
    output_bytes: int
    killed_at: int
    looks_after_resuming: int
    is_same: bool

    @property
    def growth_kib(self) -> int:
        """By how much memory grew from the first sample to the last."""
        return self.samples[-1].rss_kib - self.samples[0].rss_kib

    @property
    def is_flat(self) -> bool:
        """True when it grew by no more than a run has to keep."""
        between = self.samples[-1].queues - self.samples[0].queues
        return self.growth_kib <= SLACK_KIB + FLAT_KIB_PER_QUEUE * between


# --- the emulator, in a process of its own -----------------------------------------------------------------------


def serve(queues: int) -> None:
    """Run the emulator with so many queues, and print how often each operation arrived whenever a line comes in."""
    from moto.backends import get_backend

    from safe_sqs.demo import emulator as emulators

    with emulators.running() as emulator:
        backend = get_backend("sqs")["123456789012"]["us-east-1"]
        for number in range(queues):
            name = f"queue-{number:06}"
            kind = number % 10
            backend.create_queue(name, **({"SqsManagedSseEnabled": "false"} if kind == 0 else {}))
            if kind > 1:
                backend.set_queue_attributes(name, {"Policy": json.dumps(_policy(kind, name))})
        print(json.dumps({"url": emulator.url, "host": emulator.host, "authority": emulator.authority}), flush=True)
        for _ in sys.stdin:
            print(json.dumps(emulator.arrived), flush=True)


def _policy(kind: int, name: str) -> dict[str, Any]:
    """What stands in queues' policies: plain HTTP denied, a topic that may send, a role, and now and then everybody."""
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
    statements: list[dict[str, Any]] = [
        {
            "Sid": "DenyPlainHttp",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "Topic",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:us-east-1:123456789012:topic-{name}"}},
        },
        {
            "Sid": "Producer",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::123456789012:role/{name}"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        },
    ]
    if kind == 9:
        statements.append({"Sid": "All", "Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": arn})
    return {"Version": "2012-10-17", "Statement": statements}


class Served:
    """The emulator's process: `environment` leads to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        said = json.loads(self._line())
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAFE_SQS_"))},
            **KEYS,
            "AWS_ENDPOINT_URL": said["url"],
            "AWS_CA_BUNDLE": said["authority"],
            "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": said["host"],
        }

    def calls(self) -> dict[str, int]:
        """How often each operation has arrived."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        calls: dict[str, int] = json.loads(self._line())
        return calls

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def emulator(queues: int) -> Iterator[Served]:
    """The emulator with so many queues."""
    command = [sys.executable, __file__, "--serve", "--queues", str(queues)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Served(process)
        assert process.stdin is not None
        process.stdin.close()


# --- the audit, in another ---------------------------------------------------------------------------------------


def start(served: Served, jobs: int, *more: str) -> subprocess.Popen[bytes]:
    """Start `safe-sqs audit`."""
    program = Path(sys.executable).with_name("safe-sqs")
    command = [str(program), "audit", "--format", "json", "--jobs", str(jobs), *more]
    return subprocess.Popen(command, env=served.environment, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end: the peak of its memory in KiB. Raises RuntimeError when it could not do its work."""
    assert process.stderr is not None
    told = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode not in (0, 1):
        raise RuntimeError(told)
    return int(usage.ru_maxrss // (1024 if sys.platform == "darwin" else 1))


class Growing:
    """The journal of a run, and how many queues are in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.queues = 0

    def look(self) -> int:
        """How many there are now."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
            self._offset += len(new)
            self.queues += new.count(b'{"queue":{')
        return self.queues


def rss_kib(process: int) -> int:
    """The resident set size of a process, in KiB; 0 when it has ended."""
    status = Path(f"/proc/{process}/status")
    try:
        if status.parent.parent.joinpath("self").exists():
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
            return int(line.split()[1])
    except (OSError, StopIteration):
        return 0
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, check=False).stdout or 0)


def sampled(process: subprocess.Popen[bytes], journal: Path, marks: Sequence[int]) -> list[Sample]:
    """The memory at each mark."""
    growing, samples = Growing(journal), []
    for mark in marks:
        while growing.look() < mark:
            if process.poll() is not None:
                raise RuntimeError(f"the audit ended after {growing.queues} queues")
            time.sleep(0.01)
        samples.append(Sample(growing.queues, rss_kib(process.pid)))
    return samples


def killed(process: subprocess.Popen[bytes], journal: Path, at: int) -> int:
    """Kill a run when so many queues are done: how many there were."""
    growing = Growing(journal)
    while growing.look() < at and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return growing.look()


def told_by(output: Path) -> Any:
    """What an output says, but when it was written."""
    return {**json.loads(output.read_text(encoding="utf-8")), "at": None}


def measure(queues: int, jobs: int, folder: Path) -> Measured:
    """All of it."""
    marks = sorted({max(1, queues // 10), max(1, queues // 2), queues * 99 // 100})
    with emulator(queues) as served:
        journal, output = folder / "whole.jsonl", folder / "whole.json"
        began = time.perf_counter()
        process = start(served, jobs, "--journal", str(journal), "--output", str(output))
        samples = sampled(process, journal, marks)
        peak = finish(process)
        seconds = time.perf_counter() - began
        calls = served.calls()

        again, resumed = folder / "killed.jsonl", folder / "resumed.json"
        at = killed(start(served, jobs, "--journal", str(again)), again, queues // 2)
        before = served.calls()["GetQueueAttributes"]
        finish(start(served, jobs, "--resume", str(again), "--output", str(resumed)))
        looks = served.calls()["GetQueueAttributes"] - before
        return Measured(
            queues=queues,
            seconds=seconds,
            calls={name: calls[name] for name in ("ListQueues", "GetQueueAttributes")},
            peak_kib=peak,
            samples=samples,
            output_bytes=output.stat().st_size,
            killed_at=at,
            looks_after_resuming=looks,
            is_same=told_by(output) == told_by(resumed),
        )


# --- what is printed ---------------------------------------------------------------------------------------------


def show(measured: Measured, jobs: int) -> None:
    """Print the figures."""
    machine = describe_machine()
    for name, text in machine.items():
        print(f"{name + ':':<12}{text}")
    rate = measured.queues / measured.seconds
    print(f"\n{measured.queues:,} queues in {measured.seconds:.1f} s, {rate:,.0f} queues/s, {jobs} at a time")
    print("calls made: " + ", ".join(f"{count:,} {name}" for name, count in measured.calls.items()))
    print(f"output:     {measured.output_bytes / 2**20:.1f} MiB of JSON")
    print("\nmemory of the audit (resident set size)")
    for sample in measured.samples:
        print(f"  at {sample.queues:>7,} queues {sample.rss_kib / 1024:>8.1f} MiB")
    print(f"  peak, to the end   {measured.peak_kib / 1024:>8.1f} MiB")
    flat = "flat" if measured.is_flat else "NOT flat"
    print(f"  growth             {measured.growth_kib / 1024:>8.1f} MiB: {flat}")
    print(f"\nkilled (SIGKILL) when {measured.killed_at:,} queues were in the journal, and resumed:")
    same = "the same output" if measured.is_same else "ANOTHER output"
    print(f"  {measured.looks_after_resuming:,} looked at, of {measured.queues - measured.killed_at:,} left; {same}")


def keep_record(measured: Measured, jobs: int) -> None:
    """Keep the figures for the page of results."""
    left = measured.queues - measured.killed_at
    flat = "flat" if measured.is_flat else "not flat"
    same = "the same output" if measured.is_same else "another output"
    rows = [(f"{sample.queues:,}", f"{sample.rss_kib / 1024:.1f}") for sample in measured.samples]
    keep(
        "fleet",
        title="An audit of many queues",
        command="make bench-fleet",
        tables=[
            Table(
                "Memory of the audit",
                ("Queues done", "MiB"),
                [*rows, ("at its peak", f"{measured.peak_kib / 1024:.1f}")],
            ),
            Table("Calls", ("Operation", "Calls"), [(name, f"{count:,}") for name, count in measured.calls.items()]),
        ],
        summary=(
            f"{measured.queues:,} queues in {measured.seconds:.0f} s, {jobs} at a time; memory is {flat}. Killed after "
            f"{measured.killed_at:,} and resumed, "
            f"{measured.looks_after_resuming:,} of {left:,} are looked at, with {same}."
        ),
    )


def main() -> int:
    """Measure, print, and say whether all was as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queues", type=int, default=10_000, metavar="N", help="how many (default: 10000)")
    parser.add_argument("--jobs", type=int, default=16, metavar="N", help="how many at a time (default: 16)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    parser.add_argument("--keep", action="store_true", help="keep the record for the page of results")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.queues)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="safe-sqs-fleet-"))
    try:
        measured = measure(options.queues, options.jobs, folder)
    finally:
        shutil.rmtree(folder)
    show(measured, options.jobs)
    if options.json is not None:
        figures = {**measured._asdict(), "measured_on": describe_machine(), "is_flat": measured.is_flat}
        figures["samples"] = [sample._asdict() for sample in measured.samples]
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if options.keep:
        keep_record(measured, options.jobs)
    is_well = measured.is_flat and measured.is_same
    return 0 if is_well and measured.looks_after_resuming == measured.queues - measured.killed_at else 1


if __name__ == "__main__":
    sys.exit(main())
