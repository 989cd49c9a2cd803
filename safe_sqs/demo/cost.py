"""What the guard costs, measured against boto3 without it.

CPU time of the calling process, because the wall clock measures the machine's other work too. Everything is
interleaved in short rounds, and a second client without a guard shows how far two equal things come out apart: what
is smaller than that has not been measured. The network is stubbed at the HTTP session of each client, so that a call
costs what botocore and the guard do, and nothing else.
"""

from __future__ import annotations

import copy
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import cycle, islice, permutations
from typing import Any, NamedTuple

from safe_sqs.demo.surroundings import clean_surroundings
from safe_sqs.demo.unplugged import (
    BODY,
    FIRST_SEND,
    KEYS,
    ONE_CLIENT,
    OPERATIONS,
    QUEUE_URL,
    Provider,
    two_clients_and_a_guarded_one,
)

__all__ = [
    "FULL",
    "SHORT",
    "Calls",
    "Figure",
    "Handler",
    "Median",
    "Provider",
    "Rounds",
    "Start",
    "measure_all",
    "measure_calls",
    "measure_first_send",
    "measure_handlers",
    "measure_start",
]

CALL_GOAL = 1.01
HANDLERS_GOAL_MICROSECONDS = 3.0
START_GOAL = 1.03

_HANDLED = ("before-sign", "before-send", "after-call")


class Rounds(NamedTuple):
    """How much to measure. Each set is one trio of fresh clients, because where objects happen to lie in memory makes
    a difference that lasts as long as they live."""

    sets: int
    rounds: int
    calls: int
    emit_rounds: int
    emits: int
    starts: int


FULL = Rounds(sets=6, rounds=60, calls=10, emit_rounds=50, emits=100, starts=15)
SHORT = Rounds(sets=3, rounds=30, calls=10, emit_rounds=20, emits=100, starts=3)


class Median(NamedTuple):
    """The middle of many rounds, and its standard error."""

    value: float
    error: float


class Calls(NamedTuple):
    """Whole calls. `ratio` is guarded to the mean of the two without guard, `control` one of these to the other; the
    times are CPU time for one call."""

    operation: str
    provider: Provider
    ratio: Median
    control: Median
    raw_microseconds: float
    guarded_microseconds: float


class Handler(NamedTuple):
    """What the guard adds to emitting one event, and what a second client without guard "adds"."""

    event: str
    provider: Provider
    microseconds: Median
    control: Median


class Start(NamedTuple):
    """A fresh interpreter that imports the module and does something with it: CPU time of the child."""

    ratio: Median
    control: Median
    raw_milliseconds: float
    guarded_milliseconds: float


class Figure(NamedTuple):
    """One line of the result. `control` is the same figure for a second client without guard: what it differs from
    "no difference" by is noise. `goal` is the most that `value` should be, in the same unit, or None for a part of
    another figure. `plain` says in words what the two sides took."""

    what: str
    value: float
    error: float
    control: float
    unit: str
    goal: float | None
    plain: str = ""

    @property
    def is_met(self) -> bool | None:
        """The goal is met; None where there is none."""
        return None if self.goal is None else self.value <= self.goal


# --- measurements ------------------------------------------------------------------------------------------------


def measure_all(rounds: Rounds = FULL, providers: Iterable[Provider] = tuple(Provider)) -> Iterator[Figure]:
    """Every figure that there is a goal for, one after the other as it is measured."""
    for provider in providers:
        for operation in OPERATIONS:
            calls = measure_calls(operation, provider, rounds)
            yield Figure(
                f"{calls.operation}, {provider.value} credentials",
                *calls.ratio,
                calls.control.value,
                "of boto3",
                CALL_GOAL,
                f"{calls.raw_microseconds:.0f} us, guarded {calls.guarded_microseconds:.0f} us",
            )
        handlers = measure_handlers(provider, rounds)
        for handler in handlers:
            event = f"  {handler.event}, {provider.value} credentials"
            yield Figure(event, *handler.microseconds, handler.control.value, "us", None)
        yield Figure(
            f"all handlers, {provider.value} credentials",
            sum(handler.microseconds.value for handler in handlers),
            math.hypot(*(handler.microseconds.error for handler in handlers)),
            sum(handler.control.value for handler in handlers),
            "us",
            HANDLERS_GOAL_MICROSECONDS,
        )
    for what, start, goal in (
        ("import and one client", measure_start(rounds), START_GOAL),
        ("  and the first send, with its look", measure_first_send(rounds), None),
    ):
        if start is not None:
            yield Figure(
                what,
                *start.ratio,
                start.control.value,
                "of boto3",
                goal,
                f"{start.raw_milliseconds:.0f} ms, safe_sqs {start.guarded_milliseconds:.0f} ms",
            )


def measure_calls(operation: str, provider: Provider, rounds: Rounds = FULL) -> Calls:
    """Whole calls of one operation."""
    times = [row for _ in range(rounds.sets) for row in _rounds_of_calls(provider, rounds, OPERATIONS[operation])]
    return Calls(
        operation,
        provider,
        ratio=_median(2 * guarded / (first + second) for first, second, guarded in times),
        control=_median(second / first for first, second, _ in times),
        raw_microseconds=statistics.median(first for first, _, _ in times) / rounds.calls * 1e6,
        guarded_microseconds=statistics.median(guarded for _, _, guarded in times) / rounds.calls * 1e6,
    )


