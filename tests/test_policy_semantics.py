"""What `decide` and `parse` make of a policy, section by section of the IAM reference.

Each test is named after the page and the section that it holds to, and its docstring names the section or quotes the
sentence that decides. The pages are those of the IAM user guide (reference_policies_...), of its list of policy checks
(access-analyzer-reference-policy-checks), and of the Amazon SQS developer guide.

Most tests put one statement to a request twice, once as an Allow and once as a Deny. YES: it is about the request, so
it allows or denies it. NO: it is not. DOUBT: the reference leaves it open, or AWS would refuse the policy; such an
Allow applies, such a Deny does not.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from safe_sqs.policy import Decision, PolicyError, Request, decide, parse

OWN, FOREIGN, PARTNER = "111122223333", "444455556666", "777788889999"
QUEUE = f"arn:aws:sqs:us-east-1:{OWN}:orders"
TOPIC = f"arn:aws:sns:us-east-1:{OWN}:news"
ANONYMOUS, SNS = "anonymous", "sns.amazonaws.com"
NEW, OLD = "2012-10-17", "2008-10-17"
YES, NO, DOUBT = "applies", "does not apply", "in doubt"

LONG = "z" * 300
"""Put before or behind both a pattern and a text that have no such letter, it changes nothing."""

law = settings(derandomize=True, deadline=None, max_examples=150)


def root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def user(account: str, name: str = "bob") -> str:
    return f"arn:aws:iam::{account}:user/{name}"


def role(account: str, name: str = "app") -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def session(account: str, name: str = "app", of: str = "shift") -> str:
    return f"arn:aws:sts::{account}:assumed-role/{name}/{of}"


def federated(account: str, name: str = "bob") -> str:
    return f"arn:aws:sts::{account}:federated-user/{name}"


def statement(**elements: Any) -> dict[str, Any]:
    """A statement that is fine, with some elements replaced; those that are None are left out."""
    whole = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"} | elements
    return {key: value for key, value in whole.items() if value is not None}


def policy(*statements: Any, version: str | None = NEW) -> dict[str, Any]:
    top = {} if version is None else {"Version": version}
    return {**top, "Statement": list(statements)}


def request(
    principal: str = ANONYMOUS,
    action: str = "sqs:SendMessage",
    resource: str = QUEUE,
    keys: dict[str, Any] | None = None,
) -> Request:
    return Request(principal, action, resource, keys or {})


def reading(wanted: Request, version: str | None = NEW, **elements: Any) -> str:
    """How a statement with these elements reads a request: YES, NO or DOUBT."""
    allow = decide(policy(statement(Effect="Allow", **elements), version=version), wanted)
    deny = decide(policy(statement(Effect="Deny", **elements), version=version), wanted)
    return {
        (Decision.ALLOW, Decision.DENY): YES,
        (Decision.NO_MATCH, Decision.NO_MATCH): NO,
        (Decision.ALLOW, Decision.NO_MATCH): DOUBT,
    }[allow, deny]


def condition(block: dict[str, Any], keys: dict[str, Any] | None = None, version: str | None = NEW) -> str:
    """How a Condition block reads a request with these keys."""
    return reading(request(keys=keys), version, Condition=block)


def line(operator: str, wanted: Any, *values: str, version: str | None = NEW) -> str:
    """How one line of a Condition block reads a request in which its key has these values; with none, it lacks it."""
    return condition({operator: {"aws:key": wanted}}, {"aws:key": values} if values else {}, version)


def matches_slowly(pattern: str, text: str, *, by_segment: bool = False) -> bool:
    """Wildcards by the definition: a star is nothing, or one character and the star again. By segment, a `?` is no
    colon, and a star takes one only where it ends a segment."""
    if not pattern:
        return not text
    here, rest = pattern[0], pattern[1:]
    free = not by_segment or text[:1] != ":" or (here == "*" and rest.lstrip("*")[:1] in ("", ":"))
    if here == "*":
        if matches_slowly(rest, text, by_segment=by_segment):
            return True
        return bool(text) and free and matches_slowly(pattern, text[1:], by_segment=by_segment)
    fits = text[:1] == here or (here == "?" and bool(text) and free)
    return fits and matches_slowly(rest, text[1:], by_segment=by_segment)


# --- elements_principal ------------------------------------------------------------------------------------------

EVERYBODY = [
    ANONYMOUS,
    SNS,
    root(OWN),
    user(OWN),
    role(FOREIGN),
    session(FOREIGN),
    federated(PARTNER),
    "arn:aws-cn:iam::444455556666:user/bob",
]


@pytest.mark.parametrize("principal", EVERYBODY)
@pytest.mark.parametrize("written", ["*", {"AWS": "*"}, {"AWS": ["*"]}, {"AWS": [role(OWN), "*"]}])
def test_elements_principal_all_principals__a_star_is_everybody(written, principal):
    """Principal, "All principals": `"Principal": "*"` and `"Principal": {"AWS": "*"}` are equivalent."""
    assert reading(request(principal), Principal=written) == YES


@pytest.mark.parametrize("principal", EVERYBODY)
@pytest.mark.parametrize(
    "written",
    ["", {"AWS": ""}, {"AWS": ["", role(PARTNER)]}, {"Service": "*"}, {"Federated": "*"}, {"CanonicalUser": "*"}],
)
def test_elements_principal_all_principals__an_empty_text_and_a_star_of_another_type_are_in_doubt(written, principal):
    """Principal, "AWS service principals": the service principal cannot be `"Service": "*"`. Grammar notes,
    principal_id_string: `*` is only for "everyone/anonymous"."""
    assert reading(request(principal), Principal=written) == DOUBT


def test_elements_principal_all_principals__a_list_without_a_type_is_in_doubt():
    """Policy checks, "Invalid principal format": "Specify a key-value pair in the Principal element."."""
    for principal in (["*"], [role(FOREIGN)], [OWN, FOREIGN]):
        assert reading(request(role(FOREIGN)), Principal=principal) == DOUBT
    assert reading(request(role(FOREIGN)), Principal=[OWN]) == NO


@pytest.mark.parametrize("empty", [{}, [], {"AWS": []}, {"Service": []}])
@pytest.mark.parametrize("principal", EVERYBODY)
def test_elements_principal_empty__no_principal_is_nobody(empty, principal):
    """Policy checks, "Empty object principal" and "Empty array principal": the statement does not affect the policy."""
    assert reading(request(principal), Principal=empty) == NO


def test_elements_principal_specifying__several_principals_are_alternatives():
    """Principal, "Specifying a principal": "This is a logical `OR` and not a logical `AND`"."""
    written = {"AWS": [OWN, role(FOREIGN)], "Service": [SNS, "s3.amazonaws.com"]}
    read = [
        reading(request(principal), Principal=written)
        for principal in (user(OWN), role(FOREIGN), SNS, "s3.amazonaws.com", user(FOREIGN), ANONYMOUS)
    ]
    assert read == [YES, YES, YES, YES, NO, NO]


IN_ACCOUNT = [
    OWN,
    root(OWN),
    user(OWN),
    user(OWN, "path/bob"),
    role(OWN),
    session(OWN),
    federated(OWN),
]
NOT_IN_ACCOUNT = [
    ANONYMOUS,
    SNS,
    FOREIGN,
    root(FOREIGN),
    user(FOREIGN, OWN),
    role(FOREIGN),
    session(FOREIGN, OWN, OWN),
    federated(FOREIGN),
    f"{OWN}.amazonaws.com",
    f"arn:aws:s3:::{OWN}",
    f"arn:aws:sqs:us-east-1:{OWN}:orders",
]


@pytest.mark.parametrize("written", [OWN, root(OWN)])
@pytest.mark.parametrize("principal", IN_ACCOUNT)
def test_elements_principal_accounts__an_account_is_every_principal_in_it(written, principal):
    """Principal, "AWS account principals": "Using the account ARN in the `Principal` element does not limit
    permissions to only the root user of the account."."""
    assert reading(request(principal), Principal={"AWS": written}) == YES


@pytest.mark.parametrize("written", [OWN, root(OWN)])
@pytest.mark.parametrize("principal", NOT_IN_ACCOUNT)
def test_elements_principal_accounts__an_account_is_nobody_outside_it(written, principal):
    """Principal, "AWS account principals": "This delegates authority to the account."."""
    assert reading(request(principal), Principal={"AWS": written}) == NO


@pytest.mark.parametrize(
    ("written", "principal", "read"),
    [
        ("arn:aws:iam::111122223333:root", "arn:aws-cn:iam::111122223333:user/bob", NO),
        ("arn:aws-cn:iam::111122223333:root", "arn:aws-cn:iam::111122223333:user/bob", YES),
        ("arn:aws-cn:iam::111122223333:root", OWN, YES),
        (OWN, "arn:aws-us-gov:sts::111122223333:assumed-role/app/shift", YES),
        (f"arn:aws:iam::{OWN}:x:root", user(OWN), NO),
        (OWN, f"arn:aws:sts::{OWN}:federated-user/a:b", YES),
    ],
)
def test_elements_principal_accounts__a_root_is_of_its_partition(written, principal, read):
    """Principal, "AWS account principals": the ARN form names the partition, the account id does not."""
    assert reading(request(principal), Principal={"AWS": written}) == read


@pytest.mark.parametrize(
    ("written", "principal", "read"),
    [
        (role(OWN), role(OWN), YES),
        (role(OWN), session(OWN), YES),
        (role(OWN), session(OWN, of="another"), YES),
        (role(OWN, "team/blue/app"), session(OWN), YES),
        (role(OWN, "team/blue/app"), role(OWN, "team/blue/app"), YES),
        (role(OWN, "aws-service-role/sns.amazonaws.com/app"), session(OWN), YES),
        (role(OWN, "a:b/app"), session(OWN), YES),
        (role(OWN), session(OWN, of="a:b"), YES),
        (role(OWN, "team/blue/app"), role(OWN), NO),
        (role(OWN), role(OWN, "APP"), NO),
        (role(OWN), session(OWN, "APP"), NO),
        (role(OWN), session(OWN, "another", "app"), NO),
        (role(OWN), session(FOREIGN), NO),
        (role(OWN), role(FOREIGN), NO),
        (role(OWN), user(OWN, "app"), NO),
        (role(OWN), federated(OWN, "app"), NO),
        (role(OWN), root(OWN), NO),
        (role(OWN), OWN, NO),
        (role(OWN), ANONYMOUS, NO),
        (role(OWN), SNS, NO),
        (role(OWN), "arn:aws-cn:sts::111122223333:assumed-role/app/shift", NO),
        (role(OWN), "arn:aws:sts::111122223333:assumed-role", NO),
        (user(OWN, "app"), session(OWN), NO),
        (f"arn:aws:iam::{OWN}:instance-profile/app", session(OWN), NO),
        (f"arn:aws:sts::{OWN}:role/app", session(OWN), NO),
        (role(OWN), f"arn:aws:iam::{OWN}:assumed-role/app/shift", NO),
        ("app", session(OWN), NO),
    ],
)
def test_elements_principal_roles__a_role_acts_through_its_sessions(written, principal, read):
    """Principal, "IAM role principals": "When they use those session credentials to perform operations in AWS, they
    become a role session principal." A session's ARN leaves out the path of its role."""
    assert reading(request(principal), Principal={"AWS": written}) == read


@pytest.mark.parametrize(
    ("principal", "read"),
    [
        (session(OWN), YES),
        (session(OWN, of="another"), NO),
        (session(OWN, of="Shift"), NO),
        (session(FOREIGN), NO),
        (role(OWN), NO),
    ],
)
def test_elements_principal_role_sessions__a_session_is_only_itself(principal, read):
    """Principal, "Assumed-role session principals": "Principals must always name a specific session."."""
    assert reading(request(principal), Principal={"AWS": session(OWN)}) == read


@pytest.mark.parametrize(
    ("principal", "read"),
    [
        (user(OWN), YES),
        (user(OWN, "Bob"), NO),
        (user(OWN, "path/bob"), NO),
        (user(FOREIGN), NO),
        (role(OWN, "bob"), NO),
    ],
)
def test_elements_principal_users__the_name_of_a_user_is_case_sensitive(principal, read):
    """Principal, "IAM user principals": "the user name part of the Amazon Resource Name (ARN) is case sensitive"."""
    assert reading(request(principal), Principal={"AWS": user(OWN)}) == read


@pytest.mark.parametrize("deleted", ["AIDACKCEVSQ6C2EXAMPLE", "AROADBQP57FF2AEXAMPLE"])
@pytest.mark.parametrize("principal", [user(OWN), role(OWN), session(OWN), ANONYMOUS])
def test_elements_principal_users__the_id_of_a_deleted_principal_is_nobody(deleted, principal):
    """Principal, "IAM user principals": "The policy no longer applies, even if you recreate the user."."""
    assert reading(request(principal), Principal={"AWS": deleted}) == NO


@pytest.mark.parametrize(
    ("principal", "read"), [(federated(OWN), YES), (federated(OWN, "ann"), NO), (federated(FOREIGN), NO)]
)
def test_elements_principal_federated_user_sessions__a_federated_user_is_only_itself(principal, read):
    """Principal, "AWS STS federated user session principals": `arn:aws:sts::ACCOUNT:federated-user/NAME`."""
    assert reading(request(principal), Principal={"AWS": federated(OWN)}) == read


