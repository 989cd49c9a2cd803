"""The short form of `make soak`, and that it can fail: the referee sees every breach, and a guard that is broken in one
place does not get through."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from soak.__main__ import Outcome, main, run
from soak.referee import Breach, Referee, State
from soak.service import Play

SECONDS = 30.0
"""How long the short form runs."""
WAY = 300.0
"""A bound for hanging only: how long a request is on its way says how busy the machine is."""
TTL = 10.0
QUEUE = "soak-1"
THREADS, LOOP = "threads", "loop"

needs_linux = pytest.mark.skipif(
    not (hasattr(os, "fork") and Path("/proc/self/statm").is_file()), reason="needs fork and Linux's /proc"
)


def broken(outcome: Outcome) -> list[str]:
    """What did not hold, for a test to show."""
    return [f"{each.what}: {each.figure}" for each in outcome.checks() if not each.held] + outcome.service["examples"]


@needs_linux
def test_under_threads_forks_and_changes_everything_holds():
    play = Play(
        seconds=SECONDS,
        threads=64,
        tasks=0,
        queues=10_000,
        seed=1,
        ttl_seconds=5.0,
        calls_per_second=200.0,
        changes_per_second=40.0,
        fork_seconds=3.0,
        way_seconds=WAY,
    )
    assert broken(run(play)) == []


# --- a guard that is broken in one place ---------------------------------------------------------------------------

BROKEN = {
    "verdicts live three times as long": (
        "from safe_sqs.cache import VerdictCache as C; first = C.__init__;"
        "C.__init__ = lambda self, ttl, *more: first(self, 3 * ttl, *more)",
        {"STALE", "LATE", "GOOD_REFUSED"},
    ),
    "every caller makes a look of its own": (
        "from safe_sqs.cache import VerdictCache as C; first = C.look_up;"
        "C.look_up = lambda self, queue, place=None: first(self, queue, object())",
        {"LOOKED_AGAIN"},
    ),
    "a verdict is refreshed after a tenth of its life": (
        "from safe_sqs import cache; cache._REFRESH_FROM = 0.1",
        {"LOOKED_AGAIN"},
    ),
    "a refusal is stored as a pass": (
        "from safe_sqs.cache import VerdictCache as C; first = C._store;"
        "C._store = lambda self, queue, entry: (setattr(entry, 'passes', True), first(self, queue, entry))",
        {"KNOWN", "STALE"},
    ),
    "a child keeps the verdicts of its parent": (
        "from safe_sqs.cache import VerdictCache as C; C.clear = lambda self: None",
        {"every child began with an empty cache and ended well"},
    ),
    "guards are kept when their clients are gone": (
        "from safe_sqs import hooks; kept = []; first = hooks.note_guard;"
        "hooks.note_guard = lambda client, guard: (kept.append(guard), first(client, guard))",
        {"nothing is left over"},
    ),
    "threads are left": (
        "import threading, time; from safe_sqs.hooks import Hooks as H; first = H.subscribe;"
        "left = lambda: threading.Thread(target=time.sleep, args=(60,), daemon=True).start();"
        "H.subscribe = lambda self: (left(), first(self))",
        {"nothing is left over"},
    ),
}


@needs_linux
@pytest.mark.parametrize("way", BROKEN)
def test_a_guard_that_is_broken_in_one_place_does_not_get_through(way):
    """What the service has to see may take its time on a busy machine; the run ends when it has."""
    prelude, expected = BROKEN[way]
    breaches = expected & {breach.name for breach in Breach}
    play = Play(
        seconds=60.0 if breaches else 4.0,
        threads=16,
        tasks=0,
        queues=40,
        seed=1,
        ttl_seconds=1.0,
        calls_per_second=200.0,
        changes_per_second=10.0,
        fork_seconds=1.0,
        way_seconds=WAY,
    )
    outcome = run(
        play, prelude=prelude, enough=lambda said: bool(breaches) and breaches <= said.get("breaches", {}).keys()
    )
    seen = {*outcome.service["breaches"], *(each.what for each in outcome.checks() if not each.held)}
    assert expected <= seen, broken(outcome)


# --- the referee ---------------------------------------------------------------------------------------------------


@pytest.fixture
def referee() -> Referee:
    """One who knows a queue that is good since the beginning."""
    one = Referee(TTL, way_seconds=1.0)
    one.changed(QUEUE, State.GOOD, 0.0)
    return one


def look(referee: Referee, at: float, side: str = THREADS, *, settles: float | None = None, process: int = 1) -> None:
    """A look that leaves at once and is settled a moment later, or when a test says so."""
    referee.looked(process, side, QUEUE, at, at)
    referee.settled(process, QUEUE, at, at + 0.1 if settles is None else settles)


def send(referee: Referee, checked: float, arrives: float | None = None, process: int = 1) -> None:
    referee.arrived(process, QUEUE, checked, checked if arrives is None else arrives)


def breaches(referee: Referee) -> set[Breach]:
    referee.settle(float("inf"))
    return set(referee.breaches)


@pytest.mark.parametrize(("checked", "expected"), [(9.999, set()), (10.0, {Breach.STALE})])
def test_a_message_rests_on_a_look_of_its_own_process_within_the_ttl(referee, checked, expected):
    look(referee, 0.0)
    send(referee, checked)
    assert breaches(referee) == expected


def test_the_look_of_another_process_does_not_count(referee):
    look(referee, 0.0, process=1)
    send(referee, 1.0, process=2)
    assert breaches(referee) == {Breach.STALE}


def test_a_look_that_took_longer_than_the_ttl_serves_those_who_waited_for_it(referee):
    look(referee, 0.0, settles=12.0)
    send(referee, 11.0, 13.0)
    assert breaches(referee) == set()
    send(referee, 12.5)
    assert breaches(referee) == {Breach.STALE}


def test_a_slow_look_of_one_side_counts_beside_a_quick_one_of_the_other(referee):
    look(referee, 0.0, LOOP, settles=14.0)
    look(referee, 1.0, THREADS)
    send(referee, 13.0)
    assert breaches(referee) == set()
    send(referee, 14.5)
    assert breaches(referee) == {Breach.STALE}


@pytest.mark.parametrize(
    ("checked", "arrives", "expected"),
    [(11.9, 12.9, set()), (11.9, 13.0, {Breach.SLOW}), (12.0, 12.0, {Breach.LATE, Breach.STALE})],
)
def test_a_message_to_a_queue_that_turned_bad_comes_within_the_ttl(referee, checked, arrives, expected):
    look(referee, 1.999)
    referee.changed(QUEUE, State.PUBLIC, 2.0)
    send(referee, checked, arrives)
    assert breaches(referee) == expected


def test_nothing_goes_to_a_queue_of_which_the_process_knows_that_it_is_bad(referee):
    look(referee, 0.0, LOOP)
    referee.changed(QUEUE, State.PUBLIC, 1.0)
    look(referee, 2.0, settles=2.5)
    send(referee, 2.4)
    assert breaches(referee) == set(), "it may have been judged before"
    send(referee, 2.6)
    assert breaches(referee) == {Breach.KNOWN}


def test_it_counts_too_when_the_message_is_known_before_the_look_is(referee):
    look(referee, 0.0, LOOP)
    referee.changed(QUEUE, State.PUBLIC, 1.0)
    referee.looked(1, THREADS, QUEUE, 2.0, 2.0)
    send(referee, 2.6)
    referee.settled(1, QUEUE, 2.0, 2.5)
    assert breaches(referee) == {Breach.KNOWN}


def test_a_queue_that_was_seen_good_again_is_used_again(referee):
    referee.changed(QUEUE, State.PUBLIC, 1.0)
    look(referee, 2.0)
    referee.changed(QUEUE, State.GOOD, 3.0)
    look(referee, 12.5)
    send(referee, 12.7)
    assert breaches(referee) == set()


@pytest.mark.parametrize(
    ("state", "untold", "began", "expected"),
    [
        (State.PUBLIC, False, 15.9, set()),
        (State.PUBLIC, False, 16.0, {Breach.GOOD_REFUSED}),
        (State.DENIED, True, 10.9, set()),
        (State.DENIED, True, 11.0, {Breach.GOOD_REFUSED}),
        (State.DENIED, False, 7.0, {Breach.GOOD_REFUSED}),
        (State.PUBLIC, True, 7.0, {Breach.GOOD_REFUSED}),
        (State.KEY_DISABLED, False, 7.0, {Breach.GOOD_REFUSED}),
    ],
)
def test_a_refusal_has_its_reason_within_the_life_of_a_refusal(referee, state, untold, began, expected):
    referee.changed(QUEUE, state, 5.0)
    referee.changed(QUEUE, State.GOOD, 6.0)
    referee.refused(1, QUEUE, began, began + 0.1, untold=untold)
    assert breaches(referee) == expected


@pytest.mark.parametrize(
    ("state", "earliest"),
    [(State.GOOD, 8.0), (State.KEY_DISABLED, 8.0), (State.PUBLIC, 10.0), (State.THROTTLED, 5.0)],
)
def test_a_process_looks_again_when_the_verdict_is_due_and_no_sooner(referee, state, earliest):
    referee.changed(QUEUE, state, 0.0)
    look(referee, 1.0)
    look(referee, 1.0 + earliest)
    assert breaches(referee) == set()
    look(referee, 1.0 + 2 * earliest - 0.1)
    assert breaches(referee) == {Breach.LOOKED_AGAIN}


def test_threads_and_a_loop_may_look_at_the_same_time_and_no_side_twice(referee):
    look(referee, 1.0, THREADS)
    look(referee, 1.1, LOOP)
    assert breaches(referee) == set()
    look(referee, 1.2, THREADS)
    assert breaches(referee) == {Breach.LOOKED_AGAIN}


def test_a_pass_outlives_a_look_that_came_to_nothing_and_then_there_is_another(referee):
    look(referee, 0.0)
    referee.changed(QUEUE, State.DENIED, 1.0)
    look(referee, 9.0)
    look(referee, 10.0)
    assert breaches(referee) == set()


def test_what_was_dropped_may_be_looked_at_once_more_by_each_side(referee):
    look(referee, 0.0)
    referee.dropped(1, QUEUE, 0.5)
    look(referee, 1.0)
    look(referee, 1.1, LOOP)
    assert breaches(referee) == set()
    look(referee, 1.2)
    assert breaches(referee) == {Breach.LOOKED_AGAIN}


def test_a_reason_that_is_told_late_counts_too(referee):
    look(referee, 0.0)
    look(referee, 1.0)
    referee.settle(1.5)
    referee.dropped(1, QUEUE, 0.9)
    assert breaches(referee) == set()


def test_the_least_looks_are_one_for_each_life_in_which_the_queue_was_used(referee):
    look(referee, 0.0)
    for checked in (0.1, 5.0, 9.0, 11.0, 20.0, 40.0):
        send(referee, checked)
    assert referee.least_looks == 3


# --- the program ---------------------------------------------------------------------------------------------------


@needs_linux
def test_the_program_prints_its_figures_and_what_held(capsys):
    few = ["--threads", "4", "--tasks", "0", "--queues", "20", "--ttl", "1", "--rate", "100", "--fork", "1"]
    status = main(["--seconds", "4", "--way", str(WAY), *few])
    out = capsys.readouterr().out
    assert status == 0, out
    assert "BROKEN" not in out
    for breach in Breach:
        assert f"held    never: {breach.value}: 0;" in out


@needs_linux
def test_the_program_says_how_to_do_it_again_when_something_did_not_hold(capsys):
    given = "--seconds 1 --threads 1 --tasks 0 --queues 20 --fork 100 --seed 7"
    status = main(given.split())
    out = capsys.readouterr().out
    assert status == 1, "without a fork nothing is shown of forks"
    assert f'once more: make soak SOAK="{given}"' in out
