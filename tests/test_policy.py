"""Queue policies: reading a document, and the questions that rules ask of it."""

from __future__ import annotations

import itertools
import json
import pickle
import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from safe_sqs.patterns import has_wildcard, matches
from safe_sqs.policy import (
    Answer,
    Decision,
    PolicyError,
    Request,
    Statement,
    closes_plaintext,
    decide,
    foreign_accounts,
    grants,
    outside_vpc_access,
    parse,
    plaintext_access,
    public_access,
    public_findings,
)
from safe_sqs.policy.addresses import PRIVATE, an_address, fixed_blocks
from safe_sqs.policy.document import a_condition
from safe_sqs.policy.operators import operator_named
from safe_sqs.policy.questions import public_statements
from safe_sqs.policy.spelling import Budget, Demand, Slice, TooCostlyError, read_view, spell, spell_plainly
from safe_sqs.policy.texts import Pattern, Variable, Wild, by_part, has_six_parts, read_pattern, substitute

OWN, FOREIGN, PARTNER = "111122223333", "444455556666", "777788889999"
QUEUE = f"arn:aws:sqs:us-east-1:{OWN}:orders"
ROLE = {"AWS": f"arn:aws:iam::{OWN}:role/app"}
TOPIC = f"arn:aws:sns:us-east-1:{OWN}:topic"
INSECURE = {"Bool": {"aws:SecureTransport": "false"}}

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
            position=0,
            sid="senders",
            allows=True,
            principals=(("AWS", ROLE["AWS"]),),
            principals_negated=False,
            actions=("sqs:sendmessage", "sqs:getqueueurl"),
            actions_negated=False,
            resources=(QUEUE,),
            resources_negated=False,
            conditions=(
                a_condition(operator_named("StringEquals"), "aws:sourceaccount", (OWN,), variables=True),
                a_condition(operator_named("StringEquals"), "aws:principalorgid", ("o-1", "o-2"), variables=True),
            ),
            variables=True,
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
    read = parse(policy(statement(), statement(Sid=""), statement(Sid="b")))
    assert [each.label for each in read] == ["statement number 1", "statement number 2", "statement 'b'"]
    assert [each.name for each in read] == [0, 1, "b"]


def test_the_identity_of_a_statement_is_all_that_it_says_but_not_its_place():
    first, second, third = parse(policy(statement(), statement(), statement(Sid="b")))
    assert first.identity == second.identity != third.identity


@pytest.mark.parametrize(("version", "known"), [("2012-10-17", True), ("2008-10-17", False), (None, False)])
def test_only_the_newer_version_knows_variables(version, known):
    document = {"Version": version, "Statement": statement(Condition={"StringEquals": {"a": "b"}})}
    (read,) = parse({key: value for key, value in document.items() if value})
    assert (read.variables, read.conditions[0].variables) == (known, known)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("*", (("AWS", "*"),)),
        ("", (("AWS", ""),)),
        (["*"], (("", "*"),)),
        ([OWN, FOREIGN], (("", OWN), ("", FOREIGN))),
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
    assert parse(json.dumps(document))[0].conditions == (
        a_condition(operator_named("bool"), "aws:securetransport", read, variables=True),
    )


@pytest.mark.parametrize("empty", [{}, {"StringEquals": {}}])
def test_an_empty_condition_is_no_condition(empty):
    assert parse(policy(statement(Condition=empty)))[0].conditions == ()


@pytest.mark.parametrize(("values", "size"), [(("x",), 1), (("x", "y"), 2), (("x" * 63,), 1), (("x" * 640, ""), 12)])
def test_a_line_costs_a_step_for_each_value_and_for_each_64_letters(values, size):
    assert a_condition(operator_named("StringEquals"), "aws:key", values, variables=False).size == size


SECOND = "Statement[1]"
NO_STRING = "is not a string or a list of strings"


def one_of(plain: str, negated: str) -> str:
    return f"needs one of {plain} and {negated}, and only one"


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
        ('{"Statement": [], "Statement": []}', "policy", "has the same key twice in one object"),
        ('{"Statement": {"Effect": "Deny", "Effect": "Allow"}}', "policy", "has the same key twice in one object"),
        ({"Id": 5, "Statement": []}, "Id", "is not a string"),
        ({"Statement": [], "Statements": []}, "policy", "has the unknown element 'Statements'"),
        ({"statement": []}, "policy", "has the unknown element 'statement'"),
        ({"Version": "2012-10-18", "Statement": []}, "Version", "is none of 2012-10-17, 2008-10-17"),
        ({"Version": ["2012-10-17"], "Statement": []}, "Version", "is none of 2012-10-17, 2008-10-17"),
        ({"Version": None, "Statement": []}, "Version", "is none of 2012-10-17, 2008-10-17"),
        ({}, "Statement", "is missing or neither an object nor a list"),
        ({"Statement": None}, "Statement", "is missing or neither an object nor a list"),
        ({"Statement": "Allow"}, "Statement", "is missing or neither an object nor a list"),
        (policy(statement(), "Allow"), SECOND, "is not an object"),
        (policy(statement(), statement(Effects="Allow")), SECOND, "has the unknown element 'Effects'"),
        (policy(statement(), statement(condition={})), SECOND, "has the unknown element 'condition'"),
        (policy(statement(), statement(Effect=None)), f"{SECOND}.Effect", "is neither Allow nor Deny"),
        (policy(statement(), statement(Effect="allow")), f"{SECOND}.Effect", "is neither Allow nor Deny"),
        (policy(statement(), statement(Effect=["Allow"])), f"{SECOND}.Effect", "is neither Allow nor Deny"),
        (
            policy(statement(), statement(Principal=None)),
            SECOND,
            one_of("Principal", "NotPrincipal"),
        ),
        (
            policy(statement(), statement(NotPrincipal="*")),
            SECOND,
            one_of("Principal", "NotPrincipal"),
        ),
        (policy(statement(), statement(Action=None)), SECOND, one_of("Action", "NotAction")),
        (policy(statement(), statement(NotAction="*")), SECOND, one_of("Action", "NotAction")),
        (policy(statement(), statement(Resource=None)), SECOND, one_of("Resource", "NotResource")),
        (
            policy(statement(), statement(NotResource="*")),
            SECOND,
            one_of("Resource", "NotResource"),
        ),
        (policy(statement(), statement(Sid=5)), f"{SECOND}.Sid", "is not a string"),
        (policy(statement(), statement(Principal="AWS")), f"{SECOND}.Principal", 'is neither "*" nor an object'),
        (policy(statement(), statement(Principal=OWN)), f"{SECOND}.Principal", 'is neither "*" nor an object'),
        (policy(statement(), statement(Principal=5)), f"{SECOND}.Principal", 'is neither "*" nor an object'),
        (policy(statement(), statement(Principal=["*", 5])), f"{SECOND}.Principal", 'is neither "*" nor an object'),
        (
            policy(statement(), statement(Principal={"aws": "*"})),
            f"{SECOND}.Principal",
            "has the unknown element 'aws'",
        ),
        (policy(statement(), statement(Principal={"AWS": 5})), f"{SECOND}.Principal.AWS", NO_STRING),
        (policy(statement(), statement(Principal={"AWS": {"a": "b"}})), f"{SECOND}.Principal.AWS", NO_STRING),
        (
            policy(statement(), statement(Principal=None, NotPrincipal=5)),
            f"{SECOND}.NotPrincipal",
            'is neither "*" nor an object',
        ),
        (policy(statement(), statement(Action=True)), f"{SECOND}.Action", NO_STRING),
        (policy(statement(), statement(Action=["sqs:*", 1])), f"{SECOND}.Action", NO_STRING),
        (policy(statement(), statement(Action=None, NotAction={})), f"{SECOND}.NotAction", NO_STRING),
        (policy(statement(), statement(Resource=[["*"]])), f"{SECOND}.Resource", NO_STRING),
        (policy(statement(), statement(Condition=[])), f"{SECOND}.Condition", "is not an object"),
        (policy(statement(), statement(Condition="Bool")), f"{SECOND}.Condition", "is not an object"),
        (policy(statement(), statement(Condition={"Bool": "x"})), f"{SECOND}.Condition.Bool", "is not an object"),
        (
            policy(statement(), statement(Condition={"Is": {"a": "b"}})),
            f"{SECOND}.Condition.Is",
            "is not a condition operator",
        ),
        (
            policy(statement(), statement(Condition={5: {"a": "b"}})),
            f"{SECOND}.Condition.5",
            "is not a condition operator",
        ),
        (
            policy(statement(), statement(Condition={"Bool": {"aws:Key": "true", "AWS:key": "true"}})),
            f"{SECOND}.Condition.Bool.AWS:key",
            "is there twice, in another letter case",
        ),
        (
            policy(statement(), statement(Condition={"Bool": {"aws:SecureTransport": None}})),
            f"{SECOND}.Condition.Bool.aws:SecureTransport",
            NO_STRING,
        ),
        (
            policy(statement(), statement(Condition={"Bool": {"aws:SecureTransport": {"a": "b"}}})),
            f"{SECOND}.Condition.Bool.aws:SecureTransport",
            NO_STRING,
        ),
    ],
)
def test_what_the_grammar_does_not_know_is_an_error_that_names_the_place(document, where, problem):
    with pytest.raises(PolicyError) as caught:
        parse(document)
    assert caught.value.where == where
    assert caught.value.problem == problem
    assert str(caught.value) == f"{where}: {problem}"


def test_a_policy_error_pickles():
    error = pickle.loads(pickle.dumps(PolicyError("Version", "is wrong")))
    assert (error.where, error.problem, str(error)) == ("Version", "is wrong", "Version: is wrong")
    assert error.args == ("Version", "is wrong")


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


# --- patterns ----------------------------------------------------------------------------------------------------


def read(text: str, *, wildcards: bool = True, variables: bool = False) -> Pattern:
    pattern = read_pattern(text, wildcards=wildcards, variables=variables)
    assert pattern is not None
    return pattern


@law
@given(st.text(alphabet="ab*?\n.", max_size=7), st.text(alphabet="ab*?\n.", max_size=9))
@example("a*b*", "ab")
@example("*ab", "aab")
@example("**a", "ba")
def test_a_pattern_fits_as_a_wildcard_does(pattern, text):
    assert read(pattern).fits(text) == reference(pattern, text)


