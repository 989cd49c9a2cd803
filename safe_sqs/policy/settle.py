"""Settling values for condition keys, so that some lines of conditions hold and others do not.

Keys fall into groups that have nothing to do with each other; each group is settled by what its values are: a few known
ones, addresses, a spelling from slices, or anything at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from safe_sqs.policy.addresses import PRIVATE, Network, an_address, fixed_blocks
from safe_sqs.policy.conditions import MULTIVALUED, Keys, holds, wanted_by
from safe_sqs.policy.document import Condition, Statement, a_condition
from safe_sqs.policy.operators import Compared, Over, fits, operator_named, read_request_value, read_value
from safe_sqs.policy.outsiders import (
    ANYTHING,
    Absent,
    Address,
    Caller,
    Domain,
    Given,
    Measured,
    OneOf,
    Open,
    Spelled,
    domain_of,
)
from safe_sqs.policy.spelling import Budget, Demand, Slice, View, read_view, spell, spell_plainly
from safe_sqs.policy.texts import Pattern, Variable, Wild, by_part, has_six_parts, substitute

__all__ = ["Literal", "Scene", "Settler", "cost_of", "group_of"]

Group = str | tuple[Slice, ...]
_SINGLE_VALUED = (
    "aws:currenttime",
    "aws:epochtime",
    "aws:federatedprovider",
    "aws:multifactorauth",
    "aws:principaltag/",
    "aws:referer",
    "aws:requesttag/",
    "aws:resourcetag/",
    "aws:sourceidentity",
    "aws:tokenissuetime",
    "aws:useragent",
    "aws:vpcsourceip",
)
"""Keys, by their beginnings, of which a request never has several values."""


class Literal(NamedTuple):
    """A line of conditions that is to hold, or not to hold."""

    line: Condition
    wanted: bool

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The policy variables in its values."""
        if not self.line.variables or not self.line.operator.compared.is_text:
            return ()
        return _variables(self.line.operator.compared, self.line.values)


@lru_cache(maxsize=1024)
def _variables(compared: Compared, values: tuple[str, ...]) -> tuple[Variable, ...]:
    patterns = (read_value(compared, text, True) for text in values)
    return tuple(variable for pattern in patterns if pattern is not None for variable in pattern.variables)


class Scene(NamedTuple):
    """What is known before anything is settled: who calls, what is given, and what is not to be chosen.

    `principal` is "" where it is spelled as `aws:PrincipalArn` is.
    """

    caller: Caller
    given: Mapping[Given, str]
    pinned: Mapping[Slice, str]
    taken: Mapping[str, frozenset[str]]
    settled: Mapping[str, Domain]
    statements: tuple[Statement, ...]
    blocks_are_taken: bool
    principal: str

    def domain(self, key: str) -> Domain:
        """The values that a key can take."""
        settled = self.settled.get(key)
        return domain_of(self.caller, key) if settled is None else settled

    def view(self, view: Iterable[str | Given | Slice]) -> View:
        """A view with what is given and pinned as fixed text."""
        return tuple(
            self.given[part]
            if isinstance(part, Given)
            else self.pinned.get(part, part)
            if isinstance(part, Slice)
            else part
            for part in view
        )

    def values(self, domain: OneOf) -> tuple[str, ...]:
        """The values of a domain, with what is given in place."""
        return tuple(self.given[value] if isinstance(value, Given) else value for value in domain.values)


def cost_of(line: Condition, keys: Keys | None = None) -> int:
    """The steps that it takes to see whether a line holds."""
    values = (keys or {}).get(line.key, ())
    return 1 + line.size + len(values) * len(line.values) // 4 + sum(map(len, values)) * len(line.values) // 16


def group_of(key: str, domain: Domain) -> Group:
    """The group in which a key is settled."""
    return domain.slices if isinstance(domain, Spelled) else key


_Fit = tuple[Literal, bool]
"""A line, and whether a value is to fit it. Where the operator is negated, the line holds when no value does."""


