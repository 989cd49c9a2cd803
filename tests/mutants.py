"""Mutation tests of the judge of policies: its code is changed in small ways, and each time the tests run.

A change that no test sees survives. mutmut makes the mutants and finds out which tests come to which function; here
they are tried, each in a fork of one process that has collected the tests, because collecting them takes longer than
most mutants live. mutmut changes what is inside of functions: tables outside of them, and functions under a decorator,
are left out. What was seen is kept in mutants/ and is not tried again until its function changes; survivors are.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from mutmut.configuration import config
from mutmut.mutation.trampoline import set_mutant_under_test

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "mutants"
RESULTS = COPY / "results.json"
EQUAL = ROOT / "tests" / "mutants.md"
GOAL = 95.0
MUTMUT = str(Path(sys.executable).parent / "mutmut")
A_FEW = "safe_sqs.policy.texts.x_has_six_parts*"
"""Enough to let mutmut make all mutants, and find out which tests come to which function."""
WHILE_IMPORTING = ("safe_sqs.policy.outsiders.", "safe_sqs.policy.operators.x_operator_named")
"""Functions that run while the package is imported, so that a fork comes too late for them."""
BEHIND_A_CACHE = ("safe_sqs.policy.texts.", "safe_sqs.policy.operators.", "safe_sqs.policy.spelling.xǁ_Automaton")
"""Functions to which only the first of several tests comes, the others find their result in a cache."""
SURVIVED, SEEN, TIMEOUT = "survived", "seen", "timeout"


def main() -> int:
    """Tries the mutants, prints the score and the survivors, and gives 1 where the score is below the goal."""
    options = argparse.ArgumentParser(description="Mutation tests of the judge of policies.")
    options.add_argument("--sample", type=int, metavar="N", help="take so many mutants, the same ones each time")
    options.add_argument("--only", default="", metavar="TEXT", help="take those with this in their names")
    options.add_argument("--show", type=int, default=30, metavar="N", help="show so many survivors (30)")
    chosen = options.parse_args()
    run(MUTMUT, "run", A_FEW)
    hashes = hash_by_mutant()
    names = sorted(name for name in hashes if chosen.only in name)
    if chosen.sample and chosen.sample < len(names):
        names = sorted(random.Random(0).sample(names, chosen.sample))
    results = Results(hashes)
    pending = [name for name in names if results.of(name) not in (SEEN, TIMEOUT)]
    tell(f"{len(names)} mutants, of which {len(pending)} are to be tried")
    os.chdir(COPY)
    in_forks = [name for name in pending if not name.startswith(WHILE_IMPORTING)]
    if in_forks:
        sys.path.insert(0, str(COPY))
        set_mutant_under_test("")
        arguments = [*config().pytest_add_cli_args, *config().pytest_add_cli_args_test_selection]
        pytest.main(["--rootdir=.", "-q", "-s", "--tb=no", *arguments], plugins=[Trial(in_forks, results)])
    for name in [name for name in pending if name.startswith(WHILE_IMPORTING)]:
        results.keep(name, SURVIVED if is_fine_when_imported(name) else SEEN)
    os.chdir(ROOT)
    return report(names, results, chosen.show)


def run(*command: str) -> str:
    """What a command prints."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-4_000:] + done.stderr[-4_000:])
    return done.stdout


def hash_by_mutant() -> dict[str, str]:
    """The name of each mutant, with the hash of its function."""
    found = {}
    for path in (COPY / "safe_sqs" / "policy").glob("*.meta"):
        meta = json.loads(path.read_text(encoding="utf-8"))
        for name in meta["exit_code_by_key"]:
            found[name] = meta["hash_by_function_name"].get(function_of(name).rpartition(".")[2], "")
    return found


def function_of(name: str) -> str:
    """The function that a mutant is one of, as mutmut writes it."""
    return name.rpartition("__mutmut_")[0]


def is_fine_when_imported(name: str) -> bool:
    """True when no test fails in a process that has the mutant from its start."""
    selection = [*config().pytest_add_cli_args, *config().pytest_add_cli_args_test_selection]
    environment = os.environ | {"MUTANT_UNDER_TEST": name, "PYTHONPATH": str(COPY)}
    command = [sys.executable, "-m", "pytest", "--rootdir=.", "-x", "-q", *selection]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


class Results:
    """What became of the mutants, kept in a file. One whose function has changed is forgotten."""

    def __init__(self, hashes: dict[str, str]) -> None:
        self._hashes = hashes
        known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        self._kept = {name: entry for name, entry in known.items() if hashes.get(name) == entry[1]}

    def of(self, name: str) -> str:
        return self._kept.get(name, ("not tried",))[0]

    def keep(self, name: str, result: str) -> None:
        self._kept[name] = (result, self._hashes[name])
        RESULTS.write_text(json.dumps(self._kept, indent=0), encoding="utf-8")


