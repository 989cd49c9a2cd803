"""IAM policies for those who use queues: for the roles of programs, and for VPC endpoints.

Sources: "Using identity-based policies with Amazon SQS" and "Amazon SQS Key management" in the Amazon SQS developer
guide; "Control access to VPC endpoints using endpoint policies" in the AWS PrivateLink guide; "kms:ViaService" in the
AWS KMS developer guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from safe_sqs.model import Queue, Role
from safe_sqs.policy.evaluate import ACTIONS
from safe_sqs.writing.generate import VERSION, actions_for, each_in_one_role, one_or_list, text_of
from safe_sqs.writing.names import CannotWrite, kms_key, organisation, principal, vpc, vpc_endpoint

__all__ = [
    "KEY_ACTIONS",
    "KeyNeed",
    "actions_of",
    "endpoint_policy",
    "identity_policy",
    "key_actions_of",
    "key_grant",
    "policy_of_needs",
]

_OVER_HTTPS = {"Bool": {"aws:SecureTransport": "true"}}
_READ_BY_THE_GUARD = "sqs:GetQueueAttributes"

_ENDPOINT_CHARACTERS = 20_480
"""How long the policy of a VPC endpoint may be."""

KEY_ACTIONS: dict[Role, tuple[str, ...]] = {
    Role.PRODUCER: ("kms:Decrypt", "kms:GenerateDataKey"),
    Role.CONSUMER: ("kms:Decrypt",),
}
"""What Amazon SQS asks AWS KMS in the name of those who use an encrypted queue."""

_VIA_SQS = frozenset({"aws", "aws-us-gov"})
"""Partitions in which the name of Amazon SQS in kms:ViaService is documented."""


def identity_policy(
    role: Role,
    queues: Iterable[Queue],
    *,
    dead_letter_queues: Iterable[Queue] = (),
    kms_keys: Iterable[str] = (),
    vpcs: Iterable[str] = (),
    vpc_endpoints: Iterable[str] = (),
    describe_keys: bool = False,
) -> dict[str, Any]:
    """The IAM policy of a producer, a consumer or an administrator of these queues, over HTTPS only.

    `dead_letter_queues` are those at which the guard looks as well. `kms_keys` are the ARNs of the keys under which the
    queues are encrypted; with `describe_keys`, the guard may ask who manages them, as the level `customer-key` of
    queue-encryption needs. With VPCs or VPC endpoints, the policy grants nothing from elsewhere.

    Raises CannotWrite.
    """
    queues, others = _sorted(queues), _sorted(dead_letter_queues)
    if not queues:
        raise CannotWrite("there is no queue to grant anything on", "name at least one with --queue-arn")
    keys = sorted({kms_key(text, queues[0].partition) for text in kms_keys})
    if describe_keys and not keys:
        raise CannotWrite("there is no key to describe", "name it with --kms-key")
    inside = _inside(vpcs, vpc_endpoints)
    statements = []
    for number, condition in enumerate(inside, start=1):
        ending = str(number) if len(inside) > 1 else ""
        statements.append(_on_queues(f"{role.value.capitalize()}{ending}", actions_for(role), queues, condition))
        if others:
            statements.append(_on_queues(f"DeadLetterQueues{ending}", (_READ_BY_THE_GUARD,), others, condition))
    regions = {queue.region for queue in queues}
    if keys and role in KEY_ACTIONS:
        statements.append(key_grant(KEY_ACTIONS[role], keys, regions, queues[0].partition))
    if describe_keys:
        statements.append(
            {"Sid": "DescribeKeys", "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": one_or_list(keys)}
        )
    return {"Version": VERSION, "Statement": statements}


def _inside(vpcs: Iterable[str], vpc_endpoints: Iterable[str]) -> list[dict[str, Any]]:
    """The conditions from where a grant holds, each for a statement of its own: within one they would all have to
    hold."""
    named = {
        "aws:SourceVpc": sorted(set(map(vpc, vpcs))),
        "aws:SourceVpce": sorted(set(map(vpc_endpoint, vpc_endpoints))),
    }
    found = [{**_OVER_HTTPS, "StringEquals": {key: one_or_list(values)}} for key, values in named.items() if values]
    return found or [_OVER_HTTPS]


def _on_queues(sid: str, actions: Iterable[str], queues: Iterable[Queue], condition: dict[str, Any]) -> dict[str, Any]:
    return {"Sid": sid, **_grant(actions, [queue.arn for queue in queues], condition)}


def key_grant(actions: Iterable[str], keys: list[str], regions: Iterable[str], partition: str) -> dict[str, Any]:
    """The use of KMS keys: only by way of Amazon SQS in these regions, where its name there is known."""
    names = [f"sqs.{region}.amazonaws.com" for region in sorted(set(regions))]
    grant: dict[str, Any] = {
        "Sid": "Keys",
        "Effect": "Allow",
        "Action": one_or_list(list(actions)),
        "Resource": one_or_list(keys),
    }
    if names and partition in _VIA_SQS:
        grant["Condition"] = {"StringEquals": {"kms:ViaService": one_or_list(names)}}
    return grant


def _sorted(queues: Iterable[Queue]) -> list[Queue]:
    """Each queue once. Raises CannotWrite when they are not all of one partition."""
    found = sorted({queue.arn: queue for queue in queues}.values(), key=lambda queue: queue.arn)
    if len({queue.partition for queue in found}) > 1:
        raise CannotWrite("the queues are in several partitions", "write a policy for each: no principal is in two")
    return found


# --- VPC endpoints -----------------------------------------------------------------------------------------------


def endpoint_policy(
    queues: Iterable[Queue],
    *,
    producers: Iterable[str] = (),
    consumers: Iterable[str] = (),
    administrators: Iterable[str] = (),
) -> dict[str, Any]:
    """The policy of a VPC endpoint: through it, only these may use only these queues, over HTTPS.

    Producers, consumers and administrators are ARNs of roles or users, account ids, or ids of organisations. Raises
    CannotWrite.
    """
    queues = _sorted(queues)
    if not queues:
        raise CannotWrite("there is no queue to let through", "name at least one with --queue-arn")
    partition = queues[0].partition
    asked = dict(zip(Role, map(list, (producers, consumers, administrators)), strict=True))
    if not any(asked.values()):
        raise CannotWrite(
            "there is nobody to let through", "name somebody with --producer, --consumer or --administrator"
        )
    each_in_one_role(
        {
            role: tuple({principal(text, partition) for text in texts if not text.startswith("o-")})
            for role, texts in asked.items()
        }
    )
    statements = [
        {
            "Sid": f"{role.value.capitalize()}{by}",
            "Effect": "Allow",
            "Principal": "*",
            "Action": one_or_list(actions_for(role)),
            "Resource": one_or_list([queue.arn for queue in queues]),
            "Condition": {
                **_OVER_HTTPS,
                operator: {key: one_or_list(sorted(values))},
                **_owned_by(queues, operator, key, values),
            },
        }
        for role, texts in asked.items()
        for by, operator, key, values in _told_apart(texts, partition)
    ]
    policy = {"Version": VERSION, "Statement": statements}
    if len(text_of(policy)) > _ENDPOINT_CHARACTERS:
        raise CannotWrite(
            f"the policy is longer than the {_ENDPOINT_CHARACTERS:,} characters that an endpoint takes",
            "name accounts or the organisation in place of many roles",
        )
    return policy


def _told_apart(texts: list[str], partition: str) -> Iterator[tuple[str, str, str, set[str]]]:
    """By which condition key those are known who are named, for each kind of them."""
    organisations = {organisation(text) for text in texts if text.startswith("o-")}
    people = {principal(text, partition) for text in texts if not text.startswith("o-")}
    accounts = {each.account for each in people if each.is_account}
    arns = {each.arn for each in people if not each.is_account}
    for by, operator, key, values in (
        ("Arns", "ArnEquals", "aws:PrincipalArn", arns),
        ("Accounts", "StringEquals", "aws:PrincipalAccount", accounts),
        ("Organisations", "StringEquals", "aws:PrincipalOrgID", organisations),
    ):
        if values:
            yield by, operator, key, values


def _owned_by(queues: list[Queue], operator: str, key: str, values: set[str]) -> dict[str, Any]:
    owners = {"aws:ResourceAccount": one_or_list(sorted({queue.account for queue in queues}))}
    if operator == "StringEquals":
        owners = {key: one_or_list(sorted(values)), **owners}
    return {"StringEquals": owners}


# --- from what was needed ----------------------------------------------------------------------------------------

_OPERATIONS_WITH_MORE = {
    "CancelMessageMoveTask": ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage"),
    "ListMessageMoveTasks": ("GetQueueAttributes",),
    "StartMessageMoveTask": ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage"),
}
"""Operations that need more than the action of their name, by the service authorization reference of Amazon SQS."""


def actions_of(operation: str) -> tuple[str, ...]:
    """The IAM actions on its queue that an operation needs. Those in batches need the single one's."""
    names = (operation.removesuffix("Batch"), *_OPERATIONS_WITH_MORE.get(operation, ()))
    return tuple(f"sqs:{name}" for name in names)


