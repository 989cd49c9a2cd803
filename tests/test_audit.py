"""`safe-sqs audit`: all queues of accounts and regions, whatever is throttled, denied, deleted or interrupted."""

from __future__ import annotations

import json
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Event, Lock

import pytest
from fleets import COMMAND, GARBAGE, Operator, emulator_with, ran, ran_apart
from support import LONG_TERM

from safe_sqs.evaluation import evaluation_from


@pytest.fixture
def operator(emulator, monkeypatch):
    """Somebody with an account of its own on the emulator."""
    return Operator(emulator, monkeypatch)


def one_line(text):
    """The text is one line, and no stack trace."""
    return text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text


def places(run):
    """Account, region and name of the queues that were told, in their order."""
    return [(each["queue"]["account"], each["queue"]["region"], each["queue"]["name"]) for each in run.data["queues"]]


# --- which queues ------------------------------------------------------------------------------------------------


def test_all_queues_of_the_account_and_region_are_looked_at_and_told_in_order(operator, capsys):
    operator.make("good", "bad", "another", "plain")
    operator.make("elsewhere", region="eu-west-1")
    run = ran(capsys, "audit", "--format", "json")
    assert run.status == 1
    assert run.queues == ["another", "bad", "good", "plain"]


def test_more_queues_than_a_page_holds_are_listed_page_by_page(operator, capsys):
    from moto.backends import get_backend

    backend = get_backend("sqs")[operator.account]["us-east-1"]
    for number in range(1_001):
        backend.create_queue(f"q{number:04}")
    before = operator.emulator.arrived["ListQueues"]
    run = ran(capsys, "audit", "--format", "json", "--fail-on", "enforce", "--jobs", "4")
    assert run.status == 0
    assert run.queues == [f"q{number:04}" for number in range(1_001)]
    assert operator.emulator.arrived["ListQueues"] == before + 2


def test_several_regions_are_looked_at_and_sorted(operator, capsys):
    for region in ("us-east-1", "eu-west-1"):
        operator.make("b", "a", region=region)
    run = ran(capsys, "audit", "--region", "us-east-1", "--region", "eu-west-1", "--format", "json")
    assert [(region, name) for _, region, name in places(run)] == [
        ("eu-west-1", "a"),
        ("eu-west-1", "b"),
        ("us-east-1", "a"),
        ("us-east-1", "b"),
    ]


def test_all_regions_are_those_of_the_partition(operator, capsys):
    operator.make("a", region="ap-south-1")
    operator.make("b", region="sa-east-1")
    before = operator.emulator.arrived["ListQueues"]
    run = ran(capsys, "audit", "--all-regions", "--format", "json")
    assert run.queues == ["a", "b"]
    assert operator.emulator.arrived["ListQueues"] > before + 15


def test_a_role_is_assumed_in_each_account(operator, capsys, tmp_path):
    ids = ["410000000001", "410000000002", "410000000003"]
    for account in ids:
        operator.make("theirs", account=account)
    file = tmp_path / "accounts.txt"
    file.write_text(f"# the shop\n{ids[2]}  # new\n\n")
    arguments = ("--role-name", "Audit", "--account", ids[0], "--account", ids[1], "--accounts-from", str(file))
    run = ran(capsys, "audit", *arguments, "--format", "json")
    assert [account for account, _, _ in places(run)] == ids
    arns = [word for account in ids for word in ("--role-arn", f"arn:aws:iam::{account}:role/Audit")]
    assert places(ran(capsys, "audit", *arns, "--format", "json")) == places(run)


def test_long_term_keys_that_only_assume_roles_are_fine(operator, capsys, monkeypatch):
    operator.make("theirs", account="410000000004")
    for name, value in LONG_TERM.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    run = ran(capsys, "audit", "--role-arn", "arn:aws:iam::410000000004:role/Audit", "--format", "json")
    assert run.queues == ["theirs"]


