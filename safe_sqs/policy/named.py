"""Whom a policy names: in full, so that they are no outsiders, and as principals, as kinds of callers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from safe_sqs.patterns import has_wildcard
from safe_sqs.policy.document import Statement
from safe_sqs.policy.evaluate import account_of
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
from safe_sqs.policy.search import SERVICE_KEYS, Suspect
from safe_sqs.policy.spelling import Slice

__all__ = [
    "SERVICES_WITH_ROWS",
    "Names",
    "about_the_queue",
    "account_in",
    "account_of_queue",
    "but_the_named",
    "is_open_to_many",
    "is_whole_account",
    "names_in",
    "service_name",
    "services_named",
    "suspects_named",
]


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
    accounts = frozenset(_ACCOUNT.findall(everything)) | {account_of_queue(queue_arn), *trusted_accounts}
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
        SERVICE.name: SERVICES_WITH_ROWS,
        SERVICE_NAME.name: frozenset(map(service_name, services)) | SERVICES_WITH_ROWS,
    }
    without_account = frozenset(text for text in texts if _ARN_WITHOUT_ACCOUNT.fullmatch(text))
    if without_account:
        taken["aws:sourcearn"] = without_account
    return Names(taken, services)


def service_name(service: str) -> str:
    """What a service's name has before the suffix that all share."""
    return service.removesuffix(".amazonaws.com")


def services_named(statement: Statement) -> Iterator[str]:
    """The services that a statement names, as principals or in conditions."""
    yield from (name for kind, name in statement.principals if kind == "Service" and not has_wildcard(name))
    yield from _services_in_conditions(statement)


def _services_in_conditions(statement: Statement) -> Iterator[str]:
    for line in statement.conditions:
        if line.key.startswith(SERVICE_KEYS):
            yield from _SERVICE.findall(" ".join(line.values).lower())


def account_of_queue(queue_arn: str) -> str:
    """The account in the ARN of a queue, or ""."""
    return queue_arn.split(":")[4] if queue_arn.count(":") == 5 else ""


def is_whole_account(principal: str) -> bool:
    """True when a principal is an account, by its id or as its root."""
    account = account_of(principal)
    return account != "" and principal.removesuffix(":root").endswith(account)


def account_in(text: str) -> str:
    """The first account id in a text, or ""."""
    found = _ACCOUNT.search(text)
    return found[0] if found else ""


def is_open_to_many(statement: Statement) -> bool:
    """True when the principals of a statement are not all named in full."""
    return statement.principals_negated or bool(but_the_named(statement).principals)


def but_the_named(statement: Statement) -> Statement:
    """The statement without the principals that it names in full: what it grants to them is granted to no stranger."""
    if statement.principals_negated:
        return statement
    wide = ((kind, name) for kind, name in statement.principals if name == "" or has_wildcard(name) or "${" in name)
    return statement._replace(principals=tuple(wide))


def about_the_queue(statements: Iterable[Statement]) -> list[dict[str, Domain]]:
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
SERVICES_WITH_ROWS = frozenset({"s3", "sns", "events"})
"""Services of whose resources a row of its own says how they are named."""
