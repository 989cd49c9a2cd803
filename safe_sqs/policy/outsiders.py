"""Who may come to a queue, as a table: for each kind of caller, which condition keys its requests have and which
values they can take.

Sources: "AWS global condition context keys" and "Principal key values" in the IAM user guide; "The meaning of public"
in the Amazon S3 user guide. A key that is not in a row is one that the caller chooses freely, or leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits, punctuation
from typing import NamedTuple

from safe_sqs.policy.spelling import Slice

__all__ = [
    "ACCOUNT",
    "ANYTHING",
    "BUCKET",
    "CALLERS",
    "ENDPOINT",
    "ENDPOINT_ACCOUNT",
    "ENDPOINT_ORGANISATION",
    "FEDERATED_NAME",
    "NAME",
    "ORGANISATION",
    "ROLE_ID",
    "SERVICE",
    "SERVICE_NAME",
    "SESSION",
    "SOURCE_ACCOUNT",
    "SOURCE_ORGANISATION",
    "VPC",
    "Absent",
    "Address",
    "Caller",
    "Domain",
    "Given",
    "Measured",
    "OneOf",
    "Open",
    "Spelled",
    "domain_of",
    "name_of",
]


class Given(Enum):
    """What the queue and the question settle, and no caller can choose."""

    PARTITION = "partition"
    REGION = "region"
    OWNER = "the queue's account"
    SERVICE = "the service that acts"


class Absent(NamedTuple):
    """The requests of this caller do not have the key."""


class OneOf(NamedTuple):
    """One of a few values."""

    values: tuple[str | Given, ...]
    optional: bool = False


class Spelled(NamedTuple):
    """A text that is put together from slices; keys with the same `slices` are settled together."""

    slices: tuple[Slice, ...]
    view: tuple[str | Given | Slice, ...]
    optional: bool = False


class Address(NamedTuple):
    """An IP address."""

    optional: bool = False


class Open(NamedTuple):
    """Any value at all, or several."""

    optional: bool = True


class Measured(NamedTuple):
    """A number, or a moment as ISO 8601 writes it."""

    is_moment: bool
    optional: bool = True


Domain = Absent | OneOf | Spelled | Address | Measured | Open
Keys = Mapping[str, Domain]


class Caller(NamedTuple):
    """A kind of caller. `words` says who it is, `principal` what its requests are signed with, and `service` which
    service it is, where it is a certain one.
    """

    words: str
    principal: str | Given | Spelled
    keys: Keys
    service: str = ""

    @property
    def is_service(self) -> bool:
        """True for a service that acts for somebody."""
        return bool(self.service) or self.principal is _ANY_SERVICE

    @property
    def principal_key(self) -> str:
        """The condition key that shows a principal which is spelled."""
        return "aws:principalservicename" if self.is_service else "aws:principalarn"


ANYTHING = "x" + ascii_letters.replace("x", "") + digits + punctuation + " "
_NAME = ANYTHING[:-1]
_WORD = ascii_lowercase + digits + "-"

ACCOUNT = Slice("account", "9876543210", 12, 12)
NAME = Slice("name", _NAME)
FEDERATED_NAME = Slice("federated user's name", ascii_letters + digits + "_+=,.@-")
ROLE_ID = Slice("role id", ascii_uppercase + digits)
SESSION = Slice("session", ascii_letters + digits + "_+=,.@-")
ORGANISATION = Slice("organisation", ascii_lowercase + digits, 10, 32)
UNIT = Slice("unit", _NAME)
VPC = Slice("VPC", digits + ascii_lowercase)
ENDPOINT = Slice("endpoint", digits + ascii_lowercase)
ENDPOINT_ACCOUNT = Slice("endpoint's account", "9876543210", 12, 12)
ENDPOINT_ORGANISATION = Slice("endpoint's organisation", ascii_lowercase + digits, 10, 32)
ENDPOINT_UNIT = Slice("endpoint's unit", _NAME)
SERVICE = Slice("service", _WORD)
SERVICE_NAME = Slice("service's name", _WORD + ".")
SOURCE_REGION = (Slice("source's region", ascii_lowercase + "-"), Slice("number of source's region", digits[1:], 1, 1))
SOURCE_REGION_OR_NONE = tuple(piece._replace(at_least=0) for piece in SOURCE_REGION)
SOURCE_ACCOUNT = Slice("source's account", "9876543210", 12, 12)
SOURCE_ORGANISATION = Slice("source's organisation", ascii_lowercase + digits, 10, 32)
SOURCE_UNIT = Slice("source's unit", _NAME)
BUCKET = Slice("bucket", ascii_lowercase + digits + "-.")
TOPIC = Slice("topic", ascii_lowercase + ascii_uppercase + digits + "-_.")
RULE = Slice("rule", ascii_lowercase + ascii_uppercase + digits + "-_./")
RESOURCE = Slice("resource", _NAME)

_ABSENT = Absent()
_FALSE, _TRUE = OneOf(("false",)), OneOf(("true",))
_IAM = (ACCOUNT, NAME)


def _arn(service: str, *rest: str | Given | Slice) -> tuple[str | Given | Slice, ...]:
    return ("arn:", Given.PARTITION, f":{service}:", *rest)


_ALWAYS: Keys = {
    "aws:SecureTransport": OneOf(("false", "true")),
    "aws:RequestedRegion": OneOf((Given.REGION,)),
    "aws:ResourceAccount": OneOf((Given.OWNER,)),
    "aws:CurrentTime": Measured(is_moment=True, optional=False),
    "aws:EpochTime": Measured(is_moment=False, optional=False),
}

_NO_ENDPOINT: Keys = dict.fromkeys(
    (
        "aws:SourceVpc",
        "aws:SourceVpcArn",
        "aws:SourceVpce",
        "aws:VpcSourceIp",
        "aws:VpceAccount",
        "aws:VpceOrgID",
        "aws:VpceOrgPaths",
    ),
    _ABSENT,
)
_INTERNET: Keys = {**_NO_ENDPOINT, "aws:SourceIp": Address()}

_ENDPOINT_OWNER = (ENDPOINT_ACCOUNT, VPC)
_ENDPOINT_ORG = (ENDPOINT_ORGANISATION, ENDPOINT_UNIT)
_OWN_ENDPOINT: Keys = {
    "aws:SourceIp": _ABSENT,
    "aws:SourceVpc": Spelled(_ENDPOINT_OWNER, ("vpc-", VPC)),
    "aws:SourceVpcArn": Spelled(
        _ENDPOINT_OWNER, _arn("ec2", Given.REGION, ":", ENDPOINT_ACCOUNT, ":vpc/vpc-", VPC), optional=True
    ),
    "aws:SourceVpce": Spelled((ENDPOINT,), ("vpce-", ENDPOINT)),
    "aws:VpcSourceIp": Open(optional=False),
    "aws:VpceAccount": Spelled(_ENDPOINT_OWNER, (ENDPOINT_ACCOUNT,), optional=True),
    "aws:VpceOrgID": Spelled(_ENDPOINT_ORG, ("o-", ENDPOINT_ORGANISATION), optional=True),
    "aws:VpceOrgPaths": Spelled(_ENDPOINT_ORG, ("o-", ENDPOINT_ORGANISATION, "/", ENDPOINT_UNIT), optional=True),
}

_NO_SOURCE: Keys = dict.fromkeys(
    (
        "aws:SourceArn",
        "aws:SourceAccount",
        "aws:SourceOwner",
        "aws:SourceOrgID",
        "aws:SourceOrgPaths",
        "aws:PrincipalServiceName",
        "aws:PrincipalServiceNamesList",
    ),
    _ABSENT,
)
_DIRECT: Keys = {**_ALWAYS, **_NO_SOURCE}

_NO_IDENTITY: Keys = dict.fromkeys(
    (
        "aws:PrincipalArn",
        "aws:PrincipalAccount",
        "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths",
        "aws:PrincipalTag/",
        "aws:username",
        "aws:TokenIssueTime",
        "aws:MultiFactorAuthPresent",
        "aws:MultiFactorAuthAge",
        "aws:SourceIdentity",
        "aws:FederatedProvider",
        "aws:AssumedRoot",
    ),
    _ABSENT,
)
_NOBODY: Keys = {
    **_DIRECT,
    **_NO_IDENTITY,
    "aws:PrincipalAccount": OneOf(("anonymous",)),
    "aws:PrincipalIsAWSService": _ABSENT,
    "aws:ViaAWSService": _FALSE,
    "aws:PrincipalType": OneOf(("Anonymous",)),
    "aws:userid": OneOf(("anonymous",)),
}

_ORG = (ORGANISATION, UNIT)
_SIGNED: Keys = {
    **_DIRECT,
    "aws:PrincipalAccount": Spelled(_IAM, (ACCOUNT,)),
    "aws:PrincipalIsAWSService": _FALSE,
    "aws:MultiFactorAuthPresent": OneOf(("false", "true"), optional=True),
    "aws:MultiFactorAuthAge": Measured(is_moment=False),
    "aws:TokenIssueTime": Measured(is_moment=True),
    "aws:ViaAWSService": OneOf(("false", "true")),
    "aws:PrincipalOrgID": Spelled(_ORG, ("o-", ORGANISATION), optional=True),
    "aws:PrincipalOrgPaths": Spelled(_ORG, ("o-", ORGANISATION, "/", UNIT), optional=True),
    "aws:username": _ABSENT,
}
_ROLE_ARN = Spelled(_IAM, _arn("iam", ":", ACCOUNT, ":role/", NAME))
_ROLE: Keys = {
    **_SIGNED,
    "aws:PrincipalArn": _ROLE_ARN,
    "aws:PrincipalType": OneOf(("AssumedRole",)),
    "aws:userid": Spelled((ROLE_ID, SESSION), ("AROA", ROLE_ID, ":", SESSION)),
}
_USER_ARN = Spelled(_IAM, _arn("iam", ":", ACCOUNT, ":user/", NAME))
_USER: Keys = {
    **_SIGNED,
    "aws:PrincipalArn": _USER_ARN,
    "aws:PrincipalType": OneOf(("User",)),
    "aws:username": Spelled(_IAM, (NAME,)),
    "aws:userid": Spelled((ROLE_ID,), ("AIDA", ROLE_ID)),
}
_ROOT_ARN = Spelled(_IAM, _arn("iam", ":", ACCOUNT, ":root"))
_ROOT: Keys = {
    **_SIGNED,
    "aws:PrincipalArn": _ROOT_ARN,
    "aws:PrincipalType": OneOf(("Account",)),
    "aws:userid": Spelled(_IAM, (ACCOUNT,)),
    "aws:PrincipalTag/": _ABSENT,
}
_FEDERATION = (ACCOUNT, FEDERATED_NAME)
_FEDERATED_ARN = Spelled(_FEDERATION, _arn("sts", ":", ACCOUNT, ":federated-user/", FEDERATED_NAME))
_FEDERATED: Keys = {
    **_SIGNED,
    "aws:PrincipalArn": _FEDERATED_ARN,
    "aws:PrincipalAccount": Spelled(_FEDERATION, (ACCOUNT,)),
    "aws:PrincipalType": OneOf(("FederatedUser",)),
    "aws:userid": Spelled(_FEDERATION, (ACCOUNT, ":", FEDERATED_NAME)),
}

_SOURCE_ORG = (SOURCE_ORGANISATION, SOURCE_UNIT)
_SERVICE: Keys = {
    **_ALWAYS,
    **_NO_IDENTITY,
    **_NO_ENDPOINT,
    "aws:PrincipalIsAWSService": _TRUE,
    "aws:ViaAWSService": _FALSE,
    "aws:SecureTransport": OneOf(("true", "false")),
    "aws:PrincipalType": _ABSENT,
    "aws:userid": _ABSENT,
    "aws:SourceIp": Address(optional=True),
    "aws:SourceOrgID": Spelled(_SOURCE_ORG, ("o-", SOURCE_ORGANISATION), optional=True),
    "aws:SourceOrgPaths": Spelled(_SOURCE_ORG, ("o-", SOURCE_ORGANISATION, "/", SOURCE_UNIT), optional=True),
}


_THE_SERVICE = OneOf((Given.SERVICE,))
_ANY_SERVICE = Spelled((SERVICE_NAME,), (SERVICE_NAME, ".amazonaws.com"))


def _service(name: OneOf | Spelled, *source: str | Given | Slice) -> Keys:
    """A service that acts for a resource, which it names by ARN and by account, or by one of them, or not at all."""
    slices = tuple(part for part in source if isinstance(part, Slice))
    if SOURCE_ACCOUNT not in slices:
        slices = (*slices, SOURCE_ACCOUNT)
    account = Spelled(slices, (SOURCE_ACCOUNT,), optional=True)
    return {
        **_SERVICE,
        "aws:PrincipalServiceName": name,
        "aws:PrincipalServiceNamesList": name,
        "aws:SourceArn": Spelled(slices, source, optional=True),
        "aws:SourceAccount": account,
        "aws:SourceOwner": account,
    }


_IN_ACCOUNT = (*SOURCE_REGION, ":", SOURCE_ACCOUNT, ":")
_ANYONE = "anyone on the internet, signed in to any AWS account"
_THROUGH = "through another VPC endpoint"

CALLERS: tuple[Caller, ...] = (
    Caller(_ANYONE, _ROLE_ARN, {**_ROLE, **_INTERNET}),
    Caller("anyone on the internet, without signing in", "anonymous", {**_NOBODY, **_INTERNET}),
    Caller(f"{_ANYONE} as an IAM user", _USER_ARN, {**_USER, **_INTERNET}),
    Caller(f"{_ANYONE} as its root user", _ROOT_ARN, {**_ROOT, **_INTERNET}),
    Caller(f"{_ANYONE} as a federated user", _FEDERATED_ARN, {**_FEDERATED, **_INTERNET}),
    Caller(f"anyone signed in to any AWS account, {_THROUGH}", _ROLE_ARN, {**_ROLE, **_OWN_ENDPOINT}),
    Caller(f"anyone without signing in, {_THROUGH}", "anonymous", {**_NOBODY, **_OWN_ENDPOINT}),
    Caller(f"any IAM user of any AWS account, {_THROUGH}", _USER_ARN, {**_USER, **_OWN_ENDPOINT}),
    Caller(f"the root user of any AWS account, {_THROUGH}", _ROOT_ARN, {**_ROOT, **_OWN_ENDPOINT}),
    Caller(f"any federated user of any AWS account, {_THROUGH}", _FEDERATED_ARN, {**_FEDERATED, **_OWN_ENDPOINT}),
    Caller(
        "Amazon SNS, acting for anyone's topic",
        Given.SERVICE,
        _service(_THE_SERVICE, *_arn("sns", *_IN_ACCOUNT, TOPIC)),
        "sns.amazonaws.com",
    ),
    Caller(
        "Amazon S3, acting for anyone's bucket",
        Given.SERVICE,
        _service(_THE_SERVICE, *_arn("s3", "::", BUCKET)),
        "s3.amazonaws.com",
    ),
    Caller(
        "Amazon EventBridge, acting for anyone's rule",
        Given.SERVICE,
        _service(_THE_SERVICE, *_arn("events", *_IN_ACCOUNT, RULE)),
        "events.amazonaws.com",
    ),
    Caller(
        "an AWS service, acting for anyone's resource",
        _ANY_SERVICE,
        _service(
            _ANY_SERVICE,
            "arn:",
            Given.PARTITION,
            ":",
            SERVICE,
            ":",
            *SOURCE_REGION_OR_NONE,
            ":",
            SOURCE_ACCOUNT,
            ":",
            RESOURCE,
        ),
    ),
    Caller(
        "an AWS service, acting for a resource whose ARN names no account",
        _ANY_SERVICE,
        _service(_ANY_SERVICE, "arn:", Given.PARTITION, ":", SERVICE, ":", *SOURCE_REGION_OR_NONE, "::", RESOURCE),
    ),
)


_OTHER_NAMES = (
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:Referer",
    "aws:RequestTag/",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:ResourceTag/",
    "aws:TagKeys",
    "aws:UserAgent",
)
_NAMES = {key.lower(): key for key in (*_OTHER_NAMES, *(key for caller in CALLERS for key in caller.keys))}


def name_of(key: str) -> str:
    """The name of a condition key as AWS writes it, from how it is in lower case."""
    family, slash, rest = key.partition("/")
    return _NAMES.get(f"{family}{slash}", f"{family}{slash}") + rest


_DOMAINS = {caller.words: {key.lower(): domain for key, domain in caller.keys.items()} for caller in CALLERS}
_OPEN = Open()


def domain_of(caller: Caller, key: str) -> Domain:
    """The values that a condition key, in lower case, can take in the requests of a caller."""
    domains = _DOMAINS[caller.words]
    domain = domains.get(key)
    if domain is None and "/" in key:
        domain = domains.get(key[: key.index("/") + 1])
    return _OPEN if domain is None else domain
