"""The decisions of the guard, without I/O: which operations are refused outright, what has to be known of a queue, and
what follows from it. The adapters to botocore bring the facts and carry the decisions out.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from functools import partial
from typing import Any, NamedTuple

from safe_sqs.cache import UNVERIFIABLE_SECONDS, Clock, shared_cache
from safe_sqs.changes import look_at_change, touches
from safe_sqs.config import Config
from safe_sqs.facts import Answer, Asking, complete, look_at, name_of
from safe_sqs.judge import (
    attributes_needed,
    inside_a_look,
    judge_call,
    judge_change,
    judge_connection,
    judge_queue,
    unreadable_request,
)
from safe_sqs.model import Ask, Call, Connection, Facts, Mode, Partition, Queue, Unreadable, Verdict, Work
from safe_sqs.operations import CHANGES, Kind, kind_of
from safe_sqs.rules.queue_encryption import CUSTOMER_KEY
from safe_sqs.rules.queue_encryption import RULE as QUEUE_ENCRYPTION

__all__ = ["Guard", "Scope"]


class Scope(NamedTuple):
    """What makes the same queue URL mean the same queue: where requests go, and under which rules it is judged."""

    endpoint: str
    region: str
    config: Config


class Guard:
    """Decides for one client. Guards of the same scope share their verdicts."""

    def __init__(self, scope: Scope, partitions: tuple[Partition, ...], clock: Clock | None = None) -> None:
        self.config = scope.config
        self.clock = clock or Clock()
        self.cache = shared_cache(scope, scope.config.ttl_seconds, self.clock)
        self._endpoint = scope.endpoint.rstrip("/")
        self._region = scope.region
        self._partition = _partition_of(scope.region, partitions)
        self._attributes = attributes_needed(scope.config)
        self._key_manager = (
            self._attributes != frozenset() and scope.config.level(QUEUE_ENCRYPTION.name) == CUSTOMER_KEY
        )

    def judge_operation(self, operation: str) -> Verdict:
        """What the call rules say of an operation by this client."""
        return judge_call(Call(operation, self.config.role), self.config)

    def judge_connection(self, connection: Connection) -> Verdict:
        """What the connection rules say of the way out of a request."""
        return judge_connection(connection, self.config)

    def needs_queue(self, operation: str) -> bool:
        """True when the operation may go on only to a queue that is known to be good."""
        return kind_of(operation) in (Kind.PRODUCE, Kind.CONSUME) and bool(self._attributes)

    def is_change(self, operation: str, parameters: Mapping[str, Any]) -> bool:
        """True when the operation has to be judged by the state that it would leave behind."""
        return operation in CHANGES and touches(operation, parameters, self._attributes)

    def queue(self, url: str) -> Queue:
        """The queue that a URL names, for this client."""
        return name_of(url, self._region, self._partition)

    def look_at(self, queue: Queue, answer: Answer | None = None) -> Asking:
        """The look-up of all that the rules need to know of a queue. `answer` is what is known of its attributes."""
        if answer is not None:
            return complete(queue, answer, self._attributes, key_manager=self._key_manager)
        return look_at(queue, self._attributes, key_manager=self._key_manager)

    def judge(self, queue: Queue, facts: Facts | Unreadable) -> tuple[Verdict, float | None]:
        """The verdict about a queue, and how many seconds it may live at the most (None: as long as the TTL)."""
        now = datetime.fromtimestamp(self.clock.wall(), timezone.utc)
        verdict = judge_queue(facts, queue, self.config, now.date())
        if not queue.name:
            return verdict, 0.0  # such a URL may mean another queue to another caller
        ends = self._until_an_exemption_ends(now)
        if _is_passing_trouble(facts):  # even where it only warns, a throttled look must not stand for long
            return verdict, UNVERIFIABLE_SECONDS if ends is None else min(UNVERIFIABLE_SECONDS, ends)
        return verdict, ends

    def judge_change(
        self, operation: str, parameters: Mapping[str, Any]
    ) -> Generator[Ask | Work, Any, tuple[Queue, Verdict]]:
        """Look at the queue before and after a change, and judge what the change would add."""
        queue = self.queue(parameters.get("QueueUrl", ""))
        if operation == "CreateQueue":
            name = str(parameters.get("QueueName", ""))
            # A dead-letter queue's URL is made from this one, with the account that its ARN names.
            queue = queue._replace(name=name, url=f"{self._endpoint}/ACCOUNT/{name}")
        states = yield from look_at_change(
            operation, parameters, queue, self._attributes, key_manager=self._key_manager
        )
        today = datetime.fromtimestamp(self.clock.wall(), timezone.utc).date()
        if isinstance(states, Unreadable):
            return queue, judge_queue(states, queue, self.config, today)
        before, after = states
        verdict: Verdict = yield Work(partial(judge_change, before, after, self.config, today))
        return queue, verdict

    def unreadable_request(self) -> Verdict:
        """What follows when the queue of a request cannot be read from it."""
        return unreadable_request(self.config)

    def inside_a_look(self) -> Verdict:
        """What follows when a handler uses a queue while the guard is looking at it."""
        return inside_a_look(self.config)

    def asks_for_addresses(self) -> bool:
        """True when a rule wants to know what the endpoint's host resolves to."""
        return self.config.mode("vpc-route") is not Mode.OFF

    def _until_an_exemption_ends(self, now: datetime) -> float | None:
        ends = [_end_of(entry.until) for entry in self.config.exemptions if entry.until >= now.date()]
        return min(((end - now).total_seconds() for end in ends), default=None)


def _is_passing_trouble(facts: Facts | Unreadable | None) -> bool:
    """True when something could not be read for another reason than a missing permission."""
    if isinstance(facts, Facts):
        return _is_passing_trouble(facts.dead_letter)
    return facts is not None and not facts.permission


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time.min, timezone.utc) + timedelta(days=1)


def _partition_of(region: str, partitions: tuple[Partition, ...]) -> str:
    for partition in partitions:
        if region in partition.regions:
            return partition.id
    return "aws"
