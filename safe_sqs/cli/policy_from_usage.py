"""`safe-sqs policy from-usage`: the narrowest IAM policy, from what a program was seen to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from safe_sqs.cli.policy_generate import say, show, writing
from safe_sqs.cli.problems import Command, Problem

if TYPE_CHECKING:
    from safe_sqs.model import Queue
    from safe_sqs.usage import Used
    from safe_sqs.writing.identity import KeyNeed

__all__ = ["from_usage"]

_OF_EMULATORS = ("000000000000", "123456789012")
"""Accounts that emulators put their queues into."""

_MOST_CHARACTERS = 6_144
"""How long a managed policy may be."""


@click.command("from-usage", cls=Command, short_help="Write the narrowest IAM policy from what a program used.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--kms-key",
    "kms_keys",
    multiple=True,
    metavar="ARN",
    help="A key that encrypts the queues, where the recording does not tell it. Repeatable.",
)
@click.option(
    "--account", metavar="ID", help="The account of queues for which the recording has none, or an emulator's."
)
@click.option("--with-denied", is_flag=True, help="Allow what AWS denied to the program as well.")
def from_usage(files: tuple[str, ...], kms_keys: tuple[str, ...], account: str | None, with_denied: bool) -> None:
    """Write the IAM policy that allows what was recorded, and nothing else, on standard output.

    The guard records which actions a program used on which queues, where SAFE_SQS_RECORD names a file. Recordings of
    many runs, processes and machines are merged. What was seen when, and by which program, is told on standard error.

    \b
    Examples:
        SAFE_SQS_RECORD=usage.jsonl safe-sqs run -- python app.py
        safe-sqs policy from-usage usage.jsonl > policy.json
        safe-sqs policy from-usage recordings/*.jsonl --kms-key ARN > policy.json
        aws iam put-role-policy --role-name shop --policy-name orders --policy-document file://policy.json

    A recording shows what happened while it ran. What happens seldom is missing when it did not: error paths, the end
    of the program, work at the end of the month. Record for long, in staging and in production, and keep the old policy
    at hand.

    The exit status is 0, or 2 when a file is no recording or nothing was recorded.
    """  # noqa: D301
    from safe_sqs.writing import names
    from safe_sqs.writing.generate import text_of
    from safe_sqs.writing.identity import policy_of_needs

    uses = _read(files)
    with writing():
        account = names.account(account) if account is not None else None
        given = [names.kms_key(text, uses[0].partition) for text in kms_keys]
    allowed = [used for used in uses if with_denied or not used.denied]
    if not allowed:
        raise Problem("AWS denied all that was recorded", "see whether it was meant, and pass --with-denied")
    resolved = [(used, _arn(used, account)) for used in allowed]
    needs = sorted({need for used, arn in resolved for need in _needs(used, arn, account)})
    keys = _keys(resolved, needs, given)
    policy = policy_of_needs(needs, keys)
    show(policy)
    _tell(uses, resolved, needs, keys)
    if len(text_of(policy)) > _MOST_CHARACTERS:
        say(f"it is longer than the {_MOST_CHARACTERS:,} characters of a managed policy: split it by queues")


def _read(files: Iterable[str]) -> list[Used]:
    from safe_sqs.operations import OPERATIONS
    from safe_sqs.patterns import has_wildcard
    from safe_sqs.usage import read

    known = {*OPERATIONS, "DescribeKey"}
    uses: list[Used] = []
    for file in files:
        try:
            uses += read(file)
        except ValueError as error:
            raise Problem(str(error), "name a file that SAFE_SQS_RECORD named; a report is another thing") from None
    if not uses:
        raise Problem(
            f"nothing was recorded in {', '.join(files)}",
            "run the program with SAFE_SQS_RECORD=FILE, and let it use its queues",
        )
    if len({used.partition for used in uses}) > 1:
        raise Problem("the queues are in several partitions of AWS", "write a policy for each: no role is in two")
    for used in uses:
        if used.operation not in known or has_wildcard(used.queue + used.destination + used.region + used.key):
            raise Problem(
                f"the recording says {used.operation!r} on {used.queue!r}, which is no operation on one queue",
                "take that line out, or update safe_sqs where the operation is new",
            )
    return uses


def _arn(used: Used, account: str | None) -> str:
    """The ARN of the queue of a use, "*" for an operation that concerns no queue. Raises Problem."""
    from safe_sqs.facts import name_of, queue_of_arn
    from safe_sqs.model import Queue

    if used.operation == "ListQueues":
        return "*"
    queue = queue_of_arn(used.queue) or name_of(used.queue, used.region, used.partition)
    if not queue.name and used.queue and "/" not in used.queue and account:
        queue = Queue("", used.partition, used.region, account, used.queue)
    if queue_of_arn(queue.arn) is None:
        raise Problem(
            f"the recording does not tell the account of the queue {used.queue!r}, which {used.operation} was for"
            if used.queue
            else f"the recording does not tell which queue {used.operation} was for",
            "pass --account ID" if used.queue and "/" not in used.queue else "take that line out, and add it by hand",
        )
    return _moved(queue, account).arn


def _moved(queue: Queue, account: str | None) -> Queue:
    return queue._replace(account=account) if account and queue.account in _OF_EMULATORS else queue


def _needs(used: Used, arn: str, account: str | None) -> Iterable[tuple[str, str]]:
    from safe_sqs.facts import queue_of_arn
    from safe_sqs.writing.identity import actions_of

    if used.operation == "DescribeKey":
        return
    yield from ((action, arn) for action in actions_of(used.operation))
    if used.tags:
        yield "sqs:TagQueue", arn
    destination = queue_of_arn(used.destination)
    if destination is not None:
        yield "sqs:SendMessage", _moved(destination, account).arn


def _keys(resolved: list[tuple[Used, str]], needs: list[tuple[str, str]], given: list[str]) -> list[KeyNeed]:
    """The use of keys: of those that the recording tells, for their queues; of those that are given, for all."""
    from safe_sqs.facts import queue_of_arn
    from safe_sqs.writing.identity import KeyNeed, key_actions_of

    queues_of: dict[str, set[str]] = {key: {arn for _, arn in needs if arn != "*"} for key in given}
    described: set[str] = set()
    for used, arn in resolved:
        is_emulated = any(f":{account}:" in used.queue for account in _OF_EMULATORS)
        key = "" if is_emulated else _key_arn(used.key, arn)
        if key:
            queues_of.setdefault(key, set()).add(arn)
            if used.operation == "DescribeKey":
                described.add(key)
        elif used.key and not given:
            say(f"{arn} is encrypted under {_plain(used.key)}, and IAM wants its key by ARN: pass --kms-key ARN")
    found = []
    for key, arns in sorted(queues_of.items()):
        actions = key_actions_of(action for action, arn in needs if arn in arns)
        regions = {queue.region for queue in map(queue_of_arn, arns) if queue is not None}
        if actions:
            found.append(KeyNeed(key, actions, tuple(sorted(regions))))
        if key in described or (given and any(used.operation == "DescribeKey" for used, _ in resolved)):
            found.append(KeyNeed(key, ("kms:DescribeKey",)))
    return found


def _key_arn(key: str, queue_arn: str) -> str:
    """The ARN of a key that a queue's attributes name; "" for an alias, and for none."""
    from safe_sqs.writing.names import CannotWrite, kms_key

    _, partition, _, region, account, _ = queue_arn.split(":") if queue_arn != "*" else [""] * 6
    arn = key if key.startswith("arn:") else f"arn:{partition}:kms:{region}:{account}:key/{key}"
    try:
        return kms_key(arn, partition)
    except CannotWrite:
        return ""


# --- what is told ------------------------------------------------------------------------------------------------


def _tell(
    uses: list[Used], resolved: list[tuple[Used, str]], needs: list[tuple[str, str]], keys: list[KeyNeed]
) -> None:
    seen: dict[tuple[str, str], list[Used]] = {}
    for used, arn in resolved:
        seen.setdefault((arn, used.operation), []).append(used)
    click.echo("what was seen first when, and by whom:", err=True)
    for (arn, operation), alike in sorted(seen.items()):
        who = sorted({"the guard" if used.by == "guard" else _plain(used.program) or "a program" for used in alike})
        first = min(used.time for used in alike)
        where = "" if arn == "*" else f" on {arn}"
        click.echo(f"  {_plain(first)}  {_plain(operation)}{where}  by {', '.join(who)}", err=True)
    denied = sorted({(used.operation, used.queue) for used in uses if used.denied})
    for operation, queue in denied:
        what = f"{_plain(operation)} on {_plain(queue)}" if queue else _plain(operation)
        say(f"AWS denied {what} to the program")
    if any(used.operation == "StartMessageMoveTask" and not used.destination for used, _ in resolved):
        say("messages were moved back to where they came from: allow sqs:SendMessage on those queues as well")
    for account in _OF_EMULATORS:
        if any(f":{account}:" in arn for _, arn in needs):
            say(f"{account} is the account of an emulator: pass --account ID with the real one")
    if not keys and not any(used.by == "guard" for used in uses):
        say("whether the queues are under a KMS key was not seen: where they are, pass --kms-key ARN")
    times = [used.time for used in uses]
    say(
        f"recorded between {_plain(min(times))} and {_plain(max(times))}. What happens seldom may be missing: error "
        "paths, dead letters, purges, the end of a program. Once is enough to need it"
    )


def _plain(text: str) -> str:
    """A text of a file as a terminal may show it."""
    return "".join(each if each.isprintable() else "?" for each in text)
