"""Random policies about a few condition keys only, so that what one statement lets in another often stops.

Each policy lives in a small world: one to three keys, whose values come from a handful of texts. That makes the
interesting cases frequent, about half of the policies public, and brute force possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
Policy = dict[str, Any]

OWN, PARTNER, FOREIGN = "111122223333", "444455556666", "777788889999"
QUEUE = f"arn:aws:sqs:us-east-1:{OWN}:orders"

_TEXT = (
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "StringLike",
    "StringNotLike",
)
_ARN = ("ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals")
_ADDRESS = ("IpAddress", "NotIpAddress")
_ORDER = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
_NUMBER = tuple(f"Numeric{order}" for order in _ORDER)
_DATE = tuple(f"Date{order}" for order in _ORDER)


@dataclass(frozen=True)
class Key:
    """A condition key: its operators, and the values that a policy names. `several`: its requests may have several."""

    operators: tuple[str, ...]
    values: tuple[str, ...]
    several: bool = False
    wild: bool = True


KEYS = {
    "aws:PrincipalArn": Key(
        (*_ARN, *_TEXT),
        (
            f"arn:aws:iam::{PARTNER}:role/app",
            "arn:aws:iam::*:role/app",
            "arn:aws:iam::*:role/*",
            "arn:aws:iam::*:user/*",
            "arn:aws:iam::*:root",
            f"arn:aws:iam::{PARTNER}:*",
            "arn:aws:*::*:*",
            "arn:aws:iam::7*9:role/a*p",
            "arn:aws:iam::????8888????:*",
            "*:role/*app",
            "*",
        ),
    ),
    "aws:PrincipalAccount": Key(_TEXT, (OWN, PARTNER, "7*", "*9", "????????????", "4444*", "*", "7?7788889999")),
    "aws:PrincipalOrgID": Key(_TEXT, ("o-own1234567", "o-partner123", "o-*", "o-own*", "o-??????????", "o-?*z", "*")),
    "aws:PrincipalOrgPaths": Key(_TEXT, ("o-own1234567/r-1/ou-1/", "o-own1234567/*", "o-*/r-1/*", "*"), several=True),
    "aws:PrincipalType": Key(_TEXT, ("AssumedRole", "User", "Account", "Anonymous", "A*")),
    "aws:username": Key(_TEXT, ("alice", "bob", "a*", "?ob")),
    "aws:userid": Key(
        _TEXT, ("AROAEXAMPLE:one", "AROAEXAMPLE:*", "AIDAEXAMPLE", "AROA*:one", "*:one", "AIDA*", PARTNER)
    ),
    "aws:SourceIp": Key(
        _ADDRESS,
        ("203.0.113.0/24", "203.0.113.7", "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2")
        + ("10.0.0.0/8", "64.0.0.0/7", "::/0", "2001:db8::/32", "2001::/16", "8000::/1", "::/1"),
        wild=False,
    ),
    "aws:VpcSourceIp": Key(_ADDRESS, ("10.0.0.0/8", "10.0.0.0/9", "192.168.0.0/16", "0.0.0.0/0"), wild=False),
    "aws:SourceVpc": Key(_TEXT, ("vpc-0a1b", "vpc-0a1c", "vpc-*", "vpc-0a*", "*")),
    "aws:SourceVpce": Key(_TEXT, ("vpce-0a1b", "vpce-0a1c", "vpce-*", "vpce-?", "*")),
    "aws:VpceAccount": Key(_TEXT, (OWN, PARTNER, "4444*", "*")),
    "aws:VpceOrgID": Key(_TEXT, ("o-own1234567", "o-*")),
    "aws:SourceArn": Key(
        (*_ARN, *_ARN, *_TEXT),
        (
            f"arn:aws:sns:us-east-1:{OWN}:topic",
            f"arn:aws:sns:*:{OWN}:*",
            "arn:aws:sns:us-east-1:*:topic",
            "arn:aws:sns:*:*:*",
            "arn:aws:s3:::bucket",
            "arn:aws:s3:::buck*",
            f"arn:aws:s3:::*-{OWN}",
            "arn:aws:s3:*:*:*",
            f"arn:aws:events:*:{PARTNER}:rule/*",
            "arn:aws:events:us-?ast-1:*:rule/nightly",
            f"arn:aws:*:*:{OWN}:*",
            f"*{OWN}*",
            f"arn:*:{OWN}:*",
            "*",
        ),
    ),
    "aws:SourceAccount": Key(_TEXT, (OWN, PARTNER, "7*", "*", "????????????")),
    "aws:SourceOwner": Key(_TEXT, (OWN, PARTNER, "*3")),
    "aws:SourceOrgID": Key(_TEXT, ("o-own1234567", "o-*", "o-own*")),
    "aws:PrincipalIsAWSService": Key(("Bool", "StringEquals"), ("true", "false"), wild=False),
    "aws:PrincipalServiceName": Key(_TEXT, ("sns.amazonaws.com", "s3.amazonaws.com", "*.amazonaws.com")),
    "aws:SecureTransport": Key(("Bool", "Bool", "StringEquals"), ("true", "false"), wild=False),
    "aws:ViaAWSService": Key(("Bool",), ("true", "false"), wild=False),
    "aws:MultiFactorAuthPresent": Key(("Bool",), ("true", "false"), wild=False),
    "aws:MultiFactorAuthAge": Key(_NUMBER, ("0", "300", "300.5", "3600", "-1"), wild=False),
    "aws:CurrentTime": Key(_DATE, ("2026-01-01T00:00:00Z", "2026-06-30", "1767225600"), wild=False),
    "aws:EpochTime": Key((*_NUMBER, *_DATE), ("1767225600", "1767225601"), wild=False),
    "aws:PrincipalTag/team": Key(_TEXT, ("red", "blue", "Red", "r*", "*d", "r?d", "*", "?*", "??*?")),
    "aws:TagKeys": Key(_TEXT, ("team", "stage", "te*", "*"), several=True),
    "aws:UserAgent": Key(_TEXT, ("boto3/1", "b*", "*/1", "curl")),
    "aws:ResourceAccount": Key(_TEXT, (OWN, PARTNER, "*")),
    "aws:RequestedRegion": Key(_TEXT, ("us-east-1", "eu-*", "us-*")),
    "aws:ResourceTag/env": Key(_TEXT, ("prod", "dev", "p*")),
    "example:Own": Key((*_TEXT, "Bool"), ("x", "true", "X", "*"), several=True),
}
_TOGETHER = (
    ("aws:PrincipalArn", "aws:PrincipalAccount", "aws:username", "aws:PrincipalType", "aws:userid"),
    ("aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths"),
    ("aws:SourceArn", "aws:SourceAccount", "aws:SourceOwner", "aws:SourceOrgID", "aws:PrincipalIsAWSService"),
    ("aws:SourceArn", "aws:SourceAccount", "aws:PrincipalServiceName", "aws:SecureTransport"),
    ("aws:SourceIp", "aws:SourceVpc", "aws:SourceVpce", "aws:VpcSourceIp", "aws:SecureTransport"),
    ("aws:SourceVpc", "aws:SourceVpce", "aws:VpceAccount", "aws:VpceOrgID", "aws:PrincipalAccount"),
    ("aws:PrincipalTag/team", "aws:UserAgent", "aws:TagKeys", "example:Own", "aws:ResourceTag/env"),
    ("aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent", "aws:CurrentTime", "aws:EpochTime"),
)
_VARIABLES = {
    "aws:PrincipalAccount": ("aws:SourceAccount", "aws:VpceAccount", "aws:PrincipalTag/team"),
    "aws:PrincipalTag/team": ("aws:UserAgent", "aws:username", "aws:ResourceTag/env", "aws:TagKeys"),
    "aws:ResourceAccount": ("aws:PrincipalAccount", "aws:SourceAccount"),
}


@dataclass(frozen=True)
class Shape:
    """What policies may hold. `doubt`: what AWS would refuse; `mixed`: operators of another kind than the key's."""

    statements: int = 4
    lines: int = 3
    keys: int = 3
    doubt: bool = True
    variables: bool = True
    mixed: bool = True


