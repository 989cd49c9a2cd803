"""Other programs, run to their end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["FailedError", "environment_with", "run", "say"]


class FailedError(Exception):
    """A step of the supply chain did not hold; the text says which and why."""


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 900,
) -> str:
    """What the program printed; raises FailedError with all that it said when it ends with anything but 0."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8", timeout=timeout_seconds, check=False
    )
    if done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        raise FailedError(f"{Path(words[0]).name} {' '.join(words[1:4])} ... ended with {done.returncode}:\n{said}")
    return done.stdout


def environment_with(folder: Path, *locks: Path, python: str | Path = sys.executable, pip: bool = True) -> Path:
    """The Python of a new virtual environment with what the locks pin and nothing else, every file held to its hash."""
    run([python, "-m", "venv", *([] if pip else ["--without-pip"]), folder])
    inside = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pins = [word for lock in locks for word in ("-r", lock)]
    if pins:
        installer = [inside, "-m", "pip"] if pip else [sys.executable, "-m", "pip", "--python", inside]
        run([*installer, "install", "--quiet", "--require-hashes", *pins], timeout_seconds=1800)
    return inside
