"""The table of operations, and the roles that it makes: by itself, and end to end."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.loaders import Loader
from botocore.stub import Stubber
from support import REGION, TEMPORARY, WIRE_ONLY

from safe_sqs import Config, RefusedError, Role, guard
from safe_sqs.events import Refused
from safe_sqs.operations import CHANGES, OPERATIONS, ROLE_KINDS, Kind, kind_of

CLIENT = {"region_name": REGION, **TEMPORARY}


@pytest.fixture(scope="session")
def service_model() -> Any:
    return botocore.session.Session().get_service_model("sqs")


def test_the_table_is_botocores_model_of_sqs(service_model):
    assert sorted(OPERATIONS) == sorted(service_model.operation_names)


def test_an_unknown_operation_counts_as_administration():
    assert kind_of("OpenTheGates") is Kind.ADMINISTER
    assert kind_of("sendmessage") is Kind.ADMINISTER
    assert kind_of("") is Kind.ADMINISTER


def test_what_changes_a_queue_is_administration():
    assert {kind_of(operation) for operation in CHANGES} == {Kind.ADMINISTER}


def test_only_reading_is_for_all_roles():
    shared = frozenset.intersection(*ROLE_KINDS.values())
    assert shared == {Kind.READ}
    assert set(ROLE_KINDS) == set(Role)
    assert frozenset.union(*ROLE_KINDS.values()) == set(Kind)


def test_whatever_takes_a_policy_or_attributes_is_judged_as_a_change(service_model):
    takes = {
        name
        for name in service_model.operation_names
        if {"Attributes", "AWSAccountIds", "Label"} & set(service_model.operation_model(name).input_shape.members)
    }
    assert takes == set(CHANGES)


def test_what_names_itself_a_reader_reads(service_model):
    for name in service_model.operation_names:
        reads = name.startswith(("Get", "List"))
        assert (OPERATIONS[name] is Kind.READ) is reads


# --- end to end --------------------------------------------------------------------------------------------------


class Stage:
    """A queue with a message in it, and what each operation needs to work there."""

    def __init__(self, raw: Any, make_queue: Callable[..., str], name: str) -> None:
        dead = make_queue("-dead")
        self.dead_arn = _arn(raw, dead)
        redrive = json.dumps({"deadLetterTargetArn": self.dead_arn, "maxReceiveCount": 5})
        self.url = make_queue("-staged", RedrivePolicy=redrive)
        self.name = name
        self.raw = raw
        raw.tag_queue(QueueUrl=self.url, Tags={"team": "orders"})

    def parameters(self, operation: str) -> dict[str, Any]:
        """Parameters with which the operation is legal."""
        queue = {"QueueUrl": self.url}
        held = {"Id": "1", "ReceiptHandle": "made-up"}
        one = {"ReceiptHandle": "made-up"}
        return {
            "AddPermission": queue | {"Label": "label", "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]},
            "CancelMessageMoveTask": {"TaskHandle": "made-up"},
            "ChangeMessageVisibility": queue | one | {"VisibilityTimeout": 1},
            "ChangeMessageVisibilityBatch": queue | {"Entries": [held | {"VisibilityTimeout": 1}]},
            "CreateQueue": {"QueueName": f"{self.name}-new"},
            "DeleteMessage": queue | one,
            "DeleteMessageBatch": queue | {"Entries": [held]},
            "GetQueueAttributes": queue | {"AttributeNames": ["QueueArn"]},
            "GetQueueUrl": {"QueueName": f"{self.name}-staged"},
            "ListMessageMoveTasks": {"SourceArn": self.dead_arn},
            "ListQueues": {},
            "RemovePermission": queue | {"Label": "label"},
            "SendMessage": queue | {"MessageBody": "x"},
            "SendMessageBatch": queue | {"Entries": [{"Id": "1", "MessageBody": "x"}]},
            "SetQueueAttributes": queue | {"Attributes": {"VisibilityTimeout": "7"}},
            "StartMessageMoveTask": {"SourceArn": self.dead_arn},
            "TagQueue": queue | {"Tags": {"a": "b"}},
            "UntagQueue": queue | {"TagKeys": ["a"]},
        }.get(operation, queue)

    def state(self) -> Any:
        """What can be seen of the queue and its neighbours from outside."""
        attributes = self.raw.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        tags = self.raw.list_queue_tags(QueueUrl=self.url).get("Tags")
        queues = self.raw.list_queues(QueueNamePrefix=self.name).get("QueueUrls")
        return attributes, tags, queues


def _arn(raw: Any, url: str) -> str:
    arn: str = raw.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return arn


@pytest.fixture
def stage(raw, make_queue, queue_name) -> Stage:
    return Stage(raw, make_queue, queue_name)


def method(client: Any, operation: str) -> Callable[..., Any]:
    """The client's method for an operation."""
    names = client.meta.method_to_api_mapping
    found: Callable[..., Any] = getattr(client, next(name for name, each in names.items() if each == operation))
    return found


