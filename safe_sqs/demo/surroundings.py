"""An environment with nothing of this machine's in it, for runs that must be the same everywhere."""

from __future__ import annotations

import os
import site
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safe_sqs import sources

__all__ = ["REGION", "clean_surroundings"]

REGION = "us-east-1"

_STARTS = ("AWS_", "BOTO", "MOTO_", "SAFE_SQS_")
_ENDS = ("_PROXY", "_CA_BUNDLE")


@contextmanager
def clean_surroundings() -> Iterator[Path]:
    """Take away every setting of AWS, proxies and safe_sqs, and put all back at the end. Gives an empty folder, which
    is the home and the working directory meanwhile.

    The organisation's file is set aside as well: the run talks to itself over the loopback address only.
    """
    before, folder_before, files_before = dict(os.environ), Path.cwd(), sources.ORGANISATION_FILES
    with tempfile.TemporaryDirectory(prefix="safe-sqs-") as name:
        folder = Path(name)
        try:
            for variable in before:
                if variable.upper().startswith(_STARTS) or variable.upper().endswith(_ENDS):
                    del os.environ[variable]
            os.environ |= {
                "HOME": name,
                "USERPROFILE": name,
                "PYTHONUSERBASE": site.getuserbase(),  # packages that are installed in the real home are still found
                "AWS_CONFIG_FILE": str(folder / "config"),
                "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_DEFAULT_REGION": REGION,
                "NO_PROXY": "*",  # systems that keep proxies elsewhere ask the environment first
            }
            sources.ORGANISATION_FILES = ()
            os.chdir(folder)
            yield folder
        finally:
            os.chdir(folder_before)
            sources.ORGANISATION_FILES = files_before
            os.environ.clear()
            os.environ.update(before)