def _keys_of_sets(statements: Iterable[Statement]) -> Iterator[str]:
    """The keys of which a request may have several values: those known for it, and those that a set operator is for."""
    yield from MULTIVALUED
    for statement in statements:
        yield from (line.key for line in statement.conditions if line.operator.over is not Over.PLAIN)


class Settler:
    """Settles values in one scene, and remembers what it settled. `undecided` says that it had to give up the last
    time, and so cannot vouch for it that there are no such values.
    """

    def __init__(self, scene: Scene, keys: Sequence[str], budget: Budget) -> None:
        self.undecided = False
        self._scene = scene
        self._budget = budget
        self._domains: dict[str, Domain] = {}
        self._groups: dict[Group, list[str]] = {}
        self._constants: dict[str, tuple[str, ...]] = {}
        self._gave_up = False
        self._with_several = {key for key in _keys_of_sets(scene.statements) if not key.startswith(_SINGLE_VALUED)}
        self._known: dict[tuple[Group, frozenset[Literal]], tuple[Keys | None, bool]] = {}
        for key in keys:
            self._add(key)
        if isinstance(scene.caller.principal, Spelled):
            self._add(scene.caller.principal_key)

    def _add(self, key: str) -> None:
        if key in self._domains:
            return
        domain = self._scene.domain(key)
        self._domains[key] = domain
        self._groups.setdefault(group_of(key, domain), []).append(key)
        if isinstance(domain, OneOf) and len(domain.values) == 1 and not domain.optional:
            self._constants[key] = self._scene.values(domain)

    def somebody(self) -> str:
        """The principal of a request of this caller, whoever it may be in the end."""
        return self._scene.principal or self.principal(self.settle(()) or {})

    def principal(self, keys: Keys) -> str:
        """The principal of a request with these keys."""
        return self._scene.principal or keys[self._scene.caller.principal_key][0]

    def settle(self, literals: Iterable[Literal]) -> Keys | None:
        """Values for all keys, so that each literal is met as far as its group alone can tell, or None."""
        demanded: dict[Group, list[Literal]] = {group: [] for group in self._groups}
        for literal in literals:
            key = literal.line.key
            demanded[group_of(key, self._domains[key])].append(literal)
        self._budget.spend(len(demanded) + sum(map(len, demanded.values())))
        self.undecided = False
        keys: dict[str, tuple[str, ...]] = {}
        for group, entries in demanded.items():
            place = (group, frozenset(entries))
            if place not in self._known:
                self._budget.spend(5)
                self._gave_up = False
                self._known[place] = (self._settled(group, entries), self._gave_up)
            settled, gave_up = self._known[place]
            self.undecided = self.undecided or gave_up
            if settled is None:
                return None
            keys.update(settled)
        return keys

    def _settled(self, group: Group, literals: list[Literal]) -> Keys | None:
        if not isinstance(group, str):
            return self._spelled(group, literals)
        domain = self._domains[group]
        if isinstance(domain, Absent) or (getattr(domain, "optional", False) and self._are_met(literals, {})):
            return {} if self._are_met(literals, {}) else None
        values = self._present(group, domain, literals)
        if values is None and isinstance(domain, Open) and self._are_met(literals, {group: ("",)}):
            values = ("",)
        return None if values is None else {group: values}

    def _present(self, key: str, domain: Domain, literals: list[Literal]) -> tuple[str, ...] | None:
        """Values of a key that has some, or None."""
        about_presence = [literal for literal in literals if literal.line.operator.compared is Compared.PRESENCE]
        if not self._are_met(about_presence, {key: ("x",)}):
            return None
        others = [literal for literal in literals if literal.line.operator.compared is not Compared.PRESENCE]
        if isinstance(domain, OneOf):
            candidates: Iterable[str] = self._scene.values(domain)
        elif isinstance(domain, Measured):
            candidates = _measures(domain, others)
        elif isinstance(domain, Address):
            address = self._address(key, others)
            return None if address is None else (address,)
        else:
            return self._open(key, others)
        for value in candidates:
            if self._are_met(others, {key: (value,)}):
                return (value,)
        is_told = isinstance(domain, OneOf) or not any(literal.line.operator.compared.is_text for literal in others)
        self._gave_up = self._gave_up or not is_told
        return None

    # --- spelled from slices

    def _spelled(self, slices: tuple[Slice, ...], literals: list[Literal]) -> Keys | None:
        views: dict[str, View] = {}
        demands: list[Demand] = []
        others: list[Literal] = []
        for key in self._groups[slices]:
            domain = self._domains[key]
            assert isinstance(domain, Spelled)
            about = [literal for literal in literals if literal.line.key == key]
            if domain.optional and self._are_met(about, {}):
                continue
            view = views[key] = self._scene.view(domain.view)
            taken = self._scene.taken.get(key)
            if taken and any(isinstance(part, Slice) for part in view):
                demands.append(Demand(view, tuple(map(_fixed, taken)), wanted=False))
            for literal in about:
                compared = literal.line.operator.compared
                if not _is_open_at_all(literal):
                    continue
                if compared.is_text:
                    demands += self._demands(view, literal, literal.wanted is not literal.line.operator.negated)
                else:
                    others.append(literal)
        free = tuple(piece for piece in slices if piece not in self._scene.pinned)
        spelling = spell_plainly(free, self._scene.taken) if not demands else None
        if spelling is None:
            spelling = spell(free, demands, self._scene.taken, self._budget)
        if spelling is None:
            return None
        keys = {key: (read_view(view, spelling),) for key, view in views.items()}
        if not self._are_met(others, keys):
            self._gave_up = self._gave_up or any(
                literal.line.operator.compared is not Compared.PRESENCE for literal in others
            )
            return None
        return keys

    def _demands(self, view: View, literal: Literal, wanted: bool) -> list[Demand]:
        """What a line demands of a text. Variables that are not settled here may stand for anything."""
        operator = literal.line.operator
        is_arn, linked = operator.compared is Compared.ARN, self._is_linked(literal)
        patterns = []
        for text in literal.line.values:
            pattern = read_value(operator.compared, text, literal.line.variables)
            if pattern.variables and linked:
                if not wanted:
                    continue
                pattern = _loosened(pattern)
            elif pattern.variables:
                pattern = substitute(pattern, self._constant)
                if pattern is None:
                    continue
                if is_arn and not has_six_parts(pattern):
                    return []  # in doubt, which holds in an Allow and does not in a Deny
                pattern = by_part(pattern) if is_arn else pattern
            patterns.append(pattern)
        return [Demand(view, tuple(patterns), wanted, operator.compared is Compared.TEXT_WITHOUT_CASE)]

    def _constant(self, key: str) -> str | None:
        values = self._constants.get(key)
        return values[0] if values else None

    def _is_linked(self, literal: Literal) -> bool:
        """True when a line has a variable whose value is not settled from the start."""
        return any(
            variable.key not in self._constants and not isinstance(self._scene.domain(variable.key), Absent)
            for variable in literal.variables
        )

    def _are_met(self, literals: Iterable[Literal], keys: Keys) -> bool:
        return all(self._is_met(literal, keys) for literal in literals)

    def _is_met(self, literal: Literal, keys: Keys) -> bool:
        self._budget.spend(cost_of(literal.line, keys))
        if keys and self._is_linked(literal):
            demands = self._demands((), literal, literal.wanted is not literal.line.operator.negated)
            return all(
                any(pattern.fits(text) for pattern in demand.patterns)
                for demand in demands
                for text in keys[literal.line.key]
                if demand.wanted
            )
        return holds(literal.line, {**self._constants, **keys} if literal.variables else keys) in (literal.wanted, None)

    # --- addresses

    def _address(self, key: str, literals: list[Literal]) -> str | None:
        inside: list[_Texts] = []
        outside: list[_Texts] = []
        texts: list[Literal] = []
        for literal in literals:
            self._budget.spend(2 * cost_of(literal.line))
            if literal.line.operator.compared is not Compared.ADDRESS:
                texts.append(literal)
            elif literal.wanted is literal.line.operator.negated:
                outside.append(literal.line.values)
            else:
                inside.append(literal.line.values)
        named = tuple(self._named_blocks(key))
        address = _an_address(tuple(inside), tuple(outside), named)
        if address is None or self._are_met(texts, {key: (address,)}):
            return address
        taken = [*PRIVATE, *(block for texts in named for block in _fixed_blocks(texts))]
        for candidate in _addresses_like(texts):
            read = read_request_value(Compared.ADDRESS, candidate)
            if read is None or any(read in block for block in taken):
                continue
            if self._are_met(literals, {key: (candidate,)}):
                return candidate
        self._gave_up = self._gave_up or not any(map(_names_whole_texts, texts))
        return None

    def _named_blocks(self, key: str) -> Iterator[_Texts]:
        if self._scene.blocks_are_taken:
            for statement in self._scene.statements:
                yield from (line.values for line in statement.conditions if line.key == key)

    # --- anything at all

    def _open(self, key: str, literals: list[Literal]) -> tuple[str, ...] | None:
        somewhere: list[_Fit] = []
        everywhere: list[_Fit] = []
        for literal in filter(_is_open_at_all, literals):
            over, negated = literal.line.operator.over, literal.line.operator.negated
            fit = literal.wanted is not negated
            there_is = fit if over is Over.PLAIN else literal.wanted is (over is Over.ANY)
            (somewhere if there_is else everywhere).append((literal, fit))
        value = self._value([*everywhere, *somewhere])
        if value is not None:
            return (value,)
        if key not in self._with_several or len(somewhere) < 2:  # one value cannot do what two can
            return None
        values = [self._value([*everywhere, fit]) for fit in somewhere]
        found = [value for value in values if value is not None]
        return tuple(dict.fromkeys(found)) if len(found) == len(values) else None

    def _value(self, wanted: list[_Fit]) -> str | None:
        """A value that fits some lines and does not fit others, or None."""
        if not wanted:
            return "x"
        word = self._word([(literal, fit) for literal, fit in wanted if literal.line.operator.compared.is_text])
        if word is None:
            return None
        for candidate in (word, *_candidates(wanted)):
            if all(self._is_linked(literal) or self._fits(literal, candidate) is fit for literal, fit in wanted):
                return candidate
        kinds = {_KIND[literal.line.operator.compared] for literal, _ in wanted}
        self._gave_up = self._gave_up or len(kinds) > 1
        return None

    def _word(self, texts: list[_Fit]) -> str | None:
        more = {token for literal, _ in texts for text in literal.line.values for token in text}
        piece = Slice("anything", ANYTHING + "".join(sorted(more - set(ANYTHING))))
        demands = [demand for literal, fit in texts for demand in self._demands((piece,), literal, fit)]
        spelling = spell((piece,), demands, {}, self._budget)
        return None if spelling is None else spelling[piece]

    def _fits(self, literal: Literal, text: str) -> bool:
        self._budget.spend(cost_of(literal.line))
        operator = literal.line.operator
        value = read_request_value(operator.compared, text)
        return any(fits(operator, wanted, value) for wanted in wanted_by(literal.line, self._constants))

    # --- variables between groups

    def broken_link(self, literals: Iterable[Literal], keys: Keys) -> Literal | None:
        """A literal that its own group could not settle, because of a variable, and that is not met now."""
        for literal in literals:
            self._budget.spend(1 + 4 * len(literal.variables))
            if literal.variables and holds(literal.line, keys) not in (literal.wanted, None):
                return literal
        return None

    def repairs(self, broken: Literal, keys: Keys) -> Iterator[tuple[Literal, ...]]:
        """What else to demand so that a variable has the value that is compared with, or the other way round."""
        line = broken.line
        values = keys[line.key]  # without any, no variable is looked at, and nothing is broken
        if broken.wanted is line.operator.negated:  # they must not be equal
            for text in line.values:
                pattern = read_value(line.operator.compared, text, line.variables)
                for equal in _solved(pattern, values[0]) or ():
                    yield (_equal(line.key, values[0]), equal._replace(wanted=False))
        else:
            for text in line.values:
                yield from self._ways_to_fit(
                    a_condition(line.operator, line.key, (text,), variables=line.variables), values[0], keys
                )

    def has_one_repair(self, broken: Literal) -> bool:
        """True when only one value of a variable would do, so that nothing is left once that is tried."""
        line = broken.line
        value = self._constant(line.key)
        if value is None or len(value) > _LONGEST_SOLVED or line.operator.compared is Compared.TEXT_WITHOUT_CASE:
            return False
        if any(variable.key in self._with_several for variable in broken.variables):
            return False
        patterns = [read_value(line.operator.compared, text, line.variables) for text in line.values]
        return all(
            [type(token) for token in pattern.tokens if not isinstance(token, str)] in ([], [Variable])
            and all(variable.default is None for variable in pattern.variables)
            for pattern in patterns
        )

    def _ways_to_fit(self, line: Condition, value: str, keys: Keys) -> Iterator[tuple[Literal, ...]]:
        self._budget.spend(20 + 4 * cost_of(line))
        pattern = read_value(line.operator.compared, line.values[0], line.variables)
        missing = [variable.key for variable in pattern.variables if not keys.get(variable.key)]
        solved = _solved(pattern, value)
        if solved is not None:
            yield (_equal(line.key, value), *solved)
        if missing:
            yield tuple(Literal(_line("Null", key, "false"), True) for key in missing)
        for fixed in wanted_by(line, keys):
            here = [variable.key for variable in pattern.variables if keys.get(variable.key)]
            away = [Literal(_line("Null", key, "true"), True) for key in missing]
            pinned = [_equal(key, keys[key][0]) for key in here]
            yield (
                *pinned,
                *away,
                Literal(
                    a_condition(line.operator, line.key, (_as_text(fixed),), variables=True), not line.operator.negated
                ),
            )


