"""Tries a way under a face, and tells what came of it and whether that is as it must be."""

from __future__ import annotations

import warnings
from typing import NamedTuple
from urllib.error import URLError

from botocore.exceptions import BotoCoreError, ClientError

from bypasses.stage import Seen, Theatre, on_stage
from bypasses.ways import Face, Way
from safe_sqs import GuardError

__all__ = ["Outcome", "attempt", "problem"]

_OF_SERVERS = (BotoCoreError, ClientError, URLError, ConnectionError)
"""What a program gets from servers that answer little. What they were asked counts."""


class Outcome(NamedTuple):
    """What came of an attempt: the error that it ended with, and what was seen from outside."""

    way: Way
    face: Face
    error: Exception | None
    seen: Seen

    @property
    def refused(self) -> bool:
        """Whether safe_sqs refused, and nothing was seen outside."""
        return isinstance(self.error, GuardError) and not self.seen.anything


def attempt(theatre: Theatre, way: Way, face: Face) -> Outcome:
    """Try a way once."""
    error: Exception | None = None
    with on_stage(theatre, face) as stage, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            way.attempt(stage)
        except Exception as caught:  # whatever it is, it is told with the outcome
            error = caught
        seen = stage.seen()
    return Outcome(way, face, error, seen)


def problem(outcome: Outcome) -> str:
    """What is not as it must be, or ""."""
    way, face, error, seen = outcome
    if face is Face.RAW:
        if not seen.anything:
            return f"it does not work without the guard either: {error!r}"
        return f"it does not work as it is written: {error!r}" if _is_strange(error) else ""
    if face in way.passes:
        return "" if seen.anything else f"it is refused, so SECURITY.md is wrong about it: {error!r}"
    if seen.anything:
        return f"it gets through: {seen}, {error!r}"
    return "" if isinstance(error, GuardError) else f"nothing got out, but safe_sqs did not refuse it: {error!r}"


def _is_strange(error: Exception | None) -> bool:
    return error is not None and not isinstance(error, _OF_SERVERS)
