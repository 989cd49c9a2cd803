"""The condition operators of IAM: one table, for Allow and Deny alike.

Source: "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context keys" in the IAM user
guide.
"""

from __future__ import annotations

import operator as compare
import re
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import isfinite
from typing import Any, NamedTuple

from safe_sqs.policy.texts import Pattern, by_part, has_six_parts, read_pattern

__all__ = [
    "Compared",
    "Operator",
    "Over",
    "fits",
    "operator_named",
    "read_operator",
    "read_request_value",
    "read_value",
]

Network = IPv4Network | IPv6Network


class Compared(Enum):
    """As what an operator compares the value in the policy and the value in the request. `is_text` is true for those
    that compare with patterns."""

    TEXT = "text", True
    TEXT_WITHOUT_CASE = "text without case", True
    TEXT_LIKE = "text with wildcards", True
    ARN = "ARN", True
    NUMBER = "number", False
    DATE = "date", False
    BOOL = "boolean", False
    BINARY = "binary", False
    ADDRESS = "IP address", False
    PRESENCE = "presence", False

    __hash__ = object.__hash__  # an enum's own is written in Python, and these are keys of caches

    def __init__(self, words: str, is_text: bool) -> None:
        self.words = words
        self.is_text = is_text


class Over(Enum):
    """How an operator treats the several values that a request may have for a key."""

    PLAIN = ""
    ALL = "ForAllValues:"
    ANY = "ForAnyValue:"


class Operator(NamedTuple):
    """A condition operator. `negated` ones hold where no value fits, and where the request lacks the key."""

    name: str
    compared: Compared
    negated: bool
    relation: Callable[[Any, Any], bool]
    over: Over = Over.PLAIN
    if_exists: bool = False

    def __str__(self) -> str:
        return f"{self.over.value}{self.name}{_IF_EXISTS if self.if_exists else ''}"


_IF_EXISTS = "IfExists"

_TABLE = (
    Operator("StringEquals", Compared.TEXT, False, compare.eq),
    Operator("StringNotEquals", Compared.TEXT, True, compare.eq),
    Operator("StringEqualsIgnoreCase", Compared.TEXT_WITHOUT_CASE, False, compare.eq),
    Operator("StringNotEqualsIgnoreCase", Compared.TEXT_WITHOUT_CASE, True, compare.eq),
    Operator("StringLike", Compared.TEXT_LIKE, False, compare.eq),
    Operator("StringNotLike", Compared.TEXT_LIKE, True, compare.eq),
    Operator("ArnEquals", Compared.ARN, False, compare.eq),
    Operator("ArnNotEquals", Compared.ARN, True, compare.eq),
    Operator("ArnLike", Compared.ARN, False, compare.eq),
    Operator("ArnNotLike", Compared.ARN, True, compare.eq),
    Operator("NumericEquals", Compared.NUMBER, False, compare.eq),
    Operator("NumericNotEquals", Compared.NUMBER, True, compare.eq),
    Operator("NumericLessThan", Compared.NUMBER, False, compare.lt),
    Operator("NumericLessThanEquals", Compared.NUMBER, False, compare.le),
    Operator("NumericGreaterThan", Compared.NUMBER, False, compare.gt),
    Operator("NumericGreaterThanEquals", Compared.NUMBER, False, compare.ge),
    Operator("DateEquals", Compared.DATE, False, compare.eq),
    Operator("DateNotEquals", Compared.DATE, True, compare.eq),
    Operator("DateLessThan", Compared.DATE, False, compare.lt),
    Operator("DateLessThanEquals", Compared.DATE, False, compare.le),
    Operator("DateGreaterThan", Compared.DATE, False, compare.gt),
    Operator("DateGreaterThanEquals", Compared.DATE, False, compare.ge),
    Operator("Bool", Compared.BOOL, False, compare.eq),
    Operator("BinaryEquals", Compared.BINARY, False, compare.eq),
    Operator("IpAddress", Compared.ADDRESS, False, compare.eq),
    Operator("NotIpAddress", Compared.ADDRESS, True, compare.eq),
    Operator("Null", Compared.PRESENCE, False, compare.eq),
)
_OPERATORS = {operator.name.lower(): operator for operator in _TABLE}