def _line(operator: str, key: str, value: str) -> Condition:
    return a_condition(operator_named(operator), key, (value,), variables=False)


def _equal(key: str, value: str) -> Literal:
    return Literal(_line("StringEquals", key, value), True)


def _fixed(text: str) -> Pattern:
    return Pattern(tuple(text), text, text)


def _loosened(pattern: Pattern) -> Pattern:
    """The pattern with its variables as wildcards."""
    loose = tuple(Wild.RUN if isinstance(token, Variable) else token for token in pattern.tokens)
    return pattern._replace(tokens=loose)


def _solved(pattern: Pattern, value: str) -> tuple[Literal, ...] | None:
    """What the variables of a pattern have to be, so that the value fits it, or None when that is not easily said."""
    open_places = [token for token in pattern.tokens if not isinstance(token, str)]
    names = [token.key for token in open_places if isinstance(token, Variable)]
    if len(open_places) > _MOST_OPEN_PLACES or len(set(names)) < len(names) or len(value) > _LONGEST_SOLVED:
        return None
    parts = {Wild.ONE: ".", Wild.RUN: ".*", Wild.ONE_OF_PART: "[^:]", Wild.RUN_OF_PART: "[^:]*"}
    expression = "".join(
        re.escape(token) if isinstance(token, str) else parts[token] if isinstance(token, Wild) else "(.+?)"
        for token in pattern.tokens
    )
    match = re.fullmatch(expression, value, re.DOTALL)
    return None if match is None else tuple(map(_equal, names, match.groups()))


