"""Danger: a grant that is wider than producing, consuming or administering lets a mistake, or a thief, do more than the
work needs. Source: "Implement least-privilege access", Amazon SQS security best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs import policy
from safe_sqs.model import Facts, Mode, Practice, Problem, Rule, Settings, Subject

__all__ = ["RULE"]


def check(facts: Facts, settings: Settings) -> Iterator[Problem]:
    """No grant is wider than one role, none goes to an account outside the trusted ones, and no service acts for all.

    The queue's own account as a whole is left out: AWS puts it into every default policy, and it only hands the
    decision to IAM.
    """
    arn = facts.queue.arn
    for grant in policy.grants(facts.policy, queue_arn=arn):
        if not grant.fits_one_role and not (grant.is_whole_account and grant.account == facts.queue.account):
            yield Problem(
                found=f"the queue's policy grants {grant} more than one role needs: {grant.told}",
                expected="the actions of a producer, a consumer or an administrator, named one by one",
                next_step="list the actions that the principal needs, and split administration from sending and "
                "receiving",
                identities=tuple(f"{grant.principal}: {what}" for what in (*grant.actions, *grant.wildcards)),
            )
    for foreigner in policy.foreign_accounts(facts.policy, queue_arn=arn):
        if foreigner.is_service and not foreigner.tied:
            yield Problem(
                found=f"the queue's policy lets {foreigner.name} in for whomever it acts: {foreigner.told}"
                if foreigner.tied is False
                else f"it could not be told for whom {foreigner.name} may act: {foreigner.told}",
                expected="a condition on aws:SourceArn or aws:SourceAccount where a service is the principal",
                next_step=f'add the condition "StringEquals": {{"aws:SourceAccount": '
                f'"{facts.queue.account or "ACCOUNT_ID"}"}} to that statement',
                unverifiable=foreigner.tied is None,
                identities=(f"{foreigner.name} for anyone",),
            )
        elif not foreigner.is_service and settings.trusted_accounts and foreigner.name not in settings.trusted_accounts:
            yield Problem(
                found=f"the queue's policy lets in account {foreigner.name}, which is not trusted: {foreigner.told}"
                if foreigner.witness
                else f"it could not be told whether account {foreigner.name} is let in: {foreigner.told}",
                expected=f"accounts that are trusted: {', '.join(settings.trusted_accounts)}",
                next_step=f"remove that account, or add {foreigner.name} to trusted_accounts",
                unverifiable=foreigner.witness is None,
                identities=(f"account {foreigner.name}",),
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
