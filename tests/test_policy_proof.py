"""The judge against brute force and against z3, on random policies. `make fuzz` does the same with many more."""

from __future__ import annotations

from typing import Any

import pytest
from proof.compare import ORACLES, OUTSIDE_VPC, PLAINTEXT, PUBLIC, Case, Figures, compared
from proof.worlds import QUEUE

AT_ONCE = 100


def chunks(pairs: int) -> list[range]:
    return [range(first, first + AT_ONCE) for first in range(0, pairs, AT_ONCE)]


def check(figures: Figures) -> None:
    assert figures.problems == [], "see case_of(seed) of proof.compare"
    for question in (PUBLIC, PLAINTEXT, OUTSIDE_VPC):
        for judge in (True, False):
            assert figures.share(question, judge) > 0.1, "agreement means something only where both answers are usual"
    assert figures.undecided(by=1) <= 0.03


@pytest.mark.parametrize("seeds", chunks(2_000), ids=str)
def test_judge_and_brute_force_agree(seeds: range):
    figures = compared("brute force", seeds)
    assert figures.total == AT_ONCE
    check(figures)


# A few policies are beyond what is translated for z3, so that 2,200 are needed for 2,000 pairs.
@pytest.mark.parametrize("seeds", chunks(2_200), ids=str)
def test_judge_and_z3_agree(seeds: range):
    figures = compared("z3", seeds)
    assert figures.total >= 0.85 * AT_ONCE
    assert figures.undecided(by=2) <= 0.1  # a matter of time: on a slow machine z3 gives up more often
    check(figures)


def public_to(principal: Any, **condition: Any) -> Case:
    allow = {"Effect": "Allow", "Principal": principal, "Action": "sqs:*", "Resource": QUEUE, "Condition": condition}
    return Case({"Version": "2012-10-17", "Statement": [allow]}, PUBLIC)


def public_but_for(not_principal: Any, **condition: Any) -> Case:
    case = public_to("*", **condition)
    deny = {"Effect": "Deny", "NotPrincipal": not_principal, "Action": "sqs:*", "Resource": QUEUE}
    case.document["Statement"].append(deny)
    return case


def public_with_two_values() -> Case:
    case = public_to("*", StringLike={"example:Own": ["true"]}, StringEqualsIgnoreCase={"example:Own": ["x"]})
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE}
    set_operator = {"ForAnyValue:StringEquals": {"example:Own": ["*"]}}
    case.document["Statement"].append({**deny, "Condition": set_operator})
    return case


RARE = {
    "two values of a key that a set operator asks about in another statement": public_with_two_values(),
    "a federated user of an account that is named by a wildcard": public_to(
        {"AWS": "7777*"}, StringEquals={"aws:PrincipalType": ["FederatedUser"]}
    ),
    "a role of an account that a Deny leaves out": public_but_for(
        {"AWS": "7777*"}, StringLike={"aws:PrincipalTag/team": ["r?d"]}
    ),
    "a user of an account that a Deny leaves out": public_but_for(
        {"AWS": "7777*"}, StringEquals={"aws:PrincipalType": ["User"]}
    ),
    "a federated user of an account that a Deny leaves out": public_but_for(
        {"AWS": "7777*"}, StringEquals={"aws:PrincipalType": ["FederatedUser"]}
    ),
    "a role of an account whose root a Deny leaves out": public_but_for(
        {"AWS": "arn:aws:iam::*7777:root"}, StringEquals={"aws:PrincipalType": ["AssumedRole"]}
    ),
}
"""Cases in which a disagreement was found once, as small as they get."""


@pytest.mark.parametrize("oracle", ORACLES)
@pytest.mark.parametrize("case", RARE.values(), ids=RARE)
def test_judge_and_oracles_agree_where_they_once_did_not(oracle: str, case: Case):
    outcome = ORACLES[oracle](case)
    assert outcome is not None
    assert (outcome.judge, outcome.oracle, outcome.problem) == (True, True, "")


@pytest.mark.parametrize("oracle", ORACLES)
def test_a_service_named_beside_a_wildcard_is_not_public_by_that(oracle: str):
    named = {"Service": "sns.amazonaws.com", "AWS": "arn:aws:iam::444455556666:role/*"}
    outcome = ORACLES[oracle](public_to(named))
    assert outcome is not None
    assert (outcome.judge, outcome.oracle, outcome.problem) == (False, False, "")
