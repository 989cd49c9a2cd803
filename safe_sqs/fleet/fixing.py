"""What would mend a live queue: step by step, each one SetQueueAttributes, and what a person has to do.

The policy is mended by `writing.repair`, each rule by itself, so that each can be agreed to by itself. What a step
would do is judged before it is offered: it has to close what was found, may add nothing, and may lock nobody out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from difflib import unified_diff
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from safe_sqs.config import Config, asking_only
from safe_sqs.fleet.access import Account
from safe_sqs.fleet.looks import look
from safe_sqs.fleet.rollback import Attributes, Change, Rollback, put, touched_in, wait_for
from safe_sqs.judge import QUEUE_ATTRIBUTES, judge_change, judge_queue
from safe_sqs.model import Facts, Finding, KeyManager, Mode, Queue, Unreadable, without_secrets
from safe_sqs.policy import PolicyError, foreign_accounts, parse
from safe_sqs.rules import dead_letter_queue, queue_encryption
from safe_sqs.writing.lockout import NEEDED_BY_CALLER, key_is_closed_to, locked_out, rests_on_policy
from safe_sqs.writing.repair import POLICY_RULES, Repair, repair

__all__ = [
    "FIXABLE",
    "Caller",
    "Key",
    "Left",
    "NotSpreadError",
    "Plan",
    "Seen",
    "Step",
    "UnfitKeyError",
    "Wishes",
    "apply_step",
    "caller_of",
    "key_of",
    "plan",
    "read_present",
    "see",
    "seen_after",
]

_ENCRYPTION = queue_encryption.RULE.name
_DEAD_LETTER = dead_letter_queue.RULE.name
_IN_ORDER = (*POLICY_RULES, _ENCRYPTION)
FIXABLE = (*_IN_ORDER, _DEAD_LETTER)
"""The rules that can be asked for: all that judge queues."""


class Caller(NamedTuple):
    """Who makes the changes: the ARN, or "" where it is not known, and whether its identity policies alone let it read
    and change the attributes of a queue (None: not known)."""

    arn: str
    may_by_itself: Callable[[Queue], bool | None]


class Key(NamedTuple):
    """The KMS key that was chosen: as it was named, who manages it, and its policy, None where that cannot be read."""

    name: str
    manager: KeyManager | Unreadable
    policy: str | None


class UnfitKeyError(ValueError):
    """The key that was chosen cannot encrypt a queue. The message says why."""


class NotSpreadError(Exception):
    """A change has not arrived everywhere after the time that SQS says it takes."""


class Wishes(NamedTuple):
    """What somebody wants to have mended, and by what: `rules` None stands for all that are on."""

    config: Config
    today: date
    caller: Caller
    rules: frozenset[str] | None = None
    key: Key | None = None


class Seen(NamedTuple):
    """A queue as it is: the facts by which it is judged, its attributes that a fix may touch, and those of its
    dead-letter queue: None where it has none that can be read, and where nothing is to be offered for it."""

    facts: Facts
    present: Attributes
    dead_letter: Attributes | None


class Step(NamedTuple):
    """One change that is offered. `rules` are those that it mends, `remarks` what to know before agreeing; `expected`
    are all attributes that a fix may touch as they have to be before it, `before` and `after` those that it touches."""

    queue: Queue
    rules: tuple[str, ...]
    title: str
    words: tuple[str, ...]
    remarks: tuple[str, ...]
    expected: Attributes
    before: Attributes
    after: Attributes
    diff: str

    @property
    def resulting(self) -> Attributes:
        """All attributes that a fix may touch, as they are after it."""
        return {**self.expected, **self.after}

    @property
    def name(self) -> tuple[str, tuple[str, ...]]:
        """What tells it from others, however often it is planned anew."""
        return (self.queue.url, self.rules)


class Left(NamedTuple):
    """What a person has to do: a finding, and why it is left."""

    finding: Finding
    reason: str


class Plan(NamedTuple):
    """What is offered for a queue and its dead-letter queue, and what is left when all of that is done."""

    queue: Queue
    steps: tuple[Step, ...]
    left: tuple[Left, ...]


# --- what is there -----------------------------------------------------------------------------------------------


def read_present(client: Any, url: str) -> dict[str, str]:
    """The attributes of a queue that a fix may touch."""
    return touched_in(_attributes_of(client, url))


def _attributes_of(client: Any, url: str) -> Mapping[str, str]:
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    attributes: Mapping[str, str] = answer.get("Attributes", {})
    return attributes


def see(client: Any, url: str, config: Config) -> Seen | Unreadable:
    """Look at a queue and at its dead-letter queue, through a guarded client.

    Raises RefusedError when the way out is not safe, and what botocore raises.
    """
    attributes = _attributes_of(client, url)
    facts = look(client, url, config, attributes=attributes).facts
    if isinstance(facts, Unreadable):
        return facts
    dead_letter = read_present(client, facts.dead_letter.queue.url) if isinstance(facts.dead_letter, Facts) else None
    return Seen(facts, touched_in(attributes), dead_letter)


def caller_of(account: Account, region: str | None) -> Caller:
    """Who the credentials are of, asked of STS."""
    quick = {"retries": {"total_max_attempts": 2}, "connect_timeout": 5, "read_timeout": 10}
    try:
        arn = str(account.client("sts", region, **quick).get_caller_identity()["Arn"])
    except Exception:  # without an answer it is asked for everybody who may be the caller
        return Caller("", lambda _: None)

    def may_by_itself(queue: Queue) -> bool | None:
        try:
            return _is_allowed_by_identity(account.client("iam", region, **quick), arn, queue)
        except Exception:  # an answer is a help; whatever there is in its place, it is not known
            return None

    return Caller(arn, may_by_itself)


def _is_allowed_by_identity(iam: Any, arn: str, queue: Queue) -> bool:
    """What the policies of a role or user say, without that of the queue: "IAM policy simulator"."""
    what, _, rest = arn.split(":", 5)[-1].partition("/")
    if what == "root":
        return True
    if what == "assumed-role":  # the ARN of a session leaves out the path of its role
        arn = iam.get_role(RoleName=rest.partition("/")[0])["Role"]["Arn"]
    answer = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=[f"sqs:{name}" for name in NEEDED_BY_CALLER], ResourceArns=[queue.arn]
    )
    decisions = [result["EvalDecision"] for result in answer["EvaluationResults"]]
    return len(decisions) == len(NEEDED_BY_CALLER) and set(decisions) == {"allowed"}


def key_of(account: Account, region: str | None, name: str) -> Key:
    """The KMS key of a name: an id, an ARN or an alias. Raises UnfitKeyError for one that cannot encrypt a queue."""
    kms = account.client("kms", region)
    try:
        metadata = kms.describe_key(KeyId=name)["KeyMetadata"]
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if "AccessDenied" not in code:
            raise UnfitKeyError(f"KMS knows no key {name!r} in {region} ({code})") from error
        return Key(name, Unreadable(code, "kms:DescribeKey", name), None)
    state, usage = metadata.get("KeyState", "Enabled"), metadata.get("KeyUsage", "ENCRYPT_DECRYPT")
    spec = metadata.get("KeySpec", "SYMMETRIC_DEFAULT")
    if (state, usage, spec) != ("Enabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"):
        raise UnfitKeyError(f"the key {name!r} cannot encrypt a queue: it is {state}, for {usage}, {spec}")
    try:
        policy = str(kms.get_key_policy(KeyId=metadata["KeyId"], PolicyName="default")["Policy"])
    except ClientError:
        policy = None
    is_of_aws = metadata.get("KeyManager") == "AWS" or name.endswith(queue_encryption.AWS_MANAGED_ALIAS)
    return Key(name, KeyManager.AWS if is_of_aws else KeyManager.CUSTOMER, policy)


# --- the plan ----------------------------------------------------------------------------------------------------


def plan(seen: Seen, wishes: Wishes, declined: Mapping[tuple[str, tuple[str, ...]], str] = {}) -> Plan:
    """What would mend a queue, and its dead-letter queue as far as the rule about that finds something.

    `declined` are the names of steps that are not to be offered, with the reason.
    """
    work = _Work(wishes, declined, [], {})
    facts, config = seen.facts, wishes.config
    mended = work.mend(facts, seen.present, config, ())
    if isinstance(facts.dead_letter, Facts) and seen.dead_letter is not None and _is_on(facts.queue, wishes):
        held_to = {Mode.ENFORCE, config.mode(_DEAD_LETTER)}
        binding = {rule for rule in _IN_ORDER if config.mode(rule) in held_to}
        dead_letter = work.mend(facts.dead_letter, seen.dead_letter, asking_only(config, binding), (_DEAD_LETTER,))
        mended = mended._replace(dead_letter=dead_letter)
    elif isinstance(facts.dead_letter, Facts):
        work.reasons.update({(_DEAD_LETTER, rule): _WITH_ANOTHER for rule in _IN_ORDER})
    left = [
        Left(finding, work.reasons.get(_place(finding), ""))
        for finding in judge_queue(mended, facts.queue, config, wishes.today).findings
        if wishes.rules is None or finding.rule in {*wishes.rules, QUEUE_ATTRIBUTES}
    ]
    return Plan(facts.queue, tuple(work.steps), tuple(left))


_WITH_ANOTHER = "that queue is looked at by itself in this run"


def _is_on(queue: Queue, wishes: Wishes) -> bool:
    return wishes.config.mode(_DEAD_LETTER) is not Mode.OFF and not wishes.config.exemption(
        _DEAD_LETTER, queue.arn, wishes.today
    )


def _place(finding: Finding) -> tuple[str, ...]:
    """Which rule found something, and where: what the rule about dead-letter queues finds begins with the other's
    name."""
    if finding.rule != _DEAD_LETTER:
        return (finding.rule,)
    return (finding.rule, finding.found.partition(",")[0])


class _Work(NamedTuple):
    """A plan that is being made: `reasons` says why something is left."""

    wishes: Wishes
    declined: Mapping[tuple[str, tuple[str, ...]], str]
    steps: list[Step]
    reasons: dict[tuple[str, ...], str]

    def mend(self, facts: Facts, present: Attributes, config: Config, source: tuple[str, ...]) -> Facts:
        """Plan the steps for one queue, and return it as it would be after them."""
        for rule in _IN_ORDER:
            name = (*source, rule)
            if self.wishes.rules is not None and name[0] not in self.wishes.rules:
                continue
            found = judge_queue(facts, facts.queue, asking_only(config, {rule}), self.wishes.today).findings
            if not found:
                continue
            if (facts.queue.url, name) in self.declined:
                self.reasons[name] = self.declined[facts.queue.url, name]
                continue
            offered = self._encryption(facts) if rule == _ENCRYPTION else self._policy(facts, rule, config)
            if isinstance(offered, str):
                self.reasons[name] = offered
                continue
            after = _after(facts, offered.attributes, self.wishes.key)
            worse = judge_change(facts, after, config, self.wishes.today).findings
            if worse:
                self.reasons[name] = f"not offered, since {worse[0].found}"
                continue
            before = {name: present[name] for name in offered.attributes}
            rest = (offered.title, offered.words, offered.remarks, present, before, offered.attributes, offered.diff)
            self.steps.append(Step(facts.queue, name, *rest))
            facts, present = after, {**present, **offered.attributes}
        return facts

    def _policy(self, facts: Facts, rule: str, config: Config) -> _Offer | str:
        """What would mend the policy by one rule, or why it is not offered."""
        queue, text = facts.queue, facts.policy
        try:
            repaired = repair(queue, text, asking_only(config, {rule}), self.wishes.today)
            if not repaired.is_changed:
                return ""
            if repaired.limits:
                return f"not offered, since the policy would have {' and '.join(repaired.limits)}"
            trouble = self._lock_out(queue, text, repaired.after)
        except (PolicyError, ValueError) as error:
            return f"not offered: {error}"
        if isinstance(trouble, str):
            return trouble
        remarks = (*_remarks_on(rule, queue, text), *trouble)
        words = tuple(change.words for change in repaired.changes)
        return _Offer(_TITLES[rule], words, remarks, {"Policy": repaired.after or ""}, _diff(repaired, queue))

    def _lock_out(self, queue: Queue, before: str | None, after: str | None) -> str | tuple[str, ...]:
        """Why a change of the policy is not offered, or what is to be said of it."""
        caller = self.wishes.caller
        trusted = self.wishes.config.trusted_accounts
        found = locked_out(before, after, queue_arn=queue.arn, caller=caller.arn, trusted_accounts=trusted)
        if found:
            return f"not offered, since {'; '.join(map(str, found))}"
        if caller.arn and not rests_on_policy(before, after, queue_arn=queue.arn, caller=caller.arn):
            return ()
        may = caller.may_by_itself(queue)
        if may is False:
            return (
                f"not offered, since the caller {caller.arn} may change this queue only by its policy as it is, and "
                "could not undo the change"
            )
        who = f"you ({caller.arn})" if caller.arn else "you (STS did not say who that is)"
        return () if may else (f"It is not known whether {who} may change this queue by an identity policy.",)

    def _encryption(self, facts: Facts) -> _Offer | str:
        """What would encrypt the queue as the rule wants it, or why it is not offered."""
        key = self.wishes.key
        if key is not None:
            return _with_key(facts, key)
        if facts.kms_key or self.wishes.config.level(_ENCRYPTION) != queue_encryption.ANY:
            return "a key has to be chosen, and let its users use it: --kms-key KEY"
        return _Offer(
            "Turn on server-side encryption (SSE-SQS)",
            ("set SqsManagedSseEnabled to true",),
            ("From then on SQS refuses requests over plain HTTP, and requests that nobody signed.",),
            {"SqsManagedSseEnabled": "true"},
            _diff_of_attributes({"SqsManagedSseEnabled": "false"}, {"SqsManagedSseEnabled": "true"}),
        )


class _Offer(NamedTuple):
    title: str
    words: tuple[str, ...]
    remarks: tuple[str, ...]
    attributes: Attributes
    diff: str


_TITLES = {
    "public-access": "Let in nobody but those whom the policy names",
    "least-privilege": "Grant no more than is needed",
    "tls-only-policy": "Deny plain HTTP to everyone",
    "vpc-only-policy": "Let in nobody from outside the VPC",
}


def _remarks_on(rule: str, queue: Queue, policy: str | None) -> Iterator[str]:
    if rule == "public-access":
        yield (
            "Strangers lose their access. So does whoever in account "
            f"{queue.account} relied on it without an identity policy that allows it."
        )
    if rule == "tls-only-policy":
        named = sorted({name for each in parse(policy) if each.allows for _, name in each.principals if name != "*"})
        also = f", {' and '.join(named)} included" if named else ""
        yield f"Whoever comes over plain HTTP is refused from then on{also}. HTTPS goes on as before."


def _diff(repaired: Repair, queue: Queue) -> str:
    return repaired.diff(f"policy of {queue.name}")


def _diff_of_attributes(before: Attributes, after: Attributes) -> str:
    old, new = ([f"{name}={value}\n" for name, value in side.items()] for side in (before, after))
    return "".join([*unified_diff(old, new, n=0)][3:])


def _after(facts: Facts, attributes: Attributes, key: Key | None) -> Facts:
    """The facts about a queue with some attributes changed."""
    if "Policy" in attributes:
        facts = facts._replace(policy=attributes["Policy"] or None)
    if "SqsManagedSseEnabled" in attributes:
        facts = facts._replace(sse_sqs=attributes["SqsManagedSseEnabled"] == "true")
    if "KmsMasterKeyId" in attributes:
        facts = facts._replace(kms_key=attributes["KmsMasterKeyId"], key_manager=key.manager if key else None)
    return facts


def _with_key(facts: Facts, key: Key) -> _Offer | str:
    queue = facts.queue
    try:
        allows = [statement for statement in parse(facts.policy) if statement.allows]
        foreign = [each.name for each in foreign_accounts(facts.policy, queue_arn=queue.arn)]
        closed = key_is_closed_to(key.policy, facts.policy, queue_arn=queue.arn) if key.policy else ()
    except PolicyError as error:
        return f"not offered: {error}"
    if key.manager is KeyManager.AWS and foreign:
        return f"not offered, since {' and '.join(foreign)} could not use a queue under a key that AWS manages"
    if closed:
        return f"not offered, since the policy of the key {key.name} lets none of these use it: {', '.join(closed)}"
    before = {"KmsMasterKeyId": facts.kms_key, "SqsManagedSseEnabled": "true" if facts.sse_sqs else "false"}
    after = {"KmsMasterKeyId": key.name, "SqsManagedSseEnabled": "false"}
    if facts.kms_key:
        del before["SqsManagedSseEnabled"], after["SqsManagedSseEnabled"]
    named = sorted({name for statement in allows for _, name in statement.principals if name != "*"})
    remarks = [
        f"WHOEVER MAY NOT USE THE KEY {key.name} IS LOCKED OUT. Senders need kms:GenerateDataKey and kms:Decrypt on it "
        "and receivers kms:Decrypt; services get both by the policy of the key.",
        f"The policy of the queue names: {', '.join(named)}." if named else "The policy of the queue names nobody.",
        "From then on SQS refuses requests over plain HTTP, and requests that nobody signed.",
    ]
    if key.policy is None:
        remarks.insert(1, "The policy of the key could not be read, so it is not known whom it lets in.")
    words = (f"set KmsMasterKeyId to {key.name}",)
    return _Offer("Encrypt with a KMS key (SSE-KMS)", words, tuple(remarks), after, _diff_of_attributes(before, after))


# --- the change --------------------------------------------------------------------------------------------------


def seen_after(seen: Seen, step: Step, wishes: Wishes) -> Seen:
    """A queue as it is when a step has been made, to it or to its dead-letter queue."""
    if step.queue.url == seen.facts.queue.url:
        return seen._replace(facts=_after(seen.facts, step.after, wishes.key), present=step.resulting)
    assert isinstance(seen.facts.dead_letter, Facts)
    dead_letter = _after(seen.facts.dead_letter, step.after, wishes.key)
    return seen._replace(facts=seen.facts._replace(dead_letter=dead_letter), dead_letter=step.resulting)


def apply_step(client: Any, step: Step, rollback: Rollback, earlier: Iterable[Attributes] = ()) -> None:
    """Make one change through a guarded client, with the way back on the disk first.

    Raises OtherStateError, before anything is changed, when the queue is not as the plan has it; NotSpreadError when it
    is still as it was `earlier` in this run; OSError for the file; and what the client raises.
    """
    present = wait_for(lambda: read_present(client, step.queue.url), step.expected, earlier)
    if present is None:
        raise NotSpreadError
    before = {name: present[name] for name in step.after}
    rollback.record(
        Change(
            step.queue.shown,
            step.queue.arn,
            step.queue.region,
            without_secrets(client.meta.endpoint_url),
            step.rules,
            step.words,
            before,
            step.after,
        )
    )
    put(client, step.queue.url, step.after, present)