def test_an_organization_says_its_accounts_and_the_callers_own_is_entered_as_it_is(operator, capsys):
    keys = {name.lower(): value for name, value in operator.credentials_of(operator.account).items()}
    organizations = operator.client("organizations", keys)
    organizations.create_organization(FeatureSet="ALL")
    made = organizations.create_account(AccountName="shop", Email="shop@example.org")["CreateAccountStatus"][
        "AccountId"
    ]
    operator.make("ours")
    operator.make("theirs", account=made)
    run = ran(capsys, "audit", "--organization", "--role-name", "path/Audit", "--format", "json")
    assert {(account, name) for account, _, name in places(run)} == {(operator.account, "ours"), (made, "theirs")}


def test_several_profiles_are_entered_and_a_queue_that_two_of_them_reach_is_told_once(
    operator, capsys, monkeypatch, tmp_path
):
    other = "410000000005"
    operator.make("ours")
    operator.make("theirs", account=other)
    lines = []
    for name, account in (("one", operator.account), ("two", other), ("three", operator.account)):
        keys = operator.credentials_of(account)
        lines += [f"[profile {name}]", "region = us-east-1", *(f"{key.lower()} = {keys[key]}" for key in keys)]
    (tmp_path / "config").write_text("\n".join(lines))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    before = operator.emulator.arrived["GetQueueAttributes"]
    profiles = [word for name in ("one", "two", "three") for word in ("--aws-profile", name)]
    run = ran(capsys, "audit", *profiles, "--format", "json")
    assert {(account, name) for account, _, name in places(run)} == {(operator.account, "ours"), (other, "theirs")}
    assert operator.emulator.arrived["GetQueueAttributes"] == before + 2


def test_an_account_without_queues_is_said_to_be_and_is_fine(operator):
    run = ran_apart("audit", "--format", "json")
    assert run.status == 0
    assert run.data["queues"] == []
    assert run.err == "safe-sqs audit: there are no queues\n"


# --- what goes wrong in some of the places -----------------------------------------------------------------------


def test_a_place_that_cannot_be_listed_is_told_and_the_others_go_on(monkeypatch, capsys):
    def mood(call):
        return "AccessDeniedException" if (call.operation, call.region) == ("ListQueues", "eu-west-1") else None

    with emulator_with(mood) as emulator:
        operator = Operator(emulator, monkeypatch)
        operator.make("good")
        run = ran(capsys, "audit", "--region", "eu-west-1", "--region", "us-east-1", "--format", "json")
    assert run.status == 2
    assert run.queues == ["good"]
    assert run.err.startswith("safe-sqs audit: eu-west-1: ListQueues is not allowed to these credentials")
    assert one_line(run.err)


def test_a_role_that_cannot_be_assumed_is_told_once_for_all_its_regions(monkeypatch):
    good, bad = (f"arn:aws:iam::{account}:role/Audit" for account in ("420000000001", "420000000002"))

    def mood(call):
        return "AccessDenied" if (call.operation, call.about) == ("AssumeRole", bad) else None

    with emulator_with(mood) as emulator:
        Operator(emulator, monkeypatch).make("theirs", account="420000000001")
        roles, regions = ("--role-arn", good, "--role-arn", bad), ("--region", "us-east-1", "--region", "eu-west-1")
        run = ran_apart("audit", *roles, *regions, "--format", "json")
    assert run.status == 2
    assert [account for account, _, _ in places(run)] == ["420000000001"]
    assert one_line(run.err)
    assert f"{bad}: AssumeRole is not allowed" in run.err


_ROLE = "arn:aws:iam::420000000003:role/Audit"


