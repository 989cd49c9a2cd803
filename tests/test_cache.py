"""The verdict cache by itself: how long a verdict lives, who refreshes it, and what makes it go."""

from __future__ import annotations

import math
from threading import Thread

import pytest
from support import ManualClock

from safe_sqs import Finding, Mode
from safe_sqs import cache as cache_module
from safe_sqs.cache import (
    REFUSAL_SECONDS,
    UNVERIFIABLE_SECONDS,
    Clock,
    Flight,
    Lookup,
    VerdictCache,
    all_caches,
    drop_everywhere,
    shared_cache,
)
from safe_sqs.model import Verdict

QUEUE = b"https://sqs.us-east-1.amazonaws.com/123456789012/orders"
TTL = 300.0
EARLIEST_REFRESH = 0.8 * TTL
"""With a jitter of nought a verdict is refreshed after four fifths of its life."""


def finding(*, unverifiable: bool = False, mode: Mode = Mode.ENFORCE) -> Finding:
    return Finding("queue-encryption", mode, "found", "expected", "next step", None, unverifiable)


GOOD = Verdict()
BAD = Verdict((finding(),))
UNKNOWN = Verdict((finding(unverifiable=True),))
UNKNOWN_BUT_BAD = Verdict((finding(), finding(unverifiable=True)))


@pytest.fixture
def cache(manual_clock: ManualClock) -> VerdictCache:
    """A cache without jitter."""
    return VerdictCache(TTL, manual_clock.clock, jitter=lambda: 0.0)


def lead(cache: VerdictCache, queue: bytes = QUEUE) -> Lookup:
    """Look a queue up as the caller who has to fetch it."""
    found = cache.look_up(queue)
    assert found.leads
    return found


def store(cache: VerdictCache, verdict: Verdict = GOOD, queue: bytes = QUEUE, at_most: float | None = None) -> None:
    """Fetch a verdict and settle it at once."""
    cache.settle(queue, lead(cache, queue).flight, verdict, at_most)


def verdict_in(cache: VerdictCache, queue: bytes = QUEUE) -> Verdict | None:
    """The verdict that a caller is served without fetching or waiting, or None."""
    found = cache.look_up(queue)
    if found.flight is not None:
        cache.abandon(queue, found.flight, InterruptedError())
        return None
    return found.entry.verdict


# --- how long a verdict lives --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "seconds"),
    [
        (BAD, REFUSAL_SECONDS),
        (UNKNOWN, UNVERIFIABLE_SECONDS),
    ],
    ids=["refusal", "could not tell"],
)
def test_a_refusal_lives_to_its_end_and_not_a_moment_longer(cache, manual_clock, verdict, seconds):
    store(cache, verdict)
    manual_clock.advance(seconds - 0.001)
    assert verdict_in(cache) == verdict
    manual_clock.advance(0.001)
    assert verdict_in(cache) is None


def test_a_pass_is_served_until_the_ttl_ends_and_not_a_moment_longer(cache, manual_clock):
    store(cache)
    manual_clock.advance(TTL - 0.001)
    refresher = lead(cache)
    assert refresher.entry.passes
    assert cache.look_up(QUEUE).entry.passes, "the others go on while one refreshes"
    manual_clock.advance(0.001)
    assert cache.look_up(QUEUE) == Lookup(None, refresher.flight), "at the end they wait"
    assert len(cache) == 0


def test_what_could_not_be_told_lives_shorter_than_a_refusal_and_that_shorter_than_a_pass():
    assert UNVERIFIABLE_SECONDS < REFUSAL_SECONDS < TTL


@pytest.mark.parametrize("verdict", [GOOD, BAD, UNKNOWN])
def test_no_verdict_lives_longer_than_a_short_ttl(manual_clock, verdict):
    cache = VerdictCache(2.0, manual_clock.clock)
    store(cache, verdict)
    manual_clock.advance(2.0)
    assert verdict_in(cache) is None


def test_a_verdict_is_as_old_as_the_question_and_not_as_the_answer(cache, manual_clock):
    flight = lead(cache).flight
    manual_clock.advance(TTL - 1)
    cache.settle(QUEUE, flight, GOOD)
    manual_clock.advance(0.999)
    assert cache.look_up(QUEUE).entry.passes
    manual_clock.advance(0.001)
    assert cache.look_up(QUEUE).entry is None


