"""The mutation tests in short: some mutants of cache, rules and judge, and that what no test sees is told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mutmut", reason="mutmut is not installed")

ROOT = Path(__file__).resolve().parent.parent


def mutants(folder, *arguments):
    command = [sys.executable, "tests/mutants.py", "--into", str(folder), "--processes", "2", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1_800)


def test_the_tests_of_the_cache_and_the_rules_see_their_mutants(tmp_path):
    modules = ["--only", "safe_sqs.cache.", "--only", "safe_sqs.rules.", "--only", "safe_sqs.judge."]
    tests = ["--tests", "tests/test_cache.py", "tests/test_rules.py"]
    done = mutants(tmp_path, "--group", "guard", "--sample", "40", *modules, *tests)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 mutants, of which 40 are to be tried" in done.stdout
    assert "mutation score" in done.stdout


WEAK = """
from safe_sqs.patterns import matches


def test_a_star_stands_for_what_is_between():
    assert matches("a*c", "abc")
"""


def test_what_is_seen_survives_hangs_or_is_never_come_to_is_told_apart(tmp_path):
    weak = tmp_path / "test_weak.py"
    weak.write_text(WEAK)
    done = mutants(tmp_path, "--group", "policy", "--only", "safe_sqs.patterns.", "--tests", str(weak))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "survived: patterns.matches - " in done.stdout
    assert "no test comes to it: patterns.has_wildcard - " in done.stdout
    _, tried, seen, timed_out, survived, equal, _ = re.search(r"^ *patterns .*$", done.stdout, re.MULTILINE)[0].split()
    assert int(tried) == int(seen) + int(timed_out) + int(survived) + int(equal)
    assert 0 < int(timed_out) < int(seen)


def test_a_test_that_fails_without_a_mutant_sees_none(tmp_path):
    wrong = tmp_path / "test_wrong.py"
    wrong.write_text(WEAK + "    raise AssertionError\n")
    done = mutants(tmp_path, "--group", "policy", "--only", "safe_sqs.patterns.", "--tests", str(wrong))
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^left out: .*::test_a_star.*, which fails without a mutant$", done.stdout, re.MULTILINE)
    assert "survived" not in done.stdout.partition("module")[0]
    assert "no test comes to it: patterns.matches - " in done.stdout
