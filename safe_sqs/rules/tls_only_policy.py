"""Danger: this process uses HTTPS, the next one does not, and the queue takes both. Source: "Enforce encryption of data
in transit", Amazon SQS security best practices: force HTTPS with `aws:SecureTransport` in the queue policy.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs import policy
from safe_sqs.model import Facts, Mode, Practice, Problem, Rule, Settings, Subject

__all__ = ["RULE"]


def check(facts: Facts, settings: Settings) -> Iterator[Problem]:
    """The queue's policy denies plain HTTP to everyone."""
    statements = policy.parse(facts.policy)
    answer = policy.plaintext_of(statements, queue_arn=facts.queue.arn)
    if answer.found is not False:
        yield Problem(
            found=f"the queue takes plain HTTP: {answer}" if answer.found else str(answer),
            expected='a statement that denies sqs:* to "*" when aws:SecureTransport is false',
            next_step=policy.closes_plaintext(statements, queue_arn=facts.queue.arn),
            unverifiable=answer.found is None,
            identities=answer.identities("plain HTTP"),
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
