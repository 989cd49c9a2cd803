"""What travels between the rooms of the package: plain, immutable records and enums.

The records are named tuples: as frozen and slotted as a frozen, slotted dataclass, and a seventh of its price
to define, which every cold start of a Lambda function would pay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple, Protocol

__all__ = [
    "Ask",
    "Call",
    "Connection",
    "Facts",
    "Finding",
    "Identity",
    "IdentityKind",
    "KeyManager",
    "Mode",
    "Partition",
    "Practice",
    "Problem",
    "Profile",
    "Queue",
    "Role",
    "Rule",
    "Settings",
    "Subject",
    "Unreadable",
    "Verdict",
    "without_secrets",
]


class Mode(str, Enum):
    """What happens when a rule finds something: the call is refused, it is only reported, or the rule is not asked."""

    ENFORCE = "enforce"
    WARN = "warn"
    OFF = "off"


class Profile(str, Enum):
    """A named set of modes and levels; see the reference page "Configuration"."""

    BASELINE = "baseline"
    STRICT = "strict"
    OBSERVE = "observe"
    LOCAL = "local"


class Role(str, Enum):
    """The three kinds of user account access that the AWS page "Implement least-privilege access" names."""

    PRODUCER = "producer"
    CONSUMER = "consumer"
    ADMINISTRATOR = "administrator"


class Practice(str, Enum):
    """The six practices of the AWS page "Amazon SQS security best practices", by their anchors on that page."""

    NOT_PUBLIC = "ensure-queues-not-publicly-accessible"
    LEAST_PRIVILEGE = "implement-least-privilege-access"
    IAM_ROLES = "use-iam-roles-for-applications-aws-services-which-require-access"
    ENCRYPTION_AT_REST = "implement-server-side-encryption"
    ENCRYPTION_IN_TRANSIT = "enforce-encryption-data-in-transit"
    VPC_ENDPOINTS = "consider-using-vpc-endpoints-access-sqs"

    @property
    def url(self) -> str:
        """The paragraph of the Amazon SQS developer guide."""
        page = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html"
        return f"{page}#{self.value}"


class Subject(str, Enum):
    """What a rule looks at."""

    CALL = "call"
    CONNECTION = "connection"
    QUEUE = "queue"


class Queue(NamedTuple):
    """A queue as a call names it. `account` and `name` are empty when the URL does not say them."""

    url: str
    partition: str
    region: str
    account: str
    name: str

    @property
    def arn(self) -> str:
        """The queue's ARN, or "" when the URL does not name account and queue."""
        if not self.name:
            return ""
        return f"arn:{self.partition}:sqs:{self.region}:{self.account}:{self.name}"

    @property
    def shown(self) -> str:
        """The URL for a person to see."""
        return without_secrets(self.url)


def without_secrets(url: str) -> str:
    """A URL without what may be secret in it: user information, query and fragment."""
    url = url.partition("?")[0].partition("#")[0]
    before, at, after = url.rpartition("@")
    return f"{before[: before.rfind('/') + 1]}{after}" if at else url


class Call(NamedTuple):
    """One API call, as far as rules may look at it: no message body is in here."""

    operation: str
    role: Role | None


class IdentityKind(str, Enum):
    """What signed a request. ABSENT: there are no credentials, so botocore is about to say so and send nothing."""

    TEMPORARY = "temporary"
    LONG_TERM = "long-term"
    UNSIGNED = "unsigned"
    ABSENT = "absent"


class Identity(NamedTuple):
    """Who signed a request, without anything secret: of the access key id only the last four characters."""

    kind: IdentityKind
    key_tail: str = ""
    provider: str = ""
    renews_itself: bool = False


class Connection(NamedTuple):
    """The way out that one request is about to take.

    `addresses` is what the host resolves to, or None when no rule asked. `proxied` is true when a proxy carries the
    request, `proxy_sees_plain_text` when that proxy also reads it.
    """

    url: str
    service: str
    certificates_checked: bool
    proxied: bool
    proxy_sees_plain_text: bool
    identity: Identity
    partitions: tuple[Partition, ...]
    addresses: tuple[str, ...] | None = None


class Partition(NamedTuple):
    """A partition of AWS: its id, its DNS suffixes, and which names are regions of it."""

    id: str
    dns_suffix: str
    dual_stack_dns_suffix: str
    region_pattern: str
    regions: frozenset[str]


