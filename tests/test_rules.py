"""Each rule by itself, and the judge that asks them all."""

from __future__ import annotations

import inspect
import json
import sys
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from safe_sqs import Config, Exemption, Mode, Role, judge
from safe_sqs.judge import (
    QUEUE_ATTRIBUTES,
    REQUEST_BODY,
    attributes_needed,
    inside_a_look,
    judge_call,
    judge_change,
    judge_connection,
    judge_queue,
    unreadable_request,
)
from safe_sqs.model import (
    Call,
    Connection,
    Facts,
    Identity,
    IdentityKind,
    KeyManager,
    Practice,
    Problem,
    Queue,
    Rule,
    Subject,
    Unreadable,
    Verdict,
)
from safe_sqs.operations import OPERATIONS, ROLE_KINDS
from safe_sqs.rules import ALL_RULES, RULES_BY_NAME
from safe_sqs.wire import partitions

OWN = "111122223333"
QUEUE = Queue("https://sqs.us-east-1.amazonaws.com/111122223333/orders", "aws", "us-east-1", OWN, "orders")
DEAD = Queue("https://sqs.us-east-1.amazonaws.com/111122223333/dead", "aws", "us-east-1", OWN, "dead")
NAMELESS = Queue("https://sqs.us-east-1.amazonaws.com/", "aws", "us-east-1", "", "")
ROLE_ARN = f"arn:aws:iam::{OWN}:role/app"
TODAY = date(2026, 11, 24)
QUEUE_RULES = tuple(rule for rule in ALL_RULES if rule.subject is Subject.QUEUE)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "sqs:SendMessage", "Resource": "*"} | elements


def denying(**condition: Any) -> dict[str, Any]:
    return statement(Effect="Deny", Principal="*", Action="sqs:*", Condition=condition)


HTTPS_ONLY = denying(Bool={"aws:SecureTransport": "false"})
VPC_ONLY = denying(StringNotEquals={"aws:SourceVpce": "vpce-1"})
PUBLIC = statement(Principal="*")
WIDE = statement(Action="sqs:*")

RENEWED = Identity(IdentityKind.TEMPORARY, "LE01", "assume-role", renews_itself=True)


def connection(url: str = "https://sqs.us-east-1.amazonaws.com/", **changes: Any) -> Connection:
    """A connection that is fine under every profile, with some of it changed."""
    fine = Connection(
        url=url,
        service="sqs",
        certificates_checked=True,
        proxied=False,
        proxy_sees_plain_text=False,
        identity=RENEWED,
        partitions=partitions(),
        addresses=("10.0.0.7",),
    )
    return fine._replace(**changes)


def problems(rule: str, thing: Any, **settings: Any) -> list[Problem]:
    return list(RULES_BY_NAME[rule].check(thing, Config(**settings)))


def found(rule: str, thing: Any, **settings: Any) -> list[str]:
    return [problem.found for problem in problems(rule, thing, **settings)]


GOOD = Facts(
    QUEUE, kms_key="alias/orders", key_manager=KeyManager.CUSTOMER, policy=policy(statement(), HTTPS_ONLY, VPC_ONLY)
)
"""A queue in which no rule finds anything, at any level."""


# --- what holds for all rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.name)
def test_every_rule_is_described(rule):
    module = sys.modules[rule.check.__module__]
    assert rule.name == module.__name__.rpartition(".")[2].replace("_", "-")
    assert module.RULE is rule
    assert module.__doc__
    assert module.__doc__.startswith("Danger: ")
    assert "Source: " in module.__doc__
    assert rule.title[0].isupper()
    assert not rule.title.endswith(".")
    assert isinstance(rule.practice, Practice)
    assert rule.practice.url.startswith("https://docs.aws.amazon.com/")
    assert rule.practice.url.endswith(f"#{rule.practice.value}")
    assert inspect.getdoc(rule.check)
    assert bool(rule.attributes) is (rule.subject is Subject.QUEUE)
    assert bool(rule.strict_level) is bool(rule.levels)
    assert not rule.levels or rule.levels.index(rule.strict_level) > 0


def test_rule_names_are_unique_and_lead_to_their_rules():
    assert list(RULES_BY_NAME.values()) == list(ALL_RULES)
    assert len({rule.title for rule in ALL_RULES}) == len(ALL_RULES)


def test_all_six_practices_have_a_rule():
    assert {rule.practice for rule in ALL_RULES} == set(Practice)


def test_nothing_is_found_in_what_is_fine():
    settings = Config(
        profile="strict", levels={"queue-encryption": "customer-key"}, vpc_endpoints=["vpce-1"], trusted_accounts=[OWN]
    )
    good = GOOD._replace(dead_letter=GOOD._replace(queue=DEAD))
    assert judge_queue(good, QUEUE, settings, TODAY) == Verdict()
    assert judge_connection(connection(), settings) == Verdict()
    assert judge_call(Call("SendMessage", None), settings) == Verdict()


# --- https-endpoint ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://sqs.us-east-1.amazonaws.com/", "plain HTTP to http://sqs.us-east-1.amazonaws.com"),
        ("HTTP://sqs.us-east-1.amazonaws.com/", "plain HTTP to http://sqs.us-east-1.amazonaws.com"),
        ("http://localhost:4566/", "plain HTTP to http://localhost:4566"),
        ("http://sqs.us-east-1.amazonaws.com:443/", "plain HTTP to http://sqs.us-east-1.amazonaws.com:443"),
        ("ftp://sqs.us-east-1.amazonaws.com/", "plain FTP to ftp://sqs.us-east-1.amazonaws.com:0"),
    ],
)
def test_anything_but_https_is_found(url, said):
    (problem,) = problems("https-endpoint", connection(url))
    assert problem.found == said
    assert problem.expected == "https://"
    assert "AWS_ENDPOINT_URL" in problem.next_step


@pytest.mark.parametrize("url", ["https://sqs.us-east-1.amazonaws.com/", "HTTPS://localhost:4566", "https://u:p@host/"])
def test_https_is_fine_and_unreadable_addresses_are_left_to_endpoint_host(url):
    assert found("https-endpoint", connection(url)) == []


LOOPBACK = ["http://localhost:4566/", "http://127.0.0.1:4566/", "http://127.9.9.9/", "http://[::1]:4566/"]
NOT_LOOPBACK = [
    "http://localhost.evil.example:4566/",
    "http://10.0.0.7:4566/",
    "http://0.0.0.0:4566/",
    "http://2130706433/",
    "http://emulator:4566/",
    "http://sqs.us-east-1.amazonaws.com/",
]


@pytest.mark.parametrize("url", LOOPBACK)
def test_the_local_profile_allows_plain_http_to_a_loopback_address_but_not_through_a_proxy(url):
    assert found("https-endpoint", connection(url), profile="local") == []
    assert found("https-endpoint", connection(url, proxied=True), profile="local") != []
    assert found("https-endpoint", connection(url)) != []


@pytest.mark.parametrize("url", NOT_LOOPBACK)
def test_the_local_profile_allows_plain_http_to_nothing_else(url):
    assert found("https-endpoint", connection(url), profile="local") != []


# --- tls-verification --------------------------------------------------------------------------------------------


def test_switched_off_certificate_checks_and_a_reading_proxy_are_both_found():
    both = connection(certificates_checked=False, proxied=True, proxy_sees_plain_text=True)
    first, second = problems("tls-verification", both)
    assert first.found == "certificate verification is switched off"
    assert "proxy_use_forwarding_for_https" in second.found


@pytest.mark.parametrize("changes", [{}, {"proxied": True}])
def test_checked_certificates_and_a_tunnel_are_fine(changes):
    assert found("tls-verification", connection(**changes)) == []


@pytest.mark.parametrize("url", ["http://localhost/", "https://u:p@host/"])
def test_without_https_there_is_nothing_to_verify(url):
    assert found("tls-verification", connection(url, certificates_checked=False)) == []


