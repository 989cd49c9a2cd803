"""The search for a witness: a request of some caller that a policy lets through, or the proof that there is none.

It starts with what an Allow demands, settles a value for every condition key, and looks which Deny stops that request.
For that Deny it takes one line after the other and demands that it does not hold, and so on, until no Deny is left or
nothing more can be settled. Keys that have nothing to do with each other are settled apart, by `settle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from safe_sqs.patterns import has_wildcard
from safe_sqs.policy.conditions import Keys, holds
from safe_sqs.policy.document import Condition, Statement, a_condition
from safe_sqs.policy.evaluate import (
    ACTIONS,
    Decision,
    Request,
    action_fits,
    actions_of,
    conditions_hold,
    decide_of,
    principal_fits,
    resource_fits,
    variable_resource,
)
from safe_sqs.policy.operators import operator_named
from safe_sqs.policy.outsiders import Absent, Caller, Domain, Given, OneOf, Open, Spelled, domain_of, name_of
from safe_sqs.policy.settle import Literal, Scene, Settler, cost_of
from safe_sqs.policy.spelling import Budget, Slice, TooCostlyError

__all__ = ["SERVICE_KEYS", "Asked", "Search", "Suspect", "keys_in"]

_SHOWN = ("aws:sourceip", "aws:securetransport")
"""Keys that every witness shows, whether the policy asks for them or not."""

SERVICE_KEYS = "aws:principalservicename"
"""How the condition keys begin that show the name of a service."""

ROOT = "\0root"
"""Stands for the ARN of the root user of the caller's account, which stands for the account. No condition key is so."""

RESOURCE = "\0resource"
"""Stands for the resource of a request where a policy variable is in a Resource element. No condition key is so."""


class Suspect(NamedTuple):
    """One kind of caller, narrowed to somebody: slices that are pinned to a text, or a principal as it is written."""

    caller: Caller
    pinned: tuple[tuple[Slice, str], ...] = ()
    principal: str = ""


class Asked(NamedTuple):
    """What all searches of a question share.

    `taken` has the texts that no caller of the question may choose, by the names of slices; `settled` the keys that the
    question itself settles; `blocks_are_taken` says that named address blocks are no outsider's, and
    `services_are_taken` which services are none's.
    """

    statements: tuple[Statement, ...]
    queue_arn: str
    taken: Mapping[str, frozenset[str]]
    settled: Mapping[str, Domain]
    blocks_are_taken: bool
    services_are_taken: frozenset[str] = frozenset()

    def domain(self, caller: Caller, key: str) -> Domain:
        """The values that a key can take in the requests of a caller."""
        return self.settled[key] if key in self.settled else domain_of(caller, key)


