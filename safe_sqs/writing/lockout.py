"""Whom a change of a queue's policy would lock out: who may do something over HTTPS today, and could not after it.

Asked of those whom the policy names, as principals or by conditions, and of the caller who makes the change. Outsiders
are not asked for: it is what a repair is for to keep them out. Nor is plain HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from safe_sqs.patterns import has_wildcard
from safe_sqs.policy.document import Document, Statement, a_condition, parse
from safe_sqs.policy.evaluate import (
    ACTIONS,
    Decision,
    Request,
    account_of,
    action_fits,
    decide_of,
    principal_fits,
)
from safe_sqs.policy.granted import grants
from safe_sqs.policy.named import account_of_queue, but_the_named, is_open_to_many, is_whole_account, suspects_named
from safe_sqs.policy.operators import Compared, Over
from safe_sqs.policy.outsiders import CALLERS, OneOf, name_of
from safe_sqs.policy.questions import a_budget, public_statements
from safe_sqs.policy.search import Asked, Search, Suspect
from safe_sqs.policy.spelling import Budget

__all__ = ["NEEDED_BY_CALLER", "LockedOut", "key_is_closed_to", "locked_out", "rests_on_policy"]

NEEDED_BY_CALLER = ("GetQueueAttributes", "SetQueueAttributes")
"""What somebody has to be able to do who changes a queue, and who wants to undo the change."""

_OVER_HTTPS = {"aws:securetransport": OneOf(("true",))}
_FOR_A_LIST = 8
"""How many times as much this question may cost as one about one policy: it asks about many principals."""


class LockedOut(NamedTuple):
    """Somebody who would lose something. `who` is for a person to read. `witness` is a request that is allowed today,
    or not denied, and would no longer be; None where it could not be told."""

    who: str
    witness: Request | None

    def __str__(self) -> str:
        if self.witness is None:
            return f"it could not be told whether {self.who} would keep what is allowed today"
        return f"{self.who} would lose {self.witness.action}"


def locked_out(
    before: Document,
    after: Document,
    *,
    queue_arn: str,
    caller: str = "",
    trusted_accounts: Iterable[str] = (),
) -> tuple[LockedOut, ...]:
    """Who would be locked out by putting one policy in the place of another; each once.

    `caller` is the ARN of whoever makes the change, as sts:GetCallerIdentity tells it. Raises PolicyError.
    """
    change = _Change(parse(before), parse(after), queue_arn, caller, tuple(trusted_accounts))
    found: dict[str, LockedOut] = {}
    for entry in (*change.by_new_denies(), *change.by_lost_allows()):
        known = found.get(entry.who)
        if known is None or (known.witness is None and entry.witness is not None):
            found[entry.who] = entry
    return tuple(found.values())


def rests_on_policy(before: Document, after: Document, *, queue_arn: str, caller: str) -> bool:
    """True when the caller, who is of the queue's own account, may read and change the queue's attributes by its policy
    today, and after the change would have to be allowed to by an identity policy. Raises PolicyError."""
    if not caller or account_of(caller) != account_of_queue(queue_arn):
        return False
    change = _Change(parse(before), parse(after), queue_arn, caller, ())
    change.barriers = tuple(map(_without_accounts, change.barriers))
    suspects = tuple(suspects_named("AWS", caller))
    return any(change.lost(suspects, allow, NEEDED_BY_CALLER) for allow in change.changed_allows)


def key_is_closed_to(key_policy: Document, queue_policy: Document, *, queue_arn: str) -> tuple[str, ...]:
    """The principals that a queue's policy names and that cannot use a KMS key as its policy is: no statement of it is
    for them, or for their account. Whoever it does not name cannot be let in by an identity policy.

    For the others it is not known: conditions of the key's policy, and identity policies, have their say. Raises
    PolicyError. Source: "Key policies in AWS KMS", and "Configure KMS permissions for AWS services" for Amazon SQS.
    """
    opening = [statement for statement in parse(key_policy) if statement.allows]
    closed = []
    for grant in grants(queue_policy, queue_arn=queue_arn):
        needed = [_DECRYPT, _GENERATE] if "sqs:SendMessage" in grant.actions else [_DECRYPT]
        if not has_wildcard(grant.principal) and not all(_is_open(opening, grant.principal, each) for each in needed):
            closed.append(grant.principal)
    return tuple(closed)


def _is_open(opening: Iterable[Statement], principal: str, action: str) -> bool:
    return any(principal_fits(each, principal) and action_fits(each, action) for each in opening)


_DECRYPT, _GENERATE = "kms:Decrypt", "kms:GenerateDataKey"


def _without_accounts(statement: Statement) -> Statement:
    """The statement without accounts as a whole: where these are allowed, identity policies decide."""
    if statement.principals_negated:
        return statement
    kept = tuple((kind, name) for kind, name in statement.principals if not is_whole_account(name))
    return statement._replace(principals=kept)


class _Change:
    """A policy, and what is put in its place."""

    def __init__(
        self,
        before: tuple[Statement, ...],
        after: tuple[Statement, ...],
        queue_arn: str,
        caller: str,
        trusted_accounts: tuple[str, ...],
    ) -> None:
        self._before, self._after = before, after
        self._queue_arn = queue_arn
        self._caller = caller
        self._trusted = trusted_accounts
        self._budget: Budget = a_budget(_FOR_A_LIST)
        kept = {statement.identity for statement in after}
        known = {statement.identity for statement in before}
        self.changed_allows = [each for each in before if each.allows and each.identity not in kept]
        self._new_denies = [each for each in after if not each.allows and each.identity not in known]
        # A request that no Allow is about any more is one that slips through all of them, taken as Denies.
        self.barriers = tuple(each._replace(allows=False) for each in after if each.allows)

    def by_new_denies(self) -> Iterator[LockedOut]:
        """Whom a Deny that is new would stop, over HTTPS, who is not stopped today."""
        for deny in self._new_denies:
            stops = deny._replace(allows=True)
            search = self._search(stops)
            anyone = [*map(Suspect, CALLERS)]
            anyone += [each for kind, name in deny.principals for each in _suspects(kind, name)]
            stopped = [*self._stopped(search, stops, self._by_name())]
            yield from stopped or self._stopped(search, stops, [("whoever comes over HTTPS", anyone)])

    def _stopped(
        self, search: Search, stops: Statement, people: Iterable[tuple[str, Sequence[Suspect]]]
    ) -> Iterator[LockedOut]:
        for who, suspects in people:
            found = search.witness(suspects, stops)
            if found is not None or search.undecided:
                is_sure = found is not None and decide_of(self._after, found[1]) is Decision.DENY
                yield LockedOut(who, found[1] if found and is_sure else None)

    def _by_name(self) -> Iterator[tuple[str, Sequence[Suspect]]]:
        if self._caller:
            yield f"the caller {self._caller}", [*suspects_named("AWS", self._caller)]
        for kind, name in _named(self._before):
            yield name, [*_suspects(kind, name)]

    def by_lost_allows(self) -> Iterator[LockedOut]:
        """Who is let in today by an Allow that is changed or gone, and would be by none."""
        for allow in self.changed_allows:
            # Whom the policy names may also have got in as one of all: what is lost of that counts as well.
            for kind, name in _named(self._before):
                yield from self._told(name, tuple(_suspects(kind, name)), allow)
            if self._is_foreign_caller:
                caller = tuple(suspects_named("AWS", self._caller))
                yield from self._told(f"the caller {self._caller}", caller, allow)
            if is_open_to_many(allow):
                for who, part in self._parts_for_named(but_the_named(allow)):
                    yield from self._told(who, tuple(map(Suspect, CALLERS)), part)

    @property
    def _is_foreign_caller(self) -> bool:
        return bool(self._caller) and account_of(self._caller) != account_of_queue(self._queue_arn)

    def _told(self, who: str, suspects: Sequence[Suspect], allow: Statement) -> Iterator[LockedOut]:
        found = self.lost(suspects, allow, ACTIONS)
        if found:
            yield LockedOut(who, found[0])

    def lost(self, suspects: Sequence[Suspect], allow: Statement, actions: Sequence[str]) -> list[Request | None]:
        """A request that the Allow lets in today and nothing would after the change, None if that could not be told, or
        nothing at all."""
        search = self._search(allow, *self.barriers)
        found = search.witness(suspects, allow, actions)
        if found is not None and decide_of(self._before, found[1]) is Decision.ALLOW:
            return [found[1]]
        return [None] if search.undecided or found is not None else []

    def _search(self, *more: Statement) -> Search:
        asked = (*self._before, *more)
        return Search(Asked(asked, self._queue_arn, {}, _OVER_HTTPS, blocks_are_taken=False), self._budget)

    def _parts_for_named(self, allow: Statement) -> Iterator[tuple[str, Statement]]:
        """The parts of an Allow for many that are for those whom one of its conditions names: with that condition, and
        that value of it alone, it lets no outsider in."""
        for line in allow.conditions:
            operator = line.operator
            if operator.negated or operator.compared in _NAME_NOBODY or line.doubtful:
                continue
            over = Over.ANY if operator.over is Over.ALL else operator.over
            strict = operator._replace(over=over, if_exists=False)
            for value in line.values:
                only = a_condition(strict, line.key, (value,), variables=line.variables)
                part = allow._replace(conditions=(*allow.conditions, only))
                if self._is_for_insiders(part):
                    yield f"whoever comes with {name_of(line.key)} {value!r}", part

    def _is_for_insiders(self, part: Statement) -> bool:
        strangers = public_statements(
            (*self._before, part),
            queue_arn=self._queue_arn,
            trusted_accounts=self._trusted,
            only=part,
            budget=self._budget,
        )
        return next(strangers, None) is None


_NAME_NOBODY = frozenset({Compared.PRESENCE, Compared.BOOL, Compared.NUMBER, Compared.DATE})


def _suspects(kind: str, name: str) -> list[Suspect]:
    """Who a principal is. An identity provider, which the table of callers does not know, may be like any of them."""
    return [*suspects_named(kind, name)] or [Suspect(caller, (), name) for caller in CALLERS if not caller.is_service]


def _named(statements: Iterable[Statement]) -> tuple[tuple[str, str], ...]:
    """The principals that Allow statements name in full, each once."""
    return tuple(
        dict.fromkeys(
            (kind, name)
            for statement in statements
            if statement.allows and not statement.principals_negated
            for kind, name in statement.principals
            if name and not has_wildcard(name)
        )
    )
