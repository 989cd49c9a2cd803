"""Random queue policies that are valid, and requests that hit or just miss what they name.

Everything comes from a small vocabulary, so that statements really meet: the same few accounts, queues and topics.

    rng = Random(7)
    policy = random_policy(rng)              # a mapping, as json.loads would give it
    request = random_request(rng, policy)    # a policy.Request

    @given(pairs())                          # the same for Hypothesis, which can shrink them
    def test_something(pair): ...

What the policies may use is said by `Features`: EVERYTHING is all that the IAM reference gives a meaning to, SIMPLE is
what an oracle that knows little can follow, and `dataclasses.replace(EVERYTHING, ...)` is anything between. Generators
of the same seed give the same on one version of Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

from safe_sqs.policy import Request

T = TypeVar("T")
Policy = dict[str, Any]


class Kind(Enum):
    """What the values of a condition key are. TEXT operators are used with keys of every kind."""

    TEXT = "text"
    ARN = "ARN"
    ADDRESS = "address"
    NUMBER = "number"
    DATE = "date"
    BOOL = "bool"
    BINARY = "binary"


_NEGATED = {
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
    "ArnNotEquals",
    "ArnNotLike",
    "NumericNotEquals",
    "DateNotEquals",
    "NotIpAddress",
}
_COMPARED = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
OPERATORS: dict[Kind, tuple[str, ...]] = {
    Kind.TEXT: (
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
    ),
    Kind.ARN: ("ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"),
    Kind.ADDRESS: ("IpAddress", "NotIpAddress"),
    Kind.NUMBER: tuple(f"Numeric{compared}" for compared in _COMPARED),
    Kind.DATE: tuple(f"Date{compared}" for compared in _COMPARED),
    Kind.BOOL: ("Bool",),
    Kind.BINARY: ("BinaryEquals",),
}
"""The condition operators by the kind of value that they compare; Null goes with all."""


@dataclass(frozen=True)
class Key:
    """A condition key: the kind of its values, some of them, and whether a request may have several."""

    kind: Kind
    values: tuple[str, ...]
    several: bool = False


_ACCOUNTS = ("111122223333", "444455556666", "777788889999")
_OWN, _FOREIGN, _PARTNER = _ACCOUNTS
_PRINCIPALS = (
    f"arn:aws:iam::{_OWN}:root",
    f"arn:aws:iam::{_OWN}:role/app",
    f"arn:aws:iam::{_OWN}:role/team/worker",
    f"arn:aws:sts::{_OWN}:assumed-role/app/one",
    f"arn:aws:sts::{_OWN}:assumed-role/worker/two",
    f"arn:aws:iam::{_OWN}:user/alice",
    f"arn:aws:iam::{_FOREIGN}:root",
    f"arn:aws:iam::{_FOREIGN}:role/app",
    f"arn:aws:sts::{_FOREIGN}:assumed-role/app/one",
    f"arn:aws:iam::{_FOREIGN}:user/alice",
    f"arn:aws:sts::{_FOREIGN}:federated-user/bob",
    f"arn:aws:iam::{_PARTNER}:role/app",
    f"arn:aws:sts::{_PARTNER}:assumed-role/app/three",
)
_SOURCES = (
    f"arn:aws:sns:us-east-1:{_OWN}:topic",
    f"arn:aws:sns:us-east-1:{_FOREIGN}:topic",
    f"arn:aws:sns:eu-west-1:{_OWN}:topic",
    "arn:aws:s3:::bucket",
    f"arn:aws:s3:::bucket-{_OWN}",
    f"arn:aws:events:us-east-1:{_OWN}:rule/nightly",
    f"arn:aws:lambda:us-east-1:{_FOREIGN}:function:job:{_OWN}",
)
_V4 = ("203.0.113.7", "203.0.113.255", "198.51.100.0", "10.0.0.1", "10.255.255.255", "0.0.0.0", "255.255.255.255")
_V6 = ("2001:db8::1", "2001:db8:0:1::", "2001:DB8:1234:5678::9", "fd00::1", "::1")
_KEYS = {
    "aws:SourceArn": Key(Kind.ARN, _SOURCES),
    "aws:PrincipalArn": Key(Kind.ARN, _PRINCIPALS),
    "aws:SourceAccount": Key(Kind.TEXT, _ACCOUNTS),
    "aws:PrincipalAccount": Key(Kind.TEXT, _ACCOUNTS),
    "aws:PrincipalOrgID": Key(Kind.TEXT, ("o-own1234567", "o-foreign123")),
    "aws:PrincipalOrgPaths": Key(Kind.TEXT, ("o-own1234567/r-ab12/ou-ab12-1/", "o-own1234567/r-ab12/", "o-x/"), True),
    "aws:SourceVpc": Key(Kind.TEXT, ("vpc-0a1b2c3d", "vpc-0a1b2c3e")),
    "aws:SourceVpce": Key(Kind.TEXT, ("vpce-0a1b2c3d", "vpce-0a1b2c3e")),
    "aws:SourceIp": Key(Kind.ADDRESS, _V4 + _V6),
    "aws:VpcSourceIp": Key(Kind.ADDRESS, _V4[:4]),
    "aws:SecureTransport": Key(Kind.BOOL, ("true", "false")),
    "aws:PrincipalIsAWSService": Key(Kind.BOOL, ("true", "false")),
    "aws:MultiFactorAuthAge": Key(Kind.NUMBER, ("0", "300", "3600", "3600.5", "-1")),
    "aws:CurrentTime": Key(Kind.DATE, ("2026-01-01T00:00:00Z", "2026-06-30T12:30:00Z")),
    "aws:TokenIssueTime": Key(Kind.DATE, ("2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z")),
    "aws:EpochTime": Key(Kind.DATE, ("1767225600", "1767225601")),
    "aws:PrincipalTag/team": Key(Kind.TEXT, ("red", "blue", "Red", "orders", "re*d")),
    "aws:PrincipalTag/key": Key(Kind.BINARY, ("QmluYXJ5", "AAE=")),
    "aws:TagKeys": Key(Kind.TEXT, ("team", "stage", "Team", "cost"), True),
    "aws:username": Key(Kind.TEXT, ("alice", "Bob")),
    "aws:userid": Key(Kind.TEXT, ("AROAEXAMPLEID:one", "AROAEXAMPLEID:two", "AIDAEXAMPLEID")),
    "aws:UserAgent": Key(Kind.TEXT, ("boto3/1.44", "curl/8", "b?to*")),
}


@dataclass(frozen=True)
class Vocabulary:
    """The names that policies and requests are made of. Put others in by `dataclasses.replace`."""

    queues: tuple[str, ...] = (
        f"arn:aws:sqs:us-east-1:{_OWN}:orders",
        f"arn:aws:sqs:us-east-1:{_OWN}:orders-dead",
        f"arn:aws:sqs:eu-west-1:{_FOREIGN}:red",
    )
    accounts: tuple[str, ...] = _ACCOUNTS
    principals: tuple[str, ...] = _PRINCIPALS
    services: tuple[str, ...] = ("sns.amazonaws.com", "s3.amazonaws.com", "events.amazonaws.com")
    identity_providers: tuple[str, ...] = ("cognito-identity.amazonaws.com", f"arn:aws:iam::{_OWN}:saml-provider/idp")
    canonical_users: tuple[str, ...] = ("79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be",)
    actions: tuple[str, ...] = (
        "sqs:SendMessage",
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:SetQueueAttributes",
        "sqs:PurgeQueue",
    )
    keys: Mapping[str, Key] = field(default_factory=lambda: _KEYS)


@dataclass(frozen=True)
class Features:
    """What the policies may use: what is False, or not listed, is left out. The numbers are the most of a thing."""

    kinds: tuple[Kind, ...] = tuple(Kind)
    """The kinds of operators. Null has a field of its own."""
    null: bool = True
    negated_operators: bool = True
    negated_elements: bool = True
    """NotPrincipal, NotAction, NotResource."""
    if_exists: bool = True
    set_operators: bool = True
    """ForAllValues and ForAnyValue. Keys that can have several values are used with these only, as IAM demands."""
    ignored_case: bool = True
    """StringEqualsIgnoreCase, and letter case that does not count in operators, keys, actions and booleans."""
    wildcards: bool = True
    variables: bool = True
    """Policy variables, with and without default, and `${*}`; under version 2012-10-17."""
    old_version: bool = True
    """Version 2008-10-17 or none, where variables are plain text."""
    v6: bool = True
    epoch_dates: bool = True
    """Dates as seconds since 1970 as well."""
    shapes: bool = True
    """One statement, action, principal or value without a list around it, and JSON's own numbers and booleans."""
    doubtful: bool = False
    """Also what AWS would refuse, or what the reference leaves open: the principal "", wildcards within a principal,
    values that the operator cannot read, batch actions, a set of values with a plain operator."""
    statements: int = 4
    conditions: int = 3
    values: int = 3


