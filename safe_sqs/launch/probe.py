"""Asks a Python whether the guard comes up in it, before a program is started there."""

from __future__ import annotations

import ast
import os
import subprocess
from typing import NamedTuple

from safe_sqs.launch.commands import CannotStart, Python
from safe_sqs.sources import RUN_VARIABLE

__all__ = ["probe"]

_OLDEST = (3, 10)
_SECONDS = 60
_MARK = "safe-sqs-run-probe:"

# Runs in any Python, Python 2 as well. What is in the working directory is none of its business.
_CODE = f"""
import sys
if sys.path[:1] == ['']:
    del sys.path[0]
guards = [finder for finder in sys.meta_path if getattr(finder, 'is_of_safe_sqs_run', False)]
problem = ''
try:
    for guard in guards:
        guard.install()
        import wrapt
except Exception:
    problem = '%s: %s' % (sys.exc_info()[0].__name__, sys.exc_info()[1])
deaf = [name for name in ('isolated', 'ignore_environment', 'no_site') if getattr(sys.flags, name, 0)]
found = (tuple(sys.version_info[:2]), bool(guards), deaf, problem)
sys.stdout.write('\\n' + {_MARK!r} + repr(found) + '\\n')
"""

_WHY_DEAF = {
    "isolated": "it is started with -I, which has Python ignore PYTHONPATH, by which the guard gets in",
    "ignore_environment": "it is started with -E, which has Python ignore PYTHONPATH, by which the guard gets in",
    "no_site": "it is started with -S, which leaves out the start-up file by which the guard gets in",
}


class _Found(NamedTuple):
    version: tuple[int, int]
    is_armed: bool
    deaf: list[str]
    problem: str


def probe(python: Python) -> None:
    """Start this Python with its options, in the environment as it is, and have it install the guard.

    Raises CannotStart, with the reason, when the guard does not come up there.
    """
    try:
        done = subprocess.run(  # noqa: S603
            [python.path, *python.options, "-c", _CODE],
            env={**os.environ, RUN_VARIABLE: "probe"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return  # starting it will say so
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _cannot_start(python, str(error)) from None
    output = done.stdout.decode(errors="replace")
    answers = [line.removeprefix(_MARK) for line in output.splitlines() if line.startswith(_MARK)]
    if not answers:
        errors = done.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise _cannot_start(python, f"it does not run Python as expected (exit status {done.returncode}): {errors[-1]}")
    reason = _problem(_Found(*ast.literal_eval(answers[-1])))
    if reason:
        raise _cannot_start(python, reason)


def _cannot_start(python: Python, reason: str) -> CannotStart:
    return CannotStart(f"the guard cannot be set up in {python.path}: {reason}")


def _problem(found: _Found) -> str:
    """Why the guard did not come up, and what to do; empty when it did."""
    version = ".".join(map(str, found.version))
    if found.version < _OLDEST:
        return f"it is Python {version}, and safe_sqs needs Python {'.'.join(map(str, _OLDEST))} or newer"
    if not found.is_armed:
        reasons = [_WHY_DEAF[name] for name in found.deaf]
        return reasons[0] if reasons else "its PYTHONPATH does not begin with the folder that safe-sqs run put there"
    if found.problem.startswith("ConfigError: "):
        return found.problem.removeprefix("ConfigError: ")
    if found.problem:
        return f"{found.problem}. Install safe_sqs for it, or start the program without safe-sqs run"
    return ""
