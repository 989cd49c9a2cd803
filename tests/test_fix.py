"""`safe-sqs fix`: what it shows, what it changes only when agreed to, and that all of it can be undone."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import select
import shlex
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sockets import Answer, certificates, listening
from support import LONG_TERM, REGION, TEMPORARY, UNENCRYPTED, cli_runner

from safe_sqs import Config, sources
from safe_sqs.cli.commands import safe_sqs
from safe_sqs.cli.fix import _config_to_undo, _undo_one
from safe_sqs.fleet.access import Account
from safe_sqs.fleet.fixing import Caller, Key, Wishes, plan, see
from safe_sqs.fleet.rollback import (
    Change,
    OtherStateError,
    Rollback,
    RollbackFileError,
    Standing,
    command_of,
    is_as,
    read_rollback,
    touched_in,
    undoings,
    wait_for,
)
from safe_sqs.model import KeyManager, Mode

pytestmark = pytest.mark.skipif(os.name != "posix", reason="terminals and file modes are those of POSIX")

OWN = "123456789012"
PARTNER = "arn:aws:iam::444455556666:role/partner"
ON_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
MAIN = "from safe_sqs.cli import main; main()"


@pytest.fixture
def environment(emulator):
    """The environment of an operator of the emulator."""
    return {
        **os.environ,
        **{name.upper(): value for name, value in TEMPORARY.items()},
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_CA_BUNDLE": emulator.authority,
        "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": emulator.host,
        "AWS_DEFAULT_REGION": REGION,
    }


@pytest.fixture
def run(environment):
    """Run `safe-sqs fix` in this process, without a terminal."""

    def run(*arguments, **more):
        with pytest.MonkeyPatch.context() as patched:
            for name, value in {**environment, **more}.items():
                patched.setenv(name, value)
            words = ["fix", *map(str, arguments)]
            return cli_runner().invoke(safe_sqs, words, prog_name="safe-sqs", catch_exceptions=False)

    return run


@pytest.fixture
def run_on_terminal(environment):
    """Run `safe-sqs fix` on a terminal, and answer its questions: `between` is called before each answer."""

    def run(*arguments, answers, between=lambda: None):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-c", ON_TERMINAL + MAIN, "fix", *map(str, arguments)]
        process = subprocess.Popen(
            command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        shown, answered = b"", 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                if answers[:answered][-1:] == [b"\x03"]:  # one that comes just before the reading goes unnoticed
                    os.write(ours, b"\x03")
                continue
            try:
                read = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not read:
                break
            shown += read
            if shown.count(b"[y/N]: ") > answered:
                between()
                os.write(ours, answers[answered])
                answered += 1
        os.close(ours)
        status = process.wait(timeout=30)
        return status, shown.decode()

    return run


def arn_of(url):
    return f"arn:aws:sqs:{REGION}:{OWN}:{url.rpartition('/')[2]}"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(url, principal="*", action="sqs:SendMessage", **more):
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": arn_of(url), **more}


def state_of(raw, *urls):
    """Everything that SQS says of queues, but for when they were changed."""
    return [
        {
            name: value
            for name, value in raw.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"].items()
            if not name.endswith("Timestamp")
        }
        for url in urls
    ]


def rollback_files():
    return sorted(Path.cwd().glob("safe-sqs-rollback-*.json"))


@pytest.fixture
def open_queue(raw, make_queue):
    """A queue with everything wrong that can be mended: its URL."""
    url = make_queue("-open", **UNENCRYPTED)
    named = allow(url, {"AWS": f"arn:aws:iam::{OWN}:role/app"})
    attributes = {**UNENCRYPTED, "Policy": policy(allow(url, Sid="open"), named)}
    raw.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return url


# --- what is shown -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_without_apply_it_shows_and_changes_nothing(run, raw, open_queue, arguments):
    before = state_of(raw, open_queue)
    ran = run(*arguments, open_queue)
    assert ran.exit_code == 1
    rules = ("[public-access]", "[tls-only-policy]", "[queue-encryption]")
    for shown in (*rules, '-      "Principal": "*"', "+SqsManagedSseEnabled=true"):
        assert shown in ran.stdout
    assert "add --apply" in ran.stderr
    assert state_of(raw, open_queue) == before
    assert rollback_files() == []


@pytest.mark.parametrize("form", ["url", "arn", "name"])
def test_a_queue_is_named_by_url_arn_or_name(run, bad, form):
    text = {"url": bad, "arn": arn_of(bad), "name": bad.rpartition("/")[2]}[form]
    ran = run("--rule", "queue-encryption", text)
    assert ran.exit_code == 1
    assert arn_of(bad) in ran.stdout


def test_a_queue_with_nothing_wrong_ends_with_0(run, raw, good):
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn_of(good)}
    deny["Condition"] = {"Bool": {"aws:SecureTransport": "false"}}
    raw.set_queue_attributes(QueueUrl=good, Attributes={"Policy": policy(deny)})
    for arguments in ((), ("--apply", "--yes")):
        ran = run(*arguments, good)
        assert (ran.exit_code, ran.stderr) == (0, "")
        assert "nothing to mend" in ran.stdout
    assert rollback_files() == []


def test_what_a_person_has_to_do_is_told_with_the_reason(run, raw, good):
    both = {"Policy": policy(allow(good, action="sqs:*"), allow(good, {"AWS": PARTNER}))}
    raw.set_queue_attributes(QueueUrl=good, Attributes=both)
    ran = run("--rule", "public-access", "--apply", "--yes", good)
    assert ran.exit_code == 1
    assert f"not offered, since {PARTNER} would lose sqs:ReceiveMessage" in ran.stdout
    assert json.loads(state_of(raw, good)[0]["Policy"]) == json.loads(both["Policy"])


def test_a_name_cannot_write_on_the_terminal(run, raw, open_queue):
    evil = allow(open_queue, Sid="\x1b[2J\x1b]0;owned\x07")
    raw.set_queue_attributes(QueueUrl=open_queue, Attributes={"Policy": policy(evil)})
    ran = run(open_queue)
    assert "\x1b" not in ran.stdout
    assert "\x07" not in ran.stdout
    assert "owned" in ran.stdout


def test_what_stands_in_a_file_cannot_either(run, bad):
    run("--apply", "--yes", "--rule", "queue-encryption", bad)
    (file,) = rollback_files()
    data = json.loads(file.read_text())
    data["changes"][0]["words"] = ["a bell \x07, a turn \u202e"]
    file.write_text(json.dumps(data))
    ran = run("--undo", file, "--dry-run")
    assert r"a bell \x07, a turn \u202e" in ran.stdout
    assert "\x07" not in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name a queue"),
        (("--dry-run", "--apply", "q"), "exclude each other"),
        (("--undo", "f", "q"), "--undo takes only a file"),
        (("--undo", "f", "--rule", "public-access"), "--undo takes only a file"),
        (("--force", "q"), "--force goes with --undo"),
        (("--rule", "nonsense", "q"), "'nonsense' is none of"),
        (("--apply", "q"), "there is no terminal to ask on"),
        (("--undo", "f"), "there is no terminal to ask on"),
        (("a b",), "names no queue"),
        (("no-such-queue",), "there is no such queue"),
        (("--undo", "no-such-file", "--yes"), "No such file"),
        (("--undo", ".", "--yes"), "directory"),
    ],
)
def test_wrong_use_is_one_line_and_2(run, arguments, told):
    ran = run(*arguments)
    assert ran.exit_code == 2
    assert told in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


def test_one_queue_that_is_not_there_does_not_keep_the_others_from_being_shown(run, bad):
    ran = run("no-such-queue", bad)
    assert ran.exit_code == 2
    assert "no-such-queue: there is no such queue" in ran.stderr
    assert "[queue-encryption]" in ran.stdout


def test_long_term_keys_are_refused_before_anything_is_asked(run, bad):
    ran = run(bad, **{name.upper(): value for name, value in LONG_TERM.items()}, AWS_SESSION_TOKEN="")
    assert ran.exit_code == 2
    assert "static-credentials" in ran.stderr


# --- what is changed, and undone ---------------------------------------------------------------------------------


def set_up(kind, raw, make_queue):
    """Queues of a kind: what is passed to the command, all URLs, and more arguments."""
    if kind == "unencrypted":
        url = make_queue("-bad", **UNENCRYPTED)
        return url, [url], []
    if kind == "unencrypted, with a policy that stays":
        url = make_queue("-bad", **UNENCRYPTED)
        attributes = {**UNENCRYPTED, "Policy": policy(allow(url, {"AWS": PARTNER}))}
        raw.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        return url, [url], ["--rule", "queue-encryption"]
    if kind == "public":
        url = make_queue("-public")
        raw.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(allow(url))})
        return url, [url], ["--rule", "public-access"]
    if kind == "public, and nothing else":
        url = make_queue("-public")
        like = {"StringLike": {"aws:SourceArn": "arn:aws:s3:::*"}}
        raw.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(allow(url, Condition=like))})
        return url, [url], ["--rule", "public-access"]
    if kind == "plain HTTP":
        url = make_queue("-http")
        return url, [url], ["--rule", "tls-only-policy"]
    if kind == "KMS":
        url = make_queue("-kms")
        return url, [url], ["--level", "queue-encryption=kms", "--kms-key", "KEY", "--rule", "queue-encryption"]
    if kind == "from no encryption to KMS":
        url = make_queue("-kms", **UNENCRYPTED)
        return url, [url], ["--kms-key", "KEY", "--rule", "queue-encryption"]
    if kind == "from one key to another":
        url = make_queue("-kms", KmsMasterKeyId="alias/aws/sqs")
        more = ["--level", "queue-encryption=customer-key", "--kms-key", "KEY", "--rule", "queue-encryption"]
        return url, [url], more
    dead = make_queue("-dead", **UNENCRYPTED)
    redrive = json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": 3})
    url = make_queue("-source", RedrivePolicy=redrive)
    raw.set_queue_attributes(QueueUrl=dead, Attributes={**UNENCRYPTED, "Policy": policy(allow(dead))})
    return url, [url, dead], ["--rule", "dead-letter-queue"]


KINDS = [
    "unencrypted",
    "unencrypted, with a policy that stays",
    "public",
    "public, and nothing else",
    "plain HTTP",
    "KMS",
    "from no encryption to KMS",
    "from one key to another",
    "dead-letter queue",
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_mended_passes_and_what_is_undone_is_as_it_was(run, raw, make_raw, make_queue, kind):
    url, urls, more = set_up(kind, raw, make_queue)
    if "KEY" in more:
        more[more.index("KEY")] = make_raw("kms").create_key()["KeyMetadata"]["KeyId"]
    before = state_of(raw, *urls)
    ran = run("--apply", "--yes", *more, url)
    assert (ran.exit_code, ran.stdout.count("made: ") > 0) == (0, True), ran.stdout + ran.stderr
    assert state_of(raw, *urls) != before
    again = run(*more, url)
    assert again.exit_code == 0
    (file,) = rollback_files()
    assert f"safe-sqs fix --undo {file.name}" in ran.stderr
    shown = run("--undo", file, "--dry-run")
    assert shown.exit_code == 1
    assert state_of(raw, *urls) != before
    undone = run("--undo", file, "--yes")
    assert undone.exit_code == 0, undone.stderr
    assert state_of(raw, *urls) == before
    once_more = run("--undo", file, "--yes")
    assert once_more.exit_code == 0
    assert "nothing to undo" in once_more.stdout


def test_everything_that_is_wrong_is_mended_step_by_step_and_undone(run, raw, open_queue):
    before = state_of(raw, open_queue)
    ran = run("--apply", "--yes", open_queue)
    assert ran.exit_code == 0
    assert ran.stdout.count("made: ") == 3
    assert "nothing is left to do" in ran.stdout
    (file,) = rollback_files()
    assert [change.rules for change in read_rollback(file)] == [
        ("public-access",),
        ("tls-only-policy",),
        ("queue-encryption",),
    ]
    assert run("--undo", file, "--yes").exit_code == 0
    assert state_of(raw, open_queue) == before


def test_the_commands_in_the_file_undo_it_without_safe_sqs(run, raw, make_raw, open_queue):
    before = state_of(raw, open_queue)
    run("--apply", "--yes", open_queue)
    for change in reversed(json.loads(rollback_files()[0].read_text())["changes"]):
        words = shlex.split(change["undo"])
        assert words[:3] == ["aws", "sqs", "set-queue-attributes"]
        given = dict(zip(words[3::2], words[4::2], strict=True))
        attributes = json.loads(given["--attributes"])
        if "Policy" not in attributes:  # the emulator takes a policy that is left out for an empty one
            attributes["Policy"] = state_of(raw, open_queue)[0]["Policy"]
        client = make_raw(endpoint_url=given["--endpoint-url"], region_name=given["--region"])
        client.set_queue_attributes(QueueUrl=given["--queue-url"], Attributes=attributes)
    assert state_of(raw, open_queue) == before


def test_the_file_is_for_its_owner_only_and_has_no_secrets(run, open_queue):
    run("--apply", "--yes", open_queue)
    (file,) = rollback_files()
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    for secret in TEMPORARY.values():
        assert secret not in text


def test_a_dead_letter_queue_that_two_queues_share_is_mended_once(run, raw, make_queue):
    dead = make_queue("-dead", **UNENCRYPTED)
    redrive = json.dumps({"deadLetterTargetArn": arn_of(dead), "maxReceiveCount": 3})
    one, other = make_queue("-one", RedrivePolicy=redrive), make_queue("-other", RedrivePolicy=redrive)
    ran = run("--apply", "--yes", "--rule", "dead-letter-queue", one, other)
    assert ran.exit_code == 0, ran.stdout
    assert ran.stdout.count("made: ") == 1
    assert state_of(raw, dead)[0]["SqsManagedSseEnabled"] == "true"


def test_exempt_rules_are_left_alone(run, bad):
    until = str((datetime.now(timezone.utc) + timedelta(days=9)).date())
    exemption = {"queue": "*", "rule": "queue-encryption", "reason": "a test", "until": until}
    ran = run("--rule", "queue-encryption", bad, SAFE_SQS_EXEMPTIONS=json.dumps([exemption]))
    assert ran.exit_code == 0


# --- questions ---------------------------------------------------------------------------------------------------


def test_each_change_is_asked_for_and_made_when_agreed_to(run_on_terminal, raw, open_queue):
    status, shown = run_on_terminal("--apply", open_queue, answers=[b"y\n", b"y\n", b"y\n"])
    assert status == 0, shown
    assert shown.count("Make this change to") == 3
    assert shown.index('-      "Principal": "*"') < shown.index("Make this change to")
    assert state_of(raw, open_queue)[0]["SqsManagedSseEnabled"] == "true"


def test_a_change_that_is_declined_is_not_made_and_the_others_are(run_on_terminal, raw, open_queue):
    status, shown = run_on_terminal("--apply", open_queue, answers=[b"n\n", b"y\n", b"\n"])
    assert status == 1, shown
    (state,) = state_of(raw, open_queue)
    assert state["SqsManagedSseEnabled"] == "false"
    first, _, deny = json.loads(state["Policy"])["Statement"]
    assert first["Principal"] == "*"
    assert deny["Effect"] == "Deny"
    assert len(read_rollback(rollback_files()[0])) == 1


def test_nothing_is_written_when_all_is_declined(run_on_terminal, raw, open_queue):
    before = state_of(raw, open_queue)
    status, shown = run_on_terminal("--apply", open_queue, answers=[b"\n", b"\n", b"\n"])
    assert status == 1
    assert "you did not want it" in shown
    assert (state_of(raw, open_queue), rollback_files()) == (before, [])


@pytest.mark.parametrize("leaves", [b"\x03", b"\x04"])
def test_an_interrupted_run_prints_the_way_back(run_on_terminal, run, raw, open_queue, leaves):
    before = state_of(raw, open_queue)
    status, shown = run_on_terminal("--apply", open_queue, answers=[b"y\n", leaves])
    assert status == 130
    assert "\r\nsafe-sqs fix: To undo" in shown
    (file,) = rollback_files()
    assert f"safe-sqs fix --undo {file.name}" in shown
    assert "Traceback" not in shown
    assert run("--undo", file, "--yes").exit_code == 0
    assert state_of(raw, open_queue) == before


def test_undoing_asks_too(run_on_terminal, run, raw, bad):
    before = state_of(raw, bad)
    run("--apply", "--yes", "--rule", "queue-encryption", bad)
    after, (file,) = state_of(raw, bad), rollback_files()
    status, _ = run_on_terminal("--undo", file, answers=[b"n\n"])
    assert (status, state_of(raw, bad)) == (1, after)
    status, _ = run_on_terminal("--undo", file, answers=[b"y\n"])
    assert (status, state_of(raw, bad)) == (0, before)


def test_a_change_by_somebody_else_meanwhile_stops_the_run(run_on_terminal, raw, open_queue):
    def interfere():
        mine = {"Policy": policy(allow(open_queue, {"AWS": PARTNER})), **UNENCRYPTED}
        raw.set_queue_attributes(QueueUrl=open_queue, Attributes=mine)

    status, shown = run_on_terminal("--apply", open_queue, answers=[b"y\n"], between=interfere)
    assert status == 2
    assert "somebody else has changed the queue meanwhile" in shown
    assert PARTNER in state_of(raw, open_queue)[0]["Policy"]
    assert rollback_files() == []


# --- what goes wrong ---------------------------------------------------------------------------------------------


@contextmanager
def denying(emulator, tmp_path, number, code="AccessDenied"):
    """A door before the emulator that denies one SetQueueAttributes and all after it, counted from 1."""
    context, authority = certificates(tmp_path)
    seen = []
    there = urlsplit(emulator.url)

    def answer(request):
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        seen.append(operation)
        if operation == "SetQueueAttributes" and seen.count(operation) >= number:
            body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}).encode()
            return Answer(400, body, {"Content-Type": "application/x-amz-json-1.0"})
        trusted = ssl.create_default_context(cafile=emulator.authority)
        connection = http.client.HTTPSConnection(there.hostname, there.port, context=trusted)
        kept = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        connection.request(request.method, request.path, request.body, kept)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return Answer(response.status, body, {"Content-Type": response.headers["Content-Type"]})

    with listening(answer, context) as listener:
        yield {
            "AWS_ENDPOINT_URL": listener.url,
            "AWS_CA_BUNDLE": authority,
            "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": listener.netloc,
            "AWS_MAX_ATTEMPTS": "1",
        }


@pytest.mark.parametrize("code", ["AccessDenied", "RequestThrottled"])
def test_a_step_that_fails_leaves_the_way_back_for_those_before(run, raw, emulator, tmp_path, open_queue, code):
    before = state_of(raw, open_queue)
    with denying(emulator, tmp_path, 2, code) as door:
        ran = run("--apply", "--yes", open_queue, **door)
        assert ran.exit_code == 2
        assert "SetQueueAttributes" in ran.stderr
        assert "Traceback" not in ran.stderr
        (file,) = rollback_files()
        assert f"--undo {file.name}" in ran.stderr
        assert [change.rules[0] for change in read_rollback(file)] == ["public-access", "tls-only-policy"]
        assert state_of(raw, open_queue) != before
    with denying(emulator, tmp_path, 9) as door:
        text = re.sub(r"https://localhost:\d+", door["AWS_ENDPOINT_URL"], file.read_text())
        file.write_text(text)
        assert run("--undo", file, "--yes", **door).exit_code == 0
    assert state_of(raw, open_queue) == before


@pytest.mark.parametrize("place", ["no-such-folder/f.json", "."])
def test_where_the_way_back_cannot_be_written_nothing_is_changed(run, raw, open_queue, place):
    before = state_of(raw, open_queue)
    ran = run("--apply", "--yes", "--rollback", place, open_queue)
    assert ran.exit_code == 2
    assert ran.stderr.count("\n") == 1
    assert place in ran.stderr
    assert "say with --rollback" in ran.stderr
    assert state_of(raw, open_queue) == before


def test_a_file_that_is_there_is_never_written_over(run, raw, open_queue, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text("mine")
    before = state_of(raw, open_queue)
    ran = run("--apply", "--yes", "--rollback", file, open_queue)
    assert ran.exit_code == 2
    assert (file.read_text(), state_of(raw, open_queue)) == ("mine", before)
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "elsewhere.json")
    assert run("--apply", "--yes", "--rollback", link, open_queue).exit_code == 2
    assert not (tmp_path / "elsewhere.json").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "no JSON",
        '{"safe_sqs_rollback": 1, "changes": []}',
        '{"safe_sqs_rollback": 2, "changes": [{}]}',
        "\udcff",
    ],
)
def test_what_is_no_rollback_file_is_told(run, tmp_path, text):
    file = tmp_path / "file"
    file.write_bytes(text.encode(errors="surrogateescape"))
    ran = run("--undo", file, "--yes")
    assert ran.exit_code == 2
    assert "not a rollback file" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_queue_that_was_changed_since_is_left_alone_unless_forced(run, raw, open_queue):
    run("--apply", "--yes", "--rule", "tls-only-policy", open_queue)
    (file,) = rollback_files()
    mine = {"Policy": policy(allow(open_queue, {"AWS": PARTNER})), **UNENCRYPTED}
    raw.set_queue_attributes(QueueUrl=open_queue, Attributes=mine)
    ran = run("--undo", file, "--yes")
    assert ran.exit_code == 2
    assert "was changed since" in ran.stderr
    assert PARTNER in state_of(raw, open_queue)[0]["Policy"]
    assert run("--undo", file, "--yes", "--force").exit_code == 0
    assert PARTNER not in state_of(raw, open_queue)[0]["Policy"]


def test_a_file_of_another_endpoint_is_not_undone_here(run, bad):
    run("--apply", "--yes", "--rule", "queue-encryption", bad)
    (file,) = rollback_files()
    file.write_text(file.read_text().replace("localhost", "elsewhere.example"))
    ran = run("--undo", file, "--yes")
    assert ran.exit_code == 2
    assert "AWS_ENDPOINT_URL" in ran.stderr


@pytest.mark.parametrize("fault", ["PendingDeletion", "absent"])
def test_a_key_that_cannot_encrypt_is_told_before_anything_is_changed(run, raw, make_raw, bad, fault):
    kms = make_raw("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"] if fault != "absent" else "alias/no-such-key"
    if fault != "absent":
        kms.schedule_key_deletion(KeyId=key)
    before = state_of(raw, bad)
    ran = run("--apply", "--yes", "--kms-key", key, bad)
    assert ran.exit_code == 2
    assert "key" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert state_of(raw, bad) == before


# --- the plan ----------------------------------------------------------------------------------------------------

ADMIN = Caller(f"arn:aws:sts::{OWN}:assumed-role/admin/me", lambda _: True)


@pytest.fixture
def planned(environment, monkeypatch):
    """The plan for a queue."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def planned(url, caller=ADMIN, key=None, **settings):
        config = Config(**settings)
        wishes = Wishes(config, datetime.now(timezone.utc).date(), caller, None, key)
        return plan(see(Account().sqs(config), url, config), wishes)

    return planned


