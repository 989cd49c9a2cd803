"""How a queue does: states by rule and practice, compliance, the way to data and back, and counts over many queues."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone

import pytest
from support import NEXT_MONTH

from safe_sqs import Config
from safe_sqs.evaluation import QUEUE_RULES, Compliance, Opinion, State, evaluation_from, evaluation_of
from safe_sqs.inspection import Inspection, Tally, Trouble
from safe_sqs.judge import judge_queue
from safe_sqs.model import Facts, Mode, Practice, Queue, Unreadable, Verdict

QUEUE = Queue("https://sqs.us-east-1.amazonaws.com/123456789012/orders", "aws", "us-east-1", "123456789012", "orders")
TODAY = date(2026, 11, 24)
DENY_HTTP = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": QUEUE.arn,
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
ANYONE = {"Sid": "anyone", "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": QUEUE.arn}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def evaluate(facts, **settings):
    config = Config(**settings)
    return evaluation_of(QUEUE, judge_queue(facts, QUEUE, config, TODAY), config, TODAY)


GOOD = Facts(QUEUE, sse_sqs=True, policy=policy(DENY_HTTP))
NO_POLICY = Facts(QUEUE, sse_sqs=True)
PUBLIC = Facts(QUEUE, sse_sqs=True, policy=policy(ANYONE, DENY_HTTP))
NOT_ENCRYPTED = Facts(QUEUE, policy=policy(DENY_HTTP))
UNREADABLE = Unreadable("AccessDeniedException", "sqs:GetQueueAttributes", QUEUE.arn)
GARBLED_POLICY = Facts(QUEUE, sse_sqs=True, policy="{")


def test_each_queue_rule_has_one_state_in_the_order_of_the_rules():
    assert [rule for rule, _ in evaluate(GOOD).states] == [rule.name for rule in QUEUE_RULES]


@pytest.mark.parametrize(
    ("facts", "rule", "state"),
    [
        (GOOD, "public-access", State.PASSED),
        (PUBLIC, "public-access", State.REFUSED),
        (NO_POLICY, "tls-only-policy", State.WARNED),
        (GARBLED_POLICY, "public-access", State.UNKNOWN),
        (UNREADABLE, "queue-encryption", State.UNKNOWN),
        (UNREADABLE, "vpc-only-policy", State.OFF),
        (GOOD, "vpc-only-policy", State.OFF),
    ],
)
def test_the_state_of_a_rule_says_what_it_found(facts, rule, state):
    assert evaluate(facts).state_of(rule) is state


def test_an_exempt_rule_is_neither_passed_nor_found():
    exemption = {"queue": QUEUE.arn, "rule": "public-access", "reason": "partners", "until": NEXT_MONTH}
    evaluation = evaluate(PUBLIC, exemptions=[exemption])
    assert evaluation.state_of("public-access") is State.EXEMPT
    assert evaluation.compliance() is Compliance.COMPLIANT
    assert evaluate(UNREADABLE, exemptions=[exemption]).state_of("public-access") is State.EXEMPT


@pytest.mark.parametrize(
    ("facts", "practice", "state"),
    [
        (GOOD, Practice.ENCRYPTION_AT_REST, State.PASSED),
        (NOT_ENCRYPTED, Practice.ENCRYPTION_AT_REST, State.REFUSED),
        (GOOD, Practice.IAM_ROLES, State.AT_RUN_TIME),
        (GOOD, Practice.VPC_ENDPOINTS, State.OFF),
        (NO_POLICY, Practice.ENCRYPTION_IN_TRANSIT, State.WARNED),
    ],
)
def test_of_a_practice_the_worst_rule_counts(facts, practice, state):
    assert evaluate(facts).state_in(practice) is state


@pytest.mark.parametrize(
    ("facts", "fail_on", "compliance"),
    [
        (GOOD, Mode.WARN, Compliance.COMPLIANT),
        (NO_POLICY, Mode.WARN, Compliance.NON_COMPLIANT),
        (NO_POLICY, Mode.ENFORCE, Compliance.COMPLIANT),
        (PUBLIC, Mode.ENFORCE, Compliance.NON_COMPLIANT),
        (PUBLIC, Mode.OFF, Compliance.COMPLIANT),
        (UNREADABLE, Mode.WARN, Compliance.INSUFFICIENT_DATA),
        (UNREADABLE, Mode.OFF, Compliance.INSUFFICIENT_DATA),
        (GARBLED_POLICY._replace(sse_sqs=False), Mode.WARN, Compliance.NON_COMPLIANT),
        (GARBLED_POLICY._replace(sse_sqs=False), Mode.OFF, Compliance.INSUFFICIENT_DATA),
    ],
)
def test_what_is_certain_comes_before_what_could_not_be_told(facts, fail_on, compliance):
    assert evaluate(facts).compliance(fail_on) is compliance


def test_of_what_a_rule_found_the_worst_counts_and_doubt_is_not_worse_than_a_warning():
    warned = evaluate(NO_POLICY).findings[0]
    doubtful = warned._replace(unverifiable=True)
    for findings in ((warned, doubtful), (doubtful, warned)):
        evaluation = evaluation_of(QUEUE, Verdict(findings), Config(), TODAY)
        assert evaluation.state_of("tls-only-policy") is State.WARNED
    refused = warned._replace(mode=Mode.ENFORCE)
    for findings in ((warned, refused), (doubtful, refused)):
        assert evaluation_of(QUEUE, Verdict(findings), Config(), TODAY).state_of(warned.rule) is State.REFUSED


def test_the_data_names_the_queue_by_its_url_and_its_arn():
    assert evaluate(GOOD).as_data()["queue"] == {
        "url": QUEUE.url,
        "partition": "aws",
        "region": "us-east-1",
        "account": "123456789012",
        "name": "orders",
        "arn": "arn:aws:sqs:us-east-1:123456789012:orders",
    }


@pytest.mark.parametrize("facts", [GOOD, PUBLIC, UNREADABLE, GARBLED_POLICY], ids=["good", "public", "no", "garbled"])
def test_an_evaluation_comes_back_from_json_as_it_was(facts):
    evaluation = evaluate(facts)._replace(opinions=(Opinion("access-analyzer", None, "nobody answered"),))
    assert evaluation_from(json.loads(json.dumps(evaluation.as_data()))) == evaluation


def test_what_is_secret_in_a_queue_url_does_not_get_into_the_data():
    queue = QUEUE._replace(url="https://me:secret@sqs.us-east-1.amazonaws.com/123456789012/orders?token=secret")
    assert "secret" not in json.dumps(evaluation_of(queue, Verdict(), Config(), TODAY).as_data())


@pytest.mark.parametrize("data", [{}, {"queue": None}, {"queue": {}, "rules": {}, "findings": [], "opinions": []}])
def test_other_data_is_no_evaluation(data):
    with pytest.raises((KeyError, TypeError, ValueError)):
        evaluation_from(data)


@pytest.mark.parametrize(
    ("facts", "troubles", "status"),
    [
        ([], (), 0),
        ([GOOD], (), 0),
        ([GOOD, NO_POLICY], (), 1),
        ([GOOD, UNREADABLE], (), 2),
        ([UNREADABLE, PUBLIC], (), 1),
        ([GOOD], (Trouble("eu-west-1", "ListQueues is not allowed", "allow it"),), 2),
    ],
)
def test_the_exit_status_follows_from_the_counts(facts, troubles, status):
    evaluations = [evaluate(each) for each in facts]
    tally = Tally()
    for evaluation in evaluations:
        tally.add(evaluation)
    inspection = Inspection(evaluations, tally, datetime.now(timezone.utc), Config(), troubles)
    assert inspection.exit_status == status
    assert tally.queues == len(facts)


def test_a_tally_counts_by_rule_and_by_practice():
    tally = Tally()
    for facts in (GOOD, PUBLIC, PUBLIC):
        tally.add(evaluate(facts))
    assert tally.by_rule["public-access", State.REFUSED] == 2
    assert tally.by_rule["public-access", State.PASSED] == 1
    assert tally.by_practice[Practice.IAM_ROLES, State.AT_RUN_TIME] == 3
    assert tally.by_practice[Practice.NOT_PUBLIC, State.REFUSED] == 2
    assert tally.by_practice[Practice.NOT_PUBLIC, State.PASSED] == 1
    assert tally.by_compliance[Compliance.NON_COMPLIANT] == 2