def reference_by_part(pattern: str, text: str) -> bool:
    *before, last = pattern.split(":", 5)
    parts = [part.replace("*", "[^:]*").replace("?", "[^:]") for part in before]
    return re.fullmatch(":".join([*parts, last.replace("*", ".*").replace("?", ".")]), text) is not None


ARN_PATTERNS = st.lists(st.text(alphabet="ab*?", max_size=3), min_size=6, max_size=8).map(":".join)
ARNS = st.lists(st.text(alphabet="ab", max_size=3), min_size=5, max_size=9).map(":".join)


@law
@given(ARN_PATTERNS, ARNS)
@example("a:b:*:*:c:*d", "a:b:x:y:c:d:d")
@example("a:*b*b:c:d:e:f", "a:bab:c:d:e:f")
@example("a:*:c:d:e:f", "a:b:c:c:d:e:f")
@example("a:?:c:d:e:?", "a:::c:d:e:f")
@example("*:a:*b:*:c:*d*", "x:a:bb:y:c:d:dd:d")
def test_an_arn_is_matched_part_by_part(pattern, text):
    assert by_part(read(pattern)).fits(text) == reference_by_part(pattern, text)


def test_the_parts_of_an_arn_end_after_the_fifth_colon():
    assert has_six_parts(read("::::*:"))
    assert not has_six_parts(read(":::::".removesuffix(":")))


@pytest.mark.parametrize(
    ("text", "options", "tokens"),
    [
        ("ab", {}, ("a", "b")),
        ("a*?b", {}, ("a", Wild.RUN, Wild.ONE, "b")),
        ("a**b", {}, ("a", Wild.RUN, "b")),
        ("a*?b", {"wildcards": False}, ("a", "*", "?", "b")),
        ("${*}${?}${$}", {"variables": True}, ("*", "?", "$")),
        ("${*}", {}, ("$", "{", Wild.RUN, "}")),
        ("a${aws:UserName}", {"variables": True}, ("a", Variable("aws:username", None))),
        ("a${ aws:UserName }*", {"variables": True}, ("a", Variable("aws:username", None), Wild.RUN)),
        ("${aws:UserName, 'no Body'}", {"variables": True}, (Variable("aws:username", "no Body"),)),
        ("${aws:UserName , '' }", {"variables": True}, (Variable("aws:username", ""),)),
        ("${aws:UserName}*", {"wildcards": False, "variables": True}, (Variable("aws:username", None), "*")),
    ],
)
def test_a_text_is_read_as_letters_wildcards_and_variables(text, options, tokens):
    pattern = read(text, **options)
    assert pattern.tokens == tokens
    letters = [token for token in tokens if isinstance(token, str)]
    assert pattern.fixed == ("".join(letters) if len(letters) == len(tokens) else None)


VALUES = {"aws:username": "jo*", "a": "x"}


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a*", ("a", Wild.RUN)),
        ("<${aws:username}>", ("<", "j", "o", "*", ">")),
        ("${b, 'else'}", ("e", "l", "s", "e")),
        ("${a, 'else'}", ("x",)),
        ("${a}${b}", None),
        ("*${b, ''}*", (Wild.RUN,)),
    ],
)
def test_a_variable_is_replaced_by_its_value_in_which_nothing_is_wild(text, tokens):
    replaced = substitute(read(text, variables=True), VALUES.get)
    assert (None if replaced is None else replaced.tokens) == tokens


# --- addresses ---------------------------------------------------------------------------------------------------


def networks(*texts: str) -> list[Any]:
    return [ip_network(text) for text in texts]


@pytest.mark.parametrize(
    ("blocks", "fixed"),
    [
        (["203.0.113.0/24"], ["203.0.113.0/24"]),
        (["54.0.0.0/8", "56.0.0.0/7"], ["54.0.0.0/8"]),
        (["54.0.0.0/8", "55.0.0.0/8"], []),
        (["0.0.0.0/1", "128.0.0.0/1"], []),
        (["2a05:d000::/32", "2a05::/31"], ["2a05:d000::/32"]),
        (["2a05:d000::/32", "2a05:d001::/32", "10.0.0.0/9"], ["10.0.0.0/9"]),
        ([], []),
    ],
)
def test_blocks_are_fixed_where_their_neighbours_make_them_no_wider_than_public_ones(blocks, fixed):
    assert list(fixed_blocks(networks(*blocks))) == networks(*fixed)


@pytest.mark.parametrize(
    ("inside", "outside", "address"),
    [
        ([], [], "198.51.100.7"),
        ([["0.0.0.0/0"]], [], "198.51.100.7"),
        ([["203.0.113.0/24"]], [], "203.0.113.1"),
        ([["203.0.113.7/32"]], [], "203.0.113.7"),
        ([["203.0.113.0/24"], ["203.0.113.128/25", "9.0.0.0/8"]], [], "203.0.113.129"),
        ([["203.0.113.0/24"], ["9.0.0.0/8"]], [], None),
        ([["203.0.113.0/24"]], ["203.0.113.0/25"], "203.0.113.129"),
        ([["203.0.113.0/24"]], ["203.0.113.128/25", "203.0.113.0/26"], "203.0.113.65"),
        ([["203.0.113.0/24"]], ["203.0.112.0/23"], None),
        ([["203.0.113.0/30"]], ["203.0.113.0/32", "203.0.113.2/31"], "203.0.113.1"),
        ([["203.0.113.0/30"]], ["203.0.113.3/32", "203.0.113.1/32", "203.0.113.0/32"], "203.0.113.2"),
        ([["198.51.100.4/30"]], [], "198.51.100.7"),
        ([["198.51.100.7/32", "198.51.100.8/32"]], [], "198.51.100.7"),
        ([["203.0.113.0/24"]], ["::/0"], "203.0.113.1"),
        ([], ["198.51.100.0/24"], "0.0.0.1"),
        ([], ["0.0.0.0/1", "192.0.0.0/2"], "128.0.0.1"),
        ([], ["0.0.0.0/0"], "2001:db8::7"),
        ([["::/0"]], [], "2001:db8::7"),
        ([["2a05:d000::/32", "203.0.113.0/24"]], ["203.0.113.0/24"], "2a05:d000::1"),
        ([["2a05:d000::/32"]], ["2a05:d000::/33"], "2a05:d000:8000::1"),
        ([["2a05:d000::/32"], ["203.0.113.0/24"]], [], None),
        ([], ["0.0.0.0/0", "::/0"], None),
        ([[]], [], None),
        ([["0.0.0.0/32", "255.255.255.255/32"]], ["0.0.0.0/32"], "255.255.255.255"),
        ([["ffff::/16"]], ["ffff::/17"], "ffff:8000::1"),
    ],
)
def test_an_address_is_found_wherever_one_is_left(inside, outside, address):
    found = an_address([networks(*blocks) for blocks in inside], networks(*outside))
    assert found == address
    if found is not None:
        assert all(any(ip_address(found) in block for block in networks(*blocks)) for blocks in inside)
        assert not any(ip_address(found) in block for block in networks(*outside))


SMALL_BLOCKS = st.builds(
    lambda start, length: ip_network((start, length), strict=False),
    st.integers(0, 15).map(lambda last: IPv4Address("203.0.113.0") + last),
    st.integers(28, 32),
)


@law
@given(st.lists(st.lists(SMALL_BLOCKS, min_size=1, max_size=3), min_size=1, max_size=3), st.lists(SMALL_BLOCKS))
def test_an_address_is_found_exactly_where_trying_them_all_finds_one(inside, outside):
    def is_left(address: IPv4Address | IPv6Address) -> bool:
        within = all(any(address in block for block in blocks) for blocks in inside)
        return within and not any(address in block for block in outside)

    found = an_address(inside, outside)
    left = [str(address) for address in ip_network("203.0.113.0/28") if is_left(address)]
    assert found in left if left else found is None


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "127.0.0.1", "169.254.169.254", "172.31.0.1", "192.168.0.1", "::1", "fd00::1", "fe80::1"]
)
def test_no_request_from_the_internet_has_a_private_address(address):
    assert any(ip_address(address) in block for block in PRIVATE)


@pytest.mark.parametrize("address", ["9.255.255.255", "11.0.0.0", "172.32.0.0", "192.169.0.0", "fe00::", "2001:db8::"])
def test_all_other_addresses_are_public(address):
    assert not any(ip_address(address) in block for block in PRIVATE)


# --- spelling ----------------------------------------------------------------------------------------------------

HEAD, TAIL = Slice("head", "xab"), Slice("tail", "xab:")
SHORT, PAIR, CAPITALS = Slice("short", "ab", 1, 2), Slice("pair", "ab", 2, 2), Slice("capitals", "AB")


def demand(view: Any, *patterns: str, wanted: bool = True, without_case: bool = False, part: bool = False) -> Demand:
    each = (read(pattern.lower() if without_case else pattern) for pattern in patterns)
    return Demand(view, tuple(by_part(pattern) if part else pattern for pattern in each), wanted, without_case)


def is_met(demands: Any, taken: Any, spelling: dict[Slice, str]) -> bool:
    free = all(text not in taken.get(piece.name, ()) for piece, text in spelling.items())
    return free and all(
        any(
            pattern.fits(
                read_view(each.view, spelling).lower() if each.without_case else read_view(each.view, spelling)
            )
            for pattern in each.patterns
        )
        is each.wanted
        for each in demands
    )


