"""Where settings come from: the names of the variables and files, and whether any of them says something.

Apart from the configuration itself, so that a process in which nobody says anything does not load it at start.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["FILE_VARIABLE", "ORGANISATION_FILES", "PREFIX", "any_said", "organisation_files", "user_file"]

PREFIX = "SAFE_SQS_"
FILE_VARIABLE = "SAFE_SQS_CONFIG"

ORGANISATION_FILES: tuple[Path, ...] = (
    Path("/etc/safe-sqs/organisation.toml"),
    Path("/opt/safe-sqs/organisation.toml"),
)
"""Where a platform team ships the floor: in a machine image or container, and in a Lambda layer."""


def any_said() -> bool:
    """Tell whether the environment, a file of the user's or a file of the organisation's holds a setting."""
    return (
        any(variable.startswith(PREFIX) for variable in os.environ)
        or user_file() is not None
        or bool(organisation_files())
    )


def user_file() -> Path | None:
    """The file that holds the user's settings: the one that SAFE_SQS_CONFIG names, or one in the working directory."""
    named = os.environ.get(FILE_VARIABLE)
    if named is not None:
        return Path(named)
    own, shared = Path("safe-sqs.toml"), Path("pyproject.toml")
    if own.is_file():
        return own
    return shared if shared.is_file() and b"safe-sqs" in shared.read_bytes() else None


def organisation_files() -> tuple[Path, ...]:
    """The files of the organisation that exist; each of them is a floor."""
    return tuple(path for path in ORGANISATION_FILES if path.exists())
