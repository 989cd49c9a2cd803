"""The recording: each action on each queue once, what is refused never, and never in the way of a call."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from scripted import ACCOUNT, RESET, Server, attributes, fails, running, says
from support import REGION, TEMPORARY, WIRE_ONLY, new_core

import safe_sqs
from safe_sqs import Config, ConfigError, RefusedError, events, guard, process_wide, usage
from safe_sqs.guarded import is_guarded
from safe_sqs.usage import GUARD, PROGRAM, Used

BODY = "two teapots for room 12"
ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue"


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Name the file of the recording in the environment, and forget it after the test."""
    named = []

    def name(path: Any) -> None:
        named.append(str(path))
        monkeypatch.setenv("SAFE_SQS_RECORD", str(path))

    yield name
    for path in named:
        usage.stop(path)


@pytest.fixture
def file(begin: Callable[[Any], None], tmp_path: Path) -> Path:
    """The file of the recording."""
    path = tmp_path / "usage.jsonl"
    begin(path)
    return path


@pytest.fixture
def server() -> Iterator[Server]:
    """A service that says what a test scripts."""
    with running() as server:
        yield server


def by(who: str, path: Path) -> list[tuple[str, str]]:
    """The operations and queues that somebody used, as they stand in the file."""
    return [(each.operation, each.queue) for each in usage.read(path) if each.by == who]


def send(client: Any, queue: str) -> None:
    client.send_message(QueueUrl=queue, MessageBody=BODY)


# --- what is in it -----------------------------------------------------------------------------------------------


def test_a_use_is_a_line_with_who_used_what_where(file, server):
    send(server.client(), server.queue())
    mine = next(each for each in usage.read(file) if each.by == PROGRAM)
    assert mine._replace(time="") == Used(
        time="",
        pid=os.getpid(),
        program=mine.program,
        operation="SendMessage",
        queue=ARN,
        region=REGION,
        partition="aws",
        by=PROGRAM,
        denied=False,
    )
    assert mine.time.endswith("+00:00")


def test_what_is_used_again_is_not_written_again(file, server):
    clients = [server.client(), server.client(role="producer"), server.client()]
    for client in clients * 2:
        send(client, server.queue())
        send(client, server.queue("other"))
    assert by(PROGRAM, file) == [("SendMessage", ARN), ("SendMessage", f"{ARN[:-5]}other")]


def test_two_guards_on_one_client_record_once(file, server):
    client = guard(server.client(), server.config(role="producer"))
    send(client, server.queue())
    assert by(PROGRAM, file) == [("SendMessage", ARN)]
    assert server.count("SendMessage") == 1


def test_the_same_queue_in_another_region_is_another_queue(file, server):
    for region in ("us-east-1", "eu-west-1"):
        send(server.client(client={"region_name": region}, modes=WIRE_ONLY), server.queue())
    assert [queue for _, queue in by(PROGRAM, file)] == [ARN, ARN.replace("us-east-1", "eu-west-1")]


def test_the_looks_of_the_guard_are_marked_as_its_own(file, server):
    send(server.client(), server.queue())
    server.client().get_queue_attributes(QueueUrl=server.queue("other"), AttributeNames=["All"])
    assert by(GUARD, file) == [("GetQueueAttributes", ARN)]
    assert by(PROGRAM, file)[-1] == ("GetQueueAttributes", f"{ARN[:-5]}other")


def test_the_look_at_a_dead_letter_queue_is_recorded(file, server):
    dead = f"{ARN[:-5]}dead"
    redrive = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 3})
    server.script["GetQueueAttributes"] = lambda asked: attributes(
        asked, **({"RedrivePolicy": redrive} if asked.queue.endswith("queue") else {})
    )
    send(server.client(), server.queue())
    assert by(GUARD, file) == [("GetQueueAttributes", ARN), ("GetQueueAttributes", dead)]


