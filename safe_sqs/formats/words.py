"""The words in which people are told how queues do, on a terminal and on a page, and texts made fit to be seen."""

from __future__ import annotations

from collections.abc import Mapping

from safe_sqs.evaluation import QUEUE_RULES, Compliance, Evaluation, Opinion, State
from safe_sqs.inspection import Inspection
from safe_sqs.model import Finding, Mode, Practice

__all__ = [
    "COMPLIANCE",
    "FAIL_ON",
    "JUDGED",
    "MEANINGS",
    "PRACTICES",
    "SHORT",
    "counted",
    "exemptions_in_words",
    "headline",
    "name_of",
    "opinion_in_words",
    "state_of",
    "visible",
]

PRACTICES: dict[Practice, str] = {
    Practice.NOT_PUBLIC: "Ensure queues aren't publicly accessible",
    Practice.LEAST_PRIVILEGE: "Implement least-privilege access",
    Practice.IAM_ROLES: "Use IAM roles for applications and AWS services",
    Practice.ENCRYPTION_AT_REST: "Implement server-side encryption",
    Practice.ENCRYPTION_IN_TRANSIT: "Enforce encryption of data in transit",
    Practice.VPC_ENDPOINTS: "Consider using VPC endpoints",
}
"""The practices by the headings of AWS."""

SHORT: dict[Practice, str] = {
    Practice.NOT_PUBLIC: "Not public",
    Practice.LEAST_PRIVILEGE: "Least privilege",
    Practice.IAM_ROLES: "IAM roles",
    Practice.ENCRYPTION_AT_REST: "Encrypted at rest",
    Practice.ENCRYPTION_IN_TRANSIT: "HTTPS only",
    Practice.VPC_ENDPOINTS: "VPC endpoints",
}
"""The same where there is little room, as the head of a column."""

JUDGED: tuple[Practice, ...] = tuple(
    practice for practice in Practice if any(rule.practice is practice for rule in QUEUE_RULES)
)
"""The practices that can be told from a queue. The others need a running program."""

MEANINGS: dict[State, str] = {
    State.REFUSED: "A rule that is enforced found something. The guard refuses to send to this queue and to receive.",
    State.WARNED: "A rule that warns found something. The guard reports it, and lets the call through.",
    State.UNKNOWN: "It could not be told, because something could not be read or understood. It is no pass.",
    State.PASSED: "The rules of the practice that were asked found nothing.",
    State.EXEMPT: "The configuration exempts the queue until a day, for a reason that it names.",
    State.OFF: "The rules of the practice are switched off in this configuration.",
    State.AT_RUN_TIME: "A queue cannot show it. The guard judges it in the running program, call by call.",
}

COMPLIANCE: dict[Compliance, str] = {
    Compliance.NON_COMPLIANT: "does not comply",
    Compliance.INSUFFICIENT_DATA: "could not tell",
    Compliance.COMPLIANT: "complies",
}

FAIL_ON: dict[Mode, str] = {
    Mode.WARN: "every finding counts, those that only warn as well",
    Mode.ENFORCE: "only findings that refuse count",
    Mode.OFF: "no finding counts, only what could not be told",
}
"""What decides whether a queue complies."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def headline(inspection: Inspection) -> str:
    """How all queues do, in one sentence, which does not hide that some could not be looked at."""
    told = _of_queues(inspection.tally.by_compliance)
    places = len(inspection.troubles)
    return (
        f"{told}, and {counted(places, 'place')} {'was' if places == 1 else 'were'} not looked at" if places else told
    )


def _of_queues(by_compliance: Mapping[Compliance, int]) -> str:
    bad, unclear, good = (by_compliance[each] for each in COMPLIANCE)
    total = bad + unclear + good
    if not total:
        return "No queues were found"
    if bad:
        return f"{bad:,} of {counted(total, 'queue')} {'does' if bad == 1 else 'do'} not comply"
    if unclear:
        return f"{unclear:,} of {counted(total, 'queue')} could not be judged"
    return "The queue complies" if total == 1 else f"All {total:,} queues comply"


def name_of(evaluation: Evaluation) -> str:
    """What a queue is called: its name, or its URL where that does not say a name."""
    return visible(evaluation.queue.name or evaluation.queue.shown or "a queue without a name")


def state_of(finding: Finding) -> State:
    """What a finding makes of the queue."""
    if finding.unverifiable:
        return State.UNKNOWN
    return State.REFUSED if finding.mode is Mode.ENFORCE else State.WARNED


def opinion_in_words(opinion: Opinion) -> str:
    """What somebody else says."""
    verb = {True: "agrees", False: "differs", None: "could not tell"}[opinion.agrees]
    return visible(f"{opinion.source} {verb}: {opinion.told}")


def exemptions_in_words(evaluation: Evaluation, inspection: Inspection) -> list[str]:
    """From which rules a queue is exempt, until when, and why."""
    told = []
    for rule, state in evaluation.states:
        if state is State.EXEMPT:
            found = inspection.config.exemption(rule, evaluation.queue.arn, inspection.at.date())
            why = f" until {found.until.isoformat()}: {found.reason}" if found else ""
            told.append(visible(f"Exempt from {rule}{why}"))
    return told


def visible(text: str) -> str:
    """The text in one line, with every character that would not be seen, or would move others, as its code.

    A queue's policy is written by anybody who may change it. What it says must not move the cursor, turn the direction
    of the text around, or bring a second line into a command that is copied.
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable() and character not in _LOOK_LIKE_NOTHING:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


_LOOK_LIKE_NOTHING = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters by their category, and yet empty."""
