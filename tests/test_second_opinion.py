"""The second opinion of IAM Access Analyzer: what is asked, how often, and what is made of the answers."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from scripted import fails, running, says
from support import NEXT_MONTH, TEMPORARY

import safe_sqs
from safe_sqs import Config
from safe_sqs.evaluation import Opinion, evaluation_of
from safe_sqs.fleet.access import Account
from safe_sqs.fleet.looks import Look
from safe_sqs.fleet.second_opinion import SOURCE, AccessAnalyzer
from safe_sqs.judge import judge_queue
from safe_sqs.model import Facts, Queue, Unreadable
from safe_sqs.operations import OPERATIONS, Kind

QUEUE = Queue("https://sqs.us-east-1.amazonaws.com/111122223333/orders", "aws", "us-east-1", "111122223333", "orders")
TODAY = date(2026, 11, 24)


def document(principal="*", action="sqs:SendMessage"):
    statement = {"Sid": "s", "Effect": "Allow", "Principal": principal, "Action": action, "Resource": QUEUE.arn}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


PUBLIC = document()
CLOSED = document({"AWS": "arn:aws:iam::444455556666:role/r"})
ADMINISTERED = document({"AWS": "arn:aws:iam::444455556666:role/r"}, "sqs:SetQueueAttributes")


def look(policy, facts=None, **settings):
    facts = facts or Facts(QUEUE, sse_sqs=True, policy=policy)
    config = Config(**settings)
    return Look(evaluation_of(QUEUE, judge_queue(facts, QUEUE, config, TODAY), config, TODAY), facts)


@pytest.fixture
def client():
    return boto3.session.Session().client("accessanalyzer", region_name="us-east-1", **TEMPORARY)


@pytest.fixture
def answers(client):
    """Lets the client answer: `answers(policy, public, granted)`; botocore's Stubber checks what is asked."""
    with Stubber(client) as stub:

        def answer(policy, public, granted=None):
            asked = {"policyDocument": policy, "resourceType": "AWS::SQS::Queue"}
            stub.add_response("check_no_public_access", public, asked)
            if granted is not None:
                actions = sorted(f"sqs:{name}" for name, kind in OPERATIONS.items() if kind is Kind.ADMINISTER)
                asked = {"policyDocument": policy, "access": [{"actions": actions}], "policyType": "RESOURCE_POLICY"}
                stub.add_response("check_access_not_granted", granted, asked)

        yield answer
        stub.assert_no_pending_responses()


PASS = {"result": "PASS", "message": "fine", "reasons": []}
FAIL = {
    "result": "FAIL",
    "message": "not fine",
    "reasons": [{"description": "Public access\n in the statement.", "statementIndex": 0, "statementId": "s"}],
}


@pytest.mark.parametrize(
    ("policy", "public", "granted", "agrees", "told"),
    [
        (PUBLIC, FAIL, PASS, True, "it says public as well: Public access in the statement (statement 's')"),
        (CLOSED, PASS, PASS, True, "it says not public as well"),
        (PUBLIC, PASS, PASS, False, "it says not public, where our judge has a request of an outsider"),
        (CLOSED, FAIL, PASS, False, "found no request of an outsider that gets in: Public access in the statement"),
        (ADMINISTERED, PASS, FAIL, True, "it says not public as well"),
        (ADMINISTERED, PASS, PASS, False, "nobody may administer the queue, where our judge lets arn:aws:iam"),
        (CLOSED, PASS, FAIL, False, "somebody may administer the queue, where our judge lets nobody (Public access"),
    ],
)
def test_agreement_or_the_difference_is_told_with_the_reasons_of_aws(
    client, answers, policy, public, granted, agrees, told
):
    answers(policy, public, granted)
    opinion = AccessAnalyzer(client).opinion_on(look(policy))
    assert (opinion.source, opinion.agrees) == (SOURCE, agrees)
    assert told in opinion.told
    assert "\n" not in opinion.told


def test_a_policy_is_asked_about_once(client, answers):
    answers(PUBLIC, FAIL, PASS)
    analyzer = AccessAnalyzer(client)
    first = analyzer.opinion_on(look(PUBLIC))
    assert analyzer.opinion_on(look(PUBLIC)) == first


def test_what_is_remembered_is_bounded(client, answers):
    analyzer = AccessAnalyzer(client, most=1)
    for policy, public in ((PUBLIC, FAIL), (CLOSED, PASS), (PUBLIC, FAIL)):
        answers(policy, public, PASS)
        analyzer.opinion_on(look(policy))
    analyzer.opinion_on(look(PUBLIC))


@pytest.mark.parametrize("policy", [None, ""])
def test_without_a_policy_nothing_is_asked(client, answers, policy):
    opinion = AccessAnalyzer(client).opinion_on(look(policy))
    assert opinion == Opinion(SOURCE, True, "nothing was asked: a queue without a policy is not public")


