"""Who can do what by a policy is told in sentences, and each example is a request that the policy really allows."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from random_policies import DOUBTFUL, policies
from test_policy_corpus import ENTRIES, Entry

from safe_sqs import Config
from safe_sqs.policy import Decision, PolicyError, decide, grants, parse
from safe_sqs.writing.explain import Section, Sentence, explain

OWN, PARTNER = "111122223333", "444455556666"
QUEUE = f"arn:aws:sqs:us-east-1:{OWN}:orders"
ROLE = f"arn:aws:iam::{PARTNER}:role/x"
DENY = {
    "Sid": "tls",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": QUEUE,
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
law = settings(derandomize=True, deadline=None, max_examples=int(os.environ.get("LAW_EXAMPLES", "25")))


def statement(**elements: Any) -> dict[str, Any]:
    whole = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "sqs:SendMessage", "Resource": QUEUE, **elements}
    return {name: value for name, value in whole.items() if value is not None}


def policy(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def told(document: Any, title: str, queue_arn: str = QUEUE, **said: Any) -> list[str]:
    return [sentence.text for sentence in section(document, title, queue_arn, **said).sentences]


def section(document: Any, title: str, queue_arn: str = QUEUE, **said: Any) -> Section:
    (found,) = [each for each in explain(document, queue_arn, Config(**said)) if each.title == title]
    return found


MAY, DENIED, STRANGERS = "Who may do what", "What is denied", "Strangers"
FOREIGN, PLAIN, NETWORK = "Other accounts, and services", "Plain HTTP", "The network"


def test_a_principal_its_actions_role_statement_and_conditions_are_told():
    document = policy(
        statement(
            Sid="a",
            Action=["sqs:ReceiveMessage", "sqs:DeleteMessage"],
            Condition={
                "Bool": {"aws:SecureTransport": "true"},
                "StringEquals": {"aws:SourceVpc": ["vpc-1", "vpc-2"], "aws:PrincipalOrgID": "o-own1234567"},
            },
        )
    )
    (sentence,) = section(document, MAY).sentences
    assert sentence.text == (
        f"{ROLE} may sqs:ReceiveMessage and sqs:DeleteMessage (consumer), by statement 'a', only over HTTPS, "
        "only from VPC vpc-1 or vpc-2 and only if the principal's organisation is o-own1234567."
    )
    assert sentence.witness.principal == ROLE
    assert sentence.example.endswith("sqs:ReceiveMessage")


def test_several_statements_about_one_principal_are_put_together():
    document = policy(statement(Sid="a"), statement(Sid="b", Action="sqs:DeleteQueue"))
    assert told(document, MAY) == [
        f"{ROLE} may be administrator and producer, by several statements:",
        f"{ROLE} may sqs:SendMessage (producer), by statement 'a'.",
        f"{ROLE} may sqs:DeleteQueue (administrator), by statement 'b'.",
    ]


@pytest.mark.parametrize(
    ("principal", "who"),
    [
        ("*", "Anyone may"),
        ({"AWS": OWN}, f"The queue's own account {OWN} as a whole may"),
        ({"AWS": f"arn:aws:iam::{PARTNER}:root"}, f"Account {PARTNER} as a whole may"),
        ({"Service": "sns.amazonaws.com"}, "sns.amazonaws.com may"),
    ],
)
def test_who_it_is_is_told_in_words(principal: Any, who: str):
    assert told(policy(statement(Principal=principal)), MAY)[0].startswith(who)


def test_what_a_deny_takes_away_is_not_told_as_granted():
    document = policy(
        statement(Action="sqs:*"), statement(Effect="Deny", Principal="*", Action=None, NotAction="sqs:SendMessage")
    )
    assert told(document, MAY) == [f"{ROLE} may sqs:SendMessage (producer), by statement number 1."]
    assert told(policy(statement(), statement(Effect="Deny")), MAY) == ["This policy allows nothing to anybody."]


def test_everyone_but_somebody_is_told_as_such():
    document = policy(statement(Principal=None, NotPrincipal={"AWS": ROLE}, Action="*"))
    assert told(document, MAY)[0].startswith(f"Anyone but {ROLE} may do everything (administrator, consumer and")


UNREADABLE = "a condition about {} holds that cannot be read"


@pytest.mark.parametrize(
    ("condition", "phrase"),
    [
        ({"Bool": {"aws:SecureTransport": "false"}}, "over plain HTTP"),
        ({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}, "otherwise than through VPC endpoint vpce-1"),
        ({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}, "from anywhere but 10.0.0.0/8"),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:1:t"}}, "if the source is like arn:aws:sns:*:1:t"),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:a:1:t"}}, "if the source is arn:aws:sns:a:1:t"),
        ({"StringNotLike": {"aws:username": "a*"}}, "if aws:username is not like a*, or without that key"),
        ({"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}, "from VPC vpc-1, or without that key"),
        (
            {"ForAllValues:StringEquals": {"aws:TagKeys": "a"}},
            "if every value of aws:TagKeys is a, or without that key",
        ),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, "if some value of aws:TagKeys is a"),
        ({"Null": {"aws:SourceVpc": "true"}}, "without the key aws:SourceVpc"),
        ({"Null": {"aws:SourceVpc": False}}, "with the key aws:SourceVpc"),
        ({"NumericLessThanEquals": {"aws:MultiFactorAuthAge": 5}}, "if aws:MultiFactorAuthAge is at most 5"),
        ({"DateGreaterThan": {"aws:CurrentTime": "2026-01-01"}}, "if aws:CurrentTime is after 2026-01-01"),
        ({"StringEqualsIgnoreCase": {"aws:username": "A"}}, "if aws:username is A, in whatever letter case"),
        ({"StringEquals": {"aws:username": list("abcdefg")}}, "if aws:username is a, b, c, d or 3 others"),
        ({"StringEquals": {"aws:username": ""}}, 'if aws:username is ""'),
        ({"StringEquals": {"aws:username": []}}, f"if {UNREADABLE.format('aws:username')}"),
        ({"Bool": {"aws:SecureTransport": "0"}}, f"if {UNREADABLE.format('aws:SecureTransport')}"),
        ({"ForAllValues:Null": {"aws:SourceVpc": "true"}}, f"if {UNREADABLE.format('aws:SourceVpc')}"),
        ({"Null": {"aws:SourceVpc": ["true", "false"]}}, "with or without the key aws:SourceVpc"),
        ({"StringNotEquals": {"aws:SourceIp": "10.0.0.0/8"}}, "if aws:SourceIp is not 10.0.0.0/8, or without that key"),
    ],
)
def test_a_condition_is_told_in_words(condition: dict[str, Any], phrase: str):
    document = policy({**DENY, "Condition": condition})
    assert told(document, DENIED) == [f"Everyone is denied everything, by statement 'tls', {phrase}."]


@pytest.mark.parametrize(
    ("principal", "who"),
    [
        ({"AWS": "*"}, "Everyone is"),
        ({"Service": "*"}, "Service * is"),
        ({"Federated": ["*"], "AWS": ROLE}, f"Federated * or {ROLE} are"),
        ("", '"" is'),
    ],
)
def test_only_who_is_surely_everyone_is_told_as_such(principal: Any, who: str):
    document = policy({**DENY, "Principal": principal})
    assert told(document, DENIED) == [f"{who} denied everything, by statement 'tls', over plain HTTP."]
    (plain_http,) = told(document, "Plain HTTP")
    assert plain_http.startswith("Plain HTTP is denied") is (who == "Everyone is")


def test_what_is_denied_to_whom_is_told():
    document = policy(
        statement(Effect="Deny", Action="*"),
        statement(Effect="Deny", Principal={"AWS": [ROLE, OWN]}, Resource="*"),
        statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": ROLE}, Action=None, NotAction="sqs:a"),
        statement(Effect="Deny", Resource=None, NotResource="arn:other"),
        statement(Effect="Deny", Resource="arn:other"),
    )
    assert told(document, DENIED) == [
        f"{ROLE} is denied everything, by statement number 1, always.",
        f"{ROLE} or {OWN} are denied sqs:sendmessage, by statement number 2, always.",
        f"Everyone but {ROLE} is denied everything but sqs:a, by statement number 3, always.",
        f"{ROLE} is denied sqs:sendmessage on all but arn:other, by statement number 4, always.",
        f"{ROLE} is denied sqs:sendmessage on arn:other, by statement number 5, always.",
    ]
    assert told(policy(statement()), DENIED) == ["This policy denies nothing to anybody."]


def test_strangers_are_a_danger_and_their_way_in_and_the_change_are_told():
    (sentence,) = section(policy(statement(Sid="a", Principal="*")), STRANGERS).sentences
    assert sentence.danger
    assert sentence.text.startswith("The queue is public: anyone on the internet")
    assert "To close it, in statement 'a', name who may as Principal" in sentence.text
    assert decide(policy(statement(Principal="*")), sentence.witness) is Decision.ALLOW
    assert told(policy(statement()), STRANGERS) == ["Nobody gets in whom the policy does not name."]


def test_what_could_not_be_told_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("safe_sqs.policy.questions._STEPS", 1)
    document = policy(statement(Principal="*"), statement(Principal={"Service": "s3.amazonaws.com"}))
    assert told(document, STRANGERS)[0].startswith("It could not be told whom statement number 1 lets in.")
    assert told(document, PLAIN)[0].startswith("It could not be told whether plain HTTP is denied")
    assert told(document, NETWORK)[0].startswith("It could not be told whether everyone")
    assert told(document, FOREIGN) == ["It could not be told for whom s3.amazonaws.com may act (statement number 2)."]
    assert told(policy(statement()), FOREIGN) == [
        f"It could not be told whether account {PARTNER} gets in (statement number 1)."
    ]


def test_foreign_accounts_and_services_are_told_and_whether_they_are_trusted_and_tied():
    tied = {"StringEquals": {"aws:SourceAccount": OWN}}
    document = policy(
        statement(Sid="a"),
        statement(Sid="b", Principal={"Service": "s3.amazonaws.com"}),
        statement(Sid="c", Principal={"Service": "sns.amazonaws.com"}, Condition=tied),
    )
    found = section(document, FOREIGN).sentences
    assert [(sentence.text, sentence.danger) for sentence in found] == [
        (f"Account {PARTNER} is let in (statement 'a').", False),
        ("s3.amazonaws.com may act for anyone at all, also for somebody else's resources (statement 'b').", True),
        ("sns.amazonaws.com may act only for resources or accounts that the policy names (statement 'c').", False),
    ]
    assert told(document, FOREIGN, trusted_accounts=[PARTNER])[0].endswith(", and trusted.")
    other = section(document, FOREIGN, trusted_accounts=["777788889999"]).sentences[0]
    assert other.text.endswith(", and not among the trusted ones.")
    assert other.danger
    assert told(policy(DENY), FOREIGN) == ["No account but the queue's own is named and let in, and no service."]


def test_plain_http_is_told():
    assert told(policy(DENY), PLAIN) == ["Plain HTTP is denied to everyone."]
    (sentence,) = section(None, PLAIN).sentences
    assert sentence.danger
    assert sentence.text.startswith("Plain HTTP is not denied to everyone: sqs:SendMessage by anyone")
    assert sentence.witness.keys["aws:SecureTransport"] == ("false",)


def test_the_network_is_told_with_those_vpcs_that_are_set_or_named():
    confined = policy({**DENY, "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}})
    assert told(confined, NETWORK) == [
        "Everyone is denied who does not come from the VPCs and endpoints that the policy names."
    ]
    assert told(confined, NETWORK, vpcs=["vpc-1"]) == ["Everyone is denied who does not come from vpc-1."]
    (open_,) = section(confined, NETWORK, vpcs=["vpc-2"]).sentences
    assert open_.danger
    assert open_.text.startswith("The queue is not confined to vpc-2: ")
    (nowhere,) = section(policy(), NETWORK).sentences
    assert not nowhere.danger
    assert nowhere.text.startswith("The queue is not confined to a VPC: ")


def test_what_the_policy_does_not_decide_is_told():
    title = "What this policy does not decide"
    assert told(policy(), title)[0].startswith(f"Users and roles of the queue's own account {OWN} may also")
    assert told(policy(), title, queue_arn="")[-1].startswith("The queue's ARN is not known")
    assert len(told(policy(), title, queue_arn="")) == len(told(policy(), title)) + 1


def test_what_serves_as_a_password_is_not_shown():
    secret = "open-sesame"
    keys = {"aws:Referer": secret, "aws:UserAgent": secret}
    document = policy(
        statement(Principal="*", Condition={"StringEquals": keys}), {**DENY, "Condition": {"StringNotEquals": keys}}
    )
    sections = explain(json.dumps(document), QUEUE, Config())
    shown = [(each.text, each.example, json.dumps(each.as_data())) for part in sections for each in part.sentences]
    assert secret not in str(shown)
    assert "only with the aws:Referer that the policy asks for" in shown[0][0]
    assert '"aws:Referer": ["(not shown)"]' in shown[0][2]


def test_a_policy_that_cannot_be_read_is_not_explained():
    with pytest.raises(PolicyError):
        explain('{"Statement": 5}', QUEUE, Config())


# --- laws --------------------------------------------------------------------------------------------------------


def is_confirmed(document: dict[str, Any], part: Section, sentence: Sentence) -> bool:
    """True when the example of a sentence is what the sentence says."""
    if sentence.witness is None:
        return True
    decision = decide(document, sentence.witness)
    return decision is Decision.ALLOW if part.title in (MAY, STRANGERS, FOREIGN) else decision is not Decision.DENY


def holds_for(document: dict[str, Any], queue_arn: str) -> None:
    sections = explain(document, queue_arn, Config())
    assert sections == explain(json.dumps(document), queue_arn, Config())
    for part in sections:
        assert part.sentences
        for sentence in part.sentences:
            assert is_confirmed(document, part, sentence), sentence
            json.dumps(sentence.as_data())
    may = "\n".join(sentence.text for sentence in sections[0].sentences)
    for grant in grants(document, queue_arn=queue_arn):
        if not grant.is_whole_account and grant.principal != "*":
            assert f"{grant.principal} may" in may
    denies = [entry for entry in parse(document) if not entry.allows]
    assert len(sections[1].sentences) == max(1, len(denies))


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.fields["id"]) for entry in ENTRIES])
def test_every_policy_of_the_corpus_is_told_and_its_examples_are_confirmed(entry: Entry):
    holds_for(entry.document, entry.queue_arn)


@law
@given(document=policies(DOUBTFUL))
def test_so_it_is_for_random_policies(document: dict[str, Any]):
    holds_for(document, QUEUE)
