"""The smallest change that would close what a question found: tried, and asked again, before it is proposed.

A change is data, an `Edit`. From it come the words for a person, the statement as it would be, and the new document.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

from safe_sqs.policy.document import Condition, Statement, parse
from safe_sqs.policy.evaluate import Request, account_of
from safe_sqs.policy.named import account_in, account_of_queue, but_the_named
from safe_sqs.policy.operators import Operator, Over, read_operator
from safe_sqs.policy.outsiders import name_of
from safe_sqs.policy.questions import Answer, a_budget, plaintext_of, public_statements

__all__ = [
    "Act",
    "Edit",
    "closes_plaintext",
    "confines",
    "denies_plaintext",
    "narrows",
    "public_findings",
    "takes_account_out",
    "ties_to_account",
]


class Act(Enum):
    """What an edit does."""

    ADD = "add a statement"
    REMOVE = "remove a statement"
    TAKE = "take principals out of a statement"
    PUT = "put an element into a statement"
    CONDITION = "add a condition"
    OPERATOR = "put another operator into a line of a condition"


class Edit(NamedTuple):
    """One change to a policy.

    `statement` is the one that changes, as it is before, or None where one is added. `element` is that of PUT:
    Principal, Action, Resource or Condition; it takes the place of its negation too. `value` is in JSON: the statement,
    the element, the principals taken out, the condition, or the name of the operator; and `line` is the index of that
    operator's line.
    """

    act: Act
    statement: Statement | None = None
    element: str = ""
    value: Any = None
    line: int = 0

    def __str__(self) -> str:
        if self.statement is None:
            return f"add {json.dumps(self.value)} to the policy"
        if self.act is Act.REMOVE:
            return f"remove {self.statement.label}"
        return f"in {self.statement.label}, {self._what()}"

    def _what(self) -> str:
        if self.act is Act.OPERATOR:
            line = self._conditions[self.line]
            return f"write {self.value} instead of {line.operator} for {name_of(line.key)}"
        if self.act is Act.TAKE:
            return f"take {' and '.join(self.value)} out of the Principal"
        if self.act is Act.CONDITION:
            return f"add the condition {json.dumps(self.value)[1:-1]}, or one that names who may"
        if isinstance(self.value, str) or self.element == "Condition":
            rest = " and nothing else" if self.element == "Condition" else ""
            return f"let the {self.element} be {json.dumps(self.value)}{rest}"
        return f"name who may as {self.element}, or at least the account: {json.dumps(self.value)}"

    @property
    def _conditions(self) -> tuple[Condition, ...]:
        return self.statement.conditions if self.statement else ()

    def changed(self) -> Statement:
        """The statement as it would be after the edit, which puts something into it."""
        assert self.statement is not None
        if self.act is Act.PUT:
            read = self._read()
            if self.element == "Condition":
                return self.statement._replace(conditions=read.conditions)
            field = _FIELDS[self.element]
            return self.statement._replace(**{field: getattr(read, field), f"{field}_negated": False})
        lines = [*self._conditions]
        if self.act is Act.CONDITION:
            lines += self._read().conditions
        else:
            operator = read_operator(self.value)
            assert operator is not None
            lines[self.line] = lines[self.line]._replace(operator=operator)
        return self.statement._replace(conditions=tuple(lines))

    def _read(self) -> Statement:
        """A statement with the element in it: the one reader of policies reads what the edit puts there."""
        assert self.statement is not None
        version = "2012-10-17" if self.statement.variables else "2008-10-17"
        rest = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
        return parse({"Version": version, "Statement": {**rest, self.element: self.value}})[0]

    def made_in(self, document: Mapping[str, Any] | None) -> dict[str, Any]:
        """A copy of a document, in which the statement stands, with the edit made and all else as it was."""
        made = dict(document or {"Version": "2012-10-17", "Statement": []})
        listed = made["Statement"]
        entries = [*listed] if isinstance(listed, list) else [listed]
        if self.statement is None:
            entries.append(self.value)
        elif self.act is Act.REMOVE:
            del entries[self.statement.position]
        else:
            entries[self.statement.position] = self._made_in(entries[self.statement.position])
        made["Statement"] = entries if isinstance(listed, list) or len(entries) != 1 else entries[0]
        return made

    def _made_in(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        if self.act is Act.PUT:
            put = {self.element: _in_the_shape_of(entry.get(self.element), self.value)}
            places = {self.element: put, f"Not{self.element}": put}
            return {key: value for name in entry for key, value in places.get(name, {name: entry[name]}).items()}
        if self.act is Act.TAKE:
            return {**entry, "Principal": _without(entry["Principal"], self.value)}
        condition = dict(entry.get("Condition", {}))
        if self.act is Act.CONDITION:
            for name, keys in self.value.items():
                condition[name] = {**condition.get(name, {}), **keys}
        else:
            condition = _with_operator(condition, self.line, self.value)
        return {**entry, "Condition": condition}


_FIELDS = {"Principal": "principals", "Action": "actions", "Resource": "resources"}


def _in_the_shape_of(old: Any, new: Any) -> Any:
    """The new element, with those entries that stay as they were written."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {
        key: old[key] if key in old and _listed(old[key]) == _listed(value) else value for key, value in new.items()
    }