@pytest.mark.parametrize(
    ("principal", "read"),
    [
        (SNS, YES),
        ("s3.amazonaws.com", NO),
        ("sns.ap-east-1.amazonaws.com", NO),
        (ANONYMOUS, NO),
        (role(OWN), NO),
        (role(OWN, SNS), NO),
    ],
)
def test_elements_principal_services__a_service_is_its_own_name(principal, read):
    """Principal, "AWS service principals in opt-in Regions": the request of a service may come under its regional
    name, which has to be specified as such."""
    assert reading(request(principal), Principal={"Service": SNS}) == read


@pytest.mark.parametrize("kind", ["Federated", "CanonicalUser"])
@pytest.mark.parametrize(
    "name",
    [
        "cognito-identity.amazonaws.com",
        f"arn:aws:iam::{OWN}:saml-provider/corp",
        "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be",
    ],
)
def test_elements_principal_web_identity_saml_and_canonical_users__each_is_its_own_name(kind, name):
    """Principal, "OIDC federated principals", "SAML federated principals" and "AWS account principals"."""
    assert reading(request(name), Principal={kind: name}) == YES
    assert reading(request(ANONYMOUS), Principal={kind: name}) == NO
    assert reading(request(role(OWN)), Principal={kind: name}) == NO


def test_elements_principal_web_identity_saml_and_canonical_users__an_account_is_not_read_in_them():
    """Principal, "AWS account principals": an account is named "with the `"AWS":` prefix"."""
    assert reading(request(user(OWN)), Principal={"CanonicalUser": OWN}) == NO
    assert reading(request(user(OWN)), Principal={"Federated": root(OWN)}) == NO


@pytest.mark.parametrize(
    ("written", "principal"),
    [
        ("arn:aws:iam::*:root", root(FOREIGN)),
        ("arn:aws:iam::*:root", user(FOREIGN)),
        ("arn:aws:iam::*:root", session(FOREIGN)),
        ("arn:aws:iam::*:root", FOREIGN),
        ("arn:aws:iam::11112222333?:root", user(OWN)),
        ("arn:*:iam::*:root", "arn:aws-cn:iam::444455556666:user/bob"),
        ("1111222233*", user(OWN)),
        ("????????????", role(FOREIGN)),
        (user(OWN, "*"), user(OWN)),
        (role("*"), role(FOREIGN)),
        (role("*"), session(FOREIGN)),
        (role(OWN, "a*"), session(OWN)),
        (role(OWN, "a*"), session(OWN, of="a:b")),
        (session(OWN, of="*"), session(OWN)),
        (session("*", "*", "*"), session(FOREIGN)),
        ("arn:aws:*", federated(PARTNER)),
    ],
)
def test_elements_principal_specifying__a_wildcard_in_a_name_is_in_doubt(written, principal):
    """Principal, "Specifying a principal": "You cannot use a wildcard to match part of a principal name or ARN."."""
    assert reading(request(principal), Principal={"AWS": written}) == DOUBT


@pytest.mark.parametrize(
    ("written", "principal"),
    [
        ("arn:aws:iam::*:root", ANONYMOUS),
        ("arn:aws:iam::*:root", SNS),
        ("arn:aws:iam::*:root", "arn:aws-cn:iam::444455556666:user/bob"),
        ("arn:aws:iam::11112222333?:root", user(FOREIGN)),
        ("1111*", user(FOREIGN)),
        (user(OWN, "*"), role(OWN)),
        (user(OWN, "A*"), user(OWN, "ann")),
        (role(OWN, "b*"), session(OWN)),
        (session(OWN, of="s?"), session(OWN)),
        ("anon*", ANONYMOUS),
        ("1234*", "12345"),
        ("sqs*", "sqs.aws.test"),
    ],
)
def test_elements_principal_specifying__a_wildcard_that_does_not_fit_names_nobody(written, principal):
    """Principal, "Specifying a principal": read as a pattern, it still has to fit."""
    assert reading(request(principal), Principal={"AWS": written}) == NO


@pytest.mark.parametrize("name", ["*.amazonaws.com", "sn?.amazonaws.com"])
def test_elements_principal_services__a_wildcard_in_the_name_of_a_service_is_in_doubt(name):
    """Policy checks, "Unsupported wildcard in principal": a wildcard cannot match part of a name or an ARN."""
    assert reading(request(SNS), Principal={"Service": name}) == DOUBT
    assert reading(request("other.example.com"), Principal={"Service": name}) == NO


@pytest.mark.parametrize(
    ("written", "principal"),
    [
        ({"AWS": ANONYMOUS}, ANONYMOUS),
        ({"Service": ANONYMOUS}, ANONYMOUS),
        ({"AWS": SNS}, SNS),
        ({"Service": role(OWN)}, role(OWN)),
        ({"AWS": "arn:aws:iam::${aws:PrincipalAccount}:root"}, user(FOREIGN)),
    ],
)
def test_elements_principal_specifying__a_name_that_is_not_of_its_type_denies_nobody(written, principal):
    """Principal, "Specifying a principal": each type has names of its own; AWS refuses the others. Policy checks,
    "Variable unsupported in element": variables are for Resource and Condition."""
    denied = policy(statement(Effect="Deny", Principal=written))
    keys = {"aws:PrincipalAccount": (FOREIGN,)}
    assert decide(denied, request(principal, keys=keys)) is Decision.NO_MATCH


def test_elements_principal_services__a_name_that_no_service_has_is_in_doubt():
    """Principal, "AWS service principals": the identifier is usually `service-name.amazonaws.com`."""
    assert reading(request(role(OWN)), Principal={"Service": role(OWN)}) == DOUBT
    assert reading(request("example.com"), Principal={"Service": "example.com"}) == DOUBT


# --- elements_notprincipal ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "read"),
    [
        (user(FOREIGN), NO),
        (user(PARTNER), YES),
        (role(OWN), YES),
        (root(OWN), YES),
        (SNS, YES),
        (ANONYMOUS, YES),
    ],
)
def test_elements_notprincipal__everybody_but_those_that_are_listed(principal, read):
    """NotPrincipal, "NotPrincipal With Deny": "explicitly denied to all principals except for the ones specified";
    "NotPrincipal With Allow": you "might grant access to anonymous (unauthenticated) users"."""
    listed = {"AWS": [user(FOREIGN), root(FOREIGN)]}
    assert reading(request(principal), Principal=None, NotPrincipal=listed) == read


@pytest.mark.parametrize(
    ("listed", "spared", "met"),
    [
        ({"AWS": OWN}, [root(OWN), role(OWN), session(OWN)], [root(FOREIGN), SNS, ANONYMOUS]),
        ({"AWS": role(OWN)}, [role(OWN), session(OWN)], [user(OWN), role(OWN, "b"), session(OWN, "b")]),
        ({"AWS": session(OWN)}, [session(OWN)], [session(OWN, of="another"), role(FOREIGN)]),
        ({"AWS": federated(OWN)}, [federated(OWN)], [user(OWN), ANONYMOUS]),
        ({"Service": SNS}, [SNS], ["s3.amazonaws.com", role(OWN), ANONYMOUS]),
        ({"AWS": user(OWN), "Service": [SNS]}, [user(OWN), SNS], [role(OWN), ANONYMOUS]),
        ("*", EVERYBODY, []),
        ({"AWS": "*"}, EVERYBODY, []),
    ],
)
def test_elements_notprincipal__is_written_as_principal_is(listed, spared, met):
    """NotPrincipal: "The syntax for specifying `NotPrincipal` is the same as for specifying" Principal."""
    assert {reading(request(each), Principal=None, NotPrincipal=listed) for each in spared} == {NO}
    assert {reading(request(each), Principal=None, NotPrincipal=listed) for each in met} <= {YES}


@pytest.mark.parametrize("listed", ["", {"Service": "*"}, {"AWS": "arn:aws:iam::*:root"}, {"AWS": role("*")}])
def test_elements_notprincipal__what_is_in_doubt_as_principal_is_in_doubt_here(listed):
    """NotPrincipal: the same wildcards are refused, so an Allow applies to those whom it may spare, a Deny does not."""
    assert reading(request(role(FOREIGN)), Principal=None, NotPrincipal=listed) == DOUBT


@pytest.mark.parametrize("listed", [{}, [], {"AWS": []}])
def test_elements_notprincipal__an_empty_list_denies_nobody(listed):
    """Policy checks, "Empty array principal": "This statement includes no principals and does not affect the policy."
    It speaks of Principal and NotPrincipal."""
    denied = policy(statement(Effect="Deny", Principal=None, NotPrincipal=listed))
    assert decide(denied, request(role(FOREIGN))) is Decision.NO_MATCH


# --- elements_action, elements_notaction -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sqs:SendMessage", YES),
        ("SQS:sendmessage", YES),
        ("sqs:SENDMESSAGE", YES),
        ("sqs:*", YES),
        ("SQS:*", YES),
        ("*", YES),
        ("sqs:Send*", YES),
        ("sqs:*message", YES),
        ("sqs:S*d*e", YES),
        ("sqs:SendMessag?", YES),
        ("sqs:?endMessage", YES),
        ("sqs:SendMessage*", YES),
        ("s*:SendMessage", YES),
        (["sns:Publish", "sqs:SendMessage"], YES),
        ("sqs:SendMessage?", NO),
        ("sqs:SendMessag", NO),
        ("sqs:ReceiveMessage", NO),
        ("sns:*", NO),
        ("sns:SendMessage", NO),
        ("sqs:Send?", NO),
        ("", NO),
        ([], NO),
        (["sqs:ReceiveMessage", "sns:*"], NO),
    ],
)
def test_elements_action__letter_case_is_ignored_and_wildcards_count(written, read):
    """Action: "The prefix and the action name are case insensitive." and "You can also use wildcards (*) as part of
    the action name."; policy checks, "Empty array action"."""
    assert reading(request(), Action=written) == read


@pytest.mark.parametrize("action", ["sqs:SendMessage", "SQS:sendmessage", "sqs:SENDMESSAGE"])
def test_elements_action__letter_case_is_ignored_in_the_request_too(action):
    """Action: "`iam:ListAccessKeys` is the same as `IAM:listaccesskeys`"."""
    assert reading(request(action=action), Action="sqs:SendMessage") == YES
    assert reading(request(action=action), Action="sqs:DeleteMessage") == NO


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sqs:SendMessage", NO),
        ("SQS:SEND*", NO),
        ("*", NO),
        (["sqs:DeleteMessage", "sqs:*"], NO),
        ("sqs:ReceiveMessage", YES),
        ("iam:*", YES),
        (["sqs:ReceiveMessage", "sqs:DeleteQueue"], YES),
    ],
)
def test_elements_notaction__everything_but_what_is_listed(written, read):
    """NotAction: it "explicitly matches everything except the specified list of actions"."""
    assert reading(request(), Action=None, NotAction=written) == read


def test_elements_notaction__an_empty_list_denies_nothing():
    """Policy checks, "Empty array action": "This statement includes no actions and does not affect the policy."."""
    assert decide(policy(statement(Effect="Deny", Action=None, NotAction=[])), request()) is Decision.NO_MATCH


# --- Amazon SQS API permissions, Amazon SQS batch actions --------------------------------------------------------

BATCHES = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}


@pytest.mark.parametrize(("batch", "single"), BATCHES.items())
def test_sqs_batch_actions__a_batch_is_judged_as_its_single_action(batch, single):
    """Amazon SQS batch actions: "Setting permissions for `SendMessage`, `DeleteMessage`, or `ChangeMessageVisibility`
    sets permissions for the corresponding batch versions of the actions."."""
    others = [action for action in BATCHES.values() if action != single]
    for action in (batch, batch.upper(), single):
        assert reading(request(action=action), Action=single) == YES
        assert reading(request(action=action), Action=single.lower()) == YES
        assert reading(request(action=action), Action=f"{single[:-1]}?") == YES
        assert reading(request(action=action), Action=others) == NO
        assert reading(request(action=action), Action=None, NotAction=single) == NO
        assert reading(request(action=action), Action=None, NotAction=others) == YES


@pytest.mark.parametrize(("batch", "single"), BATCHES.items())
def test_sqs_batch_actions__a_policy_that_names_a_batch_is_in_doubt(batch, single):
    """Amazon SQS batch actions: "You can't set permissions for `SendMessageBatch`, `DeleteMessageBatch`, or
    `ChangeMessageVisibilityBatch` explicitly."."""
    others = [name for name in BATCHES if name != batch]
    for action in (batch, single):
        assert reading(request(action=action), Action=batch) == DOUBT
        assert reading(request(action=action), Action=batch.lower()) == DOUBT
        assert reading(request(action=action), Action=f"{single}B*") == DOUBT
        assert reading(request(action=action), Action="sqs:*batch") == DOUBT
        assert reading(request(action=action), Action=others) == NO
        assert reading(request(action=action), Action=None, NotAction=batch) == DOUBT
        assert reading(request(action=action), Action=None, NotAction=others) == YES


@pytest.mark.parametrize("action", ["sqs:ReceiveMessage", "sqs:ReceiveMessageBatch", "sqs:PurgeQueue"])
def test_sqs_batch_actions__other_actions_have_no_batch(action):
    """Amazon SQS batch actions: there are three of them."""
    assert reading(request(action=action), Action=action) == YES
    assert reading(request(action=action), Action=list(BATCHES) + list(BATCHES.values())) == NO