@pytest.mark.parametrize(
    ("arguments", "garbled"), [((), ("ListQueues", "")), (("--role-arn", _ROLE), ("AssumeRole", _ROLE))]
)
def test_an_answer_that_nobody_can_read_is_told_in_one_line(monkeypatch, arguments, garbled):
    with emulator_with(lambda call: GARBAGE if (call.operation, call.about) == garbled else None) as emulator:
        Operator(emulator, monkeypatch)
        run = ran_apart("audit", *arguments)
    assert run.status == 2
    assert one_line(run.err)
    assert "an answer that makes no sense" in run.err


def not_enabled(*regions):
    """The mood of regions that are not enabled."""
    return lambda call: "UnrecognizedClientException" if call.region in regions else None


def test_a_region_that_is_not_enabled_is_skipped_and_no_trouble(monkeypatch, capsys):
    with emulator_with(not_enabled("af-south-1", "me-south-1")) as emulator:
        Operator(emulator, monkeypatch).make("good")
        run = ran(capsys, "audit", "--all-regions", "--format", "json")
    assert run.status == 0
    assert run.queues == ["good"]
    assert one_line(run.err)
    assert "af-south-1" in run.err
    assert "me-south-1" in run.err


def test_a_region_that_was_named_and_is_not_enabled_is_a_trouble(monkeypatch, capsys):
    with emulator_with(not_enabled("af-south-1")) as emulator:
        Operator(emulator, monkeypatch).make("good")
        run = ran(capsys, "audit", "--region", "us-east-1", "--region", "af-south-1", "--format", "json")
    assert run.status == 2


def test_credentials_that_no_region_knows_are_not_taken_for_regions_that_are_not_enabled(monkeypatch, capsys):
    with emulator_with(
        lambda call: "UnrecognizedClientException" if call.operation == "ListQueues" else None
    ) as emulator:
        Operator(emulator, monkeypatch)
        run = ran(capsys, "audit", "--all-regions", "--format", "json")
    assert (run.status, run.out) == (2, "")
    assert one_line(run.err)
    assert "the credentials are no longer good" in run.err


def test_what_is_throttled_is_asked_again_until_it_answers(monkeypatch, capsys):
    asked, lock = Counter(), Lock()

    def mood(call):
        if call.operation not in ("GetQueueAttributes", "ListQueues"):
            return None
        with lock:
            asked[call] += 1
            return "ThrottlingException" if asked[call] == 1 and call.about in ("", "good00") else None

    with emulator_with(mood) as emulator:
        Operator(emulator, monkeypatch).make(*(f"good{number:02}" for number in range(8)))
        run = ran(capsys, "audit", "--format", "json", "--jobs", "2")
    assert run.status == 0
    assert len(run.queues) == 8
    assert max(asked.values()) == 2


def test_what_stays_throttled_is_tried_once_more_when_all_others_are_done(monkeypatch, capsys):
    monkeypatch.setattr("safe_sqs.fleet.audit._CLIENT", {"retries": {"mode": "standard", "total_max_attempts": 1}})
    order = []

    def mood(call):
        if call.operation == "GetQueueAttributes":
            order.append(call.about)
            return "ThrottlingException" if call.about == "busy" and order.count("busy") == 1 else None
        return None

    with emulator_with(mood) as emulator:
        Operator(emulator, monkeypatch).make("busy", "one", "two", "three")
        run = ran(capsys, "audit", "--format", "json", "--jobs", "1")
    assert run.status == 0
    assert len(run.queues) == 4
    assert order[-1] == "busy"
    assert Counter(order) == {"busy": 2, "one": 1, "two": 1, "three": 1}


def test_what_is_throttled_for_ever_could_not_be_told(monkeypatch, capsys):
    monkeypatch.setattr("safe_sqs.fleet.audit._CLIENT", {"retries": {"mode": "standard", "total_max_attempts": 1}})

    def mood(call):
        return "ThrottlingException" if call.about == "busy" else None

    with emulator_with(mood) as emulator:
        Operator(emulator, monkeypatch).make("busy", "good")
        run = ran(capsys, "audit", "--format", "json")
    assert run.status == 2
    assert run.data["summary"]["compliance"]["INSUFFICIENT_DATA"] == 1
    assert "ThrottlingException" in run.out