def test_of_a_queue_that_could_not_be_read_nothing_is_asked(client, answers):
    opinion = AccessAnalyzer(client).opinion_on(look(None, Unreadable("AccessDenied", "", "orders")))
    assert opinion.agrees is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"modes": {"public-access": "off"}}, "is off"),
        (
            {"exemptions": [{"queue": "*", "rule": "public-access", "reason": "x", "until": NEXT_MONTH}]},
            "is exempt",
        ),
    ],
)
def test_where_the_rule_does_not_hold_there_is_nothing_to_compare(client, answers, settings, told):
    answers(PUBLIC, FAIL, PASS)
    opinion = AccessAnalyzer(client).opinion_on(look(PUBLIC, **settings))
    assert opinion.agrees is None
    assert "it says public" in opinion.told
    assert told in opinion.told


def test_where_our_judge_could_not_tell_the_answer_is_shown(client, answers):
    answers("{", PASS, PASS)
    opinion = AccessAnalyzer(client).opinion_on(look("{"))
    assert opinion.agrees is None
    assert "it says not public, where our judge could not tell" in opinion.told


@pytest.mark.parametrize(
    ("code", "told", "again"),
    [
        ("AccessDeniedException", "allow access-analyzer:CheckNoPublicAccess", False),
        ("ThrottlingException", "asked too often", True),
        ("InvalidParameterException", "no reason", True),
        ("UnprocessableEntityException", "UnprocessableEntityException", True),
    ],
)
def test_an_error_is_no_opinion_and_hides_nothing(client, code, told, again):
    analyzer = AccessAnalyzer(client)
    with Stubber(client) as stub:
        for _ in range(2 if again else 1):
            stub.add_client_error("check_no_public_access", code, "no reason")
        for _ in range(2):
            opinion = analyzer.opinion_on(look(PUBLIC))
            assert opinion.agrees is None
            assert told in opinion.told
        stub.assert_no_pending_responses()


def test_an_error_of_the_second_check_leaves_the_first(client):
    with Stubber(client) as stub:
        stub.add_response("check_no_public_access", FAIL)
        stub.add_client_error("check_access_not_granted", "AccessDeniedException", "no")
        opinion = AccessAnalyzer(client).opinion_on(look(PUBLIC))
    assert opinion.agrees is True
    assert "allow access-analyzer:CheckAccessNotGranted" in opinion.told


def test_an_answer_that_makes_no_sense_is_no_opinion(client):
    with Stubber(client) as stub:
        stub.add_response("check_no_public_access", {"message": "?"})
        assert AccessAnalyzer(client).opinion_on(look(PUBLIC)).agrees is None


# --- over a real connection --------------------------------------------------------------------------------------


REST = ""
"""What the scripted server calls an operation of a service that names it by its path."""


@pytest.fixture
def server(monkeypatch):
    with running() as server:
        server.script[REST] = lambda asked: says(**(PASS if "access" in asked.parameters else FAIL))
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", server.authority)
        for name, value in TEMPORARY.items():
            monkeypatch.setenv(name.upper(), value)
        yield server


def analyzer_of_account():
    return AccessAnalyzer(Account().client(AccessAnalyzer.SERVICE, "us-east-1", **AccessAnalyzer.SETTINGS))


def test_over_tls_the_service_is_asked_in_its_own_protocol(server):
    opinion = analyzer_of_account().opinion_on(look(PUBLIC))
    assert (opinion.agrees, len(server.asked)) == (True, 2)
    assert server.asked[0].parameters == {"policyDocument": PUBLIC, "resourceType": "AWS::SQS::Queue"}


def test_many_threads_share_one_and_ask_no_more_than_they_have_policies(server):
    analyzer = analyzer_of_account()
    analyzer.opinion_on(look(PUBLIC))
    with ThreadPoolExecutor(4) as pool:
        told = set(pool.map(lambda _: analyzer.opinion_on(look(PUBLIC)), range(20)))
    assert len(told) == 1
    assert len(server.asked) == 2


def test_without_an_answer_it_gives_up(server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://localhost:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    client = botocore.session.Session().create_client("accessanalyzer", region_name="us-east-1")
    analyzer = AccessAnalyzer(client)
    for policy in (PUBLIC, CLOSED):
        opinion = analyzer.opinion_on(look(policy))
        assert opinion.agrees is None
        assert EndpointConnectionError.__name__ in opinion.told


def test_a_service_that_refuses_is_told(server):
    server.script[REST] = fails("AccessDeniedException", 403)
    opinion = analyzer_of_account().opinion_on(look(PUBLIC))
    assert opinion.agrees is None
    assert ClientError.__name__ not in opinion.told


# --- never on the way of a message -------------------------------------------------------------------------------


def test_no_module_of_the_guard_knows_of_it():
    package = Path(safe_sqs.__file__).parent
    rooms = {"fleet", "cli", "aws_config"}
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in rooms:
            continue
        names = {
            f"{getattr(node, 'module', '') or ''}.{alias.name}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not any("second_opinion" in name for name in names), path


def test_a_guarded_call_does_not_load_it():
    program = (
        "import sys, safe_sqs\n"
        "safe_sqs.client('sqs', region_name='us-east-1', aws_access_key_id='a', aws_secret_access_key='b')\n"
        "print('safe_sqs.fleet' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