EVERYTHING = Features()
DOUBTFUL = Features(doubtful=True)
SIMPLE = Features(
    kinds=(Kind.TEXT, Kind.ARN, Kind.ADDRESS, Kind.BOOL),
    set_operators=False,
    ignored_case=False,
    variables=False,
    old_version=False,
    v6=False,
    shapes=False,
)
VOCABULARY = Vocabulary()


def random_policy(rng: Random, features: Features = EVERYTHING, vocabulary: Vocabulary = VOCABULARY) -> Policy:
    """A policy."""
    return _Writer(rng, features, vocabulary).policy()


def random_request(
    rng: Random, policy: Policy, features: Features = EVERYTHING, vocabulary: Vocabulary = VOCABULARY
) -> Request:
    """A request that has to do with this policy: aimed at one of its statements, with some keys that just miss."""
    return _Caller(rng, features, vocabulary, policy).request()


@st.composite
def policies(draw: st.DrawFn, features: Features = EVERYTHING, vocabulary: Vocabulary = VOCABULARY) -> Policy:
    """Strategy: a policy."""
    return random_policy(draw(st.randoms(use_true_random=False)), features, vocabulary)


@st.composite
def requests(
    draw: st.DrawFn, policy: Policy, features: Features = EVERYTHING, vocabulary: Vocabulary = VOCABULARY
) -> Request:
    """Strategy: a request that has to do with this policy."""
    return random_request(draw(st.randoms(use_true_random=False)), policy, features, vocabulary)


