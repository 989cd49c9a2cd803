"""The AWS Config rule: what its handler makes of the events that AWS Config sends, on moto and as Lambda runs it.

The events below tests/config_events have the shapes of the AWS Config developer guide, "Example Events for AWS Config
Rules", and of AWS Config's published schema of AWS::SQS::Queue; their ids are made up.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import boto3
import pytest
import scripted
import yaml
from lambda_runtime import sandbox
from support import LONG_TERM, REGION, TEMPORARY, UNENCRYPTED

from safe_sqs import Config, ConfigError, RefusedError, policy
from safe_sqs.aws_config import rule
from safe_sqs.aws_config.annotation import LONGEST, annotation_of
from safe_sqs.aws_config.invocation import EventError, attributes_in
from safe_sqs.aws_config.parameters import parameters_from
from safe_sqs.evaluation import QUEUE_RULES, Evaluation, State
from safe_sqs.judge import attributes_needed
from safe_sqs.model import Finding, Mode, Queue

ACCOUNT = "123456789012"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:safe-sqs"
EVENTS = Path(__file__).parent / "config_events"
TEMPLATES = Path(rule.__file__).parent
PUBLIC = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}}
)
CONTEXT = SimpleNamespace(invoked_function_arn=FUNCTION_ARN)
CHANGES = "StarlingDoveService.PutEvaluations"
HISTORY = "StarlingDoveService.GetResourceConfigHistory"


def recorded(name: str, url: str = "", **changed: Any) -> dict[str, Any]:
    """A recorded event, about a queue. `changed` replaces parts of the event; a dict is merged into what AWS Config
    tells of the item."""
    text = (EVENTS / f"{name}.json").read_text(encoding="utf-8")
    event: dict[str, Any] = json.loads(text.replace("NAME", url.rpartition("/")[2]))
    told = event["invokingEvent"]
    item = told.get("configurationItem") or told.get("configurationItemSummary")
    if item is not None and url:
        item["resourceId"] = url
    configuration = changed.pop("configuration", None)
    if configuration is not None:
        item["configuration"] = configuration
    if item is not None:
        item |= changed.pop("item", {})
    event |= changed
    event["invokingEvent"] = json.dumps(told)
    if not isinstance(event["ruleParameters"], str | None):
        event["ruleParameters"] = json.dumps(event["ruleParameters"])
    return event


@pytest.fixture(autouse=True)
def _new_function() -> None:
    """No client of another test's is left."""
    rule._clients.cache_clear()


@pytest.fixture
def function(emulator, monkeypatch) -> Callable[[Mapping[str, Any]], dict[str, int]]:
    """The handler in the environment of a function whose AWS is the emulator."""
    for name, text in environment_of(emulator.url, emulator.authority, emulator.host).items():
        monkeypatch.setenv(name, text)
    return lambda event: rule.handler(event, CONTEXT)


def environment_of(url: str, authority: str, host: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_CA_BUNDLE": authority,
        "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": host,
        **{name.upper(): text for name, text in TEMPORARY.items()},
    }


@pytest.fixture
def service(monkeypatch):
    """A function whose AWS says what a test scripts: it has good queues, and takes every evaluation."""
    with scripted.running() as server:
        server.script[CHANGES] = scripted.says(FailedEvaluations=[])
        for name, text in environment_of(server.url, server.authority, server.host).items():
            monkeypatch.setenv(name, text)
        yield server


def put(server: Any) -> list[dict[str, Any]]:
    """The evaluations that were put."""
    return [each for asked in server.asked if asked.operation == CHANGES for each in asked.parameters["Evaluations"]]


# --- a change ----------------------------------------------------------------------------------------------------


def test_a_good_queue_complies(function, good):
    assert function(recorded("change", good)) == {"COMPLIANT": 1}


def test_a_queue_without_encryption_does_not_comply(function, bad):
    assert function(recorded("change", bad)) == {"NON_COMPLIANT": 1}


