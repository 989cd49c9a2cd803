"""The race runs with those who are installed, measures what it says, and keeps what it found. How fast anything is, is
not judged here: a busy machine is no bug.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import instructions
import laps
import pytest
import race
from contestants import CONTESTANTS, GUARD, INSTRUMENTATIONS, NAIVE, RAW
from guard_parts import DRESSED, PARTS
from laps import Crowd, Growth, Result, Start
from quick_server import serving
from racer import Racer, Round, taking_part

from safe_sqs.demo import cost
from safe_sqs.demo.unplugged import OPERATIONS, Provider

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
LITTLE = {
    "sets": 1,
    "rounds": 2,
    "sets_over_tls": 1,
    "calls": 2,
    "crowd_rounds": 1,
    "starts": 1,
    "queues": [1, 20],
    "counted": 1,
}


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "race.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("race")


@pytest.fixture(scope="module")
def printed(folder):
    """A race with as little of everything as there can be, without counting instructions, which takes long."""
    command = (
        "import sys, race; race.can_count = lambda: False; "
        f"sys.argv[1:] = ['--effort', {json.dumps(LITTLE)!r}, '--keep', '--records', {str(folder)!r}, "
        f"'--assets', {str(folder)!r}]; sys.exit(race.main())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", command], cwd=BENCHMARKS, capture_output=True, text=True, check=False, timeout=900
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def kept(printed, folder):
    return json.loads((folder / "race.json").read_text())


# --- the whole of it


def test_everyone_who_is_installed_runs_and_the_others_are_named(printed, kept):
    calls = next(table for table in kept["tables"] if table["title"] == "Calls, stubbed network")
    assert {row[1] for row in calls["rows"]} == set(taking_part())
    assert len(calls["rows"]) == len(OPERATIONS) * len(taking_part())
    for name in set(CONTESTANTS) - set(taking_part()):
        assert name in printed.partition("left out, as not installed: ")[2].partition("\n")[0]


def test_all_that_was_measured_is_printed_and_kept(printed, kept):
    titles = [table["title"] for table in kept["tables"]]
    assert titles == [
        "Goals",
        "Contestants",
        "The guard and boto3 in one process, stubbed network",
        "Calls, stubbed network",
        "Calls, loopback TLS",
        "Threads, stubbed network",
        "Threads, loopback TLS",
        "Import and client",
        "Queues that the guard knows",
    ]
    assert all(title in printed for title in titles)
    assert kept["measured_on"]["python"] in printed
    assert kept["summary"].startswith("A send takes ")


def test_every_plot_that_is_kept_is_a_drawing(kept, folder):
    assert [plot["file"] for plot in kept["plots"]] == ["race-added.svg", "race-threads.svg", "race-queues.svg"]
    for plot in kept["plots"]:
        root = ElementTree.parse(folder / plot["file"]).getroot()
        assert root.tag.endswith("svg")
        assert any("safe_sqs" in "".join(each.itertext()) or "added" in "".join(each.itertext()) for each in root)


def test_help_teaches():
    assert "python benchmarks/race.py --keep" in run("--help").stdout


# --- contestants


@pytest.mark.parametrize("name", taking_part())
@pytest.mark.parametrize("is_over_tls", [False, True], ids=["stubbed", "TLS"])
def test_a_contestant_makes_every_call(name, is_over_tls):
    with serving() as server, Racer(name, server if is_over_tls else None) as racer:
        for operation in OPERATIONS:
            lap = racer.run(operation, 3)
            assert len(lap.singles) == 3
            assert lap.seconds >= sum(lap.singles) / 1e9 > 0
            assert len(racer.run(operation, 2, 4).singles) == 8


def looks_of(name):
    with Racer(name) as racer:
        racer.run("send", 5)
        return racer.ask("looks")


def test_the_guard_looks_once_the_naive_one_each_time_and_nobody_else_looks():
    found = {name: looks_of(name) for name in taking_part()}
    assert found.pop(GUARD) == 1
    assert found.pop(NAIVE) == 6  # one call more than is timed
    assert set(found.values()) == {0}


def test_a_contestant_that_fails_is_told_of():
    with Racer("boto3") as racer, pytest.raises(RuntimeError, match="boto3 ended with status 1"):
        racer.run("no such operation", 1)


@pytest.mark.parametrize("name", [name for name in INSTRUMENTATIONS if name in taking_part()])
def test_an_instrumentation_has_patched_the_calls(name):
    """That it is switched on, and no plain boto3 under another name: its own module is on the road of a call."""
    own = {"OpenTelemetry": "opentelemetry", "AWS X-Ray SDK": "aws_xray_sdk", "ddtrace": "ddtrace"}[name]
    script = (
        "import cProfile, pstats, racer\n"
        f"client, _ = racer.make_client({name!r}, None)\n"
        "profile = cProfile.Profile()\n"
        "profile.runcall(racer.OPERATIONS['send'](client))\n"
        "print(*(file for file, *_ in pstats.Stats(profile).stats), sep='\\n')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    assert sum(own in line for line in ran.stdout.splitlines()) > 3


# --- queues


def test_queues_that_the_guard_knows_are_not_looked_at_again_and_others_are():
    with Racer(GUARD) as racer:
        assert racer.ask("queues", count=50) > 1_000_000
        assert len(Round(*racer.ask("turn", calls=30)).singles) == 30
        assert racer.ask("looks") == 0
    with Racer(NAIVE) as racer, pytest.raises(RuntimeError, match="ended with status 1"):
        racer.ask("turn", calls=1)


# --- figures


def rounds(*microseconds):
    return [Round(each / 1e6, each / 1e6, [each * 1_000]) for each in microseconds]


def test_what_is_added_is_taken_against_boto3_in_the_same_round():
    found = {
        (RAW[0], "send"): [rounds(100, 200, 300)],
        (RAW[1], "send"): [rounds(110, 210, 310)],
        (GUARD, "send"): [rounds(115, 215, 315)],
    }
    outcome = laps.results(found)
    assert outcome[GUARD, "send"].added == pytest.approx(10)
    assert outcome[GUARD, "send"].busy == pytest.approx(215)
    assert outcome[GUARD, "send"].ratio == pytest.approx(1 + 10 / 205)
    assert outcome[RAW[0], "send"].added == pytest.approx(-10)  # against the other boto3
    assert outcome[GUARD, "send"].p50 == pytest.approx(215)
    assert outcome[GUARD, "send"].p99 == pytest.approx(315)


@pytest.mark.parametrize(("percent", "found"), [(0, 1), (50, 51), (99, 100), (100, 100)])
def test_a_percentile_is_the_value_below_which_so_many_lie(percent, found):
    assert laps.percentile(list(range(1, 101)), percent) == found


def made(**other):
    """A race in which the guard takes 2 instructions more than the 1,000 of boto3, and X-Ray 50."""
    names = [*RAW, GUARD, "AWS X-Ray SDK", "ddtrace"]
    added = {RAW[0]: 0.0, RAW[1]: 0.0, GUARD: 1.0, "AWS X-Ray SDK": 50.0, "ddtrace": 300.0}
    counted = {RAW[0]: 999.0, RAW[1]: 1001.0, GUARD: 1002.0, "AWS X-Ray SDK": 1050.0, "ddtrace": 1600.0}
    crowd = [Crowd(GUARD, 1, 5.0, 6.0), Crowd(GUARD, 2, 9.0, 9.0)]
    beside = cost.Calls("send", Provider.STATIC, cost.Median(1.002, 0.001), cost.Median(1.0, 0.001), 500.0, 501.0)
    results = {
        (name, operation): Result(500 + more, more, 0.0, 1 + more / 500, 1.0, 2.0)
        for name, more in added.items()
        for operation in OPERATIONS
    }
    fields = {
        "names": names,
        "in_one_process": dict.fromkeys(OPERATIONS, beside),
        "stubbed": results,
        "over_tls": results,
        "counts": {name: dict.fromkeys(OPERATIONS, each) for name, each in counted.items()}
        | {name: {"send": 1002.0} for name in DRESSED},
        "by_queues": {1: 1002.0, race.MANY: 1004.0},
        "crowds": {race.STUBBED: crowd, race.OVER_TLS: crowd},
        "growth": [Growth(1, 100.0, 1.0), Growth(1000, 1099.0, 1.0)],
        "starts": [Start(name, 300.0, 0.0) for name in names],
    }
    return race.Race(**(fields | other))


def test_goals_hold_the_guard_against_boto3_and_against_the_cheapest_instrumentation():
    found = {each.what: each for each in race.goals(made())}
    assert found["send: instructions, of boto3's"].found == pytest.approx(1.002)
    assert found["send: added instructions, of AWS X-Ray SDK's"].found == pytest.approx(0.04)
    assert found["send: processor time, of boto3's"].found == pytest.approx(1.002)
    assert found["send: added processor time, of AWS X-Ray SDK's"].found == pytest.approx(1 / 50)
    assert next(each for what, each in found.items() if "queues" in what).found == pytest.approx(0.002)
    assert len(found) == 4 * len(OPERATIONS) + 1
    assert all(each.is_met for each in found.values())


def test_a_goal_that_is_not_met_is_said_to_be_so():
    counts = made().counts | {GUARD: dict.fromkeys(OPERATIONS, 1020.0)}
    verdicts = [row[-1] for row in race.goals_table(made(counts=counts, by_queues={1: 1002.0, race.MANY: 1010.0})).rows]
    assert verdicts.count("not met") == 2 * len(OPERATIONS) + 1


def test_without_valgrind_and_without_peers_the_other_goals_are_left():
    found = race.goals(made(names=[*RAW, GUARD], counts={}, by_queues={}))
    assert [each.what for each in found] == [f"{operation}: processor time, of boto3's" for operation in OPERATIONS]


def test_memory_is_told_by_queue_where_there_are_many():
    assert [row[2] for row in race.growth_table(made()).rows] == ["", "1"]


def test_only_with_keep_something_is_kept(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(race, "run", lambda _: iter(made()._asdict().items()))
    where = ["race.py", "--records", str(tmp_path), "--assets", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", where)
    assert race.main() == 0
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(sys, "argv", [*where, "--keep"])
    assert race.main() == 0
    assert {file.name for file in tmp_path.iterdir()} == {
        "race.json",
        "race-added.svg",
        "race-instructions.svg",
        "race-threads.svg",
        "race-queues.svg",
    }
    assert "by instructions 0.20%" in json.loads((tmp_path / "race.json").read_text())["summary"]
    assert capsys.readouterr().out.count(" not met") == 0


# --- instructions


@pytest.mark.skipif(not instructions.can_count(), reason="valgrind is not installed")
def test_instructions_are_counted_of_the_calls_alone():
    few = instructions.count(RAW[0], calls=3, warm=3, operations=("send",))["send"]
    many = instructions.count(RAW[1], calls=9, warm=3, operations=("send",))["send"]
    asked_first = instructions.count(NAIVE, calls=3, warm=3, operations=("send",))["send"]
    assert few > 100_000
    assert many == pytest.approx(few, rel=0.1)
    assert asked_first > 1.5 * few


def test_each_part_of_the_guard_says_why_it_is_needed_and_is_counted():
    known = {*RAW, *DRESSED}
    for part in PARTS:
        assert part.why.endswith(".")
        assert {part.with_it, part.without_it} <= known
    assert {name for part in PARTS for name in (part.with_it, part.without_it)} == known - {RAW[1]}
    table = instructions.parts_table(made().counts)
    assert [row[0] for row in table.rows] == [*(part.name for part in PARTS), "the whole guard"]


@pytest.mark.parametrize("name", DRESSED)
def test_a_guard_with_less_makes_every_call(name):
    with Racer(name) as racer:
        for operation in OPERATIONS:
            assert len(racer.run(operation, 2).singles) == 2
        assert racer.ask("looks") == 1