# --- endpoint-host -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.us-east-1.amazonaws.com/",
        "https://SQS.us-east-1.AMAZONAWS.com/",
        "https://sqs.us-east-1.amazonaws.com:443/",
        "https://sqs-fips.us-gov-west-1.amazonaws.com/",
        "https://sqs.eu-west-1.api.aws/",
        "https://sqs.cn-north-1.amazonaws.com.cn/",
        "https://us-west-2.queue.amazonaws.com/",
        "https://vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com/",
        "http://sqs.us-east-1.amazonaws.com/",
    ],
)
def test_hosts_of_aws_are_fine(url):
    assert found("endpoint-host", connection(url)) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.us-east-1.amazonaws.com.evil.example/",
        "https://sqs.us-east-1.amazonaws.com./",
        "https://example.com/",
        "https://localhost:4566/",
        "https://93.184.216.34/",
        "https://sns.us-east-1.amazonaws.com/",
    ],
)
def test_other_hosts_are_found_by_name(url):
    (problem,) = problems("endpoint-host", connection(url))
    host = url.removeprefix("https://").rstrip("/")
    assert problem.found == f"the host {host}"
    assert f'add "{host}" to trusted_endpoint_hosts' in problem.next_step
    assert problem.expected.startswith("a host of Amazon SQS")


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pass@sqs.us-east-1.amazonaws.com/",
        "https://sqs.us-east-1.amazonaws.com\\@evil.example/",
        "https://sqs.us-east-1.amazonaws.com /",
        "https://\uff53qs.us-east-1.amazonaws.com/",
        "sqs.us-east-1.amazonaws.com",
        "",
    ],
)
def test_an_address_that_can_be_read_in_two_ways_is_found_and_not_quoted(url):
    (problem,) = problems("endpoint-host", connection(url))
    assert "could be read in more than one way" in problem.found
    assert not url or url not in str(problem)


def test_another_port_of_aws_is_found():
    assert found("endpoint-host", connection("https://sqs.us-east-1.amazonaws.com:8443/")) == [
        "port 8443 of sqs.us-east-1.amazonaws.com"
    ]


@pytest.mark.parametrize(
    ("trusted", "url", "fine"),
    [
        ("queue.internal", "https://queue.internal/", True),
        ("Queue.Internal", "https://queue.internal/", True),
        ("queue.internal", "https://queue.internal:8443/", False),
        ("queue.internal:8443", "https://queue.internal:8443/", True),
        ("queue.internal:8443", "https://queue.internal/", False),
        ("queue.internal", "https://sqs.queue.internal/", False),
        ("[::1]:4566", "https://[::1]:4566/", True),
    ],
)
def test_a_trusted_host_is_trusted_with_its_port_only(trusted, url, fine):
    assert (found("endpoint-host", connection(url), trusted_endpoint_hosts=[trusted]) == []) is fine


@pytest.mark.parametrize("url", LOOPBACK)
def test_the_local_profile_allows_loopback_addresses(url):
    assert found("endpoint-host", connection(url), profile="local") == []
    assert found("endpoint-host", connection(url)) != []


VPC_ENDPOINT_URL = "https://vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com/"


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ([], []),
        (["vpce-0a1b"], []),
        (["vpce-9999", "vpce-0a1b"], []),
        (["vpce-9999"], ["the VPC endpoint vpce-0a1b"]),
    ],
)
def test_a_vpc_endpoint_is_one_of_the_configured_ones(configured, said):
    assert found("endpoint-host", connection(VPC_ENDPOINT_URL), vpc_endpoints=configured) == said


def test_configured_vpc_endpoints_leave_the_regional_host_to_the_policy():
    assert found("endpoint-host", connection(), vpc_endpoints=["vpce-0a1b"]) == []


# --- static-credentials ------------------------------------------------------------------------------------------


def test_long_term_credentials_are_found_by_the_end_of_their_id():
    identity = Identity(IdentityKind.LONG_TERM, "LE02", "shared-credentials-file")
    (problem,) = problems("static-credentials", connection(identity=identity))
    assert problem.found == (
        "long-term credentials: the access key that ends in LE02 of the provider 'shared-credentials-file'"
    )
    assert "IAM role" in problem.next_step


def test_an_unsigned_request_is_found():
    (problem,) = problems("static-credentials", connection(identity=Identity(IdentityKind.UNSIGNED)))
    assert problem.found == "a request without a Signature Version 4 signature"


STATIC_TEMPORARY = Identity(IdentityKind.TEMPORARY, "LE01", "", renews_itself=False)


def test_temporary_credentials_that_nothing_renews_are_found_at_the_higher_level_only():
    assert found("static-credentials", connection(identity=STATIC_TEMPORARY)) == []
    assert found("static-credentials", connection(identity=STATIC_TEMPORARY), profile="strict") == [
        "temporary credentials that nothing renews: the access key that ends in LE01"
    ]
    assert found("static-credentials", connection(identity=RENEWED), profile="strict") == []


def test_without_credentials_the_error_is_left_to_botocore():
    assert found("static-credentials", connection(identity=Identity(IdentityKind.ABSENT))) == []


LONG_TERM = Identity(IdentityKind.LONG_TERM, "LE02", "env")


@pytest.mark.parametrize("url", [*LOOPBACK, "https://localhost:4566/"])
def test_the_local_profile_allows_made_up_credentials_to_a_loopback_address_but_not_through_a_proxy(url):
    assert found("static-credentials", connection(url, identity=LONG_TERM), profile="local") == []
    assert found("static-credentials", connection(url, identity=LONG_TERM, proxied=True), profile="local") != []
    assert found("static-credentials", connection(url, identity=LONG_TERM)) != []


@pytest.mark.parametrize("url", [*NOT_LOOPBACK, "https://u:p@localhost/"])
def test_the_local_profile_allows_made_up_credentials_to_nothing_else(url):
    assert found("static-credentials", connection(url, identity=LONG_TERM), profile="local") != []


# --- vpc-route ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("addresses", [("10.0.0.7",), ("172.31.0.1", "192.168.0.1"), ("fd00::7",), ("fe80::1%eth0",)])
def test_private_addresses_are_a_way_through_a_vpc(addresses):
    assert found("vpc-route", connection(addresses=addresses)) == []


@pytest.mark.parametrize(
    ("addresses", "public"),
    [
        (("52.46.0.1",), "52.46.0.1"),
        (("10.0.0.7", "52.46.0.1"), "52.46.0.1"),
        (("10.0.0.7", "2a05:d000::1"), "2a05:d000::1"),
        (("::ffff:8.8.8.8",), "::ffff:8.8.8.8"),
        (("no address",), "no address"),
    ],
)
def test_one_public_address_is_enough(addresses, public):
    (problem,) = problems("vpc-route", connection(addresses=addresses))
    assert problem.found == f"the endpoint resolves to the public address {public}"
    assert not problem.unverifiable


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"addresses": ()}, "does not resolve"),
        ({"proxied": True}, "a proxy that resolves the endpoint's name"),
    ],
)
def test_a_way_that_cannot_be_known_is_unverifiable(changes, said):
    (problem,) = problems("vpc-route", connection(**changes))
    assert said in problem.found
    assert problem.unverifiable


def test_a_name_that_nobody_resolved_yet_is_not_judged():
    assert problems("vpc-route", connection(addresses=None)) == []


# --- role-operations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("role", Role)
def test_a_role_does_what_it_needs_and_nothing_else(role, operation):
    allowed = OPERATIONS[operation] in ROLE_KINDS[role]
    assert (problems("role-operations", Call(operation, role)) == []) is allowed


@pytest.mark.parametrize("operation", [*OPERATIONS, "SomethingNew"])
def test_a_client_without_a_role_does_everything(operation):
    assert problems("role-operations", Call(operation, None)) == []


def test_the_finding_names_the_operation_and_the_role():
    (problem,) = problems("role-operations", Call("ReceiveMessage", Role.PRODUCER))
    assert problem.found == "ReceiveMessage by a client whose role is producer"
    assert problem.expected == "only what a producer needs"
    assert "ReceiveMessage" in problem.next_step


# --- queue-encryption --------------------------------------------------------------------------------------------

NO_SSE = Facts(QUEUE)
SSE_SQS = Facts(QUEUE, sse_sqs=True)
SSE_KMS = Facts(QUEUE, kms_key="alias/orders")
AWS_KEY = Facts(QUEUE, kms_key="alias/aws/sqs", key_manager=KeyManager.AWS)
CUSTOMER_KEY = Facts(QUEUE, kms_key="alias/orders", key_manager=KeyManager.CUSTOMER)
NOT_ALLOWED = Unreadable("AccessDeniedException", "kms:DescribeKey", "alias/orders")


