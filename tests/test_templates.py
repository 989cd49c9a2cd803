"""Policies inside of templates, plans and answers: what is found, what is left open, and what the judge says of it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import NEXT_MONTH

from safe_sqs import Config, policy
from safe_sqs.evaluation import Compliance, State, evaluation_of
from safe_sqs.judge import judge_queue
from safe_sqs.model import Facts, Mode
from safe_sqs.templates import Kind, Place, TemplateError, evaluate, find

TODAY = date(2026, 11, 24)
FILES = Path(__file__).parent / "templates"
ARN = "arn:aws:sqs:eu-central-1:111122223333:orders"
DENY_HTTP = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": ARN,
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def allow(principal="*", resource=ARN, **more):
    return {"Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage", "Resource": resource, **more}


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def judged(found, others=(), **settings):
    return evaluate(found, Config(**settings), TODAY, others=others)


def only(text, name="file", **arguments):
    (found,) = find(text if isinstance(text, str) else json.dumps(text), name, **arguments)
    return found


def in_file(name):
    found = find((FILES / name).read_text(encoding="utf-8"), name)
    return {each.where: (each, judged(each, found)) for each in found}


def stack(statement, **more):
    """A template with one queue, and a policy of one statement."""
    resource = {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}]}}
    resource["Properties"]["PolicyDocument"] = document(statement)
    return {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}, "Policy": resource}, **more}


def state(template, rule="public-access", **arguments):
    return judged(only(template, **arguments)).state_of(rule)


HERE = {"Fn::GetAtt": ["Queue", "Arn"]}
REFUSED, UNKNOWN, PASSED = State.REFUSED, State.UNKNOWN, State.PASSED


# --- alone, and from the AWS CLI ---------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [allow(), allow({"AWS": "444455556666"}), allow(Condition={}), DENY_HTTP])
def test_a_policy_alone_is_judged_as_that_of_a_queue_which_is_there(statement):
    found = only(document(statement))
    facts = Facts(found.queue, sse_sqs=True, policy=json.dumps(document(statement)))
    there = evaluation_of(found.queue, judge_queue(facts, found.queue, Config(), TODAY), Config(), TODAY)
    assert judged(found).findings == there.findings
    assert found.queue.arn == ARN


def test_a_policy_alone_is_asked_only_about_what_a_policy_can_say():
    evaluation = judged(only(document(allow())))
    assert {rule for rule, each in evaluation.states if each is State.OFF} == {
        "queue-encryption",
        "dead-letter-queue",
        "vpc-only-policy",
    }


@pytest.mark.parametrize("resources", [[ARN, f"{ARN}-2"], ["*"], [ARN, "arn:aws:sqs:*:*:other"]])
def test_a_policy_about_several_queues_is_nobodys_in_particular(resources):
    found = only(document(allow(resource=resources)))
    assert found.queue.arn == ""
    assert judged(found).state_of("public-access") is REFUSED


def test_a_statement_about_another_queue_is_no_pass():
    found = only(document(allow(resource=f"{ARN}-typo")))
    found = found._replace(queue=found.queue._replace(name="orders"))
    evaluation = judged(found)
    assert evaluation.state_of("public-access") is UNKNOWN
    assert "whether the resources of its statements are this queue" in evaluation.findings[0].found


ANSWER = {"QueueArn": ARN, "Policy": json.dumps(document(allow(), DENY_HTTP))}


@pytest.mark.parametrize(
    ("attributes", "encryption"),
    [
        (ANSWER, State.OFF),
        ({**ANSWER, "SqsManagedSseEnabled": "true"}, PASSED),
        ({**ANSWER, "SqsManagedSseEnabled": "false"}, REFUSED),
        ({**ANSWER, "VisibilityTimeout": "30"}, REFUSED),
        ({**ANSWER, "VisibilityTimeout": "30", "KmsMasterKeyId": "alias/x"}, PASSED),
    ],
)
def test_of_an_answer_of_the_aws_cli_is_judged_what_was_asked_for(attributes, encryption):
    found = only({"Attributes": attributes})
    assert (found.kind, found.queue.arn) == (Kind.ATTRIBUTES, ARN)
    assert judged(found).state_of("public-access") is REFUSED
    assert judged(found).state_of("queue-encryption") is encryption


def test_an_answer_in_yaml_is_the_same():
    text = f"Attributes:\n  Policy: '{ANSWER['Policy']}'\n  QueueArn: {ARN}\n"
    assert judged(only(text)).findings == judged(only({"Attributes": ANSWER})).findings


def test_a_queue_without_a_policy_is_judged_too():
    found = only({"Attributes": {"QueueArn": ARN, "VisibilityTimeout": "30", "SqsManagedSseEnabled": "true"}})
    assert found.policy is None
    assert judged(found).state_of("public-access") is PASSED
    assert judged(found).state_of("tls-only-policy") is State.WARNED


# --- CloudFormation ----------------------------------------------------------------------------------------------


def test_a_template_by_hand():
    seen = in_file("shop.yaml")
    states = {where: dict(evaluation.states) for where, (_, evaluation) in seen.items()}
    assert states["OrdersPolicy of Orders"]["public-access"] is REFUSED
    assert states["OrdersPolicy of Orders"]["queue-encryption"] is PASSED
    assert states["OrdersPolicy of Orders"]["tls-only-policy"] is PASSED
    assert states["DeadPolicy of Dead"]["public-access"] is PASSED
    assert states["Plain"]["queue-encryption"] is REFUSED


def test_a_finding_says_under_which_condition_it_is_there():
    _, evaluation = in_file("shop.yaml")["OrdersPolicy of Orders"]
    (finding,) = (each for each in evaluation.findings if each.rule == "public-access")
    assert finding.found.startswith("where Stage = test: the queue is public")
    assert "${AWS::AccountId}" in finding.next_step


def test_what_a_template_says_of_a_queue_goes_to_the_judge_as_it_will_be():
    found, _ = in_file("shop.yaml")["OrdersPolicy of Orders"]
    statements = {each.get("Sid"): each for each in json.loads(found.policy)["Statement"]}
    assert statements["Reader"]["Principal"] == {"AWS": "arn:aws:iam::666677778888:root"}
    assert statements["Partners"]["Principal"] == {"AWS": ["444455556666", "555566667777"]}
    assert statements["OnlyHttps"]["Resource"] == statements["Topic"]["Resource"] == found.queue.arn
    assert statements["OnlyHttps"]["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    assert statements["Topic"]["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(":Placed")
    assert json.loads(found.policy)["Version"] == "2012-10-17"


def test_conditions_that_exclude_each_other_are_not_chosen_together():
    found, _ = in_file("shop.yaml")["OrdersPolicy of Orders"]
    assert [branch.told for branch in found.branches] == [
        "Stage = test",
        "not Stage = test, Stage = production",
        "not Stage = test, not Stage = production",
    ]


def test_a_template_of_sam():
    ((_, evaluation),) = in_file("function.yaml").values()
    assert evaluation.compliance() is Compliance.COMPLIANT


@pytest.mark.parametrize(("where", "line"), [("Plain", 33), ("OrdersPolicy of Orders", 41), ("DeadPolicy of Dead", 80)])
def test_the_line_is_that_of_the_resource(where, line):
    assert in_file("shop.yaml")[where][0].line == line


OPEN = {"Parameters": {"Who": {"Type": "String"}}}


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ({"AWS": {"Ref": "Who"}}, UNKNOWN),
        ({"Ref": "Who"}, UNKNOWN),
        ({"AWS": {"Fn::ImportValue": "partner"}}, UNKNOWN),
        ({"AWS": {"Fn::Split": [",", {"Ref": "Who"}]}}, UNKNOWN),
        ({"AWS": "{{resolve:ssm:/partner}}"}, UNKNOWN),
        ({"AWS": {"Fn::Sub": "${Who}"}}, UNKNOWN),
        ({"AWS": {"Fn::Nonsense": 1}}, UNKNOWN),
        ({"AWS": {"Fn::Sub": "arn:aws:iam::${Who}:root"}}, PASSED),
        ({"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}, PASSED),
        ({"AWS": {"Fn::If": ["Open", "*", "444455556666"]}}, REFUSED),
        ({"AWS": {"Fn::Select": ["1", ["444455556666", "*"]]}}, REFUSED),
        ({"AWS": {"Fn::Join": ["", ["*"]]}}, REFUSED),
        ({"AWS": {"Fn::FindInMap": ["Map", "a", "b"]}}, UNKNOWN),
    ],
)
def test_a_principal_that_may_be_anyone_is_no_pass(principal, expected):
    assert state(stack(allow(principal, HERE), **OPEN)) is expected


def test_what_is_open_is_named_and_can_be_said():
    template = stack(allow({"AWS": {"Ref": "Who"}}, HERE), **OPEN)
    found = only(template)
    assert found.unresolved == ("Who",)
    (finding, *_) = judged(found).findings
    assert finding.unverifiable
    assert "--value 'Who=VALUE'" in finding.next_step
    assert state(template, values={"Who": "444455556666"}) is PASSED
    assert state(template, values={"Who": "*"}) is REFUSED


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ({"Type": "String", "Default": "*"}, REFUSED),
        ({"Type": "String", "Default": "444455556666"}, PASSED),
        ({"Type": "Number", "Default": 444455556666}, PASSED),
        ({"Type": "CommaDelimitedList", "Default": "444455556666, *"}, REFUSED),
        ({"Type": "AWS::SSM::Parameter::Value<String>", "Default": "444455556666"}, UNKNOWN),
    ],
)
def test_a_parameter_counts_with_its_default(parameter, expected):
    assert state(stack(allow({"AWS": {"Ref": "Who"}}, HERE), Parameters={"Who": parameter})) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"aws:SourceAccount": {"Ref": "Who"}}}, PASSED),
        ({"ArnLike": {"aws:SourceArn": {"Ref": "Who"}}}, UNKNOWN),
        ({"IpAddress": {"aws:SourceIp": {"Ref": "Who"}}}, UNKNOWN),
        ({"Ref": "Who"}, UNKNOWN),
        ({"ArnLike": {"aws:SourceArn": {"Ref": "Topic"}}}, PASSED),
        ({"StringEquals": {"aws:SourceVpce": {"Ref": "Endpoint"}}}, PASSED),
    ],
)
def test_a_condition_closes_if_it_does_with_every_value(condition, expected):
    template = stack(allow(resource=HERE, Condition=condition), **OPEN)
    template["Resources"] |= {"Topic": {"Type": "AWS::SNS::Topic"}, "Endpoint": {"Type": "AWS::EC2::VPCEndpoint"}}
    assert state(template) is expected


def test_an_open_value_in_a_deny_counts_against_it():
    deny = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": {"Ref": "Who"}}
    template = stack(allow(resource=HERE), **OPEN)
    template["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"].append(deny)
    assert state(template) is UNKNOWN


def test_both_sides_of_a_condition_are_judged_and_more_than_can_be_are_no_pass():
    statements = [{"Fn::If": [f"C{at}", {"Ref": "AWS::NoValue"}, {**DENY_HTTP, "Resource": HERE}]} for at in range(9)]
    template = stack({"Fn::If": ["First", {"Ref": "AWS::NoValue"}, {**DENY_HTTP, "Resource": HERE}]})
    template["Resources"]["Policy"]["Properties"]["PolicyDocument"]["Statement"] += statements
    evaluation = judged(only(template))
    assert evaluation.state_of("public-access") is UNKNOWN
    assert any("its many conditions" in each.found for each in evaluation.findings if each.rule == "public-access")


CHOSEN_BY = {
    "the region": [{"Ref": "AWS::Region"}, "us-east-1"],
    "the account": ["444455556666", {"Ref": "AWS::AccountId"}],
    "the name of the stack": [{"Ref": "AWS::StackName"}, "shop"],
    "a parameter within a text": [{"Fn::Sub": "${Stage}"}, "production"],
    "a parameter among texts": [{"Fn::Join": ["-", [{"Ref": "Stage"}, "one"]]}, "production-one"],
    "a parameter by way of a mapping": [{"Fn::FindInMap": ["Open", {"Ref": "Stage"}, "Is"]}, "yes"],
}


@pytest.mark.parametrize("sides", CHOSEN_BY.values(), ids=CHOSEN_BY)
def test_a_condition_is_judged_both_ways_whatever_it_hangs_on(sides):
    template = stack(
        allow({"Fn::If": ["IsOpen", "*", {"AWS": "444455556666"}]}, HERE),
        Parameters={"Stage": {"Type": "String", "Default": "test"}},
        Mappings={"Open": {"test": {"Is": "no"}, "production": {"Is": "yes"}}},
        Conditions={"IsOpen": {"Fn::Equals": sides}},
    )
    assert state(template) is REFUSED


def test_a_condition_about_the_place_is_decided_by_what_is_said_of_it():
    template = stack(
        allow({"Fn::If": ["IsOpen", "*", {"AWS": "444455556666"}]}, HERE),
        Conditions={"IsOpen": {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]}},
    )
    assert state(template, place=Place("111122223333", "eu-central-1")) is PASSED
    assert state(template, place=Place("111122223333", "us-east-1")) is REFUSED
    assert state(template, values={"AWS::Region": "eu-central-1"}) is PASSED


@pytest.mark.parametrize("key", ["Who", "AWS::Region"])
def test_the_default_of_a_mapping_is_not_all_that_it_may_give(key):
    principal = {"Fn::FindInMap": ["Open", {"Ref": key}, "To", {"DefaultValue": {"AWS": "444455556666"}}]}
    template = stack(allow(principal, HERE), Mappings={"Open": {"us-east-1": {"To": "*"}}}, **OPEN)
    assert state(template) is UNKNOWN
    assert state(template, values={key: "us-east-1"}) is REFUSED
    assert state(template, values={key: "eu-central-1"}) is PASSED


def test_open_values_are_judged_with_one_wide_and_another_narrow_where_that_lets_the_most_in():
    for more in (
        {"Condition": {"ForAnyValue:StringNotLike": {"aws:PrincipalAccount": {"Ref": "Other"}}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}, "NotIpAddress": {"aws:SourceIp": {"Ref": "Other"}}}},
        {"NotAction": {"Ref": "Other"}},
    ):
        statement = allow({"AWS": {"Ref": "Who"}}, HERE, **more)
        if "NotAction" in more:
            del statement["Action"]
        parameters = {"Who": {"Type": "String"}, "Other": {"Type": "String"}}
        assert state(stack(statement, Parameters=parameters)) is UNKNOWN


def conditional(condition, *, queue=None, other=None):
    """A stack whose policy denies plain HTTP, and is made under a condition."""
    template = stack(
        {**DENY_HTTP, "Resource": HERE},
        Parameters={"Stage": {"Type": "String"}},
        Conditions={"IsReal": {"Fn::Equals": [{"Ref": "Stage"}, "production"]}, "IsTest": {"Fn::Not": [REAL]}},
    )
    template["Resources"]["Policy"]["Condition"] = condition
    if queue:
        template["Resources"]["Queue"]["Condition"] = queue
    if other:
        template["Resources"]["Other"] = {**template["Resources"]["Policy"], "Condition": other}
    return [judged(each).state_of("tls-only-policy") for each in find(json.dumps(template), "x")]


REAL = {"Condition": "IsReal"}


def test_a_policy_that_is_made_under_a_condition_leaves_the_queue_without_one_otherwise():
    assert conditional("IsReal") == [State.WARNED]
    assert conditional("IsReal", queue="IsReal") == [PASSED]
    assert conditional("IsReal", queue="IsTest") == [State.WARNED]
    assert conditional("IsReal", other="IsTest") == [PASSED, PASSED]
    assert conditional("IsReal", other="IsReal") == [State.WARNED, State.WARNED]


def test_a_queue_is_judged_only_where_it_is_made():
    queue = {"Type": "AWS::SQS::Queue", "Condition": "C"}
    queue["Properties"] = {"SqsManagedSseEnabled": {"Fn::If": ["C", True, False]}}
    assert state({"Resources": {"Queue": queue}}, "queue-encryption") is PASSED
    never = {"C": {"Fn::Equals": ["a", "b"]}}
    with pytest.raises(TemplateError, match="no queue"):
        find(json.dumps({"Resources": {"Queue": queue}, "Conditions": never}), "x")


def test_a_policy_is_that_of_the_queue_that_a_condition_chooses():
    template = stack(allow({"AWS": "444455556666"}, resource="*"))
    template["Resources"]["Other"] = {"Type": "AWS::SQS::Queue", "Properties": {"SqsManagedSseEnabled": False}}
    template["Resources"]["Policy"]["Properties"]["Queues"] = [{"Fn::If": ["C", {"Ref": "Queue"}, {"Ref": "Other"}]}]
    found = {each.where: each for each in find(json.dumps(template), "x")}
    assert [*found] == ["Policy of Queue", "Policy of Other"]
    assert [branch.document is None for branch in found["Policy of Queue"].branches] == [False, True]
    assert [branch.document is None for branch in found["Policy of Other"].branches] == [True, False]


def test_an_address_of_the_template_is_one_address():
    template = stack(allow(resource=HERE, Condition={"IpAddress": {"aws:SourceIp": {"Ref": "Address"}}}))
    template["Resources"]["Address"] = {"Type": "AWS::EC2::EIP"}
    assert state(template) is PASSED


@pytest.mark.parametrize("place", ["resource", "queue", "policy"])
def test_a_macro_within_a_queue_or_its_policy_is_told(place):
    template = stack(allow({"AWS": "444455556666"}, HERE))
    macro = {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "s3://bucket/more.yaml"}}}
    if place == "resource":
        template["Resources"]["More"] = macro
    else:
        template["Resources"][place.capitalize()].setdefault("Properties", {}).update(macro)
    with pytest.raises(TemplateError, match="which only CloudFormation runs"):
        find(json.dumps(template), "x")
    template = stack(allow({"AWS": "444455556666"}, HERE))
    template["Resources"]["Function"] = {"Type": "AWS::Lambda::Function", "Properties": macro}
    assert state(template) is PASSED


@pytest.mark.parametrize("kind", ["AWS::SQS::QueuePolicy", "AWS::SQS::QueueInlinePolicy"])
@pytest.mark.parametrize("url", [{"Ref": "Url"}, "https://sqs.eu-central-1.amazonaws.com/111122223333/theirs"])
def test_a_policy_of_a_queue_that_is_elsewhere_is_judged_as_a_policy(kind, url):
    properties = {"Queues": [url], "Queue": url, "PolicyDocument": document(allow(resource="*"))}
    evaluation = judged(only({"Resources": {"Policy": {"Type": kind, "Properties": properties}}}))
    assert evaluation.state_of("public-access") is REFUSED
    assert evaluation.state_of("queue-encryption") is State.OFF


def test_arns_that_are_spelled_out_say_where_the_stack_is():
    template = stack(allow(resource=f"{ARN}"))
    template["Resources"]["Queue"]["Properties"] = {"QueueName": "orders"}
    found = only(template)
    assert found.queue.arn == ARN
    assert judged(found).state_of("public-access") is REFUSED


def test_the_place_of_a_stack_may_be_known():
    found = only(stack(allow(resource=HERE)), place=Place("111122223333", "eu-central-1"))
    assert found.queue.arn == "arn:aws:sqs:eu-central-1:111122223333:Queue"


WITH_A_KEY = {"Fn::If": ["HasKey", {"Ref": "Who"}, {"Ref": "AWS::NoValue"}]}


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, PASSED),
        ({"SqsManagedSseEnabled": "false"}, REFUSED),
        ({"SqsManagedSseEnabled": {"Ref": "Who"}}, UNKNOWN),
        ({"KmsMasterKeyId": {"Ref": "Who"}, "SqsManagedSseEnabled": False}, UNKNOWN),
        ({"KmsMasterKeyId": WITH_A_KEY, "SqsManagedSseEnabled": {"Fn::If": ["HasKey", False, True]}}, PASSED),
        ({"KmsMasterKeyId": WITH_A_KEY, "SqsManagedSseEnabled": False}, REFUSED),
        ({"KmsMasterKeyId": {"Fn::ImportValue": "key"}, "SqsManagedSseEnabled": False}, PASSED),
        ({"KmsMasterKeyId": {"Fn::GetAtt": "Key.Arn"}}, PASSED),
    ],
)
def test_encryption_is_judged_as_sqs_will_set_it(properties, expected):
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": properties}}, **OPEN}
    template["Resources"]["Key"] = {"Type": "AWS::KMS::Key"}
    template["Conditions"] = {"HasKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Who"}, ""]}]}}
    assert state(template, "queue-encryption") is expected


def test_a_key_of_the_template_is_managed_by_the_customer():
    key = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"KmsMasterKeyId": {"Ref": "Key"}}}}
    found = only({"Resources": {**key, "Key": {"Type": "AWS::KMS::Key"}}})
    elsewhere = only({"Resources": key, "Parameters": {"Key": {"Type": "String", "Default": "some-key"}}})
    strictest = {"levels": {"queue-encryption": "customer-key"}}
    assert judged(found, **strictest).state_of("queue-encryption") is PASSED
    assert judged(elsewhere, **strictest).state_of("queue-encryption") is UNKNOWN


def test_a_dead_letter_queue_is_held_to_the_same_where_it_is_in_the_run():
    queue = {"RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": "Dead.Arn"}, "maxReceiveCount": 3}}
    dead = {"Type": "AWS::SQS::Queue", "Properties": {"SqsManagedSseEnabled": False}}
    found = find(
        json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": queue}, "Dead": dead}}), "x"
    )
    assert judged(found[0], found).state_of("dead-letter-queue") is REFUSED
    evaluation = judged(found[0])
    assert evaluation.state_of("dead-letter-queue") is UNKNOWN
    assert any("in the same run" in finding.next_step for finding in evaluation.findings)


@pytest.mark.parametrize("name", ["Fn::ForEach::Queues", "Fn::Transform"])
def test_what_only_cloudformation_can_expand_is_told(name):
    with pytest.raises(TemplateError, match="get-template"):
        find(json.dumps({"Resources": {name: ["Name", ["a"], {}]}}), "x")


def test_an_exemption_and_a_mode_count_as_they_do_for_a_queue_that_is_there():
    found = only(document(allow()))
    assert judged(found, modes={"public-access": "warn"}).state_of("public-access") is State.WARNED
    exemption = {"queue": ARN, "rule": "public-access", "reason": "partners", "until": NEXT_MONTH}
    assert judged(found, exemptions=[exemption]).state_of("public-access") is State.EXEMPT


def test_what_could_not_be_told_refuses_unless_the_configuration_softens_it():
    found = only(stack(allow({"AWS": {"Ref": "Who"}}, HERE), **OPEN))
    assert judged(found).findings[0].mode is Mode.ENFORCE
    assert judged(found, when_unverifiable="warn").findings[0].mode is Mode.WARN


# --- the CDK, Terraform ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Anywhere.template.json", "assembly-Prod/ProdOrders525171E2.template.json"])
def test_what_the_cdk_writes(name):
    seen = in_file(f"cdk.out/{name}")
    states = {where.split("Policy")[0]: evaluation.compliance() for where, (_, evaluation) in seen.items()}
    assert states == {
        "Dead": Compliance.COMPLIANT,
        "Orders": Compliance.COMPLIANT,
        "Open": Compliance.NON_COMPLIANT,
    }


def test_a_plan_of_terraform():
    seen = in_file("plan.json")
    states = {where: dict(evaluation.states) for where, (_, evaluation) in seen.items()}
    assert states["aws_sqs_queue.open"]["public-access"] is REFUSED
    assert states["aws_sqs_queue.plain"]["queue-encryption"] is REFUSED
    assert set(states["aws_sqs_queue_policy.orders"].values()) == {PASSED, State.OFF}
    assert states["module.dead[0].aws_sqs_queue_policy.this"]["public-access"] is UNKNOWN
    assert states["module.dead[0].aws_sqs_queue_policy.this"]["queue-encryption"] is PASSED


def test_a_policy_document_that_terraform_reads_later_is_put_together_from_what_is_known():
    found, _ = in_file("plan.json")["aws_sqs_queue_policy.orders"]
    assert found.unresolved == ()
    assert found.queue.arn == ARN
    assert json.loads(found.policy) == document(
        {**DENY_HTTP, "Sid": "OnlyHttps", "Action": ["sqs:*"], "Resource": [ARN]}
        | {"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}},
        {
            "Sid": "Topic",
            "Effect": "Allow",
            "Principal": {"Service": ["sns.amazonaws.com"]},
            "Action": ["sqs:SendMessage"],
            "Resource": [ARN],
            "Condition": {"StringEquals": {"aws:SourceAccount": ["111122223333"]}},
        },
    )


def test_a_policy_that_is_known_after_apply_can_be_said():
    text = (FILES / "plan.json").read_text(encoding="utf-8")
    name = "module.dead[0].aws_sqs_queue_policy.this.policy"
    for said, expected in ((document(allow(resource="*")), REFUSED), (document(DENY_HTTP), PASSED)):
        found = {each.where: each for each in find(text, "plan.json", values={name: json.dumps(said)})}
        assert judged(found[name.removesuffix(".policy")]).state_of("public-access") is expected


def changed_plan(**expressions):
    """The plan, with other principals in the data source that is read later."""
    plan = json.loads((FILES / "plan.json").read_text(encoding="utf-8"))
    (source,) = (each for each in plan["resource_changes"] if each["mode"] == "data")
    source["change"]["after"]["statement"][1] |= expressions.get("after", {})
    source["change"]["after_unknown"]["statement"][1] |= expressions.get("unknown", {})
    found = {each.where: each for each in find(json.dumps(plan), "plan.json")}
    return judged(found["aws_sqs_queue_policy.orders"]).state_of("public-access")


def test_a_principal_that_terraform_does_not_know_yet_is_no_pass():
    without = {"condition": []}
    assert changed_plan(after={**without, "principals": [{"type": "AWS", "identifiers": ["*"]}]}) is REFUSED
    unknown = [{"identifiers": [True]}]
    assert (
        changed_plan(
            after={**without, "principals": [{"type": "AWS", "identifiers": [None]}]}, unknown={"principals": unknown}
        )
        is UNKNOWN
    )
    assert (
        changed_plan(
            after={**without, "principals": [{"type": "AWS"}]}, unknown={"principals": [{"identifiers": True}]}
        )
        is UNKNOWN
    )
    assert changed_plan(after={**without, "principals": None}, unknown={"principals": True}) is UNKNOWN
    assert changed_plan(unknown={"condition": True}) is UNKNOWN


def a_plan(*resources, changes=(), expressions=None, prior=()):
    """A plan of resources of the root module, by address, and what is known of each."""

    def listed(pairs):
        return [
            {"address": address, "mode": "data" if address.startswith("data.") else "managed"}
            | {"type": address.removeprefix("data.").split(".")[0], "values": values}
            for address, values in pairs
        ]

    plan = {
        "format_version": "1.2",
        "planned_values": {"root_module": {"resources": listed(resources)}},
        "resource_changes": [{"address": address, **change} for address, change in changes],
        "prior_state": {"values": {"root_module": {"resources": listed(prior)}}},
    }
    if expressions is not None:
        configured = [{"address": address, "expressions": each} for address, each in expressions.items()]
        plan["configuration"] = {"root_module": {"resources": configured}}
    found = find(json.dumps(plan), "plan.json")
    return {each.where: judged(each, found) for each in found}


URL = "https://sqs.eu-central-1.amazonaws.com/111122223333/orders"
OF_QUEUE = {"queue_url": {"references": ["aws_sqs_queue.q.url", "aws_sqs_queue.q"]}}
KNOWN_LATER = {"actions": ["create"], "after": {}, "after_unknown": {"policy": True, "queue_url": True}}


def test_what_a_plan_knows_of_a_policy_that_another_resource_changes_is_not_judged():
    resources = [
        ("aws_sqs_queue.q", {**STATE_QUEUE, "policy": json.dumps(document(allow()))}),
        ("aws_sqs_queue_policy.p", {"queue_url": URL, "policy": json.dumps(document(DENY_HTTP))}),
    ]
    left_out = {"aws_sqs_queue.q": {"name": {}}, "aws_sqs_queue_policy.p": OF_QUEUE}
    assert {where: each.compliance() for where, each in a_plan(*resources, expressions=left_out).items()} == {
        "aws_sqs_queue_policy.p": Compliance.COMPLIANT
    }
    said = {**left_out, "aws_sqs_queue.q": {"policy": {}}}
    for expressions in (None, said):
        seen = a_plan(*resources, expressions=expressions)
        assert seen["aws_sqs_queue.q"].state_of("public-access") is REFUSED
    seen = a_plan(resources[0], expressions=left_out)
    assert seen["aws_sqs_queue.q"].state_of("public-access") is REFUSED


def test_a_plan_without_its_configuration_does_not_say_what_is_known_later():
    seen = a_plan(("aws_sqs_queue_policy.p", {}), changes=[("aws_sqs_queue_policy.p", {"change": KNOWN_LATER})])
    assert seen["aws_sqs_queue_policy.p"].state_of("public-access") is UNKNOWN


def test_an_object_that_waits_for_its_end_does_not_stand_for_the_one_in_its_place():
    gone = {"change": {"actions": ["delete"], "after": None, "after_unknown": {}}, "deposed": "0a1b2c3d"}
    seen = a_plan(
        ("aws_sqs_queue.q", {"name": "orders"}),
        ("aws_sqs_queue_policy.p", {}),
        changes=[("aws_sqs_queue_policy.p", {"change": KNOWN_LATER}), ("aws_sqs_queue_policy.p", gone)],
        expressions={"aws_sqs_queue_policy.p": {**OF_QUEUE, "policy": {"references": ["aws_sqs_queue.q.arn"]}}},
    )
    assert seen["aws_sqs_queue_policy.p"].state_of("public-access") is UNKNOWN
    present = {"attributes": {**STATE_QUEUE, "policy": json.dumps(document(allow()))}}
    deposed = {"attributes": {**STATE_QUEUE, "policy": ""}, "deposed": "0a1b2c3d"}
    queue = {"mode": "managed", "type": "aws_sqs_queue", "name": "q", "instances": [present, deposed]}
    assert state({"version": 4, "terraform_version": "1.9.8", "resources": [queue]}, name="x.tfstate") is REFUSED


def test_a_queue_that_terraform_only_looks_up_is_not_known_to_be_encrypted():
    dead = "arn:aws:sqs:eu-central-1:111122223333:dead"
    seen = a_plan(
        ("aws_sqs_queue.q", {"name": "orders", "redrive_policy": json.dumps({"deadLetterTargetArn": dead})}),
        ("aws_sqs_queue_policy.p", {"queue_url": URL, "policy": json.dumps(document(DENY_HTTP))}),
        prior=[("data.aws_sqs_queue.d", {"arn": dead, "name": "dead"}), ("data.aws_sqs_queue.q", STATE_QUEUE)],
    )
    assert [*seen] == ["aws_sqs_queue_policy.p", "aws_sqs_queue.q"]
    assert seen["aws_sqs_queue.q"].state_of("dead-letter-queue") is UNKNOWN
    assert seen["aws_sqs_queue_policy.p"].queue.name == "orders"
    assert seen["aws_sqs_queue_policy.p"].state_of("queue-encryption") is State.OFF


@pytest.mark.parametrize(
    ("also", "expected"), [([], PASSED), (["each.key"], PASSED), (["b"], UNKNOWN), (["local.wide"], UNKNOWN)]
)
def test_a_policy_that_refers_to_more_than_one_document_is_not_taken_for_the_first(also, expected):
    def read(identifier):
        principals = [{"type": "AWS", "identifiers": [identifier]}]
        after = {"statement": [{"actions": ["sqs:*"], "principals": principals, "resources": None}]}
        change = {"actions": ["read"], "after": after}
        change["after_unknown"] = {"json": True, "statement": [{"resources": True}]}
        return {"type": "aws_iam_policy_document", "mode": "data", "change": change}

    source = "data.aws_iam_policy_document."
    references = [f"{source}a.json", f"{source}a"]
    for each in also:
        references += [f"{source}b.json", f"{source}b"] if each == "b" else [each]
    only_here = [{"resources": {"references": ["aws_sqs_queue.q.arn", "aws_sqs_queue.q"]}}]
    seen = a_plan(
        ("aws_sqs_queue.q", {"name": "orders"}),
        ("aws_sqs_queue_policy.p", {}),
        changes=[
            ("aws_sqs_queue_policy.p", {"change": KNOWN_LATER}),
            (f"{source}a", read("444455556666")),
            (f"{source}b", read("*")),
        ],
        expressions={
            "aws_sqs_queue.q": {"name": {}},
            "aws_sqs_queue_policy.p": {**OF_QUEUE, "policy": {"references": references}},
            f"{source}a": {"statement": only_here},
            f"{source}b": {"statement": only_here},
        },
    )
    assert seen["aws_sqs_queue_policy.p"].state_of("public-access") is expected


STATE_QUEUE = {"arn": ARN, "url": "https://sqs.eu-central-1.amazonaws.com/111122223333/orders", "name": "orders"}


def test_a_state_in_json_and_a_state_file_are_the_same():
    values = {**STATE_QUEUE, "policy": "", "sqs_managed_sse_enabled": True, "kms_master_key_id": ""}
    attached = {"queue_url": STATE_QUEUE["url"], "policy": json.dumps(document(allow()))}
    shown = [
        {"address": "aws_sqs_queue.q", "mode": "managed", "type": "aws_sqs_queue", "name": "q", "values": values},
        {
            "address": "aws_sqs_queue_policy.q",
            "mode": "managed",
            "type": "aws_sqs_queue_policy",
            "name": "q",
            "values": attached,
        },
    ]
    json_state = {"format_version": "1.0", "terraform_version": "1.11.4"}
    json_state["values"] = {"root_module": {"resources": shown}}
    file = {"version": 4, "terraform_version": "1.11.4"}
    file["resources"] = [
        {**{key: each[key] for key in ("mode", "type", "name")}, "instances": [{"attributes": each["values"]}]}
        for each in shown
    ]
    for data in (json_state, file):
        evaluation = judged(only(data))
        assert evaluation.queue.arn == ARN
        assert evaluation.state_of("public-access") is REFUSED
        assert evaluation.state_of("queue-encryption") is PASSED


# --- what cannot be read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("", "x.json", "is empty"),
        (" \n", "x", "is empty"),
        ("{", "x.json", "not JSON"),
        ("{", "x", "not JSON"),
        ('{"Version": NaN}', "x.json", "not JSON"),
        ('{"Statement": [], "Statement": []}', "x.json", "'Statement' is there twice"),
        ("Statement: []\nStatement: []\n", "x.yaml", "'Statement' is there twice in one object, in line 2"),
        ("a: [", "x.yaml", "not YAML"),
        ("a: *b", "x.yaml", "alias"),
        ("a: &a [*a]", "x.yaml", "alias"),
        ("? [a]\n: b", "x.yaml", "a key is a list"),
        ("[" * 200 + "]" * 200, "x.yaml", "nested"),
        ("[" * 200 + "]" * 200, "x.json", "nested"),
        ("[" * 100_000, "x.json", "not JSON"),
        ("\x00", "x.yaml", "not YAML"),
        ("\ud800", "x.yaml", "not YAML"),
        ('{"Version": "2012-10-17"}', "x.json", "no Statement"),
        ('{"Attributes": {"QueueArn": "x"}}', "x.json", "no Policy"),
        ("[]", "x.json", "neither a policy"),
        ("1", "x.json", "neither a policy"),
        ("hello", "x", "neither a policy"),
        ('{"Resources": {}}', "x.json", "no queue"),
        ('resource "aws_sqs_queue" "q" {}', "main.tf", "terraform show -json"),
    ],
)
def test_what_cannot_be_judged_is_told_with_the_next_step(text, name, told):
    with pytest.raises(TemplateError, match=told) as error:
        find(text, name)
    assert error.value.next_step
    assert "\n" not in str(error.value)


def test_aliases_that_multiply_are_bounded():
    levels = "".join(f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]\n" for at in range(1, 10))
    with pytest.raises(TemplateError, match="values"):
        find(f"a0: &a0 [x]\n{levels}", "x.yaml")


def test_yaml_merges_and_anchors_mean_what_they_say():
    text = "base: &base {Effect: Allow, Action: sqs:SendMessage}\n"
    text += f"Statement:\n- <<: *base\n  Principal: '*'\n  Resource: {ARN}\n  Action: sqs:ReceiveMessage\n"
    (statement,) = json.loads(only(text.replace("base: ", "Id: x\nVersion: 2012-10-17\nbase: ")).policy)["Statement"]
    assert statement == {"Effect": "Allow", "Action": "sqs:ReceiveMessage", "Principal": "*", "Resource": ARN}


def test_account_ids_and_dates_in_yaml_stay_as_they_are_written():
    text = "Version: 2012-10-17\nStatement:\n  Effect: Allow\n  Principal: {AWS: 012345670123}\n"
    text += "  Action: sqs:SendMessage\n  Resource: '*'\n"
    read = json.loads(only(text).policy)
    assert (read["Version"], read["Statement"]["Principal"]["AWS"]) == ("2012-10-17", "012345670123")


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system [x]", "!!binary aGVsbG8=", "!Ref x: 1"])
def test_tags_of_yaml_make_nothing(text):
    with pytest.raises(TemplateError):
        find(text, "x.yaml")


KEYS = ["Statement", "Version", "Effect", "Principal", "Action", "Resource", "Condition", "AWS", "Ref"]
KEYS += [f"Fn::{name}" for name in ("If", "Sub", "Join", "GetAtt", "Select", "Split", "FindInMap", "ToJsonString")]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["*", "Ref", ARN, "AWS::SQS::Queue"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(JSON)
def test_any_policy_document_in_a_template_is_judged_or_could_not_be_told(value):
    template = stack({})
    template["Resources"]["Policy"]["Properties"]["PolicyDocument"] = value
    for found in find(json.dumps(template), "x.json"):
        assert judged(found).states


@settings(max_examples=60, deadline=None, derandomize=True)
@given(JSON, st.sampled_from(["QueueName", "KmsMasterKeyId", "SqsManagedSseEnabled", "RedrivePolicy"]))
def test_any_property_of_a_queue_is_judged_or_could_not_be_told(value, name):
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {name: value}}}}
    assert judged(only(template)).states


SHAPES = ["planned_values", "values", "resources", "Attributes", "Resources", "Statement"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from([*SHAPES, "format_version", "terraform_version", "root_module"]), JSON))
def test_any_json_gives_policies_or_one_clear_error(data):
    try:
        found = find(json.dumps(data), "x.json")
    except TemplateError as error:
        assert error.found
        assert error.next_step
    else:
        assert all(judged(each, found).states for each in found)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("{}[]:,-&*!|>'\"#\n \tab1?%@<~") | st.characters(), max_size=40))
def test_any_text_gives_policies_or_one_clear_error(text):
    for name in ("x.yaml", "x.json", "x"):
        with pytest.raises(TemplateError) as error:
            find(text, name)
        assert "\n" not in error.value.found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([allow(), DENY_HTTP, allow({"AWS": "444455556666"})]), min_size=1, max_size=3))
def test_the_judge_says_the_same_inside_of_a_template_as_outside(statements):
    inside = stack({})
    inside["Resources"]["Queue"]["Properties"] = {"QueueName": "orders"}
    inside["Resources"]["Policy"]["Properties"]["PolicyDocument"] = document(*statements)
    public = policy.public_access(document(*statements), queue_arn=ARN).found
    assert (state(inside) is REFUSED) is public