# --- elements_resource, elements_notresource ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (QUEUE, YES),
        ("*", YES),
        ("**", YES),
        (f"arn:aws:sqs:us-east-1:{OWN}:*", YES),
        (f"arn:aws:sqs:us-east-1:{OWN}:ord*", YES),
        (f"arn:aws:sqs:us-east-1:{OWN}:o?de?s", YES),
        (f"arn:aws:sqs:us-east-1:{OWN}:orders*", YES),
        (f"arn:aws:sqs:*:{OWN}:orders", YES),
        ("arn:aws:sqs:*:*:orders", YES),
        ("arn:aws:sqs:*:*:*", YES),
        ("arn:aws:sqs:us-east-?:1111*:orders", YES),
        ("arn:aws:sqs:*", YES),
        ("arn:aws:sqs:us-east-1:*", YES),
        ("arn:*:orders", YES),
        ([f"{QUEUE}-other", QUEUE], YES),
        (QUEUE.upper(), NO),
        (f"arn:aws:sqs:us-east-1:{OWN}:Orders", NO),
        (f"arn:aws:sqs:us-east-1:{OWN}:ORD*", NO),
        (f"arn:aws:sqs:us-east-1:{OWN}:orders?", NO),
        (f"arn:aws:sqs:us-east-1:{OWN}:order", NO),
        (f"{QUEUE}/*", NO),
        (f"{QUEUE}-other", NO),
        (f"arn:aws:sqs:us-east-1:{FOREIGN}:orders", NO),
        (f"arn:aws:sqs:eu-west-1:{OWN}:orders", NO),
        (f"arn:aws-cn:sqs:us-east-1:{OWN}:orders", NO),
        (f"arn:aws:sns:us-east-1:{OWN}:orders", NO),
        ("orders", NO),
        ("", NO),
        ([], NO),
        ([f"{QUEUE}/*", f"{QUEUE}?"], NO),
    ],
)
def test_elements_resource_wildcards__letter_case_and_wildcards_count(written, read):
    """Resource, "Using wildcards in resource ARNs": `*` is any combination of characters and `?` any single one; a `*`
    that ends a segment may run across colons. Policy checks, "Empty array resource"."""
    assert reading(request(), Resource=written) == read


def test_elements_resource_wildcards__other_characters_are_not_special():
    """Resource, "Using wildcards in resource ARNs": there are only these two."""
    queue = f"arn:aws:sqs:us-east-1:{OWN}:a.b"
    assert reading(request(resource=queue), Resource=queue) == YES
    assert reading(request(resource=queue), Resource=f"arn:aws:sqs:us-east-1:{OWN}:a[.]b") == NO
    assert reading(request(resource=f"arn:aws:sqs:us-east-1:{OWN}:axb"), Resource=queue) == NO


@pytest.mark.parametrize(
    "written",
    [
        "arn:aws:sqs:us-east-1*orders",
        f"arn:aws:sqs*{OWN}:orders",
        "arn:aws:sqs:us-east-1:1*s",
        f"arn:aws:sqs:us-east-1?{OWN}:orders",
    ],
)
def test_elements_resource_wildcards__a_wildcard_inside_a_segment_denies_nothing_beyond_it(written):
    """Resource, "Using wildcards in resource ARNs": "If the `*` wildcard is the last character of a resource ARN
    segment, it can expand to match beyond the colon boundaries." Others stay in their segment."""
    assert decide(policy(statement(Effect="Deny", Resource=written)), request()) is Decision.NO_MATCH


@law
@given(st.text(alphabet="ab*?:", max_size=7), st.text(alphabet="ab:", min_size=1, max_size=8))
@example("a*b:*", "ab:ab:b")
@example("*:a*b*:b", "a:b:ab::b")
@example("*a:?b", "a:a:bb")
def test_elements_resource_wildcards__agree_with_a_slow_reading(written, resource):
    """Resource, "Using wildcards in resource ARNs": as above; an incomplete ARN is in doubt, as below."""
    loose = matches_slowly(written, resource) or bool(written and resource.startswith(f"{written}:"))
    read = YES if matches_slowly(written, resource, by_segment=True) else DOUBT if loose else NO
    assert reading(request(resource=resource), Resource=written) == read
    assert not written or reading(request(resource=LONG + resource), Resource=LONG + written) == read


@pytest.mark.parametrize("written", ["arn:aws:sqs", "arn:aws:sqs:us-east-1", f"arn:aws:sqs:us-east-1:{OWN}"])
def test_elements_resource__an_incomplete_arn_is_in_doubt(written):
    """IAM identifiers, "IAM ARNs": "AWS automatically completes the ARN by adding wildcard characters (*) to all
    missing fields", which is said of identity-based policies only."""
    assert reading(request(), Resource=written) == DOUBT


def test_elements_resource_multiple__several_resources_are_alternatives():
    """Resource, "Specifying multiple resources"."""
    other = f"arn:aws:sqs:us-east-1:{OWN}:bills"
    written = [other, f"arn:aws:sqs:*:{OWN}:ord*"]
    read = [reading(request(resource=queue), Resource=written) for queue in (QUEUE, other, f"{other}-2")]
    assert read == [YES, YES, NO]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (QUEUE, NO),
        ("*", NO),
        ("arn:aws:sqs:*:*:ord*", NO),
        ([f"{QUEUE}-other", QUEUE], NO),
        (f"{QUEUE}/*", YES),
        (QUEUE.upper(), YES),
        ([f"{QUEUE}-other", TOPIC], YES),
    ],
)
def test_elements_notresource__everything_but_what_is_listed(written, read):
    """NotResource: it "explicitly matches every resource except those specified"."""
    assert reading(request(), Resource=None, NotResource=written) == read


def test_elements_notresource__an_empty_list_denies_nothing():
    """Policy checks, "Empty array resource": "This statement includes no resources and does not affect the policy."."""
    assert decide(policy(statement(Effect="Deny", Resource=None, NotResource=[])), request()) is Decision.NO_MATCH


# --- elements_version --------------------------------------------------------------------------------------------

TEAM = {"aws:PrincipalTag/team": ("orders",)}


@pytest.mark.parametrize(
    ("version", "value", "read"),
    [
        (NEW, "orders", YES),
        (OLD, "orders", NO),
        (None, "orders", NO),
        (NEW, "${aws:PrincipalTag/team}", NO),
        (OLD, "${aws:PrincipalTag/team}", YES),
        (None, "${aws:PrincipalTag/team}", YES),
    ],
)
@pytest.mark.parametrize("operator", ["StringEquals", "StringEqualsIgnoreCase", "StringLike"])
def test_elements_version__variables_came_with_2012(operator, version, value, read):
    """Version: in 2008-10-17 "variables such as `${aws:username}` aren't recognized as variables and are instead
    treated as literal strings in the policy"; Variables, "Introduction": so it is without a Version."""
    block = {operator: {"aws:key": "${aws:PrincipalTag/team}"}}
    assert condition(block, {**TEAM, "aws:key": (value,)}, version) == read


@pytest.mark.parametrize(("version", "read"), [(NEW, YES), (OLD, NO), (None, NO)])
def test_elements_version__variables_in_resources_came_with_2012(version, read):
    """Version: see above."""
    written = f"arn:aws:sqs:us-east-1:{OWN}:${{aws:PrincipalTag/team}}"
    assert reading(request(keys=TEAM), version, Resource=written) == read
    assert reading(request(keys=TEAM), version, Resource=f"{written}*") == read


@pytest.mark.parametrize(("version", "read"), [(NEW, NO), (OLD, YES), (None, YES)])
def test_elements_version__a_wildcard_in_a_literal_variable_is_a_wildcard(version, read):
    """Version: a literal string keeps its wildcards."""
    block = {"StringLike": {"aws:key": "${*}"}}
    assert condition(block, {"aws:key": ("${anything}",)}, version) == read
    assert reading(request(resource=f"{QUEUE}${{anything}}"), version, Resource=f"{QUEUE}${{*}}") == read


@pytest.mark.parametrize("version", ["2012-10-18", "2012-10-17 ", "", "2008-10-18", 2012, None, ["2012-10-17"], {}])
def test_elements_version__any_other_version_is_an_error(version):
    """Version: "IAM supports the following `Version` element values", and lists two."""
    with pytest.raises(PolicyError) as caught:
        decide({"Version": version, "Statement": [statement()]}, request())
    assert caught.value.where == "Version"
    assert f"{NEW}, {OLD}" in caught.value.problem


# --- elements_statement, elements_sid, elements_id ---------------------------------------------------------------


def test_elements_statement__one_statement_or_a_list_of_them():
    """Statement: it "can contain a single statement or an array of individual statements"."""
    assert decide({"Statement": statement()}, request()) is Decision.ALLOW
    assert decide({"Statement": [statement()]}, request()) is Decision.ALLOW
    assert parse({"Statement": statement()}) == parse({"Statement": [statement()]})
    assert decide({"Statement": []}, request()) is Decision.NO_MATCH


@pytest.mark.parametrize("document", [None, "", {"Statement": []}, '{"Statement": []}'])
def test_elements_statement__no_policy_says_nothing(document):
    """Evaluation logic: without a statement that applies, nothing is allowed and nothing denied."""
    assert parse(document) == ()
    assert decide(document, request()) is Decision.NO_MATCH


def test_elements_statement__a_text_says_what_its_object_says():
    """Grammar, "The policy language and JSON": "White space between individual entities is allowed."."""
    document = policy(statement(Sid="a", Condition={"Bool": {"aws:SecureTransport": True}}), statement(Effect="Deny"))
    assert parse(json.dumps(document)) == parse(json.dumps(document, indent=4)) == parse(document)


def test_elements_sid__a_statement_is_called_by_its_sid_or_its_number():
    """Sid: "an optional identifier for the policy statement"."""
    read = parse(policy(statement(), statement(Sid=""), statement(Sid="b")))
    assert [each.name for each in read] == [0, 1, "b"]
    assert [each.label for each in read] == ["statement number 1", "statement number 2", "statement 'b'"]


def test_elements_statement__what_a_statement_says_does_not_depend_on_its_place():
    """Grammar notes: "A single policy can contain an array of statements."."""
    first, second, third = parse(policy(statement(), statement(), statement(Effect="Deny")))
    assert first.identity == second.identity != third.identity


@pytest.mark.parametrize("top", [{"Id": "some id"}, {"Id": ""}, {"Version": OLD}, {"Version": NEW, "Id": "x"}])
def test_elements_id__an_id_changes_nothing(top):
    """Id: "an optional identifier for the policy"."""
    assert decide({**top, "Statement": [statement()]}, request()) is Decision.ALLOW


# --- evaluation-logic --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([statement()], Decision.ALLOW),
        ([statement(Effect="Deny")], Decision.DENY),
        ([statement(), statement(Effect="Deny")], Decision.DENY),
        ([statement(Effect="Deny"), statement()], Decision.DENY),
        ([statement(), statement(), statement(Effect="Deny", Action="sqs:SendMessage")], Decision.DENY),
        ([statement(), statement(Effect="Deny", Action="sqs:DeleteQueue")], Decision.ALLOW),
        ([statement(Effect="Deny", Action="sqs:DeleteQueue")], Decision.NO_MATCH),
        ([statement(Action="sqs:DeleteQueue")], Decision.NO_MATCH),
        ([statement(Action="sqs:DeleteQueue"), statement()], Decision.ALLOW),
        ([statement(), statement(Action="sqs:DeleteQueue")], Decision.ALLOW),
    ],
)
def test_evaluation_logic_explicit_and_implicit_denies__a_deny_wins_in_any_order(statements, decision):
    """Evaluation logic, "The difference between explicit and implicit denies": "the `Deny` statement trumps the `Allow`
    statement", and without an applicable Allow the request is implicitly denied."""
    assert decide(policy(*statements), request()) is decision


@pytest.mark.parametrize(
    "elements",
    [
        {"Principal": {"AWS": OWN}},
        {"Action": "sqs:DeleteQueue"},
        {"Resource": TOPIC},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ],
)
def test_evaluation_logic_request_context__every_element_has_to_fit(elements):
    """Evaluation logic, "Processing the request context": actions, resources, principal and environment decide."""
    assert reading(request(keys={"aws:SecureTransport": ("false",)}), **elements) == NO


# --- elements_condition ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["aws:SourceIp", "AWS:SourceIP", "aws:sourceip"])
@pytest.mark.parametrize("sent", ["aws:SourceIp", "AWS:SOURCEIP", "aws:sourceip"])
def test_elements_condition__letter_case_of_keys_is_ignored(written, sent):
    """Condition: "including the `aws:SourceIP` condition key is equivalent to testing for `AWS:SourceIp`"."""
    assert condition({"IpAddress": {written: "203.0.113.0/24"}}, {sent: ("203.0.113.9",)}) == YES


def test_elements_condition__letter_case_of_tag_keys_is_ignored():
    """Condition: `aws:ResourceTag/TagKey1` "matches a resource tag key named either `TagKey1` or `tagkey1`"."""
    assert condition({"StringEquals": {"aws:PrincipalTag/Team": "a"}}, {"aws:principaltag/TEAM": ("a",)}) == YES


