"""`safe-sqs check`: queues by URL, ARN and name, the exit status, and one clear line for what goes wrong."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fleets import COMMAND, Operator, emulator_with, ran, ran_apart
from support import LONG_TERM

from safe_sqs.cli.inspections import FORMATS
from safe_sqs.formats import FORMATS as WRITTEN


@pytest.fixture
def operator(emulator, monkeypatch):
    """Somebody with an account of its own on the emulator."""
    return Operator(emulator, monkeypatch)


def one_line(text):
    """The text is one line, and no stack trace."""
    return text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text


# --- by which rules ----------------------------------------------------------------------------------------------


def test_queues_are_judged_strictly_from_a_place_from_which_they_could_not_be_used(operator, capsys):
    """These credentials are not renewed by anything, which `strict` would refuse."""
    operator.make("good")
    run = ran(capsys, "check", "good", "--profile", "strict", "--format", "json")
    assert run.status == 1
    refused = {each["rule"] for each in run.data["queues"][0]["findings"]}
    assert {"queue-encryption", "vpc-only-policy"} <= refused


@pytest.mark.parametrize(
    "said", [{"SAFE_SQS_PROFILE": "strict"}, {"SAFE_SQS_LEVELS": "static-credentials=renewing"}], ids=str
)
def test_what_the_environment_says_of_connections_holds_for_the_command_too(operator, capsys, monkeypatch, said):
    operator.make("good")
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    run = ran(capsys, "check", "good", "--profile", "strict")
    assert run.status == 2
    assert one_line(run.err)
    assert "static-credentials" in run.err


# --- which queues ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["name", "arn", "url", "url of aws", "url of elsewhere"])
def test_a_queue_is_named_by_its_name_arn_or_url(operator, capsys, form):
    (url,) = operator.make("good")
    text = {
        "name": "good",
        "arn": operator.arn("good"),
        "url": url,
        "url of aws": f"https://sqs.us-east-1.amazonaws.com/{operator.account}/good",
        "url of elsewhere": f"https://nobody.invalid/{operator.account}/good",
    }[form]
    run = ran(capsys, "check", text, "--format", "json")
    assert run.status == 0
    assert [each["queue"]["arn"] for each in run.data["queues"]] == [operator.arn("good")]


def test_arns_and_urls_say_their_region_and_names_take_that_of_the_option(operator, capsys):
    for region in ("us-east-1", "eu-west-1", "ap-south-1"):
        operator.make("good", region=region)
    operator.make("bad", region="eu-west-1")
    texts = [
        operator.arn("good", region="ap-south-1"),
        f"https://sqs.us-east-1.amazonaws.com/{operator.account}/good",
        "bad",
    ]
    run = ran(capsys, "check", *texts, "--region", "eu-west-1", "--format", "json")
    assert run.status == 1
    assert [(each["queue"]["region"], each["queue"]["name"]) for each in run.data["queues"]] == [
        ("ap-south-1", "good"),
        ("eu-west-1", "bad"),
        ("us-east-1", "good"),
    ]


def test_a_queue_of_another_account_is_looked_at_by_its_arn(operator, capsys):
    other = "400000000001"
    operator.make("theirs", account=other)
    run = ran(capsys, "check", operator.arn("theirs", account=other), "--format", "json")
    assert [each["queue"]["account"] for each in run.data["queues"]] == [other]


def test_a_queue_that_is_named_twice_is_told_once(operator, capsys):
    (url,) = operator.make("good")
    run = ran(capsys, "check", "good", "good", url, operator.arn("good"), "--format", "json")
    assert run.queues == ["good"]
    assert run.data["summary"]["queues"] == 1


def test_queues_come_from_a_file_and_from_standard_input(operator, tmp_path):
    operator.make("good", "other", "bad")
    file = tmp_path / "queues.txt"
    file.write_text("# those of the shop\ngood\n\n  other  # the other one\n")
    run = ran_apart("check", f"@{file}", "-", "--format", "json", given="bad\n")
    assert run.status == 1
    assert run.queues == ["bad", "good", "other"]


# --- the exit status ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queues", "fail_on", "status"),
    [
        (["good"], "warn", 0),
        (["plain"], "warn", 1),
        (["plain"], "enforce", 0),
        (["plain", "bad"], "enforce", 1),
        (["bad"], "off", 0),
        (["nothere"], "warn", 2),
        (["nothere", "bad"], "warn", 1),
        (["nothere", "bad"], "off", 2),
    ],
)
def test_the_exit_status_says_whether_all_comply(operator, capsys, queues, fail_on, status):
    operator.make("good", "plain", "bad")
    assert ran(capsys, "check", *queues, "--fail-on", fail_on).status == status


def test_a_queue_that_nobody_may_read_could_not_be_told(monkeypatch, capsys):
    with emulator_with(
        lambda call: (
            "AccessDeniedException" if (call.operation, call.about) == ("GetQueueAttributes", "secret") else None
        )
    ) as emulator:
        operator = Operator(emulator, monkeypatch)
        operator.make("secret", "good")
        run = ran(capsys, "check", "secret", "good")
    assert run.status == 2
    assert "sqs:GetQueueAttributes" in run.out


def test_settings_count_as_they_do_for_the_guard(operator, capsys, monkeypatch, tmp_path):
    operator.make("plain")
    assert ran(capsys, "check", "plain", "--mode", "tls-only-policy=off").status == 0
    monkeypatch.setenv("SAFE_SQS_MODES", "tls-only-policy=off")
    assert ran(capsys, "check", "plain").status == 0
    assert ran(capsys, "check", "plain", "--level", "queue-encryption=kms").status == 1


# --- it is guarded itself ----------------------------------------------------------------------------------------


def test_long_term_credentials_are_refused_in_one_line_that_says_how_to_go_on(operator, monkeypatch):
    urls = operator.make("good", "other")
    for name, value in LONG_TERM.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    before = operator.emulator.arrived.copy()
    run = ran_apart("check", *urls, "other", "--format", "json")
    assert (run.status, run.out) == (2, "")
    assert one_line(run.err)
    assert "static-credentials" in run.err
    assert "next step: " in run.err
    assert LONG_TERM["aws_secret_access_key"] not in run.err
    assert operator.emulator.arrived == before


def test_an_endpoint_that_nobody_trusts_is_not_asked(operator, capsys, monkeypatch):
    (url,) = operator.make("good")
    monkeypatch.delenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS")
    before = operator.emulator.arrived.copy()
    run = ran(capsys, "check", url)
    assert run.status == 2
    assert one_line(run.err)
    assert "endpoint-host" in run.err
    assert operator.emulator.arrived == before


# --- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["orders-*"], "expected a queue's URL"),
        ([""], "expected a queue's URL"),
        (["arn:aws:sns:us-east-1:111122223333:topic"], "expected arn:aws:sqs:"),
        (["@missing.txt"], "missing.txt: No such file"),
        (["@empty.txt"], "empty.txt names no queue"),
        (["@binary.txt"], "binary.txt is not a file of text"),
        (["@."], "Is a directory"),
        (["good", "--output", "no/such/folder/x.json"], "there is no folder"),
        (["good", "--output", "."], "is a directory"),
        (["good", "--aws-profile", "nobody"], "aws configure list-profiles"),
        (["good", "--config", "missing.toml"], "missing.toml"),
        (["good", "--mode", "no-such-rule=off"], "no-such-rule"),
        (["good", "--region", "not a region"], "not a region"),
    ],
)
def test_a_mistake_is_one_line_and_2(operator, capsys, monkeypatch, tmp_path, arguments, words):
    monkeypatch.setenv("SAFE_SQS_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    run = ran(capsys, "check", *arguments)
    assert (run.status, run.out) == (2, "")
    assert one_line(run.err)
    assert words in run.err


@pytest.mark.parametrize(
    "arguments", [[], ["good", "--jobs", "0"], ["good", "--jobs", "65"], ["good", "--format", "x"]]
)
def test_wrong_options_are_2(operator, capsys, arguments):
    run = ran(capsys, "check", *arguments)
    assert (run.status, run.out) == (2, "")
    assert one_line(run.err)
    assert run.err.startswith("safe-sqs check: ")
    assert run.err.endswith("; see safe-sqs check --help\n")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AWS_ENDPOINT_URL", "localhost", "correct AWS_ENDPOINT_URL"),
        ("AWS_REGION", "no region!", "look at --region, AWS_REGION"),
        ("AWS_CONFIG_FILE", "torn.ini", "AWS_CONFIG_FILE"),
    ],
)
def test_a_wrong_setting_of_aws_is_one_line_with_the_next_step(
    operator, capsys, monkeypatch, tmp_path, name, value, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torn.ini").write_text("[default\n")
    monkeypatch.setenv(name, value)
    run = ran(capsys, "check", "good")
    assert (run.status, run.out) == (2, "")
    assert one_line(run.err)
    assert words in run.err


def test_a_file_without_lines_is_not_shown_whole(operator, capsys, monkeypatch, tmp_path):
    (tmp_path / "queues").write_text("[1," * 100_000)
    run = ran(capsys, "check", f"@{tmp_path / 'queues'}")
    assert (run.status, run.out) == (2, "")
    assert one_line(run.err)
    assert len(run.err) < 1_000


def test_the_profile_local_is_not_remarked_on(operator, capsys):
    operator.make("good")
    assert ran(capsys, "check", "good", "--profile", "local").err == ""


def buffered():
    """The environment in which Python keeps what it writes as it usually does, and tries again at its end."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("words", [["check", "good"], ["fix", "good"], ["completion", "bash"]])