@pytest.mark.parametrize(
    ("slices", "demands", "there_is_one"),
    [
        ((), [], True),
        ((HEAD,), [], True),
        ((PAIR,), [], True),
        ((HEAD,), [demand((HEAD,), "ab")], True),
        ((HEAD,), [demand((HEAD,), "q")], False),
        ((HEAD,), [demand((HEAD,), "")], False),
        ((HEAD,), [demand((HEAD,), "q", "ab")], True),
        ((HEAD,), [demand((HEAD,))], False),
        ((HEAD,), [demand((HEAD,), wanted=False)], True),
        ((HEAD,), [demand((HEAD,), "a*"), demand((HEAD,), "*b")], True),
        ((HEAD,), [demand((HEAD,), "a*"), demand((HEAD,), "b*")], False),
        ((HEAD,), [demand((HEAD,), "x", wanted=False)], True),
        ((HEAD,), [demand((HEAD,), "?", wanted=False)], True),
        ((HEAD,), [demand((HEAD,), "*", wanted=False)], False),
        ((HEAD,), [demand((HEAD,), "x", "a", "b", wanted=False)], True),
        ((SHORT,), [demand((SHORT,), "a", "b", "aa", "ab", "ba", wanted=False)], True),
        ((SHORT,), [demand((SHORT,), "a", "b", "aa", "ab", "ba", "bb", wanted=False)], False),
        ((SHORT,), [demand((SHORT,), "???*")], False),
        ((PAIR,), [demand((PAIR,), "?")], False),
        ((HEAD, TAIL), [demand((HEAD, "-", TAIL), "a-b")], True),
        ((HEAD, TAIL), [demand((HEAD, "-", TAIL), "a+b")], False),
        ((HEAD, TAIL), [demand((HEAD, "-", TAIL), "a*"), demand((TAIL,), "bb")], True),
        ((HEAD, TAIL), [demand((HEAD, "-", TAIL), "*b"), demand((TAIL,), "ba")], False),
        ((HEAD, TAIL), [demand((HEAD, "-", TAIL), "ab-:"), demand((HEAD,), "a*", wanted=False)], False),
        ((HEAD, TAIL), [demand((HEAD, "-", TAIL), "ab-:"), demand((HEAD,), "a", wanted=False)], True),
        ((HEAD, TAIL), [demand(("<", HEAD, "-", TAIL, ">"), "<a-b>")], True),
        ((HEAD, TAIL), [demand(("<", HEAD, "-", TAIL, ">"), "<a-b")], False),
        ((HEAD, TAIL), [demand(("<", HEAD, "-", TAIL, ">"), "*b>", "*a")], True),
        ((HEAD, TAIL), [demand(("<", HEAD, "-", TAIL, ">"), "*b", "*a")], False),
        ((HEAD,), [demand(("fixed",), "fix*")], True),
        ((HEAD,), [demand(("fixed",), "fix")], False),
        ((HEAD,), [demand(("fixed",), "fix*", wanted=False)], False),
        ((HEAD,), [demand(("fixed",), "fix", wanted=False), demand((HEAD,), "a")], True),
        ((HEAD,), [demand(("fixed",), "fixed", wanted=False), demand((HEAD,), "a")], False),
        ((HEAD,), [demand((HEAD,), "Ab", without_case=True)], True),
        ((HEAD,), [demand((HEAD,), "Ab")], False),
        ((HEAD, TAIL), [demand((HEAD, "AB", TAIL), "aab:", without_case=True)], True),
        ((HEAD, TAIL), [demand((HEAD, "AB", TAIL), "aab:")], False),
        ((HEAD,), [demand((HEAD,), "a"), demand(("FIXED",), "fixed", without_case=True)], True),
        ((CAPITALS,), [demand((CAPITALS,), "ab", without_case=True)], True),
        ((CAPITALS,), [demand((CAPITALS,), "ab")], False),
        ((PAIR,), [demand((PAIR,), "a", "ab")], True),
        ((HEAD,), [demand((HEAD,), "a", "b"), demand((HEAD,), "a", wanted=False)], True),
        ((HEAD,), [demand((HEAD, "b>"), "aab>")], True),
        ((HEAD,), [demand((HEAD, "b>"), "b>")], False),
        ((TAIL,), [demand((TAIL,), "*a:b*")], True),
        ((TAIL,), [demand(("::", TAIL), "*:*:a*:b:*:*", part=True)], True),
        ((TAIL,), [demand(("::", TAIL), "*:*:a*:b:*:*", part=True), demand(("::", TAIL), "*b::*", wanted=False)], True),
        ((TAIL,), [demand((TAIL,), "a:*b:c:d:e:f", part=True)], False),
        ((TAIL,), [demand((TAIL,), "?:b:*:x:a:*", part=True), demand((TAIL,), ":*")], False),
        ((TAIL,), [demand((TAIL,), "?:b:*:x:a:*"), demand((TAIL,), ":*")], True),
        ((TAIL,), [demand((TAIL,), "x:*:x:x:x:x", part=True), demand((TAIL,), "x:a:b*")], False),
        ((TAIL,), [demand((TAIL,), "x:*:x:x:x:x", part=True), demand((TAIL,), "x:ab*")], True),
    ],
)
def test_a_spelling_is_found_where_there_is_one(slices, demands, there_is_one):
    found = spell(slices, demands, {}, Budget(100_000))
    if there_is_one:
        assert found is not None
        assert set(found) == set(slices)
        assert is_met(demands, {}, found)
        for piece, text in found.items():
            assert set(text) <= set(piece.letters)
            assert piece.at_least <= len(text) <= (piece.at_most or 99)
    else:
        assert found is None


@pytest.mark.parametrize(
    ("demands", "taken"),
    [
        ([], {"head": frozenset({"x"})}),
        ([], {"head": frozenset({"xx", "xa"})}),
        ([], {"head": frozenset({"x", "a", "b"})}),
        ([demand((HEAD,), "x", "a")], {"head": frozenset({"x"})}),
        ([demand((HEAD,), "?")], {"head": frozenset({"x", "b"})}),
        ([demand((HEAD,), "ab*")], {"head": frozenset({"ab", "a", "abx", "abab"})}),
        ([demand((HEAD,), "*b*")], {"head": frozenset({"b", "xb", "ab", "bb"})}),
        ([demand((HEAD,), "a"), demand((HEAD, "-"), "a-")], {"tail": frozenset({"a"})}),
    ],
)
def test_nobody_spells_what_is_taken(demands, taken):
    found = spell((HEAD,), demands, taken, Budget(100_000))
    assert found is not None
    assert is_met(demands, taken, found)


@pytest.mark.parametrize(
    ("demands", "taken"),
    [
        ([demand((HEAD,), "a")], {"head": frozenset({"a"})}),
        ([demand((HEAD,), "a", "b")], {"head": frozenset({"a", "b", "ab"})}),
        ([demand((HEAD,), "?")], {"head": frozenset({"x", "a", "b"})}),
        ([demand((HEAD,), "a?"), demand((HEAD,), "?b")], {"head": frozenset({"ab"})}),
        ([demand((HEAD, "-"), "a-*")], {"head": frozenset({"a"})}),
    ],
)
def test_nothing_is_spelled_where_all_that_fits_is_taken(demands, taken):
    assert spell((HEAD,), demands, taken, Budget(100_000)) is None


@pytest.mark.parametrize("steps", [0, 1, 20])
def test_a_search_for_a_spelling_ends_with_its_budget(steps):
    hard = demand((HEAD,), "a*b*a*b*a*b*a*b", "b*a*b*a*b*a*b*a")
    with pytest.raises(TooCostlyError):
        spell((HEAD,), [hard], {}, Budget(steps))
    assert spell((HEAD,), [hard], {}, Budget(100_000)) is not None


def test_a_budget_lasts_to_its_last_step():
    budget = Budget(5)
    budget.spend(3)
    budget.spend(2)
    assert budget.left == 0
    with pytest.raises(TooCostlyError):
        budget.spend(1)


def test_a_view_shows_the_slices_and_what_is_fixed():
    assert read_view(("<", HEAD, "-", TAIL, ">"), {HEAD: "ab", TAIL: "c"}) == "<ab-c>"


FIRST, NEXT = Slice("first", "ab", 1, 2), Slice("next", "c:", 0, 2)
VIEWS = st.sampled_from([(FIRST,), (NEXT,), (FIRST, NEXT), ("a", FIRST, ":", NEXT), (FIRST, "b"), ("a:", NEXT, ":c")])
DEMANDS = st.builds(
    lambda view, patterns, wanted, part: demand(view, *patterns, wanted=wanted, part=part),
    VIEWS,
    st.lists(st.text(alphabet="abc:*?", max_size=5), max_size=2),
    st.booleans(),
    st.booleans(),
)
TAKEN = st.dictionaries(
    st.sampled_from(["first", "next"]), st.frozensets(st.sampled_from(["a", "ab", "b", ":c", "c", ""]), max_size=4)
)


@settings(law, max_examples=300)
@given(st.lists(DEMANDS, max_size=3), TAKEN)
def test_a_spelling_is_found_exactly_where_trying_them_all_finds_one(demands, taken):
    def words(piece: Slice) -> list[str]:
        lengths = range(piece.at_least, (piece.at_most or 0) + 1)
        return ["".join(word) for length in lengths for word in itertools.product(piece.letters, repeat=length)]

    slices = (FIRST, NEXT)
    every = [dict(zip(slices, texts, strict=True)) for texts in itertools.product(*map(words, slices))]
    found = spell(slices, demands, taken, Budget(100_000))
    if any(is_met(demands, taken, spelling) for spelling in every):
        assert found is not None
        assert is_met(demands, taken, found)
    else:
        assert found is None


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
    "an account in which the last digit is open": on(
        "ArnLike", "aws:SourceArn", "arn:aws:sns:us-east-1:11112222333?:t"
    ),
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
    "one ARN without an account": on("ArnEquals", "aws:SourceArn", "arn:aws:sns:us-east-1::topic"),
    "a text that is nobody's ARN": on("StringEquals", "aws:SourceArn", "topic"),
    "two keys that no request has both of": on("StringEquals", "aws:SourceAccount", "${aws:PrincipalAccount}"),
    "an empty account, which nobody has": on("StringEquals", "aws:SourceAccount", ""),
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


@pytest.mark.parametrize("queue_arn", [QUEUE, ""], ids=["arn", "no arn"])
@pytest.mark.parametrize("document", PUBLIC.values(), ids=PUBLIC.keys())
def test_public(document, queue_arn):
    answer = public_access(document, queue_arn=queue_arn)
    assert answer.found is True
    assert answer.witness is not None
    assert decide(document, answer.witness) is Decision.ALLOW
    assert FOREIGN not in repr(answer.witness)
    assert f", may {answer.witness.action}: statement " in str(answer)


@pytest.mark.parametrize("queue_arn", [QUEUE, ""], ids=["arn", "no arn"])
@pytest.mark.parametrize("document", NOT_PUBLIC.values(), ids=NOT_PUBLIC.keys())
def test_not_public(document, queue_arn):
    answer = public_access(document, queue_arn=queue_arn)
    assert answer == Answer(False, told="nobody gets in whom the policy does not name")
    assert list(public_statements(parse(document), queue_arn=queue_arn)) == []


def public(document: Any) -> bool | None:
    return public_access(document, queue_arn=QUEUE).found


ALL_POLICIES = [*PUBLIC.values(), *filter(None, NOT_PUBLIC.values())]


