"""From the text of a file to what it says, strictly: what could be read in two ways is an error."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from safe_sqs.templates import yaml_text
from safe_sqs.templates.errors import TemplateError

__all__ = ["lines_of", "read"]

DEEPEST = 100
"""How deep lists and objects may lie in each other. CloudFormation and Terraform stay far below."""


def read(text: str, name: str) -> tuple[Any, ...]:
    """The documents of a JSON or YAML text: one, but for YAML that has several. Raises TemplateError."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise TemplateError("the file is empty", "name the file with the policy or the template")
    is_json = name.lower().endswith(".json")
    looks_like_json = text.lstrip()[0] in "{["
    if is_json or looks_like_json:
        try:
            return (_from_json(text),)
        except _NotJsonError as error:
            if is_json or not _is_yaml_flow(text):
                raise TemplateError(str(error), "correct it; python -m json.tool shows the place") from None
    return yaml_text.documents(text, DEEPEST)


class _NotJsonError(ValueError):
    pass


def _from_json(text: str) -> Any:
    try:
        data = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except TemplateError:
        raise
    except json.JSONDecodeError as error:
        raise _NotJsonError(f"not JSON: {error.msg}, in line {error.lineno}") from None
    except (ValueError, RecursionError):
        raise _NotJsonError("not JSON: a number, or a nesting, that no template has") from None
    _check_depth(data)
    return data


def _is_yaml_flow(text: str) -> bool:
    """True for text that begins like JSON and has what only YAML has: tags, or keys without quotes."""
    return re.match(r"\s*[{\[]\s*(?:#|!|'|[A-Za-z])", text) is not None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise TemplateError(f"the key {twice!r} is there twice in one object", "remove one of them")
    return result


def _check_depth(data: Any) -> None:
    left = [(data, 1)]
    while left:
        value, depth = left.pop()
        if depth > DEEPEST:
            raise TemplateError(f"it is nested more than {DEEPEST} deep", "name another file")
        if isinstance(value, dict):
            left += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, list):
            left += [(each, depth + 1) for each in value]


_KEY = re.compile(r"""(?:^|[{,])\s*(?:-\s+)?["']?([^"'\s:{},]+)["']?\s*:""", re.MULTILINE)


def lines_of(text: str, after: str = "") -> dict[str, int]:
    """The line, counted from 1, on which each key stands first, of those after a key.

    A key is looked for at the beginning of a line, or after a brace or comma, as JSON and YAML write it.
    """
    lines: dict[str, int] = {}
    line, counted, is_after = 1, 0, not after
    for found in _KEY.finditer(text):
        if not is_after:
            is_after = found[1] == after
        elif found[1] not in lines:
            line += text.count("\n", counted, found.start(1))
            counted = found.start(1)
            lines[found[1]] = line
    return lines
