"""Queue policies: reading a document, and the four questions that rules ask of it."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from safe_sqs.patterns import has_wildcard, matches
from safe_sqs.policy import (
    PolicyError,
    Statement,
    grants_beyond_a_role,
    outside_vpc_access,
    parse,
    plaintext_access,
    public_access,
)
from safe_sqs.policy.document import Condition

OWN, FOREIGN, PARTNER = "111122223333", "444455556666", "777788889999"
QUEUE = f"arn:aws:sqs:us-east-1:{OWN}:orders"
ROLE = {"AWS": f"arn:aws:iam::{OWN}:role/app"}
TOPIC = f"arn:aws:sns:us-east-1:{OWN}:topic"

law = settings(derandomize=True, deadline=None, max_examples=60)


def statement(**elements: Any) -> dict[str, Any]:
    """A statement that is fine, with some elements replaced; those that are None are left out."""
    whole = {"Effect": "Allow", "Principal": ROLE, "Action": "sqs:SendMessage", "Resource": QUEUE} | elements
    return {key: value for key, value in whole.items() if value is not None}


def policy(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def to_anyone(**condition: Any) -> dict[str, Any]:
    """A policy that allows everybody, under a condition if there is one."""
    return policy(statement(Principal="*", Condition=condition or None))


def deny(**elements: Any) -> dict[str, Any]:
    return policy(statement(**({"Effect": "Deny", "Principal": "*", "Action": "sqs:*"} | elements)))


# --- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [None, "", policy(), '{"Statement": []}'])
def test_no_policy_has_no_statements(document):
    assert parse(document) == ()


def test_a_text_and_the_parsed_policy_read_the_same():
    document = policy(statement(Sid="one"), deny()["Statement"][0])
    assert parse(json.dumps(document)) == parse(document)


def test_one_statement_needs_no_list():
    assert parse({"Statement": statement()}) == parse({"Statement": [statement()]})


@pytest.mark.parametrize("top", [{"Version": "2012-10-17"}, {"Version": "2008-10-17"}, {"Id": "some-id"}, {}])
def test_both_versions_and_an_id_are_legal(top):
    assert len(parse({**top, "Statement": [statement()]})) == 1


def test_a_statement_is_read_in_all_its_parts():
    condition = {"StringEquals": {"aws:SourceAccount": OWN, "aws:PrincipalOrgID": ["o-1", "o-2"]}}
    read = parse(policy(statement(Sid="senders", Action=["SQS:SendMessage", "sqs:getqueueurl"], Condition=condition)))
    assert read == (
        Statement(
            label="statement 'senders'",
            sid="senders",
            allows=True,
            principals=(("AWS", ROLE["AWS"]),),
            principals_negated=False,
            actions=("sqs:sendmessage", "sqs:getqueueurl"),
            actions_negated=False,
            resources=(QUEUE,),
            resources_negated=False,
            conditions=(
                Condition("stringequals", "aws:sourceaccount", (OWN,)),
                Condition("stringequals", "aws:principalorgid", ("o-1", "o-2")),
            ),
        ),
    )


def test_the_negated_elements_are_told_apart():
    (read,) = parse(
        policy(
            {
                "Effect": "Deny",
                "NotPrincipal": ROLE,
                "NotAction": ["sqs:GetQueueUrl"],
                "NotResource": QUEUE,
            }
        )
    )
    assert (read.allows, read.principals_negated, read.actions_negated, read.resources_negated) == (
        False,
        True,
        True,
        True,
    )
    assert (read.principals, read.actions, read.resources) == ((("AWS", ROLE["AWS"]),), ("sqs:getqueueurl",), (QUEUE,))


def test_a_statement_without_sid_is_called_by_its_number():
    assert [each.label for each in parse(policy(statement(), statement(Sid=""), statement(Sid="b")))] == [
        "statement number 1",
        "statement number 2",
        "statement 'b'",
    ]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("*", (("AWS", "*"),)),
        ("", (("AWS", ""),)),
        (["*"], (("AWS", "*"),)),
        ([OWN, FOREIGN], (("AWS", OWN), ("AWS", FOREIGN))),
        ({"AWS": "*"}, (("AWS", "*"),)),
        ({"AWS": ""}, (("AWS", ""),)),
        ({"AWS": [OWN, "*"]}, (("AWS", OWN), ("AWS", "*"))),
        ({"Service": "sns.amazonaws.com"}, (("Service", "sns.amazonaws.com"),)),
        ({"Federated": "accounts.example.com"}, (("Federated", "accounts.example.com"),)),
        ({"CanonicalUser": "79a5"}, (("CanonicalUser", "79a5"),)),
        ({"AWS": OWN, "Service": ["a", "b"]}, (("AWS", OWN), ("Service", "a"), ("Service", "b"))),
        ({}, ()),
        ([], ()),
    ],
)
def test_every_way_to_write_a_principal(written, read):
    assert parse(policy(statement(Principal=written)))[0].principals == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (True, ("true",)),
        (False, ("false",)),
        ("false", ("false",)),
        ([True, "false"], ("true", "false")),
        (8192, ("8192",)),
        (1.5, ("1.5",)),
        ([], ()),
    ],
)
def test_condition_values_may_be_scalars_of_json(written, read):
    document = policy(statement(Condition={"Bool": {"aws:SecureTransport": written}}))
    assert parse(json.dumps(document))[0].conditions == (Condition("bool", "aws:securetransport", read),)


@pytest.mark.parametrize("empty", [{}, {"StringEquals": {}}])
def test_an_empty_condition_is_no_condition(empty):
    assert parse(policy(statement(Condition=empty)))[0].conditions == ()


SECOND = "Statement[1]"


@pytest.mark.parametrize(
    ("document", "where", "problem"),
    [
        ("{", "policy", "is not JSON"),
        (" ", "policy", "is not JSON"),
        ("[" * 100_000, "policy", "is not JSON"),
        ("[]", "policy", "is not an object"),
        ("5", "policy", "is not an object"),
        ("null", "policy", "is not an object"),
        (5, "policy", "is not an object"),
        (b"{}", "policy", "is not an object"),
        ('{"Statement": [], "Statement": []}', "policy", "same key twice"),
        ('{"Statement": {"Effect": "Deny", "Effect": "Allow"}}', "policy", "same key twice"),
        ({"Statement": [], "Statements": []}, "policy", "unknown element 'Statements'"),
        ({"statement": []}, "policy", "unknown element 'statement'"),
        ({"Version": "2012-10-18", "Statement": []}, "Version", "is none of"),
        ({"Version": ["2012-10-17"], "Statement": []}, "Version", "is none of"),
        ({"Version": None, "Statement": []}, "Version", "is none of"),
        ({}, "Statement", "is missing"),
        ({"Statement": None}, "Statement", "neither an object nor a list"),
        ({"Statement": "Allow"}, "Statement", "neither an object nor a list"),
        (policy(statement(), "Allow"), SECOND, "is not an object"),
        (policy(statement(), statement(Effects="Allow")), SECOND, "unknown element 'Effects'"),
        (policy(statement(), statement(condition={})), SECOND, "unknown element 'condition'"),
        (policy(statement(), statement(Effect=None)), f"{SECOND}.Effect", "neither Allow nor Deny"),
        (policy(statement(), statement(Effect="allow")), f"{SECOND}.Effect", "neither Allow nor Deny"),
        (policy(statement(), statement(Effect=["Allow"])), f"{SECOND}.Effect", "neither Allow nor Deny"),
        (policy(statement(), statement(Principal=None)), SECOND, "needs one of Principal and NotPrincipal"),
        (policy(statement(), statement(NotPrincipal="*")), SECOND, "needs one of Principal and NotPrincipal"),
        (policy(statement(), statement(Action=None)), SECOND, "needs one of Action and NotAction"),
        (policy(statement(), statement(NotAction="*")), SECOND, "needs one of Action and NotAction"),
        (policy(statement(), statement(Resource=None)), SECOND, "needs one of Resource and NotResource"),
        (policy(statement(), statement(NotResource="*")), SECOND, "needs one of Resource and NotResource"),
        (policy(statement(), statement(Sid=5)), f"{SECOND}.Sid", "is not a string"),
        (policy(statement(), statement(Principal="AWS")), f"{SECOND}.Principal", 'neither "*" nor an object'),
        (policy(statement(), statement(Principal=OWN)), f"{SECOND}.Principal", 'neither "*" nor an object'),
        (policy(statement(), statement(Principal=5)), f"{SECOND}.Principal", 'neither "*" nor an object'),
        (policy(statement(), statement(Principal=["*", 5])), f"{SECOND}.Principal", 'neither "*" nor an object'),
        (policy(statement(), statement(Principal={"aws": "*"})), f"{SECOND}.Principal", "unknown element 'aws'"),
        (policy(statement(), statement(Principal={"AWS": 5})), f"{SECOND}.Principal.AWS", "is not a string"),
        (policy(statement(), statement(Principal={"AWS": {"a": "b"}})), f"{SECOND}.Principal.AWS", "not a string"),
        (
            policy(statement(), statement(Principal=None, NotPrincipal=5)),
            f"{SECOND}.NotPrincipal",
            'neither "*" nor an object',
        ),
        (policy(statement(), statement(Action=True)), f"{SECOND}.Action", "is not a string"),
        (policy(statement(), statement(Action=["sqs:*", 1])), f"{SECOND}.Action", "is not a string"),
        (policy(statement(), statement(Action=None, NotAction={})), f"{SECOND}.NotAction", "is not a string"),
        (policy(statement(), statement(Resource=[["*"]])), f"{SECOND}.Resource", "is not a string"),
        (policy(statement(), statement(Condition=[])), f"{SECOND}.Condition", "is not an object"),
        (policy(statement(), statement(Condition="Bool")), f"{SECOND}.Condition", "is not an object"),
        (policy(statement(), statement(Condition={"Bool": "x"})), f"{SECOND}.Condition.Bool", "is not an object"),
        (
            policy(statement(), statement(Condition={"Bool": {"aws:SecureTransport": None}})),
            f"{SECOND}.Condition.Bool.aws:SecureTransport",
            "is not a string",
        ),
        (
            policy(statement(), statement(Condition={"Bool": {"aws:SecureTransport": {"a": "b"}}})),
            f"{SECOND}.Condition.Bool.aws:SecureTransport",
            "is not a string",
        ),
    ],
)
def test_what_the_grammar_does_not_know_is_an_error_that_names_the_place(document, where, problem):
    with pytest.raises(PolicyError) as caught:
        parse(document)
    assert caught.value.where == where
    assert problem in caught.value.problem
    assert str(caught.value) == f"{where}: {caught.value.problem}"


def test_a_policy_error_pickles():
    error = pickle.loads(pickle.dumps(PolicyError("Version", "is wrong")))
    assert (error.where, error.problem, str(error)) == ("Version", "is wrong", "Version: is wrong")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.sampled_from(["*", "", "Allow", "Deny", OWN, QUEUE, "sqs:*", "2012-10-17", "${aws:x}"])
LOOSE = st.one_of(TEXTS, JSON, st.lists(TEXTS, max_size=2))
LOOSE_STATEMENT = st.fixed_dictionaries(
    {},
    optional={
        "Sid": LOOSE,
        "Effect": st.sampled_from(["Allow", "Deny"]) | LOOSE,
        "Principal": st.dictionaries(st.sampled_from(["AWS", "Service", "aws"]), LOOSE, max_size=2) | LOOSE,
        "NotPrincipal": LOOSE,
        "Action": LOOSE,
        "NotAction": LOOSE,
        "Resource": LOOSE,
        "Condition": st.dictionaries(st.text(max_size=4), st.dictionaries(st.text(max_size=4), LOOSE, max_size=2))
        | LOOSE,
    },
)
LOOSE_POLICY = st.fixed_dictionaries(
    {},
    optional={"Version": LOOSE, "Id": LOOSE, "Statement": st.lists(LOOSE_STATEMENT, max_size=2) | LOOSE_STATEMENT},
)


@law
@given(st.text() | JSON.map(json.dumps) | LOOSE_POLICY.map(json.dumps) | JSON | LOOSE_POLICY)
@example('{"Statement": ' + "9" * 5_000 + "}")
@example("\ud800")
def test_every_input_is_statements_or_a_policy_error(document):
    try:
        statements = parse(document)
    except PolicyError as error:
        assert error.where
        assert error.problem
    else:
        assert all(type(each) is Statement for each in statements)


# --- wildcards ---------------------------------------------------------------------------------------------------


def reference(pattern: str, text: str) -> bool:
    parts = ({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


@law
@given(st.text(alphabet="ab*?\n.", max_size=7), st.text(alphabet="ab*?\n.", max_size=9))
@example("a*b*", "ab")
@example("*ab", "aab")
@example("**", "")
def test_matching_agrees_with_a_slow_reference(pattern, text):
    assert matches(pattern, text) == reference(pattern, text)


@law
@given(st.text(max_size=12))
def test_a_text_fits_itself_and_a_star(text):
    assert matches("*", text)
    assert has_wildcard(text) or matches(text, text)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (QUEUE, QUEUE, True),
        (QUEUE, QUEUE.upper(), False),
        ("arn:aws:sqs:*:*:orders", QUEUE, True),
        ("arn:aws:sqs:*:*:order?", QUEUE, True),
        ("arn:aws:sqs:*:*:order", QUEUE, False),
        ("", "", True),
        ("", "a", False),
        ("?", "", False),
        ("a.c", "abc", False),
    ],
)
def test_only_star_and_question_mark_are_special(pattern, text, fits):
    assert matches(pattern, text) is fits


def test_a_pattern_full_of_stars_takes_no_time():
    assert not matches("*a" * 2_000 + "b", "a" * 4_000)


@pytest.mark.parametrize(("pattern", "wild"), [("a*", True), ("a?", True), ("a", False), ("", False), ("[a]", False)])
def test_what_counts_as_a_wildcard(pattern, wild):
    assert has_wildcard(pattern) is wild


# --- public access -----------------------------------------------------------------------------------------------


def on(operator: str, key: str, *values: str) -> dict[str, Any]:
    """A policy for everybody with one line of condition."""
    return to_anyone(**{operator: {key: list(values)}})


PUBLIC = {
    "a star is everybody": to_anyone(),
    "an empty principal is everybody, by the words of the AWS page": policy(statement(Principal="")),
    "a star of type AWS": policy(statement(Principal={"AWS": "*"})),
    "an empty text of type AWS": policy(statement(Principal={"AWS": ""})),
    "a star in a list": policy(statement(Principal={"AWS": [ROLE["AWS"], "*"]})),
    "a star in a bare list": policy(statement(Principal=["*"])),
    "a star beside a service": policy(statement(Principal={"Service": "sns.amazonaws.com", "AWS": "*"})),
    "anybody of any identity provider": policy(statement(Principal={"Federated": "*"})),
    "any service": policy(statement(Principal={"Service": "*"})),
    "any account": policy(statement(Principal={"AWS": "arn:aws:iam::*:root"})),
    "everybody but one": policy(statement(Principal=None, NotPrincipal=ROLE)),
    "every action but one": policy(statement(Principal="*", Action=None, NotAction="sqs:DeleteQueue")),
    "one bad statement among good ones": policy(statement(), statement(Principal="*"), statement()),
    "an Allow beside a Deny for somebody else": policy(
        statement(Principal="*"), statement(Effect="Deny", Principal={"AWS": FOREIGN})
    ),
    "an old version": {"Version": "2008-10-17", "Statement": statement(Principal="*")},
    "no version": {"Statement": statement(Principal="*")},
    "HTTPS is open to everybody": on("Bool", "aws:SecureTransport", "true"),
    "a time is open to everybody": on("DateLessThan", "aws:CurrentTime", "2030-01-01T00:00:00Z"),
    "a referer is chosen by the caller": on("StringEquals", "aws:Referer", "https://example.com/"),
    "a user agent is chosen by the caller": on("StringEquals", "aws:UserAgent", "orders/1.0"),
    "a tag is chosen by the caller's account": on("StringEquals", "aws:PrincipalTag/team", "orders"),
    "every account has principals of this type": on("StringEquals", "aws:PrincipalType", "AssumedRole"),
    "a key that nobody knows": on("StringEquals", "aws:SomethingNew", OWN),
    "any account number": on("StringLike", "aws:SourceAccount", "*"),
    "twelve of any letter": on("StringLike", "aws:SourceAccount", "????????????"),
    "any organisation": on("StringLike", "aws:PrincipalOrgID", "o-*"),
    "any VPC": on("StringLike", "aws:SourceVpc", "vpc-*"),
    "any VPC endpoint": on("StringLike", "aws:SourceVpce", "vpce-*"),
    "one fixed account, or any": on("StringLike", "aws:SourceAccount", OWN, "*"),
    "no value at all": on("StringEquals", "aws:SourceAccount"),
    "an empty value": on("StringEquals", "aws:SourceAccount", ""),
    "the caller's own account": on("StringEquals", "aws:SourceAccount", "${aws:PrincipalAccount}"),
    "not one account, so all others": on("StringNotEquals", "aws:PrincipalAccount", FOREIGN),
    "not one ARN, so all others": on("ArnNotEquals", "aws:SourceArn", TOPIC),
    "not one address, so all others": on("NotIpAddress", "aws:SourceIp", "203.0.113.0/24"),
    "a request that lacks the key passes IfExists": on("StringEqualsIfExists", "aws:SourceVpce", "vpce-1"),
    "an ARN that lacks passes IfExists": on("ArnLikeIfExists", "aws:SourceArn", TOPIC),
    "an address that lacks passes IfExists": on("IpAddressIfExists", "aws:SourceIp", "203.0.113.0/24"),
    "a request that lacks the key passes ForAllValues": on("ForAllValues:StringEquals", "aws:PrincipalOrgID", "o-1"),
    "being there is not being the right one": on("Null", "aws:PrincipalOrgID", "false"),
    "every topic": on("ArnLike", "aws:SourceArn", "arn:aws:sns:*:*:*"),
    "anything at all": on("ArnLike", "aws:SourceArn", "*"),
    "a text that is no ARN": on("StringEquals", "aws:SourceArn", "topic"),
    "an account in which the last digit is open": on(
        "ArnLike", "aws:SourceArn", "arn:aws:sns:us-east-1:11112222333?:t"
    ),
    "an ARN without an account": on("ArnEquals", "aws:SourceArn", "arn:aws:sns:us-east-1::topic"),
    "any role of this name": on("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/app"),
    "any bucket": on("ArnLike", "aws:SourceArn", "arn:aws:s3:*:*:*"),
    "any bucket that begins so": on("ArnLike", "aws:SourceArn", "arn:aws:s3:::orders-*"),
    "an account number in the name of any bucket": on("ArnLike", "aws:SourceArn", f"arn:aws:s3:::*-{OWN}"),
    "a pattern in which the account may be part of a name": on("StringLike", "aws:SourceArn", f"*:{OWN}:*"),
    "stars of StringLike go across the colons": on("StringLike", "aws:SourceArn", f"arn:aws:*:*:{OWN}:*"),
    "the whole internet": on("IpAddress", "aws:SourceIp", "0.0.0.0/0"),
    "half the internet": on("IpAddress", "aws:SourceIp", "128.0.0.0/1"),
    "a quarter, whose ends are private": on("IpAddress", "aws:SourceIp", "192.0.0.0/2"),
    "a block wider than /8": on("IpAddress", "aws:SourceIp", "54.0.0.0/7"),
    "one office, and the whole internet": on("IpAddress", "aws:SourceIp", "203.0.113.0/24", "0.0.0.0/0"),
    "the whole internet, version 6": on("IpAddress", "aws:SourceIp", "::/0"),
    "all global addresses, version 6": on("IpAddress", "aws:SourceIp", "2000::/3"),
    "a block wider than /32": on("IpAddress", "aws:SourceIp", "2a05:d000::/31"),
    "no address": on("IpAddress", "aws:SourceIp", "office"),
    "two conditions that both leave it open": to_anyone(
        Bool={"aws:SecureTransport": "true"}, StringLike={"aws:PrincipalOrgID": "*"}
    ),
}

NOT_PUBLIC = {
    "no policy": None,
    "an empty text": "",
    "no statement": policy(),
    "a role": policy(statement()),
    "the own account": policy(statement(Principal={"AWS": f"arn:aws:iam::{OWN}:root"})),
    "a foreign account is sharing": policy(statement(Principal={"AWS": FOREIGN})),
    "nobody": policy(statement(Principal={"AWS": []})),
    "a service alone is another danger": policy(statement(Principal={"Service": "sns.amazonaws.com"})),
    "denied to everybody": deny(),
    "denied to everybody but one": deny(Principal=None, NotPrincipal=ROLE),
    "a fixed account": on("StringEquals", "aws:PrincipalAccount", OWN),
    "a fixed source account": on("StringEquals", "aws:SourceAccount", OWN),
    "a fixed source owner": on("StringEquals", "aws:SourceOwner", OWN),
    "a fixed organisation": on("StringEquals", "aws:PrincipalOrgID", "o-abcdefghij"),
    "an organisation by StringLike without a star": on("StringLike", "aws:PrincipalOrgID", "o-abcdefghij"),
    "an organisation in any letter case": on("StringEqualsIgnoreCase", "aws:PrincipalOrgID", "O-ABCDEFGHIJ"),
    "one of some values is the organisation": on("ForAnyValue:StringEquals", "aws:PrincipalOrgID", "o-abcdefghij"),
    "a fixed source organisation": on("StringEquals", "aws:SourceOrgID", "o-abcdefghij"),
    "a fixed VPC": on("StringEquals", "aws:SourceVpc", "vpc-0a1b"),
    "a fixed VPC endpoint": on("StringEquals", "aws:SourceVpce", "vpce-0a1b"),
    "two fixed VPC endpoints": on("StringEquals", "aws:SourceVpce", "vpce-0a1b", "vpce-0c2d"),
    "a fixed user id": on("StringEquals", "aws:userid", "AIDAEXAMPLEEXAMPLE012"),
    "a fixed ARN": on("ArnEquals", "aws:SourceArn", TOPIC),
    "every topic of one account": on("ArnLike", "aws:SourceArn", f"arn:aws:sns:*:{OWN}:*"),
    "everything of one account, part by part": on("ArnLike", "aws:SourceArn", f"arn:aws:*:*:{OWN}:*"),
    "every role of one account": on("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{OWN}:role/*"),
    "operators and keys in another letter case": on("STRINGEQUALS", "AWS:SOURCEACCOUNT", OWN),
    "one office": on("IpAddress", "aws:SourceIp", "203.0.113.0/24"),
    "one address": on("IpAddress", "aws:SourceIp", "203.0.113.7"),
    "a block of /8": on("IpAddress", "aws:SourceIp", "54.0.0.0/8"),
    "private addresses": on("IpAddress", "aws:SourceIp", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "a block with host bits": on("IpAddress", "aws:SourceIp", "203.0.113.7/24"),
    "one block, version 6": on("IpAddress", "aws:SourceIp", "2a05:d000::/32"),
    "private addresses, version 6": on("IpAddress", "aws:SourceIp", "fc00::/7", "fe80::/10"),
    "an open condition and one that narrows": to_anyone(
        Bool={"aws:SecureTransport": "true"}, StringEquals={"aws:PrincipalOrgID": "o-1"}
    ),
    "an open key and one that narrows": to_anyone(
        StringEquals={"aws:UserAgent": "orders/1.0", "aws:PrincipalOrgID": "o-1"}
    ),
    "S3 as its guide writes it": policy(
        statement(
            Principal={"Service": "s3.amazonaws.com"},
            Condition={
                "ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:orders"},
                "StringEquals": {"aws:SourceAccount": OWN},
            },
        )
    ),
    "S3 as it was written before": on("ArnLike", "aws:SourceArn", "arn:aws:s3:*:*:orders"),
    "S3 by the plain name of a bucket": on("StringEquals", "aws:SourceArn", "arn:aws:s3:::orders"),
    "SNS as its guide writes it": policy(
        statement(Principal={"Service": "sns.amazonaws.com"}, Condition={"ArnEquals": {"aws:SourceArn": TOPIC}})
    ),
    "SNS as the console wrote it": on("StringLike", "aws:SourceArn", TOPIC),
    "EventBridge as its guide writes it": policy(
        statement(
            Principal={"Service": "events.amazonaws.com"},
            Condition={"ArnEquals": {"aws:SourceArn": f"arn:aws:events:us-east-1:{OWN}:rule/nightly"}},
        )
    ),
    "EventBridge for everybody with the rule": on(
        "ArnEquals", "aws:SourceArn", f"arn:aws:events:us-east-1:{OWN}:rule/nightly"
    ),
}


@pytest.mark.parametrize("document", PUBLIC.values(), ids=PUBLIC.keys())
def test_public(document):
    assert public_access(document).found


@pytest.mark.parametrize("document", NOT_PUBLIC.values(), ids=NOT_PUBLIC.keys())
def test_not_public(document):
    assert public_access(document) == (False, ())


def test_every_public_statement_is_named_in_order():
    document = policy(
        statement(Sid="first", Principal="*"),
        statement(Sid="fine"),
        statement(Sid="second", Principal={"AWS": "*"}),
    )
    assert [each.sid for each in public_access(document).statements] == ["first", "second"]


ALL_POLICIES = [*PUBLIC.values(), *filter(None, NOT_PUBLIC.values())]


@law
@given(st.sampled_from(ALL_POLICIES), st.sampled_from(ALL_POLICIES))
def test_order_means_nothing_and_one_public_statement_is_enough(one, other):
    both = [*_statements(one), *_statements(other)]
    forward, backward = public_access(policy(*both)).found, public_access(policy(*reversed(both))).found
    assert forward == backward == (public_access(one).found or public_access(other).found)


@law
@given(st.sampled_from(ALL_POLICIES))
def test_a_deny_never_opens(document):
    added = policy(*_statements(document), *deny()["Statement"])
    assert public_access(added).found <= public_access(document).found


@law
@given(st.sampled_from(ALL_POLICIES))
def test_a_narrowing_condition_closes_whatever_it_joins(document):
    narrowed = [
        {**each, "Condition": {**each.get("Condition", {}), "StringEquals": {"aws:SourceAccount": OWN}}}
        for each in _statements(document)
    ]
    assert not public_access(policy(*narrowed)).found


@law
@given(st.sampled_from(ALL_POLICIES))
def test_letter_case_of_actions_operators_and_keys_means_nothing(document):
    shouted = [
        {
            **each,
            **{key: _shout(each[key]) for key in ("Action", "NotAction") if key in each},
            "Condition": {
                operator.upper(): {key.upper(): values for key, values in keys.items()}
                for operator, keys in each.get("Condition", {}).items()
            },
        }
        for each in _statements(document)
    ]
    assert public_access(policy(*shouted)).found == public_access(document).found


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    statements = document["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _shout(value: str | list[str]) -> str | list[str]:
    return value.upper() if isinstance(value, str) else [each.upper() for each in value]


# --- plain HTTP --------------------------------------------------------------------------------------------------

INSECURE = {"Bool": {"aws:SecureTransport": "false"}}

HTTPS_ONLY = {
    "as AWS writes it": deny(Condition=INSECURE),
    "the service in capitals": deny(Action="SQS:*", Condition=INSECURE),
    "every action of AWS": deny(Action="*", Condition=INSECURE),
    "the three that move messages": deny(
        Action=["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"], Condition=INSECURE
    ),
    "the three by patterns": deny(Action=["sqs:*Message"], Condition=INSECURE),
    "a principal of type AWS": deny(Principal={"AWS": "*"}, Condition=INSECURE),
    "a principal in a list": deny(Principal={"AWS": ["*"]}, Condition=INSECURE),
    "every resource": deny(Resource="*", Condition=INSECURE),
    "a pattern of queues": deny(Resource="arn:aws:sqs:*:*:ord*", Condition=INSECURE),
    "this queue among others": deny(Resource=["arn:aws:sqs:us-east-1:1:x", QUEUE], Condition=INSECURE),
    "the word of JSON": deny(Condition={"Bool": {"aws:SecureTransport": False}}),
    "a list of one": deny(Condition={"Bool": {"aws:SecureTransport": ["false"]}}),
    "IfExists, which denies no less": deny(Condition={"BoolIfExists": {"aws:SecureTransport": "false"}}),
    "other letter case": deny(Condition={"bool": {"AWS:securetransport": "false"}}),
    "beside an Allow": policy(statement(), *deny(Condition=INSECURE)["Statement"]),
}

PLAIN_HTTP = {
    "no policy": None,
    "no statement": policy(),
    "an Allow over HTTPS only does not stop what an identity policy allows": policy(
        statement(Principal="*", Condition={"Bool": {"aws:SecureTransport": "true"}})
    ),
    "the condition is the wrong way round": deny(Condition={"Bool": {"aws:SecureTransport": "true"}}),
    "an Allow where a Deny was meant": policy(statement(Principal="*", Action="sqs:*", Condition=INSECURE)),
    "only one principal is denied": deny(Principal=ROLE, Condition=INSECURE),
    "only one account is denied": deny(Principal={"AWS": OWN}, Condition=INSECURE),
    "only services are denied": deny(Principal={"Service": "*"}, Condition=INSECURE),
    "an empty principal is not a star": deny(Principal="", Condition=INSECURE),
    "one principal is left out": deny(Principal=None, NotPrincipal=ROLE, Condition=INSECURE),
    "everybody is left out": deny(Principal=None, NotPrincipal={"AWS": "*"}, Condition=INSECURE),
    "all of SQS is left out": deny(Action=None, NotAction=["sqs:*"], Condition=INSECURE),
    "receiving and deleting are left out": deny(Action="sqs:SendMessage", Condition=INSECURE),
    "deleting is left out": deny(Action=["sqs:SendMessage", "sqs:ReceiveMessage"], Condition=INSECURE),
    "sending is left out": deny(Action=None, NotAction="sqs:SendMessage", Condition=INSECURE),
    "another queue": deny(Resource="arn:aws:sqs:us-east-1:111122223333:invoices", Condition=INSECURE),
    "the same name in another region": deny(Resource="arn:aws:sqs:eu-west-1:111122223333:orders", Condition=INSECURE),
    "letter case of a queue's name counts": deny(Resource=QUEUE.upper(), Condition=INSECURE),
    "this queue is left out": deny(Resource=None, NotResource=QUEUE, Condition=INSECURE),
    "a further condition leaves a gap": deny(Condition=INSECURE | {"StringEquals": {"aws:SourceVpc": "vpc-1"}}),
    "a further key leaves a gap": deny(
        Condition={"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}}
    ),
    "another key": deny(Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}),
    "another operator": deny(Condition={"Null": {"aws:SecureTransport": "false"}}),
}


@pytest.mark.parametrize("document", HTTPS_ONLY.values(), ids=HTTPS_ONLY.keys())
def test_plain_http_is_denied(document):
    assert not plaintext_access(document, queue_arn=QUEUE).found


@pytest.mark.parametrize("document", PLAIN_HTTP.values(), ids=PLAIN_HTTP.keys())
def test_plain_http_is_not_denied(document):
    assert plaintext_access(document, queue_arn=QUEUE).found


@pytest.mark.parametrize("key", HTTPS_ONLY)
@law
@given(document=st.sampled_from(ALL_POLICIES))
def test_nothing_that_is_added_takes_the_denial_away(key, document):
    added = policy(*_statements(document), *_statements(HTTPS_ONLY[key]), *_statements(document))
    assert not plaintext_access(added, queue_arn=QUEUE).found


def test_without_the_queues_name_only_a_denial_for_every_resource_counts():
    assert not plaintext_access(deny(Resource="*", Condition=INSECURE), queue_arn="").found
    assert plaintext_access(deny(Resource=QUEUE, Condition=INSECURE), queue_arn="").found


# --- outside the VPC ---------------------------------------------------------------------------------------------


def outside(**keys: Any) -> dict[str, Any]:
    """A Deny for whoever does not come from these."""
    return deny(Condition={"StringNotEquals": {f"aws:{key}": value for key, value in keys.items()}})


ENDPOINT = {"vpc_endpoints": ["vpce-1"]}

CONFINED = {
    "to the endpoint": (outside(SourceVpce="vpce-1"), ENDPOINT),
    "to the VPC": (outside(SourceVpc="vpc-1"), {"vpcs": ["vpc-1"]}),
    "to one of the endpoints": (outside(SourceVpce="vpce-1"), {"vpc_endpoints": ["vpce-1", "vpce-2"]}),
    "to both endpoints": (outside(SourceVpce=["vpce-1", "vpce-2"]), {"vpc_endpoints": ["vpce-1", "vpce-2"]}),
    "to the VPC or the endpoint": (
        outside(SourceVpc="vpc-1", SourceVpce="vpce-1"),
        {"vpcs": ["vpc-1"], "vpc_endpoints": ["vpce-1"]},
    ),
    "to any fixed endpoint, when none is configured": (outside(SourceVpce="vpce-9"), {}),
    "to any fixed VPC, when none is configured": (outside(SourceVpc="vpc-9"), {}),
    "by IfExists, which denies no less": (
        deny(Condition={"StringNotEqualsIfExists": {"aws:SourceVpce": "vpce-1"}}),
        ENDPOINT,
    ),
    "beside other statements": (policy(statement(), *_statements(outside(SourceVpce="vpce-1"))), ENDPOINT),
    "with a star for the resource": (
        deny(Resource="*", Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}),
        ENDPOINT,
    ),
}

NOT_CONFINED = {
    "no policy": (None, {}),
    "no statement": (policy(), ENDPOINT),
    "an Allow for the endpoint does not stop an identity policy": (
        on("StringEquals", "aws:SourceVpce", "vpce-1"),
        ENDPOINT,
    ),
    "the condition is the wrong way round": (deny(Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}}), ENDPOINT),
    "an Allow where a Deny was meant": (
        to_anyone(StringNotEquals={"aws:SourceVpce": "vpce-1"}),
        ENDPOINT,
    ),
    "another endpoint": (outside(SourceVpce="vpce-9"), ENDPOINT),
    "an endpoint and a foreign one": (outside(SourceVpce=["vpce-1", "vpce-9"]), ENDPOINT),
    "a VPC where an endpoint is configured": (outside(SourceVpc="vpc-1"), ENDPOINT),
    "an endpoint where a VPC is configured": (outside(SourceVpce="vpce-1"), {"vpcs": ["vpc-1"]}),
    "the VPC, or a foreign endpoint": (outside(SourceVpc="vpc-1", SourceVpce="vpce-9"), {"vpcs": ["vpc-1"]}),
    "a wildcard": (outside(SourceVpce="vpce-*"), {}),
    "a question mark": (outside(SourceVpce="vpce-?"), {}),
    "a pattern operator": (deny(Condition={"StringNotLike": {"aws:SourceVpce": "vpce-1"}}), ENDPOINT),
    "a variable": (outside(SourceVpce="${aws:SourceVpce}"), {}),
    "no value": (outside(SourceVpce=[]), {}),
    "no condition key": (deny(Condition={"StringNotEquals": {}}), {}),
    "an address in place of a VPC": (outside(SourceIp="10.0.0.0/8"), {}),
    "a further condition leaves a gap": (
        deny(Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}, "Bool": {"aws:SecureTransport": "false"}}),
        ENDPOINT,
    ),
    "only one principal is denied": (
        deny(Principal=ROLE, Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}),
        ENDPOINT,
    ),
    "receiving is left out": (
        deny(Action="sqs:SendMessage", Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}),
        ENDPOINT,
    ),
    "another queue": (
        deny(Resource=f"{QUEUE}-2", Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}),
        ENDPOINT,
    ),
}


@pytest.mark.parametrize(("document", "allowed"), CONFINED.values(), ids=CONFINED.keys())
def test_access_is_confined(document, allowed):
    assert not outside_vpc_access(document, queue_arn=QUEUE, **allowed).found


@pytest.mark.parametrize(("document", "allowed"), NOT_CONFINED.values(), ids=NOT_CONFINED.keys())
def test_access_is_not_confined(document, allowed):
    assert outside_vpc_access(document, queue_arn=QUEUE, **allowed).found


# --- more than a role --------------------------------------------------------------------------------------------

SENDS = ["sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
RECEIVES = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
ADMINISTERS = ["sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:ListQueueTags", "sqs:PurgeQueue"]


def granting(*actions: str, **elements: Any) -> dict[str, Any]:
    return policy(statement(Action=list(actions), **elements))


FITS_A_ROLE = {
    "no policy": (None, []),
    "a producer": (granting(*SENDS), []),
    "a consumer": (granting(*RECEIVES), []),
    "an administrator": (granting(*ADMINISTERS), []),
    "only reads": (granting("sqs:GetQueueUrl", "sqs:ListDeadLetterSourceQueues"), []),
    "other letter case": (granting("SQS:sendmessage"), []),
    "a wide Deny": (deny(), []),
    "the own account as AWS writes it": (granting("SQS:*", Principal={"AWS": f"arn:aws:iam::{OWN}:root"}), [PARTNER]),
    "the own account by its number": (granting("SQS:*", Principal={"AWS": OWN}), [PARTNER]),
    "the own account in China": (granting("SQS:*", Principal={"AWS": f"arn:aws-cn:iam::{OWN}:root"}), []),
    "the own account in GovCloud": (granting("SQS:*", Principal={"AWS": f"arn:aws-us-gov:iam::{OWN}:root"}), []),
    "a foreign account, when no accounts are trusted by name": (granting(*SENDS, Principal={"AWS": FOREIGN}), []),
    "a trusted account": (granting(*SENDS, Principal={"AWS": PARTNER}), [PARTNER]),
    "a role of a trusted account": (granting(*SENDS, Principal={"AWS": f"arn:aws:iam::{PARTNER}:role/x"}), [PARTNER]),
    "a role of the own account": (granting(*SENDS), [PARTNER]),
    "a service": (granting(*SENDS, Principal={"Service": "sns.amazonaws.com"}), [PARTNER]),
}

BEYOND_A_ROLE = {
    "every action of SQS": (granting("sqs:*"), []),
    "every action of AWS": (granting("*"), []),
    "a pattern of actions": (granting("sqs:Send*"), []),
    "a pattern with one open letter": (granting("sqs:SendMessag?"), []),
    "everything but": (policy(statement(Action=None, NotAction="sqs:DeleteQueue")), []),
    "sending and administering": (granting("sqs:SendMessage", "sqs:PurgeQueue"), []),
    "receiving and administering": (granting("sqs:ReceiveMessage", "sqs:TagQueue"), []),
    "deleting messages and queues": (granting("sqs:DeleteMessage", "sqs:DeleteQueue"), []),
    "sending and receiving": (granting("sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"), []),
    "sending, and something unknown": (granting("sqs:SendMessage", "sqs:SomethingNew"), []),
    "the own account, and somebody else": (
        granting("sqs:*", Principal={"AWS": [OWN, f"arn:aws:iam::{FOREIGN}:root"]}),
        [],
    ),
    "everybody but the own account": (policy(statement(Principal=None, NotPrincipal={"AWS": OWN}, Action="sqs:*")), []),
    "a foreign account": (granting(*SENDS, Principal={"AWS": FOREIGN}), [PARTNER]),
    "a role of a foreign account": (granting(*SENDS, Principal={"AWS": f"arn:aws:iam::{FOREIGN}:role/x"}), [PARTNER]),
    "a trusted account and a foreign one": (granting(*SENDS, Principal={"AWS": [PARTNER, FOREIGN]}), [PARTNER]),
    "somebody who was deleted": (granting(*SENDS, Principal={"AWS": "AIDAEXAMPLEEXAMPLE012"}), [PARTNER]),
}


@pytest.mark.parametrize(("document", "trusted"), FITS_A_ROLE.values(), ids=FITS_A_ROLE.keys())
def test_the_grant_fits_a_role(document, trusted):
    assert not grants_beyond_a_role(document, queue_arn=QUEUE, trusted_accounts=trusted).found


@pytest.mark.parametrize(("document", "trusted"), BEYOND_A_ROLE.values(), ids=BEYOND_A_ROLE.keys())
def test_the_grant_goes_beyond_a_role(document, trusted):
    assert grants_beyond_a_role(document, queue_arn=QUEUE, trusted_accounts=trusted).found


def test_every_wide_grant_is_named_in_order():
    document = policy(statement(Sid="a", Action="sqs:*"), statement(Sid="b"), statement(Sid="c", Action="*"))
    assert [each.sid for each in grants_beyond_a_role(document, queue_arn=QUEUE).statements] == ["a", "c"]


def test_without_the_queues_name_no_account_is_its_own():
    whole_account = granting("SQS:*", Principal={"AWS": f"arn:aws:iam::{OWN}:root"})
    assert grants_beyond_a_role(whole_account, queue_arn="").found


@pytest.mark.parametrize(
    "ask",
    [
        public_access,
        lambda document: plaintext_access(document, queue_arn=QUEUE),
        lambda document: outside_vpc_access(document, queue_arn=QUEUE),
        lambda document: grants_beyond_a_role(document, queue_arn=QUEUE),
    ],
    ids=["public", "plain HTTP", "outside the VPC", "beyond a role"],
)
def test_no_question_is_answered_about_a_policy_that_cannot_be_read(ask):
    with pytest.raises(PolicyError):
        ask('{"Statement": 5}')
