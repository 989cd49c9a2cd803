"""Verdicts by queue: one look-up per queue and time to live, however many threads or tasks ask.

A verdict is reused until its end and never past it. Shortly before, one caller refreshes it while the others go on.
Refusals live shorter than passes, and what could not be told shorter still. A fork starts with an empty cache.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import NamedTuple
from weakref import WeakSet, WeakValueDictionary

from safe_sqs.model import Verdict

__all__ = ["Clock", "Entry", "Flight", "Lookup", "VerdictCache", "all_caches", "drop_everywhere", "shared_cache"]

MAX_QUEUES = 100_000
REFUSAL_SECONDS = 30.0
UNVERIFIABLE_SECONDS = 5.0
_REFRESH_FROM, _REFRESH_SPREAD = 0.8, 0.15


class Clock(NamedTuple):
    """Two readings of time, in seconds. A verdict ends when either says so: the monotonic one is not fooled by a wall
    clock that is set back, and the wall clock goes on while a sandbox is frozen."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


class Entry:
    """A verdict about a queue, when it was asked for, and how long it is good for, by both clocks.

    `passes` is true when nothing in the verdict refuses. `dead_letter` is the dead-letter queue that was judged with
    the queue, if there is one: when that changes, the verdict is out of date too.
    """

    __slots__ = ("dead_letter", "ends", "ends_wall", "fresh", "fresh_wall", "passes", "started", "verdict")

    def __init__(
        self, verdict: Verdict, started: float, fresh: float, fresh_wall: float, ends: float, ends_wall: float
    ) -> None:
        self.verdict = verdict
        self.passes = not verdict.refusals
        self.dead_letter = b""
        self.started = started
        self.fresh = fresh
        self.fresh_wall = fresh_wall
        self.ends = ends
        self.ends_wall = ends_wall

    def end(self) -> None:
        """End its life, for whoever holds it still."""
        self.fresh = self.fresh_wall = self.ends = self.ends_wall = -math.inf


class Flight(Future[Entry]):
    """A look-up under way, for which queue and place, and when it began: a verdict is as old as the question, not as
    the answer."""

    def __init__(self, queue: bytes, place: Hashable, started: float, started_wall: float) -> None:
        super().__init__()
        self.at = (queue, place)
        self.started = started
        self.started_wall = started_wall


class Lookup(NamedTuple):
    """What a caller has to do: use `entry` where there is one, fetch and settle the flight where it `leads`, else wait
    for the flight."""

    entry: Entry | None
    flight: Flight | None = None
    leads: bool = False