def leaving(client: Any) -> list[str]:
    """The operations whose requests leave the client, from now on."""
    left: list[str] = []
    client.meta.events.register_last("before-send", lambda event_name, **_: left.append(event_name.split(".")[-1]))
    return left


@pytest.mark.parametrize("role", Role)
def test_a_client_refuses_what_its_role_does_not_need(role, stage, make_client):
    client = make_client(role=role)
    left = leaving(client)
    before = stage.state()
    for operation, kind in OPERATIONS.items():
        if kind in ROLE_KINDS[role]:
            continue
        with pytest.raises(RefusedError) as caught:
            method(client, operation)(**stage.parameters(operation))
        assert [finding.rule for finding in caught.value.findings] == ["role-operations"]
        assert caught.value.operation == operation
    assert set(left) <= {"GetQueueAttributes"}
    assert stage.state() == before


@pytest.mark.parametrize("role", [*Role, None])
def test_a_client_does_what_its_role_needs(role, stage, make_client):
    client = make_client(role=role)
    left = leaving(client)
    allowed = [operation for operation, kind in OPERATIONS.items() if role is None or kind in ROLE_KINDS[role]]
    for operation in sorted(allowed, key=lambda name: name in ("DeleteQueue", "PurgeQueue")):
        with suppress(client.exceptions.ClientError):  # a made-up handle: all that is asked here is that it went out
            method(client, operation)(**stage.parameters(operation))
    assert set(allowed) <= set(left)


def test_producers_and_consumers_work_together(make_client, good):
    make_client(role="producer").send_message(QueueUrl=good, MessageBody="hello")
    consumer = make_client(role="consumer")
    (message,) = consumer.receive_message(QueueUrl=good)["Messages"]
    assert message["Body"] == "hello"
    consumer.delete_message(QueueUrl=good, ReceiptHandle=message["ReceiptHandle"])


def test_a_refusal_by_role_is_told_once_with_the_queue(make_client, good, told):
    with pytest.raises(RefusedError):
        make_client(role="producer").receive_message(QueueUrl=good)
    (refused,) = [event for event in told if isinstance(event, Refused)]
    assert (refused.operation, refused.queue) == ("ReceiveMessage", good)


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_a_role_that_is_not_enforced_stops_nothing(mode, make_client, good):
    client = make_client(role="consumer", modes={"role-operations": mode})
    client.send_message(QueueUrl=good, MessageBody="hello")


def test_presigned_urls_are_held_to_the_role_too():
    client = guard(boto3.client("sqs", **CLIENT), Config(role="consumer", modes=WIRE_ONLY))
    parameters = {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/111122223333/orders", "MessageBody": "x"}
    with pytest.raises(RefusedError) as caught:
        client.generate_presigned_url("send_message", parameters)
    assert [finding.rule for finding in caught.value.findings] == ["role-operations"]


def test_nothing_leaves_a_stubbed_client_so_its_role_refuses_nothing():
    client = guard(boto3.client("sqs", **CLIENT), Config(role="consumer"))
    with Stubber(client) as stubber:
        stubber.add_response("send_message", {"MessageId": "1"})
        assert client.send_message(QueueUrl="https://queue", MessageBody="x")["MessageId"] == "1"
        stubber.assert_no_pending_responses()


@pytest.fixture
def newer_sqs(tmp_path, monkeypatch) -> None:
    """An SQS with one more operation, as a newer botocore might have it."""
    model = copy.deepcopy(Loader().load_service_model("sqs", "service-2"))
    model["operations"]["OpenTheGates"] = copy.deepcopy(model["operations"]["PurgeQueue"]) | {"name": "OpenTheGates"}
    folder = tmp_path / "sqs" / "2012-11-05"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps(model), encoding="utf-8")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))


@pytest.mark.usefixtures("newer_sqs")
@pytest.mark.parametrize("role", [Role.PRODUCER, Role.CONSUMER])
def test_an_operation_that_aws_adds_is_refused_to_those_who_do_not_administer(role, make_client, good):
    client = make_client(role=role)
    left = leaving(client)
    with pytest.raises(RefusedError) as caught:
        client.open_the_gates(QueueUrl=good)
    assert [finding.rule for finding in caught.value.findings] == ["role-operations"]
    assert left == []


@pytest.mark.usefixtures("newer_sqs")
@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, None])
def test_an_operation_that_aws_adds_goes_out_for_those_who_administer(role, make_client, good):
    client = make_client(role=role)
    left = leaving(client)
    with pytest.raises(client.exceptions.ClientError):
        client.open_the_gates(QueueUrl=good)
    assert set(left) == {"OpenTheGates"}