def test_a_queue_that_is_deleted_between_the_list_and_the_look_is_left_out(monkeypatch, capsys):
    def mood(call):
        return "QueueDoesNotExist" if (call.operation, call.about) == ("GetQueueAttributes", "gone") else None

    with emulator_with(mood) as emulator:
        Operator(emulator, monkeypatch).make("gone", "good")
        run = ran(capsys, "audit", "--format", "json")
    assert run.status == 0
    assert run.queues == ["good"]
    assert run.err == "safe-sqs audit: left out, as deleted meanwhile: 1\n"


def test_a_queue_that_nobody_may_read_could_not_be_told(monkeypatch, capsys):
    def mood(call):
        return "AccessDeniedException" if (call.operation, call.about) == ("GetQueueAttributes", "secret") else None

    with emulator_with(mood) as emulator:
        Operator(emulator, monkeypatch).make("secret", "good")
        run = ran(capsys, "audit", "--format", "json")
    assert run.status == 2
    assert run.queues == ["good", "secret"]


def test_long_term_credentials_are_refused_in_one_line_before_anything_is_asked(operator, monkeypatch):
    operator.make("good")
    for name, value in LONG_TERM.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    before = operator.emulator.arrived.copy()
    run = ran_apart("audit", "--region", "us-east-1", "--region", "eu-west-1")
    assert (run.status, run.out) == (2, "")
    assert one_line(run.err)
    assert "static-credentials" in run.err
    assert "next step: " in run.err
    assert operator.emulator.arrived == before


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--region", "us-east-1", "--all-regions"], "exclude each other"),
        (["--role-name", "Audit"], "--organization"),
        (["--account", "111122223333"], "--role-name"),
        (["--organization"], "--role-name"),
        (["--role-name", "Au dit", "--account", "111122223333"], "not the name of a role"),
        (["--role-name", "Audit", "--account", "1111-2222-3333"], "twelve digits"),
        (["--role-arn", "arn:aws:iam::1:user/x"], "expected arn:aws:iam::ACCOUNT:role/NAME"),
        (["--external-id", "x"], "for roles"),
        (["--aws-profile", "a", "--aws-profile", "b", "--role-arn", "arn:aws:iam::111122223333:role/x"], "one profile"),
        (["--journal", "a", "--resume", "b"], "leave --journal out"),
        (["--aws-profile", "nobody"], "aws configure list-profiles"),
        (["--role-name", "Audit", "--accounts-from", "missing.txt"], "missing.txt: No such file"),
        (["--role-name", "Audit", "--accounts-from", "."], "Is a directory"),
        (["--role-name", "Audit", "--accounts-from", "empty.txt"], "names no account"),
        (["--role-name", "Audit", "--accounts-from", "wrong.txt"], "line 2 of wrong.txt"),
        (["--role-name", "Audit", "--accounts-from", "binary.txt"], "not a file of text"),
        (["--output", "no/such/folder/x.json"], "there is no folder"),
        (["--journal", "no/such/folder/x.jsonl"], "No such file"),
        (["--journal", "there.jsonl"], "there.jsonl is there already"),
        (["--resume", "missing.jsonl"], "missing.jsonl: No such file"),
        (["--resume", "."], "Is a directory"),
        (["--resume", "empty.txt"], "no journal of safe-sqs"),
        (["--resume", "binary.txt"], "no journal of safe-sqs"),
        (["--resume", "there.jsonl"], "no journal of safe-sqs"),
    ],
)
def test_a_mistake_is_told_with_the_next_step_and_2(operator, capsys, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "wrong.txt").write_text("111122223333\n1111\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "there.jsonl").write_text('{"queues": []}\n')
    before = operator.emulator.arrived.copy()
    run = ran(capsys, "audit", *arguments)
    assert (run.status, run.out) == (2, "")
    assert words in " ".join(run.err.split())
    assert "Traceback" not in run.err
    assert operator.emulator.arrived == before
    assert (tmp_path / "there.jsonl").read_text() == '{"queues": []}\n'


def test_without_a_region_it_says_how_to_name_one(operator, capsys, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    run = ran(capsys, "audit")
    assert run.status == 2
    assert one_line(run.err)
    assert "--region" in run.err


# --- the journal -------------------------------------------------------------------------------------------------


def test_the_journal_has_a_header_and_an_evaluation_a_line_and_is_for_its_owner(operator, capsys, tmp_path):
    operator.make("good", "bad")
    file = tmp_path / "audit.jsonl"
    run = ran(capsys, "audit", "--journal", str(file), "--format", "json")
    header, *lines = map(json.loads, file.read_text().splitlines())
    assert header["asked"]["places"] == ["us-east-1"]
    assert header["asked"]["profile"] == "baseline"
    evaluations = [evaluation_from(line) for line in lines if "queue" in line]
    assert sorted(each.queue.name for each in evaluations) == run.queues == ["bad", "good"]
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_run_that_is_done_leaves_no_journal_that_nobody_asked_for(operator, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    operator.make("good")
    assert ran(capsys, "audit").status == 0
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_is_complete_answers_without_a_look(operator, capsys, tmp_path):
    operator.make("good", "bad")
    file = str(tmp_path / "audit.jsonl")
    first = ran(capsys, "audit", "--journal", file, "--format", "json")
    before = operator.emulator.arrived["GetQueueAttributes"]
    again = ran(capsys, "audit", "--resume", file, "--format", "json")
    assert again == first
    assert operator.emulator.arrived["GetQueueAttributes"] == before


def test_a_torn_last_line_is_dropped_and_its_queue_looked_at_again(operator, capsys, tmp_path):
    operator.make("good", "bad", "other")
    file = tmp_path / "audit.jsonl"
    first = ran(capsys, "audit", "--journal", str(file), "--format", "json")
    file.write_bytes(file.read_bytes()[:-30])
    before = operator.emulator.arrived["GetQueueAttributes"]
    again = ran(capsys, "audit", "--resume", str(file), "--format", "json")
    assert again == first
    assert operator.emulator.arrived["GetQueueAttributes"] == before + 1
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_a_damaged_line_in_the_middle_is_told(operator, capsys, tmp_path):
    operator.make("good", "bad", "other")
    file = tmp_path / "audit.jsonl"
    ran(capsys, "audit", "--journal", str(file))
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:3], lines[3][:40] + "\n", *lines[4:]]))
    run = ran(capsys, "audit", "--resume", str(file))
    assert run.status == 2
    assert one_line(run.err)
    assert "line 4 of the journal" in run.err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--profile", "observe"], 'profile was "baseline" and is "observe"'),
        (
            ["--mode", "public-access=warn"],
            'modes was [["public-access", "enforce"]] and is [["public-access", "warn"]]',
        ),
        (["--region", "eu-west-1"], 'places was ["us-east-1"] and is ["eu-west-1"]'),
        (["--region", "us-east-1", "--region", "eu-west-1"], 'places was [] and is ["eu-west-1"]'),
    ],
)
def test_a_journal_is_not_mixed_with_what_was_asked_otherwise(operator, capsys, tmp_path, more, words):
    operator.make("good")
    file = tmp_path / "audit.jsonl"
    ran(capsys, "audit", "--journal", str(file))
    written = file.read_bytes()
    run = ran(capsys, "audit", "--resume", str(file), *more)
    assert (run.status, run.out) == (2, "")
    assert one_line(run.err)
    assert words in run.err
    assert file.read_bytes() == written