@st.composite
def pairs(
    draw: st.DrawFn, features: Features = EVERYTHING, vocabulary: Vocabulary = VOCABULARY
) -> tuple[Policy, Request]:
    """Strategy: a policy, and a request that has to do with it."""
    rng = draw(st.randoms(use_true_random=False))
    policy = random_policy(rng, features, vocabulary)
    return policy, random_request(rng, policy, features, vocabulary)


def listed(value: Any) -> list[Any]:
    """What stands in a policy alone or in a list, as a list."""
    return value if isinstance(value, list) else [value]


class _Chance:
    """Choices that a generator of random numbers makes."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def one(self, options: Sequence[T]) -> T:
        return options[self.rng.randrange(len(options))]

    def some(self, options: Sequence[T], most: int) -> list[T]:
        """At least one, none twice."""
        return self.rng.sample(list(options), min(len(options), self.rng.randint(1, most)))

    def happens(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent


class _Writer(_Chance):
    """Writes policies."""

    def __init__(self, rng: Random, features: Features, vocabulary: Vocabulary) -> None:
        super().__init__(rng)
        self.features = features
        self.vocabulary = vocabulary
        self.variables = features.variables

    def policy(self) -> Policy:
        version: Policy = {"Version": "2012-10-17"}
        if self.features.old_version and self.happens(12):
            version = {"Version": "2008-10-17"} if self.happens(50) else {}
        statements: Any = [self.statement(index) for index in range(self.rng.randint(1, self.features.statements))]
        if len(statements) == 1 and self.features.shapes and self.happens(30):
            statements = statements[0]
        return {**version, "Statement": statements}

    def statement(self, index: int) -> Policy:
        statement: Policy = {"Sid": f"S{index}"} if self.happens(50) else {}
        statement["Effect"] = self.one(("Allow", "Allow", "Deny"))
        statement[self.element("Principal")] = self.principals()
        statement[self.element("Action")] = self.in_shape([self.action() for _ in range(self.rng.randint(1, 2))])
        statement[self.element("Resource")] = self.in_shape([self.resource() for _ in range(self.rng.randint(1, 2))])
        condition: Policy = {}
        written = set()
        for _ in range(self.rng.randint(0, self.rng.randint(0, self.features.conditions))):
            operator, key, values = self.condition()
            name = f"{operator} {key}".lower()
            if name not in written:  # twice, in whatever letter case, is none of IAM's grammar
                written.add(name)
                condition.setdefault(operator, {})[key] = values
        if condition:
            statement["Condition"] = condition
        return statement

    def element(self, name: str) -> str:
        return f"Not{name}" if self.features.negated_elements and self.happens(12) else name

    def in_shape(self, values: list[Any]) -> Any:
        if len(values) == 1 and self.features.shapes and self.happens(50):
            return values[0]
        return values

    def principals(self) -> Any:
        if self.happens(30):
            return "*"
        if self.features.doubtful and self.happens(10):
            return ""
        if self.happens(70):
            return {"AWS": self.in_shape(self.aws_principals())}
        named = {
            "Service": self.vocabulary.services,
            "Federated": self.vocabulary.identity_providers,
            "CanonicalUser": self.vocabulary.canonical_users,
        }
        kind = self.one(("Service", "Service", "Service", "Federated", "CanonicalUser"))
        names = self.some(named[kind], 2)
        if self.features.doubtful and self.happens(10):
            names.append(self.one(("*", "")))
        principals = {kind: self.in_shape(names)}
        if self.happens(30):
            principals["AWS"] = self.in_shape(self.aws_principals())
        return principals

    def aws_principals(self) -> list[str]:
        return [self.aws_principal() for _ in range(self.rng.randint(1, 2))]

    def aws_principal(self) -> str:
        if self.features.doubtful and self.happens(15):
            return self.one(("", "arn:aws:iam::*:root", f"arn:aws:iam::{_FOREIGN}:role/*", "AROAEXAMPLEID", "1111*"))
        form = self.rng.randrange(10)
        if form == 0:
            return "*"
        if form <= 2:
            return self.one(self.vocabulary.accounts)
        return self.one(self.vocabulary.principals)

    def action(self) -> str:
        if self.features.doubtful and self.happens(10):
            return self.one(("sqs:SendMessageBatch", "sqs:DeleteMessageBatch", "sqs:*Batch"))
        if self.features.wildcards and self.happens(50):
            action = self.one(("*", "sqs:*", "sqs:Send*", "sqs:*Message", "sqs:?etQueueAttributes", "sqs:*e*u*"))
        else:
            action = self.one((*self.vocabulary.actions, *self.vocabulary.actions, "sns:Publish"))
        return self.in_other_case(action)

    def in_other_case(self, text: str) -> str:
        """The text in other letters, now and then, where these do not count."""
        if self.features.ignored_case and self.happens(10):
            return self.one((text.lower(), text.upper()))
        return text

    def resource(self) -> str:
        if self.happens(25):
            return "*"
        queue = self.one(self.vocabulary.queues[:1] * 3 + self.vocabulary.queues)
        parts = queue.split(":")
        if self.features.wildcards and self.happens(35):
            position = self.one((1, 3, 4, 5, 5))
            parts[position] = self.one(("*", self.wild(parts[position])))
        if self.variables and self.happens(10):
            parts[5] = self.variable("aws:PrincipalTag/team") + self.one(("", "-dead"))
        return ":".join(parts)

    def wild(self, text: str) -> str:
        """The text with a wildcard in the place of a part."""
        start = self.rng.randint(0, len(text))
        end = min(len(text), start + self.rng.randint(0, 4))
        if end - start == 1 and self.happens(60):
            return f"{text[:start]}?{text[end:]}"
        return f"{text[:start]}*{text[end:]}"

    def variable(self, key: str) -> str:
        default = self.one(("", "", ", 'red'", ", 'orders'", f", '{_OWN}'"))
        return f"${{{self.in_other_case(key)}{default}}}"

    def condition(self) -> tuple[str, str, Any]:
        names = list(self.vocabulary.keys)
        if not self.features.set_operators:
            names = [name for name in names if not self.vocabulary.keys[name].several]
        name = self.one(names)
        key = self.vocabulary.keys[name]
        if self.features.null and self.happens(8):
            return self.in_other_case("Null"), self.in_other_case(name), self.in_shape([self.boolean()])
        kind = key.kind if key.kind in self.features.kinds and self.happens(80) else Kind.TEXT
        operator = self.one([entry for entry in OPERATORS[kind] if self.is_wanted(entry)])
        values = [self.value(operator, kind, key) for _ in range(self.rng.randint(1, self.features.values))]
        over = ""
        if (key.several and not (self.features.doubtful and self.happens(20))) or (
            self.features.set_operators and self.happens(10)
        ):
            over = self.one(("ForAllValues:", "ForAnyValue:"))
        if_exists = "IfExists" if self.features.if_exists and self.happens(15) else ""
        whole = self.in_other_case(f"{over}{operator}{if_exists}")
        return whole, self.in_other_case(name), self.in_shape(values)

    def is_wanted(self, operator: str) -> bool:
        return (self.features.negated_operators or operator not in _NEGATED) and (
            self.features.ignored_case or not operator.endswith("IgnoreCase")
        )

    def boolean(self) -> Any:
        value = self.one(("true", "false"))
        if self.features.shapes and self.happens(20):
            return value == "true"
        return self.in_other_case(value)

    def value(self, operator: str, kind: Kind, key: Key) -> Any:
        if self.features.doubtful and self.happens(5):
            return self.one(("", "garbage", "arn:aws:sns", "*"))
        if kind is Kind.BOOL:
            return self.boolean()
        text = self.one(key.values)
        if kind is Kind.TEXT:
            return self.text(operator, text)
        if kind is Kind.ARN:
            return self.arn(text)
        if kind is Kind.ADDRESS:
            return self.addresses(text)
        if kind is Kind.NUMBER:
            return self.number(text)
        return self.date(text) if kind is Kind.DATE else text

    def text(self, operator: str, text: str) -> str:
        if self.variables and self.happens(12):
            return self.with_variable(text)
        if self.features.wildcards and operator in ("StringLike", "StringNotLike") and self.happens(60):
            return self.wild(self.wild(text) if self.happens(25) else text)
        return text

    def with_variable(self, text: str) -> str:
        special = self.one(("${*}", "${?}", "${$}"))
        return self.one(
            (
                self.variable(
                    self.one(("aws:PrincipalTag/team", "aws:username", "aws:PrincipalAccount", "aws:userid"))
                ),
                f"{self.variable('aws:username')}{text[-2:]}",
                f"{text[:-2]}{special}",
                f"{text[:2]}{special}{text[3:]}",
            )
        )

    def arn(self, text: str) -> str:
        parts = text.split(":", 5)
        if self.features.wildcards and self.happens(45):
            position = self.one((1, 2, 3, 4, 5, 5))
            parts[position] = self.one(("*", self.wild(parts[position])))
        if self.variables and self.happens(10):
            position, key = self.one(((4, "aws:PrincipalAccount"), (5, "aws:username"), (5, "aws:PrincipalTag/team")))
            parts[position] = self.variable(key)
        return ":".join(parts)

    def addresses(self, text: str) -> str:
        address = ip_address(text)
        if not self.features.v6 and address.version == 6:
            address = ip_address(_V4[0])
        if self.happens(25):
            return self.one((str(address), address.exploded, str(address).upper()))
        lengths = (0, 1, 8, 15, 24, 31, 32) if address.version == 4 else (0, 1, 32, 47, 64, 127, 128)
        network = ip_network(f"{address}/{self.one(lengths)}", strict=False)
        if self.happens(15):
            return f"{address}/{network.prefixlen}"
        return network.exploded if self.happens(10) else str(network)

    def number(self, text: str) -> Any:
        number = float(text) if "." in text else int(text)
        number += self.one((0, 0, 1, -1, 0.5))
        return number if self.features.shapes and self.happens(30) else str(number)

    def date(self, text: str) -> Any:
        moment = _moment(text)
        if self.features.epoch_dates and self.happens(15):
            seconds = int(moment.timestamp())
            return seconds if self.features.shapes and self.happens(50) else str(seconds)
        form = self.rng.randrange(6)
        if form == 0:
            return moment.date().isoformat()
        if form == 1:
            return moment.astimezone(timezone(timedelta(hours=2))).isoformat()
        if form == 2:
            return (moment + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
        return moment.isoformat().replace("+00:00", "Z")


class _Caller(_Chance):
    """Makes requests that a policy has something to say of."""

    def __init__(self, rng: Random, features: Features, vocabulary: Vocabulary, policy: Policy) -> None:
        super().__init__(rng)
        self.features = features
        self.vocabulary = vocabulary
        self.known = {name.lower(): key for name, key in vocabulary.keys.items()}
        self.statements = listed(policy["Statement"])
        self.target = self.one(self.statements)
        self.keys: dict[str, tuple[str, ...]] = {}

    def request(self) -> Request:
        principal = self.principal()
        if self.happens(60):
            self.identify(principal)
        texts = [text for statement in self.statements for text in _texts(statement)]
        for key in _variables(texts):
            if self.happens(75):
                self.set(key, self.plain_value(key))
        others = [statement for statement in self.statements if statement is not self.target]
        for statement in [*others, self.target]:
            self.meet(statement)
        for key in self.rng.sample(list(self.known), self.rng.randint(0, 2)):
            if key not in self.keys:
                self.set(key, self.plain_value(key))
        return Request(principal, self.action(), self.resource(), self.named())

    def named(self) -> dict[str, tuple[str, ...]]:
        """The keys in the letters that people use, now and then in others."""
        proper = {name.lower(): name for name in self.vocabulary.keys}
        return {
            key if self.features.ignored_case and self.happens(10) else proper.get(key, key): values
            for key, values in self.keys.items()
        }

    def principal(self) -> str:
        named = self.target.get("Principal", "*")
        anyone = ("anonymous", *self.vocabulary.principals, *self.vocabulary.services)
        if not isinstance(named, dict) or self.happens(15):
            return self.one(anyone)
        kind = self.one(list(named))
        name = self.one(listed(named[kind]))
        if kind == "Service" and name in self.vocabulary.services:
            return name
        if kind != "AWS":
            return self.one(anyone)
        of_account = [principal for principal in self.vocabulary.principals if _account(name) in principal]
        of_name = [principal for principal in of_account if _is_near(name, principal)]
        return self.one(self.one((of_name, of_name, of_account)) or anyone)

    def identify(self, principal: str) -> None:
        """The keys that AWS itself makes from the principal."""
        parts = principal.split(":", 5)
        if len(parts) < 6:
            if principal != "anonymous":
                self.set("aws:principalisawsservice", "true")
            return
        self.set("aws:principalaccount", parts[4])
        role = parts[5].split("/")
        arn = f"arn:aws:iam::{parts[4]}:role/{role[1]}" if role[0] == "assumed-role" else principal
        self.set("aws:principalarn", arn)
        if role[0] == "user":
            self.set("aws:username", role[-1])

    def action(self) -> str:
        wanted = str(self.one(listed(self.target.get("Action", "*")))).lower()
        start, _, end = wanted.partition("?" if "?" in wanted else "*")
        fitting = [
            action
            for action in self.vocabulary.actions
            if action.lower().startswith(start) and action.lower().endswith(end.rpartition("*")[2])
        ]
        action = self.one(fitting or self.vocabulary.actions)
        if self.features.doubtful and action in ("sqs:SendMessage", "sqs:DeleteMessage") and self.happens(15):
            return f"{action}Batch"
        return action

    def resource(self) -> str:
        named = [text for text in listed(self.target.get("Resource", "*")) if text in self.vocabulary.queues]
        if named and self.happens(60):
            return self.one(named)
        return self.one(self.vocabulary.queues[:1] * 4 + self.vocabulary.queues)

    def set(self, key: str, value: str) -> None:
        self.keys[key.lower()] = (value,)

    def plain_value(self, key: str) -> str:
        return self.one(self.known[key.lower()].values) if key.lower() in self.known else "x"

    def meet(self, statement: Policy) -> None:
        """Give the keys of the statement's conditions values that hit or just miss."""
        for operator, lines in statement.get("Condition", {}).items():
            for name, values in lines.items():
                key = name.lower()
                if self.happens(12):
                    self.keys.pop(key, None)
                elif key not in self.keys or self.happens(80):
                    several = key in self.known and self.known[key].several
                    count = self.rng.randint(1, 3) if several else 1
                    chosen = [self.near(operator.lower(), key, str(self.one(listed(values)))) for _ in range(count)]
                    self.keys[key] = tuple(dict.fromkeys(chosen))

    def near(self, operator: str, key: str, wanted: str) -> str:
        """A value near the one that the policy wants. AWS fills in the keys, so it is of the kind of the key."""
        if "null" in operator or not wanted or self.happens(50 if "not" in operator else 10):
            return self.plain_value(key)
        kind = self.known[key].kind if key in self.known else Kind.TEXT
        try:
            if "ipaddress" in operator:
                value = self.near_address(wanted)
            elif "numeric" in operator:
                value = str((float(wanted) if "." in wanted else int(wanted)) + self.one((0, 0, 1, -1, 0.5)))
            elif "date" in operator:
                value = self.near_date(wanted, epoch=key == "aws:epochtime")
            elif kind in (Kind.BOOL, Kind.BINARY):
                value = wanted if self.happens(70) else self.plain_value(key)
            else:
                value = self.near_text(wanted)
            return value if self.features.doubtful or _is_value(kind, value) else self.plain_value(key)
        except ValueError:
            return self.plain_value(key)

    def near_address(self, wanted: str) -> str:
        network = ip_network(wanted, strict=False)
        first, last = int(network[0]), int(network[-1])
        address = IPv4Address if network.version == 4 else IPv6Address
        most = 2**network.max_prefixlen - 1
        return str(
            address(min(most, max(0, self.one((first, last, self.rng.randint(first, last), first - 1, last + 1)))))
        )

    def near_date(self, wanted: str, *, epoch: bool) -> str:
        moment = _moment(wanted) + timedelta(seconds=self.one((0, 0, 0, 1, -1, 86_400)))
        if epoch:
            return str(int(moment.timestamp()))
        if self.happens(20):
            moment = moment.astimezone(timezone(timedelta(hours=-5)))
        return moment.isoformat().replace("+00:00", "Z")

    def near_text(self, wanted: str) -> str:
        text = self.filled(wanted)
        if self.happens(80):
            return text
        position = self.rng.randint(0, len(text))
        letter = text[position : position + 1].swapcase()
        changed = f"{text[:position]}{letter}{text[position + 1 :]}"
        return self.one((text.swapcase(), changed, f"{text}x", f"x{text}", text[1:], text[:-1]))

    def filled(self, wanted: str) -> str:
        """A text that fits the pattern, with variables replaced as far as their values are known by now."""
        result, position = "", 0
        while position < len(wanted):
            letter = wanted[position]
            end = wanted.find("}", position)
            if wanted.startswith("${", position) and end > 0:
                result += self.value_of(wanted[position + 2 : end])
                position = end
            elif letter == "*":
                result += self.one(("", "x", "red", "a/b", "*")) if self.happens(85) else ":x:"
            elif letter == "?":
                result += self.one(("a", "r", "0", "?"))
            else:
                result += letter
            position += 1
        return result

    def value_of(self, variable: str) -> str:
        if len(variable) == 1:
            return variable if self.happens(70) else "x"
        name, _, default = variable.partition(",")
        return self.keys.get(name.strip().lower(), (default.strip(" '"),))[0]


