"""The report: every finding as one line of JSON, in the file that SAFE_SQS_REPORT names.

Written by as many processes and threads at once as there are: see `appending`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from safe_sqs import events
from safe_sqs.appending import append, begin, program
from safe_sqs.errors import ConfigError
from safe_sqs.sources import REPORT_VARIABLE, current_test, report_path

__all__ = ["REFUSED", "WOULD_BE_REFUSED", "Record", "note_test", "read", "start", "stop"]

REFUSED = "refused"
WOULD_BE_REFUSED = "would be refused"


class Record(NamedTuple):
    """One finding, as it stands in the report.

    `time` is UTC, ISO 8601; `outcome` is "refused" or "would be refused"; `practice` is a URL. `test` is the node id
    of the test of pytest in which it was found, `exempt` the reason why that test is exempt.
    """

    time: str
    pid: int
    program: str
    operation: str
    queue: str
    outcome: str
    rule: str
    mode: str
    found: str
    expected: str
    next_step: str
    practice: str | None
    unverifiable: bool
    test: str | None = None
    exempt: str | None = None


# --- writing -----------------------------------------------------------------------------------------------------


def start() -> None:
    """Write what is found from now on in this process to the file that SAFE_SQS_REPORT names, if it names one.

    Raises ConfigError when it cannot be written. A report that was started goes on until the process ends.
    """
    named = report_path()
    if named is None or named in _reports:
        return
    if not named.strip():
        raise ConfigError(REPORT_VARIABLE, "environment", "is empty; name a file, or unset it")
    report = _Report(str(Path(named).absolute()))
    try:
        begin(report.path)
    except OSError as error:
        problem = f"the report {named!r} cannot be written: {error.strerror}"
        raise ConfigError(REPORT_VARIABLE, "environment", problem) from None
    if _reports.setdefault(named, report) is report:
        report.unsubscribe = events.subscribe(report.write)


def stop(named: str) -> None:
    """End what `start` began, by the name that SAFE_SQS_REPORT had then."""
    report = _reports.pop(named, None)
    if report is not None:
        report.unsubscribe()


def note_test(test: str | None, exempt: str | None = None) -> None:
    """Say which test is running in this process, where the environment may not, and why it is exempt."""
    global _test
    _test = (test, exempt)


class _Report:
    def __init__(self, path: str) -> None:
        self.path = path
        self.unsubscribe = _nothing
        self._has_failed = False

    def write(self, event: events.Event) -> None:
        """Write the findings of an event. When that fails, it is told once, and nothing else changes."""
        if not isinstance(event, events.Refused | events.Warned):
            return
        lines = "".join(f"{json.dumps(each._asdict())}\n" for each in _records(event))
        try:
            append(self.path, lines.encode())
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                text = f"the report {self.path} cannot be written ({error.strerror}), so findings are missing in it"
                events.emit(events.Noticed("report", text))


def _nothing() -> None:
    """What ends a subscription that there is not."""


_reports: dict[str, _Report] = {}
_test: tuple[str | None, str | None] = (None, None)


def _records(event: events.Refused | events.Warned) -> Iterator[Record]:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    is_refused = isinstance(event, events.Refused)
    test, exempt = _test
    for finding in event.findings:
        yield Record(
            time=now,
            pid=os.getpid(),
            program=program(),
            operation=event.operation,
            queue=event.queue,
            outcome=REFUSED if is_refused else WOULD_BE_REFUSED,
            rule=finding.rule,
            mode=finding.mode.value,
            found=finding.found,
            expected=finding.expected,
            next_step=finding.next_step,
            practice=finding.practice.url if finding.practice else None,
            unverifiable=finding.unverifiable,
            test=test or current_test(),
            exempt=None if is_refused else exempt,
        )


# --- reading -----------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str], start: int = 0) -> Iterator[Record]:
    """The records of a report, from the byte `start` on. A last line that is not whole is left out.

    Raises OSError when it cannot be read, and ValueError for another line that is no record.
    """
    with Path(path).open("rb") as file:
        file.seek(start)
        for number, line in enumerate(file, start=1):
            try:
                said = json.loads(line)
                yield Record(**{name: said[name] for name in Record._fields})
            except (ValueError, TypeError, KeyError):
                if line.endswith(b"\n"):
                    raise ValueError(f"line {number} of the report {os.fspath(path)} is no finding") from None
