"""From the answers of SQS and KMS to facts about a queue. What has to be asked is yielded, so that threads and asyncio
share this one description of a look-up; nothing here does I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from urllib.parse import urlsplit, urlunsplit

from safe_sqs.model import Ask, Facts, KeyManager, Queue, Unreadable

__all__ = ["Answer", "Asking", "ask_attributes", "complete", "look_at", "name_of", "queue_of_arn"]

Answer = Mapping[str, object] | Unreadable
Asking = Generator[Ask, Answer, Facts | Unreadable]

_PATH = re.compile(r"(?:/[^/?#]+)*/(?P<account>\d{12})/(?P<name>[A-Za-z0-9_-]{1,80}(?:\.fifo)?)/?", re.ASCII)
_ARN = re.compile(
    r"arn:(?P<partition>[a-z0-9-]+):sqs:(?P<region>[^:\s]+):(?P<account>\d{12}):(?P<name>[A-Za-z0-9_.-]+)", re.ASCII
)
_GET_ATTRIBUTES = "sqs:GetQueueAttributes"
_DESCRIBE_KEY = "kms:DescribeKey"
_AWS_MANAGED_KEY = "alias/aws/sqs"
_GARBLED = "an answer that makes no sense"


def name_of(url: str, region: str, partition: str) -> Queue:
    """The queue that a URL names. Its host says nothing: SQS answers for the region that is asked."""
    match = _PATH.fullmatch(urlsplit(url).path)
    if match is None:
        return Queue(url, partition, region, "", "")
    return Queue(url, partition, region, match["account"], match["name"])


def queue_of_arn(arn: str, endpoint: str = "") -> Queue | None:
    """The queue that an ARN names, with its URL at an endpoint; None for anything but a queue's ARN."""
    match = _ARN.fullmatch(arn)
    if match is None:
        return None
    url = f"{endpoint.rstrip('/')}/{match['account']}/{match['name']}" if endpoint else ""
    return Queue(url, match["partition"], match["region"], match["account"], match["name"])


def look_at(queue: Queue, attributes: frozenset[str], *, key_manager: bool) -> Asking:
    """Ask for the attributes of a queue, of its dead-letter queue, and, if wanted, who manages their keys.

    Returns Facts, or Unreadable when the queue's own attributes could not be had or make no sense.
    """
    answer = yield ask_attributes(queue, attributes)
    return (yield from complete(queue, answer, attributes, key_manager=key_manager))


def complete(queue: Queue, answer: Answer, attributes: frozenset[str], *, key_manager: bool) -> Asking:
    """From the answer of GetQueueAttributes to facts, asking for what it only names."""
    facts = _facts(queue, answer)
    if isinstance(facts, Unreadable):
        return facts
    if key_manager:
        facts = yield from _with_manager(facts)
    target = _dead_letter_target(answer)
    if target is None:
        return facts
    dead_letter = yield from _look_at_dead_letter(queue, target, attributes, key_manager=key_manager)
    return facts._replace(dead_letter=dead_letter)


def ask_attributes(queue: Queue, attributes: frozenset[str]) -> Ask:
    """The question for these attributes, and for the ARN, which tells whether the answer is about this queue."""
    names = sorted(attributes | {"QueueArn"})
    return Ask("sqs", "GetQueueAttributes", {"QueueUrl": queue.url, "AttributeNames": names})


def _look_at_dead_letter(
    source: Queue, target: str | Unreadable, attributes: frozenset[str], *, key_manager: bool
) -> Asking:
    if isinstance(target, Unreadable):
        return target
    match = _ARN.fullmatch(target)
    if match is None:
        return Unreadable(_GARBLED, "", target)
    # A dead-letter queue is in the account and region of its source, so its URL differs in the last two parts only.
    parts = urlsplit(source.url)
    path = re.sub(r"[^/]+/[^/]+/?$", f"{match['account']}/{match['name']}", parts.path)
    queue = Queue(
        urlunsplit(parts._replace(path=path)), match["partition"], match["region"], match["account"], match["name"]
    )
    facts = _facts(queue, (yield ask_attributes(queue, attributes - {"RedrivePolicy"})))
    if isinstance(facts, Facts) and key_manager:
        facts = yield from _with_manager(facts)
    return facts


def _facts(queue: Queue, answer: Answer) -> Facts | Unreadable:
    if isinstance(answer, Unreadable):
        return answer._replace(permission=answer.permission and _GET_ATTRIBUTES, subject=queue.arn or queue.shown)
    garbled = Unreadable(_GARBLED, "", queue.arn or queue.shown)
    attributes = answer.get("Attributes")
    if not isinstance(attributes, Mapping) or not all(isinstance(value, str) for value in attributes.values()):
        return garbled
    arn = _ARN.fullmatch(attributes.get("QueueArn", ""))
    sse = attributes.get("SqsManagedSseEnabled", "false").lower()
    if sse not in ("true", "false") or (queue.account and (arn is None or not _is_same(arn, queue))):
        return garbled
    if arn is not None:
        queue = Queue(queue.url, arn["partition"], arn["region"], arn["account"], arn["name"])
    return Facts(
        queue,
        sse_sqs=sse == "true",
        kms_key=attributes.get("KmsMasterKeyId", ""),
        policy=attributes.get("Policy"),
    )


def _is_same(arn: re.Match[str], queue: Queue) -> bool:
    return (arn["account"], arn["name"]) == (queue.account, queue.name)


def _dead_letter_target(answer: Answer) -> str | Unreadable | None:
    attributes = answer.get("Attributes") if isinstance(answer, Mapping) else None
    text = attributes.get("RedrivePolicy") if isinstance(attributes, Mapping) else None
    if not text:
        return None
    try:
        target = json.loads(str(text))["deadLetterTargetArn"]
    except (ValueError, TypeError, KeyError, RecursionError):
        target = None
    return target if isinstance(target, str) else Unreadable(_GARBLED, "", "RedrivePolicy")


def _with_manager(facts: Facts) -> Generator[Ask, Answer, Facts]:
    if not facts.kms_key:
        return facts
    if facts.kms_key == _AWS_MANAGED_KEY or facts.kms_key.endswith(f":{_AWS_MANAGED_KEY}"):
        return facts._replace(key_manager=KeyManager.AWS)
    answer = yield Ask("kms", "DescribeKey", {"KeyId": facts.kms_key})
    if isinstance(answer, Unreadable):
        permission = answer.permission and _DESCRIBE_KEY
        return facts._replace(key_manager=answer._replace(permission=permission, subject=facts.kms_key))
    metadata = answer.get("KeyMetadata")
    manager = metadata.get("KeyManager") if isinstance(metadata, Mapping) else None
    try:
        return facts._replace(key_manager=KeyManager(manager))
    except ValueError:
        return facts._replace(key_manager=Unreadable(_GARBLED, "", facts.kms_key))