HANDLE = base64.b64encode(json.dumps({"taskId": "1", "sourceArn": ARN}).encode()).decode()
QUEUE_URL = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/queue"
CALLS = {
    "receive_message": ({"QueueUrl": QUEUE_URL}, "ReceiveMessage"),
    "delete_message": ({"QueueUrl": QUEUE_URL, "ReceiptHandle": "h"}, "DeleteMessage"),
    "delete_message_batch": (
        {"QueueUrl": QUEUE_URL, "Entries": [{"Id": "1", "ReceiptHandle": "h"}]},
        "DeleteMessageBatch",
    ),
    "purge_queue": ({"QueueUrl": QUEUE_URL}, "PurgeQueue"),
    "get_queue_url": ({"QueueName": "queue"}, "GetQueueUrl"),
    "create_queue": ({"QueueName": "queue"}, "CreateQueue"),
    "start_message_move_task": ({"SourceArn": ARN}, "StartMessageMoveTask"),
    "list_message_move_tasks": ({"SourceArn": ARN}, "ListMessageMoveTasks"),
    "cancel_message_move_task": ({"TaskHandle": HANDLE}, "CancelMessageMoveTask"),
}


@pytest.mark.parametrize("method", CALLS)
def test_every_way_of_naming_a_queue_leads_to_its_arn(file, server, method):
    arguments, operation = CALLS[method]
    for each in ("GetQueueUrl", "CreateQueue"):
        server.script[each] = says(QueueUrl=QUEUE_URL)
    server.script["CancelMessageMoveTask"] = says(ApproximateNumberOfMessagesMoved=1)
    getattr(server.client(), method)(**arguments)
    assert (operation, ARN) in by(PROGRAM, file)


def test_listing_queues_concerns_none_and_is_recorded_once_for_all_pages(file, server):
    client = server.client()
    for token in ("a", "b", "c"):
        client.list_queues(NextToken=token, MaxResults=3)
    assert by(PROGRAM, file) == [("ListQueues", "")]


def test_tags_and_destinations_are_recorded_because_they_need_more(file, server):
    client = server.client()
    server.script["CreateQueue"] = says(QueueUrl=QUEUE_URL)
    client.create_queue(QueueName="queue")
    client.create_queue(QueueName="queue", tags={"team": "shop"})
    client.start_message_move_task(SourceArn=ARN, DestinationArn=f"{ARN[:-5]}other")
    found = [(each.operation, each.tags, each.destination) for each in usage.read(file) if each.by == PROGRAM]
    assert found == [
        ("CreateQueue", False, ""),
        ("CreateQueue", True, ""),
        ("StartMessageMoveTask", False, f"{ARN[:-5]}other"),
    ]


@pytest.mark.parametrize(
    ("owner", "queue"),
    [({}, "queue"), ({"QueueOwnerAWSAccountId": "111122223333"}, ARN.replace(ACCOUNT, "111122223333"))],
)
def test_a_queue_that_was_looked_for_and_not_found_is_recorded_and_again_when_it_is_found(file, server, owner, queue):
    client = server.client()
    server.script["GetQueueUrl"] = fails("QueueDoesNotExist")
    with pytest.raises(ClientError):
        client.get_queue_url(QueueName="queue", **owner)
    server.script["GetQueueUrl"] = says(QueueUrl=QUEUE_URL)
    client.get_queue_url(QueueName="queue", **owner)
    assert by(PROGRAM, file) == [("GetQueueUrl", queue), ("GetQueueUrl", ARN)]


def test_a_url_that_names_no_account_is_recorded_as_it_is_without_what_may_be_secret(file, server):
    url = f"{server.url}/queue/orders?token=secret"
    server.client(modes=WIRE_ONLY).receive_message(QueueUrl=url)
    assert by(PROGRAM, file) == [("ReceiveMessage", f"{server.url}/queue/orders")]