@pytest.mark.parametrize(
    "operator",
    ["stringequals", "STRINGEQUALS", "stringEqualsIfExists", "forallvalues:STRINGEQUALS", "FORANYVALUE:stringequals"],
)
def test_elements_condition__letter_case_of_operators_is_ignored(operator):
    """Condition: a Condition block is read without regard to the case of its operators."""
    assert line(operator, "a", "a") == YES
    assert line(operator, "a", "A") == NO


@pytest.mark.parametrize("empty", [None, {}, {"StringEquals": {}}])
def test_elements_condition__an_empty_block_asks_for_nothing(empty):
    """Condition: it is "optional"; policy checks, "Empty object condition"."""
    assert reading(request(), Condition=empty) == YES


def test_elements_condition__a_key_that_nobody_knows_is_a_key_like_others():
    """Condition, "The request context": "A key that is not present in the request is considered a mismatch."."""
    block = {"StringEquals": {"aws:NobodyKnowsThis": "a"}}
    assert condition(block, {"aws:NobodyKnowsThis": ("a",)}) == YES
    assert condition(block, {"aws:SourceAccount": ("a",)}) == NO


@pytest.mark.parametrize(
    ("operator", "written", "value", "read"),
    [
        ("Bool", True, "true", YES),
        ("Bool", False, "true", NO),
        ("Bool", [False], "false", YES),
        ("NumericEquals", 10, "10", YES),
        ("NumericLessThan", 1.5, "1.25", YES),
        ("NumericLessThan", 1e22, "5", YES),
        ("StringEquals", 10, "10", YES),
        ("StringEquals", True, "true", YES),
        ("Null", True, "there", NO),
        ("Null", False, "there", YES),
    ],
)
def test_elements_datatypes__quotation_marks_are_optional(operator, written, value, read):
    """Grammar, "The policy language and JSON": "Quotation marks are optional for numeric and Boolean values."."""
    assert line(operator, written, value) == read
    document = policy(statement(Condition={operator: {"aws:key": written}}))
    assert parse(json.dumps(document)) == parse(document)


# --- condition_operators -----------------------------------------------------------------------------------------

POSITIVE = {
    "StringEquals": ("orders", "bills", "orders", "Orders"),
    "StringEqualsIgnoreCase": ("Orders", "bills", "oRDERS", "order"),
    "StringLike": ("o*d?rs", "b*", "orders", "order"),
    "NumericEquals": ("10", "12", "10.0", "11"),
    "NumericLessThan": ("10", "1", "9.5", "10"),
    "NumericLessThanEquals": ("10", "1", "10", "10.5"),
    "NumericGreaterThan": ("10", "20", "11", "10"),
    "NumericGreaterThanEquals": ("10", "20", "10", "9"),
    "DateEquals": ("2020-04-01T00:00:00Z", "2020-01-01", "2020-04-01", "2020-04-02"),
    "DateLessThan": ("2020-04-01", "2020-01-01", "2020-03-31T23:59:59Z", "2020-04-01"),
    "DateLessThanEquals": ("2020-04-01", "2020-01-01", "2020-04-01", "2020-04-01T00:00:01Z"),
    "DateGreaterThan": ("2020-04-01", "2021-01-01", "2020-04-01T00:00:01Z", "2020-04-01"),
    "DateGreaterThanEquals": ("2020-04-01", "2021-01-01", "2020-04-01", "2020-03-31"),
    "Bool": ("true", "true", "true", "false"),
    "BinaryEquals": ("QmluYXJ5", "YmlsbHM=", "QmluYXJ5", "QmluYXJ4"),
    "IpAddress": ("203.0.113.0/24", "2001:db8::/32", "203.0.113.9", "198.51.100.9"),
    "ArnEquals": ("arn:aws:sns:*:111122223333:n?ws", "arn:aws:sns:*:*:bills", TOPIC, f"{TOPIC}-2"),
    "ArnLike": ("arn:aws:sns:*:111122223333:n?ws", "arn:aws:sns:*:*:bills", TOPIC, f"{TOPIC}-2"),
}
"""Per operator: two values of the policy, a value of a request that fits the first alone, and one that fits neither."""

NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
ALL_OPERATORS = {**POSITIVE, **{operator: POSITIVE[plain] for operator, plain in NEGATED.items()}}


def expected(operator: str, *, fits: bool) -> str:
    return YES if fits is not (operator in NEGATED) else NO


@pytest.mark.parametrize("operator", ALL_OPERATORS)
def test_condition_operators__each_compares_and_its_negation_is_the_opposite(operator):
    """Condition operators: the tables of all sections; "Negated matching"."""
    wanted, _, fitting, other = ALL_OPERATORS[operator]
    assert line(operator, wanted, fitting) == expected(operator, fits=True)
    assert line(operator, wanted, other) == expected(operator, fits=False)


@pytest.mark.parametrize("operator", ALL_OPERATORS)
def test_condition_operators_missing_key__false_and_for_a_negated_one_true(operator):
    """Condition operators: if the key is not present, "the values do not match and the condition is false"; if the
    condition requires that the key is not matched, "and the right key is not present, the condition is true"."""
    wanted = ALL_OPERATORS[operator][0]
    assert line(operator, wanted) == expected(operator, fits=False)
    assert condition({operator: {"aws:key": wanted}}, {"aws:key": ()}) == expected(operator, fits=False)


@pytest.mark.parametrize("operator", ALL_OPERATORS)
def test_condition_operators_ifexists__a_missing_key_is_true_and_a_present_one_is_compared(operator):
    """Condition operators, "...IfExists condition operators": "If the key is not present, evaluate the condition
    element as true.", also for a Deny with a negated operator."""
    wanted, _, fitting, other = ALL_OPERATORS[operator]
    assert line(f"{operator}IfExists", wanted) == YES
    assert line(f"{operator}IfExists", wanted, fitting) == expected(operator, fits=True)
    assert line(f"{operator}IfExists", wanted, other) == expected(operator, fits=False)


def test_condition_operators_ifexists__other_lines_still_count():
    """Condition operators, "...IfExists condition operators": "Other condition elements in the statement can still
    result in a nonmatch"."""
    block = {"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}, "Bool": {"aws:SecureTransport": "true"}}
    assert condition(block, {"aws:SecureTransport": ("true",)}) == YES
    assert condition(block, {"aws:SecureTransport": ("false",)}) == NO


@pytest.mark.parametrize("operator", ALL_OPERATORS)
def test_condition_operators_several_values__or_and_for_a_negated_one_nor(operator):
    """Conditions with multiple context keys or values: several values are "evaluated using a logical `OR`", those of a
    negated operator "using a logical `NOR`"."""
    wanted, more, fitting, other = ALL_OPERATORS[operator]
    assert line(operator, [more, wanted], fitting) == expected(operator, fits=True)
    assert line(operator, [wanted, more], fitting) == expected(operator, fits=True)
    assert line(operator, [more, wanted], other) == expected(operator, fits=False)


@pytest.mark.parametrize(
    "operator",
    [
        "StringMatches",
        "StringEqual",
        "String",
        "Equals",
        "NumericLike",
        "DateLike",
        "BoolEquals",
        "NotBool",
        "BinaryNotEquals",
        "NotNull",
        "NullIfExists",
        "IpAddressLike",
        "",
        "IfExists",
        "ForAllValues:",
        "ForAllValues:IfExists",
        "ForAnyValues:StringEquals",
        "ForAllValue:StringEquals",
        "ForAnyValue:ForAllValues:StringEquals",
        "ForAllValues: StringEquals",
        "StringEquals ",
        "StringEqualsIfExistsIfExists",
        "StringEqualsIfExist",
        "StringEquals:IfExists",
        "ForAllValues:NullIfExists",
    ],
)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_condition_operators__an_unknown_operator_is_an_error(effect, operator):
    """Policy checks, "Invalid condition operator" and "Null with if exists"."""
    with pytest.raises(PolicyError) as caught:
        decide(policy(statement(Effect=effect, Condition={operator: {"aws:key": "true"}})), request())
    assert caught.value.where == f"Statement[0].Condition.{operator}"
    assert "condition operator" in caught.value.problem


# --- condition_operators, "String condition operators" -----------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "read"),
    [
        ("StringEquals", "orders", "orders", YES),
        ("StringEquals", "orders", "order", NO),
        ("StringEquals", "order", "orders", NO),
        ("StringEquals", "orders", " orders", NO),
        ("StringEquals", "", "", YES),
        ("StringEquals", "", "a", NO),
        ("StringEquals", "a", "", NO),
        ("StringEquals", "o*", "orders", NO),
        ("StringEquals", "o*", "o*", YES),
        ("StringEquals", "order?", "orders", NO),
        ("StringNotEquals", "o*", "orders", YES),
        ("StringEqualsIgnoreCase", "o*", "O*", YES),
        ("StringEqualsIgnoreCase", "o*", "orders", NO),
        ("StringEqualsIgnoreCase", "\u00c4", "\u00e4", YES),
        ("StringNotEqualsIgnoreCase", "Orders", "ORDERS", NO),
        ("StringNotEqualsIgnoreCase", "Orders", "ORDER", YES),
    ],
)
def test_condition_operators_string__exact_matching(operator, wanted, value, read):
    """Condition operators, "String condition operators": "Exact matching, case sensitive". Policy checks, "Wildcard
    without like operator": wildcards need the `Like` version."""
    assert line(operator, wanted, value) == read


@pytest.mark.parametrize(
    ("wanted", "value", "read"),
    [
        ("*", "anything at all", YES),
        ("*", "", YES),
        ("**", "", YES),
        ("?", "", NO),
        ("?", "a", YES),
        ("?", "ab", NO),
        ("?*", "a", YES),
        ("?*", "", NO),
        ("*?", "", NO),
        ("a*", "a", YES),
        ("a*", "abc", YES),
        ("a*", "ba", NO),
        ("*a", "ba", YES),
        ("*a", "ab", NO),
        ("*ab", "aab", YES),
        ("a*b*c", "abbbc", YES),
        ("a*b*c", "acb", NO),
        ("*a*b", "aabab", YES),
        ("*a*b", "aaba", NO),
        ("a?c", "abc", YES),
        ("a?c", "ac", NO),
        ("ord", "orders", NO),
        ("", "", YES),
        ("", "a", NO),
        ("A*", "abc", NO),
        ("a.c", "abc", NO),
        ("[ab]", "a", NO),
        ("a\\*", "abc", NO),
        ("arn:aws:sns:*", "arn:aws:sns:us-east-1:111122223333:news", YES),
        (
            "arn:aws:someservice:*:111122223333:finance/*",
            "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
            YES,
        ),
    ],
)
def test_condition_operators_string_wildcards__a_star_is_any_run_and_a_question_mark_one_character(wanted, value, read):
    """Condition operators, "String condition operators": "You must specify wildcards to achieve partial string
    matches."; "Amazon Resource Name (ARN) condition operators": in StringLike the first asterisk runs across colons."""
    assert line("StringLike", wanted, value) == read
    assert line("StringNotLike", wanted, value) == {YES: NO, NO: YES}[read]


def test_condition_operators_string__the_example_with_a_tag():
    """Condition operators, "String condition operators", the table of the first example."""
    block = {"StringEquals": {"aws:PrincipalTag/job-category": "iamuser-admin"}}
    assert condition(block, {"aws:PrincipalTag/job-category": ("iamuser-admin",)}) == YES
    assert condition(block, {"aws:PrincipalTag/job-category": ("dev-ops",)}) == NO
    assert condition(block) == NO


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        ({"s3:prefix": ("",), "aws:username": ("martha_rivera",)}, YES),
        ({"s3:prefix": ("home/",)}, YES),
        ({"s3:prefix": ("home/martha_rivera/",), "aws:username": ("martha_rivera",)}, YES),
        ({"s3:prefix": ("home/martha_rivera/",), "aws:username": ("nikki_wolf",)}, NO),
        ({"s3:prefix": ("home/martha_rivera/",)}, NO),
    ],
)
def test_condition_operators_string__the_example_with_a_variable(keys, read):
    """Condition operators, "String condition operators", the example with `${aws:username}` and its table."""
    assert condition({"StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/"]}}, keys) == read


@law
@given(st.text(alphabet="ab*?:", max_size=7), st.text(alphabet="ab:", max_size=8))
@example("a*b*", "ab")
@example("*a?b*b", "aababb")
def test_condition_operators_string_wildcards__agree_with_a_slow_reading(wanted, value):
    """Condition operators, "String condition operators": wildcards may stand "anywhere in the string"."""
    read = YES if matches_slowly(wanted, value) else NO
    assert line("StringLike", wanted, value) == read
    assert line("StringLike", wanted + LONG, value + LONG) == read


# --- condition_operators, "Numeric condition operators" ----------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        ("NumericEquals", NO, YES, NO),
        ("NumericNotEquals", YES, NO, YES),
        ("NumericLessThan", YES, NO, NO),
        ("NumericLessThanEquals", YES, YES, NO),
        ("NumericGreaterThan", NO, NO, YES),
        ("NumericGreaterThanEquals", NO, YES, YES),
    ],
)
@pytest.mark.parametrize(
    ("wanted", "values"), [("10", ("9", "10", "100")), ("-1.5", ("-2", "-1.50", "0")), ("0", ("-0.1", "0.0", "0.1"))]
)
def test_condition_operators_numeric__compare_as_numbers(operator, below, equal, above, wanted, values):
    """Condition operators, "Numeric condition operators": "comparing a key to an integer or decimal value"."""
    assert [line(operator, wanted, value) for value in values] == [below, equal, above]


