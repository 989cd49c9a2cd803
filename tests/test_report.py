"""The report: every finding on a line of its own, whoever writes at the same time, and never in the way of a call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support import REGION, TEMPORARY, new_core

import safe_sqs
from safe_sqs import Config, ConfigError, RefusedError, appending, events, guard, process_wide, report
from safe_sqs.model import Finding, Mode, Practice

BODY = "two teapots for room 12"
FINDING = Finding("queue-encryption", Mode.ENFORCE, "found", "expected", "next", Practice.ENCRYPTION_AT_REST)


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Name the file of the report in the environment, and forget it after the test."""
    named = []

    def name(path: Any) -> None:
        named.append(str(path))
        monkeypatch.setenv("SAFE_SQS_REPORT", str(path))

    yield name
    for path in named:
        report.stop(path)


@pytest.fixture
def file(begin: Callable[[Any], None], tmp_path: Path) -> Path:
    """The file of the report."""
    path = tmp_path / "report.jsonl"
    begin(path)
    return path


def records(path: Path) -> list[report.Record]:
    return list(report.read(path))


def send(client: Any, queue: str) -> None:
    client.send_message(QueueUrl=queue, MessageBody=BODY)


# --- what is in it -----------------------------------------------------------------------------------------------


def test_a_refusal_is_a_line_with_all_that_the_error_says(file, make_client, bad, request):
    with pytest.raises(RefusedError) as refused:
        send(make_client(), bad)
    finding = refused.value.findings[0]
    record = next(each for each in records(file) if each.rule == "queue-encryption")
    assert record._replace(time="") == report.Record(
        time="",
        pid=os.getpid(),
        program=record.program,
        operation="SendMessage",
        queue=bad,
        outcome="refused",
        rule="queue-encryption",
        mode="enforce",
        found=finding.found,
        expected=finding.expected,
        next_step=finding.next_step,
        practice=finding.practice.url,
        unverifiable=False,
        test=request.node.nodeid,
    )
    written = datetime.fromisoformat(record.time)
    assert written.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - written) < timedelta(minutes=5)


def test_what_only_warns_is_written_as_what_would_be_refused(file, make_client, bad):
    send(make_client(profile="observe"), bad)
    found = records(file)
    assert "queue-encryption" in {each.rule for each in found}
    assert {(each.outcome, each.mode) for each in found} == {("would be refused", "warn")}


def test_each_finding_of_a_call_has_a_line(file, make_client, make_queue):
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    queue = make_queue("-open", SqsManagedSseEnabled="false", Policy=json.dumps({"Statement": [everyone]}))
    with pytest.raises(RefusedError) as refused:
        send(make_client(), queue)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert Counter(line["rule"] for line in lines if line["outcome"] == "refused") == Counter(
        each.rule for each in refused.value.findings
    )
    assert len(refused.value.findings) > 1


def test_nothing_is_written_for_a_call_that_passes(file, make_client, good):
    client = make_client(modes={"tls-only-policy": "off", "least-privilege": "off"})
    send(client, good)
    send(client, good)
    assert file.read_bytes() == b""


def test_no_message_and_no_secret_is_in_it(file, make_client, bad):
    with pytest.raises(RefusedError):
        send(make_client(), bad)
    with pytest.raises(RefusedError):
        send(make_client(client={"endpoint_url": "https://user:pa55word@localhost:1"}), f"{bad}?token=t0ken")
    text = file.read_text()
    assert text
    for secret in (BODY, TEMPORARY["aws_secret_access_key"], TEMPORARY["aws_session_token"], "pa55word", "t0ken"):
        assert secret not in text


@pytest.mark.parametrize(
    ("variable", "test"),
    [("tests/test_a.py::test_b[x y] (call)", "tests/test_a.py::test_b[x y]"), (None, None), ("", None)],
)
def test_a_record_names_the_test_of_the_environment(file, monkeypatch, variable, test):
    report.start()
    with monkeypatch.context() as patch:
        if variable is None:
            patch.delenv("PYTEST_CURRENT_TEST")
        else:
            patch.setenv("PYTEST_CURRENT_TEST", variable)
        events.emit(events.Refused("SendMessage", "", (FINDING,)))
    assert records(file)[0].test == test


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        (["/srv/bin/worker.py", "-v"], "worker.py"),
        (["/usr/lib/python3/celery/__main__.py"], "celery"),
        (["-c"], "-c"),
        ([], ""),
    ],
)
def test_a_record_names_the_program(file, monkeypatch, argv, program):
    monkeypatch.setattr(sys, "argv", argv)
    report.start()
    events.emit(events.Refused("SendMessage", "", (FINDING,)))
    assert records(file)[0].program == program


