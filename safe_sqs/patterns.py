"""The wildcards of IAM: `*` for any run of characters, `?` for exactly one; nothing else is special."""

from __future__ import annotations

__all__ = ["has_wildcard", "matches"]


def has_wildcard(pattern: str) -> bool:
    """True when a pattern stands for more than one text."""
    return "*" in pattern or "?" in pattern


def matches(pattern: str, text: str) -> bool:
    """True when the whole text fits the pattern. Letter case counts.

    Takes time in proportion to the product of the two lengths at the worst: it only ever returns to the last star.
    """
    at, position = 0, 0
    star, resume = -1, 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[position]):
            at += 1
            position += 1
        elif star >= 0:
            at = star + 1
            resume += 1
            position = resume
        else:
            return False
    return pattern[at:].strip("*") == ""