@pytest.mark.parametrize(
    ("facts", "level", "said"),
    [
        (NO_SSE, "any", "no server-side encryption"),
        (NO_SSE, "kms", "no server-side encryption"),
        (NO_SSE, "customer-key", "no server-side encryption"),
        (SSE_SQS, "any", None),
        (SSE_SQS, "kms", "a key that SQS owns"),
        (SSE_SQS, "customer-key", "a key that SQS owns"),
        (SSE_KMS, "any", None),
        (SSE_KMS, "kms", None),
        (AWS_KEY, "kms", None),
        (AWS_KEY, "customer-key", "the key alias/aws/sqs, which AWS manages"),
        (CUSTOMER_KEY, "customer-key", None),
        (CUSTOMER_KEY._replace(sse_sqs=True), "customer-key", None),
        (SSE_KMS, "customer-key", "not known who manages the key alias/orders (nobody asked)"),
        (SSE_KMS._replace(key_manager=NOT_ALLOWED), "customer-key", "alias/orders (AccessDeniedException)"),
        (SSE_KMS._replace(key_manager=NOT_ALLOWED), "kms", None),
    ],
)
def test_the_queue_is_encrypted_as_the_level_asks(facts, level, said):
    all_found = found("queue-encryption", facts, levels={"queue-encryption": level})
    assert (len(all_found) == 1 and said in all_found[0]) if said else all_found == []


@pytest.mark.parametrize(
    ("facts", "level", "step"),
    [
        (NO_SSE, "any", f"--queue-url {QUEUE.url} --attributes SqsManagedSseEnabled=true"),
        (NO_SSE, "kms", f"--queue-url {QUEUE.url} --attributes KmsMasterKeyId=KEY"),
        (SSE_SQS, "kms", f"--queue-url {QUEUE.url} --attributes KmsMasterKeyId=KEY"),
        (AWS_KEY, "customer-key", "create a KMS key"),
        (SSE_KMS._replace(key_manager=NOT_ALLOWED), "customer-key", "allow kms:DescribeKey"),
    ],
)
def test_the_next_step_mends_the_encryption(facts, level, step):
    (problem,) = problems("queue-encryption", facts, levels={"queue-encryption": level})
    assert step in problem.next_step


def test_only_an_unknown_manager_is_unverifiable():
    level = {"levels": {"queue-encryption": "customer-key"}}
    states = [NO_SSE, SSE_SQS, AWS_KEY, SSE_KMS, SSE_KMS._replace(key_manager=NOT_ALLOWED)]
    assert [problems("queue-encryption", facts, **level)[0].unverifiable for facts in states] == [
        False,
        False,
        False,
        True,
        True,
    ]


# --- the policy rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["public-access", "least-privilege"])
def test_no_policy_grants_nothing(rule):
    assert found(rule, Facts(QUEUE)) == []


def test_every_public_statement_is_a_problem_of_its_own():
    facts = Facts(QUEUE, policy=policy({**PUBLIC, "Sid": "everyone"}, statement(), PUBLIC))
    anyone = "anyone on the internet, signed in to any AWS account, from 198.51.100.7 over plain HTTP"
    assert found("public-access", facts) == [
        f"the queue is public: {anyone}, may sqs:SendMessage: statement 'everyone'",
        f"the queue is public: {anyone}, may sqs:SendMessage: statement number 3",
    ]


def test_a_public_statement_comes_with_what_would_close_it():
    (problem,) = problems("public-access", Facts(QUEUE, policy=policy(statement(), PUBLIC)))
    assert problem.expected == "a policy that lets in nobody but the accounts, roles, users and sources that it names"
    assert problem.next_step == (
        'in statement number 2, name who may as Principal, or at least the account: {"AWS": "arn:aws:iam::'
        f'{OWN}:root"}}'
    )
    assert not problem.unverifiable


def test_the_trusted_accounts_of_the_configuration_are_no_outsiders():
    ten = statement(Principal="*", Condition={"StringLike": {"aws:PrincipalAccount": "44445555666?"}})
    facts = Facts(QUEUE, policy=policy(ten))
    assert len(found("public-access", facts)) == 1
    assert found("public-access", facts, trusted_accounts=[f"44445555666{digit}" for digit in range(10)]) == []


@pytest.fixture
def no_patience(monkeypatch):
    """A judge of policies that gives up at once."""
    monkeypatch.setattr("safe_sqs.policy.questions._STEPS", 1)


@pytest.mark.parametrize(
    ("rule", "said", "step"),
    [
        (
            "public-access",
            "it could not be told whom statement number 1 lets in",
            "write statement number 1 with fewer conditions and wildcards, or name the principals in it",
        ),
        (
            "tls-only-policy",
            "it could not be told whether plain HTTP is denied to everyone",
            'add {"Effect": "Deny", "Principal": "*", ',
        ),
        (
            "vpc-only-policy",
            "it could not be told whether everyone outside of the VPC is denied",
            'add {"Effect": "Deny", "Principal": "*", ',
        ),
    ],
)
def test_what_could_not_be_told_is_found_and_unverifiable(rule, said, step, no_patience):
    (problem,) = problems(rule, Facts(QUEUE, policy=policy(PUBLIC, VPC_ONLY)))
    assert problem.found == said
    assert problem.next_step.startswith(step)
    assert problem.unverifiable


@pytest.mark.parametrize(
    ("rule", "said"), [("tls-only-policy", "takes plain HTTP"), ("vpc-only-policy", "can be used from outside the VPC")]
)
def test_the_finding_shows_a_request_that_nothing_denies(rule, said):
    (problem,) = problems(rule, Facts(QUEUE, policy=policy(statement())))
    assert problem.found == (
        f"the queue {said}: sqs:SendMessage by anyone on the internet, signed in to any AWS account, from 198.51.100.7 "
        "over plain HTTP, is denied by no statement"
    )
    assert not problem.unverifiable


def test_a_deny_that_falls_short_is_to_be_widened():
    almost = {**HTTPS_ONLY, "Action": "sqs:SendMessage"}
    (problem,) = problems("tls-only-policy", Facts(QUEUE, policy=policy(statement(), almost)))
    assert problem.next_step == 'in statement number 2, let the Action be "sqs:*"'


def test_every_wide_statement_is_a_problem_of_its_own():
    narrow = statement(Principal={"AWS": f"arn:aws:iam::{OWN}:role/other"})
    facts = Facts(QUEUE, policy=policy({**WIDE, "Sid": "all"}, narrow, {**WIDE, "Principal": "*"}))
    assert found("least-privilege", facts) == [
        f"the queue's policy grants {ROLE_ARN} more than one role needs: sqs:*, by statement 'all'",
        "the queue's policy grants everyone more than one role needs: sqs:*, by statement number 3",
    ]


def test_statements_that_are_wide_only_together_are_one_problem():
    facts = Facts(QUEUE, policy=policy(statement(), statement(Sid="b", Action="sqs:PurgeQueue")))
    assert found("least-privilege", facts) == [
        f"the queue's policy grants {ROLE_ARN} more than one role needs: administrator and producer, by "
        "statement number 1 and statement 'b'"
    ]


@pytest.mark.parametrize("principal", [OWN, f"arn:aws:iam::{OWN}:root"])
def test_the_own_account_as_a_whole_may_do_everything(principal):
    facts = Facts(QUEUE, policy=policy(statement(Principal={"AWS": principal}, Action="SQS:*")))
    assert found("least-privilege", facts) == []
    other = Facts(
        QUEUE, policy=policy(statement(Principal={"AWS": principal.replace(OWN, "444455556666")}, Action="*"))
    )
    assert len(found("least-privilege", other)) == 1


SNS = {"Service": "sns.amazonaws.com"}


def test_a_service_that_acts_for_anyone_is_a_problem():
    (problem,) = problems("least-privilege", Facts(QUEUE, policy=policy(statement(), statement(Principal=SNS))))
    assert problem.found == "the queue's policy lets sns.amazonaws.com in for whomever it acts: statement number 2"
    assert problem.next_step == f'add the condition "StringEquals": {{"aws:SourceAccount": "{OWN}"}} to that statement'
    tied = statement(Principal=SNS, Condition={"StringEquals": {"aws:SourceAccount": OWN}})
    assert found("least-privilege", Facts(QUEUE, policy=policy(tied))) == []


def test_for_a_queue_without_a_name_the_account_of_the_condition_is_left_open():
    (problem,) = problems("least-privilege", Facts(NAMELESS, policy=policy(statement(Principal=SNS))))
    assert '"aws:SourceAccount": "ACCOUNT_ID"' in problem.next_step


def test_a_service_of_which_it_could_not_be_told_is_a_problem(no_patience):
    tied = statement(Principal=SNS, Condition={"StringEquals": {"aws:SourceAccount": OWN}})
    (problem,) = problems("least-privilege", Facts(QUEUE, policy=policy(tied)))
    assert problem.found == "it could not be told for whom sns.amazonaws.com may act: statement number 1"
    assert problem.unverifiable


def test_an_account_of_which_it_could_not_be_told_is_a_problem(no_patience):
    partner = Facts(QUEUE, policy=policy(statement(Principal={"AWS": "444455556666"})))
    (problem,) = problems("least-privilege", partner, trusted_accounts=[OWN])
    assert problem.found == "it could not be told whether account 444455556666 is let in: statement number 1"
    assert problem.unverifiable


