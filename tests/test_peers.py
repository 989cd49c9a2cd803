"""The comparison with other tools counts right, and a tool that fails spoils neither its own answers nor the others'.

None of the tools is installed here: small adapters stand in their places.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPT = BENCHMARKS / "peers.py"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}],
}


@pytest.fixture(scope="module")
def peers():
    specification = importlib.util.spec_from_file_location("peers", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def entries_of(peers, **labels):
    asked = {"policy": json.dumps(POLICY), "queue_arn": peers.QUEUE_ARN, "trusted_accounts": []}
    return [peers.Entry(name, public, {"id": name, **asked}) for name, public in labels.items()]


def run(peers, folder, body, timeout=60.0):
    """What an adapter with this judge answers about the policies "first" and "second"."""
    adapter = folder / "ask_it.py"
    adapter.write_text(
        f"import sys\nsys.path.insert(0, {str(BENCHMARKS / 'peers')!r})\nfrom adapter import serve\n"
        f"def judge(case):\n    {body}\nserve('1.2.3', {{'it': judge}})\n"
    )
    return list(peers.run(Path(sys.executable), adapter, entries_of(peers, first=True, second=False), timeout))


# --- counting


def test_each_answer_is_held_against_its_label(peers):
    entries = entries_of(peers, a=True, b=True, c=False, d=False, e=True, f=False)
    said = {
        "a": {"public": True},
        "b": {"public": False},
        "c": {"public": True},
        "d": {"public": False},
        "e": {"error": "KeyError: 'Statement'"},
    }
    row = peers.judged("it", "1", entries, said)
    assert {name: outcome.name for name, outcome in row.outcomes.items()} == {
        "a": "RIGHT",
        "b": "MISSED",
        "c": "FALSE_ALARM",
        "d": "RIGHT",
        "e": "UNREAD",
        "f": "UNREAD",
    }
    assert row.errors == {"e": "KeyError: 'Statement'", "f": "no answer"}


def test_the_table_has_the_counts_and_the_part_that_is_right(peers):
    entries = entries_of(peers, a=True, b=True, c=False)
    row = peers.judged("it", "1.2.3", entries, {name: {"public": True} for name in "abc"})
    first, *_, last = peers.table(entries, [row])
    assert first.startswith("3 labelled policies: 2 public, 1 not")
    assert last.split() == ["it", "1.2.3", "2", "66.7", "%", "0", "1", "0"]


@pytest.mark.parametrize(("part", "whole", "shown"), [(2, 3, "66.7 %"), (9999, 10000, "99.9 %"), (5, 5, "100.0 %")])
def test_only_all_is_a_hundred_percent(peers, part, whole, shown):
    assert peers.percent(part, whole) == shown


# --- faults


def test_what_a_tool_prints_is_no_answer(peers, tmp_path):
    records = run(peers, tmp_path, "print('{\"id\": \"first\"}', flush=True) or sys.stderr.write('x'); return True")
    assert records == [
        {"version": "1.2.3"},
        {"id": "first", "judge": "it", "public": True},
        {"id": "second", "judge": "it", "public": True},
    ]


def test_a_judge_that_raises_could_not_read_that_policy_alone(peers, tmp_path):
    _, first, second = run(peers, tmp_path, "return {'first': True}[case.id]")
    assert first == {"id": "first", "judge": "it", "public": True}
    assert second == {"id": "second", "judge": "it", "error": "KeyError: 'second'"}


def test_an_answer_that_is_neither_yes_nor_no_is_an_error(peers, tmp_path):
    _, first, _ = run(peers, tmp_path, "return None")
    assert first == {"id": "first", "judge": "it", "error": "answered None"}


def test_a_tool_finds_no_network(peers, tmp_path):
    _, first, _ = run(peers, tmp_path, "import socket; return bool(socket.create_connection(('127.0.0.1', 1)))")
    assert first["error"] == "OSError: no network here"


def test_a_tool_sees_neither_the_credentials_nor_the_home_of_who_runs_it(peers, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    _, first, _ = run(
        peers,
        tmp_path,
        f"import os; return 'AWS_SESSION_TOKEN' not in os.environ and os.environ['HOME'] != {str(tmp_path)!r}",
    )
    assert first["public"] is True


def test_a_tool_that_dies_keeps_what_it_has_answered(peers, tmp_path):
    _, first, fault = run(peers, tmp_path, "return True if case.id == 'first' else sys.exit('out of memory')")
    assert first == {"id": "first", "judge": "it", "public": True}
    assert fault == {"fault": "ended with exit status 1: out of memory"}


def test_a_tool_that_hangs_is_stopped(peers, tmp_path):
    *_, fault = run(peers, tmp_path, "import time; time.sleep(60)", timeout=0.5)
    assert fault == {"fault": "stopped after 0.5 seconds"}


def test_a_tool_that_does_not_start_is_a_fault(peers, tmp_path):
    (record,) = peers.run(tmp_path / "python", tmp_path / "ask_it.py", entries_of(peers, first=True), 1.0)
    assert record["fault"].startswith("does not start: ")


# --- as a whole


def ran(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def write_corpus(folder, *entries):
    folder.mkdir()
    (folder / "some.yaml").write_text(json.dumps(entries))
    return folder


def test_tools_that_are_not_installed_do_not_stop_the_others(tmp_path):
    corpus = write_corpus(
        tmp_path / "corpus",
        {"id": "open", "public": True, "why": "a star", "policy": POLICY},
        {"id": "none", "public": False, "why": "no policy", "policy": None},
        {"id": "text", "public": True, "why": "a star", "policy": json.dumps(POLICY)},
    )
    environments = tmp_path / "environments"
    environments.mkdir()
    (environments / "checkov.log").write_text("WARNING: something\nERROR: No matching distribution found\n")
    (environments / "c7n").mkdir()
    (environments / "c7n" / ".installed").touch()
    result = ran("--corpus", corpus, "--environments", environments, "--json", tmp_path / "judged.json")
    assert result.returncode == 0, result.stderr
    rows = {row["judge"]: row for row in json.loads((tmp_path / "judged.json").read_text())}
    assert list(rows["safe_sqs"]["outcomes"].values()) == ["right"] * 3
    assert rows["Checkov"]["fault"] == "not installed: ERROR: No matching distribution found"
    assert rows["Cloud Custodian"]["fault"].startswith("does not start: ")
    assert all(row["fault"] in result.stdout for row in rows.values())


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([], "no labelled policies here"),
        ([{"id": "a", "policy": POLICY}], "KeyError: 'public'"),
        ([{"id": "a", "public": True, "policy": POLICY}] * 2, "used by more than one policy: a"),
    ],
)
def test_a_corpus_that_cannot_be_read_is_an_error(tmp_path, entries, problem):
    result = ran("--corpus", write_corpus(tmp_path / "corpus", *entries))
    assert result.returncode == 2
    assert problem in result.stderr


def test_help_teaches():
    result = ran("--help")
    assert result.returncode == 0
    assert "python benchmarks/peers.py --details" in result.stdout
