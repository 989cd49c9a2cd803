"""What AWS Config says when it starts the function. Source: "Example Events for AWS Config Rules", AWS Config
developer guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from safe_sqs.errors import GuardError

__all__ = ["RESOURCE_TYPE", "ChangedResource", "EventError", "Invocation", "attributes_in", "invocation_from"]

RESOURCE_TYPE = "AWS::SQS::Queue"
_DELETED = frozenset({"ResourceDeleted", "ResourceDeletedNotRecorded"})
_RULE_ARN = re.compile(r"arn:(?P<partition>[a-z0-9-]+):config:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):\S+", re.ASCII)
_CHANGE, _OVERSIZED, _SCHEDULED = (
    "ConfigurationItemChangeNotification",
    "OversizedConfigurationItemChangeNotification",
    "ScheduledNotification",
)


class EventError(GuardError):
    """An event that is not one of AWS Config's, or not one that this rule can serve; the text says why."""


class ChangedResource(NamedTuple):
    """The resource that a notification is about.

    `configuration` is what AWS Config recorded, or None where it stands in the configuration history only, because it
    is too long for an event. `is_gone` is true for one that was deleted or left the scope of the rule.
    """

    type: str
    id: str
    captured: str
    is_gone: bool
    configuration: Mapping[str, Any] | None


class Invocation(NamedTuple):
    """One start of the function: for which rule, where, and about what. `resource` is None for a periodic evaluation,
    which is about all queues; `at` is the time by which AWS Config puts evaluations in order."""

    account: str
    partition: str
    region: str
    token: str
    parameters: str | None
    recorder_role: str
    at: str
    resource: ChangedResource | None


def invocation_from(event: Mapping[str, Any]) -> Invocation:
    """Read an event. Raises EventError."""
    try:
        return _read(event)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        problem = f"no {error}" if isinstance(error, KeyError) else "a part of another shape"
        raise EventError(f"the event is not one of AWS Config's: it has {problem}") from None


def _read(event: Mapping[str, Any]) -> Invocation:
    rule = _RULE_ARN.fullmatch(event["configRuleArn"])
    if rule is None:
        raise EventError(f"the event is not one of AWS Config's: configRuleArn is {event['configRuleArn']!r}")
    told = json.loads(event["invokingEvent"])
    kind = told["messageType"]
    resource = None
    if kind == _CHANGE:
        item = told["configurationItem"]
        resource = _resource(item, event, item.get("configuration") or {})
    elif kind == _OVERSIZED:
        resource = _resource(told["configurationItemSummary"], event, None)
    elif kind != _SCHEDULED:
        raise EventError(f"the rule does not serve the message type {kind!r}; take it out of the rule's triggers")
    return Invocation(
        str(event["accountId"]),
        rule["partition"],
        rule["region"],
        str(event["resultToken"]),
        event.get("ruleParameters"),
        str(event.get("executionRoleArn") or ""),
        resource.captured if resource else told["notificationCreationTime"],
        resource,
    )


def _resource(
    item: Mapping[str, Any], event: Mapping[str, Any], configuration: Mapping[str, Any] | None
) -> ChangedResource:
    is_gone = event.get("eventLeftScope") is True or item["configurationItemStatus"] in _DELETED
    return ChangedResource(
        item["resourceType"], item["resourceId"], item["configurationItemCaptureTime"], is_gone, configuration
    )


def attributes_in(configuration: Any, needed: frozenset[str]) -> Mapping[str, str] | None:
    """The attributes of a queue in a recorded configuration, in the shape of GetQueueAttributes; None where it does not
    say all that is needed, so that the queue has to be looked at.

    AWS Config's published schema of AWS::SQS::Queue has neither Policy nor RedrivePolicy, and items of before 2022 do
    not have SqsManagedSseEnabled. So what an item leaves out is not known, and never taken for "not set"; only
    KmsMasterKeyId and SqsManagedSseEnabled exclude each other, and one of them, when on, tells of both.
    """
    if isinstance(configuration, str):
        try:
            configuration = json.loads(configuration)
        except (ValueError, RecursionError):
            return None
    if not isinstance(configuration, Mapping):
        return None
    read = {name[:1].upper() + name[1:]: _text(value) for name, value in configuration.items()}
    attributes = {name: text for name, text in read.items() if text}
    missing = (needed | {"QueueArn"}) - attributes.keys()
    if "KmsMasterKeyId" in attributes:
        missing -= {"SqsManagedSseEnabled"}
    if attributes.get("SqsManagedSseEnabled", "").lower() == "true":
        missing -= {"KmsMasterKeyId"}
    return None if missing else attributes


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)
