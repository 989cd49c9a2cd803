"""The tests, run once for each mutant: each time in a fork of one process that has collected them, as collecting takes
longer than most mutants live.

First the tests run without a mutant, and what functions each comes to is noted. A mutant is then tried with the tests
that come to its function: until one fails, or takes ten times what it took, in time of the processor or, where it
hangs, in time of the clock. Servers and threads do not outlive a fork, so whatever tests share is started in each.
"""

from __future__ import annotations

import functools
import gc
import itertools
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

__all__ = ["NO_TEST", "SEEN", "SURVIVED", "TIMED_OUT", "Outcome", "Trials", "function_of"]

SEEN, TIMED_OUT, SURVIVED, NO_TEST = "seen", "timed out", "survived", "no test comes to it"
_NOTHING, _EVERY_CALL = "", "stats"
"""In place of a mutant's name: the code as it is, and the code as it is with every call of a function noted."""
_LEAST_SECONDS, _LEAST_SECONDS_OF_CLOCK = 2.0, 60.0
"""What each test may take at the least, however little it takes without a mutant."""
_MOST_SECONDS = 4.0
"""Seconds of the processor; what takes longer, as tests with other processes do, is not run for each mutant."""
_SECONDS_OF_EQUALS = 2.0
"""Seconds of the processor for a mutant that is held to be equal to the code."""


class Outcome(NamedTuple):
    """What became of a mutant, and by which test."""

    result: str
    test: str = ""


def function_of(mutant: str) -> str:
    """The function that a mutant is one of, as mutmut writes it."""
    return mutant.rpartition("__mutmut_")[0]


