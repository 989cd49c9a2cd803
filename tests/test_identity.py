"""Generated IAM policies and endpoint policies: they allow a role's actions on its queues, over HTTPS, and no more."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import cli_runner

from safe_sqs import policy
from safe_sqs.cli.policy_generate import generate
from safe_sqs.facts import queue_of_arn
from safe_sqs.model import Role
from safe_sqs.operations import OPERATIONS
from safe_sqs.policy import Decision, Request, decide
from safe_sqs.writing.generate import actions_for
from safe_sqs.writing.identity import (
    KeyNeed,
    actions_of,
    endpoint_policy,
    identity_policy,
    key_actions_of,
    policy_of_needs,
)
from safe_sqs.writing.names import CannotWrite

ACCOUNT, OTHER = "123456789012", "111122223333"
QUEUES = [queue_of_arn(f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}") for name in ("orders", "parcels")]
ELSEWHERE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:salaries"
ME = f"arn:aws:iam::{ACCOUNT}:role/shop"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0123-abc"
VPC, ENDPOINT = "vpc-0123456789abcdef0", "vpce-0a1b2c3d4e5f67890"
EVERY_ACTION = [f"sqs:{name}" for name in OPERATIONS if not name.endswith("Batch")]


law = settings(derandomize=True, deadline=None, max_examples=int(os.environ.get("LAW_EXAMPLES", "50")))


def attached(document: dict[str, Any], who: str = ME) -> dict[str, Any]:
    """An identity policy as the evaluator reads policies: with the principal that it is attached to."""
    statements = [{**each, "Principal": {"AWS": who}} for each in document["Statement"]]
    return {**document, "Statement": statements}


def says(document: dict[str, Any] | str, action: str, resource: str, **keys: str) -> Decision:
    named = {"aws:SecureTransport": "true", **{key.replace("_", ":"): value for key, value in keys.items()}}
    return decide(document, Request(ME, action, resource, {key: (value,) for key, value in named.items()}))


# --- the roles of programs ---------------------------------------------------------------------------------------

inside = st.sampled_from(
    [{}, {"vpcs": [VPC]}, {"vpc_endpoints": [ENDPOINT]}, {"vpcs": [VPC], "vpc_endpoints": [ENDPOINT]}]
)


@law
@given(st.sampled_from(Role), st.lists(st.sampled_from(QUEUES), min_size=1, max_size=3), inside, st.booleans())
def test_a_role_may_do_what_it_needs_on_its_queues_from_inside_and_nothing_else(role, queues, where, with_key):
    document = json.dumps(attached(identity_policy(role, queues, kms_keys=[KEY] if with_key else [], **where)))
    keys = {"vpcs": {"aws_SourceVpc": VPC}, "vpc_endpoints": {"aws_SourceVpce": ENDPOINT}}
    ways = [keys[name] for name in where] or [{}]
    for arn in (QUEUES[0].arn, QUEUES[1].arn, ELSEWHERE):
        for action in EVERY_ACTION:
            is_allowed = arn in {queue.arn for queue in queues} and action in actions_for(role)
            expected = Decision.ALLOW if is_allowed else Decision.NO_MATCH
            for way in ways:
                assert says(document, action, arn, **way) is expected
                assert says(document, action, arn, aws_SecureTransport="false", **way) is Decision.NO_MATCH
            if where:
                assert says(document, action, arn) is Decision.NO_MATCH


@pytest.mark.parametrize(
    ("role", "allowed"),
    [(Role.PRODUCER, {"Decrypt", "GenerateDataKey"}), (Role.CONSUMER, {"Decrypt"}), (Role.ADMINISTRATOR, set())],
)
def test_a_key_may_be_used_by_way_of_amazon_sqs_only_and_as_the_role_needs(role, allowed):
    document = attached(identity_policy(role, QUEUES, kms_keys=[KEY]))
    for action in ("Decrypt", "GenerateDataKey", "Encrypt", "DescribeKey", "ScheduleKeyDeletion"):
        by_sqs = says(document, f"kms:{action}", KEY, kms_ViaService="sqs.us-east-1.amazonaws.com")
        assert (by_sqs is Decision.ALLOW) is (action in allowed)
        assert says(document, f"kms:{action}", KEY) is Decision.NO_MATCH
        other = KEY.replace("abc", "xyz")
        via = says(document, f"kms:{action}", other, kms_ViaService="sqs.us-east-1.amazonaws.com")
        assert via is Decision.NO_MATCH


def test_the_guard_may_read_the_dead_letter_queue_and_ask_about_the_key_where_that_is_wanted():
    document = attached(
        identity_policy(Role.PRODUCER, QUEUES[:1], dead_letter_queues=QUEUES[1:], kms_keys=[KEY], describe_keys=True)
    )
    assert says(document, "sqs:GetQueueAttributes", QUEUES[1].arn) is Decision.ALLOW
    assert says(document, "sqs:SendMessage", QUEUES[1].arn) is Decision.NO_MATCH
    assert says(document, "kms:DescribeKey", KEY) is Decision.ALLOW


def test_where_the_name_of_amazon_sqs_in_kms_is_not_documented_no_condition_keeps_it_out():
    queue = queue_of_arn("arn:aws-cn:sqs:cn-north-1:123456789012:orders")
    key = "arn:aws-cn:kms:cn-north-1:123456789012:key/0123-abc"
    (_, grant) = identity_policy(Role.CONSUMER, [queue], kms_keys=[key])["Statement"]
    assert grant == {"Sid": "Keys", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}


def test_queues_of_two_partitions_make_no_policy():
    with pytest.raises(CannotWrite, match="in several partitions"):
        identity_policy(Role.CONSUMER, [*QUEUES, queue_of_arn("arn:aws-cn:sqs:cn-north-1:123456789012:orders")])


@pytest.mark.parametrize(
    "key",
    ["alias/shop", "0123-abc", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/shop", f"{KEY}*", "arn:aws-cn:kms:::key/1"],
)
def test_what_is_no_key_by_its_arn_is_refused(key):
    with pytest.raises(CannotWrite):
        identity_policy(Role.CONSUMER, QUEUES, kms_keys=[key])


# --- VPC endpoints -----------------------------------------------------------------------------------------------

people = st.lists(
    st.sampled_from([ME, f"arn:aws:iam::{OTHER}:user/team/anna", ACCOUNT, OTHER, "o-exampleorgid", "o-otherorgid00"]),
    unique=True,
    max_size=4,
)
CALLERS = {
    ME: {"aws_PrincipalArn": ME, "aws_PrincipalAccount": ACCOUNT, "aws_PrincipalOrgID": "o-exampleorgid"},
    f"arn:aws:iam::{OTHER}:user/team/anna": {
        "aws_PrincipalArn": f"arn:aws:iam::{OTHER}:user/team/anna",
        "aws_PrincipalAccount": OTHER,
        "aws_PrincipalOrgID": "o-otherorgid00",
    },
    "a stranger": {
        "aws_PrincipalArn": "arn:aws:iam::999988887777:role/shop",
        "aws_PrincipalAccount": "999988887777",
        "aws_PrincipalOrgID": "o-strangers000",
    },
}


@law
@given(people.filter(bool), st.sampled_from(Role))
def test_through_an_endpoint_only_those_named_may_do_what_their_role_needs(named, role):
    document = endpoint_policy(QUEUES, **{f"{role.value}s": named})
    assert policy.public_access(document, queue_arn=QUEUES[0].arn).found is False
    document = json.dumps(document)
    for caller in CALLERS.values():
        is_named = bool(set(caller.values()) & set(named))
        for action in EVERY_ACTION:
            for arn in (QUEUES[0].arn, ELSEWHERE):
                is_allowed = is_named and arn != ELSEWHERE and action in actions_for(role)
                expected = Decision.ALLOW if is_allowed else Decision.NO_MATCH
                assert says(document, action, arn, aws_ResourceAccount=ACCOUNT, **caller) is expected
                assert says(document, action, arn, aws_ResourceAccount=OTHER, **caller) is Decision.NO_MATCH
                http = says(document, action, arn, aws_ResourceAccount=ACCOUNT, aws_SecureTransport="false", **caller)
                assert http is Decision.NO_MATCH


def test_an_endpoint_policy_that_is_too_long_is_refused():
    roles = [f"arn:aws:iam::{ACCOUNT}:role/{'x' * 55}{number:03}" for number in range(300)]
    with pytest.raises(CannotWrite, match="longer than the 20,480 characters"):
        endpoint_policy(QUEUES, producers=roles)


def test_nobody_has_two_roles_through_an_endpoint_either():
    with pytest.raises(CannotWrite, match="is named as producer and as consumer"):
        endpoint_policy(QUEUES, producers=[ME], consumers=[ME])


# --- from what was needed ----------------------------------------------------------------------------------------

needs = st.sets(
    st.tuples(st.sampled_from(EVERY_ACTION), st.sampled_from([QUEUES[0].arn, QUEUES[1].arn, ELSEWHERE])), min_size=1
)


@law
@given(needs)
def test_a_policy_of_needs_allows_exactly_these(needed):
    document = json.dumps(attached(policy_of_needs(needed)))
    allowed = {
        (action, arn)
        for action in EVERY_ACTION
        for arn in (QUEUES[0].arn, QUEUES[1].arn, ELSEWHERE)
        if says(document, action, arn) is Decision.ALLOW
    }
    assert allowed == needed


def test_queues_with_the_same_needs_are_in_one_statement():
    arns = [queue.arn for queue in QUEUES]
    document = policy_of_needs({("sqs:SendMessage", arn) for arn in arns} | {("sqs:ListQueues", "*")})
    assert [each["Resource"] for each in document["Statement"]] == [arns, "*"]


def test_the_use_of_keys_is_granted_with_the_rest():
    needed = [KeyNeed(KEY, key_actions_of(["sqs:SendMessage"]), ("us-east-1",)), KeyNeed(KEY, ("kms:DescribeKey",))]
    document = attached(policy_of_needs([("sqs:SendMessage", QUEUES[0].arn)], needed))
    assert says(document, "kms:GenerateDataKey", KEY, kms_ViaService="sqs.us-east-1.amazonaws.com") is Decision.ALLOW
    assert says(document, "kms:GenerateDataKey", KEY) is Decision.NO_MATCH
    assert says(document, "kms:DescribeKey", KEY) is Decision.ALLOW


@pytest.mark.parametrize(
    ("operation", "actions"),
    [
        ("SendMessageBatch", {"sqs:SendMessage"}),
        ("DeleteMessageBatch", {"sqs:DeleteMessage"}),
        ("ListMessageMoveTasks", {"sqs:ListMessageMoveTasks", "sqs:GetQueueAttributes"}),
        ("GetQueueUrl", {"sqs:GetQueueUrl"}),
    ],
)
def test_an_operation_needs_the_actions_of_the_service_authorization_reference(operation, actions):
    assert set(actions_of(operation)) == actions


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_an_operation_needs_are_actions_that_there_are(operation):
    assert set(actions_of(operation)) <= set(EVERY_ACTION)


# --- somebody else's word ----------------------------------------------------------------------------------------

SIMULATE = """
import { runSimulation } from '@cloud-copilot/iam-simulate'
const { policies, requests } = JSON.parse(process.argv[2])
const answers = []
for (const { policy, action, resource, keys } of requests) {
  const done = await runSimulation({
    request: { principal: process.argv[3], action, resource: { resource, accountId: resource.split(':')[4] },
               contextVariables: keys },
    identityPolicies: [{ name: 'generated', policy: policies[policy] }],
    serviceControlPolicies: [], resourceControlPolicies: []
  }, { simulationMode: 'Strict' })
  answers.push(done.resultType === 'single' ? done.result.analysis.result : JSON.stringify(done))
}
process.stdout.write(JSON.stringify(answers))
"""
ORACLE = Path(__file__).parent / "oracle"


@pytest.mark.skipif(
    not (shutil.which("node") and (ORACLE / "node_modules" / "@cloud-copilot").exists()),
    reason="make oracle installs it",
)
def test_an_evaluator_of_somebody_else_reads_identity_policies_in_the_same_way(tmp_path):
    policies = {
        "producer": identity_policy(Role.PRODUCER, QUEUES),
        "consumer": identity_policy(Role.CONSUMER, QUEUES, vpc_endpoints=[ENDPOINT]),
        "needs": policy_of_needs([("sqs:SendMessage", QUEUES[0].arn), ("sqs:DeleteMessage", QUEUES[1].arn)]),
    }
    keys = {"aws:SecureTransport": "true", "aws:SourceVpce": ENDPOINT}
    requests = [
        {"policy": name, "action": action, "resource": arn, "keys": {**keys, "aws:SecureTransport": tls}}
        for name in policies
        for action in ("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:SetQueueAttributes")
        for arn in (QUEUES[0].arn, QUEUES[1].arn, ELSEWHERE)
        for tls in ("true", "false")
    ]
    script = tmp_path / "simulate.mjs"
    script.write_text(SIMULATE)
    (tmp_path / "node_modules").symlink_to(ORACLE / "node_modules")
    asked = json.dumps({"policies": policies, "requests": requests})
    done = subprocess.run(["node", script, asked, ME], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    ours = [
        decide(
            attached(policies[each["policy"]]),
            Request(ME, each["action"], each["resource"], {key: (value,) for key, value in each["keys"].items()}),
        )
        for each in requests
    ]
    theirs = json.loads(done.stdout)
    assert {"Allowed", "ImplicitlyDenied"} == set(theirs)
    assert [answer == "Allowed" for answer in theirs] == [answer is Decision.ALLOW for answer in ours]


# --- as AWS writes policies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        identity_policy(
            Role.ADMINISTRATOR, QUEUES, kms_keys=[KEY], describe_keys=True, vpcs=[VPC], vpc_endpoints=[ENDPOINT]
        ),
        identity_policy(Role.PRODUCER, QUEUES, kms_keys=[KEY], dead_letter_queues=QUEUES),
        policy_of_needs(
            [("sqs:SendMessage", QUEUES[0].arn), ("sqs:ListQueues", "*")], [KeyNeed(KEY, ("kms:Decrypt",))]
        ),
    ],
)
def test_identity_policies_keep_to_the_grammar_of_iam(document):
    assert set(document) == {"Version", "Statement"}
    sids = [each["Sid"] for each in document["Statement"]]
    assert len(set(sids)) == len(sids)
    for each in document["Statement"]:
        assert set(each) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert re.fullmatch("[A-Za-z0-9]+", each["Sid"])
        actions = each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
        assert actions
        assert "*" not in "".join(actions)


# --- the command -------------------------------------------------------------------------------------------------


def test_the_commands_print_policies_that_can_be_attached():
    queues = [word for queue in QUEUES for word in ("--queue-arn", queue.arn)]
    done = cli_runner().invoke(generate, ["identity", "--role", "consumer", *queues, "--kms-key", KEY])
    assert json.loads(done.stdout) == identity_policy(Role.CONSUMER, QUEUES, kms_keys=[KEY])
    done = cli_runner().invoke(generate, ["endpoint", *queues, "--consumer", ME, "--producer", "o-exampleorgid"])
    assert json.loads(done.stdout) == endpoint_policy(QUEUES, consumers=[ME], producers=["o-exampleorgid"])
    assert done.stderr == ""
