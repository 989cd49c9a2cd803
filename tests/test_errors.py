"""What a refusal says and carries, and what kind of exception it is."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from support import LONG_TERM, UNENCRYPTED

from safe_sqs import ConfigError, Finding, GuardError, Mode, RefusedError, UnverifiableError
from safe_sqs.errors import refusal
from safe_sqs.model import Practice

QUEUE = "https://sqs.us-east-1.amazonaws.com/111122223333/orders"
SEEN = Finding(
    rule="queue-encryption",
    mode=Mode.ENFORCE,
    found="no encryption",
    expected="some encryption",
    next_step="encrypt it",
    practice=Practice.ENCRYPTION_AT_REST,
)
UNSEEN = SEEN._replace(
    rule="queue-attributes", found="no answer", expected="an answer", next_step="ask", practice=None, unverifiable=True
)


def test_the_message_lists_every_finding_with_what_to_do():
    error = RefusedError([SEEN, UNSEEN], "SendMessage", QUEUE)
    assert str(error).splitlines() == [
        f"safe_sqs refused SendMessage on {QUEUE}: 2 findings",
        "  1. queue-encryption (enforce)",
        "     found:     no encryption",
        "     expected:  some encryption",
        "     next step: encrypt it",
        "  2. queue-attributes (enforce)",
        "     found:     no answer",
        "     expected:  an answer",
        "     next step: ask",
    ]


@pytest.mark.parametrize(
    ("error", "headline"),
    [
        (RefusedError([SEEN], "SendMessage", QUEUE), f"safe_sqs refused SendMessage on {QUEUE}: 1 finding"),
        (RefusedError([SEEN], "ListQueues", ""), "safe_sqs refused ListQueues: 1 finding"),
        (
            UnverifiableError([UNSEEN], "SendMessage", QUEUE),
            f"safe_sqs could not verify SendMessage on {QUEUE}, so it was refused: 1 finding",
        ),
        (
            UnverifiableError([UNSEEN, UNSEEN], "CreateQueue", ""),
            "safe_sqs could not verify CreateQueue, so it was refused: 2 findings",
        ),
    ],
)
def test_the_first_line_says_what_was_refused(error, headline):
    assert str(error).partition("\n")[0] == headline


def test_the_error_carries_what_was_found():
    error = RefusedError(iter([SEEN, UNSEEN]), "SendMessage", QUEUE)
    assert (error.findings, error.operation, error.queue) == ((SEEN, UNSEEN), "SendMessage", QUEUE)


@pytest.mark.parametrize(
    ("findings", "kind"),
    [((SEEN,), RefusedError), ((UNSEEN,), UnverifiableError), ((SEEN, UNSEEN), RefusedError), ((), UnverifiableError)],
)
def test_a_refusal_is_unverifiable_when_nothing_bad_was_seen(findings, kind):
    error = refusal(iter(findings), "SendMessage", QUEUE)
    assert type(error) is kind
    assert error.findings == findings


class OwnError(RefusedError):
    """A subclass that a program might make."""


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [RefusedError, UnverifiableError, OwnError])
def test_refusals_pickle_and_copy(kind, protocol):
    error = kind([SEEN, UNSEEN], "SendMessage", QUEUE)
    for again in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert again is not error
        assert (again.findings, again.operation, again.queue) == (error.findings, error.operation, error.queue)
        assert str(again) == str(error)
        assert again.findings[0].mode is Mode.ENFORCE
        assert again.findings[0].practice is Practice.ENCRYPTION_AT_REST


def test_the_hierarchy():
    assert issubclass(UnverifiableError, RefusedError)
    assert issubclass(RefusedError, GuardError)
    assert issubclass(ConfigError, GuardError)
    assert GuardError.__bases__ == (Exception,)


@pytest.mark.parametrize(
    "error",
    [
        GuardError("x"),
        RefusedError([SEEN], "SendMessage", QUEUE),
        UnverifiableError([UNSEEN], "SendMessage", QUEUE),
        ConfigError("profile", "code", "x"),
    ],
)
@pytest.mark.parametrize(
    "caught_by_retry_loops", [OSError, ValueError, RuntimeError, BotoCoreError, ClientError, HTTPClientError]
)
def test_no_retry_loop_takes_a_refusal_for_a_failure(error, caught_by_retry_loops):
    assert not isinstance(error, caught_by_retry_loops)


# --- end to end --------------------------------------------------------------------------------------------------

PUBLIC = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]}
)
WAYS = {
    "send": lambda client, url: client.send_message(QueueUrl=url, MessageBody="x"),
    "send a batch": lambda client, url: client.send_message_batch(
        QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "x"}]
    ),
    "receive": lambda client, url: client.receive_message(QueueUrl=url),
}
OPERATIONS = {"send": "SendMessage", "send a batch": "SendMessageBatch", "receive": "ReceiveMessage"}


@pytest.mark.parametrize("way", WAYS)
def test_everything_that_is_wrong_with_a_queue_is_in_one_error(way, raw, make_queue, make_client):
    dead = make_queue("-dead", **UNENCRYPTED)
    arn = raw.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    worst = make_queue("-worst", Policy=PUBLIC, RedrivePolicy=redrive, **UNENCRYPTED)
    with pytest.raises(RefusedError) as caught:
        WAYS[way](make_client(modes={"tls-only-policy": "enforce"}), worst)
    error = caught.value
    assert [finding.rule for finding in error.findings] == [
        "queue-encryption",
        "public-access",
        "dead-letter-queue",
        "dead-letter-queue",
        "tls-only-policy",
    ]
    assert (error.operation, error.queue) == (OPERATIONS[way], worst)
    assert all(finding.rule in str(error) and finding.found in str(error) for finding in error.findings)
    assert pickle.loads(pickle.dumps(error)).findings == error.findings


def test_everything_that_is_wrong_with_the_way_and_the_call_is_in_one_error(make_client, emulator):
    client = make_client(
        client={"endpoint_url": "http://queues.internal:8080", "verify": False, **LONG_TERM, "aws_session_token": None},
        role="producer",
    )
    with pytest.raises(RefusedError) as caught:
        client.receive_message(QueueUrl=QUEUE)
    assert [finding.rule for finding in caught.value.findings] == [
        "https-endpoint",
        "endpoint-host",
        "static-credentials",
        "role-operations",
    ]


def test_a_queue_that_is_not_there_could_not_be_verified(make_client, good):
    with pytest.raises(UnverifiableError) as caught:
        make_client().send_message(QueueUrl=f"{good}-not-there", MessageBody="x")
    assert [finding.unverifiable for finding in caught.value.findings] == [True]


def test_findings_that_only_warn_are_not_in_the_error(make_client, bad):
    with pytest.raises(RefusedError) as caught:
        make_client(modes={"tls-only-policy": "warn"}).send_message(QueueUrl=bad, MessageBody="x")
    assert {finding.mode for finding in caught.value.findings} == {Mode.ENFORCE}
