"""Tests of a program that uses SQS, in the ways in which moto's mock is used. Which credentials they have, and how
their queue is made, is for the environment to say."""

import json
import os

import boto3
import pytest
from moto import mock_aws
from moto.sqs import sqs_backends

REGION = os.environ["AWS_DEFAULT_REGION"]
QUEUE = f"https://sqs.{REGION}.amazonaws.com/123456789012/orders"
CONFIG = {"core": {"mock_credentials": "OWN_CREDENTIALS" not in os.environ}}

made_before = boto3.client("sqs")


def create_queue():
    """As infrastructure code has made it: the program under test does not."""
    backend = sqs_backends["123456789012"][REGION]
    return backend.create_queue("orders", **json.loads(os.environ.get("QUEUE_ATTRIBUTES", "{}")))


def bodies(queue):
    return [each.body for each in queue.messages]


@mock_aws(config=CONFIG)
def test_decorated():
    queue = create_queue()
    boto3.client("sqs").send_message(QueueUrl=QUEUE, MessageBody="hello")
    assert bodies(queue) == ["hello"]


def test_in_a_context():
    with mock_aws(config=CONFIG):
        queue = create_queue()
        boto3.resource("sqs").Queue(QUEUE).send_message(MessageBody="hello")
        assert bodies(queue) == ["hello"]


@mock_aws(config=CONFIG)
def test_with_a_client_made_before():
    queue = create_queue()
    made_before.send_message(QueueUrl=QUEUE, MessageBody="hello")
    assert bodies(queue) == ["hello"]


@pytest.fixture
def sqs():
    with mock_aws(config=CONFIG):
        create_queue()
        yield boto3.client("sqs")


def test_with_a_fixture(sqs):
    sqs.send_message_batch(QueueUrl=QUEUE, Entries=[{"Id": "1", "MessageBody": "hello"}])
    assert [each["Body"] for each in sqs.receive_message(QueueUrl=QUEUE)["Messages"]] == ["hello"]


@mock_aws(config=CONFIG)
class TestOfAClass:
    def test_a_method(self):
        create_queue()
        boto3.session.Session().client("sqs").send_message(QueueUrl=QUEUE, MessageBody="hello")
