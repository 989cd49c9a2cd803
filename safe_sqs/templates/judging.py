"""From what a file has to evaluations: the same rules and the same judge as for a queue that is there.

What a file leaves open is judged for everything that it may turn out as. A rule that says the same each time has been
told; one that does not could not be told, which counts as not safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from safe_sqs.config import Config
from safe_sqs.evaluation import QUEUE_RULES, Evaluation, State, evaluation_of
from safe_sqs.judge import judge_queue
from safe_sqs.model import Facts, Finding, KeyManager, Mode, Queue, Rule, Unreadable, Verdict
from safe_sqs.rules import RULES_BY_NAME
from safe_sqs.rules.queue_encryption import AWS_MANAGED_ALIAS
from safe_sqs.templates.found import Branch, FoundPolicy, Kind, Settings
from safe_sqs.templates.standins import shapes_of

__all__ = ["evaluate"]

_MOST_OPEN_NAMED = 5


def evaluate(
    found: FoundPolicy, config: Config, today: date, *, others: Iterable[FoundPolicy] = (), url: str = ""
) -> Evaluation:
    """How a queue of a file does by the rules; of a policy alone only those about policies are asked.

    `others` is all that was found in the same run, where its dead-letter queue may be; the last of a name counts. With
    a `url`, the evaluation calls the queue by that alone: its place in the file, for it may have no ARN yet.
    """
    known = {each.queue.arn: each for each in others if each.queue.arn}
    findings: list[Finding] = []
    for branch in found.branches:
        for finding in _of_branch(found, branch, config, today, known):
            if finding not in findings:
                findings.append(finding)
    shown = found.queue._replace(**{name: found.shown(getattr(found.queue, name)) for name in _SHOWN})
    if url:
        shown = shown._replace(url=url, name="")
    evaluation = evaluation_of(found.queue, Verdict(tuple(findings)), config, today)._replace(queue=shown)
    return _about_the_policy(evaluation) if found.is_bare else evaluation


_SHOWN = ("region", "account", "name")


def _about_the_policy(evaluation: Evaluation) -> Evaluation:
    asked = {rule.name for rule in QUEUE_RULES if _reads_policy(rule)}
    states = tuple((rule, state if rule in asked else State.OFF) for rule, state in evaluation.states)
    return evaluation._replace(
        states=states, findings=tuple(each for each in evaluation.findings if each.rule in asked)
    )


def _reads_policy(rule: Rule) -> bool:
    return "Policy" in rule.attributes


def _of_branch(
    found: FoundPolicy, branch: Branch, config: Config, today: date, known: Mapping[str, FoundPolicy]
) -> list[Finding]:
    """What holds for every shape of a branch, and what could not be told because it does not hold for each."""
    verdicts = [judge_queue(facts, found.queue, config, today).findings for facts in _facts(found.queue, branch, known)]
    result: list[Finding] = []
    for rule in QUEUE_RULES:
        by_shape = [[each for each in verdict if each.rule == rule.name] for verdict in verdicts]
        if all(map(_is_certain, by_shape)) or all(shape == by_shape[0] for shape in by_shape):
            result += by_shape[0]
        elif any(by_shape):
            result.append(_doubt(found, rule, next(filter(None, by_shape))[0], config))
    return [_told(found, branch, each) for each in result]


def _is_certain(findings: list[Finding]) -> bool:
    return any(not finding.unverifiable for finding in findings)


def _facts(queue: Queue, branch: Branch, known: Mapping[str, FoundPolicy]) -> list[Facts]:
    """All that the queue may turn out as, the likeliest first."""
    settings = branch.settings or (Settings(sse_sqs=True),)
    policies = shapes_of(branch.document, queue.arn)
    first = [_one(queue, policies[0], each, known) for each in settings]
    return [*first, *(_one(queue, policy, settings[0], known) for policy in policies[1:])]


def _one(queue: Queue, policy: str | None, settings: Settings, known: Mapping[str, FoundPolicy]) -> Facts:
    return Facts(
        queue,
        sse_sqs=settings.sse_sqs,
        kms_key=settings.kms_key,
        key_manager=_manager(settings),
        policy=policy,
        dead_letter=_dead_letter(settings.dead_letter, known),
    )


def _manager(settings: Settings) -> KeyManager | Unreadable | None:
    if settings.key_manager is not None or not settings.kms_key:
        return settings.key_manager
    if settings.kms_key == AWS_MANAGED_ALIAS or settings.kms_key.endswith(f":{AWS_MANAGED_ALIAS}"):
        return KeyManager.AWS
    return Unreadable("the file does not say it", "", settings.kms_key)


def _dead_letter(arn: str, known: Mapping[str, FoundPolicy]) -> Facts | Unreadable | None:
    if not arn:
        return None
    found = known.get(arn)
    if found is None or not found.branches[0].settings:
        return Unreadable(_ELSEWHERE, "", arn)
    branch = found.branches[0]
    shape = shapes_of(branch.document, found.queue.arn)[0]
    return _one(found.queue, shape, branch.settings[-1]._replace(dead_letter=""), known)


def _doubt(found: FoundPolicy, rule: Rule, worst: Finding, config: Config) -> Finding:
    names = found.unresolved
    shown = ", ".join(names[:_MOST_OPEN_NAMED]) + (", ..." if len(names) > _MOST_OPEN_NAMED else "")
    if names:
        why = f"it hangs on {shown}, known only when it is deployed"
        next_step = f"say it with --value '{names[0]}=VALUE', or look at the queue when it is deployed"
    else:
        why = "it hangs on whether the resources of its statements are this queue"
        next_step = f"let the Resource be the queue's ARN, as in {found.queue.arn}"
    mode = config.mode(rule.name)
    if mode is Mode.ENFORCE:
        mode = config.mode_when_unverifiable(found.queue.arn)
    return worst._replace(
        mode=mode,
        found=f"it could not be told: {why} (at worst, {worst.found})",
        next_step=next_step,
        practice=RULES_BY_NAME[rule.name].practice,
        unverifiable=True,
    )


def _told(found: FoundPolicy, branch: Branch, finding: Finding) -> Finding:
    """A finding in the words of the file."""
    when = f"where {branch.told}: " if branch.told and len(found.branches) > 1 else ""
    return finding._replace(
        found=found.shown(f"{when}{finding.found}"),
        expected=found.shown(finding.expected),
        next_step=found.shown(_in_the_file(found, finding)),
    )


_ELSEWHERE = "it is in none of the files that are judged"


def _in_the_file(found: FoundPolicy, finding: Finding) -> str:
    """A next step that is for a queue which is there, as what to do about the file."""
    next_step = finding.next_step
    if _ELSEWHERE in finding.found:
        return "judge the file with that queue in the same run, or pass --mode dead-letter-queue=off"
    command, is_command, setting = next_step.partition(" --attributes ")
    if not command.startswith("aws sqs set-queue-attributes") or not is_command:
        return next_step
    name, _, value = setting.partition("=")
    if found.kind == Kind.TERRAFORM:
        name = {"SqsManagedSseEnabled": "sqs_managed_sse_enabled", "KmsMasterKeyId": "kms_master_key_id"}.get(
            name, name
        )
    return f"set {name} to {value}"


_IN_TERRAFORM = {"SqsManagedSseEnabled": "sqs_managed_sse_enabled", "KmsMasterKeyId": "kms_master_key_id"}