def reasons(made):
    return {left.finding.rule: left.reason for left in made.left}


def test_a_caller_whom_only_the_policy_lets_change_the_queue_is_not_locked_out(planned, raw, good):
    raw.set_queue_attributes(QueueUrl=good, Attributes={"Policy": policy(allow(good, action="sqs:*"))})
    made = planned(good, Caller(ADMIN.arn, lambda _: False))
    assert "could not undo the change" in reasons(made)["public-access"]
    assert [step.rules for step in made.steps] == [("tls-only-policy",)]
    offered = {step.rules[0]: step for step in planned(good).steps}
    assert not any("not known" in remark for remark in offered["public-access"].remarks)
    unknown = {step.rules[0]: step for step in planned(good, Caller(ADMIN.arn, lambda _: None)).steps}
    assert any("It is not known whether you" in remark for remark in unknown["public-access"].remarks)


def test_confining_to_a_vpc_is_left_to_a_person(planned, good):
    made = planned(good, modes={"vpc-only-policy": Mode.WARN}, vpc_endpoints=["vpce-0a1b2c3d"])
    assert ADMIN.arn in reasons(made)["vpc-only-policy"]


def test_a_key_is_asked_for_where_the_level_needs_one(planned, good):
    assert "--kms-key" in reasons(planned(good, levels={"queue-encryption": "kms"}))["queue-encryption"]


