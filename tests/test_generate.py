"""Generated queue policies: whatever is asked for passes the judge in `strict`, and lets in exactly who was named."""

from __future__ import annotations

import json
import os
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import cli_runner

from safe_sqs import Config, policy
from safe_sqs.cli.policy_generate import generate
from safe_sqs.evaluation import State, evaluation_of
from safe_sqs.facts import queue_of_arn
from safe_sqs.judge import judge_queue
from safe_sqs.model import Facts, Queue, Role
from safe_sqs.operations import OPERATIONS, ROLE_KINDS
from safe_sqs.policy import Decision, Request, decide
from safe_sqs.writing.generate import actions_for, queue_policy, text_of
from safe_sqs.writing.names import CannotWrite

TODAY = date(2026, 11, 24)
QUEUE = queue_of_arn("arn:aws:sqs:us-east-1:123456789012:orders")
ROLE = "arn:aws:iam::123456789012:role/"
TOPIC = "sns.amazonaws.com=arn:aws:sns:us-east-1:123456789012:orders"
BUCKET = "s3.amazonaws.com=arn:aws:s3:::shop-uploads"
ENDPOINT, VPC = "vpce-0a1b2c3d4e5f67890", "vpc-0123456789abcdef0"
POLICY_RULES = ("public-access", "least-privilege", "tls-only-policy", "vpc-only-policy")
EVERY_ACTION = [f"sqs:{name}" for name in OPERATIONS if not name.endswith("Batch")]


def states(queue: Queue, document: dict[str, Any], **asked: Any) -> dict[str, State]:
    """How a queue with this policy does in the profile `strict`, by the rules about policies."""
    inside = {name: list(asked.get(name, ())) for name in ("vpcs", "vpc_endpoints")}
    config = Config(profile="strict", **inside)
    facts = Facts(queue, sse_sqs=True, policy=text_of(document))
    evaluation = evaluation_of(queue, judge_queue(facts, queue, config, TODAY), config, TODAY)
    return {rule: evaluation.state_of(rule) for rule in POLICY_RULES}


def request(queue: Queue, who: str, action: str, *, tls: str = "true", **inside: str) -> Request:
    """A request by a principal, or by a session of it where that is a role."""
    account, _, rest = who.split(":", 5)[4:][0], "", who.split(":", 5)[5]
    if rest.startswith("role/"):
        acting = f"arn:{queue.partition}:sts::{account}:assumed-role/{rest.rpartition('/')[2]}/session"
    elif rest == "root":
        acting = f"arn:{queue.partition}:iam::{account}:user/anyone"
    else:
        acting = who
    named = {
        "aws:SecureTransport": (tls,),
        "aws:PrincipalArn": (who,),
        "aws:PrincipalAccount": (account,),
        "aws:PrincipalIsAWSService": ("false",),
    }
    where = {"aws:SourceVpc": inside.get("vpc"), "aws:SourceVpce": inside.get("endpoint")}
    found = {key: (value,) for key, value in where.items() if value} or {"aws:SourceIp": ("198.51.100.7",)}
    return Request(acting, action, queue.arn, {**named, **found})


# --- whatever is asked for ---------------------------------------------------------------------------------------

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
accounts = st.sampled_from(["123456789012", "111122223333", "444455556666"])
hexadecimal = st.text("0123456789abcdef", min_size=17, max_size=17)


@st.composite
def principals(draw: st.DrawFn, partition: str) -> str:
    account = draw(accounts)
    kind = draw(st.sampled_from(["role", "user", "account", "role with a path"]))
    if kind == "account":
        return draw(st.sampled_from([account, f"arn:{partition}:iam::{account}:root"]))
    path = f"{draw(words)}/{draw(words)}/" if "path" in kind else ""
    return f"arn:{partition}:iam::{account}:{kind.partition(' ')[0]}/{path}{draw(words)}"


@st.composite
def sources(draw: st.DrawFn, partition: str) -> str:
    account, name = draw(accounts), draw(words)
    return draw(
        st.sampled_from(
            [
                f"sns.amazonaws.com=arn:{partition}:sns:us-east-1:{account}:{name}",
                f"events.amazonaws.com=arn:{partition}:events:us-east-1:{account}:rule/{name}",
                f"events.amazonaws.com={account}",
                f"s3.amazonaws.com=arn:{partition}:s3:::{name}",
                f"s3.amazonaws.com=arn:{partition}:s3:::{name},{account}",
            ]
        )
    )