class World:
    """Writes policies of one world."""

    def __init__(self, rng: Random, shape: Shape = Shape()) -> None:
        self._rng = rng
        self._shape = shape
        related = _TOGETHER[rng.randrange(len(_TOGETHER))] if self._happens(70) else tuple(KEYS)
        count = min(len(related), rng.randint(1, shape.keys))
        self._keys = rng.sample(related, count)
        self._variables = shape.variables and self._happens(20)

    def policy(self) -> Policy:
        """A policy, with at least one Allow."""
        statements = [self._statement("Allow")]
        count = self._rng.randint(0, self._shape.statements - 1)
        statements += [self._statement(self._one(("Allow", "Deny", "Deny", "Deny"))) for _ in range(count)]
        self._rng.shuffle(statements)
        version = "2012-10-17" if self._variables or self._happens(80) else "2008-10-17"
        return {"Version": version, "Statement": statements}

    def _one(self, options: Sequence[T]) -> T:
        return options[self._rng.randrange(len(options))]

    def _happens(self, percent: int) -> bool:
        return self._rng.randrange(100) < percent

    def _statement(self, effect: str) -> Policy:
        allows = effect == "Allow"
        statement: Policy = {"Effect": effect}
        statement["NotPrincipal" if self._happens(7) else "Principal"] = self._principal(allows)
        if self._happens(7):
            statement["NotAction"] = self._one(("sqs:SendMessage", ["sqs:Get*", "sqs:Receive*"], "sqs:*"))
        else:
            statement["Action"] = self._action()
        statement["NotResource" if self._happens(4) else "Resource"] = self._resource()
        condition: Policy = {}
        fewest = 1 if allows and self._happens(75) else 0
        for _ in range(self._rng.randint(fewest, self._shape.lines)):
            operator, key, values = self._line()
            condition.setdefault(operator, {})[key] = values
        if condition:
            statement["Condition"] = condition
        return statement

    def _principal(self, allows: bool) -> Any:
        if self._happens(75 if allows else 70):
            return self._one(("*", "*", {"AWS": "*"}))
        if self._shape.doubt and self._happens(25):
            wild = ("arn:aws:iam::*:root", "arn:aws:iam::*:role/app", "7777*", f"arn:aws:iam::{PARTNER}:role/*", "")
            return self._one((*({"AWS": name} for name in wild), "", {"Service": "*"}))
        return self._one(
            (
                {"AWS": f"arn:aws:iam::{PARTNER}:root"},
                {"AWS": [OWN, PARTNER]},
                {"AWS": f"arn:aws:iam::{PARTNER}:role/app"},
                {"AWS": [f"arn:aws:iam::{FOREIGN}:user/alice", "*"]},
                {"Service": "sns.amazonaws.com"},
                {"Service": ["s3.amazonaws.com", "events.amazonaws.com"], "AWS": OWN},
            )
        )

    def _action(self) -> Any:
        if self._shape.doubt and self._happens(5):
            return ["sqs:SendMessageBatch"]
        return self._one(
            ("sqs:*", "*", "sqs:SendMessage", "sqs:Send*", ["sqs:SendMessage", "SQS:receivemessage"], "sqs:*Message")
        )

    def _resource(self) -> Any:
        if self._variables and self._happens(15):
            return "arn:aws:sqs:us-east-1:*:${aws:PrincipalTag/team}"
        if self._happens(90):
            return self._one((QUEUE, "*", [QUEUE, f"{QUEUE}-dead"], "arn:aws:sqs:*:*:orders*"))
        return self._one((f"{QUEUE}/*", f"{QUEUE}-dead", f"arn:aws:sqs:*:{OWN}:order?"))

    def _line(self) -> tuple[str, str, list[str]]:
        name = self._one(self._keys)
        key = KEYS[name]
        if self._happens(8):
            return "Null", name, [self._one(("true", "false"))]
        operators = _TEXT if self._shape.mixed and self._happens(5) else key.operators
        operator = self._one(operators)
        count = self._rng.randint(1, self._one((1, 2, 3)))
        values = [self._value(operator, name, key) for _ in range(count)]
        over = ""
        if self._happens(60 if key.several else 8):
            over = self._one(("ForAllValues:", "ForAnyValue:"))
        return f"{over}{operator}{'IfExists' if self._happens(12) else ''}", name, values

    def _value(self, operator: str, name: str, key: Key) -> str:
        if self._shape.doubt and self._happens(2):
            return self._one(("garbage", "", "arn:aws:iam::*"))
        sources = [source for source, users in _VARIABLES.items() if name in users]
        if self._variables and sources and operator not in ("Bool", "IpAddress", "NotIpAddress") and self._happens(60):
            variable = f"${{{self._one(sources)}{self._one(('', '', chr(44) + chr(32) + chr(39) + 'red' + chr(39)))}}}"
            return self._one((variable, variable, f"{variable}*", f"x{variable}"))
        value = self._one(key.values)
        if key.wild and ("Like" in operator or "Arn" in operator) and self._happens(15):
            return self._wilder(value)
        return value

    def _wilder(self, text: str) -> str:
        """The text with one more wildcard, where it stands for something."""
        start = self._rng.randint(0, len(text))
        end = min(len(text), start + self._rng.randint(0, 3))
        wild = "?" if end - start == 1 else "*"
        return f"{text[:start]}{wild}{text[end:]}"


