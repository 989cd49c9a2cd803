"""What must hold of a guard under load, held against what the service saw: which queue was how and when, who looked at
it, and which message arrived.

Times are those of the machine's monotonic clock, which all its processes share. A request carries two of its own: when
the guard began to judge it (`checked`), and, for a look, when the call began for which the guard looks (`outer`). A
flight begins between the two, so every bound below is exact and has no allowance for a busy machine, but the one on the
way from the check to the service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from safe_sqs.cache import REFUSAL_SECONDS, UNVERIFIABLE_SECONDS

__all__ = ["Breach", "Look", "Referee", "State", "Verdict"]

FRESH_SHARE = 0.8
"""From which share of its life on a good verdict may be refreshed at the earliest."""
_SLEW = 0.999
"""A verdict ends by the wall clock too, which may be slewed by half a thousandth against the monotonic one."""
MOST_SHOWN = 10
_SETTLED_KEPT = 8
KEPT_SECONDS = 1_800.0
"""How long the history of a queue is kept at the least."""


class Verdict(Enum):
    """What a look at a queue has to come to."""

    PASSES = "passes"
    REFUSES = "refuses"
    UNTOLD = "cannot be told"


class State(Enum):
    """How a queue is."""

    GOOD = "good"
    UNENCRYPTED = "unencrypted"
    PUBLIC = "public"
    PLAIN_HTTP = "open to plain HTTP"
    KEY_DISABLED = "its KMS key is disabled"
    DENIED = "GetQueueAttributes is denied"
    THROTTLED = "GetQueueAttributes is throttled"
    DELETED = "deleted"

    @property
    def verdict(self) -> Verdict:
        """What follows from it. Whether a key is disabled stands in no attribute: the service refuses the message."""
        return _VERDICTS.get(self, Verdict.REFUSES)


_VERDICTS = {
    State.GOOD: Verdict.PASSES,
    State.KEY_DISABLED: Verdict.PASSES,
    State.DENIED: Verdict.UNTOLD,
    State.THROTTLED: Verdict.UNTOLD,
    State.DELETED: Verdict.UNTOLD,
}


class Breach(Enum):
    """What must not be."""

    STALE = "a message went out on a look that was older than the TTL"
    LATE = "a message went to a bad queue later than the TTL after it had turned"
    SLOW = "a message arrived at a bad queue later than the TTL and the bound for its way"
    KNOWN = "a message went to a queue of which the process knew that it is bad"
    GOOD_REFUSED = "a good queue was refused"
    LOOKED_AGAIN = "a process looked at a queue again within the life of its verdict"


class Look(NamedTuple):
    """One GetQueueAttributes: when the call began for which it was made, when it left, and what it was told."""

    outer: float
    left: float
    verdict: Verdict


class _Pardon:
    """A verdict that was dropped for a reason, so that each side may look once more: the service denied a message, or
    whoever was looking was cancelled."""

    __slots__ = ("at", "used")

    def __init__(self, at: float) -> None:
        self.at = at
        self.used: set[str] = set()


class _Known:
    """What a process did about a queue."""

    __slots__ = ("bad_from", "bad_to", "covered_until", "good", "last_checked", "looks", "pardons", "settled")

    def __init__(self) -> None:
        self.looks: dict[str, list[Look]] = {}
        self.good: dict[str, Look] = {}
        self.settled: dict[float, tuple[float, Verdict]] = {}
        self.last_checked = self.covered_until = float("-inf")
        self.bad_from, self.bad_to = float("inf"), float("-inf")
        self.pardons: list[_Pardon] = []

    @property
    def good_left(self) -> float:
        """When the last look left that found the queue good."""
        return max((look.left for look in self.good.values()), default=float("-inf"))


class _Suspect(NamedTuple):
    """What looks like a breach, unless something is reported still that explains it."""

    breach: Breach
    at: float
    process: int
    queue: str
    side: str
    look: float
    text: str


class Referee:
    """Judges a run while it is under way, in memory that does not grow with its length."""

    def __init__(self, ttl_seconds: float, way_seconds: float) -> None:
        self.breaches: Counter[Breach] = Counter()
        self.examples: list[str] = []
        self.messages = self.looks = self.refusals = self.changes = self.least_looks = self.pardoned = 0
        self.latest_check = self.latest_arrival = self.longest_way = 0.0
        self._ttl = ttl_seconds
        self._way = way_seconds
        self._lives = {
            Verdict.PASSES: ttl_seconds,
            Verdict.REFUSES: min(ttl_seconds, REFUSAL_SECONDS),
            Verdict.UNTOLD: min(ttl_seconds, UNVERIFIABLE_SECONDS),
        }
        self._history: dict[str, list[tuple[float, State]]] = defaultdict(list)
        self._known: dict[int, dict[str, _Known]] = defaultdict(lambda: defaultdict(_Known))
        self._suspects: list[_Suspect] = []

    # --- what happens ----------------------------------------------------------------------------------------------

    def state(self, queue: str) -> State:
        """How a queue is now."""
        return self._history[queue][-1][1]

    def changed(self, queue: str, state: State, now: float) -> None:
        """A queue is like this from now on."""
        history = self._history[queue]
        self.changes += bool(history)
        history.append((now, state))
        while len(history) > 2 and history[1][0] < now - KEPT_SECONDS:
            del history[0]

    def looked(self, process: int, side: str, queue: str, outer: float, left: float) -> State:
        """A look arrives. `side` is among whom flights are shared: the threads, or the tasks of a loop."""
        self.looks += 1
        state = self.state(queue)
        known = self._known[process][queue]
        look = Look(outer, left, state.verdict)
        earliest = self._next_look(known, side)
        if left < earliest:
            text = f"({side}), {earliest - left:.3f} s too early"
            self._suspects.append(_Suspect(Breach.LOOKED_AGAIN, left, process, queue, side, left, text))
        known.looks[side] = sorted([*known.looks.get(side, ()), look], key=lambda each: each.outer)[-2:]
        if look.verdict is Verdict.PASSES:
            known.good[side] = max(look, known.good.get(side, look), key=lambda each: each.left)
            known.bad_from = float("inf")
        return state

    def settled(self, process: int, queue: str, left: float, now: float) -> None:
        """A process has stored the verdict of the look that left then."""
        known = self._known[process][queue]
        look = next((look for looks in known.looks.values() for look in looks if look.left == left), None)
        if look is None:  # so many others came after it that it does not matter
            return
        known.settled[left] = (now, look.verdict)
        while len(known.settled) > _SETTLED_KEPT:
            del known.settled[next(iter(known.settled))]
        if look.verdict is not Verdict.REFUSES or known.good_left >= look.outer:  # it may have been seen good after
            return
        known.bad_from, known.bad_to = now, look.outer + self._lives[Verdict.REFUSES]
        self._check_known_bad(process, queue, known)

    def arrived(self, process: int, queue: str, checked: float, now: float) -> State:
        """A message, or a request for messages, arrives."""
        self.messages += 1
        known = self._known[process][queue]
        since, state = self._history[queue][-1]
        self.longest_way = max(self.longest_way, now - checked)
        known.last_checked = checked
        if checked >= known.good_left + self._ttl:
            self._suspect(Breach.STALE, process, queue, checked, f"{checked - known.good_left:.3f} s after it")
        self._check_known_bad(process, queue, known)
        if state.verdict is not Verdict.PASSES:
            self.latest_check = max(self.latest_check, checked - since)
            self.latest_arrival = max(self.latest_arrival, now - since)
            text = f"({state.value}), checked {checked - since:.3f} s after, arrived {now - since:.3f} s after"
            if checked - since >= self._ttl:
                self._suspect(Breach.LATE, process, queue, checked, text)
            elif now - since >= self._ttl + self._way:
                self._breach(Breach.SLOW, process, queue, text)
        self._cover(known, checked, Verdict.PASSES)
        return state

    def refused(self, process: int, queue: str, began: float, ended: float, *, untold: bool) -> None:
        """A call was refused, for what was found, or because it could not be told."""
        self.refusals += 1
        verdict = Verdict.UNTOLD if untold else Verdict.REFUSES
        if verdict not in set(self._verdicts(queue, began - self._lives[verdict], ended)):
            text = f"({self.state(queue).value}), {verdict.value}"
            self._suspects.append(_Suspect(Breach.GOOD_REFUSED, began, process, queue, verdict.name, 0.0, text))
        self._cover(self._known[process][queue], ended, verdict)

    def dropped(self, process: int, queue: str, at: float) -> None:
        """What a process knows of a queue is dropped, or was, for a reason that the guard has to follow."""
        pardons = self._known[process][queue].pardons
        pardons.append(_Pardon(at))
        while pardons[0].at < at - self._pardoned_for:
            del pardons[0]

    def ended(self, process: int) -> None:
        """A process is gone."""
        self.settle(float("inf"), process)
        self._known.pop(process, None)

    def settle(self, now: float, process: int | None = None) -> None:
        """Judge the looks that came early, once all that would pardon them has been reported."""
        waiting = []
        for suspect in self._suspects:
            if process not in (None, suspect.process) or suspect.at > now - self._ttl:
                waiting.append(suspect)
            elif not self._is_explained(suspect):
                self._breach(suspect.breach, suspect.process, suspect.queue, suspect.text)
        self._suspects = waiting

    # --- what follows ----------------------------------------------------------------------------------------------

    @property
    def _pardoned_for(self) -> float:
        return 2 * self._ttl + 2 * self._way

    def _next_look(self, known: _Known, side: str) -> float:
        """When the same side may look again at the earliest: when the verdict ends, or is due for a refresh, that is
        in the cache by then. That is the one of its own last look, or a younger one of the other side. After a look
        that came to nothing it may be an older one too."""
        own = known.looks.get(side)
        if not own:
            return float("-inf")
        last = own[-1]
        others = [look for other, looks in known.looks.items() if other != side for look in looks]
        dues = [self._due(look) for look in (last, *(look for look in others if look.left > last.outer))]
        if last.verdict is Verdict.UNTOLD:
            told = (*(look for look in others if look.verdict is not Verdict.UNTOLD), *known.good.values())
            ends = (end for look in told for end in (self._due(look), look.outer + self._lives[look.verdict]))
            dues += [end for end in ends if end > last.outer]
        return min(dues)

    def _due(self, look: Look) -> float:
        share = FRESH_SHARE if look.verdict is Verdict.PASSES else 1.0
        return look.outer + share * self._lives[look.verdict] * _SLEW

    def _check_known_bad(self, process: int, queue: str, known: _Known) -> None:
        if known.bad_from < known.last_checked < known.bad_to:
            self._breach(Breach.KNOWN, process, queue, f"{known.last_checked - known.bad_from:.3f} s after")

    def _suspect(self, breach: Breach, process: int, queue: str, checked: float, text: str) -> None:
        look = self._known[process][queue].good_left
        self._suspects.append(_Suspect(breach, checked, process, queue, "", look, text))

    def _verdicts(self, queue: str, begin: float, end: float) -> Iterator[Verdict]:
        """What was true of a queue within a time."""
        until = float("inf")
        for since, state in reversed(self._history[queue]):
            if since <= end and until > begin:
                yield state.verdict
            until = since

    def _cover(self, known: _Known, at: float, verdict: Verdict) -> None:
        """Count the looks without which it could not be done: one at the first use, whose verdict serves all until its
        end."""
        if at > known.covered_until:
            self.least_looks += 1
            known.covered_until = at + self._lives[verdict]

    def _is_explained(self, suspect: _Suspect) -> bool:
        known = self._known[suspect.process][suspect.queue]
        if suspect.breach is Breach.GOOD_REFUSED:  # by a look that was under way still when the call began
            return any(at > suspect.at and verdict.name == suspect.side for at, verdict in known.settled.values())
        if suspect.breach is not Breach.LOOKED_AGAIN:
            # A look was under way still when the guard began to judge, of this side or the other: it took longer than
            # the TTL, and served those who waited for it.
            return any(
                left <= suspect.look and at > suspect.at and verdict is Verdict.PASSES
                for left, (at, verdict) in known.settled.items()
            )
        for pardon in known.pardons:
            if suspect.side not in pardon.used and abs(suspect.at - pardon.at) < self._pardoned_for:
                pardon.used.add(suspect.side)
                self.pardoned += 1
                return True
        return False

    def _breach(self, breach: Breach, process: int, queue: str, text: str) -> None:
        self.breaches[breach] += 1
        if len(self.examples) < MOST_SHOWN:
            self.examples.append(f"{breach.value}: {queue} by process {process} {text}")