@pytest.mark.parametrize("verdict", [GOOD, BAD, UNKNOWN])
def test_a_verdict_lives_no_longer_than_its_judge_allows(cache, manual_clock, verdict):
    store(cache, verdict, at_most=3.0)
    manual_clock.advance(2.0)
    assert verdict_in(cache) == verdict
    manual_clock.advance(1.0)
    assert verdict_in(cache) is None


def test_a_verdict_that_may_live_for_no_time_is_answered_and_not_stored(cache):
    entry = cache.settle(QUEUE, lead(cache).flight, GOOD, 0.0)
    assert entry.passes
    assert len(cache) == 0


# --- two clocks ----------------------------------------------------------------------------------------------------


def test_a_verdict_ends_when_the_wall_clock_jumps_past_its_end(cache, manual_clock):
    store(cache)
    manual_clock.wall_seconds += TTL
    assert verdict_in(cache) is None


def test_a_verdict_ends_by_the_wall_clock_while_the_monotonic_clock_is_frozen(cache, manual_clock):
    store(cache)
    manual_clock.wall_seconds += EARLIEST_REFRESH
    assert lead(cache).entry.passes, "the early refresh comes by the wall clock, too"
    manual_clock.wall_seconds += TTL - EARLIEST_REFRESH
    assert cache.look_up(QUEUE).entry is None


def test_a_verdict_ends_by_the_monotonic_clock_while_the_wall_clock_stands_still(cache, manual_clock):
    store(cache)
    manual_clock.seconds += TTL
    assert cache.look_up(QUEUE).entry is None


def test_a_wall_clock_that_is_set_back_does_not_keep_a_verdict_alive(cache, manual_clock):
    store(cache)
    manual_clock.wall_seconds -= 86_400.0
    assert verdict_in(cache) == GOOD
    manual_clock.seconds += TTL
    assert verdict_in(cache) is None


def test_a_wall_clock_that_moves_during_a_look_up_does_not_lengthen_a_life(cache, manual_clock):
    flight = lead(cache).flight
    manual_clock.wall_seconds += 86_400.0
    cache.settle(QUEUE, flight, GOOD)
    assert verdict_in(cache) is None


# --- early refresh -------------------------------------------------------------------------------------------------


def test_one_caller_refreshes_early_and_the_others_are_served_meanwhile(cache, manual_clock):
    store(cache)
    manual_clock.advance(EARLIEST_REFRESH - 0.001)
    assert cache.look_up(QUEUE).flight is None
    manual_clock.advance(0.001)
    refresher = lead(cache)
    others = [cache.look_up(QUEUE) for _ in range(10)]
    assert [(other.entry, other.flight) for other in others] == [(refresher.entry, None)] * 10
    cache.settle(QUEUE, refresher.flight, GOOD)
    manual_clock.advance(EARLIEST_REFRESH - 0.001)
    assert verdict_in(cache) == GOOD, "the new verdict counts from its own look-up"


def test_the_hot_path_sees_that_a_verdict_has_to_be_refreshed(cache, manual_clock):
    store(cache)
    entry = cache.entries[QUEUE]
    assert (entry.passes, entry.fresh, entry.ends) == (
        True,
        manual_clock.seconds + EARLIEST_REFRESH,
        manual_clock.seconds + TTL,
    )
    assert (entry.fresh_wall, entry.ends_wall) == (
        manual_clock.wall_seconds + EARLIEST_REFRESH,
        manual_clock.wall_seconds + TTL,
    )


def test_a_refresh_that_finds_the_queue_bad_replaces_the_pass_at_once(cache, manual_clock):
    store(cache)
    manual_clock.advance(EARLIEST_REFRESH)
    store(cache, BAD)
    assert verdict_in(cache) == BAD


def test_a_refresh_that_saw_something_bad_counts_even_when_it_could_not_tell_all(cache, manual_clock):
    store(cache)
    manual_clock.advance(EARLIEST_REFRESH)
    store(cache, UNKNOWN_BUT_BAD)
    assert verdict_in(cache) == UNKNOWN_BUT_BAD


