"""From the text of a policy to statements: one shape for all the ways in which IAM lets a policy be written.

Source: "Grammar of the IAM JSON policy language" in the IAM user guide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, NoReturn

from safe_sqs.policy.operators import Operator, read_operator, read_value

__all__ = ["WITHOUT_TYPE", "Condition", "Document", "PolicyError", "Statement", "a_condition", "parse"]

Document = str | Mapping[str, object] | None

_VERSIONS = ("2012-10-17", "2008-10-17")
_TOP_KEYS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_KEYS = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_PRINCIPAL_TYPES = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})


WITHOUT_TYPE = ""
"""The type of principals in a list that names none. The grammar has no such list."""


class PolicyError(ValueError):
    """The document is not a policy. `where` is the path to the place, such as `Statement[2].Effect`."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class Condition(NamedTuple):
    """One line of a Condition block.

    The key is in lower case; `variables` says that `${...}` in a value is one. `doubtful` says that the operator cannot
    read a value, or that there is none: IAM does not say what such a line does. `size` grows with the values.
    """

    operator: Operator
    key: str
    values: tuple[str, ...]
    variables: bool
    doubtful: bool
    size: int


def a_condition(operator: Operator, key: str, values: tuple[str, ...], *, variables: bool) -> Condition:
    """A line of a Condition block."""
    doubtful = not values or any(read_value(operator.compared, text, variables) is None for text in values)
    return Condition(operator, key, values, variables, doubtful, len(values) + sum(map(len, values)) // 64)


class Statement(NamedTuple):
    """One statement. `principals` are (type, value) pairs with `*` as ("AWS", "*"); actions are in lower case.

    `principals_negated`, `actions_negated` and `resources_negated` say that the element was NotPrincipal, NotAction
    or NotResource. `variables` says that `${...}` in a resource is a policy variable.
    """

    position: int
    sid: str
    allows: bool
    principals: tuple[tuple[str, str], ...]
    principals_negated: bool
    actions: tuple[str, ...]
    actions_negated: bool
    resources: tuple[str, ...]
    resources_negated: bool
    conditions: tuple[Condition, ...]
    variables: bool

    @property
    def name(self) -> str | int:
        """The Sid, or the index of a statement that has none."""
        return self.sid or self.position

    @property
    def label(self) -> str:
        """The statement in words."""
        return f"statement {self.sid!r}" if self.sid else f"statement number {self.position + 1}"

    @property
    def identity(self) -> str:
        """What the statement says, wherever in the policy it stands."""
        return repr(self._replace(position=0))


def parse(document: Document) -> tuple[Statement, ...]:
    """The statements of a policy text or of a parsed policy. None and "" are no policy, and have no statements.

    Raises PolicyError for everything that the grammar does not know, because what is not understood is not judged.
    """
    if document is None or document == "":
        return ()
    return _parse_text(document) if isinstance(document, str) else _parse(document)


@lru_cache(maxsize=64)
def _parse_text(text: str) -> tuple[Statement, ...]:
    """The rules ask one after the other about the same policy."""
    return _parse(_from_text(text))


def _parse(policy: object) -> tuple[Statement, ...]:
    if not isinstance(policy, Mapping):
        _fail("policy", "is not an object")
    _known(policy, _TOP_KEYS, "policy")
    if not isinstance(policy.get("Id", ""), str):
        _fail("Id", "is not a string")
    version = policy.get("Version", _VERSIONS[1])
    if version not in _VERSIONS:
        _fail("Version", f"is none of {', '.join(_VERSIONS)}")
    statements = policy.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list):
        _fail("Statement", "is missing or neither an object nor a list")
    variables = version == _VERSIONS[0]
    return tuple(_statement(entry, index, variables=variables) for index, entry in enumerate(statements))


def _from_text(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        if isinstance(error, PolicyError):
            raise
        _fail("policy", "is not JSON")


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        _fail("policy", "has the same key twice in one object")
    return result


def _statement(entry: object, index: int, *, variables: bool) -> Statement:
    where = f"Statement[{index}]"
    if not isinstance(entry, Mapping):
        _fail(where, "is not an object")
    _known(entry, _STATEMENT_KEYS, where)
    effect = entry.get("Effect")
    if effect not in ("Allow", "Deny"):
        _fail(f"{where}.Effect", "is neither Allow nor Deny")
    principals_key = _either(entry, "Principal", "NotPrincipal", where)
    actions_key = _either(entry, "Action", "NotAction", where)
    resources_key = _either(entry, "Resource", "NotResource", where)
    sid = entry.get("Sid", "")
    if not isinstance(sid, str):
        _fail(f"{where}.Sid", "is not a string")
    return Statement(
        position=index,
        sid=sid,
        allows=effect == "Allow",
        principals=_principals(entry[principals_key], f"{where}.{principals_key}"),
        principals_negated=principals_key.startswith("Not"),
        actions=tuple(action.lower() for action in _strings(entry[actions_key], f"{where}.{actions_key}")),
        actions_negated=actions_key.startswith("Not"),
        resources=_strings(entry[resources_key], f"{where}.{resources_key}"),
        resources_negated=resources_key.startswith("Not"),
        conditions=_conditions(entry.get("Condition", {}), f"{where}.Condition", variables=variables),
        variables=variables,
    )


def _principals(value: object, where: str) -> tuple[tuple[str, str], ...]:
    if value in ("*", ""):
        return (("AWS", str(value)),)
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple((WITHOUT_TYPE, entry) for entry in value)
    if not isinstance(value, Mapping):
        _fail(where, 'is neither "*" nor an object')
    _known(value, _PRINCIPAL_TYPES, where)
    return tuple((kind, name) for kind in value for name in _strings(value[kind], f"{where}.{kind}"))


def _conditions(value: object, where: str, *, variables: bool) -> tuple[Condition, ...]:
    if not isinstance(value, Mapping):
        _fail(where, "is not an object")
    lines = []
    for name, keys in value.items():
        operator = read_operator(name) if isinstance(name, str) else None
        if operator is None:
            _fail(f"{where}.{name}", "is not a condition operator")
        if not isinstance(keys, Mapping):
            _fail(f"{where}.{name}", "is not an object")
        seen = set()
        for key, values in keys.items():
            if str(key).lower() in seen:
                _fail(f"{where}.{name}.{key}", "is there twice, in another letter case")
            seen.add(str(key).lower())
            texts = _strings(values, f"{where}.{name}.{key}", scalars=True)
            lines.append(a_condition(operator, str(key).lower(), texts, variables=variables))
    return tuple(lines)


def _strings(value: object, where: str, *, scalars: bool = False) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) or (scalars and isinstance(entry, bool | int | float)) for entry in entries):
        _fail(where, "is not a string or a list of strings")
    return tuple(str(entry).lower() if isinstance(entry, bool) else str(entry) for entry in entries)


def _either(entry: Mapping[str, object], plain: str, negated: str, where: str) -> str:
    if (plain in entry) == (negated in entry):
        _fail(where, f"needs one of {plain} and {negated}, and only one")
    return plain if plain in entry else negated


def _known(entry: Mapping[str, object], keys: frozenset[str], where: str) -> None:
    for key in entry:
        if key not in keys:
            _fail(where, f"has the unknown element {key!r}")


def _fail(where: str, problem: str) -> NoReturn:
    raise PolicyError(where, problem)
