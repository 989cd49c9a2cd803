"""Whom a change of a policy would lock out: the named and the caller are asked for, strangers are not."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_policies import EVERYTHING, VOCABULARY, listed, policies

from safe_sqs.patterns import has_wildcard
from safe_sqs.policy import Decision, Request, decide, parse
from safe_sqs.policy.evaluate import ACTIONS
from safe_sqs.writing.lockout import key_is_closed_to, locked_out, rests_on_policy

OWN = "111122223333"
QUEUE = f"arn:aws:sqs:us-east-1:{OWN}:orders"
ROOT = f"arn:aws:iam::{OWN}:root"
APP = f"arn:aws:iam::{OWN}:role/app"
PARTNER = "arn:aws:iam::444455556666:role/partner"
ME = f"arn:aws:sts::{OWN}:assumed-role/admin/me"
STRANGER_ME = "arn:aws:sts::444455556666:assumed-role/partner/me"
ORGANISATION = {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
PLAIN = {"Bool": {"aws:SecureTransport": "false"}}


def statement(principal="*", action="sqs:SendMessage", *, effect="Allow", condition=None):
    made = {"Effect": effect, "Principal": principal, "Action": action, "Resource": QUEUE}
    return made if condition is None else {**made, "Condition": condition}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


TLS_ONLY = statement(action="sqs:*", effect="Deny", condition=PLAIN)


def names(before, after, *, caller=ME, **settings):
    return [each.who for each in locked_out(before, after, queue_arn=QUEUE, caller=caller, **settings)]


# --- those who are named -----------------------------------------------------------------------------------------


def test_denying_plain_http_locks_nobody_out():
    before = policy(statement({"AWS": [APP, PARTNER]}), statement({"Service": "sns.amazonaws.com"}))
    assert names(before, policy(*before["Statement"], TLS_ONLY)) == []


def test_a_deny_that_stops_https_as_well_names_everyone_it_stops():
    before = policy(statement({"AWS": PARTNER}))
    after = policy(*before["Statement"], statement(action="sqs:*", effect="Deny"))
    assert names(before, after) == [f"the caller {ME}", PARTNER]


def test_confining_to_a_vpc_may_lock_out_the_caller():
    before = policy(statement({"AWS": PARTNER}))
    outside = {"StringNotEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}
    after = policy(*before["Statement"], statement(action="sqs:*", effect="Deny", condition=outside))
    assert f"the caller {ME}" in names(before, after)


def test_a_new_deny_that_stops_somebody_is_told_even_where_nobody_is_named():
    after = policy(statement({"AWS": PARTNER}, effect="Deny"))
    assert names(policy(), after, caller="") == ["whoever comes over HTTPS"]


def test_removing_a_statement_for_all_takes_nothing_from_the_named():
    assert names(policy(statement(), statement({"AWS": PARTNER})), policy(statement({"AWS": PARTNER}))) == []


def test_the_named_keep_what_they_may_do_as_one_of_all():
    before = policy(statement(action="sqs:*"), statement({"AWS": [APP, PARTNER]}))
    after = policy(statement({"AWS": ROOT}, "sqs:*"), statement({"AWS": [APP, PARTNER]}))
    assert names(before, after) == [PARTNER]


def test_one_who_is_named_beside_everybody_is_named():
    before = policy(statement({"AWS": ["*", PARTNER]}))
    assert names(before, policy(statement({"AWS": ROOT}))) == [PARTNER]
    assert names(before, policy(statement({"AWS": [ROOT, PARTNER]}))) == []


def test_fewer_actions_are_a_loss():
    before = policy(statement({"AWS": PARTNER}, "sqs:*"))
    (found,) = locked_out(before, policy(statement({"AWS": PARTNER})), queue_arn=QUEUE, caller=ME)
    assert str(found) == f"{PARTNER} would lose {found.witness.action}"
    assert found.witness.action != "sqs:SendMessage"


def test_what_another_statement_still_allows_is_no_loss():
    before = policy(statement({"AWS": PARTNER}), statement({"AWS": PARTNER}, "sqs:*"))
    assert names(before, policy(statement({"AWS": PARTNER}, "sqs:*"))) == []


def test_a_service_that_is_tied_to_an_account_loses_what_it_did_for_others():
    before = policy(statement({"Service": "sns.amazonaws.com"}))
    tied = statement({"Service": "sns.amazonaws.com"}, condition={"StringEquals": {"aws:SourceAccount": OWN}})
    assert names(before, policy(tied)) == ["sns.amazonaws.com"]


def test_who_could_come_over_plain_http_only_is_not_asked_for():
    before = policy(statement({"AWS": PARTNER}, condition=PLAIN))
    assert names(before, policy()) == []


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abcdefghij"}},
        {"ForAllValues:StringEquals": {"aws:PrincipalOrgID": ["o-abcdefghij", "o-*"]}},
        {"StringLike": {"aws:PrincipalOrgID": ["o-abcdefghij", "o-*"]}},
        {"IpAddressIfExists": {"aws:SourceIp": "203.0.113.0/24"}},
        {"StringEqualsIfExists": {"aws:SourceVpce": "vpce-0a1b2c3d"}},
        {"ArnLikeIfExists": {"aws:SourceArn": f"arn:aws:sns:us-east-1:{OWN}:topic"}},
        {"StringLike": {"aws:PrincipalArn": [PARTNER, "arn:aws:iam::*:role/partner"]}},
    ],
)
def test_those_whom_a_condition_names_are_named(condition):
    (key,) = next(iter(condition.values()))
    found = names(policy(statement(condition=condition)), policy())
    assert len(found) == 1
    assert found[0].startswith(f"whoever comes with {key} ")


def test_those_whom_a_condition_names_may_be_let_in_by_a_stricter_one():
    before = policy(statement(condition={"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abcdefghij"}}))
    assert names(before, policy(statement(condition=ORGANISATION))) == []


@pytest.mark.parametrize("key", ["aws:Referer", "aws:UserAgent"])
def test_what_anyone_may_say_names_nobody(key):
    assert names(policy(statement(condition={"StringEquals": {key: "hunter2"}})), policy()) == []


def test_accounts_that_are_trusted_are_insiders():
    before = policy(statement(condition={"StringLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:*"}}))
    assert names(before, policy(), trusted_accounts=["444455556666"]) != []


def test_what_is_in_doubt_is_told():
    many = [f"arn:aws:iam::444455556666:role/*{number:04}*{number}*" for number in range(90)]
    before = policy(statement({"AWS": PARTNER}, condition={"ArnNotLike": {"aws:PrincipalArn": many}}))
    after = policy(statement({"AWS": PARTNER}, condition={"StringNotLike": {"aws:PrincipalArn": many}}))
    found = locked_out(before, after, queue_arn=QUEUE, caller=ME)
    assert [str(each) for each in found if each.witness is None] in (
        [],
        [f"it could not be told whether {PARTNER} would keep what is allowed today"],
    )


# --- the caller --------------------------------------------------------------------------------------------------


def test_a_caller_of_another_account_keeps_what_everybody_had():
    before, after = policy(statement()), policy(statement({"AWS": ROOT}))
    assert names(before, after, caller=STRANGER_ME) == [f"the caller {STRANGER_ME}"]
    assert names(before, after, caller=ME) == []


@pytest.mark.parametrize(
    ("before", "after", "rests"),
    [
        (statement(action="sqs:*"), statement({"AWS": ROOT}, "sqs:*"), True),
        (statement(action="sqs:SetQueueAttributes"), None, True),
        (
            statement({"AWS": f"arn:aws:iam::{OWN}:role/admin"}, "sqs:*"),
            None,
            True,
        ),
        (statement(action="sqs:SendMessage"), None, False),
        (statement({"AWS": ROOT}, "sqs:*"), None, True),
        (statement({"AWS": ROOT}, "sqs:*"), statement({"AWS": ROOT}, "sqs:*"), False),
        (statement({"AWS": APP}, "sqs:*"), None, False),
    ],
)
def test_it_is_told_when_only_the_policy_lets_the_caller_change_the_queue(before, after, rests):
    after = policy(*([after] if after else []))
    assert rests_on_policy(policy(before), after, queue_arn=QUEUE, caller=ME) is rests


def test_what_another_account_or_nobody_may_rest_on_is_not_asked():
    for caller in ("", STRANGER_ME):
        assert not rests_on_policy(policy(statement(action="sqs:*")), policy(), queue_arn=QUEUE, caller=caller)


# --- KMS keys ----------------------------------------------------------------------------------------------------


def key_policy(*principals, action="kms:*"):
    return policy(*({"Effect": "Allow", "Principal": each, "Action": action, "Resource": "*"} for each in principals))


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        (key_policy({"AWS": ROOT}), [PARTNER, "sns.amazonaws.com"]),
        (key_policy({"AWS": ROOT}, {"AWS": PARTNER}, {"Service": "sns.amazonaws.com"}), []),
        (key_policy({"AWS": "*"}), []),
        (key_policy({"AWS": [ROOT, PARTNER]}, {"Service": "sns.amazonaws.com"}, action="kms:Decrypt"), 3),
        (key_policy({"AWS": [ROOT, "arn:aws:iam::444455556666:root"]}), ["sns.amazonaws.com"]),
    ],
)
def test_a_key_is_closed_to_whom_its_policy_does_not_name(opened, closed):
    named = policy(statement({"AWS": [APP, PARTNER]}), statement({"Service": "sns.amazonaws.com"}))
    found = key_is_closed_to(opened, named, queue_arn=QUEUE)
    assert len(found) == 3 if closed == 3 else list(found) == closed


def test_whoever_only_receives_needs_no_data_key():
    named = policy(statement({"AWS": PARTNER}, "sqs:ReceiveMessage"))
    assert key_is_closed_to(key_policy({"AWS": PARTNER}, action="kms:Decrypt"), named, queue_arn=QUEUE) == ()


# --- laws --------------------------------------------------------------------------------------------------------

law = settings(derandomize=True, deadline=None, max_examples=int(os.environ.get("LAW_EXAMPLES", "60")))
WITHOUT_CONDITIONS = replace(EVERYTHING, conditions=0)
OF_ONE_QUEUE = replace(VOCABULARY, queues=(QUEUE,))


def callers_named(document):
    for each in parse(document):
        if each.allows and not each.principals_negated:
            yield from (name for _, name in each.principals if name and not has_wildcard(name) and ":root" not in name)


def lost(before, after):
    """Who of those that are named loses what, by trying: right where there are no conditions."""
    before, after = json.dumps(before), json.dumps(after)
    for principal in dict.fromkeys(callers_named(before)):
        for action in ACTIONS:
            request = Request(principal, f"sqs:{action}", QUEUE, {"aws:SecureTransport": ("true",)})
            if decide(before, request) is Decision.ALLOW and decide(after, request) is not Decision.ALLOW:
                yield principal
                break


@law
@given(policies(WITHOUT_CONDITIONS, OF_ONE_QUEUE), policies(WITHOUT_CONDITIONS, OF_ONE_QUEUE))
def test_whoever_loses_by_trying_is_told(before, after):
    told = {each.who for each in locked_out(before, after, queue_arn=QUEUE)}
    assert {*lost(before, after)} <= told


@law
@given(st.data(), policies(EVERYTHING, OF_ONE_QUEUE))
def test_a_witness_is_a_request_that_is_lost(data, before):
    after = data.draw(policies(EVERYTHING, OF_ONE_QUEUE))
    for each in locked_out(before, after, queue_arn=QUEUE):
        if each.witness is not None:
            assert each.witness.keys["aws:SecureTransport"] == ("true",)
            was, will_be = decide(before, each.witness), decide(after, each.witness)
            assert was is not Decision.DENY
            assert will_be is Decision.DENY or (was is Decision.ALLOW and will_be is not Decision.ALLOW)


@law
@given(policies())
def test_denying_plain_http_locks_nobody_out_of_any_policy(before):
    after = {**before, "Statement": [*listed(before["Statement"]), TLS_ONLY]}
    assert locked_out(before, after, queue_arn=QUEUE, caller=ME) == ()


@law
@given(policies(), st.randoms(use_true_random=False))
def test_the_order_of_statements_locks_nobody_out(before, rng):
    after = {**before, "Statement": rng.sample(listed(before["Statement"]), len(listed(before["Statement"])))}
    assert locked_out(before, after, queue_arn=QUEUE, caller=ME) == ()
