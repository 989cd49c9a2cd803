"""Exemptions by pattern that look wide and are narrow, and softer settings that soften something else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date, timedelta

from support import REGION, UNENCRYPTED

from bypasses.stage import ACCOUNT, NEXT_WEEK, Stage, name_of
from bypasses.ways import Family

FAMILY = Family("exemptions by pattern")
way, out_of_scope = FAMILY.way, FAMILY.out_of_scope

ENCRYPTION = "queue-encryption"

EXEMPTIONS: dict[str, tuple[str, Callable[[Stage], tuple[str, str]]]] = {
    "from-another-rule": ("from another rule", lambda _: ("*", "public-access")),
    "from-a-weaker-rule": ("from a rule that only warns", lambda _: ("*", "tls-only-policy")),
    "for-names-that-go-on": ("for names that go on", lambda stage: (stage.arn(stage.bad, "-*"), ENCRYPTION)),
    "for-longer-names": ("for names that are longer", lambda stage: (stage.arn(stage.bad, "?"), ENCRYPTION)),
    "for-a-shorter-name": ("for a shorter name", lambda stage: (stage.arn(stage.bad)[:-1], ENCRYPTION)),
    "in-upper-case": (
        "for the name in upper case",
        lambda stage: (stage.arn(stage.bad).replace(name_of(stage.bad), name_of(stage.bad).upper()), ENCRYPTION),
    ),
    "for-another-region": (
        "for another region", lambda stage: (stage.arn(stage.bad).replace(REGION, "eu-west-1"), ENCRYPTION),
    ),
    "for-another-account": (
        "for another account", lambda stage: (stage.arn(stage.bad).replace(ACCOUNT, "999999999999"), ENCRYPTION),
    ),
    "for-another-partition": (
        "for another partition", lambda stage: (stage.arn(stage.bad).replace("aws", "aws-cn", 1), ENCRYPTION),
    ),
    "with-a-regular-expression": (
        "by a regular expression", lambda _: (f"arn:aws:sqs:{REGION}:{ACCOUNT}:.+", ENCRYPTION),
    ),
    "with-a-class-of-letters": (
        "by a class of letters, as shells have them", lambda _: (f"arn:aws:sqs:{REGION}:{ACCOUNT}:[a-z]*", ENCRYPTION),
    ),
    "with-alternatives": (
        "by alternatives, as shells have them",
        lambda stage: (f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{{name_of(stage.bad)},other}}", ENCRYPTION),
    ),
    "for-fifo-queues": (
        "for FIFO queues", lambda _: (f"arn:aws:sqs:{REGION}:{ACCOUNT}:*.fifo", ENCRYPTION),
    ),
    "for-a-queue-url": (
        "for the queue's URL, which is no ARN", lambda stage: (stage.bad, ENCRYPTION),
    ),
    "for-a-bare-name": ("for the bare name, which is no ARN", lambda stage: (name_of(stage.bad), ENCRYPTION)),
    "for-a-part-of-the-arn": (
        "for a part of the ARN", lambda stage: (f"{ACCOUNT}:{name_of(stage.bad)}", ENCRYPTION),
    ),
    "for-dead-letter-queues-only": ("from the rule about dead-letter queues", lambda _: ("*", "dead-letter-queue")),
    "from-a-rule-that-does-not-exist": ("from a rule that does not exist", lambda _: ("*", "encryption")),
    "from-all-rules": ("from all rules by a star", lambda _: ("*", "*")),
}  # fmt: skip


def by_exemption(make: Callable[[Stage], tuple[str, str]], until: date = NEXT_WEEK) -> Callable[[Stage], None]:
    """A client with an exemption that does not fit the bad queue."""

    def attempt(stage: Stage) -> None:
        queue, rule = make(stage)
        exemption = {"queue": queue, "rule": rule, "reason": "a test", "until": until}
        stage.client(exemptions=[exemption]).send_message(QueueUrl=stage.bad, MessageBody=stage.secret)

    return attempt


for _id, (_says, _make) in EXEMPTIONS.items():
    FAMILY.add(_id, f"An exemption {_says}.", by_exemption(_make))

FAMILY.add(
    "that-has-ended",
    "An exemption that ended the day before yesterday.",
    by_exemption(lambda stage: (stage.arn(stage.bad), ENCRYPTION), date.today() - timedelta(days=2)),
)
FAMILY.add(
    "for-ever",
    "An exemption that ends in a hundred years.",
    by_exemption(lambda stage: (stage.arn(stage.bad), ENCRYPTION), date.today() + timedelta(days=36_500)),
)


@way
def for_the_source_of_bad_dead_letters(stage: Stage) -> None:
    """An exemption for a queue whose dead-letter queue is not encrypted either, and not exempt."""
    stage.point_at_dead_letters(stage.good, stage.bad)
    exemption = {"queue": stage.arn(stage.good), "rule": ENCRYPTION, "reason": "a test", "until": NEXT_WEEK}
    stage.client(exemptions=[exemption]).send_message(QueueUrl=stage.good, MessageBody=stage.secret)


@way
def exempt_queue_ahead_of_the_bad_one(stage: Stage) -> None:
    """An exempt queue in the path of the URL, behind which the bad one stands."""
    exemption = {
        "queue": f"arn:aws:sqs:*:{ACCOUNT}:{name_of(stage.good)}",
        "rule": ENCRYPTION,
        "reason": "a test",
        "until": NEXT_WEEK,
    }
    client = stage.client(exemptions=[exemption])
    client.send_message(QueueUrl=stage.good, MessageBody="harmless")
    url = f"https://localhost/{ACCOUNT}/{name_of(stage.good)}/../{name_of(stage.bad)}"
    client.send_message(QueueUrl=url, MessageBody=stage.secret)


@way
def without_a_reason(stage: Stage) -> None:
    """An exemption without a reason."""
    exemption = {"queue": stage.arn(stage.bad), "rule": ENCRYPTION, "reason": "", "until": NEXT_WEEK}
    stage.client(exemptions=[exemption]).send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def in_the_environment_for_another_queue(stage: Stage) -> None:
    """An exemption in the environment, for another queue."""
    exemption = {"queue": stage.arn(stage.good), "rule": ENCRYPTION, "reason": "a test", "until": str(NEXT_WEEK)}
    os.environ["SAFE_SQS_EXEMPTIONS"] = json.dumps([exemption])
    stage.library.client("sqs").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def warning_about_what_cannot_be_told(stage: Stage) -> None:
    """A client that only warns where nothing can be told, with a queue that can be told to be bad."""
    stage.client(when_unverifiable="warn").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def trusting_the_account(stage: Stage) -> None:
    """A client that trusts the account of the bad queue."""
    stage.client(trusted_accounts=[ACCOUNT]).send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def profile_local(stage: Stage) -> None:
    """The profile for emulators, which softens the way out and not the queue."""
    stage.client(profile="local").send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def softer_rule_beside_it(stage: Stage) -> None:
    """A client with every other rule about queues off."""
    modes = {"public-access": "off", "dead-letter-queue": "off", "tls-only-policy": "off", "least-privilege": "off"}
    stage.client(modes=modes).send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@way
def pattern_with_a_letter_that_looks_alike(stage: Stage) -> None:
    """An exemption for a name with a Cyrillic letter, which looks as that of the bad queue does."""
    pattern = stage.arn(stage.bad).replace("evil", "\u0435vil")
    exemption = {"queue": pattern, "rule": ENCRYPTION, "reason": "a test", "until": NEXT_WEEK}
    stage.client(exemptions=[exemption]).send_message(QueueUrl=stage.bad, MessageBody=stage.secret)


@out_of_scope("A pattern that fits more than was meant exempts more than was meant")
def pattern_that_fits_more_than_was_meant(stage: Stage) -> None:
    """An exemption for a prefix that the queue of somebody else has as well."""
    url = stage.queue("evil-of-another-team", **UNENCRYPTED)
    exemption = {"queue": stage.arn(stage.bad, "*"), "rule": ENCRYPTION, "reason": "a test", "until": NEXT_WEEK}
    stage.client(exemptions=[exemption]).send_message(QueueUrl=url, MessageBody=stage.secret)
