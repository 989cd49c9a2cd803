"""The command line: its help teaches, its exit status can be relied on, and a missing package is named."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version

import pytest

RUN = "from safe_sqs.cli import main; main()"


def run(*arguments, without=""):
    """Run `safe-sqs`, in an interpreter in which a package is missing."""
    block = f"import sys; sys.modules['{without}'] = None; " if without else ""
    return subprocess.run(
        [sys.executable, "-c", block + RUN, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_shows_how_to_begin(arguments):
    ran = run(*arguments)
    assert ran.returncode == 0
    assert "import safe_sqs as boto3" in ran.stdout
    assert "safe-sqs demo" in ran.stdout


def test_the_help_of_the_demonstration_has_examples_and_the_exit_status():
    ran = run("demo", "--help")
    assert ran.returncode == 0
    assert re.search(r"Examples:\n +safe-sqs demo\n +safe-sqs demo --no-overhead", ran.stdout)
    assert "The exit status is 0 when everything went as it must, else 1." in " ".join(ran.stdout.split())


def test_the_version_is_that_of_the_package():
    ran = run("--version")
    assert ran.returncode == 0
    assert ran.stdout.startswith(f"safe-sqs {version('safe_sqs')} (boto3 ")


@pytest.mark.parametrize("arguments", [("--no-such-option",), ("no-such-command",), ("demo", "surplus")])
def test_wrong_usage_ends_with_2(arguments):
    ran = run(*arguments)
    assert ran.returncode == 2
    assert "Usage:" in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("click", (), "cli"),
        ("click", ("demo",), "demo"),
        ("rich", ("demo",), "demo"),
        ("moto", ("demo",), "demo"),
        ("trustme", ("demo",), "demo"),
        ("werkzeug", ("demo",), "demo"),
    ],
)
def test_a_missing_package_is_one_line_and_2(package, arguments, extra):
    ran = run(*arguments, without=package)
    assert ran.returncode == 2
    assert ran.stderr == f'safe-sqs needs {package}, which is not installed: pip install "safe_sqs[{extra}]"\n'
    assert ran.stdout == ""


def test_help_needs_neither_the_emulator_nor_tables():
    for package in ("rich", "moto", "trustme"):
        assert run("demo", "--help", without=package).returncode == 0


def test_a_package_of_our_own_that_is_missing_is_not_blamed_on_the_extras():
    ran = run("demo", without="safe_sqs.demo.story")
    assert ran.returncode == 1
    assert "ModuleNotFoundError" in ran.stderr
    assert "pip install" not in ran.stderr
