"""A client with a role that does what only other roles do."""

from __future__ import annotations

import os

from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("roles")
way = FAMILY.way


@way
def producer_that_receives(stage: Stage) -> None:
    """A producer that receives."""
    stage.watch(stage.good)
    stage.client(role="producer").receive_message(QueueUrl=stage.good)


@way
def consumer_that_sends(stage: Stage) -> None:
    """A consumer that sends a batch."""
    entries = [{"Id": "1", "MessageBody": stage.secret}]
    stage.client(role="consumer").send_message_batch(QueueUrl=stage.good, Entries=entries)


@way
def administrator_that_receives(stage: Stage) -> None:
    """An administrator that receives."""
    stage.watch(stage.good)
    stage.client(role="administrator").receive_message(QueueUrl=stage.good)


@way
def producer_that_purges_as_a_resource(stage: Stage) -> None:
    """A producer that purges, by a resource and the environment."""
    stage.watch(stage.good, ("PurgeQueue",))
    os.environ["SAFE_SQS_ROLE"] = "producer"
    stage.library.resource("sqs").Queue(stage.good).purge()


@way
def consumer_that_deletes_the_queue(stage: Stage) -> None:
    """A consumer that deletes the queue in place of a message."""
    stage.watch(stage.good, ("DeleteQueue",))
    stage.client(role="consumer").delete_queue(QueueUrl=stage.good)


@way
def producer_with_a_second_role(stage: Stage) -> None:
    """A producer that is guarded once more, without a role."""
    stage.watch(stage.good)
    stage.protect(stage.client(role="producer")).receive_message(QueueUrl=stage.good)
