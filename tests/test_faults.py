"""Under faults of network and service nothing unsafe leaves, and nothing is lost, doubled or stuck: a short form of
`make faults`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import budget, runs
from faults.catalogue import FAULTS_BY_NAME, Level
from faults.runs import Case, World

from safe_sqs.guarded import guards_of

JOBS = 16
TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with runs.world(timeout=1.0) as made:
        yield made


@pytest.mark.parametrize("level", Level)
def test_under_every_fault_nothing_unsafe_leaves_and_nothing_is_lost_doubled_or_stuck(world, level):
    cases = [case for case in runs.short_cases(["sync"]) if FAULTS_BY_NAME[case.fault].level is level]
    reports = runs.try_all(world, cases, JOBS)
    assert {str(report.case): report.problems for report in reports if report.problems} == {}
    assert all(report.counts["faults"] for report in reports)
    assert sum(report.counts["messages sent"] for report in reports) > len(reports)


def unguarded(client: Any) -> Any:
    for each in guards_of(client):
        each.unsubscribe()
    return client


def sending_twice(client: Any) -> Any:
    send = client.send_message

    def twice(**parameters: Any) -> Any:
        send(**parameters)
        return send(**parameters)

    client.send_message = twice
    return client


def swallowing(client: Any) -> Any:
    client.send_message = lambda **_: {"MessageId": "none"}
    return client


def with_a_look_that_never_lands(client: Any) -> Any:
    guards_of(client)[0]._cache._flights[b"queue", None] = object()
    return client


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (unguarded, "a call of the bad queue: ok"),
        (sending_twice, "times"),
        (swallowing, "is lost"),
        (with_a_look_that_never_lands, "left over"),
    ],
)
def test_a_guard_that_does_not_do_so_is_found_out(world, spoil, problem):
    for place in ("facts", "call"):
        report = runs.run(world, Case("reset", "before", place, "once", "standard", "sync"), 0, spoil)
        assert any(problem in each for each in report.problems)


def test_a_look_that_fails_takes_as_much_of_the_budget_for_retries_as_a_call_that_fails(world):
    raw, guarded = (
        budget.measure(world, "standard", "of the service", 50, client)._replace(client="")
        for client in ("raw", "guarded")
    )
    assert raw == guarded
    assert not raw.retried, "the budget was not used up"


def test_a_part_of_it_can_be_tried_from_the_command_line():
    case = Case("503", "after", "call", "once", "standard", "sync")
    done = subprocess.run(
        [sys.executable, "-m", "faults", *str(case).split()],
        cwd=TESTS,
        env={"PYTHONPATH": str(TESTS.parent / "benchmarks"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 runs in" in done.stdout
    assert "0  messages lost" in done.stdout
