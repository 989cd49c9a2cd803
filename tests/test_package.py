"""The package as it is installed: what it ships, what it says of itself, what it needs."""

from __future__ import annotations

import re
from importlib import metadata, resources

import safe_sqs


def requirements() -> list[str]:
    return metadata.requires("safe_sqs") or []


def test_types_are_shipped():
    assert resources.files(safe_sqs).joinpath("py.typed").is_file()


def test_the_public_names_exist():
    for name in safe_sqs.__all__:
        assert getattr(safe_sqs, name) is not None


def test_only_five_libraries_are_needed_at_run_time():
    needed = {re.split(r"[^\w-]", entry)[0] for entry in requirements() if "extra ==" not in entry}
    assert needed == {"boto3", "botocore", "structlog", "tomli", "wrapt"}


def test_every_dependency_has_a_lowest_version():
    without = [entry for entry in requirements() if ">=" not in entry and not entry.startswith("boto3-stubs")]
    assert without == []


def test_nothing_starts_by_itself_in_an_interpreter_that_has_the_package():
    files = metadata.files("safe_sqs") or []
    assert not [file for file in files if file.suffix in (".pth", ".start") and "__editable__" not in file.name]


def test_the_command_is_installed():
    (command,) = (entry for entry in metadata.entry_points(group="console_scripts") if entry.name == "safe-sqs")
    assert command.value == "safe_sqs.cli:main"
