"""The questions that the rules ask of a queue policy, answered by a plain reading of its statements.

A plain reading looks at each statement alone. It does not weigh one statement against another, so a public Allow
that a Deny takes back is still called public.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Network, ip_network
from typing import NamedTuple

from safe_sqs.operations import OPERATIONS, ROLE_KINDS, Kind
from safe_sqs.patterns import has_wildcard, matches
from safe_sqs.policy.document import Condition, Document, Statement, parse

__all__ = ["Answer", "grants_beyond_a_role", "outside_vpc_access", "plaintext_access", "public_access"]

_NARROWING_KEYS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
    }
)
_POSITIVE_OPERATORS = frozenset(
    {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress"}
)
_WIDEST_PREFIX = {4: 8, 6: 32}
_PRIVATE_IPV6 = (IPv6Network("fc00::/7"), IPv6Network("fe80::/10"))
"""Wider than /32, and private. Every private block of IPv4 is a /8 or narrower."""
_ACTION_KINDS = {f"sqs:{operation.lower()}": kind for operation, kind in OPERATIONS.items()}


class Answer(NamedTuple):
    """The answer to one question. `statements` are those that let it in, in the order of the policy."""

    found: bool
    statements: tuple[Statement, ...] = ()


def public_access(document: Document) -> Answer:
    """Does a statement allow anyone at all to use the queue?

    Follows "The meaning of public" of the Amazon S3 user guide, as AWS Config's sqs-queue-no-public-access does:
    a Principal of `*` or "", and no condition that names a fixed account, organisation, ARN, VPC or endpoint.
    Raises PolicyError.
    """
    return _answer(
        statement
        for statement in parse(document)
        if statement.allows and _names_anyone(statement) and not any(map(_narrows, statement.conditions))
    )


def plaintext_access(document: Document, *, queue_arn: str) -> Answer:
    """Is a plain-HTTP request left undenied? Only a Deny for everyone answers no: an Allow that asks for HTTPS does
    not stop what an identity policy allows. Raises PolicyError."""
    return Answer(not any(_denies_plaintext(statement, queue_arn) for statement in parse(document)))


def outside_vpc_access(
    document: Document, *, queue_arn: str, vpcs: Iterable[str] = (), vpc_endpoints: Iterable[str] = ()
) -> Answer:
    """Is a request from outside the VPCs and endpoints left undenied? With both lists empty, any fixed VPC or
    endpoint will do. Raises PolicyError."""
    allowed = {"aws:sourcevpc": frozenset(vpcs), "aws:sourcevpce": frozenset(vpc_endpoints)}
    return Answer(not any(_confines(statement, queue_arn, allowed) for statement in parse(document)))


def grants_beyond_a_role(document: Document, *, queue_arn: str, trusted_accounts: Iterable[str] = ()) -> Answer:
    """Which statements grant more than one of the roles producer, consumer and administrator needs, or grant it to an
    account that is neither the queue's own nor trusted (asked only when there are trusted accounts)?

    The queue's own account as a whole is left out: AWS puts it into every default policy, and it only hands the
    decision to IAM. Raises PolicyError.
    """
    own = queue_arn.split(":")[4] if queue_arn.count(":") == 5 else ""
    trusted = frozenset(trusted_accounts)
    return _answer(
        statement
        for statement in parse(document)
        if statement.allows
        and not _is_own_account(statement, own)
        and (_is_wider_than_a_role(statement) or (trusted and not _accounts(statement) <= trusted | {own}))
    )


def _answer(statements: Iterable[Statement]) -> Answer:
    found = tuple(statements)
    return Answer(bool(found), found)


def _names_anyone(statement: Statement) -> bool:
    if statement.principals_negated:
        return True
    return any(name == "" or "*" in name for _, name in statement.principals)


def _narrows(condition: Condition) -> bool:
    operator = condition.operator.removeprefix("foranyvalue:")
    if operator not in _POSITIVE_OPERATORS or condition.key not in _NARROWING_KEYS or not condition.values:
        return False
    by_part = operator.startswith("arn")
    return all(_is_fixed(condition.key, value, by_part=by_part) for value in condition.values)


def _is_fixed(key: str, value: str, *, by_part: bool) -> bool:
    if "${" in value or value == "":
        return False
    if key == "aws:sourceip":
        return _is_narrow_network(value)
    if key in ("aws:sourcearn", "aws:principalarn"):
        return _is_fixed_arn(value, by_part=by_part)
    return not has_wildcard(value)


def _is_fixed_arn(value: str, *, by_part: bool) -> bool:
    """True when the ARN names an account or a bucket. In ArnLike a star stays within its part (`by_part`); in
    StringLike it runs across the colons, so that nothing behind it is in a place of its own."""
    parts = value.split(":", 5)
    if len(parts) != 6:
        return False
    *front, account, resource = parts
    if not by_part and has_wildcard("".join(front)):
        return False
    if account.isdigit() and len(account) == 12:
        return True
    return front[2] == "s3" and not has_wildcard(resource)


def _is_narrow_network(value: str) -> bool:
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        return False
    if isinstance(network, IPv6Network) and any(network.subnet_of(private) for private in _PRIVATE_IPV6):
        return True
    return network.prefixlen >= _WIDEST_PREFIX[network.version]


def _is_own_account(statement: Statement, account: str) -> bool:
    own = {account, f"arn:aws:iam::{account}:root"} | {
        f"arn:{partition}:iam::{account}:root" for partition in ("aws-cn", "aws-us-gov")
    }
    return not statement.principals_negated and all(name in own for _, name in statement.principals)


def _accounts(statement: Statement) -> frozenset[str]:
    names = (name for kind, name in statement.principals if kind == "AWS" and "*" not in name)
    return frozenset(name.split(":")[4] if name.count(":") >= 5 else name for name in names)


def _is_wider_than_a_role(statement: Statement) -> bool:
    if statement.actions_negated or any(has_wildcard(action) for action in statement.actions):
        return True
    kinds = {_ACTION_KINDS.get(action, Kind.ADMINISTER) for action in statement.actions}
    return not any(kinds <= allowed for allowed in ROLE_KINDS.values())


def _denies_everyone(statement: Statement, queue_arn: str) -> bool:
    return (
        not statement.allows
        and not statement.principals_negated
        and ("AWS", "*") in statement.principals
        and not statement.actions_negated
        and all(
            any(matches(pattern, action) for pattern in statement.actions)
            for action in ("sqs:sendmessage", "sqs:receivemessage", "sqs:deletemessage")
        )
        and not statement.resources_negated
        and any(matches(pattern, queue_arn) for pattern in statement.resources)
    )


def _denies_plaintext(statement: Statement, queue_arn: str) -> bool:
    if not _denies_everyone(statement, queue_arn) or len(statement.conditions) != 1:
        return False
    operator, key, values = statement.conditions[0]
    return operator in ("bool", "boolifexists") and key == "aws:securetransport" and values == ("false",)


def _confines(statement: Statement, queue_arn: str, allowed: dict[str, frozenset[str]]) -> bool:
    if not _denies_everyone(statement, queue_arn) or not statement.conditions:
        return False
    any_will_do = not any(allowed.values())
    for operator, key, values in statement.conditions:
        if operator not in ("stringnotequals", "stringnotequalsifexists") or key not in allowed or not values:
            return False
        if any(has_wildcard(value) or "${" in value for value in values):
            return False
        if not any_will_do and not set(values) <= allowed[key]:
            return False
    return True
