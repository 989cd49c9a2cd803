"""How the demonstration looks, on a terminal and in a pipe."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from safe_sqs.demo.cost import Figure
from safe_sqs.demo.story import MESSAGES, Result, Told, tell

__all__ = ["show"]

_WIDTH_IN_A_PIPE = 110


def show(*, with_overhead: bool) -> bool:
    """Show the demonstration. Returns True when everything went as it must."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_IN_A_PIPE)
    console.print("An AWS emulator over real TLS and guarded programs, all on this machine.\n")
    with _quiet_log(), _progress(console) as progress:
        told = tell(progress)
    _show_results(console, told)
    _show_error(console, told)
    if with_overhead:
        _show_overhead(console)
    _show_next(console)
    return _show_end(console, told)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Bars on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks = {
            "sent": progress.add_task("messages sent", total=MESSAGES),
            "received": progress.add_task("messages received", total=MESSAGES),
            "tried": progress.add_task("attempts", total=None),
        }
        yield lambda step: progress.advance(tasks[step])
        progress.update(tasks["tried"], total=progress.tasks[tasks["tried"]].completed)
    if console.is_terminal:
        console.print()


@contextmanager
def _quiet_log() -> Iterator[None]:
    """The table says what the log would say."""
    logger = logging.getLogger("safe_sqs")
    handler, propagate = logging.NullHandler(), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


# --- the table ---------------------------------------------------------------------------------------------------


def _show_results(console: Console, told: Told) -> None:
    """One table for each group, with columns of the same width. The road is below what was attempted, and why is below
    the rule, so that all of it fits a terminal of 80 columns."""
    left = min(42, console.width * 2 // 5)
    table = _table(left)
    table.add_row(Text("Attempt, and by which road"), Text("Outcome"), Text("Rule, and why"), style="bold")
    console.print(table)
    for group, results in groupby(told.results, key=lambda result: result.attempt.group):
        console.print(Text(f"\n{group}", style="bold cyan"))
        table = _table(left)
        for result in results:
            attempt = result.attempt
            table.add_row(
                Text.assemble(attempt.what, "\n", (attempt.road, "dim")),
                _outcome(result),
                Text.assemble((", ".join(result.rules), "bold"), "\n" if result.rules else "", result.why),
            )
        console.print(table)


def _table(left: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False, expand=True)
    table.add_column(width=left, overflow="fold")
    table.add_column(width=7)
    table.add_column(ratio=1, overflow="fold")
    return table


def _outcome(result: Result) -> Text:
    if not result.is_as_it_must_be:
        return Text("WRONG", style="bold white on red")
    if not result.passed:
        return Text("REFUSED", style="bold red")
    return Text("PASSED", style="bold yellow" if result.rules else "bold green")


# --- what follows it ---------------------------------------------------------------------------------------------


def _show_error(console: Console, told: Told) -> None:
    """The error with the most to say, as the program gets it."""
    error = max((result.error for result in told.results), key=len)
    console.print("\nWhat a program gets, in full (the last attempt):\n", style="bold")
    for line in error.splitlines():
        text = line.lstrip()
        console.print(Padding(Text(text), (0, 0, 0, len(line) - len(text))))


def _show_overhead(console: Console) -> None:
    console.print("\nWhat the guard costs here, against boto3 without it (CPU time, no network)\n", style="bold")
    with console.status("measuring") if console.is_terminal else nullcontext():
        figures = _measure()
    if not figures:
        console.print("It could not be measured here; python benchmarks/overhead.py tells why.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("What", "Guarded", "Two without", "Goal"):
        table.add_column(column, justify="left" if column == "What" else "right")
    for figure in figures:
        if figure.goal is not None:
            table.add_row(
                figure.what, *(f"{value:.3f} {figure.unit}" for value in (figure.value, figure.control, figure.goal))
            )
    console.print(table)
    console.print(Text("(the short form, and noisy; benchmarks/overhead.py measures longer)", style="dim"))


def _measure() -> list[Figure]:
    """In a fresh interpreter: this one has an emulator in it, which listens to botocore's events as well."""
    ran = subprocess.run([sys.executable, "-m", "safe_sqs.demo.cost"], capture_output=True, check=False)
    return [Figure(**fields) for fields in json.loads(ran.stdout)] if ran.returncode == 0 else []


def _show_next(console: Console) -> None:
    console.print("\nNext\n", style="bold")
    console.print(
        Text(
            "  import safe_sqs as boto3        in a program of yours, in place of import boto3\n"
            "  SAFE_SQS_PROFILE=observe        to see what would be refused, without refusing it\n"
            "  docs/tutorial.md                the first steps, one by one\n"
            "  docs/how-to/roll-out.md         from observe to enforce, in a team"
        )
    )


def _show_end(console: Console, told: Told) -> bool:
    refused = sum(not result.passed for result in told.results)
    console.print()
    if not told.problems:
        console.print(
            f"{len(told.results)} attempts, {refused} refused: everything went as it must.", style="bold green"
        )
        return True
    console.print("Not everything went as it must:", style="bold red")
    for problem in told.problems:
        console.print(Text(f"  - {problem}"))
    return False
