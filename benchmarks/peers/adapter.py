"""What the adapters have in common. An adapter runs inside the virtual environment of one tool, reads the policies from
standard input and writes that tool's judgement of each to standard output, both as one line of JSON each:

    in:   {"id": "sns-1", "policy": "{...}", "queue_arn": "arn:aws:sqs:...", "trusted_accounts": []}
    out:  {"version": "1.2.3"}, once
          {"id": "sns-1", "judge": "Tool CHECK", "public": true}
          {"id": "sns-1", "judge": "Tool CHECK", "error": "KeyError: 'Statement'"}

It uses the standard library alone, because it runs beside whatever the tool brings along.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TextIO

__all__ = ["Case", "answer", "serve"]


class Case(NamedTuple):
    """One policy, as the queue's attribute Policy holds it: text. `policy` is "" where the queue has none."""

    id: str
    policy: str
    queue_arn: str
    trusted_accounts: tuple[str, ...]

    @property
    def account(self) -> str:
        return self.queue_arn.split(":")[4]

    @property
    def region(self) -> str:
        return self.queue_arn.split(":")[3]


Judge = Callable[[Case], bool]
"""True: public. What it raises means that the tool could not read the policy."""


def serve(version: str, judges: dict[str, Judge]) -> None:
    """Ask every judge about every policy."""
    out = _own_output()
    _forbid_network()
    _write(out, {"version": version})
    for line in sys.stdin:
        case = Case(**json.loads(line))
        for name, judge in judges.items():
            _write(out, {"id": case.id, "judge": name, **answer(judge, case)})


def answer(judge: Judge, case: Case) -> dict[str, object]:
    """The judge's answer or, when it raised or answered with something else than yes or no, the error."""
    try:
        public = judge(case)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    return {"public": public} if isinstance(public, bool) else {"error": f"answered {public!r}"}


def _own_output() -> TextIO:
    """Standard output for the answers alone: what the tool prints goes to standard error."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return out


def _forbid_network() -> None:
    """The judgement of a policy needs no network; this makes sure that it used none."""

    def refuse(*_arguments: Any) -> None:
        raise OSError("no network here")

    socket.socket.connect = socket.socket.connect_ex = refuse  # type: ignore[assignment,method-assign]


def _write(out: TextIO, record: dict[str, object]) -> None:
    out.write(json.dumps(record) + "\n")
    out.flush()
