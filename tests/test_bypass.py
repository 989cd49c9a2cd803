"""Ways around the guard: each of them works without it, and gets nowhere with it, or SECURITY.md says so.

The ways themselves are in the package `bypasses`, and `make bypass` prints the table of them.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from bypasses.__main__ import main, rows, summary
from bypasses.corpus import FAMILIES, WAYS
from bypasses.running import Outcome, attempt, problem
from bypasses.stage import Seen, on_stage, open_theatre
from bypasses.ways import Face, Family

from safe_sqs import GuardError

SECURITY = Path(__file__).parents[1] / "SECURITY.md"

ASKED_FOR = {
    "client creation",
    "endpoints",
    "redirects",
    "environment and config files",
    "credentials swaps",
    "handlers of others",
    "retries",
    "presigned URLs",
    "pickling",
    "copying",
    "threads",
    "forks",
    "subclassing",
    "Stubber",
    "resource objects",
    "paginators",
    "batches with mixed content",
    "queue URL variants",
    "cache confusion",
    "time jumps",
    "exemptions by pattern",
    "config from the working directory",
    "unicode",
}
"""The families that there have to be, at the least."""


def under(face, *, passes=False):
    """The ways that are tried under a face, as parameters of a test."""
    of = "passes" if passes else "refused_by"
    ways = WAYS if face is Face.RAW else [way for way in WAYS if face in getattr(way, of)]
    return pytest.mark.parametrize("way", ways, ids=lambda way: way.name)


@pytest.fixture(scope="session")
def theatre():
    with open_theatre() as opened:
        yield opened


def check(theatre, way, face):
    """Try a way, and fail where something is not as it must be."""
    if way.missing():
        pytest.skip(way.missing())
    assert problem(attempt(theatre, way, face)) == ""


@under(Face.RAW)
def test_without_the_guard_this_gets_through(theatre, way):
    check(theatre, way, Face.RAW)


@under(Face.GUARD)
def test_with_the_guard_this_gets_nowhere(theatre, way):
    check(theatre, way, Face.GUARD)


@under(Face.SWITCH)
def test_with_the_switch_for_the_whole_process_this_gets_nowhere(theatre, way):
    check(theatre, way, Face.SWITCH)


@under(Face.GUARD, passes=True)
def test_what_is_out_of_scope_gets_through_the_guard(theatre, way):
    check(theatre, way, Face.GUARD)


@under(Face.SWITCH, passes=True)
def test_what_is_out_of_scope_gets_through_with_the_switch(theatre, way):
    check(theatre, way, Face.SWITCH)


# --- the list of what is not stopped ---------------------------------------------------------------------------------


def entries():
    """The entries under "What is not stopped", each as one line of text."""
    section = SECURITY.read_text(encoding="utf-8").partition("[start:not-stopped] -->")[2]
    section = section.partition("<!-- --8<-- [end:not-stopped]")[0]
    return [re.sub(r"\s+", " ", entry).strip() for entry in re.split(r"^- ", section, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize("way", [way for way in WAYS if way.passes], ids=lambda way: way.name)
def test_what_gets_through_is_in_the_list_of_what_is_not_stopped(way):
    assert len([entry for entry in entries() if way.sentence in entry]) == 1


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.partition("**")[2].partition("**")[0])
def test_every_entry_of_the_list_of_what_is_not_stopped_is_tried(entry):
    assert [way for way in WAYS if way.sentence and way.sentence in entry]


# --- the corpus itself -----------------------------------------------------------------------------------------------


def test_there_is_something_in_every_family_that_was_asked_for():
    assert {family.name for family in FAMILIES if family.ways} >= ASKED_FOR


def test_there_are_at_least_a_hundred_ways_that_are_refused():
    assert len([way for way in WAYS if way.refused_by]) >= 100


def test_every_way_has_a_name_of_its_own_and_says_what_it_attempts():
    names = Counter(way.name for way in WAYS)
    assert names.most_common(1)[0][1] == 1
    assert [way.name for way in WAYS if not way.says.endswith(".") or way.says.count("\n")] == []


@pytest.mark.parametrize("face", Face, ids=lambda face: face.name)
def test_what_is_harmless_passes_and_is_not_counted(theatre, face):
    with on_stage(theatre, face) as stage:
        client = stage.client()
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")
        client.receive_message(QueueUrl=stage.good)
        assert stage.arrivals("SendMessage", stage.good) == 1
        assert stage.seen() == Seen(0, 0, 0, 0)


def test_what_arrives_is_counted_at_every_witness(theatre):
    with on_stage(theatre, Face.RAW) as stage:
        stage.client().send_message(QueueUrl=stage.good, MessageBody=stage.secret)
        at_emulator = stage.seen()
        stage.client({"endpoint_url": stage.plain.url}).list_queues()
        at_plain = stage.seen()
        stage.client(stage.to_unknown).list_queues()
        at_unknown = stage.seen()
    assert at_emulator.requests == 1
    assert at_emulator.bytes > 100
    assert (at_plain.connections, at_plain.requests) == (1, 2)
    assert at_plain.bytes > at_emulator.bytes + 100
    assert (at_unknown.connections, at_unknown.requests) == (2, 3)
    assert at_unknown.bytes > at_plain.bytes + 100


def outcome_of(*, face=Face.GUARD, error=None, seen=0, passes=False):
    """What a made-up attempt came to."""
    family = Family("made up")
    put = family.out_of_scope("of no list") if passes else family.way
    put(lambda _: None)
    return Outcome(family.ways[0], face, error, Seen(0, 0, seen, 0))


def test_what_is_not_as_it_must_be_is_told():
    refused = GuardError("refused")
    assert problem(outcome_of(error=refused)) == ""
    assert "gets through" in problem(outcome_of(error=refused, seen=1))
    assert "gets through" in problem(outcome_of(seen=1))
    assert "did not refuse" in problem(outcome_of())
    assert "did not refuse" in problem(outcome_of(error=ConnectionError()))
    assert problem(outcome_of(face=Face.RAW, seen=1)) == ""
    assert "does not work without" in problem(outcome_of(face=Face.RAW))
    assert "as it is written" in problem(outcome_of(face=Face.RAW, seen=1, error=TypeError()))
    assert problem(outcome_of(seen=1, passes=True)) == ""
    assert "SECURITY.md is wrong" in problem(outcome_of(error=refused, passes=True))


def test_the_table_counts_what_was_refused_and_what_got_through():
    outcomes = [
        outcome_of(face=Face.RAW, seen=7),
        outcome_of(error=GuardError("refused")),
        outcome_of(seen=5),
        outcome_of(seen=3, passes=True),
    ]
    assert rows(outcomes)[-1] == ("all", 1, 1, 5, 1, 1, 7)
    assert "1 attempts were refused" in summary(outcomes)


# --- the program -----------------------------------------------------------------------------------------------------


def test_the_program_tries_what_it_is_told_to_and_prints_a_table(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["--only", "roles/producer-that-receives"]) == 0
    said = capsys.readouterr()
    assert "3 attempts" in said.out
    assert "1 ways in 1 families: 2 attempts were refused, of which 0 bytes were seen outside" in said.out
    assert said.err == ""
    assert list(tmp_path.iterdir()) == []


def test_the_program_ends_with_1_when_something_gets_through(capsys, monkeypatch):
    family = Family("made up")

    @family.way
    def nothing_is_refused(stage):
        """Nothing stands in the way of a message without a fault."""
        stage.client().send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    monkeypatch.setattr("bypasses.__main__.WAYS", tuple(family.ways))
    monkeypatch.setattr("bypasses.__main__.FAMILIES", (family,))
    assert main([]) == 1
    assert "made-up/nothing-is-refused (install() alone): it gets through" in capsys.readouterr().out


def test_the_program_lists_every_way_with_what_it_attempts(capsys):
    assert main(["--list"]) == 0
    said = capsys.readouterr().out.replace("\n", " ")
    assert all(way.name in said for way in WAYS)


def test_the_program_refuses_a_name_that_does_not_exist(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--only", "nothing"])
    assert ended.value.code == 2
    assert "no way has this name" in capsys.readouterr().err