@pytest.mark.parametrize("text", ["one\ntwo", "line\u2028separator", "\ud800 alone", '"quotes"'])
def test_no_text_breaks_a_line(file, text):
    report.start()
    events.emit(events.Warned("SendMessage", "", (FINDING._replace(found=text), FINDING)))
    assert [each.found for each in records(file)] == [text, "found"]
    assert file.read_bytes().count(b"\n") == 2


# --- when it begins ----------------------------------------------------------------------------------------------

NOBODY_ASKED = """
import sys
import safe_sqs
client = safe_sqs.client("sqs", region_name="us-east-1", aws_access_key_id="ASIAEXAMPLEEXAMPLE01",
                         aws_secret_access_key="s", aws_session_token="t")
safe_sqs.guard(client, safe_sqs.Config(role="producer"))
safe_sqs.install(safe_sqs.Config(role="producer"))
assert "safe_sqs.report" not in sys.modules
"""


def test_nothing_is_loaded_while_nobody_asks_for_a_report():
    done = subprocess.run([sys.executable, "-c", NOBODY_ASKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def new_client() -> Any:
    return new_core().create_client("sqs", region_name=REGION, **TEMPORARY)


def guard_one() -> None:
    guard(new_client(), Config())


def make_one() -> None:
    safe_sqs.client("sqs", region_name=REGION, **TEMPORARY)


def install() -> None:
    safe_sqs.install(Config())


def a_folder(folder: Path) -> str:
    return str(folder)


def in_no_folder(folder: Path) -> str:
    return str(folder / "missing" / "report.jsonl")


def below_a_file(folder: Path) -> str:
    (folder / "file").touch()
    return str(folder / "file" / "report.jsonl")


def a_pipe_that_nobody_reads(folder: Path) -> str:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    os.mkfifo(folder / "pipe")
    return str(folder / "pipe")


def nothing(_: Path) -> str:
    return ""


def a_space(_: Path) -> str:
    return " "


WRONG = [a_folder, in_no_folder, below_a_file, a_pipe_that_nobody_reads, nothing, a_space]
BEGINNINGS = [guard_one, make_one, install]


@pytest.mark.parametrize("where", WRONG)
@pytest.mark.parametrize("start", BEGINNINGS)
def test_a_path_that_cannot_be_written_is_told_before_any_call(begin, tmp_path, where, start):
    begin(where(tmp_path))
    with pytest.raises(ConfigError) as wrong:
        start()
    assert (wrong.value.key, wrong.value.source) == ("SAFE_SQS_REPORT", "environment")
    assert not process_wide.installed()


@pytest.mark.parametrize("start", BEGINNINGS)
def test_a_report_is_there_as_soon_as_something_is_guarded(file, start):
    try:
        start()
        assert file.read_bytes() == b""
    finally:
        safe_sqs.uninstall()


def test_a_second_guard_does_not_write_twice(file, make_client):
    make_client()
    make_client(role="producer")
    events.emit(events.Refused("SendMessage", "", (FINDING,)))
    assert len(records(file)) == 1


def test_a_program_that_changes_its_directory_goes_on_with_the_same_file(begin, make_client, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    begin("report.jsonl")
    make_client()
    monkeypatch.chdir(tmp_path / "elsewhere")
    make_client()
    events.emit(events.Refused("SendMessage", "", (FINDING,)))
    assert len(records(tmp_path / "report.jsonl")) == 1
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_variable_that_is_taken_away_does_not_end_the_report(file, make_client, bad, monkeypatch):
    client = make_client()
    monkeypatch.delenv("SAFE_SQS_REPORT")
    with pytest.raises(RefusedError):
        send(client, bad)
    assert records(file)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_new_file_is_for_its_owner_alone(file):
    before = os.umask(0)
    try:
        report.start()
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_file_that_exists_keeps_its_permissions_and_its_content(file):
    file.write_bytes(b"")
    file.chmod(0o660)
    report.start()
    events.emit(events.Refused("SendMessage", "", (FINDING,)))
    report.stop(str(file))
    report.start()
    events.emit(events.Refused("SendMessage", "", (FINDING,)))
    assert file.stat().st_mode & 0o777 == 0o660
    assert len(records(file)) == 2


def test_a_file_that_was_moved_away_is_made_anew(file):
    report.start()
    events.emit(events.Refused("SendMessage", "", (FINDING,)))
    file.rename(file.with_suffix(".1"))
    events.emit(events.Refused("SendMessage", "", (FINDING,)))
    assert len(records(file)) == len(records(file.with_suffix(".1"))) == 1


# --- when it fails -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_changes_no_decision_and_is_told_once(begin, make_client, bad, good, told):
    begin("/dev/full")
    client = make_client()
    for _ in range(2):
        with pytest.raises(RefusedError):
            send(client, bad)
    send(client, good)
    (notice,) = [each for each in told if isinstance(each, events.Noticed)]
    assert notice.topic == "report"
    assert "/dev/full cannot be written (No space left on device)" in notice.text


def test_a_folder_that_was_removed_changes_no_decision(begin, make_client, bad, tmp_path, told):
    folder = tmp_path / "gone"
    folder.mkdir()
    begin(folder / "report.jsonl")
    client = make_client()
    (folder / "report.jsonl").unlink()
    folder.rmdir()
    with pytest.raises(RefusedError):
        send(client, bad)
    assert [each.topic for each in told if isinstance(each, events.Noticed)] == ["report"]


def in_a_process(folder: Path, program: str, *arguments: str, **environment: str) -> str:
    """What a program prints that begins as the report's writers do."""
    script = folder / "program.py"
    script.write_text(BEGINNING + program)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


BEGINNING = """
import logging, os, sys
from safe_sqs import events, report
from safe_sqs.model import Finding, Mode

logging.getLogger("safe_sqs").setLevel(logging.ERROR)

def emit(number, found="f" * 5000):
    finding = Finding(f"rule-{number}", Mode.ENFORCE, found, "expected", "next", None)
    events.emit(events.Refused("SendMessage", "", (finding, finding)))
"""

HARDLY_ROOM = """
import resource
report.start()
emit(1)
size = os.path.getsize(os.environ["SAFE_SQS_REPORT"])
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
emit(2)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
emit(3)
"""


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_what_does_not_fit_leaves_no_half_line(file):
    in_a_process(file.parent, HARDLY_ROOM)
    assert [each.rule for each in records(file)] == ["rule-1"] * 2 + ["rule-3"] * 2


# --- many at once ------------------------------------------------------------------------------------------------

MANY = """
import multiprocessing
from threading import Thread

def write(name, barrier):
    report.start()
    barrier.wait(60)
    for number in range(200):
        emit(f"{name}-{number}")

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    barrier = context.Barrier(9)
    report.start()
    # A thread that is in the middle of writing, or not, when a fork is made.
    thread = Thread(target=write, args=("thread", barrier))
    thread.start()
    processes = [context.Process(target=write, args=(name, barrier)) for name in range(8)]
    for each in processes:
        each.start()
    for each in (*processes, thread):
        each.join()
    assert not any(each.exitcode for each in processes)
"""


@pytest.mark.parametrize(
    "start",
    ["spawn", pytest.param("fork", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"))],
)
def test_eight_processes_write_two_hundred_findings_each_and_none_is_lost_or_torn(file, start):
    in_a_process(file.parent, MANY, start)
    expected = {f"rule-{name}-{number}": 2 for name in (*range(8), "thread") for number in range(200)}
    assert Counter(each.rule for each in records(file)) == expected


WITHOUT_FILES = """
report.start()
for _ in range(5):
    if os.fork() == 0:
        os.closerange(3, 256)
        emit(os.getpid())
        os._exit(0)
for _ in range(5):
    assert os.wait()[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_daemon_that_closes_all_files_goes_on_reporting_under_its_own_id(file):
    in_a_process(file.parent, WITHOUT_FILES)
    found = records(file)
    assert len({each.pid for each in found}) == 5
    assert all(each.rule == f"rule-{each.pid}" for each in found)


def test_threads_write_at_once(file):
    report.start()

    def write(name: int) -> None:
        for number in range(100):
            events.emit(events.Warned("SendMessage", "", (FINDING._replace(rule=f"{name}-{number}"),)))

    threads = [Thread(target=write, args=(name,)) for name in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Counter(each.rule for each in records(file)) == {f"{a}-{b}": 1 for a in range(8) for b in range(100)}


def test_whoever_holds_on_to_the_file_does_not_stop_a_call(file):
    fcntl = pytest.importorskip("fcntl")
    report.start()
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        events.emit(events.Refused("SendMessage", "", (FINDING,)))
        assert len(records(file)) == 1


def test_the_file_is_locked_while_it_is_written(file, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    report.start()
    write, refused = os.write, []

    def try_to_lock(number: int, text: bytes) -> int:
        with file.open() as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                refused.append(text)
        return write(number, text)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", try_to_lock)
        events.emit(events.Refused("SendMessage", "", (FINDING,)))
    assert refused == [file.read_bytes()]


def test_it_is_written_where_files_cannot_be_locked(file, monkeypatch):
    monkeypatch.setattr(appending, "fcntl", None)
    report.start()
    events.emit(events.Refused("SendMessage", "", (FINDING,)))
    assert len(records(file)) == 1


INSTALLED = """
import multiprocessing

def send(queue):
    import boto3, safe_sqs
    try:
        boto3.client("sqs").send_message(QueueUrl=queue, MessageBody="two teapots")
    except safe_sqs.RefusedError:
        print(os.getpid())

if __name__ == "__main__":
    import safe_sqs
    safe_sqs.install()
    child = multiprocessing.get_context("spawn").Process(target=send, args=(sys.argv[1],))
    child.start()
    child.join()
"""


def test_a_child_of_an_installed_process_reports_under_its_own_id(file, emulator, bad):
    pid = in_a_process(
        file.parent,
        INSTALLED,
        bad,
        SAFE_SQS_TRUSTED_ENDPOINT_HOSTS=emulator.host,
        AWS_ENDPOINT_URL_SQS=emulator.url,
        AWS_CA_BUNDLE=emulator.authority,
        **{name.upper(): value for name, value in TEMPORARY.items()},
    )
    assert {(each.pid, each.program) for each in records(file)} == {(int(pid), "program.py")}


def test_tasks_of_an_event_loop_report_too(file, emulator, make_config, bad):
    pytest.importorskip("aiobotocore")
    import asyncio

    from aiobotocore.session import get_session

    async def send_all() -> list[Any]:
        session = get_session()
        async with session.create_client(
            "sqs", endpoint_url=emulator.url, verify=emulator.authority, region_name=REGION, **TEMPORARY
        ) as client:
            guard(client, make_config())
            sends = [client.send_message(QueueUrl=bad, MessageBody=BODY) for _ in range(20)]
            return await asyncio.gather(*sends, return_exceptions=True)

    refusals = asyncio.run(send_all())
    assert all(isinstance(each, RefusedError) for each in refusals)
    assert [each.outcome for each in records(file)].count("refused") == 20


# --- reading -----------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(file: Path) -> list[bytes]:
    """Three whole lines of a report."""
    report.start()
    for number in range(3):
        events.emit(events.Warned("SendMessage", "", (FINDING._replace(rule=str(number)),)))
    return file.read_bytes().splitlines(keepends=True)


def test_a_last_line_that_is_torn_anywhere_is_left_out(file, lines):
    for end in (0, *range(1, len(lines[2]) - 1, 13), len(lines[2]) - 2):
        file.write_bytes(lines[0] + lines[1] + lines[2][:end])
        assert [each.rule for each in report.read(file)] == ["0", "1"]


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"[1]\n", b"3\n", b'{"rule": \n', b"\xff\n"])
def test_a_line_that_is_no_finding_is_named(file, lines, line):
    file.write_bytes(lines[0] + line + lines[1])
    with pytest.raises(ValueError, match=r"line 2 of the report .*report\.jsonl is no finding"):
        records(file)


def test_what_a_later_version_adds_is_left_out(file, lines):
    later = json.dumps({**json.loads(lines[0]), "weather": "fine"})
    file.write_text(f"{later}\n")
    assert [each.rule for each in records(file)] == ["0"]


def test_a_reader_can_go_on_where_it_was(file, lines):
    assert [each.rule for each in report.read(file, len(lines[0]))] == ["1", "2"]
