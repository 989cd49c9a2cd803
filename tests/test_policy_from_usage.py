"""From a recording to a policy that allows exactly what was used: by hand-made recordings, and by real programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import REGION, TEMPORARY, cli_runner

from safe_sqs import usage
from safe_sqs.cli.policy_from_usage import from_usage
from safe_sqs.operations import OPERATIONS
from safe_sqs.policy import Decision, Request, decide
from safe_sqs.usage import Used

ACCOUNT = "444455556666"
ORDERS, PARCELS = (f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}" for name in ("orders", "parcels"))
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234-abcd"
EVERY_ACTION = [f"sqs:{name}" for name in OPERATIONS if not name.endswith("Batch")]
SEEN = Used("2026-11-24T10:00:00.000+00:00", 7, "app.py", "SendMessage", ORDERS, REGION, "aws", "program", False)


def recorded(folder: Path, *uses: Used, name: str = "usage.jsonl") -> str:
    """A recording with these uses."""
    path = folder / name
    path.write_text("".join(f"{json.dumps(used._asdict())}\n" for used in uses))
    return str(path)


def run(*words: str) -> Any:
    return cli_runner().invoke(from_usage, words)


def allowed_by(document: dict[str, Any], resources: set[str], *, via: str = "") -> set[tuple[str, str]]:
    """The actions on these resources that an IAM policy allows to whom it is attached."""
    me = f"arn:aws:iam::{ACCOUNT}:role/shop"
    statements = [{**each, "Principal": {"AWS": me}} for each in document["Statement"]]
    keys = {"aws:SecureTransport": ("true",), **({"kms:ViaService": (via,)} if via else {})}
    actions = [*EVERY_ACTION, "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:Encrypt"]
    return {
        (action, resource)
        for action in actions
        for resource in resources
        if decide({**document, "Statement": statements}, Request(me, action, resource, keys)) is Decision.ALLOW
    }


# --- what is written ---------------------------------------------------------------------------------------------


def test_recordings_of_many_processes_are_merged(tmp_path):
    one = recorded(tmp_path, SEEN, SEEN._replace(pid=8, time="2026-11-25T10:00:00.000+00:00"))
    other = recorded(
        tmp_path,
        SEEN._replace(operation="SendMessageBatch", queue=PARCELS),
        SEEN._replace(operation="GetQueueAttributes", by="guard"),
        name="other.jsonl",
    )
    done = run(one, other)
    assert done.exit_code == 0, done.output
    assert allowed_by(json.loads(done.stdout), {ORDERS, PARCELS, f"{ORDERS}-2"}) == {
        ("sqs:SendMessage", ORDERS),
        ("sqs:SendMessage", PARCELS),
        ("sqs:GetQueueAttributes", ORDERS),
    }
    assert f"2026-11-24T10:00:00.000+00:00  SendMessage on {ORDERS}  by app.py" in done.stderr
    assert f"GetQueueAttributes on {ORDERS}  by the guard" in done.stderr
    assert "between 2026-11-24T10:00:00.000+00:00 and 2026-11-25T10:00:00.000+00:00" in done.stderr


def test_list_queues_is_granted_on_every_queue_because_it_cannot_be_narrower_and_only_when_used(tmp_path):
    document = json.loads(run(recorded(tmp_path, SEEN._replace(operation="ListQueues", queue=""))).stdout)
    (statement,) = document["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("sqs:ListQueues", "*")
    assert "ListQueues" not in run(recorded(tmp_path, SEEN)).stdout


@pytest.mark.parametrize(
    ("used", "needed"),
    [
        (
            {"operation": "StartMessageMoveTask", "destination": PARCELS},
            {(f"sqs:{name}", ORDERS) for name in ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage")}
            | {("sqs:GetQueueAttributes", ORDERS), ("sqs:SendMessage", PARCELS)},
        ),
        ({"operation": "CreateQueue", "tags": True}, {("sqs:CreateQueue", ORDERS), ("sqs:TagQueue", ORDERS)}),
        ({"operation": "DeleteMessageBatch"}, {("sqs:DeleteMessage", ORDERS)}),
        ({"queue": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/orders"}, {("sqs:SendMessage", ORDERS)}),
        ({"queue": f"https://{REGION}.queue.amazonaws.com/{ACCOUNT}/orders"}, {("sqs:SendMessage", ORDERS)}),
    ],
)
def test_an_operation_is_granted_with_all_that_it_needs(tmp_path, used, needed):
    document = json.loads(run(recorded(tmp_path, SEEN._replace(**used))).stdout)
    assert allowed_by(document, {ORDERS, PARCELS}) == needed


def test_messages_that_were_moved_back_are_remarked_since_nobody_knows_where_to(tmp_path):
    done = run(recorded(tmp_path, SEEN._replace(operation="StartMessageMoveTask")))
    assert "allow sqs:SendMessage on those queues as well" in done.stderr


def test_what_aws_denied_is_told_and_granted_only_when_asked(tmp_path):
    file = recorded(tmp_path, SEEN, SEEN._replace(operation="PurgeQueue", denied=True))
    done = run(file)
    assert allowed_by(json.loads(done.stdout), {ORDERS}) == {("sqs:SendMessage", ORDERS)}
    assert f"note: AWS denied PurgeQueue on {ORDERS} to the program" in done.stderr
    assert ("sqs:PurgeQueue", ORDERS) in allowed_by(json.loads(run(file, "--with-denied").stdout), {ORDERS})


# --- accounts ----------------------------------------------------------------------------------------------------


def test_an_account_is_asked_for_where_the_recording_has_none(tmp_path):
    file = recorded(tmp_path, SEEN._replace(operation="GetQueueUrl", queue="orders"))
    done = run(file)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "does not tell the account of the queue 'orders'" in done.stderr
    assert "pass --account ID" in done.stderr
    assert allowed_by(json.loads(run(file, "--account", ACCOUNT).stdout), {ORDERS}) == {("sqs:GetQueueUrl", ORDERS)}


@pytest.mark.parametrize("account", ["000000000000", "123456789012"])
def test_the_account_of_an_emulator_is_remarked_and_can_be_replaced(tmp_path, account):
    file = recorded(tmp_path, SEEN._replace(queue=ORDERS.replace(ACCOUNT, account)))
    assert f"note: {account} is the account of an emulator: pass --account" in run(file).stderr
    done = run(file, "--account", ACCOUNT)
    assert allowed_by(json.loads(done.stdout), {ORDERS}) == {("sqs:SendMessage", ORDERS)}
    assert "emulator" not in done.stderr


def test_with_its_account_all_that_an_emulator_made_up_is_replaced_and_its_keys_are_asked_for(tmp_path):
    here, there = (arn.replace(ACCOUNT, "123456789012") for arn in (ORDERS, PARCELS))
    move = SEEN._replace(operation="StartMessageMoveTask", queue=here, destination=there)
    look = SEEN._replace(operation="GetQueueAttributes", by="guard", queue=here, key="1234-abcd")
    done = run(recorded(tmp_path, move, look), "--account", ACCOUNT)
    assert "123456789012" not in done.stdout
    assert ("sqs:SendMessage", PARCELS) in allowed_by(json.loads(done.stdout), {PARCELS})
    assert "kms:" not in done.stdout
    assert "pass --kms-key ARN" in done.stderr


def test_queues_of_two_partitions_are_told(tmp_path):
    done = run(recorded(tmp_path, SEEN, SEEN._replace(partition="aws-cn", queue=ORDERS.replace("aws", "aws-cn"))))
    assert done.exit_code == 2
    assert "several partitions of AWS; write a policy for each" in done.stderr


def test_a_policy_that_is_too_long_to_be_managed_is_remarked(tmp_path):
    uses = [SEEN._replace(queue=f"{ORDERS}-{'x' * 60}-{number}") for number in range(60)]
    assert "longer than the 6,144 characters" in run(recorded(tmp_path, *uses)).stderr


def test_an_account_that_the_recording_has_stays_as_it_is(tmp_path):
    done = run(recorded(tmp_path, SEEN), "--account", "111122223333")
    assert allowed_by(json.loads(done.stdout), {ORDERS}) == {("sqs:SendMessage", ORDERS)}


# --- keys --------------------------------------------------------------------------------------------------------

LOOK = SEEN._replace(operation="GetQueueAttributes", by="guard")
VIA = f"sqs.{REGION}.amazonaws.com"


@pytest.mark.parametrize("key", [KEY, "1234-abcd"])
@pytest.mark.parametrize(
    ("operation", "actions"),
    [("SendMessage", {"kms:Decrypt", "kms:GenerateDataKey"}), ("ReceiveMessage", {"kms:Decrypt"})],
)
def test_the_key_that_the_guard_saw_is_granted_as_sending_and_receiving_need(tmp_path, key, operation, actions):
    file = recorded(tmp_path, SEEN._replace(operation=operation), LOOK._replace(key=key))
    document = json.loads(run(file).stdout)
    assert allowed_by(document, {KEY, f"{KEY}-2"}, via=VIA) == {(action, KEY) for action in actions}
    assert allowed_by(document, {KEY}) == set()


def test_a_key_is_granted_only_as_its_own_queues_need(tmp_path):
    other = SEEN._replace(operation="ReceiveMessage", queue=PARCELS)
    document = json.loads(run(recorded(tmp_path, SEEN, other, LOOK._replace(queue=PARCELS, key=KEY))).stdout)
    assert allowed_by(document, {KEY}, via=VIA) == {("kms:Decrypt", KEY)}


def test_an_alias_is_asked_for_by_its_key(tmp_path):
    file = recorded(tmp_path, SEEN, LOOK._replace(key="alias/shop"))
    assert "is encrypted under alias/shop, and IAM wants its key by ARN: pass --kms-key ARN" in run(file).stderr
    done = run(file, "--kms-key", KEY)
    assert "alias/shop" not in done.stderr
    assert ("kms:GenerateDataKey", KEY) in allowed_by(json.loads(done.stdout), {KEY}, via=VIA)


def test_what_the_guard_asks_about_keys_is_granted_without_sqs_in_between(tmp_path):
    file = recorded(tmp_path, SEEN, LOOK._replace(key=KEY), LOOK._replace(operation="DescribeKey", key=KEY))
    assert allowed_by(json.loads(run(file).stdout), {KEY}) == {("kms:DescribeKey", KEY)}


def test_without_a_look_of_the_guard_it_is_said_that_keys_were_not_seen(tmp_path):
    assert "under a KMS key was not seen" in run(recorded(tmp_path, SEEN)).stderr
    assert "under a KMS key was not seen" not in run(recorded(tmp_path, SEEN, LOOK)).stderr


# --- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "nothing was recorded in "),
        ("coffee\n", "line 1 of "),
        ("{}\n", "is no line of a recording; name a file that SAFE_SQS_RECORD named"),
        ('{"rule": "queue-encryption", "queue": "x"}\n', "a report is another thing"),
        (f"{json.dumps(SEEN._replace(denied=True)._asdict())}\n", "AWS denied all that was recorded"),
        (f"{json.dumps(SEEN._replace(queue='https://localhost/queue/x')._asdict())}\n", "does not tell the account"),
        (f"{json.dumps(SEEN._replace(queue='')._asdict())}\n", "does not tell which queue SendMessage was for"),
        (f"{json.dumps(SEEN._replace(queue=f'arn:aws:sqs:*:{ACCOUNT}:orders')._asdict())}\n", "is no operation on one"),
        (f"{json.dumps(SEEN._replace(operation='*')._asdict())}\n", "is no operation on one queue"),
        (f"{json.dumps(SEEN._replace(region='*', queue='orders')._asdict())}\n", "is no operation on one queue"),
        (f"{json.dumps(SEEN._replace(destination='*')._asdict())}\n", "is no operation on one queue"),
    ],
)
def test_a_file_that_is_no_recording_is_told_in_one_line(tmp_path, text, line):
    (tmp_path / "usage.jsonl").write_text(text)
    done = run(str(tmp_path / "usage.jsonl"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert line in done.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["missing.jsonl"], "does not exist"),
        (["."], "is a directory"),
        ([], "missing argument"),
        (["FILE", "--kms-key", "alias/shop"], "is not the ARN of a KMS key; aws kms describe-key"),
        (["FILE", "--account", "shop"], "'shop' is not an account"),
    ],
)
def test_a_mistake_on_the_command_line_is_told(tmp_path, words, line):
    file = recorded(tmp_path, SEEN)
    done = run(*(file if word == "FILE" else word for word in words))
    assert (done.exit_code, done.stdout) == (2, "")
    assert line in done.stderr


def test_what_a_file_says_cannot_drive_a_terminal(tmp_path):
    done = run(recorded(tmp_path, SEEN._replace(program="\x1b[2Jevil", time="\x1b]0;x\x07")))
    assert done.exit_code == 0
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr


# --- real programs -----------------------------------------------------------------------------------------------

PROGRAM = """
import os, sys, threading
import boto3

