"""The journal of a run over many queues: what was asked, and each evaluation as soon as it is there.

A file with a line of JSON each. The first says what was asked; then come evaluations, and lines that say which account
a place turned out to be. Outputs are written from it, so that a run over many queues needs little memory (about half
a KiB a queue, for its key), and an interrupted run goes on from it. Together, evaluations are a map of what is weak and
where, so the file is for its owner alone.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safe_sqs.evaluation import Evaluation, evaluation_from
from safe_sqs.model import Queue

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Journal", "JournalError", "key_of"]

_KIND = "safe-sqs journal 1"
_MODE = 0o600
_FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)


class JournalError(ValueError):
    """A journal that cannot be used. `next_step` says what to do about it."""

    def __init__(self, found: str, next_step: str) -> None:
        super().__init__(f"{found}; {next_step}")
        self.found = found
        self.next_step = next_step


def key_of(queue: Queue) -> str:
    """By which a queue is known, and by which outputs are sorted: account, region and name."""
    return "\t".join((queue.account, queue.region, queue.name)) if queue.name else queue.url


class Journal:
    """A journal that is open for writing. Iterating gives the evaluations in the order of `key_of`, as often as wanted.

    `at` is when the run began, `is_temporary` says that nobody asked for the file.
    """

    def __init__(self, file: int, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.at = datetime.fromisoformat(header["at"])
        self.is_temporary = bool(header["is_temporary"])
        self._file = file
        self._end = os.fstat(file).st_size
        self._places: dict[str, str] = {}
        self._offsets: dict[str, int] = {}

    @classmethod
    def begin(cls, path: Path | None, asked: Mapping[str, Any], at: datetime) -> Journal:
        """A new journal, in a temporary file where no path is given. `asked` is what JSON can say.

        Raises JournalError when the file is there already, and OSError when it cannot be written.
        """
        if path is None:
            file, name = tempfile.mkstemp(prefix="safe-sqs-", suffix=".jsonl")
            where, is_temporary = Path(name), True
        else:
            where, is_temporary = path, False
            file = _create(path)
        header = {
            "journal": _KIND,
            "at": at.isoformat(),
            "is_temporary": is_temporary,
            "asked": {"version": version("safe_sqs"), **asked},
        }
        journal = cls(file, where, header)
        journal._lock()
        journal._append(header)
        return journal

    @classmethod
    def resume(cls, path: Path, asked: Mapping[str, Any]) -> Journal:
        """The journal of a run that was interrupted. What it could not tell of a queue does not count as told.

        Raises JournalError when it is none, is damaged, is in use, or was written for something else than is asked now;
        OSError when it cannot be read and written.
        """
        file = os.open(path, _FLAGS)
        try:
            with path.open("rb") as lines:
                header = _header(path, lines.readline())
            _compare(path, header["asked"], {"version": version("safe_sqs"), **asked})
            journal = cls(file, path, header)
            journal._lock()
            journal._read()
        except BaseException:
            os.close(file)
            raise
        return journal

    def add(self, evaluation: Evaluation) -> None:
        """Write an evaluation, so that it is there whatever happens next. Raises OSError."""
        offset = self._end
        self._append(evaluation.as_data())
        self._offsets[key_of(evaluation.queue)] = offset

    def note_account(self, place: str, account: str) -> None:
        """Write which account a place is. Raises JournalError when it was another one before."""
        before = self._places.get(place)
        if before is None:
            self._places[place] = account
            self._append({"place": place, "account": account})
        elif before != account:
            raise JournalError(
                f"the journal {self.path} was written for the account {before}, and {place} is now {account}",
                "use the credentials of then, or begin anew without --resume",
            )

    def __contains__(self, key: str) -> bool:
        return key in self._offsets

    def __len__(self) -> int:
        return len(self._offsets)

    def __iter__(self) -> Iterator[Evaluation]:
        with self.path.open("rb") as lines:
            for key in sorted(self._offsets):
                lines.seek(self._offsets[key])
                yield evaluation_from(json.loads(lines.readline()))

    def close(self, *, remove: bool = False) -> None:
        """End it. With `remove`, the file goes as well."""
        if remove:
            self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _append(self, data: Mapping[str, Any]) -> None:
        line = json.dumps(data, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._end += written

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = f"the journal {self.path} is in use by another run"
            raise JournalError(found, "wait until that has ended, or name another file") from None
        except OSError:  # a file system without locks
            return

    def _read(self) -> None:
        """Take up what is there, and cut off a last line that is torn."""
        end = 0
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                if number > 1:
                    self._take_up(number, line, end)
                end += len(line)
        os.ftruncate(self._file, end)
        self._end = end

    def _take_up(self, number: int, line: bytes, offset: int) -> None:
        try:
            data = json.loads(line)
            if "place" in data:
                self._places[str(data["place"])] = str(data["account"])
                return
            evaluation = evaluation_from(data)
        except (ValueError, TypeError, KeyError, AttributeError):
            found = f"line {number} of the journal {self.path} is damaged"
            raise JournalError(found, "begin anew without --resume") from None
        if not any(finding.unverifiable for finding in evaluation.findings):
            self._offsets[key_of(evaluation.queue)] = offset


def _create(path: Path) -> int:
    try:
        return os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, _MODE)
    except FileExistsError:
        raise JournalError(f"{path} is there already", "go on with it by --resume, or name another file") from None


def _header(path: Path, line: bytes) -> Mapping[str, Any]:
    try:
        header: Mapping[str, Any] = json.loads(line)
        if header["journal"] == _KIND and line.endswith(b"\n"):
            datetime.fromisoformat(header["at"])
            return {"is_temporary": False, **header, "asked": dict(header["asked"])}
    except (ValueError, TypeError, KeyError):
        pass
    raise JournalError(f"{path} is no journal of safe-sqs", "--resume takes the file that --journal wrote")


def _compare(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(now))
    differing = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    if differing:
        named = ", ".join(_difference(key, then.get(key), now.get(key)) for key in differing)
        raise JournalError(
            f"the journal {path} was written for something else: {named}",
            "ask for the same as then, or begin anew without --resume",
        )


_LONGEST_SHOWN = 120


def _difference(key: str, then: Any, now: Any) -> str:
    if isinstance(then, list) and isinstance(now, list):
        then, now = ([each for each in one if each not in other] for one, other in ((then, now), (now, then)))
    shown = f"{key} was {json.dumps(then)} and is {json.dumps(now)}"
    return shown if len(shown) <= _LONGEST_SHOWN else key
