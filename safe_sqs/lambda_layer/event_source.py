"""Judges the queues that Lambda polls for a function: no client of the function received their messages.

The look is that of a guarded client, with its rules and its cache. Only how long it may take is different: a function
in a VPC may have no way to Amazon SQS, and in the mode `warn` nothing but a pause may come of that.
"""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from botocore.config import Config as ClientConfig
from botocore.session import Session

from safe_sqs import events
from safe_sqs.adapters import subscribe
from safe_sqs.cache import Clock
from safe_sqs.config import Config
from safe_sqs.errors import GuardError, RefusedError, refusal
from safe_sqs.first_use import armed_guards_of
from safe_sqs.hooks import Hooks
from safe_sqs.model import Finding, Mode, Verdict

__all__ = ["EventSources", "judge"]

OPERATION = "ReceiveMessage"
"""What the service did for the function."""
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 1, 3, 2

_ARN = re.compile(r"arn:[a-z0-9-]+:sqs:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<name>[A-Za-z0-9_.-]+)", re.ASCII)
_MOST_QUEUES = 1000
"""An event may name any queue, so what is remembered of them is bounded."""


class _Look(NamedTuple):
    """With what the queues of a region are looked at."""

    hooks: Hooks
    endpoint: str


class EventSources:
    """The queues whose messages a process was handed. `clock` is for tests."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._looks: dict[tuple[str, Config], _Look] = {}
        self._quiet: dict[str, tuple[float, float]] = {}

    def judge(self, arn: str, config: Config | None = None) -> None:
        """Judge a queue as for ReceiveMessage. What is found raises RefusedError where `event_source` is `enforce`.

        Where it is `warn`, it is reported, and then the queue is left alone for `ttl_seconds`.
        """
        config = config or Config.of_nobody()
        try:
            match = _ARN.fullmatch(arn)
            look = self._look_in(match["region"], config) if match else None
            config = look.hooks.config if look else config
            if config.event_source is Mode.ENFORCE or (config.event_source is Mode.WARN and not self._is_quiet(arn)):
                queue = f"{look.endpoint}/{match['account']}/{match['name']}" if look and match else arn
                self._carry_out(arn, queue, _refusals(look.hooks, queue) if look else (_nameless(arn),), config)
        except Exception as error:
            if config.event_source is Mode.ENFORCE:
                raise
            self._keep_quiet(arn, config)
            text = str(error) if isinstance(error, GuardError) else type(error).__name__
            events.emit(events.Noticed("event-source", f"the queue of an event could not be judged: {text}", arn))

    def _look_in(self, region: str, config: Config) -> _Look:
        """A client of its own, because its time is short; guarded as whoever installed the guard wants it."""
        look = self._looks.get((region, config))
        if look is None:
            settings = ClientConfig(
                connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": ATTEMPTS}
            )
            client = _session().create_client("sqs", region_name=region, config=settings)
            there = [each for each in armed_guards_of(client) if each.clock == self._clock]
            hooks = there[-1] if there else subscribe(client, config, self._clock)
            look = self._looks[region, config] = _Look(hooks, client.meta.endpoint_url.rstrip("/"))
        return look

    def _carry_out(self, arn: str, queue: str, refusals: tuple[Finding, ...], config: Config) -> None:
        if not refusals:
            return
        if config.event_source is Mode.ENFORCE:
            events.emit(events.Refused(OPERATION, queue, refusals))
            raise refusal(refusals, OPERATION, queue)
        self._keep_quiet(arn, config)
        events.emit(events.Warned(OPERATION, queue, tuple(each._replace(mode=Mode.WARN) for each in refusals)))

    def _keep_quiet(self, arn: str, config: Config) -> None:
        if len(self._quiet) >= _MOST_QUEUES:
            self._quiet.clear()
        seconds = config.ttl_seconds
        self._quiet[arn] = (self._clock.monotonic() + seconds, self._clock.wall() + seconds)

    def _is_quiet(self, arn: str) -> bool:
        until, until_wall = self._quiet.get(arn, (0.0, 0.0))
        return self._clock.monotonic() < until and self._clock.wall() < until_wall


def _session() -> Session:
    """A session of its own, with the credentials of the function; but what botocore has read already is not read
    again, which takes ten times as long as all the rest."""
    session = Session()
    read = getattr(getattr(sys.modules.get("boto3"), "DEFAULT_SESSION", None), "_session", None)
    if isinstance(read, Session):
        session.register_component("data_loader", read.get_component("data_loader"))
    return session


def _refusals(hooks: Hooks, queue: str) -> tuple[Finding, ...]:
    try:
        verdict: Verdict = hooks.verdict_on(queue, OPERATION)
    except RefusedError as refused:  # the way to the look is not safe
        return refused.findings
    return verdict.refusals


def _nameless(arn: str) -> Finding:
    return Finding(
        rule="event-source",
        mode=Mode.ENFORCE,
        found=f"an event with messages of Amazon SQS names a queue that cannot be looked at: {arn!r}",
        expected="the ARN of a queue in eventSourceARN",
        next_step="hand the function events as Lambda makes them",
        practice=None,
        unverifiable=True,
    )


_sources = EventSources()
judge = _sources.judge
"""The same for all handlers of this process."""