class ClosingWorld(World):
    """Writes policies whose Denies are meant to stop what a question asks about, and mostly do, or just do not."""

    def __init__(self, rng: Random, meant: Sequence[tuple[str, str, tuple[str, ...]]], shape: Shape = Shape()) -> None:
        super().__init__(rng, shape)
        self._meant = meant

    def policy(self) -> Policy:
        """A policy of some Denies, and now and then an Allow."""
        whole = super().policy()
        statements = whole["Statement"] if self._happens(20) else []
        statements += [self._closing() for _ in range(self._rng.randint(1, 3))]
        self._rng.shuffle(statements)
        return {**whole, "Statement": statements}

    def _closing(self) -> Policy:
        if self._happens(10):
            return self._statement("Deny")
        deny: Policy = {
            "Effect": "Deny",
            "Principal": self._one(("*", {"AWS": "*"})),
            "Action": self._one(("sqs:*", "*")),
        }
        deny["Resource"] = self._one((QUEUE, "*"))
        if self._happens(12):
            deny["Principal"] = self._principal(allows=False)
        if self._happens(8):
            deny["Action"] = self._action()
        if self._happens(8):
            deny["Resource"] = self._resource()
        if self._happens(6):
            deny["NotPrincipal"] = self._one(
                (OWN, {"AWS": f"arn:aws:iam::{PARTNER}:role/app"}, {"Service": "sns.amazonaws.com"})
            )
            del deny["Principal"]
        if deny.get("NotPrincipal") == OWN:
            deny["NotPrincipal"] = {"AWS": OWN}
        condition: Policy = {}
        operator, key, values = self._one(self._meant)
        condition[operator] = {key: list(values)}
        if self._happens(35):
            operator, key, values = self._one(self._meant)
            condition.setdefault(operator, {})[key] = list(values)
        if self._happens(20):
            operator, key, more = self._line()
            condition.setdefault(operator, {})[key] = more
        return {**deny, "Condition": condition}


