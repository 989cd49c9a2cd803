"""The command line, `safe-sqs`. It needs more than the library does, and says so where that is missing."""

from __future__ import annotations

import sys

__all__ = ["main"]

_OURS = ("boto3", "botocore", "safe_sqs", "structlog", "wrapt")


def main() -> None:
    """Run `safe-sqs`. Exit status: 0 when all is well, 1 when something was found, 2 when it could not be done."""
    try:
        from safe_sqs.cli.commands import safe_sqs as command

        command(prog_name="safe-sqs")
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if not package or package in _OURS:
            raise
        sys.exit(_tell(package))


def _tell(package: str) -> int:
    extra = "cli" if package == "click" and "demo" not in sys.argv[1:2] else "demo"
    print(f'safe-sqs needs {package}, which is not installed: pip install "safe_sqs[{extra}]"', file=sys.stderr)  # noqa: T201
    return 2
