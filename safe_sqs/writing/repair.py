"""The smallest changes after which a queue's policy passes.

Each change is tried and judged as a whole before it is taken: it has to close a finding, may add none, and may take
nothing from a principal that the policy names. What cannot be closed in this way is left for a person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from difflib import unified_diff
from typing import Any, NamedTuple

from safe_sqs.config import Config
from safe_sqs.evaluation import QUEUE_RULES
from safe_sqs.judge import judge_change, judge_queue
from safe_sqs.model import Facts, Finding, Queue
from safe_sqs.patterns import has_wildcard
from safe_sqs.policy import Statement, foreign_accounts, grants, parse, public_statements
from safe_sqs.policy.conditions import holds
from safe_sqs.policy.evaluate import account_of
from safe_sqs.policy.mending import (
    Edit,
    confines,
    denies_plaintext,
    narrows,
    takes_account_out,
    ties_to_account,
)

__all__ = ["POLICY_RULES", "Change", "Repair", "repair"]

POLICY_RULES = tuple(rule.name for rule in QUEUE_RULES if rule.attributes == {"Policy"})
"""The rules that look at nothing but a queue's policy."""

_MOST_STATEMENTS = 20
_MOST_BYTES = 8192
"""What SQS takes: "Amazon SQS policy quotas" in the Amazon SQS developer guide."""

_MOST_CHANGES = 100
"""More than a policy can need: each change closes a finding."""


class Change(NamedTuple):
    """One change that was made: for which rule, to which statement (its Sid, or its index where it has none; None for
    one that was added), and in words. Indices are those of the policy to which the change was made."""

    rule: str
    statement: str | int | None
    words: str