@pytest.mark.parametrize("principal", [SNS, {"AWS": "444455556666"}])
def test_a_service_and_an_account_that_are_seen_to_be_let_in_are_no_doubt(principal):
    facts = Facts(QUEUE, policy=policy(statement(Principal=principal)))
    (problem,) = problems("least-privilege", facts, trusted_accounts=[OWN])
    assert problem.unverifiable is False


@pytest.mark.parametrize("entry", [WIDE, statement(Principal=SNS), statement(Principal={"AWS": "444455556666"})])
def test_what_is_granted_on_another_queue_is_granted_to_nobody_here(entry):
    elsewhere = Facts(QUEUE, policy=policy({**entry, "Resource": DEAD.arn}))
    assert len(found("least-privilege", Facts(QUEUE, policy=policy(entry)), trusted_accounts=[OWN])) == 1
    assert found("least-privilege", elsewhere, trusted_accounts=[OWN]) == []


def test_the_finding_about_an_account_names_it_and_those_that_are_trusted():
    facts = Facts(QUEUE, policy=policy(statement(), statement(Principal={"AWS": "444455556666"}, Sid="partner")))
    (problem,) = problems("least-privilege", facts, trusted_accounts=["777788889999", OWN])
    assert problem.found == (
        "the queue's policy lets in account 444455556666, which is not trusted: statement 'partner'"
    )
    assert problem.expected == f"accounts that are trusted: 777788889999, {OWN}"
    assert problem.next_step == "remove that account, or add 444455556666 to trusted_accounts"


def test_an_account_that_is_not_trusted_is_more_than_a_role_needs():
    facts = Facts(QUEUE, policy=policy(statement(Principal={"AWS": "444455556666"})))
    assert found("least-privilege", facts) == []
    assert len(found("least-privilege", facts, trusted_accounts=["777788889999"])) == 1
    assert found("least-privilege", facts, trusted_accounts=["444455556666"]) == []


@pytest.mark.parametrize("rule", ["tls-only-policy", "vpc-only-policy"])
def test_a_queue_without_a_policy_denies_nothing(rule):
    (problem,) = problems(rule, Facts(QUEUE))
    assert QUEUE.arn in problem.next_step


@pytest.mark.parametrize("rule", ["tls-only-policy", "vpc-only-policy"])
def test_the_statement_that_the_next_step_proposes_is_one_that_satisfies_the_rule(rule):
    (problem,) = problems(rule, Facts(QUEUE))
    assert found(rule, Facts(QUEUE, policy=policy(proposed_by(problem)))) == []


def proposed_by(problem: Problem) -> dict[str, Any]:
    """The statement that a next step proposes."""
    text = problem.next_step.removeprefix("add ").replace("VPC_ENDPOINT_ID", "vpce-1")
    return json.loads(text[: text.index(" to the policy")])


@pytest.mark.parametrize(
    ("settings", "inside"),
    [
        ({}, {"aws:SourceVpce": "vpce-1"}),
        ({"vpc_endpoints": ["vpce-2", "vpce-3"]}, {"aws:SourceVpce": ["vpce-2", "vpce-3"]}),
        ({"vpcs": ["vpc-8"]}, {"aws:SourceVpc": "vpc-8"}),
        (
            {"vpcs": ["vpc-8"], "vpc_endpoints": ["vpce-2"]},
            {"aws:SourceVpc": "vpc-8", "aws:SourceVpce": "vpce-2"},
        ),
    ],
)
def test_the_proposed_statement_lets_in_what_is_configured(settings, inside):
    (problem,) = problems("vpc-only-policy", Facts(QUEUE), **settings)
    proposed = proposed_by(problem)
    assert proposed == denying(StringNotEquals=inside) | {"Resource": QUEUE.arn}
    assert found("vpc-only-policy", Facts(QUEUE, policy=policy(proposed)), **settings) == []
    assert problem.next_step.endswith(" to the policy; it keeps AWS services out as well")


@pytest.mark.parametrize("rule", ["tls-only-policy", "vpc-only-policy"])
def test_the_next_step_for_a_queue_without_a_name_leaves_its_arn_open(rule):
    (problem,) = problems(rule, Facts(NAMELESS))
    assert '"QUEUE_ARN"' in problem.next_step


def test_the_vpcs_and_endpoints_of_the_configuration_count():
    facts = Facts(QUEUE, policy=policy(VPC_ONLY))
    assert found("vpc-only-policy", facts) == []
    assert found("vpc-only-policy", facts, vpc_endpoints=["vpce-1"]) == []
    (problem,) = problems("vpc-only-policy", facts, vpcs=["vpc-8"], vpc_endpoints=["vpce-9"])
    assert problem.expected.endswith("does not come from vpc-8, vpce-9")


# --- dead-letter-queue -------------------------------------------------------------------------------------------


def with_dead_letter(dead_letter: Facts | Unreadable | None) -> Facts:
    return GOOD._replace(dead_letter=dead_letter)


def test_a_queue_without_a_dead_letter_queue_has_no_bad_one():
    assert found("dead-letter-queue", with_dead_letter(None)) == []


def test_the_dead_letter_queue_is_judged_by_the_same_rules_and_named():
    bad = Facts(DEAD, policy=policy(PUBLIC))
    assert found("dead-letter-queue", with_dead_letter(bad)) == [
        "queue-encryption, on the dead-letter queue dead: no server-side encryption (SqsManagedSseEnabled and "
        "KmsMasterKeyId are not set)",
        "public-access, on the dead-letter queue dead: the queue is public: anyone on the internet, signed in to any "
        "AWS account, from 198.51.100.7 over plain HTTP, may sqs:SendMessage: statement number 1",
    ]


BAD_DEAD_LETTER = {
    "queue-encryption": Facts(DEAD, policy=policy(HTTPS_ONLY, VPC_ONLY)),
    "public-access": GOOD._replace(queue=DEAD, policy=policy(PUBLIC, HTTPS_ONLY)),
    "least-privilege": GOOD._replace(queue=DEAD, policy=policy(WIDE, HTTPS_ONLY, VPC_ONLY)),
    "tls-only-policy": GOOD._replace(queue=DEAD, policy=policy(VPC_ONLY)),
    "vpc-only-policy": GOOD._replace(queue=DEAD, policy=policy(HTTPS_ONLY)),
}


def without_the_vpc(rule: str) -> dict[str, str]:
    """What is public is outside of any VPC too, so that rule is asked only where it is the one that is tested."""
    return {} if rule == "vpc-only-policy" else {"vpc-only-policy": "off"}


def test_there_is_a_bad_dead_letter_queue_for_each_queue_rule():
    assert {*BAD_DEAD_LETTER, "dead-letter-queue"} == {rule.name for rule in QUEUE_RULES}


@pytest.mark.parametrize("rule", BAD_DEAD_LETTER)
def test_the_dead_letter_queue_is_held_to_what_is_enforced_for_its_source(rule):
    facts = with_dead_letter(BAD_DEAD_LETTER[rule])
    (said,) = found("dead-letter-queue", facts, profile="strict", modes=without_the_vpc(rule))
    assert said.startswith(f"{rule}, on the dead-letter queue dead: ")
    for mode in ("warn", "off"):
        assert found("dead-letter-queue", facts, profile="strict", modes=without_the_vpc(rule) | {rule: mode}) == []


@pytest.mark.parametrize("rule", BAD_DEAD_LETTER)
def test_observing_shows_what_enforcing_would_refuse_in_the_dead_letter_queue(rule):
    settings = Config(profile="observe", modes=without_the_vpc(rule))
    verdict = judge_queue(with_dead_letter(BAD_DEAD_LETTER[rule]), QUEUE, settings, TODAY)
    assert [(finding.rule, finding.mode) for finding in verdict.findings] == [("dead-letter-queue", Mode.WARN)]


def test_a_dead_letter_queue_that_cannot_be_read_is_unverifiable():
    facts = with_dead_letter(Unreadable("AccessDenied", "sqs:GetQueueAttributes", DEAD.arn))
    (problem,) = problems("dead-letter-queue", facts)
    assert DEAD.arn in problem.found
    assert "AccessDenied" in problem.found
    assert "sqs:GetQueueAttributes" in problem.next_step
    assert problem.unverifiable


def test_the_next_step_names_no_permission_where_none_is_missing():
    (problem,) = problems("dead-letter-queue", with_dead_letter(Unreadable("RequestThrottled", "", DEAD.arn)))
    assert "RequestThrottled" in problem.found
    assert "allow" not in problem.next_step