@pytest.mark.parametrize("principal", [{"Service": "sns.amazonaws.com"}, {"AWS": PARTNER}])
def test_a_key_of_aws_is_not_offered_where_services_or_others_use_the_queue(planned, raw, good, principal):
    raw.set_queue_attributes(QueueUrl=good, Attributes={"Policy": policy(allow(good, principal))})
    key = Key("alias/aws/sqs", KeyManager.AWS, None)
    made = planned(good, key=key, levels={"queue-encryption": "kms"})
    assert "under a key that AWS manages" in reasons(made)["queue-encryption"]


def test_a_key_that_is_closed_to_the_named_is_not_offered(planned, raw, good):
    raw.set_queue_attributes(QueueUrl=good, Attributes={"Policy": policy(allow(good, {"AWS": PARTNER}))})
    root = {"AWS": f"arn:aws:iam::{OWN}:root"}
    of_key = policy({"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"})
    made = planned(good, key=Key("alias/mine", KeyManager.CUSTOMER, of_key), levels={"queue-encryption": "kms"})
    assert PARTNER in reasons(made)["queue-encryption"]


def test_a_key_is_offered_with_a_warning(planned, good):
    made = planned(good, key=Key("alias/mine", KeyManager.CUSTOMER, None), levels={"queue-encryption": "kms"})
    step = next(step for step in made.steps if step.rules == ("queue-encryption",))
    assert "LOCKED OUT" in step.remarks[0]
    assert "could not be read" in step.remarks[1]


