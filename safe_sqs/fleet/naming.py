"""What a person writes for a queue, its URL, ARN or name, and which queue that is.

An ARN names region and account. A URL names its region by its host, where that is one of AWS; any other host says
nothing, and only the path counts, as SQS itself reads it. Nothing is ever sent to a host because a URL names it: the
endpoint is that of the client. A name is asked for with GetQueueUrl.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from safe_sqs.facts import name_of, queue_of_arn
from safe_sqs.hosts import is_aws_host, parse_endpoint
from safe_sqs.model import Partition, without_secrets
from safe_sqs.wire import partitions

__all__ = ["FORMS", "Named", "NamingError", "named", "url_of"]

FORMS = (
    "expected a queue's URL (https://sqs.REGION.amazonaws.com/ACCOUNT/NAME), "
    "ARN (arn:aws:sqs:REGION:ACCOUNT:NAME) or name"
)

_NAME = re.compile(r"(?=.{1,80}\Z)[A-Za-z0-9_-]+(?:\.fifo)?", re.ASCII)
_WITHOUT_REGION = "queue.amazonaws.com"
"""The legacy host of us-east-1, the only one that does not say its region."""


class NamingError(ValueError):
    """A text that names no queue. Its message says what was found and what was expected."""


class Named(NamedTuple):
    """A queue as somebody named it: by one of `url`, `arn` and `name`. `region` is "" where that does not say it."""

    text: str
    region: str = ""
    url: str = ""
    arn: str = ""
    name: str = ""

    @property
    def shown(self) -> str:
        """The text for a person to see."""
        return without_secrets(self.text)


def named(text: str) -> Named:
    """Read what somebody wrote for a queue. Raises NamingError."""
    text = text.strip()
    if text.startswith("arn:"):
        return _by_arn(text)
    if "://" in text:
        return _by_url(text)
    if _NAME.fullmatch(text):
        return Named(text, name=text)
    raise NamingError(f"{_quoted(text)} names no queue: {FORMS}" if text else f"an empty text names no queue: {FORMS}")


_LONGEST = 200


def _quoted(text: str) -> str:
    """A text that is no queue's may be a whole file."""
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")


def _by_arn(text: str) -> Named:
    queue = queue_of_arn(text)
    if queue is None or not _NAME.fullmatch(queue.name):
        raise NamingError(f"{_quoted(text)} is not the ARN of a queue: expected arn:aws:sqs:REGION:ACCOUNT:NAME")
    of_region = _partition_with(queue.region, partitions())
    if of_region is not None and of_region.id != queue.partition:
        raise NamingError(
            f"{text!r} is not the ARN of a queue: expected the partition {of_region.id} for the region {queue.region}"
        )
    return Named(text, queue.region, arn=text)


def _by_url(text: str) -> Named:
    shown = without_secrets(text)
    endpoint = parse_endpoint(text)
    if endpoint is None or endpoint.scheme not in ("https", "http"):
        raise NamingError(f"{_quoted(shown)} is not the URL of a queue: {FORMS}")
    if shown != text:
        raise NamingError(
            f"the URL {_quoted(shown)} has more in it than a queue's: expected that it ends with the name"
        )
    is_of_aws = is_aws_host(endpoint.host, "sqs", partitions())
    if is_of_aws and not name_of(text, "", "").name:
        raise NamingError(f"the URL {_quoted(shown)} does not end with /ACCOUNT/NAME, as that of a queue does")
    return Named(text, _region_in(endpoint.host) if is_of_aws else "", url=text)


def _region_in(host: str) -> str:
    """The region that a host of SQS names, or ""."""
    if host == _WITHOUT_REGION:
        return "us-east-1"
    match host.split("."):
        case [region, "queue", *_] | [_, _, region, "vpce", *_]:
            return region
        case ["queue", *_]:
            return ""
        case [_, region, *_]:
            return region
    return ""


def _partition_with(region: str, known: Iterable[Partition]) -> Partition | None:
    for partition in known:
        if region in partition.regions:
            return partition
    return None


def url_of(client: Any, queue: Named) -> str:
    """The URL of a queue for a client of its region.

    A name costs a GetQueueUrl, and raises what that raises; all else is known without asking. Raises NamingError for
    the URL of another endpoint whose path does not say account and name.
    """
    endpoint = client.meta.endpoint_url
    if queue.name:
        return str(client.get_queue_url(QueueName=queue.name)["QueueUrl"])
    if queue.arn:
        of_arn = queue_of_arn(queue.arn, endpoint)
        assert of_arn is not None  # it was read before
        return of_arn.url
    if queue.region or parse_endpoint(queue.url) == parse_endpoint(endpoint):
        return queue.url
    found = name_of(queue.url, "", "")
    if not found.name:
        raise NamingError(
            f"the URL {queue.shown!r} is neither of AWS nor of {endpoint}, and does not end with /ACCOUNT/NAME"
        )
    return f"{endpoint.rstrip('/')}/{found.account}/{found.name}"