@pytest.mark.parametrize(
    ("key", "level", "recorded"),
    [
        ("1234-abcd", "kms", [("GetQueueAttributes", "1234-abcd")]),
        ("1234-abcd", "customer-key", [("GetQueueAttributes", "1234-abcd"), ("DescribeKey", "1234-abcd")]),
    ],
)
def test_the_key_of_a_queue_is_recorded_and_whether_the_guard_asks_about_it(file, server, key, level, recorded):
    server.script["GetQueueAttributes"] = lambda asked: attributes(
        asked, KmsMasterKeyId=key, SqsManagedSseEnabled="false"
    )
    send(server.client(levels={"queue-encryption": level}), server.queue())
    assert [(each.operation, each.key) for each in usage.read(file) if each.by == GUARD] == recorded
    assert server.count("DescribeKey") == len(recorded) - 1


def test_the_key_that_aws_manages_needs_no_grant_and_is_not_recorded(file, server):
    server.script["GetQueueAttributes"] = lambda asked: attributes(asked, KmsMasterKeyId="alias/aws/sqs")
    send(server.client(), server.queue())
    assert {each.key for each in usage.read(file)} == {""}


# --- what is no use ----------------------------------------------------------------------------------------------


def test_what_is_refused_is_not_recorded(file, server):
    client = server.client(role="consumer")
    for _ in range(2):
        with pytest.raises(RefusedError):
            send(client, server.queue())
    assert by(PROGRAM, file) == []


@pytest.mark.parametrize("make", [lambda server: server.client(role="consumer"), lambda server: armed_late(server)])
def test_a_presigned_url_is_a_use_when_it_is_not_refused(file, server, make):
    client = make(server)
    for _ in range(2):
        with pytest.raises(RefusedError):
            client.generate_presigned_url("send_message", {"QueueUrl": server.queue(), "MessageBody": BODY})
        client.generate_presigned_url("receive_message", {"QueueUrl": server.queue()})
    assert by(PROGRAM, file) == [("ReceiveMessage", ARN)]


def armed_late(server: Server) -> Any:
    """A client whose guard comes with its first request."""
    settings = {"SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": server.host, "SAFE_SQS_ROLE": "consumer"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        return safe_sqs.client("sqs", **server.settings())


def test_a_request_that_a_program_signs_and_sends_by_itself_is_a_use(file, server):
    client = server.client()
    data = json.dumps({"QueueUrl": server.queue()}).encode()
    for _ in range(2):
        request = AWSRequest("POST", server.url, {"Content-Type": "application/x-amz-json-1.0"}, data)
        client._request_signer.sign("ReceiveMessage", request)
    assert by(PROGRAM, file) == [("ReceiveMessage", ARN)]


def test_the_first_request_of_a_client_is_recorded_too(file, server):
    send(armed_late_producer(server), server.queue())
    assert by(PROGRAM, file) == [("SendMessage", ARN)]


def armed_late_producer(server: Server) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAFE_SQS_TRUSTED_ENDPOINT_HOSTS", server.host)
        return safe_sqs.client("sqs", **server.settings())


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "KmsAccessDenied"])
def test_what_aws_denies_is_recorded_as_denied_and_apart_from_what_it_allows(file, server, code):
    client = server.client()
    server.script["SendMessage"] = fails(code, 403)
    with pytest.raises(ClientError):
        send(client, server.queue())
    server.script["SendMessage"] = says(MessageId="id")
    send(client, server.queue())
    found = [(each.operation, each.denied) for each in usage.read(file) if each.by == PROGRAM]
    assert found == [("SendMessage", True), ("SendMessage", False)]


def test_another_error_of_the_service_is_a_use(file, server):
    server.script["SendMessage"] = fails("InvalidMessageContents")
    with pytest.raises(ClientError):
        send(server.client(), server.queue())
    assert by(PROGRAM, file) == [("SendMessage", ARN)]


def test_a_call_that_was_cut_off_is_a_use_and_one_that_never_left_is_not(file, server, monkeypatch):
    server.script["ReceiveMessage"] = RESET
    client = server.client()
    with pytest.raises(Exception, match="Connection was closed"):
        client.receive_message(QueueUrl=server.queue())
    client = guard(
        server.raw(endpoint_url="https://localhost:1"), Config(trusted_endpoint_hosts=["localhost:1"], modes=WIRE_ONLY)
    )
    with pytest.raises(Exception, match="Could not connect"):
        send(client, server.queue())
    assert by(PROGRAM, file) == [("ReceiveMessage", ARN)]


