"""Changes of a queue are judged by the state that they would leave: end to end on the emulator, and by themselves.

The emulator forgets a queue's policy at each SetQueueAttributes without one, so the stages below set it last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import scripted
from scripted import Server, attributes, fails, says
from support import UNENCRYPTED

from safe_sqs import RefusedError, UnverifiableError
from safe_sqs.changes import look_at_change, touches
from safe_sqs.events import Refused, Warned
from safe_sqs.facts import look_at, name_of, queue_of_arn
from safe_sqs.model import Ask, Facts, KeyManager, Queue, Unreadable
from safe_sqs.rules import ALL_RULES

ACCOUNT, OTHER = "123456789012", "111122223333"
NO_QUEUE_RULES = {rule.name: "off" for rule in ALL_RULES if rule.attributes}
HTTPS_ONLY = {
    "Sid": "https",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
MEMBERS_ONLY = {
    "Sid": "members",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": "*",
    "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}},
}
PUBLIC = {"Sid": "everyone", "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
SHARED = {
    "Sid": "partner",
    "Effect": "Allow",
    "Principal": {"AWS": OTHER},
    "Action": "sqs:SendMessage",
    "Resource": "*",
}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


# --- end to end --------------------------------------------------------------------------------------------------


@pytest.fixture
def state(raw) -> Callable[[str], dict[str, str]]:
    """The attributes of a queue as the emulator has them, without those that move by themselves."""

    def read(url: str) -> dict[str, str]:
        answer: dict[str, str] = raw.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return {name: value for name, value in answer.items() if name != "LastModifiedTimestamp"}

    return read


@pytest.fixture
def redrive(raw, make_queue) -> Callable[..., str]:
    """The redrive policy to a new dead-letter queue with these attributes."""

    def make(suffix: str, **attributes: str) -> str:
        url = make_queue(suffix, **attributes)
        arn = raw.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})

    return make


def set_to(**attributes: str) -> Callable[[Any, str], Any]:
    return lambda client, url: client.set_queue_attributes(QueueUrl=url, Attributes=attributes)


def permit(label: str, account: str, *actions: str) -> Callable[[Any, str], Any]:
    return lambda client, url: client.add_permission(
        QueueUrl=url, Label=label, AWSAccountIds=[account], Actions=list(actions)
    )


def forbid(label: str) -> Callable[[Any, str], Any]:
    return lambda client, url: client.remove_permission(QueueUrl=url, Label=label)


def looks(client: Any) -> list[str]:
    """The queues that the client asks the service about, from now on."""
    asked: list[str] = []
    client.meta.events.register_last(
        "before-send.sqs.GetQueueAttributes", lambda request, **_: asked.append(json.loads(request.body)["QueueUrl"])
    )
    return asked


KMS = {"KmsMasterKeyId": "alias/orders", **UNENCRYPTED}

# what the queue is like, its policy, the change, settings, the rule that refuses
BAD_CHANGES: dict[str, tuple[dict[str, str], str, Callable[[Any, str], Any], dict[str, Any], str]] = {
    "SSE-SQS is switched off": ({}, "", set_to(**UNENCRYPTED), {}, "queue-encryption"),
    "SSE-SQS is switched off among other things": (
        {},
        "",
        set_to(VisibilityTimeout="9", SqsManagedSseEnabled="False"),
        {},
        "queue-encryption",
    ),
    "the KMS key is taken away": (KMS, "", set_to(KmsMasterKeyId=""), {}, "queue-encryption"),
    "all encryption is taken away": (
        KMS,
        "",
        set_to(KmsMasterKeyId="", SqsManagedSseEnabled="false"),
        {},
        "queue-encryption",
    ),
    "the KMS key gives way to SSE-SQS, where KMS is asked for": (
        KMS,
        "",
        set_to(SqsManagedSseEnabled="true"),
        {"levels": {"queue-encryption": "kms"}},
        "queue-encryption",
    ),
    "the customer's key gives way to that of AWS": (
        KMS,
        "",
        set_to(KmsMasterKeyId="alias/aws/sqs"),
        {"levels": {"queue-encryption": "customer-key"}, "when_unverifiable": "warn"},
        "queue-encryption",
    ),
    "a policy opens the queue": ({}, "", set_to(Policy=policy(PUBLIC)), {}, "public-access"),
    "a policy opens a queue that has one": (
        {},
        policy(SHARED),
        set_to(Policy=policy(SHARED, PUBLIC)),
        {},
        "public-access",
    ),
    "a policy that nobody can read": ({}, "", set_to(Policy='{"Statement": 5}'), {}, "public-access"),
    "a permission for everybody": ({}, "", permit("all", "*", "SendMessage"), {}, "public-access"),
    "a permission for everybody on top of a policy": (
        {},
        policy(SHARED),
        permit("all", "*", "SendMessage"),
        {},
        "public-access",
    ),
    "a permission that is wider than a role": (
        {},
        policy(SHARED),
        permit("wide", OTHER, "*"),
        {"modes": {"least-privilege": "enforce"}},
        "least-privilege",
    ),
    "a permission for an account that is not trusted": (
        {},
        policy(SHARED),
        permit("other", "999900001111", "SendMessage"),
        {"modes": {"least-privilege": "enforce"}, "trusted_accounts": [OTHER]},
        "least-privilege",
    ),
    "the denial that closed an open statement is removed": (
        {},
        policy(PUBLIC, MEMBERS_ONLY),
        forbid("members"),
        {},
        "public-access",
    ),
    "the denial that closed an open statement is left out of a new policy": (
        {},
        policy(PUBLIC, MEMBERS_ONLY),
        set_to(Policy=policy(PUBLIC)),
        {},
        "public-access",
    ),
    "the denial that closed an open statement is for another action now": (
        {},
        policy(PUBLIC, MEMBERS_ONLY),
        set_to(Policy=policy(PUBLIC, {**MEMBERS_ONLY, "Action": "sqs:ReceiveMessage"})),
        {},
        "public-access",
    ),
    "the denial of plain HTTP is removed": (
        {},
        policy(SHARED, HTTPS_ONLY),
        forbid("https"),
        {"modes": {"tls-only-policy": "enforce"}},
        "tls-only-policy",
    ),
    "the last statement, the denial of plain HTTP, is removed": (
        {},
        policy(HTTPS_ONLY),
        forbid("https"),
        {"modes": {"tls-only-policy": "enforce"}},
        "tls-only-policy",
    ),
    "the whole policy is removed, with the denial of plain HTTP": (
        {},
        policy(HTTPS_ONLY),
        set_to(Policy=""),
        {"modes": {"tls-only-policy": "enforce"}},
        "tls-only-policy",
    ),
    "a permission on a policy that nobody can read": (
        {},
        '{"Statement": 5}',
        permit("more", OTHER, "SendMessage"),
        {"modes": {"least-privilege": "off", "tls-only-policy": "off"}},
        "public-access",
    ),
}


@pytest.mark.parametrize("change", BAD_CHANGES)
def test_a_change_that_leaves_the_queue_worse_is_refused_and_changes_nothing(
    change, raw, make_queue, make_client, state, told
):
    attributes, before_policy, act, settings, rule = BAD_CHANGES[change]
    url = make_queue("", **attributes)
    if before_policy:
        raw.set_queue_attributes(QueueUrl=url, Attributes={"Policy": before_policy})
    before = state(url)
    client = make_client(**settings)
    with pytest.raises(RefusedError) as caught:
        act(client, url)
    assert rule in [finding.rule for finding in caught.value.findings]
    assert all(finding.found.startswith("after the change, ") for finding in caught.value.findings)
    assert caught.value.queue == url
    assert state(url) == before
    (refused,) = [event for event in told if isinstance(event, Refused)]
    assert refused.findings == caught.value.findings


def test_a_dead_letter_queue_that_is_bad_cannot_be_attached(make_client, good, redrive, state):
    client, before = make_client(), state(good)
    with pytest.raises(RefusedError) as caught:
        set_to(RedrivePolicy=redrive("-dead", **UNENCRYPTED))(client, good)
    assert [finding.rule for finding in caught.value.findings] == ["dead-letter-queue"]
    assert state(good) == before


def test_a_dead_letter_queue_that_is_good_can_be_attached(make_client, good, redrive, state):
    to = redrive("-dead")
    set_to(RedrivePolicy=to)(make_client(), good)
    assert json.loads(state(good)["RedrivePolicy"]) == json.loads(to)


@pytest.mark.parametrize("policy_of_the_dead", [policy(PUBLIC), '{"Statement": 5}'])
def test_a_dead_letter_queue_with_a_bad_policy_cannot_be_attached(
    policy_of_the_dead, raw, make_client, make_queue, good, redrive, state
):
    to, before = redrive("-dead"), state(good)
    raw.set_queue_attributes(QueueUrl=make_queue("-dead"), Attributes={"Policy": policy_of_the_dead})
    with pytest.raises(RefusedError) as caught:
        set_to(RedrivePolicy=to)(make_client(), good)
    assert [finding.rule for finding in caught.value.findings] == ["dead-letter-queue"]
    assert state(good) == before


# what is asked for, the rule that refuses
BAD_QUEUES: dict[str, tuple[dict[str, str], str]] = {
    "without encryption": (UNENCRYPTED, "queue-encryption"),
    "without encryption, in other letters": ({"SqsManagedSseEnabled": "FALSE"}, "queue-encryption"),
    "open to everybody": ({"Policy": policy(PUBLIC)}, "public-access"),
    "with a policy that nobody can read": ({"Policy": '{"Statement": 5}'}, "public-access"),
    "open to everybody under a key": ({"Policy": policy(PUBLIC), "KmsMasterKeyId": "alias/orders"}, "public-access"),
}


@pytest.mark.parametrize("kind", BAD_QUEUES)
def test_a_bad_queue_is_not_created(kind, raw, make_client, queue_name):
    attributes, rule = BAD_QUEUES[kind]
    with pytest.raises(RefusedError) as caught:
        make_client().create_queue(QueueName=queue_name, Attributes=attributes)
    assert rule in [finding.rule for finding in caught.value.findings]
    assert type(caught.value) is (UnverifiableError if "read" in kind else RefusedError)
    assert "QueueUrls" not in raw.list_queues(QueueNamePrefix=queue_name)


def test_a_queue_with_a_bad_dead_letter_queue_is_not_created(raw, make_client, queue_name, redrive):
    to = redrive("-dead", **UNENCRYPTED)
    with pytest.raises(RefusedError) as caught:
        make_client().create_queue(QueueName=f"{queue_name}-new", Attributes={"RedrivePolicy": to})
    assert [finding.rule for finding in caught.value.findings] == ["dead-letter-queue"]
    assert "QueueUrls" not in raw.list_queues(QueueNamePrefix=f"{queue_name}-new")


GOOD_QUEUES: dict[str, dict[str, str]] = {
    "as AWS makes it": {},
    "with a time out": {"VisibilityTimeout": "60"},
    "with SSE-SQS": {"SqsManagedSseEnabled": "true"},
    "with a KMS key": {"KmsMasterKeyId": "alias/orders"},
    "with a KMS key in place of SSE-SQS": KMS,
    "shared, over HTTPS only": {"Policy": policy(SHARED, HTTPS_ONLY)},
    "first in, first out": {"FifoQueue": "true", "SqsManagedSseEnabled": "true"},
}


@pytest.mark.parametrize("kind", GOOD_QUEUES)
def test_a_good_queue_is_created_and_used(kind, make_client, queue_name, state):
    attributes = GOOD_QUEUES[kind]
    fifo = "FifoQueue" in attributes
    client = make_client()
    url = client.create_queue(QueueName=queue_name + (".fifo" if fifo else ""), Attributes=attributes)["QueueUrl"]
    assert set(attributes) <= set(state(url))
    group = {"MessageGroupId": "1", "MessageDeduplicationId": "1"} if fifo else {}
    client.send_message(QueueUrl=url, MessageBody="x", **group)


def test_a_queue_with_a_good_dead_letter_queue_is_created(make_client, queue_name, redrive, state):
    to = redrive("-dead")
    url = make_client().create_queue(QueueName=f"{queue_name}-new", Attributes={"RedrivePolicy": to})["QueueUrl"]
    assert json.loads(state(url)["RedrivePolicy"]) == json.loads(to)


@pytest.mark.parametrize("profile", ["baseline", "strict"])
def test_a_queue_of_the_strict_kind_is_created_under_each_profile(profile, make_client, queue_name, state):
    inside = {**HTTPS_ONLY, "Sid": "vpc", "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}}
    attributes = {"KmsMasterKeyId": "alias/orders", "Policy": policy(SHARED, HTTPS_ONLY, inside)}
    wire_off = {"static-credentials": "off", "vpc-route": "off"}
    client = make_client(profile=profile, modes=wire_off)
    url = client.create_queue(QueueName=queue_name, Attributes=attributes)["QueueUrl"]
    assert json.loads(state(url)["Policy"]) == json.loads(attributes["Policy"])


# --- administration of a bad queue -------------------------------------------------------------------------------


@pytest.fixture
def worst(raw, make_queue) -> str:
    """A queue that is open to everybody and not encrypted."""
    url: str = make_queue("-worst", **UNENCRYPTED)
    raw.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(PUBLIC, SHARED)})
    return url


ADMINISTRATION: dict[str, Callable[[Any, str], Any]] = {
    "a time out is set": set_to(VisibilityTimeout="7"),
    "a time out is set, and what is bad is said again": set_to(
        VisibilityTimeout="7", Policy=policy(PUBLIC, SHARED), **UNENCRYPTED
    ),
    "the bad statement stays, another goes": set_to(Policy=policy(PUBLIC)),
    "the statements change places": set_to(Policy=policy(SHARED, PUBLIC)),
    "a permission is added": permit("more", OTHER, "ReceiveMessage"),
    "another permission is removed": forbid("partner"),
    "the bad permission is removed": forbid("everyone"),
    "the bad statement is closed by a denial": set_to(Policy=policy(PUBLIC, SHARED, MEMBERS_ONLY)),
    "the bad statement stays, and shows itself by another request": set_to(Policy=policy(PUBLIC, SHARED, HTTPS_ONLY)),
    "it is tagged": lambda client, url: client.tag_queue(QueueUrl=url, Tags={"a": "b"}),
    "it is looked at": lambda client, url: client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]),
    "it is emptied": lambda client, url: client.purge_queue(QueueUrl=url),
    "it is deleted": lambda client, url: client.delete_queue(QueueUrl=url),
    "it is encrypted and stays open": set_to(SqsManagedSseEnabled="true", Policy=policy(PUBLIC)),
    "it is encrypted with a key and stays open": set_to(KmsMasterKeyId="alias/orders", Policy=policy(PUBLIC)),
    "it is closed and stays without encryption": set_to(Policy=policy(SHARED)),
    "its policy is removed and it stays without encryption": set_to(Policy=""),
}


@pytest.mark.parametrize("change", ADMINISTRATION)
def test_a_bad_queue_can_be_administered(change, worst, make_client, told):
    ADMINISTRATION[change](make_client(role="administrator"), worst)
    assert [event for event in told if isinstance(event, Refused)] == []


def test_a_bad_queue_is_mended_step_by_step(worst, make_client):
    client = make_client()
    with pytest.raises(RefusedError):
        client.send_message(QueueUrl=worst, MessageBody="x")
    set_to(SqsManagedSseEnabled="true", Policy=policy(PUBLIC, SHARED))(client, worst)
    with pytest.raises(RefusedError) as caught:
        client.send_message(QueueUrl=worst, MessageBody="x")
    assert [finding.rule for finding in caught.value.findings] == ["public-access"]
    forbid("everyone")(client, worst)
    client.send_message(QueueUrl=worst, MessageBody="x")


def test_a_queue_climbs_to_the_strict_level_step_by_step(bad, make_client, state):
    client = make_client(levels={"queue-encryption": "kms"})
    set_to(SqsManagedSseEnabled="true")(client, bad)
    set_to(KmsMasterKeyId="alias/orders")(client, bad)
    client.send_message(QueueUrl=bad, MessageBody="x")
    assert state(bad)["KmsMasterKeyId"] == "alias/orders"


def test_a_mended_queue_cannot_be_broken_again(bad, make_client):
    client = make_client()
    set_to(SqsManagedSseEnabled="true")(client, bad)
    with pytest.raises(RefusedError):
        set_to(**UNENCRYPTED)(client, bad)


# --- look-ups ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        set_to(VisibilityTimeout="7", DelaySeconds="1"),
        lambda client, url: client.tag_queue(QueueUrl=url, Tags={"a": "b"}),
        lambda client, url: client.untag_queue(QueueUrl=url, TagKeys=["a"]),
        lambda client, url: client.purge_queue(QueueUrl=url),
        lambda client, url: client.delete_queue(QueueUrl=url),
        lambda client, url: client.create_queue(QueueName=url.rpartition("/")[2] + "-new"),
        lambda client, url: client.create_queue(
            QueueName=url.rpartition("/")[2] + "-new", Attributes={"VisibilityTimeout": "7"}
        ),
    ],
)
def test_what_no_rule_reads_is_changed_without_a_look(change, good, make_client):
    client = make_client()
    asked = looks(client)
    change(client, good)
    assert asked == []


AFTER_ONE_LOOK = {
    "encryption": set_to(SqsManagedSseEnabled="true"),
    "policy": set_to(Policy=policy(SHARED)),
    "permission": permit("more", OTHER, "SendMessage"),
    "permission taken back": forbid("partner"),
}


@pytest.mark.parametrize("change", AFTER_ONE_LOOK)
def test_what_a_rule_reads_is_changed_after_one_look(change, raw, good, make_client):
    set_to(Policy=policy(SHARED))(raw, good)
    client = make_client()
    asked = looks(client)
    AFTER_ONE_LOOK[change](client, good)
    assert asked == [good]


@pytest.mark.parametrize(
    "change", [set_to(**UNENCRYPTED), set_to(Policy=policy(PUBLIC)), permit("a", "*", "SendMessage")]
)
def test_where_all_queue_rules_are_off_nothing_is_looked_at(change, server):
    client = server.client(modes=NO_QUEUE_RULES)
    change(client, server.queue())
    assert server.count() == 0
    assert len(server.asked) == 1


def test_a_change_that_only_warns_is_told_and_made(bad, good, make_client, told, state):
    client = make_client(profile="observe")
    set_to(**UNENCRYPTED)(client, good)
    assert state(good)["SqsManagedSseEnabled"] == "false"
    assert [finding.rule for event in told if isinstance(event, Warned) for finding in event.findings] == [
        "queue-encryption"
    ]


# --- what cannot be read -----------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Server]:
    """A server whose answers the test scripts."""
    with scripted.running() as running:
        yield running


@pytest.mark.parametrize(
    "change", [set_to(SqsManagedSseEnabled="true"), permit("a", OTHER, "SendMessage"), forbid("a")]
)
def test_a_change_of_a_queue_that_cannot_be_read_is_refused_and_names_the_permission(change, server):
    server.script["GetQueueAttributes"] = fails("AccessDeniedException", 403)
    with pytest.raises(UnverifiableError) as caught:
        change(server.client(), server.queue())
    (finding,) = caught.value.findings
    assert "sqs:GetQueueAttributes" in finding.next_step
    assert {each.operation for each in server.asked} == {"GetQueueAttributes"}


def test_a_change_of_a_queue_that_cannot_be_read_is_made_where_the_configuration_says_so(server):
    server.script["GetQueueAttributes"] = fails("AccessDeniedException", 403)
    set_to(SqsManagedSseEnabled="true")(server.client(when_unverifiable="warn"), server.queue())
    assert server.count("SetQueueAttributes") == 1


def rewriting(client: Any, body: bytes) -> Any:
    """The client, which sends changes with another body."""

    def rewrite(request: Any, **_: Any) -> None:
        request.data = body

    client.meta.events.register("before-sign.sqs.SetQueueAttributes", rewrite)
    return client


def test_a_change_without_a_body_that_can_be_read_is_refused(server):
    client = rewriting(server.client(), b"Action=SetQueueAttributes")
    with pytest.raises(UnverifiableError) as caught:
        set_to(**UNENCRYPTED)(client, server.queue())
    assert [finding.rule for finding in caught.value.findings] == ["request-body"]
    assert server.asked == []


def test_a_change_without_a_body_that_can_be_read_is_warned_of_where_nothing_is_refused(server, told):
    client = rewriting(server.client(profile="observe"), b"[]")
    set_to(**UNENCRYPTED)(client, server.queue())
    assert server.count("SetQueueAttributes") == 1
    warned = [(each.operation, each.queue) for each in told if isinstance(each, Warned)]
    assert ("SetQueueAttributes", "") in warned


# --- the state after a change, by itself -------------------------------------------------------------------------

QUEUE = Queue(f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders", "aws", "us-east-1", ACCOUNT, "orders")
ALL = frozenset({"KmsMasterKeyId", "Policy", "RedrivePolicy", "SqsManagedSseEnabled"})


def run(asking: Any, *answers: Any) -> Any:
    """Answer the questions of a look-up in order. Gives the questions, and what the look-up returned."""
    left = iter(answers)
    asked: list[Ask] = []
    try:
        question = next(asking)
        while True:
            asked.append(question)
            question = asking.send(next(left))
    except StopIteration as stop:
        assert list(left) == [], "an answer was left over"
        assert len(asked) == len(answers), "there was no answer to a question"
        return asked, stop.value


def has(**state: str) -> dict[str, Any]:
    return {"Attributes": {"QueueArn": QUEUE.arn, **state}}


def after(operation: str, parameters: dict[str, Any], **state: str) -> Facts:
    """The facts of a queue with such a state after an operation."""
    _, states = run(look_at_change(operation, parameters, QUEUE, ALL, key_manager=False), has(**state))
    facts: Facts = states[1]
    return facts


@pytest.mark.parametrize(
    ("state", "change", "sse", "key"),
    [
        ({}, {}, False, ""),
        ({"SqsManagedSseEnabled": "true"}, {"VisibilityTimeout": "1"}, True, ""),
        ({"SqsManagedSseEnabled": "true"}, {"KmsMasterKeyId": "k"}, False, "k"),
        ({"SqsManagedSseEnabled": "true"}, {"KmsMasterKeyId": ""}, True, ""),
        ({"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "k"}, {"KmsMasterKeyId": ""}, False, ""),
        ({"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "k"}, {"KmsMasterKeyId": "j"}, False, "j"),
        ({"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "k"}, {"SqsManagedSseEnabled": "true"}, True, ""),
        ({"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "k"}, {"SqsManagedSseEnabled": "false"}, False, "k"),
        ({"SqsManagedSseEnabled": "true"}, {"SqsManagedSseEnabled": "false"}, False, ""),
    ],
)
def test_a_queue_has_one_kind_of_encryption_at_a_time(state, change, sse, key):
    facts = after("SetQueueAttributes", {"Attributes": change}, **state)
    assert (facts.sse_sqs, facts.kms_key) == (sse, key)


def permission(*actions: str, accounts: tuple[str, ...] = (OTHER,), label: str = "new") -> dict[str, Any]:
    return {"Label": label, "AWSAccountIds": list(accounts), "Actions": list(actions)}


def statements(facts: Facts) -> list[dict[str, Any]]:
    assert facts.policy is not None
    read: list[dict[str, Any]] = json.loads(facts.policy)["Statement"]
    return read


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ({}, []),
        ({"Policy": policy(SHARED)}, [SHARED]),
        ({"Policy": json.dumps({"Statement": SHARED})}, [SHARED]),
        ({"Policy": policy(SHARED, HTTPS_ONLY)}, [SHARED, HTTPS_ONLY]),
    ],
)
def test_a_permission_is_one_more_statement(before, kept):
    facts = after("AddPermission", permission("SendMessage", "*", accounts=(OTHER, ACCOUNT)), **before)
    assert statements(facts) == [
        *kept,
        {
            "Sid": "new",
            "Effect": "Allow",
            "Principal": {"AWS": [OTHER, ACCOUNT]},
            "Action": ["SQS:SendMessage", "SQS:*"],
            "Resource": QUEUE.arn,
        },
    ]


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ({}, None),
        ({"Policy": policy(SHARED, HTTPS_ONLY)}, [HTTPS_ONLY]),
        ({"Policy": policy(HTTPS_ONLY)}, [HTTPS_ONLY]),
        ({"Policy": policy(SHARED)}, None),
        ({"Policy": json.dumps({"Statement": SHARED})}, None),
    ],
)
def test_a_permission_that_is_removed_is_one_statement_less(before, kept):
    facts = after("RemovePermission", {"Label": "partner"}, **before)
    assert (statements(facts) if facts.policy else None) == kept


@pytest.mark.parametrize("document", ["{", "[]", "5", "{}", '{"Statement": 5}', '{"Statement": ["x"]}'])
@pytest.mark.parametrize("operation", ["AddPermission", "RemovePermission"])
def test_a_permission_in_a_policy_that_nobody_can_read_leaves_nothing_that_passes(operation, document):
    asking = look_at_change(operation, permission("SendMessage"), QUEUE, ALL, key_manager=False)
    _, states = run(asking, has(Policy=document))
    if isinstance(states, Unreadable):
        assert states == Unreadable("a policy that cannot be read", "", QUEUE.arn)
    else:
        assert states[1].policy != ""
        assert states[1].policy is not None


def test_before_and_after_are_looked_at_with_their_own_dead_letter_queues():
    def to(name: str) -> str:
        return json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}", "maxReceiveCount": 1})

    def dead(name: str) -> dict[str, Any]:
        return {"Attributes": {"QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"}}

    asking = look_at_change(
        "SetQueueAttributes", {"Attributes": {"RedrivePolicy": to("new")}}, QUEUE, ALL, key_manager=False
    )
    asked, (before, after_it) = run(asking, has(RedrivePolicy=to("old")), dead("old"), dead("new"))
    assert [str(each.parameters["QueueUrl"]).rpartition("/")[2] for each in asked] == ["orders", "old", "new"]
    assert (before.dead_letter.queue.name, after_it.dead_letter.queue.name) == ("old", "new")


def test_the_manager_of_the_new_key_is_asked_for_where_the_level_needs_it():
    asking = look_at_change("SetQueueAttributes", {"Attributes": {"KmsMasterKeyId": "k"}}, QUEUE, ALL, key_manager=True)
    asked, (before, after_it) = run(
        asking, has(SqsManagedSseEnabled="true"), {"KeyMetadata": {"KeyManager": "CUSTOMER"}}
    )
    assert [(each.service, each.operation) for each in asked] == [("sqs", "GetQueueAttributes"), ("kms", "DescribeKey")]
    assert (before.key_manager, after_it.key_manager) == (None, KeyManager.CUSTOMER)


def test_the_manager_of_the_old_key_is_asked_for_too():
    asking = look_at_change("SetQueueAttributes", {"Attributes": {"KmsMasterKeyId": "k"}}, QUEUE, ALL, key_manager=True)
    answers = [has(KmsMasterKeyId="j"), *({"KeyMetadata": {"KeyManager": each}} for each in ("AWS", "CUSTOMER"))]
    asked, (before, after_it) = run(asking, *answers)
    assert [each.parameters for each in asked[1:]] == [{"KeyId": "j"}, {"KeyId": "k"}]
    assert (before.key_manager, after_it.key_manager) == (KeyManager.AWS, KeyManager.CUSTOMER)


def test_an_attribute_that_is_emptied_is_gone():
    change = {"Attributes": {"Policy": "", "KmsMasterKeyId": ""}}
    assert after("SetQueueAttributes", change, Policy=policy(PUBLIC), KmsMasterKeyId="k") == Facts(QUEUE)


def test_a_change_to_what_makes_no_sense_leaves_a_queue_that_cannot_be_read():
    change = {"Attributes": {"SqsManagedSseEnabled": "yes"}}
    asking = look_at_change("SetQueueAttributes", change, QUEUE, ALL, key_manager=False)
    assert run(asking, has())[1] == Unreadable("an answer that makes no sense", "", QUEUE.arn)


def test_the_first_permission_makes_a_policy_of_the_version_that_sqs_writes():
    facts = after("AddPermission", permission("SendMessage"))
    assert json.loads(facts.policy)["Version"] == "2008-10-17"


@pytest.mark.parametrize(
    ("attributes", "account"),
    [
        ({"Policy": policy({**SHARED, "Resource": QUEUE.arn})}, ACCOUNT),
        ({"Policy": policy(HTTPS_ONLY, {**SHARED, "Resource": [QUEUE.arn]})}, ACCOUNT),
        ({"Policy": policy({**SHARED, "Resource": f"{QUEUE.arn}2"})}, ""),
        ({"Policy": policy({**SHARED, "Resource": QUEUE.arn.replace("us-east-1", "eu-west-1")})}, ""),
        ({"Policy": f'{{"Resource": "arn:aws:sqs:us-east-1:{chr(0x661) * 12}:orders"}}'}, ""),
        ({"Policy": policy(SHARED)}, ""),
        ({"VisibilityTimeout": "1"}, ""),
        (None, ""),
    ],
)
def test_the_account_of_a_new_queue_is_the_one_in_its_policy(attributes, account):
    parameters = {"QueueName": "orders", "Attributes": attributes}
    asking = look_at_change("CreateQueue", parameters, QUEUE._replace(account=""), ALL, key_manager=False)
    asked, (before, after_it) = run(asking)
    assert asked == []
    assert before == Facts(QUEUE._replace(account=account), sse_sqs=True)
    assert after_it == before._replace(policy=(attributes or {}).get("Policy"))


def test_a_new_queue_has_nothing_to_be_looked_at():
    new = QUEUE._replace(account="", name="")
    asking = look_at_change("CreateQueue", {"Attributes": {"KmsMasterKeyId": "k"}}, new, ALL, key_manager=False)
    asked, (before, after_it) = run(asking)
    assert asked == []
    assert (before.sse_sqs, before.kms_key) == (True, "")
    assert (after_it.sse_sqs, after_it.kms_key) == (False, "k")


@pytest.mark.parametrize(
    ("operation", "parameters", "concerns"),
    [
        ("AddPermission", {}, True),
        ("RemovePermission", {}, True),
        ("SetQueueAttributes", {"Attributes": {"Policy": ""}}, True),
        ("SetQueueAttributes", {"Attributes": {"KmsMasterKeyId": "", "DelaySeconds": "1"}}, True),
        ("SetQueueAttributes", {"Attributes": {"KmsDataKeyReusePeriodSeconds": "60"}}, False),
        ("SetQueueAttributes", {"Attributes": {}}, False),
        ("CreateQueue", {"QueueName": "x"}, False),
        ("CreateQueue", {"QueueName": "x", "Attributes": None}, False),
        ("CreateQueue", {"QueueName": "x", "Attributes": {"RedrivePolicy": "x"}}, True),
    ],
)
def test_a_change_concerns_the_rules_when_it_touches_what_they_read(operation, parameters, concerns):
    assert touches(operation, parameters, ALL) is concerns
    assert not touches(operation, parameters, frozenset())


# --- facts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "account", "name"),
    [
        (f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders", ACCOUNT, "orders"),
        (f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders.fifo", ACCOUNT, "orders.fifo"),
        (f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders/", ACCOUNT, "orders"),
        (f"http://localhost:4566/{ACCOUNT}/or_de-rs", ACCOUNT, "or_de-rs"),
        (f"http://localhost:4566/queue/us-east-1/{ACCOUNT}/orders", ACCOUNT, "orders"),
        (f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders?x=y", ACCOUNT, "orders"),
        ("https://sqs.us-east-1.amazonaws.com/", "", ""),
        ("https://sqs.us-east-1.amazonaws.com/orders", "", ""),
        ("https://sqs.us-east-1.amazonaws.com/12345/orders", "", ""),
        (f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/or%64ers", "", ""),
        (f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders.txt", "", ""),
        (f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{'a' * 81}", "", ""),
        (f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders", "", ""),
        ("orders", "", ""),
        ("", "", ""),
    ],
)
def test_a_queue_url_names_account_and_queue_or_nothing(url, account, name):
    queue = name_of(url, "eu-west-1", "aws-cn")
    assert queue == Queue(url, "aws-cn", "eu-west-1", account, name)
    assert queue.arn == (f"arn:aws-cn:sqs:eu-west-1:{account}:{name}" if name else "")


@pytest.mark.parametrize(
    ("arn", "endpoint", "queue"),
    [
        (QUEUE.arn, "https://sqs.us-east-1.amazonaws.com", QUEUE),
        (QUEUE.arn, "https://sqs.us-east-1.amazonaws.com/", QUEUE),
        (QUEUE.arn, "", QUEUE._replace(url="")),
        (
            f"arn:aws-cn:sqs:cn-north-1:{OTHER}:orders.fifo",
            "http://localhost:4566/X/",
            Queue(f"http://localhost:4566/X/{OTHER}/orders.fifo", "aws-cn", "cn-north-1", OTHER, "orders.fifo"),
        ),
        (QUEUE.arn.replace(":sqs:", ":sns:"), "https://sqs.us-east-1.amazonaws.com", None),
        (f"{QUEUE.arn}:more", "", None),
        ("orders", "", None),
        ("", "", None),
    ],
)
def test_an_arn_names_a_queue_at_an_endpoint_or_nothing(arn, endpoint, queue):
    assert queue_of_arn(arn, endpoint) == queue
    assert endpoint or queue_of_arn(arn) == queue


def look(*answers: Any, queue: Queue = QUEUE, key_manager: bool = False) -> Any:
    return run(look_at(queue, ALL, key_manager=key_manager), *answers)


def test_one_question_asks_for_the_attributes_and_the_name():
    asked, facts = look(has(SqsManagedSseEnabled="true", Policy="{}"))
    names = sorted(ALL | {"QueueArn"})
    assert asked == [Ask("sqs", "GetQueueAttributes", {"QueueUrl": QUEUE.url, "AttributeNames": names})]
    assert facts == Facts(QUEUE, sse_sqs=True, policy="{}")


def test_the_service_names_a_queue_whose_url_does_not():
    nameless = QUEUE._replace(url="https://sqs.us-east-1.amazonaws.com/", account="", name="")
    _, facts = look(has(), queue=nameless)
    assert facts.queue == QUEUE._replace(url=nameless.url)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"Attributes": None},
        {"Attributes": []},
        {"Attributes": {"QueueArn": QUEUE.arn, "Policy": {}}},
        {"Attributes": {"SqsManagedSseEnabled": "true"}},
        {"Attributes": {"QueueArn": "orders"}},
        {"Attributes": {"QueueArn": f"{QUEUE.arn}-2"}},
        {"Attributes": {"QueueArn": QUEUE.arn.replace(ACCOUNT, OTHER)}},
        has(SqsManagedSseEnabled="yes"),
    ],
)
def test_an_answer_that_makes_no_sense_is_no_answer(answer):
    _, facts = look(answer)
    assert facts == Unreadable("an answer that makes no sense", "", QUEUE.arn)


@pytest.mark.parametrize(("said", "sse"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_a_truth_is_read_in_any_letter_case(said, sse):
    assert look(has(SqsManagedSseEnabled=said))[1].sse_sqs is sse


@pytest.mark.parametrize(("permission_missing", "named"), [("GetQueueAttributes", "sqs:GetQueueAttributes"), ("", "")])
def test_an_error_names_the_permission_only_where_it_is_missing(permission_missing, named):
    _, facts = look(Unreadable("Code", permission_missing, ""))
    assert facts == Unreadable("Code", named, QUEUE.arn)


DEAD_ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"
REDRIVE = json.dumps({"deadLetterTargetArn": DEAD_ARN, "maxReceiveCount": 3})


@pytest.mark.parametrize("tail", ["", "/"])
def test_the_dead_letter_queue_is_looked_at_beside_its_source(tail):
    queue = QUEUE._replace(url=f"https://localhost:4566/queue/{ACCOUNT}/orders{tail}")
    dead_answer = {"Attributes": {"QueueArn": DEAD_ARN, "SqsManagedSseEnabled": "true"}}
    asked, facts = look(has(RedrivePolicy=REDRIVE), dead_answer, queue=queue)
    assert asked[1].parameters["QueueUrl"] == f"https://localhost:4566/queue/{ACCOUNT}/dead"
    assert "RedrivePolicy" not in asked[1].parameters["AttributeNames"]
    assert (facts.dead_letter.queue.arn, facts.dead_letter.sse_sqs) == (DEAD_ARN, True)


def test_a_dead_letter_queue_that_cannot_be_read_leaves_the_rest():
    _, facts = look(has(RedrivePolicy=REDRIVE), Unreadable("AccessDenied", "GetQueueAttributes", ""))
    assert facts == Facts(QUEUE, dead_letter=Unreadable("AccessDenied", "sqs:GetQueueAttributes", DEAD_ARN))


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "5", "{}", '{"deadLetterTargetArn": 5}', '{"deadLetterTargetArn": "dead"}', "[" * 100_000],
)
def test_a_redrive_policy_that_makes_no_sense_is_no_dead_letter_queue_that_is_fine(text):
    asked, facts = look(has(RedrivePolicy=text))
    assert len(asked) == 1
    subject = "dead" if text.endswith('"dead"}') else "RedrivePolicy"
    assert facts.dead_letter == Unreadable("an answer that makes no sense", "", subject)


@pytest.mark.parametrize("state", [{}, {"RedrivePolicy": ""}])
def test_without_a_redrive_policy_there_is_no_dead_letter_queue(state):
    assert look(has(**state))[1].dead_letter is None


@pytest.mark.parametrize("key", ["alias/aws/sqs", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/aws/sqs"])
def test_the_key_of_aws_is_known_by_its_name(key):
    assert look(has(KmsMasterKeyId=key), key_manager=True)[1].key_manager is KeyManager.AWS


@pytest.mark.parametrize(
    ("answer", "manager"),
    [
        ({"KeyMetadata": {"KeyManager": "CUSTOMER"}}, KeyManager.CUSTOMER),
        ({"KeyMetadata": {"KeyManager": "AWS"}}, KeyManager.AWS),
        ({"KeyMetadata": {"KeyManager": "somebody"}}, Unreadable("an answer that makes no sense", "", "k")),
        ({"KeyMetadata": {}}, Unreadable("an answer that makes no sense", "", "k")),
        ({"KeyMetadata": "x"}, Unreadable("an answer that makes no sense", "", "k")),
        ({}, Unreadable("an answer that makes no sense", "", "k")),
        (Unreadable("AccessDenied", "DescribeKey", ""), Unreadable("AccessDenied", "kms:DescribeKey", "k")),
        (Unreadable("ThrottlingException", "", ""), Unreadable("ThrottlingException", "", "k")),
    ],
)
def test_the_manager_of_another_key_is_asked_for(answer, manager):
    asked, facts = look(has(KmsMasterKeyId="k"), answer, key_manager=True)
    assert asked[1] == Ask("kms", "DescribeKey", {"KeyId": "k"})
    assert facts.key_manager == manager


def test_without_a_key_nobody_is_asked_about_its_manager():
    assert look(has(SqsManagedSseEnabled="true"), key_manager=True)[1].key_manager is None


def test_the_manager_of_the_dead_letter_queues_key_is_asked_for_too():
    dead_answer = {"Attributes": {"QueueArn": DEAD_ARN, "KmsMasterKeyId": "k"}}
    _, facts = look(
        has(RedrivePolicy=REDRIVE), dead_answer, {"KeyMetadata": {"KeyManager": "CUSTOMER"}}, key_manager=True
    )
    assert facts.dead_letter.key_manager is KeyManager.CUSTOMER
    assert look(has(RedrivePolicy=REDRIVE), dead_answer)[1].dead_letter.key_manager is None, "nobody wants to know"
    refused = Unreadable("AccessDenied", "GetQueueAttributes", "")
    _, facts = look(has(RedrivePolicy=REDRIVE), refused, key_manager=True)
    assert facts.dead_letter == Unreadable("AccessDenied", "sqs:GetQueueAttributes", DEAD_ARN)


def test_a_change_is_judged_after_the_answer_of_this_very_queue(server):
    """An answer about another queue is not taken for one about this."""
    server.script["GetQueueAttributes"] = lambda asked: attributes(
        asked, QueueArn=f"arn:aws:sqs:us-east-1:{ACCOUNT}:other"
    )
    with pytest.raises(UnverifiableError):
        set_to(SqsManagedSseEnabled="true")(server.client(), server.queue())
    server.script["GetQueueAttributes"] = says()
    with pytest.raises(UnverifiableError):
        set_to(SqsManagedSseEnabled="true")(server.client(), server.queue("another"))
