"""JSON: everything that is known, for programs. The shape is described on the reference page "Outputs".

One document, written queue by queue. Each entry of `queues` is what `safe_sqs.evaluation.evaluation_from` reads.
"""

from __future__ import annotations

import json
from typing import Any, TextIO

from safe_sqs.evaluation import QUEUE_RULES, Compliance, State
from safe_sqs.formats import own_version
from safe_sqs.inspection import Inspection
from safe_sqs.model import Practice

__all__ = ["SCHEMA_VERSION", "write"]

SCHEMA_VERSION = 1
"""Goes up when a key is renamed, goes away, or means something else. A new key does not count."""


def write(inspection: Inspection, stream: TextIO) -> None:
    """Write the document. It is ASCII, and has one queue in each line."""
    head = json.dumps(_head(inspection), indent=2)
    stream.write(head.removesuffix("\n}") + ',\n  "queues": [')
    separator = "\n"
    for evaluation in inspection.evaluations:
        compliance = evaluation.compliance(inspection.tally.fail_on).value
        stream.write(f"{separator}    {json.dumps({**evaluation.as_data(), 'compliance': compliance})}")
        separator = ",\n"
    stream.write("\n  ]\n}\n")


def _head(inspection: Inspection) -> dict[str, Any]:
    config, tally = inspection.config, inspection.tally
    return {
        "schema_version": SCHEMA_VERSION,
        "safe_sqs": own_version(),
        "at": inspection.at.isoformat(),
        "settings": {
            "profile": config.profile.value,
            "modes": {rule: mode.value for rule, mode in config.modes},
            "levels": dict(config.levels),
            "fail_on": tally.fail_on.value,
        },
        "summary": {
            "queues": tally.queues,
            "compliance": {each.value: tally.by_compliance[each] for each in Compliance},
            "rules": {
                rule.name: {
                    state.value: tally.by_rule[rule.name, state] for state in State if tally.by_rule[rule.name, state]
                }
                for rule in QUEUE_RULES
            },
            "practices": {
                practice.value: {
                    state.value: tally.by_practice[practice, state]
                    for state in State
                    if tally.by_practice[practice, state]
                }
                for practice in Practice
            },
        },
        "troubles": [trouble._asdict() for trouble in inspection.troubles],
    }
