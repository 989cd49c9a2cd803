"""The state that a change would leave behind: what CreateQueue, SetQueueAttributes, AddPermission and RemovePermission
do to the attributes of a queue, by the Amazon SQS API reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from typing import Any

from safe_sqs.facts import Answer, ask_attributes, complete
from safe_sqs.model import Ask, Facts, Queue, Unreadable

__all__ = ["look_at_change", "touches"]

_NEW_QUEUE = {"SqsManagedSseEnabled": "true"}
"""What a queue has that is created over HTTPS without attributes (since October 2022)."""

Attributes = dict[str, str]


def touches(operation: str, parameters: Mapping[str, Any], attributes: frozenset[str]) -> bool:
    """True when the change concerns an attribute that a rule reads."""
    if operation in ("AddPermission", "RemovePermission"):
        return "Policy" in attributes
    changed = parameters.get("Attributes") or {}
    return isinstance(changed, Mapping) and not attributes.isdisjoint(changed)


def look_at_change(
    operation: str, parameters: Mapping[str, Any], queue: Queue, attributes: frozenset[str], *, key_manager: bool
) -> Generator[Ask, Answer, tuple[Facts, Facts] | Unreadable]:
    """Ask for the state before, and work out the state after. Returns both, or what could not be read."""
    if operation == "CreateQueue":
        queue = queue._replace(account=_account_in_policy(parameters, queue))
        answer: Answer = {"Attributes": _NEW_QUEUE | ({"QueueArn": queue.arn} if queue.account else {})}
    else:
        answer = yield ask_attributes(queue, attributes | {"Policy"})
    before = yield from complete(queue, answer, attributes, key_manager=key_manager)
    if isinstance(before, Unreadable):
        return before
    assert not isinstance(answer, Unreadable)  # complete() has looked at it
    changed = _apply(operation, parameters, dict(_attributes_of(answer)), before.queue)
    if changed is None:
        return Unreadable("a policy that cannot be read", "", queue.arn)
    after = yield from complete(queue, {"Attributes": changed}, attributes, key_manager=key_manager)
    return after if isinstance(after, Unreadable) else (before, after)


def _account_in_policy(parameters: Mapping[str, Any], queue: Queue) -> str:
    """The account of a queue that is yet to be made: the policy that comes with it names its ARN, if it names one."""
    attributes = parameters.get("Attributes") or {}
    arn = rf"arn:{queue.partition}:sqs:{queue.region}:(\d{{12}}):{re.escape(queue.name)}\b"
    match = re.search(arn, str(attributes.get("Policy", "")), re.ASCII)
    return match[1] if match else ""


def _attributes_of(answer: Mapping[str, object]) -> Attributes:
    attributes = answer["Attributes"]
    assert isinstance(attributes, dict)  # complete() has looked at it
    return attributes


def _apply(operation: str, parameters: Mapping[str, Any], state: Attributes, queue: Queue) -> Attributes | None:
    if operation in ("AddPermission", "RemovePermission"):
        edit = _add_statement if operation == "AddPermission" else _remove_statement
        try:
            state["Policy"] = edit(state.get("Policy", ""), parameters, queue)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return state
    changed: Mapping[str, str] = parameters.get("Attributes") or {}
    if changed.get("KmsMasterKeyId"):
        state["SqsManagedSseEnabled"] = "false"
    elif changed.get("SqsManagedSseEnabled", "").lower() == "true":
        state.pop("KmsMasterKeyId", None)
    state.update(changed)
    return {name: value for name, value in state.items() if value != ""}


def _add_statement(policy: str, parameters: Mapping[str, Any], queue: Queue) -> str:
    document = json.loads(policy) if policy else {"Version": "2008-10-17", "Statement": []}
    document["Statement"] = [
        *_statements(document),
        {
            "Sid": parameters["Label"],
            "Effect": "Allow",
            "Principal": {"AWS": list(parameters["AWSAccountIds"])},
            "Action": [f"SQS:{action}" for action in parameters["Actions"]],
            "Resource": queue.arn,
        },
    ]
    return json.dumps(document)


def _remove_statement(policy: str, parameters: Mapping[str, Any], queue: Queue) -> str:
    if not policy:
        return ""
    document = json.loads(policy)
    document["Statement"] = [entry for entry in _statements(document) if entry.get("Sid") != parameters["Label"]]
    return json.dumps(document) if document["Statement"] else ""


def _statements(document: Any) -> list[Any]:
    statements = document["Statement"]
    return statements if isinstance(statements, list) else [statements]
