"""The table of clients and attempts: every released client, everything that is attempted with it, and what came of it.

From the directory of the tests (`make compat` sees to the environments):

  python -m clients.compat                                            # prints the table, exits with 1 when one is wrong
  python -m clients.compat --only celery                              # the rows whose name has this in it
  python -m clients.compat --write ../docs/reference/compatibility.md # writes it into the page as well
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from clients.harness import (
    ATTEMPTS,
    CLIENTS,
    TASKS,
    Cell,
    Client,
    Outcome,
    Stage,
    Task,
    bin_of,
    cells,
    is_installed,
    on_stage,
    problems,
    run,
)
from rich.console import Console
from rich.progress import track

__all__ = ["BEGINNING", "END", "main", "markdown", "written_into"]

AT_ONCE = 3
"""One more than a small machine has processors, since programs also wait."""

BEGINNING = "<!-- the table: written by make compat -->"
END = "<!-- the end of the table -->"


class Field(NamedTuple):
    """What stands in a field of the table, and what is wrong with it. `complaint` is what the program wrote then."""

    text: str
    problems: Sequence[str] = ()
    complaint: str = ""


def main() -> int:
    """Try everything, and print the table. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m clients.compat", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", metavar="NAME", help="only the clients whose name has this in it")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the table into this page, between its marks")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write needs the whole table")
    clients = [client for client in CLIENTS if arguments.only.lower() in client.name.lower()]
    if not clients:
        parser.error(f"no client has {arguments.only!r} in its name")
    table = _table(clients)
    shown = markdown(clients, table, _versions(clients))
    sys.stdout.write(shown)
    wrong = [(cell, field) for cell, field in table.items() if field.problems]
    for cell, field in wrong:
        sys.stderr.write(f"\n{cell}: {'; '.join(field.problems)}\n{field.complaint}\n")
    tried = sum(bool(field.text) for field in table.values())
    sys.stderr.write(f"{tried} attempts, {len(wrong)} not as they must be\n")
    if arguments.write and not wrong:
        page = arguments.write
        page.write_text(written_into(page.read_text(encoding="utf-8"), shown), encoding="utf-8")
    return 1 if wrong else 0


# --- trying ------------------------------------------------------------------------------------------------------


def _table(clients: Sequence[Client]) -> dict[tuple[str, str, Task], Field]:
    wanted = [cell for cell in cells() if cell.client in clients]
    with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as threads:
        free: SimpleQueue[Stage] = SimpleQueue()
        for _ in range(AT_ONCE):
            free.put(stack.enter_context(on_stage()))

        def field_of(cell: Cell) -> Field:
            stage = free.get()
            try:
                return _field(cell, stage)
            finally:
                free.put(stage)

        console = Console(stderr=True)
        tried = track(
            threads.map(field_of, wanted), "trying", len(wanted), console=console, disable=not console.is_terminal
        )
        return {_key(cell): field for cell, field in zip(wanted, tried, strict=True)}


def _key(cell: Cell) -> tuple[str, str, Task]:
    return (cell.client.name, cell.attempt.name, cell.task)


def _field(cell: Cell, stage: Stage) -> Field:
    if cell.why_not_applicable:
        return Field("")
    if not is_installed(cell.client):
        return Field("not installed", [f"{bin_of(cell.client.venv)} is not there"])
    outcome = run(stage, cell)
    found = problems(cell, outcome)
    return Field(_text(outcome, found), found, outcome.complaint[-1500:])


def _text(outcome: Outcome, found: Sequence[str]) -> str:
    if found:
        return "**wrong**"
    return f"refused: {', '.join(outcome.rules)}" if outcome.rules else "works"


def _versions(clients: Iterable[Client]) -> Mapping[tuple[str, str], str]:
    """The versions of distributions, by environment and name."""
    wanted: dict[str, set[str]] = {}
    for client in clients:
        if is_installed(client):
            wanted.setdefault(client.venv, set()).update(client.libraries)
    return {
        (venv, name): version
        for venv, names in wanted.items()
        for name, version in zip(sorted(names), _versions_in(venv, sorted(names)), strict=True)
    }


_ASK = """
import json, sys
from importlib.metadata import version
print(json.dumps([version(name) for name in sys.argv[1:]]))
"""


def _versions_in(venv: str, names: Sequence[str]) -> Sequence[str]:
    asked = subprocess.run(
        [str(bin_of(venv) / "python"), "-c", _ASK, *names], capture_output=True, text=True, timeout=60, check=True
    )
    versions: list[str] = json.loads(asked.stdout)
    return versions


# --- showing -----------------------------------------------------------------------------------------------------


def markdown(
    clients: Sequence[Client],
    table: Mapping[tuple[str, str, Task], Field],
    versions: Mapping[tuple[str, str], str],
) -> str:
    """The table as a page shows it: two rows for each client, and the reasons for fields where nothing is tried."""
    notes: list[str] = []
    lines = [
        f"| Client | | {' | '.join(attempt.name for attempt in ATTEMPTS)} |",
        f"|---|---|{'---|' * len(ATTEMPTS)}",
    ]
    for client in clients:
        for task in TASKS:
            name = _named(client, versions) if task == TASKS[0] else ""
            fields = [_shown(Cell(client, attempt, task), table, notes) for attempt in ATTEMPTS]
            lines.append(f"| {' | '.join([name, task, *fields])} |")
    return "\n".join([*lines, *_footnotes(notes), ""])


def _shown(cell: Cell, table: Mapping[tuple[str, str, Task], Field], notes: list[str]) -> str:
    reason = cell.why_not_applicable
    if not reason:
        return table[_key(cell)].text
    if reason not in notes:
        notes.append(reason)
    return f"({notes.index(reason) + 1})"


def _footnotes(notes: Iterable[str]) -> Iterator[str]:
    for number, note in enumerate(notes, start=1):
        yield from ("", f"({number}) {note}")


def _named(client: Client, versions: Mapping[tuple[str, str], str]) -> str:
    known = [f"{name} {versions[client.venv, name]}" for name in client.libraries if (client.venv, name) in versions]
    if client.libraries == (client.name,) and known:
        return known[0]
    return f"{client.name} ({', '.join(known) or 'not installed'})"


def written_into(page: str, table: str) -> str:
    """The page with this table in the place of the one that it has. Raises ValueError where it has no marks."""
    before, beginning, rest = page.partition(BEGINNING)
    _, end, after = rest.partition(END)
    if not beginning or not end:
        raise ValueError(f"the page has no {BEGINNING} and {END}")
    return f"{before}{BEGINNING}\n\n{table}\n{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
