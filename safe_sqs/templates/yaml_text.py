"""YAML as CloudFormation writes it: the short forms of its functions are tags, and a date is text.

Built from the events of PyYAML's parser, without its constructors: nothing in a file is ever made into anything but
text, numbers as they are written, True, False, None, lists and dicts. PyYAML comes with the extra `cli`.
"""

from __future__ import annotations

from typing import Any

from safe_sqs.templates.errors import TemplateError

__all__ = ["documents"]

MOST_VALUES = 500_000
"""How many values a file may have, those that an alias repeats counted each time."""

_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_NULL = frozenset({"", "~", "null"})
_AS_THEY_ARE = frozenset({"!Ref", "!Condition"})


def documents(text: str, deepest: int) -> tuple[Any, ...]:
    """The documents of a YAML text. Raises TemplateError."""
    try:
        import yaml
    except ImportError:
        raise TemplateError(
            "reading YAML needs PyYAML", "pip install 'safe_sqs[cli]', or give the file as JSON"
        ) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reader = _Reader(deepest)
    try:
        for event in yaml.parse(text, Loader=loader):
            reader.take(event)
    except UnicodeError:
        raise TemplateError("not YAML: it has halves of characters", "correct it") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        where = f", in line {mark.line + 1}" if mark else ""
        raise TemplateError(f"not YAML: {problem}{where}", "correct it") from None
    return tuple(reader.documents)


class _Open:
    """A list or mapping of which the end has not come yet."""

    def __init__(self, value: Any, tag: str | None, anchor: str | None, before: int) -> None:
        self.value = value
        self.tag = tag
        self.anchor = anchor
        self.before = before
        self.key: str | None = None
        self.merged: list[Any] = []


class _Reader:
    def __init__(self, deepest: int) -> None:
        self.documents: list[Any] = []
        self._deepest = deepest
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._count = 0
        self._line = 0

    def take(self, event: Any) -> None:
        """One event after the other."""
        kind = type(event).__name__
        self._line = event.start_mark.line + 1
        if kind == "DocumentStartEvent":
            self._anchors = {}
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._begin({} if kind.startswith("M") else [], event)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._end()
        elif kind == "ScalarEvent":
            self._count += 1
            self._put(self._named(event.anchor, _tagged(event.tag, _scalar(event)), 1))
        elif kind == "AliasEvent":
            self._repeat(event.anchor)
        if self._count > MOST_VALUES:
            self._fail(f"it has more than {MOST_VALUES} values, with those that aliases repeat", "name another file")

    def _begin(self, value: Any, event: Any) -> None:
        if len(self._open) >= self._deepest:
            self._fail(f"it is nested more than {self._deepest} deep", "name another file")
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            self._fail("a key is a list or an object", "write a text as the key")
        self._count += 1
        self._open.append(_Open(value, event.tag, event.anchor, self._count))

    def _end(self) -> None:
        done = self._open.pop()
        for merged in reversed(done.merged):
            for each in merged if isinstance(merged, list) else [merged]:
                if not isinstance(each, dict):
                    self._fail("what << merges is not an object", "merge an object")
                for key, value in each.items():
                    done.value.setdefault(key, value)
        self._put(self._named(done.anchor, _tagged(done.tag, done.value), self._count - done.before + 1))

    def _named(self, anchor: str | None, value: Any, size: int) -> Any:
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        return value

    def _repeat(self, anchor: str) -> None:
        if anchor not in self._anchors:  # one that is not there, or that would hold itself
            self._fail(f"the alias *{anchor} stands for nothing", "define it before")
        value, size = self._anchors[anchor]
        self._count += size
        self._put(value)

    def _put(self, value: Any) -> None:
        if not self._open:
            self.documents.append(value)
            return
        into = self._open[-1]
        if isinstance(into.value, list):
            into.value.append(value)
        elif into.key is None:
            if isinstance(value, dict | list):
                self._fail("a key is a list or an object", "write a text as the key")
            into.key = _as_key(value)
            if into.key in into.value:
                self._fail(f"the key {into.key!r} is there twice in one object", "remove one of them")
        else:
            if into.key == "<<":
                into.merged.append(value)
            else:
                into.value[into.key] = value
            into.key = None

    def _fail(self, found: str, next_step: str) -> None:
        raise TemplateError(f"{found}, in line {self._line}", next_step)


def _as_key(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _scalar(event: Any) -> Any:
    """A plain scalar may be a truth value or nothing. Numbers and dates stay as they are written, so that an account id
    keeps its zeros and a policy its version."""
    text: str = event.value
    if event.style or not event.implicit[0]:  # in quotes, or tagged
        return text
    lower = text.lower()
    if lower in _NULL:
        return None
    return True if lower in _TRUE else False if lower in _FALSE else text


def _tagged(tag: str | None, value: Any) -> Any:
    """`!Sub x` as {"Fn::Sub": x}: the long form, which JSON has to write."""
    if tag is None or not tag.startswith("!") or tag == "!":
        return value
    if tag in _AS_THEY_ARE:
        return {tag[1:]: value}
    if tag == "!GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{tag[1:]}": value}
