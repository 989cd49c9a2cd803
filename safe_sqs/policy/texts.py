"""Text patterns of IAM as tokens: wildcards, policy variables, and ARNs that are compared part by part.

Sources: "Condition operators" (string and ARN operators) and "Variables and tags" in the IAM user guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple

__all__ = [
    "ARN_COLONS",
    "COLON",
    "Automaton",
    "Pattern",
    "Token",
    "Variable",
    "Wild",
    "automaton",
    "by_part",
    "by_segment",
    "has_six_parts",
    "read_pattern",
    "substitute",
]


class Wild(Enum):
    """What a wildcard stands for. The two of a part stop at colons: in an ARN, each part is matched for itself."""

    ONE = "?"
    RUN = "*"
    ONE_OF_PART = "? in a part"
    RUN_OF_PART = "* in a part"


class Variable(NamedTuple):
    """A policy variable: the condition key in lower case, and what it stands for where a request lacks the key."""

    key: str
    default: str | None


Token = str | Wild | Variable
"""One character, one wildcard, or one variable."""

_VARIABLE = re.compile(r"\$\{\s*([^\s{},']+)\s*(?:,\s*'([^']*)'\s*)?\}")
_WILD = {"*": Wild.RUN, "?": Wild.ONE}
COLON = ":"
ARN_COLONS = 5
_LONG = 128
_SPECIAL = ("*", "?", "$")


class Pattern(NamedTuple):
    """A text with wildcards and variables. `fixed` is the text itself where it has neither, `beginning` what is before
    the first of them."""

    tokens: tuple[Token, ...]
    fixed: str | None
    beginning: str

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in the pattern, in their order."""
        return tuple(token for token in self.tokens if isinstance(token, Variable))

    def fits(self, text: str) -> bool:
        """True when the whole text fits the pattern, which must not have variables any more. Letter case counts.

        It only ever returns to the last star that stops at colons, and from there to the last one that does not: an
        earlier one could do no more. That takes time in proportion to the square of the text's length, so that a long
        text is left to the automaton.
        """
        if self.fixed is not None:
            return self.fixed == text
        if len(text) > _LONG:
            return automaton(self, False).accepts(text)
        tokens = self.tokens
        at = position = 0
        run, run_from, part, part_from = -1, 0, -1, 0
        while position < len(text):
            token = tokens[at] if at < len(tokens) else None
            letter = text[position]
            if token is Wild.RUN:
                run, run_from, part = at, position, -1
                at += 1
            elif token is Wild.RUN_OF_PART:
                part, part_from = at, position
                at += 1
            elif token == letter or token is Wild.ONE or (token is Wild.ONE_OF_PART and letter != COLON):
                at += 1
                position += 1
            elif part >= 0 and text[part_from] != COLON:
                part_from += 1
                at, position = part + 1, part_from
            elif run >= 0:
                run_from += 1
                at, position, part = run + 1, run_from, -1
            else:
                return False
        return all(token is Wild.RUN or token is Wild.RUN_OF_PART for token in tokens[at:])


class Automaton:
    """A pattern as an automaton. The set of its positions that are alive is kept as the bits of a number."""

    def __init__(self, pattern: Pattern, without_case: bool) -> None:
        self.without_case = without_case
        self.accept = 1 << len(pattern.tokens)
        self.letters: dict[str, int] = {}
        self.any_letter = 0
        self.but_colon = 0
        self.run = 0
        self.run_but_colon = 0
        for position, token in enumerate(pattern.tokens):
            bit = 1 << position
            if token is Wild.ONE:
                self.any_letter |= bit
            elif token is Wild.ONE_OF_PART:
                self.but_colon |= bit
            elif token is Wild.RUN:
                self.run |= bit
            elif token is Wild.RUN_OF_PART:
                self.run_but_colon |= bit
            else:
                assert isinstance(token, str)  # variables were replaced before
                self.letters[token] = self.letters.get(token, 0) | bit
        self.runs = self.run | self.run_but_colon
        self.wild = self.runs | self.any_letter | self.but_colon
        self.start = self._past_runs(1)

    def _past_runs(self, alive: int) -> int:
        while more := ((alive & self.runs) << 1) & ~alive:
            alive |= more
        return alive

    def step(self, alive: int, letter: str) -> int:
        """The positions that are alive after one more letter."""
        if not alive:
            return 0
        eats = self.letters.get(letter.lower() if self.without_case else letter, 0) | self.any_letter
        stays = self.run
        if letter != COLON:
            eats |= self.but_colon
            stays |= self.run_but_colon
        return self._past_runs(((alive & eats) << 1) | (alive & stays))

    def accepts(self, text: str) -> bool:
        """True when the whole text fits the pattern."""
        alive = self.start
        for letter in text:
            alive = self.step(alive, letter)
        return bool(alive & self.accept)

    def next_letters(self, alive: int) -> Iterator[str]:
        """The letters that the pattern names at these positions."""
        for letter, bits in self.letters.items():
            if alive & bits:
                yield letter
                if self.without_case:
                    yield letter.upper()