def test_what_a_stubber_answers_never_was_a_request(file, server):
    client = server.client()
    with Stubber(client) as stubber:
        stubber.add_response("list_queues", {})
        client.list_queues()
    assert list(usage.read(file)) == []


def test_nothing_secret_is_in_it(file, server):
    client = server.client()
    send(client, server.queue())
    client.send_message_batch(QueueUrl=server.queue(), Entries=[{"Id": "1", "MessageBody": BODY}])
    client.generate_presigned_url("send_message", {"QueueUrl": server.queue(), "MessageBody": BODY})
    server.script["CreateQueue"] = says(QueueUrl=QUEUE_URL)
    client.create_queue(QueueName="queue", tags={"team": BODY})
    text = file.read_text()
    assert BODY not in text
    assert not any(value in text for value in TEMPORARY.values())


# --- where it begins ---------------------------------------------------------------------------------------------


def new_client() -> Any:
    return new_core().create_client("sqs", region_name=REGION, **TEMPORARY)


def guard_one() -> None:
    guard(new_client(), Config())


def make_one() -> None:
    safe_sqs.client("sqs", region_name=REGION, **TEMPORARY)


def install() -> None:
    safe_sqs.install(Config())


BEGINNINGS = [guard_one, make_one, install]


@pytest.mark.parametrize("start", BEGINNINGS)
@pytest.mark.parametrize("named", ["", " ", ".", "missing/usage.jsonl", "file/usage.jsonl"])
def test_a_path_that_cannot_be_written_is_told_before_any_call(begin, tmp_path, monkeypatch, start, named):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    begin(named)
    with pytest.raises(ConfigError) as wrong:
        start()
    assert (wrong.value.key, wrong.value.source) == ("SAFE_SQS_RECORD", "environment")
    assert not process_wide.installed()


def test_a_client_is_left_as_it_was_when_nothing_can_be_recorded(begin):
    begin("")
    client = new_client()
    with pytest.raises(ConfigError):
        guard(client, Config())
    assert not is_guarded(client)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody writes to")