OVER_PLAIN_HTTP = (
    *[("Bool", "aws:SecureTransport", ("false",))] * 8,
    ("BoolIfExists", "aws:SecureTransport", ("false",)),
    ("StringEquals", "aws:SecureTransport", ("false",)),
    ("StringNotEquals", "aws:SecureTransport", ("true",)),
    ("StringLike", "aws:SecureTransport", ("f*",)),
    ("Bool", "aws:SecureTransport", ("true",)),
    ("Bool", "aws:SecureTransport", ("true", "false")),
    ("ForAnyValue:Bool", "aws:SecureTransport", ("false",)),
    ("Null", "aws:SecureTransport", ("false",)),
    ("StringNotEquals", "aws:PrincipalAccount", (OWN,)),
    ("StringEquals", "aws:PrincipalAccount", (OWN,)),
    ("Null", "aws:PrincipalAccount", ("true",)),
    ("Bool", "aws:PrincipalIsAWSService", ("true",)),
    ("Bool", "aws:PrincipalIsAWSService", ("false",)),
    ("BoolIfExists", "aws:PrincipalIsAWSService", ("false",)),
)
FROM_ELSEWHERE = (
    *[("StringNotEquals", "aws:SourceVpc", ("vpc-0a1b",))] * 4,
    *[("StringNotEquals", "aws:SourceVpce", ("vpce-0a1b", "vpce-0a1c"))] * 4,
    ("StringNotEqualsIfExists", "aws:SourceVpc", ("vpc-0a1b",)),
    ("StringNotLike", "aws:SourceVpc", ("vpc-0a1b*",)),
    ("StringNotLike", "aws:SourceVpce", ("vpce-0a*",)),
    ("Null", "aws:SourceVpc", ("true",)),
    ("Null", "aws:SourceVpce", ("true",)),
    ("StringEquals", "aws:SourceVpce", ("vpce-0a1b",)),
    ("StringNotEquals", "aws:VpceAccount", (OWN,)),
    ("StringNotEqualsIfExists", "aws:VpceOrgID", ("o-own1234567",)),
    ("NotIpAddress", "aws:VpcSourceIp", ("10.0.0.0/8",)),
    ("NotIpAddressIfExists", "aws:SourceIp", ("203.0.113.0/24",)),
    ("ArnNotLike", "aws:SourceVpcArn", (f"arn:aws:ec2:us-east-1:{OWN}:vpc/vpc-0a1b", "arn:aws:ec2:*:*:vpc/vpc-0a1c")),
    ("Bool", "aws:ViaAWSService", ("false",)),
    ("Bool", "aws:PrincipalIsAWSService", ("false",)),
    ("BoolIfExists", "aws:PrincipalIsAWSService", ("true",)),
)


def closing_world(seed: int, meant: Sequence[tuple[str, str, tuple[str, ...]]], shape: Shape = Shape()) -> Policy:
    """The policy of this seed, whose Denies have lines such as those that are meant."""
    return ClosingWorld(Random(f"closing {seed}"), meant, shape).policy()


def random_world(seed: int, shape: Shape = Shape()) -> Policy:
    """The policy of this seed."""
    return World(Random(f"world {seed}"), shape).policy()
