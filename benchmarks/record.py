"""What was measured, kept in a file that a page of results can be made from: the figures, when, where, and how to get
them again.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

__all__ = ["RECORDS", "Plot", "Table", "as_text", "describe_machine", "keep", "kept"]

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "benchmarks" / "results"
"""The records from which the page of results is made; they are part of the repository."""

LIBRARIES = ("safe_sqs", "boto3", "botocore", "urllib3", "structlog")


class Table(NamedTuple):
    """Rows under columns. What is in a cell is shown as it is; `note` says in a sentence or two what one sees."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


def as_text(table: Table) -> str:
    """A table for people, under its title. What is long is left for the page of results."""
    rows = [[textwrap.shorten(str(cell), 60, placeholder=" ...") for cell in row] for row in table.rows]
    wide = [max(len(row[index]) for row in [list(table.columns), *rows]) for index in range(len(table.columns))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if _is_number(cell) else cell.ljust(width)
            for cell, width in zip(cells, wide, strict=True)
        ).rstrip()

    return "\n".join(["", table.title, "", line(table.columns), *map(line, rows)])


def _is_number(cell: str) -> bool:
    return cell[:1].lstrip("+-").isdigit() or (cell[:1] in "+-" and cell[1:2].isdigit())


class Plot(NamedTuple):
    """A drawing in docs/assets, named by its file."""

    file: str
    title: str


def describe_machine(libraries: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """The machine, the Python, and the versions of the libraries, as far as they are installed."""
    return {
        "machine": f"{processor()}, {os.cpu_count()} processors, {platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": ", ".join(f"{name} {found}" for name in libraries if (found := _version(name))),
    }


def processor() -> str:
    """The name of the processor, where the system tells."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for entry in information.read_text(encoding="utf-8").splitlines():
            if entry.startswith("model name"):
                return entry.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def keep(
    name: str,
    *,
    title: str,
    command: str,
    tables: Sequence[Table],
    plots: Sequence[Plot] = (),
    summary: str = "",
    measured_on: Mapping[str, str] | None = None,
    folder: Path = RECORDS,
) -> Path:
    """Write the record `name`, in place of the one before. `summary` is one sentence, made of figures by the program
    that measured them; `command` is what gets them again."""
    record = {
        "title": title,
        "command": command,
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "measured_on": dict(measured_on or describe_machine()),
        "summary": summary,
        "tables": [table._asdict() for table in tables],
        "plots": [plot._asdict() for plot in plots],
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def kept(folder: Path = RECORDS) -> dict[str, dict[str, object]]:
    """All records, by name."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    """The commit that was measured, with a plus sign where there were changes that it does not hold."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):  # not a checkout, or no git
        return ""
    return found.stdout.strip()
