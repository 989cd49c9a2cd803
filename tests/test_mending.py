"""A proposed change is data: its words, the statement and the document that come from it say the same."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proof.worlds import OVER_PLAIN_HTTP, QUEUE, closing_world, random_world
from random_policies import DOUBTFUL, policies
from test_policy_corpus import ENTRIES, Entry

from safe_sqs.policy import parse, plaintext_access, public_statements
from safe_sqs.policy.mending import (
    Act,
    Edit,
    confines,
    denies_plaintext,
    narrows,
    takes_account_out,
    ties_to_account,
)

OWN, PARTNER, OTHER = "111122223333", "444455556666", "777788889999"
ROOT = f"arn:aws:iam::{OWN}:root"
ROLE = f"arn:aws:iam::{PARTNER}:role/x"
law = settings(derandomize=True, deadline=None, max_examples=int(os.environ.get("LAW_EXAMPLES", "30")))
seeds = st.integers(0, 10**6)
documents = st.one_of(
    policies(DOUBTFUL),
    st.builds(random_world, seeds),
    st.builds(lambda seed: closing_world(seed, OVER_PLAIN_HTTP), seeds),
)


def statement(**elements: Any) -> dict[str, Any]:
    whole = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": QUEUE, **elements}
    return {name: value for name, value in whole.items() if value is not None}


def policy(*statements: Any, **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", **more, "Statement": list(statements)}


def narrowing(document: dict[str, Any]) -> list[Edit]:
    """The changes that are tried for the first statement that lets somebody in."""
    allow, answer = next(public_statements(parse(document), queue_arn=QUEUE))
    return list(narrows(allow, answer.witness, QUEUE))


def edits_for(document: dict[str, Any]) -> list[Edit]:
    """Every change that would be tried on a policy."""
    statements = parse(document)
    edits = list(denies_plaintext(statements, QUEUE))
    for allow, answer in public_statements(statements, queue_arn=QUEUE):
        if answer.witness is not None:
            edits += narrows(allow, answer.witness, QUEUE)
    for account in (PARTNER, OTHER):
        edits += takes_account_out(statements, account)
    for allow in statements:
        if allow.allows:
            edits += ties_to_account(allow, QUEUE)
    return edits


def is_as_it_says(document: dict[str, Any], edit: Edit) -> bool:
    """True when the document after an edit reads as the statements after it."""
    before = parse(document)
    read = parse(edit.made_in(document))
    if edit.statement is None:
        return read == (*before, *parse({**document, "Statement": edit.value})) or read[:-1] == before
    if edit.act is Act.REMOVE:
        left = [each for each in before if each.position != edit.statement.position]
        return [each._replace(position=0) for each in read] == [each._replace(position=0) for each in left]
    if edit.act is Act.TAKE:
        left = [entry for entry in edit.statement.principals if entry[1] not in edit.value]
        return list(read[edit.statement.position].principals) == left
    changed = edit.changed()
    after = [changed if each.position == changed.position else each for each in before]
    # A line that moves to another operator may stand elsewhere in its Condition, where order says nothing.
    return [_in_order(each) for each in read] == [_in_order(each) for each in after]


def _in_order(each: Any) -> Any:
    return each._replace(conditions=sorted(map(repr, each.conditions)), principals=sorted(each.principals))


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.fields["id"]) for entry in ENTRIES])
def test_the_document_after_a_change_reads_as_the_statements_that_were_tried(entry: Entry):
    for edit in edits_for(entry.document):
        assert is_as_it_says(entry.document, edit), str(edit)


@law
@given(document=documents)
def test_so_it_is_for_random_policies_and_the_document_itself_stays_as_it_was(document: dict[str, Any]):
    before = copy.deepcopy(document)
    for edit in edits_for(document):
        assert is_as_it_says(document, edit), str(edit)
    assert document == before


# --- all else stays as it was ------------------------------------------------------------------------------------


def test_order_of_keys_sids_version_and_the_shape_of_values_stay():
    document = {
        "Statement": [
            {"Resource": [QUEUE], "Action": ["sqs:SendMessage"], "Principal": "*", "Effect": "Allow", "Sid": "a"},
            statement(Sid="b", Principal={"AWS": [ROLE]}, Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": 5}}),
        ],
        "Id": "x",
        "Version": "2008-10-17",
    }
    made = narrowing(document)[0].made_in(document)
    expected = copy.deepcopy(document)
    expected["Statement"][0]["Principal"] = {"AWS": ROOT}
    assert json.dumps(made) == json.dumps(expected)


def test_a_negated_element_gives_its_place_to_the_plain_one():
    document = policy(
        statement(Effect="Deny", Action=None, NotAction="sqs:A*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    )
    (edit,) = [edit for edit in denies_plaintext(parse(document), QUEUE) if edit.element == "Action"]
    made = edit.made_in(document)["Statement"][0]
    assert list(made) == ["Effect", "Principal", "Resource", "Action", "Condition"]
    assert made["Action"] == "sqs:*"


@pytest.mark.parametrize("rest", [{"aws:SourceVpc": "vpc-1"}, {}])
def test_only_the_line_that_is_meant_gets_another_operator(rest: dict[str, str]):
    loose = {"aws:SourceVpce": ["vpce-1"], **rest}
    document = policy(statement(Condition={"StringEqualsIfExists": loose, "StringEquals": {"aws:UserAgent": "a"}}))
    made = narrowing(document)[0].made_in(document)["Statement"][0]["Condition"]
    assert made.get("StringEqualsIfExists", {}) == rest
    assert made["StringEquals"] == {"aws:SourceVpce": ["vpce-1"], "aws:UserAgent": "a"}


def test_an_empty_block_of_conditions_stays():
    document = policy(statement(Condition={"Bool": {}, "StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}))
    made = narrowing(document)[0].made_in(document)["Statement"][0]["Condition"]
    assert made == {"Bool": {}, "StringEquals": {"aws:SourceVpce": "vpce-1"}}


def test_an_operator_is_not_proposed_where_the_key_has_a_line_with_it_already():
    document = policy(
        statement(
            Condition={
                "StringEqualsIfExists": {"aws:UserAgent": "a"},
                "stringequals": {"AWS:UserAgent": ["a", "b"]},
            }
        )
    )
    assert all(edit.act is not Act.OPERATOR for edit in narrowing(document))


def test_a_condition_is_joined_to_its_block_and_keeps_clear_of_a_line_about_the_same_key():
    anyone = "${aws:PrincipalAccount}"
    document = policy(
        statement(Condition={"StringEquals": {"aws:PrincipalAccount": anyone, "aws:UserAgent": "a"}}),
    )
    condition, remove = narrowing(document)
    made = condition.made_in(document)["Statement"][0]["Condition"]
    assert made["StringEquals"] == {"aws:PrincipalAccount": anyone, "aws:UserAgent": "a"}
    assert made["StringLike"] == {"aws:PrincipalAccount": OWN}
    assert remove.act is Act.REMOVE
    document["Statement"][0]["Condition"]["StringLike"] = {"aws:principalaccount": "*"}
    assert [edit.act for edit in narrowing(document)] == [Act.REMOVE]
    document["Statement"][0]["Condition"] = {"StringEquals": {"aws:UserAgent": "a"}}
    made = narrowing(document)[0].made_in(document)["Statement"][0]["Condition"]
    assert made == {"StringEquals": {"aws:UserAgent": "a", "aws:PrincipalAccount": OWN}}


def test_a_statement_that_stands_alone_stays_alone_until_another_comes():
    alone = {"Statement": statement(Principal="*", Condition={"Bool": {"aws:SecureTransport": "true"}})}
    edit = narrowing(alone)[0]
    assert isinstance(edit.made_in(alone)["Statement"], dict)
    (deny,) = denies_plaintext((), QUEUE)
    assert deny.made_in(alone)["Statement"] == [alone["Statement"], deny.value]
    assert narrowing(alone)[-1].made_in(alone)["Statement"] == []


def test_from_no_policy_one_is_made():
    (deny,) = denies_plaintext((), QUEUE)
    made = deny.made_in(None)
    assert made == policy(deny.value)
    assert plaintext_access(made, queue_arn=QUEUE).found is False


# --- principals --------------------------------------------------------------------------------------------------


def test_principals_that_are_named_beside_everyone_are_kept_and_get_no_condition():
    principal = {"AWS": ["*", ROLE], "Service": ["sns.amazonaws.com"]}
    document = policy(statement(Principal=principal, Condition={"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}))
    put, remove = narrowing(document)
    assert put.made_in(document)["Statement"][0]["Principal"] == {
        "AWS": [ROOT, ROLE],
        "Service": ["sns.amazonaws.com"],
    }
    assert remove.act is Act.REMOVE
    assert str(put) == (
        "in statement number 1, name who may as Principal, or at least the account: "
        f'{{"AWS": ["{ROOT}", "{ROLE}"], "Service": "sns.amazonaws.com"}}'
    )


def test_principals_in_a_list_without_types_become_those_of_type_aws():
    document = policy(statement(Principal=["*", ROLE]))
    assert narrowing(document)[0].made_in(document)["Statement"][0]["Principal"] == {"AWS": [ROOT, ROLE]}


@pytest.mark.parametrize(
    ("operator", "key", "values", "accounts"),
    [
        ("ArnLike", "aws:PrincipalArn", [f"arn:aws:iam::{PARTNER}:role/x", "arn:aws:iam::*:role/y"], [OWN, PARTNER]),
        ("StringLike", "aws:PrincipalAccount", [PARTNER, "7*"], [OWN, PARTNER]),
        ("StringLike", "aws:PrincipalArn", "arn:aws:iam::*:role/y", OWN),
        ("ArnNotLike", "aws:PrincipalArn", f"arn:aws:iam::{PARTNER}:role/x", OWN),
        ("StringLike", "aws:UserAgent", [PARTNER, "x*"], OWN),
    ],
)
def test_accounts_that_the_conditions_name_stay_in(operator: str, key: str, values: Any, accounts: Any):
    document = policy(statement(Condition={operator: {key: values}}))
    (condition,) = [edit for edit in narrowing(document) if edit.act is Act.CONDITION]
    assert condition.value == {"StringEquals": {"aws:PrincipalAccount": accounts}}


def test_digits_in_the_name_of_a_bucket_are_no_account():
    sources = [f"arn:aws:s3:::logs-{PARTNER}", "arn:aws:sns:us-east-1:*:t"]
    document = policy(statement(Condition={"ArnLike": {"aws:SourceArn": sources}}))
    (condition,) = [edit for edit in narrowing(document) if edit.act is Act.CONDITION]
    assert condition.value == {"StringEquals": {"aws:SourceAccount": OWN}}


def test_an_account_is_taken_out_of_every_allow_that_names_it_and_out_of_no_deny():
    document = policy(
        statement(Principal={"AWS": PARTNER}),
        statement(Principal={"AWS": [ROLE, PARTNER, OTHER], "Service": "sns.amazonaws.com"}),
        statement(Principal={"AWS": ROLE, "Service": ["sns.amazonaws.com", "s3.amazonaws.com"]}),
        statement(Principal=None, NotPrincipal={"AWS": PARTNER}),
        statement(Effect="Deny", Principal={"AWS": PARTNER}),
        statement(Principal={"AWS": [OTHER]}),
    )
    edits = takes_account_out(parse(document), PARTNER)
    made = document
    for edit in edits:
        made = edit.made_in(made)
    assert [str(edit) for edit in edits] == [
        f"in statement number 3, take {ROLE} out of the Principal",
        f"in statement number 2, take {ROLE} and {PARTNER} out of the Principal",
        "remove statement number 1",
    ]
    assert made == policy(
        statement(Principal={"AWS": [OTHER], "Service": "sns.amazonaws.com"}),
        statement(Principal={"Service": ["sns.amazonaws.com", "s3.amazonaws.com"]}),
        *document["Statement"][3:],
    )


# --- the VPC -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vpcs", "endpoints", "inside"),
    [
        (["vpc-1"], [], {"aws:SourceVpc": "vpc-1"}),
        ([], ["vpce-1", "vpce-2"], {"aws:SourceVpce": ["vpce-1", "vpce-2"]}),
        (["vpc-1"], ["vpce-1"], {"aws:SourceVpc": "vpc-1", "aws:SourceVpce": "vpce-1"}),
    ],
)
def test_who_comes_from_elsewhere_is_denied(vpcs: list[str], endpoints: list[str], inside: dict[str, Any]):
    assert confines(QUEUE, vpcs, endpoints).value["Condition"] == {"StringNotEquals": inside}


def test_a_pattern_with_a_variable_beside_one_without_does_not_stop_the_judge():
    arns = ["arn:*:iam::111122223333:root", "arn:*:iam::${aws:principalaccount}:root"]
    document = policy(statement(Resource="arn:*:sqs:us-east-1:111122223333:orders"))
    document["Statement"][0]["Condition"] = {"ArnEqualsIfExists": {"aws:PrincipalArn": arns}}
    assert [edit.act for edit in narrowing(document)][-1] is Act.REMOVE
