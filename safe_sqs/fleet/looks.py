"""A look at one queue, for those who only want to know how it does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from safe_sqs.adapters import subscribe
from safe_sqs.config import Config
from safe_sqs.evaluation import Evaluation, evaluation_of
from safe_sqs.facts import name_of, queue_of_arn
from safe_sqs.model import Facts, Queue, Unreadable

__all__ = ["Look", "look", "url_of_arn"]


class Look(NamedTuple):
    """How a queue does, and the facts from which that follows (Unreadable where they could not be read)."""

    evaluation: Evaluation
    facts: Facts | Unreadable

    @property
    def policy(self) -> str | None:
        """The text of the queue's policy, or None where there is none or it is not known."""
        return self.facts.policy if isinstance(self.facts, Facts) else None


def look(client: Any, url: str, config: Config, *, attributes: Mapping[str, str] | None = None) -> Look:
    """Look at a queue through a client of boto3 or botocore, which is guarded, and judge it as the guard would.

    `attributes` are those of the queue where they are known already, in the shape of GetQueueAttributes; what they only
    name, such as the dead-letter queue, is still looked at. Nothing is taken from the guard's cache.

    Raises RefusedError when the way out is not safe, and botocore's NoCredentialsError and the like.
    """
    hooks = subscribe(client, config)
    answer = {"Attributes": dict(attributes)} if attributes is not None else None
    facts, verdict = hooks.examine(url, answer)
    queue = facts.queue if isinstance(facts, Facts) else _queue_at(client, url)
    today = datetime.fromtimestamp(hooks.clock.wall(), timezone.utc).date()
    return Look(evaluation_of(queue, verdict, config, today), facts)


def _queue_at(client: Any, url: str) -> Queue:
    region = client.meta.region_name or ""
    return name_of(url, region, client.meta.partition)


def url_of_arn(client: Any, arn: str) -> str | None:
    """The URL of the queue that an ARN names, at the endpoint of a client; None for anything but a queue's ARN."""
    queue = queue_of_arn(arn, client.meta.endpoint_url)
    return queue.url if queue else None