class Trial:
    """A plugin for pytest, which runs the tests once for each mutant instead of once."""

    def __init__(self, names: list[str], results: Results) -> None:
        self._names = names
        self._results = results
        stats = json.loads((COPY / "mutmut-stats.json").read_text(encoding="utf-8"))
        self._tests = {function: set(tests) for function, tests in stats["tests_by_mangled_function_name"].items()}
        self._seconds: dict[str, float] = stats["duration_by_test"]
        self._breadth = Counter(test for tests in self._tests.values() for test in tests)
        self._killers: dict[str, Counter[str]] = {}
        self._pipes: dict[int, tuple[str, int]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        import safe_sqs

        assert Path(safe_sqs.__file__).is_relative_to(COPY)
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        gc.freeze()
        for done, name in enumerate(self._names):
            while len(self._pipes) >= (os.cpu_count() or 1):
                self._wait()
            if done % 100 == 0:
                tell(f"{done} of {len(self._names)}")
            self._start(session, name)
        while self._pipes:
            self._wait()
        return True

    def _start(self, session: pytest.Session, name: str) -> None:
        items = self._in_order(session.items, name)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            self._try(session, name, items, write)
        os.close(write)
        self._pipes[child] = (name, read)

    def _in_order(self, items: list[pytest.Item], name: str) -> list[pytest.Item]:
        """The tests that come to the function: those that have seen most of its mutants, then those that come to few
        other functions."""
        function = function_of(name)
        killers = self._killers.get(function, Counter())
        tests = self._tests.get(function, set())
        chosen = [item for item in items if item.nodeid in tests]
        chosen.sort(key=lambda item: (-killers[item.nodeid], self._breadth[item.nodeid]))
        if name.startswith(BEHIND_A_CACHE):
            chosen += [item for item in items if item.nodeid not in tests]
        return chosen

    def _try(self, session: pytest.Session, name: str, items: list[pytest.Item], write: int) -> None:
        """Runs tests in this process, which is a fork, until one fails. It ends here, whatever happens."""
        status = 1
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            set_mutant_under_test(name)
            plugins = session.config.pluginmanager
            plugins.unregister(plugins.get_plugin("terminalreporter"))
            failures = Failures()
            plugins.register(failures)
            for item, following in zip(items, [*items[1:], None], strict=True):
                seconds = 2 + 10 * self._seconds.get(item.nodeid, 0)
                signal.setitimer(signal.ITIMER_PROF, seconds)  # ends this process when they are used up
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if failures.first:
                    os.write(write, failures.first.encode())
                    break
            else:
                status = 0
        finally:
            os._exit(status)

    def _wait(self) -> None:
        child, status = os.wait()
        name, read = self._pipes.pop(child)
        with os.fdopen(read, encoding="utf-8") as pipe:
            killer = pipe.read()
        if killer:
            self._killers.setdefault(function_of(name), Counter())[killer] += 1
        result = SURVIVED if status == 0 else TIMEOUT if os.WIFSIGNALED(status) else SEEN
        self._results.keep(name, result)


class Failures:
    """Remembers the first test that failed."""

    def __init__(self) -> None:
        self.first = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid


def report(names: Iterable[str], results: Results, shown: int) -> int:
    """Prints what became of these mutants."""
    names = list(names)
    equal = re.findall(r"^- `(.+?)`:", EQUAL.read_text(encoding="utf-8"), re.MULTILINE)
    survivors = [name for name in names if results.of(name) == SURVIVED]
    changes = [change_of(name) for name in survivors]
    real = [change for change in changes if not any(re.search(expression, change) for expression in equal)]
    for change in real[:shown]:
        tell(f"survived: {change}")
    if len(real) > shown:
        tell(f"and {len(real) - shown} more")
    told_apart = len(names) - len(survivors) + len(real)
    score = 100 * (1 - len(real) / max(told_apart, 1))
    tell(
        f"{len(names)} mutants of safe_sqs/policy: {len(names) - len(survivors)} seen by a test, {len(real)} not, and "
        f"{len(survivors) - len(real)} equal to the original (tests/mutants.md)\n"
        f"mutation score: {score:.1f} % (goal: {GOAL:.0f} %)"
    )
    return 0 if score >= GOAL else 1


def change_of(name: str) -> str:
    """The change that a mutant is: its function, the line that goes, and the line that comes."""
    lines = [line for line in run(MUTMUT, "show", name).splitlines() if re.match(r"\+(?!\+\+)|-(?!--)", line)]
    function = re.sub(r"\.x_|ǁ", ".", function_of(name).removeprefix("safe_sqs.policy.")).replace(".x.", ".")
    return " ".join([function, *(re.sub(r"\s+", " ", line) for line in lines)])


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
