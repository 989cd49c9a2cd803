"""What an inspection is written as: one module for each format, loaded when it is asked for.

Each has `write(inspection, stream)`, which goes through the evaluations one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TextIO

from safe_sqs.inspection import Inspection

__all__ = ["FORMATS", "Writer", "own_version", "writer"]

Writer = Callable[[Inspection, TextIO], None]

FORMATS: dict[str, str] = {
    "json": "safe_sqs.formats.data",
    "junit": "safe_sqs.formats.junit",
    "sarif": "safe_sqs.formats.sarif",
    "asff": "safe_sqs.formats.asff",
    "html": "safe_sqs.formats.html",
}
"""The name of a format, and the module that writes it."""


def writer(name: str) -> Writer:
    """What writes a format. Raises KeyError for one that there is not."""
    write: Writer = import_module(FORMATS[name]).write
    return write


@cache
def own_version() -> str:
    """The version of safe_sqs, which all formats tell."""
    from importlib.metadata import version

    return version("safe_sqs")
