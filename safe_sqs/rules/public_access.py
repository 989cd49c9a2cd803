"""Danger: anyone may read the queue's messages or put some in. Source: "Ensure queues aren't publicly accessible",
Amazon SQS security best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs import policy
from safe_sqs.model import Facts, Mode, Practice, Problem, Rule, Settings, Subject

__all__ = ["RULE"]


def check(facts: Facts, settings: Settings) -> Iterator[Problem]:
    """No request of an outsider is allowed by the queue's policy."""
    for allow, answer, mend in policy.public_findings(
        policy.parse(facts.policy), queue_arn=facts.queue.arn, trusted_accounts=settings.trusted_accounts
    ):
        yield Problem(
            found=f"the queue is public: {answer}" if answer.found else str(answer),
            expected="a policy that lets in nobody but the accounts, roles, users and sources that it names",
            next_step=mend,
            unverifiable=answer.found is None,
            identities=answer.identities(allow.identity),
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