def test_a_policy_that_cannot_be_read_is_left_to_a_person(planned, raw, bad):
    raw.set_queue_attributes(QueueUrl=bad, Attributes={"Policy": policy({"Effect": "Perhaps"}), **UNENCRYPTED})
    made = planned(bad)
    assert [step.rules for step in made.steps] == [("queue-encryption",)]
    assert "public-access" in reasons(made)


# --- the way back ------------------------------------------------------------------------------------------------


def change(before, after, url="https://sqs.us-east-1.amazonaws.com/111122223333/orders"):
    arn = "arn:aws:sqs:us-east-1:111122223333:orders"
    return Change(url, arn, "us-east-1", "https://sqs.us-east-1.amazonaws.com", ("r",), ("w",), before, after)


def test_the_command_for_aws_names_no_endpoint():
    command = command_of(change({"Policy": ""}, {"Policy": "{}"}))
    assert command == (
        "aws sqs set-queue-attributes --region us-east-1 "
        '--queue-url https://sqs.us-east-1.amazonaws.com/111122223333/orders --attributes \'{"Policy": ""}\''
    )


def test_several_changes_of_a_policy_are_undone_at_once():
    one, two = change({"Policy": ""}, {"Policy": "1"}), change({"Policy": "1"}, {"Policy": "2"})
    sse = change({"SqsManagedSseEnabled": "false"}, {"SqsManagedSseEnabled": "true"})
    of_sse, of_policy = undoings([one, two, sse])
    assert of_sse.change.before == {"SqsManagedSseEnabled": "false"}
    assert (of_policy.change.before, of_policy.change.after) == ({"Policy": ""}, {"Policy": "2"})
    standings = [of_policy.standing({"Policy": text}) for text in ("", "1", "2", "3")]
    assert standings == [Standing.AS_BEFORE, Standing.AS_LEFT, Standing.AS_LEFT, Standing.OTHER]


