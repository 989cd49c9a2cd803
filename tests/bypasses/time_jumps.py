"""Clocks that are set, stand still, or go on while a machine sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone

from support import UNENCRYPTED, ManualClock

from bypasses.stage import Stage
from bypasses.ways import Face, Family
from safe_sqs import GuardError

FAMILY = Family("time jumps")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope
way_with_clock = FAMILY.way_where(only=Face.GUARD)

TTL = 300


def spoilt_while(pass_time: Callable[[ManualClock], None]) -> Callable[[Stage], None]:
    """A queue that is judged, spoilt by somebody else, and used when time has passed in a strange way."""

    def attempt(stage: Stage) -> None:
        clock = ManualClock()
        client = stage.client(clock=clock.clock)
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")
        stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)
        pass_time(clock)
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    return attempt


def set_back(clock: ManualClock) -> None:
    """The wall clock is set back by an hour while the verdict comes to its end."""
    clock.advance(TTL)
    clock.wall_seconds -= 3600


def set_back_by_years(clock: ManualClock) -> None:
    """The wall clock falls back to 1970 while the verdict comes to its end."""
    clock.advance(TTL)
    clock.wall_seconds = 0.0


def frozen(clock: ManualClock) -> None:
    """The machine sleeps: the monotonic clock stands still, and the wall clock goes on."""
    clock.wall_seconds += TTL


def set_forward_and_back(clock: ManualClock) -> None:
    """The wall clock is set forward and back again, while the verdict comes to its end."""
    clock.wall_seconds += 7200
    clock.advance(TTL)
    clock.wall_seconds -= 7200 + TTL


def to_the_very_end(clock: ManualClock) -> None:
    """Exactly the time to live passes."""
    clock.advance(TTL)


def in_small_steps(clock: ManualClock) -> None:
    """The wall clock is slewed: it loses most of every second, for as long as a verdict lives."""
    for _ in range(TTL):
        clock.advance(1)
        clock.wall_seconds -= 0.9


for _pass in (set_back, set_back_by_years, frozen, set_forward_and_back, to_the_very_end, in_small_steps):
    FAMILY.add(_pass.__name__, f"{_pass.__doc__}", spoilt_while(_pass), only=Face.GUARD)


@way
def clock_patched_by_a_test(stage: Stage) -> None:
    """The functions of the module `time` stand still, patched by a test, while a short time to live passes."""
    client = stage.client(ttl_seconds=1)
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)
    now, wall = time.monotonic(), time.time()
    stage.patch.setattr(time, "monotonic", lambda: now)
    stage.patch.setattr(time, "time", lambda: wall)
    time.sleep(1.1)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way_with_clock
def exemption_that_ends_while_it_is_used(stage: Stage) -> None:
    """An exemption whose last day ends at midnight, long before the verdict that it made."""
    clock = ManualClock()
    clock.wall_seconds = datetime.combine(
        datetime.now(timezone.utc).date(), datetime.max.time(), timezone.utc
    ).timestamp()
    today = datetime.fromtimestamp(clock.wall_seconds, timezone.utc).date()
    url = stage.queue("plain", **UNENCRYPTED)
    exemption = {"queue": stage.arn(url), "rule": "queue-encryption", "reason": "a test", "until": today}
    client = stage.client(clock=clock.clock, exemptions=[exemption])
    client.send_message(QueueUrl=url, MessageBody="harmless")
    clock.advance(1)
    client.send_message(QueueUrl=url, MessageBody=stage.secret)


@way_with_clock
def refusal_that_lives_on(stage: Stage) -> None:
    """A queue that was mended and spoilt again, while a first refusal comes to its end."""
    clock = ManualClock()
    client = stage.client(clock=clock.clock)
    url = stage.queue("plain", **UNENCRYPTED)
    for attributes in ({"SqsManagedSseEnabled": "true"}, UNENCRYPTED):
        with suppress(GuardError):
            client.send_message(QueueUrl=url, MessageBody="harmless")
        stage.raw.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        clock.advance(TTL)
    client.send_message(QueueUrl=url, MessageBody=stage.secret)


@out_of_scope("An exemption's end is read from the clock of the machine", only=Face.GUARD)
def exemption_revived_by_the_clock(stage: Stage) -> None:
    """An exemption that has ended, on a machine whose clock was set back."""
    clock = ManualClock()
    today = datetime.now(timezone.utc)
    clock.wall_seconds = today.timestamp() - 10 * 86_400
    stage.patch.setattr(time, "time", lambda: clock.wall_seconds)
    ended = datetime.fromtimestamp(today.timestamp() - 5 * 86_400, timezone.utc).date()
    url = stage.queue("plain", **UNENCRYPTED)
    exemption = {"queue": stage.arn(url), "rule": "queue-encryption", "reason": "a test", "until": ended}
    client = stage.client(clock=clock.clock, exemptions=[exemption])
    client.send_message(QueueUrl=url, MessageBody=stage.secret)