def key_actions_of(actions: Iterable[str]) -> tuple[str, ...]:
    """The actions on the key of an encrypted queue that go with these on the queue."""
    roles = {"sqs:SendMessage": Role.PRODUCER, "sqs:ReceiveMessage": Role.CONSUMER}
    return tuple(sorted({each for action in actions if action in roles for each in KEY_ACTIONS[roles[action]]}))


def policy_of_needs(needs: Iterable[tuple[str, str]], keys: Iterable[KeyNeed] = ()) -> dict[str, Any]:
    """The IAM policy that allows exactly these (action, resource), over HTTPS, and these uses of keys.

    Queues with the same actions are in one statement. Actions that concern no certain queue have the resource "*".
    """
    by_queue: dict[str, set[str]] = {}
    for action, resource in needs:
        by_queue.setdefault(resource, set()).add(action)
    by_actions: dict[tuple[str, ...], list[str]] = {}
    for resource in sorted(by_queue):
        by_actions.setdefault(tuple(sorted(by_queue[resource], key=_in_order)), []).append(resource)
    statements = [
        _grant(actions, resources, _OVER_HTTPS) for actions, resources in sorted(by_actions.items(), key=_before)
    ]
    statements += [key_grant(each.actions, [each.key], each.regions, each.key.split(":")[1]) for each in sorted(keys)]
    return {
        "Version": VERSION,
        "Statement": [
            {"Sid": f"Used{number}", **_without_sid(each)} for number, each in enumerate(statements, start=1)
        ],
    }


class KeyNeed(NamedTuple):
    """The use of a key: by way of Amazon SQS in these regions, or directly where there are none."""

    key: str
    actions: tuple[str, ...]
    regions: tuple[str, ...] = ()


def _grant(actions: Iterable[str], resources: Sequence[str], condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": one_or_list(list(actions)),
        "Resource": one_or_list(resources),
        "Condition": condition,
    }


def _without_sid(statement: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != "Sid"}


def _in_order(action: str) -> tuple[int, str]:
    name = action.removeprefix("sqs:")
    return (ACTIONS.index(name) if name in ACTIONS else len(ACTIONS), action)


def _before(group: tuple[tuple[str, ...], list[str]]) -> tuple[bool, list[tuple[int, str]]]:
    actions, resources = group
    return resources == ["*"], [_in_order(action) for action in actions]
