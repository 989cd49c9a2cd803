"""Writes docs/reference/results.md, the page of results, out of the records in benchmarks/results.

Nothing on that page is typed by hand: what it says was measured by the programs that kept the records, with their
--keep.

Examples:
  python benchmarks/results.py            # write the page
  python benchmarks/results.py --check    # end with exit status 1 where the page is not what the records give
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from record import ROOT, kept

__all__ = ["ASSETS", "PAGE", "page"]

PAGE = ROOT / "docs" / "reference" / "results.md"
ASSETS = ROOT / "docs" / "assets"

FIRST = ("race", "bypass", "faults", "faults-async", "soak", "soak-async", "mutants", "mutants-sample", "supply")
"""The records in the order of the page; others follow by name."""

HEAD = """---
hide:
  - toc
---

# Results

<!-- Written by `python benchmarks/results.py` from the records in benchmarks/results; do not edit. -->

What was measured, by the programs that measured it: `python benchmarks/results.py` writes this page from the records
that they keep. Each command prints the same figures of the machine that it runs on.
"""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|])")


def page(records: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of the page."""
    return "\n".join(_lines({name: records[name] for name in _ordered(records)}))


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def _lines(records: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield HEAD
    yield "## What is claimed, and what was found\n"
    rows = [
        (_link(record["title"]), _shown(record["summary"]), f"`{record['command']}`") for record in records.values()
    ]
    yield _table(("What", "Found", "Command"), rows)
    for record in records.values():
        yield from _section(record)


def _section(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {_shown(record['title'])}\n"
    where = record["measured_on"]
    commit = f", at commit `{record['commit']}`" if record["commit"] else ""
    yield f"By `{record['command']}`, {record['made']}{commit}, on {_shown(', '.join(where.values()))}.\n"
    for plot in record["plots"]:
        yield f"![{_shown(plot['title'])}](../assets/{plot['file']})\n"
    for table in record["tables"]:
        yield f"### {_shown(table['title'])}\n"
        if table["note"]:
            yield f"{_shown(table['note'])}\n"
        rows = [[_shown(cell) for cell in row] for row in table["rows"]]
        yield _table([_shown(column) for column in table["columns"]], rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown. A column of figures stands on the right."""
    marks = ["---:" if rows and all(_is_figure(row[index]) for row in rows) else "---" for index in range(len(columns))]
    lines = [columns, marks, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _is_figure(cell: str) -> bool:
    return not cell or re.match(r"[+-]?\d", cell) is not None


def _shown(value: object) -> str:
    """A value as Markdown shows it unchanged, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def _link(title: str) -> str:
    """The title, with the way to its section, as the `toc` extension of Markdown names it."""
    words = re.sub(r"[^\w\s-]", "", title).lower().replace("-", " ").split()
    return f"[{_shown(title)}](#{'-'.join(words)})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only tell whether the page is what the records give")
    text = page(kept())
    if parser.parse_args().check:
        is_same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        print(f"{PAGE.name} is what the records give" if is_same else f"{PAGE.name} is not what the records give")
        return int(not is_same)
    PAGE.write_text(text, encoding="utf-8")
    print(PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
