"""OpenTelemetry metrics, for applications that use OpenTelemetry. Needs the extra `otel`, and its API only: without
an SDK, or before one is set up, everything here does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import version
from threading import Lock
from weakref import WeakKeyDictionary

from safe_sqs.cache import VerdictCache, all_caches
from safe_sqs.events import Event, LookedUp, Refused, subscribe

try:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter
except ImportError as error:
    raise ImportError(
        'safe_sqs.otel needs opentelemetry-api, which is not installed: pip install "safe_sqs[otel]"'
    ) from error

__all__ = ["instrument"]


def instrument(meter_provider: MeterProvider | None = None) -> Callable[[], None]:
    """Count what the guard does, in all of this process, and return the function that ends this.

    Call it once: two live instrumentations of the same provider count everything twice. `meter_provider` is the global
    one unless given. The metrics are

    - `safe_sqs.refusals`: findings that refused a call, by `rule` and `operation`;
    - `safe_sqs.lookups`: looks at a queue's attributes, by `outcome` (`pass`, `refuse`, `unverifiable`);
    - `safe_sqs.cache.hits`: calls that went on with a verdict from the cache, since this was called.

    No queue, key or message is in them. Nothing is added to a call that passes: the hits are read when the metrics
    are collected.
    """
    meter = get_meter("safe_sqs", version("safe_sqs"), meter_provider)
    refusals = meter.create_counter(
        "safe_sqs.refusals", unit="{finding}", description="Findings that refused a call, by rule and operation"
    )
    lookups = meter.create_counter(
        "safe_sqs.lookups", unit="{lookup}", description="Looks at a queue's attributes, by outcome"
    )

    def count(event: Event) -> None:
        if isinstance(event, Refused):
            for finding in event.findings:
                refusals.add(1, {"rule": finding.rule, "operation": event.operation})
        elif isinstance(event, LookedUp):
            lookups.add(1, {"outcome": event.outcome.value})

    hits = _Hits()
    meter.create_observable_counter(
        "safe_sqs.cache.hits",
        [hits.observe],
        unit="{call}",
        description="Calls that went on with a verdict from the cache",
    )
    unsubscribe = subscribe(count)

    def uninstrument() -> None:
        unsubscribe()
        hits.end()

    return uninstrument


class _Hits:
    """The hits of all caches. A cache goes with its last client, and takes its own count along; the total stays."""

    def __init__(self) -> None:
        self._total = 0
        self._seen: WeakKeyDictionary[VerdictCache, int] = WeakKeyDictionary()
        self._lock = Lock()
        self._ended = False
        self._add_new()
        self._total = 0

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """The total, for whoever collects; nothing after the end, since a callback cannot be taken back."""
        if self._ended:
            return ()
        with self._lock:
            self._add_new()
            return (Observation(self._total),)

    def end(self) -> None:
        self._ended = True

    def _add_new(self) -> None:
        for cache in all_caches():
            hits = cache.hits
            self._total += hits - self._seen.get(cache, 0)
            self._seen[cache] = hits