def test_a_refusal_is_not_refreshed_early(cache, manual_clock):
    store(cache, BAD)
    entry = cache.entries[QUEUE]
    assert (entry.fresh, entry.fresh_wall) == (entry.ends, entry.ends_wall)
    manual_clock.advance(REFUSAL_SECONDS - 0.001)
    assert cache.look_up(QUEUE).flight is None


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_jitter_spreads_the_refresh_and_never_moves_the_end(manual_clock, jitter):
    cache = VerdictCache(TTL, manual_clock.clock, jitter=lambda: jitter)
    store(cache)
    entry = cache.entries[QUEUE]
    life = entry.fresh - manual_clock.seconds
    assert EARLIEST_REFRESH <= life < TTL
    assert life == pytest.approx(EARLIEST_REFRESH + jitter * 0.15 * TTL)
    assert entry.ends == manual_clock.seconds + TTL


def test_queues_that_were_looked_up_together_are_not_refreshed_together(manual_clock):
    cache = VerdictCache(TTL, manual_clock.clock)
    names = [b"%d" % number for number in range(100)]
    for name in names:
        store(cache, queue=name)
    assert len({cache.entries[name].fresh for name in names}) > 90


# --- refreshes that fail -------------------------------------------------------------------------------------------


def test_a_failed_refresh_leaves_the_pass_and_the_next_attempt_is_postponed(cache, manual_clock):
    store(cache)
    manual_clock.advance(EARLIEST_REFRESH)
    kept = cache.settle(QUEUE, lead(cache).flight, UNKNOWN)
    assert kept.passes, "who refreshed is served by what is still good"
    manual_clock.advance(UNVERIFIABLE_SECONDS - 0.001)
    assert verdict_in(cache) == GOOD
    manual_clock.advance(0.001)
    assert lead(cache).entry.passes


@pytest.mark.parametrize("clock", ["seconds", "wall_seconds"])
def test_a_postponed_refresh_comes_when_either_clock_says_so(cache, manual_clock, clock):
    store(cache)
    manual_clock.advance(EARLIEST_REFRESH)
    cache.settle(QUEUE, lead(cache).flight, UNKNOWN)
    setattr(manual_clock, clock, getattr(manual_clock, clock) + UNVERIFIABLE_SECONDS)
    assert lead(cache).entry.passes


def test_a_pass_survives_failed_refreshes_until_its_end_and_not_a_moment_longer(cache, manual_clock):
    store(cache)
    end = manual_clock.seconds + TTL
    manual_clock.advance(EARLIEST_REFRESH)
    attempts = 0
    while manual_clock.seconds + UNVERIFIABLE_SECONDS < end:
        assert cache.settle(QUEUE, lead(cache).flight, UNKNOWN).passes
        attempts += 1
        manual_clock.advance(UNVERIFIABLE_SECONDS)
    assert attempts == 11
    manual_clock.advance(end - 0.001 - manual_clock.seconds)
    assert cache.settle(QUEUE, lead(cache).flight, UNKNOWN).passes
    manual_clock.advance(0.001)
    assert cache.look_up(QUEUE).entry is None


def test_a_postponed_refresh_does_not_outlive_the_end_by_the_wall_clock(cache, manual_clock):
    store(cache)
    manual_clock.wall_seconds += TTL - 1
    cache.settle(QUEUE, lead(cache).flight, UNKNOWN)
    manual_clock.wall_seconds += 1
    assert verdict_in(cache) is None


def test_a_pass_that_ends_while_its_refresh_fails_is_not_served(cache, manual_clock):
    store(cache)
    manual_clock.advance(TTL - 1)
    flight = lead(cache).flight
    manual_clock.advance(1)
    assert not cache.settle(QUEUE, flight, UNKNOWN).passes


def test_a_refusal_that_ended_is_replaced_by_what_could_not_be_told(cache, manual_clock):
    store(cache, BAD)
    manual_clock.advance(REFUSAL_SECONDS)
    store(cache, UNKNOWN)
    assert verdict_in(cache) == UNKNOWN


# --- single flight -------------------------------------------------------------------------------------------------


def test_those_who_come_during_a_flight_wait_for_it(cache):
    leader = lead(cache)
    followers = [cache.look_up(QUEUE) for _ in range(3)]
    assert followers == [Lookup(None, leader.flight)] * 3
    entry = cache.settle(QUEUE, leader.flight, GOOD)
    assert [follower.flight.result(0) for follower in followers] == [entry] * 3


