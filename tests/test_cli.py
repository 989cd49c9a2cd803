"""The command line: its help teaches, its exit status can be relied on, and a missing package is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version

import botocore.exceptions as of_botocore
import click
import pytest

from safe_sqs import ConfigError
from safe_sqs.cli.commands import safe_sqs
from safe_sqs.cli.problems import Command, Group, Problem, in_words
from safe_sqs.policy import PolicyError

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
    assert re.fullmatch(r"safe-sqs( demo)?: .+; see safe-sqs( demo)? --help\n", ran.stderr)
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


# --- all commands ------------------------------------------------------------------------------------------------


def commands(group, path=("safe-sqs",)):
    """Every command below a group, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands(safe_sqs))
LEAVES = {name: command for name, command in COMMANDS.items() if not isinstance(command, click.Group)}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_in_a_line_what_it_is_for(name):
    line = COMMANDS[name].get_short_help_str(limit=60)
    assert line.endswith(".")
    assert not line.endswith("...")


@pytest.mark.parametrize("name", LEAVES)
def test_the_help_of_every_command_shows_it_in_use(name):
    examples = re.search(r"Examples?:\n(?P<lines>.*)", LEAVES[name].help, re.DOTALL)
    assert examples
    assert f"{name} " in examples["lines"]


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_of_every_command_is_explained(name):
    for parameter in LEAVES[name].params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_what_a_user_can_put_right_in_one_line(name):
    assert isinstance(COMMANDS[name], Command | Group)


# --- what went wrong ---------------------------------------------------------------------------------------------


def client_error(code):
    return of_botocore.ClientError({"Error": {"Code": code, "Message": "has a secret in it"}}, "ListQueues")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigError("profile", "code", "'x' is none of them"), "profile"),
        (PolicyError("Statement[0].Effect", "is neither Allow nor Deny"), "Statement[0].Effect"),
        (client_error("AccessDenied"), "ListQueues is not allowed to these credentials"),
        (client_error("AWS.SimpleQueueService.NonExistentQueue"), "there is no such queue"),
        (client_error("ExpiredTokenException"), "renew them"),
        (client_error("Throttling"), "ListQueues failed (Throttling)"),
        (of_botocore.NoCredentialsError(), "aws sso login"),
        (of_botocore.NoRegionError(), "--region"),
        (of_botocore.ProfileNotFound(profile="nobody"), "aws configure list-profiles"),
        (of_botocore.EndpointConnectionError(endpoint_url="https://x"), "AWS_ENDPOINT_URL"),
        (of_botocore.SSLError(endpoint_url="https://x", error="bad"), "AWS_CA_BUNDLE"),
        (of_botocore.SSOTokenLoadError(error_msg="expired"), "aws sso login"),
        (FileNotFoundError(2, "No such file or directory", "policy.json"), "policy.json: No such file"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_user_can_put_right_is_one_line_with_the_next_step(error, words):
    told = "; ".join(in_words(error))
    assert words in told
    assert "\n" not in told
    assert "secret" not in told


@pytest.mark.parametrize("error", [ValueError("a fault of ours"), OSError("without a file"), KeyError("x")])
def test_a_fault_of_ours_is_not_hidden(error):
    assert in_words(error) is None


def test_a_problem_names_the_command_and_ends_with_2(capsys):
    @click.command(cls=Command)
    def check():
        raise Problem("found this", "do that")

    with pytest.raises(SystemExit) as ended:
        check.main([], prog_name="safe-sqs check")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "safe-sqs check: found this; do that\n"


# --- completion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("safe-sqs ", {"audit", "check", "completion", "demo", "fix", "policy", "run"}),
        ("safe-sqs policy ", {"check", "explain", "fix", "from-usage", "generate"}),
        ("safe-sqs check --mode tls-only", {"tls-only-policy=enforce", "tls-only-policy=off", "tls-only-policy=warn"}),
        ("safe-sqs check --level queue-encryption=k", {"queue-encryption=kms"}),
        ("safe-sqs check --profile ", {"baseline", "local", "observe", "strict"}),
        ("safe-sqs check --aws-profile a", {"audit"}),
        ("safe-sqs completion ", {"bash", "fish", "zsh"}),
    ],
)
def test_the_shell_completes_commands_options_rules_and_profiles(words, offered, tmp_path):
    config = tmp_path / "config"
    config.write_text("[profile audit]\n[profile other]\n")
    said = {"_SAFE_SQS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    ran = subprocess.run(
        [sys.executable, "-c", RUN],
        env={**os.environ, **said, "AWS_CONFIG_FILE": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert {line.partition(",")[2] for line in ran.stdout.splitlines()} == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_code_for_each_shell_is_printed(shell):
    ran = run("completion", shell)
    assert ran.returncode == 0
    assert "_SAFE_SQS_COMPLETE" in ran.stdout
