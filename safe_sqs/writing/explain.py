"""Who can do what by a queue's policy, in sentences, each with a request that shows it where there is one.

The judge's questions are asked, and their answers told; nothing is evaluated here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from safe_sqs import policy as judge
from safe_sqs.config import Config
from safe_sqs.patterns import has_wildcard
from safe_sqs.policy import Grant, Request, Statement, parse
from safe_sqs.policy.document import Condition, Document
from safe_sqs.policy.evaluate import ACTIONS
from safe_sqs.policy.named import account_of_queue, suspects_named
from safe_sqs.policy.operators import Compared, Over
from safe_sqs.policy.outsiders import Domain, OneOf, name_of
from safe_sqs.policy.questions import a_budget, caller_in_words
from safe_sqs.policy.search import Asked, Search

__all__ = ["SECRET_KEYS", "Section", "Sentence", "explain"]

SECRET_KEYS = frozenset({"aws:referer", "aws:useragent"})
"""Condition keys whose values some use like a password. They are not shown."""

_SHOWN_VALUES = 5
"""Of more values than that, only the first are told."""


class Sentence(NamedTuple):
    """One thing that is so. `witness` is a request that shows it, `example` that request in words; `danger` says that
    the guard's rules would find something here."""

    text: str
    witness: Request | None = None
    example: str = ""
    danger: bool = False

    def as_data(self) -> dict[str, Any]:
        """The sentence as what JSON can say."""
        return {"text": self.text, "danger": self.danger, "witness": self.witness and _as_data(self.witness)}


class Section(NamedTuple):
    """What there is to say about one question."""

    title: str
    sentences: tuple[Sentence, ...]


def explain(policy: Document, queue_arn: str, config: Config) -> tuple[Section, ...]:
    """What a queue's policy says. Raises PolicyError.

    `config` has the accounts that are trusted, and the VPCs and endpoints that count as inside.
    """
    statements = parse(policy)
    return (
        Section("Who may do what", tuple(_allowed(policy, statements, queue_arn))),
        Section("What is denied", tuple(_denied(statements, queue_arn))),
        Section("Strangers", tuple(_strangers(statements, queue_arn, config))),
        Section("Other accounts, and services", tuple(_foreigners(policy, statements, queue_arn, config))),
        Section("Plain HTTP", (_plaintext(statements, queue_arn),)),
        Section("The network", (_network(policy, queue_arn, config),)),
        Section("What this policy does not decide", tuple(_not_decided(queue_arn))),
    )


# --- who may -----------------------------------------------------------------------------------------------------


def _allowed(policy: Document, statements: tuple[Statement, ...], queue_arn: str) -> Iterator[Sentence]:
    is_any = False
    by_statement = list(_by_statement(policy, statements, queue_arn))
    for grant in judge.grants(policy, queue_arn=queue_arn):
        is_any = True
        parts = [(allow, part) for allow, part in by_statement if part.principal == grant.principal]
        who = _who(grant, queue_arn)
        roles = _and(sorted(role.value for role in grant.roles))
        if len(parts) > 1 and roles:
            yield Sentence(f"{who} may be {roles}, by several statements:")
        for allow, part in parts:
            whoever = f"{who} but {_several(name for _, name in allow.principals)}" if allow.principals_negated else who
            role = _and(sorted(role.value for role in part.roles))
            text = f"{whoever} may {_actions(part.actions)}{f' ({role})' if role else ''}, by {allow.label}"
            witness = _witness(statements, queue_arn, allow, grant.principal)
            example = caller_in_words(witness.principal, witness, statements) + f" {witness.action}" if witness else ""
            conditions = _and(f"only {phrase}" for phrase in map(_phrase, allow.conditions))
            yield Sentence(f"{text}{', ' if conditions else ''}{conditions}.", witness, example)
    if not is_any:
        yield Sentence("This policy allows nothing to anybody.")


def _by_statement(
    policy: Document, statements: Iterable[Statement], queue_arn: str
) -> Iterator[tuple[Statement, Grant]]:
    """What each Allow alone grants to whom, after all Denies."""
    for allow in statements:
        if allow.allows:
            alone = _without_other_allows(policy, allow.position)
            yield from ((allow, grant) for grant in judge.grants(alone, queue_arn=queue_arn))


def _without_other_allows(policy: Document, position: int) -> dict[str, Any]:
    document = json.loads(policy) if isinstance(policy, str) else dict(policy or {})
    entries = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    kept = [entry for index, entry in enumerate(entries) if index == position or entry["Effect"] == "Deny"]
    return {**document, "Statement": kept}


def _witness(statements: tuple[Statement, ...], queue_arn: str, allow: Statement, principal: str) -> Request | None:
    """A request of a principal that one Allow lets in, over HTTPS if there is such a one."""
    kinds = [kind for kind, name in allow.principals if name == principal and not allow.principals_negated] or ["AWS"]
    https: Mapping[str, Domain] = {"aws:securetransport": OneOf(("true",))}
    for settled in (https, {}):
        search = Search(Asked(statements, queue_arn, {}, settled, False), a_budget())
        found = search.witness(tuple(suspects_named(kinds[0], principal)), allow)
        if found is not None:
            return found[1]
    return None


