"""The benchmark runs, and says what it should say. What it measures is not judged here: a busy machine is no bug."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from safe_sqs.demo import cost
from safe_sqs.demo.unplugged import Provider, two_clients_and_a_guarded_one

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "overhead.py"
FEW = ("--rounds", "1", "2", "2", "2", "2", "1")


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    file = tmp_path_factory.mktemp("benchmark") / "cost.json"
    ran = run(*FEW, "--json", str(file))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, json.loads(file.read_text())


def test_every_goal_is_measured_for_both_kinds_of_credentials(result):
    _, written = result
    goals = {figure["what"]: figure["goal"] for figure in written["figures"] if figure["goal"] is not None}
    assert goals == {
        "send, static credentials": 1.01,
        "batch of ten, static credentials": 1.01,
        "receive of ten, static credentials": 1.01,
        "all handlers, static credentials": 3.0,
        "send, refreshable credentials": 1.01,
        "batch of ten, refreshable credentials": 1.01,
        "receive of ten, refreshable credentials": 1.01,
        "all handlers, refreshable credentials": 3.0,
        "import and one client": 1.03,
    }


def test_every_figure_is_a_number_and_says_whether_its_goal_is_met(result):
    _, written = result
    for figure in written["figures"]:
        assert all(math.isfinite(figure[key]) for key in ("value", "error", "control"))
        if figure["goal"] is not None:
            assert figure["is_met"] is (figure["value"] <= figure["goal"])


def test_the_handlers_add_up(result):
    _, written = result
    values = {figure["what"].strip(): figure["value"] for figure in written["figures"]}
    parts = [values[f"{event}, static credentials"] for event in ("before-sign", "before-send", "after-call")]
    assert values["all handlers, static credentials"] == pytest.approx(sum(parts))


def test_the_table_names_the_machine_the_libraries_and_the_goals(result):
    printed, written = result
    for name in ("machine", "python", "libraries"):
        assert written["measured_on"][name] in printed
    assert "botocore " in written["measured_on"]["libraries"]
    assert printed.count(" met") == 9


def test_help_teaches():
    ran = run("--help")
    assert ran.returncode == 0
    assert "python benchmarks/overhead.py --json cost.json" in ran.stdout


def test_something_else_than_the_usual_case_is_not_measured():
    with pytest.raises(RuntimeError, match="looked 0 times"), two_clients_and_a_guarded_one(Provider.STATIC):
        pass


def test_only_the_third_client_is_guarded():
    with two_clients_and_a_guarded_one(Provider.STATIC) as clients:
        recorded = [cost._record(client) for client in clients]
        handlers = [
            [len(client.meta.events.emit(name, **arguments)) for name, arguments in calls.values()]
            for client, calls in zip(clients, recorded, strict=True)
        ]
    first, second, guarded = handlers
    assert first == second
    assert all(more > none for more, none in zip(guarded, first, strict=True))