_LONGEST_SOLVED = 128
_MOST_OPEN_PLACES = 3
"""A longer value, or more variables and wildcards, would make the matching slow."""


def _as_text(pattern: Pattern) -> str:
    """The pattern as a policy of version 2012-10-17 writes it."""
    return "".join(
        f"${{{token}}}" if token in ("*", "?", "$") else token.value[0] if isinstance(token, Wild) else str(token)
        for token in pattern.tokens
    )


def _blocks(line: Condition) -> list[Network]:
    return [read_value(Compared.ADDRESS, text, False) for text in line.values]


_Texts = tuple[str, ...]


@lru_cache(maxsize=512)
def _fixed_blocks(texts: _Texts) -> tuple[Network, ...]:
    return tuple(fixed_blocks(_readable_blocks(texts)))


def _readable_blocks(texts: _Texts) -> Iterator[Network]:
    blocks = (read_value(Compared.ADDRESS, text, False) for text in texts)
    yield from (block for block in blocks if block is not None)


@lru_cache(maxsize=512)
def _an_address(inside: tuple[_Texts, ...], outside: tuple[_Texts, ...], named: tuple[_Texts, ...]) -> str | None:
    """An address of the internet, inside and outside of some blocks, and in none that is named and not too wide."""
    blocks = [block for texts in outside for block in _readable_blocks(texts)]
    taken = [block for texts in named for block in _fixed_blocks(texts)]
    return an_address(map(_readable_blocks, inside), [*PRIVATE, *blocks, *taken])