class VerdictCache:
    """A bounded cache with single flight, for threads and for asyncio (which awaits the flight's future).

    Queues are named by their URL as it stands in the JSON body of a request. `entries` is for the warm path: an entry
    may be used, without a lock, when it passes and when neither `entry.fresh` nor `entry.fresh_wall` has come; an entry
    that is no longer in the cache has none of that time left. Everything else goes through `look_up`.
    """

    def __init__(
        self,
        ttl_seconds: float,
        clock: Clock | None = None,
        max_queues: int = MAX_QUEUES,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.hits = 0
        self._ttl_seconds = ttl_seconds
        self._clock = clock or Clock()
        self._max_queues = max_queues
        self._jitter = jitter
        self._flights: dict[tuple[bytes, Hashable], Flight] = {}
        self._lock = Lock()
        _CACHES.add(self)

    def __len__(self) -> int:
        return len(self.entries)

    def look_up(self, queue: bytes, place: Hashable = None) -> Lookup:
        """Find the verdict of a queue, or who is fetching it, or that this caller must.

        Callers wait only for those of the same `place`: an event loop, or None for threads that block. A thread that
        blocks a loop while one of its tasks is fetching would never go on, nor would a task that waits for a loop
        which was stopped. The verdicts are shared by all.
        """
        with self._lock:
            entry = self._living(queue)
            flight = self._flights.get((queue, place))
            if entry is not None and (flight is not None or self._is_fresh(entry)):
                return Lookup(entry)
            if flight is not None:
                return Lookup(None, flight)
            flight = Flight(queue, place, self._clock.monotonic(), self._clock.wall())
            self._flights[flight.at] = flight
            return Lookup(entry, flight, leads=True)

    def settle(
        self,
        queue: bytes,
        flight: Flight,
        verdict: Verdict,
        at_most: float | None = None,
        dead_letter: bytes = b"",
    ) -> Entry:
        """Store what the leader of a flight found, and hand it to those who wait.

        `at_most` bounds the life of the verdict in seconds where it is given; at 0 it is not stored. A verdict that
        could not be told does not replace one that is still good, nor any verdict one that was asked for later, in
        another place. A flight that was dropped under way is answered, but not stored.
        """
        with self._lock:
            entry = self._entry(flight, verdict, at_most)
            entry.dead_letter = dead_letter
            if self._flights.get(flight.at) is flight:
                del self._flights[flight.at]
                living = self._living(queue)
                if living is not None and _knows_better(living, entry):
                    entry = living
                else:
                    if living is not None and living.passes and verdict.unverifiable:
                        entry = self._postpone(living)
                    if at_most != 0:
                        self._store(queue, entry)
        flight.set_result(entry)
        return entry

    def abandon(self, queue: bytes, flight: Flight, error: BaseException) -> Entry | None:
        """End a flight whose leader failed; those who wait get the error. Returns the verdict that is still good."""
        living = None
        with self._lock:
            if self._flights.get(flight.at) is flight:
                del self._flights[flight.at]
                living = self._living(queue)
                if living is not None:
                    living = self._postpone(living)
                    self._store(queue, living)
        flight.set_exception(error)
        return living

    def drop(self, queue: bytes) -> None:
        """Forget a queue, and do not store what is being fetched about it."""
        with self._lock:
            self._remove(queue)
            self._drop_flights({queue})

    def drop_namesakes(self, queue: bytes) -> None:
        """Forget a queue under every URL that ends in its account and name, and all whose dead letters it takes."""
        name = _name(queue)
        with self._lock:
            flying = (queue for queue, _ in self._flights)
            known = {each for each in (*self.entries, *flying) if _name(each) == name}
            known |= {
                each for each, entry in self.entries.items() if entry.dead_letter and _name(entry.dead_letter) == name
            }
            for each in known:
                self._remove(each)
            self._drop_flights(known)

    def clear(self) -> None:
        """Forget all queues, with a new lock: after a fork the old one may be held by a thread that is not there."""
        self._lock = Lock()
        for queue in list(self.entries):
            self._remove(queue)
        self._flights = {}

    def _drop_flights(self, queues: set[bytes]) -> None:
        if self._flights:
            self._flights = {at: flight for at, flight in self._flights.items() if at[0] not in queues}

    def _living(self, queue: bytes) -> Entry | None:
        entry = self.entries.get(queue)
        if entry is None:
            return None
        if self._clock.monotonic() < entry.ends and self._clock.wall() < entry.ends_wall:
            return entry
        self._remove(queue)
        return None

    def _is_fresh(self, entry: Entry) -> bool:
        return self._clock.monotonic() < entry.fresh and self._clock.wall() < entry.fresh_wall

    def _entry(self, flight: Flight, verdict: Verdict, at_most: float | None) -> Entry:
        seconds = self._ttl_seconds
        if verdict.refusals:
            seconds = min(seconds, UNVERIFIABLE_SECONDS if verdict.unverifiable else REFUSAL_SECONDS)
        if at_most is not None:
            seconds = min(seconds, at_most)
        # A refusal is not refreshed early: nobody is served by it meanwhile.
        share = 1.0 if verdict.refusals else _REFRESH_FROM + _REFRESH_SPREAD * self._jitter()
        now, wall = flight.started, flight.started_wall
        return Entry(verdict, now, now + seconds * share, wall + seconds * share, now + seconds, wall + seconds)

    def _postpone(self, entry: Entry) -> Entry:
        """The same verdict with the same end, not to be refreshed again at once."""
        fresh = max(entry.fresh, min(entry.ends, self._clock.monotonic() + UNVERIFIABLE_SECONDS))
        fresh_wall = max(entry.fresh_wall, min(entry.ends_wall, self._clock.wall() + UNVERIFIABLE_SECONDS))
        postponed = Entry(entry.verdict, entry.started, fresh, fresh_wall, entry.ends, entry.ends_wall)
        postponed.dead_letter = entry.dead_letter
        return postponed

    def _store(self, queue: bytes, entry: Entry) -> None:
        if queue not in self.entries and len(self.entries) >= self._max_queues:
            self._remove(next(iter(self.entries)))
        self._remove(queue)
        self.entries[queue] = entry

    def _remove(self, queue: bytes) -> None:
        entry = self.entries.pop(queue, None)
        if entry is not None:
            entry.end()


def _knows_better(living: Entry, entry: Entry) -> bool:
    """True when a verdict was asked for later than another one, and tells as much."""
    return living.started > entry.started and living.verdict.unverifiable <= entry.verdict.unverifiable


def _name(queue: bytes) -> list[bytes]:
    """Account and name in a queue URL: Amazon SQS ignores its host, so two URLs may name one queue."""
    return queue.rstrip(b"/").rsplit(b"/", 2)[1:]


_CACHES: WeakSet[VerdictCache] = WeakSet()
_SHARED: WeakValueDictionary[Hashable, VerdictCache] = WeakValueDictionary()
_shared_lock = Lock()


def shared_cache(scope: Hashable, ttl_seconds: float, clock: Clock) -> VerdictCache:
    """The one cache of this process for a scope. It lives as long as somebody holds it."""
    with _shared_lock:
        cache = _SHARED.get((scope, clock))
        if cache is None:
            cache = _SHARED[scope, clock] = VerdictCache(ttl_seconds, clock)
        return cache


def drop_everywhere(queue: bytes) -> None:
    """Forget a queue in every cache of this process, under whichever URL it is known there."""
    for cache in all_caches():
        cache.drop_namesakes(queue)


def all_caches() -> list[VerdictCache]:
    """The caches of this process, for whoever counts."""
    return list(_CACHES)


def _start_anew() -> None:
    global _shared_lock
    _shared_lock = Lock()
    for cache in all_caches():
        cache.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