def _account(name: str) -> str:
    """The account in a principal, which is "" for everyone and so is in every ARN."""
    return "" if name == "*" else name.split(":")[4] if name.count(":") >= 5 else name


def _is_value(kind: Kind, text: str) -> bool:
    """True when a request can have this value for a key of this kind. Raises ValueError when it cannot."""
    if kind is Kind.ADDRESS:
        ip_address(text)
    elif kind is Kind.NUMBER:
        float(text)
    elif kind is Kind.DATE:
        _moment(text)
    elif kind is Kind.BOOL:
        return text in ("true", "false")
    elif kind is Kind.ARN:
        return text.startswith("arn:") and text.count(":") >= 5
    return text != ""


def _moment(text: str) -> datetime:
    if len(text) == 10 and text.isdigit():
        return datetime.fromtimestamp(int(text), timezone.utc)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _is_near(name: str, principal: str) -> bool:
    """True for the principal itself, for its sessions, and for those of the same name elsewhere."""
    return name == principal or any(f"/{part}" in principal for part in name.split("/")[1:])


def _texts(value: Any) -> Iterator[str]:
    """Every text in a statement."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)


def _variables(texts: Sequence[str]) -> Iterator[str]:
    """The condition keys that variables refer to."""
    for text in texts:
        for piece in text.split("${")[1:]:
            name = piece.split("}")[0].split(",")[0].strip()
            if len(name) > 1:
                yield name
