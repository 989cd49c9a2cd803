"""Which Python a command line is going to run in, if any: told before it is started, without running it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["CannotStart", "Python", "python_of"]


class CannotStart(Exception):  # noqa: N818
    """The program is not started. `status` is what to end with: 2, or 126 and 127 as in a shell."""

    def __init__(self, reason: str, status: int = 2) -> None:
        super().__init__(reason)
        self.status = status


class Python(NamedTuple):
    """An interpreter, and the options before its program."""

    path: str
    options: tuple[str, ...]


def python_of(command: Sequence[str]) -> Python | None:
    """The Python that a command line starts, by name or as a script, or None where it starts something else.

    Raises CannotStart where it can be told that the program would not get the environment, and so not the guard.
    """
    name = Path(command[0]).name
    if name in _ELSEWHERE:
        raise CannotStart(
            f"{name} does not hand on the environment, by which the guard gets into the program. "
            f"Put safe-sqs run behind it: {name} ... safe-sqs run -- PROGRAM"
        )
    if name == "env":
        words = _past_env(command[1:])
        return python_of(words) if words else None
    program = shutil.which(command[0])
    if program is None:
        return None
    if _is_python(program):
        options = _options(command[1:])
        return None if _ONLY_TELLS.intersection(options) else Python(program, options)
    words = _interpreter_of_script(Path(program))
    if name == "aws" and not words:
        raise CannotStart(
            f"{program} is version 2 of the AWS CLI, or another program with a Python of its own inside, into which "
            "the guard cannot get. Version 1 can be guarded: pip install awscli"
        )
    return python_of(words) if words else None


_ELSEWHERE = frozenset({"docker", "doas", "kubectl", "podman", "ssh", "sudo", "systemd-run"})
"""What runs a program for somebody else, or in some other place, with another environment."""

_PYTHON = re.compile(r"(?:python|pypy)(?:\d+(?:\.\d+)*)?[a-z]{0,2}(?:-dbg)?")

_ONLY_TELLS = frozenset({"-V", "-VV", "-h", "-?", "--version", "--help", "--help-env", "--help-xoptions", "--help-all"})
"""Options with which Python runs no program."""


def _is_python(program: str) -> bool:
    return any(_PYTHON.fullmatch(name) for name in (Path(program).name, Path(os.path.realpath(program)).name))


def _options(words: Sequence[str]) -> tuple[str, ...]:
    """The options of Python that stand before its program: before a file, `-c`, `-m` or `-`."""
    options: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word in ("-", "--"):
            break
        if word.startswith("--"):
            options.append(word)
            if word == "--check-hash-based-pycs":
                options += [value for value in [next(rest, None)] if value is not None]
            continue
        before, letter, after = _split_at(word, "cmWX")
        if letter and letter in "cm":
            options += [before] if len(before) > 1 else []
            break
        options.append(word)
        if letter and not after:
            options += [value for value in [next(rest, None)] if value is not None]
    return tuple(options)


def _split_at(word: str, letters: str) -> tuple[str, str, str]:
    """A word before, at and after the first of some letters."""
    for at, letter in enumerate(word):
        if letter in letters:
            return word[:at], letter, word[at + 1 :]
    return word, "", ""


def _past_env(words: Sequence[str]) -> list[str]:
    """The command that env(1) starts. Raises CannotStart where PYTHONPATH does not get past it."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        name, _, value = word.partition("=")
        spelling = f"{_ENV_OPTIONS.get(name, '')}{value}" if word.startswith("--") else word[1:]
        flags, letter, value = _split_at(spelling, "uCS")
        if letter and not value and rest:
            value = rest.pop(0)
        if word == "-" or "i" in flags or (letter == "u" and value == "PYTHONPATH"):
            raise CannotStart(
                "env does not hand on PYTHONPATH, by which the guard gets into the program. "
                "Put safe-sqs run behind it: env ... safe-sqs run -- PROGRAM"
            )
        if letter == "S":
            rest[:0] = shlex.split(value)
    while rest and "=" in rest[0]:
        name, _, _ = rest.pop(0).partition("=")
        if name == "PYTHONPATH":
            raise CannotStart(
                "env sets PYTHONPATH anew, by which the guard gets into the program. "
                "Set it before: PYTHONPATH=... safe-sqs run -- PROGRAM"
            )
    return rest


_ENV_OPTIONS = {"--ignore-environment": "i", "--unset": "u", "--chdir": "C", "--split-string": "S"}


# --- scripts -----------------------------------------------------------------------------------------------------

_MOST_OF_A_SCRIPT = 4096
"""Bytes of a script that are looked at."""

_OWN_FOLDER = '"$(dirname -- "$(realpath -- "$0")")"'
"""How a script of an environment that can be moved names its own folder."""


def _interpreter_of_script(script: Path) -> list[str]:
    """The interpreter that the first line of a script names, with its options; empty for what is no script."""
    try:
        with script.open("rb") as file:
            lines = os.fsdecode(file.read(_MOST_OF_A_SCRIPT)).split("\n")
    except OSError:
        return []
    if not lines[0].startswith("#!"):
        return []
    words = lines[0][2:].strip().split(None, 1)
    if len(lines) > 1 and lines[1].startswith("'''exec' "):
        # A path that is too long for a first line, or has spaces: a shell runs it, from a line that to Python is text.
        line = lines[1].replace(_OWN_FOLDER, shlex.quote(str(Path(os.path.realpath(script)).parent)))
        words = [word for word in shlex.split(line)[1:] if word not in ("$0", "$@")]
    return words