class Search:
    """Looks for witnesses. `undecided` says of the last search that some way could not be followed to its end."""

    def __init__(self, asked: Asked, budget: Budget) -> None:
        self.undecided = False
        self._asked = asked
        self._budget = budget
        self._keys = [*sorted(keys_in(asked.statements, asked.queue_arn)), *_SHOWN]
        parts = asked.queue_arn.split(":")
        self._given = {Given.PARTITION: _partition(asked.statements)}
        self._settled = {**asked.settled, RESOURCE: OneOf((asked.queue_arn,))}
        if len(parts) == 6:
            self._given = {Given.PARTITION: parts[1], Given.REGION: parts[3], Given.OWNER: parts[4]}
        else:
            self._given |= {Given.REGION: "us-east-1", Given.OWNER: ""}
            self._settled |= {"aws:requestedregion": Open(optional=False), "aws:resourceaccount": Open(optional=False)}
        self._settlers: dict[tuple[object, ...], Settler] = {}
        self._denies = tuple(
            statement
            for statement in asked.statements
            if not statement.allows and not any(line.doubtful for line in statement.conditions)
        )

    def witness(
        self, suspects: Iterable[Suspect], allow: Statement | None, actions: Sequence[str] = ACTIONS
    ) -> tuple[Suspect, Request] | None:
        """The first request of one of the suspects that the Allow lets in (without an Allow: any) and no Deny stops."""
        self.undecided = False
        alike = [f"sqs:{group[0]}" for group in self.alike(allow, actions)]
        try:
            for suspect, settler in self._distinct(suspects, allow):
                for action in alike:
                    attempt = _Attempt(self._asked, settler, action, allow, self._denies, self._budget)
                    request = attempt.request()
                    self.undecided = self.undecided or attempt.undecided
                    if request is not None:
                        return suspect, request
        except TooCostlyError:
            self.undecided = True
        return None

    def alike(self, allow: Statement | None, actions: Sequence[str]) -> list[list[str]]:
        """The actions that the Allow is about, put together where the same Denies are about them."""
        groups: dict[tuple[bool, ...], list[str]] = {}
        about = [actions_of(deny) for deny in self._denies]
        allowed = frozenset(actions) if allow is None else actions_of(allow)
        for action in actions:
            if action in allowed:
                groups.setdefault(tuple(action in names for names in about), []).append(action)
        return list(groups.values())

    def _distinct(self, suspects: Iterable[Suspect], allow: Statement | None) -> Iterator[tuple[Suspect, Settler]]:
        """The suspects between whom the policy makes a difference."""
        statements = self._denies if allow is None else (allow, *self._denies)
        keys = keys_in(statements, self._asked.queue_arn)
        telling = [statement for statement in statements if statement.principals_negated or not _is_for_all(statement)]
        needed = [] if allow is None else [line.key for line in allow.conditions if holds(line, {}) is False]
        tells_services_apart = any(key.startswith(SERVICE_KEYS) for key in keys)
        seen = set()
        for suspect in suspects:
            if suspect.caller.service in self._asked.services_are_taken and not suspect.principal:
                continue
            if any(isinstance(self._asked.domain(suspect.caller, key), Absent) for key in needed):
                continue
            domains = tuple(self._asked.domain(suspect.caller, key) for key in keys)
            pinned = suspect.pinned if any(isinstance(domain, Spelled) for domain in domains) else ()
            service = suspect.principal or suspect.caller.service if tells_services_apart else ""
            difference: tuple[object, ...] = (domains, pinned, service)
            if difference in seen and not telling:
                continue
            settler = self._settler(suspect)
            if telling:
                principal = settler.somebody()
                if allow is not None and not (principal_fits(allow, principal) or _wild_names(allow)):
                    continue
                difference = (
                    domains,
                    pinned,
                    service,
                    tuple(principal_fits(statement, principal) for statement in telling),
                )
            if difference not in seen:
                seen.add(difference)
                yield suspect, settler

    def _settler(self, suspect: Suspect) -> Settler:
        who = (suspect.caller.words, suspect.pinned, suspect.principal)
        if who not in self._settlers:
            self._settlers[who] = Settler(self._scene(suspect), self._keys, self._budget)
        return self._settlers[who]

    def _scene(self, suspect: Suspect) -> Scene:
        given, settled, principal = self._given, self._settled, suspect.caller.principal
        if suspect.caller.is_service:
            given = {**given, Given.SERVICE: suspect.principal or suspect.caller.service}
        if suspect.caller.is_service and suspect.principal:
            name = OneOf((suspect.principal,))
            settled = {**settled, "aws:principalservicename": name, "aws:principalservicenameslist": name}
        if ROOT in self._keys:
            settled = {**settled, ROOT: self._root_of(suspect.caller)}
        return Scene(
            caller=suspect.caller,
            given=given,
            pinned=dict(suspect.pinned),
            taken=self._asked.taken,
            settled=settled,
            statements=self._asked.statements,
            blocks_are_taken=self._asked.blocks_are_taken,
            principal=suspect.principal or ("" if isinstance(principal, Spelled) else _text(principal, given)),
        )

    def _root_of(self, caller: Caller) -> Domain:
        account = self._asked.domain(caller, "aws:principalaccount")
        if not isinstance(account, Spelled):
            return Absent()
        return Spelled(account.slices, ("arn:", Given.PARTITION, ":iam::", *account.view, ":root"))


