"""`safe-sqs policy fix` and `safe-sqs policy explain`: what is shown, what is written, and how they end."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support import TEMPORARY, cli_runner

from safe_sqs.cli import policy_fix
from safe_sqs.cli.policy_explain import explain
from safe_sqs.cli.policy_fix import fix
from safe_sqs.policy import plaintext_access, public_access

OWN = "111122223333"
QUEUE = f"arn:aws:sqs:us-east-1:{OWN}:orders"
DENY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": QUEUE,
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
TEMPLATE = """
Resources:
  Orders: {Type: "AWS::SQS::Queue"}
  Policy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Orders]
      PolicyDocument:
        Statement: {Effect: Allow, Principal: "*", Action: "sqs:SendMessage", Resource: !GetAtt Orders.Arn}
  More: {Type: "AWS::SQS::Queue"}
"""


def statement(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": QUEUE, **elements}


def policy(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def written(document: Any, name: str = "policy.json") -> str:
    text = document if isinstance(document, str) else json.dumps(document, indent=2) + "\n"
    Path(name).write_text(text, encoding="utf-8", newline="")
    return name


def run(command: Any, *arguments: str, given: str | bytes | None = None) -> Result:
    return cli_runner().invoke(command, arguments, input=given, prog_name="safe-sqs policy")


OPEN = policy(statement(Sid="a"))
GOOD = policy(statement(Principal={"AWS": f"arn:aws:iam::{OWN}:role/x"}), DENY)


# --- what is shown, and the exit status --------------------------------------------------------------------------


def test_the_change_is_a_diff_on_standard_output_and_is_still_to_be_made():
    ran = run(fix, written(OPEN))
    assert ran.exit_code == 1
    assert ran.stdout.startswith("--- policy.json (before)\n+++ policy.json (after)\n@@ ")
    assert '-      "Principal": "*",\n' in ran.stdout
    assert "public-access: in statement 'a', name who may as Principal" in ran.stderr
    assert f"The queue is taken to be {QUEUE}, which the policy names." in ran.stderr
    assert json.loads(Path("policy.json").read_text()) == OPEN


def test_a_policy_that_passes_has_no_diff_and_ends_with_0():
    ran = run(fix, written(GOOD))
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "there is nothing to change" in ran.stderr


def test_what_is_left_for_a_person_is_told_and_ends_with_1():
    ran = run(fix, written(policy(statement(Principal={"AWS": f"arn:aws:iam::{OWN}:role/x"}, Action="sqs:*"), DENY)))
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert "left for you, least-privilege: " in ran.stderr


def test_rules_can_be_chosen():
    name = written(policy(statement(Principal={"AWS": f"arn:aws:iam::{OWN}:role/x"})))
    assert run(fix, name, "--mode", "tls-only-policy=off").exit_code == 0
    assert run(fix, name).exit_code == 1


def test_for_machines_everything_is_one_json_document():
    ran = run(fix, written(OPEN), "--format", "json")
    (told,) = json.loads(ran.stdout)
    assert told["changed"]
    assert told["queue"] == QUEUE
    assert [change["rule"] for change in told["changes"]] == ["public-access", "tls-only-policy"]
    assert public_access(told["policy"], queue_arn=QUEUE).found is False
    assert told["diff"].startswith("---")
    assert (told["left"], told["limits"]) == ([], [])


def test_that_sqs_would_not_take_the_policy_is_told():
    role = {"AWS": f"arn:aws:iam::{OWN}:role/x"}
    many = policy(*(statement(Principal=role, Sid=f"s{number}") for number in range(20)))
    ran = run(fix, written(many), "--write")
    assert ran.exit_code == 1
    assert "SQS would not take the new policy: 21 statements, where SQS takes 20" in ran.stderr


@pytest.mark.parametrize("controls", ["\x1b[2J", "\x9b2J", "\u202e"])
def test_a_policy_cannot_steer_the_terminal(controls: str):
    name = written(json.dumps(policy(statement(Sid=f"a{controls}b")), ensure_ascii=False))
    for ran in (run(fix, name), run(explain, name)):
        assert controls not in ran.stdout + ran.stderr
        assert "a" in ran.stdout


# --- what is written ---------------------------------------------------------------------------------------------


def test_the_file_is_changed_in_place_and_keeps_its_mode_and_its_look():
    name = written(OPEN)
    Path(name).chmod(0o640)
    ran = run(fix, name, "--write")
    assert ran.exit_code == 0
    text = Path(name).read_text()
    assert text == json.dumps(json.loads(text), indent=2) + "\n"
    assert plaintext_access(text, queue_arn=QUEUE).found is False
    assert stat.S_IMODE(Path(name).stat().st_mode) == 0o640
    assert [each.name for each in Path().iterdir()] == [name]
    assert run(fix, name).exit_code == 0


def test_a_file_that_passes_is_not_touched():
    name = written(json.dumps(GOOD, indent=5))
    os.utime(name, (1, 1))
    assert run(fix, name, "--write").exit_code == 0
    assert Path(name).stat().st_mtime == 1


def test_a_link_stays_a_link():
    Path("link.json").symlink_to(written(OPEN))
    assert run(fix, "link.json", "--write").exit_code == 0
    assert Path("link.json").is_symlink()
    assert json.loads(Path("policy.json").read_text()) != OPEN


def test_lines_end_as_they_did():
    name = written(json.dumps(OPEN, indent=2).replace("\n", "\r\n"))
    run(fix, name, "--write")
    raw = Path(name).read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") > 10


def test_another_file_can_be_written_and_so_can_standard_output():
    name = written(OPEN)
    assert run(fix, name, "--output", "new.json").exit_code == 0
    assert json.loads(Path(name).read_text()) == OPEN
    assert run(fix, "new.json").exit_code == 0
    ran = run(fix, "-", "--output", "-", given=json.dumps(OPEN))
    assert ran.exit_code == 0
    assert json.loads(ran.stdout) == json.loads(Path("new.json").read_text())


def test_a_pipeline_gets_the_policy_also_where_nothing_is_to_be_changed():
    ran = run(fix, "-", "--output", "-", given=json.dumps(GOOD))
    assert (ran.exit_code, json.loads(ran.stdout)) == (0, GOOD)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_where_nothing_may_be_written_the_file_stays():
    name = written(OPEN)
    Path().chmod(0o500)
    try:
        ran = run(fix, name, "--write")
    finally:
        Path().chmod(0o700)
    assert ran.exit_code == 2
    assert json.loads(Path(name).read_text()) == OPEN


def test_a_file_that_fails_halfway_leaves_the_old_one_and_no_rest(monkeypatch: pytest.MonkeyPatch):
    name = written(OPEN)

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device", name)

    monkeypatch.setattr(policy_fix.os, "fsync", fail)
    ran = run(fix, name, "--write")
    assert ran.exit_code == 2
    assert "No space left" in ran.stderr
    assert json.loads(Path(name).read_text()) == OPEN
    assert [each.name for each in Path().iterdir()] == [name]


# --- templates ---------------------------------------------------------------------------------------------------


def test_each_policy_of_a_template_has_its_diff_and_none_is_written():
    name = written(TEMPLATE, "template.yaml")
    ran = run(fix, name)
    assert ran.exit_code == 1
    assert ran.stdout.count("+++ template.yaml: ") == 2
    assert "${AWS::AccountId}" in ran.stdout
    for option in (["--write"], ["--output", "x.json"]):
        ran = run(fix, name, *option)
        assert ran.exit_code == 2
        assert "only such a one can be written" in ran.stderr
    assert Path(name).read_text() == TEMPLATE


def test_one_queue_is_not_said_for_several_policies():
    ran = run(fix, written(TEMPLATE, "template.yaml"), "--queue-arn", QUEUE)
    assert ran.exit_code == 2
    assert "leave it out" in ran.stderr


def test_the_new_policy_is_not_written_to_what_is_no_file():
    Path("folder").mkdir()
    ran = run(fix, written(OPEN), "--output", "folder")
    assert ran.exit_code == 2
    assert "is no regular file" in ran.stderr


def test_each_policy_of_a_template_is_explained_under_its_name():
    ran = run(explain, written(TEMPLATE, "template.yaml"))
    assert ran.exit_code == 0
    assert ran.stdout.count("Who may do what") == 2
    assert "template.yaml: " in ran.stdout
    assert "! The queue is public: " in ran.stdout
    ran = run(explain, "template.yaml", "--format", "json")
    assert "${AWS::AccountId}" in ran.stdout
    assert len(json.loads(ran.stdout)) == 2


# --- wrong use ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{", "not JSON"),
        ("[]", "neither a policy"),
        ('{"Statement": 5}', "not a policy"),
        ('{"Statement": [{"Effect": "Allow"}]}', "needs one of"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (json.dumps(policy(statement(Resource="*"))), "--queue-arn"),
        (json.dumps(policy(statement(), statement(Resource=f"{QUEUE}-2"))), "--queue-arn"),
    ],
)
def test_what_is_no_policy_is_one_line_and_2(text: str | bytes, told: str):
    ran = run(fix, "-", given=text)
    assert ran.exit_code == 2
    assert told in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""


@pytest.mark.parametrize("command", [fix, explain])
@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_read_is_one_line_and_2(command: Any, name: str):
    ran = run(command, name)
    assert ran.exit_code == 2
    assert ran.stderr.count("\n") == 1
    assert name in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["-", "--write"],
        ["policy.json", "--write", "--output", "x"],
        ["policy.json", "--format", "json", "--output", "-"],
        ["policy.json", "--queue-arn", "orders"],
        [],
    ],
)
def test_options_that_make_no_sense_end_with_2(arguments: list[str]):
    written(OPEN)
    assert run(fix, *arguments).exit_code == 2


def test_a_file_far_too_large_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(policy_fix, "_LARGEST_BYTES", 10)
    ran = run(fix, written(OPEN))
    assert ran.exit_code == 2
    assert "too large" in ran.stderr


def test_a_policy_far_longer_than_a_queue_may_have_is_not_looked_at_for_minutes():
    many = written(policy(*(statement(Sid=f"S{number}") for number in range(5_000))))
    for command in (fix, explain):
        ran = run(command, many)
        assert ran.exit_code == 2
        assert "8,192 at the most" in ran.stderr


def test_a_queue_about_which_the_policy_is_not_is_told():
    ran = run(fix, written(GOOD), "--queue-arn", f"{QUEUE}-2")
    assert f"The policy is about {QUEUE}, and not about {QUEUE}-2." in ran.stderr
    assert run(fix, written(policy(statement(Resource="*"))), "--queue-arn", QUEUE).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["policy.json", "--queue", QUEUE], ["--queue", "orders"], ["--queue", QUEUE, "--queue-arn", QUEUE]],
)
def test_what_is_to_be_explained_has_to_be_said_in_one_way(arguments: list[str]):
    written(OPEN)
    assert run(explain, *arguments).exit_code == 2


# --- explain -----------------------------------------------------------------------------------------------------


def test_a_policy_is_explained_in_sections():
    ran = run(explain, written(GOOD))
    assert ran.exit_code == 0
    lines = ran.stdout.splitlines()
    assert lines[0] == "Who may do what"
    assert lines[1].startswith(f"  - arn:aws:iam::{OWN}:role/x may sqs:SendMessage (producer)")
    assert lines[2].startswith("    for example: ")
    assert "  - Plain HTTP is denied to everyone." in lines


def test_without_the_queue_it_is_explained_as_far_as_that_goes():
    ran = run(explain, "-", given=json.dumps(policy(statement(Resource="*"))))
    assert ran.exit_code == 0
    assert "The queue's ARN is not known" in ran.stdout


def test_a_policy_is_explained_to_machines():
    (told,) = json.loads(run(explain, written(OPEN), "--format", "json").stdout)
    assert told["queue"] == QUEUE
    strangers = told["sections"][2]["sentences"][0]
    assert strangers["danger"]
    assert strangers["witness"]["action"] == "sqs:SendMessage"


def test_the_policy_of_a_queue_is_read_from_aws(
    emulator: Any, make_queue: Any, raw: Any, monkeypatch: pytest.MonkeyPatch
):
    url = make_queue(Policy=json.dumps(GOOD))
    arn = raw.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", emulator.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", emulator.authority)
    monkeypatch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", emulator.host)
    for name, value in TEMPORARY.items():
        monkeypatch.setenv(name.upper(), value)
    for queue in (url, arn):
        ran = run(explain, "--queue", queue, "--region", "us-east-1")
        assert ran.exit_code == 0, ran.stderr
        assert ran.stdout.startswith(f"{arn}\nWho may do what\n")
    ran = run(explain, "--queue", f"{url}-missing", "--region", "us-east-1")
    assert ran.exit_code == 2
    assert "could not be read" in ran.stderr or "no such queue" in ran.stderr


def test_a_closed_pipe_is_no_crash():
    program = "from safe_sqs.cli import main; main()"
    text = json.dumps(policy(*(statement(Sid=f"s{number}") for number in range(20))))
    command = [sys.executable, "-c", program, "policy", "explain", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
        assert ran.stdin is not None
        assert ran.stdout is not None
        assert ran.stderr is not None
        ran.stdout.close()
        ran.stdin.write(text.encode())
        ran.stdin.close()
        assert b"Traceback" not in ran.stderr.read()