class Repair(NamedTuple):
    """A policy before and after. `after` is None where nothing of it is left, and is `before` where nothing changed.

    `left` are the findings that a person has to close. `limits` says which limits of SQS the new policy exceeds.
    """

    before: str | None
    after: str | None
    changes: tuple[Change, ...] = ()
    left: tuple[Finding, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def is_changed(self) -> bool:
        """True when something was changed."""
        return bool(self.changes)

    def diff(self, name: str = "policy") -> str:
        """What changes, as a unified diff of both policies, each indented as the policy was; "" for no change."""
        if not self.changes:
            return ""
        style = _Style.of(self.before)
        before, after = _lines(self.before, style), _lines(self.after, style)
        return "".join(unified_diff(before, after, f"{name} (before)", f"{name} (after)"))


def repair(queue: Queue, policy: str | None, config: Config, today: date, *, remove_untrusted: bool = False) -> Repair:
    """Mend a queue's policy by those of its rules that are on and not exempt.

    With `remove_untrusted`, accounts that are named as principals and not among the trusted ones are removed.
    Raises PolicyError for what is no policy, and ValueError for a queue whose ARN is not known.
    """
    if not queue.arn:
        raise ValueError("the queue's ARN is not known")
    statements = parse(policy)
    document = json.loads(policy) if policy else None
    work = _Work(queue, config, today, remove_untrusted)
    changes: list[Change] = []
    while len(changes) < _MOST_CHANGES:
        step = work.step(document, statements)
        if step is None:
            break
        rule, edits, document = step
        statements = parse(document)
        changes += [Change(rule, edit.statement.name if edit.statement else None, str(edit)) for edit in edits]
    after = _written(document, policy) if changes else policy
    return Repair(policy, after, tuple(changes), work.findings(document), tuple(_exceeded(document)))


class _Work(NamedTuple):
    """What stays the same from change to change."""

    queue: Queue
    config: Config
    today: date
    remove_untrusted: bool

    def findings(self, document: Mapping[str, Any] | None) -> tuple[Finding, ...]:
        """What the judge finds in a policy, by the rules that are on."""
        found = judge_queue(self._facts(document), self.queue, self.config, self.today).findings
        return tuple(finding for finding in found if finding.rule in POLICY_RULES)

    def _facts(self, document: Mapping[str, Any] | None) -> Facts:
        return Facts(self.queue, policy=None if document is None else json.dumps(document))

    def step(
        self, document: dict[str, Any] | None, statements: tuple[Statement, ...]
    ) -> tuple[str, tuple[Edit, ...], dict[str, Any]] | None:
        """The first change that may be made, by rule, and the document after it."""
        before = self.findings(document)
        for rule, ways in _WAYS.items():
            if not _certain(rule, before):
                continue
            for edits in ways(self, document, statements):
                after = _made_in(document, edits)
                if self._is_good(rule, document, after, before):
                    return rule, edits, after
        return None

    def _is_good(
        self, rule: str, before: Mapping[str, Any] | None, after: Mapping[str, Any], found: tuple[Finding, ...]
    ) -> bool:
        left = self.findings(after)
        if len(left) > len(found) or _certain(rule, left) >= _certain(rule, found):
            return False
        if judge_change(self._facts(before), self._facts(after), self.config, self.today).findings:
            return False
        return self._keeps(rule, before, after)

    def _keeps(self, rule: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
        """True when everybody may do over HTTPS what the policy granted; strangers aside, where these were found, and
        accounts that are to be removed."""
        still = self._granted(after)
        for principal, actions in self._granted(before).items():
            is_stranger = rule == "public-access" and (has_wildcard(principal) or principal == "" or "${" in principal)
            is_removed = self.removes(account_of(principal))
            if not is_stranger and not is_removed and not actions <= still.get(principal, frozenset()):
                return False
        return True

    def _granted(self, document: Mapping[str, Any] | None) -> dict[str, frozenset[str]]:
        (deny,) = denies_plaintext((), self.queue.arn)
        over_https = deny.made_in(document)
        return {grant.principal: frozenset(grant.actions) for grant in grants(over_https, queue_arn=self.queue.arn)}

    def removes(self, account: str) -> bool:
        """True for an account that is to be removed."""
        trusted = self.config.trusted_accounts
        return self.remove_untrusted and bool(trusted) and account not in ("", self.queue.account, *trusted)


def _certain(rule: str, findings: Iterable[Finding]) -> int:
    return sum(finding.rule == rule and not finding.unverifiable for finding in findings)


def _made_in(document: dict[str, Any] | None, edits: Iterable[Edit]) -> dict[str, Any]:
    for edit in edits:
        document = edit.made_in(document)
    return document or {}


# --- the ways to close what a rule finds ---------------------------------------------------------------------------

_Document = dict[str, Any] | None
_Statements = tuple[Statement, ...]


def _keep_strangers_out(work: _Work, _: _Document, statements: _Statements) -> Iterator[tuple[Edit, ...]]:
    arn = work.queue.arn
    trusted = work.config.trusted_accounts
    for allow, answer in public_statements(statements, queue_arn=arn, trusted_accounts=trusted):
        if answer.witness is not None:
            for edit in narrows(allow, answer.witness, arn):
                yield (edit,)


def _grant_less(work: _Work, document: _Document, _: _Statements) -> Iterator[tuple[Edit, ...]]:
    for foreigner in foreign_accounts(document, queue_arn=work.queue.arn):
        if foreigner.is_service and foreigner.tied is False:
            yield tuple(_tie(work, document, foreigner.name))
        elif not foreigner.is_service and work.removes(foreigner.name):
            yield takes_account_out(parse(document), foreigner.name)


def _tie(work: _Work, document: _Document, service: str) -> Iterator[Edit]:
    """Tie a service in one statement after the other, as long as it acts for anyone."""
    arn = work.queue.arn
    for _ in parse(document):
        foreigners = foreign_accounts(document, queue_arn=arn)
        untied = [each.statement for each in foreigners if each.name == service and each.tied is False]
        allows = [allow for allow in parse(document) if allow.name in untied and _is_for(allow, service)]
        edit = next((edit for allow in allows for edit in ties_to_account(allow, arn)), None)
        if edit is None:
            return
        yield edit
        document = edit.made_in(document)


def _is_for(allow: Statement, service: str) -> bool:
    """True for an Allow to this service, and perhaps to others, but to nobody who is no service."""
    return (
        allow.allows
        and not allow.principals_negated
        and (("Service", service) in allow.principals and all(kind == "Service" for kind, _ in allow.principals))
    )


def _deny_plaintext(work: _Work, _: _Document, statements: _Statements) -> Iterator[tuple[Edit, ...]]:
    for edit in denies_plaintext(statements, work.queue.arn):
        if edit.statement is None or _is_about_plaintext_only(edit.statement):
            yield (edit,)


def _is_about_plaintext_only(deny: Statement) -> bool:
    """True when no request over HTTPS is denied, so that none is after the Deny was made wider."""
    https = {"aws:securetransport": ("true",)}
    return any(line.key in https and holds(line, https) is False for line in deny.conditions)


def _confine(work: _Work, _: _Document, __: _Statements) -> Iterator[tuple[Edit, ...]]:
    if work.config.vpcs or work.config.vpc_endpoints:
        yield (confines(work.queue.arn, work.config.vpcs, work.config.vpc_endpoints),)


_WAYS = {
    "public-access": _keep_strangers_out,
    "least-privilege": _grant_less,
    "tls-only-policy": _deny_plaintext,
    "vpc-only-policy": _confine,
}


# --- how a policy is written ---------------------------------------------------------------------------------------


class _Style(NamedTuple):
    """How a policy is written, as far as it can be told."""

    indent: str | None
    separators: tuple[str, str]
    ascii_only: bool

    @classmethod
    def of(cls, text: str | None) -> _Style:
        """The style of a text, which begins with an object."""
        indent = _INDENT.match(text or "")
        if indent is not None:
            return cls(indent[1], (",", ": "), (text or "").isascii())
        compact = '": ' not in (text or "")
        return cls(None, (",", ":") if compact else (", ", ": "), (text or "").isascii())

    def write(self, document: object) -> str:
        """The document in this style."""
        text = json.dumps(document, indent=self.indent, separators=self.separators, ensure_ascii=self.ascii_only)
        try:
            text.encode()
        except UnicodeEncodeError:  # a half of a pair, which only an escape can say
            return self._replace(ascii_only=True).write(document)
        return text


_INDENT = re.compile(r"\s*\{\s*?\n([ \t]+)\S")


def _written(document: dict[str, Any] | None, before: str | None) -> str | None:
    if not document or not document["Statement"]:
        return None
    text = _Style.of(before).write(document) + ("\n" if (before or "").endswith("\n") else "")
    return text.replace("\n", "\r\n") if "\r\n" in (before or "") else text


def _lines(text: str | None, style: _Style) -> list[str]:
    if not text:
        return []
    indented = style._replace(indent=style.indent or "  ", separators=(",", ": "))
    return [f"{line}\n" for line in indented.write(json.loads(text)).splitlines()]


def _exceeded(document: Mapping[str, Any] | None) -> Iterator[str]:
    """Which limits of SQS a policy exceeds, in words."""
    if document is None:
        return
    number = len(parse(document))
    size = len(json.dumps(document, separators=(",", ":")).encode())
    if number > _MOST_STATEMENTS:
        yield f"{number} statements, where SQS takes {_MOST_STATEMENTS}"
    if size > _MOST_BYTES:
        yield f"{size:,} bytes, where SQS takes {_MOST_BYTES:,}"
