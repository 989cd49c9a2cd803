"""The page of results is what the records give, so that nothing on it is typed by hand, and its plots are there."""

from __future__ import annotations

import json
import re
import sys

import pytest
import record
import results
from record import Plot, Table


def keep(folder, name, title="A title", rows=(("a", 1),), **more):
    record.keep(
        name,
        title=title,
        command=f"make {name}",
        tables=[Table("A table", ("What", "Figure"), rows, "A note.")],
        folder=folder,
        **{"summary": "All of it held.", **more},
    )


def test_the_page_is_what_the_records_give():
    assert results.PAGE.read_text(encoding="utf-8") == results.page(record.kept()), (
        "run python benchmarks/results.py, and never edit the page"
    )


def test_every_plot_of_a_record_is_there_and_on_the_page():
    text = results.PAGE.read_text(encoding="utf-8")
    for name, kept in record.kept().items():
        for plot in kept["plots"]:
            assert (results.ASSETS / plot["file"]).is_file(), f"{name} has no {plot['file']}"
            assert f"](../assets/{plot['file']})" in text


def test_every_record_has_a_sentence_of_summary_a_command_and_figures():
    for name, kept in record.kept().items():
        assert kept["summary"].endswith("."), name
        assert kept["command"], name
        assert kept["tables"], name
        for table in kept["tables"]:
            assert all(len(row) == len(table["columns"]) for row in table["rows"]), f"{name}: {table['title']}"


def test_records_come_in_a_fixed_order_and_others_by_name(tmp_path):
    for name in ("zeal", "soak", "apples", "race", "bypass"):
        keep(tmp_path, name, title=f"About {name}")
    text = results.page(record.kept(tmp_path))
    assert re.findall(r"^## About (\w+)$", text, re.MULTILINE) == ["race", "bypass", "soak", "apples", "zeal"]
    assert re.findall(r"\| `make (\w+)` \|", text) == ["race", "bypass", "soak", "apples", "zeal"]


def test_a_record_is_shown_with_its_summary_its_machine_its_plots_and_its_tables(tmp_path):
    keep(
        tmp_path,
        "race",
        title="The race: who, and how",
        plots=[Plot("race.svg", "Bars")],
        measured_on={"machine": "a small one", "python": "CPython 3.11.7"},
    )
    text = results.page(record.kept(tmp_path))
    assert "| [The race: who, and how](#the-race-who-and-how) | All of it held. | `make race` |" in text
    assert "on a small one, CPython 3.11.7." in text
    assert "![Bars](../assets/race.svg)" in text
    assert "### A table\n\nA note.\n\n| What | Figure |\n| --- | ---: |\n| a | 1 |" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a|b", "a\\|b"), ("<b>*x*", "\\<b\\>\\*x\\*"), ("two\nlines", "two lines"), (1.5, "1.5"), ("a_b", "a\\_b")],
)
def test_what_is_in_a_cell_is_shown_as_it_is(tmp_path, value, shown):
    keep(tmp_path, "race", rows=[("it", value)])
    assert f"| it | {shown} |" in results.page(record.kept(tmp_path))


def test_a_page_that_was_edited_is_found(tmp_path, monkeypatch):
    keep(tmp_path, "race")
    records = record.kept(tmp_path)
    monkeypatch.setattr(results, "kept", lambda: records)
    monkeypatch.setattr(results, "PAGE", tmp_path / "results.md")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["results.py", *arguments])
        return results.main()

    assert run("--check") == 1  # there is none yet
    assert run() == 0
    assert run("--check") == 0
    results.PAGE.write_text(results.PAGE.read_text().replace("All of it held.", "All of it held, and more."))
    assert run("--check") == 1


def test_a_record_says_what_it_was_measured_with(tmp_path):
    keep(tmp_path, "race")
    (kept,) = record.kept(tmp_path).values()
    assert kept["measured_on"]["libraries"].startswith("safe_sqs ")
    assert json.dumps(kept)
    assert set(kept) == {"title", "command", "made", "commit", "measured_on", "summary", "tables", "plots"}


def test_a_table_for_people_has_its_columns_under_each_other():
    shown = record.as_text(Table("Calls", ("Call", "us"), [("send", "+1.5"), ("receive", "10.0")]))
    assert shown.splitlines() == ["", "Calls", "", "Call     us", "send     +1.5", "receive  10.0"]
