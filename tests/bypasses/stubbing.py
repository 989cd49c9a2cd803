"""botocore's Stubber, which a test may leave behind."""

from __future__ import annotations

from botocore.stub import Stubber
from support import new_session

from bypasses.presigned import presign, use
from bypasses.stage import Stage
from bypasses.ways import Family

FAMILY = Family("Stubber")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope

_SENT = {"MD5OfMessageBody": "x", "MessageId": "id"}


@way
def after_it_ended(stage: Stage) -> None:
    """A client that was stubbed for a message, once the stubs are taken away."""
    client = stage.client()
    with Stubber(client) as stubs:
        stubs.add_response("send_message", _SENT)
        client.send_message(QueueUrl=stage.bad, MessageBody="harmless")
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def stubbed_before_it_was_guarded(stage: Stage) -> None:
    """A client that was stubbed first, guarded then, and is not stubbed any more."""
    client = stage.unprotected()
    stubs = Stubber(client)
    stubs.activate()
    stage.protect(client)
    stubs.deactivate()
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def another_client(stage: Stage) -> None:
    """A client that is not stubbed, beside one that is."""
    session = new_session()
    stubbed, other = stage.protect(session.client("sqs")), stage.protect(session.client("sqs"))
    with Stubber(stubbed):
        other.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def never_activated(stage: Stage) -> None:
    """A client with stubs that nobody activated."""
    client = stage.client()
    Stubber(client).add_response("send_message", _SENT)
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def presigned_under_stubs(stage: Stage) -> None:
    """A presigned URL of a client that is stubbed: stubs answer calls only."""
    client = stage.client()
    with Stubber(client):
        url = presign(client, stage.bad, stage.secret)
    use(stage, url)


@out_of_scope("With botocore's Stubber nothing is signed and nothing leaves, so nothing is judged")
def answered_by_a_stub(stage: Stage) -> None:
    """A message to a bad queue that a stub answers. Nothing leaves, and nobody refuses."""
    client = stage.client()
    with Stubber(client) as stubs:
        stubs.add_response("send_message", _SENT)
        client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)
    stage.note()
