"""The questions that rules ask of a queue policy. Each is answered with a request that shows the danger, or with the
certainty that there is no such request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from safe_sqs.patterns import has_wildcard
from safe_sqs.policy.conditions import holds
from safe_sqs.policy.document import Condition, Document, Statement, parse
from safe_sqs.policy.evaluate import ACTIONS, Request, account_of, actions_of, resource_fits
from safe_sqs.policy.named import (
    SERVICES_WITH_ROWS,
    Names,
    about_the_queue,
    but_the_named,
    is_open_to_many,
    is_whole_account,
    names_in,
    service_name,
    services_named,
    suspects_named,
)
from safe_sqs.policy.outsiders import (
    ACCOUNT,
    CALLERS,
    ENDPOINT,
    ENDPOINT_ACCOUNT,
    ENDPOINT_ORGANISATION,
    SERVICE,
    SERVICE_NAME,
    VPC,
    Domain,
    OneOf,
)
from safe_sqs.policy.search import Asked, Search, Suspect, keys_in
from safe_sqs.policy.spelling import Budget

__all__ = [
    "Answer",
    "a_budget",
    "for_strangers",
    "outside_vpc_access",
    "plaintext_access",
    "plaintext_of",
    "public_access",
    "public_statements",
]

_STEPS = 8_000
"""What a question may cost. See `make bench-policy` for what that is in milliseconds."""


def a_budget(times: int = 1) -> Budget:
    """What one question may cost, or several times as much."""
    return Budget(times * _STEPS)


class Answer(NamedTuple):
    """The answer to one question.

    `found` is None when it could not be told. `witness` is the request that shows it, `statement` the Sid or the index
    of the statement that lets it in (None where the question is what no statement stops). `actions` are all those for
    which there is such a request, where that was asked as well.
    """

    found: bool | None
    witness: Request | None = None
    statement: str | int | None = None
    told: str = ""
    actions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.told

    def identities(self, danger: str) -> tuple[str, ...]:
        """What tells a danger from others before and after a change. One that is seen is more than one in doubt."""
        doubt = f"in doubt: {danger}"
        return (danger, doubt, *(f"{danger}: {action}" for action in self.actions)) if self.found else (doubt,)


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
    every_action: bool = False,
    budget: Budget | None = None,
) -> Iterator[tuple[Statement, Answer]]:
    """`public_access` for each statement, or for one only, that lets an outsider in or of which it cannot be told.

    With `every_action`, the answers have all the actions that a statement opens.
    """
    asked = statements if only is None else (only,)
    open_to_many = [statement for statement in asked if statement.allows and is_open_to_many(statement)]
    if not open_to_many:
        return
    named = names_in(statements, queue_arn, trusted_accounts)
    searches = list(for_strangers(statements, queue_arn, named, budget or a_budget()))
    for allow in open_to_many:
        wide = but_the_named(allow)
        found = next(filter(None, (search.witness(map(Suspect, CALLERS), wide) for search in searches)), None)
        if found is not None:
            suspect, request = found
            who = caller_in_words(suspect.caller.words, request, statements)
            told = f"{who} may {request.action}: {allow.label}"
            actions = tuple(_open_actions(searches, wide)) if every_action else ()
            yield allow, Answer(True, request, allow.name, told, actions)
        elif any(search.undecided for search in searches) or any(map(_is_beyond_the_search, allow.principals)):
            yield allow, Answer(None, None, allow.name, f"it could not be told whom {allow.label} lets in")


def _open_actions(searches: Iterable[Search], allow: Statement) -> Iterator[str]:
    """The actions that a statement opens to outsiders, or of which it cannot be told."""
    for search in searches:
        for alike in search.alike(allow, ACTIONS):
            if search.witness(map(Suspect, CALLERS), allow, alike[:1]) is not None or search.undecided:
                yield from alike


def for_strangers(statements: tuple[Statement, ...], queue_arn: str, named: Names, budget: Budget) -> Iterator[Search]:
    """Searches among those whom the policy does not name."""
    for settled in about_the_queue(statements):
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
    if any(_stops_all(deny, queue_arn, settled) for deny in denies):
        return Answer(False, told=otherwise)
    named = [entry for statement in denies for entry in statement.principals if entry[0] != "Service"]
    suspects = [Suspect(caller) for caller in CALLERS]
    suspects += [suspect for kind, name in dict.fromkeys(named) for suspect in suspects_named(kind, name)]
    services = {name for statement in denies for name in services_named(statement)}
    arns = frozenset(name for kind, name in named if kind == "AWS" and not has_wildcard(name))
    taken = {
        **taken,
        ACCOUNT.name: frozenset(account_of(name) for name in arns if is_whole_account(name)),
        SERVICE.name: SERVICES_WITH_ROWS,
        SERVICE_NAME.name: frozenset(map(service_name, services)) | SERVICES_WITH_ROWS,
        "aws:principalarn": frozenset(name for name in arns if name.startswith("arn:")),
    }
    suspects += [suspect for name in sorted(services) for suspect in suspects_named("Service", name)]
    budget = budget or a_budget()
    undecided = False
    for about in about_the_queue(statements):
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


def _stops_all(deny: Statement, queue_arn: str, settled: Mapping[str, Domain]) -> bool:
    """True for a Deny that is about everyone, all actions and the queue, under no condition but what is settled. What
    other statements say, be it hard to decide, does not matter then.

    One with a policy variable is about those requests only in which the variable has the right value, or has not.
    """
    return (
        _EVERYONE in deny.principals
        and not deny.principals_negated
        and not _has_variable(deny)
        and actions_of(deny) == frozenset(ACTIONS)
        and resource_fits(deny, queue_arn, {})
        and all(_surely_holds(line, settled.get(line.key)) for line in deny.conditions)
    )


_EVERYONE = ("AWS", "*")


def _has_variable(statement: Statement) -> bool:
    texts = [*statement.resources, *(text for line in statement.conditions for text in line.values)]
    return statement.variables and any("${" in text for text in texts)


def _surely_holds(line: Condition, domain: Domain | None) -> bool:
    """True for a condition that holds for each value that its key may have."""
    return isinstance(domain, OneOf) and all(holds(line, {line.key: (str(value),)}) for value in domain.values)


def _is_beyond_the_search(principal: tuple[str, str]) -> bool:
    """True for what AWS takes for no principal, and no row of the table of callers is like: sessions with a wildcard,
    and policy variables, where the account is not fixed."""
    _, name = principal
    account = [*name.split(":", 5), "", "", "", "", ""][4]
    return ("${" in name or (has_wildcard(name) and ":sts:" in name)) and not account.isdigit()


def caller_in_words(who: str, request: Request, statements: Iterable[Statement]) -> str:
    """Who makes a request, and how, with the values of those condition keys about which the statements ask."""
    asked = keys_in(statements) - _TOLD_BY_OTHER_WORDS
    secure = request.keys["aws:SecureTransport"]
    told = [who, "over plain HTTP" if secure == ("false",) else "over HTTPS"]
    if "aws:SourceIp" in request.keys:
        told[1] = f"from {request.keys['aws:SourceIp'][0]} {told[1]}"
    for key, values in sorted(request.keys.items()):
        if key.lower() in _MAY_BE_SECRET:
            told.append(f"with the {key} that the policy asks for")
        elif key.lower() in asked:
            told.append(f"with {key} {' and '.join(map(repr, values))}")
    return f"{', '.join(told)},"


_MAY_BE_SECRET = frozenset({"aws:referer", "aws:useragent"})
"""Keys whose values some use like a password, so that no error and no log shows them."""

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