class _Attempt:
    """The search for one caller, one action, and one Allow."""

    def __init__(
        self,
        asked: Asked,
        settler: Settler,
        action: str,
        allow: Statement | None,
        denies: Sequence[Statement],
        budget: Budget,
    ) -> None:
        self.undecided = False
        self._asked = asked
        self._settler = settler
        self._action = action
        self._allow = allow
        self._denies = [deny for deny in denies if action_fits(deny, action)]
        self._budget = budget
        self._tried: set[frozenset[Literal]] = set()

    def request(self) -> Request | None:
        """The request, confirmed by the evaluator."""
        demands: tuple[Literal, ...] = ()
        if self._allow is not None:
            lines = [*self._allow.conditions, *_resource_lines(self._allow, self._asked.queue_arn)]
            demands = tuple(Literal(line, True) for line in lines if not line.doubtful)
            if not self._is_about_the_queue(self._allow):
                return None
            if not self._is_named_plainly(self._allow):
                ways = (self._request((*demands, Literal(line, True))) for line in _principal_lines(self._allow))
                return next(filter(None, ways), None)
        return self._request(demands)

    def _is_named_plainly(self, allow: Statement) -> bool:
        """True when the caller is one of the principals, whatever the wildcards in the others stand for."""
        wild = _wild_names(allow)
        plain = tuple(entry for entry in allow.principals if entry[1] not in wild)
        if allow.principals_negated or not wild:
            return True
        return bool(plain) and principal_fits(allow._replace(principals=plain), self._settler.somebody())

    def _is_about_the_queue(self, statement: Statement) -> bool:
        return bool(_resource_lines(statement, self._asked.queue_arn)) or resource_fits(
            statement, self._asked.queue_arn, {}
        )

    def _request(self, literals: tuple[Literal, ...]) -> Request | None:
        self._budget.spend(10 + 4 * len(literals))
        if frozenset(literals) in self._tried:
            return None
        self._tried.add(frozenset(literals))
        keys = self._settler.settle(literals)
        self.undecided = self.undecided or self._settler.undecided
        if keys is None:
            return None
        broken = self._settler.broken_link(literals, keys)
        if broken is not None:
            for more in self._settler.repairs(broken, keys):
                request = self._request((*literals, *more))
                if request is not None:
                    return request
            self.undecided = self.undecided or not self._settler.has_one_repair(broken)
            return None
        request = self._as_request(keys)
        deny = next((deny for deny in self._denies if self._applies(deny, request.principal, keys)), None)
        if deny is None:
            return self._confirmed(request)
        for escape in _escapes(deny, self._asked.queue_arn):
            found = self._request((*literals, escape))
            if found is not None:
                return found
        return None

    def _applies(self, deny: Statement, principal: str, keys: Keys) -> bool:
        self._budget.spend(1 + sum(cost_of(line, keys) for line in deny.conditions))
        return (
            principal_fits(deny, principal)
            and resource_fits(deny, self._asked.queue_arn, keys)
            and conditions_hold(deny, keys)
        )

    def _as_request(self, keys: Keys) -> Request:
        principal = self._settler.principal(keys)
        named = {name_of(key): values for key, values in keys.items() if key not in (RESOURCE, ROOT) and values}
        return Request(principal, self._action, self._asked.queue_arn, named)

    def _confirmed(self, request: Request) -> Request | None:
        decision = decide_of(self._asked.statements, request)
        if decision is Decision.ALLOW or (self._allow is None and decision is Decision.NO_MATCH):
            return request
        self.undecided = True
        return None


def _partition(statements: Iterable[Statement]) -> str:
    """The partition of a queue of unknown ARN: that of the first ARN in a Resource element."""
    texts = (text for statement in statements for text in statement.resources if text.startswith("arn:"))
    partition = next(texts, "arn:aws:").split(":")[1]
    return "aws" if has_wildcard(partition) else partition


def _text(value: str | Given, given: Mapping[Given, str]) -> str:
    return given[value] if isinstance(value, Given) else value


def _is_for_all(statement: Statement) -> bool:
    return ("AWS", "*") in statement.principals


def keys_in(statements: Iterable[Statement], queue_arn: str = "") -> set[str]:
    """The condition keys that decide about statements, in lower case."""
    keys = set()
    for statement in statements:
        for line in (*statement.conditions, *_resource_lines(statement, queue_arn), *_principal_lines(statement)):
            keys.add(line.key)
            keys.update(variable.key for variable in Literal(line, True).variables)
    return keys


def _escapes(deny: Statement, queue_arn: str) -> Iterator[Literal]:
    """The ways in which a Deny that applies to a caller may yet not apply: one of its lines does not hold."""
    for line in (*deny.conditions, *_resource_lines(deny, queue_arn)):
        yield Literal(line, False)
    if deny.principals_negated:
        for line in _principal_lines(deny):
            yield Literal(line, True)


def _resource_lines(statement: Statement, queue_arn: str) -> list[Condition]:
    """The Resource element as a line of conditions, where policy variables in it decide about the queue."""
    plain = tuple(text for text in statement.resources if not _is_varied(statement, text))
    varied = tuple(text for text in statement.resources if _is_varied(statement, text))
    negated = statement.resources_negated
    if plain and resource_fits(statement._replace(resources=plain), queue_arn, {}) is not negated:
        return []
    doubt = statement.allows is not negated
    readable = tuple(text for text in varied if variable_resource(text, doubt) is not None)
    if not readable or (doubt and len(readable) < len(varied)):
        return []
    return [a_condition(_not_like if negated else _like, RESOURCE, readable, variables=True)]


def _is_varied(statement: Statement, text: str) -> bool:
    return statement.variables and "${" in text


def _wild_names(statement: Statement) -> list[str]:
    return [
        name for kind, name in statement.principals if kind == "AWS" and ("*" in name or "?" in name) and name != "*"
    ]


def _principal_lines(statement: Statement) -> list[Condition]:
    """The wildcards in principals, as lines of which one is to hold: about the ARN of the caller, the id of its account
    or its root. IAM knows no such wildcards, so they are in doubt."""
    names = tuple(_wild_names(statement))
    keys = ("aws:principalarn", "aws:principalaccount", ROOT) if names else ()
    return [a_condition(_like, key, names, variables=False) for key in keys]


_like, _not_like = operator_named("StringLike"), operator_named("StringNotLike")
