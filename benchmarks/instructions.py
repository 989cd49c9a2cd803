"""How many machine instructions a call takes, with and without the guard, counted by valgrind on a stubbed network.

Instructions do not depend on what else the machine does, nor on how fast it is: counted twice, they come out the same
to some hundredths of a per cent. Each contestant runs in a process of its own with the same hash seed; counting begins
after its client is made and each call was made some times, and what an empty loop takes is taken off.

Examples:
  python benchmarks/instructions.py                               # boto3, twice, and safe_sqs
  python benchmarks/instructions.py --contestants all             # the instrumentations too
  python benchmarks/instructions.py --calls 200 --warm 100        # more calls
  python benchmarks/instructions.py --parts                       # what is left in the guard, and why

valgrind has to be installed. The exit status is 0 whether or not the goal is met.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from contestants import GUARD, RAW
from guard_parts import DRESSED, PARTS
from racer import Racer, taking_part
from record import Table, as_text

from safe_sqs.demo.unplugged import OPERATIONS

__all__ = ["Counts", "can_count", "count", "count_parts", "parts_table"]

SEED = 1
Counts = dict[str, dict[str, float]]
"""The instructions of a call, by contestant and operation."""


def can_count() -> bool:
    """True where valgrind is installed."""
    return all(shutil.which(program) for program in ("valgrind", "callgrind_control"))


def count(
    name: str, *, calls: int = 60, warm: int = 30, operations: Sequence[str] = tuple(OPERATIONS), queues: int = 0
) -> dict[str, float]:
    """The instructions of one call of each operation. With `queues`, of a send to these in turn as well."""
    operations = ["nothing", *operations, *(["turn"] if queues else [])]
    with tempfile.TemporaryDirectory(prefix="safe-sqs-") as folder:
        parts = _counted(name, calls, warm, operations, queues, Path(folder))
    empty = parts.pop("nothing")
    return {operation: (found - empty) / calls for operation, found in parts.items()}


def _counted(name: str, calls: int, warm: int, operations: Sequence[str], queues: int, folder: Path) -> dict[str, int]:
    under = (
        "valgrind",
        "--quiet",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--dump-before=getloadavg",
        f"--callgrind-out-file={folder / 'counted'}",
    )
    with Racer(name, under=under, hash_seed=SEED) as racer:
        if queues:
            racer.ask("queues", count=queues)
        for operation in ["send", *filter(OPERATIONS.__contains__, operations)]:
            racer.run(operation, warm)
        subprocess.run(["callgrind_control", "-i", "on", str(racer.pid)], check=True, capture_output=True)
        racer.ask("counted", operations=operations, calls=2)  # what was compiled by valgrind before is compiled anew
        racer.ask("counted", operations=operations, calls=calls)
        subprocess.run(["callgrind_control", "-i", "off", str(racer.pid)], check=True, capture_output=True)
    # A dump for each mark. What was counted before a loop's second mark is the loop; the first half only warmed.
    totals = [_total(folder / f"counted.{number}") for number in range(1, 4 * len(operations) + 1)]
    return dict(zip(operations, totals[2 * len(operations) + 1 :: 2], strict=True))


def _total(file: Path) -> int:
    found = re.search(r"^totals: (\d+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None, f"{file} has no total"
    return int(found[1])


def raw_of(counts: Counts, operation: str) -> float:
    """What boto3 takes: the mean of the two."""
    return fmean(counts[name][operation] for name in RAW if name in counts)


def counts_table(counts: Counts) -> Table:
    """What each contestant takes and adds."""
    return Table(
        "Instructions of one call",
        ("Call", "Contestant", "Instructions", "Added", "Ratio"),
        [
            (
                operation,
                name,
                f"{found[operation]:,.0f}",
                f"{found[operation] - raw_of(counts, operation):+,.0f}",
                f"{found[operation] / raw_of(counts, operation):.4f}",
            )
            for operation in OPERATIONS
            for name, found in counts.items()
        ],
        "Counted by callgrind on the stubbed network. What the two boto3 differ by is what the count is uncertain by.",
    )


def count_parts(counts: Counts, *, calls: int = 60) -> Counts:
    """What is needed for the table of parts beside these counts: the same for boto3 and the guard with less."""
    return counts | {name: count(name, calls=calls, operations=("send",)) for name in DRESSED}


def parts_table(counts: Counts) -> Table:
    """What each part of the guard costs, and why it is needed."""
    rows = []
    raw = raw_of(counts, "send")
    for part in PARTS:
        added = counts[part.with_it]["send"] - counts[part.without_it]["send"]
        rows.append((part.name, f"{added:,.0f}", f"{added / raw:.2%}", part.why))
    whole = counts[GUARD]["send"] - raw
    return Table(
        "What is left, and why it is needed",
        ("Part", "Instructions", "Of boto3's send", "Why"),
        [*rows, ("the whole guard", f"{whole:,.0f}", f"{whole / raw:.2%}", "")],
        "Each part is what a send takes more with it than without. Together they need not come out as the whole: what "
        "a handler costs depends a little on what ran before it.",
    )


def main() -> None:
    chosen = parse()
    names = taking_part() if chosen.contestants == "all" else [*RAW, GUARD]
    counts = {name: count(name, calls=chosen.calls, warm=chosen.warm) for name in names}
    print(as_text(counts_table(counts)))
    if chosen.parts:
        print(as_text(parts_table(count_parts(counts, calls=chosen.calls))))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contestants", choices=("guard", "all"), default="guard", help="boto3 and safe_sqs, or all")
    parser.add_argument("--parts", action="store_true", help="what each part of the guard costs, and why it is needed")
    parser.add_argument("--calls", type=int, default=60, metavar="N", help="to count, of each kind (default: 60)")
    parser.add_argument("--warm", type=int, default=30, metavar="N", help="to make before that (default: 30)")
    chosen = parser.parse_args()
    if not can_count():
        parser.error("valgrind is not installed")
    return chosen


if __name__ == "__main__":
    main()