@st.composite
def wishes(draw: st.DrawFn, *, services: bool) -> tuple[Queue, dict[str, list[str]]]:
    partition = draw(st.sampled_from(["aws", "aws-cn", "aws-us-gov"]))
    queue = queue_of_arn(f"arn:{partition}:sqs:us-east-1:123456789012:{draw(words)}")
    assert queue is not None
    named = st.lists(principals(partition), max_size=3)
    asked = {role: draw(named) for role in ("producers", "consumers", "administrators")}
    asked["services"] = draw(st.lists(sources(partition), max_size=3)) if services else []
    asked["vpcs"] = [f"vpc-{each}" for each in draw(st.lists(hexadecimal, max_size=2))]
    asked["vpc_endpoints"] = [f"vpce-{each}" for each in draw(st.lists(hexadecimal, max_size=2))]
    return queue, asked


def generated(queue: Queue, asked: dict[str, list[str]]) -> dict[str, Any]:
    try:
        return queue_policy(queue, **asked)
    except CannotWrite as problem:
        assume("is named as" not in problem.found)
        raise


law = settings(derandomize=True, deadline=None, max_examples=int(os.environ.get("LAW_EXAMPLES", "40")))


@law
@given(wishes(services=False))
def test_what_is_generated_passes_every_policy_rule_in_strict(wish):
    queue, asked = wish
    found = states(queue, generated(queue, asked), **asked)
    if not (asked["vpcs"] or asked["vpc_endpoints"]):
        assert found.pop("vpc-only-policy") is State.REFUSED
    assert set(found.values()) == {State.PASSED}


@law
@given(wishes(services=True))
def test_with_services_it_passes_every_rule_but_that_they_come_from_outside(wish):
    queue, asked = wish
    document = generated(queue, asked)
    found = states(queue, document, **asked)
    outside = found.pop("vpc-only-policy")
    assert set(found.values()) == {State.PASSED}
    if asked["services"] and (asked["vpcs"] or asked["vpc_endpoints"]):
        assert outside is State.REFUSED
        witness = policy.outside_vpc_access(document, queue_arn=queue.arn).witness
        assert witness.keys["aws:PrincipalServiceName"][0] in {each.partition("=")[0] for each in asked["services"]}


@law
@given(wishes(services=True))
def test_who_is_named_may_do_what_the_role_needs_and_nothing_else_nor_elsewhere(wish):
    queue, asked = wish
    document = json.dumps(generated(queue, asked))
    vpcs = [{"vpc": each} for each in asked["vpcs"]]
    inside = vpcs + [{"endpoint": each} for each in asked["vpc_endpoints"]]
    everyone = {who: role for role in Role for who in _arns(queue, asked[f"{role.value}s"])}
    for who, role in everyone.items():
        account = f"arn:{queue.partition}:iam::{who.split(':')[4]}:root"
        for action in EVERY_ACTION:
            mine = action in actions_for(role)
            theirs = account != who and account in everyone and action in actions_for(everyone[account])
            expected = Decision.ALLOW if mine or theirs else Decision.NO_MATCH
            for where in inside or [{}]:
                assert decide(document, request(queue, who, action, **where)) is expected
                assert decide(document, request(queue, who, action, tls="false", **where)) is Decision.DENY
            if inside:
                assert decide(document, request(queue, who, action)) is Decision.DENY


def _arns(queue: Queue, named: list[str]) -> list[str]:
    return [f"arn:{queue.partition}:iam::{each}:root" if each.isdigit() else each for each in named]


@law
@given(wishes(services=True))
def test_a_service_may_send_for_what_was_named_and_for_nothing_else(wish):
    queue, asked = wish
    document = json.dumps(generated(queue, asked))
    for service, _, rest in (each.partition("=") for each in asked["services"]):
        arn, _, account = rest.partition(",")
        account = account or (arn if arn.isdigit() else arn.split(":")[4] or queue.account)
        keys = {
            "aws:SecureTransport": "true",
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": service,
            "aws:SourceAccount": account,
            "aws:SourceArn": f"arn:{queue.partition}:events:us-east-1:{arn}:rule/any" if arn.isdigit() else arn,
        }
        others = {**keys, "aws:SourceAccount": "999988887777", "aws:SourceArn": f"{keys['aws:SourceArn']}-else"}

        def asks(action, keys, service=service):
            return decide(document, Request(service, action, queue.arn, {key: (value,) for key, value in keys.items()}))

        assert asks("sqs:SendMessage", keys) is Decision.ALLOW
        assert asks("sqs:ReceiveMessage", keys) is Decision.NO_MATCH
        assert asks("sqs:SendMessage", others) is Decision.NO_MATCH
        assert asks("sqs:SendMessage", {**keys, "aws:SecureTransport": "false"}) is Decision.DENY