@law
@given(st.sampled_from(ALL_POLICIES), st.sampled_from(ALL_POLICIES))
def test_order_means_nothing_and_one_public_statement_is_enough(one, other):
    both = [*_statements(one), *_statements(other)]
    forward, backward = public(policy(*both)), public(policy(*reversed(both)))
    assert forward == backward == (public(one) or public(other))


@law
@given(st.sampled_from(ALL_POLICIES))
def test_a_deny_never_opens(document):
    added = policy(*_statements(document), *deny()["Statement"])
    assert public(added) <= public(document)


@law
@given(st.sampled_from(ALL_POLICIES))
def test_a_narrowing_condition_closes_whatever_it_joins(document):
    narrowed = [
        {**each, "Condition": {**each.get("Condition", {}), "StringEquals": {"aws:SourceAccount": OWN}}}
        for each in _statements(document)
    ]
    assert not public(policy(*narrowed))


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
    assert public(policy(*shouted)) == public(document)


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    statements = document["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _shout(value: str | list[str]) -> str | list[str]:
    return value.upper() if isinstance(value, str) else [each.upper() for each in value]


# --- what has to come together -----------------------------------------------------------------------------------


def but(document: dict[str, Any], **condition: Any) -> dict[str, Any]:
    """The policy with one more Deny, for everybody who fulfils a condition."""
    return policy(*_statements(document), *deny(Condition=condition)["Statement"])


NUMBER, TAGS = "example:number", "aws:TagKeys"

THERE_IS_A_WAY = {
    "no action at all, in a Deny": policy(statement(Principal="*"), *deny(Action=[])["Statement"]),
    "no action left out, in an Allow": policy(statement(Principal="*", Action=None, NotAction=[])),
    "no action left out, in a Deny": policy(statement(Principal="*"), *deny(Action=None, NotAction=[])["Statement"]),
    "an account id with open digits": policy(statement(Principal={"AWS": "44445555666?"})),
    "an empty text": on("StringEquals", "aws:UserAgent", ""),
    "a plain operator on a key with several values, in a Deny": but(
        to_anyone(), StringNotLike={"aws:PrincipalOrgPaths": "o-abcdefghij/*"}
    ),
    "another value than a variable's, in a Deny": but(
        to_anyone(), StringEquals={"aws:PrincipalArn": "${aws:PrincipalTag/x}"}
    ),
    "a variable that makes no ARN": on("ArnEquals", "aws:PrincipalArn", "${aws:ResourceAccount}"),
    "an address by its first digits": on("StringLike", "aws:SourceIp", "54.*"),
    "an address by its last digits": on("StringLike", "aws:SourceIp", "*.7"),
    "an address by some of its digits": on("StringLike", "aws:SourceIp", "5?.*"),
    "an address by all of its dots": on("StringLike", "aws:SourceIp", "54.*.*.*"),
    "an address by its first and last digits": on("StringLike", "aws:SourceIp", "54.*.7"),
    "an address but for one digit": on("StringLike", "aws:SourceIp", "?4.1.1.1"),
    "an address by its first digits, and one more": on("StringLike", "aws:SourceIp", "?4.*.1"),
    "everyone but roles of one name, which is in doubt": policy(
        statement(Principal=None, NotPrincipal={"AWS": "arn:aws:iam::*:role/x"})
    ),
    "a role of any account": policy(
        statement(
            Principal={"AWS": "arn:aws:iam::*:root"}, Condition={"StringEquals": {"aws:PrincipalType": "AssumedRole"}}
        )
    ),
    "another service than the one that is named": policy(
        statement(Principal={"Service": "sns.amazonaws.com"}),
        statement(Principal="*", Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}),
    ),
    "two values of one key": to_anyone(
        **{"ForAnyValue:StringEquals": {TAGS: "a"}, "ForAnyValue:StringLike": {TAGS: "b*"}}
    ),
    "two values of one key, and none other": to_anyone(
        **{
            "ForAnyValue:StringEquals": {TAGS: "a"},
            "ForAnyValue:StringLike": {TAGS: "b*"},
            "ForAllValues:StringLike": {TAGS: ["a*", "b*"]},
        }
    ),
    "a value that is not a variable's": to_anyone(
        StringNotEquals={"aws:UserAgent": "${aws:Referer}"}, Null={"aws:UserAgent": "false", "aws:Referer": "false"}
    ),
    "a value that is a variable's": on("StringEquals", "aws:UserAgent", "${aws:Referer}"),
    "two variables in one value": on("StringEquals", "aws:UserAgent", "a${aws:Referer}b${aws:PrincipalTag/x}"),
    "a variable twice, and wildcards": on(
        "StringLike", "aws:UserAgent", "a*${aws:Referer}*b${aws:PrincipalTag/x}?${aws:PrincipalTag/x}"
    ),
    "a variable that is settled elsewhere": to_anyone(
        StringEquals={"aws:UserAgent": "${aws:Referer}", "aws:Referer": "y"}
    ),
    "a variable that is settled elsewhere, in another letter case": to_anyone(
        StringEqualsIgnoreCase={"aws:UserAgent": "A${aws:Referer}"}, StringEquals={"aws:Referer": "Y"}
    ),
    "a variable that has to be missing": on("StringEquals", "aws:UserAgent", "${aws:Referer, 'nobody'}!"),
    "a variable that is missing": to_anyone(
        StringEquals={"aws:UserAgent": "${aws:Referer, 'nobody'}!"}, Null={"aws:Referer": "true"}
    ),
    "a variable with a star in its value": to_anyone(
        StringLike={"aws:UserAgent": "${aws:Referer}-*"}, StringEquals={"aws:Referer": "a*"}
    ),
    "a tag with the queue's account": on("StringEquals", "aws:ResourceAccount", "${aws:PrincipalTag/owner}"),
    "a user's name in its own ARN": on("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/${aws:username}"),
    "a number past all moments": to_anyone(
        NumericEquals={NUMBER: "1e300"}, DateGreaterThan={NUMBER: "2020-01-01T00:00:00Z"}
    ),
    "the last moment of the calendar, and one second": on("DateGreaterThan", "aws:CurrentTime", "9999-12-31T23:59:59Z"),
    "a moment between two others": to_anyone(
        DateGreaterThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"},
        DateLessThan={"aws:CurrentTime": "2020-01-01T00:00:01Z"},
    ),
    "the one moment that is named": to_anyone(
        DateGreaterThanEquals={"aws:CurrentTime": "2020-01-01T00:00:00Z"},
        DateLessThanEquals={"aws:CurrentTime": "2020-01-01T00:00:00Z"},
    ),
    "a moment in seconds": on("NumericLessThan", "aws:EpochTime", "1577836800"),
    "a number between two others": to_anyone(NumericGreaterThan={NUMBER: "5"}, NumericLessThan={NUMBER: "5.5"}),
    "another number than two": on("NumericNotEquals", NUMBER, "0", "1"),
    "a moment that is a text too": to_anyone(
        DateLessThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"},
        StringEquals={"aws:CurrentTime": "2019-01-01T00:00:00Z"},
    ),
    "bytes": on("BinaryEquals", "example:bytes", "QUJD"),
    "an address of a key that nobody knows": on("IpAddress", "example:ip", "10.0.0.0/8"),
    "another address of a key that nobody knows": to_anyone(
        IpAddress={"example:ip": "10.0.0.0/8"}, NotIpAddress={"example:ip": "10.0.0.0/9"}
    ),
    "one of two texts, of which one is a moment": on("StringEquals", "aws:CurrentTime", "x", "2019-01-01T00:00:00Z"),
    "a queue's own tag": on("StringEquals", "aws:ResourceTag/public", "yes"),
    "an organisation of the queue's that is not one of the caller's": on("Null", "aws:ResourceOrgID", "true"),
    "the queue is in the organisation that is named": on("StringEquals", "aws:ResourceOrgID", "o-abcdefghij"),
    "a queue in a variable": policy(
        statement(Principal="*", Resource="arn:aws:sqs:us-east-1:111122223333:${aws:PrincipalTag/queue}")
    ),
    "a way around three Denies": but(
        but(
            but(to_anyone(), StringEquals={"aws:UserAgent": "a"}, Null={"aws:Referer": "true"}),
            StringEquals={"aws:Referer": "x"},
        ),
        StringNotEquals={"aws:UserAgent": ["a", "b"]},
    ),
    "anyone of NotPrincipal": policy(
        statement(Principal="*"),
        statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": FOREIGN}, Action="sqs:*")
        | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    ),
}

THERE_IS_NO_WAY = {
    "Denies that are escaped in either order, to one that is not escaped": but(
        but(
            but(
                but(
                    to_anyone(Null={"a:a": "false", "a:b": "false"}),
                    StringEquals={"a:a": "x", "a:b": "x"},
                ),
                StringEquals={"a:b": "x"},
            ),
            StringEquals={"a:a": "x"},
        ),
        StringEquals={"aws:ResourceAccount": OWN},
    ),
    "a tag that has to differ from a part of the queue's name, and is it": policy(
        statement(Principal="*", Condition={"StringEquals": {"aws:PrincipalTag/queue": "orders"}}),
        statement(Effect="Deny", Principal="*", Resource=f"arn:aws:sqs:us-east-1:{OWN}:${{aws:PrincipalTag/queue}}"),
    ),
    "what is given, and a variable that has to differ": to_anyone(
        StringNotEquals={"aws:ResourceAccount": "${aws:Referer}"}, StringEquals={"aws:Referer": OWN}
    ),
    "what is given does not fit a variable": on("StringEquals", "aws:ResourceAccount", "${aws:Referer}!"),
    "no action at all": policy(statement(Principal="*", Action=[])),
    "no resource at all": policy(statement(Principal="*", Resource=[])),
    "nobody's address": on("StringEquals", "aws:SourceIp", "54.1.2.3.4"),
    "two values of which none may be another": to_anyone(
        **{
            "ForAnyValue:StringEquals": {TAGS: "a"},
            "ForAnyValue:StringLike": {TAGS: "b*"},
            "ForAllValues:StringLike": {TAGS: "a*"},
        }
    ),
    "two values of a key that has one": to_anyone(
        **{"ForAnyValue:StringEquals": {"aws:RequestTag/x": "a"}, "ForAnyValue:StringLike": {"aws:RequestTag/x": "b*"}}
    ),
    "two values of a key, by plain operators": to_anyone(StringEquals={"a:b": "a"}, StringLike={"a:b": "b*"}),
    "the caller's account is never the queue's": on("StringEquals", "aws:ResourceAccount", "${aws:PrincipalAccount}"),
    "no number is both": to_anyone(NumericGreaterThan={NUMBER: "5"}, NumericLessThan={NUMBER: "5"}),
    "no moment is both": to_anyone(
        DateGreaterThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"},
        DateLessThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"},
    ),
    "no address is left": to_anyone(
        IpAddress={"example:ip": "10.0.0.0/8"}, NotIpAddress={"example:ip": ["10.0.0.0/9", "10.128.0.0/9"]}
    ),
    "present and missing": to_anyone(Null={"aws:Referer": "true"}, StringEquals={"aws:Referer": "x"}),
    "neither true nor false": but(on("Bool", "aws:SecureTransport", "true"), Bool={"aws:SecureTransport": "true"}),
    "a Deny that nothing escapes": but(to_anyone(), StringEquals={"aws:ResourceAccount": OWN}),
    "Denies that leave nothing together": but(
        but(
            but(but(to_anyone(), StringEquals={"a:a": "x", "a:b": "x"}), StringNotEquals={"a:b": "x"}),
            StringNotEquals={"a:a": "x"},
        ),
        Null={"a:a": "true"},
    ),
    "the other way round": but(
        but(but(to_anyone(), StringEquals={"a:a": "x"}), StringNotEquals={"a:a": "x"}), Null={"a:a": "true"}
    ),
    "a queue in a variable that makes another": policy(
        statement(Principal="*", Resource="arn:aws:sqs:us-east-1:111122223333:${aws:PrincipalTag/queue}-2")
    ),
    "everyone but those who are named": policy(
        statement(Principal="*"), statement(Effect="Deny", Principal=None, NotPrincipal=ROLE, Action="sqs:*")
    ),
}