def operator_named(name: str) -> Operator:
    """An operator that there is."""
    operator = read_operator(name)
    assert operator is not None
    return operator


@lru_cache(maxsize=512)
def read_operator(name: str) -> Operator | None:
    """The operator of this name, in whatever letter case, or None when IAM has no such operator."""
    name = name.lower()
    over = next((over for over in (Over.ALL, Over.ANY) if name.startswith(over.value.lower())), Over.PLAIN)
    name = name.removeprefix(over.value.lower())
    base = name.removesuffix(_IF_EXISTS.lower())
    found = _OPERATORS.get(base)
    if found is None or (found.compared is Compared.PRESENCE and base != name):
        return None
    return found._replace(over=over, if_exists=base != name)


@lru_cache(maxsize=4096)
def read_value(compared: Compared, text: str, variables: bool) -> Any:
    """A value of the policy as its operator reads it, or None when the operator cannot read it."""
    if compared is Compared.ARN:
        pattern = read_pattern(text, wildcards=True, variables=variables)
        if pattern is None or pattern.variables:
            return pattern
        return by_part(pattern) if has_six_parts(pattern) else None
    if compared.is_text:
        text = text.lower() if compared is Compared.TEXT_WITHOUT_CASE else text
        return read_pattern(text, wildcards=compared is Compared.TEXT_LIKE, variables=variables)
    return _network(text) if compared is Compared.ADDRESS else read_request_value(compared, text)


def read_request_value(compared: Compared, text: str) -> Any:
    """A value of a request as an operator reads it, or None when the operator cannot read it."""
    if compared in _READERS:
        try:
            return _READERS[compared](text)
        except (ValueError, OverflowError):
            return None
    return text.lower() if compared is Compared.TEXT_WITHOUT_CASE else text


def fits(operator: Operator, wanted: Any, value: Any) -> bool:
    """True when a value of a request is what one value of the policy asks for. Both have been read."""
    if value is None:
        return False
    if operator.compared.is_text:
        pattern: Pattern = wanted
        return pattern.fits(value)
    if operator.compared is Compared.ADDRESS:
        return value in wanted
    return operator.relation(value, wanted)


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number) or not text.isascii() or "_" in text:
        raise ValueError(text)
    return number


def _date(text: str) -> float:
    """Seconds since 1970. A date is written by the W3C's profile of ISO 8601, or as such a number of seconds."""
    try:
        return _number(text)
    except ValueError:
        match = _MOMENT.fullmatch(text)
        if match is None:
            raise
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    moment = datetime(
        int(year),
        int(month),
        int(day),
        int(hour or 0),
        int(minute or 0),
        int(second or 0),
        tzinfo=timezone.utc if zone in (None, "Z") else timezone(_offset(zone)),
    )
    return moment.timestamp() + float(fraction or 0)


_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d))?", re.ASCII)


def _offset(zone: str) -> timedelta:
    minutes = 60 * int(zone[1:3]) + int(zone[4:])
    return timedelta(minutes=-minutes if zone[0] == "-" else minutes)


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _binary(text: str) -> bytes:
    return b64decode(text, validate=True)


def _address(text: str) -> IPv4Address | IPv6Address:
    return ip_address(text)


def _network(text: str) -> Network | None:
    if "/" in text and not text.partition("/")[2].isdigit():
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


_READERS: dict[Compared, Callable[[str], Any]] = {
    Compared.NUMBER: _number,
    Compared.DATE: _date,
    Compared.BOOL: _bool,
    Compared.PRESENCE: _bool,
    Compared.BINARY: _binary,
    Compared.ADDRESS: _address,
}