def test_a_journal_is_not_mixed_with_another_account(operator, capsys, monkeypatch, tmp_path):
    operator.make("good")
    file = tmp_path / "audit.jsonl"
    ran(capsys, "audit", "--journal", str(file))
    other = Operator(operator.emulator, monkeypatch)
    other.make("good")
    run = ran(capsys, "audit", "--resume", str(file))
    assert run.status == 2
    assert run.out == ""
    assert f"was written for the account {operator.account}, and us-east-1 is now {other.account}" in run.err
    assert "Traceback" not in run.err


def test_what_could_not_be_told_is_looked_at_again_on_resumption(monkeypatch, capsys, tmp_path):
    is_allowed = Event()

    def mood(call):
        denied = (call.operation, call.about) == ("GetQueueAttributes", "secret") and not is_allowed.is_set()
        return "AccessDeniedException" if denied else None

    with emulator_with(mood) as emulator:
        Operator(emulator, monkeypatch).make("secret", "good")
        file = str(tmp_path / "audit.jsonl")
        assert ran(capsys, "audit", "--journal", file).status == 2
        is_allowed.set()
        before = emulator.arrived["GetQueueAttributes"]
        run = ran(capsys, "audit", "--resume", file, "--format", "json")
        assert run.status == 0
        assert run.queues == ["good", "secret"]
        assert emulator.arrived["GetQueueAttributes"] == before + 1


