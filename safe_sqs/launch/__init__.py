"""Starts a program that nobody has to change, guarded, with its Python child processes: what `safe-sqs run` does.

The program takes the place of this process, so its number, exit status, signals, input and output are its own. The
guard gets in by PYTHONPATH: `on_path/sitecustomize.py` is what each Python process runs first.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from safe_sqs.config import Config
from safe_sqs.errors import ConfigError
from safe_sqs.launch.commands import CannotStart, python_of
from safe_sqs.launch.probe import probe
from safe_sqs.sources import FILE_VARIABLE, RECORD_VARIABLE, REPORT_VARIABLE, RUN_VARIABLE, user_file

__all__ = ["CannotStart", "start"]

_FOLDER = str(Path(__file__).absolute().parent / "on_path")


def start(command: Sequence[str], settings: Mapping[str, str]) -> NoReturn:
    """Become this program, guarded. `settings` are variables that are set for it.

    `-m MODULE` and a file that ends in `.py` run in the Python of this process. Raises CannotStart, with the reason
    and the status to end with.
    """
    if os.name == "nt":
        raise CannotStart("a program cannot take the place of another on Windows. Use safe_sqs.install() in it")
    os.environ.update(settings)
    _settle_files()
    try:
        Config()
    except ConfigError as error:
        raise CannotStart(str(error)) from None
    os.environ[RUN_VARIABLE] = "1"
    os.environ["PYTHONPATH"] = _with_ours_first(os.environ.get("PYTHONPATH", ""))
    command = _in_full(command)
    python = python_of(command)
    if python is not None:
        probe(python)
    _become(command)


def _settle_files() -> None:
    """Name files by their whole paths: the program may change its working directory before they are used."""
    file = user_file()
    if file is not None:
        os.environ[FILE_VARIABLE] = str(file.absolute())
    for name in (RECORD_VARIABLE, REPORT_VARIABLE):
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).absolute())


def _with_ours_first(python_path: str) -> str:
    """PYTHONPATH with our folder first. An empty entry is kept, as it means the working directory."""
    others = [folder for folder in python_path.split(os.pathsep) if folder != _FOLDER] if python_path else []
    return os.pathsep.join([_FOLDER, *others])


def _in_full(command: Sequence[str]) -> list[str]:
    is_python = command[0] == "-m" or (command[0].endswith(".py") and Path(command[0]).is_file())
    return [sys.executable, *command] if is_python else list(command)


# --- taking the place of this process ----------------------------------------------------------------------------


def _become(command: list[str]) -> NoReturn:
    _undo_what_python_did()
    try:
        try:
            os.execvp(command[0], command)  # noqa: S606
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            # A text without a first line that names its interpreter: as execvp(3) does, and so env(1).
            os.execv("/bin/sh", ["/bin/sh", shutil.which(command[0]) or command[0], *command[1:]])  # noqa: S606
    except OSError as error:
        is_missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        raise CannotStart(f"{command[0]}: {error.strerror}", 127 if is_missing else 126) from None


def _undo_what_python_did() -> None:
    """What starting Python changed in this process, and a program would inherit."""
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        environment = Path("/proc/self/environ").read_bytes()
    except OSError:
        return
    # In the locale C, Python sets this variable for itself and all that it starts (PEP 538).
    if os.environ.get("LC_CTYPE") == "C.UTF-8" and not f"\0{environment.decode(errors='replace')}".count("\0LC_CTYPE="):
        del os.environ["LC_CTYPE"]
