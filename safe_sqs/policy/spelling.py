"""Spelling a text that fits some wildcard patterns and not others: a walk through the product of their automata.

What an outsider may spell is a row of slices (an account id, a name), each with its letters. A condition key sees some
of the slices, with fixed text between them: `aws:PrincipalArn` and `aws:PrincipalAccount` see the same account. All
patterns on all those keys are followed at once, letter by letter, so that the answer is exact: a spelling, or the proof
that there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from safe_sqs.policy.texts import COLON, Pattern, automaton

__all__ = ["Budget", "Demand", "Slice", "TooCostlyError", "View", "read_view", "spell", "spell_plainly"]


class TooCostlyError(Exception):
    """The budget of a question is used up."""


class Budget:
    """How many steps a question may take. A step is about a microsecond, so that no clock has to be read."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Raises TooCostlyError when there are not so many steps left."""
        self.left -= steps
        if self.left < 0:
            raise TooCostlyError


class Slice(NamedTuple):
    """A piece of text that can be chosen: its letters in the order of preference, and its length."""

    name: str
    letters: str
    at_least: int = 1
    at_most: int | None = None


View = tuple[str | Slice, ...]
"""What a condition key sees: fixed text, and slices in their order."""


class Demand(NamedTuple):
    """What is asked of a view: to fit one of the patterns, or, where `wanted` is false, to fit none of them."""

    view: View
    patterns: tuple[Pattern, ...]
    wanted: bool
    without_case: bool = False


def read_view(view: View, spelling: Mapping[Slice, str]) -> str:
    """The text that a view shows."""
    return "".join(part if isinstance(part, str) else spelling[part] for part in view)


def spell_plainly(slices: Iterable[Slice], taken: Mapping[str, frozenset[str]]) -> dict[Slice, str] | None:
    """A text for each slice, of one letter only, or None when all of those are taken."""
    spelling = {}
    for piece in slices:
        texts = (letter * piece.at_least for letter in piece.letters)
        text = next((text for text in texts if text not in taken.get(piece.name, ())), None)
        if text is None:
            return None
        spelling[piece] = text
    return spelling


def spell(
    slices: Sequence[Slice],
    demands: Iterable[Demand],
    taken: Mapping[str, frozenset[str]],
    budget: Budget,
) -> dict[Slice, str] | None:
    """A text for each slice, so that every demand is met, or None when there is none.

    `taken` has, by the names of slices, the texts that are not to be chosen. Raises TooCostlyError.
    """
    demands = tuple(demands)
    budget.spend(1 + sum(len(demand.patterns) for demand in demands))
    demands = tuple(demand if demand.without_case else _possible(demand, taken) for demand in demands)
    if any(demand.wanted and not demand.patterns for demand in demands):
        return None
    for demand in demands:
        if demand.wanted and not demand.without_case and all(pattern.fixed is not None for pattern in demand.patterns):
            return _read_off(slices, demand, demands, taken, budget)
    return _Walk(tuple(slices), demands, taken, budget).first()


def _possible(demand: Demand, taken: Mapping[str, frozenset[str]]) -> Demand:
    """The demand without the patterns of which the beginning alone says that the view never shows them."""
    possible = tuple(pattern for pattern in demand.patterns if _may_show(demand.view, pattern.beginning, taken))
    return demand if len(possible) == len(demand.patterns) else demand._replace(patterns=possible)


def _may_show(view: View, beginning: str, taken: Mapping[str, frozenset[str]]) -> bool:
    at = 0
    for index, part in enumerate(view):
        if isinstance(part, str):
            if not part.startswith(beginning[at : at + len(part)]):
                return False
            at += len(part)
        else:
            start = at
            while at < len(beginning) and beginning[at] in part.letters and at - start != part.at_most:
                at += 1
            after = view[index + 1] if index + 1 < len(view) else None
            if at >= len(beginning) or (isinstance(after, str) and after[0] in part.letters):
                return True
            if at - start < part.at_least or beginning[start:at] in taken.get(part.name, ()):
                return False
        if at >= len(beginning):
            return True
    return False


