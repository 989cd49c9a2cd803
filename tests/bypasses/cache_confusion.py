"""Verdicts about one queue that could be taken for those about another, or about the same at another time."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from botocore.config import Config as ClientConfig
from sockets import Answer
from support import TEMPORARY, UNENCRYPTED

import safe_sqs
from bypasses.stage import ACCOUNT, NEXT_WEEK, OPEN_POLICY, Stage, name_of
from bypasses.ways import Family

FAMILY = Family("cache confusion")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope


@way
def same_name_in_another_region(stage: Stage) -> None:
    """A queue of the same URL in another region."""
    url = stage.queue("twin", "eu-west-1", **UNENCRYPTED)
    stage.raw.create_queue(QueueName=name_of(url))
    stage.watch(url, region="eu-west-1")
    stage.client().send_message(QueueUrl=url, MessageBody="harmless")
    stage.client({"region_name": "eu-west-1"}).send_message(QueueUrl=url, MessageBody=stage.secret)


@way
def same_name_in_another_account(stage: Stage) -> None:
    """A queue of the same name in another account, asked for by its bare name."""
    name = name_of(stage.good)
    stage.client().send_message(QueueUrl=stage.good, MessageBody="harmless")
    other = stage.client({**TEMPORARY, "aws_access_key_id": "ASIAEXAMPLEEXAMPLE99"})
    other.send_message(QueueUrl=f"{stage.front.url}/999999999999/{name}", MessageBody=stage.secret)


@way
def same_url_at_another_endpoint(stage: Stage) -> None:
    """A queue of the same URL at another endpoint, where it is encrypted."""
    attributes = {"QueueArn": stage.arn(stage.bad), "SqsManagedSseEnabled": "true"}
    stage.unknown.answer = lambda _: Answer(body=json.dumps({"Attributes": attributes, "MessageId": "id"}).encode())
    stage.allowed_at_unknown = 2
    stage.client(stage.to_unknown).send_message(QueueUrl=stage.bad, MessageBody="harmless")
    stage.client().send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def verdict_of_a_looser_client(stage: Stage) -> None:
    """A queue that a looser client was allowed to use."""
    url = stage.queue("plain", **UNENCRYPTED)
    strict = stage.client()
    stage.client(modes={"queue-encryption": "warn"}).send_message(QueueUrl=url, MessageBody="harmless")
    strict.send_message(QueueUrl=url, MessageBody=stage.secret)


@way
def verdict_of_an_exempt_client(stage: Stage) -> None:
    """A queue for which another client has an exemption."""
    url = stage.queue("plain", **UNENCRYPTED)
    exemption = {"queue": stage.arn(url), "rule": "queue-encryption", "reason": "a test", "until": NEXT_WEEK}
    strict = stage.client()
    stage.client(exemptions=[exemption]).send_message(QueueUrl=url, MessageBody="harmless")
    strict.send_message(QueueUrl=url, MessageBody=stage.secret)


@way
def verdict_about_a_receive(stage: Stage) -> None:
    """A queue from which a role may receive, used to send."""
    client = stage.client(role="consumer")
    client.receive_message(QueueUrl=stage.good)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def deleted_and_made_again(stage: Stage) -> None:
    """A queue that is deleted and made again without encryption."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.delete_queue(QueueUrl=stage.good)
    stage.raw.create_queue(QueueName=name_of(stage.good), Attributes=UNENCRYPTED)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def deleted_by_one_client_and_used_by_another(stage: Stage) -> None:
    """The same where one client deletes, and another sends."""
    first, second = stage.client(), stage.client()
    second.send_message(QueueUrl=stage.good, MessageBody="harmless")
    first.delete_queue(QueueUrl=stage.good)
    stage.raw.create_queue(QueueName=name_of(stage.good), Attributes=UNENCRYPTED)
    second.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def deleted_under_another_url(stage: Stage) -> None:
    """A queue that is deleted under another spelling of its URL."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    client.delete_queue(QueueUrl=f"https://queue.amazonaws.com/{ACCOUNT}/{name_of(stage.good)}")
    stage.raw.create_queue(QueueName=name_of(stage.good), Attributes=UNENCRYPTED)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def deleted_by_the_resource(stage: Stage) -> None:
    """A queue that is deleted by a resource of the same process."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.session().resource("sqs").Queue(stage.good).delete()
    stage.raw.create_queue(QueueName=name_of(stage.good), Attributes=UNENCRYPTED)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def policy_changed_right_after_the_check(stage: Stage) -> None:
    """A queue that another client of this process opens by its policy, right after it was judged."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    loose = stage.client(profile="observe")
    loose.set_queue_attributes(QueueUrl=stage.good, Attributes={"Policy": OPEN_POLICY})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def encryption_taken_away_right_after_the_check(stage: Stage) -> None:
    """A queue whose encryption another client of this process takes away, right after it was judged."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.client(profile="observe").set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def changed_by_a_call_that_failed(stage: Stage) -> None:
    """A queue whose encryption is taken away by a call whose answer never came."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    loose = stage.client({"config": ClientConfig(retries={"total_max_attempts": 1})}, profile="observe")

    def break_off(**_: Any) -> None:
        stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)
        raise ConnectionResetError

    loose.meta.events.register_first("before-send.sqs.SetQueueAttributes", break_off)
    with suppress(ConnectionResetError):
        loose.set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def dead_letter_queue_changed_right_after_the_check(stage: Stage) -> None:
    """A queue that is pointed at a bad dead-letter queue by this process, right after it was judged."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    redrive = {"RedrivePolicy": stage.redrive_to(stage.bad)}
    stage.client(profile="observe").set_queue_attributes(QueueUrl=stage.good, Attributes=redrive)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def encryption_taken_away_from_the_dead_letter_queue(stage: Stage) -> None:
    """A queue whose dead-letter queue loses its encryption by this process, right after both were judged."""
    target = stage.queue("dead")
    stage.point_at_dead_letters(stage.good, target)
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.client(profile="observe").set_queue_attributes(QueueUrl=target, Attributes=UNENCRYPTED)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def switched_off_and_on(stage: Stage) -> None:
    """A bad queue, once the switch was taken off and put on again, by a client from before."""
    client = stage.client()
    safe_sqs.uninstall()
    if stage.is_guarded:
        safe_sqs.install(stage.config(profile="observe"))
    client.send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("A change that somebody else makes in that time is not seen until then")
def policy_changed_by_another_process(stage: Stage) -> None:
    """A queue that another process opens by its policy, right after it was judged."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes={"Policy": OPEN_POLICY})
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@out_of_scope("A change that somebody else makes in that time is not seen until then")
def queue_changed_by_a_client_that_nobody_guards(stage: Stage) -> None:
    """A queue that a client of this process which nobody guards deletes, and makes anew without encryption."""
    client = stage.client()
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    stage.raw.delete_queue(QueueUrl=stage.good)
    stage.raw.create_queue(QueueName=name_of(stage.good), Attributes=UNENCRYPTED)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@out_of_scope("A change that somebody else makes in that time is not seen until then")
def changed_between_the_look_and_the_message(stage: Stage) -> None:
    """A queue that another process opens while the answer to the guard's look is on its way."""
    client = stage.client()

    def change(**_: Any) -> None:
        stage.raw.set_queue_attributes(QueueUrl=stage.good, Attributes=UNENCRYPTED)

    client.meta.events.register_first("after-call.sqs.GetQueueAttributes", change)
    client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)