class KeyManager(str, Enum):
    """Who manages a KMS key, in the words of `kms:DescribeKey`."""

    AWS = "AWS"
    CUSTOMER = "CUSTOMER"


class Unreadable(NamedTuple):
    """A look-up that gave no facts: the error code, the permission that it needs, and what was being read."""

    code: str
    permission: str
    subject: str


class Facts(NamedTuple):
    """What the service says of a queue. Absent attributes are None, exactly as SQS leaves them out."""

    queue: Queue
    sse_sqs: bool = False
    kms_key: str = ""
    key_manager: KeyManager | Unreadable | None = None
    policy: str | None = None
    dead_letter: Facts | Unreadable | None = None


class Ask(NamedTuple):
    """A read-only API call that the caller is asked to make. `service` is "sqs" or "kms"."""

    service: str
    operation: str
    parameters: Mapping[str, object]


class Work(NamedTuple):
    """A judgement that the caller is asked to carry out: it may take long, and touches nothing else."""

    judge: Callable[[], Any]


class Problem(NamedTuple):
    """What one rule has to say; the judge turns it into a finding.

    `unverifiable` says that the rule could not tell, which is not the same as having seen something bad. `identities`
    tell whether a change brings a problem or only leaves it: the problem was there before when the problems before the
    change have all its identities (or `found`, where it has none).
    """

    found: str
    expected: str
    next_step: str
    unverifiable: bool = False
    identities: tuple[str, ...] = ()


class Finding(NamedTuple):
    """One thing that is wrong with a call, its queue or its connection.

    `rule` is the public name of the rule, `found`, `expected` and `next_step` are sentences for a person.
    `practice` is None for a finding which only says that something could not be read.
    """

    rule: str
    mode: Mode
    found: str
    expected: str
    next_step: str
    practice: Practice | None
    unverifiable: bool = False


class Verdict(NamedTuple):
    """All findings of one judgement, those that only warn included."""

    findings: tuple[Finding, ...] = ()

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that refuse the call."""
        return tuple(finding for finding in self.findings if finding.mode is Mode.ENFORCE)

    @property
    def unverifiable(self) -> bool:
        """True when it refuses, and only because something could not be told."""
        refusals = self.refusals
        return bool(refusals) and all(finding.unverifiable for finding in refusals)


class Settings(Protocol):
    """The part of the configuration that rules may read. `safe_sqs.Config` is one."""

    @property
    def loopback_is_safe(self) -> bool:
        """Plain HTTP and made-up credentials are fine to a loopback address."""

    @property
    def trusted_endpoint_hosts(self) -> tuple[str, ...]:
        """Hosts, or host:port, that are not AWS and still trusted."""

    @property
    def trusted_accounts(self) -> tuple[str, ...]:
        """AWS account ids that queue policies may name."""

    @property
    def vpcs(self) -> tuple[str, ...]:
        """Ids of the VPCs from which queues may be used."""

    @property
    def vpc_endpoints(self) -> tuple[str, ...]:
        """Ids of the VPC endpoints through which queues may be used."""

    def mode(self, rule: str) -> Mode:
        """The mode of a rule."""

    def level(self, rule: str) -> str:
        """The level of a rule that has levels, or ""."""


class Rule(NamedTuple):
    """One danger and the check for it.

    `check` takes the subject (`Call`, `Connection` or `Facts`) and the settings and yields every problem it sees.
    `attributes` are the queue attributes that it reads; `levels` go from the weakest to the strongest, and the
    weakest is the one of the profile `baseline`.
    """

    name: str
    title: str
    practice: Practice
    subject: Subject
    check: Callable[..., Iterable[Problem]]
    baseline: Mode
    attributes: frozenset[str] = frozenset()
    levels: tuple[str, ...] = ()
    strict_level: str = ""

    def mode_in(self, profile: Profile) -> Mode:
        """The mode of this rule in a profile."""
        return {Profile.STRICT: Mode.ENFORCE, Profile.OBSERVE: Mode.WARN}.get(profile, self.baseline)

    def level_in(self, profile: Profile) -> str:
        """The level of this rule in a profile; it has to have levels."""
        return self.strict_level if profile is Profile.STRICT else self.levels[0]