def _read_off(
    slices: Sequence[Slice],
    fixed: Demand,
    demands: Sequence[Demand],
    taken: Mapping[str, frozenset[str]],
    budget: Budget,
) -> dict[Slice, str] | None:
    """The spelling where a demand names whole texts: the slices are read off them, one text after the other."""
    for pattern in fixed.patterns:
        budget.spend(2 + len(demands))
        read = _reader(fixed.view).fullmatch(pattern.fixed or "")
        if read is None:
            continue
        spelling = dict(zip(_slices_in(fixed.view), read.groups(), strict=True))
        if any(text in taken.get(piece.name, ()) for piece, text in spelling.items()):
            continue
        narrowed = [demand._replace(view=tuple(_pinned(demand.view, spelling))) for demand in demands]
        if not all(_is_met(demand) for demand in narrowed if not _slices_in(demand.view)):
            continue
        rest = [piece for piece in slices if piece not in spelling]
        others = [demand for demand in narrowed if _slices_in(demand.view)]
        more = spell(rest, others, taken, budget) if others else spell_plainly(rest, taken)
        if more is not None:
            return spelling | more
    return None


def _slices_in(view: View) -> list[Slice]:
    return [part for part in view if isinstance(part, Slice)]


def _pinned(view: View, spelling: Mapping[Slice, str]) -> Iterator[str | Slice]:
    for part in view:
        yield spelling.get(part, part) if isinstance(part, Slice) else part


def _is_met(demand: Demand) -> bool:
    text = read_view(demand.view, {})
    text = text.lower() if demand.without_case else text
    return any(pattern.fits(text) for pattern in demand.patterns) is demand.wanted


@lru_cache(maxsize=256)
def _reader(view: View) -> re.Pattern[str]:
    """A regular expression for what a view can show, with a group for each slice."""
    return re.compile(
        "".join(
            re.escape(part)
            if isinstance(part, str)
            else f"([{re.escape(part.letters)}]{{{part.at_least},{'' if part.at_most is None else part.at_most}}})"
            for part in view
        )
    )


class _State(NamedTuple):
    """Where the walk is: in which slice, after how many letters of it, which of the taken texts it may yet become
    (by what is written so far, or None), and the positions of every run."""

    slice: int
    length: int
    toward: str | None
    alive: tuple[int, ...]


_Written = tuple[Any, str] | None
"""The letters so far, the last one first; an empty one ends a slice."""


