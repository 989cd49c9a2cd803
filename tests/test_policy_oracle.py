"""decide against an evaluator that nobody here wrote: the recorded answers of iam-simulate, and how they are compared.

`make oracle` asks it anew, about many more pairs; tests/oracle has the driver.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from oracle import agree
from oracle.explanations import EXPLANATIONS, Pair, rewritings
from random_policies import (
    DOUBTFUL,
    EVERYTHING,
    OPERATORS,
    SIMPLE,
    Features,
    Policy,
    listed,
    pairs,
    policies,
    random_policy,
    random_request,
)

from safe_sqs import policy
from safe_sqs.policy import Decision, Request, decide

RECORDED = [json.loads(line) for line in agree.RECORDED.read_text(encoding="utf-8").splitlines()]
AGREED = [entry for entry in RECORDED if "why" not in entry]
EXPLAINED = [entry for entry in RECORDED if "why" in entry]

law = settings(derandomize=True, deadline=None, max_examples=60)


def pair_of(entry: dict[str, Any]) -> Pair:
    keys = {key: tuple(values) for key, values in entry["keys"].items()}
    return entry["policy"], Request(entry["principal"], entry["action"], entry["resource"], keys)


def operators_of(document: Policy) -> set[str]:
    return {operator for statement in listed(document["Statement"]) for operator in statement.get("Condition", {})}


@pytest.mark.parametrize("entry", AGREED, ids=range(len(AGREED)))
def test_decide_says_what_iam_simulate_said(entry: dict[str, Any]):
    assert decide(*pair_of(entry)).value == entry["answer"]


@pytest.mark.parametrize("entry", EXPLAINED, ids=range(len(EXPLAINED)))
def test_decide_says_what_iam_simulate_said_when_it_was_asked_past_its_faults(entry: dict[str, Any]):
    assert decide(*pair_of(entry)).value == entry["answer_to_asked"] != entry["answer"]


@pytest.mark.parametrize("entry", EXPLAINED, ids=range(len(EXPLAINED)))
def test_the_explanation_is_what_led_to_that_question(entry: dict[str, Any]):
    assert dict(rewritings(*pair_of(entry)))[entry["why"]] == pair_of(entry["asked"])


def test_every_answer_and_every_explanation_is_on_record():
    assert {entry["answer"] for entry in AGREED} == {decision.value for decision in Decision}
    assert {entry["why"] for entry in EXPLAINED} >= {explanation.name for explanation in EXPLANATIONS}
    assert len(AGREED) > 200


@pytest.mark.parametrize(("effect", "decision"), [("Allow", Decision.ALLOW), ("Deny", Decision.NO_MATCH)])
@pytest.mark.parametrize("operator", ["StringEquals", "StringNotEquals", "ArnLike", "Bool", "NotIpAddress"])
def test_for_any_value_with_if_exists_is_in_doubt_where_the_key_is_missing(
    effect: str, decision: Decision, operator: str
):
    """IfExists says true, ForAnyValue says false, and the reference does not say which counts."""
    values = {"ArnLike": "arn:aws:sns:*:*:*", "Bool": "true", "NotIpAddress": "192.0.2.0/24"}
    condition = {f"ForAnyValue:{operator}IfExists": {"aws:SourceVpce": values.get(operator, "vpce-1")}}
    statement = {"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*", "Condition": condition}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    assert decide(document, Request("anonymous", "sqs:SendMessage", "arn:aws:sqs:us-east-1:1:q")) is decision


@given(pairs())
@law
def test_an_explanation_asks_the_same_in_other_words(pair: Pair):
    for _, asked in rewritings(*pair):
        assert decide(*asked) is decide(*pair)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch):
    """Stands in for iam-simulate: agrees, but for the requests of one principal, which it always denies."""

    def use(denied: str) -> None:
        def ask(asked: Sequence[Pair]) -> list[str]:
            return ["deny" if pair[1].principal == denied else decide(*pair).value for pair in asked]

        monkeypatch.setattr(agree, "ask", ask)

    return use


def test_the_comparison_passes_when_all_agree(answering, capsys):
    answering("nobody")
    assert agree.main(["--pairs", "200"]) == 0
    assert "200 agreed" in capsys.readouterr().out


def test_the_comparison_fails_and_shows_the_pair_when_a_disagreement_is_not_explained(answering, capsys):
    answering("sns.amazonaws.com")
    assert agree.main(["--pairs", "200", "--show", "1"]) == 1
    output = capsys.readouterr().out
    assert output.count("iam-simulate says deny\n  policy: ") == 1
    assert '"principal": "sns.amazonaws.com"' in output


def test_what_is_recorded_is_what_is_replayed(answering, tmp_path: Path):
    answering("nobody")
    path = tmp_path / "recorded.jsonl"
    assert agree.record(path, 1_500) == 1  # nothing had to be explained, so the explanations are missing in it
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(decide(*pair_of(entry)).value == entry["answer"] for entry in entries)
    assert Counter(entry["answer"] for entry in entries) == {"allow": 90, "deny": 90, "no match": 60}


@pytest.mark.parametrize("features", [EVERYTHING, SIMPLE, DOUBTFUL], ids=["everything", "simple", "doubtful"])
def test_random_policies_are_policies_and_come_to_every_decision(features: Features):
    decisions: Counter[Decision] = Counter()
    for seed in range(400):
        rng = Random(seed)
        document = random_policy(rng, features)
        policy.parse(json.dumps(document))
        decisions[decide(document, random_request(rng, document, features))] += 1
    assert min(decisions[decision] for decision in Decision) > 20


def test_random_policies_come_to_every_operator():
    many = dataclasses.replace(EVERYTHING, conditions=12)
    used = {operator.lower() for seed in range(5000) for operator in operators_of(random_policy(Random(seed), many))}
    known = {operator.lower() for operators in OPERATORS.values() for operator in operators}
    for prefix in ("", "forallvalues:", "foranyvalue:"):
        assert {f"{prefix}{operator}" for operator in known} <= used
    assert {f"{operator}ifexists" for operator in known} | {"null"} <= used


def test_the_same_seed_gives_the_same_pair():
    assert list(agree.random_pairs(3, 20)) == list(agree.random_pairs(3, 20))


@given(policies(dataclasses.replace(EVERYTHING, negated_elements=False, set_operators=False, statements=1)))
@law
def test_features_that_are_left_out_are_not_used(document: Policy):
    (statement,) = listed(document["Statement"])
    assert not any(element.startswith("Not") for element in statement)
    assert not any(":" in operator for operator in operators_of(document))