def test_flights_of_different_queues_do_not_wait_for_each_other(cache):
    assert lead(cache, b"one").flight is not lead(cache, b"two").flight


def test_when_the_leader_fails_those_who_wait_get_the_error_and_the_next_caller_leads(cache):
    leader, follower = lead(cache), cache.look_up(QUEUE)
    cache.abandon(QUEUE, leader.flight, KeyboardInterrupt("stopped"))
    assert isinstance(follower.flight.exception(0), KeyboardInterrupt)
    assert lead(cache).flight is not leader.flight


def test_a_refresh_that_is_abandoned_leaves_the_pass_and_the_next_attempt_is_postponed(cache, manual_clock):
    store(cache)
    manual_clock.advance(EARLIEST_REFRESH)
    cache.abandon(QUEUE, lead(cache).flight, InterruptedError())
    assert cache.look_up(QUEUE).entry.passes
    manual_clock.advance(UNVERIFIABLE_SECONDS)
    assert lead(cache).entry.passes
    manual_clock.advance(TTL - EARLIEST_REFRESH - UNVERIFIABLE_SECONDS)
    assert cache.look_up(QUEUE).entry is None, "and its end stays where it was"


def test_an_abandoned_look_up_of_a_queue_that_was_dropped_brings_nothing_back(cache, manual_clock):
    store(cache)
    manual_clock.advance(EARLIEST_REFRESH)
    flight = lead(cache).flight
    cache.drop(QUEUE)
    assert cache.abandon(QUEUE, flight, InterruptedError()) is None
    assert len(cache) == 0


def test_many_threads_on_a_cold_queue_make_one_flight(cache):
    found: list[Lookup] = []
    threads = [Thread(target=lambda: found.append(cache.look_up(QUEUE))) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.leads for each in found) == 1
    assert len({id(each.flight) for each in found}) == 1


# --- two places at once ------------------------------------------------------------------------------------------

LOOP = "an event loop"
"""Another place: its look-ups are not waited for by threads, nor the other way round."""


def two_looks(cache: VerdictCache, clock: ManualClock) -> tuple[Flight, Flight]:
    """A look-up by a thread and one that a loop began a second later, both under way."""
    older = lead(cache).flight
    clock.advance(1.0)
    younger = cache.look_up(QUEUE, LOOP)
    assert younger.leads
    return older, younger.flight


def test_in_each_place_those_who_come_later_wait_for_the_first(cache, manual_clock):
    older, younger = two_looks(cache, manual_clock)
    assert cache.look_up(QUEUE) == Lookup(None, older)
    assert cache.look_up(QUEUE, LOOP) == Lookup(None, younger)


@pytest.mark.parametrize(
    ("first", "later"),
    [(BAD, GOOD), (GOOD, BAD), (GOOD, GOOD), (GOOD, UNKNOWN), (UNKNOWN_BUT_BAD, GOOD), (UNKNOWN, UNKNOWN)],
)
def test_an_answer_does_not_replace_that_of_a_question_which_was_asked_later(cache, manual_clock, first, later):
    older, younger = two_looks(cache, manual_clock)
    known = cache.settle(QUEUE, younger, first)
    before = (known.fresh, known.ends, known.fresh_wall, known.ends_wall)
    manual_clock.advance(1.0)
    assert cache.settle(QUEUE, older, later) is known, "and those who wait for it get the younger one"
    assert older.result(0) is known
    assert cache.entries[QUEUE] is known
    assert (known.fresh, known.ends, known.fresh_wall, known.ends_wall) == before


def test_of_two_questions_that_were_asked_in_the_same_moment_the_later_answer_stands(cache):
    one, other = lead(cache).flight, cache.look_up(QUEUE, LOOP).flight
    cache.settle(QUEUE, other, BAD)
    cache.settle(QUEUE, one, GOOD)
    assert verdict_in(cache) == GOOD


def test_a_look_up_that_is_abandoned_does_not_bring_the_next_refresh_forward(cache, manual_clock):
    older, younger = two_looks(cache, manual_clock)
    cache.settle(QUEUE, younger, GOOD)
    cache.abandon(QUEUE, older, InterruptedError())
    manual_clock.advance(EARLIEST_REFRESH - 0.001)
    assert verdict_in(cache) == GOOD