@law
@given(wishes(services=True), st.randoms(use_true_random=False))
def test_the_order_of_names_and_repetitions_change_nothing(wish, random):
    queue, asked = wish
    again = {name: random.sample(values, len(values)) + values[:1] for name, values in asked.items()}
    assert generated(queue, again) == generated(queue, asked)


@law
@given(wishes(services=True))
def test_it_stays_within_what_amazon_sqs_takes(wish):
    queue, asked = wish
    document = generated(queue, asked)
    assert len(text_of(document).encode()) <= 8_192
    assert len(document["Statement"]) <= 20
    for statement in document["Statement"]:
        actions = statement["Action"]
        assert 1 <= (1 if isinstance(actions, str) else len(actions)) <= 7
        assert statement["Effect"] == "Deny" or "*" not in json.dumps([actions, statement["Principal"]])
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(sid.isalnum() for sid in sids)


# --- roles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_a_role_has_only_actions_of_its_kinds_in_the_table_of_operations(role):
    kinds = {OPERATIONS[action.removeprefix("sqs:")] for action in actions_for(role)}
    assert kinds == ROLE_KINDS[role]


def test_somebody_with_two_roles_is_refused():
    with pytest.raises(CannotWrite, match="is named as producer and as consumer; give each part"):
        queue_policy(QUEUE, producers=[f"{ROLE}shop"], consumers=[f"{ROLE}shop"])
    with pytest.raises(CannotWrite, match="is named as producer and as administrator"):
        queue_policy(QUEUE, producers=["111122223333"], administrators=["arn:aws:iam::111122223333:root"])


def test_with_nobody_named_only_plain_http_is_denied_and_identity_policies_decide():
    assert [each["Sid"] for each in queue_policy(QUEUE)["Statement"]] == ["DenyPlainHttp"]


# --- what cannot be named ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "found", "next_step"),
    [
        ("*", "wildcard", "name each role or user"),
        (f"{ROLE}shop-*", "wildcard", "name each role or user"),
        (f"{ROLE}${{aws:username}}", "variable", "name each role or user"),
        ("", "neither the ARN", "such as arn:aws:iam"),
        ("shop", "neither the ARN", "such as arn:aws:iam"),
        ("12345678901", "neither the ARN", "such as arn:aws:iam"),
        ("١٢٣٤٥٦٧٨٩٠١٢", "neither the ARN", "such as arn:aws:iam"),
        ("AROAEXAMPLEEXAMPLE01", "neither the ARN", "name that by its ARN"),
        ("sns.amazonaws.com", "neither the ARN", "--service sns.amazonaws.com=ARN"),
        ("arn:aws:sts::123456789012:assumed-role/shop/i-1", "session", "arn:aws:iam::123456789012:role/shop "),
        ("arn:aws:sts::123456789012:federated-user/anna", "session", "the user who signs in"),
        ("arn:aws:iam::123456789012:group/shops", "no role and no user", "cannot name a group"),
        ("arn:aws:iam::123456789012:instance-profile/shop", "no role and no user", "name the role in it"),
        ("arn:aws:iam::123456789012:saml-provider/x", "no role and no user", "the role that is assumed"),
        ("arn:aws:iam::aws:policy/AdministratorAccess", "neither the ARN", "such as"),
        ("arn:aws:sqs:us-east-1:123456789012:orders", "no ARN of IAM", "give the ARN of a role"),
        ("arn:aws-cn:iam::123456789012:role/shop", "partition aws-cn", "the queue's partition"),
        (f"{ROLE}shop\n", "neither the ARN", "such as"),
    ],
)
@pytest.mark.parametrize("role", ["producers", "consumers", "administrators"])
def test_who_cannot_be_a_principal_is_refused_and_told_whom_to_name(role, who, found, next_step):
    with pytest.raises(CannotWrite) as refused:
        queue_policy(QUEUE, **{role: [who]})
    assert found in refused.value.found
    assert next_step in refused.value.next_step


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ("sns.amazonaws.com", "does not say which service may act for what"),
        ("sns.amazonaws.com=", "is no ARN"),
        ("s3.amazonaws.com=arn:aws:s3:::shop,", "is no ARN"),
        ("s3.amazonaws.com=arn:aws:s3:::shop,111122223333,444455556666", "is no ARN"),
        ("sns=arn:aws:sns:us-east-1:123456789012:orders", "does not say which service"),
        ("sns.amazonaws.com=arn:aws:sns:us-east-1:123456789012:*", "wildcard"),
        ("sns.amazonaws.com=arn:aws:sns:us-east-1:123456789012:orders,111122223333", "is not in account"),
        ("sns.amazonaws.com=arn:aws-cn:sns:cn-north-1:123456789012:orders", "partition"),
        ("evil.example.com=123456789012", "does not say which service"),
    ],
)
def test_a_service_that_is_not_tied_to_anything_is_refused(service, found):
    with pytest.raises(CannotWrite, match=found):
        queue_policy(QUEUE, services=[service])


