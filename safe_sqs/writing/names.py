"""Whom and what a policy is to name: read from what people write, and refused where it would not mean what they think.

Source: "AWS JSON policy elements: Principal" and "IAM identifiers" in the IAM user guide.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from safe_sqs.model import Queue
from safe_sqs.patterns import has_wildcard

__all__ = [
    "CannotWrite",
    "Principal",
    "Source",
    "kms_key",
    "organisation",
    "principal",
    "source",
    "vpc",
    "vpc_endpoint",
]

_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_ARN = re.compile(
    r"arn:(?P<partition>[a-z0-9-]+):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>[0-9]{12}|):"
    r"(?P<resource>[^\s\"\\\x00-\x1f\x7f]+)",
    re.ASCII,
)
_PERSON = re.compile(r"(?:role|user)/(?:[!-~]+/)?[\w+=,.@-]{1,64}", re.ASCII)
_SESSION = re.compile(r"assumed-role/(?P<role>[\w+=,.@-]+)/.+", re.ASCII)
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu)", re.ASCII)
_UNIQUE_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}", re.ASCII)
_KEY = re.compile(r"key/[A-Za-z0-9-]+", re.ASCII)
_ORGANISATION = re.compile(r"o-[a-z0-9]{10,32}", re.ASCII)


class CannotWrite(ValueError):  # noqa: N818
    """What was asked for makes no policy that would hold. `next_step` says what to give in its place."""

    def __init__(self, found: str, next_step: str) -> None:
        super().__init__(found, next_step)
        self.found = found
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.found}; {self.next_step}"


class Principal(NamedTuple):
    """Somebody whom a policy can name: a role, a user, or an account as a whole, which is named as its root."""

    arn: str
    account: str

    @property
    def is_account(self) -> bool:
        """True for an account as a whole."""
        return self.arn.endswith(":root")


class Source(NamedTuple):
    """A service, and for what it may act: a resource, an account, or a resource whose ARN does not say the account."""

    service: str
    arn: str
    account: str


def principal(text: str, partition: str) -> Principal:
    """The role, the user or the account that a text names. Raises CannotWrite for everybody else."""
    if _ACCOUNT.fullmatch(text):
        return Principal(f"arn:{partition}:iam::{text}:root", text)
    match = _ARN.fullmatch(text)
    if "*" in text or "?" in text or "${" in text:
        _fail(f"{text!r} has a wildcard or a variable", "name each role or user, or the account by its 12 digits")
    if match is None:
        _fail(f"{text!r} is neither the ARN of a role or user nor an account", _instead_of(text))
    _same_partition(text, match, partition)
    if match["service"] == "sts":
        _fail(f"{text!r} is a session, which ends", _instead_of_session(match))
    if match["service"] != "iam" or not match["account"] or match["region"]:
        _fail(f"{text!r} is no ARN of IAM", "give the ARN of a role or user, or an account by its 12 digits")
    if match["resource"] == "root":
        return Principal(text, match["account"])
    if not _PERSON.fullmatch(match["resource"]):
        kind = match["resource"].partition("/")[0]
        _fail(f"{text!r} is no role and no user", _INSTEAD.get(kind, "give the ARN of a role or of a user"))
    return Principal(text, match["account"])


_INSTEAD = {
    "group": "a policy cannot name a group, so name its users, or a role that they assume",
    "oidc-provider": "name the role that is assumed through it",
    "saml-provider": "name the role that is assumed through it",
    "instance-profile": "name the role in it",
    "policy": "name the roles that the policy is attached to",
}


def _instead_of(text: str) -> str:
    if _SERVICE.fullmatch(text.partition("=")[0]):
        return f"a service is given with what it acts for: --service {text.partition('=')[0]}=ARN"
    if _UNIQUE_ID.fullmatch(text):
        return "it looks like the id of a role or user, so name that by its ARN"
    return "such as arn:aws:iam::123456789012:role/shop or 123456789012"


def _instead_of_session(match: re.Match[str]) -> str:
    session = _SESSION.fullmatch(match["resource"])
    if session is None:
        return "name the user who signs in, or the role that is assumed"
    role = f"arn:{match['partition']}:iam::{match['account']}:role/{session['role']}"
    return f"name its role, {role} (with its path, if it has one)"


def account(text: str) -> str:
    """An account by its id. Raises CannotWrite."""
    if not _ACCOUNT.fullmatch(text):
        _fail(f"{text!r} is not an account", "give its 12 digits")
    return text


def source(text: str, queue: Queue) -> Source:
    """What `SERVICE=ARN`, `SERVICE=ACCOUNT` or `SERVICE=ARN,ACCOUNT` says. Raises CannotWrite.

    The account of an ARN that names none, such as that of a bucket, is the queue's where none is given.
    """
    service, equals, rest = text.partition("=")
    if not _SERVICE.fullmatch(service) or not equals:
        _fail(f"{text!r} does not say which service may act for what", _SOURCE_FORM)
    if _ACCOUNT.fullmatch(rest):
        return Source(service, "", rest)
    arn, comma, owner = rest.rpartition(",") if _ACCOUNT.fullmatch(rest.rpartition(",")[2]) else (rest, "", "")
    match = _ARN.fullmatch(arn)
    if has_wildcard(arn) or "${" in arn:
        _fail(f"{arn!r} has a wildcard or a variable", "name each topic, bucket or rule by its whole ARN")
    if match is None or "," in arn:
        _fail(f"{arn!r} is no ARN", _SOURCE_FORM)
    _same_partition(arn, match, queue.partition)
    if comma and match["account"] and match["account"] != owner:
        _fail(f"{arn!r} is not in account {owner}", "leave the account out, or correct it")
    return Source(service, arn, "" if match["account"] else owner or queue.account)


_SOURCE_FORM = "such as sns.amazonaws.com=arn:aws:sns:us-east-1:123456789012:orders"


def vpc(text: str) -> str:
    """The id of a VPC. Raises CannotWrite."""
    return _id(text, "vpc", "a VPC")


def vpc_endpoint(text: str) -> str:
    """The id of a VPC endpoint. Raises CannotWrite."""
    return _id(text, "vpce", "a VPC endpoint")


def _id(text: str, prefix: str, what: str) -> str:
    if not re.fullmatch(rf"{prefix}-[0-9a-f]{{8,17}}", text, re.ASCII):
        other = "--vpc-endpoint" if text.startswith("vpce-") else "--vpc" if text.startswith("vpc-") else ""
        hint = (
            f"give it with {other}"
            if other and prefix not in text.split("-")
            else f"such as {prefix}-0a1b2c3d4e5f67890"
        )
        _fail(f"{text!r} is not the id of {what}", hint)
    return text


def kms_key(text: str, partition: str) -> str:
    """The ARN of a KMS key. An alias is none: IAM looks at the key behind it. Raises CannotWrite."""
    match = _ARN.fullmatch(text)
    if match is None or match["service"] != "kms" or not _KEY.fullmatch(match["resource"]):
        _fail(
            f"{text!r} is not the ARN of a KMS key",
            "aws kms describe-key --key-id KEY --query KeyMetadata.Arn tells the ARN, of an alias too",
        )
    _same_partition(text, match, partition)
    return text


def organisation(text: str) -> str:
    """The id of an organisation. Raises CannotWrite."""
    if not _ORGANISATION.fullmatch(text):
        _fail(
            f"{text!r} is not the id of an organisation",
            "such as o-exampleorgid, from aws organizations describe-organization",
        )
    return text


def _same_partition(text: str, match: re.Match[str], partition: str) -> None:
    if match["partition"] != partition:
        _fail(
            f"{text!r} is in the partition {match['partition']}, and the queue in {partition}",
            "name one of the queue's partition: no other can reach it",
        )


def _fail(found: str, next_step: str) -> NoReturn:
    raise CannotWrite(found, next_step)
