"""Policies of the corpus, changed at random: as text, and as JSON with its structure kept. And what to ask of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml

from safe_sqs import policy

__all__ = ["PLACES", "asked", "corpus", "mutated"]

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
QUEUE = "arn:aws:sqs:us-east-1:111122223333:orders"
_SCRAPS = (
    *(
        '"',
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\",
        "\0",
        "\u20ac",
        "\ud800",
        " ",
        "*",
        "?",
        "*?*?",
        "${",
        "${aws:username}",
    ),
    *("/", "/0", "::", "0.0.0.0/0", "::/0", "ForAllValues:", "IfExists", "Not", "null", "true", "NaN", "1e999", "-0"),
    *(
        "arn:aws:s3:::",
        "9" * 400,
        "a" * 3000,
        "*a" * 200,
        "[" * 2000,
        "2026-02-30",
        "Null",
        "aws:SourceIp",
        "o-",
        "vpce-",
    ),
)
_STRANGE = (
    None,
    True,
    0,
    -1,
    1e308,
    10**40,
    "",
    "*",
    [],
    {},
    [[]],
    {"": ""},
    {"AWS": []},
    ["*", None],
    {"Bool": {"x": []}},
)
PLACES = ("text", "tree")
"""Where a mutation changes a policy."""


def corpus() -> list[dict[str, Any]]:
    """The policies of the corpus."""
    found = []
    for path in sorted(CORPUS.glob("*/*.yaml")):
        found += [entry["policy"] for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]
    return found


def mutated(rng: Random, document: Any, place: str, others: list[Any]) -> str:
    """A policy as text, with one to three changes. Some come from the other policies."""
    document = copy.deepcopy(document)
    if place == "tree":
        for _ in range(rng.choice((1, 1, 2, 3))):
            document = _changed_tree(rng, document, others)
        return json.dumps(document)
    text = json.dumps(document, indent=rng.choice((None, 1)))
    for _ in range(rng.choice((1, 1, 2, 3))):
        text = _changed_text(rng, text)
    return text


def _changed_text(rng: Random, text: str) -> str:
    start = rng.randint(0, len(text))
    end = min(len(text), start + rng.choice((0, 1, 1, 2, 8, 64)))
    piece = rng.choice(
        (rng.choice(_SCRAPS), chr(rng.randrange(128)), text[start:end] * 2, text[start:end].swapcase(), "")
    )
    return text[:start] + piece + text[end:]


def _changed_tree(rng: Random, document: Any, others: list[Any]) -> Any:
    places = list(_places(document))
    if not places:
        return copy.deepcopy(rng.choice(others))
    holder, key = rng.choice(places)
    value = holder[key]
    what = rng.randrange(14)
    if what == 0:
        del holder[key]
    elif what == 1:
        holder[key] = copy.deepcopy(rng.choice(_STRANGE))
    elif what == 2:
        holder[key] = [value, copy.deepcopy(value)]
    elif what == 3:
        other, place = rng.choice(list(_places(rng.choice(others))))
        holder[key] = copy.deepcopy(other[place])
    elif what == 4 and isinstance(holder, dict):
        del holder[key]
        holder[_changed_text(rng, key)] = value
    elif what == 5 and isinstance(value, list) and value:
        holder[key] = rng.choice((value[0], value * 30))
    elif isinstance(value, str):
        holder[key] = _changed_text(rng, value)
    else:
        holder[key] = rng.choice((str(value), [value]))
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a tree: what holds it, and its key or index there."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield value, key
        yield from _places(entry)


def asked(document: Any) -> str:
    """Asks everything about a policy; the problem where it is none. Whatever else is raised is a fault of the judge."""
    try:
        policy.parse(document)
    except policy.PolicyError as error:
        return str(error)
    answers = (
        policy.public_access(document, queue_arn=QUEUE),
        policy.plaintext_access(document, queue_arn=QUEUE),
        policy.outside_vpc_access(document, queue_arn=QUEUE),
        policy.outside_vpc_access(document, queue_arn=QUEUE, vpcs=["vpc-0a1b"], vpc_endpoints=["vpce-0a1b"]),
        policy.public_access(document),
    )
    for answer in answers:
        assert answer.found in (True, False, None)
        assert (answer.witness is not None) is (answer.found is True)
        assert str(answer)
        if answer.witness is not None:
            denied = policy.decide(document, answer.witness) is policy.Decision.DENY
            assert not denied, f"{answer.witness} is denied"
    for grant in policy.grants(document, queue_arn=QUEUE):
        assert grant.actions
    for foreigner in policy.foreign_accounts(document, queue_arn=QUEUE):
        assert str(foreigner)
    return ""
