"""Danger: the messages that failed, often those with the strangest contents, end in a queue that nobody looked at. The
dead-letter queue is held to what its source queue is held to. Source: "Implement server-side encryption" and "Ensure
queues aren't publicly accessible", Amazon SQS security best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.model import Facts, Mode, Practice, Problem, Rule, Settings, Subject, Unreadable
from safe_sqs.rules import least_privilege, public_access, queue_encryption, tls_only_policy, vpc_only_policy

__all__ = ["RULE"]

_HELD_TO = (
    queue_encryption.RULE,
    public_access.RULE,
    least_privilege.RULE,
    tls_only_policy.RULE,
    vpc_only_policy.RULE,
)


def check(facts: Facts, settings: Settings) -> Iterator[Problem]:
    """Every queue rule that is enforced for the queue holds for its dead-letter queue.

    Where this rule only warns, so does what it says for the rules that only warn.
    """
    dead_letter = facts.dead_letter
    if dead_letter is None:
        return
    if isinstance(dead_letter, Unreadable):
        yield Problem(
            found=f"the dead-letter queue {dead_letter.subject} could not be read ({dead_letter.code})",
            expected="a dead-letter queue that can be judged",
            next_step=f"allow {dead_letter.permission} on it to this program"
            if dead_letter.permission
            else "correct the redrive policy, or look at that queue with aws sqs get-queue-attributes",
            unverifiable=True,
        )
        return
    binding = {Mode.ENFORCE, settings.mode(RULE.name)}
    for rule in _HELD_TO:
        if settings.mode(rule.name) in binding:
            where = f"{rule.name}, on the dead-letter queue {dead_letter.queue.name}"
            for problem in rule.check(dead_letter, settings):
                yield problem._replace(
                    found=f"{where}: {problem.found}",
                    identities=tuple(f"{where}: {identity}" for identity in problem.identities),
                )


RULE = Rule(
    name="dead-letter-queue",
    title="The dead-letter queue is held to the same",
    practice=Practice.ENCRYPTION_AT_REST,
    subject=Subject.QUEUE,
    check=check,
    baseline=Mode.ENFORCE,
    attributes=frozenset({"RedrivePolicy"}),
)