def test_an_answer_stands_when_the_question_that_was_asked_later_came_to_nothing(cache, manual_clock):
    older, younger = two_looks(cache, manual_clock)
    cache.settle(QUEUE, younger, UNKNOWN)
    cache.settle(QUEUE, older, GOOD)
    assert verdict_in(cache) == GOOD


@pytest.mark.parametrize("postpone", ["settle", "abandon"])
def test_a_postponed_refresh_does_not_make_a_verdict_look_younger(cache, manual_clock, postpone):
    store(cache)
    manual_clock.advance(EARLIEST_REFRESH)
    older, younger = two_looks(cache, manual_clock)
    if postpone == "settle":
        cache.settle(QUEUE, younger, UNKNOWN)
    else:
        cache.abandon(QUEUE, younger, InterruptedError())
    cache.settle(QUEUE, older, BAD)
    assert verdict_in(cache) == BAD


# --- what makes a verdict go ---------------------------------------------------------------------------------------


def test_a_dropped_verdict_is_gone_and_other_queues_stay(cache):
    store(cache)
    store(cache, queue=b"other")
    cache.drop(QUEUE)
    assert QUEUE not in cache.entries
    assert verdict_in(cache, b"other") == GOOD


@pytest.mark.parametrize("way", ["drop", "drop_namesakes", "replace"])
def test_whoever_holds_a_verdict_that_has_gone_finds_no_time_left_in_it(cache, manual_clock, way):
    store(cache)
    held = cache.entries[QUEUE]
    manual_clock.advance(EARLIEST_REFRESH)
    if way == "replace":
        store(cache, BAD)
    else:
        getattr(cache, way)(QUEUE)
    assert held.fresh == held.fresh_wall == held.ends == held.ends_wall == -math.inf


NAMESAKES = (
    b"https://queue.amazonaws.com/123456789012/orders",
    b"https://localhost:4566/000000000000/123456789012/orders/",
)
STRANGERS = (
    b"https://queue.amazonaws.com/210987654321/orders",
    b"https://queue.amazonaws.com/123456789012/invoices",
    b"https://queue.amazonaws.com/123456789012/ordersX",
)


@pytest.mark.parametrize("named", [QUEUE, *NAMESAKES])
def test_a_queue_is_dropped_under_every_url_and_no_other_queue_is(cache, named):
    for each in (QUEUE, *NAMESAKES, *STRANGERS):
        store(cache, queue=each)
    cache.drop_namesakes(named)
    assert set(cache.entries) == set(STRANGERS)


@pytest.mark.parametrize("postponed", [False, True])
def test_with_a_dead_letter_queue_those_are_dropped_whose_dead_letters_it_takes(cache, manual_clock, postponed):
    for queue, dead_letter in ((QUEUE, NAMESAKES[0] + b"-dead"), (b"other", STRANGERS[1]), (b"none", b"")):
        cache.settle(queue, lead(cache, queue).flight, GOOD, dead_letter=dead_letter)
    if postponed:
        manual_clock.advance(EARLIEST_REFRESH)
        cache.settle(QUEUE, lead(cache).flight, UNKNOWN)
    cache.drop_namesakes(QUEUE + b"-dead")
    assert set(cache.entries) == {b"other", b"none"}


def test_what_is_being_fetched_about_a_queue_under_another_url_is_not_stored(cache):
    flights = {each: lead(cache, each).flight for each in (*NAMESAKES, *STRANGERS)}
    cache.drop_namesakes(QUEUE)
    for each, flight in flights.items():
        cache.settle(each, flight, GOOD)
    assert set(cache.entries) == set(STRANGERS)


def test_a_queue_is_dropped_from_every_cache_of_the_process(cache, manual_clock):
    other = VerdictCache(TTL, manual_clock.clock)
    for each in (cache, other):
        store(each)
        store(each, queue=STRANGERS[0])
    drop_everywhere(NAMESAKES[0])
    assert set(cache.entries) == set(other.entries) == {STRANGERS[0]}


def test_dropping_an_unknown_queue_is_fine(cache):
    cache.drop(b"never seen")


