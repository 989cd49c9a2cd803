"""Danger: a grant that is wider than producing, consuming or administering lets a mistake, or a thief, do more than the
work needs. Source: "Implement least-privilege access", Amazon SQS security best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.model import Facts, Mode, Practice, Problem, Rule, Settings, Subject
from safe_sqs.policy import grants_beyond_a_role

__all__ = ["RULE"]


def check(facts: Facts, settings: Settings) -> Iterator[Problem]:
    """No statement of the queue's policy grants more than one role, or to an account outside the trusted ones."""
    answer = grants_beyond_a_role(facts.policy, queue_arn=facts.queue.arn, trusted_accounts=settings.trusted_accounts)
    for statement in answer.statements:
        yield Problem(
            found=f"the queue's policy grants more than one role needs: {statement.label}",
            expected="the actions of a producer, a consumer or an administrator, named, for trusted accounts",
            next_step="list the actions that the principal needs, and split administration from sending and receiving",
            identities=(repr(statement._replace(label="")),),
        )


RULE = Rule(
    name="least-privilege",
    title="The queue's policy grants no more than a role needs",
    practice=Practice.LEAST_PRIVILEGE,
    subject=Subject.QUEUE,
    check=check,
    baseline=Mode.WARN,
    attributes=frozenset({"Policy"}),
)
