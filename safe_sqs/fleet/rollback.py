"""The way back: what a queue's attributes were before a change, on the disk before the change is made.

A rollback file holds the changes of one run in the order in which they were made, each with the attributes before and
after as SetQueueAttributes takes them, and with the command of the AWS CLI that undoes it without this package.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from safe_sqs.hosts import is_aws_host, parse_endpoint
from safe_sqs.policy import PolicyError, Statement, parse
from safe_sqs.policy.evaluate import account_of
from safe_sqs.policy.named import is_whole_account
from safe_sqs.wire import partitions

__all__ = [
    "ATTRIBUTES",
    "Change",
    "OtherStateError",
    "Rollback",
    "RollbackFileError",
    "Standing",
    "Undoing",
    "command_of",
    "is_as",
    "is_its_endpoint",
    "put",
    "read_rollback",
    "touched_in",
    "undoings",
    "wait_for",
]

Attributes = Mapping[str, str]

_UNSET = {"KmsMasterKeyId": "", "Policy": "", "SqsManagedSseEnabled": "false"}
ATTRIBUTES = tuple(_UNSET)
"""The attributes that a fix may touch."""

_FORMAT = 1
_MARK = "safe_sqs_rollback"
_SPREADING_SECONDS = 70.0
"""SetQueueAttributes takes up to 60 seconds to spread, by the Amazon SQS API reference."""


class Change(NamedTuple):
    """One change to one queue. `before` and `after` have the same attributes, those that the change touches; what was
    not set is "" (or "false"), which is how SetQueueAttributes takes it back."""

    queue_url: str
    queue_arn: str
    region: str
    endpoint: str
    rules: tuple[str, ...]
    words: tuple[str, ...]
    before: Attributes
    after: Attributes


class RollbackFileError(ValueError):
    """The file is not a rollback file of this package."""


class OtherStateError(Exception):
    """A queue is not as it was expected to be: somebody else changes it."""


# --- attributes --------------------------------------------------------------------------------------------------


def touched_in(attributes: Attributes) -> dict[str, str]:
    """The attributes that a fix may touch, with what stands for those that are not set."""
    return {name: attributes.get(name) or unset for name, unset in _UNSET.items()}


def is_as(present: Attributes, expected: Attributes) -> bool:
    """True when a queue's attributes say what the expected ones say, as far as these go.

    SQS and emulators may give a policy back in another spelling. With a KMS key, it does not matter what
    SqsManagedSseEnabled says: only one of them can be in force.
    """
    if "Policy" in expected and not _is_same_policy(present.get("Policy", ""), expected["Policy"]):
        return False
    if expected.keys() <= {"Policy"}:
        return True
    return _encryption(present) == _encryption(expected)


def _encryption(attributes: Attributes) -> str:
    return attributes.get("KmsMasterKeyId") or attributes.get("SqsManagedSseEnabled", "false").lower()


def _is_same_policy(one: str, other: str) -> bool:
    if one == other:
        return True
    if not one or not other:
        return _has_no_statements(one) and _has_no_statements(other)
    try:
        return list(map(_meaning, parse(one))) == list(map(_meaning, parse(other)))
    except PolicyError:
        return False


def _has_no_statements(policy: str) -> bool:
    try:
        return not parse(policy)
    except PolicyError:
        return False


def _meaning(statement: Statement) -> tuple[object, ...]:
    """What a statement says, whatever the order in its lists, and with accounts as their root users, as SQS writes
    them."""
    return (
        statement.sid,
        statement.allows,
        statement.variables,
        frozenset((kind, _as_account(name)) for kind, name in statement.principals),
        statement.principals_negated,
        frozenset(statement.actions),
        statement.actions_negated,
        frozenset(statement.resources),
        statement.resources_negated,
        frozenset((str(line.operator), line.key, frozenset(line.values)) for line in statement.conditions),
    )


def _as_account(name: str) -> str:
    return account_of(name) if is_whole_account(name) else name


def put(client: Any, url: str, attributes: Attributes, present: Attributes) -> None:
    """Set attributes of a queue through a guarded client. `present` are those that it has.

    To AWS goes only what is to change: a policy that was set long ago may no longer be accepted, and a change that
    somebody else makes to it in this moment must not get lost. An emulator may take a policy that is left out for an
    empty one; so it gets the present one along.
    """
    sent = dict(attributes)
    if "Policy" not in sent and present.get("Policy") and not _is_aws(client):
        sent["Policy"] = present["Policy"]
    client.set_queue_attributes(QueueUrl=url, Attributes=sent)


def _is_aws(client: Any) -> bool:
    endpoint = parse_endpoint(client.meta.endpoint_url)
    return endpoint is not None and is_aws_host(endpoint.host, "sqs", partitions())


def is_its_endpoint(client: Any, change: Change) -> bool:
    """True when a client goes where a change was made: to AWS, or to the same emulator."""
    there = parse_endpoint(change.endpoint)
    if there is not None and is_aws_host(there.host, "sqs", partitions()):
        return _is_aws(client)
    return there == parse_endpoint(client.meta.endpoint_url)


def wait_for(
    read: Callable[[], Attributes],
    expected: Attributes,
    earlier: Iterable[Attributes] = (),
    *,
    seconds: float = _SPREADING_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Attributes | None:
    """Read a queue's attributes until they are as expected, and return them.

    Attributes as they were `earlier` in this run are an answer from where the change has not yet arrived: they are read
    anew, for so many seconds; then it is None. Raises OtherStateError for anything else.
    """
    stale = tuple(earlier)
    pause, waited = 0.2, 0.0
    while True:
        present = read()
        if is_as(present, expected):
            return present
        if not any(is_as(present, each) for each in stale):
            raise OtherStateError
        if waited >= seconds:
            return None
        sleep(pause)
        waited += pause
        pause = min(pause * 2, 5.0)


# --- the file ----------------------------------------------------------------------------------------------------


class Rollback:
    """A rollback file that is being written. There is no file before the first change."""

    def __init__(self, path: Path | None, caller: str, begun: datetime) -> None:
        self.path = path
        self._caller = caller
        self._begun = begun
        self._is_there = False
        self.changes: list[Change] = []

    def record(self, change: Change) -> None:
        """Put a change into the file, before it is made; on return it is on the disk. Raises OSError."""
        changes = [*self.changes, change]
        content = json.dumps(self._as_data(changes), indent=2).encode() + b"\n"
        if self._is_there:
            assert self.path is not None
            self._replace(self.path, content)
        else:
            self._create(content)
        self.changes = changes

    def _create(self, content: bytes) -> None:
        if self.path is not None:
            _write_new(self.path, content)
        else:
            self.path = self._first_free(content)
        self._is_there = True

    def _first_free(self, content: bytes) -> Path:
        name = f"safe-sqs-rollback-{self._begun:%Y%m%dT%H%M%SZ}"
        number = 1
        while True:
            path = Path(f"{name}.json" if number == 1 else f"{name}-{number}.json")
            try:
                _write_new(path, content)
            except FileExistsError:
                number += 1
            else:
                return path

    @staticmethod
    def _replace(path: Path, content: bytes) -> None:
        new = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            _write_new(new, content)
            new.replace(path)
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise
        _sync_folder(path)

    def _as_data(self, changes: Iterable[Change]) -> dict[str, Any]:
        return {
            _MARK: _FORMAT,
            "begun": self._begun.isoformat(timespec="seconds"),
            "caller": self._caller,
            "changes": [{**change._asdict(), "undo": command_of(change)} for change in changes],
        }


def _write_new(path: Path, content: bytes) -> None:
    """A file that was not there before, for its owner only, on the disk on return."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    """A name is on the disk only when its folder is. Some file systems cannot do that, and need not."""
    with suppress(OSError):
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def command_of(change: Change) -> str:
    """The command of the AWS CLI that undoes a change."""
    endpoint = parse_endpoint(change.endpoint)
    is_aws = endpoint is not None and is_aws_host(endpoint.host, "sqs", partitions())
    return shlex.join(
        [
            *("aws", "sqs", "set-queue-attributes", "--region", change.region),
            *(() if is_aws else ("--endpoint-url", change.endpoint)),
            *("--queue-url", change.queue_url, "--attributes", json.dumps(dict(change.before))),
        ]
    )


def read_rollback(path: Path) -> tuple[Change, ...]:
    """The changes in a rollback file, in the order in which they were made. Raises OSError and RollbackFileError."""
    try:
        data = json.loads(path.read_bytes())
        if data[_MARK] != _FORMAT:
            raise RollbackFileError
        changes = tuple(map(_change_from, data["changes"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RollbackFileError(str(path)) from error
    if not changes:
        raise RollbackFileError(str(path))
    return changes


def _change_from(data: Mapping[str, Any]) -> Change:
    change = Change(
        *(data[name] for name in ("queue_url", "queue_arn", "region", "endpoint")),
        *(tuple(data[name]) for name in ("rules", "words")),
        *(dict(data[name]) for name in ("before", "after")),
    )
    before, after = change.before, change.after
    texts = [*change[:4], *change.rules, *change.words, *before.values(), *after.values()]
    if not all(isinstance(text, str) for text in texts):
        raise RollbackFileError
    if not before or before.keys() != after.keys() or not before.keys() <= {*ATTRIBUTES}:
        raise RollbackFileError
    return change


class Standing(Enum):
    """How a queue is, seen from a change that was to be made to it."""

    AS_LEFT = "as the change left it"
    AS_BEFORE = "as it was before the change"
    OTHER = "neither"


class Undoing(NamedTuple):
    """All changes of a file to one queue that touch the same, to be taken back at once: `before` is what was there
    before the first of them, `states` what each of them left."""

    change: Change
    states: tuple[Attributes, ...]

    def standing(self, present: Attributes) -> Standing:
        """How a queue is that has these attributes."""
        if is_as(present, self.change.before):
            return Standing.AS_BEFORE
        return Standing.AS_LEFT if any(is_as(present, state) for state in self.states) else Standing.OTHER


def undoings(changes: Iterable[Change]) -> tuple[Undoing, ...]:
    """What takes changes back, the last one first."""
    found: dict[tuple[str, bool], Undoing] = {}
    for change in changes:
        place = (change.queue_url, "Policy" in change.before)
        first, states = found.pop(place, Undoing(change, ()))
        words = change.words if first is change else (*first.words, *change.words)
        before, after = {**change.before, **first.before}, {**first.after, **change.after}
        found[place] = Undoing(first._replace(words=words, before=before, after=after), (*states, change.after))
    return tuple(reversed(found.values()))