# --- condition_operators, "Date condition operators" -------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "before", "equal", "after"),
    [
        ("DateEquals", NO, YES, NO),
        ("DateNotEquals", YES, NO, YES),
        ("DateLessThan", YES, NO, NO),
        ("DateLessThanEquals", YES, YES, NO),
        ("DateGreaterThan", NO, NO, YES),
        ("DateGreaterThanEquals", NO, YES, YES),
    ],
)
@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        ("2020-04-01T00:00:00Z", ("2020-03-31T23:59:59Z", "2020-04-01T00:00:00Z", "2020-04-01T00:00:01Z")),
        ("2020-04-01", ("2020-03-31", "2020-04-01", "2020-04-02")),
        ("1585699200", ("1585699199", "1585699200", "1585699201")),
        ("2020-04-01T00:00:00Z", ("1585699199", "1585699200", "1585699201")),
        ("1585699200", ("2020-03-31T23:59:59Z", "2020-04-01", "2020-04-01T00:00:01Z")),
        ("2020-04-01T02:00:00+02:00", ("2020-04-01T01:59:59+02:00", "2020-03-31T19:00:00-05:00", "2020-04-01T00:01Z")),
    ],
)
def test_condition_operators_date__compare_as_moments(operator, before, equal, after, wanted, values):
    """Condition operators, "Date condition operators": "one of the W3C implementations of the ISO 8601 date formats or
    in epoch (UNIX) time"."""
    assert [line(operator, wanted, value) for value in values] == [before, equal, after]


@pytest.mark.parametrize(
    "written",
    [
        "2020-04-01",
        "2020-04-01T00:00Z",
        "2020-04-01T00:00:00Z",
        "2020-04-01T00:00:00.0Z",
        "2020-04-01T00:00:00.00Z",
        "2020-04-01T00:00:00.000Z",
        "2020-04-01T00:00:00.000000Z",
        "2020-04-01T05:30+05:30",
        "2020-04-01T05:30:00.0+05:30",
    ],
)
def test_condition_operators_date__every_w3c_form_from_the_day_on_is_read(written):
    """W3C note on date and time formats: complete date, and with hours and minutes, seconds, or a fraction of a second
    of "one or more digits"."""
    assert line("DateEquals", written, "1585699200") == YES
    assert line("DateEquals", "1585699200", written) == YES


@pytest.mark.parametrize(
    "written",
    [
        "yesterday",
        "",
        "2020-13-01",
        "2020-04-31",
        "2020-04-*",
        "2020-W14-3",
        "20200401T000000Z",
        "2020-04-01 00:00:00Z",
        "2020-04-01x00:00:00Z",
        "2020-04-01T24:00:00Z",
        "${aws:CurrentTime}",
        "nan",
        "inf",
    ],
)
def test_condition_operators_date__what_is_no_date_is_in_doubt(written):
    """Condition operators, "Date condition operators": "Wildcards are not permitted for date condition operators.";
    policy checks, "Type mismatch date"."""
    for operator in ("DateLessThan", "DateNotEquals", "DateEqualsIfExists"):
        assert line(operator, written, "2020-04-01") == DOUBT
        assert line(operator, ["2020-04-01", written], "2020-04-01") == DOUBT


# --- condition_operators, "Boolean condition operators" ----------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "value", "read"),
    [
        ("true", "true", YES),
        ("true", "false", NO),
        ("false", "true", NO),
        ("false", "false", YES),
        ("True", "true", YES),
        ("false", "FALSE", YES),
        ("true", "yes", NO),
        ("false", "0", NO),
        (["true", "false"], "true", YES),
        (["true", "false"], "false", YES),
    ],
)
def test_condition_operators_boolean__compare_true_and_false(wanted, value, read):
    """Condition operators, "Boolean condition operators": "comparing a key to "true" or "false""."""
    assert line("Bool", wanted, value) == read


# --- condition_operators, "Binary condition operators" -----------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("QmluYXJ5VmFsdWVJbkJhc2U2NA==", YES),
        ("ASIAIOSFODNN7EXAMPLE", NO),
        ("qmluYXJ5VmFsdWVJbkJhc2U2NA==", NO),
        ("BinaryValueInBase64", NO),
        ("QmluYXJ5VmFsdWVJbkJhc2U2NA", NO),
    ],
)
def test_condition_operators_binary__compare_byte_for_byte(value, read):
    """Condition operators, "Binary condition operators": "byte for byte against a base-64 encoded representation of the
    binary value in the policy"; its table."""
    assert line("BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", value) == read


