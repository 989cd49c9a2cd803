"""Changes that would make a queue bad, so that the next message goes to a bad queue."""

from __future__ import annotations

import json

from botocore.exceptions import ClientError
from sockets import Answer
from support import UNENCRYPTED

from bypasses.stage import OPEN_POLICY, Stage, name_of
from bypasses.ways import Family

FAMILY = Family("changes to queues")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope

_SET = ("SetQueueAttributes",)


@way
def making_one_without_encryption(stage: Stage) -> None:
    """A new queue without encryption."""
    name = f"{name_of(stage.good)}-new"
    stage.watch(name, ("CreateQueue",))
    stage.client().create_queue(QueueName=name, Attributes=UNENCRYPTED)


@way
def making_an_open_one(stage: Stage) -> None:
    """A new queue that anyone may use."""
    name = f"{name_of(stage.good)}-new"
    stage.watch(name, ("CreateQueue",))
    stage.client().create_queue(QueueName=name, Attributes={"Policy": OPEN_POLICY})


@way
def making_one_by_the_resource(stage: Stage) -> None:
    """A new queue without encryption, by a resource."""
    name = f"{name_of(stage.good)}-new"
    stage.watch(name, ("CreateQueue",))
    stage.library.resource("sqs").create_queue(QueueName=name, Attributes=UNENCRYPTED)


@way
def taking_the_encryption_away(stage: Stage) -> None:
    """The encryption of a queue is taken away."""
    stage.watch(stage.good, _SET)
    stage.client().set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)


@way
def taking_the_encryption_away_among_others(stage: Stage) -> None:
    """The encryption of a queue is taken away, among many attributes that do no harm."""
    stage.watch(stage.good, _SET)
    attributes = {"VisibilityTimeout": "60", "DelaySeconds": "1", **UNENCRYPTED, "ReceiveMessageWaitTimeSeconds": "1"}
    stage.client().set_queue_attributes(Attributes=attributes, QueueUrl=stage.good)


@way
def opening_by_the_policy(stage: Stage) -> None:
    """A queue is opened by its policy."""
    stage.watch(stage.good, _SET)
    stage.client().set_queue_attributes(QueueUrl=stage.good, Attributes={"Policy": OPEN_POLICY})


@way
def opening_by_a_policy_that_looks_closed(stage: Stage) -> None:
    """A queue is opened by a policy whose Deny does not hold for an outsider."""
    statements = [
        {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*",
         "Condition": {"StringEquals": {"aws:UserAgent": "curl"}}},
    ]  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    stage.watch(stage.good, _SET)
    stage.client().set_queue_attributes(QueueUrl=stage.good, Attributes={"Policy": policy})


@way
def opening_as_a_resource(stage: Stage) -> None:
    """A queue is opened by its policy, by a resource."""
    stage.watch(stage.good, _SET)
    stage.library.resource("sqs").Queue(stage.good).set_attributes(Attributes={"Policy": OPEN_POLICY})


@way
def adding_a_permission_for_everyone(stage: Stage) -> None:
    """A queue is opened by AddPermission for every account."""
    stage.watch(stage.good, ("AddPermission",))
    stage.client().add_permission(QueueUrl=stage.good, Label="all", AWSAccountIds=["*"], Actions=["SendMessage"])


@way
def pointing_at_a_bad_dead_letter_queue(stage: Stage) -> None:
    """A queue is pointed at a dead-letter queue without encryption."""
    redrive = stage.redrive_to(stage.bad)
    stage.watch(stage.good, _SET)
    stage.client().set_queue_attributes(QueueUrl=stage.good, Attributes={"RedrivePolicy": redrive})


@way
def sending_where_dead_letters_go_to_a_bad_queue(stage: Stage) -> None:
    """A message to a queue whose dead-letter queue is not encrypted."""
    stage.point_at_dead_letters(stage.good, stage.bad)
    stage.client().send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def sending_to_an_open_queue(stage: Stage) -> None:
    """A message to a queue that anyone may use."""
    stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes={"Policy": OPEN_POLICY})
    stage.client().send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def sending_to_a_queue_whose_policy_makes_no_sense(stage: Stage) -> None:
    """A message to a queue whose policy nobody can judge."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps", "Principal": "*"}]})
    attributes = {"QueueArn": stage.arn(stage.good), "SqsManagedSseEnabled": "true", "Policy": policy}

    def answer(request: object) -> Answer:
        return Answer(body=json.dumps({"Attributes": attributes, "MessageId": "id"}).encode())

    stage.unknown.answer = answer
    stage.allowed_at_unknown = 1 if stage.is_guarded else 0
    stage.client(stage.to_unknown).send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@out_of_scope("The destination of a move task is not judged")
def moving_messages_to_a_bad_queue(stage: Stage) -> None:
    """A task that moves messages to a queue without encryption."""
    source, target = stage.arn(stage.good), stage.arn(stage.bad)
    stage.watch(stage.bad, ("StartMessageMoveTask",))
    try:
        stage.client().start_message_move_task(SourceArn=source, DestinationArn=target)
    except ClientError:  # the emulator knows no such tasks
        return
