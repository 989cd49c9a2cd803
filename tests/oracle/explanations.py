"""Where iam-simulate departs from the IAM reference, and how to ask it the same in a way that it does not.

An explanation is not a licence to disagree. It rewrites a pair of policy and request into one that means the same by
the sentence of the IAM reference that it quotes, and keeps clear of the fault. A disagreement counts as explained only
when iam-simulate, asked in that way, says what `policy.decide` said of the pair as it was.

The sentences are from the IAM user guide, each with the title of its page. What the guide leaves open is not compared:
several values with an operator that is not for sets, an IAM user who acts as a federated user, values that an operator
cannot read. `Features.doubtful` of random_policies has more of that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from random_policies import Policy, listed

from safe_sqs.policy import Request

Pair = tuple[Policy, Request]

_OPERATORS = "IAM JSON policy elements: Condition operators"
_VARIABLES = "IAM policy elements: Variables and tags"
_VERSION = "IAM JSON policy elements: Version"
_SPARE_KEY = "aws:PrincipalTag/oracle"
"""A key that no request has, so that a variable for it stands for its default value."""
_NOTHING = "arn:nothing:nothing:nothing:nothing:nothing"
"""A value that no request has, and a resource that is none."""
_SPECIAL = re.compile(r"\$\{([*?$])\}")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


class Explanation(NamedTuple):
    """One fault of iam-simulate."""

    name: str
    fault: str
    page: str
    sentence: str
    rewrite: Callable[[Policy, Request], Pair]


class Line(NamedTuple):
    """A line of a Condition block, with the effect of its statement."""

    effect: str
    operator: str
    key: str
    values: list[Any]

    @property
    def base(self) -> str:
        """The operator without its set operator and IfExists, in lower case."""
        return self.operator.lower().rpartition(":")[2].removesuffix("ifexists")


def with_lines(policy: Policy, change: Callable[[Line], Line | None]) -> Policy:
    """The policy with other lines in its conditions; where `change` gives None, without the line."""

    def changed(statement: Policy) -> Policy:
        if "Condition" not in statement:
            return statement
        condition: Policy = {}
        for operator, lines in statement["Condition"].items():
            for key, values in lines.items():
                old = Line(statement["Effect"], operator, key, listed(values))
                new = change(old)
                if new is not None:
                    condition.setdefault(operator, {})[new.key] = values if new == old else new.values
        return {**statement, "Condition": condition}

    return {**policy, "Statement": [changed(statement) for statement in policy["Statement"]]}


def has_variables(policy: Policy) -> bool:
    """True when `${...}` in the policy is a variable, which it is not before version 2012-10-17."""
    return bool(policy.get("Version") == "2012-10-17")


def value_of(variable: str, request: Request) -> str | None:
    """What a variable stands for in this request."""
    name, _, default = variable.partition(", ")
    if name in ("*", "?", "$"):
        return name
    held = {key.lower(): values for key, values in request.keys.items()}.get(name.lower(), ())
    if len(held) == 1:
        return held[0]
    return default[1:-1] if default else None


def filled(text: str, request: Request) -> str:
    """The pattern with the values of its variables in their places, or what matches nothing where one has none."""
    values = [value_of(name, request) for name in _VARIABLE.findall(text)]
    if None in values:
        return _NOTHING
    remaining = iter(values)
    return _VARIABLE.sub(lambda _: re.sub(r"[*?]", r"${\g<0>}", str(next(remaining))), text)


def variables_of_an_old_version(policy: Policy, request: Request) -> Pair:
    """`${` is written so that iam-simulate reads it as these two characters."""
    if has_variables(policy):
        return policy, request

    def plain(line: Line) -> Line:
        return line._replace(values=[_as_text(value) for value in line.values])

    def without(statement: Policy) -> Policy:
        # No queue's name has these characters, so such a resource is none.
        return _with_resources(statement, lambda text: _NOTHING if "${" in text else text)

    rewritten = with_lines(policy, plain)
    return {**rewritten, "Statement": [without(statement) for statement in rewritten["Statement"]]}, request


def _with_resources(statement: Policy, change: Callable[[str], str]) -> Policy:
    return {
        element: [change(text) for text in listed(value)] if element in ("Resource", "NotResource") else value
        for element, value in statement.items()
    }


def _as_text(value: Any) -> Any:
    return value.replace("${", f"${{{_SPARE_KEY}, '$'}}{{") if isinstance(value, str) else value


def variables_in_resources(policy: Policy, request: Request) -> Pair:
    """The variables of a Resource are replaced by their values."""
    if not has_variables(policy):
        return policy, request

    def changed(statement: Policy) -> Policy:
        return _with_resources(statement, lambda text: filled(text, request) if "${" in text else text)

    return {**policy, "Statement": [changed(statement) for statement in policy["Statement"]]}, request


def variables_in_arns(policy: Policy, request: Request) -> Pair:
    """The variables in the values of an ARN operator are replaced by their values."""
    if not has_variables(policy):
        return policy, request

    def changed(line: Line) -> Line:
        if not line.base.startswith("arn"):
            return line
        return line._replace(values=[filled(text, request) if "${" in str(text) else text for text in line.values])

    return with_lines(policy, changed), request


def variables_without_value(policy: Policy, request: Request) -> Pair:
    """A value with a variable that has none is replaced by one that is equal to nothing."""
    if not has_variables(policy):
        return policy, request

    def changed(line: Line) -> Line:
        if not line.base.startswith(("string", "arn")):
            return line
        names = [[value_of(name, request) for name in _VARIABLE.findall(str(text))] for text in line.values]
        return line._replace(
            values=[_NOTHING if None in held else text for held, text in zip(names, line.values, strict=True)]
        )

    return with_lines(policy, changed), request


def special_characters(policy: Policy, request: Request) -> Pair:
    """`${*}` and its like are written as a variable that stands for the character by default."""
    if not has_variables(policy):
        return policy, request

    def changed(line: Line) -> Line:
        if not line.base.startswith("string"):
            return line
        return line._replace(values=[_SPECIAL.sub(rf"${{{_SPARE_KEY}, '\1'}}", str(text)) for text in line.values])

    return with_lines(policy, changed), request


def all_addresses(policy: Policy, request: Request) -> Pair:
    """0.0.0.0/0 is written as its two halves."""

    def changed(line: Line) -> Line:
        if not line.base.endswith("ipaddress"):
            return line
        halves = [half for text in line.values for half in (_halves(text) if text.endswith("/0") else [text])]
        return line._replace(values=halves)

    return with_lines(policy, changed), request


def _halves(text: str) -> list[str]:
    return [str(half) for half in ip_network(text, strict=False).subnets()]


def addresses_of_the_other_version(policy: Policy, request: Request) -> Pair:
    """A single address is written as a block of one."""

    def changed(line: Line) -> Line:
        if not line.base.endswith("ipaddress"):
            return line
        return line._replace(values=[_as_block(text) for text in line.values])

    return with_lines(policy, changed), request


def _as_block(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text


def addresses_in_another_spelling(policy: Policy, request: Request) -> Pair:
    """A single address that is the request's is written as it is there."""
    held = {key.lower(): values for key, values in request.keys.items()}

    def changed(line: Line) -> Line:
        if not line.base.endswith("ipaddress"):
            return line
        spelled = {_usual(value): value for value in held.get(line.key.lower(), ())}
        return line._replace(values=[spelled.get(_usual(text), text) for text in line.values])

    return with_lines(policy, changed), request


