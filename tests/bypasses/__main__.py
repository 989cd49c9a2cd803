"""The corpus of bypasses, tried: each way without the guard, with it, and with the switch for the whole process.

From the directory of the tests (`make bypass` sees to the environment):

  python -m bypasses                             # tries everything, and prints the table
  python -m bypasses --list                      # the ways, by family, with what each attempts
  python -m bypasses --family retries            # the families whose name has this in it
  python -m bypasses --only presigned-urls/by-get
  python -m bypasses --keep                      # writes the figures to benchmarks/results as well

Exits with 1 when anything gets through that SECURITY.md does not list, when something is refused that it lists, or when
a way does not work without the guard, and so proves nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table as Shown

from bypasses.at_once import outcomes_of
from bypasses.corpus import FAMILIES, WAYS
from bypasses.running import Outcome, problem
from bypasses.ways import Face, Way

__all__ = ["COLUMNS", "main", "rows", "summary"]

COLUMNS = (
    "family",
    "ways",
    "refused",
    "bytes seen",
    "out of scope",
    "not as it must be",
    "bytes without the guard",
)
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the corpus. Returns the exit status."""
    said = _parser().parse_args(arguments)
    ways = [way for way in WAYS if said.family.lower() in way.family and (not said.only or way.name in said.only)]
    if not ways:
        _parser().error("no way has this name")
    if said.list:
        _list(ways)
        return 0
    missing = {way.name: reason for way in ways if (reason := way.missing())}
    begun = time.monotonic()
    outcomes = list(_tried([way for way in ways if way.name not in missing], said.jobs))
    _show(outcomes, missing, time.monotonic() - begun)
    wrong = any(problem(outcome) for outcome in outcomes)
    if said.keep and not wrong:
        _keep(outcomes)
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bypasses", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", default="", metavar="NAME", help="only the families whose name has this in it")
    parser.add_argument("--only", action="append", metavar="ID", help="only this way; can be given again")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="so many processes at once")
    parser.add_argument("--list", action="store_true", help="say what there is, and try nothing")
    parser.add_argument("--keep", action="store_true", help="write the figures to benchmarks/results, when all is well")
    return parser


def _tried(ways: Sequence[Way], jobs: int) -> Iterable[Outcome]:
    turns = [(way, face) for face in Face for way in ways if face in way.faces]
    console = Console(stderr=True)
    return track(outcomes_of(turns, jobs), "trying", len(turns), console=console, disable=not console.is_terminal)


# --- what is printed ---------------------------------------------------------------------------------------------


def rows(outcomes: Sequence[Outcome]) -> list[tuple[object, ...]]:
    """One row for each family that was tried, and one for all."""
    found = [_row(name, [each for each in outcomes if each.way.family == name]) for name in _names(outcomes)]
    return [*found, _row("all", outcomes)]


def _names(outcomes: Sequence[Outcome]) -> list[str]:
    tried = {outcome.way.family for outcome in outcomes}
    return [family.name for family in FAMILIES if family.name in tried]


def _row(name: str, outcomes: Sequence[Outcome]) -> tuple[object, ...]:
    guarded = [each for each in outcomes if each.face is not Face.RAW]
    held = [each for each in guarded if each.face in each.way.refused_by]
    return (
        name,
        len({each.way.name for each in outcomes}),
        sum(each.refused for each in held),
        sum(each.seen.bytes for each in held),
        sum(not problem(each) for each in guarded if each.face in each.way.passes),
        sum(bool(problem(each)) for each in outcomes),
        sum(each.seen.bytes for each in outcomes if each.face is Face.RAW),
    )


def summary(outcomes: Sequence[Outcome]) -> str:
    """The figures in a sentence."""
    _, ways, refused, seen, listed, wrong, without = rows(outcomes)[-1]
    return (
        f"{ways} ways in {len(_names(outcomes))} families: {refused} attempts were refused, of which {seen} bytes were "
        f"seen outside, {listed} got through as SECURITY.md says, {wrong} were not as they must be; without the guard "
        f"{without} bytes were seen."
    )


def _show(outcomes: Sequence[Outcome], missing: dict[str, str], seconds: float) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Shown(*COLUMNS)
    for row in rows(outcomes):
        table.add_row(*map(str, row))
    console.print(table)
    for outcome in outcomes:
        complaint = problem(outcome)
        if complaint:
            console.print(f"{outcome.way.name} ({outcome.face.value}): {complaint}", markup=False)
    for name, reason in missing.items():
        console.print(f"{name} was left out: {reason}", markup=False)
    console.print(summary(outcomes), markup=False)
    console.print(f"{len(outcomes)} attempts in {seconds:.0f} s", markup=False)


def _list(ways: Sequence[Way]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 200)
    for way in ways:
        console.print(f"{way.name}: {way.says}", markup=False, highlight=False)
        if way.sentence:
            console.print(f"    out of scope: {way.sentence}", markup=False, highlight=False)


def _keep(outcomes: Sequence[Outcome]) -> None:
    sys.path.insert(0, str(BENCHMARKS))
    from record import Table, keep

    note = "An attempt is a way under one face: guard() or the drop-in, and install() alone."
    keep(
        "bypass",
        title="Ways around the guard",
        command="make bypass",
        tables=[Table("Ways by family", COLUMNS, rows(outcomes), note), _listed(outcomes)],
        summary=summary(outcomes),
    )


def _listed(outcomes: Sequence[Outcome]) -> Any:
    from record import Table

    listed = {each.way.name: each.way for each in outcomes if each.way.sentence}
    found = [(way.name, way.says, way.sentence) for way in listed.values()]
    return Table("Out of scope", ("way", "what it attempts", "in SECURITY.md"), found)


if __name__ == "__main__":
    sys.exit(main())
