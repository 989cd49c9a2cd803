"""The smallest change that would close what a question found: tried, and asked again, before it is proposed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from safe_sqs.policy.document import Condition, Statement, a_condition
from safe_sqs.policy.evaluate import Request
from safe_sqs.policy.named import account_of_queue
from safe_sqs.policy.operators import Over, operator_named
from safe_sqs.policy.outsiders import name_of
from safe_sqs.policy.questions import Answer, a_budget, plaintext_of, public_statements

__all__ = ["closes_plaintext", "public_findings"]

_EVERYONE = (("AWS", "*"),)


def public_findings(
    statements: tuple[Statement, ...], *, queue_arn: str, trusted_accounts: Iterable[str] = ()
) -> Iterator[tuple[Statement, Answer, str]]:
    """Each statement that lets an outsider in, or of which it could not be told, with the smallest change to it after
    which it lets none in, in words."""
    trusted = tuple(trusted_accounts)
    budget = a_budget()
    for allow, answer in public_statements(
        statements, queue_arn=queue_arn, trusted_accounts=trusted, every_action=True
    ):
        if answer.witness is None:
            yield (
                allow,
                answer,
                f"write {allow.label} with fewer conditions and wildcards, or name the principals in it",
            )
            continue
        for words, changed in _narrower(allow, answer.witness, queue_arn):
            after = tuple(changed if statement is allow else statement for statement in statements)
            again = public_statements(after, queue_arn=queue_arn, trusted_accounts=trusted, only=changed, budget=budget)
            if next(again, None) is None:
                yield allow, answer, f"in {allow.label}, {words}"
                break
        else:
            yield allow, answer, f"remove {allow.label}"


def _narrower(allow: Statement, witness: Request, queue_arn: str) -> Iterator[tuple[str, Statement]]:
    for index, line in enumerate(allow.conditions):
        operator = line.operator
        if operator.if_exists:
            strict = line._replace(operator=operator._replace(if_exists=False))
            yield _instead(line, strict), _with(allow, index, strict)
        if operator.over is Over.ALL:
            strict = line._replace(operator=operator._replace(over=Over.ANY))
            yield _instead(line, strict), _with(allow, index, strict)
    account = account_of_queue(queue_arn)
    if not account:
        return
    if not allow.conditions and not allow.principals_negated:
        root = f"arn:{queue_arn.split(':')[1]}:iam::{account}:root"
        yield (
            f'name who may as Principal, or at least the account: {{"AWS": "{root}"}}',
            allow._replace(principals=(("AWS", root),)),
        )
    key = "aws:SourceAccount" if witness.principal.endswith(".amazonaws.com") else "aws:PrincipalAccount"
    added = a_condition(_equals, key.lower(), (account,), variables=False)
    yield (
        f'add the condition "StringEquals": {{"{key}": "{account}"}}, or one that names who may',
        allow._replace(conditions=(*allow.conditions, added)),
    )


def _instead(line: Condition, strict: Condition) -> str:
    return f"write {strict.operator} instead of {line.operator} for {name_of(line.key)}"


def _with(statement: Statement, index: int, line: Condition) -> Statement:
    lines = [*statement.conditions]
    lines[index] = line
    return statement._replace(conditions=tuple(lines))


def closes_plaintext(statements: tuple[Statement, ...], *, queue_arn: str) -> str:
    """The smallest change after which plain HTTP is denied to everyone, in words."""
    budget = a_budget()
    for deny in statements:
        if deny.allows or not any(line.key == _SECURE_TRANSPORT for line in deny.conditions):
            continue
        for words, changed in _wider(deny, queue_arn):
            after = tuple(changed if statement is deny else statement for statement in statements)
            if plaintext_of(after, queue_arn=queue_arn, budget=budget).found is False:
                return f"in {deny.label}, {words}"
    added = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": queue_arn or "QUEUE_ARN",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return f"add {json.dumps(added)} to the policy"


def _wider(deny: Statement, queue_arn: str) -> Iterator[tuple[str, Statement]]:
    yield 'let the Principal be "*"', deny._replace(principals=_EVERYONE, principals_negated=False)
    yield 'let the Action be "sqs:*"', deny._replace(actions=("sqs:*",), actions_negated=False)
    yield (
        f'let the Resource be "{queue_arn or "*"}"',
        deny._replace(resources=(queue_arn or "*",), resources_negated=False),
    )
    plain = a_condition(_is, _SECURE_TRANSPORT, ("false",), variables=False)
    yield (
        'let the Condition be {"Bool": {"aws:SecureTransport": "false"}} and nothing else',
        deny._replace(conditions=(plain,)),
    )


_SECURE_TRANSPORT = "aws:securetransport"
_equals, _is = operator_named("StringEquals"), operator_named("Bool")