@pytest.mark.parametrize("document", THERE_IS_A_WAY.values(), ids=THERE_IS_A_WAY.keys())
def test_a_way_in_is_found_where_there_is_one(document):
    answer = public_access(document, queue_arn=QUEUE)
    assert answer.found is True
    assert answer.witness is not None
    assert decide(document, answer.witness) is Decision.ALLOW


@pytest.mark.parametrize("document", THERE_IS_NO_WAY.values(), ids=THERE_IS_NO_WAY.keys())
def test_there_is_certainty_where_there_is_no_way_in(document):
    assert public_access(document, queue_arn=QUEUE).found is False


IN_DOUBT = {
    "a variable for a principal": policy(statement(Principal={"AWS": "${aws:PrincipalArn}"})),
    "private addresses by their text": on("StringLike", "aws:SourceIp", "10.*"),
    "addresses by a text that is none": on("StringLike", "aws:SourceIp", "nothing*"),
    "a text that is true and not 'true'": to_anyone(
        Bool={"example:flag": "true"}, StringNotEquals={"example:flag": "true"}
    ),
    "addresses by their text, and not the first that comes to mind": to_anyone(
        StringLike={"aws:SourceIp": "54.*"}, StringNotEquals={"aws:SourceIp": "54.1.1.1"}
    ),
    "addresses by their text, and not by another": to_anyone(
        StringLike={"aws:SourceIp": "54.*"}, StringNotLike={"aws:SourceIp": "54.1.*"}
    ),
    "two keys that are equal and have to differ": to_anyone(
        StringNotEquals={"aws:UserAgent": "${aws:Referer}"}, StringEquals={"aws:UserAgent": "x", "aws:Referer": "x"}
    ),
    "what is given, and a variable that has to differ, or to have two values": to_anyone(
        **{"StringNotEquals": {"aws:ResourceAccount": "${a:b}"}, "ForAnyValue:StringEquals": {"a:b": OWN}}
    ),
    "a moment that is none": on("StringEquals", "aws:CurrentTime", "x"),
}


@pytest.mark.parametrize("document", IN_DOUBT.values(), ids=IN_DOUBT.keys())
def test_where_no_value_comes_to_mind_the_answer_is_undecided(document):
    assert public_access(document, queue_arn=QUEUE).found is None


def test_a_request_that_the_evaluator_does_not_confirm_is_no_witness(monkeypatch):
    monkeypatch.setattr("safe_sqs.policy.search.decide_of", lambda *_: Decision.NO_MATCH)
    assert public_access(to_anyone(), queue_arn=QUEUE).found is None
    assert plaintext_access(None, queue_arn=QUEUE).found is True
    monkeypatch.setattr("safe_sqs.policy.search.decide_of", lambda *_: Decision.DENY)
    assert plaintext_access(None, queue_arn=QUEUE).found is None


# --- decisions that the tests of the semantics do not come to ---------------------------------------------------


def allows(document: Any, principal: str = ROLE["AWS"], **keys: str) -> bool:
    request = Request(principal, "sqs:SendMessage", QUEUE, {f"aws:{key}": (value,) for key, value in keys.items()})
    return decide(document, request) is Decision.ALLOW


@pytest.mark.parametrize(
    ("operator", "fits"),
    [("StringEquals", {"Bob": True, "bob": False}), ("StringEqualsIgnoreCase", dict.fromkeys(("Bob", "bob"), True))],
)
def test_a_variable_keeps_the_letter_case_of_its_value_where_that_counts(operator, fits):
    for name, fit in fits.items():
        assert allows(on(operator, "aws:UserAgent", "${aws:username}"), username="Bob", UserAgent=name) is fit


@pytest.mark.parametrize("moment", ["2020-01-01T12:30:00+12:30", "2019-12-31T13:45:00-10:15", "2020-01-01T00:00:00Z"])
def test_an_offset_from_utc_has_hours_and_minutes(moment):
    assert allows(on("DateEquals", "aws:CurrentTime", "2020-01-01T00:00:00Z"), CurrentTime=moment)
    assert allows(on("DateEquals", "aws:CurrentTime", moment), CurrentTime="2020-01-01T00:00:00Z")
    assert not allows(on("DateEquals", "aws:CurrentTime", moment), CurrentTime="2020-01-01T00:00:01Z")


def test_root_is_the_whole_of_the_last_part():
    named = policy(statement(Principal={"AWS": f"arn:aws:iam::{OWN}:x:root"}))
    assert not allows(named)
    assert allows(policy(statement(Principal={"AWS": f"arn:aws:iam::{OWN}:root"})))


# --- plain HTTP --------------------------------------------------------------------------------------------------

HTTPS_ONLY = {
    "as AWS writes it": deny(Condition=INSECURE),
    "the service in capitals": deny(Action="SQS:*", Condition=INSECURE),
    "every action of AWS": deny(Action="*", Condition=INSECURE),
    "a principal of type AWS": deny(Principal={"AWS": "*"}, Condition=INSECURE),
    "a principal in a list": deny(Principal={"AWS": ["*"]}, Condition=INSECURE),
    "every resource": deny(Resource="*", Condition=INSECURE),
    "a pattern of queues": deny(Resource="arn:aws:sqs:*:*:ord*", Condition=INSECURE),
    "this queue among others": deny(Resource=["arn:aws:sqs:us-east-1:1:x", QUEUE], Condition=INSECURE),
    "the word of JSON": deny(Condition={"Bool": {"aws:SecureTransport": False}}),
    "a list of one": deny(Condition={"Bool": {"aws:SecureTransport": ["false"]}}),
    "IfExists, which denies no less": deny(Condition={"BoolIfExists": {"aws:SecureTransport": "false"}}),
    "other letter case": deny(Condition={"bool": {"AWS:securetransport": "false"}}),
    "a Deny of every request that has the key, which all have": deny(
        Condition={"Null": {"aws:SecureTransport": "false"}}
    ),
    "beside an Allow": policy(statement(), *deny(Condition=INSECURE)["Statement"]),
}

HARD = {
    "an owner who wears the queue's tag": {"StringNotEquals": {"aws:PrincipalTag/owner": "${aws:ResourceTag/owner}"}},
    "a VPC that stands in a tag": {"StringNotEquals": {"aws:SourceVpc": "${aws:PrincipalTag/vpc}"}},
}


@pytest.mark.parametrize("condition", HARD.values(), ids=HARD.keys())
def test_beside_a_deny_for_all_no_other_deny_makes_it_doubtful(condition):
    others = _statements(deny(Condition=condition))
    document = policy(*others, *_statements(deny(Condition=INSECURE)), *others)
    assert plaintext_access(document, queue_arn=QUEUE).found is False
    assert plaintext_access(document, queue_arn="").found is not False


PLAIN_HTTP = {
    "only actions that end in Message": deny(Action=["sqs:*Message"], Condition=INSECURE),
    "only the three that move messages are denied": deny(
        Action=["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"], Condition=INSECURE
    ),
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
}


@pytest.mark.parametrize("document", HTTPS_ONLY.values(), ids=HTTPS_ONLY.keys())
def test_plain_http_is_denied(document):
    answer = plaintext_access(document, queue_arn=QUEUE)
    assert answer == Answer(False, told="plain HTTP is denied to everyone")


@pytest.mark.parametrize("document", PLAIN_HTTP.values(), ids=PLAIN_HTTP.keys())
def test_plain_http_is_not_denied(document):
    answer = plaintext_access(document, queue_arn=QUEUE)
    assert answer.found is True
    assert answer.statement is None
    assert answer.witness is not None
    assert answer.witness.keys["aws:SecureTransport"] == ("false",)
    assert decide(document, answer.witness) is not Decision.DENY
    assert " over plain HTTP, " in str(answer)
    assert str(answer).startswith(f"{answer.witness.action} by ")
    assert str(answer).endswith(", is denied by no statement")


@law
@given(key=st.sampled_from([*HTTPS_ONLY]), document=st.sampled_from(ALL_POLICIES))
def test_nothing_that_is_added_takes_the_denial_away(key, document):
    added = policy(*_statements(document), *_statements(HTTPS_ONLY[key]), *_statements(document))
    assert plaintext_access(added, queue_arn=QUEUE).found is False


SIGNED_BY_NAME = {
    "all queues but the one that is called like the user": (
        {"Resource": None, "NotResource": f"arn:aws:sqs:us-east-1:{OWN}:${{aws:username}}", "Condition": INSECURE},
        "orders",
    ),
    "the queue that is called like the user, where there is one": (
        {"Resource": f"arn:aws:sqs:us-east-1:{OWN}:${{aws:username, 'orders'}}", "Condition": INSECURE},
        "alice",
    ),
    "whoever is not called false": (
        {"Condition": {"StringNotEquals": {"aws:SecureTransport": "${aws:username}"}}},
        "false",
    ),
    "whoever is called false, or not at all": (
        {"Condition": {"StringEquals": {"aws:SecureTransport": "${aws:username, 'false'}"}}},
        "alice",
    ),
}