# --- the judge ---------------------------------------------------------------------------------------------------

WORST = Facts(QUEUE, policy=policy(PUBLIC, WIDE), dead_letter=Facts(DEAD))


def rules_of(verdict: Verdict) -> list[str]:
    return [finding.rule for finding in verdict.findings]


def test_no_rule_stops_at_the_first_finding():
    verdict = judge_queue(WORST, QUEUE, Config(profile="strict"), TODAY)
    assert set(rules_of(verdict)) == {rule.name for rule in QUEUE_RULES}
    worst_way = connection(
        "https://example.com:99999/", certificates_checked=False, identity=LONG_TERM, addresses=("8.8.8.8",)
    )
    assert rules_of(judge_connection(worst_way, Config(profile="strict"))) == [
        "tls-verification",
        "endpoint-host",
        "static-credentials",
        "vpc-route",
    ]


def test_a_finding_says_everything_that_the_rule_said():
    (finding,) = judge_queue(NO_SSE, QUEUE, Config(modes={"tls-only-policy": "off"}), TODAY).findings
    (problem,) = problems("queue-encryption", NO_SSE)
    assert finding[:6] == (
        "queue-encryption",
        Mode.ENFORCE,
        problem.found,
        problem.expected,
        problem.next_step,
        Practice.ENCRYPTION_AT_REST,
    )


def test_modes_decide_what_a_finding_does():
    modes = {"queue-encryption": "warn", "public-access": "off", "tls-only-policy": "enforce"}
    verdict = judge_queue(Facts(QUEUE, policy=policy(PUBLIC)), QUEUE, Config(modes=modes), TODAY)
    assert [(finding.rule, finding.mode) for finding in verdict.findings] == [
        ("queue-encryption", Mode.WARN),
        ("tls-only-policy", Mode.ENFORCE),
    ]
    assert rules_of(Verdict(verdict.refusals)) == ["tls-only-policy"]


@pytest.mark.parametrize("subject", Subject)
def test_a_rule_that_is_off_is_not_asked(subject, monkeypatch):
    asked = []
    rule = RULES_BY_NAME["https-endpoint"]._replace(subject=subject, check=lambda *_: asked.append(1) or [])
    monkeypatch.setattr(judge, "ALL_RULES", (rule,))
    judge_queue(NO_SSE, QUEUE, Config(modes={rule.name: "off"}), TODAY)
    judge_connection(connection(), Config(modes={rule.name: "off"}))
    judge_call(Call("SendMessage", None), Config(modes={rule.name: "off"}))
    assert asked == []


def exempt(rule: str = "queue-encryption", queue: str = QUEUE.arn, days: int = 0) -> dict[str, Any]:
    return {"rule": rule, "queue": queue, "reason": "moves next month", "until": date.today() + timedelta(days + 1)}


@pytest.mark.parametrize("pattern", [QUEUE.arn, "arn:aws:sqs:*:*:ord*", "*"])
def test_an_exemption_takes_one_rule_from_one_queue(pattern):
    settings = Config(exemptions=[exempt(queue=pattern)])
    facts = Facts(QUEUE, policy=policy(PUBLIC, HTTPS_ONLY))
    assert rules_of(judge_queue(facts, QUEUE, settings, date.today())) == ["public-access"]


@pytest.mark.parametrize("pattern", [DEAD.arn, "arn:aws:sqs:*:*:order", "arn:aws:sqs:eu-*:*:*"])
def test_an_exemption_for_other_queues_changes_nothing(pattern):
    settings = Config(exemptions=[exempt(queue=pattern)])
    assert "queue-encryption" in rules_of(judge_queue(NO_SSE, QUEUE, settings, date.today()))


def test_an_exemption_ends_while_the_program_runs():
    settings = Config(exemptions=[exempt()])
    last_day = settings.exemptions[0].until
    assert "queue-encryption" not in rules_of(judge_queue(NO_SSE, QUEUE, settings, last_day))
    assert "queue-encryption" in rules_of(judge_queue(NO_SSE, QUEUE, settings, last_day + timedelta(1)))


def test_a_queue_without_a_name_is_never_exempt():
    settings = Config(exemptions=[exempt(queue="*")])
    facts = Facts(NAMELESS)
    assert "queue-encryption" in rules_of(judge_queue(facts, NAMELESS, settings, date.today()))


def crashing(*_: object) -> list[Problem]:
    raise RuntimeError("secret-in-the-exception")


@pytest.mark.parametrize(
    ("subject", "ask"),
    [
        (Subject.CALL, lambda settings: judge_call(Call("SendMessage", None), settings)),
        (Subject.CONNECTION, lambda settings: judge_connection(connection(), settings)),
        (Subject.QUEUE, lambda settings: judge_queue(GOOD, QUEUE, settings, TODAY)),
    ],
)
def test_a_rule_that_crashes_refuses(subject, ask, monkeypatch):
    rule = RULES_BY_NAME["https-endpoint"]._replace(subject=subject, check=crashing)
    monkeypatch.setattr(judge, "ALL_RULES", (rule,))
    (finding,) = ask(Config()).refusals
    assert finding.rule == "https-endpoint"
    assert finding.found == "the rule failed (RuntimeError)"
    assert finding.unverifiable
    assert "secret" not in repr(finding)


def test_a_rule_that_crashes_half_way_refuses(monkeypatch):
    def half(*_: object) -> Any:
        yield from ()
        raise KeyError("x")

    rule: Rule = RULES_BY_NAME["public-access"]._replace(check=half)
    monkeypatch.setattr(judge, "ALL_RULES", (rule,))
    (finding,) = judge_queue(GOOD, QUEUE, Config(), TODAY).refusals
    assert finding.found == "the rule failed (KeyError)"


def test_a_rule_that_crashes_stops_no_other_rule(monkeypatch):
    rule = RULES_BY_NAME["public-access"]._replace(check=crashing)
    monkeypatch.setattr(judge, "ALL_RULES", (rule, *ALL_RULES))
    assert rules_of(judge_queue(NO_SSE, QUEUE, Config(), TODAY)) == [
        "public-access",
        "queue-encryption",
        "tls-only-policy",
    ]


@pytest.mark.parametrize("document", ["{", "[]", '{"Statement": 5}', '{"Statement": [{"Effect": "Allow"}]}'])
def test_a_policy_that_cannot_be_read_refuses(document):
    verdict = judge_queue(Facts(QUEUE, sse_sqs=True, policy=document), QUEUE, Config(), TODAY)
    (finding,) = verdict.refusals
    assert finding.rule == "public-access"
    assert finding.found.startswith("the queue's policy cannot be read: ")
    assert finding.unverifiable
    assert verdict.unverifiable


# --- what could not be read --------------------------------------------------------------------------------------

NO_ANSWER = Unreadable("RequestThrottled", "", QUEUE.arn)
NO_PERMISSION = Unreadable("AccessDenied", "sqs:GetQueueAttributes", QUEUE.arn)


def test_a_queue_that_cannot_be_read_is_refused_for_the_rules_that_wait_for_it():
    (finding,) = judge_queue(NO_ANSWER, QUEUE, Config(), TODAY).refusals
    assert finding.rule == QUEUE_ATTRIBUTES
    assert finding.found == "the queue's attributes could not be read: RequestThrottled"
    assert finding.expected == "an answer, for queue-encryption, public-access, dead-letter-queue"
    assert "try again" in finding.next_step
    assert finding.practice is None
    assert finding.unverifiable


def test_the_missing_permission_is_named():
    (finding,) = judge_queue(NO_PERMISSION, QUEUE, Config(), TODAY).refusals
    assert "allow sqs:GetQueueAttributes" in finding.next_step
    assert "when_unverifiable" in finding.next_step


@pytest.mark.parametrize(
    ("setting", "mode"),
    [
        ("enforce", Mode.ENFORCE),
        ("warn", Mode.WARN),
        ({QUEUE.arn: "warn"}, Mode.WARN),
        ({DEAD.arn: "warn"}, Mode.ENFORCE),
        ({QUEUE.arn: "enforce", "*": "warn"}, Mode.ENFORCE),
    ],
)
def test_when_unverifiable_decides_about_queues_that_cannot_be_read(setting, mode):
    settings = Config(when_unverifiable=setting, modes={"tls-only-policy": "off", "least-privilege": "off"})
    (unread,) = judge_queue(NO_PERMISSION, QUEUE, settings, TODAY).findings
    assert unread.mode is mode
    (undecided,) = judge_queue(Facts(QUEUE, sse_sqs=True, policy="{"), QUEUE, settings, TODAY).findings
    assert undecided.mode is mode


