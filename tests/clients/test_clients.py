"""Released clients in programs of users: each works with what is safe, and is refused what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clients.compat import BEGINNING, END, written_into
from clients.harness import ATTEMPTS, CLIENTS, TASKS, Cell, Stage, bin_of, cells, is_installed, problems, run

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "compatibility.md"

_SHORT = {
    ("compliant", "send"),
    ("compliant", "receive"),
    ("plain-HTTP endpoint", "receive"),
    ("unencrypted queue", "send"),
}


def _parameter(cell: Cell) -> Any:
    is_short = (cell.attempt.name, cell.task) in _SHORT
    return pytest.param(cell, id=str(cell), marks=[] if is_short else [pytest.mark.whole_matrix])


@pytest.mark.parametrize("cell", [_parameter(cell) for cell in cells()])
def test_a_client_works_with_what_is_safe_and_is_refused_what_is_not(cell: Cell, stage: Stage) -> None:
    if cell.why_not_applicable:
        pytest.skip(cell.why_not_applicable)
    if not is_installed(cell.client):
        pytest.skip(f"make compat installs {bin_of(cell.client.venv).parent.name}")
    outcome = run(stage, cell)
    assert problems(cell, outcome) == [], outcome.complaint


@pytest.mark.parametrize(
    "cell", [_parameter(cell) for cell in cells() if cell.client.name == "boto3" and cell.attempt.rule]
)
def test_without_a_guard_the_same_program_does_what_is_unsafe(cell: Cell, stage: Stage) -> None:
    outcome = run(stage, cell, guarded=False)
    assert outcome.rules == ()
    assert len(problems(cell, outcome)) >= 2
    if cell.attempt.is_plain:
        assert outcome.connections
    else:
        assert outcome.status == 0
        assert (outcome.waiting, outcome.taken) == ((1, 0) if cell.task == "send" else (0, 0))


def test_programs_of_users_do_not_know_that_they_are_guarded() -> None:
    for program in (Path(__file__).parent / "programs").glob("*.py"):
        assert "safe_sqs" not in program.read_text(encoding="utf-8").lower(), program.name


# --- the page ----------------------------------------------------------------------------------------------------


def test_the_page_has_a_row_for_each_client_and_task_and_a_column_for_each_attempt() -> None:
    rows = [line for line in _table_on_the_page().splitlines() if line.startswith("|")]
    assert rows[0] == f"| Client | | {' | '.join(attempt.name for attempt in ATTEMPTS)} |"
    assert len(rows) == 2 + len(CLIENTS) * len(TASKS)
    for client in CLIENTS:
        assert any(row.startswith(f"| {client.name} ") for row in rows), client.name


def test_every_field_on_the_page_says_what_has_to_be() -> None:
    rows = [line.strip("| ").split(" | ") for line in _table_on_the_page().splitlines() if line.startswith("|")]
    for row in rows[2:]:
        for attempt, shown in zip(ATTEMPTS, row[-len(ATTEMPTS) :], strict=True):
            wanted = f"refused: {attempt.rule}" if attempt.rule else "works"
            assert shown == wanted or shown.startswith("("), row


def test_a_table_replaces_the_one_before_it_and_nothing_else() -> None:
    page = f"# Title\n\n{BEGINNING}\n\nold\n\n{END}\n\nThe rest.\n"
    once = written_into(page, "new\n")
    assert once == f"# Title\n\n{BEGINNING}\n\nnew\n\n{END}\n\nThe rest.\n"
    assert written_into(once, "new\n") == once


def test_a_page_without_marks_is_not_written_into() -> None:
    with pytest.raises(ValueError, match="the page has no"):
        written_into("# Title\n", "new\n")


def _table_on_the_page() -> str:
    return PAGE.read_text(encoding="utf-8").partition(BEGINNING)[2].partition(END)[0]
