"""Appends lines to a file that many processes and threads write at once.

Nothing is kept between two of them, neither an open file nor a lock: so a fork inherits nothing, and a daemon that
closes all its files loses nothing.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["append", "begin", "program"]

_MODE = 0o600
"""Permissions of a new file. What is in it is a map of queues and of what is weak, so it is for the owner alone; a file
that exists keeps its permissions."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Not blocking, for a named pipe that nobody reads would stop the program that is guarded."""

_PAUSES = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Seconds between two attempts to lock the file. After the last one it is written without a lock, since a call must
not hang because somebody holds on to the file."""


def begin(path: str) -> None:
    """Make sure that there is a file and that it can be written. Raises OSError."""
    os.close(os.open(path, _FLAGS, _MODE))


def append(path: str, text: bytes) -> None:
    """Append in one write. Raises OSError, with nothing of it in the file where that can be helped."""
    file = os.open(path, _FLAGS, _MODE)
    try:
        is_locked = _lock(file)
        before = os.fstat(file)
        written = os.write(file, text)
        if written < len(text):
            if is_locked and stat.S_ISREG(before.st_mode):
                os.ftruncate(file, before.st_size)
            raise OSError(errno.ENOSPC, "there was no room for all of it")
    finally:
        os.close(file)  # and with it the lock


def _lock(file: int) -> bool:
    """Lock a file, for the file systems on which two can append at the same place. True when it is locked."""
    if fcntl is None:
        return False
    for pause in (*_PAUSES, None):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if pause is not None:
                time.sleep(pause)
        except OSError:  # a file system without locks
            return False
        else:
            return True
    return False


def program() -> str:
    """The name of the program that runs in this process."""
    path = Path(sys.argv[0] if getattr(sys, "argv", None) else "")
    return path.parent.name if path.name == "__main__.py" else path.name
