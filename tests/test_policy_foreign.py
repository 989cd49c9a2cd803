"""What a queue policy grants to whom, and which foreign accounts and services it lets in."""

from __future__ import annotations

from typing import Any

import pytest

from safe_sqs import policy
from safe_sqs.model import Role
from safe_sqs.operations import OPERATIONS

OWN, FOREIGN, PARTNER = "111122223333", "444455556666", "777788889999"
QUEUE = f"arn:aws:sqs:us-east-1:{OWN}:orders"
APP = f"arn:aws:iam::{OWN}:role/app"
TOPIC = f"arn:aws:sns:us-east-1:{OWN}:events"
SNS, S3, EVENTS = "sns.amazonaws.com", "s3.amazonaws.com", "events.amazonaws.com"
ALL_ACTIONS = {f"sqs:{name}" for name in OPERATIONS if not name.endswith("Batch")}
PRODUCER, CONSUMER, ADMINISTRATOR = {Role.PRODUCER}, {Role.CONSUMER}, {Role.ADMINISTRATOR}


def root(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def allow(principal: Any = None, actions: Any = "sqs:SendMessage", **elements: Any) -> dict[str, Any]:
    """An Allow for the role app to send to the queue, with some elements replaced; those that are None are left out."""
    whole = {"Effect": "Allow", "Principal": principal or {"AWS": APP}, "Action": actions, "Resource": QUEUE} | elements
    return {key: value for key, value in whole.items() if value is not None}


def deny(**elements: Any) -> dict[str, Any]:
    """A Deny of everything to everyone, with some elements replaced."""
    return allow("*", "sqs:*", **{"Effect": "Deny", **elements})


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def granted(*statements: dict[str, Any], queue_arn: str = QUEUE) -> dict[str, policy.Grant]:
    """The grants of a policy, by principal."""
    found = policy.grants(document(*statements), queue_arn=queue_arn)
    assert len({grant.principal for grant in found}) == len(found)
    return {grant.principal: grant for grant in found}


def let_in(*statements: dict[str, Any], queue_arn: str = QUEUE) -> dict[str, policy.Foreigner]:
    """The foreigners of a policy, by name. What every answer has to fulfil is checked on the way."""
    whole = document(*statements)
    found = policy.foreign_accounts(whole, queue_arn=queue_arn)
    assert len({foreigner.name for foreigner in found}) == len(found)
    for foreigner in found:
        assert policy.decide(whole, foreigner.witness) is policy.Decision.ALLOW
        if foreigner.is_service:
            assert foreigner.witness.principal == foreigner.name
        else:
            assert foreigner.tied is None
            source = foreigner.witness.keys.get("aws:SourceAccount") or foreigner.witness.keys.get("aws:SourceArn", "")
            assert foreigner.name in foreigner.witness.principal or foreigner.name in source[0]
    return {foreigner.name: foreigner for foreigner in found}


def service(name: str = SNS, **condition: Any) -> dict[str, Any]:
    """An Allow for a service to send, under a condition if there is one."""
    return allow({"Service": name}, Condition=condition or None)


def anyone(**condition: Any) -> dict[str, Any]:
    """An Allow for everyone to send, under a condition if there is one."""
    return allow("*", Condition=condition or None)


GUARDS = [
    deny(Condition={"Bool": {"aws:SecureTransport": "false"}}),
    deny(Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-0a1b2c3d4e5f60718"}}),
]


# --- grants: actions and the roles they make up ------------------------------------------------------------------


@pytest.mark.parametrize(
    "whole", [None, "", document(), document(deny())], ids=["None", "empty", "bare", "only a Deny"]
)
def test_what_allows_nothing_grants_nothing_and_lets_nobody_in(whole):
    assert policy.grants(whole, queue_arn=QUEUE) == ()
    assert policy.foreign_accounts(whole, queue_arn=QUEUE) == ()


@pytest.mark.parametrize("ask", [policy.grants, policy.foreign_accounts])
def test_a_policy_that_cannot_be_read_is_an_error(ask):
    with pytest.raises(policy.PolicyError):
        ask('{"Statement": 5}', queue_arn=QUEUE)


def test_a_grant_tells_all_about_one_principal():
    (grant,) = policy.grants(
        document(allow(Sid="senders", actions=["sqs:SendMessage", "sqs:GetQueueUrl"])), queue_arn=QUEUE
    )
    assert (grant.principal, grant.account) == (APP, OWN)
    assert sorted(grant.actions) == ["sqs:GetQueueUrl", "sqs:SendMessage"]
    assert (grant.roles, grant.wildcards, grant.statements) == (PRODUCER, (), ("senders",))
    assert grant.fits_one_role


def test_a_statement_without_sid_is_called_by_its_index():
    assert granted(deny(Resource="arn:aws:sqs:us-east-1:111122223333:other"), allow())[APP].statements == (1,)


ROLES = {
    "sending": (["sqs:SendMessage"], PRODUCER, True),
    "sending and reading": (["sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"], PRODUCER, True),
    "receiving": (["sqs:ReceiveMessage"], CONSUMER, True),
    "finishing what is held": (["sqs:DeleteMessage", "sqs:ChangeMessageVisibility"], CONSUMER, True),
    "a whole consumer": (
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"],
        CONSUMER,
        True,
    ),
    "administering": (["sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:PurgeQueue"], ADMINISTRATOR, True),
    "administering and reading": (["sqs:AddPermission", "sqs:ListQueueTags"], ADMINISTRATOR, True),
    "only reading": (["sqs:GetQueueUrl", "sqs:ListQueueTags"], set(), True),
    "other letter case": (["SQS:sendmessage"], PRODUCER, True),
    "a batch of messages": (["sqs:SendMessageBatch"], PRODUCER, True),
    "a batch of deletions": (["sqs:DeleteMessageBatch"], CONSUMER, True),
    "sending and receiving": (["sqs:SendMessage", "sqs:ReceiveMessage"], PRODUCER | CONSUMER, False),
    "sending and deleting messages": (["sqs:SendMessage", "sqs:DeleteMessage"], PRODUCER | CONSUMER, False),
    "sending and administering": (["sqs:SendMessage", "sqs:PurgeQueue"], PRODUCER | ADMINISTRATOR, False),
    "receiving and administering": (["sqs:ReceiveMessage", "sqs:DeleteQueue"], CONSUMER | ADMINISTRATOR, False),
    "all three": (
        ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:SetQueueAttributes"],
        PRODUCER | CONSUMER | ADMINISTRATOR,
        False,
    ),
}


@pytest.mark.parametrize(("actions", "roles", "fits"), ROLES.values(), ids=ROLES.keys())
def test_actions_make_up_roles(actions, roles, fits):
    grant = granted(allow(actions=actions))[APP]
    assert (grant.roles, grant.fits_one_role) == (roles, fits)
    assert grant.wildcards == ()


@pytest.mark.parametrize(
    ("batch", "single"),
    [
        ("sqs:SendMessageBatch", "sqs:SendMessage"),
        ("sqs:DeleteMessageBatch", "sqs:DeleteMessage"),
        ("SQS:changemessagevisibilitybatch", "sqs:ChangeMessageVisibility"),
    ],
)
def test_a_batch_name_counts_as_the_single_action(batch, single):
    assert granted(allow(actions=batch))[APP].actions == (single,)


@pytest.mark.parametrize(
    ("pattern", "actions"),
    [
        ("sqs:*", ALL_ACTIONS),
        ("*", ALL_ACTIONS),
        ("sqs:Send*", {"sqs:SendMessage"}),
        ("sqs:SendMessag?", {"sqs:SendMessage"}),
        ("sqs:*Permission", {"sqs:AddPermission", "sqs:RemovePermission"}),
        (["sqs:Get*", "sqs:ReceiveMessage"], {"sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"}),
    ],
)
def test_a_wildcard_grants_all_that_it_matches_and_fits_no_role(pattern, actions):
    grant = granted(allow(actions=pattern))[APP]
    assert set(grant.actions) == actions
    assert grant.wildcards == ((pattern if isinstance(pattern, str) else pattern[0]).lower(),)
    assert not grant.fits_one_role


@pytest.mark.parametrize("left_out", ["sqs:DeleteQueue", "sqs:*Permission", "s3:*"])
def test_not_action_grants_all_the_rest(left_out):
    grant = granted(allow(Action=None, NotAction=left_out))[APP]
    named = {"sqs:DeleteQueue"} if left_out == "sqs:DeleteQueue" else {"sqs:AddPermission", "sqs:RemovePermission"}
    assert set(grant.actions) == ALL_ACTIONS - (named if left_out != "s3:*" else set())
    assert grant.wildcards == ("NotAction",)
    assert not grant.fits_one_role


def test_actions_of_other_services_are_no_grant():
    assert granted(allow(actions=["s3:*", "sns:Publish"])) == {}


def test_an_action_that_sqs_does_not_know_is_no_grant():
    assert granted(allow(actions="sqs:SendMesage")) == {}


# --- grants: principals ------------------------------------------------------------------------------------------


PRINCIPALS = {
    "a role": ({"AWS": APP}, APP, OWN, False),
    "a user": ({"AWS": f"arn:aws:iam::{FOREIGN}:user/z"}, f"arn:aws:iam::{FOREIGN}:user/z", FOREIGN, False),
    "a session": (
        {"AWS": f"arn:aws:sts::{OWN}:assumed-role/app/one"},
        f"arn:aws:sts::{OWN}:assumed-role/app/one",
        OWN,
        False,
    ),
    "an account's root": ({"AWS": root(FOREIGN)}, root(FOREIGN), FOREIGN, True),
    "an account by its number": ({"AWS": FOREIGN}, FOREIGN, FOREIGN, True),
    "the own account": ({"AWS": root(OWN)}, root(OWN), OWN, True),
    "a service": ({"Service": SNS}, SNS, "", False),
    "somebody who was deleted": ({"AWS": "AIDAEXAMPLEEXAMPLE012"}, "AIDAEXAMPLEEXAMPLE012", "", False),
    "everyone": ("*", "*", "", False),
    "everyone in a list": ({"AWS": ["*"]}, "*", "", False),
    "nobody's name": ("", "*", "", False),
    "a star for services": ({"Service": "*"}, "*", "", False),
}


@pytest.mark.parametrize(("principal", "name", "account", "whole"), PRINCIPALS.values(), ids=PRINCIPALS.keys())
def test_each_principal_is_told_with_its_account(principal, name, account, whole):
    statement = allow(actions="sqs:SendMessage", Principal=principal)
    grant = granted(statement)[name]
    assert (grant.account, grant.is_whole_account) == (account, whole)
    assert grant.actions == ("sqs:SendMessage",)


def test_each_principal_of_a_list_has_its_own_grant():
    found = granted(allow({"AWS": [APP, FOREIGN], "Service": [SNS, S3]}))
    assert list(found) == [APP, FOREIGN, SNS, S3]


def test_not_principal_grants_to_everyone():
    assert list(granted(allow(Principal=None, NotPrincipal={"AWS": FOREIGN}))) == ["*"]


def test_statements_for_the_same_principal_are_put_together():
    found = granted(
        allow(Sid="a", actions="sqs:SendMessage"),
        allow({"AWS": FOREIGN}, "sqs:GetQueueUrl", Sid="b"),
        allow(Sid="c", actions="sqs:Tag*"),
    )
    assert found[APP].statements == ("a", "c")
    assert found[APP].actions == ("sqs:SendMessage", "sqs:TagQueue")
    assert found[APP].wildcards == ("sqs:tag*",)
    assert found[APP].roles == PRODUCER | ADMINISTRATOR
    assert found[FOREIGN].roles == set()


def test_what_everyone_has_is_not_told_again_of_each_principal():
    found = granted(allow("*", "sqs:SendMessage"), allow(actions="sqs:ReceiveMessage"))
    assert found["*"].actions == ("sqs:SendMessage",)
    assert found[APP].actions == ("sqs:ReceiveMessage",)


def test_a_grant_is_on_this_queue_only():
    assert granted(allow(Resource=f"{QUEUE}-2")) == {}
    assert granted(allow(Resource=None, NotResource=QUEUE)) == {}
    assert list(granted(allow(Resource=f"{QUEUE[:-1]}*"))) == [APP]


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
        {"StringEquals": {"aws:ResourceAccount": FOREIGN}},
        {"StringEquals": {"aws:PrincipalAccount": FOREIGN}},
        {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{OWN}:role/other"}},
        {"Bool": {"aws:PrincipalIsAWSService": "true"}},
        {"Null": {"aws:SecureTransport": "true"}},
    ],
    ids=lambda condition: next(iter(next(iter(condition.values())))),
)
def test_a_condition_that_the_principal_cannot_fulfil_grants_nothing(condition):
    assert granted(allow(Condition=condition)) == {}


@pytest.mark.parametrize(
    "condition",
    [
        {"Bool": {"aws:SecureTransport": "true"}},
        {"StringEquals": {"aws:SourceVpce": "vpce-0a1b2c3d4e5f60718"}},
        {"StringEquals": {"aws:PrincipalAccount": OWN}},
        {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
        {"StringLike": {"aws:PrincipalTag/team": "billing-*"}},
    ],
    ids=lambda condition: next(iter(next(iter(condition.values())))),
)
def test_a_condition_that_the_principal_can_fulfil_grants_all_the_same(condition):
    assert granted(allow(Condition=condition))[APP].actions == ("sqs:SendMessage",)


# --- grants: what a Deny takes back ------------------------------------------------------------------------------


BOTH = ["sqs:SendMessage", "sqs:ReceiveMessage"]
TAKES_BACK_SENDING = {
    "from everyone": deny(Action="sqs:SendMessage"),
    "by a pattern": deny(Action="sqs:S*"),
    "by NotAction": deny(Action=None, NotAction="sqs:ReceiveMessage"),
    "from the role": deny(Principal={"AWS": APP}, Action="sqs:SendMessage"),
    "from its account": deny(Principal={"AWS": root(OWN)}, Action="sqs:SendMessage"),
    "from all but somebody else": deny(Principal=None, NotPrincipal={"AWS": FOREIGN}, Action="sqs:SendMessage"),
    "on every resource": deny(Action="sqs:SendMessage", Resource="*"),
    "under a condition that always holds": deny(
        Action="sqs:SendMessage", Condition={"StringEquals": {"aws:ResourceAccount": OWN}}
    ),
    "by the role's ARN in a condition": deny(
        Action="sqs:SendMessage", Condition={"ArnEquals": {"aws:PrincipalArn": APP}}
    ),
    "from everyone outside an account": deny(
        Action="sqs:SendMessage", Condition={"StringNotEquals": {"aws:PrincipalAccount": FOREIGN}}
    ),
}
LEAVES_SENDING = {
    "from another role": deny(Principal={"AWS": f"arn:aws:iam::{OWN}:role/other"}, Action="sqs:SendMessage"),
    "from another account": deny(Principal={"AWS": FOREIGN}, Action="sqs:SendMessage"),
    "from all but the role": deny(Principal=None, NotPrincipal={"AWS": APP}, Action="sqs:SendMessage"),
    "on another queue": deny(Resource=f"{QUEUE}-2", Action="sqs:SendMessage"),
    "over plain HTTP only": deny(Condition={"Bool": {"aws:SecureTransport": "false"}}),
    "outside of an endpoint only": deny(Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-0a1b2c3d4e5f60718"}}),
    "another action": deny(Action="sqs:PurgeQueue"),
    "by the name of the batch": deny(Action="sqs:SendMessageBatch"),
    "from nobody for certain": deny(Principal="", Action="sqs:SendMessage"),
    "by a line that cannot be read": deny(Condition={"Bool": {"aws:SecureTransport": "flase"}}),
}


@pytest.mark.parametrize("taking", TAKES_BACK_SENDING.values(), ids=TAKES_BACK_SENDING.keys())
def test_a_deny_takes_an_action_back(taking):
    grant = granted(allow(actions=BOTH), taking)[APP]
    assert grant.actions == ("sqs:ReceiveMessage",)
    assert grant.roles == CONSUMER
    assert grant.fits_one_role


@pytest.mark.parametrize("leaving", LEAVES_SENDING.values(), ids=LEAVES_SENDING.keys())
def test_a_deny_that_leaves_a_way_takes_nothing_back(leaving):
    assert set(granted(allow(actions=BOTH), leaving)[APP].actions) == set(BOTH)


def test_where_everything_is_taken_back_there_is_no_grant():
    assert granted(allow(actions="sqs:*"), deny(Principal={"AWS": APP})) == {}


def test_denies_that_take_back_together():
    by_endpoint = [
        deny(Action="sqs:SendMessage", Condition={"Null": {"aws:SourceVpce": answer}}) for answer in ("true", "false")
    ]
    assert granted(allow(actions=BOTH), *by_endpoint)[APP].actions == ("sqs:ReceiveMessage",)


def test_a_statement_of_which_nothing_is_left_is_not_named():
    found = granted(
        allow(Sid="sends", actions="sqs:Send*"),
        allow(Sid="receives", actions="sqs:ReceiveMessage"),
        deny(Action="sqs:SendMessage"),
    )
    assert found[APP].statements == ("receives",)
    assert found[APP].wildcards == ()


def test_a_policy_with_as_many_principals_as_sqs_takes_is_told_exactly():
    roles = [f"arn:aws:iam::{OWN}:role/app-{number}" for number in range(50)]
    guards = [*GUARDS, deny(Action="sqs:DeleteQueue")]
    found = granted(allow({"AWS": roles}, ["sqs:SendMessage", "sqs:DeleteQueue"]), *guards)
    assert {name: grant.actions for name, grant in found.items()} == dict.fromkeys(roles, ("sqs:SendMessage",))


# --- foreign accounts --------------------------------------------------------------------------------------------


OWN_PEOPLE = {
    "the account": allow({"AWS": root(OWN)}),
    "the account by its number": allow({"AWS": OWN}),
    "a role": allow(),
    "a session": allow({"AWS": f"arn:aws:sts::{OWN}:assumed-role/app/one"}),
    "everyone of the account": anyone(StringEquals={"aws:PrincipalAccount": OWN}),
    "a role by its ARN": anyone(ArnEquals={"aws:PrincipalArn": APP}),
    "everyone of the account, by a variable": anyone(StringEquals={"aws:PrincipalAccount": "${aws:ResourceAccount}"}),
}


@pytest.mark.parametrize("statement", OWN_PEOPLE.values(), ids=OWN_PEOPLE.keys())
def test_the_own_account_is_not_foreign(statement):
    assert let_in(statement) == {}


FOREIGN_ACCOUNT = {
    "its root": allow({"AWS": root(FOREIGN)}),
    "its number": allow({"AWS": FOREIGN}),
    "a role": allow({"AWS": f"arn:aws:iam::{FOREIGN}:role/feed"}),
    "a role with a path": allow({"AWS": f"arn:aws:iam::{FOREIGN}:role/team/feed"}),
    "a user": allow({"AWS": f"arn:aws:iam::{FOREIGN}:user/z"}),
    "a session": allow({"AWS": f"arn:aws:sts::{FOREIGN}:assumed-role/feed/one"}),
    "beside the own account": allow({"AWS": [root(OWN), root(FOREIGN)]}),
    "under a condition that it can fulfil": allow(
        {"AWS": FOREIGN}, Condition={"Bool": {"aws:SecureTransport": "true"}}
    ),
    "in an organisation": allow({"AWS": FOREIGN}, Condition={"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
    "through an endpoint": allow({"AWS": FOREIGN}, Condition={"StringEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}),
    "by its number in a condition": anyone(StringEquals={"aws:PrincipalAccount": FOREIGN}),
    "among numbers in a condition": anyone(StringEquals={"aws:PrincipalAccount": [OWN, FOREIGN]}),
    "by its number under StringLike": anyone(StringLike={"aws:PrincipalAccount": FOREIGN}),
    "by a role's ARN in a condition": anyone(ArnEquals={"aws:PrincipalArn": f"arn:aws:iam::{FOREIGN}:role/feed"}),
    "by a pattern of its roles": anyone(ArnLike={"aws:PrincipalArn": f"arn:aws:iam::{FOREIGN}:role/*"}),
}


@pytest.mark.parametrize("statement", FOREIGN_ACCOUNT.values(), ids=FOREIGN_ACCOUNT.keys())
def test_a_foreign_account_is_told(statement):
    found = let_in(deny(Resource=f"{QUEUE}-2"), statement)
    assert list(found) == [FOREIGN]
    assert not found[FOREIGN].is_service
    assert found[FOREIGN].statement == 1
    assert f":{FOREIGN}:" in found[FOREIGN].witness.principal


def test_the_statement_is_called_by_its_sid():
    assert let_in(allow({"AWS": FOREIGN}, Sid="partner"))[FOREIGN].statement == "partner"


def test_foreign_accounts_are_in_order_and_told_once():
    found = let_in(
        allow({"AWS": [PARTNER, root(FOREIGN)]}, Sid="a"),
        allow({"AWS": f"arn:aws:iam::{FOREIGN}:role/feed"}, Sid="b"),
        anyone(StringEquals={"aws:PrincipalAccount": PARTNER}),
    )
    assert list(found) == [FOREIGN, PARTNER]
    assert {foreigner.statement for foreigner in found.values()} == {"a"}


NOT_LET_IN = {
    "another queue": [allow({"AWS": FOREIGN}, Resource=f"{QUEUE}-2")],
    "another service": [allow({"AWS": FOREIGN}, "sns:Publish")],
    "only denied": [deny(Principal={"AWS": FOREIGN})],
    "denied again": [allow({"AWS": FOREIGN}), deny(Principal={"AWS": root(FOREIGN)})],
    "the one action denied again": [allow({"AWS": FOREIGN}), deny(Action="sqs:SendMessage")],
    "denied by its number in a condition": [
        allow({"AWS": FOREIGN}),
        deny(Condition={"StringEquals": {"aws:PrincipalAccount": FOREIGN}}),
    ],
    "denied as all that is not ours": [
        allow({"AWS": FOREIGN}),
        deny(Condition={"StringNotEquals": {"aws:PrincipalAccount": OWN}}),
    ],
    "denied as all but ours": [allow({"AWS": FOREIGN}), deny(Principal=None, NotPrincipal={"AWS": OWN})],
    "its role denied by ARN": [
        allow({"AWS": f"arn:aws:iam::{FOREIGN}:role/feed"}),
        deny(Condition={"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{FOREIGN}:role/*"}}),
    ],
    "a condition for another account": [
        allow({"AWS": FOREIGN}, Condition={"StringEquals": {"aws:PrincipalAccount": OWN}})
    ],
    "named as the one who is left out": [anyone(StringNotEquals={"aws:PrincipalAccount": FOREIGN})],
    "its digits in the name of our role": [allow({"AWS": f"arn:aws:iam::{OWN}:role/from-{FOREIGN}"})],
    "its digits in the name of our topic": [
        service(ArnEquals={"aws:SourceArn": f"arn:aws:sns:us-east-1:{OWN}:from-{FOREIGN}"})
    ],
}


@pytest.mark.parametrize("statements", NOT_LET_IN.values(), ids=NOT_LET_IN.keys())
def test_an_account_that_is_named_and_not_let_in_is_not_told(statements):
    assert FOREIGN not in let_in(*statements)


STILL_LET_IN = {
    "another action denied": deny(Action="sqs:ReceiveMessage"),
    "one of its roles denied": deny(Principal={"AWS": f"arn:aws:iam::{FOREIGN}:role/feed"}),
    "denied over plain HTTP": deny(Condition={"Bool": {"aws:SecureTransport": "false"}}),
    "denied on another queue": deny(Principal={"AWS": FOREIGN}, Resource=f"{QUEUE}-2"),
    "another account denied": deny(Principal={"AWS": PARTNER}),
    "denied but for it": deny(Condition={"StringNotEquals": {"aws:PrincipalAccount": [OWN, FOREIGN]}}),
    "left out of a Deny": deny(Principal=None, NotPrincipal={"AWS": root(FOREIGN)}),
    "the name of a batch denied": deny(Action="sqs:SendMessageBatch"),
}


@pytest.mark.parametrize("denied", STILL_LET_IN.values(), ids=STILL_LET_IN.keys())
def test_an_account_to_which_a_way_is_left_is_told(denied):
    assert list(let_in(allow({"AWS": FOREIGN}), denied)) == [FOREIGN]


PUBLIC = {
    "everyone": anyone(),
    "everyone in an organisation": anyone(StringEquals={"aws:PrincipalOrgID": "o-a1b2c3d4e5"}),
    "everyone in some network": anyone(IpAddress={"aws:SourceIp": "203.0.113.0/24"}),
    "everyone with a tag": anyone(StringEquals={"aws:PrincipalTag/team": "billing"}),
}


@pytest.mark.parametrize("statement", PUBLIC.values(), ids=PUBLIC.keys())
def test_where_no_account_is_named_there_is_none_to_tell(statement):
    assert let_in(statement) == {}


def test_an_account_is_told_beside_a_statement_for_everyone():
    assert list(let_in(anyone(), allow({"AWS": FOREIGN}, "sqs:ReceiveMessage"))) == [FOREIGN]


@pytest.mark.parametrize("guards", [[], GUARDS], ids=["bare", "behind Denies"])
def test_no_account_of_a_long_list_is_forgotten(guards):
    accounts = [f"4444000000{number}" for number in range(10, 60)]
    assert list(let_in(allow({"AWS": accounts}), *guards)) == accounts


def test_no_service_of_a_long_list_is_forgotten():
    names = [f"service-{number}.amazonaws.com" for number in range(10, 60)]
    found = let_in(allow({"Service": names}, Condition={"StringEquals": {"aws:SourceAccount": OWN}}), GUARDS[0])
    assert {name: foreigner.tied for name, foreigner in found.items()} == dict.fromkeys(names, True)


def test_an_account_is_told_beside_a_service_in_the_same_statement():
    found = let_in(allow({"AWS": root(FOREIGN), "Service": SNS}))
    assert set(found) == {FOREIGN, SNS}
    assert found[SNS].tied is False


def test_without_the_queues_name_no_account_is_its_own():
    assert list(let_in(allow({"AWS": root(OWN)}, Resource="*"), queue_arn="")) == [OWN]


# --- services ----------------------------------------------------------------------------------------------------


TIED = {
    "to the own account": (SNS, {"StringEquals": {"aws:SourceAccount": OWN}}),
    "to the own account by the older key": (S3, {"StringEquals": {"aws:SourceOwner": OWN}}),
    "to the account that owns the queue": (SNS, {"StringEquals": {"aws:SourceAccount": "${aws:ResourceAccount}"}}),
    "to a topic": (SNS, {"ArnEquals": {"aws:SourceArn": TOPIC}}),
    "to a topic as a text": (SNS, {"StringEquals": {"aws:SourceArn": TOPIC}}),
    "to topics of the account": (SNS, {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:*:{OWN}:*"}}),
    "to a rule": (EVENTS, {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:us-east-1:{OWN}:rule/orders"}}),
    "to rules of the account": (EVENTS, {"ArnLike": {"aws:SourceArn": f"arn:aws:events:us-east-1:{OWN}:rule/*"}}),
    "to a bucket": (S3, {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::invoices-bucket"}}),
    "to any bucket of the account": (
        S3,
        {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}, "StringEquals": {"aws:SourceAccount": OWN}},
    ),
    "to the organisation": (SNS, {"StringEquals": {"aws:SourceOrgID": "o-a1b2c3d4e5"}}),
    "to a unit of the organisation": (
        SNS,
        {"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"}},
    ),
    "to the account if that is told, and to the topic": (
        SNS,
        {"StringEqualsIfExists": {"aws:SourceAccount": OWN}, "ArnEquals": {"aws:SourceArn": TOPIC}},
    ),
}
NOT_TIED = {
    "bare": (SNS, {}),
    "by HTTPS": (SNS, {"Bool": {"aws:SecureTransport": "true"}}),
    "by being a service": (SNS, {"Bool": {"aws:PrincipalIsAWSService": "true"}}),
    "by its own name": (SNS, {"StringEquals": {"aws:PrincipalServiceName": SNS}}),
    "if the account is told": (SNS, {"StringEqualsIfExists": {"aws:SourceAccount": OWN}}),
    "if the topic is told": (SNS, {"ArnLikeIfExists": {"aws:SourceArn": TOPIC}}),
    "for all accounts that are told": (SNS, {"ForAllValues:StringEquals": {"aws:SourceAccount": OWN}}),
    "whenever an account is told": (SNS, {"Null": {"aws:SourceAccount": "false"}}),
    "by what it is not": (SNS, {"StringNotEquals": {"aws:SourceAccount": FOREIGN}}),
    "to a pattern of accounts": (SNS, {"StringLike": {"aws:SourceAccount": "1111*"}}),
    "to topics of anyone": (SNS, {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:*"}}),
    "to a topic's name": (SNS, {"ArnLike": {"aws:SourceArn": "arn:aws:sns:us-east-1:*:events"}}),
    "to buckets of anyone": (S3, {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}),
    "to buckets with our number in their names": (S3, {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::*-{OWN}"}}),
    "to any organisation": (SNS, {"StringLike": {"aws:SourceOrgID": "o-*"}}),
    "to an account that cannot be read": (SNS, {"StringEquals": {"aws:SourceAccount": []}}),
    "to an organisation if there is one": (SNS, {"StringEqualsIfExists": {"aws:SourceOrgID": "o-a1b2c3d4e5"}}),
}


@pytest.mark.parametrize(("name", "condition"), TIED.values(), ids=TIED.keys())
def test_a_service_is_tied(name, condition):
    found = let_in(service(name, **condition))
    assert list(found) == [name]
    assert found[name].is_service
    assert found[name].tied is True


@pytest.mark.parametrize(("name", "condition"), NOT_TIED.values(), ids=NOT_TIED.keys())
def test_a_service_is_not_tied(name, condition):
    found = let_in(service(name, **condition))
    assert found[name].is_service
    assert found[name].tied is False
    keys = found[name].witness.keys
    assert keys.get("aws:SourceAccount") not in ((OWN,), (FOREIGN,))
    assert f":{OWN}:" not in keys.get("aws:SourceArn", ("",))[0]


@pytest.mark.parametrize(
    "name",
    ["lambda.amazonaws.com", "cloudwatch.amazonaws.com", "delivery.logs.amazonaws.com", "sns.us-east-1.amazonaws.com"],
)
def test_any_service_may_be_named(name):
    assert let_in(service(name))[name].tied is False
    assert let_in(service(name, StringEquals={"aws:SourceAccount": OWN}))[name].tied is True


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:SourceAccount": FOREIGN}},
        {"ArnEquals": {"aws:SourceArn": f"arn:aws:sns:us-east-1:{FOREIGN}:events"}},
        {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:*:{FOREIGN}:*"}},
    ],
    ids=["by number", "by ARN", "by pattern"],
)
def test_a_service_that_is_tied_to_a_foreign_account_lets_that_account_in(condition):
    found = let_in(service(**condition))
    assert set(found) == {FOREIGN, SNS}
    assert found[SNS].tied is True
    assert found[FOREIGN].witness.principal == SNS


DENIED_SERVICE = {
    "by its name": [deny(Principal={"Service": SNS})],
    "as everyone": [deny()],
    "as a service": [deny(Condition={"Bool": {"aws:PrincipalIsAWSService": "true"}})],
    "as whoever is in no organisation": [deny(Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})],
    "outside of an endpoint": [deny(Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}})],
    "by a condition that it cannot fulfil": [],
}


@pytest.mark.parametrize("denies", DENIED_SERVICE.values(), ids=DENIED_SERVICE.keys())
def test_a_service_that_is_not_let_in_is_not_told(denies):
    condition = {} if denies else {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}
    assert let_in(service(**condition), *denies) == {}


TYING_DENY = {
    "for whoever acts for another account": deny(
        Condition={
            "StringNotEquals": {"aws:SourceAccount": OWN},
            "Bool": {"aws:PrincipalIsAWSService": "true"},
        }
    ),
    "for the service, acting for another account": deny(
        Principal={"Service": SNS}, Condition={"StringNotEquals": {"aws:SourceAccount": OWN}}
    ),
    "for the service, acting for another topic": deny(
        Principal={"Service": SNS}, Condition={"ArnNotLike": {"aws:SourceArn": f"arn:aws:sns:*:{OWN}:*"}}
    ),
}
NOT_TYING_DENY = {
    "only where an account is told": deny(
        Condition={"StringNotEquals": {"aws:SourceAccount": OWN}, "Null": {"aws:SourceAccount": "false"}}
    ),
    "for one foreign account": deny(Condition={"StringEquals": {"aws:SourceAccount": FOREIGN}}),
    "for another service": deny(Principal={"Service": S3}, Condition={"StringNotEquals": {"aws:SourceAccount": OWN}}),
    "for another action": deny(Action="sqs:ReceiveMessage", Condition={"StringNotEquals": {"aws:SourceAccount": OWN}}),
}


@pytest.mark.parametrize("tying", TYING_DENY.values(), ids=TYING_DENY.keys())
def test_a_deny_ties_a_service(tying):
    assert let_in(service(), tying)[SNS].tied is True


@pytest.mark.parametrize("not_tying", NOT_TYING_DENY.values(), ids=NOT_TYING_DENY.keys())
def test_a_deny_with_a_gap_does_not_tie_a_service(not_tying):
    assert let_in(service(), not_tying)[SNS].tied is False


def test_a_service_is_tied_only_if_every_statement_ties_it():
    tied, bare = service(StringEquals={"aws:SourceAccount": OWN}), service()
    assert let_in(tied, tied)[SNS].tied is True
    assert let_in(tied, bare)[SNS].tied is False
    assert let_in(bare, tied)[SNS].tied is False


def test_each_service_is_told_for_itself():
    found = let_in(service(S3), service(SNS, ArnEquals={"aws:SourceArn": TOPIC}), allow({"AWS": FOREIGN}))
    assert {name: foreigner.tied for name, foreigner in found.items()} == {FOREIGN: None, S3: False, SNS: True}


def test_two_services_in_one_statement():
    found = let_in(allow({"Service": [SNS, S3]}, Condition={"ArnLike": {"aws:SourceArn": f"arn:aws:sns:*:{OWN}:*"}}))
    assert found[SNS].tied is True


def test_a_service_behind_a_star_is_not_named():
    assert let_in(anyone(StringEquals={"aws:SourceAccount": OWN})) == {}


# --- other partitions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("partition, region", [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")])
class TestQueueInAnotherPartition:
    def test_grants(self, partition, region):
        queue = f"arn:{partition}:sqs:{region}:{OWN}:orders"
        role = f"arn:{partition}:iam::{OWN}:role/app"
        found = granted(allow({"AWS": role}, "sqs:ReceiveMessage", Resource=queue), queue_arn=queue)
        assert (found[role].account, found[role].roles) == (OWN, CONSUMER)

    def test_accounts(self, partition, region):
        queue = f"arn:{partition}:sqs:{region}:{OWN}:orders"
        people = [f"arn:{partition}:iam::{account}:root" for account in (OWN, FOREIGN)]
        found = let_in(allow({"AWS": people}, Resource=queue), queue_arn=queue)
        assert list(found) == [FOREIGN]
        assert found[FOREIGN].witness.principal.startswith(f"arn:{partition}:iam::{FOREIGN}:")

    def test_services(self, partition, region):
        queue = f"arn:{partition}:sqs:{region}:{OWN}:orders"
        topic = f"arn:{partition}:sns:{region}:{OWN}:events"
        tied = service(ArnEquals={"aws:SourceArn": topic}) | {"Resource": queue}
        assert let_in(tied, queue_arn=queue)[SNS].tied is True
        assert let_in(service() | {"Resource": queue}, queue_arn=queue)[SNS].tied is False

    def test_a_root_of_the_wrong_partition_is_nobody(self, partition, region):
        queue = f"arn:{partition}:sqs:{region}:{OWN}:orders"
        assert let_in(allow({"AWS": root(FOREIGN)}, Resource=queue), queue_arn=queue) == {}


# --- what could not be told --------------------------------------------------------------------------------------


@pytest.fixture
def no_patience(monkeypatch):
    """A judge that gives up at once."""
    monkeypatch.setattr("safe_sqs.policy.questions._STEPS", 1)


def test_an_action_of_which_it_cannot_be_told_counts(no_patience):
    assert granted(allow(actions="sqs:SendMessage"))[APP].actions == ("sqs:SendMessage",)


@pytest.mark.parametrize(
    "statement", [service(), service(StringEquals={"aws:SourceAccount": OWN})], ids=["bare", "tied"]
)
def test_a_service_of_which_it_cannot_be_told_is_told_and_not_as_tied(no_patience, statement):
    found = policy.foreign_accounts(document(statement), queue_arn=QUEUE)
    assert [foreigner.name for foreigner in found] == [SNS]
    assert not found[0].tied


def test_an_account_of_which_it_cannot_be_told_is_told(no_patience):
    found = policy.foreign_accounts(document(allow({"AWS": FOREIGN})), queue_arn=QUEUE)
    assert [foreigner.name for foreigner in found] == [FOREIGN]