def test_what_is_put_is_what_config_wants(service):
    url = service.queue()
    service.script["GetQueueAttributes"] = lambda asked: scripted.attributes(asked, **UNENCRYPTED)
    event = recorded("change", url, resultToken="a-token")
    assert rule.handler(event, CONTEXT) == {"NON_COMPLIANT": 1}
    (asked,) = [each for each in service.asked if each.operation == CHANGES]
    assert (asked.parameters["ResultToken"], asked.parameters["TestMode"]) == ("a-token", False)
    (evaluation,) = asked.parameters["Evaluations"]
    assert evaluation.pop("Annotation").startswith("queue-encryption: no server-side encryption")
    assert evaluation.pop("OrderingTimestamp") == 1767225900
    assert evaluation == {
        "ComplianceResourceType": "AWS::SQS::Queue",
        "ComplianceResourceId": url,
        "ComplianceType": "NON_COMPLIANT",
    }


def test_the_test_token_puts_nothing_for_good(service):
    rule.handler(recorded("change", service.queue()), CONTEXT)
    (asked,) = [each for each in service.asked if each.operation == CHANGES]
    assert asked.parameters["TestMode"] is True


@pytest.mark.parametrize("left", ["ResourceDeleted", "ResourceDeletedNotRecorded"])
def test_a_queue_that_was_deleted_is_not_looked_at(service, left):
    event = recorded("deleted", service.queue(), item={"configurationItemStatus": left})
    assert rule.handler(event, CONTEXT) == {"NOT_APPLICABLE": 1}
    assert service.count() == 0


def test_a_queue_that_left_the_scope_of_the_rule_is_not_looked_at(service):
    event = recorded("change", service.queue(), eventLeftScope=True)
    assert rule.handler(event, CONTEXT) == {"NOT_APPLICABLE": 1}
    assert service.count() == 0


def test_another_resource_is_none_of_the_rules_business(service):
    event = recorded("change", item={"resourceType": "AWS::SNS::Topic", "resourceId": "arn:aws:sns:::t"})
    assert rule.handler(event, CONTEXT) == {"NOT_APPLICABLE": 1}
    assert put(service)[0]["ComplianceResourceType"] == "AWS::SNS::Topic"


@pytest.mark.parametrize("status", ["OK", "ResourceDiscovered", "ResourceNotRecorded", "SomethingNew"])
def test_a_queue_in_any_other_state_is_judged(function, bad, status):
    assert function(recorded("change", bad, item={"configurationItemStatus": status})) == {"NON_COMPLIANT": 1}


def test_a_queue_that_was_deleted_since_is_not_applicable(function, good):
    assert function(recorded("change", f"{good}-gone")) == {"NOT_APPLICABLE": 1}


def test_a_queue_that_may_not_be_read_does_not_comply_and_the_annotation_says_why(service):
    service.script["GetQueueAttributes"] = scripted.fails("AccessDenied")
    assert rule.handler(recorded("change", service.queue()), CONTEXT) == {"NON_COMPLIANT": 1}
    (evaluation,) = put(service)
    assert evaluation["Annotation"].startswith("Could not be told: queue-attributes: ")
    assert "AccessDenied" in evaluation["Annotation"]


# --- what an item says, and does not say -------------------------------------------------------------------------


def configuration_of(url: str, **more: Any) -> dict[str, Any]:
    account, name = url.split("/")[-2:]
    return {"QueueArn": f"arn:aws:sqs:{REGION}:{account}:{name}", **more}


COMPLETE = {"SqsManagedSseEnabled": "true", "Policy": PUBLIC, "RedrivePolicy": "{}"}


def test_a_complete_item_is_judged_without_a_look(service):
    url = service.queue()
    redrive = json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:failed"})
    item = configuration_of(url, SqsManagedSseEnabled="true", Policy=PUBLIC, RedrivePolicy=redrive)
    assert rule.handler(recorded("change", url, configuration=item), CONTEXT) == {"NON_COMPLIANT": 1}
    assert "public-access" in put(service)[0]["Annotation"]
    assert service.count(queue=url) == 0
    assert service.count(queue=service.queue("failed")) == 1


def test_a_policy_that_the_item_leaves_out_is_looked_up(function, make_queue):
    """The published schema has no Policy: were its absence read as "none", every public queue would comply."""
    url = make_queue(Policy=PUBLIC)
    assert function(recorded("change", url)) == {"NON_COMPLIANT": 1}


def test_encryption_that_the_item_leaves_out_is_looked_up(function, good):
    assert function(recorded("change", good, configuration=configuration_of(good))) == {"COMPLIANT": 1}


