"""The one table of Amazon SQS operations, by what a caller does with them.

Source: "Amazon SQS API permissions: Actions and resource reference". A test compares the table with botocore's model.
"""

from __future__ import annotations

from enum import Enum

from safe_sqs.model import Role

__all__ = ["CHANGES", "OPERATIONS", "ROLE_KINDS", "Kind", "kind_of"]


class Kind(str, Enum):
    """What an operation does: put messages in, take them out, finish one already held, administer, or only read."""

    PRODUCE = "produce"
    CONSUME = "consume"
    SETTLE = "settle"
    ADMINISTER = "administer"
    READ = "read"


OPERATIONS: dict[str, Kind] = {
    "AddPermission": Kind.ADMINISTER,
    "CancelMessageMoveTask": Kind.ADMINISTER,
    "ChangeMessageVisibility": Kind.SETTLE,
    "ChangeMessageVisibilityBatch": Kind.SETTLE,
    "CreateQueue": Kind.ADMINISTER,
    "DeleteMessage": Kind.SETTLE,
    "DeleteMessageBatch": Kind.SETTLE,
    "DeleteQueue": Kind.ADMINISTER,
    "GetQueueAttributes": Kind.READ,
    "GetQueueUrl": Kind.READ,
    "ListDeadLetterSourceQueues": Kind.READ,
    "ListMessageMoveTasks": Kind.READ,
    "ListQueueTags": Kind.READ,
    "ListQueues": Kind.READ,
    "PurgeQueue": Kind.ADMINISTER,
    "ReceiveMessage": Kind.CONSUME,
    "RemovePermission": Kind.ADMINISTER,
    "SendMessage": Kind.PRODUCE,
    "SendMessageBatch": Kind.PRODUCE,
    "SetQueueAttributes": Kind.ADMINISTER,
    "StartMessageMoveTask": Kind.ADMINISTER,
    "TagQueue": Kind.ADMINISTER,
    "UntagQueue": Kind.ADMINISTER,
}

CHANGES = frozenset({"AddPermission", "CreateQueue", "RemovePermission", "SetQueueAttributes"})
"""Operations that are judged by the state they would leave behind."""

ROLE_KINDS: dict[Role, frozenset[Kind]] = {
    Role.PRODUCER: frozenset({Kind.PRODUCE, Kind.READ}),
    Role.CONSUMER: frozenset({Kind.CONSUME, Kind.SETTLE, Kind.READ}),
    Role.ADMINISTRATOR: frozenset({Kind.ADMINISTER, Kind.READ}),
}
"""What each role may do."""


def kind_of(operation: str) -> Kind:
    """The kind of an operation; one that the table does not know counts as administration."""
    return OPERATIONS.get(operation, Kind.ADMINISTER)
