"""Danger: this process uses HTTPS, the next one does not, and the queue takes both. Source: "Enforce encryption of data
in transit", Amazon SQS security best practices: force HTTPS with `aws:SecureTransport` in the queue policy.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.model import Facts, Mode, Practice, Problem, Rule, Settings, Subject
from safe_sqs.policy import plaintext_access

__all__ = ["RULE"]


def check(facts: Facts, settings: Settings) -> Iterator[Problem]:
    """The queue's policy denies plain HTTP to everyone."""
    if plaintext_access(facts.policy, queue_arn=facts.queue.arn).found:
        yield Problem(
            found="the queue's policy does not deny plain HTTP to everyone",
            expected='a statement that denies sqs:* to "*" when aws:SecureTransport is false',
            next_step='add {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "'
            + (facts.queue.arn or "QUEUE_ARN")
            + '", "Condition": {"Bool": {"aws:SecureTransport": "false"}}} to the policy',
        )


RULE = Rule(
    name="tls-only-policy",
    title="The queue's policy denies plain HTTP",
    practice=Practice.ENCRYPTION_IN_TRANSIT,
    subject=Subject.QUEUE,
    check=check,
    baseline=Mode.WARN,
    attributes=frozenset({"Policy"}),
)
