"""Tries many ways at once, in processes of which each has its own stage."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing.util import Finalize

from bypasses import forks
from bypasses.corpus import WAYS
from bypasses.running import Outcome, attempt
from bypasses.stage import Seen, Theatre, open_theatre
from bypasses.ways import Face, Way

__all__ = ["outcomes_of"]

_FEW = 20
"""So many turns are not worth a second process, which takes seconds to start."""

Turn = tuple[Way, Face]


def outcomes_of(turns: Sequence[Turn], jobs: int) -> Iterator[Outcome]:
    """Take these turns, in so many processes at the most, and tell what came of each."""
    _keep_quiet()
    here = [turn for turn in turns if jobs < 2 or len(turns) <= _FEW or turn[0].family == forks.FAMILY.name]
    elsewhere = [turn for turn in turns if turn not in here]
    if elsewhere:
        yield from _in_processes(elsewhere, jobs)
    if here:
        with open_theatre() as theatre:
            yield from (attempt(theatre, way, face) for way, face in here)


def _in_processes(turns: Sequence[Turn], jobs: int) -> Iterator[Outcome]:
    """Without ways that start processes themselves: in the processes of a pool, another pool that forks hangs."""
    named = [(way.name, face) for way, face in turns]
    with ProcessPoolExecutor(jobs, initializer=_keep_quiet) as pool:
        for (way, face), (error, seen) in zip(turns, pool.map(_taken, named, chunksize=4), strict=True):
            yield Outcome(way, face, error, seen)


def _keep_quiet() -> None:
    """What is refused is told by the table."""
    logging.getLogger("safe_sqs").addHandler(logging.NullHandler())


_theatres: list[Theatre] = []


def _taken(turn: tuple[str, Face]) -> tuple[Exception | None, Seen]:
    name, face = turn
    if not _theatres:
        stack = ExitStack()
        _theatres.append(stack.enter_context(open_theatre()))
        Finalize(None, partial(stack.close), exitpriority=1)
    way = next(way for way in WAYS if way.name == name)
    outcome = attempt(_theatres[0], way, face)
    return _that_travels(outcome.error), outcome.seen


def _that_travels(error: Exception | None) -> Exception | None:
    """The error, or what it says where it cannot be handed to another process."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(repr(error))
    return error