@pytest.mark.parametrize("elements, name", SIGNED_BY_NAME.values(), ids=SIGNED_BY_NAME)
def test_a_denial_that_hangs_on_a_variable_leaves_plain_http_to_those_with_another_value(elements, name):
    document = deny(**elements)
    keys = {"aws:SecureTransport": ("false",), "aws:username": (name,)}
    request = Request(f"arn:aws:iam::{OWN}:user/{name}", "sqs:SendMessage", QUEUE, keys)
    assert decide(document, request) is not Decision.DENY
    answer = plaintext_access(document, queue_arn=QUEUE)
    assert answer.found is True
    assert answer.witness is not None
    assert decide(document, answer.witness) is not Decision.DENY


def test_what_looks_like_a_variable_is_none_in_the_older_version():
    only_there = deny(Resource=["${aws:username}", QUEUE], Condition=INSECURE)
    assert plaintext_access({**only_there, "Version": "2008-10-17"}, queue_arn=QUEUE).found is False


def test_without_the_queues_name_only_a_denial_for_every_resource_counts():
    assert plaintext_access(deny(Resource="*", Condition=INSECURE)).found is False
    assert plaintext_access(deny(Resource=QUEUE, Condition=INSECURE)).found is True


@pytest.mark.parametrize(
    ("elements", "who"),
    [
        ({"Principal": ROLE}, "anyone on the internet, signed in to any AWS account, from 198.51.100.7"),
        ({"Principal": None, "NotPrincipal": ROLE}, f"{ROLE['AWS']}, from 198.51.100.7"),
        (
            {"Principal": None, "NotPrincipal": {"AWS": f"arn:aws:sts::{OWN}:federated-user/bob"}},
            f"arn:aws:sts::{OWN}:federated-user/bob, from 198.51.100.7",
        ),
        (
            {"Principal": None, "NotPrincipal": {"AWS": f"arn:aws:sts::{OWN}:assumed-role/app/shift"}},
            f"arn:aws:sts::{OWN}:assumed-role/app/shift, from 198.51.100.7",
        ),
        (
            {"Principal": None, "NotPrincipal": {"AWS": f"arn:aws:iam::{OWN}:user/team/bob"}},
            f"arn:aws:iam::{OWN}:user/team/bob, from 198.51.100.7",
        ),
    ],
)
def test_the_sentence_says_to_whom_plain_http_is_left(elements, who):
    answer = plaintext_access(deny(**elements, Condition=INSECURE), queue_arn=QUEUE)
    assert str(answer) == f"sqs:SendMessage by {who} over plain HTTP, is denied by no statement"


# --- outside the VPC ---------------------------------------------------------------------------------------------


def outside(**keys: Any) -> dict[str, Any]:
    """A Deny for whoever does not come from these."""
    return deny(Condition={"StringNotEquals": {f"aws:{key}": value for key, value in keys.items()}})


ENDPOINT = {"vpc_endpoints": ["vpce-1"]}

CONFINED = {
    "a pattern without wildcards": (deny(Condition={"StringNotLike": {"aws:SourceVpce": "vpce-1"}}), ENDPOINT),
    "an address that is a text and equals none": (outside(SourceIp="10.0.0.0/8"), {}),
    "a Deny without a condition": (deny(Condition={"StringNotEquals": {}}), {}),
    "a question mark that is none": (outside(SourceVpce="vpce-?"), {}),
    "a star that is none, so that no endpoint is named": (outside(SourceVpce="vpce-*"), {}),
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
    "a variable": (outside(SourceVpce="${aws:SourceVpce}"), {}),
    "no value": (outside(SourceVpce=[]), {}),
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
    answer = outside_vpc_access(document, queue_arn=QUEUE, **allowed)
    assert answer == Answer(False, told="everyone outside of the VPC is denied")


@pytest.mark.parametrize(("document", "allowed"), NOT_CONFINED.values(), ids=NOT_CONFINED.keys())
def test_access_is_not_confined(document, allowed):
    answer = outside_vpc_access(document, queue_arn=QUEUE, **allowed)
    assert answer.found is True
    assert answer.statement is None
    assert answer.witness is not None
    assert decide(document, answer.witness) is not Decision.DENY
    for key, ids in (("aws:SourceVpc", "vpcs"), ("aws:SourceVpce", "vpc_endpoints")):
        assert not set(answer.witness.keys.get(key, ())) & set(allowed.get(ids, ()))
    assert str(answer).startswith(f"{answer.witness.action} by ")
    assert str(answer).endswith(", is denied by no statement")


# --- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "sentence"),
    [
        (
            {},
            "anyone on the internet, signed in to any AWS account, from 198.51.100.7 over plain HTTP, "
            "may sqs:SendMessage: statement number 1",
        ),
        (
            {"Sid": "AllowAll", "Action": "SQS:Receive*"},
            "anyone on the internet, signed in to any AWS account, from 198.51.100.7 over plain HTTP, "
            "may sqs:ReceiveMessage: statement 'AllowAll'",
        ),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
            "anyone on the internet, signed in to any AWS account, from 198.51.100.7 over HTTPS, "
            "may sqs:SendMessage: statement number 1",
        ),
        (
            {"Condition": {"StringEquals": {"aws:PrincipalType": "Anonymous"}}},
            "anyone on the internet, without signing in, from 198.51.100.7 over plain HTTP, "
            "may sqs:SendMessage: statement number 1",
        ),
        (
            {"Condition": {"StringLike": {"aws:SourceVpce": "vpce-*"}}},
            "anyone signed in to any AWS account, through another VPC endpoint, over plain HTTP, "
            "with aws:SourceVpce 'vpce-0', may sqs:SendMessage: statement number 1",
        ),
        (
            {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:*"}}},
            "Amazon SNS, acting for anyone's topic, over HTTPS, "
            "with aws:SourceArn 'arn:aws:sns:a1:987654321098:a', may sqs:SendMessage: statement number 1",
        ),
    ],
)
def test_an_answer_is_a_sentence_as_a_person_would_say_it(elements, sentence):
    answer = public_access(policy(statement(**({"Principal": "*"} | elements))), queue_arn=QUEUE)
    told = re.sub(r"'arn:aws:sns:[^']*'", "'arn:aws:sns:a1:987654321098:a'", str(answer))
    assert re.sub(r"'vpce-[0-9a-z]+'", "'vpce-0'", told) == sentence


def test_a_key_of_which_no_statement_speaks_is_not_in_the_sentence():
    answer = public_access(to_anyone(StringLike={"aws:PrincipalOrgID": "o-*"}), queue_arn=QUEUE)
    assert re.findall(r"with ([^ ]+)", str(answer)) == ["aws:PrincipalOrgID"]


def test_what_may_be_a_secret_between_two_is_not_in_the_sentence():
    document = to_anyone(StringEquals={"aws:Referer": "open-sesame", "aws:UserAgent": "open-barley"})
    answer = public_access(document, queue_arn=QUEUE)
    assert answer.found is True
    assert "open-" not in str(answer)


def test_the_answer_names_the_first_statement_that_lets_somebody_in():
    document = policy(statement(Principal="*", Sid="second", Effect="Deny", Action="sqs:SendMessage"), *two_ways_in())
    answer = public_access(document, queue_arn=QUEUE)
    assert (answer.statement, answer.witness.action if answer.witness else "") == (2, "sqs:ReceiveMessage")


def two_ways_in() -> list[dict[str, Any]]:
    return [
        statement(Principal="*", Sid="closed by the Deny"),
        statement(Principal="*", Action="sqs:ReceiveMessage"),
        statement(Principal="*", Sid="third", Action="sqs:DeleteMessage"),
    ]


def test_every_statement_that_lets_somebody_in_is_told_in_order():
    statements = parse(policy(*two_ways_in(), statement(), statement(Principal={"AWS": "*"}, Action="sqs:*")))
    told = list(public_statements(statements, queue_arn=QUEUE))
    assert [answer.statement for _, answer in told] == ["closed by the Deny", 1, "third", 4]
    assert [allow.name for allow, _ in told] == [answer.statement for _, answer in told]


def test_the_answer_of_one_statement_is_that_of_the_whole_policy():
    document = policy(*two_ways_in())
    assert public_access(document, queue_arn=QUEUE) == next(public_statements(parse(document), queue_arn=QUEUE))[1]


@pytest.mark.parametrize("queue_arn", [QUEUE, ""])
def test_the_witness_is_about_the_queue(queue_arn):
    answer = public_access(to_anyone(), queue_arn=queue_arn)
    assert answer.witness is not None
    assert answer.witness.resource == queue_arn


UNKNOWN_QUEUE = {
    "in the account that is named": {"aws:ResourceAccount": FOREIGN},
    "in the region that is named": {"aws:RequestedRegion": "eu-west-1"},
}


@pytest.mark.parametrize("keys", UNKNOWN_QUEUE.values(), ids=UNKNOWN_QUEUE.keys())
def test_a_queue_of_unknown_arn_may_be_anywhere(keys):
    only_there = to_anyone(StringEquals=keys)
    assert public_access(only_there, queue_arn=QUEUE).found is False
    assert public_access(only_there).found is not False
    all_but_there = deny(Resource="*", Condition=INSECURE | {"StringNotEquals": keys})
    assert plaintext_access(all_but_there, queue_arn=QUEUE).found is False
    assert plaintext_access(all_but_there).found is not False


LAMBDA = "lambda.amazonaws.com"


@pytest.mark.parametrize(
    "elements",
    [
        {"Principal": None, "NotPrincipal": {"Service": LAMBDA}, "Condition": INSECURE},
        {"Condition": INSECURE | {"StringNotEquals": {"aws:PrincipalServiceName": LAMBDA}}},
        {"Condition": INSECURE | {"ForAllValues:StringNotEquals": {"aws:PrincipalServiceNamesList": LAMBDA}}},
    ],
    ids=["NotPrincipal", "its name", "its names"],
)
def test_plain_http_is_left_to_a_service_that_is_left_out(elements):
    answer = plaintext_access(deny(**elements), queue_arn=QUEUE)
    assert answer.witness is not None
    assert answer.witness.principal == LAMBDA
    assert f"sqs:SendMessage by {LAMBDA}, " in str(answer)


