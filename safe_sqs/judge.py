"""From what is known to findings. The judge asks every rule, and a rule that crashes has found something."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from safe_sqs import policy
from safe_sqs.config import Config
from safe_sqs.model import (
    Call,
    Connection,
    Facts,
    Finding,
    Mode,
    Problem,
    Queue,
    Rule,
    Subject,
    Unreadable,
    Verdict,
)
from safe_sqs.rules import ALL_RULES

__all__ = [
    "QUEUE_ATTRIBUTES",
    "REQUEST_BODY",
    "attributes_needed",
    "inside_a_look",
    "judge_call",
    "judge_change",
    "judge_connection",
    "judge_queue",
    "unreadable_request",
]

QUEUE_ATTRIBUTES = "queue-attributes"
"""The rule name of the finding that says that a queue's attributes could not be read."""

REQUEST_BODY = "request-body"
"""The rule name of the finding that says that a request could not be read."""


def judge_call(call: Call, config: Config) -> Verdict:
    """Everything that the call rules find in an operation."""
    return Verdict(tuple(_judge(Subject.CALL, call, config, config.mode)))


def judge_connection(connection: Connection, config: Config) -> Verdict:
    """Everything that the connection rules find in the way out of a request."""
    return Verdict(tuple(_judge(Subject.CONNECTION, connection, config, config.mode)))


def judge_queue(facts: Facts | Unreadable, queue: Queue, config: Config, today: date) -> Verdict:
    """Everything that the queue rules find in a queue, or that its facts could not be read."""
    if isinstance(facts, Unreadable):
        return Verdict((_unreadable(facts, queue, config),))

    def mode_of(rule: str) -> Mode:
        return Mode.OFF if config.exemption(rule, queue.arn, today) else config.mode(rule)

    findings = _judge(Subject.QUEUE, facts, config, mode_of)
    return Verdict(tuple(_soften(finding, queue, config) for finding in findings))


def judge_change(before: Facts, after: Facts, config: Config, today: date) -> Verdict:
    """What a change would add to the findings of a queue.

    What was wrong before and stays wrong is left out, so that a bad queue can be mended step by step.
    """
    known = {
        (rule.name, identity)
        for rule, problem in _problems(Subject.QUEUE, before, config)
        for identity in _identities(problem)
    }
    findings = []
    for rule, problem in _problems(Subject.QUEUE, after, config):
        mode = config.mode(rule.name)
        exempt = config.exemption(rule.name, after.queue.arn, today)
        is_new = any((rule.name, identity) not in known for identity in _identities(problem))
        if is_new and mode is not Mode.OFF and not exempt:
            found = f"after the change, {problem.found}"
            finding = _finding(rule, problem._replace(found=found), mode)
            findings.append(_soften(finding, after.queue, config))
    return Verdict(tuple(findings))


def unreadable_request(config: Config) -> Verdict:
    """The verdict about a request that cannot be read, so that its queue is not known."""
    finding = _cannot_tell(
        REQUEST_BODY,
        config,
        found="the body of the request is not the JSON that SQS speaks, so its queue is not known",
        expected="a request of botocore's SQS client, with its body as botocore wrote it",
        next_step="make the request with a client of boto3 1.35 or newer, and remove what rewrites its body",
    )
    return Verdict((finding,))


def inside_a_look(config: Config) -> Verdict:
    """The verdict about a call that a handler made while the guard was looking at the same queue."""
    finding = _cannot_tell(
        QUEUE_ATTRIBUTES,
        config,
        found="the call was made from within the guard's own look at the queue",
        expected="no use of the queue by handlers of GetQueueAttributes, nor by a log handler during that call",
        next_step="let the log handler that sends to this queue leave out what botocore and urllib3 log",
    )
    return Verdict((finding,))


def _cannot_tell(rule: str, config: Config, found: str, expected: str, next_step: str) -> Finding:
    """A finding that stands for all queue rules: it refuses where one of them does."""
    mode = Mode.ENFORCE if _enforced(config) else Mode.WARN
    return Finding(rule, mode, found, expected, next_step, practice=None, unverifiable=True)


def _enforced(config: Config) -> list[str]:
    return [rule.name for rule in ALL_RULES if rule.subject is Subject.QUEUE and config.mode(rule.name) is Mode.ENFORCE]


def attributes_needed(config: Config) -> frozenset[str]:
    """The queue attributes that the rules read which are not off."""
    wanted: frozenset[str] = frozenset()
    for rule in ALL_RULES:
        if rule.subject is Subject.QUEUE and config.mode(rule.name) is not Mode.OFF:
            wanted |= rule.attributes
    return wanted


def _judge(subject: Subject, thing: object, config: Config, mode_of: Callable[[str], Mode]) -> Iterable[Finding]:
    for rule, problem in _problems(subject, thing, config):
        mode = mode_of(rule.name)
        if mode is not Mode.OFF:
            yield _finding(rule, problem, mode)


def _problems(subject: Subject, thing: object, config: Config) -> Iterable[tuple[Rule, Problem]]:
    for rule in ALL_RULES:
        if rule.subject is subject and config.mode(rule.name) is not Mode.OFF:
            for problem in _ask(rule, thing, config):
                yield rule, problem


def _ask(rule: Rule, thing: object, config: Config) -> list[Problem]:
    """What a rule says. A crash counts: a rule that could not look must not let anything pass."""
    try:
        return list(rule.check(thing, config))
    except policy.PolicyError as error:
        return [
            Problem(
                found=f"the queue's policy cannot be read: {error}",
                expected="a policy by the grammar of IAM",
                next_step="correct the policy, or set it anew",
                unverifiable=True,
            )
        ]
    except Exception as error:  # any crash of a rule, whatever it is, must refuse
        return [
            Problem(
                found=f"the rule failed ({type(error).__name__})",
                expected="a rule that can tell",
                next_step="report this to the maintainers of safe_sqs, with the queue's attributes",
                unverifiable=True,
            )
        ]


def _finding(rule: Rule, problem: Problem, mode: Mode) -> Finding:
    return Finding(
        rule=rule.name,
        mode=mode,
        found=problem.found,
        expected=problem.expected,
        next_step=problem.next_step,
        practice=rule.practice,
        unverifiable=problem.unverifiable,
    )


def _soften(finding: Finding, queue: Queue, config: Config) -> Finding:
    if finding.unverifiable and finding.mode is Mode.ENFORCE:
        return finding._replace(mode=config.mode_when_unverifiable(queue.arn))
    return finding


def _unreadable(facts: Unreadable, queue: Queue, config: Config) -> Finding:
    finding = _cannot_tell(
        QUEUE_ATTRIBUTES,
        config,
        found=f"the queue's attributes could not be read: {facts.code}",
        expected=f"an answer, for {', '.join(_enforced(config)) or 'the rules that warn'}",
        next_step=_next_step(facts),
    )
    return _soften(finding, queue, config)


def _next_step(facts: Unreadable) -> str:
    if facts.permission:
        return (
            f"allow {facts.permission} on the queue to this program; for a queue of somebody else's, "
            'set when_unverifiable to "warn" for its ARN'
        )
    return "try again; if it stays so, look at the queue with aws sqs get-queue-attributes"


def _identities(problem: Problem) -> tuple[str, ...]:
    return problem.identities or (problem.found,)