class Gate:
    """Lets so many looks through, and holds back the others until it is opened."""

    def __init__(self, looks):
        self._looks = looks
        self._lock = Lock()
        self._open = Event()
        self.asked = Counter()

    def __call__(self, call):
        if call.operation == "GetQueueAttributes":
            with self._lock:
                self._looks -= 1
                is_held = self._looks < 0
                self.asked[call.about] += not is_held or self._open.is_set()
            if is_held:
                self._open.wait(60)

    def open(self):
        self._open.set()


def interrupted(folder, sent, *arguments, after=10):
    """Run until so many queues are in the journal, then send a signal: (exit status, standard error)."""
    process = subprocess.Popen(
        [COMMAND, "audit", "--jobs", "4", "--format", "json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(file.read_bytes().count(b'"queue"') >= after for file in folder.glob("*.jsonl")):
            break
        time.sleep(0.02)
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert out == ""
    return process.returncode, err


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_prints_the_command_that_goes_on_with_it(monkeypatch, tmp_path, sent, status):
    gate = Gate(10)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    names = [f"good{number:02}" for number in range(30)]
    with emulator_with(gate) as emulator:
        operator = Operator(emulator, monkeypatch)
        operator.make(*names)
        more = (
            "--mode",
            "vpc-only-policy=off",
            "--region",
            "us-east-1",
            "--region",
            "eu-west-1",
            "--fail-on",
            "enforce",
        )
        ended, err = interrupted(tmp_path, sent, *more)
        assert ended == status
        assert "Traceback" not in err
        command = err.partition("go on with: ")[2].strip()
        (file,) = tmp_path.glob("*.jsonl")
        gate.open()
        program, *words = shlex.split(command)
        assert (program, words[-2:]) == ("safe-sqs", ["--resume", str(file)])
        before = emulator.arrived["GetQueueAttributes"]
        run = ran_apart(*words)
    assert run.status == 0
    assert run.queues == names
    assert emulator.arrived["GetQueueAttributes"] == before + 20
    assert list(tmp_path.glob("*.jsonl")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_a_run_that_was_killed_goes_on_from_its_journal(monkeypatch, tmp_path):
    gate = Gate(10)
    names = [f"good{number:02}" for number in range(30)]
    file = tmp_path / "audit.jsonl"
    with emulator_with(gate) as emulator:
        Operator(emulator, monkeypatch).make(*names)
        ended, _ = interrupted(tmp_path, signal.SIGKILL, "--journal", str(file))
        assert ended == -signal.SIGKILL
        gate.open()
        run = ran_apart("audit", "--format", "json", "--resume", str(file))
    assert run.status == 0
    assert run.queues == names
    assert file.exists()


def test_a_journal_that_is_in_use_is_not_shared(operator, capsys, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    operator.make("good")
    file = tmp_path / "audit.jsonl"
    ran(capsys, "audit", "--journal", str(file))
    with file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = ran(capsys, "audit", "--resume", str(file))
    assert run.status == 2
    assert one_line(run.err)
    assert "in use by another run" in run.err


def test_an_output_that_cannot_be_written_does_not_cost_the_run(operator, tmp_path, monkeypatch):
    operator.make("good")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run = ran_apart("audit", "--format", "json", "--output", "/dev/full")
    assert run.status == 2
    assert "go on with: safe-sqs audit --format json --output /dev/full --resume" in run.err
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


# --- what is done with it ----------------------------------------------------------------------------------------


def test_findings_go_to_security_hub_of_each_account(operator, capsys):
    other = "430000000001"
    operator.make("bad")
    operator.make("theirs", account=other)
    arns = [f"arn:aws:iam::{account}:role/Audit" for account in (operator.account, other)]
    run = ran(
        capsys, "audit", *(word for arn in arns for word in ("--role-arn", arn)), "--security-hub", "--format", "json"
    )
    assert run.status == 1
    assert "Security Hub took " in run.err
    for account, queue in ((operator.account, "bad"), (other, "theirs")):
        keys = {name.lower(): value for name, value in operator.credentials_of(account).items()}
        findings = operator.client("securityhub", keys).get_findings()["Findings"]
        assert {each["Resources"][0]["Id"] for each in findings} == {operator.arn(queue, account=account)}


def test_a_second_opinion_is_asked_for_each_queue_and_kept_in_the_journal(monkeypatch, capsys, tmp_path):
    def mood(call):
        return "AccessDeniedException" if call.operation.startswith("/policy/") else None

    file = str(tmp_path / "audit.jsonl")
    asked = ("--second-opinion", "access-analyzer", "--format", "json")
    with emulator_with(mood) as emulator:
        Operator(emulator, monkeypatch).make("good", "other")
        run = ran(capsys, "audit", *asked, "--journal", file)
        again = ran(capsys, "audit", *asked, "--resume", file)
        mixed = ran(capsys, "audit", "--resume", file)
    assert [len(each["opinions"]) for each in run.data["queues"]] == [1, 1]
    assert again == run
    assert 'second opinion was "access-analyzer" and is null' in mixed.err


def test_findings_of_an_account_that_cannot_be_entered_any_more_are_told_not_to_be_sent(monkeypatch, capsys, tmp_path):
    is_denied = Event()
    file = str(tmp_path / "audit.jsonl")

    def mood(call):
        return "AccessDenied" if is_denied.is_set() and call.operation == "ListQueues" else None

    with emulator_with(mood) as emulator:
        operator = Operator(emulator, monkeypatch)
        operator.make("bad")
        ran(capsys, "audit", "--journal", file)
        is_denied.set()
        run = ran(capsys, "audit", "--resume", file, "--security-hub")
    assert run.status == 1
    assert f"Security Hub of {operator.account}: the account could not be entered in this run" in run.err
    assert "Traceback" not in run.err


def test_the_benchmark_runs_and_says_what_it_measured(tmp_path):
    script = Path(__file__).parents[1] / "benchmarks" / "fleet.py"
    if not script.exists():
        pytest.skip("there is only the package")
    figures = tmp_path / "fleet.json"
    done = subprocess.run(
        [sys.executable, str(script), "--queues", "60", "--json", str(figures)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == ""
    assert "calls made: 1 ListQueues, 60 GetQueueAttributes" in done.stdout
    measured = json.loads(figures.read_text())
    assert measured["is_same"]
    assert measured["looks_after_resuming"] == 60 - measured["killed_at"]
