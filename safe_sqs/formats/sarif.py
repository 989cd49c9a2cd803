"""SARIF 2.1.0 (OASIS), as GitHub code scanning and other viewers read it.

Only what is wrong, or could not be told, is a result: GitHub shows every result as an alert, whatever its `kind`. For
the same reason what could not be told has the kind `fail` and not `open`, which would have to go with the level `none`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, TextIO
from urllib.parse import quote

from safe_sqs.controls import CONTROLS, Control, Coverage
from safe_sqs.evaluation import QUEUE_RULES, Evaluation, counts
from safe_sqs.formats import own_version
from safe_sqs.formats.severity import SCORES, SEVERITIES
from safe_sqs.formats.texts import printable
from safe_sqs.inspection import Inspection, Trouble
from safe_sqs.judge import QUEUE_ATTRIBUTES
from safe_sqs.model import Finding, Mode, Practice, Queue, Rule

__all__ = ["write"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Mode.ENFORCE: "error", Mode.WARN: "warning"}
_KINDS = {Coverage.SAME: "equal", Coverage.PART: "relevant"}
"""How a control stands to our rule, in the words of SARIF, section 3.53.3. "Part" is no subset: most controls also find
what our rule does not."""


def write(inspection: Inspection, stream: TextIO) -> None:
    """Write the log with one run, result by result, in ASCII."""
    run = json.dumps({"tool": _tool(inspection), "taxonomies": _taxonomies(), "invocations": [_invocation(inspection)]})
    stream.write(f'{{"$schema": {json.dumps(_SCHEMA)}, "version": "2.1.0", "runs": [{run[:-1]}, "results": [')
    separator = "\n"
    for evaluation in inspection.evaluations:
        for result in _results_of(evaluation, inspection.tally.fail_on):
            stream.write(f"{separator}{json.dumps(result)}")
            separator = ",\n"
    stream.write("\n]}]}\n")


# --- the tool ----------------------------------------------------------------------------------------------------


def _tool(inspection: Inspection) -> dict[str, Any]:
    rules = [_descriptor(rule, inspection.config.mode(rule.name)) for rule in QUEUE_RULES]
    return {
        "driver": {
            "name": "safe_sqs",
            "semanticVersion": own_version(),
            "rules": [*rules, _UNREAD],
            "supportedTaxonomies": [{"name": source, "index": at} for at, source in enumerate(_TAXA)],
        }
    }


def _descriptor(rule: Rule, mode: Mode) -> dict[str, Any]:
    controls = CONTROLS[rule.name]
    listed = "".join(f"\n- {each.source} {each.id} ({each.covers.value}): {each.remark}" for each in controls)
    published = f"\n\nPublished controls that check the same, or a part of it:\n{listed}" if listed else ""
    return {
        **_head(rule.name, f"{rule.title}.", rule.practice),
        "help": {
            "text": f"{rule.title}. {rule.practice.url}{published}",
            "markdown": f"**{rule.title}.** [What AWS says]({rule.practice.url}){_in_markdown(published)}",
        },
        "defaultConfiguration": {"level": _LEVELS[mode]} if mode in _LEVELS else {"enabled": False},
        "relationships": [_relationship(control) for control in controls],
    }


def _in_markdown(text: str) -> str:
    return text.replace("*", r"\*").replace("_", r"\_")


def _head(name: str, title: str, practice: Practice | None) -> dict[str, Any]:
    return {
        "id": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": title},
        "properties": {"tags": ["security", "sqs"], "security-severity": SCORES[SEVERITIES[name]]},
        **({"helpUri": practice.url} if practice else {}),
    }


_UNREAD = {
    **_head(QUEUE_ATTRIBUTES, "The queue can be read, and so judged.", None),
    "help": {"text": "The queue can be read, and so judged. What cannot be told counts as not safe."},
    "defaultConfiguration": {"level": "error"},
}
_INDEX = {rule.name: index for index, rule in enumerate(QUEUE_RULES)} | {QUEUE_ATTRIBUTES: len(QUEUE_RULES)}

_TAXA: dict[str, dict[str, Control]] = {}
for _rule in QUEUE_RULES:
    for _control in CONTROLS[_rule.name]:
        _TAXA.setdefault(_control.source, {}).setdefault(_control.id, _control)


def _taxonomies() -> list[dict[str, Any]]:
    """Who publishes controls, each with those that have to do with our rules."""
    return [
        {
            "name": source,
            "shortDescription": {"text": f"Controls that {source} publishes, as far as they are about queues."},
            "taxa": [{"id": control.id, "helpUri": control.url} for control in controls.values()],
        }
        for source, controls in _TAXA.items()
    ]


def _relationship(control: Control) -> dict[str, Any]:
    return {
        "target": {
            "id": control.id,
            "index": list(_TAXA[control.source]).index(control.id),
            "toolComponent": {"name": control.source, "index": list(_TAXA).index(control.source)},
        },
        "kinds": [_KINDS[control.covers]],
        "description": {"text": control.remark},
    }


def _invocation(inspection: Inspection) -> dict[str, Any]:
    return {
        "executionSuccessful": not inspection.troubles,
        "startTimeUtc": inspection.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "toolExecutionNotifications": [_notification(trouble) for trouble in inspection.troubles],
    }


def _notification(trouble: Trouble) -> dict[str, Any]:
    said = f"{trouble.place} could not be looked at: {trouble.found}. Next step: {trouble.next_step}."
    return {"level": "error", "message": _message(said)}


# --- results -----------------------------------------------------------------------------------------------------


def _results_of(evaluation: Evaluation, fail_on: Mode) -> Iterator[dict[str, Any]]:
    for finding in evaluation.findings:
        yield _result(evaluation.queue, finding, fail_on)


def _result(queue: Queue, finding: Finding, fail_on: Mode) -> dict[str, Any]:
    is_note = not (finding.unverifiable or counts(finding, fail_on))
    return {
        "ruleId": finding.rule,
        "ruleIndex": _INDEX[finding.rule],
        "kind": "fail",
        "level": "note" if is_note else _LEVELS[finding.mode],
        "message": _message(
            f"{queue.name or queue.shown}: {finding.found}. Expected: {finding.expected}. "
            f"Next step: {finding.next_step}."
        ),
        "locations": [_location(queue)],
        "partialFingerprints": {"primaryLocationLineHash": f"{_fingerprint(queue, finding)}:1"},
        "properties": {
            "queue": printable(queue.arn or queue.shown),
            "mode": finding.mode.value,
            "unverifiable": finding.unverifiable,
            "nextStep": printable(finding.next_step),
        },
    }


def _message(text: str) -> dict[str, str]:
    """Plain text in which nothing is taken for a placeholder or a link of SARIF (sections 3.11.5 and 3.11.6)."""
    text = re.sub(r"\{(\d+)\}", r"{{\1}}", printable(text))
    return {"text": text.replace("](", "] (")}


_IN_FILE = re.compile(r"(?P<path>[^\s:]+):(?P<line>[1-9]\d*)(?: (?P<where>.*))?", re.DOTALL)
"""How a queue or a policy in a file is named in place of its URL."""


def _location(queue: Queue) -> dict[str, Any]:
    """The line of a file; or a path in place of one, since GitHub shows no result without, and the queue itself."""
    in_file = _IN_FILE.fullmatch(queue.shown)
    if not queue.name and in_file:
        where = printable(in_file["where"] or in_file["path"])
        place = {
            "artifactLocation": {"uri": printable(in_file["path"])},
            "region": {"startLine": int(in_file["line"])},
        }
        logical = {"name": where, "fullyQualifiedName": where, "kind": "resource"}
        return {"physicalLocation": place, "logicalLocations": [logical]}
    parts = ("sqs", queue.partition, queue.region, queue.account, queue.name)
    uri = "/".join(map(_quoted, parts)) if queue.name else f"sqs/{_quoted(queue.shown)}"
    name = printable(queue.arn or queue.shown)
    return {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}},
        "logicalLocations": [
            {"name": printable(queue.name) or name, "fullyQualifiedName": name, "kind": "resource"},
        ],
    }


def _quoted(text: str) -> str:
    return quote(printable(text), safe="")


def _fingerprint(queue: Queue, finding: Finding) -> str:
    """The same for the same finding in every run. It hangs on what was found as well, so that an alert that somebody
    dismissed does not hide another danger of the same queue and rule."""
    identity = json.dumps([queue.arn or queue.shown, finding.rule, finding.found])
    return hashlib.sha256(identity.encode()).hexdigest()[:16]
