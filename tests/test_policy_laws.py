"""Laws that the judge's answers obey, whatever the policy: tried on random ones by Hypothesis.

LAW_EXAMPLES in the environment says how many, for each law and question; `make fuzz` takes more than the tests.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from proof import brute_force
from proof.worlds import FROM_ELSEWHERE, OVER_PLAIN_HTTP, PARTNER, QUEUE, closing_world, random_world
from random_policies import DOUBTFUL, Policy, listed, policies

from safe_sqs import policy
from safe_sqs.policy import Answer, Decision

Ask = Callable[[Policy], Answer]

law = settings(derandomize=True, deadline=None, max_examples=int(os.environ.get("LAW_EXAMPLES", "60")))
questions = pytest.mark.parametrize(
    "question", [policy.public_access, policy.plaintext_access, policy.outside_vpc_access], ids=lambda ask: ask.__name__
)
seeds = st.integers(0, 10**6)
documents = st.one_of(
    policies(DOUBTFUL),
    st.builds(random_world, seeds),
    st.builds(lambda seed: closing_world(seed, OVER_PLAIN_HTTP), seeds),
    st.builds(lambda seed: closing_world(seed, FROM_ELSEWHERE), seeds),
)
randoms = st.randoms(use_true_random=False)


def statements_of(document: Policy) -> list[Policy]:
    return listed(document["Statement"])


def with_statements(document: Policy, statements: list[Policy]) -> Policy:
    return {**document, "Statement": statements}


def contradict(one: Answer, other: Answer) -> bool:
    """True when both are told, and differ. Whether an answer is found within the budget may depend on the wording."""
    return None not in (one.found, other.found) and one.found is not other.found


def opens(before: Answer, after: Answer) -> bool:
    return before.found is False and after.found is True


# --- witnesses ----------------------------------------------------------------------------------------------------


@questions
@law
@given(document=documents)
def test_a_witness_is_a_request_that_the_policy_lets_through(question: Ask, document: Policy):
    answer = question(document, queue_arn=QUEUE)
    assert (answer.witness is not None) is (answer.found is True)
    if answer.witness is not None:
        decision = policy.decide(document, answer.witness)
        # What a policy does not deny, an identity policy may allow: only an outsider needs an Allow of this one.
        passes = {Decision.ALLOW} if question is policy.public_access else {Decision.ALLOW, Decision.NO_MATCH}
        assert decision in passes
        assert answer.witness.resource == QUEUE


# --- statements that come and go ----------------------------------------------------------------------------------


@questions
@law
@given(document=documents, other=documents, random=randoms)
def test_one_more_deny_never_opens(question: Ask, document: Policy, other: Policy, random: Any):
    deny = {**random.choice(statements_of(other)), "Effect": "Deny"}
    statements = statements_of(document)
    more = with_statements(document, [*statements, deny])
    assert not opens(question(document, queue_arn=QUEUE), question(more, queue_arn=QUEUE))


@questions
@law
@given(document=documents, random=randoms)
def test_one_allow_less_opens_to_nobody_but_those_whom_it_named(question: Ask, document: Policy, random: Any):
    statements = statements_of(document)
    allows = [index for index, statement in enumerate(statements) if statement["Effect"] == "Allow"]
    assume(allows)
    del statements[random.choice(allows)]
    whole, less = question(document, queue_arn=QUEUE), question(with_statements(document, statements), queue_arn=QUEUE)
    if opens(whole, less):
        world = brute_force.World.of(document, QUEUE)
        assert brute_force.is_insider(world, less.witness)


# --- ways of writing that mean the same ---------------------------------------------------------------------------


@questions
@law
@given(document=documents, random=randoms)
def test_the_order_of_statements_changes_nothing(question: Ask, document: Policy, random: Any):
    statements = list(statements_of(document))
    random.shuffle(statements)
    shuffled = with_statements(document, statements)
    assert not contradict(question(document, queue_arn=QUEUE), question(shuffled, queue_arn=QUEUE))


@questions
@law
@given(document=documents, random=randoms)
def test_a_statement_that_is_there_twice_changes_nothing(question: Ask, document: Policy, random: Any):
    statements = list(statements_of(document))
    statements.insert(random.randint(0, len(statements)), random.choice(statements))
    twice = with_statements(document, statements)
    assert not contradict(question(document, queue_arn=QUEUE), question(twice, queue_arn=QUEUE))


def in_lists(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def without_lists(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def reshaped(document: Policy, shape: Callable[[Any], Any]) -> Policy:
    statements = []
    for statement in statements_of(document):
        changed = {}
        for element, value in statement.items():
            if element == "Condition":
                changed[element] = {
                    operator: {key: shape(values) for key, values in lines.items()} for operator, lines in value.items()
                }
            elif isinstance(value, dict):
                changed[element] = {kind: shape(names) for kind, names in value.items()}
            else:
                single = element in ("Sid", "Effect", "Principal", "NotPrincipal")
                changed[element] = value if single else shape(value)
        statements.append(changed)
    return with_statements(document, shape(statements))


@pytest.mark.parametrize("shape", [in_lists, without_lists, json.dumps], ids=lambda shape: shape.__name__)
@questions
@law
@given(document=documents)
def test_lists_of_one_and_what_stands_alone_and_text_mean_the_same(question: Ask, shape: Any, document: Policy):
    written = json.dumps(document) if shape is json.dumps else reshaped(document, shape)
    assert question(written, queue_arn=QUEUE) == question(document, queue_arn=QUEUE)


def in_another_case(statement: Policy, change: Callable[[str], str]) -> Policy:
    """The same statement, with actions, operators, condition keys and the names of variables in another letter case."""

    def with_variables(text: Any) -> Any:
        if not isinstance(text, str):
            return text
        return re.sub(r"(?<=\$\{)[^{},]+", lambda match: change(match[0]), text)

    changed = dict(statement)
    for element in {"Action", "NotAction"} & set(statement):
        changed[element] = [change(action) for action in listed(statement[element])]
    for element in {"Resource", "NotResource"} & set(statement):
        changed[element] = [with_variables(text) for text in listed(statement[element])]
    if "Condition" in statement:
        changed["Condition"] = {}
        for operator, lines in statement["Condition"].items():
            for key, values in lines.items():
                renamed = [with_variables(value) for value in listed(values)]
                changed["Condition"].setdefault(change(operator), {})[change(key)] = renamed
    return changed


@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase], ids=lambda change: change.__name__)
@questions
@law
@given(document=documents)
def test_letter_case_changes_nothing_where_the_reference_ignores_it(question: Ask, change: Any, document: Policy):
    statements = [in_another_case(statement, change) for statement in statements_of(document)]
    changed = with_statements(document, statements)
    assert not contradict(question(document, queue_arn=QUEUE), question(changed, queue_arn=QUEUE))


# --- trust --------------------------------------------------------------------------------------------------------


@law
@given(document=documents, trusted=st.lists(st.sampled_from([PARTNER, "777788889999", "123456789012"]), max_size=2))
def test_accounts_that_are_trusted_never_open(document: Policy, trusted: list[str]):
    before = policy.public_access(document, queue_arn=QUEUE)
    after = policy.public_access(document, queue_arn=QUEUE, trusted_accounts=trusted)
    assert not opens(before, after)