def _is_open_at_all(literal: Literal) -> bool:
    """False when any value meets a literal: the line is in doubt at the best, and is not to hold."""
    operator = literal.line.operator
    is_plain = operator.over is Over.PLAIN and operator.compared is not Compared.PRESENCE
    return literal.wanted or not is_plain or literal.line.key not in MULTIVALUED


def _names_whole_texts(literal: Literal) -> bool:
    """True when only the texts of the line fit it."""
    compared, wanted = literal.line.operator.compared, literal.wanted is not literal.line.operator.negated
    return wanted and not literal.variables and compared in (Compared.TEXT, Compared.TEXT_WITHOUT_CASE)


def _addresses_like(literals: Iterable[Literal]) -> Iterator[str]:
    """What may be an address among the texts that lines name, with digits for wildcards."""
    for literal in literals:
        for text in literal.line.values:
            yield text.replace("*", "1").replace("?", "1")
            yield text.replace("*", "1.1").replace("?", "1")
            yield text.replace("*", "1.1.1").replace("?", "1")


def _candidates(wanted: list[_Fit]) -> Iterator[str]:
    """Values that make a difference to some of the lines which compare something else than text."""
    inside: list[list[Network]] = []
    outside: list[Network] = []
    for literal, fit in wanted:
        line = literal.line
        compared = line.operator.compared
        if compared is Compared.ADDRESS and fit:
            inside.append(_blocks(line))
        elif compared is Compared.ADDRESS:
            outside += _blocks(line)
        if compared is not Compared.ADDRESS:
            yield from line.values
    for point in _points(literal for literal, _ in wanted):
        yield from (f"{point:.15g}", f"{point:.3f}", _as_moment(point))
    address = an_address(inside, outside) if inside or outside else None
    if address is not None:
        yield address


