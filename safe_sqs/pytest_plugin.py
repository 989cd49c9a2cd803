"""The plugin of pytest: `pytest --safe-sqs=observe|enforce|off`, and tests that are exempt.

It is loaded in every run of pytest wherever safe_sqs is installed, so it loads nothing before the option is given.
The hooks are those of an object, not of this module: pytest then takes `-p safe_sqs.pytest_plugin` beside the entry
point `safe_sqs` for the same plugin, and not for a second one.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from typing import Any

    from safe_sqs.config import Config
    from safe_sqs.events import Event
    from safe_sqs.model import Mode
    from safe_sqs.report import Record

__all__ = ["NAME", "PLUGIN", "pytest_addoption"]

NAME = "safe_sqs"
"""The name of the plugin, for `-p no:safe_sqs`, of the option and of the setting in pytest's ini file."""
MARKER = "safe_sqs_exempt"
CHOICES = ("observe", "enforce", "off")

_RUN = "safe_sqs run"
_MOST_TESTS = 3


class _Plugin:
    """What pytest sees in every run."""

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Add the option, and the setting of the same name."""
        parser.getgroup(NAME, "safe_sqs, the guard around SQS").addoption(
            "--safe-sqs",
            dest=NAME,
            choices=CHOICES,
            help="guard the SQS clients of the tests: observe reports what would be refused, enforce refuses it",
        )
        parser.addini(NAME, f"the value of --safe-sqs where it is not given: {', '.join(CHOICES)}", default="")

    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> None:
        """Begin before the first conftest is loaded, and after pytest-cov began to measure."""
        _begin(early_config, getattr(early_config.known_args_namespace, NAME, None))

    def pytest_configure(self, config: pytest.Config) -> None:
        """Begin at last, where a conftest has brought the plugin."""
        config.addinivalue_line("markers", f"{MARKER}(reason): safe_sqs only reports what it would refuse in this test")
        if not config.pluginmanager.has_plugin(_RUN):
            _begin(config, config.getoption(NAME, None))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, Any, None]:
        """Tests that are exempt without a reason are not collected."""
        outcome = yield
        report = outcome.get_result()
        wrong = [each.nodeid for each in report.result or () if isinstance(each, pytest.Item) and _lacks_reason(each)]
        if wrong:
            report.outcome, report.result = "failed", []
            report.longrepr = "\n".join(
                f'{nodeid}: the marker {MARKER} needs a reason: @pytest.mark.{MARKER}(reason="...")' for nodeid in wrong
            )


PLUGIN = _Plugin()


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Where this module itself was taken for the plugin, bring the one that it has."""
    if not pluginmanager.is_registered(PLUGIN):
        pluginmanager.register(PLUGIN, f"{NAME} hooks" if pluginmanager.has_plugin(NAME) else NAME)


def _lacks_reason(item: pytest.Item) -> bool:
    for mark in item.iter_markers(MARKER):
        reason = mark.kwargs.get("reason")
        if mark.args or len(mark.kwargs) != 1 or not isinstance(reason, str) or not reason.strip():
            return True
    return False


def _begin(config: pytest.Config, option: str | None) -> None:
    mode = option or str(config.getini(NAME)).strip() or "off"
    if mode not in CHOICES:
        raise pytest.UsageError(f"{NAME} = {mode!r} in pytest's ini file is none of {', '.join(CHOICES)}")
    if mode != "off":
        config.pluginmanager.register(_Run(mode), _RUN)