def test_a_disk_that_is_full_is_one_line(operator, words):
    operator.make("good")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=buffered()
        )
    assert done.returncode == 2
    assert one_line(done.stderr)
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("words", [["check", "good"], ["audit"], ["fix", "good"]])
def test_what_the_guard_refuses_is_told_once_and_not_logged_as_well(operator, monkeypatch, words):
    for name, value in LONG_TERM.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert one_line(done.stderr)
    assert "static-credentials" in done.stderr


@pytest.mark.parametrize("words", [["policy", "explain", "--queue"], ["fix"]])
def test_an_endpoint_that_does_not_answer_is_not_blamed_on_the_queue(operator, monkeypatch, words):
    monkeypatch.delenv("AWS_CA_BUNDLE")
    done = subprocess.run([COMMAND, *words, operator.arn("good")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert one_line(done.stderr)
    assert "set AWS_CA_BUNDLE" in done.stderr


def test_a_reader_who_has_enough_does_not_interrupt_an_audit(operator, tmp_path):
    """And nothing is kept of it, as there is nothing to go on with."""
    operator.make(*(f"plain-{number}" for number in range(200)))
    done = subprocess.run(
        ["sh", "-c", '{ "$@"; echo "status $?" >&2; } | head -1', "sh", COMMAND, "audit"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "status 1\n"
    assert list(tmp_path.iterdir()) == []


def test_standard_output_may_be_closed(operator):
    operator.make("plain")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", COMMAND, "check", "plain"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")


def test_no_credentials_are_one_line(operator, capsys, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    run = ran(capsys, "check", "good", "other")
    assert run.status == 2
    assert one_line(run.err)
    assert "aws sso login" in run.err


def test_a_name_without_a_region_is_one_line_and_an_arn_needs_none(operator, capsys, monkeypatch):
    operator.make("good")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert ran(capsys, "check", operator.arn("good")).status == 0
    run = ran(capsys, "check", "good")
    assert run.status == 2
    assert one_line(run.err)
    assert "--region" in run.err


def test_what_could_not_be_looked_at_is_told_beside_the_others(operator, capsys):
    operator.make("good")
    run = ran(capsys, "check", "good", "nothere", "--format", "json")
    assert run.status == 2
    assert run.queues == ["good"]
    assert run.err == (
        "safe-sqs check: nothere: there is no such queue; "
        "look at its name, and at the region and account that are asked\n"
    )


# --- what is written ---------------------------------------------------------------------------------------------


def test_the_formats_are_those_that_there_are():
    assert set(FORMATS) == {"table", *WRITTEN}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_written_whole_and_alone_on_standard_output(operator, capsys, name):
    operator.make("bad", "good")
    run = ran(capsys, "check", "bad", "good", "--format", name)
    assert run.status == 1
    assert "bad" in run.out
    assert run.err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX")
def test_a_new_file_is_for_its_owner_and_one_that_was_there_keeps_its_permissions(operator, capsys, tmp_path):
    operator.make("good")
    file = tmp_path / "queues.json"
    assert ran(capsys, "check", "good", "--format", "json", "--output", str(file)).status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert ran(capsys, "check", "good", "--format", "sarif", "-o", str(file)).status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert '"2.1.0"' in file.read_text()
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_followed_and_stays(operator, capsys, tmp_path):
    operator.make("good")
    (tmp_path / "real.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to("real.json")
    assert ran(capsys, "check", "good", "--format", "json", "-o", str(link)).status == 0
    assert link.is_symlink()
    assert '"good"' in (tmp_path / "real.json").read_text()


def test_a_device_is_written_to_and_not_replaced(operator, capsys):
    operator.make("good")
    assert ran(capsys, "check", "good", "--format", "json", "-o", os.devnull).status == 0
    assert not os.path.isfile(os.devnull)  # noqa: PTH113


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("to", ["standard output", "a file"])
def test_a_full_disk_is_one_line_and_2(operator, to):
    operator.make("good")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, "check", "good", "--format", "json", *(["-o", "/dev/full"] if to == "a file" else [])],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=buffered(),
        )
    assert done.returncode == 2
    assert one_line(done.stderr)
    assert "No space left" in done.stderr


def test_a_reader_that_has_enough_changes_nothing_about_the_exit_status(operator):
    operator.make(*(f"bad{number}" for number in range(40)))
    names = [f"bad{number}" for number in range(40)]
    process = subprocess.Popen(
        [COMMAND, "check", *names, "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert err == b""


def test_a_second_opinion_stands_beside_the_first(monkeypatch, capsys):
    def mood(call):
        return "AccessDeniedException" if call.operation == "/policy/check-no-public-access" else None

    with emulator_with(mood) as emulator:
        Operator(emulator, monkeypatch).make("good")
        run = ran(capsys, "check", "good", "--second-opinion", "access-analyzer", "--format", "json")
    ((opinion,),) = [each["opinions"] for each in run.data["queues"]]
    assert run.status == 0
    assert (opinion["source"], opinion["agrees"]) == ("access-analyzer", None)
    assert "allow access-analyzer:CheckNoPublicAccess" in opinion["told"]


# --- terminals ---------------------------------------------------------------------------------------------------


def on_a_terminal(*arguments, stdout_too=False):
    """Run with standard error on a terminal: (exit status, what the terminal showed, standard output)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs if stdout_too else subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    out = b"" if stdout_too else process.stdout.read()
    if not stdout_too:
        process.stdout.close()
    os.close(ours)
    return process.wait(timeout=60), shown.decode(), out.decode()


def test_on_a_terminal_there_is_a_bar_and_in_a_pipe_there_is_none(monkeypatch):
    def slow(call):
        time.sleep(0.3 if call.operation == "GetQueueAttributes" else 0)

    with emulator_with(slow) as emulator:
        Operator(emulator, monkeypatch).make("good", "other")
        status, shown, out = on_a_terminal("check", "good", "other", "--format", "json")
        apart = ran_apart("check", "good", "other", "--format", "json")
    assert status == 0
    assert "queues" in shown
    assert "/2" in shown
    assert out.startswith("{")
    assert "\x1b" not in out
    assert apart.err == ""


def test_a_page_is_not_thrown_at_a_terminal(operator):
    status, shown, _ = on_a_terminal("check", "good", "--format", "html", stdout_too=True)
    assert status == 2
    assert "pass --output FILE" in shown


def test_ctrl_c_ends_it_with_130_and_leaves_nothing(monkeypatch, tmp_path):
    import signal
    from threading import Event

    asked, release = Event(), Event()

    def stuck(call):
        if call.operation == "GetQueueAttributes":
            asked.set()
            release.wait(60)

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with emulator_with(stuck) as emulator:
        Operator(emulator, monkeypatch).make("good")
        process = subprocess.Popen(
            [COMMAND, "check", "good"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        release.set()
    assert (process.returncode, out, err) == (130, "", "safe-sqs check: interrupted\n")
    assert not list(tmp_path.glob("safe-sqs-*.jsonl"))