def test_the_witness_is_none_of_those_who_are_named():
    first = public_access(to_anyone(), queue_arn=QUEUE).witness
    assert first is not None
    answer = plaintext_access(deny(Principal={"AWS": first.principal}, Condition=INSECURE), queue_arn=QUEUE)
    assert answer.witness is not None
    assert answer.witness.principal.startswith("arn:aws:iam::")
    assert answer.witness.principal != first.principal


# --- trusted accounts --------------------------------------------------------------------------------------------

TEN_ACCOUNTS = [f"{PARTNER[:-1]}{digit}" for digit in range(10)]


def test_an_account_that_is_trusted_is_no_outsider():
    ten = on("StringLike", "aws:PrincipalAccount", f"{PARTNER[:-1]}?")
    assert public_access(ten, queue_arn=QUEUE, trusted_accounts=TEN_ACCOUNTS).found is False
    answer = public_access(ten, queue_arn=QUEUE, trusted_accounts=TEN_ACCOUNTS[:7] + TEN_ACCOUNTS[8:])
    assert answer.witness is not None
    assert answer.witness.keys["aws:PrincipalAccount"] == (TEN_ACCOUNTS[7],)


@pytest.mark.parametrize("key", ["aws:PrincipalAccount", "aws:SourceAccount"])
def test_trust_counts_for_people_and_for_services_that_act_for_them(key):
    almost_one = on("StringLike", key, f"{PARTNER[:-1]}?")
    assert public_access(almost_one, queue_arn=QUEUE).found is True
    assert public_access(almost_one, queue_arn=QUEUE, trusted_accounts=TEN_ACCOUNTS).found is False


def test_the_own_account_is_no_outsider():
    almost_one = on("StringLike", "aws:PrincipalAccount", f"{OWN[:-1]}?")
    others = [f"{OWN[:-1]}{digit}" for digit in range(10) if str(digit) != OWN[-1]]
    assert public_access(almost_one, queue_arn=QUEUE, trusted_accounts=others).found is False
    assert public_access(almost_one, queue_arn="", trusted_accounts=others).found is True


def test_where_the_plainest_accounts_are_trusted_another_comes_to_mind():
    plain = [str(digit) * 12 for digit in range(10)]
    answer = public_access(to_anyone(), queue_arn=QUEUE, trusted_accounts=plain)
    assert answer.witness is not None
    assert answer.witness.principal.split(":")[4] not in plain
    assert spell_plainly([SHORT], {"short": frozenset("ab")}) is None


# --- grants ------------------------------------------------------------------------------------------------------


def test_principals_whom_nothing_tells_apart_are_granted_the_same():
    names = [f"arn:aws:iam::{OWN}:role/{name}" for name in ("a", "b", "c")]
    found = grants(policy(statement(Principal={"AWS": names})), queue_arn=QUEUE)
    assert [(grant.principal, grant.actions) for grant in found] == [(name, ("sqs:SendMessage",)) for name in names]


def test_principals_whom_a_condition_tells_apart_are_granted_what_each_may():
    names = [f"arn:aws:iam::{OWN}:role/{name}" for name in ("a", "b")]
    only_a = {"ArnEquals": {"aws:PrincipalArn": names[0]}}
    found = grants(policy(statement(Principal={"AWS": names}, Condition=only_a)), queue_arn=QUEUE)
    assert [grant.principal for grant in found] == names[:1]


def test_a_principal_that_is_named_plainly_is_granted_beside_a_pattern():
    found = grants(policy(statement(Principal={"AWS": [ROLE["AWS"], "arn:aws:iam::*:role/x"]})), queue_arn=QUEUE)
    assert [grant.principal for grant in found] == [ROLE["AWS"], "arn:aws:iam::*:role/x"]


def test_everyone_is_one_grantee_however_it_is_written():
    found = grants(policy(statement(Principal={"AWS": "*", "Service": "*", "CanonicalUser": ""})), queue_arn=QUEUE)
    assert [(grant.principal, str(grant)) for grant in found] == [("*", "everyone")]


@pytest.mark.parametrize("key", ["aws:SourceAccount", "aws:SourceOwner"])
def test_a_service_is_granted_what_it_may_for_the_account_that_is_named(key):
    (grant,) = grants(
        policy(statement(Principal={"Service": "sns.amazonaws.com"}, Condition={"StringEquals": {key: OWN}})),
        queue_arn=QUEUE,
    )
    assert (grant.principal, grant.actions) == ("sns.amazonaws.com", ("sqs:SendMessage",))


def accounts_in(document: Any) -> list[str]:
    return [foreigner.name for foreigner in foreign_accounts(document, queue_arn=QUEUE)]


def test_of_two_accounts_that_are_named_as_principals_only_the_one_that_is_not_denied_is_let_in():
    both = statement(Principal={"AWS": [FOREIGN, PARTNER]})
    assert accounts_in(policy(both)) == [FOREIGN, PARTNER]
    for denied, other in ((FOREIGN, PARTNER), (PARTNER, FOREIGN)):
        assert accounts_in(policy(both, *deny(Principal={"AWS": denied})["Statement"])) == [other]


@pytest.mark.parametrize(
    "name",
    [
        lambda account: {"Principal": {"AWS": account}},
        lambda account: {"Principal": {"AWS": f"arn:aws:iam::{account}:role/app"}},
        lambda account: {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": account}}},
        lambda account: {"Principal": "*", "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:*:{account}:*"}}},
    ],
)
def test_each_account_is_told_with_the_statement_that_lets_it_in(name):
    document = policy(
        statement(**name(PARTNER), Sid="partner"), statement(**name(FOREIGN), Sid="foreign"), statement(Sid="own")
    )
    found = foreign_accounts(document, queue_arn=QUEUE)
    assert [(foreigner.name, foreigner.statement) for foreigner in found] == [
        (FOREIGN, "foreign"),
        (PARTNER, "partner"),
    ]


def test_of_two_accounts_that_are_named_in_a_condition_only_the_one_that_is_not_denied_is_let_in():
    both = on("StringEquals", "aws:PrincipalAccount", FOREIGN, PARTNER)
    assert accounts_in(both) == [FOREIGN, PARTNER]
    for denied, other in ((FOREIGN, PARTNER), (PARTNER, FOREIGN)):
        assert accounts_in(but(both, StringEquals={"aws:PrincipalAccount": denied})) == [other]


# --- budgets -----------------------------------------------------------------------------------------------------

UNDECIDED = {
    "public": (
        lambda: public_access(policy(statement(Sid="a", Principal="*")), queue_arn=QUEUE),
        Answer(None, None, "a", "it could not be told whom statement 'a' lets in"),
    ),
    "plain HTTP": (
        lambda: plaintext_access(deny(Action="sqs:SendMessage", Condition=INSECURE), queue_arn=QUEUE),
        Answer(None, told="it could not be told whether plain HTTP is denied to everyone"),
    ),
    "outside the VPC": (
        lambda: outside_vpc_access(outside(SourceVpce="vpce-1"), queue_arn=QUEUE),
        Answer(None, told="it could not be told whether everyone outside of the VPC is denied"),
    ),
}


@pytest.mark.parametrize(("ask", "answer"), UNDECIDED.values(), ids=UNDECIDED.keys())
def test_past_the_budget_the_answer_is_undecided(ask, answer, monkeypatch):
    assert ask().found is not None
    monkeypatch.setattr("safe_sqs.policy.questions._STEPS", 1)
    assert ask() == answer


ESCAPES = {f"aws:RequestTag/{number}": f"*{number}*a*b*" for number in range(9)}
HARD = policy(
    statement(Principal="*", Action="sqs:*"),
    *(
        statement(Effect="Deny", Principal="*", Action="sqs:*", Condition={"StringNotLike": {key: f"{value}*{number}"}})
        for number in range(6)
        for key, value in ESCAPES.items()
    ),
    statement(Effect="Deny", Principal="*", Action="sqs:*", Condition={"Null": {"aws:RequestTag/8": "false"}}),
)
"""Nobody gets in, which is hard to see."""


@pytest.mark.parametrize("steps", [1, 10, 100, 1_000, 10_000, 100_000])
@pytest.mark.parametrize("document", [HARD, deny(Condition=INSECURE), outside(SourceVpce="vpce-1")])
def test_however_small_the_budget_no_open_door_is_called_shut(document, steps, monkeypatch):
    opened = policy(*_statements(document), statement(Principal="*", Action="sqs:GetQueueUrl"))
    for whole in (document, opened):
        whole_answers = answers(whole)
        monkeypatch.setattr("safe_sqs.policy.questions._STEPS", steps)
        for bounded, unbounded in zip(answers(whole), whole_answers, strict=True):
            assert bounded in (None, unbounded)
        monkeypatch.undo()


def answers(document: Any) -> list[bool | None]:
    return [
        public_access(document, queue_arn=QUEUE).found,
        plaintext_access(document, queue_arn=QUEUE).found,
        outside_vpc_access(document, queue_arn=QUEUE).found,
    ]


def test_one_statement_that_could_not_be_told_hides_no_other(monkeypatch):
    from safe_sqs.policy import questions

    first, second = Answer(None, None, 0, "not told"), Answer(True, None, 1, "told")
    monkeypatch.setattr(questions, "public_statements", lambda *_, **__: iter([(None, first), (None, second)]))
    assert public_access(policy()) == second
    monkeypatch.setattr(questions, "public_statements", lambda *_, **__: iter([(None, first)]))
    assert public_access(policy()) == first


# --- what would close it -----------------------------------------------------------------------------------------


def mend_of(document: dict[str, Any], queue_arn: str = QUEUE, trusted: tuple[str, ...] = ()) -> str:
    """What is proposed for the first statement that lets somebody in."""
    return next(public_findings(parse(document), queue_arn=queue_arn, trusted_accounts=trusted))[2]


NAME_WHO_MAY = f'name who may as Principal, or at least the account: {{"AWS": "arn:aws:iam::{OWN}:root"}}'
ADD_PRINCIPAL = f'add the condition "StringEquals": {{"aws:PrincipalAccount": "{OWN}"}}, or one that names who may'
ADD_SOURCE = f'add the condition "StringEquals": {{"aws:SourceAccount": "{OWN}"}}, or one that names who may'


