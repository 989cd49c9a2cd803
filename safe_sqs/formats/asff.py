"""AWS Security Finding Format (schema 2018-10-08): one finding for each queue and rule, for AWS Security Hub.

The id of a finding is the same in every run, so that an import updates what is there. Queues that comply are told too,
as PASSED: that is how an earlier FAILED ends ("Guidelines for using the BatchImportFindings API", Security Hub partner
guide). Security Hub keeps findings by account and region, and takes them only from the queue's own account.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any, TextIO

from safe_sqs.controls import AWS_CONFIG, CIS, CONTROLS, SECURITY_HUB
from safe_sqs.evaluation import Evaluation, State
from safe_sqs.formats import own_version
from safe_sqs.formats.outcomes import Outcome, of_no_rule, outcomes_of
from safe_sqs.formats.severity import SEVERITIES
from safe_sqs.formats.texts import cut
from safe_sqs.inspection import Inspection
from safe_sqs.judge import QUEUE_ATTRIBUTES
from safe_sqs.model import Finding, Practice, Queue

__all__ = ["LARGEST_BATCH", "batches", "finding_of", "findings_of", "write"]

LARGEST_BATCH = 100
"""Findings in one BatchImportFindings. A finding may have 240 KB and a batch 6 MB; ours have 12 KB at the most, since
each of their texts is cut to what the format allows."""

_MOST_WAITING = 1_000
_STATUSES = {
    State.REFUSED: "FAILED",
    State.WARNED: "FAILED",
    State.UNKNOWN: "NOT_AVAILABLE",
    State.PASSED: "PASSED",
    State.EXEMPT: "NOT_AVAILABLE",
}
"""Compliance.Status by state. Rules that are off say nothing."""

_BEST_PRACTICES = "Software and Configuration Checks/AWS Security Best Practices"
_KNOWN_PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-us-iso", "aws-us-iso-b")
_PUBLISHED = {
    rule: cut("; ".join(f"{each.source} {each.id}" for each in controls), 2048) for rule, controls in CONTROLS.items()
}
_REQUIREMENTS = {
    rule: [f"{each.source} {each.id}" for each in controls if each.source in (SECURITY_HUB, AWS_CONFIG, CIS)]
    for rule, controls in CONTROLS.items()
}


def write(inspection: Inspection, stream: TextIO) -> None:
    """Write all findings as one JSON array. What the format has no room for, such as accounts that could not be looked
    at and queues whose account is not known, is not in it."""
    separator = "\n"
    stream.write("[")
    for evaluation in inspection.evaluations:
        for finding in findings_of(evaluation, inspection.at):
            stream.write(f"{separator}{json.dumps(finding)}")
            separator = ",\n"
    stream.write("\n]\n")


def findings_of(evaluation: Evaluation, at: datetime) -> Iterator[dict[str, Any]]:
    """The findings about one queue. There are none for rules that are off, and for a queue whose URL does not say its
    account, since a finding belongs to one."""
    if evaluation.queue.arn:
        unread = of_no_rule(evaluation)
        for outcome in outcomes_of(evaluation):
            if outcome.state in _STATUSES:
                yield finding_of(evaluation.queue, outcome, at, unread)


def finding_of(queue: Queue, outcome: Outcome, at: datetime, unread: tuple[Finding, ...] = ()) -> dict[str, Any]:
    """One finding. `at` is when the queue was looked at, `unread` why it could not be, for a rule that says nothing
    itself.

    `CreatedAt` is the time of this run too: nothing is kept between runs from which an older one could be known.
    """
    rule, state = outcome.rule, outcome.state
    findings = outcome.findings or (unread if state is State.UNKNOWN else ())
    time = at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    severity = {"Label": _label(outcome), "Original": state.value}
    types = [_BEST_PRACTICES] + (["Effects/Data Exposure"] if rule.practice is Practice.NOT_PUBLIC else [])
    return {
        "SchemaVersion": "2018-10-08",
        "Id": f"{_arn(queue)}/safe-sqs/{rule.name}",
        "ProductArn": (
            f"arn:{queue.partition}:securityhub:{queue.region}:{queue.account}:product/{queue.account}/default"
        ),
        "ProductName": "safe_sqs",
        "GeneratorId": f"safe-sqs/{rule.name}",
        "AwsAccountId": queue.account,
        "Types": types,
        "CreatedAt": time,
        "UpdatedAt": time,
        "Severity": severity,
        "FindingProviderFields": {"Severity": severity, "Types": types},
        "Title": cut(f"Rule {rule.name}: {rule.title}", 256),
        "Description": cut(_described(state, findings), 1024),
        "Remediation": {
            "Recommendation": {
                "Text": cut(_next_steps(findings), 512),
                "Url": rule.practice.url,
            }
        },
        "ProductFields": {
            "ProviderName": "safe_sqs",
            "ProviderVersion": own_version(),
            "safe_sqs/Rule": rule.name,
            "safe_sqs/State": state.value,
            "safe_sqs/Controls": _PUBLISHED[rule.name],
        },
        "Resources": [_resource(queue)],
        "Compliance": _compliance(outcome, findings),
        "RecordState": "ARCHIVED" if state is State.EXEMPT else "ACTIVE",
    }


def _label(outcome: Outcome) -> str:
    """What could not be told is not as bad as the worst that it might be."""
    if outcome.state in (State.PASSED, State.EXEMPT):
        return "INFORMATIONAL"
    return SEVERITIES[QUEUE_ATTRIBUTES if outcome.state is State.UNKNOWN else outcome.rule.name]


def _described(state: State, findings: tuple[Finding, ...]) -> str:
    if state is State.EXEMPT:
        return "The queue is exempt from this rule."
    if not findings:
        return "The queue does well by this rule."
    return " ".join(f"Found: {finding.found}. Expected: {finding.expected}." for finding in findings)


def _next_steps(findings: tuple[Finding, ...]) -> str:
    return "; ".join(dict.fromkeys(finding.next_step for finding in findings)) or "Nothing has to be done."


def _arn(queue: Queue) -> str:
    """The ARN. Those that SQS gives are shorter and plain; this may come from a file."""
    return cut(queue.arn, 256)


def _resource(queue: Queue) -> dict[str, Any]:
    resource = {
        "Type": "AwsSqsQueue",
        "Id": _arn(queue),
        "Region": queue.region,
        "Details": {"AwsSqsQueue": {"QueueName": cut(queue.name, 128)}},
    }
    if queue.partition in _KNOWN_PARTITIONS:
        resource["Partition"] = queue.partition
    return resource


def _compliance(outcome: Outcome, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """`AssociatedStandards` and `SecurityControlId` are left out: they would say that this is a control of a standard
    which the account has enabled in Security Hub."""
    compliance: dict[str, Any] = {"Status": _STATUSES[outcome.state]}
    if related := _REQUIREMENTS[outcome.rule.name]:
        compliance["RelatedRequirements"] = related
    if outcome.state is State.UNKNOWN:
        told = cut(findings[0].found if findings else "it could not be told", 1024)
        compliance["StatusReasons"] = [{"ReasonCode": "COULD_NOT_TELL", "Description": told}]
    if outcome.state is State.EXEMPT:
        compliance["StatusReasons"] = [{"ReasonCode": "EXEMPT", "Description": "exempt by configuration"}]
    return compliance


# --- batches -----------------------------------------------------------------------------------------------------


def batches(findings: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The findings in batches that BatchImportFindings takes, each of one account and region.

    They may come in any order; about a thousand wait at the most.
    """
    waiting: dict[str, list[dict[str, Any]]] = {}
    count = 0
    for finding in findings:
        place = finding["ProductArn"]
        waiting.setdefault(place, []).append(finding)
        count += 1
        if count >= _MOST_WAITING:
            place = max(waiting, key=lambda each: len(waiting[each]))
        if len(waiting[place]) >= LARGEST_BATCH or count >= _MOST_WAITING:
            count -= len(waiting[place])
            yield waiting.pop(place)
    yield from waiting.values()
