"""The questions that rules ask of a queue policy. Each is answered with a request that shows the danger, or with the
certainty that there is no such request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from safe_sqs.model import Role
from safe_sqs.operations import OPERATIONS, ROLE_KINDS, Kind
from safe_sqs.patterns import has_wildcard
from safe_sqs.policy.document import Document, Statement, parse
from safe_sqs.policy.evaluate import ACTIONS, Decision, Request, account_of, decide_of, principal_fits
from safe_sqs.policy.outsiders import (
    ACCOUNT,
    BUCKET,
    CALLERS,
    ENDPOINT,
    ENDPOINT_ACCOUNT,
    ENDPOINT_ORGANISATION,
    FEDERATED_NAME,
    NAME,
    ORGANISATION,
    ROLE_ID,
    SERVICE,
    SERVICE_NAME,
    SOURCE_ACCOUNT,
    SOURCE_ORGANISATION,
    VPC,
    Absent,
    Domain,
    OneOf,
    Spelled,
)
from safe_sqs.policy.search import SERVICE_KEYS, Asked, Search, Suspect, keys_in
from safe_sqs.policy.spelling import Budget, Slice

__all__ = [
    "Answer",
    "Foreigner",
    "Grant",
    "a_budget",
    "foreign_accounts",
    "grants",
    "outside_vpc_access",
    "plaintext_access",
    "plaintext_of",
    "public_access",
    "public_statements",
]

_STEPS = 8_000
"""What a question may cost. See `make bench-policy` for what that is in milliseconds."""

_FOR_A_LIST = 4
"""How many times as much a question may cost that asks about each of up to fifty principals."""


def a_budget(times: int = 1) -> Budget:
    """What one question may cost, or several times as much."""
    return Budget(times * _STEPS)


class Answer(NamedTuple):
    """The answer to one question.

    `found` is None when it could not be told. `witness` is the request that shows it, `statement` the Sid or the index
    of the statement that lets it in (None where the question is what no statement stops).
    """

    found: bool | None
    witness: Request | None = None
    statement: str | int | None = None
    told: str = ""

    def __str__(self) -> str:
        return self.told

    def identities(self, danger: str) -> tuple[str, ...]:
        """What tells a danger from others before and after a change. One that is seen is more than one in doubt."""
        doubt = f"in doubt: {danger}"
        return (danger, doubt) if self.found else (doubt,)


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
        return _is_whole_account(self.principal)

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


def _services_named(statement: Statement) -> Iterator[str]:
    yield from (name for kind, name in statement.principals if kind == "Service" and not has_wildcard(name))
    yield from _services_in_conditions(statement)


def _services_in_conditions(statement: Statement) -> Iterator[str]:
    for line in statement.conditions:
        if line.key.startswith(SERVICE_KEYS):
            yield from _SERVICE.findall(" ".join(line.values).lower())


def _is_whole_account(principal: str) -> bool:
    account = account_of(principal)
    return account != "" and principal.removesuffix(":root").endswith(account)


def _labels(names: Iterable[str | int]) -> str:
    return " and ".join(
        f"statement {name!r}" if isinstance(name, str) else f"statement number {name + 1}" for name in names
    )


def public_access(document: Document, *, queue_arn: str = "", trusted_accounts: Iterable[str] = ()) -> Answer:
    """Is there a request that an outsider can make and that the policy allows?

    Outsiders are people and services who act for none of the accounts, organisations, VPCs, resources or addresses that
    the policy names in full: see "The meaning of public" in the Amazon S3 user guide. Raises PolicyError.
    """
    undecided = None
    for _, answer in public_statements(parse(document), queue_arn=queue_arn, trusted_accounts=trusted_accounts):
        if answer.found:
            return answer
        undecided = answer
    return undecided or Answer(False, told="nobody gets in whom the policy does not name")


def public_statements(
    statements: tuple[Statement, ...],
    *,
    queue_arn: str,
    trusted_accounts: Iterable[str] = (),
    only: Statement | None = None,
    budget: Budget | None = None,
) -> Iterator[tuple[Statement, Answer]]:
    """`public_access` for each statement, or for one only, that lets an outsider in or of which it cannot be told."""
    asked = statements if only is None else (only,)
    open_to_many = [statement for statement in asked if statement.allows and _is_open_to_many(statement)]
    if not open_to_many:
        return
    named = names_in(statements, queue_arn, trusted_accounts)
    searches = list(_for_strangers(statements, queue_arn, named, budget or a_budget()))
    for allow in open_to_many:
        found = next(filter(None, (search.witness(map(Suspect, CALLERS), allow) for search in searches)), None)
        if found is not None:
            suspect, request = found
            who = caller_in_words(suspect.caller.words, request, statements)
            told = f"{who} may {request.action}: {allow.label}"
            yield allow, Answer(True, request, allow.name, told)
        elif any(search.undecided for search in searches) or any(map(_is_beyond_the_search, allow.principals)):
            yield allow, Answer(None, None, allow.name, f"it could not be told whom {allow.label} lets in")


def _for_strangers(statements: tuple[Statement, ...], queue_arn: str, named: Names, budget: Budget) -> Iterator[Search]:
    """Searches among those whom the policy does not name."""
    for settled in _about_the_queue(statements):
        yield Search(Asked(statements, queue_arn, named.taken, settled, True, named.services), budget)


def plaintext_access(document: Document, *, queue_arn: str = "") -> Answer:
    """Is there a request over plain HTTP, by anyone at all, that no Deny stops?

    Only a Deny counts: an Allow that asks for HTTPS does not stop what an identity policy allows. Raises PolicyError.
    """
    return plaintext_of(parse(document), queue_arn=queue_arn)


def plaintext_of(statements: tuple[Statement, ...], *, queue_arn: str, budget: Budget | None = None) -> Answer:
    """`plaintext_access`, for statements that have been parsed."""
    settled = {"aws:securetransport": OneOf(("false",))}
    return _undenied(statements, queue_arn, {}, settled, "plain HTTP is denied to everyone", budget)


def outside_vpc_access(
    document: Document, *, queue_arn: str = "", vpcs: Iterable[str] = (), vpc_endpoints: Iterable[str] = ()
) -> Answer:
    """Is there a request from outside of the VPCs and VPC endpoints, by anyone at all, that no Deny stops?

    With both lists empty, every VPC and endpoint that the policy names in full counts as inside, and so does an
    endpoint of an account or organisation that it names. Raises PolicyError.
    """
    statements = parse(document)
    vpcs, endpoints = frozenset(vpcs), frozenset(vpc_endpoints)
    if vpcs or endpoints:
        taken = {
            VPC.name: frozenset(vpc.removeprefix("vpc-") for vpc in vpcs),
            ENDPOINT.name: frozenset(endpoint.removeprefix("vpce-") for endpoint in endpoints),
        }
    else:
        named = names_in(statements, queue_arn, ()).taken
        inside = (VPC, ENDPOINT, ENDPOINT_ACCOUNT, ENDPOINT_ORGANISATION)
        taken = {piece.name: named[piece.name] for piece in inside}
    return _undenied(statements, queue_arn, taken, {}, "everyone outside of the VPC is denied")


def _undenied(
    statements: tuple[Statement, ...],
    queue_arn: str,
    taken: Mapping[str, frozenset[str]],
    settled: Mapping[str, Domain],
    otherwise: str,
    budget: Budget | None = None,
) -> Answer:
    denies = [statement for statement in statements if not statement.allows]
    named = [entry for statement in denies for entry in statement.principals if entry[0] != "Service"]
    suspects = [Suspect(caller) for caller in CALLERS]
    suspects += [suspect for kind, name in dict.fromkeys(named) for suspect in suspects_named(kind, name)]
    services = {name for statement in denies for name in _services_named(statement)}
    arns = frozenset(name for kind, name in named if kind == "AWS" and not has_wildcard(name))
    taken = {
        **taken,
        ACCOUNT.name: frozenset(account_of(name) for name in arns if _is_whole_account(name)),
        SERVICE.name: _SERVICES_WITH_ROWS,
        SERVICE_NAME.name: frozenset(map(_service_name, services)) | _SERVICES_WITH_ROWS,
        "aws:principalarn": frozenset(name for name in arns if name.startswith("arn:")),
    }
    suspects += [suspect for name in sorted(services) for suspect in suspects_named("Service", name)]
    budget = budget or a_budget()
    undecided = False
    for about in _about_the_queue(statements):
        asked = Asked(statements, queue_arn, taken, {**about, **settled}, blocks_are_taken=False)
        search = Search(asked, budget)
        found = search.witness(suspects, None)
        undecided = undecided or search.undecided
        if found is not None:
            suspect, request = found
            who = suspect.caller.words if suspect == Suspect(suspect.caller) else request.principal
            told = f"{request.action} by {caller_in_words(who, request, statements)} is denied by no statement"
            return Answer(True, request, None, told)
    if undecided:
        return Answer(None, told=f"it could not be told whether {otherwise}")
    return Answer(False, told=otherwise)


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
    accounts = sorted(named.taken[ACCOUNT.name] - {_account_of_queue(queue_arn)})
    services = sorted({name for allow in allows for name in _services_named(allow)})
    if not accounts and not services:
        return ()
    anyone = Search(Asked(statements, queue_arn, {}, {}, False), a_budget(_FOR_A_LIST))
    strangers = next(_for_strangers(statements, queue_arn, named, a_budget()))
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
        by_name = [allow for allow in allows if service in _services_named(allow)]
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
    other = next(filter(None, map(_account_in, texts)), account)
    keys = {
        key: tuple(value.replace(other, account) for value in values) if key in _KEYS_OF_ACCOUNTS else values
        for key, values in request.keys.items()
    }
    request = request._replace(principal=request.principal.replace(other, account), keys=keys)
    return (allow, request) if decide_of(statements, request) is Decision.ALLOW else None


def _account_in(text: str) -> str:
    found = _ACCOUNT.search(text)
    return found[0] if found else ""


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
    for service in sorted({name for allow in allows for name in _services_named(allow)}):
        yield from suspects_named("Service", service)


def _lets_strangers_in(strangers: Search, allow: Statement) -> bool:
    """True when anyone at all gets in, or a service that the Allow names, acting for anyone."""
    suspects = list(map(Suspect, CALLERS)) if _is_open_to_many(allow) else []
    suspects += _services_of([allow])
    return bool(suspects) and strangers.witness(suspects, allow) is not None


def _is_open_to_many(statement: Statement) -> bool:
    return statement.principals_negated or any(
        name == "" or has_wildcard(name) or "${" in name for _, name in statement.principals
    )


def _is_beyond_the_search(principal: tuple[str, str]) -> bool:
    """True for what AWS takes for no principal, and no row of the table of callers is like: sessions with a wildcard,
    and policy variables, where the account is not fixed."""
    _, name = principal
    account = [*name.split(":", 5), "", "", "", "", ""][4]
    return ("${" in name or (has_wildcard(name) and ":sts:" in name)) and not account.isdigit()


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


def _about_the_queue(statements: Iterable[Statement]) -> list[dict[str, Domain]]:
    """What is not known about the queue itself, case by case: the organisation of its account, if it is in one."""
    values = [text for statement in statements for line in statement.conditions for text in (line.key, *line.values)]
    if not any(_RESOURCE_ORGANISATION in text.lower() for text in values):
        return [{}]
    organisations = sorted({f"o-{found}" for text in values for found in _ORGANISATION.findall(text)})
    cases: list[dict[str, Domain]] = [
        {_RESOURCE_ORGANISATION: OneOf((organisation,))} for organisation in (_OWN_ORGANISATION, *organisations)
    ]
    return [*cases, {_RESOURCE_ORGANISATION: Absent()}]


def suspects_named(kind: str, name: str) -> Iterator[Suspect]:
    """Who a principal of a statement is, as kinds of callers that are pinned to it."""
    if name == "*":
        yield from map(Suspect, CALLERS)
    elif kind == "Service":
        own = name.split(".")[0]
        for caller in CALLERS:
            if caller.is_service and caller.service.split(".")[0] in ("", own):
                yield Suspect(caller, (), name)
    elif kind == "AWS" and has_wildcard(name):
        yield from (Suspect(caller) for caller in CALLERS if isinstance(caller.principal, Spelled))
    else:
        yield from _signed(name)


def _signed(name: str) -> Iterator[Suspect]:
    account = account_of(name)
    what, _, path = name.split(":", 5)[-1].partition("/")
    session = what == "assumed-role"
    kind = "role" if session else what
    for caller in CALLERS:
        if not isinstance(caller.principal, Spelled):
            continue
        if not account:
            yield Suspect(caller, (), name)
        elif what in (account, "root"):
            yield Suspect(caller, ((ACCOUNT, account),))
        elif any(isinstance(part, str) and f"{kind}/" in part for part in caller.principal.view):
            pinned = ((ACCOUNT, account), (_name_slice(kind), path.partition("/")[0] if session else path))
            yield Suspect(caller, pinned, name if session else "")


def _name_slice(kind: str) -> Slice:
    return FEDERATED_NAME if kind == "federated-user" else NAME


class Names(NamedTuple):
    """What a policy names in full: whoever it names is no outsider."""

    taken: dict[str, frozenset[str]]
    services: frozenset[str]


def names_in(statements: Iterable[Statement], queue_arn: str, trusted_accounts: Iterable[str]) -> Names:
    """The accounts, organisations, VPCs, endpoints, buckets, ids, ARNs and services that a policy names in full."""
    texts = []
    for statement in statements:
        texts += [name for _, name in statement.principals]
        texts += [text for line in statement.conditions for text in line.values]
    everything = "\n".join(texts)
    accounts = frozenset(_ACCOUNT.findall(everything)) | {_account_of_queue(queue_arn), *trusted_accounts}
    in_lower_case = everything.lower()
    organisations = frozenset(_ORGANISATION.findall(in_lower_case)) | {_OWN_ORGANISATION.removeprefix("o-")}
    services = frozenset(name for statement in statements for name in _services_in_conditions(statement))
    taken = {
        **dict.fromkeys((ACCOUNT.name, SOURCE_ACCOUNT.name, ENDPOINT_ACCOUNT.name), accounts),
        **dict.fromkeys((ORGANISATION.name, SOURCE_ORGANISATION.name, ENDPOINT_ORGANISATION.name), organisations),
        VPC.name: frozenset(_VPC.findall(in_lower_case)),
        ENDPOINT.name: frozenset(_ENDPOINT.findall(in_lower_case)),
        BUCKET.name: frozenset(_BUCKET.findall(in_lower_case)),
        ROLE_ID.name: frozenset(_UNIQUE_ID.findall(everything.upper())),
        SERVICE.name: _SERVICES_WITH_ROWS,
        SERVICE_NAME.name: frozenset(map(_service_name, services)) | _SERVICES_WITH_ROWS,
    }
    without_account = frozenset(text for text in texts if _ARN_WITHOUT_ACCOUNT.fullmatch(text))
    if without_account:
        taken["aws:sourcearn"] = without_account
    return Names(taken, services)


def _service_name(service: str) -> str:
    return service.removesuffix(".amazonaws.com")


def _account_of_queue(queue_arn: str) -> str:
    return queue_arn.split(":")[4] if queue_arn.count(":") == 5 else ""


_RESOURCE_ORGANISATION = "aws:resourceorgid"
_OWN_ORGANISATION = "o-queueowner"
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)", re.ASCII)
_ORGANISATION = re.compile(r"\bo-([a-z0-9]+)", re.ASCII)
_VPC = re.compile(r"\bvpc-([a-z0-9]+)", re.ASCII)
_ENDPOINT = re.compile(r"\bvpce-([a-z0-9]+)", re.ASCII)
_BUCKET = re.compile(r"^arn:[^:\n]*:s3:[^:\n]*:[^:\n]*:([^:/*?\n]+)$", re.ASCII | re.MULTILINE)
_UNIQUE_ID = re.compile(r"\b(?:AROA|AIDA)([A-Z0-9]+)(?![A-Z0-9*?])", re.ASCII)
_ARN_WITHOUT_ACCOUNT = re.compile(r"arn:[^:*?]*:[^:*?]*:[^:*?]*::[^*?]+", re.ASCII)
_SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?", re.ASCII)
_SERVICES_WITH_ROWS = frozenset({"s3", "sns", "events"})
"""Services of whose resources a row of its own says how they are named."""


def caller_in_words(who: str, request: Request, statements: Iterable[Statement]) -> str:
    """Who makes a request, and how, with the values of those condition keys about which the statements ask."""
    asked = keys_in(statements) - _TOLD_BY_OTHER_WORDS
    secure = request.keys.get("aws:SecureTransport", ("true",))
    told = [who, "over plain HTTP" if secure == ("false",) else "over HTTPS"]
    if "aws:SourceIp" in request.keys:
        told[1] = f"from {request.keys['aws:SourceIp'][0]} {told[1]}"
    told += [
        f"with {key} {' and '.join(map(repr, values))}"
        for key, values in sorted(request.keys.items())
        if key.lower() in asked
    ]
    return f"{', '.join(told)},"


_TOLD_BY_OTHER_WORDS = frozenset(
    {
        "aws:principalisawsservice",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceip",
    }
)