@pytest.mark.parametrize(
    ("document", "mend"),
    [
        (to_anyone(), f"in statement number 1, {NAME_WHO_MAY}"),
        (policy(statement(), statement(Principal="*", Sid="b")), f"in statement 'b', {NAME_WHO_MAY}"),
        (policy(statement(Principal=None, NotPrincipal=ROLE)), f"in statement number 1, {ADD_PRINCIPAL}"),
        (on("Bool", "aws:SecureTransport", "true"), f"in statement number 1, {ADD_PRINCIPAL}"),
        (on("ArnLike", "aws:SourceArn", "arn:aws:sns:*:*:*"), f"in statement number 1, {ADD_SOURCE}"),
        (
            on("StringEqualsIfExists", "aws:SourceVpce", "vpce-1"),
            "in statement number 1, write StringEquals instead of StringEqualsIfExists for aws:SourceVpce",
        ),
        (
            on("ForAllValues:StringEquals", "aws:PrincipalOrgID", "o-1"),
            "in statement number 1, write ForAnyValue:StringEquals instead of ForAllValues:StringEquals for "
            "aws:PrincipalOrgID",
        ),
        (
            to_anyone(
                StringEqualsIfExists={"aws:UserAgent": "a"}, **{"ForAllValues:StringEquals": {"aws:SourceOrgID": "o-1"}}
            ),
            "in statement number 1, write ForAnyValue:StringEquals instead of ForAllValues:StringEquals for "
            "aws:SourceOrgID",
        ),
        (
            to_anyone(StringEqualsIfExists={"aws:UserAgent": "a"}, Bool={"aws:SecureTransport": "true"}),
            f"in statement number 1, {ADD_PRINCIPAL}",
        ),
    ],
)
def test_the_smallest_change_that_closes_it_is_proposed(document, mend):
    assert mend_of(document) == mend


def test_without_the_queues_account_the_statement_is_to_be_removed():
    assert mend_of(policy(statement(Principal="*", Sid="a", Resource="*")), queue_arn="") == "remove statement 'a'"


def test_a_change_is_proposed_for_another_partition_too():
    queue = f"arn:aws-cn:sqs:cn-north-1:{OWN}:orders"
    assert f'{{"AWS": "arn:aws-cn:iam::{OWN}:root"}}' in mend_of(
        policy(statement(Principal="*", Resource="*")), queue_arn=queue
    )


def changed(document: dict[str, Any], mend: str) -> dict[str, Any]:
    """The policy after the change that a sentence proposes."""
    statements = [dict(each) for each in _statements(document)]
    place = next(
        index
        for index, each in enumerate(statements)
        if re.search(rf"statement (number {index + 1}|'{each.get('Sid', '')}')(,|$)", mend)
    )
    target = statements[place]
    if mend.startswith("remove "):
        del statements[place]
    elif "name who may as Principal" in mend:
        target["Principal"] = json.loads(mend[mend.index("{") :])
    elif found := re.search(r"write (\S+) instead of (\S+) for (\S+)$", mend):
        better, worse, key = found.groups()
        assert key in target["Condition"][worse]
        target["Condition"] = {
            better if operator == worse else operator: keys for operator, keys in target["Condition"].items()
        }
    else:
        operator, keys = re.findall(r'add the condition "(\w+)": (\{[^}]*\})', mend)[0]
        condition = dict(target.get("Condition", {}))
        target["Condition"] = condition | {operator: condition.get(operator, {}) | json.loads(keys)}
    return policy(*statements)


@pytest.mark.parametrize("document", PUBLIC.values(), ids=PUBLIC.keys())
def test_what_is_proposed_closes_the_statement(document):
    before = [answer.statement for _, answer in public_statements(parse(document), queue_arn=QUEUE)]
    after = changed(document, mend_of(document))
    assert len(list(public_statements(parse(after), queue_arn=QUEUE))) == len(before) - 1


def test_the_change_is_tried_among_the_other_statements_and_with_the_trusted_accounts():
    document = policy(statement(Principal="*", Sid="a"), statement(Principal="*", Sid="b", Action="sqs:*"))
    assert mend_of(document) == f"in statement 'a', {NAME_WHO_MAY}"
    loose = policy(
        statement(Principal="*", Condition={"StringLikeIfExists": {"aws:PrincipalAccount": f"{PARTNER[:-1]}?"}})
    )
    assert mend_of(loose) == f"in statement number 1, {ADD_PRINCIPAL}"
    assert mend_of(loose, trusted=tuple(TEN_ACCOUNTS)) == (
        "in statement number 1, write StringLike instead of StringLikeIfExists for aws:PrincipalAccount"
    )


def test_where_it_could_not_be_told_the_statement_is_to_be_made_simpler(monkeypatch):
    monkeypatch.setattr("safe_sqs.policy.questions._STEPS", 1)
    document = policy(statement(Principal="*"), statement(Principal="*", Sid="b"))
    found = list(public_findings(parse(document), queue_arn=QUEUE))
    assert [(allow.position, answer.found) for allow, answer, _ in found] == [(0, None), (1, None)]
    assert found[1][2] == "write statement 'b' with fewer conditions and wildcards, or name the principals in it"


def test_the_change_is_tried_beside_the_denials_that_stay():
    """Once the key has to be there, the Deny closes what is left."""
    document = policy(
        statement(Principal="*", Condition={"StringLikeIfExists": {"aws:SourceVpce": "vpce-*"}}),
        *deny(Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}, "Null": {"aws:SourceVpce": "false"}})[
            "Statement"
        ],
    )
    assert mend_of(document) == (
        "in statement number 1, write StringLike instead of StringLikeIfExists for aws:SourceVpce"
    )


def test_each_statement_has_a_change_of_its_own():
    found = public_findings(parse(policy(*two_ways_in())), queue_arn=QUEUE)
    assert [mend for _, _, mend in found] == [
        f"in statement 'closed by the Deny', {NAME_WHO_MAY}",
        f"in statement number 2, {NAME_WHO_MAY}",
        f"in statement 'third', {NAME_WHO_MAY}",
    ]


def test_nothing_is_to_be_changed_where_only_trusted_accounts_get_in():
    ten = parse(on("StringLike", "aws:PrincipalAccount", f"{PARTNER[:-1]}?"))
    assert len(list(public_findings(ten, queue_arn=QUEUE))) == 1
    assert list(public_findings(ten, queue_arn=QUEUE, trusted_accounts=iter(TEN_ACCOUNTS))) == []


ADD_DENY = (
    'add {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "%s", '
    '"Condition": {"Bool": {"aws:SecureTransport": "false"}}} to the policy'
)


@pytest.mark.parametrize(
    ("document", "mend"),
    [
        (None, ADD_DENY % QUEUE),
        (policy(statement()), ADD_DENY % QUEUE),
        (deny(Principal=ROLE, Condition=INSECURE), 'in statement number 1, let the Principal be "*"'),
        (
            deny(Principal=None, NotPrincipal=ROLE, Condition=INSECURE),
            'in statement number 1, let the Principal be "*"',
        ),
        (deny(Action="sqs:SendMessage", Condition=INSECURE), 'in statement number 1, let the Action be "sqs:*"'),
        (deny(Action=None, NotAction="sqs:A*", Condition=INSECURE), 'in statement number 1, let the Action be "sqs:*"'),
        (deny(Resource=f"{QUEUE}/*", Condition=INSECURE), f'in statement number 1, let the Resource be "{QUEUE}"'),
        (
            deny(Resource=None, NotResource=QUEUE, Condition=INSECURE),
            f'in statement number 1, let the Resource be "{QUEUE}"',
        ),
        (
            policy(statement(), *deny(Sid="tls", Condition={"Bool": {"aws:SecureTransport": "true"}})["Statement"]),
            'in statement \'tls\', let the Condition be {"Bool": {"aws:SecureTransport": "false"}} and nothing else',
        ),
        (
            deny(Condition=INSECURE | {"StringEquals": {"aws:SourceVpc": "vpc-1"}}),
            'in statement number 1, let the Condition be {"Bool": {"aws:SecureTransport": "false"}} and nothing else',
        ),
        (deny(Action="sqs:SendMessage", Principal=ROLE, Condition=INSECURE), ADD_DENY % QUEUE),
        (deny(Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}}), ADD_DENY % QUEUE),
        (to_anyone(Bool={"aws:SecureTransport": "true"}), ADD_DENY % QUEUE),
        (
            policy(
                *deny(Action="sqs:SendMessage", Principal=ROLE, Condition=INSECURE)["Statement"],
                *deny(Action="sqs:SendMessage", Condition=INSECURE)["Statement"],
            ),
            'in statement number 2, let the Action be "sqs:*"',
        ),
        (
            policy(
                *deny(Action="sqs:SendMessage", Condition=INSECURE)["Statement"],
                *deny(Action=None, NotAction="sqs:SendMessage", Principal=ROLE, Condition=INSECURE)["Statement"],
            ),
            'in statement number 1, let the Action be "sqs:*"',
        ),
    ],
)
def test_the_smallest_change_that_denies_plain_http_is_proposed(document, mend):
    assert closes_plaintext(parse(document), queue_arn=QUEUE) == mend


def test_without_the_queues_arn_its_place_is_left_open():
    assert closes_plaintext((), queue_arn="") == ADD_DENY % "QUEUE_ARN"
    only_one_queue = parse(deny(Resource=QUEUE, Condition=INSECURE))
    assert closes_plaintext(only_one_queue, queue_arn="") == 'in statement number 1, let the Resource be "*"'


@pytest.mark.parametrize("document", PLAIN_HTTP.values(), ids=PLAIN_HTTP.keys())
def test_what_is_proposed_denies_plain_http(document):
    mend = closes_plaintext(parse(document), queue_arn=QUEUE)
    statements = [dict(each) for each in _statements(document or policy())]
    if mend.startswith("add "):
        statements.append(json.loads(mend.removeprefix("add ").removesuffix(" to the policy")))
    else:
        element, value = re.findall(r"let the (\w+) be (.*?)(?: and nothing else)?$", mend)[0]
        denial = next(each for each in statements if each["Effect"] == "Deny")
        denial.pop(f"Not{element}", None)
        denial[element] = json.loads(value)
    assert plaintext_access(policy(*statements), queue_arn=QUEUE).found is False


# --- what cannot be read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [public_access, plaintext_access, outside_vpc_access, grants, foreign_accounts])
def test_no_question_is_answered_about_a_policy_that_cannot_be_read(ask):
    with pytest.raises(PolicyError):
        ask('{"Statement": 5}')