def _who(grant: Grant, queue_arn: str) -> str:
    if grant.principal == "*":
        return "Anyone"
    if grant.is_whole_account:
        is_own = grant.account == account_of_queue(queue_arn)
        return f"{_OWN if is_own else 'Account'} {grant.account} as a whole"
    return grant.principal


_OWN = "The queue's own account"


def _actions(actions: Iterable[str]) -> str:
    names = [*actions]
    return "do everything" if len(names) == len(ACTIONS) else _and(names)


# --- who may not -------------------------------------------------------------------------------------------------


def _denied(statements: Iterable[Statement], queue_arn: str) -> Iterator[Sentence]:
    is_any = False
    for deny in statements:
        if not deny.allows:
            is_any = True
            what = f"{_elements(deny)}{_place(deny, queue_arn)}"
            yield Sentence(f"{_denied_to(deny)} denied {what}, by {deny.label}{_when(deny)}.")
    if not is_any:
        yield Sentence("This policy denies nothing to anybody.")


def _denied_to(deny: Statement) -> str:
    names = [name if kind == "AWS" or name != "*" else f"{kind} *" for kind, name in deny.principals]
    if deny.principals_negated:
        return f"Everyone but {_several(names)} is"
    if ("AWS", "*") in deny.principals:  # "" and * of another kind are not surely everyone, so they are told as written
        return "Everyone is"
    return f"{_several(names)} {'is' if len(names) == 1 else 'are'}"


def _elements(deny: Statement) -> str:
    every = "everything"
    if deny.actions_negated:
        return f"{every} but {_several(deny.actions)}"
    return every if {"*", "sqs:*"} & {*deny.actions} else _several(deny.actions)


def _place(deny: Statement, queue_arn: str) -> str:
    if deny.resources_negated:
        return f" on all but {_several(deny.resources)}"
    return "" if {"*", queue_arn} & {*deny.resources} else f" on {_several(deny.resources)}"


def _when(deny: Statement) -> str:
    phrases = [_phrase(line) for line in deny.conditions]
    return f", {' and '.join(phrases)}" if phrases else ", always"


# --- strangers, foreigners, the way here -------------------------------------------------------------------------


def _strangers(statements: tuple[Statement, ...], queue_arn: str, config: Config) -> Iterator[Sentence]:
    found = False
    trusted = config.trusted_accounts
    for _, answer, mend in judge.public_findings(statements, queue_arn=queue_arn, trusted_accounts=trusted):
        found = True
        public = "The queue is public: " if answer.found else ""
        yield Sentence(_capital(f"{public}{answer}. To close it, {mend}."), answer.witness, danger=True)
    if not found:
        yield Sentence("Nobody gets in whom the policy does not name.")


def _foreigners(
    policy: Document, statements: tuple[Statement, ...], queue_arn: str, config: Config
) -> Iterator[Sentence]:
    found = False
    for foreigner in judge.foreign_accounts(policy, queue_arn=queue_arn):
        found = True
        where = f" ({foreigner.told})"
        if foreigner.is_service:
            tied = {
                True: f"{foreigner.name} may act only for resources or accounts that the policy names{where}.",
                False: f"{foreigner.name} may act for anyone at all, also for somebody else's resources{where}.",
                None: f"It could not be told for whom {foreigner.name} may act{where}.",
            }
            text = tied[foreigner.tied]
        elif foreigner.witness is None:
            text = f"It could not be told whether account {foreigner.name} gets in{where}."
        else:
            text = f"Account {foreigner.name} is let in{where}{_trust(foreigner.name, config)}."
        danger = foreigner.tied is not True if foreigner.is_service else _is_untrusted(foreigner.name, config)
        witness = foreigner.witness
        example = caller_in_words(witness.principal, witness, statements) + f" {witness.action}" if witness else ""
        yield Sentence(text, witness, example, danger)
    if not found:
        yield Sentence("No account but the queue's own is named and let in, and no service.")


def _is_untrusted(account: str, config: Config) -> bool:
    return bool(config.trusted_accounts) and account not in config.trusted_accounts


def _trust(account: str, config: Config) -> str:
    if not config.trusted_accounts:
        return ""
    return ", and not among the trusted ones" if _is_untrusted(account, config) else ", and trusted"


def _plaintext(statements: tuple[Statement, ...], queue_arn: str) -> Sentence:
    answer = judge.plaintext_of(statements, queue_arn=queue_arn)
    if answer.found is False:
        return Sentence("Plain HTTP is denied to everyone.")
    mend = judge.closes_plaintext(statements, queue_arn=queue_arn)
    taken = "Plain HTTP is not denied to everyone: " if answer.found else ""
    return Sentence(_capital(f"{taken}{answer}. To deny it, {mend}."), answer.witness, danger=True)