@pytest.mark.parametrize(
    ("changed", "is_complete"),
    [
        ({}, True),
        ({"Policy": None}, False),
        ({"Policy": ""}, False),
        ({"RedrivePolicy": None}, False),
        ({"QueueArn": None}, False),
        ({"SqsManagedSseEnabled": None}, False),
        ({"SqsManagedSseEnabled": "false"}, False),
        ({"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "alias/a"}, True),
        ({"SqsManagedSseEnabled": None, "KmsMasterKeyId": "alias/a"}, True),
        ({"SqsManagedSseEnabled": True}, True),
        ({"Policy": {"Statement": []}}, True),
    ],
)
def test_an_item_is_complete_when_it_says_all_that_the_rules_need(changed, is_complete):
    item = {"QueueArn": "arn", **COMPLETE, **changed}
    assert (attributes_in(item, attributes_needed(Config())) is not None) is is_complete


def test_an_item_is_read_however_its_names_and_values_are_written():
    item = {"queueArn": "arn", "sqsManagedSseEnabled": True, "policy": {"Statement": []}, "RedrivePolicy": "{}"}
    wanted = {"QueueArn": "arn", "SqsManagedSseEnabled": "true", "Policy": '{"Statement": []}', "RedrivePolicy": "{}"}
    needed = attributes_needed(Config())
    assert attributes_in(item, needed) == wanted
    assert attributes_in(json.dumps(item), needed) == wanted


@pytest.mark.parametrize("configuration", [None, "", "{", [], "[]", 7, {}])
def test_what_is_no_configuration_is_not_taken_for_one(configuration):
    assert attributes_in(configuration, attributes_needed(Config())) is None


def test_what_a_rule_that_is_off_would_read_need_not_be_there():
    off = dict.fromkeys(("public-access", "least-privilege", "tls-only-policy", "dead-letter-queue"), "off")
    item = {"QueueArn": "arn", "SqsManagedSseEnabled": "true"}
    assert attributes_in(item, attributes_needed(Config(modes=off))) == item


def test_an_item_that_is_too_long_for_an_event_comes_from_the_history(service):
    url = service.queue()
    item = configuration_of(url, **COMPLETE)
    kept = {"configuration": json.dumps(item), "configurationItemCaptureTime": 1767225900}
    service.script[HISTORY] = scripted.says(configurationItems=[kept])
    rule.handler(recorded("oversized", url), CONTEXT)
    (asked,) = [each.parameters for each in service.asked if each.operation == HISTORY]
    assert asked == {
        "resourceType": "AWS::SQS::Queue",
        "resourceId": url,
        "laterTime": 1767225900,
        "limit": 1,
    }
    assert "public-access" in put(service)[0]["Annotation"]
    assert service.count(queue=url) == 0


def test_an_earlier_item_in_the_history_does_not_stand_for_the_one_that_is_not_there_yet(service):
    url = service.queue()
    item = json.dumps(configuration_of(url, **COMPLETE))
    for earlier in ({"configurationItemCaptureTime": 1767225840}, {}):
        service.script[HISTORY] = scripted.says(configurationItems=[{"configuration": item, **earlier}])
        assert rule.handler(recorded("oversized", url), CONTEXT) == {"COMPLIANT": 1}
    assert service.count(queue=url) == 2


@pytest.mark.parametrize("answer", [scripted.says(configurationItems=[]), scripted.fails("AccessDeniedException")])
def test_an_item_that_is_not_in_the_history_is_looked_at(service, answer):
    service.script[HISTORY] = answer
    assert rule.handler(recorded("oversized", service.queue()), CONTEXT) == {"COMPLIANT": 1}
    assert service.count() == 1


def test_an_oversized_item_is_judged_on_moto_whose_history_has_no_queues(function, bad):
    assert function(recorded("oversized", bad)) == {"NON_COMPLIANT": 1}


# --- all queues --------------------------------------------------------------------------------------------------


@pytest.fixture
def other_account(emulator) -> tuple[str, Any]:
    """An account with nothing in it, and an SQS client in it."""
    account = f"{uuid4().int % 10**12:012}"
    settings = {"endpoint_url": emulator.url, "verify": emulator.authority, "region_name": REGION}
    sts = boto3.client("sts", **settings, **TEMPORARY)
    given = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/anybody", RoleSessionName="test")["Credentials"]
    return account, boto3.client(
        "sqs",
        **settings,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def in_account(account: str, name: str = "scheduled", **parameters: str) -> dict[str, Any]:
    """A recorded event of a rule in another account."""
    return recorded(
        name,
        accountId=account,
        configRuleArn=f"arn:aws:config:{REGION}:{account}:config-rule/config-rule-a1b2c3",
        executionRoleArn=f"arn:aws:iam::{account}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig",
        ruleParameters={"ExecutionRoleName": "safe-sqs-config-rule", "failOn": "enforce", **parameters},
    )


def test_all_queues_are_judged_and_put_a_hundred_at_a_time(function, emulator, other_account):
    account, sqs = other_account
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: sqs.create_queue(QueueName=f"q-{number}"), range(100)))
    sqs.create_queue(QueueName="bad", Attributes=UNENCRYPTED)
    before = emulator.arrived.copy()
    assert function(in_account(account)) == {"COMPLIANT": 100, "NON_COMPLIANT": 1}
    assert (emulator.arrived - before)["PutEvaluations"] == 2


def test_queues_are_listed_page_by_page(service):
    pages = {None: (["a", "b"], "more"), "more": (["c"], None)}

    def queues(asked):
        assert asked.parameters["MaxResults"] == 1000
        names, token = pages[asked.parameters.get("NextToken")]
        answer = {"QueueUrls": [service.queue(name) for name in names]}
        return scripted.says(**answer, **({"NextToken": token} if token else {}))

    service.script["ListQueues"] = queues
    assert rule.handler(recorded("scheduled"), CONTEXT) == {"COMPLIANT": 3}
    assert [each["ComplianceResourceId"] for each in put(service)] == [service.queue(name) for name in "abc"]
    assert {each["OrderingTimestamp"] for each in put(service)} == {1767312000}


def test_an_account_without_queues_puts_nothing(function, emulator, other_account):
    before = emulator.arrived["PutEvaluations"]
    assert function(in_account(other_account[0])) == {}
    assert emulator.arrived["PutEvaluations"] == before


def test_queues_that_may_not_be_listed_are_an_error_and_not_compliance(service):
    service.script["ListQueues"] = scripted.fails("AccessDenied")
    with pytest.raises(Exception, match="AccessDenied"):
        rule.handler(recorded("scheduled"), CONTEXT)
    assert put(service) == []


# --- as whom -----------------------------------------------------------------------------------------------------


def test_a_rule_of_another_account_assumes_the_role_there(function, other_account):
    account, sqs = other_account
    url = sqs.create_queue(QueueName="bad", Attributes=UNENCRYPTED)["QueueUrl"]
    told = recorded("change", url)["invokingEvent"]
    assert function(in_account(account, "change") | {"invokingEvent": told}) == {"NON_COMPLIANT": 1}
    assert sqs.list_queues()["QueueUrls"] == [url]


def test_in_its_own_account_the_function_assumes_no_role(service):
    parameters = {"ExecutionRoleName": "safe-sqs-config-rule", "failOn": "enforce"}
    event = recorded("change", service.queue(), ruleParameters=parameters)
    assert rule.handler(event, CONTEXT) == {"COMPLIANT": 1}


def test_a_recorder_role_that_is_no_service_linked_one_is_assumed(function, other_account):
    account, sqs = other_account
    sqs.create_queue(QueueName="good")
    event = in_account(account) | {"executionRoleArn": f"arn:aws:iam::{account}:role/recorder"}
    event["ruleParameters"] = '{"failOn": "enforce"}'
    assert function(event) == {"COMPLIANT": 1}


@pytest.mark.parametrize(
    "role",
    [
        "",
        "arn:aws:iam::210987654321:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig",
        "arn:aws:iam::999999999999:role/of-somebody-elses",
    ],
)
def test_a_role_that_cannot_be_the_right_one_is_told_and_not_tried(service, role):
    event = in_account("210987654321") | {"executionRoleArn": role, "ruleParameters": None}
    with pytest.raises(EventError, match=r"account 210987654321.*set the rule's parameter ExecutionRoleName"):
        rule.handler(event, CONTEXT)
    assert service.asked == []


def test_a_function_with_long_term_credentials_judges_nothing(service, monkeypatch):
    for name, value in LONG_TERM.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    with pytest.raises(RefusedError, match="static-credentials"):
        rule.handler(recorded("change", service.queue()), CONTEXT)
    assert put(service) == []


# --- parameters --------------------------------------------------------------------------------------------------


def test_parameters_are_the_settings_of_safe_sqs():
    text = json.dumps(
        {
            "profile": "strict",
            "modes": "vpc-route=off, least-privilege=warn",
            "levels": "queue-encryption=any",
            "trustedAccounts": "111122223333,444455556666",
            "vpcs": "vpc-1a2b",
            "vpcEndpoints": "vpce-3c4d",
            "failOn": "enforce",
            "securityHub": "true",
            "ExecutionRoleName": "path/role",
        }
    )
    read = parameters_from(text)
    assert read.config == Config(
        profile="strict",
        modes={"vpc-route": "off", "least-privilege": "warn"},
        levels={"queue-encryption": "any"},
        trusted_accounts=["111122223333", "444455556666"],
        vpcs=["vpc-1a2b"],
        vpc_endpoints=["vpce-3c4d"],
    )
    assert read[1:] == (Mode.ENFORCE, True, "path/role")


@pytest.mark.parametrize("text", [None, "", "{}", '{"profile": "", "modes": "", "failOn": "", "vpcs": null}'])
def test_parameters_that_say_nothing_leave_the_defaults(text):
    assert parameters_from(text) == (Config(), Mode.WARN, False, "")


@pytest.mark.parametrize(
    ("parameters", "compliance"),
    [({}, "NON_COMPLIANT"), ({"failOn": "warn"}, "NON_COMPLIANT"), ({"failOn": "enforce"}, "COMPLIANT")],
)
def test_findings_that_only_warn_count_unless_the_rule_says_otherwise(function, good, parameters, compliance):
    assert function(recorded("change", good, ruleParameters=parameters)) == {compliance: 1}


HOSTILE = [
    ("{", "ruleParameters .* is not a JSON object"),
    ("[]", "ruleParameters .* is not a JSON object"),
    ('"profile"', "ruleParameters .* is not a JSON object"),
    ("[" * 100_000, "ruleParameters .* is not a JSON object"),
    ('{"profil": "strict"}', "profil .*: is not a parameter; did you mean 'profile'"),
    ('{"profile": "strikt"}', "profile .*'strikt' is none of .*did you mean 'strict'"),
    ('{"profile": ["strict"]}', "profile .* is none of"),
    ('{"modes": "queue-encryption"}', "modes .* is not of the form NAME=VALUE"),
    ('{"modes": "no-rule=off"}', r"modes\.no-rule .*there is no rule 'no-rule'"),
    ('{"modes": 7}', "modes .* is not a mapping"),
    ('{"levels": {"queue-encryption": "best"}}', r"levels\.queue-encryption .*'best' is none of"),
    ('{"trustedAccounts": "12345"}', "trustedAccounts .*'12345' is not a 12-digit account id"),
    ('{"trustedAccounts": [123456789012]}', "trustedAccounts .* is not a 12-digit account id"),
    ('{"vpcEndpoints": "vpc-1"}', "vpcEndpoints .* is not the id of a VPC endpoint"),
    ('{"failOn": "off"}', "failOn .*'off' is none of warn, enforce"),
    ('{"failOn": true}', "failOn .* is none of warn, enforce"),
    ('{"securityHub": "yes"}', "securityHub .*'yes' is none of true, false"),
    ('{"securityHub": 1}', "securityHub .* is none of true, false"),
    ('{"ExecutionRoleName": "arn:aws:iam::1:role/r"}', "ExecutionRoleName .*a name, not an ARN"),
    ('{"ExecutionRoleName": ["r"]}', "ExecutionRoleName .* is not the name of a role"),
]


@pytest.mark.parametrize(("parameters", "told"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_wrong_parameter_is_told_in_one_line_and_nothing_is_put(service, parameters, told):
    with pytest.raises(ConfigError, match=told) as error:
        rule.handler(recorded("change", service.queue()) | {"ruleParameters": parameters}, CONTEXT)
    assert "\n" not in str(error.value)
    assert service.asked == []


# --- events that are not as they should be -----------------------------------------------------------------------


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != name}


@pytest.mark.parametrize(
    "event",
    [
        {},
        None,
        [],
        {"Records": [{"eventSource": "aws:sqs"}]},
        *(without(recorded("change"), name) for name in ("invokingEvent", "resultToken", "accountId", "configRuleArn")),
        recorded("change") | {"invokingEvent": "{"},
        recorded("change") | {"invokingEvent": "[]"},
        recorded("change") | {"invokingEvent": '{"messageType": "ConfigurationItemChangeNotification"}'},
        recorded("change") | {"configRuleArn": "arn:aws:lambda:us-east-1:123456789012:function:f"},
    ],
)
def test_an_event_of_somebody_elses_is_told(service, event):
    with pytest.raises(EventError, match="not one of AWS Config's"):
        rule.handler(event, CONTEXT)
    assert service.asked == []


def test_a_message_type_that_the_rule_does_not_serve_is_told(service):
    event = recorded("scheduled") | {
        "invokingEvent": '{"messageType": "ConfigurationSnapshotDeliveryCompleted", "awsAccountId": "123456789012"}'
    }
    with pytest.raises(EventError, match="does not serve the message type 'ConfigurationSnapshotDeliveryCompleted'"):
        rule.handler(event, CONTEXT)


# --- AWS Config's answer -----------------------------------------------------------------------------------------


def test_evaluations_that_config_does_not_take_are_an_error(service):
    url = service.queue()
    service.script[CHANGES] = scripted.says(FailedEvaluations=[{"ComplianceResourceId": url}])
    with pytest.raises(rule.RejectedEvaluationsError, match=f"did not take 1 of 1 evaluations; the first is of {url}"):
        rule.handler(recorded("change", url), CONTEXT)


def test_a_throttled_put_is_tried_again(service):
    answers = iter([scripted.fails("ThrottlingException"), scripted.says(FailedEvaluations=[])])
    service.script[CHANGES] = lambda _: next(answers)
    assert rule.handler(recorded("change", service.queue()), CONTEXT) == {"COMPLIANT": 1}
    assert service.count(CHANGES) == 2


# --- Security Hub ------------------------------------------------------------------------------------------------


def test_findings_go_to_security_hub_of_the_queues_account(function, emulator, make_raw, bad):
    parameters = {"securityHub": "true", "failOn": "enforce"}
    assert function(recorded("change", bad, ruleParameters=parameters)) == {"NON_COMPLIANT": 1}
    name = bad.rpartition("/")[2]
    found = make_raw("securityhub").get_findings()["Findings"]
    own = {each["GeneratorId"]: each for each in found if each["Resources"][0]["Id"].endswith(f":{name}")}
    assert own["safe-sqs/queue-encryption"]["Compliance"]["Status"] == "FAILED"
    assert own["safe-sqs/public-access"]["Compliance"]["Status"] == "PASSED"


def test_nothing_goes_to_security_hub_unless_the_rule_says_so(function, emulator, bad):
    before = emulator.arrived.copy()
    function(recorded("change", bad))
    assert not [each for each in emulator.arrived - before if "Import" in each]


def test_findings_that_security_hub_does_not_take_are_an_error_after_the_evaluations_are_put(service):
    service.script[""] = scripted.fails("InvalidAccessException", 401)
    event = recorded("change", service.queue(), ruleParameters={"securityHub": "true"})
    with pytest.raises(rule.RejectedFindingsError, match=r"did not take \d+ of \d+ findings: .*enable Security Hub"):
        rule.handler(event, CONTEXT)
    assert len(put(service)) == 1


# --- the annotation ----------------------------------------------------------------------------------------------


def evaluation_with(*findings: Finding, **states: State) -> Evaluation:
    named = {name.replace("_", "-"): state for name, state in states.items()}
    return Evaluation(
        Queue("https://sqs.us-east-1.amazonaws.com/123456789012/q", "aws", "us-east-1", ACCOUNT, "q"),
        tuple((each.name, named.get(each.name, State.PASSED)) for each in QUEUE_RULES),
        findings,
    )


def finding(name: str, mode: Mode = Mode.ENFORCE, found: str = "it is so", *, unverifiable: bool = False) -> Finding:
    return Finding(name, mode, found, "expected", "next step", None, unverifiable)


def test_an_annotation_names_what_refuses_first_and_says_what_that_found():
    evaluation = evaluation_with(
        finding("tls-only-policy", Mode.WARN, "plain HTTP"),
        finding("public-access", found="anybody may send"),
        finding("public-access", found="anybody may receive"),
        finding("dead-letter-queue", unverifiable=True),
    )
    assert annotation_of(evaluation, Mode.WARN) == (
        "public-access, tls-only-policy; could not be told: dead-letter-queue: anybody may send"
    )


def test_an_annotation_never_loses_the_name_of_a_rule():
    names = [each.name for each in QUEUE_RULES]
    text = annotation_of(evaluation_with(*(finding(name, found="x" * 9000) for name in names)), Mode.WARN)
    assert len(text) == LONGEST
    assert text.startswith(", ".join(names))
    assert text.endswith("x...")


@pytest.mark.parametrize("found", ["two\nlines", "a\ttab", "null\0", "\x1b[31mred", "\U0001f512" * 300, "é" * 300])
def test_an_annotation_is_one_line_that_config_takes(found):
    text = annotation_of(evaluation_with(finding("public-access", found=found)), Mode.WARN)
    assert text.isprintable()
    assert len(text.encode("utf-16-le")) <= 2 * LONGEST


def test_a_queue_that_complies_says_what_did_not_count():
    warned = evaluation_with(finding("tls-only-policy", Mode.WARN), tls_only_policy=State.WARNED)
    exempt = evaluation_with(public_access=State.EXEMPT)
    assert annotation_of(warned, Mode.ENFORCE) == "Does not count: warned: tls-only-policy"
    assert annotation_of(exempt, Mode.WARN) == "Does not count: exempt: public-access"
    assert annotation_of(evaluation_with(), Mode.WARN) == ""


# --- as Lambda runs it -------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    importlib.util.find_spec("awslambdaric") is None or sys.platform != "linux",
    reason="the runtime client awslambdaric is not installed",
)
def test_the_runtime_of_lambda_finds_the_handler_and_shows_a_wrong_parameter(emulator, bad, tmp_path):
    task, opt = tmp_path / "task", tmp_path / "opt"
    task.mkdir()
    opt.mkdir()
    environment = environment_of(emulator.url, emulator.authority, emulator.host)
    with sandbox(task, opt, "safe_sqs.aws_config.rule.handler", environment) as box:
        assert box.invoke(recorded("change", bad)).result == {"NON_COMPLIANT": 1}
        error = box.invoke(recorded("change", bad, ruleParameters={"profile": "strikt"})).error
    assert error["errorType"] == "ConfigError"
    assert "'strikt' is none of" in error["errorMessage"]


# --- the templates -----------------------------------------------------------------------------------------------


class _Template(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions."""


def _short(loader: Any, name: str, node: yaml.Node) -> Any:
    value = loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else loader.construct_sequence(node)
    return {name: value}


_Template.add_multi_constructor("!", _short)

ALL_TEMPLATES = sorted(TEMPLATES.glob("*.yaml"))
each_template = pytest.mark.parametrize("template", ALL_TEMPLATES, ids=lambda path: path.stem)


def read(template: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load(template.read_text(encoding="utf-8"), _Template)
    return content


def test_cfn_lint_has_nothing_to_say_about_the_templates():
    pytest.importorskip("cfnlint")
    program = "from cfnlint.runner import main; main()"
    command = [sys.executable, "-c", program, "--regions", REGION, "--", *map(str, ALL_TEMPLATES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def statements_in(part: Any) -> list[dict[str, Any]]:
    """The statements of all policies in a part of a template."""
    if isinstance(part, list):
        return [statement for each in part for statement in statements_in(each)]
    if isinstance(part, dict):
        own = part.get("Statement", [])
        return [*own, *(each for value in part.values() for each in statements_in(value))]
    return []


WITHOUT_RESOURCES = {"sqs:ListQueues", "config:PutEvaluations", "config:GetResourceConfigHistory"}
"""Actions for which IAM knows no resources. Source: Service Authorization Reference."""


@each_template
def test_the_roles_may_do_no_more_than_the_rule_needs(template):
    for statement in statements_in(read(template)["Resources"]):
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if "*" in action]
        assert statement.get("Principal") not in ("*", {"AWS": "*"})
        if statement.get("Resource") == ["*"]:
            assert set(statement["Action"]) == WITHOUT_RESOURCES
        elif statement["Action"] == ["sts:AssumeRole"] and "Resource" in statement:
            assert statement["Condition"] == {"StringEquals": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}"}}


@pytest.mark.parametrize("template", ["account", "organisation-function", "member-role"])
def test_whoever_looks_at_queues_has_every_permission_for_it(template):
    statements = statements_in(read(TEMPLATES / f"{template}.yaml")["Resources"])
    granted = {action for statement in statements for action in statement["Action"]}
    needed = {"sqs:GetQueueAttributes", "kms:DescribeKey", "securityhub:BatchImportFindings", *WITHOUT_RESOURCES}
    assert granted - {"sts:AssumeRole"} == needed


@pytest.mark.parametrize("template", ["account", "organisation-function"])
def test_only_config_of_named_accounts_may_start_the_function(template):
    resources = read(TEMPLATES / f"{template}.yaml")["Resources"]
    permission = resources.get("Permission") or resources["Fn::ForEach::Permissions"][2]["Permission${Account}"]
    properties = permission["Properties"]
    assert properties["Principal"] == "config.amazonaws.com"
    assert properties["SourceAccount"] in ({"Ref": "AWS::AccountId"}, {"Ref": "Account"})


def filled(parameters: Any, defaults: Mapping[str, Any]) -> str:
    """The parameters of the rule, as CloudFormation fills them in."""
    if isinstance(parameters, dict) and set(parameters) == {"Sub"}:
        text: str = parameters["Sub"]
        for name, value in defaults.items():
            text = text.replace(f"${{{name}}}", str(value))
        return text
    return json.dumps({name: defaults[value["Ref"]] for name, value in parameters.items()})


@pytest.mark.parametrize("template", ["account", "organisation-rule"])
def test_the_parameters_of_a_template_are_those_of_the_rule(template):
    content = read(TEMPLATES / f"{template}.yaml")
    defaults = {name: said.get("Default", "") for name, said in content["Parameters"].items()}
    properties = content["Resources"]["Rule"]["Properties"]
    properties = properties.get("OrganizationCustomRuleMetadata", properties)
    read_back = parameters_from(filled(properties["InputParameters"], defaults))
    assert read_back[1:3] == (Mode.WARN, False)
    assert read_back.config == Config(modes={"vpc-route": "off"})
    parameters_from(filled(properties["InputParameters"], defaults | {"Profile": "strict", "SecurityHub": "true"}))


def test_moto_takes_the_rule_of_the_template(make_raw):
    properties = read(TEMPLATES / "account.yaml")["Resources"]["Rule"]["Properties"]
    details = [
        each | ({"MaximumExecutionFrequency": "TwentyFour_Hours"} if "MaximumExecutionFrequency" in each else {})
        for each in properties["Source"]["SourceDetails"]
    ]
    lambdas, iam, config = make_raw("lambda"), make_raw("iam"), make_raw("config")
    name = f"f-{uuid4().hex[:8]}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    function_arn = lambdas.create_function(
        FunctionName=name, Runtime="python3.12", Role=role, Handler="h", Code={"ZipFile": b""}
    )["FunctionArn"]
    source = {**properties["Source"], "SourceIdentifier": function_arn, "SourceDetails": details}
    config.put_config_rule(
        ConfigRule={
            "ConfigRuleName": name,
            "Scope": properties["Scope"],
            "Source": source,
            "InputParameters": '{"profile": "strict"}',
        }
    )
    (kept,) = config.describe_config_rules(ConfigRuleNames=[name])["ConfigRules"]
    assert {each["MessageType"] for each in kept["Source"]["SourceDetails"]} == {
        "ConfigurationItemChangeNotification",
        "OversizedConfigurationItemChangeNotification",
        "ScheduledNotification",
    }


def test_the_public_policy_of_these_tests_is_public():
    assert policy.public_access(json.loads(PUBLIC)).found
