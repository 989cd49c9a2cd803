"""Danger: anyone may read the queue's messages or put some in. Source: "Ensure queues aren't publicly accessible",
Amazon SQS security best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.model import Facts, Mode, Practice, Problem, Rule, Settings, Subject
from safe_sqs.policy import public_access

__all__ = ["RULE"]


def check(facts: Facts, settings: Settings) -> Iterator[Problem]:
    """No statement of the queue's policy lets anyone in."""
    for statement in public_access(facts.policy).statements:
        yield Problem(
            found=f"the queue's policy lets anyone in: {statement.label}",
            expected="a Principal that names accounts, roles or users, or a condition that names who may",
            next_step="name the principals in that statement, or remove it",
            identities=(repr(statement._replace(label="")),),
        )


RULE = Rule(
    name="public-access",
    title="The queue is not public",
    practice=Practice.NOT_PUBLIC,
    subject=Subject.QUEUE,
    check=check,
    baseline=Mode.ENFORCE,
    attributes=frozenset({"Policy"}),
)
