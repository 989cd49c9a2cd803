"""boto3's resources: queues, messages and collections as objects."""

from __future__ import annotations

from typing import Any

import boto3
from support import new_session

from bypasses.stage import Stage, name_of
from bypasses.ways import Face, Family

FAMILY = Family("resource objects")
way, way_where = FAMILY.way, FAMILY.way_where


@way
def sending(stage: Stage) -> None:
    """A message by a queue."""
    stage.library.resource("sqs").Queue(stage.bad).send_message(MessageBody=stage.secret)


@way
def sending_a_batch(stage: Stage) -> None:
    """A batch by a queue."""
    entries = [{"Id": "1", "MessageBody": stage.secret}]
    stage.library.resource("sqs").Queue(stage.bad).send_messages(Entries=entries)


@way
def receiving(stage: Stage) -> None:
    """A receive by a queue."""
    stage.library.resource("sqs").Queue(stage.bad).receive_messages()


@way
def found_by_its_name(stage: Stage) -> None:
    """A queue that was found by its name."""
    queue = stage.library.resource("sqs").get_queue_by_name(QueueName=name_of(stage.bad))
    queue.send_message(MessageBody=stage.secret)


@way
def found_in_a_collection(stage: Stage) -> None:
    """A queue that was found in a collection."""
    for queue in stage.session().resource("sqs").queues.filter(QueueNamePrefix=name_of(stage.bad)):
        queue.send_message(MessageBody=stage.secret)


@way
def found_in_pages_of_a_collection(stage: Stage) -> None:
    """A queue that was found in the pages of a collection with a limit."""
    found = stage.session().resource("sqs").queues.filter(QueueNamePrefix=name_of(stage.bad)).limit(1)
    for page in found.pages():
        for queue in page:
            queue.send_message(MessageBody=stage.secret)


@way
def client_of_a_queue(stage: Stage) -> None:
    """The client of a queue."""
    client = stage.library.resource("sqs").Queue(stage.bad).meta.client
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def queue_of_a_message(stage: Stage) -> None:
    """The queue that a message leads back to."""
    message = stage.library.resource("sqs").Message(stage.bad, "handle")
    message.Queue().send_message(MessageBody=stage.secret)


@way
def source_of_dead_letters(stage: Stage) -> None:
    """A queue that is found among those whose dead letters another takes."""
    target = stage.queue("target")
    stage.point_at_dead_letters(stage.bad, target)
    for queue in stage.session().resource("sqs").Queue(target).dead_letter_source_queues.all():
        queue.send_message(MessageBody=stage.secret)


@way
def subresource(stage: Stage) -> None:
    """A queue made by the method that a resource lists among its sub-resources."""
    resource = stage.session().resource("sqs")
    assert "Queue" in resource.get_available_subresources()
    resource.Queue(url=stage.bad).send_message(MessageBody=stage.secret)


@way
def method_that_is_added(stage: Stage) -> None:
    """A method that `creating-resource-class` adds to a queue."""

    def post(self: Any, text: str) -> None:
        self.meta.client.send_message(QueueUrl=self.url, MessageBody=text)

    session = stage.session()
    session.events.register(
        "creating-resource-class.sqs.Queue", lambda class_attributes, **_: class_attributes.update(post=post)
    )
    session.resource("sqs").Queue(stage.bad).post(stage.secret)


@way
def resource_over_plain_http(stage: Stage) -> None:
    """A resource with an endpoint over plain HTTP."""
    resource = stage.session().resource("sqs", endpoint_url=stage.plain.url)
    resource.Queue(stage.good).send_message(MessageBody=stage.secret)


@way
def client_swapped_inside(stage: Stage) -> None:
    """A resource whose client's endpoint is turned to plain HTTP under it."""
    queue = stage.session().resource("sqs").Queue(stage.good)
    queue.send_message(MessageBody="harmless")
    queue.meta.client._resolve_endpoint_ruleset = lambda *_, **__: (stage.plain.url, {}, {})
    queue.send_message(MessageBody=stage.secret)


@way
def queue_made_by_hand_around_a_guarded_client(stage: Stage) -> None:
    """A queue whose class is taken from boto3, with a guarded client handed in."""
    kind = type(new_session().resource("sqs").Queue(stage.bad))
    kind(stage.bad, client=stage.client()).send_message(MessageBody=stage.secret)


@way_where(only=Face.SWITCH)
def resource_of_boto3(stage: Stage) -> None:
    """A resource of boto3 itself, in a program that knows nothing of the guard."""
    entries = [{"Id": "1", "MessageBody": stage.secret}]
    boto3.resource("sqs").Queue(stage.bad).send_messages(Entries=entries)
