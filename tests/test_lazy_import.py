"""The face of the package loads what a program asks it for, and nothing for those who only look."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
import unittest.mock
from pathlib import Path
from typing import Any

import boto3
import pytest

import safe_sqs
import safe_sqs.session
from safe_sqs import policy


def run(program: str, *arguments: str, path: Path | None = None) -> list[Any]:
    """Run a program in a fresh interpreter. Returns what it printed, line by line, as JSON."""
    first = "" if path is None else f"sys.path[:0] = [{str(path)!r}]"
    program = f"import json, sys\n{first}\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


PROBES = """
import doctest, inspect, os, pickle, unittest
import safe_sqs

def loaded():
    return sorted({"boto3", "botocore", "asyncio", "ssl"} & set(sys.modules))

class Case(unittest.TestCase):
    def runTest(self):
        with self.assertWarns(DeprecationWarning):  # asks every module for a name
            import warnings
            warnings.warn("old", DeprecationWarning)

print(json.dumps(["nothing", loaded()]))
assert safe_sqs.DEFAULT_SESSION is None
print(json.dumps(["default session", loaded()]))
for name in ("__wrapped__", "__test__", "__warningregistry__", "__bases__", "__deepcopy__", "__call__"):
    assert not hasattr(safe_sqs, name)
print(json.dumps(["dunder names", loaded()]))
assert unittest.TextTestRunner(stream=open(os.devnull, "w")).run(Case()).wasSuccessful()
print(json.dumps(["assertWarns", loaded()]))
assert inspect.unwrap(safe_sqs) is safe_sqs
assert inspect.getmodule(safe_sqs) is safe_sqs
assert inspect.getdoc(safe_sqs)
print(json.dumps(["inspect", loaded()]))
doctest.DocTestFinder().find(safe_sqs)
print(json.dumps(["doctest", loaded()]))
pickle.loads(pickle.dumps(safe_sqs.RefusedError))
print(json.dumps(["errors", loaded()]))
safe_sqs.Config()
print(json.dumps(["configuration", loaded()]))
safe_sqs.install()
safe_sqs.uninstall()
print(json.dumps(["install and uninstall", loaded()]))
safe_sqs.__version__
print(json.dumps(["version", loaded() != []]))
"""


def test_looking_at_the_package_does_not_load_boto3():
    *looks, version = run(PROBES)
    assert looks == [[name, []] for name, _ in looks]
    assert len(looks) == 9
    assert version == ["version", True]


def test_what_belongs_to_boto3_is_told_from_what_nobody_has():
    assert safe_sqs.__version__ == boto3.__version__
    assert safe_sqs.__author__ == boto3.__author__
    for name in ("NO_SUCH", "__no_such__"):
        with pytest.raises(AttributeError, match=f"^module 'safe_sqs' has no attribute '{name}'$"):
            getattr(safe_sqs, name)


def test_a_fault_of_boto3_is_not_taken_for_a_name_that_is_missing(tmp_path):
    """Broken installations fail in this way: "module 'lib' has no attribute ..."."""
    (tmp_path / "boto3.py").write_text("import math\nmath.no_such_function\n", encoding="utf-8")
    program = """
import safe_sqs
for name in ("client", "Session", "NullHandler", "__version__"):
    try:
        getattr(safe_sqs, name)
    except AttributeError as error:
        print(json.dumps(str(error)))
"""
    assert run(program, path=tmp_path) == ["module 'math' has no attribute 'no_such_function'"] * 4


FACES = """
import safe_sqs
assert "session" not in vars(safe_sqs)
assert safe_sqs.session is sys.modules["safe_sqs.session"]
import safe_sqs.session as by_import
from safe_sqs.session import Session, client
assert by_import is safe_sqs.session
assert safe_sqs.Session is Session
assert safe_sqs.client is client

names = {}
exec("from safe_sqs import *", names)
print(json.dumps(sorted(set(names) - {"__builtins__"}) == sorted(safe_sqs.__all__)))
print(json.dumps([name for name in safe_sqs.__all__ if names[name] is not getattr(safe_sqs, name)]))
"""


def test_the_names_are_the_same_by_every_kind_of_import():
    assert run(FACES) == [True, []]


def test_members_are_listed_as_those_of_any_module():
    members = dict(inspect.getmembers(safe_sqs))
    assert members.keys() >= {*safe_sqs.__all__, *(name for name in dir(boto3) if name != "__path__")}
    assert members["Session"] is safe_sqs.session.Session
    assert members["NullHandler"] is boto3.NullHandler


def test_what_is_public_can_be_pickled():
    for name in ("Session", "Config", "RefusedError", "client", "guard", "install"):
        assert pickle.loads(pickle.dumps(getattr(safe_sqs, name))) is getattr(safe_sqs, name)


THREADS = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import safe_sqs

names = [*safe_sqs.__all__, "session", "NullHandler", "_get_default_session"]
count = 8
barrier = Barrier(count)

def look(start):
    barrier.wait()
    return {name: getattr(safe_sqs, name) for name in names[start:] + names[:start]}

with ThreadPoolExecutor(count) as pool:
    found = list(pool.map(look, range(0, 3 * count, 3)))
print(json.dumps([name for name in names if any(each[name] is not found[0][name] for each in found)]))
print(json.dumps([name for name in names if getattr(safe_sqs, name) is not found[0][name]]))
"""


def test_threads_that_ask_at_the_same_time_get_the_same():
    assert run(THREADS) == [[], []]


@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "not loaded"])
@pytest.mark.parametrize("name", ["client", "Session", "guard", "install", "NullHandler", "DEFAULT_SESSION"])
def test_a_name_can_be_patched_for_a_while(monkeypatch, name, loaded):
    before = getattr(safe_sqs, name)
    if not loaded and name != "DEFAULT_SESSION":
        monkeypatch.delitem(vars(safe_sqs), name, raising=False)
    with unittest.mock.patch(f"safe_sqs.{name}") as patched:
        assert getattr(safe_sqs, name) is patched is not before
    assert getattr(safe_sqs, name) is before


def test_the_judge_of_policies_shows_its_names_before_they_are_loaded():
    program = """
from safe_sqs import policy
print(json.dumps([set(policy.__all__) <= set(dir(policy)), "decide" in vars(policy)]))
"""
    assert run(program) == [[True, False]]
    assert set(policy.__all__) <= set(dir(policy))
    with pytest.raises(AttributeError, match=r"^module 'safe_sqs\.policy' has no attribute 'descide'$"):
        _ = policy.descide
