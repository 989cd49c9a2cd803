"""Queue policies as they are met: what subscriptions, notifications, rules and landing zones write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["QUEUE_ARN", "TYPICAL", "policy_of", "statements"]

QUEUE_ARN = "arn:aws:sqs:us-east-1:111122223333:orders"

Statement = dict[str, Any]


def policy_of(*statements: Statement, version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def allow(sid: str, principal: Any, action: Any = "sqs:SendMessage", **condition: dict[str, Any]) -> Statement:
    statement = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": action, "Resource": QUEUE_ARN}
    return {**statement, "Condition": condition} if condition else statement


def deny(sid: str, **condition: dict[str, Any]) -> Statement:
    statement = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE_ARN}
    return {**statement, "Condition": condition}


def owner() -> Statement:
    return allow("__owner_statement", {"AWS": "arn:aws:iam::111122223333:root"}, "SQS:*")


def topic(number: int = 1) -> Statement:
    source = {"aws:SourceArn": f"arn:aws:sns:us-east-1:111122223333:orders-{number}"}
    return allow(f"Topic{number}", {"Service": "sns.amazonaws.com"}, ArnEquals=source)


def older_topic() -> Statement:
    """As the SNS documentation had it for years: everyone, narrowed by the topic."""
    return allow("OlderTopic", "*", ArnLike={"aws:SourceArn": "arn:aws:sns:us-east-1:111122223333:orders"})


def bucket(number: int = 1) -> Statement:
    return allow(
        f"Bucket{number}",
        {"Service": "s3.amazonaws.com"},
        ArnLike={"aws:SourceArn": f"arn:aws:s3:::uploads-{number}"},
        StringEquals={"aws:SourceAccount": "111122223333"},
    )


def event_rule(number: int = 1) -> Statement:
    source = {"aws:SourceArn": f"arn:aws:events:us-east-1:111122223333:rule/nightly-{number}"}
    return allow(f"Rule{number}", {"Service": "events.amazonaws.com"}, ArnEquals=source)


def producers(number: int = 1) -> Statement:
    roles = [f"arn:aws:iam::{444455556666 + number}:role/{name}" for name in ("checkout", "returns")]
    return allow(f"Producers{number}", {"AWS": roles}, ["sqs:SendMessage", "sqs:GetQueueUrl"])


def consumer() -> Statement:
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    return allow("Consumer", {"AWS": "arn:aws:iam::111122223333:role/billing"}, actions)


def organisation() -> Statement:
    return allow("Organisation", "*", StringEquals={"aws:PrincipalOrgID": "o-a1b2c3d4e5"})


def offices() -> Statement:
    return allow("Offices", "*", "sqs:*", IpAddress={"aws:SourceIp": ["192.0.2.0/24", "198.51.100.0/25"]})


def https_only() -> Statement:
    return deny("HttpsOnly", Bool={"aws:SecureTransport": "false"})


def endpoint_only() -> Statement:
    return deny("EndpointOnly", StringNotEquals={"aws:SourceVpce": ["vpce-1a2b3c4d", "vpce-5e6f7a8b"]})


def added(number: int = 1) -> Statement:
    """What AddPermission writes."""
    return allow(f"added-{number}", {"AWS": str(222233334444 + number)}, ["SQS:SendMessage", "SQS:ReceiveMessage"])


TYPICAL: dict[str, dict[str, Any]] = {
    "default": policy_of(owner(), version="2008-10-17"),
    "AddPermission": policy_of(owner(), added(1), added(2), version="2008-10-17"),
    "SNS": policy_of(topic()),
    "SNS, older form": policy_of(older_topic()),
    "S3": policy_of(bucket()),
    "EventBridge": policy_of(event_rule()),
    "cross-account": policy_of(producers(), consumer()),
    "organisation": policy_of(organisation()),
    "source addresses": policy_of(offices()),
    "HTTPS only": policy_of(owner(), https_only()),
    "SNS, HTTPS only": policy_of(topic(), https_only()),
    "VPC endpoint only": policy_of(producers(), endpoint_only()),
    "all of it": policy_of(owner(), topic(), bucket(), event_rule(), producers(), https_only(), endpoint_only()),
}


def statements(count: int) -> list[Statement]:
    """The first so many statements of a policy that grows as policies do: one more source, one more consumer."""
    makers: tuple[Callable[[int], Statement], ...] = (topic, producers, bucket, event_rule)
    grown = [makers[number % len(makers)](number) for number in range(count)]
    return [https_only(), *grown[: count - 1]]
