"""What each rule said of a queue, for the formats that tell it rule by rule."""

from __future__ import annotations

from typing import NamedTuple

from safe_sqs.evaluation import Evaluation, State
from safe_sqs.model import Finding, Rule
from safe_sqs.rules import RULES_BY_NAME

__all__ = ["Outcome", "of_no_rule", "outcomes_of"]


class Outcome(NamedTuple):
    """How a queue does by a rule, and what the rule found."""

    rule: Rule
    state: State
    findings: tuple[Finding, ...]


def outcomes_of(evaluation: Evaluation) -> tuple[Outcome, ...]:
    """One outcome for each rule, in the order of the rules."""
    return tuple(
        Outcome(RULES_BY_NAME[name], state, tuple(each for each in evaluation.findings if each.rule == name))
        for name, state in evaluation.states
    )


def of_no_rule(evaluation: Evaluation) -> tuple[Finding, ...]:
    """The findings that are of no single rule: that the queue's attributes could not be read."""
    rules = dict(evaluation.states)
    return tuple(finding for finding in evaluation.findings if finding.rule not in rules)
