"""What a file leaves open until it is deployed, and what the judge gets in its place.

An open value may turn out as anything. So it is judged as narrow (a text that is nobody's) and as wide (`*`), in what
the policy allows and in what it denies: an answer that is the same each time holds for every value, and one that is not
could not be told.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["ACCOUNT", "REGION", "in_words", "is_open", "names_in", "narrow", "narrowed", "open_value", "shapes_of"]

ACCOUNT = "048151623420"
"""In place of the account into which something is deployed, where the file does not say it."""

REGION = "xx-region-1"
"""In place of the region, likewise."""

_BEGIN, _END = "\ue000", "\ue001"  # from the private use area: no template has these
_OPEN = re.compile(f"{_BEGIN}([^{_BEGIN}{_END}]*){_END}")

OPEN_POLICY = '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}'
CLOSED_POLICY = '{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}'


def open_value(name: str) -> str:
    """The mark for a value that is not known, within a text or as a whole."""
    return f"{_BEGIN}{name.replace(_BEGIN, '').replace(_END, '')}{_END}"


def is_open(value: Any) -> bool:
    """True for a text that as a whole is not known."""
    return isinstance(value, str) and _OPEN.fullmatch(value) is not None


def narrow(name: str) -> str:
    """What stands for an open value of this name: 12 digits that look like an account's, and are the same each time."""
    return f"07{zlib.crc32(name.encode(errors='replace')) % 10**10:010d}"


def narrowed(value: Any) -> Any:
    """A value with every open one narrow."""
    return _replaced(value, lambda found: narrow(found[1]))


def in_words(text: str) -> str:
    """A text with the names of its open values."""
    return _OPEN.sub(r"${\1}", text)


def names_in(value: Any) -> tuple[str, ...]:
    """The names of the open values, in their order."""
    return tuple(dict.fromkeys(name for text in _texts(value) for name in _OPEN.findall(text)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(key)
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _replaced(value: Any, by: Any) -> Any:
    if isinstance(value, str):
        return _OPEN.sub(by, value)
    if isinstance(value, Mapping):
        return {_replaced(key, by): _replaced(each, by) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, by) for each in value]
    return value


def shapes_of(document: Any, queue_arn: str) -> tuple[str | None, ...]:
    """The texts of all the policies that a document may turn out as, the one with every open value narrow first.

    An Allow about another resource than the queue is judged as if it were about the queue as well, because a file does
    not always say what the queue will be called.
    """
    if document is None:
        return (None,)
    if is_open(document):
        return (None, OPEN_POLICY, CLOSED_POLICY)
    if isinstance(document, str) and not names_in(document) and not _is_elsewhere(document, queue_arn):
        return (document,)
    policy = document
    is_as_written = isinstance(document, str) and not names_in(document)
    first = narrowed(document)
    if isinstance(document, str):
        try:
            policy = json.loads(document)
        except (ValueError, RecursionError):
            return (first,)
    both = (narrow, _wide)
    shapes = [_text(_shaped(policy, allow, deny)) for allow in both for deny in both]
    shapes = [first if is_as_written else shapes[0], *shapes]
    if queue_arn:
        shapes += [_text(_about(json.loads(shape), queue_arn)) for shape in shapes[1:]]
    return tuple(dict.fromkeys(shapes))


def _text(value: Any) -> str:
    return json.dumps(value)


def _wide(_: str) -> str:
    return "*"


def _shaped(policy: Any, allow: Any, deny: Any) -> Any:
    if not isinstance(policy, Mapping):
        return narrowed(policy)
    shaped = {}
    for key, value in policy.items():
        if key != "Statement":
            shaped[key] = narrowed(value)
        elif isinstance(value, list):
            shaped[key] = [_shaped_statement(each, allow, deny) for each in value]
        else:
            shaped[key] = _shaped_statement(value, allow, deny)
    return shaped


def _shaped_statement(statement: Any, allow: Any, deny: Any) -> Any:
    if not isinstance(statement, Mapping):
        return narrowed(statement)
    by = allow if statement.get("Effect") == "Allow" else deny
    return {key: _element(key, value, by) for key, value in statement.items()}


def _other(by: Any) -> Any:
    """What is left out is the most where it is the least that is named."""
    return narrow if by is _wide else _wide


def _element(key: str, value: Any, by: Any) -> Any:
    by = _other(by) if key.startswith("Not") else by
    if key in ("Principal", "NotPrincipal"):
        return _principal(value, by)
    if key == "Condition" and isinstance(value, Mapping):
        return {narrowed(operator): _condition(operator, keys, by) for operator, keys in value.items()}
    return _replaced(value, lambda found: by(found[1]))


_OF_OPERATORS = {
    "arn": (f"arn:aws:sns:{REGION}:{ACCOUNT}:{{}}", "arn:*:*:*:*:*"),
    "ip": ("192.0.2.1/32", "0.0.0.0/0"),
    "notip": ("192.0.2.1/32", "0.0.0.0/0"),
    "bool": ("true", "false"),
    "null": ("true", "false"),
    "numeric": ("0", "999999999999"),
    "date": ("2000-01-01T00:00:00Z", "2200-01-01T00:00:00Z"),
}
"""What an open value is at the narrowest and the widest, for the operators which read no plain text."""


def _condition(operator: str, value: Any, by: Any) -> Any:
    name = operator.rpartition(":")[2].lower()
    by = _other(by) if "not" in name else by
    shapes = next((each for prefix, each in _OF_OPERATORS.items() if name.startswith(prefix)), ("{}", "*"))

    def of_whole(text: str) -> str:
        open_name = names_in(text)[0]
        return shapes[1] if by is _wide else shapes[0].format(narrow(open_name))

    def shaped(each: Any) -> Any:
        if isinstance(each, Mapping):
            return {narrowed(key): shaped(values) for key, values in each.items()}
        if isinstance(each, list):
            return list(map(shaped, each))
        return of_whole(each) if is_open(each) else _replaced(each, lambda found: by(found[1]))

    return shaped(value)


def _principal(value: Any, by: Any) -> Any:
    """A principal is wide as a whole or not at all: AWS takes no policy with `*` in a part of one."""
    if isinstance(value, str):
        return _replaced(value, lambda found: by(found[1])) if is_open(value) else narrowed(value)
    if isinstance(value, Mapping):
        return {narrowed(key): _principal(each, by) for key, each in value.items()}
    return [_principal(each, by) for each in value] if isinstance(value, list) else value


def _is_elsewhere(document: str, queue_arn: str) -> bool:
    """True for a policy that may have an Allow which is not about the queue."""
    return bool(queue_arn) and "Resource" in document


def _about(policy: Any, queue_arn: str) -> Any:
    """A policy whose Allows are all about the queue."""
    if not isinstance(policy, Mapping):
        return policy
    found = policy.get("Statement")
    statements = found if isinstance(found, list) else [found]
    about = [_statement_about(each, queue_arn) for each in statements]
    return {**policy, "Statement": about if isinstance(found, list) else about[0]}


def _statement_about(statement: Any, queue_arn: str) -> Any:
    if isinstance(statement, Mapping) and statement.get("Effect") == "Allow" and "Resource" in statement:
        return {**statement, "Resource": queue_arn}
    return statement
