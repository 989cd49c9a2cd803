"""Queue policies from the names of those who need the queue.

Sources: "Amazon SQS security best practices", "Amazon SQS policy quotas" and "Amazon SQS API permissions" in the Amazon
SQS developer guide; "The confused deputy problem" in the IAM user guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from safe_sqs.model import Queue, Role
from safe_sqs.operations import OPERATIONS, ROLE_KINDS, Kind
from safe_sqs.policy.evaluate import ACTIONS
from safe_sqs.writing.names import CannotWrite, Principal, Source, principal, source, vpc, vpc_endpoint

__all__ = ["VERSION", "actions_for", "each_in_one_role", "in_chunks", "one_or_list", "queue_policy", "text_of"]

VERSION = "2012-10-17"

_ACTIONS_AT_MOST = 7
"""Actions in one statement."""
_AT_MOST = {"bytes": 8_192, "statements": 20, "principals": 50, "conditions": 10}
"""What a queue policy may hold in all."""

_READ_BY_ALL = ("GetQueueUrl", "GetQueueAttributes")
"""What clients ask about a queue before they use it, and the guard in them. The other reads are for administrators."""

_OF_NO_QUEUE = ("CreateQueue", "ListQueues")
"""What the policy of a queue says nothing about: there is no queue yet, or no certain one."""


def actions_for(role: Role) -> tuple[str, ...]:
    """The IAM actions on one queue that a role needs."""
    kinds = ROLE_KINDS[role]
    if role is Role.ADMINISTRATOR:
        return tuple(f"sqs:{name}" for name in ACTIONS if OPERATIONS[name] in kinds and name not in _OF_NO_QUEUE)
    kinds -= {Kind.READ}
    return tuple(f"sqs:{name}" for name in ACTIONS if OPERATIONS[name] in kinds or name in _READ_BY_ALL)


def queue_policy(
    queue: Queue,
    *,
    producers: Iterable[str] = (),
    consumers: Iterable[str] = (),
    administrators: Iterable[str] = (),
    services: Iterable[str] = (),
    vpcs: Iterable[str] = (),
    vpc_endpoints: Iterable[str] = (),
) -> dict[str, Any]:
    """The policy that lets these in, and nobody over plain HTTP.

    Producers, consumers and administrators are ARNs of roles or users, or account ids. `services` say which service may
    send for what: `sns.amazonaws.com=ARN`, see `names.source`. With VPCs or VPC endpoints, everybody from elsewhere is
    denied, but for the services that are named: they are in no VPC.

    Raises CannotWrite for names that a policy cannot hold, for somebody with two roles, and for more than Amazon SQS
    takes.
    """
    people = {
        role: tuple(sorted({principal(text, queue.partition) for text in texts}))
        for role, texts in zip(Role, (producers, consumers, administrators), strict=True)
    }
    each_in_one_role(people)
    sources = sorted({source(text, queue) for text in services})
    inside = {
        "aws:SourceVpc": sorted(set(map(vpc, vpcs))),
        "aws:SourceVpce": sorted(set(map(vpc_endpoint, vpc_endpoints))),
    }
    statements = [
        *_denials(queue, inside, sorted({each.service for each in sources})),
        *_grants(queue, people),
        *_services(queue, sources),
    ]
    policy = {"Version": VERSION, "Statement": statements}
    _check_quotas(policy)
    return policy


def each_in_one_role(people: dict[Role, tuple[Principal, ...]]) -> None:
    """Raises CannotWrite when somebody has two roles: a grant that is wider than one role is what least privilege is
    against."""
    roles: dict[Principal, Role] = {}
    for role, named in people.items():
        for each in named:
            if each in roles:
                raise CannotWrite(
                    f"{each.arn} is named as {roles[each].value} and as {role.value}",
                    "give each part of the program a role of its own, or name it once",
                )
            roles[each] = role


def _denials(queue: Queue, inside: dict[str, list[str]], services: list[str]) -> Iterator[dict[str, Any]]:
    def deny(sid: str, condition: dict[str, Any]) -> dict[str, Any]:
        everything = {"Action": "sqs:*", "Resource": queue.arn, "Condition": condition}
        return {"Sid": sid, "Effect": "Deny", "Principal": "*", **everything}

    yield deny("DenyPlainHttp", {"Bool": {"aws:SecureTransport": "false"}})
    named = {key: one_or_list(values) for key, values in inside.items() if values}
    if named:
        # All of it has to differ. A request of a person has no service's name, which differs from every name.
        excepted = {"aws:PrincipalServiceName": one_or_list(services)} if services else {}
        yield deny("DenyFromElsewhere", {"StringNotEquals": {**named, **excepted}})


_SIDS = {Role.PRODUCER: "Producers", Role.CONSUMER: "Consumers", Role.ADMINISTRATOR: "Administrators"}


def _grants(queue: Queue, people: dict[Role, tuple[Principal, ...]]) -> Iterator[dict[str, Any]]:
    for role, named in people.items():
        chunks = in_chunks(actions_for(role)) if named else []
        for number, actions in enumerate(chunks, start=1):
            yield {
                "Sid": f"{_SIDS[role]}{number if len(chunks) > 1 else ''}",
                "Effect": "Allow",
                "Principal": {"AWS": one_or_list([each.arn for each in named])},
                "Action": one_or_list(actions),
                "Resource": queue.arn,
            }


def in_chunks(actions: Sequence[str]) -> list[Sequence[str]]:
    """As many actions together as one statement takes."""
    return [actions[at : at + _ACTIONS_AT_MOST] for at in range(0, len(actions), _ACTIONS_AT_MOST)]


def _services(queue: Queue, sources: list[Source]) -> Iterator[dict[str, Any]]:
    """A statement for each service and kind of tie. An ARN that has the account in it needs no other tie, and not
    every service tells the account as well."""
    tied: dict[tuple[str, str], list[Source]] = {}
    for each in sources:
        by = "Accounts" if not each.arn else f"ResourcesOf{each.account}" if each.account else "Resources"
        tied.setdefault((each.service, by), []).append(each)
    for (service, by), together in sorted(tied.items()):
        arns = [each.arn for each in together if each.arn]
        accounts = sorted({each.account for each in together if each.account})
        condition: dict[str, Any] = {"ArnEquals": {"aws:SourceArn": one_or_list(arns)}} if arns else {}
        if accounts:
            condition["StringEquals"] = {"aws:SourceAccount": one_or_list(accounts)}
        yield {
            "Sid": f"{_in_one_word(service)}{by}",
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": queue.arn,
            "Condition": condition,
        }


def _in_one_word(service: str) -> str:
    name = service.partition(".amazonaws.")[0]
    return "".join(part.capitalize() for part in name.replace(".", "-").split("-"))


def one_or_list(values: Sequence[str]) -> str | list[str]:
    """As people write it: one value alone, or a list."""
    return values[0] if len(values) == 1 else list(values)


def text_of(policy: dict[str, Any]) -> str:
    """A policy as short as it can be written, which is what quotas count."""
    return json.dumps(policy, separators=(",", ":"))


def _check_quotas(policy: dict[str, Any]) -> None:
    statements = policy["Statement"]
    size = {
        "bytes": len(text_of(policy).encode()),
        "statements": len(statements),
        "principals": sum(map(_principals, statements)),
        "conditions": sum(len(keys) for each in statements for keys in each.get("Condition", {}).values()),
    }
    over = [f"{size[what]:,} {what} of {most:,}" for what, most in _AT_MOST.items() if size[what] > most]
    if over:
        raise CannotWrite(
            f"the policy is larger than Amazon SQS takes: {', '.join(over)}",
            "name accounts in place of many roles and let their IAM policies decide, or share a role",
        )


def _principals(statement: dict[str, Any]) -> int:
    named = statement["Principal"]
    return 1 if named == "*" else sum(1 if isinstance(each, str) else len(each) for each in named.values())
