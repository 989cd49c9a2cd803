"""To whom a policy grants what: each principal's actions and roles, and the accounts and services that are let in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from safe_sqs.model import Role
from safe_sqs.operations import OPERATIONS, ROLE_KINDS, Kind
from safe_sqs.patterns import has_wildcard
from safe_sqs.policy.document import Document, Statement, parse
from safe_sqs.policy.evaluate import ACTIONS, Decision, Request, account_of, decide_of, principal_fits
from safe_sqs.policy.named import (
    account_in,
    account_of_queue,
    is_open_to_many,
    is_whole_account,
    names_in,
    services_named,
    suspects_named,
)
from safe_sqs.policy.outsiders import ACCOUNT, CALLERS, SOURCE_ACCOUNT
from safe_sqs.policy.questions import a_budget, for_strangers
from safe_sqs.policy.search import Asked, Search, Suspect, keys_in

__all__ = ["Foreigner", "Grant", "foreign_accounts", "grants"]

_FOR_A_LIST = 4
"""How many times as much a question may cost that asks about each of up to fifty principals."""


class Grant(NamedTuple):
    """What a policy grants to one principal that it names, or to everyone ("*").

    `account` is the principal's account, or "". `actions` are those that some request of the principal may have, with
    their names in full; `roles` those that the actions make up; `wildcards` the patterns and NotAction elements that
    grant them; `statements` the Sids or indices of the statements.
    """

    principal: str
    account: str
    actions: tuple[str, ...]
    roles: frozenset[Role]
    wildcards: tuple[str, ...]
    statements: tuple[str | int, ...]

    def __str__(self) -> str:
        return "everyone" if self.principal == "*" else self.principal

    @property
    def is_whole_account(self) -> bool:
        """True when the principal is an account, by its id or as its root."""
        return is_whole_account(self.principal)

    @property
    def told(self) -> str:
        """What makes it wide, and where it stands, in words."""
        what = self.wildcards or sorted(role.value for role in self.roles)
        return f"{' and '.join(what)}, by {_labels(self.statements)}"

    @property
    def fits_one_role(self) -> bool:
        """True when a producer, a consumer or an administrator needs no less."""
        kinds = {OPERATIONS[action.removeprefix("sqs:")] for action in self.actions}
        return not self.wildcards and any(kinds <= allowed for allowed in ROLE_KINDS.values())


class Foreigner(NamedTuple):
    """An account other than the queue's own, or an AWS service, that a policy lets in.

    `witness` is a request that shows it, or None where it could not be told whether it is let in. `tied` says of a
    service whether it may act only for resources or accounts that the policy names; if not, anyone can make it act (the
    confused deputy). It is None for an account, and where it could not be told.
    """

    name: str
    is_service: bool
    statement: str | int
    witness: Request | None
    tied: bool | None

    @property
    def told(self) -> str:
        """Where it stands, in words."""
        return _labels((self.statement,))


def _labels(names: Iterable[str | int]) -> str:
    return " and ".join(
        f"statement {name!r}" if isinstance(name, str) else f"statement number {name + 1}" for name in names
    )


def grants(document: Document, *, queue_arn: str = "") -> tuple[Grant, ...]:
    """What the policy grants, for each principal that its Allow statements name. Raises PolicyError.

    A statement with NotPrincipal grants to "*". An action counts when some request of the principal has it allowed and
    not denied; where that cannot be told, it counts.
    """
    statements = parse(document)
    search = Search(Asked(statements, queue_arn, {}, {}, False), a_budget(_FOR_A_LIST))
    tells_people_apart = any(key.startswith(_KEYS_OF_PEOPLE) for key in keys_in(statements, queue_arn))
    known: dict[object, list[str]] = {}
    found = []
    for kind, name in _principals_granted(statements):
        suspects = tuple(suspects_named(kind, name))
        like_others = _what_is_about(statements, kind, name)
        granted: dict[str, None] = {}
        allows = [allow for allow in statements if allow.allows and (kind, name) in _grantees(allow)]
        giving = []
        for allow in allows:
            who = (allow.position, name if tells_people_apart or kind != "AWS" else like_others)
            if who not in known:
                known[who] = _allowed_actions(search, suspects, allow)
            if known[who]:
                granted.update(dict.fromkeys(known[who]))
                giving.append(allow)
        if granted:
            ordered = tuple(f"sqs:{action}" for action in ACTIONS if action in granted)
            wildcards = tuple(dict.fromkeys(wildcard for allow in giving for wildcard in _wildcards(allow)))
            names = tuple(allow.name for allow in giving)
            found.append(Grant(name, account_of(name), ordered, _roles_of(ordered), wildcards, names))
    return tuple(found)


_KEYS_OF_PEOPLE = ("aws:principal", "aws:user", "aws:source", "aws:token", "aws:multifactor", "aws:federated")


def _what_is_about(statements: Iterable[Statement], kind: str, name: str) -> tuple[object, ...]:
    """What of a policy is about a principal by its name. Principals alike in this are alike in all, if no condition
    tells them apart."""
    what = name.split(":", 5)[-1].partition("/")[0]
    return (what, name == "*", *(principal_fits(statement, name) for statement in statements))


def foreign_accounts(document: Document, *, queue_arn: str = "") -> tuple[Foreigner, ...]:
    """The accounts other than the queue's own, and the AWS services, that the policy names and lets in.

    They may be named as principals or in conditions. An account that gets in only because anyone does is not listed for
    that: see `public_access`, and the services that are not tied. Raises PolicyError.
    """
    statements = parse(document)
    allows = [statement for statement in statements if statement.allows]
    named = names_in(statements, queue_arn, ())
    accounts = sorted(named.taken[ACCOUNT.name] - {account_of_queue(queue_arn)})
    services = sorted({name for allow in allows for name in services_named(allow)})
    if not accounts and not services:
        return ()
    anyone = Search(Asked(statements, queue_arn, {}, {}, False), a_budget(_FOR_A_LIST))
    strangers = next(for_strangers(statements, queue_arn, named, a_budget()))
    foreigners = []
    last: dict[tuple[object, ...], _LetIn] = {}
    for account in accounts:
        marks = _marks(account, statements)
        entry = _alike(last.get(marks), account, statements)
        for allow, request in [entry] if entry else _account_let_in(account, allows, statements, anyone, strangers):
            last[marks] = (allow, request)
            foreigners.append(Foreigner(account, False, allow.name, request, None))
    for service in services:
        suspects = tuple(suspects_named("Service", service))
        by_name = [allow for allow in allows if service in services_named(allow)]
        for allow, request in _let_in(anyone, suspects, by_name):
            stranger = next(_let_in(strangers, suspects, by_name), None)
            tied = None if stranger is not None and stranger[1] is None else stranger is None
            told = stranger or (allow, request)
            foreigners.append(Foreigner(service, True, told[0].name, told[1], tied))
    return tuple(foreigners)


_LetIn = tuple[Statement, Request | None]


def _marks(account: str, statements: Iterable[Statement]) -> tuple[object, ...]:
    """Where in a policy an account is named. Accounts that are named in the same places and no others are alike."""
    marks: list[object] = []
    for statement in statements:
        names = [name for kind, name in statement.principals if kind == "AWS"]
        places = [(-1, name.replace(account, "")) for name in names if account in name]
        for index, line in enumerate(statement.conditions):
            places += [(index, text.replace(account, "")) for text in line.values if account in text]
        marks.append(tuple(places))
    return tuple(marks)


def _alike(entry: _LetIn | None, account: str, statements: tuple[Statement, ...]) -> _LetIn | None:
    """The way in of an account that is named in the same places, if it is one for this account too."""
    if entry is None or entry[1] is None:
        return None
    allow, request = entry[0], entry[1]
    texts = [request.principal, *(value for key in _KEYS_OF_ACCOUNTS for value in request.keys.get(key, ()))]
    other = next(filter(None, map(account_in, texts)), account)
    keys = {
        key: tuple(value.replace(other, account) for value in values) if key in _KEYS_OF_ACCOUNTS else values
        for key, values in request.keys.items()
    }
    request = request._replace(principal=request.principal.replace(other, account), keys=keys)
    return (allow, request) if decide_of(statements, request) is Decision.ALLOW else None


_KEYS_OF_ACCOUNTS = (
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:SourceArn",
    "aws:SourceAccount",
    "aws:SourceOwner",
)


def _let_in(search: Search, suspects: Sequence[Suspect], allows: Iterable[Statement]) -> Iterator[_LetIn]:
    """The first Allow that lets one of the suspects in, with the request; without it where that could not be told."""
    doubtful = None
    for allow in allows:
        found = search.witness(suspects, allow)
        if found is not None:
            yield allow, found[1]
            return
        if search.undecided:
            doubtful = doubtful or allow
    if doubtful is not None:
        yield doubtful, None


def _account_let_in(
    account: str,
    allows: Sequence[Statement],
    statements: tuple[Statement, ...],
    anyone: Search,
    strangers: Search,
) -> Iterator[_LetIn]:
    """The Allow that lets an account in, as a principal, or by conditions that keep strangers out."""
    by_name = [allow for allow in allows if any(account_of(name) == account for _, name in allow.principals)]
    people = tuple(
        suspect
        for allow in by_name
        for kind, name in allow.principals
        if account_of(name) == account
        for suspect in suspects_named(kind, name)
    )
    entry = next(_let_in(anyone, people, by_name), None)
    if entry is None:
        denied = any(account in _text_of(statement) for statement in statements if not statement.allows)
        about = [allow for allow in allows if allow not in by_name and (denied or account in _text_of(allow))]
        narrow = [allow for allow in about if not _lets_strangers_in(strangers, allow)]
        entry = next(_let_in(anyone, tuple(_of_account(account, narrow)), narrow), None)
    if entry is not None:
        yield entry


def _of_account(account: str, allows: Iterable[Statement]) -> Iterator[Suspect]:
    """Principals of an account, and services that act for it."""
    acting = ((SOURCE_ACCOUNT, account),)
    for caller in CALLERS:
        yield Suspect(caller, acting if caller.is_service else ((ACCOUNT, account),))
    yield from (suspect._replace(pinned=acting) for suspect in _services_of(allows))


def _text_of(statement: Statement) -> str:
    texts = [name for _, name in statement.principals]
    return " ".join([*texts, *(text for line in statement.conditions for text in line.values)])


def _services_of(allows: Iterable[Statement]) -> Iterator[Suspect]:
    for service in sorted({name for allow in allows for name in services_named(allow)}):
        yield from suspects_named("Service", service)


def _lets_strangers_in(strangers: Search, allow: Statement) -> bool:
    """True when anyone at all gets in, or a service that the Allow names, acting for anyone."""
    suspects = list(map(Suspect, CALLERS)) if is_open_to_many(allow) else []
    suspects += _services_of([allow])
    return bool(suspects) and strangers.witness(suspects, allow) is not None


def _grantees(allow: Statement) -> list[tuple[str, str]]:
    if allow.principals_negated:
        return [("AWS", "*")]
    return [("AWS", "*") if name in ("", "*") else (kind, name) for kind, name in allow.principals]


def _principals_granted(statements: Iterable[Statement]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(entry for statement in statements if statement.allows for entry in _grantees(statement)))


def _allowed_actions(search: Search, suspects: Sequence[Suspect], allow: Statement) -> list[str]:
    return [
        action
        for actions in search.alike(allow, ACTIONS)
        if search.witness(suspects, allow, actions[:1]) is not None or search.undecided
        for action in actions
    ]


def _wildcards(allow: Statement) -> list[str]:
    if allow.actions_negated:
        return ["NotAction"]
    return [action for action in allow.actions if has_wildcard(action)]


def _roles_of(actions: Iterable[str]) -> frozenset[Role]:
    kinds = {OPERATIONS[action.removeprefix("sqs:")] for action in actions} - {Kind.READ}
    return frozenset(role for role, allowed in ROLE_KINDS.items() if kinds & allowed)