def _network(policy: Document, queue_arn: str, config: Config) -> Sentence:
    inside = (*config.vpcs, *config.vpc_endpoints)
    answer = judge.outside_vpc_access(policy, queue_arn=queue_arn, vpcs=config.vpcs, vpc_endpoints=config.vpc_endpoints)
    where = _several(inside) if inside else "the VPCs and endpoints that the policy names"
    if answer.found is False:
        return Sentence(f"Everyone is denied who does not come from {where}.")
    told = (
        f"The queue is not confined to {'a VPC' if not inside else where}: {answer}." if answer.found else f"{answer}."
    )
    return Sentence(_capital(told), answer.witness, danger=bool(inside))


def _not_decided(queue_arn: str) -> Iterator[Sentence]:
    account = account_of_queue(queue_arn)
    own = f"the queue's own account {account}" if account else "the queue's own account"
    yield Sentence(
        f"Users and roles of {own} may also be allowed by their IAM policies; only a Deny of this policy stops that."
    )
    yield Sentence("Those of other accounts need an Allow here and one in their own account.")
    yield Sentence(
        "Service and resource control policies, permissions boundaries, session policies and VPC endpoint policies may "
        "deny more."
    )
    if not account:
        yield Sentence("The queue's ARN is not known, so every statement counts as one about this queue.")


# --- conditions in words -----------------------------------------------------------------------------------------

_ADVERBIAL = {
    "aws:sourcevpc": ("from VPC", "from anywhere but VPC"),
    "aws:sourcevpce": ("through VPC endpoint", "otherwise than through VPC endpoint"),
    "aws:sourceip": ("from", "from anywhere but"),
}
_SUBJECT = {
    "aws:sourcearn": "the source",
    "aws:sourceaccount": "the source's account",
    "aws:sourceorgid": "the source's organisation",
    "aws:principalarn": "the principal",
    "aws:principalaccount": "the principal's account",
    "aws:principalorgid": "the principal's organisation",
}
_VERB = {
    "StringLike": "is like",
    "StringNotLike": "is not like",
    "NumericLessThan": "is less than",
    "NumericLessThanEquals": "is at most",
    "NumericGreaterThan": "is greater than",
    "NumericGreaterThanEquals": "is at least",
    "DateLessThan": "is before",
    "DateLessThanEquals": "is not after",
    "DateGreaterThan": "is after",
    "DateGreaterThanEquals": "is not before",
    "IpAddress": "is in",
    "NotIpAddress": "is not in",
}
_SETS = {Over.PLAIN: "", Over.ALL: "every value of ", Over.ANY: "some value of "}


def _phrase(line: Condition) -> str:
    """When a line of a Condition holds, as what can follow "only"."""
    operator, key = line.operator, line.key
    or_absent = ""
    is_plain = operator.over is Over.PLAIN
    is_presence = operator.compared is Compared.PRESENCE
    if line.doubtful or (is_presence and not is_plain):
        return f"if a condition about {name_of(key)} holds that cannot be read"
    is_place = is_plain and key in _ADVERBIAL and (key != "aws:sourceip" or operator.compared is Compared.ADDRESS)
    if operator.if_exists or operator.over is Over.ALL or (operator.negated and is_plain and not is_place):
        or_absent = ", or without that key"
    if key in SECRET_KEYS:
        return f"with the {name_of(key)} that the policy asks for{or_absent}"
    if is_presence:
        ways = {"without" if text.lower() == "true" else "with" for text in line.values}
        return f"{' or '.join(sorted(ways))} the key {name_of(key)}"
    if operator.compared is Compared.BOOL and key == "aws:securetransport" and len(line.values) == 1:
        return "over HTTPS" if line.values[0].lower() == "true" else "over plain HTTP"
    values = _several(line.values)
    if is_place:
        return f"{_ADVERBIAL[key][operator.negated]} {values}{or_absent}"
    verb = _VERB.get(operator.name, "is not" if operator.negated else "is")
    if operator.compared is Compared.ARN and any(map(has_wildcard, line.values)):
        verb = f"{verb} like"
    subject = _SUBJECT.get(key, name_of(key))
    case = ", in whatever letter case" if operator.compared is Compared.TEXT_WITHOUT_CASE else ""
    return f"if {_SETS[operator.over]}{subject} {verb} {values}{case}{or_absent}"


def _several(values: Iterable[str]) -> str:
    texts = [value if value else '""' for value in values]
    if len(texts) > _SHOWN_VALUES:
        return f"{', '.join(texts[: _SHOWN_VALUES - 1])} or {len(texts) - _SHOWN_VALUES + 1} others"
    return " or ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]])) or "nothing"


def _and(texts: Iterable[str]) -> str:
    listed = [*texts]
    return " and ".join(filter(None, [", ".join(listed[:-1]), *listed[-1:]]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _as_data(request: Request) -> dict[str, Any]:
    keys = {
        key: ["(not shown)"] if key.lower() in SECRET_KEYS else list(values) for key, values in request.keys.items()
    }
    return {**request._asdict(), "keys": keys}
