"""The questions once more, as formulas for the SMT solver z3: is there a request that the policy lets through?

The evaluator's semantics and the judge's table of callers become constraints; how to find a request is z3's affair.
Beyond a subset it says so: no mixed kinds of operators on a key that can be anything, no variables with wildcards in
the middle. What it reads from a policy, it reads by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, NamedTuple

import z3

from proof.brute_force import MULTIPLE, World
from safe_sqs.policy import outsiders
from safe_sqs.policy.outsiders import (
    CALLERS,
    Absent,
    Address,
    Caller,
    Given,
    Measured,
    OneOf,
    Open,
    Slice,
    Spelled,
    domain_of,
)

__all__ = ["BeyondError", "Question", "solve"]

Formula = z3.BoolRef | bool
_NEGATED = re.compile(r"^not|(?<=string)not|(?<=arn)not|(?<=numeric)not|(?<=date)not")
_PRIVATE = ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16") + (
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)
_TIMEOUTS_MILLISECONDS = (200, 200, 300, 300, 500, 1_000, 2_000)


class BeyondError(Exception):
    """The policy has something that is not translated."""


class Question(NamedTuple):
    """What is asked: of `outsiders` only, and whether an Allow has to let them in; which keys are settled; whether
    those count who come through a VPC or an endpoint that the policy names."""

    outsiders: bool = True
    over_plain_http: bool = False
    outside_of_vpc: bool = False


def solve(document: Mapping[str, Any], queue_arn: str, question: Question, world: World) -> bool | None:
    """True when there is such a request, False when there is none, None when z3 cannot tell in time.

    Raises BeyondError.
    """
    statements = [
        _Statement.of(entry, document.get("Version") == "2012-10-17") for entry in _listed(document["Statement"])
    ]
    told = True
    for caller in _distinct(world, question):
        for organisation in _queue_organisations(world):
            scene = _Scene(world, caller, question, queue_arn, statements, organisation)
            formula = scene.formula()
            if formula is False:
                continue
            result = _checked(z3.And(formula, *scene.constraints))
            if result == z3.sat:
                return True
            told = told and result == z3.unsat
    return False if told else None


def _distinct(world: World, question: Question) -> Iterator[Caller]:
    """The callers between whom the policy may make a difference."""
    seen = set()
    for caller in CALLERS:
        if question.outsiders and caller.service in world.named:
            continue
        difference: list[object] = [domain_of(caller, key) for key in sorted(world.texts)]
        difference.append(caller.service)
        if world.principals - {"*"}:
            difference.append(caller.principal)
        if tuple(difference) not in seen:
            seen.add(tuple(difference))
            yield caller


def _checked(formula: z3.BoolRef) -> z3.CheckSatResult:
    """What z3 says. It is tried several times, since how long it takes has much to do with chance."""
    result = z3.unknown
    for seed, milliseconds in enumerate(_TIMEOUTS_MILLISECONDS):
        solver = z3.SimpleSolver() if seed % 2 == 0 else z3.Solver()
        solver.set("timeout", milliseconds)
        solver.set("random_seed", seed)
        solver.add(formula)
        result = solver.check()
        if result != z3.unknown:
            break
    return result


def _queue_organisations(world: World) -> list[str | None]:
    if "aws:resourceorgid" not in world.texts:
        return [None]
    return [None, *sorted(name for name in world.named if name.startswith("o-"))]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- reading a policy ---------------------------------------------------------------------------------------------


class _Line(NamedTuple):
    over: str
    base: str
    negated: bool
    if_exists: bool
    key: str
    values: tuple[str, ...]
    variables: bool

    @property
    def kind(self) -> str:
        for start in ("string", "arn", "numeric", "date", "bool", "null"):
            if self.base.startswith(start):
                return start
        return "ip" if self.base == "ipaddress" else "binary"


class _Statement(NamedTuple):
    allows: bool
    principals: tuple[tuple[str, str], ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    negated: tuple[bool, bool, bool]
    lines: tuple[_Line, ...]
    variables: bool

    @classmethod
    def of(cls, entry: Mapping[str, Any], variables: bool) -> _Statement:
        def element(name: str) -> Any:
            return entry[name] if name in entry else entry[f"Not{name}"]

        named = element("Principal")
        kinds = named if isinstance(named, Mapping) else {"AWS": named}
        lines = []
        for operator, keys in entry.get("Condition", {}).items():
            name = operator.lower()
            over, _, name = name.rpartition(":")
            base = name.removesuffix("ifexists")
            for key, values in keys.items():
                texts = tuple(
                    str(value).lower() if isinstance(value, bool) else str(value) for value in _listed(values)
                )
                negated = _NEGATED.search(base) is not None
                lines.append(_Line(over, _NEGATED.sub("", base), negated, base != name, key.lower(), texts, variables))
        return cls(
            entry["Effect"] == "Allow",
            tuple((kind, name) for kind, names in kinds.items() for name in _listed(names)),
            tuple(_listed(element("Action"))),
            tuple(_listed(element("Resource"))),
            ("NotPrincipal" in entry, "NotAction" in entry, "NotResource" in entry),
            tuple(lines),
            variables,
        )


class _Token(NamedTuple):
    """A letter, `?`, `*`, or a variable with its default."""

    what: str
    text: str = ""
    default: str | None = None


_PIECE = re.compile(r"\$\{\s*([^{},]+?)\s*(?:,\s*'([^']*)'\s*)?\}|(.)", re.DOTALL)


@lru_cache(maxsize=4096)
def _tokens(text: str, wildcards: bool, variables: bool) -> tuple[_Token, ...]:
    found = []
    position = 0
    while position < len(text):
        match = _PIECE.match(text, position)
        if match is None or match[1] is None or not variables:
            letter = text[position]
            found.append(_Token(letter) if wildcards and letter in "*?" else _Token("letter", letter))
            position += 1
            continue
        found.append(
            _Token("letter", match[1]) if match[1] in "*?$" else _Token("variable", match[1].lower(), match[2])
        )
        position = match.end()
    return tuple(found)


_LETTERS = z3.Range(" ", "~")
_NO_COLON = z3.Union(z3.Range(" ", "9"), z3.Range(";", "~"))


def _regex(tokens: Sequence[_Token], by_part: bool, without_case: bool) -> z3.ReRef:
    """A regular expression for z3. With `by_part`, wildcards before the fifth colon stop at colons."""
    pieces = []
    text = ""
    colons = 0
    for token in tokens:
        if token.what == "letter" and not (without_case and token.text.isalpha()):
            text += token.text
            colons += token.text == ":"
            continue
        if text:
            pieces.append(z3.Re(text))
            text = ""
        if token.what == "letter":
            pieces.append(z3.Union(z3.Re(token.text.lower()), z3.Re(token.text.upper())))
        else:
            any_letter = _NO_COLON if by_part and colons < 5 else _LETTERS
            pieces.append(any_letter if token.what == "?" else z3.Star(any_letter))
    if text or not pieces:
        pieces.append(z3.Re(text))
    return pieces[0] if len(pieces) == 1 else z3.Concat(*pieces)


_regex_of = lru_cache(maxsize=4096)(_regex)


@lru_cache(maxsize=8192)
def _python_regex(tokens: tuple[_Token, ...], by_part: bool, without_case: bool) -> re.Pattern[str]:
    written = ""
    colons = 0
    for token in tokens:
        if token.what == "letter":
            written += re.escape(token.text)
            colons += token.text == ":"
        else:
            written += ("[^:]" if by_part and colons < 5 else ".") + ("*" if token.what == "*" else "")
    return re.compile(written, re.DOTALL | (re.IGNORECASE if without_case else 0))


def _colons(tokens: Iterable[_Token]) -> int:
    return sum(token.text == ":" for token in tokens if token.what == "letter")


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None


def _moment(text: str) -> float | None:
    if _number(text) is not None:
        return _number(text)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _block(text: str) -> Any:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


_READERS: dict[str, Callable[[str], Any]] = {
    "numeric": _number,
    "date": _moment,
    "bool": _bool,
    "null": _bool,
    "ip": _block,
}


# --- one caller ---------------------------------------------------------------------------------------------------


class _Value(NamedTuple):
    """A value that a key has in a request, if `there` is true, which may be `empty`: no value to Null, ForAllValues and
    ForAnyValue. Of `options` (guard, text) one is true; `term` is a string of z3; `number` a real one, or nothing where
    `unreadable`; `address` is (is version 6, number)."""

    there: Formula
    empty: Formula = False
    options: tuple[tuple[Formula, str], ...] = ()
    term: z3.SeqRef | None = None
    number: z3.ArithRef | None = None
    address: tuple[z3.BoolRef, z3.ArithRef] | None = None
    unreadable: Formula = False


def _and(*formulas: Formula) -> Formula:
    kept = [formula for formula in formulas if formula is not True]
    if any(formula is False for formula in kept):
        return False
    return z3.And(*kept) if len(kept) > 1 else kept[0] if kept else True


def _or(*formulas: Formula) -> Formula:
    kept = [formula for formula in formulas if formula is not False]
    if any(formula is True for formula in kept):
        return True
    return z3.Or(*kept) if len(kept) > 1 else kept[0] if kept else False


def _not(formula: Formula) -> Formula:
    """The opposite, with negations moved inwards: z3 is quick with the complement of a regular expression, and slow
    with a text that is not to fit one."""
    if isinstance(formula, bool):
        return not formula
    if z3.is_not(formula):
        return formula.arg(0)
    if z3.is_and(formula):
        return _or(*map(_not, formula.children()))
    if z3.is_or(formula):
        return _and(*map(_not, formula.children()))
    if formula.decl().kind() == z3.Z3_OP_SEQ_IN_RE:
        return z3.InRe(formula.arg(0), z3.Complement(formula.arg(1)))
    return z3.Not(formula)


class _Scene:
    """The requests of one caller, as constraints on what it chooses."""

    def __init__(
        self,
        world: World,
        caller: Caller,
        question: Question,
        queue_arn: str,
        statements: Sequence[_Statement],
        organisation: str | None,
    ) -> None:
        self.constraints: list[z3.BoolRef] = []
        self._world = world
        self._caller = caller
        self._question = question
        self._queue_arn = queue_arn
        self._statements = statements
        self._organisation = organisation
        self._slices: dict[Slice, z3.SeqRef] = {}
        self._uses = Counter(self._slices_in_use())
        self._values: dict[str, list[_Value]] = {}
        partition, region, account = (queue_arn.split(":")[index] for index in (1, 3, 4))
        self._given = {Given.PARTITION: partition, Given.REGION: region, Given.OWNER: account}
        self._given[Given.SERVICE] = caller.service

    def formula(self) -> Formula:
        """True for the requests that the policy lets through."""
        ways = []
        for action in self._world.actions:
            applying = [(statement.allows, self._applies(statement, action)) for statement in self._statements]
            allowed = _or(*(formula for allows, formula in applying if allows))
            denied = _or(*(formula for allows, formula in applying if not allows))
            ways.append(_and(allowed if self._question.outsiders else True, _not(denied)))
        return _or(*ways)

    # --- what the caller chooses

    def _of(self, key: str) -> list[_Value]:
        if key not in self._values:
            self._values[key] = self._made(key)
        return self._values[key]

    def _made(self, key: str) -> list[_Value]:
        if key == "aws:resourceorgid":
            return [_Value(True, options=((True, self._organisation),))] if self._organisation else []
        if key == "aws:securetransport" and self._question.over_plain_http:
            return [_Value(True, options=((True, "false"),))]
        domain = domain_of(self._caller, key)
        there: Formula = z3.Bool(f"has {key}") if getattr(domain, "optional", False) else True
        if isinstance(domain, Absent):
            return []
        if isinstance(domain, OneOf):
            texts = [self._given[value] if isinstance(value, Given) else value for value in domain.values]
            return [_Value(there, options=self._options(key, texts))]
        if isinstance(domain, Spelled):
            return [_Value(there, term=self._spelled(key, domain))]
        if isinstance(domain, Address):
            return [_Value(there, address=self._address(key, closed=True))]
        if isinstance(domain, Measured):
            lines = [line for statement in self._statements for line in statement.lines if line.key == key]
            # The Numeric operators read no moment, the Date operators read numbers too.
            unreadable = domain.is_moment and any(line.kind == "numeric" for line in lines)
            if unreadable and any(line.kind == "date" for line in lines):
                raise BeyondError(f"{key} as a number and as a moment")
            return [_Value(there, number=z3.Real(key), unreadable=unreadable)]
        assert isinstance(domain, Open)
        return self._open(key, there)

    def _options(self, key: str, texts: Sequence[str]) -> tuple[tuple[Formula, str], ...]:
        if len(texts) == 1:
            return ((True, texts[0]),)
        which = z3.Int(f"which {key}")
        self.constraints.append(z3.And(which >= 0, which < len(texts)))
        return tuple((which == index, text) for index, text in enumerate(texts))

    def _slices_in_use(self) -> Iterator[Slice]:
        """The slices at which the policy looks, once for each key that shows them."""
        principals = [name for statement in self._statements for _, name in statement.principals]
        keys = {*self._world.texts}
        if any(name not in ("*", "") for name in principals):
            keys.add(self._caller.principal_key)
        for key in keys:
            domain = domain_of(self._caller, key)
            if isinstance(domain, Spelled):
                yield from (part for part in domain.view if isinstance(part, Slice))
        if any("*" in name or "?" in name for name in principals if name != "*"):
            yield outsiders.ACCOUNT

    def _spelled(self, key: str, domain: Spelled) -> z3.SeqRef:
        """A text of slices. One whose slices no other key shows is one text; otherwise it is put together."""
        parts = [self._given[part] if isinstance(part, Given) else part for part in domain.view]
        forbidden = []
        if key == "aws:sourcearn" and self._question.outsiders:
            forbidden = [name for name in self._world.named if name.startswith("arn:")]
        if all(self._uses[part] <= 1 for part in parts if isinstance(part, Slice)):
            term = z3.String(key)
            pieces = [self._spelling(part) if isinstance(part, Slice) else z3.Re(part) for part in parts]
            shape = pieces[0] if len(pieces) == 1 else z3.Concat(*pieces)
            self.constraints.append(z3.InRe(term, _without(shape, forbidden)))
            return term
        terms = [self._slice(part) if isinstance(part, Slice) else z3.StringVal(part) for part in parts]
        term = terms[0] if len(terms) == 1 else z3.Concat(*terms)
        self.constraints += [z3.InRe(term, z3.Complement(z3.Re(name))) for name in forbidden]
        return term

    def _slice(self, piece: Slice) -> z3.SeqRef:
        if piece not in self._slices:
            self._slices[piece] = z3.String(piece.name)
            self.constraints.append(z3.InRe(self._slices[piece], self._spelling(piece)))
        return self._slices[piece]

    def _spelling(self, piece: Slice) -> z3.ReRef:
        return _spelling(piece, frozenset(self._taken(piece)))

    def _taken(self, piece: Slice) -> Iterator[str]:
        """What may not be chosen: what the policy names, and the services that have rows of their own."""
        with_rows = {caller.service for caller in CALLERS} - {""}
        if piece is outsiders.SERVICE:
            yield from (service.partition(".")[0] for service in with_rows)
        if piece is outsiders.SERVICE_NAME:
            named = {name for name in self._world.named if name.endswith(".amazonaws.com")}
            services = with_rows | named if self._question.outsiders else with_rows
            yield from (service.removesuffix(".amazonaws.com") for service in services)
        of_endpoint = (outsiders.ENDPOINT_ACCOUNT, outsiders.ENDPOINT_ORGANISATION, outsiders.VPC, outsiders.ENDPOINT)
        if not self._question.outsiders and not (self._question.outside_of_vpc and piece in of_endpoint):
            return
        closed = self._world.inside if self._question.outside_of_vpc else None
        for start, pieces in _TAKEN:
            if piece in pieces:
                for name in self._world.named if closed is None else closed:
                    if name.startswith(start) and (start or name.isdigit()):
                        yield name.removeprefix(start)

    def _address(self, key: str, *, closed: bool) -> tuple[z3.BoolRef, z3.ArithRef]:
        six, number = z3.Bool(f"{key} is v6"), z3.Int(key)
        self.constraints.append(z3.And(number >= 0, number < z3.If(six, 2**128, 2**32)))
        if closed:
            blocks = [ip_network(text) for text in _PRIVATE]
            blocks += self._world.blocks if self._question.outsiders else ()
            self.constraints += [z3.Not(_inside((six, number), block)) for block in blocks]
        return six, number

    def _open(self, key: str, there: Formula) -> list[_Value]:
        lines = [line for statement in self._statements for line in statement.lines if line.key == key]
        kinds = {"date" if line.kind == "numeric" else line.kind for line in lines} - {"null"}
        if {"string", "arn"} >= kinds:
            kinds = {"string"}
        if len(kinds) > 1:
            raise BeyondError(f"{key} is compared as {kinds}")
        several = key in self._world.sets and key not in _SINGLE and not key.startswith(_TAGS)
        values = []
        for index in range(max(1, len(lines)) if several else 1):
            name = f"{key} {index}"
            here = there if index == 0 else _and(there, z3.Bool(f"has {name}"))
            if kinds == {"string"}:
                term = z3.String(name)
                self.constraints.append(z3.InRe(term, z3.Star(_LETTERS)))
                values.append(_Value(here, z3.InRe(term, z3.Re("")), term=term))
            elif kinds == {"date"}:
                unreadable = z3.Bool(f"{name} is no number")
                empty = z3.And(unreadable, z3.Bool(f"{name} is empty"))
                values.append(_Value(here, empty, number=z3.Real(name), unreadable=unreadable))
            elif kinds == {"ip"}:
                unreadable = z3.Bool(f"{name} is no address")
                empty = z3.And(unreadable, z3.Bool(f"{name} is empty"))
                values.append(_Value(here, empty, address=self._address(name, closed=False), unreadable=unreadable))
            else:
                options = self._options(name, ["true", "false", "x", ""])
                values.append(_Value(here, options[-1][0], options))
        return values

    # --- what the policy says

    def _applies(self, statement: _Statement, action: str) -> Formula:
        not_principal, not_action, not_resource = statement.negated
        doubt = statement.allows is not not_action
        spellings = [action.lower()]
        if doubt and action in ("sqs:SendMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
            spellings.append(f"{action}Batch".lower())
        patterns = [_python_regex(_tokens(text.lower(), True, False), False, False) for text in statement.actions]
        if any(pattern.fullmatch(text) for pattern in patterns for text in spellings) is not_action:
            return False
        doubt = statement.allows is not not_principal
        principal = _or(*(self._names(kind, name, doubt) for kind, name in statement.principals))
        fulfilled = [_not(principal) if not_principal else principal]
        queue = _Value(True, options=((True, self._queue_arn),))
        tokens = [_tokens(text, True, statement.variables) for text in statement.resources]
        resource = _or(*(self._fits_text(queue, entry, False, False) for entry in tokens))
        fulfilled.append(_not(resource) if not_resource else resource)
        for line in statement.lines:
            if any(formula is False for formula in fulfilled):
                return False
            fulfilled.append(self._holds(line, statement.allows))
        return _and(*fulfilled)

    def _names(self, kind: str, name: str, doubt: bool) -> Formula:
        if kind == "AWS" and name == "*":
            return True
        if name in ("", "*"):
            return doubt
        wild = "*" in name or "?" in name
        if kind != "AWS":
            return (wild and doubt) or self._is_principal(name)
        if not isinstance(self._caller.principal, Spelled) or self._caller.is_service:
            return self._is_principal(name)
        if wild:
            if not doubt:
                return False
            account = self._slice(outsiders.ACCOUNT)
            regex = _regex_of(_tokens(name, True, False), False, False)
            root = z3.Concat(z3.StringVal("arn:aws:iam::"), account, z3.StringVal(":root"))
            return _or(*(z3.InRe(term, regex) for term in (self._principal(), account, root)))
        match = re.fullmatch(r"(\d{12})|arn:aws:iam::(\d{12}):root", name)
        if match:
            tokens = _tokens(f"arn:aws:*::{match[1] or match[2]}:*", True, False)
            return z3.InRe(self._principal(), _regex_of(tokens, True, False))
        return self._is_principal(name)

    def _principal(self) -> z3.SeqRef:
        value = self._of(self._caller.principal_key)[0]
        assert value.term is not None
        return value.term

    def _is_principal(self, name: str) -> Formula:
        if not isinstance(self._caller.principal, Spelled):
            principal = self._caller.principal
            return name == (self._given[principal] if isinstance(principal, Given) else principal)
        return z3.InRe(self._principal(), z3.Re(name))

    def _holds(self, line: _Line, allows: bool) -> Formula:
        if line.kind == "binary":
            raise BeyondError("binary values")
        if line.kind in ("string", "arn"):
            wildcards = line.base == "stringlike" or line.kind == "arn"
            wanted: list[Any] = [_tokens(text, wildcards, line.variables) for text in line.values]
            if line.kind == "arn":
                variable = any(token.what == "variable" for tokens in wanted for token in tokens)
                if variable:
                    raise BeyondError("variables in ARNs")
                wanted = [tokens if _colons(tokens) >= 5 else None for tokens in wanted]
        else:
            wanted = [_READERS[line.kind](text) for text in line.values]
        if not wanted or any(entry is None for entry in wanted):
            return allows
        values = self._of(line.key)
        if line.kind == "null" or line.over:  # to these, an empty text is no value
            values = [value._replace(there=_and(value.there, _not(value.empty))) for value in values]
        present = _or(*(value.there for value in values))
        if line.kind == "null":
            return _or(*(_not(present) if entry else present for entry in wanted))
        missing = line.if_exists or line.over == "forallvalues" or (line.negated and not line.over)
        if line.over == "foranyvalue" and line.if_exists:
            missing = allows  # in doubt
        fitting = [_or(*(self._fits(line, value, entry) for entry in wanted)) for value in values]
        pairs = list(zip((value.there for value in values), fitting, strict=True))
        if not line.over:
            fits = _or(*(_and(there, fit) for there, fit in pairs))
            held = _not(fits) if line.negated else fits
            held = _and(held, allows or line.key not in MULTIPLE)
        else:
            pairs = [(there, _not(fit) if line.negated else fit) for there, fit in pairs]
            if line.over == "forallvalues":
                held = _and(*(_or(_not(there), fit) for there, fit in pairs))
            else:
                held = _or(*(_and(there, fit) for there, fit in pairs))
        return _or(_and(present, held), _and(_not(present), missing))

    def _fits(self, line: _Line, value: _Value, wanted: Any) -> Formula:
        if line.kind in ("string", "arn"):
            return self._fits_text(value, wanted, line.kind == "arn", line.base.endswith("ignorecase"))
        if value.term is not None or (value.number is None and line.kind in ("numeric", "date") and not value.options):
            raise BeyondError(f"{line.key} as {line.kind}")
        if line.kind == "bool":
            return _or(*(guard for guard, text in value.options if _bool(text) is wanted))
        if line.kind == "ip":
            if value.address is None:
                raise BeyondError(f"{line.key} as an address")
            return _and(_not(value.unreadable), _inside(value.address, wanted))
        if value.number is None:
            raise BeyondError(f"{line.key} as a number")
        relation = line.base.removeprefix("numeric").removeprefix("date")
        return _and(_not(value.unreadable), _RELATIONS[relation](value.number, wanted))

    def _fits_text(self, value: _Value, tokens: tuple[_Token, ...], by_part: bool, without_case: bool) -> Formula:
        if value.term is None and not value.options:
            raise BeyondError("text operators on numbers or addresses")
        position = next((index for index, token in enumerate(tokens) if token.what == "variable"), None)
        if position is None:
            return self._matches(value, tokens, by_part, without_case)
        variable = tokens[position]
        ways = []
        others = self._of(variable.text)
        for choice in others:
            alone = _and(choice.there, *(_not(other.there) for other in others if other is not choice))
            for guard, text in choice.options:
                filled = (*tokens[:position], *_letters(text), *tokens[position + 1 :])
                ways.append(_and(alone, guard, self._fits_text(value, filled, by_part, without_case)))
            if choice.term is not None:
                ways.append(_and(alone, self._matches_spelled(value, tokens, position, choice.term, without_case)))
            elif not choice.options:
                raise BeyondError("numbers in variables")
        if variable.default is not None:
            count = [z3.If(other.there, 1, 0) for other in others]
            none_alone = z3.Sum(*count) != 1 if count else True
            filled = (*tokens[:position], *_letters(variable.default), *tokens[position + 1 :])
            ways.append(_and(none_alone, self._fits_text(value, filled, by_part, without_case)))
        return _or(*ways)

    def _matches(self, value: _Value, tokens: tuple[_Token, ...], by_part: bool, without_case: bool) -> Formula:
        regex = _python_regex(tokens, by_part, without_case)
        if value.term is None:
            return _or(*(guard for guard, text in value.options if regex.fullmatch(text)))
        return z3.InRe(value.term, _regex_of(tokens, by_part, without_case))

    def _matches_spelled(
        self, value: _Value, tokens: tuple[_Token, ...], position: int, term: z3.SeqRef, without_case: bool
    ) -> Formula:
        before, after = tokens[:position], tokens[position + 1 :]
        open_end = bool(after) and after[-1].what == "*"
        after = after[:-1] if open_end else after
        if without_case or not all(token.what == "letter" for token in (*before, *after)):
            raise BeyondError("variables among wildcards")
        pieces = [z3.StringVal("".join(token.text for token in part)) for part in (before, after)]
        whole = z3.Concat(pieces[0], term, pieces[1])
        compare = (lambda text: z3.PrefixOf(whole, text)) if open_end else (lambda text: whole == text)
        if value.term is not None:
            return compare(value.term)
        return _or(*(_and(guard, compare(z3.StringVal(text))) for guard, text in value.options))


_TAKEN: tuple[tuple[str, tuple[Slice, ...]], ...] = (
    ("", (outsiders.ACCOUNT, outsiders.SOURCE_ACCOUNT, outsiders.ENDPOINT_ACCOUNT)),
    ("o-", (outsiders.ORGANISATION, outsiders.SOURCE_ORGANISATION, outsiders.ENDPOINT_ORGANISATION)),
    ("vpc-", (outsiders.VPC,)),
    ("vpce-", (outsiders.ENDPOINT,)),
    ("AROA", (outsiders.ROLE_ID,)),
    ("AIDA", (outsiders.ROLE_ID,)),
    ("arn:aws:s3:::", (outsiders.BUCKET,)),
)
_TAGS = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")
_SINGLE = {"aws:currenttime", "aws:epochtime", "aws:useragent", "aws:referer", "aws:sourceidentity"} | {
    "aws:tokenissuetime",
    "aws:vpcsourceip",
    "aws:federatedprovider",
    "aws:multifactorauthpresent",
    "aws:multifactorauthage",
}
_RELATIONS: dict[str, Callable[[Any, Any], z3.BoolRef]] = {
    "equals": lambda value, wanted: value == wanted,
    "lessthan": lambda value, wanted: value < wanted,
    "lessthanequals": lambda value, wanted: value <= wanted,
    "greaterthan": lambda value, wanted: value > wanted,
    "greaterthanequals": lambda value, wanted: value >= wanted,
}


def _letters(text: str) -> tuple[_Token, ...]:
    return tuple(_Token("letter", letter) for letter in text)


def _inside(address: tuple[z3.BoolRef, z3.ArithRef], block: Any) -> z3.BoolRef:
    six, number = address
    return z3.And(six if block.version == 6 else z3.Not(six), number >= int(block[0]), number <= int(block[-1]))


@lru_cache(maxsize=256)
def _spelling(piece: Slice, taken: frozenset[str]) -> z3.ReRef:
    """All spellings of a slice, by the letters and the length that the table gives it, but those that are taken."""
    codes = sorted(map(ord, set(piece.letters)))
    starts = [code for code in codes if code - 1 not in codes]
    ends = [code for code in codes if code + 1 not in codes]
    ranges = [z3.Range(chr(start), chr(end)) for start, end in zip(starts, ends, strict=True)]
    letter = ranges[0] if len(ranges) == 1 else z3.Union(*ranges)
    if piece.at_most is not None:
        spelling = z3.Loop(letter, piece.at_least, piece.at_most)
    else:
        spelling = z3.Star(letter) if piece.at_least == 0 else z3.Plus(letter)
    return _without(spelling, taken)


def _without(regex: z3.ReRef, texts: Iterable[str]) -> z3.ReRef:
    for text in sorted(texts):
        regex = z3.Intersect(regex, z3.Complement(z3.Re(text)))
    return regex
