"""The sentence beside an evaluation in AWS Config, which has room for 256 characters."""

from __future__ import annotations

from safe_sqs.evaluation import Compliance, Evaluation, State, counts
from safe_sqs.model import Finding, Mode

__all__ = ["LONGEST", "annotation_of"]

LONGEST = 256
"""In characters, as AWS Config counts them. Source: AWS Config API reference, Evaluation."""
_BEYOND_16_BITS = 0x10000


def annotation_of(evaluation: Evaluation, fail_on: Mode) -> str:
    """What was found: the names of all rules that found something, what refuses first, then what the first one found.

    For a queue that complies, what does not count; "" where there is nothing to say.
    """
    compliance = evaluation.compliance(fail_on)
    if compliance is Compliance.COMPLIANT:
        return _fitting(_beside_the_point(evaluation))
    counting = [finding for finding in evaluation.findings if counts(finding, fail_on)]
    untold = [finding for finding in evaluation.findings if finding.unverifiable]
    counting.sort(key=lambda finding: finding.mode is not Mode.ENFORCE)
    if not counting:
        return _fitting(f"Could not be told: {_names(untold)}: {untold[0].found}")
    more = f"; could not be told: {_names(untold)}" if untold else ""
    return _fitting(f"{_names(counting)}{more}: {counting[0].found}")


def _names(findings: list[Finding]) -> str:
    return ", ".join(dict.fromkeys(finding.rule for finding in findings))


def _beside_the_point(evaluation: Evaluation) -> str:
    parts = []
    for state in (State.REFUSED, State.WARNED, State.EXEMPT):
        names = [rule for rule, found in evaluation.states if found is state]
        if names:
            parts.append(f"{state.value}: {', '.join(names)}")
    return f"Does not count: {'; '.join(parts)}" if parts else ""


def _fitting(text: str) -> str:
    """On one line, of characters that count as one each, cut where there is no more room."""
    plain = "".join(each if each.isprintable() and ord(each) < _BEYOND_16_BITS else " " for each in text)
    line = " ".join(plain.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