class Trials:
    """A plugin for pytest. `equal` are the mutants that are held to be no different. `own` names the file of tests
    that a mutant is tried with first. `patience` is how many seconds of the processor it is tried with cheap tests, and
    as many with others: some functions are called by thousands. `known` is a file for what was learned of the tests: of
    a module, it holds as long as its `edition` stays the same.
    """

    def __init__(
        self,
        mutants: Sequence[str],
        keep: Callable[[str, Outcome], None],
        *,
        equal: Set[str],
        own: Callable[[str], str],
        patience: float,
        known: Path,
        edition: Callable[[Path], str],
        processes: int,
        tell: Callable[[str], None],
    ) -> None:
        self.wrong: list[str] = []
        self.while_importing: set[str] = set()
        self._mutants = mutants
        self._keep = keep
        self._equal = equal
        self._own = own
        self._patience = patience
        self._known = known
        self._edition = edition
        self._processes = processes
        self._tell = tell
        self._killers: dict[str, Counter[str]] = {}
        self._running: dict[int, tuple[str, Path]] = {}
        self._items: dict[str, Any] = {}
        self._tests: dict[str, list[str]] = {}
        self._seconds: dict[str, tuple[float, float]] = {}
        self._functions: dict[str, list[str]] = {}
        set_mutant_under_test(_EVERY_CALL)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        set_mutant_under_test(_NOTHING)
        self.while_importing = set(state()._stats)
        state()._stats.clear()
        self._items = {item.nodeid: item for item in session.items}
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            self._folder = Path(folder)
            self._caches = [each for each in gc.get_objects() if _is_cache_of_functions(each)]
            gc.collect()
            gc.freeze()
            self._learn()
            if not self.wrong:
                self._try_all()
                self._try_killers_without_a_mutant()
        return True

    # --- without a mutant --------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        """Find out to which functions each test comes, where that is not known of its module as it is."""
        known = json.loads(self._known.read_text(encoding="utf-8")) if self._known.exists() else {}
        modules: dict[Path, list[str]] = {}
        for test, item in self._items.items():
            modules.setdefault(item.path, []).append(test)
        unknown = {}
        for module, tests in modules.items():
            of_module = known.get(str(module), {"of": "", "tests": {}})
            if of_module["of"] != self._edition(module) or not of_module["tests"].keys() >= set(tests):
                unknown[str(module)] = tests
        if unknown:
            self._tell(f"{sum(map(len, unknown.values()))} tests without a mutant, to see where they come")

        def note(module: str, outcome: Outcome) -> None:
            self._note_failure(module, outcome)
            if outcome.result == SURVIVED:
                learned = (self._folder / Path(module).name).read_text(encoding="utf-8")
                known[module] = {"of": self._edition(Path(module)), "tests": json.loads(learned)}
                self._known.write_text(json.dumps(known), encoding="utf-8")

        for module, tests in unknown.items():
            self._make_room(note)
            self._fork(module, functools.partial(self._learn_part, tests, self._folder / Path(module).name))
        self._make_room(note, 1)
        if self.wrong:
            return
        for module, tests in modules.items():
            for test in tests:
                functions, seconds, seconds_of_clock, passes = known[str(module)]["tests"][test]
                if not passes or seconds > _MOST_SECONDS:
                    self._tell(f"left out: {test}, which {'takes long' if passes else 'fails without a mutant'}")
                    continue
                self._seconds[test] = (seconds, seconds_of_clock)
                self._functions[test] = functions
                for function in functions:
                    self._tests.setdefault(function, []).append(test)

    def _learn_part(self, tests: Sequence[str], file: Path) -> bool:
        """Note of each test the functions, the seconds of the processor and of the clock, and whether it passes."""
        learned = {}
        set_mutant_under_test(_EVERY_CALL)
        del os.environ["MUTANT_UNDER_TEST"]  # other processes have nobody to tell
        for test, following in zip(tests, [*tests[1:], ""], strict=True):
            self._forget_what_is_cached()
            state()._stats.clear()
            start, start_of_clock = sum(os.times()[:4]), time.monotonic()
            passes = self._passes_one(test, following)
            seconds, seconds_of_clock = sum(os.times()[:4]) - start, time.monotonic() - start_of_clock
            learned[test] = (sorted(state()._stats), seconds, seconds_of_clock, passes)
            self._failures.first = ""
        file.write_text(json.dumps(learned), encoding="utf-8")
        return True

    def _note_failure(self, _: str, outcome: Outcome) -> None:
        if outcome.result != SURVIVED:
            self.wrong.append(outcome.test)

    def _try_killers_without_a_mutant(self) -> None:
        """In another order, and with other tests before them, those that saw a mutant pass as they did before."""
        killers = sorted({test for tests in self._killers.values() for test in tests})
        random.Random(len(killers)).shuffle(killers)
        for number in range(min(self._processes, len(killers))):
            tests = killers[number :: self._processes]
            self._fork("", functools.partial(self._passes, tests))
        self._make_room(self._note_failure, 1)

    def _forget_what_is_cached(self) -> None:
        """Empty the caches of functions, which keep a test from coming to what stands behind them."""
        for each in self._caches:
            each.cache_clear()

    # --- with one ----------------------------------------------------------------------------------------------------

    def _try_all(self) -> None:
        for done, mutant in enumerate(self._mutants):
            if done % 100 == 0:
                self._tell(f"{done} of {len(self._mutants)}")
            tests = self._in_order(mutant)
            if not tests:
                self._keep(mutant, Outcome(NO_TEST))
                continue
            self._make_room(self._note)
            self._fork(mutant, functools.partial(self._survives, mutant, tests))
        self._make_room(self._note, 1)

    def _note(self, mutant: str, outcome: Outcome) -> None:
        if outcome.result == SEEN:
            self._killers.setdefault(function_of(mutant), Counter())[outcome.test] += 1
        self._keep(mutant, outcome)

    def _in_order(self, mutant: str) -> list[str]:
        """Tests that come to the function, as many as may be run: first those that saw other mutants of it, then cheap
        ones before others, and those that differ before those that are alike."""
        function = function_of(mutant)
        killers = self._killers.get(function, Counter())
        place = {test: number for number, test in enumerate(self._spread(function))}
        seconds = _SECONDS_OF_EQUALS if mutant in self._equal else self._patience
        in_order, left = [], dict.fromkeys((False, True), seconds)
        is_dear = {test: self._cost(test) > 0.2 for test in place}
        for test in sorted(place, key=lambda each: (-killers[each] / self._cost(each), is_dear[each], place[each])):
            left[is_dear[test]] -= 0.005 + self._seconds[test][0]
            if left[is_dear[test]] > 0:
                in_order.append(test)
        return in_order

    @functools.cache  # noqa: B019
    def _spread(self, function: str) -> list[str]:
        """The tests that come to a function: first those in the file of its module, then those that come to others
        where few tests come. Of what nearly every test calls, the first hundreds would otherwise be much the same."""
        tests = sorted(self._tests.get(function, []), key=lambda each: len(self._functions[each]) * self._cost(each))
        by_function: dict[str, list[str]] = {}
        for test in tests:
            for each in self._functions[test]:
                by_function.setdefault(each, []).append(test)
        rows = sorted(by_function.values(), key=len)
        turns = itertools.zip_longest(*rows)
        spread = dict.fromkeys(test for turn in turns for test in turn if test is not None)
        own = self._own(function)
        return sorted(spread, key=lambda each: self._items[each].path.stem != own)

    def _cost(self, test: str) -> float:
        """Seconds, with what an emulator takes to start, which stands in a fork for the first test that wants it."""
        return 0.02 + self._seconds[test][0] + 2.0 * ("emulator" in self._items[test].fixturenames)

    def _survives(self, mutant: str, tests: Sequence[str]) -> bool:
        set_mutant_under_test(mutant)
        return self._passes(tests)

    # --- forks -------------------------------------------------------------------------------------------------------

    def _fork(self, name: str, work: Callable[[], bool]) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        child = os.fork()
        if child == 0:
            self._work(work, folder)
        self._running[child] = (name, folder)

    def _work(self, work: Callable[[], bool], folder: Path) -> None:
        """Do it in this process, which is a fork. It ends here, whatever happens."""
        status = 1
        try:
            os.setpgid(0, 0)
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
            self._at = folder / "test"
            session = next(iter(self._items.values())).session
            factory: Any = session.config._tmp_path_factory  # type: ignore[attr-defined]
            factory._basetemp = folder / "tests"
            factory._basetemp.mkdir()
            plugins = session.config.pluginmanager
            plugins.unregister(plugins.get_plugin("terminalreporter"))
            self._failures = Failures()
            plugins.register(self._failures)
            self._forget_what_is_cached()
            status = 0 if work() else 1
        finally:
            os._exit(status)

    def _passes(self, tests: Sequence[str]) -> bool:
        """True when none of these tests fails, in this process."""
        return all(self._passes_one(test, following) for test, following in zip(tests, [*tests[1:], ""], strict=True))

    def _passes_one(self, test: str, following: str) -> bool:
        """True when a test passes. What it shares with the one that follows is left as it is."""
        self._at.write_text(test, encoding="utf-8")
        seconds, seconds_of_clock = self._seconds.get(test, (60.0, 60.0))
        # Both end this process when they are used up.
        signal.setitimer(signal.ITIMER_PROF, _LEAST_SECONDS + 10 * seconds)
        signal.setitimer(signal.ITIMER_REAL, _LEAST_SECONDS_OF_CLOCK + 10 * seconds_of_clock)
        item = self._items[test]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=self._items.get(following))
        return not self._failures.first

    def _make_room(self, note: Callable[[str, Outcome], None], processes: int = 0) -> None:
        """Wait until fewer than so many forks run."""
        while len(self._running) >= (processes or self._processes):
            child, status = os.wait()
            name, folder = self._running.pop(child)
            with suppress(ProcessLookupError, PermissionError):  # what it started
                os.killpg(child, signal.SIGKILL)
            at = folder / "test"
            test = at.read_text(encoding="utf-8") if at.exists() else ""
            shutil.rmtree(folder, ignore_errors=True)
            if status == 0:
                note(name, Outcome(SURVIVED))
            else:
                ended = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM)
                note(name, Outcome(TIMED_OUT if ended else SEEN, test))


class Failures:
    """Remembers the first test that failed."""

    def __init__(self) -> None:
        self.first = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.first:
            self.first = report.nodeid


def _is_cache_of_functions(thing: object) -> bool:
    return isinstance(thing, functools._lru_cache_wrapper) and (thing.__module__ or "").startswith("safe_sqs")