def _measures(domain: Measured, literals: list[Literal]) -> Iterator[str]:
    """Numbers or moments that make a difference to some of the lines, and the texts that lines name."""
    for point in (_AT_FIRST, *_points(literals)):
        yield _as_moment(point) if domain.is_moment else f"{point:.15g}"
    for literal in literals:
        for text in literal.line.values:
            read = read_request_value(Compared.DATE, text)
            if read is not None and (text == f"{read:.15g}") is not domain.is_moment:
                yield text


_AT_FIRST = 1893456000.0
"""The beginning of 2030, in seconds."""


def _points(literals: Iterable[Literal]) -> list[float]:
    """Numbers and moments on, beside and between those that lines compare with."""
    steps = sorted(
        {
            read_value(literal.line.operator.compared, text, False)
            for literal in literals
            if literal.line.operator.compared in (Compared.NUMBER, Compared.DATE)
            for text in literal.line.values
        }
    )
    beside = [edge for step in steps for edge in (step, step - 1, step + 1)]
    return [*beside, *((low + high) / 2 for low, high in pairwise(steps))]


def _as_moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.15g}"


_KIND = {compared: "text" for compared in Compared if compared.is_text} | {
    compared: "number" if compared in (Compared.NUMBER, Compared.DATE) else compared.words
    for compared in Compared
    if not compared.is_text
}
