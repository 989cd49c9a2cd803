"""Danger: messages lie readable where they are stored. Source: "Implement server-side encryption", Amazon SQS security
best practices; "Encryption at rest in Amazon SQS".
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.model import Facts, KeyManager, Mode, Practice, Problem, Rule, Settings, Subject, Unreadable

__all__ = ["ANY", "AWS_MANAGED_ALIAS", "CUSTOMER_KEY", "KMS", "RULE"]

ANY, KMS, CUSTOMER_KEY = "any", "kms", "customer-key"
LEVELS = (ANY, KMS, CUSTOMER_KEY)
AWS_MANAGED_ALIAS = "alias/aws/sqs"
_EXPECTED = {
    ANY: "server-side encryption (SSE-SQS or SSE-KMS)",
    KMS: "server-side encryption with a KMS key (SSE-KMS)",
    CUSTOMER_KEY: "server-side encryption with a KMS key that you manage",
}


def check(facts: Facts, settings: Settings) -> Iterator[Problem]:
    """The queue is encrypted at rest, with the kind of key that the level asks for.

    A queue that falls short of a level falls short of the stronger ones too, which is what the identities say.
    """
    level = settings.level(RULE.name)
    expected = _EXPECTED[level]
    if not facts.kms_key and not facts.sse_sqs:
        fix = "SqsManagedSseEnabled=true" if level == ANY else "KmsMasterKeyId=KEY"
        yield Problem(
            found="no server-side encryption (SqsManagedSseEnabled and KmsMasterKeyId are not set)",
            expected=expected,
            next_step=f"aws sqs set-queue-attributes --queue-url {facts.queue.shown} --attributes {fix}",
            identities=LEVELS,
        )
    elif not facts.kms_key and level != ANY:
        yield Problem(
            found="encryption with a key that SQS owns (SSE-SQS)",
            expected=expected,
            next_step=f"aws sqs set-queue-attributes --queue-url {facts.queue.shown} --attributes KmsMasterKeyId=KEY",
            identities=LEVELS[1:],
        )
    elif level == CUSTOMER_KEY:
        yield from _check_manager(facts, expected)


def _check_manager(facts: Facts, expected: str) -> Iterator[Problem]:
    if facts.key_manager is KeyManager.CUSTOMER:
        return
    if facts.key_manager is KeyManager.AWS:
        yield Problem(
            found=f"encryption with the key {facts.kms_key}, which AWS manages",
            expected=expected,
            next_step="create a KMS key, let the queue's users and senders use it, and set it as KmsMasterKeyId",
            identities=LEVELS[2:],
        )
        return
    code = facts.key_manager.code if isinstance(facts.key_manager, Unreadable) else "nobody asked"
    yield Problem(
        found=f"it is not known who manages the key {facts.kms_key} ({code})",
        expected=expected,
        next_step="allow kms:DescribeKey on the key to this program, or lower the level to kms",
        unverifiable=True,
        identities=(f"unknown manager of {facts.kms_key}",),
    )


RULE = Rule(
    name="queue-encryption",
    title="The queue is encrypted at rest",
    practice=Practice.ENCRYPTION_AT_REST,
    subject=Subject.QUEUE,
    check=check,
    baseline=Mode.ENFORCE,
    attributes=frozenset({"KmsMasterKeyId", "SqsManagedSseEnabled"}),
    levels=LEVELS,
    strict_level=KMS,
)