def test_when_unverifiable_softens_nothing_that_was_seen():
    settings = Config(when_unverifiable="warn")
    assert rules_of(Verdict(judge_queue(NO_SSE, QUEUE, settings, TODAY).refusals)) == ["queue-encryption"]


def test_when_unverifiable_makes_no_warning_sharper():
    settings = Config(profile="observe", when_unverifiable="enforce")
    assert judge_queue(Facts(QUEUE, policy="{"), QUEUE, settings, TODAY).refusals == ()


def test_a_queue_that_cannot_be_read_is_only_told_when_no_rule_is_enforced():
    (finding,) = judge_queue(NO_ANSWER, QUEUE, Config(profile="observe"), TODAY).findings
    assert finding.mode is Mode.WARN
    assert finding.expected == "an answer, for the rules that warn"


@pytest.mark.parametrize(("verdict", "rule"), [(unreadable_request, REQUEST_BODY), (inside_a_look, QUEUE_ATTRIBUTES)])
def test_what_could_not_be_told_refuses_where_a_queue_rule_does(verdict, rule):
    (refused,) = verdict(Config()).refusals
    assert (refused.rule, refused.unverifiable) == (rule, True)
    (warned,) = verdict(Config(profile="observe")).findings
    assert warned == refused._replace(mode=Mode.WARN)


# --- attributes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("off", "needed"),
    [
        ([], {"KmsMasterKeyId", "SqsManagedSseEnabled", "Policy", "RedrivePolicy"}),
        (["dead-letter-queue"], {"KmsMasterKeyId", "SqsManagedSseEnabled", "Policy"}),
        (["public-access", "tls-only-policy"], {"KmsMasterKeyId", "SqsManagedSseEnabled", "Policy", "RedrivePolicy"}),
        (
            ["public-access", "tls-only-policy", "least-privilege"],
            {"KmsMasterKeyId", "SqsManagedSseEnabled", "RedrivePolicy"},
        ),
        (["queue-encryption", "dead-letter-queue"], {"Policy"}),
        ([rule.name for rule in QUEUE_RULES], set()),
    ],
)
def test_only_the_attributes_of_rules_that_are_not_off_are_needed(off, needed):
    assert attributes_needed(Config(modes=dict.fromkeys(off, "off"))) == needed


# --- changes -----------------------------------------------------------------------------------------------------


def added(before: Facts, after: Facts, **settings: Any) -> list[str]:
    return [finding.rule for finding in judge_change(before, after, Config(**settings), date.today()).findings]


def test_a_change_is_judged_by_what_it_adds():
    assert added(SSE_SQS, NO_SSE) == ["queue-encryption"]
    assert added(NO_SSE, SSE_SQS) == []
    assert added(SSE_SQS, SSE_SQS._replace(policy=policy(PUBLIC))) == ["public-access"]
    assert added(SSE_SQS._replace(policy=policy(PUBLIC)), SSE_SQS) == []


def test_what_was_wrong_and_stays_wrong_is_left_out():
    before = NO_SSE._replace(policy=policy(PUBLIC, statement()))
    assert added(before, before) == []
    assert added(before, NO_SSE) == []
    assert added(before, before._replace(policy=policy(statement(), PUBLIC))) == []


def test_a_second_public_statement_is_not_covered_by_the_first():
    before = SSE_SQS._replace(policy=policy(PUBLIC))
    assert added(before, SSE_SQS._replace(policy=policy(PUBLIC, {**PUBLIC, "Action": "sqs:GetQueueUrl"}))) == [
        "public-access"
    ]


def with_policy(*statements: dict[str, Any]) -> Facts:
    """A queue that is encrypted, with a policy."""
    return SSE_SQS._replace(policy=policy(*statements))


LOCKED = denying(StringNotEquals={"aws:PrincipalOrgID": "o-1"})
ONLY_HTTPS, ONLY_VPC = {"modes": {"tls-only-policy": "enforce"}}, {"modes": {"vpc-only-policy": "enforce"}}


def test_removing_the_deny_that_closed_a_public_allow_is_refused():
    locked, unlocked = with_policy(PUBLIC, LOCKED), with_policy(PUBLIC)
    (finding,) = judge_change(locked, unlocked, Config(), TODAY).refusals
    assert finding.rule == "public-access"
    assert finding.found.startswith("after the change, the queue is public: anyone on the internet")
    assert added(unlocked, locked) == []


def test_weakening_the_deny_that_closed_a_public_allow_is_refused():
    locked = with_policy(PUBLIC, LOCKED)
    for weaker in (
        {**LOCKED, "Action": "sqs:ReceiveMessage"},
        {**LOCKED, "Principal": {"AWS": ROLE_ARN}},
        {**LOCKED, "Resource": DEAD.arn},
        denying(StringNotEqualsIfExists={"aws:UserAgent": "x"}),
    ):
        assert added(locked, with_policy(PUBLIC, weaker), modes={"tls-only-policy": "off"}) == ["public-access"]


def test_a_queue_may_be_mended_step_by_step():
    steps = [
        with_policy(PUBLIC, {**PUBLIC, "Sid": "b", "Action": "sqs:GetQueueUrl"}, WIDE),
        with_policy({**PUBLIC, "Sid": "b", "Action": "sqs:GetQueueUrl"}, WIDE),
        with_policy({**PUBLIC, "Sid": "b", "Action": "sqs:GetQueueUrl"}, statement()),
        with_policy(statement()),
        with_policy(statement(), HTTPS_ONLY),
        with_policy(statement(), HTTPS_ONLY, VPC_ONLY),
    ]
    for before, after in pairwise(steps):
        assert added(before, after, profile="strict", levels={"queue-encryption": "any"}) == []
        assert added(after, before, profile="strict", levels={"queue-encryption": "any"}) != []


@pytest.mark.parametrize(
    "more",
    [
        {**HTTPS_ONLY, "Action": "sqs:SendMessage"},
        denying(IpAddress={"aws:SourceIp": "198.51.100.0/24"}),
        denying(StringEquals={"aws:PrincipalType": "AssumedRole"}),
        denying(Null={"aws:SourceVpce": "true"}),
    ],
)
def test_a_change_that_only_alters_the_witness_is_no_new_problem(more):
    before, after = with_policy(PUBLIC), with_policy(PUBLIC, more)
    assert found("public-access", before) != found("public-access", after) != []
    assert added(before, after) == added(after, before) == []


@pytest.mark.parametrize("settings", [{}, ONLY_HTTPS, ONLY_VPC])
def test_the_order_of_statements_is_no_change(settings):
    statements = [PUBLIC, {**PUBLIC, "Sid": "b"}, WIDE, {**HTTPS_ONLY, "Action": "sqs:SendMessage"}, statement()]
    forward, backward = with_policy(*statements), with_policy(*reversed(statements))
    assert judge_queue(forward, QUEUE, Config(**settings), TODAY).findings
    assert added(forward, backward, **settings) == added(backward, forward, **settings) == []
    source = SSE_SQS._replace(policy=policy(HTTPS_ONLY))
    forward, backward = (source._replace(dead_letter=each._replace(queue=DEAD)) for each in (forward, backward))
    assert rules_of(judge_queue(forward, QUEUE, Config(**settings), TODAY))[0] == "dead-letter-queue"
    assert added(forward, backward, **settings) == added(backward, forward, **settings) == []


def test_another_bad_dead_letter_queue_is_a_new_problem():
    bad = Facts(DEAD, policy=policy(HTTPS_ONLY))
    source = SSE_SQS._replace(policy=policy(HTTPS_ONLY), dead_letter=bad)
    assert added(source, source) == []
    other = bad._replace(queue=DEAD._replace(name="graveyard"))
    assert added(source, source._replace(dead_letter=other)) == ["dead-letter-queue"]


def test_a_service_or_account_in_another_statement_than_before_is_no_new_problem():
    settings = {"modes": {"least-privilege": "enforce"}, "trusted_accounts": [OWN]}
    service, partner = statement(Principal=SNS), statement(Principal={"AWS": "444455556666"})
    forward, backward = with_policy(service, partner), with_policy(partner, service)
    assert found("least-privilege", forward, **settings) != found("least-privilege", backward, **settings)
    assert added(forward, backward, **settings) == []


def test_a_key_whose_manager_cannot_be_told_for_another_reason_than_before_is_no_new_problem():
    throttled = SSE_KMS._replace(key_manager=Unreadable("ThrottlingException", "", "alias/orders"))
    refused = SSE_KMS._replace(key_manager=NOT_ALLOWED)
    assert found("queue-encryption", throttled, **CUSTOMER_KEY_LEVEL) != found(
        "queue-encryption", refused, **CUSTOMER_KEY_LEVEL
    )
    assert added(throttled, refused, **CUSTOMER_KEY_LEVEL) == []
    other = refused._replace(kms_key="alias/other")
    assert added(refused, other, **CUSTOMER_KEY_LEVEL) == ["queue-encryption"]