def measure_handlers(provider: Provider, rounds: Rounds = FULL) -> tuple[Handler, ...]:
    """The guard's handlers alone: `emit()` with the arguments of a real call, less the same on a client without
    guard."""

    def added(first: float, second: float, guarded: float) -> float:
        return (guarded - (first + second) / 2) / rounds.emits * 1e6

    rows = [row for _ in range(rounds.sets) for row in _rounds_of_emits(provider, rounds)]
    return tuple(
        Handler(
            event,
            provider,
            _median(added(*row) for name, *row in rows if name == event),
            _median((second - first) / rounds.emits * 1e6 for name, first, second, _ in rows if name == event),
        )
        for event in _HANDLED
    )


def measure_start(rounds: Rounds = FULL, code: str = ONE_CLIENT) -> Start | None:
    """Importing and making a client in fresh interpreters, or None where the system does not tell a child's time."""
    try:
        import resource
    except ImportError:  # Windows
        return None

    def start(module: str, _: int) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-"], input=f"import {module} as boto3\n{code}", text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    with clean_surroundings():
        os.environ |= {
            "AWS_ACCESS_KEY_ID": KEYS["access_key"],
            "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"],
            "AWS_SESSION_TOKEN": KEYS["token"],
        }
        modules = [partial(start, module) for module in ("boto3", "boto3", "safe_sqs")]
        for module in modules:
            module(1)
        times = list(_interleave(modules, rounds.starts, 1))
    return Start(
        ratio=_median(2 * guarded / (first + second) for first, second, guarded in times),
        control=_median(second / first for first, second, _ in times),
        raw_milliseconds=statistics.median(first for first, _, _ in times) * 1e3,
        guarded_milliseconds=statistics.median(guarded for _, _, guarded in times) * 1e3,
    )


def measure_first_send(rounds: Rounds = FULL) -> Start | None:
    """The same with a first SendMessage, which brings the guard's own look at the queue along."""
    return measure_start(rounds, FIRST_SEND)


def _rounds_of_calls(
    provider: Provider, rounds: Rounds, call_of: Callable[[Any], Callable[[], object]]
) -> list[tuple[float, float, float]]:
    with two_clients_and_a_guarded_one(provider) as clients:
        calls = [partial(_call_all, call_of(client)) for client in clients]
        for warm in calls:
            warm(rounds.calls)
        return list(_interleave(calls, rounds.rounds, rounds.calls))


def _rounds_of_emits(provider: Provider, rounds: Rounds) -> list[tuple[str, float, float, float]]:
    rows = []
    with two_clients_and_a_guarded_one(provider) as clients:
        recorded = [_record(client) for client in clients]
        for event in _HANDLED:
            emits = [
                partial(_emit_all, client.meta.events, *calls[event])
                for client, calls in zip(clients, recorded, strict=True)
            ]
            rows += [(event, *row) for row in _interleave(emits, rounds.emit_rounds, rounds.emits)]
    return rows


# --- timing ------------------------------------------------------------------------------------------------------


def _interleave(
    timed: Sequence[Callable[[int], float]], rounds: int, count: int
) -> Iterator[tuple[float, float, float]]:
    """One row of seconds for each round. Who goes first changes, and the garbage of one is not collected in another's
    time."""
    orders = islice(cycle(permutations(range(len(timed)))), rounds)
    enabled = gc.isenabled()
    gc.disable()
    try:
        for order in orders:
            gc.collect(0)
            row = dict.fromkeys(range(len(timed)), 0.0)
            for index in order:
                row[index] = timed[index](count)
            yield row[0], row[1], row[2]
    finally:
        if enabled:
            gc.enable()


def _call_all(call: Callable[[], object], count: int) -> float:
    start = time.process_time()
    for _ in range(count):
        call()
    return time.process_time() - start


def _emit_all(emitter: Any, name: str, arguments: dict[str, Any], count: int) -> float:
    """Each emit gets a request of its own, as in a real call."""
    emit = emitter.emit
    all_arguments = [_fresh(arguments) for _ in range(count)]
    start = time.process_time()
    for each in all_arguments:
        emit(name, **each)
    return time.process_time() - start


def _median(values: Iterable[float]) -> Median:
    values = list(values)
    middle = statistics.median(values)
    spread = statistics.median(abs(value - middle) for value in values)
    # The standard error of a median, from the median deviation, which outliers do not move.
    return Median(middle, 1.2533 * 1.4826 * spread / math.sqrt(len(values)))


# --- events of a real call ---------------------------------------------------------------------------------------


def _record(client: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """The full name and the arguments of each event of one call, as they were before any handler."""
    recorded: dict[str, tuple[str, dict[str, Any]]] = {}
    client.send_message(QueueUrl=QUEUE_URL, MessageBody=BODY)  # the guard's first look is not the usual case

    def recorder(event: str) -> Callable[..., None]:
        def record(event_name: str, **arguments: Any) -> None:
            recorded[event] = (event_name, _fresh(arguments))

        return record

    recorders = {event: recorder(event) for event in _HANDLED}
    for event, record in recorders.items():
        client.meta.events.register_first(event, record)
    client.send_message(QueueUrl=QUEUE_URL, MessageBody=BODY)
    for event, record in recorders.items():
        client.meta.events.unregister(event, record)
    return recorded


def _fresh(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same arguments with a request that no handler has marked."""
    if "request" not in arguments:
        return arguments
    request = copy.copy(arguments["request"])
    request.headers = copy.copy(request.headers)
    if getattr(request, "context", None) is not None:
        request.context = dict(request.context)
    return arguments | {"request": request}


if __name__ == "__main__":  # the demonstration asks in a fresh interpreter
    print(json.dumps([figure._asdict() for figure in measure_all(SHORT, [Provider.STATIC])]))  # noqa: T201