automaton = lru_cache(maxsize=2048)(Automaton)


def read_pattern(text: str, *, wildcards: bool, variables: bool) -> Pattern | None:
    """The pattern that a text of a policy is, or None when it has a variable that is not written by the rules.

    Without `wildcards`, `*` and `?` stand for themselves; without `variables` (before version 2012-10-17), so does
    `${...}`.
    """
    if not (wildcards and ("*" in text or "?" in text)) and not (variables and "${" in text):
        return Pattern(tuple(text), text, text)
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _VARIABLE.match(text, position) if variables else None
        if match is not None:
            name = match[1]
            tokens.append(name if name in _SPECIAL else Variable(name.lower(), match[2]))
            position = match.end()
            continue
        if variables and text.startswith("${", position):
            return None
        tokens.append(_WILD.get(text[position], text[position]) if wildcards else text[position])
        position += 1
    return _pattern(tokens)


def substitute(pattern: Pattern, value_of: Callable[[str], str | None]) -> Pattern | None:
    """The pattern with the values of its variables in their places, where wildcards in a value stand for themselves.

    None when a variable has neither a value nor a default: it is then equal to nothing.
    """
    tokens: list[Token] = []
    for token in pattern.tokens:
        if isinstance(token, Variable):
            value = value_of(token.key)
            value = token.default if value is None else value
            if value is None:
                return None
            tokens.extend(value)
        else:
            tokens.append(token)
    return _pattern(tokens)


def by_part(pattern: Pattern) -> Pattern:
    """The pattern as the ARN operators read it: a wildcard stays within its part, except in the sixth, the last."""
    colons = 0
    tokens: list[Token] = []
    for token in pattern.tokens:
        colons += token == COLON
        if colons < ARN_COLONS and token is Wild.RUN:
            tokens.append(Wild.RUN_OF_PART)
        elif colons < ARN_COLONS and token is Wild.ONE:
            tokens.append(Wild.ONE_OF_PART)
        else:
            tokens.append(token)
    return pattern._replace(tokens=tuple(tokens))


def by_segment(pattern: Pattern) -> Pattern:
    """The pattern as the Resource element surely reads it: only a `*` that ends a segment runs across colons."""
    following = (*pattern.tokens[1:], COLON)
    tokens = (
        Wild.RUN_OF_PART if token is Wild.RUN and after != COLON else Wild.ONE_OF_PART if token is Wild.ONE else token
        for token, after in zip(pattern.tokens, following, strict=True)
    )
    return pattern._replace(tokens=tuple(tokens))


def has_six_parts(pattern: Pattern) -> bool:
    """True when the pattern has the six parts of an ARN."""
    return sum(token == COLON for token in pattern.tokens) >= ARN_COLONS


def _pattern(tokens: Iterable[Token]) -> Pattern:
    kept: list[Token] = []
    for token in tokens:
        if not (token is Wild.RUN and kept and kept[-1] is Wild.RUN):
            kept.append(token)
    beginning = "".join(str(token) for token in takewhile(lambda token: isinstance(token, str), kept))
    return Pattern(tuple(kept), beginning if len(beginning) == len(kept) else None, beginning)