class _Run:
    """A run of pytest with the guard: from before the first conftest to the end."""

    def __init__(self, mode: str) -> None:
        import os
        from pathlib import Path
        from tempfile import mkdtemp

        from safe_sqs import events, process_wide, report
        from safe_sqs.config import Config
        from safe_sqs.errors import ConfigError
        from safe_sqs.sources import REPORT_VARIABLE

        self._mode = mode
        self._exempt: dict[str, str] = {}
        self._leniency = _Leniency()
        self._undo: list[Callable[[], object]] = []
        self._unguarded: list[str] = []
        named = os.environ.get(REPORT_VARIABLE)
        self._is_asked_for = named is not None
        if named is None:
            folder = mkdtemp(prefix="safe-sqs-")
            self._undo.append(lambda: _remove(folder))
            named = str(Path(folder) / "report.jsonl")
        # Workers and children take it over, whatever their working directory is.
        path = Path(named).absolute() if named.strip() else named
        was_installed = process_wide.installed()
        self._set(REPORT_VARIABLE, str(path))
        unsubscribe = events.subscribe(self._note)
        try:
            process_wide.install(Config() if mode == "enforce" else _observing())
            self._report = Path(path)
            self._start = self._report.stat().st_size if self._report.is_file() else 0
        except ConfigError as error:
            self._end()
            raise pytest.UsageError(str(error)) from None
        finally:
            unsubscribe()
        self._undo.append(lambda: report.stop(str(path)))
        if not was_installed:
            self._undo.append(process_wide.uninstall)

    def _set(self, variable: str, value: str) -> None:
        import os

        before = os.environ.get(variable)
        os.environ[variable] = value
        if before is None:
            self._undo.append(lambda: os.environ.pop(variable, None))
        else:
            self._undo.append(lambda: os.environ.update({variable: before}))

    def _note(self, event: Event) -> None:
        from safe_sqs.events import Noticed

        if isinstance(event, Noticed) and event.topic == "unguarded-clients":
            self._unguarded.append(event.text)

    def pytest_unconfigure(self) -> None:
        """Leave the process as it was."""
        self._end()

    def _end(self) -> None:
        while self._undo:
            self._undo.pop()()

    # --- tests -----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, None]:
        """Have findings say in which test they were made. Whatever happened in it, no exemption outlives it."""
        from safe_sqs.report import note_test

        note_test(item.nodeid)
        try:
            yield
        finally:
            self._leniency.leave(item.nodeid)
            note_test(None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin an exemption. What forbids it is an error of the test."""
        mark = item.get_closest_marker(MARKER)
        if mark is not None:
            reason = mark.kwargs["reason"]
            if (MARKER, reason) not in item.user_properties:
                item.user_properties.append((MARKER, reason))
            self._leniency.enter(item.nodeid, reason)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, None]:
        """A fixture of a wider scope belongs to no test: whether it is refused must not depend on which test is first
        or last to use it."""
        if fixturedef.scope == "function":
            yield
            return
        fixturedef.addfinalizer(self._leniency.resume)  # last of its finalizers
        self._leniency.suspend()
        try:
            yield
        finally:
            self._leniency.resume()
            fixturedef.addfinalizer(self._leniency.suspend)  # first of them

    # --- the end ---------------------------------------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which tests were exempt, those of xdist's workers too."""
        for name, reason in report.user_properties:
            if name == MARKER:
                self._exempt[report.nodeid] = str(reason)

    def pytest_report_header(self) -> str:
        """Say that the guard is on."""
        return f"safe-sqs: {self._mode}"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was found."""
        write = terminalreporter.write_line
        try:
            records = self._records()
        except (OSError, ValueError) as error:
            terminalreporter.write_sep("=", f"safe_sqs: {self._mode}")
            write(f"the report cannot be read: {error}")
            return
        if not (records or self._exempt or self._unguarded):
            write(f"safe_sqs: {self._mode}, nothing found")
            return
        terminalreporter.write_sep("=", f"safe_sqs: {self._mode}")
        for line in (*self._unguarded, *_summary(records), *_exemptions(self._exempt)):
            write(line)
        if self._is_asked_for:
            write(f"report: {self._report}")

    def _records(self) -> list[Record]:
        from safe_sqs.report import read

        return list(read(self._report, self._start)) if self._report.is_file() else []


def _remove(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


# --- observing ---------------------------------------------------------------------------------------------------


def _observing() -> Config:
    """The configuration of the process, and every rule on `warn`, as in the profile `observe`, that nobody has set to
    `off`. The profile `local` stays, because it says what is fine to a loopback address."""
    from safe_sqs.config import Config

    return _not_enforced(Config(), dict(Config(profile="observe").modes))


def _not_enforced(config: Config, modes: Mapping[str, Mode]) -> Config:
    """A configuration that warns wherever this one refuses. Raises ConfigError where the organisation forbids it."""
    from safe_sqs.config import Config
    from safe_sqs.model import Mode, Profile

    said: dict[str, Any] = {name: getattr(config, name) for name in Config.__dataclass_fields__}
    modes = {rule: Mode.WARN if mode is Mode.ENFORCE else mode for rule, mode in modes.items()}
    profile = config.profile if config.profile is Profile.LOCAL else Profile.OBSERVE
    return Config(**{**said, "profile": profile, "modes": modes, "when_unverifiable": "warn"})


class _Leniency:
    """Holds clients to what their configuration says, without refusing anything, while a test is exempt.

    Each guard of each client is exchanged for one that only warns, and those that clients get meanwhile as well. All
    are exchanged back at the end. It is the whole process that is lenient: a client does not belong to a test.
    """

    def __init__(self) -> None:
        from threading import RLock

        self._lock = RLock()
        self._reasons: dict[str, str] = {}
        self._suspended = 0
        self._exchanged: list[tuple[Any, Any, Any]] = []
        self._undo: Callable[[], None] | None = None

    def enter(self, test: str, reason: str) -> None:
        """Begin for one test. Raises ConfigError where the organisation forbids it."""
        with self._lock:
            self._reasons[test] = reason
            try:
                self._settle()
            except BaseException:
                del self._reasons[test]
                raise

    def leave(self, test: str) -> None:
        """End for one test; nothing where it had not begun."""
        with self._lock:
            self._reasons.pop(test, None)
            self._suspended = 0 if not self._reasons else self._suspended
            self._settle()

    def suspend(self) -> None:
        """Refuse for a while, in the middle of a test that is exempt."""
        with self._lock:
            if self._reasons:
                self._suspended += 1
                self._settle()

    def resume(self) -> None:
        """End what `suspend` began."""
        with self._lock:
            self._suspended = max(0, self._suspended - 1)
            self._settle()

    def _settle(self) -> None:
        from safe_sqs.report import note_test

        wanted = bool(self._reasons) and not self._suspended
        if self._reasons:
            note_test(*list(self._reasons.items())[-1][: 2 if wanted else 1])
        if wanted and self._undo is None:
            self._exchange_all()
        elif not wanted and self._undo is not None:
            self._undo()

    def _exchange_all(self) -> None:
        import time

        from safe_sqs import adapters
        from safe_sqs.cache import Clock
        from safe_sqs.first_use import armed_guards_of
        from safe_sqs.process_wide import sqs_clients

        # A clock of its own brings a cache of its own: what an earlier test was told does not count as told here, and
        # what is told here does not hide what a later test has to be told.
        clock = Clock(lambda: time.monotonic())
        subscribe = adapters.subscribe

        def subscribe_leniently(client: Any, *arguments: Any) -> Any:
            return self._exchange(client, subscribe(client, *arguments), clock)

        def undo() -> None:
            adapters.subscribe = subscribe
            while self._exchanged:
                _, strict, lenient = self._exchanged.pop()
                lenient.unsubscribe()
                strict.subscribe()
            self._undo = None

        self._undo = undo
        adapters.subscribe = subscribe_leniently  # type: ignore[assignment]
        try:
            for client in sqs_clients():
                for each in armed_guards_of(client):
                    self._exchange(client, each, clock)
        except BaseException:
            undo()
            raise

    def _exchange(self, client: Any, strict: Any, clock: Any) -> Any:
        from safe_sqs.hooks import Hooks

        if not isinstance(strict, Hooks) or any(lenient is strict for _, _, lenient in self._exchanged):
            return strict
        for exchanged, before, lenient in self._exchanged:
            if exchanged is client and (before.config, before.clock) == (strict.config, strict.clock):
                strict.unsubscribe()
                return lenient
        lenient = type(strict)(client, _not_enforced(strict.config, dict(strict.config.modes)), clock)
        strict.unsubscribe()
        lenient.subscribe()
        self._exchanged.append((client, strict, lenient))
        return lenient


# --- the summary -------------------------------------------------------------------------------------------------


def _summary(records: list[Record]) -> Iterable[str]:
    from collections import Counter

    from safe_sqs.report import REFUSED

    counted = Counter("exempt" if each.exempt else each.outcome for each in records)
    yield ", ".join(f"{number} {what}" for what, number in sorted(counted.items())) or "nothing found"
    groups: dict[tuple[str, str], list[Record]] = {}
    for each in records:
        groups.setdefault((each.rule, each.queue or "no queue"), []).append(each)
    if groups:
        width = max(len(rule) for rule, _ in groups)
        yield ""
        yield f"{'findings':>8}  {'refused':>7}  {'rule':<{width}}  queue"
    for (rule, queue), members in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        refused = sum(each.outcome == REFUSED for each in members)
        yield f"{len(members):>8}  {refused or '-':>7}  {rule:<{width}}  {queue}"
        tests = list(dict.fromkeys(each.test for each in members if each.test))
        if tests:
            more = f", and {len(tests) - _MOST_TESTS} more" if len(tests) > _MOST_TESTS else ""
            yield f"{'':>19}in {', '.join(tests[:_MOST_TESTS])}{more}"
        for step in dict.fromkeys(each.next_step for each in members):
            yield f"{'':>19}next step: {step}"


def _exemptions(exempt: dict[str, str]) -> Iterable[str]:
    if exempt:
        yield ""
        yield "1 test was exempt:" if len(exempt) == 1 else f"{len(exempt)} tests were exempt:"
        yield from (f"  {test}: {reason}" for test, reason in sorted(exempt.items()))