def produce(url):
    boto3.session.Session().client("sqs").send_message(QueueUrl=url, MessageBody="two teapots")

def consume(url):
    sqs = boto3.session.Session().client("sqs")
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

sqs = boto3.client("sqs")
orders = sqs.get_queue_url(QueueName=sys.argv[1])["QueueUrl"]
parcels = sqs.get_queue_url(QueueName=sys.argv[2])["QueueUrl"]
threads = [threading.Thread(target=produce, args=(orders,)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
child = os.fork()
if child == 0:
    consume(orders)
    produce(parcels)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_policy_for_a_program_with_threads_and_a_fork_allows_exactly_what_it_did(
    emulator, good, make_queue, tmp_path
):
    other = make_queue("-other")
    (tmp_path / "app.py").write_text(PROGRAM)
    names = [url.rpartition("/")[2] for url in (good, other)]
    command = "from safe_sqs.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", command, "run", "--", sys.executable, "app.py", *names],
        cwd=tmp_path,
        env={
            **os.environ,
            **{name.upper(): value for name, value in TEMPORARY.items()},
            "AWS_ENDPOINT_URL_SQS": emulator.url,
            "AWS_CA_BUNDLE": emulator.authority,
            "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": emulator.host,
            "SAFE_SQS_RECORD": str(tmp_path / "usage.jsonl"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len({used.pid for used in usage.read(tmp_path / "usage.jsonl")}) == 2
    written = run(str(tmp_path / "usage.jsonl"), "--account", ACCOUNT)
    assert written.exit_code == 0, written.output
    orders, parcels = (f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}" for name in names)
    assert allowed_by(json.loads(written.stdout), {orders, parcels, f"{orders}-2", "*"}) == {
        *((f"sqs:{each}", orders) for each in ("GetQueueUrl", "SendMessage", "ReceiveMessage", "DeleteMessage")),
        *((f"sqs:{each}", parcels) for each in ("GetQueueUrl", "SendMessage")),
        *(("sqs:GetQueueAttributes", each) for each in (orders, parcels)),
    }
    assert "by app.py" in written.stderr