def test_doubt_about_one_statement_does_not_cover_doubt_about_another(no_patience):
    other = {**PUBLIC, "Action": "sqs:GetQueueUrl"}
    settings = {"modes": {"least-privilege": "off", "tls-only-policy": "off"}}
    assert added(with_policy(PUBLIC), with_policy(PUBLIC), **settings) == []
    assert added(with_policy(PUBLIC), with_policy(PUBLIC, other), **settings) == ["public-access"]


@pytest.mark.parametrize(
    ("settings", "closing"), [(ONLY_HTTPS, HTTPS_ONLY), (ONLY_VPC, VPC_ONLY)], ids=["plain HTTP", "outside the VPC"]
)
def test_removing_the_deny_that_a_rule_asks_for_is_refused(settings, closing):
    closed, opened = with_policy(statement(), closing), with_policy(statement())
    (finding,) = judge_change(closed, opened, Config(**settings), TODAY).refusals
    assert finding.found.endswith(", is denied by no statement")
    assert added(opened, closed, **settings) == []
    assert added(opened, opened._replace(policy=None), **settings) == []


def test_another_service_or_account_that_is_let_in_is_a_new_problem():
    settings = {"modes": {"least-privilege": "enforce"}, "trusted_accounts": [OWN]}
    before = with_policy(statement(Principal=SNS), statement(Principal={"AWS": "444455556666"}))
    s3 = statement(Principal={"Service": "s3.amazonaws.com"})
    third = statement(Principal={"AWS": "777788889999"})
    for more in (s3, third):
        after = with_policy(statement(Principal=SNS), statement(Principal={"AWS": "444455556666"}), more)
        assert added(before, after, **settings) == ["least-privilege"]
        assert added(after, before, **settings) == []


def test_removing_a_deny_that_left_a_part_of_the_queue_open_is_refused():
    wide = {**PUBLIC, "Action": "sqs:*"}
    but_send = {"Effect": "Deny", "Principal": "*", "NotAction": "sqs:SendMessage", "Resource": "*"}
    assert added(with_policy(wide, but_send), with_policy(wide)) == ["public-access", "least-privilege"]
    assert added(with_policy(wide), with_policy(wide, but_send)) == []


def test_a_grant_that_grows_is_a_new_problem_and_one_that_shrinks_is_none():
    settings = {"modes": {"least-privilege": "enforce"}}
    three = with_policy(statement(Action=["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:PurgeQueue"]))
    two = with_policy(statement(Action=["sqs:SendMessage", "sqs:ReceiveMessage"]))
    assert added(two, three, **settings) == ["least-privilege"]
    assert added(three, two, **settings) == []


@pytest.mark.parametrize(
    ("rule", "statements"),
    [
        ("public-access", [PUBLIC]),
        ("tls-only-policy", [{**HTTPS_ONLY, "Action": "sqs:SendMessage"}]),
        ("vpc-only-policy", [{**VPC_ONLY, "Action": "sqs:SendMessage"}]),
    ],
)
def test_what_could_not_be_told_before_does_not_cover_what_is_seen_after(rule, statements, monkeypatch):
    facts = with_policy(*statements)
    everything_else = {each.name: "off" for each in ALL_RULES if each.name != rule}
    settings = Config(modes=everything_else | {rule: "enforce"})

    def patience(steps_before: int, steps_after: int) -> Any:
        steps = iter([steps_before, steps_after])
        check = RULES_BY_NAME[rule].check

        def impatient(*arguments: Any) -> list[Problem]:
            with monkeypatch.context() as patched:
                patched.setattr("safe_sqs.policy.questions._STEPS", next(steps))
                return list(check(*arguments))

        return (RULES_BY_NAME[rule]._replace(check=impatient),)

    monkeypatch.setattr(judge, "ALL_RULES", patience(1, 100_000))
    assert rules_of(judge_change(facts, facts, settings, TODAY)) == [rule]
    monkeypatch.setattr(judge, "ALL_RULES", patience(100_000, 1))
    assert rules_of(judge_change(facts, facts, settings, TODAY)) == []


@pytest.mark.parametrize("unreadable", ["{", policy({**PUBLIC, "Effect": "allow"})])
def test_a_policy_that_cannot_be_read_covers_nothing_and_is_not_to_be_set(unreadable):
    assert added(SSE_SQS._replace(policy=unreadable), with_policy(PUBLIC)) == ["public-access", "tls-only-policy"]
    assert added(with_policy(HTTPS_ONLY), SSE_SQS._replace(policy=unreadable)) == [
        "public-access",
        "least-privilege",
        "tls-only-policy",
    ]


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [(NO_SSE, SSE_SQS, "kms"), (NO_SSE, SSE_SQS, "customer-key"), (SSE_SQS, AWS_KEY, "customer-key")],
)
def test_better_encryption_that_is_not_yet_good_enough_is_no_new_problem(before, after, level):
    assert added(before, after, levels={"queue-encryption": level}) == []
    assert added(after, before, levels={"queue-encryption": level}) == ["queue-encryption"]


def test_the_finding_speaks_of_the_time_after_the_change():
    (finding,) = judge_change(SSE_SQS, NO_SSE, Config(), TODAY).findings
    assert finding.found.startswith("after the change, no server-side encryption")
    assert finding.mode is Mode.ENFORCE


def test_modes_and_exemptions_hold_for_changes():
    assert added(SSE_SQS, NO_SSE, modes={"queue-encryption": "off"}) == []
    assert added(SSE_SQS, NO_SSE, exemptions=[exempt()]) == []
    assert added(SSE_SQS, NO_SSE, exemptions=[exempt(queue=DEAD.arn)]) == ["queue-encryption"]
    assert judge_change(SSE_SQS, NO_SSE, Config(modes={"queue-encryption": "warn"}), TODAY).refusals == ()


def test_an_exemption_that_has_ended_allows_no_change():
    settings = Config(exemptions=[Exemption(**exempt())])
    after_it = settings.exemptions[0].until + timedelta(1)
    assert rules_of(judge_change(SSE_SQS, NO_SSE, settings, after_it)) == ["queue-encryption"]


def test_when_unverifiable_holds_for_changes():
    unknown = SSE_KMS._replace(key_manager=NOT_ALLOWED)
    settings = {"levels": {"queue-encryption": "customer-key"}}
    assert judge_change(CUSTOMER_KEY, unknown, Config(**settings), TODAY).refusals
    warned = judge_change(CUSTOMER_KEY, unknown, Config(**settings, when_unverifiable="warn"), TODAY)
    assert [finding.mode for finding in warned.findings] == [Mode.WARN]


# --- the sentences -----------------------------------------------------------------------------------------------

READ_IN_TWO_WAYS = (
    "an endpoint URL that could be read in more than one way (user information, a back slash, white space, or letters "
    "outside ASCII)"
)
REMOVE_THE_KEYS = (
    "let an IAM role supply the credentials (instance profile, task role, execution role, IAM Identity Center, or "
    "assume-role in the AWS config file) and remove the stored keys"
)
MAKE_AN_ENDPOINT = (
    "create an interface VPC endpoint for com.amazonaws.REGION.sqs with private DNS in this VPC, or pass its own name "
    "as endpoint_url"
)
SET_THE_KEY = f"aws sqs set-queue-attributes --queue-url {QUEUE.url} --attributes KmsMasterKeyId=KEY"
KMS_LEVEL = {"levels": {"queue-encryption": "kms"}}
CUSTOMER_KEY_LEVEL = {"levels": {"queue-encryption": "customer-key"}}