def _without(principal: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    taken = {*names}
    left = {}
    for kind, value in principal.items():
        if not isinstance(value, list):
            value = [] if value in taken else value
        elif taken & {*value}:
            value = [name for name in value if name not in taken]
        if value != []:
            left[kind] = value
    return left


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _with_operator(condition: Mapping[str, Any], line: int, operator: str) -> dict[str, Any]:
    """The Condition with another operator in a line; the other lines of its block stay with the old one."""
    made: dict[str, Any] = {}
    passed = 0
    for name, keys in condition.items():
        moved = [key for index, key in enumerate(keys, passed) if index == line]
        passed += len(keys)
        for key in keys:
            made.setdefault(operator if key in moved else name, {})[key] = keys[key]
        if not keys:
            made.setdefault(name, {})
    return made


# --- who gets in -------------------------------------------------------------------------------------------------


def public_findings(
    statements: tuple[Statement, ...], *, queue_arn: str, trusted_accounts: Iterable[str] = ()
) -> Iterator[tuple[Statement, Answer, str]]:
    """Each statement that lets an outsider in, or of which it could not be told, with the smallest change to it after
    which it lets none in, in words."""
    trusted = tuple(trusted_accounts)
    budget = a_budget()

    def keeps_out(edit: Edit) -> bool:
        if edit.act is Act.REMOVE:
            return True
        changed = edit.changed()
        after = _with(edit, changed, statements)
        again = public_statements(after, queue_arn=queue_arn, trusted_accounts=trusted, only=changed, budget=budget)
        return next(again, None) is None

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
        edit = next(filter(keeps_out, narrows(allow, answer.witness, queue_arn)))
        yield allow, answer, str(edit)


def _with(edit: Edit, changed: Statement, statements: Iterable[Statement]) -> tuple[Statement, ...]:
    return tuple(changed if statement is edit.statement else statement for statement in statements)


def narrows(allow: Statement, witness: Request, queue_arn: str) -> Iterator[Edit]:
    """Changes to an Allow that may keep the witness and those like it out, the smallest first; the last removes it.

    Where principals are named in full beside those that are not, only the latter are replaced: a condition would be
    one for the named ones as well.
    """
    wide = but_the_named(allow).principals
    names_some = not allow.principals_negated and len(wide) < len(allow.principals)
    account = account_of_queue(queue_arn)
    if not names_some:
        yield from _stricter(allow)
    if account and not allow.principals_negated and (names_some or not allow.conditions):
        root = f"arn:{queue_arn.split(':')[1]}:iam::{account}:root"
        named = [entry for entry in allow.principals if entry not in wide]
        yield Edit(Act.PUT, allow, "Principal", _principal([("AWS", root), *named]))
    if account and not names_some:
        key = "aws:SourceAccount" if witness.principal.endswith(".amazonaws.com") else "aws:PrincipalAccount"
        others = [_account_named(text) for line in allow.conditions if _is_about(line, key) for text in line.values]
        yield from _with_condition(allow, key, [account, *filter(None, others)])
    yield Edit(Act.REMOVE, allow)


def _is_about(line: Condition, key: str) -> bool:
    """True for a line that lets in whom it names, and is about the same party as the key: principal or source."""
    return not line.operator.negated and line.key.startswith(key.lower().removesuffix("account"))


def _account_named(text: str) -> str:
    """The account that a value of a condition names, in its place of an ARN or alone, or ""."""
    account = text.split(":")[4] if text.count(":") > 4 else text
    return account if account_in(account) == account else ""


def _stricter(allow: Statement) -> Iterator[Edit]:
    there = {(line.operator, line.key) for line in allow.conditions}
    for index, line in enumerate(allow.conditions):
        for operator in _stricter_than(line.operator):
            if (operator, line.key) not in there:
                yield Edit(Act.OPERATOR, allow, "Condition", str(operator), index)


def _stricter_than(operator: Operator) -> Iterator[Operator]:
    if operator.if_exists:
        yield operator._replace(if_exists=False)
    if operator.over is Over.ALL:
        yield operator._replace(over=Over.ANY)


def _principal(entries: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    by_kind: dict[str, list[str]] = {}
    for kind, name in entries:
        by_kind.setdefault(kind or "AWS", []).append(name)
    return {kind: names[0] if len(names) == 1 else names for kind, names in by_kind.items()}


def ties_to_account(allow: Statement, queue_arn: str) -> Iterator[Edit]:
    """Changes to an Allow, whose principals are services, after which they may act for the queue's account only."""
    yield from _with_condition(allow, "aws:SourceAccount", [account_of_queue(queue_arn)])


def takes_account_out(statements: Iterable[Statement], account: str) -> tuple[Edit, ...]:
    """The changes, to be made in this order, after which no Allow names an account, or somebody in it, as principal."""
    edits = []
    for allow in statements:
        names = [name for kind, name in allow.principals if kind == "AWS" and account_of(name) == account]
        if not allow.allows or allow.principals_negated or not names:
            continue
        is_all = len(names) == len(allow.principals)
        edits.append(Edit(Act.REMOVE, allow) if is_all else Edit(Act.TAKE, allow, "Principal", names))
    return tuple(reversed(edits))


def _with_condition(allow: Statement, key: str, accounts: Iterable[str]) -> Iterator[Edit]:
    """The condition that a key is one of the accounts, with an operator that has no line about this key yet."""
    values = list(dict.fromkeys(accounts))
    there = {str(line.operator) for line in allow.conditions if line.key == key.lower()}
    for operator in ("StringEquals", "StringLike"):
        if operator not in there:
            yield Edit(Act.CONDITION, allow, "Condition", {operator: {key: values[0] if len(values) == 1 else values}})
            return


# --- plain HTTP, and the VPC -------------------------------------------------------------------------------------


def closes_plaintext(statements: tuple[Statement, ...], *, queue_arn: str) -> str:
    """The smallest change after which plain HTTP is denied to everyone, in words."""
    budget = a_budget()

    def closes(edit: Edit) -> bool:
        if edit.statement is None:
            return True
        after = _with(edit, edit.changed(), statements)
        return plaintext_of(after, queue_arn=queue_arn, budget=budget).found is False

    return str(next(filter(closes, denies_plaintext(statements, queue_arn))))


def denies_plaintext(statements: Iterable[Statement], queue_arn: str) -> Iterator[Edit]:
    """Changes that may deny plain HTTP to everyone, the smallest first; the last one adds a Deny that surely does."""
    for deny in statements:
        if not deny.allows and any(line.key == _SECURE_TRANSPORT for line in deny.conditions):
            yield Edit(Act.PUT, deny, "Principal", "*")
            yield Edit(Act.PUT, deny, "Action", "sqs:*")
            yield Edit(Act.PUT, deny, "Resource", queue_arn or "*")
            yield Edit(Act.PUT, deny, "Condition", _OVER_PLAIN_HTTP)
    yield Edit(Act.ADD, value=_deny(queue_arn, _OVER_PLAIN_HTTP))


def confines(queue_arn: str, vpcs: Iterable[str], vpc_endpoints: Iterable[str]) -> Edit:
    """The Deny for everyone who comes neither from the VPCs nor through the endpoints."""
    named = {"aws:SourceVpc": [*vpcs], "aws:SourceVpce": [*vpc_endpoints]}
    inside = {key: values[0] if len(values) == 1 else values for key, values in named.items() if values}
    return Edit(Act.ADD, value=_deny(queue_arn, {"StringNotEquals": inside}))


def _deny(queue_arn: str, condition: Mapping[str, object]) -> dict[str, object]:
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": queue_arn or "QUEUE_ARN",
        "Condition": condition,
    }


_SECURE_TRANSPORT = "aws:securetransport"
_OVER_PLAIN_HTTP = {"Bool": {"aws:SecureTransport": "false"}}