def _usual(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return address


def seconds_since_1970(policy: Policy, request: Request) -> Pair:
    """Dates that are numbers are written as dates. The request gets such a date under a key of its own."""
    held = {key.lower(): values for key, values in request.keys.items()}
    dates: dict[str, tuple[str, ...]] = {}

    def changed(line: Line) -> Line:
        if not line.base.startswith("date"):
            return line
        key, values = line.key, held.get(line.key.lower(), ())
        if values != tuple(_iso(value) for value in values):
            key = f"{_SPARE_KEY}-{line.key.lower().replace(':', '-')}"
            dates[key] = tuple(_iso(value) for value in values)
        return line._replace(key=key, values=[_iso(value) for value in line.values])

    rewritten = with_lines(policy, changed)
    return rewritten, request._replace(keys={**request.keys, **dates})


def _iso(value: Any) -> Any:
    if not re.fullmatch(r"\d{1,10}", str(value)):
        return value
    return datetime.fromtimestamp(int(value), timezone.utc).isoformat().replace("+00:00", "Z")


def any_value_if_exists(policy: Policy, request: Request) -> Pair:
    """In an Allow, a ForAnyValue with IfExists whose key is missing is left out, which is to say that it holds.

    The reference leaves open which of the two words counts then. Doubt does not help to pass: it opens an Allow, and
    does not count in a Deny.
    """
    held = {key.lower() for key in request.keys}

    def changed(line: Line) -> Line | None:
        name = line.operator.lower()
        in_doubt = name.startswith("foranyvalue:") and name.endswith("ifexists") and line.key.lower() not in held
        return None if in_doubt and line.effect == "Allow" else line

    return with_lines(policy, changed), request


EXPLANATIONS = (
    Explanation(
        "variables before version 2012-10-17",
        "replaces policy variables whatever the version of the policy is",
        _VERSION,
        "For example, variables such as ${aws:username} aren't recognized as variables and are instead treated as "
        "literal strings in the policy.",
        variables_of_an_old_version,
    ),
    Explanation(
        "variables in Resource",
        "takes the colon or slash in the name of a variable for the end of the resource's type",
        _VARIABLES,
        "You can use a policy variable in the Resource element, but only in the resource portion of the ARN.",
        variables_in_resources,
    ),
    Explanation(
        "variables in ARN operators",
        "takes the colon in the name of a variable for the end of a part of the ARN",
        _VARIABLES,
        "You can use a policy variable for Condition values in any condition that involves the string operators or the "
        "ARN operators.",
        variables_in_arns,
    ),
    Explanation(
        "variables without a value",
        "lets a negated operator fail when a variable in one of its values has none",
        _VARIABLES,
        "Inverted condition operators like StringNotEquals or StringNotLike do match against a null value, as the "
        "value of the condition key they are testing against is not equal to or like the effectively null value.",
        variables_without_value,
    ),
    Explanation(
        "special characters",
        "reads ${*}, ${?} and ${$} as themselves in StringEquals and StringEqualsIgnoreCase",
        _VARIABLES,
        "These predefined policy variables can be used in any string where you can use regular policy variables.",
        special_characters,
    ),
    Explanation(
        "0.0.0.0/0",
        "finds no address in 0.0.0.0/0",
        _OPERATORS,
        "IP address condition operators let you construct Condition elements that restrict access based on comparing a "
        "key to an IPv4 or IPv6 address or range of IP addresses.",
        all_addresses,
    ),
    Explanation(
        "addresses in another spelling",
        "compares a single address as text",
        _OPERATORS,
        "Some AWS services support IPv6, using :: to represent a range of 0s.",
        addresses_in_another_spelling,
    ),
    Explanation(
        "addresses of the other version",
        "lets NotIpAddress fail when it has a single address, and the request's is of the other version",
        _OPERATORS,
        "All IP addresses except the specified IP address or range",
        addresses_of_the_other_version,
    ),
    Explanation(
        "seconds since 1970",
        "reads a date that is a number as milliseconds",
        _OPERATORS,
        "You must specify date/time values with one of the W3C implementations of the ISO 8601 date formats or in "
        "epoch (UNIX) time.",
        seconds_since_1970,
    ),
    Explanation(
        "ForAnyValue with IfExists",
        "lets the condition fail when the key is missing",
        _OPERATORS,
        "If the key is not present, evaluate the condition element as true.",
        any_value_if_exists,
    ),
)


def rewritings(policy: Policy, request: Request) -> Iterator[tuple[str, Pair]]:
    """The pair by each explanation that changes it, and, where there are several, by all of them together."""
    plain: Pair = ({**policy, "Statement": listed(policy["Statement"])}, request)
    together, names = plain, []
    for explanation in EXPLANATIONS:
        alone = explanation.rewrite(*plain)
        if alone != plain:
            yield explanation.name, alone
            together = explanation.rewrite(*together)
            names.append(explanation.name)
    if len(names) > 1:
        yield " + ".join(names), together