@pytest.mark.parametrize(
    ("rule", "thing", "settings", "sentences"),
    [
        (
            "https-endpoint",
            connection("http://localhost/"),
            {},
            (
                "plain HTTP to http://localhost",
                "https://",
                "find where the endpoint is set (endpoint_url, use_ssl, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SQS, "
                "endpoint_url in the AWS config file) and use https there, or leave it out",
            ),
        ),
        (
            "tls-verification",
            connection(certificates_checked=False),
            {},
            (
                "certificate verification is switched off",
                "certificates are checked against a certificate authority",
                "remove verify=False, and any empty AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE; for a private authority pass "
                "the path of its certificate as verify=, or name it in AWS_CA_BUNDLE",
            ),
        ),
        (
            "tls-verification",
            connection(proxy_sees_plain_text=True),
            {},
            (
                "the HTTPS proxy is asked to forward requests, so it reads them (proxy_use_forwarding_for_https)",
                "a tunnel through the proxy (CONNECT)",
                "remove proxy_use_forwarding_for_https from proxies_config",
            ),
        ),
        (
            "endpoint-host",
            connection("https://u:p@host/"),
            {},
            (
                READ_IN_TWO_WAYS,
                "a host of Amazon SQS, or one in trusted_endpoint_hosts",
                "write the endpoint as https://HOST or https://HOST:PORT",
            ),
        ),
        (
            "endpoint-host",
            connection("https://host/"),
            {},
            (
                "the host host",
                "a host of Amazon SQS, or one in trusted_endpoint_hosts",
                'remove the endpoint setting that leads there, or, if the host is yours, add "host" to '
                "trusted_endpoint_hosts",
            ),
        ),
        (
            "endpoint-host",
            connection("https://sqs.us-east-1.amazonaws.com:8443/"),
            {},
            (
                "port 8443 of sqs.us-east-1.amazonaws.com",
                "the standard port, 443",
                "remove the port from the endpoint URL",
            ),
        ),
        (
            "endpoint-host",
            connection(VPC_ENDPOINT_URL),
            {"vpc_endpoints": ["vpce-8", "vpce-9"]},
            (
                "the VPC endpoint vpce-0a1b",
                "one of vpce-8, vpce-9",
                'use one of those, or add "vpce-0a1b" to vpc_endpoints',
            ),
        ),
        (
            "static-credentials",
            connection(identity=Identity(IdentityKind.UNSIGNED)),
            {},
            (
                "a request without a Signature Version 4 signature",
                "a signature made with temporary credentials",
                "remove signature_version=UNSIGNED, or whatever takes the signature away",
            ),
        ),
        (
            "static-credentials",
            connection(identity=Identity(IdentityKind.LONG_TERM)),
            {},
            (
                "long-term credentials: the access key",
                "temporary credentials (an access key id that begins with ASIA, with a session token)",
                REMOVE_THE_KEYS,
            ),
        ),
        (
            "static-credentials",
            connection(identity=STATIC_TEMPORARY),
            {"profile": "strict"},
            (
                "temporary credentials that nothing renews: the access key that ends in LE01",
                "credentials from a provider that renews them by itself",
                REMOVE_THE_KEYS,
            ),
        ),
        (
            "vpc-route",
            connection(proxied=True),
            {},
            (
                "a proxy that resolves the endpoint's name, so its addresses are not known here",
                "an endpoint that resolves to private addresses only",
                "exclude the endpoint from the proxy (NO_PROXY)",
            ),
        ),
        (
            "vpc-route",
            connection(addresses=()),
            {},
            (
                "the endpoint's name does not resolve",
                "an endpoint that resolves to private addresses only",
                MAKE_AN_ENDPOINT,
            ),
        ),
        (
            "vpc-route",
            connection(addresses=("8.8.8.8",)),
            {},
            (
                "the endpoint resolves to the public address 8.8.8.8",
                "an endpoint that resolves to private addresses only",
                MAKE_AN_ENDPOINT,
            ),
        ),
        (
            "queue-encryption",
            NO_SSE,
            KMS_LEVEL,
            (
                "no server-side encryption (SqsManagedSseEnabled and KmsMasterKeyId are not set)",
                "server-side encryption with a KMS key (SSE-KMS)",
                SET_THE_KEY,
            ),
        ),
        (
            "queue-encryption",
            SSE_SQS,
            KMS_LEVEL,
            (
                "encryption with a key that SQS owns (SSE-SQS)",
                "server-side encryption with a KMS key (SSE-KMS)",
                SET_THE_KEY,
            ),
        ),
        (
            "queue-encryption",
            AWS_KEY,
            CUSTOMER_KEY_LEVEL,
            (
                "encryption with the key alias/aws/sqs, which AWS manages",
                "server-side encryption with a KMS key that you manage",
                "create a KMS key, let the queue's users and senders use it, and set it as KmsMasterKeyId",
            ),
        ),
        (
            "queue-encryption",
            SSE_KMS,
            CUSTOMER_KEY_LEVEL,
            (
                "it is not known who manages the key alias/orders (nobody asked)",
                "server-side encryption with a KMS key that you manage",
                "allow kms:DescribeKey on the key to this program, or lower the level to kms",
            ),
        ),
        (
            "least-privilege",
            Facts(QUEUE, policy=policy(WIDE)),
            {},
            (
                f"the queue's policy grants {ROLE_ARN} more than one role needs: sqs:*, by statement number 1",
                "the actions of a producer, a consumer or an administrator, named one by one",
                "list the actions that the principal needs, and split administration from sending and receiving",
            ),
        ),
        (
            "least-privilege",
            Facts(QUEUE, policy=policy(statement(Principal=SNS))),
            {},
            (
                "the queue's policy lets sns.amazonaws.com in for whomever it acts: statement number 1",
                "a condition on aws:SourceArn or aws:SourceAccount where a service is the principal",
                f'add the condition "StringEquals": {{"aws:SourceAccount": "{OWN}"}} to that statement',
            ),
        ),
        (
            "dead-letter-queue",
            Facts(QUEUE, dead_letter=Unreadable("RequestThrottled", "", DEAD.arn)),
            {},
            (
                f"the dead-letter queue {DEAD.arn} could not be read (RequestThrottled)",
                "a dead-letter queue that can be judged",
                "correct the redrive policy, or look at that queue with aws sqs get-queue-attributes",
            ),
        ),
    ],
)
def test_a_rule_says_what_it_found_what_it_expected_and_what_to_do_next(rule, thing, settings, sentences):
    (problem,) = problems(rule, thing, **settings)
    assert problem[:3] == sentences


def test_what_the_policy_rules_expect_is_said_in_the_words_of_iam():
    (problem,) = problems("tls-only-policy", Facts(QUEUE))
    assert problem.expected == 'a statement that denies sqs:* to "*" when aws:SecureTransport is false'
    (problem,) = problems("vpc-only-policy", Facts(QUEUE))
    assert problem.expected == ("a statement that denies everyone who does not come from a VPC or a VPC endpoint")


ALLOW_THE_LOOK = (
    "allow sqs:GetQueueAttributes on the queue to this program; for a queue of somebody else's, set when_unverifiable "
    'to "warn" for its ARN'
)


@pytest.mark.parametrize(
    ("verdict", "sentences"),
    [
        (
            lambda: unreadable_request(Config()),
            (
                "the body of the request is not the JSON that SQS speaks, so its queue is not known",
                "a request of botocore's SQS client, with its body as botocore wrote it",
                "make the request with a client of boto3 1.35 or newer, and remove what rewrites its body",
            ),
        ),
        (
            lambda: inside_a_look(Config()),
            (
                "the call was made from within the guard's own look at the queue",
                "no use of the queue by handlers of GetQueueAttributes, nor by a log handler during that call",
                "let the log handler that sends to this queue leave out what botocore and urllib3 log",
            ),
        ),
        (
            lambda: judge_queue(NO_ANSWER, QUEUE, Config(), TODAY),
            (
                "the queue's attributes could not be read: RequestThrottled",
                "an answer, for queue-encryption, public-access, dead-letter-queue",
                "try again; if it stays so, look at the queue with aws sqs get-queue-attributes",
            ),
        ),
        (
            lambda: judge_queue(NO_PERMISSION, QUEUE, Config(), TODAY),
            (
                "the queue's attributes could not be read: AccessDenied",
                "an answer, for queue-encryption, public-access, dead-letter-queue",
                ALLOW_THE_LOOK,
            ),
        ),
        (
            lambda: judge_queue(Facts(QUEUE, sse_sqs=True, policy="[]"), QUEUE, Config(), TODAY),
            (
                "the queue's policy cannot be read: policy: is not an object",
                "a policy by the grammar of IAM",
                "correct the policy, or set it anew",
            ),
        ),
    ],
    ids=["body", "inside of a look", "throttled", "not allowed", "policy"],
)
def test_the_judge_says_what_it_could_not_tell_and_what_to_do_next(verdict, sentences):
    (finding,) = verdict().refusals
    assert finding[2:5] == sentences


def test_a_rule_that_crashes_says_whom_to_tell(monkeypatch):
    rule = RULES_BY_NAME["public-access"]._replace(check=crashing)
    monkeypatch.setattr(judge, "ALL_RULES", (rule,))
    (finding,) = judge_queue(GOOD, QUEUE, Config(), TODAY).refusals
    assert finding.expected == "a rule that can tell"
    assert finding.next_step == "report this to the maintainers of safe_sqs, with the queue's attributes"
