"""The recording: which actions on which queues a program really used, in the file that SAFE_SQS_RECORD names.

It is what `safe-sqs policy from-usage` writes the narrowest policy from. A line for each action and queue, when a
process uses it for the first time; no message, no credentials. `listening` hears of them.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from safe_sqs import events
from safe_sqs.appending import append, begin
from safe_sqs.errors import ConfigError
from safe_sqs.sources import RECORD_VARIABLE, record_path

__all__ = ["GUARD", "PROGRAM", "Recording", "Used", "read", "recording", "start", "stop"]

GUARD, PROGRAM = "guard", "program"

_MOST_KNOWN = 100_000
"""How many different uses a process remembers and writes down."""


class Used(NamedTuple):
    """One operation on one queue, as it stands in the recording.

    `time` is UTC, ISO 8601. `queue` is the queue's ARN; its URL or name where the ARN cannot be told; "" where the
    operation concerns no queue. `by` says who needed it: the program, or the guard for its own look. `denied` is true
    for what AWS denied. `key` is the KMS key of the queue, where the answer tells it; `destination` the ARN of the
    queue that a move task moves to; `tags` is true for a queue that was created with tags.
    """

    time: str
    pid: int
    program: str
    operation: str
    queue: str
    region: str
    partition: str
    by: str
    denied: bool
    key: str = ""
    destination: str = ""
    tags: bool = False


# --- writing -----------------------------------------------------------------------------------------------------


def start() -> None:
    """Make the file that SAFE_SQS_RECORD names, if it names one. Raises ConfigError when it cannot be written."""
    recording()


def stop(named: str) -> None:
    """Forget a recording, by the name that SAFE_SQS_RECORD had. Clients that write to it go on."""
    _recordings.pop(named, None)


class Recording:
    """The file, and what this process has written to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.known: dict[tuple[object, ...], object] = {}
        self._told: set[str] = set()

    def note(self, use: tuple[object, ...], used: Used) -> None:
        """Write a use down, unless another thread just does."""
        if len(self.known) >= _MOST_KNOWN:
            self._tell(f"the recording {self.path} has {_MOST_KNOWN:,} lines of this process, and gets no more of them")
            return
        mine = object()
        if self.known.setdefault(use, mine) is not mine:
            return
        try:
            append(self.path, f"{json.dumps(used._asdict())}\n".encode())
        except OSError as error:
            self._tell(f"the recording {self.path} cannot be written ({error.strerror}), so uses are missing in it")

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            events.emit(events.Noticed("recording", text))


_recordings: dict[str, Recording] = {}


def recording() -> Recording | None:
    """The recording that the environment names. Raises ConfigError."""
    named = record_path()
    if named is None:
        return None
    if named not in _recordings:
        if not named.strip():
            raise ConfigError(RECORD_VARIABLE, "environment", "is empty; name a file, or unset it")
        path = str(Path(named).absolute())
        try:
            begin(path)
        except OSError as error:
            hint = "; in AWS Lambda, only /tmp can be written" if error.errno == errno.EROFS else ""
            problem = f"the recording {named!r} cannot be written: {error.strerror}{hint}"
            raise ConfigError(RECORD_VARIABLE, "environment", problem) from None
        _recordings.setdefault(named, Recording(path))
    return _recordings[named]


def _begin_anew() -> None:
    """A process that was forked off writes its own uses down."""
    for each in _recordings.values():
        each.known = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


# --- reading -----------------------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> Iterator[Used]:
    """What is in a recording. A last line that is not whole, because it is being written, is left out.

    Raises OSError when it cannot be read, and ValueError for another line that is no use of a queue.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield _used(json.loads(line))
            except (ValueError, TypeError, KeyError, RecursionError):
                if line.endswith(b"\n"):
                    raise ValueError(f"line {number} of {os.fspath(path)} is no line of a recording") from None


def _used(said: Any) -> Used:
    used = Used(**{name: said[name] for name in Used._fields})
    for name, kind in _KINDS.items():
        if type(getattr(used, name)) is not kind:
            raise TypeError(name)
    return used


_KINDS = {name: {"pid": int, "denied": bool, "tags": bool}.get(name, str) for name in Used._fields}