def a_policy(principal, actions=("sqs:SendMessage", "sqs:ReceiveMessage"), indent=None):
    entry = {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": "*"}
    return json.dumps({"Statement": [entry]}, indent=indent)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (a_policy({"AWS": "1" * 12}), a_policy({"AWS": f"arn:aws:iam::{'1' * 12}:root"}, indent=2), True),
        (a_policy("*"), a_policy("*", ("sqs:ReceiveMessage", "sqs:SendMessage")), True),
        (a_policy("*"), a_policy("*", ("sqs:SendMessage",)), False),
        (a_policy("*"), a_policy({"AWS": "1" * 12}), False),
        ("", '{"Statement": []}', True),
        ("", a_policy("*"), False),
        ("garbled", "garbled", True),
        ("garbled", a_policy("*"), False),
        ("garbled", "", False),
    ],
)
def test_a_policy_is_the_same_however_it_is_spelled(one, other, same):
    assert is_as({"Policy": one}, {"Policy": other}) is same
    assert is_as({"Policy": other}, {"Policy": one}) is same


def test_with_a_key_the_other_encryption_does_not_count():
    with_key = touched_in({"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "true"})
    assert is_as(with_key, {"KmsMasterKeyId": "k", "SqsManagedSseEnabled": "false"})
    assert not is_as(with_key, {"KmsMasterKeyId": "", "SqsManagedSseEnabled": "true"})
    assert not is_as(touched_in({}), {"SqsManagedSseEnabled": "true"})


def test_an_answer_from_before_the_last_change_is_waited_out():
    old = touched_in({})
    new, other = touched_in({"SqsManagedSseEnabled": "true"}), touched_in({"KmsMasterKeyId": "k"})
    answers, slept = [old, old, new], []
    assert wait_for(lambda: answers.pop(0), new, [old], sleep=slept.append) == new
    assert len(slept) == 2
    assert wait_for(lambda: old, new, [old], seconds=3, sleep=slept.append) is None
    with pytest.raises(OtherStateError):
        wait_for(lambda: other, new, [old], sleep=slept.append)


def test_a_file_that_cannot_be_written_anew_stays_as_it_was(tmp_path):
    rollback = Rollback(tmp_path / "f.json", "me", datetime.now(timezone.utc))
    rollback.record(change({"Policy": ""}, {"Policy": "1"}))
    before = (tmp_path / "f.json").read_bytes()
    bad = change({"Policy": "\udcff"}, {"Policy": ""})._replace(words=(object(),))
    with pytest.raises(TypeError):
        rollback.record(bad)
    assert (tmp_path / "f.json").read_bytes() == before
    assert len(rollback.changes) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.json"]


def test_two_runs_in_a_second_have_two_files():
    begun = datetime.now(timezone.utc)
    for _ in range(2):
        Rollback(None, "me", begun).record(change({"Policy": ""}, {"Policy": "1"}))
    assert len(rollback_files()) == 2


@pytest.mark.parametrize(
    "edit",
    [
        {"before": {"VisibilityTimeout": "1"}, "after": {"VisibilityTimeout": "2"}},
        {"before": {"Policy": 1}},
        {"before": {}, "after": {}},
        {"before": {"Policy": ""}, "after": {"KmsMasterKeyId": ""}},
        {"queue_url": None},
    ],
)
def test_a_file_that_would_touch_something_else_is_no_rollback_file(tmp_path, edit):
    data = {**change({"Policy": ""}, {"Policy": "1"})._asdict(), **edit}
    (tmp_path / "f").write_text(json.dumps({"safe_sqs_rollback": 1, "changes": [data]}))
    with pytest.raises(RollbackFileError):
        read_rollback(tmp_path / "f")


@pytest.mark.parametrize(("floor", "mode"), [("", Mode.WARN), ('[modes]\npublic-access = "enforce"\n', Mode.ENFORCE)])
def test_undoing_is_not_refused_unless_the_organisation_says_so(monkeypatch, tmp_path, capsys, floor, mode):
    file = tmp_path / "organisation.toml"
    file.write_text(floor)
    monkeypatch.setattr(sources, "ORGANISATION_FILES", (file,))
    config = _config_to_undo(None, (), (), None)
    assert config.mode("public-access") is mode
    assert config.mode("https-endpoint") is Mode.ENFORCE
    assert ("The organisation's file holds" in capsys.readouterr().err) is bool(floor)


def test_what_the_organisation_refuses_is_told_with_the_command(planned, capsys, raw, bad):
    after = {"SqsManagedSseEnabled": "true"}
    raw.set_queue_attributes(QueueUrl=bad, Attributes=after)
    client = Account().sqs(Config())
    made = Change(bad, arn_of(bad), REGION, client.meta.endpoint_url, ("queue-encryption",), ("w",), UNENCRYPTED, after)
    assert _undo_one(client, undoings([made])[0], asks=False, dry_run=False, force=False) == 2
    told = capsys.readouterr().err
    assert "queue-encryption" in told
    assert "Without safe-sqs: aws sqs set-queue-attributes" in told
    assert state_of(raw, bad)[0]["SqsManagedSseEnabled"] == "true"