@pytest.mark.parametrize(
    ("asked", "next_step"),
    [
        ({"vpcs": [ENDPOINT]}, "--vpc-endpoint"),
        ({"vpc_endpoints": [VPC]}, "--vpc"),
        ({"vpcs": ["vpc-*"]}, "such as vpc-"),
        ({"vpc_endpoints": [""]}, "such as vpce-"),
    ],
)
def test_what_is_no_vpc_or_endpoint_is_refused(asked, next_step):
    with pytest.raises(CannotWrite) as refused:
        queue_policy(QUEUE, **asked)
    assert next_step in refused.value.next_step


@pytest.mark.parametrize(
    ("asked", "over"),
    [
        ({"producers": [f"{ROLE}shop-{number}" for number in range(60)]}, "61 principals of 50"),
        ({"producers": [f"{ROLE}{'x' * 60}{number:03}" for number in range(200)]}, "bytes of 8,192"),
        ({"services": [f"s{number}.amazonaws.com=123456789012" for number in range(10)]}, "11 conditions of 10"),
        ({"services": [f"s{number}.amazonaws.com=123456789012" for number in range(20)]}, "21 statements of 20"),
    ],
)
def test_more_than_amazon_sqs_takes_is_refused(asked, over):
    with pytest.raises(CannotWrite) as refused:
        queue_policy(QUEUE, **asked)
    assert over in refused.value.found


# --- the command -------------------------------------------------------------------------------------------------


def run(*words: str) -> Any:
    return cli_runner().invoke(generate, words)


def test_the_command_prints_the_policy_alone_on_standard_output():
    done = run("queue", "--queue-arn", QUEUE.arn, "--producer", f"{ROLE}shop", "--service", TOPIC, "--vpc", VPC)
    assert done.exit_code == 0, done.output
    expected = queue_policy(QUEUE, producers=[f"{ROLE}shop"], services=[TOPIC], vpcs=[VPC])
    assert json.loads(done.stdout) == expected
    assert [line[:5] for line in done.stderr.splitlines()] == ["note:"] * 3


def test_as_attributes_it_is_what_set_queue_attributes_takes(raw, good):
    arn = raw.get_queue_attributes(QueueUrl=good, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    done = run("queue", "--queue-arn", arn, "--producer", f"{ROLE}shop", "--as", "attributes")
    raw.set_queue_attributes(QueueUrl=good, Attributes=json.loads(done.stdout))
    kept = raw.get_queue_attributes(QueueUrl=good, AttributeNames=["Policy"])["Attributes"]["Policy"]
    assert json.loads(kept) == queue_policy(queue_of_arn(arn), producers=[f"{ROLE}shop"])


def test_a_policy_that_would_be_too_long_with_spaces_is_printed_without():
    roles = [f"{ROLE}{'x' * 55}{number:02}" for number in range(48)]
    words = [word for role in roles for word in ("--producer", role)]
    done = run("queue", "--queue-arn", QUEUE.arn, *words, "--service", BUCKET)
    assert done.exit_code == 0, done.output
    assert len(done.stdout.strip()) <= 8_192


def test_an_account_of_somebody_else_is_remarked():
    done = run("queue", "--queue-arn", QUEUE.arn, "--consumer", "111122223333")
    assert "note: 111122223333 is not the queue's account" in done.stderr
    assert run("queue", "--queue-arn", QUEUE.arn, "--consumer", "123456789012").stderr == ""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["queue", "--queue-arn", "orders"], "'orders' is not the ARN of a queue; such as arn:aws:sqs:"),
        (["queue", "--queue-arn", "arn:aws:sqs:*:123456789012:orders"], "is not the ARN of a queue; such as"),
        (["queue", "--queue-arn", QUEUE.arn, "--producer", "*"], "'*' has a wildcard or a variable; name each role"),
        (["identity", "--role", "producer", "--queue-arn", QUEUE.arn, "--kms-key", "alias/x"], "describe-key"),
        (["identity", "--role", "producer", "--queue-arn", QUEUE.arn, "--describe-key"], "name it with --kms-key"),
        (["endpoint", "--queue-arn", QUEUE.arn], "there is nobody to let through; name somebody"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_the_next_step(words, line):
    done = run(*words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert line in done.stderr
