"""The demonstration: what it tells is true, it notices when it is not, and it keeps to itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from safe_sqs import cli, sources
from safe_sqs.demo import story
from safe_sqs.rules import RULES_BY_NAME

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")

# An interpreter that ends when something reaches for the network, or writes into the person's AWS settings.
WATCHED = """
import os, sys

def is_away(host):
    return host not in (None, "", "localhost", "127.0.0.1", "::1", b"localhost")

def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and is_away(arguments[1][0]):
        os._exit(66)
    if event in ("socket.getaddrinfo", "socket.gethostbyname") and is_away(arguments[0]):
        os._exit(67)
    if event == "open" and ".aws" in str(arguments[0]):
        os._exit(68)

sys.addaudithook(watch)
from safe_sqs.cli import main
main()
"""

HOSTILE = {
    "AWS_ENDPOINT_URL": "http://192.0.2.1:9",
    "AWS_ENDPOINT_URL_SQS": "http://192.0.2.1:9",
    "AWS_PROFILE": "no-such-profile",
    "AWS_CA_BUNDLE": "/no/such/file",
    "AWS_ACCESS_KEY_ID": "AKIAOFTHISPERSON0001",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-this-person",
    "SAFE_SQS_PROFILE": "no-such-profile",
    "SAFE_SQS_NO_SUCH_SETTING": "1",
    "HTTPS_PROXY": "http://192.0.2.1:9",
    "https_proxy": "http://192.0.2.1:9",
    "REQUESTS_CA_BUNDLE": "/no/such/file",
}


class Run(NamedTuple):
    """One run of the story in this process."""

    told: story.Told
    steps: list[str]
    before: tuple[object, ...]
    after: tuple[object, ...]


def surroundings():
    return dict(os.environ), Path.cwd(), sources.ORGANISATION_FILES


@pytest.fixture(scope="module")
def ran():
    before, steps = surroundings(), []
    told = story.tell(steps.append, messages=5)
    return Run(told, steps, before, surroundings())


@pytest.fixture
def told(ran):
    return ran.told


@pytest.fixture(scope="module")
def piped(tmp_path_factory):
    """`safe-sqs demo --no-overhead` in a pipe, on a machine with settings that would spoil it."""
    home = tmp_path_factory.mktemp("home")
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text("[default]\nendpoint_url = http://192.0.2.1:9\n")
    (home / ".aws" / "credentials").write_text("not an ini file")
    (home / "safe-sqs.toml").write_text("no_such_setting = 1\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAFE_SQS_"))}
    return subprocess.run(
        [sys.executable, "-c", WATCHED, "demo", "--no-overhead"],
        env={**environment, **HOSTILE, "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_everything_goes_as_it_must(told):
    assert told.problems == ()
    assert [result.attempt.what for result in told.results if not result.is_as_it_must_be] == []


def test_each_rule_that_baseline_enforces_refuses_something(told):
    refusing = {rule for result in told.results if not result.passed for rule in result.rules}
    enforced = {rule.name for rule in RULES_BY_NAME.values() if rule.baseline.value == "enforce"}
    assert enforced <= refusing | {"vpc-route"}


def test_each_refusal_says_why_and_carries_the_error(told):
    for result in told.results:
        if not result.passed:
            assert result.why
            assert all(rule in result.error for rule in result.rules)


def test_each_step_is_reported(ran):
    told, steps, *_ = ran
    assert steps.count("sent") == steps.count("received") == 5
    assert steps.count("tried") == len(told.results)


def test_the_environment_is_as_before(ran):
    assert ran.before == ran.after


def test_a_machine_full_of_settings_does_not_spoil_it(piped):
    assert piped.returncode == 0, piped.stdout[-2000:] + piped.stderr[-2000:]
    assert "everything went as it must" in piped.stdout


def test_nothing_but_the_demonstration_is_printed(piped):
    assert piped.stderr == ""


def test_a_pipe_gets_neither_colours_nor_bars(piped):
    assert ESCAPE.search(piped.stdout) is None
    assert "messages sent" not in piped.stdout
    assert 100 < max(map(len, piped.stdout.splitlines())) <= 110


def test_the_table_has_a_row_for_each_attempt(piped, told):
    printed = " ".join(piped.stdout.split())
    for result in told.results:
        assert result.attempt.what.replace("5 messages", "48 messages") in printed
    assert piped.stdout.count(" REFUSED ") == sum(not result.passed for result in told.results)
    assert piped.stdout.count(" PASSED ") == sum(result.passed for result in told.results)


def test_one_error_is_shown_in_full(piped):
    assert re.search(r"safe_sqs refused SendMessage on \S+: 3 findings", piped.stdout)
    for word in ("found:", "expected:", "next step:"):
        assert piped.stdout.count(word) == 3


def test_no_secret_and_no_message_is_shown(piped):
    for secret in (*story._TEMPORARY.values(), *story._LONG_TERM.values(), *HOSTILE.values(), "by resource"):
        if secret and secret not in ("1", "no-such-profile"):
            assert secret not in piped.stdout


def test_it_notices_when_something_bad_passes(monkeypatch):
    monkeypatch.setattr(story, "_UNENCRYPTED", {"SqsManagedSseEnabled": "true"})
    told = story.tell(messages=1)
    assert "send to an unencrypted queue" in " ".join(told.problems)
    assert any("got it passed" in problem for problem in told.problems)


def test_it_notices_when_something_good_is_refused(monkeypatch):
    monkeypatch.setattr(story, "_TEMPORARY", {**story._TEMPORARY, "AWS_ACCESS_KEY_ID": "AKIADEMONSTRATION003"})
    told = story.tell(messages=1)
    assert any(problem.startswith("send 1 messages") and "static-credentials" in problem for problem in told.problems)


def test_the_exit_status_is_1_when_something_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(story, "_ENCRYPTION", ("another-rule",))
    monkeypatch.setattr(sys, "argv", ["safe-sqs", "demo", "--no-overhead"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert printed.count(" WRONG ") == 3
    assert "Not everything went as it must" in printed


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_of_80_columns_gets_colours_bars_and_the_overhead():
    status, shown = in_a_terminal([sys.executable, "-c", "from safe_sqs.cli import main; main()", "demo"], columns=80)
    plain = ESCAPE.sub("", shown)
    assert status == 0, plain[-2000:]
    assert "\x1b[1;31mREFUSED" in shown
    assert "\x1b[1;32mPASSED" in shown
    assert re.search(r"messages sent .*48/48", plain)
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= 80
    for figure in ("send, static credentials", "all handlers, static credentials", "import and one client"):
        assert figure in plain


def in_a_terminal(command, columns):
    """Run a command on a pseudo-terminal, and return its exit status and all that it wrote."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    for variable in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"):
        environment.pop(variable, None)
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:  # how Linux tells that the other side is closed
            break
        if not read:
            break
        written += read
    os.close(ours)
    return process.wait(timeout=120), written.decode()
