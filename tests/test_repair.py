"""A policy is mended by the smallest changes, which close what was found, add nothing, and lock out nobody named."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proof.worlds import FROM_ELSEWHERE, OVER_PLAIN_HTTP, closing_world, random_world
from random_policies import DOUBTFUL, EVERYTHING, listed, policies, random_policy, random_request
from support import NEXT_MONTH
from test_policy_corpus import ENTRIES, Entry

from safe_sqs import Config
from safe_sqs.judge import judge_queue
from safe_sqs.model import Facts, Finding, Queue
from safe_sqs.policy import Decision, PolicyError, decide, parse, plaintext_access, public_access
from safe_sqs.policy.named import but_the_named
from safe_sqs.writing.repair import POLICY_RULES, Repair, repair

OWN, PARTNER, OTHER = "111122223333", "444455556666", "777788889999"
QUEUE = Queue(f"https://sqs.us-east-1.amazonaws.com/{OWN}/orders", "aws", "us-east-1", OWN, "orders")
ROOT = f"arn:aws:iam::{OWN}:root"
ROLE = f"arn:aws:iam::{PARTNER}:role/x"
TODAY = date(2026, 11, 1)
DENY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": QUEUE.arn,
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
law = settings(derandomize=True, deadline=None, max_examples=int(os.environ.get("LAW_EXAMPLES", "25")))
seeds = st.integers(0, 10**6)
documents = st.one_of(
    policies(DOUBTFUL),
    st.builds(random_world, seeds),
    st.builds(lambda seed: closing_world(seed, OVER_PLAIN_HTTP), seeds),
    st.builds(lambda seed: closing_world(seed, FROM_ELSEWHERE), seeds),
)
each_entry = pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.fields["id"]) for entry in ENTRIES])


def config(**settings: Any) -> Config:
    return Config(**{"modes": {"vpc-only-policy": "off"}, **settings})


def statement(**elements: Any) -> dict[str, Any]:
    whole = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": QUEUE.arn, **elements}
    return {name: value for name, value in whole.items() if value is not None}


def policy(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def mended(document: Any, **settings: Any) -> Repair:
    asked = settings.pop("remove_untrusted", False)
    text = document if document is None else json.dumps(document)
    return repair(QUEUE, text, config(**settings), TODAY, remove_untrusted=asked)


def after(found: Repair) -> list[dict[str, Any]]:
    return listed(json.loads(found.after)["Statement"])


def rules_left(found: Repair) -> list[str]:
    return [finding.rule for finding in found.left]


# --- single changes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, ""])
def test_where_there_is_no_policy_one_is_made_that_denies_plain_http(nothing: str | None):
    found = repair(QUEUE, nothing, config(), TODAY)
    assert json.loads(found.after) == policy(DENY)
    assert [(change.rule, change.statement) for change in found.changes] == [("tls-only-policy", None)]
    assert found.before == nothing
    assert found.left == ()
    assert found.is_changed


def test_a_policy_that_passes_stays_as_it_is_to_the_letter():
    text = json.dumps(policy(statement(Principal={"AWS": ROLE}), DENY), indent=7) + "\n\n"
    found = repair(QUEUE, text, config(), TODAY)
    assert found == Repair(text, text)
    assert found.diff() == ""
    assert not found.is_changed


def test_everyone_becomes_the_account_and_plain_http_is_denied():
    found = mended(policy(statement(Sid="a"), statement(Sid="b", Principal={"AWS": ROLE})))
    assert after(found) == [
        statement(Sid="a", Principal={"AWS": ROOT}),
        statement(Sid="b", Principal={"AWS": ROLE}),
        DENY,
    ]
    assert [(change.rule, change.statement) for change in found.changes] == [
        ("public-access", "a"),
        ("tls-only-policy", None),
    ]
    assert found.changes[0].words == (
        f'in statement \'a\', name who may as Principal, or at least the account: {{"AWS": "{ROOT}"}}'
    )
    assert found.left == ()


def test_a_deny_that_is_about_plain_http_only_is_widened_and_another_is_left_alone():
    narrow = {**DENY, "Action": "sqs:SendMessage"}
    assert after(mended(policy(narrow))) == [DENY]
    both = {**narrow, "Condition": {"Bool": {"aws:SecureTransport": ["true", "false"]}}}
    assert after(mended(policy(both))) == [both, DENY]
    wrong = {**DENY, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    assert after(mended(policy(wrong))) == [wrong, DENY]


def test_a_service_is_tied_to_the_queues_account_in_every_statement_that_names_it():
    service = {"Service": "s3.amazonaws.com"}
    tied = {"StringEquals": {"aws:SourceAccount": OWN}}
    fixed = statement(Principal=service, Sid="tied", Condition={"ArnLike": {"aws:SourceArn": f"arn:aws:s3:*:{OWN}:*"}})
    found = mended(
        policy(statement(Principal=service), fixed, statement(Principal=service, Resource="*"), DENY),
        modes={"least-privilege": "warn"},
    )
    assert after(found) == [
        statement(Principal=service, Condition=tied),
        fixed,
        statement(Principal=service, Resource="*", Condition=tied),
        DENY,
    ]
    assert found.left == ()


def test_a_service_beside_people_is_left_for_a_person():
    """The condition would keep the people out, whose requests have no source."""
    found = mended(policy(statement(Principal={"Service": "s3.amazonaws.com", "AWS": ROLE}), DENY))
    assert not found.is_changed
    assert rules_left(found) == ["least-privilege"]


def test_what_a_principal_needs_is_not_guessed():
    found = mended(policy(statement(Principal={"AWS": ROLE}, Action="sqs:*"), DENY))
    assert not found.is_changed
    assert rules_left(found) == ["least-privilege"]


@pytest.mark.parametrize("asked", [False, True])
def test_an_account_that_is_not_trusted_is_removed_only_when_asked(asked: bool):
    document = policy(
        statement(Principal={"AWS": [ROLE, f"arn:aws:iam::{OTHER}:role/y"]}),
        statement(Principal={"AWS": PARTNER}),
        DENY,
    )
    found = mended(document, trusted_accounts=[OTHER], remove_untrusted=asked)
    assert found.is_changed is asked
    assert rules_left(found) == ([] if asked else ["least-privilege"])
    if asked:
        assert after(found) == [statement(Principal={"AWS": [f"arn:aws:iam::{OTHER}:role/y"]}), DENY]


def test_without_a_list_of_trusted_accounts_none_is_removed():
    assert not mended(policy(statement(Principal={"AWS": ROLE}), DENY), remove_untrusted=True).is_changed


VPC = {"modes": {"vpc-only-policy": "enforce"}, "vpcs": ["vpc-1"], "vpc_endpoints": ["vpce-1"]}
CONFINED = {**DENY, "Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1", "aws:SourceVpce": "vpce-1"}}}


def test_everyone_who_comes_from_elsewhere_is_denied_where_the_vpc_is_known():
    document = policy(statement(Principal={"AWS": ROLE}), DENY)
    assert after(mended(document, **VPC)) == [*document["Statement"], CONFINED]
    assert rules_left(mended(document, modes=VPC["modes"])) == ["vpc-only-policy"]


def test_a_service_that_would_be_locked_out_with_the_rest_is_a_matter_for_a_person():
    topic = {"ArnEquals": {"aws:SourceArn": f"arn:aws:sns:us-east-1:{OWN}:topic"}}
    document = policy(statement(Principal={"Service": "sns.amazonaws.com"}, Condition=topic), DENY)
    found = mended(document, **VPC)
    assert not found.is_changed
    assert rules_left(found) == ["vpc-only-policy"]


# --- the configuration -------------------------------------------------------------------------------------------


def test_only_rules_that_are_on_are_mended():
    found = mended(policy(statement()), modes={"public-access": "off", "vpc-only-policy": "off"})
    assert {change.rule for change in found.changes} == {"tls-only-policy"}
    assert found.left == ()


def test_a_rule_from_which_the_queue_is_exempt_is_not_mended():
    exempt = [{"queue": QUEUE.arn, "rule": "tls-only-policy", "reason": "old devices", "until": NEXT_MONTH}]
    assert not mended(policy(statement(Principal={"AWS": ROLE})), exemptions=exempt).is_changed
    assert not mended(None, exemptions=exempt).is_changed


def test_trusted_accounts_are_no_strangers():
    loose = {"StringLikeIfExists": {"aws:PrincipalAccount": f"{PARTNER[:-1]}?"}}
    ten = [f"{PARTNER[:-1]}{digit}" for digit in range(10)]
    document = policy(statement(Condition=loose), DENY)
    assert after(mended(document, trusted_accounts=ten))[0]["Condition"] == {"StringLike": loose["StringLikeIfExists"]}
    assert after(mended(document))[0]["Condition"] == {**loose, "StringEquals": {"aws:PrincipalAccount": OWN}}


def test_an_account_named_in_a_condition_stays_in_unless_it_is_not_trusted():
    arns = {"ArnLike": {"aws:PrincipalArn": [ROLE, "arn:aws:iam::*:role/y"]}}
    document = policy(statement(Condition=arns), DENY)
    assert after(mended(document))[0]["Condition"]["StringEquals"] == {"aws:PrincipalAccount": [OWN, PARTNER]}


# --- what is no policy, and what is no queue ---------------------------------------------------------------------


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"Statement": 5}', '{"Statement": [], "Statement": []}'])
def test_what_is_no_policy_is_not_mended(text: str):
    with pytest.raises(PolicyError):
        repair(QUEUE, text, config(), TODAY)


def test_without_the_queues_arn_nothing_is_mended():
    with pytest.raises(ValueError, match="ARN"):
        repair(QUEUE._replace(account="", name=""), None, config(), TODAY)


def test_what_could_not_be_told_is_left_for_a_person(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("safe_sqs.policy.questions._STEPS", 1)
    found = mended(policy(statement(Sid="a"), DENY))
    assert not found.is_changed
    assert "public-access" in rules_left(found)
    assert all(finding.unverifiable for finding in found.left if finding.rule == "public-access")


# --- how it is written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda document: json.dumps(document, indent=2) + "\n",
        lambda document: json.dumps(document, indent=4),
        lambda document: json.dumps(document, indent="\t"),
        lambda document: json.dumps(document),
        lambda document: json.dumps(document, separators=(",", ":")),
        lambda document: json.dumps(document, ensure_ascii=False, indent=1),
    ],
)
def test_the_new_policy_is_written_as_the_old_one_was(write: Any):
    document = policy(statement(Sid="ä", Principal={"AWS": ROLE}))
    found = repair(QUEUE, write(document), config(), TODAY)
    assert found.after == write(policy(*document["Statement"], DENY))


def test_half_of_a_pair_of_letters_can_be_written_as_well():
    half = json.dumps(statement(Sid="\ud83d", Principal={"AWS": ROLE}))
    text = f'{{"Id": "ä", "Statement": [{half}]}}'
    found = repair(QUEUE, text, config(), TODAY)
    assert found.after.encode()
    assert json.loads(found.after)["Statement"][0] == json.loads(text)["Statement"][0]


def test_the_difference_shows_only_what_changes_even_of_a_policy_in_one_line():
    text = json.dumps(policy(statement(Principal={"AWS": ROLE}), {**DENY, "Principal": {"AWS": ROLE}}))
    lines = repair(QUEUE, text, config(), TODAY).diff("orders.json").splitlines()
    assert lines[:2] == ["--- orders.json (before)", "+++ orders.json (after)"]
    assert [line for line in lines[2:] if line.startswith(("-", "+"))] == [
        '-      "Principal": {',
        f'-        "AWS": "{ROLE}"',
        "-      },",
        '+      "Principal": "*",',
    ]


def test_of_a_policy_of_which_nothing_is_left_nothing_is_written():
    """Of a statement with lines about the account already, which nothing narrower can be added to."""
    closed = {
        "StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"},
        "StringLike": {"aws:PrincipalAccount": "*"},
    }
    document = policy(statement(Condition=closed))
    found = mended(document, modes={"tls-only-policy": "off", "vpc-only-policy": "off", "least-privilege": "off"})
    assert found.after is None
    assert found.changes[0].words == "remove statement number 1"
    assert found.diff().count("\n-") > 5
    assert repair(QUEUE, found.after, config(modes={"tls-only-policy": "off"}), TODAY).changes == ()


def test_limits_of_sqs_that_the_new_policy_exceeds_are_told():
    twenty = policy(*(statement(Sid=f"s{number}", Principal={"AWS": ROLE}) for number in range(20)))
    assert mended(twenty).limits == ("21 statements, where SQS takes 20",)
    long = policy(statement(Principal={"AWS": ROLE}, Sid="x" * 7_900))
    (told,) = mended(long).limits
    assert told.endswith("bytes, where SQS takes 8,192")
    assert mended(policy(statement())).limits == ()


# --- laws --------------------------------------------------------------------------------------------------------


def judged(text: str | None, by: Config) -> tuple[Any, ...]:
    facts = Facts(QUEUE, sse_sqs=True, policy=text)
    return tuple(one for one in judge_queue(facts, QUEUE, by, TODAY).findings if one.rule in POLICY_RULES)


def certain(findings: Iterable[Finding]) -> int:
    return sum(not finding.unverifiable for finding in findings)


def holds_for(document: dict[str, Any], by: Config) -> Repair:
    """What holds of every repair. Returns it."""
    text = json.dumps(document)
    found = repair(QUEUE, text, by, TODAY)
    assert found.left == judged(found.after, by)
    before = judged(text, by)
    rules = {change.rule for change in found.changes}
    assert certain(found.left) <= certain(before) - len(rules)
    assert len(found.left) <= len(before)
    assert {finding.rule for finding in found.left} <= {finding.rule for finding in before}
    again = repair(QUEUE, found.after, by, TODAY)
    assert again.changes == ()
    assert again.after == found.after
    return found


@each_entry
def test_every_policy_of_the_corpus_is_mended_without_a_statement_removed(entry: Entry):
    document = json.loads(json.dumps(entry.document).replace(entry.queue_arn, QUEUE.arn))
    found = holds_for(document, config())
    left = {finding.rule for finding in found.left if not finding.unverifiable}
    assert left <= {"least-privilege"}
    assert not any(change.words.startswith("remove") for change in found.changes)
    assert public_access(found.after, queue_arn=QUEUE.arn).found is False
    assert plaintext_access(found.after, queue_arn=QUEUE.arn).found is not True


@law
@given(document=documents)
def test_what_is_certain_is_closed_or_left_and_a_second_repair_changes_nothing(document: dict[str, Any]):
    found = holds_for(document, config())
    assert {finding.rule for finding in found.left if not finding.unverifiable} <= {"least-privilege", "public-access"}


@law
@given(document=documents)
def test_so_it_is_where_everything_is_enforced_and_access_confined(document: dict[str, Any]):
    holds_for(document, config(**VPC))


@law
@given(document=documents)
def test_statements_that_no_change_names_stay_as_they_were(document: dict[str, Any]):
    found = repair(QUEUE, json.dumps(document), config(), TODAY)
    if not found.is_changed:
        assert found.after == found.before
        return
    touched = {change.statement for change in found.changes}
    if any(change.words.startswith("remove") for change in found.changes):
        return
    for index, (before, now) in enumerate(zip(listed(document["Statement"]), after(found), strict=False)):
        if (before.get("Sid") or index) not in touched:
            assert now == before
        elements = [name for name in ("Sid", "Effect", "Action", "Resource") if name in before and name in now]
        if before["Effect"] == "Allow":
            assert [now[name] for name in elements] == [before[name] for name in elements]


def without_strangers(document: dict[str, Any]) -> dict[str, Any] | None:
    """The policy with only those principals in its Allows that it names in full, and who are no services."""
    statements = []
    for entry, read in zip(listed(document["Statement"]), parse(document), strict=True):
        if not read.allows:
            statements.append(entry)
            continue
        wide = but_the_named(read).principals
        named = [name for kind, name in read.principals if kind == "AWS" and (kind, name) not in wide]
        if named and not read.principals_negated:
            statements.append({**entry, "Principal": {"AWS": named}})
    return {**document, "Statement": statements}


@law
@given(seed=seeds)
def test_nobody_who_is_named_loses_what_he_could_do_over_https(seed: int):
    rng = Random(seed)
    document = random_policy(rng, EVERYTHING)
    found = repair(QUEUE, json.dumps(document), config(), TODAY)
    before, named = json.dumps(document), json.dumps(without_strangers(document))
    for _ in range(40):
        request = random_request(rng, document)
        keys = {key: values for key, values in request.keys.items() if key.lower() != "aws:securetransport"}
        request = request._replace(resource=QUEUE.arn, keys={**keys, "aws:SecureTransport": ("true",)})
        if decide(named, request) is Decision.ALLOW:
            assert decide(found.after, request) is Decision.ALLOW
        if decide(before, request) is not Decision.DENY:
            assert decide(found.after, request) is not Decision.DENY