def test_where_nothing_can_be_written_it_is_told_what_can_in_lambda(begin, monkeypatch):
    def read_only(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    begin("/var/task/usage.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        with pytest.raises(ConfigError, match="Read-only file system; in AWS Lambda, only /tmp can be written"):
            guard_one()


@pytest.mark.parametrize("start", BEGINNINGS)
def test_a_recording_is_there_as_soon_as_something_is_guarded(file, start):
    try:
        start()
        assert file.read_bytes() == b""
    finally:
        safe_sqs.uninstall()


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_new_file_is_for_its_owner_alone(file):
    usage.start()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_client_goes_on_with_its_file_whatever_becomes_of_directory_and_variable(
    begin, server, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    begin("usage.jsonl")
    client = server.client()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("SAFE_SQS_RECORD")
    send(client, server.queue())
    assert by(PROGRAM, tmp_path / "usage.jsonl")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_without_the_variable_nothing_listens(server, file, monkeypatch):
    heard = listeners_of(server.client())
    monkeypatch.delenv("SAFE_SQS_RECORD")
    assert listeners_of(server.client()) < heard


def listeners_of(client: Any) -> int:
    """How many handlers hear an answer."""
    return len(client.meta.events._emitter._handlers.prefix_search("after-call.sqs.SendMessage"))


NOBODY_ASKED = """
import sys, safe_sqs
safe_sqs.install(safe_sqs.Config())
assert not {"safe_sqs.usage", "safe_sqs.listening", "botocore"} & set(sys.modules), sys.modules
"""
ASKED = NOBODY_ASKED.replace('"safe_sqs.usage", ', "")


@pytest.mark.parametrize(("program", "named"), [(NOBODY_ASKED, None), (ASKED, "usage.jsonl")])
def test_nothing_is_loaded_before_it_is_needed(tmp_path, program, named):
    environment = {**os.environ, **({"SAFE_SQS_RECORD": named} if named else {})}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# --- when it fails -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_changes_no_call_and_is_told_once(begin, server, told):
    begin("/dev/full")
    client = server.client()
    for name in ("a", "b"):
        send(client, server.queue(name))
    assert server.count("SendMessage") == 2
    (notice,) = [each for each in told if isinstance(each, events.Noticed)]
    assert notice.topic == "recording"
    assert "/dev/full cannot be written (No space left on device)" in notice.text


def test_a_program_with_ever_new_queues_does_not_grow_for_ever_and_is_told_so(file, server, told, monkeypatch):
    monkeypatch.setattr(usage, "_MOST_KNOWN", 5)
    client = server.client(modes=WIRE_ONLY)
    for number in range(9):
        send(client, server.queue(f"reply-{number}"))
    assert len(by(PROGRAM, file)) == 5
    assert [each.topic for each in told if isinstance(each, events.Noticed)] == ["loosened", "recording"]


def test_a_mistake_of_the_recording_fails_no_call(file, server, monkeypatch, caplog):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(usage.Recording, "note", broken)
    send(server.client(), server.queue())
    assert server.count("SendMessage") == 1
    assert "the recording of safe_sqs failed" in caplog.text


# --- many at once ------------------------------------------------------------------------------------------------


def test_threads_that_use_the_same_at_once_write_it_once(file, server):
    client = server.client(modes=WIRE_ONLY)
    barrier = Barrier(8)

    def work() -> None:
        barrier.wait(60)
        for name in "abc":
            send(client, server.queue(name))

    threads = [Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(queue[-1] for _, queue in by(PROGRAM, file)) == ["a", "b", "c"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_was_forked_off_records_its_own_uses(file, server):
    send(server.client(), server.queue())
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                send(server.client(), server.queue())
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    mine = [each for each in usage.read(file) if each.by == PROGRAM]
    assert {each.pid for each in mine} == {os.getpid(), *children}
    assert {(each.operation, each.queue) for each in mine} == {("SendMessage", ARN)}


def test_tasks_of_an_event_loop_are_recorded_too(file, server):
    pytest.importorskip("aiobotocore")
    import asyncio

    from aiobotocore.session import get_session

    async def use() -> None:
        async with get_session().create_client("sqs", **server.settings(config=None)) as client:
            guard(client, server.config(role="producer"))
            sends = [client.send_message(QueueUrl=server.queue(), MessageBody=BODY) for _ in range(20)]
            await asyncio.gather(*sends)
            with pytest.raises(RefusedError):
                await client.receive_message(QueueUrl=server.queue())
            await client.get_queue_attributes(QueueUrl=server.queue("other"))
            with pytest.raises(RefusedError):
                await client.generate_presigned_url("receive_message", {"QueueUrl": server.queue()})

    asyncio.run(use())
    assert sorted(by(PROGRAM, file)) == [("GetQueueAttributes", f"{ARN[:-5]}other"), ("SendMessage", ARN)]
    assert by(GUARD, file) == [("GetQueueAttributes", ARN)]


# --- reading -----------------------------------------------------------------------------------------------------

USED = Used("2026-11-24T10:00:00+00:00", 7, "app.py", "SendMessage", ARN, REGION, "aws", PROGRAM, False)
LINE = f"{json.dumps(USED._asdict())}\n".encode()


def test_a_last_line_that_is_torn_is_left_out(tmp_path):
    (tmp_path / "usage.jsonl").write_bytes(LINE + LINE[:-30])
    assert list(usage.read(tmp_path / "usage.jsonl")) == [USED]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b"[1]\n",
        b"3\n",
        b'{"pid": \n',
        b"\xff\n",
        LINE.replace(b"7", b'"7"'),
        LINE.replace(b"false", b"0"),
    ],
)
def test_a_line_that_is_no_use_is_named(tmp_path, line):
    (tmp_path / "usage.jsonl").write_bytes(LINE + line + LINE)
    with pytest.raises(ValueError, match=r"line 2 of .*usage\.jsonl is no line of a recording"):
        list(usage.read(tmp_path / "usage.jsonl"))