# --- condition_operators, "IP address condition operators" -------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "value", "fits"),
    [
        ("203.0.113.0/24", "203.0.113.0", True),
        ("203.0.113.0/24", "203.0.113.255", True),
        ("203.0.113.0/24", "203.0.114.0", False),
        ("203.0.113.0/24", "203.0.112.255", False),
        ("203.0.113.77/24", "203.0.113.1", True),
        ("203.0.113.5", "203.0.113.5", True),
        ("203.0.113.5", "203.0.113.6", False),
        ("203.0.113.5/32", "203.0.113.5", True),
        ("0.0.0.0/0", "198.51.100.9", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "2001:db8::1", True),
        ("::/0", "198.51.100.9", False),
        ("2001:DB8:1234:5678::/64", "2001:db8:1234:5678:ffff::1", True),
        ("2001:DB8:1234:5678::/64", "2001:db8:1234:5679::", False),
        ("2001:db8::1", "2001:0db8:0:0:0:0:0:1", True),
        ("2001:db8::1", "2001:db9::1", False),
        (["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "203.0.113.9", True),
        (["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "2001:db8:1234:5678::9", True),
        (["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "198.51.100.9", False),
        ("0.0.0.0/0", "nowhere", False),
        ("203.0.113.0/24", "203.0.113.0/24", False),
    ],
)
def test_condition_operators_ip_address__the_blocks_of_both_families(wanted, value, fits):
    """Condition operators, "IP address condition operators": "The value must be in the standard CIDR format", and "If
    you specify an IP address without the associated routing prefix, IAM uses the default prefix value of `/32`.";
    policy checks, "Improve IP range": bits after the masked ones "are ignored"."""
    assert line("IpAddress", wanted, value) == expected("IpAddress", fits=fits)
    assert line("NotIpAddress", wanted, value) == expected("NotIpAddress", fits=fits)


@pytest.mark.parametrize(
    "written",
    [
        "garbage",
        "",
        "*",
        "203.0.113.*",
        "203.0.113.0/33",
        "203.0.113/24",
        "203.0.113.256",
        " 203.0.113.0/24",
        "203.0.113.0-203.0.113.9",
        "203.0.113.0/255.255.255.0",
        "203.0.113.0/0.0.0.255",
        "2001:db8::/129",
        "2001:db8:::/32",
        "${aws:SourceIp}",
        "3405803776",
    ],
)
def test_condition_operators_ip_address__what_is_no_block_is_in_doubt(written):
    """Policy checks, "Type mismatch IP range": "Specify the IP range in standard CIDR format."."""
    for operator in ("IpAddress", "NotIpAddress", "IpAddressIfExists"):
        assert line(operator, written, "203.0.113.9") == DOUBT
        assert line(operator, [written, "203.0.113.0/24"], "203.0.113.9") == DOUBT
        assert line(operator, written) == DOUBT


# --- condition_operators, "Amazon Resource Name (ARN) condition operators" ---------------------------------------


@pytest.mark.parametrize(
    ("wanted", "value", "fits"),
    [
        (TOPIC, TOPIC, True),
        (TOPIC, TOPIC.upper(), False),
        (f"arn:aws:sns:us-east-1:{OWN}:News", TOPIC, False),
        (TOPIC, f"{TOPIC}s", False),
        (f"{TOPIC}s", TOPIC, False),
        ("arn:aws:sns:*:*:*", TOPIC, True),
        ("arn:*:*:*:*:*", TOPIC, True),
        ("*:*:*:*:*:*", TOPIC, True),
        (f"arn:aws:sns:us-*-1:{OWN}:n*s", TOPIC, True),
        (f"arn:aws:sns:us-????-1:{OWN}:????", TOPIC, True),
        (f"arn:aws:sns:us-???-1:{OWN}:news", TOPIC, False),
        (f"arn:aws:sns:*:{FOREIGN}:*", TOPIC, False),
        (f"arn:aws:s*:{OWN}:x:*:*", TOPIC, False),
        ("arn:aws:s3:::*", "arn:aws:s3:::bucket", True),
        ("arn:aws:s3:*:*:*", "arn:aws:s3:::bucket", True),
        ("arn:aws:s3:::*", "arn:aws:s3::111122223333:bucket", False),
        ("arn:aws:s3:?::bucket", "arn:aws:s3:::bucket", False),
        ("arn:aws:sns:us-east-1?111122223333:x:news", f"{TOPIC}", False),
        ("arn:aws:lambda:*:*:function:*", "arn:aws:lambda:us-east-1:111122223333:function:f:1", True),
        ("arn:aws:lambda:*:*:*:f:1", "arn:aws:lambda:us-east-1:111122223333:function:f:1", True),
        ("arn:aws:lambda:*:*:function?f:1", "arn:aws:lambda:us-east-1:111122223333:function:f:1", True),
        ("arn:aws:lambda:*:*:function", "arn:aws:lambda:us-east-1:111122223333:function:f:1", False),
        ("arn:aws:iam::*:role/*", "arn:aws:iam::111122223333:role/path/app", True),
        (
            "arn:aws:someservice:*:111122223333:finance/*",
            "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt",
            False,
        ),
        (f"arn:aws:sns:*:{OWN}:*", f"arn:aws:sns:us-east-1:{FOREIGN}:a:{OWN}:b", False),
        ("arn:aws:sns:us-east-1:*:news", "arn:aws:sns:us-east-1:a:b:news", False),
        ("arn:aws:sns:us-east-1:a?b:news", "arn:aws:sns:us-east-1:a:b:news", False),
        ("arn:aws:sns:*:*:*", "news", False),
        ("*:*:*:*:*:*", "arn:aws:sns:us-east-1:111122223333", False),
        ("*:*:*:*:*:*", ":::::", True),
        ([f"{TOPIC}s", TOPIC], TOPIC, True),
    ],
)
@pytest.mark.parametrize("operator", ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"])
def test_condition_operators_arn__six_parts_each_for_itself(operator, wanted, value, fits):
    """Condition operators, "Amazon Resource Name (ARN) condition operators": "Each of the six colon-delimited
    components of the ARN is checked separately", and "`ArnEquals` and `ArnLike` condition operators behave
    identically"."""
    assert line(operator, wanted, value) == expected(operator, fits=fits)


def test_condition_operators_arn__the_example_with_a_topic():
    """Condition operators, "Amazon Resource Name (ARN) condition operators", the example of an Amazon SQS queue."""
    elements = {
        "Principal": {"Service": SNS},
        "Action": "SQS:SendMessage",
        "Resource": "arn:aws:sqs:us-west-2:123456789012:QUEUE-ID",
        "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:us-west-2:123456789012:TOPIC-ID"}},
    }
    results = []
    for source in ("arn:aws:sns:us-west-2:123456789012:TOPIC-ID", "arn:aws:sns:us-west-2:777788889999:TOPIC-ID", None):
        keys = {} if source is None else {"aws:SourceArn": (source,)}
        results.append(reading(request(SNS, "sqs:SendMessage", elements["Resource"], keys), **elements))
    assert results == [YES, NO, NO]


@pytest.mark.parametrize("written", ["*", "", "news", "arn:aws:sns:*", f"arn:aws:sns:us-east-1:{OWN}", "a:b:c:d:e"])
@pytest.mark.parametrize("operator", ["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "ArnLikeIfExists"])
def test_condition_operators_arn__fewer_than_six_parts_are_in_doubt(operator, written):
    """Policy checks, "Missing ARN field": an ARN has at least six fields."""
    assert line(operator, written, TOPIC) == DOUBT
    assert line(operator, [TOPIC, written], TOPIC) == DOUBT


PARTS = st.lists(st.text(alphabet="ab*?", max_size=3), min_size=6, max_size=7)


@law
@given(PARTS, st.lists(st.text(alphabet="ab", max_size=3), min_size=5, max_size=7))
@example(["*", "a*", "*b", "?", "*a*", "*"], ["", "a", "ab", "b", "aa", "x", "y"])
def test_condition_operators_arn__agree_with_a_slow_reading(wanted, value):
    """Condition operators, "Amazon Resource Name (ARN) condition operators": as above."""
    patterns, texts = ":".join(wanted).split(":", 5), ":".join(value).split(":", 5)
    fits = len(texts) == 6 and all(map(matches_slowly, patterns, texts))
    assert line("ArnLike", ":".join(wanted), ":".join(value)) == expected("ArnLike", fits=fits)
    assert line("ArnLike", ":".join(wanted) + LONG, ":".join(value) + LONG) == expected("ArnLike", fits=fits)


# --- condition_operators, values that an operator cannot read ----------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "written", "value"),
    [
        ("Bool", "flase", "false"),
        ("Bool", "", "false"),
        ("Bool", "1", "true"),
        ("Bool", "${aws:SecureTransport}", "false"),
        ("Null", "yes", "x"),
        ("Null", "${aws:key}", "x"),
        ("NumericEquals", "ten", "10"),
        ("NumericEquals", "", "10"),
        ("NumericEquals", "1_0", "10"),
        ("NumericEquals", "0x0A", "10"),
        ("NumericEquals", "\uff11\uff10", "10"),
        ("NumericLessThan", "nan", "10"),
        ("NumericLessThan", "Infinity", "10"),
        ("NumericLessThan", "1e999", "10"),
        ("NumericNotEquals", "${aws:key}", "10"),
        ("NumericLessThan", "1*", "10"),
        ("BinaryEquals", "not base 64!", "YQ=="),
        ("BinaryEquals", "Y!Q==", "YQ=="),
        ("BinaryEquals", "YQ", "YQ=="),
        ("BinaryEquals", "${aws:key}", "YQ=="),
    ],
)
def test_policy_checks_type_mismatch__a_value_that_cannot_be_read_is_in_doubt(operator, written, value):
    """Policy checks, "Type mismatch Boolean", "Type mismatch number", "Type mismatch string", and "Invalid variable for
    operator"; on variables in Bool the pages contradict each other."""
    assert line(operator, written, value) == DOUBT
    assert line(operator, [written, value], value) == DOUBT


@pytest.mark.parametrize("operator", [*ALL_OPERATORS, "Null", "StringEqualsIfExists", "ForAnyValue:StringEquals"])
def test_policy_checks_empty_array_condition__no_value_is_in_doubt(operator):
    """Policy checks, "Empty array condition": "There are no values for the condition key"."""
    assert line(operator, [], "a") == DOUBT
    assert line(operator, []) == DOUBT


def test_policy_checks_type_mismatch__doubt_in_one_line_does_not_help_another():
    """Conditions with multiple context keys or values: all lines must hold, so a doubtful one settles nothing."""
    block = {"IpAddress": {"aws:SourceIp": "garbage"}, "Bool": {"aws:SecureTransport": "true"}}
    assert condition(block, {"aws:SourceIp": ("203.0.113.9",), "aws:SecureTransport": ("true",)}) == DOUBT
    assert condition(block, {"aws:SourceIp": ("203.0.113.9",), "aws:SecureTransport": ("false",)}) == NO


@pytest.mark.parametrize("operator", ["NumericLessThan", "NumericEquals", "DateLessThan", "DateEquals", "IpAddress"])
def test_condition_operators__a_value_of_the_request_that_cannot_be_read_does_not_match(operator):
    """Condition operators: it is not what the operator compares with."""
    assert line(operator, ALL_OPERATORS[operator][0], "garbage") == NO


# --- condition_operators, "Condition operator to check existence of condition keys" ------------------------------


@pytest.mark.parametrize(
    ("wanted", "values", "read"),
    [
        ("true", (), YES),
        ("true", ("2020-01-01",), NO),
        ("false", (), NO),
        ("false", ("2020-01-01",), YES),
        ("True", (), YES),
        ("FALSE", ("a", "b"), YES),
        (["true", "false"], (), YES),
        (["true", "false"], ("a",), YES),
        (["false"], (), NO),
    ],
)
def test_condition_operators_null__true_is_absent_and_false_is_there(wanted, values, read):
    """Condition operators, "Condition operator to check existence of condition keys": "`true` (the key doesn't exist)
    or `false` (the key exists and its value is not null)"."""
    assert line("Null", wanted, *values) == read


def test_condition_operators_null__a_key_without_values_is_absent():
    """As above: an empty list is a null data set."""
    assert condition({"Null": {"aws:key": "true"}}, {"aws:key": ()}) == YES
    assert condition({"Null": {"aws:key": "false"}}, {"aws:key": ()}) == NO


@pytest.mark.parametrize("wanted", ["true", "false"])
@pytest.mark.parametrize("values", [(), ("a",), ("a", "b")])
def test_policy_checks_null_with_qualifier__for_all_values_is_true_and_for_any_value_false(wanted, values):
    """Policy checks, "Null with qualifier" (a suggestion, not an error): "they always return a true or false
    respectively"."""
    assert line("ForAllValues:Null", wanted, *values) == YES
    assert line("ForAnyValue:Null", wanted, *values) == NO


# --- condition-logic-multiple-context-keys-or-values -------------------------------------------------------------

TWO_TAGS = {
    "aws:PrincipalTag/department": ["finance", "hr", "legal"],
    "aws:PrincipalTag/role": ["audit", "security"],
}
ANA_AND_MARY = ["arn:aws:iam::222222222222:user/Ana", "arn:aws:iam::222222222222:user/Mary"]


def tags(department: str | None, of_role: str | None, name: str) -> dict[str, tuple[str, ...]]:
    keys: dict[str, tuple[str, ...]] = {"aws:PrincipalArn": (f"arn:aws:iam::222222222222:user/{name}",)}
    if department is not None:
        keys["aws:PrincipalTag/department"] = (department,)
    if of_role is not None:
        keys["aws:PrincipalTag/role"] = (of_role,)
    return keys


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        (tags("legal", "audit", "Mary"), YES),
        (tags("hr", "audit", "Nikki"), NO),
        (tags("hr", "payroll", "Mary"), NO),
        (tags("hr", None, "Mary"), NO),
        (tags(None, None, "Mary"), NO),
    ],
)
def test_condition_logic_multiple_keys__keys_and_operators_are_joined_by_and(keys, read):
    """Conditions with multiple context keys or values, "Evaluation logic for multiple context keys or values": several
    operators, and several keys of one, are "evaluated using a logical `AND`"."""
    assert condition({"StringEquals": TWO_TAGS, "ArnLike": {"aws:PrincipalArn": ANA_AND_MARY}}, keys) == read


@pytest.mark.parametrize(
    ("keys", "read"),
    [
        (tags("legal", "audit", "Nikki"), YES),
        (tags("hr", "audit", "Mary"), NO),
        (tags("hr", "payroll", "Nikki"), NO),
        (tags("hr", None, "Nikki"), NO),
        (tags(None, None, "Nikki"), NO),
    ],
)
def test_condition_logic_negated_matching__several_values_are_joined_by_nor(keys, read):
    """Conditions with multiple context keys or values, "Evaluation logic for negated matching condition operators":
    the ARN must not match "any of the `aws:PrincipalArn` values"."""
    assert condition({"StringEquals": TWO_TAGS, "ArnNotLike": {"aws:PrincipalArn": ANA_AND_MARY}}, keys) == read


def test_condition_logic_multiple_keys__the_same_key_under_two_operators():
    """As above."""
    block = {"StringLike": {"aws:key": "a*"}, "StringNotLike": {"aws:key": "*z"}}
    assert [line_of(block, value) for value in ("ab", "az", "b")] == [YES, NO, NO]


def line_of(block: dict[str, Any], value: str) -> str:
    return condition(block, {"aws:key": (value,)})


# --- condition-single-vs-multi-valued-context-keys ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "with_null", "without"),
    [
        (("environment",), YES, YES),
        (("cost-center",), YES, YES),
        (("environment", "cost-center"), YES, YES),
        (("environment", "dept"), NO, NO),
        (("dept", "environment"), NO, NO),
        ((), NO, YES),
    ],
)
def test_single_vs_multi_valued_forallvalues__every_value_of_the_request_has_to_match(values, with_null, without):
    """Single-valued vs. multivalued context keys, "ForAllValues": it "returns `true` if every context key value in the
    request matches a context key value in the policy. It also returns `true` if there are no context keys in the
    request."; its table."""
    block = {"ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}}
    keys = {"aws:TagKeys": values}
    assert condition(block, keys) == without
    assert condition({**block, "Null": {"aws:TagKeys": "false"}}, keys) == with_null


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (("environment",), YES),
        (("cost-center",), YES),
        (("environment", "cost-center"), YES),
        (("environment", "dept"), YES),
        (("dept", "environment"), YES),
        (("dept",), NO),
        ((), NO),
    ],
)
def test_single_vs_multi_valued_foranyvalue__one_value_of_the_request_has_to_match(values, read):
    """Single-valued vs. multivalued context keys, "ForAnyValue": "For no matching context key or if the key does not
    exist, the condition returns `false`."; its table."""
    block = {"ForAnyValue:StringEquals": {"aws:TagKeys": ["environment", "cost-center"]}}
    assert condition(block, {"aws:TagKeys": values}) == read


@pytest.mark.parametrize(
    ("wanted", "values", "read"),
    [
        ("key1*", ("key1:legal",), NO),
        ("key1*", ("key1:hr", "key1:personnel"), NO),
        ("key1*", ("key2:audit",), YES),
        ("key1*", (), YES),
        (["key1*", "key2*"], ("key1:legal",), NO),
        (["key1*", "key2*"], ("key1:hr", "key1:personnel"), NO),
        (["key1*", "key2*"], ("key1:hr", "key2:audit"), NO),
        (["key1*", "key2*"], ("key3:legal",), YES),
        (["key1*", "key2*"], ("key3:legal", "key1:legal"), NO),
        (["key1*", "key2*"], (), YES),
    ],
)
def test_multi_valued_examples_forallvalues__negated_none_may_match(wanted, values, read):
    """Multivalued context key examples, "Deny policy with condition set operator ForAllValues"; condition operators,
    "Multivalued string condition operators": "None of the values of the context key in the request can match any"."""
    assert condition({"ForAllValues:StringNotLike": {"aws:TagKeys": wanted}}, {"aws:TagKeys": values}) == read


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (("webserver",), YES),
        (("environment", "webserver", "test"), YES),
        (("environment", "test"), NO),
        (("Webserver",), NO),
        ((), NO),
    ],
)
def test_multi_valued_examples_foranyvalue__one_match_is_enough(values, read):
    """Multivalued context key examples, "Deny policy with condition set operator ForAnyValue"; its table."""
    assert condition({"ForAnyValue:StringEquals": {"aws:TagKeys": "webserver"}}, {"aws:TagKeys": values}) == read


@pytest.mark.parametrize("operator", ALL_OPERATORS)
def test_condition_operators_multivalued__every_operator_takes_a_qualifier(operator):
    """Condition operators, "Multivalued string condition operators" and "Multivalued ARN condition operators": all
    values have to match, at least one has to; negated, none may match, at least one must not."""
    wanted, _, fitting, other = ALL_OPERATORS[operator]
    negated = operator in NEGATED
    mixes = [(fitting,), (other,), (fitting, other), (other, fitting), (fitting, fitting), ()]
    held = [[True], [False], [True, False], [False, True], [True, True], []]
    held = [[each is not negated for each in mix] for mix in held]
    words = {True: YES, False: NO}
    assert [line(f"ForAllValues:{operator}", wanted, *mix) for mix in mixes] == [words[all(mix)] for mix in held]
    assert [line(f"ForAnyValue:{operator}", wanted, *mix) for mix in mixes] == [words[any(mix)] for mix in held]


@pytest.mark.parametrize("qualifier", ["ForAllValues", "ForAnyValue"])
@pytest.mark.parametrize("operator", ALL_OPERATORS)
def test_condition_operators_multivalued__a_qualifier_goes_with_ifexists(operator, qualifier):
    """Condition operators, "...IfExists condition operators": it goes with "any condition operator name except the
    `Null` condition", and a missing key is true; "ForAnyValue": "if the key does not exist, the condition returns
    `false`". For the two together the reference says both."""
    wanted, _, fitting, other = ALL_OPERATORS[operator]
    assert line(f"{qualifier}:{operator}IfExists", wanted) == (YES if qualifier == "ForAllValues" else DOUBT)
    assert line(f"{qualifier}:{operator}IfExists", wanted, fitting) == expected(operator, fits=True)
    assert line(f"{qualifier}:{operator}IfExists", wanted, other) == expected(operator, fits=False)


def test_single_vs_multi_valued__a_plain_operator_matches_any_of_several_values():
    """Policy checks, "Missing qualifier", leaves open what else a plain operator does with several values; that none
    of them fits, or that all do, is no matter of doubt."""
    assert line("StringEquals", ["a", "b"], "a", "b") == YES
    assert line("StringEquals", "a", "b", "c") == NO
    assert line("StringNotEquals", ["a", "b"], "a", "b") == NO
    assert line("StringNotEquals", "a", "b", "c") == YES
    allowed = policy(statement(Condition={"StringEquals": {"aws:key": "a"}}))
    assert decide(allowed, request(keys={"aws:key": ("b", "a")})) is Decision.ALLOW


@pytest.mark.parametrize("key", ["aws:TagKeys", "aws:PrincipalOrgPaths", "aws:CalledVia"])
def test_single_vs_multi_valued__a_plain_operator_on_a_multivalued_key_is_in_doubt(key):
    """Single-valued vs. multivalued context keys, "Key points": "Multivalued context keys require a condition set
    operator."; policy checks, "Missing qualifier"."""
    keys = {key: ("a", "b")}
    assert condition({"StringEquals": {key: "a"}}, keys) == DOUBT
    assert condition({"StringNotEquals": {key: "c"}}, keys) == DOUBT
    assert condition({"StringEquals": {key: "c"}}, keys) == NO
    assert condition({"ForAnyValue:StringEquals": {key: "a"}}, keys) == YES
    assert condition({"ForAllValues:StringNotEquals": {key: "c"}}, keys) == YES
    assert condition({"Null": {key: "false"}}, keys) == YES


