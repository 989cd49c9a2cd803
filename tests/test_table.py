"""The table for people: within the width of a terminal, one line for each queue in a pipe, and never as markup."""

from __future__ import annotations

import io

import pytest
from inspections import (
    OTHER,
    OWN,
    TROUBLE,
    Many,
    evaluation,
    evaluations,
    facts_named,
    inspection,
    inspection_of,
    policy,
    queue,
    statement,
)
from rich.console import Console
from support import NEXT_MONTH

from safe_sqs.cli.table import MOST, show
from safe_sqs.evaluation import Compliance, Opinion
from safe_sqs.inspection import Inspection, Trouble
from safe_sqs.model import Facts, Mode

NEXT_STEP = "Next step: "


def on_a_terminal(shown: Inspection, width: int = 80, color: str | None = None) -> str:
    stream = io.StringIO()
    show(shown, Console(file=stream, width=width, force_terminal=True, color_system=color))
    return stream.getvalue()


def in_a_pipe(shown: Inspection) -> str:
    stream = io.StringIO()
    show(shown, Console(file=stream))
    return stream.getvalue()


def joined(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("profile", ["baseline", "strict"])
def test_it_keeps_to_the_width_of_a_terminal_but_for_next_steps_which_are_copied(width, profile):
    lines = on_a_terminal(inspection(TROUBLE, profile=profile), width).splitlines()
    assert [line for line in lines if len(line.rstrip()) > width and NEXT_STEP not in line] == []
    assert "\N{HORIZONTAL ELLIPSIS}" not in "".join(lines)
    for name in ("orders-open", "payments.fifo", "images-raw.fifo"):
        assert any(line.split()[:1] == [name] for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_name_is_folded_and_not_cut(width):
    long = queue("q" * 75 + ".fifo")
    text = on_a_terminal(inspection_of([evaluation(known=(long, Facts(long)))]), width)
    assert max(len(line.rstrip()) for line in text.splitlines() if NEXT_STEP not in line) <= width
    assert text.count("q") >= 2 * 75


def test_the_matrix_says_in_words_how_each_queue_does_by_each_practice():
    rows = {
        line.split()[0]: line.split()[1:] for line in in_a_pipe(inspection()).splitlines() if line.startswith("arn:")
    }
    of = f"arn:aws:sqs:eu-west-1:{OTHER}"
    assert rows[f"{of}:sandbox"] == ["REFUSED", "passed", "REFUSED", "warned", "off"]
    assert rows[f"{of}:bucket-events"] == ["passed", "warned", "passed", "passed", "off"]
    assert rows[f"arn:aws:sqs:us-east-1:{OWN}:payroll"] == ["unknown"] * 4 + ["off"]
    assert len(rows) == len(evaluations())


def test_on_a_terminal_queues_stand_under_their_account_and_region():
    lines = [line.strip() for line in on_a_terminal(inspection()).splitlines()]
    places = [line for line in lines if line.startswith((f"{OWN} ", f"{OTHER} "))]
    assert places == sorted({f"{each.queue.account} {each.queue.region}" for each in evaluations()})


@pytest.mark.parametrize("told", [in_a_pipe, on_a_terminal, lambda shown: on_a_terminal(shown, 120)])
def test_every_finding_is_told_with_what_is_expected_and_the_next_step(told):
    text = joined(told(inspection()))
    for each in evaluations():
        for finding in each.findings:
            assert f"Found: {finding.found} Expected: {finding.expected} Next step: {finding.next_step}" in text
        for opinion in each.opinions:
            assert opinion.told in text
    assert f"Exempt from queue-encryption until {NEXT_MONTH}: the partner cannot use it yet" in text


def test_a_next_step_is_one_line_on_a_terminal_too():
    step = evaluation("unencrypted").findings[0].next_step
    assert len(step) > 80
    assert step in on_a_terminal(inspection_of([evaluation("unencrypted")]))


def test_there_is_no_colour_in_a_pipe_and_there_is_on_a_terminal(monkeypatch):
    assert "\x1b" not in in_a_pipe(inspection(TROUBLE))
    assert "\x1b[1;31mREFUSED" in on_a_terminal(inspection(), color="standard")


def test_the_width_of_the_console_is_as_before():
    console = Console(file=io.StringIO(), width=80)
    show(inspection(), console)
    assert console.width == 80


# --- texts from outside ------------------------------------------------------------------------------------------

HOSTILE = [
    "[bold red]x[/bold red]",
    "[/]",
    "[link=https://evil.example]here[/link]",
    ":boom:",
    "\x1b[2J\x1b]0;title\x07",
    "one\r\ntwo",
    "\u202eesrever",
    "\ud800",
    "[",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("told", [in_a_pipe, lambda shown: on_a_terminal(shown, 120, "truecolor")])
def test_texts_from_outside_are_neither_markup_nor_commands_to_the_terminal(told, text):
    judged = evaluation(known=facts_named(text, policy=policy(statement(Sid=text, Principal="*"))))
    odd = judged.findings[0]._replace(rule="odd", found=text, expected=text, next_step=text)
    judged = judged._replace(findings=(*judged.findings, odd), opinions=(Opinion(text, agrees=True, told=text),))
    nameless = judged._replace(queue=judged.queue._replace(url=text, name=""))
    harmless = text.isprintable()
    out = told(inspection_of([judged, nameless], Trouble(text, text, text)))
    for character in ("\x1b[2J", "\x1b]", "\x07", "\r", "\u202e", "\ud800"):
        assert character not in out
    assert "\ntwo" not in out
    assert "evil.example" not in out or text in out
    if harmless:
        assert out.count(text) >= 8


def test_what_the_encoding_of_the_stream_does_not_have_is_told_as_its_code():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    judged = evaluation("public")
    finding = judged.findings[0]._replace(found="statement 'Größe'")
    show(inspection_of([judged._replace(findings=(finding,))]), Console(file=stream))
    stream.flush()
    assert b"Gr\\xf6\\xdfe" in raw.getvalue()


# --- many, none, troubles ----------------------------------------------------------------------------------------


def test_of_many_queues_the_counts_come_first_and_the_worst_are_listed():
    shown = inspection_of(Many(1_400))
    lines = in_a_pipe(shown).splitlines()
    assert lines[0].split() == ["Practice", "refused", "warned", "unknown", "exempt", "passed", "off"]
    assert lines[1].split() == ["Not", "public", "300", "0", "200", "0", "900", "0"]
    listed = [line for line in lines if line.startswith("arn:")]
    assert len(listed) == MOST
    assert all("sandbox" in line for line in listed)
    hint = next(line for line in lines if "--output FILE" in line)
    assert f"the worst {MOST} of 1,100 queues" in hint
    assert "--format html" in hint
    assert "--format json" in hint
    assert lines[-1].startswith("1,400 queues: 800 do not comply, 300 could not be judged, 300 comply")


def test_of_many_queues_those_that_comply_are_not_listed_and_nothing_is_hinted_at_when_all_are():
    good = [evaluation("good")] * 200
    text = in_a_pipe(inspection_of([*good, evaluation("unencrypted")]))
    assert [line.split(":")[5].split()[0] for line in text.splitlines() if line.startswith("arn:")] == [
        "images-raw.fifo"
    ]
    assert "--output FILE" not in text
    assert "arn:" not in in_a_pipe(inspection_of(good))


def test_as_many_as_are_listed_at_the_most_stand_in_one_matrix():
    text = in_a_pipe(inspection_of(list(Many(MOST))))
    assert len([line for line in text.splitlines() if line.startswith("arn:")]) == MOST
    assert "Practice" not in text


def test_what_counts_is_what_the_inspection_counts():
    judged = [evaluation("plain HTTP")] * (MOST + 1)
    assert "arn:" in in_a_pipe(inspection_of(judged))
    enforced = in_a_pipe(inspection_of(judged, fail_on=Mode.ENFORCE))
    assert "arn:" not in enforced
    assert (
        enforced.splitlines()[-1] == "51 queues: 0 do not comply, 0 could not be judged, 51 comply (profile baseline)."
    )


def test_that_there_are_no_queues_is_said():
    assert in_a_pipe(inspection_of([])).strip() == "No queues were found (profile baseline)."


def test_what_was_not_looked_at_is_told_and_counted_in_the_last_line():
    text = in_a_pipe(inspection_of([evaluation("good")], TROUBLE, TROUBLE))
    assert f"{TROUBLE.place}: {TROUBLE.found}" in text
    assert f"{NEXT_STEP}{TROUBLE.next_step}" in text
    assert text.splitlines()[-1].endswith("1 complies; 2 places not looked at (profile baseline).")
    assert "No queues were found; 1 place not looked at" in in_a_pipe(inspection_of([], TROUBLE))


def test_of_very_many_troubles_the_first_are_told_and_the_others_counted():
    text = in_a_pipe(inspection_of([], *[TROUBLE] * (MOST + 7)))
    assert text.count(TROUBLE.found) == MOST
    assert "and 7 more" in text


@pytest.mark.parametrize("compliance", Compliance)
def test_the_counts_of_the_last_line_add_up(compliance):
    judged = [each for each in evaluations() if each.compliance() is compliance]
    last = joined(in_a_pipe(inspection_of(judged)).splitlines()[-1])
    numbers = [int(word) for word in last.replace(",", "").split() if word.isdigit()]
    assert numbers[0] == sum(numbers[1:]) == len(judged)
    order = [Compliance.NON_COMPLIANT, Compliance.INSUFFICIENT_DATA, Compliance.COMPLIANT]
    assert numbers[1 + order.index(compliance)] == len(judged)


def test_a_practice_from_which_a_queue_is_partly_exempt_is_not_called_passed():
    lines = in_a_pipe(inspection_of([evaluation("exempt")])).splitlines()
    row = next(line.split() for line in lines if line.startswith("arn:"))
    assert row[3] == "exempt"


def test_a_narrow_terminal_does_not_hide_the_names_of_the_queues():
    shown = on_a_terminal(inspection(), width=40)
    for each in inspection().evaluations:
        assert any(line.startswith(f"  {each.queue.name} ") for line in shown.splitlines())
