"""Many queues, evaluated in one run: what every output is written from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from safe_sqs.config import Config
from safe_sqs.evaluation import Compliance, Evaluation, State
from safe_sqs.model import Mode, Practice

__all__ = ["Inspection", "Tally", "Trouble"]


class Trouble(NamedTuple):
    """A place that could not be looked at as a whole, such as an account or region whose queues cannot be listed."""

    place: str
    found: str
    next_step: str


class Tally:
    """Counts of what was found, kept while evaluations pass, so that these need not be kept."""

    def __init__(self, fail_on: Mode = Mode.WARN) -> None:
        self.fail_on = fail_on
        self.queues = 0
        self.by_compliance: Counter[Compliance] = Counter()
        self.by_rule: Counter[tuple[str, State]] = Counter()
        self.by_practice: Counter[tuple[Practice, State]] = Counter()

    def add(self, evaluation: Evaluation) -> None:
        """Count one queue."""
        self.queues += 1
        self.by_compliance[evaluation.compliance(self.fail_on)] += 1
        self.by_rule.update(evaluation.states)
        self.by_practice.update((practice, evaluation.state_in(practice)) for practice in Practice)


class Inspection(NamedTuple):
    """One run. `evaluations` can be gone through more than once, and may be longer than fits into memory: outputs go
    through it queue by queue, and take their counts from `tally`. `at` is when the run began (UTC)."""

    evaluations: Iterable[Evaluation]
    tally: Tally
    at: datetime
    config: Config
    troubles: tuple[Trouble, ...] = ()

    @property
    def exit_status(self) -> int:
        """0 when every queue complies, 1 when one does not, 2 when none was found not to and some could not be told."""
        if self.tally.by_compliance[Compliance.NON_COMPLIANT]:
            return 1
        return 2 if self.troubles or self.tally.by_compliance[Compliance.INSUFFICIENT_DATA] else 0