@pytest.mark.parametrize(
    ("operator", "wanted", "read"),
    [
        ("ForAllValues:StringEquals", "a", YES),
        ("ForAllValues:ArnLike", TOPIC, YES),
        ("ForAnyValue:StringNotEquals", "a", NO),
        ("Null", "true", YES),
        ("Null", "false", NO),
        ("StringEquals", "", YES),
        ("StringLike", "*", YES),
    ],
)
def test_condition_request_context__an_empty_text_is_a_null_data_set(operator, wanted, read):
    """Condition operators, "Multivalued ARN condition operators": ForAllValues returns true "if the context key value
    resolves to a null dataset, such as an empty string"; multi-value conditions: for "a null dataset", ForAnyValue
    "returns false"; Condition, "The request context": with an empty string "the value in the request context is
    null". The plain operators compare it (the example with `s3:prefix`)."""
    assert line(operator, wanted, "") == read


# --- variables ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "tag", "read"),
    [
        ("${aws:PrincipalTag/team}", "orders", YES),
        ("${aws:PrincipalTag/team}", "Orders", NO),
        ("${aws:PrincipalTag/team}", "bills", NO),
        ("${aws:PrincipalTag/team}", None, NO),
        ("ord${aws:PrincipalTag/team}", "ers", YES),
        ("${aws:PrincipalTag/team}ers", "ord", YES),
        ("${aws:PrincipalTag/team}*", "ord", YES),
        ("${aws:PrincipalTag/team}?", "order", YES),
        ("${aws:PrincipalTag/team}${aws:PrincipalTag/team}", "orders", NO),
        ("${AWS:principaltag/TEAM}", "orders", YES),
    ],
)
def test_variables_resource_element__a_variable_stands_in_the_resource_portion(written, tag, read):
    """Variables, "Resource element": "This portion of the ARN appears after the fifth colon"; "Request information that
    you can use": "Key names are case-insensitive."."""
    keys = {} if tag is None else {"aws:PrincipalTag/team": (tag,)}
    resource = f"arn:aws:sqs:us-east-1:{OWN}:{written}"
    assert reading(request(keys=keys), Resource=resource) == read
    assert reading(request(keys=keys), Resource=[TOPIC, resource]) == read


@pytest.mark.parametrize(
    "written",
    [
        "arn:aws:sqs:us-east-1:${aws:PrincipalAccount}:orders",
        "arn:aws:sqs:${aws:RequestedRegion}:111122223333:orders",
        "arn:aws:${aws:key}:us-east-1:111122223333:orders",
    ],
)
def test_variables_resource_element__before_the_fifth_colon_a_variable_is_in_doubt(written):
    """Variables, "Resource element": "You can't use a variable to replace parts of the ARN before the fifth colon, such
    as the service or account."."""
    keys = {"aws:PrincipalAccount": (OWN,), "aws:RequestedRegion": ("us-east-1",), "aws:key": ("sqs",)}
    assert reading(request(keys=keys), Resource=written) == DOUBT


@pytest.mark.parametrize(("tag", "read"), [("orders", NO), ("bills", YES), (None, YES)])
def test_variables_no_value__a_variable_without_value_matches_no_resource(tag, read):
    """Variables, "Policy variables with no value": "the resource that includes a policy variable with no value will not
    match any resource", in Resource and in NotResource."""
    keys = {} if tag is None else {"aws:PrincipalTag/team": (tag,)}
    written = f"arn:aws:sqs:us-east-1:{OWN}:${{aws:PrincipalTag/team}}"
    assert reading(request(keys=keys), Resource=None, NotResource=written) == read


TEXT_AND_ARN = {
    "StringEquals": "${aws:PrincipalTag/team}",
    "StringEqualsIgnoreCase": "${aws:PrincipalTag/team}",
    "StringLike": "${aws:PrincipalTag/team}",
    "ArnEquals": "arn:aws:sns:us-east-1:111122223333:${aws:PrincipalTag/team}",
    "ArnLike": "arn:aws:sns:us-east-1:111122223333:${aws:PrincipalTag/team}",
}
TEXT_AND_ARN_NEGATED = {name: TEXT_AND_ARN[plain] for name, plain in NEGATED.items() if plain in TEXT_AND_ARN}


@pytest.mark.parametrize(("operator", "written"), [*TEXT_AND_ARN.items(), *TEXT_AND_ARN_NEGATED.items()])
def test_variables_condition_element__every_string_and_arn_operator_takes_variables(operator, written):
    """Variables, "Condition element": "in any condition that involves the string operators or the ARN operators";
    "Policy variables with no value": those "do not match", but inverted ones "do match against a null value"."""
    block = {operator: {"aws:key": written}}
    value = (written.replace("${aws:PrincipalTag/team}", "orders"),)
    assert condition(block, {**TEAM, "aws:key": value}) == expected(operator, fits=True)
    assert condition(block, {**TEAM, "aws:key": (f"{value[0]}s",)}) == expected(operator, fits=False)
    assert condition(block, {"aws:key": value}) == expected(operator, fits=False)
    assert condition(block, {"aws:PrincipalTag/team": (), "aws:key": value}) == expected(operator, fits=False)


def test_variables_condition_element__letter_case_of_values():
    """Condition operators, "String condition operators": only the IgnoreCase operators ignore it."""
    keys = {"aws:PrincipalTag/team": ("Orders",), "aws:key": ("oRDERS",)}
    assert condition({"StringEqualsIgnoreCase": {"aws:key": "${aws:PrincipalTag/team}"}}, keys) == YES
    assert condition({"StringEquals": {"aws:key": "${aws:PrincipalTag/team}"}}, keys) == NO
    assert condition({"StringLike": {"aws:key": "${aws:PrincipalTag/team}"}}, keys) == NO


def test_variables_no_value__the_other_values_of_the_line_still_count():
    """Variables, "Policy variables with no value": there is "no equal or like value" for that one."""
    written = ["${aws:PrincipalTag/team}", "orders"]
    assert condition({"StringEquals": {"aws:key": written}}, {"aws:key": ("orders",)}) == YES
    assert condition({"StringNotEquals": {"aws:key": written}}, {"aws:key": ("orders",)}) == NO
    assert condition({"StringNotEquals": {"aws:key": written}}, {"aws:key": ("bills",)}) == YES


def test_variables_introduction__several_variables_in_one_value():
    """Variables, "Introduction": they "are replaced with values that come from the context of the request itself"."""
    block = {"StringLike": {"aws:key": "${aws:PrincipalAccount}/${aws:username}/*"}}
    keys = {"aws:PrincipalAccount": (OWN,), "aws:username": ("bob",)}
    assert condition(block, {**keys, "aws:key": (f"{OWN}/bob/x",)}) == YES
    assert condition(block, {**keys, "aws:key": (f"{OWN}/ann/x",)}) == NO
    assert condition(block, {"aws:username": ("bob",), "aws:key": (f"{OWN}/bob/x",)}) == NO


