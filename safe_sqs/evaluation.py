"""How a queue does by the rules: the one record that `check`, `audit`, the AWS Config rule and every output share.

"Evaluation" and "compliance" are the words of AWS Config, and mean here what they mean there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import Any, NamedTuple

from safe_sqs.config import Config
from safe_sqs.judge import QUEUE_ATTRIBUTES
from safe_sqs.model import Finding, Mode, Practice, Queue, Rule, Subject, Verdict
from safe_sqs.rules import ALL_RULES, RULES_BY_NAME

__all__ = [
    "QUEUE_RULES",
    "Compliance",
    "Evaluation",
    "Opinion",
    "State",
    "evaluation_from",
    "evaluation_of",
]

QUEUE_RULES: tuple[Rule, ...] = tuple(rule for rule in ALL_RULES if rule.subject is Subject.QUEUE)
"""The rules that judge a queue. The others judge a call or its way out, which only a running program has."""


class Compliance(str, Enum):
    """Whether a queue complies, in the words of AWS Config."""

    COMPLIANT = "COMPLIANT"
    NON_COMPLIANT = "NON_COMPLIANT"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class State(str, Enum):
    """How a queue does by one rule, or by all rules of a practice. From the worst to the least that can be said."""

    REFUSED = "refused"
    WARNED = "warned"
    UNKNOWN = "unknown"
    EXEMPT = "exempt"
    PASSED = "passed"
    OFF = "off"
    AT_RUN_TIME = "at run time"


_FROM_THE_WORST = tuple(State)


class Opinion(NamedTuple):
    """What somebody else says of a queue: `source` names who, `agrees` is None where they could not tell."""

    source: str
    agrees: bool | None
    told: str


class Evaluation(NamedTuple):
    """One queue, judged by every queue rule. `states` has each of these rules once, in the order of the rules."""

    queue: Queue
    states: tuple[tuple[str, State], ...]
    findings: tuple[Finding, ...] = ()
    opinions: tuple[Opinion, ...] = ()

    def state_of(self, rule: str) -> State:
        """How the queue does by a rule. Raises KeyError for one that judges no queues."""
        return dict(self.states)[rule]

    def state_in(self, practice: Practice) -> State:
        """How the queue does by the rules of a practice: the worst of them counts.

        A practice whose rules all judge calls and connections is told at run time.
        """
        states = {state for rule, state in self.states if RULES_BY_NAME[rule].practice is practice}
        return min(states, key=_FROM_THE_WORST.index, default=State.AT_RUN_TIME)

    def compliance(self, fail_on: Mode = Mode.WARN) -> Compliance:
        """Whether the queue complies.

        `fail_on` says which findings count: `warn` all, `enforce` those that refuse, `off` none. What could not be told
        always counts, and findings that are certain come before it.
        """
        if any(counts(finding, fail_on) for finding in self.findings):
            return Compliance.NON_COMPLIANT
        if any(finding.unverifiable for finding in self.findings):
            return Compliance.INSUFFICIENT_DATA
        return Compliance.COMPLIANT

    def as_data(self) -> dict[str, Any]:
        """The evaluation as what JSON can say. `evaluation_from` reads it back."""
        return {
            "queue": {**self.queue._asdict(), "url": self.queue.shown, "arn": self.queue.arn},
            "rules": {rule: state.value for rule, state in self.states},
            "findings": [_finding_as_data(finding) for finding in self.findings],
            "opinions": [opinion._asdict() for opinion in self.opinions],
        }


def counts(finding: Finding, fail_on: Mode) -> bool:
    """True for a finding that is certain and counts."""
    return (
        not finding.unverifiable
        and finding.mode
        in {
            Mode.WARN: (Mode.WARN, Mode.ENFORCE),
            Mode.ENFORCE: (Mode.ENFORCE,),
            Mode.OFF: (),
        }[fail_on]
    )


def evaluation_of(queue: Queue, verdict: Verdict, config: Config, today: date) -> Evaluation:
    """From a verdict about a queue to its evaluation."""
    is_unread = any(finding.rule == QUEUE_ATTRIBUTES for finding in verdict.findings)
    states = []
    for rule in QUEUE_RULES:
        found = [finding for finding in verdict.findings if finding.rule == rule.name]
        if config.mode(rule.name) is Mode.OFF:
            state = State.OFF
        elif config.exemption(rule.name, queue.arn, today):
            state = State.EXEMPT
        elif is_unread:
            state = State.UNKNOWN
        else:
            state = min(map(_state_by, found), key=_FROM_THE_WORST.index, default=State.PASSED)
        states.append((rule.name, state))
    return Evaluation(queue, tuple(states), verdict.findings)


def _state_by(finding: Finding) -> State:
    if finding.unverifiable:
        return State.UNKNOWN
    return State.REFUSED if finding.mode is Mode.ENFORCE else State.WARNED


# --- as data -----------------------------------------------------------------------------------------------------


def _finding_as_data(finding: Finding) -> dict[str, Any]:
    practice = finding.practice.url if finding.practice else None
    return {**finding._asdict(), "mode": finding.mode.value, "practice": practice}


def evaluation_from(data: Mapping[str, Any]) -> Evaluation:
    """The evaluation that `as_data` gave. Raises KeyError, TypeError or ValueError for anything else."""
    queue = data["queue"]
    return Evaluation(
        Queue(**{name: str(queue[name]) for name in Queue._fields}),
        tuple((str(rule), State(state)) for rule, state in data["rules"].items()),
        tuple(map(_finding_from, data["findings"])),
        tuple(Opinion(**opinion) for opinion in data["opinions"]),
    )


def _finding_from(data: Mapping[str, Any]) -> Finding:
    practice = data["practice"]
    read = {**data, "mode": Mode(data["mode"]), "practice": _PRACTICES[practice] if practice else None}
    return Finding(**read)


_PRACTICES = {practice.url: practice for practice in Practice}
