"""Texts that other people's programs read: no character in them that XML, a terminal or a parser would choke on."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

__all__ = ["cut", "printable", "xml_attribute", "xml_text"]

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")
"""All but the characters of XML 1.0, production 2, without those that it discourages."""


def printable(text: str) -> str:
    """The text with a replacement character for each control character, lone surrogate and noncharacter in it."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def cut(text: str, most: int) -> str:
    """A printable text of at most so many characters, and at least one that is not white space."""
    text = printable(text).strip() or "-"
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def xml_text(text: str) -> str:
    """The text between two tags of XML. It is ASCII, so that no encoding of a stream can spoil it."""
    escaped = escape(printable(text), {"\t": "&#9;", "\r": "&#13;"})
    return escaped.encode("ascii", "xmlcharrefreplace").decode("ascii")


def xml_attribute(text: str) -> str:
    """The text as the value of an attribute of XML, with its quotation marks."""
    escaped = escape(printable(text), {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})
    return f'"{escaped.encode("ascii", "xmlcharrefreplace").decode("ascii")}"'