def test_variables_introduction__the_account_of_an_arn_may_be_a_variable():
    """Variables, "Condition element": ARN operators take variables; the parts are counted after the replacement."""
    block = {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:${aws:PrincipalAccount}:n?w*"}}
    assert condition(block, {"aws:PrincipalAccount": (OWN,), "aws:SourceArn": (TOPIC,)}) == YES
    assert condition(block, {"aws:PrincipalAccount": (FOREIGN,), "aws:SourceArn": (TOPIC,)}) == NO
    assert condition({"ArnLike": {"aws:SourceArn": "${aws:PrincipalTag/arn}"}}, {"aws:SourceArn": (TOPIC,)}) == NO
    longer = (f"arn:aws:sns:x:us-east-1:{OWN}:news",)
    assert condition(block, {"aws:PrincipalAccount": (OWN,), "aws:SourceArn": longer}) == NO
    block = {"StringLike": block["ArnLike"]}
    assert condition(block, {"aws:PrincipalAccount": (OWN,), "aws:SourceArn": longer}) == YES


def test_variables_introduction__an_arn_that_becomes_too_short_is_in_doubt():
    """Policy checks, "Missing ARN field": as for an ARN that is written so."""
    block = {"ArnLike": {"aws:SourceArn": "${aws:PrincipalTag/arn}"}}
    keys = {"aws:SourceArn": (TOPIC,)}
    assert condition(block, {**keys, "aws:PrincipalTag/arn": (TOPIC,)}) == YES
    assert condition(block, {**keys, "aws:PrincipalTag/arn": ("news",)}) == DOUBT


@pytest.mark.parametrize(("value", "read"), [("o*", YES), ("orders", NO), ("o?", NO)])
def test_variables_introduction__a_wildcard_in_a_value_stands_for_itself(value, read):
    """Variables, "Introduction": the value of the request is put in; only what the policy says is a wildcard."""
    keys = {"aws:PrincipalTag/team": ("o*",), "aws:key": (value,)}
    assert condition({"StringLike": {"aws:key": "${aws:PrincipalTag/team}"}}, keys) == read


def test_variables_introduction__a_variable_in_a_value_is_not_replaced():
    """Variables, "Introduction": as above."""
    keys = {**TEAM, "aws:username": ("${aws:PrincipalTag/team}",), "aws:key": ("orders",)}
    assert condition({"StringEquals": {"aws:key": "${aws:username}"}}, keys) == NO


def test_variables_introduction__a_key_of_several_values_is_no_variable():
    """Single-valued vs. multivalued context keys, "Key points": "you cannot use a multivalued context key as a policy
    variable", so that a Deny by it cannot be relied on."""
    keys = {"aws:TagKeys": ("orders", "bills"), "aws:key": ("orders",)}
    written = f"arn:aws:sqs:us-east-1:{OWN}:${{aws:TagKeys}}"
    for elements in ({"Condition": {"StringEquals": {"aws:key": "${aws:TagKeys}"}}}, {"Resource": written}):
        assert decide(policy(statement(Effect="Deny", **elements)), request(keys=keys)) is Decision.NO_MATCH


@pytest.mark.parametrize(
    ("written", "value", "read"),
    [
        ("a${*}", "a*", YES),
        ("a${*}", "ab", NO),
        ("a${?}", "a?", YES),
        ("a${?}", "ab", NO),
        ("${$}", "$", YES),
        ("${$}{aws:username}", "${aws:username}", YES),
        ("${$}{aws:username}", "bob", NO),
        ("${$}${*}${?}", "$*?", YES),
        ("$", "$", YES),
        ("$x", "$x", YES),
        ("{aws:username}", "{aws:username}", YES),
    ],
)
@pytest.mark.parametrize("operator", ["StringEquals", "StringLike", "StringEqualsIgnoreCase"])
def test_variables_special_characters__stand_for_themselves(operator, written, value, read):
    """Variables, "Special characters": `${*}`, `${?}` and `${$}` are used where you need these characters."""
    assert condition({operator: {"aws:key": written}}, {"aws:key": (value,), "aws:username": ("bob",)}) == read


def test_variables_special_characters__stand_beside_wildcards():
    """Variables, "Special characters": as above."""
    assert line("StringLike", "a${*}*", "a*bc") == YES
    assert line("StringLike", "a${*}*", "abc") == NO
    assert line("StringLike", "?${?}", "a?") == YES
    assert line("StringLike", "?${?}", "ab") == NO


def test_variables_special_characters__in_resources_and_arns():
    """Variables, "Special characters": they "can be used in any string where you can use regular policy variables"."""
    written = f"arn:aws:sqs:us-east-1:{OWN}:order${{?}}"
    assert reading(request(), Resource=written) == NO
    assert reading(request(resource=f"arn:aws:sqs:us-east-1:{OWN}:order?"), Resource=written) == YES
    assert line("ArnLike", "arn:aws:sns:us-east-1:111122223333:${*}", TOPIC) == NO
    assert line("ArnLike", "arn:aws:sns:us-east-1:111122223333:${*}", "arn:aws:sns:us-east-1:111122223333:*") == YES


@pytest.mark.parametrize(
    ("tag", "value", "read"),
    [
        ("yellow", "queue-yellow", YES),
        ("yellow", "queue-company-wide", NO),
        (None, "queue-company-wide", YES),
        (None, "queue-yellow", NO),
    ],
)
def test_variables_default_values__stand_in_for_a_missing_key(tag, value, read):
    """Variables, "Specifying default values": `${aws:PrincipalTag/team, 'company-wide'}`."""
    keys = {} if tag is None else {"aws:PrincipalTag/team": (tag,)}
    written = "queue-${aws:PrincipalTag/team, 'company-wide'}"
    for operator in ("StringEquals", "StringLike", "StringEqualsIgnoreCase"):
        assert condition({operator: {"aws:key": written}}, {**keys, "aws:key": (value,)}) == read
    arn = f"arn:aws:sqs:us-east-1:{OWN}:"
    assert reading(request(keys=keys, resource=arn + value), Resource=arn + written) == read
    assert condition({"ArnLike": {"aws:key": arn + written}}, {**keys, "aws:key": (arn + value,)}) == read


@pytest.mark.parametrize("default", ["", "a b", "Company-Wide", "a:b/c"])
def test_variables_default_values__are_taken_as_they_stand(default):
    """Variables, "Specifying default values": "AWS uses the default text that you provided"."""
    block = {"StringEquals": {"aws:key": f"x${{aws:username, '{default}'}}"}}
    assert condition(block, {"aws:key": (f"x{default}",)}) == YES
    assert condition(block, {"aws:key": (f"x{default}y",)}) == NO


@pytest.mark.parametrize(
    "written", ["${aws:username", "${}", "${aws:user name}", "${aws:username, bob}", "${aws:username, 'bob}", "${ }"]
)
def test_policy_checks_variables__a_malformed_variable_is_in_doubt(written):
    """Policy checks, "Missing brace in variable", "Empty variable", "Unsupported space in variable" and "Missing quote
    in variable": all are errors."""
    keys = {"aws:key": ("bob",), "aws:username": ("bob",)}
    assert condition({"StringNotEquals": {"aws:key": written}}, keys) == DOUBT
    assert condition({"StringEquals": {"aws:key": ["bob", written]}}, keys) == DOUBT
    assert condition({"ArnLike": {"aws:key": f"arn:aws:sns:us-east-1:{OWN}:{written}"}}, keys) == DOUBT
    assert reading(request(keys=keys), Resource=f"arn:aws:sqs:us-east-1:{OWN}:{written}") == DOUBT


# --- grammar: what is not a policy -------------------------------------------------------------------------------

AT = "Statement[1]"


def second(**elements: Any) -> dict[str, Any]:
    """A policy of which the second statement is not fine."""
    return policy(statement(), statement(**elements))


@pytest.mark.parametrize(
    ("document", "where", "problem"),
    [
        ("{", "policy", "is not JSON"),
        (" ", "policy", "is not JSON"),
        ("nothing", "policy", "is not JSON"),
        ("{'Statement': []}", "policy", "is not JSON"),
        ('{"Statement": [],}', "policy", "is not JSON"),
        ('{"Statement": []} {}', "policy", "is not JSON"),
        ("[" * 100_000, "policy", "is not JSON"),
        ("[]", "policy", "is not an object"),
        ("5", "policy", "is not an object"),
        ("null", "policy", "is not an object"),
        ('"text"', "policy", "is not an object"),
        (5, "policy", "is not an object"),
        ([], "policy", "is not an object"),
        (b"{}", "policy", "is not an object"),
    ],
)
def test_grammar_json__a_policy_is_a_json_object(document, where, problem):
    """Grammar, "The policy language and JSON": "Policies are expressed in JSON."."""
    with pytest.raises(PolicyError) as caught:
        parse(document)
    assert caught.value.where == where
    assert problem in caught.value.problem


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_grammar_json__numbers_are_those_of_json(number):
    """Grammar, "The policy language and JSON": basic data types "are defined in RFC 7159", which has none of these."""
    block = json.dumps(policy(statement(Condition={"NumericLessThan": {"aws:key": "?"}}))).replace('"?"', number)
    with pytest.raises(PolicyError) as caught:
        parse(block)
    assert (caught.value.where, caught.value.problem) == ("policy", "is not JSON")


@pytest.mark.parametrize(
    "document",
    [
        '{"Statement": [], "Statement": []}',
        '{"Statement": {"Effect": "Deny", "Effect": "Allow"}}',
        '{"Statement": {"Condition": {"Bool": {"aws:a": "true", "aws:a": "false"}}}}',
        '{"Statement": {"Condition": {"Bool": {"aws:a": "true"}, "Bool": {"aws:b": "true"}}}}',
        '{"Statement": {"Principal": {"AWS": "*", "AWS": []}}}',
    ],
)
def test_grammar_notes__the_same_key_twice_is_an_error(document):
    """Grammar notes: "Individual elements must not contain multiple instances of the same key."."""
    with pytest.raises(PolicyError) as caught:
        parse(document)
    assert caught.value.where == "policy"
    assert "same key twice" in caught.value.problem


def test_grammar_notes__the_same_condition_key_in_another_letter_case_is_an_error():
    """Policy checks, "Duplicate keys with different case": "The condition key appears more than once with different
    capitalization in the same condition block."."""
    block = {"StringEquals": {"aws:SourceAccount": OWN, "AWS:sourceaccount": FOREIGN}}
    with pytest.raises(PolicyError) as caught:
        parse(second(Condition=block))
    assert caught.value.where.startswith(f"{AT}.Condition.StringEquals")


@pytest.mark.parametrize(
    ("document", "where", "problem"),
    [
        ({"Statement": [], "Statements": []}, "policy", "unknown element 'Statements'"),
        ({"statement": []}, "policy", "unknown element 'statement'"),
        ({"Statement": [], "version": NEW}, "policy", "unknown element 'version'"),
        ({"Statement": [], 5: 5}, "policy", "unknown element 5"),
        ({"Statement": [], "Id": 5}, "Id", "is not a string"),
        ({"Statement": [], "Id": None}, "Id", "is not a string"),
        ({}, "Statement", "is missing"),
        ({"Version": NEW}, "Statement", "is missing"),
        ({"Statement": None}, "Statement", "neither an object nor a list"),
        ({"Statement": "Allow"}, "Statement", "neither an object nor a list"),
        ({"Statement": 5}, "Statement", "neither an object nor a list"),
        ({"Statement": ["Allow"]}, "Statement[0]", "is not an object"),
        (policy(statement(), []), AT, "is not an object"),
        (policy(statement(), None), AT, "is not an object"),
        (policy(statement(), [statement()]), AT, "is not an object"),
        (second(Effects="Allow"), AT, "unknown element 'Effects'"),
        (second(condition={}), AT, "unknown element 'condition'"),
        (second(Version=NEW), AT, "unknown element 'Version'"),
    ],
)
def test_grammar_bnf__the_elements_of_a_policy(document, where, problem):
    """Grammar, "Grammar": policy, id_block, statement_block and statement."""
    with pytest.raises(PolicyError) as caught:
        parse(document)
    assert caught.value.where == where
    assert problem in caught.value.problem
    assert str(caught.value) == f"{where}: {caught.value.problem}"


@pytest.mark.parametrize("effect", [None, "allow", "DENY", "", "Allow ", ["Allow"], True, {}])
def test_elements_effect__allow_and_deny_are_case_sensitive(effect):
    """Effect: "The `Effect` value is case sensitive." It is required."""
    with pytest.raises(PolicyError) as caught:
        parse(second(Effect=effect))
    assert caught.value.where == f"{AT}.Effect"
    assert "neither Allow nor Deny" in caught.value.problem


@pytest.mark.parametrize("sid", [5, True, ["a"], {}])
def test_elements_sid__is_a_text(sid):
    """Policy checks, "Empty Sid value": "you must provide a string value"."""
    with pytest.raises(PolicyError) as caught:
        parse(second(Sid=sid))
    assert caught.value.where == f"{AT}.Sid"
    assert "is not a string" in caught.value.problem


@pytest.mark.parametrize("plain", ["Principal", "Action", "Resource"])
def test_grammar_bnf__one_of_each_element_and_its_negation(plain):
    """Grammar, "Grammar": `("Principal" | "NotPrincipal")`, and so on; grammar notes: "The `principal_block` element is
    required in resource-based policies"."""
    for elements in ({plain: None}, {f"Not{plain}": "*"}):
        with pytest.raises(PolicyError) as caught:
            parse(second(**elements))
        assert caught.value.where == AT
        assert f"one of {plain} and Not{plain}" in caught.value.problem


@pytest.mark.parametrize("name", ["Principal", "NotPrincipal"])
@pytest.mark.parametrize(
    ("written", "place", "problem"),
    [
        ("AWS", "", 'neither "*" nor an object'),
        (OWN, "", 'neither "*" nor an object'),
        (root(OWN), "", 'neither "*" nor an object'),
        ("**", "", 'neither "*" nor an object'),
        (5, "", 'neither "*" nor an object'),
        (True, "", 'neither "*" nor an object'),
        (["*", 5], "", 'neither "*" nor an object'),
        ([["*"]], "", 'neither "*" nor an object'),
        ({"aws": "*"}, "", "unknown element 'aws'"),
        ({"AWS": "*", "User": "*"}, "", "unknown element 'User'"),
        ({"AWS": 5}, ".AWS", "is not a string"),
        ({"AWS": None}, ".AWS", "is not a string"),
        ({"AWS": {"a": "b"}}, ".AWS", "is not a string"),
        ({"AWS": "*", "Service": [SNS, None]}, ".Service", "is not a string"),
        ({"Federated": [["x"]]}, ".Federated", "is not a string"),
        ({"CanonicalUser": True}, ".CanonicalUser", "is not a string"),
    ],
)
def test_grammar_bnf__principal_block(name, written, place, problem):
    """Grammar, "Grammar": `("*" | <principal_map>)`; policy checks, "Invalid principal key"."""
    elements = {"Principal": None, name: written}
    with pytest.raises(PolicyError) as caught:
        parse(second(**elements))
    assert caught.value.where == f"{AT}.{name}{place}"
    assert problem in caught.value.problem


@pytest.mark.parametrize("name", ["Action", "NotAction", "Resource", "NotResource"])
@pytest.mark.parametrize("written", [5, True, {}, {"a": "b"}, ["*", 1], [["*"]], ["*", None]])
def test_grammar_bnf__action_block_and_resource_block(name, written):
    """Grammar, "Grammar": `("*" | [<action_string>, <action_string>, ...])`, and the same for resources."""
    with pytest.raises(PolicyError) as caught:
        parse(second(**{name.removeprefix("Not"): None, name: written}))
    assert caught.value.where == f"{AT}.{name}"
    assert "is not a string" in caught.value.problem


@pytest.mark.parametrize(
    ("block", "place", "problem"),
    [
        ([], "", "is not an object"),
        ("Bool", "", "is not an object"),
        (5, "", "is not an object"),
        ([{"Bool": {"aws:key": "true"}}], "", "is not an object"),
        ({"Bool": "x"}, ".Bool", "is not an object"),
        ({"Bool": []}, ".Bool", "is not an object"),
        ({"Bool": None}, ".Bool", "is not an object"),
        ({5: {"aws:key": "true"}}, ".5", "is not a condition operator"),
        ({"Bool": {"aws:key": None}}, ".Bool.aws:key", "is not a string"),
        ({"Bool": {"aws:key": {"a": "b"}}}, ".Bool.aws:key", "is not a string"),
        ({"Bool": {"aws:key": [["true"]]}}, ".Bool.aws:key", "is not a string"),
        ({"Bool": {"aws:a": "true", "aws:b": ["true", None]}}, ".Bool.aws:b", "is not a string"),
    ],
)
def test_grammar_bnf__condition_block(block, place, problem):
    """Grammar, "Grammar": `<condition_value> = ("string" | "number" | "Boolean")`, in a map of maps."""
    with pytest.raises(PolicyError) as caught:
        parse(second(Condition=block))
    assert caught.value.where == f"{AT}.Condition{place}"
    assert problem in caught.value.problem


def test_grammar_bnf__a_condition_that_is_null_is_an_error():
    """Grammar, "Grammar": the block is optional, but it is a map."""
    with pytest.raises(PolicyError) as caught:
        parse(policy({**statement(), "Condition": None}))
    assert caught.value.where == "Statement[0].Condition"


def test_grammar_notes__blocks_may_stand_in_any_order():
    """Grammar notes: "Blocks can appear in any order."."""
    whole = statement(Sid="a", Condition={"Bool": {"aws:SecureTransport": "true"}})
    turned = dict(reversed(whole.items()))
    assert parse({"Statement": [turned], "Version": NEW}) == parse({"Version": NEW, "Statement": [whole]})


def test_grammar_conventions__brackets_are_optional_around_one_value():
    """Grammar, "Conventions used in this grammar": "the brackets are optional"."""
    bare = statement(Principal={"AWS": OWN}, Action="sqs:*", Resource=QUEUE, Condition={"Bool": {"aws:key": "true"}})
    listed = statement(
        Principal={"AWS": [OWN]}, Action=["sqs:*"], Resource=[QUEUE], Condition={"Bool": {"aws:key": ["true"]}}
    )
    assert parse(policy(bare)) == parse(policy(listed))


# --- beyond the reference: requests ------------------------------------------------------------------------------


def test_a_value_of_a_request_may_stand_alone():
    assert condition({"StringEquals": {"aws:key": "ab"}}, {"aws:key": "ab"}) == YES
    assert condition({"StringEquals": {"aws:key": "a"}}, {"aws:key": "ab"}) == NO


def test_the_keys_of_a_request_are_not_made_up_from_its_principal():
    block = {"StringEquals": {"aws:PrincipalAccount": OWN}}
    assert reading(request(user(OWN)), Condition=block) == NO


@pytest.mark.parametrize(
    ("elements", "read"),
    [
        ({"Resource": "*"}, YES),
        ({"Resource": ["*", QUEUE]}, YES),
        ({"Resource": QUEUE}, DOUBT),
        ({"Resource": f"{QUEUE}*"}, DOUBT),
        ({"Resource": []}, NO),
        ({"Resource": None, "NotResource": QUEUE}, DOUBT),
        ({"Resource": None, "NotResource": "*"}, NO),
    ],
)
def test_a_queue_whose_arn_is_not_known_is_in_doubt_for_all_but_a_star(elements, read):
    assert reading(request(resource=""), **elements) == read