def test_a_flight_that_is_dropped_under_way_is_answered_and_not_stored(cache):
    leader, follower = lead(cache), cache.look_up(QUEUE)
    cache.drop(QUEUE)
    cache.settle(QUEUE, leader.flight, GOOD)
    assert follower.flight.result(0).passes
    assert len(cache) == 0


def test_a_look_up_that_began_before_a_drop_does_not_end_the_one_that_began_after(cache):
    before = lead(cache).flight
    cache.drop(QUEUE)
    after = lead(cache).flight
    cache.settle(QUEUE, before, GOOD)
    assert cache.look_up(QUEUE).flight is after, "the first answer is older than the drop"
    cache.settle(QUEUE, after, BAD)
    assert verdict_in(cache) == BAD


def test_an_abandoned_look_up_from_before_a_drop_does_not_end_the_one_from_after(cache):
    before = lead(cache).flight
    cache.drop(QUEUE)
    after = lead(cache).flight
    cache.abandon(QUEUE, before, InterruptedError())
    assert cache.look_up(QUEUE).flight is after


def test_a_cleared_cache_is_empty_and_works(cache):
    store(cache)
    flight = lead(cache, b"under way").flight
    entries = cache.entries
    cache.clear()
    assert cache.entries is entries, "the hot path holds on to it"
    assert len(cache) == 0
    assert lead(cache, b"under way").flight is not flight


def test_clearing_does_not_wait_for_a_lock_that_nobody_will_release(cache):
    cache._lock.acquire()
    cache.clear()
    store(cache)
    assert verdict_in(cache) == GOOD


# --- memory --------------------------------------------------------------------------------------------------------


def test_the_cache_is_bounded_and_the_oldest_queue_goes_first(manual_clock):
    cache = VerdictCache(TTL, manual_clock.clock, max_queues=3)
    for number in range(10):
        store(cache, queue=b"%d" % number)
        assert len(cache) <= 3
    assert list(cache.entries) == [b"7", b"8", b"9"]


def test_a_full_cache_refreshes_a_queue_without_losing_another(manual_clock):
    cache = VerdictCache(TTL, manual_clock.clock, max_queues=2, jitter=lambda: 0.0)
    store(cache, queue=b"one")
    store(cache, queue=b"two")
    manual_clock.advance(EARLIEST_REFRESH)
    store(cache, queue=b"one")
    assert set(cache.entries) == {b"one", b"two"}


def test_no_flight_is_kept_after_its_end(cache):
    store(cache)
    cache.abandon(b"failed", lead(cache, b"failed").flight, InterruptedError())
    lead(cache, b"dropped")
    cache.drop(b"dropped")
    assert cache._flights == {}


# --- the shared caches of a process --------------------------------------------------------------------------------


def test_one_scope_has_one_cache_and_another_scope_another(manual_clock):
    one = shared_cache("scope", TTL, manual_clock.clock)
    assert shared_cache("scope", TTL, manual_clock.clock) is one
    assert shared_cache("other", TTL, manual_clock.clock) is not one
    assert shared_cache("scope", TTL, ManualClock().clock) is not one
    assert one in all_caches()


def test_a_shared_cache_goes_by_the_ttl_and_the_clock_it_was_asked_for_with(manual_clock):
    shared = shared_cache("by this clock", TTL, manual_clock.clock)
    assert shared.hits == 0
    store(shared)
    assert shared.entries[QUEUE].ends == manual_clock.seconds + TTL


def test_a_child_process_begins_with_empty_caches_and_with_locks_that_nobody_holds(cache, manual_clock):
    shared = shared_cache("forked", TTL, manual_clock.clock)
    store(shared)
    shared._lock.acquire()
    cache_module._shared_lock.acquire()  # as a thread may that does not come along
    cache_module._start_anew()
    found = shared_cache("forked", TTL, manual_clock.clock)
    assert found is shared
    assert len(found) == 0
    assert lead(found)


def test_clocks_of_the_machine_are_one_clock():
    assert shared_cache("machine", TTL, Clock()) is shared_cache("machine", TTL, Clock())


def test_a_shared_cache_goes_with_the_last_who_holds_it(manual_clock):
    first = shared_cache("short-lived", TTL, manual_clock.clock)
    store(first)
    del first
    assert len(shared_cache("short-lived", TTL, manual_clock.clock)) == 0
