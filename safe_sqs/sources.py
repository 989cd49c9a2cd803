"""Where settings come from: the names of the variables and files, and whether any of them says something.

Apart from the configuration itself, so that a process in which nobody says anything does not load it at start.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = [
    "FILE_VARIABLE",
    "HANDLER_VARIABLE",
    "NOT_SETTINGS",
    "ORGANISATION_FILES",
    "PREFIX",
    "RECORD_VARIABLE",
    "REPORT_VARIABLE",
    "RUN_VARIABLE",
    "any_said",
    "current_test",
    "organisation_files",
    "record_path",
    "report_path",
    "user_file",
]

PREFIX = "SAFE_SQS_"
FILE_VARIABLE = "SAFE_SQS_CONFIG"
"""Names the file with the user's settings."""
REPORT_VARIABLE = "SAFE_SQS_REPORT"
"""Names the file that collects what is, or would be, refused."""
RECORD_VARIABLE = "SAFE_SQS_RECORD"
"""Names the file that collects which actions on which queues a program uses."""
HANDLER_VARIABLE = "SAFE_SQS_HANDLER"
"""Names the handler of a Lambda function that runs behind the one of safe_sqs."""
RUN_VARIABLE = "SAFE_SQS_RUN"
"""Is set in the processes that `safe-sqs run` starts, and below them."""
NOT_SETTINGS = frozenset({FILE_VARIABLE, RECORD_VARIABLE, REPORT_VARIABLE, HANDLER_VARIABLE, RUN_VARIABLE})
"""Variables that begin like those of settings."""

_HOME = Path(__file__).parents[1]
ORGANISATION_FILES: tuple[Path, ...] = (
    Path("/etc/safe-sqs/organisation.toml"),
    Path("/opt/safe-sqs/organisation.toml"),
    *((_HOME.parent / "safe-sqs" / "organisation.toml",) if _HOME.name == "python" else ()),
)
"""Where a platform team ships the floor: in a machine image or container, and in a Lambda layer, which is unpacked to
/opt, or wherever the layer is whose folder `python` this package is in."""


_SAYING_NOTHING = frozenset({HANDLER_VARIABLE, RUN_VARIABLE})


def any_said() -> bool:
    """Tell whether the environment, a file of the user's or a file of the organisation's holds a setting."""
    return (
        any(variable.startswith(PREFIX) and variable not in _SAYING_NOTHING for variable in os.environ)
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


def report_path() -> str | None:
    """The file that collects findings, as SAFE_SQS_REPORT names it, or None."""
    return os.environ.get(REPORT_VARIABLE)


def record_path() -> str | None:
    """The file that collects what is used, as SAFE_SQS_RECORD names it, or None."""
    return os.environ.get(RECORD_VARIABLE)


def current_test() -> str | None:
    """The test of pytest that is running in this process, or in the one that started it, or None."""
    test, _, _ = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")
    return test or None


def organisation_files() -> tuple[Path, ...]:
    """The files of the organisation that exist; each of them is a floor."""
    return tuple(path for path in dict.fromkeys(ORGANISATION_FILES) if path.exists())