class _Walk:
    def __init__(
        self,
        slices: tuple[Slice, ...],
        demands: tuple[Demand, ...],
        taken: Mapping[str, frozenset[str]],
        budget: Budget,
    ) -> None:
        self._slices = slices
        self._demands = demands
        following = [(at, pattern) for at, demand in enumerate(demands) for pattern in demand.patterns]
        views = [demands[at].view for at, _ in following]
        self._runs = [automaton(pattern, demands[at].without_case) for at, pattern in following]
        self._taken = [taken.get(piece.name, frozenset()) for piece in slices]
        self._budget = budget
        self._seen: set[_State] = set()
        self._seeing = [[run for run, view in enumerate(views) if piece in view] for piece in slices]
        """For each slice, the runs that see it."""
        self._before, self._after = _fixed_texts(slices, views)
        self._of = [[run for run, (at, _) in enumerate(following) if at == place] for place in range(len(demands))]
        """For each demand, the runs of its patterns."""
        self._wanted = [self._of[at] for at, demand in enumerate(demands) if demand.wanted]

    def first(self) -> dict[Slice, str] | None:
        """The first spelling that the walk comes to; it goes for short ones and for letters that come early."""
        start = self._enter(0, tuple(run.start for run in self._runs))
        pending: list[tuple[_State, _Written]] = [(start, None)]
        while pending:
            state, written = pending.pop()
            if state in self._seen or self._is_lost(state):
                continue
            self._seen.add(state)
            if state.slice == len(self._slices):
                if self._is_met(state.alive):
                    return self._collected(written)
                continue
            pending.extend(reversed(list(self._next(state, written))))
        return None

    def _next(self, state: _State, written: _Written) -> Iterator[tuple[_State, _Written]]:
        piece = self._slices[state.slice]
        taken = self._taken[state.slice]
        if state.length >= piece.at_least and (state.toward is None or state.toward not in taken):
            yield self._enter(state.slice + 1, state.alive), (written, "")
        if piece.at_most is not None and state.length >= piece.at_most:
            return
        cap = piece.at_least if piece.at_most is None else piece.at_most
        for letter in self._choices(state):
            alive = self._step(state.slice, state.alive, letter)
            toward = None if state.toward is None else _toward(state.toward + letter, taken)
            yield _State(state.slice, min(state.length + 1, cap), toward, alive), (written, letter)

    def _enter(self, index: int, alive: tuple[int, ...]) -> _State:
        """Go on to a slice, or to the end: what is fixed before it is read by those that see it."""
        texts = self._after if index == len(self._slices) else self._before[index]
        moved = list(alive)
        for position, text in texts:
            run = self._runs[position]
            for letter in text:
                moved[position] = run.step(moved[position], letter)
            self._budget.spend(1 + len(text) // 4)
        toward = "" if index < len(self._slices) and self._taken[index] else None
        return _State(index, 0, toward, tuple(moved))

    def _step(self, index: int, alive: tuple[int, ...], letter: str) -> tuple[int, ...]:
        self._budget.spend(1 + len(self._seeing[index]))
        moved = list(alive)
        for position in self._seeing[index]:
            moved[position] = self._runs[position].step(moved[position], letter)
        return tuple(moved)

    def _is_lost(self, state: _State) -> bool:
        """True when no pattern of a wanted demand can be met any more."""
        return any(not any(state.alive[position] for position in wanted) for wanted in self._wanted)

    def _is_met(self, alive: tuple[int, ...]) -> bool:
        return all(
            any(alive[at] & self._runs[at].accept for at in runs) is demand.wanted
            for demand, runs in zip(self._demands, self._of, strict=True)
        )

    def _choices(self, state: _State) -> Iterable[str]:
        """The letters to go on with: those that some pattern waits for, and one that stands for all the others."""
        letters = self._slices[state.slice].letters
        forced = self._forced(state)
        if forced is not None:
            return sorted(letter for letter in forced if letter in letters)
        awaited = {COLON}
        for at in self._seeing[state.slice]:
            awaited.update(self._runs[at].next_letters(state.alive[at]))
        others = (letter for letter in letters if letter not in awaited)
        if state.toward is None:
            other = next(others, None)
            chosen = [] if other is None else [other]
        else:
            chosen = self._others(list(others), state.toward, self._taken[state.slice])
        return [*chosen, *sorted(letter for letter in awaited if letter in letters)]

    def _others(self, letters: list[str], toward: str, taken: frozenset[str]) -> list[str]:
        """Of letters that are alike to all patterns, one that leads away from the taken texts, or else all."""
        away = next((letter for letter in letters if _toward(toward + letter, taken) is None), None)
        return letters if away is None else [away]

    def _forced(self, state: _State) -> set[str] | None:
        """The only letters that a wanted demand can go on with, or None when there is a choice."""
        seeing = self._seeing[state.slice]
        for wanted in self._wanted:
            if all(at in seeing and not state.alive[at] & self._runs[at].wild for at in wanted):
                return {letter for at in wanted for letter in self._runs[at].next_letters(state.alive[at])}
        return None

    def _collected(self, written: _Written) -> dict[Slice, str]:
        letters: list[str] = []
        while written is not None:
            written, letter = written
            letters.append(letter)
        texts = [""]
        for letter in reversed(letters):
            if letter:
                texts[-1] += letter
            else:
                texts.append("")
        return dict(zip(self._slices, texts, strict=False))


def _toward(text: str, taken: frozenset[str]) -> str | None:
    return text if any(entry.startswith(text) for entry in taken) else None


def _fixed_texts(
    slices: tuple[Slice, ...], views: list[View]
) -> tuple[list[list[tuple[int, str]]], list[tuple[int, str]]]:
    """The fixed texts of the views: those before each slice, and those at the end, each with the run that reads it."""
    before: list[list[tuple[int, str]]] = [[] for _ in slices]
    after: list[tuple[int, str]] = []
    for run, view in enumerate(views):
        text = ""
        for part in view:
            if isinstance(part, str):
                text += part
            else:
                before[slices.index(part)].append((run, text))
                text = ""
        after.append((run, text))
    return before, after
