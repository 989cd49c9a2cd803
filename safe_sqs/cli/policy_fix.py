"""`safe-sqs policy fix`: the smallest change that makes a policy pass, as a diff, and into the file if wanted."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from safe_sqs.cli.options import judging, read_config
from safe_sqs.cli.problems import Command, Problem

if TYPE_CHECKING:
    from safe_sqs.model import Queue
    from safe_sqs.writing.repair import Repair

__all__ = ["Named", "fix", "policies_in", "read_text", "replace_text", "tell", "without_controls"]

_WELL, _LEFT = 0, 1
_LARGEST_BYTES = 10_000_000
"""Far more than any policy has: another file was meant."""
_LONGEST_CHARACTERS = 65_536
"""Of one policy. Amazon SQS takes 8,192 bytes, and what is far longer would be looked at for minutes."""


@click.command(cls=Command, short_help="Show, or make, the smallest change to a policy.")
@click.argument("source", metavar="FILE|-", type=click.Path(allow_dash=True))
@click.option(
    "--queue-arn", metavar="ARN", help="The queue to which the policy belongs, if the policy does not say it."
)
@click.option("--write", is_flag=True, help="Change the file.")
@click.option("--output", metavar="FILE", type=click.Path(), help="Write the new policy to another file; - for stdout.")
@click.option("--remove-untrusted", is_flag=True, help="Take accounts out that are not in trusted_accounts.")
@click.option("--format", "form", type=click.Choice(["diff", "json"]), default="diff", help="How the result is told.")
@judging
def fix(
    source: str,
    queue_arn: str | None,
    write: bool,
    output: str | None,
    remove_untrusted: bool,
    form: str,
    profile: str | None,
    modes: tuple[str, ...],
    levels: tuple[str, ...],
    file: str | None,
) -> None:
    """Show, or make, the smallest change after which a queue policy passes.

    FILE is a queue policy in JSON, or a file with policies in it: a CloudFormation template, a Terraform plan. - is
    standard input. The change is a unified diff on standard output, which is
    empty when nothing is to be changed; what a person has to decide is told on standard error.

    A change closes what a rule finds, adds no finding, and takes from nobody named in the policy what he could do over
    HTTPS. Conditions and principals are narrowed before anything is removed. Which grants a principal needs is not
    guessed. --write changes the file in place, and keeps its mode; --output writes a new one.

    The exit status is 0 when the policy passes, or does now that it was written; 1 when a change is still to be made,
    or something is left for a person; 2 when it could not be done.

    \b
    Examples:
        safe-sqs policy fix queue-policy.json
        safe-sqs policy fix --write queue-policy.json
        safe-sqs policy fix --profile strict --output new.json old.json
        aws sqs get-queue-attributes --queue-url URL --attribute-names Policy \\
            --query Attributes.Policy --output text | safe-sqs policy fix - --output -
    """  # noqa: D301
    if write and output is not None:
        raise click.UsageError("--write and --output exclude each other.")
    if write and source == "-":
        raise click.UsageError("--write needs a file; with standard input, use --output.")
    if form == "json" and output == "-":
        raise click.UsageError("--format json and --output - both want standard output.")
    from datetime import datetime, timezone

    from safe_sqs.writing.repair import repair

    policies = policies_in(source, queue_arn)
    plain = policies[0].is_plain
    if not plain and (write or output is not None):
        raise Problem(
            f"{source} is no plain JSON policy, and only such a one can be written",
            "leave out --write and --output, and make the changes that the diff shows by hand",
        )
    config = read_config(profile, modes, levels, file)
    today = datetime.now(timezone.utc).date()
    results = []
    for each in policies:
        found = repair(each.queue, each.text, config, today, remove_untrusted=remove_untrusted)
        results.append((each, found))
        if form == "diff" and output != "-" and found.is_changed:
            _show_diff(each.shown(found.diff(each.name)))
    if form == "json":
        click.echo(json.dumps([_as_data(found, each) for each, found in results], indent=2))
    is_written = _write(results[0][1], source, write, output)
    for each, found in results:
        _tell_left(found, each)
    is_well = all(not (found.left or found.limits or (found.is_changed and not is_written)) for _, found in results)
    click.get_current_context().exit(_WELL if is_well else _LEFT)


# --- reading -----------------------------------------------------------------------------------------------------


def read_text(source: str) -> str:
    """The text of a file, or of standard input. Raises Problem, and OSError with the name of the file."""
    if source == "-":
        raw = sys.stdin.buffer.read(_LARGEST_BYTES + 1)
    else:
        with Path(source).open("rb") as stream:
            raw = stream.read(_LARGEST_BYTES + 1)
    name = "standard input" if source == "-" else source
    if len(raw) > _LARGEST_BYTES:
        raise Problem(f"{name} is too large for a policy", "name another file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(f"{name} is not text in UTF-8", "name another file") from None
    if not text.strip():
        raise Problem(f"{name} is empty", "name the file with the policy")
    return text


class Named(NamedTuple):
    """A policy to look at: the text, None where a queue has none, and its queue. `is_plain` says that the file is the
    policy, in JSON."""

    name: str
    text: str | None
    queue: Queue
    is_plain: bool
    shown: Callable[[str], str]


def policies_in(source: str, queue_arn: str | None, *, needs_queue: bool = True) -> list[Named]:
    """The policies in a file, each with its queue: the one that is said, or the one that the file names."""
    from safe_sqs.facts import queue_of_arn
    from safe_sqs.policy import parse
    from safe_sqs.templates import Kind, TemplateError, find

    text = read_text(source)
    name = "policy" if source == "-" else source
    try:
        found = find(text, name)
    except TemplateError as error:
        raise Problem(f"{name}: {error.found}", error.next_step) from None
    said = queue_of_arn(queue_arn) if queue_arn is not None else None
    if queue_arn is not None and said is None:
        raise Problem(f"{queue_arn!r} is not the ARN of a queue", "write it as arn:aws:sqs:REGION:ACCOUNT:NAME")
    if said is not None and len(found) > 1:
        raise Problem(f"{name} has {len(found)} policies, and --queue-arn names one queue", "leave it out")
    policies = []
    for each in found:
        length = len(each.policy or "")
        if length > _LONGEST_CHARACTERS:
            raise Problem(
                f"{name}: the policy has {length:,} characters, and that of a queue 8,192 at the most",
                "name another file",
            )
        parse(each.policy)
        queue = said or each.queue
        is_plain = each.kind == Kind.POLICY and text.lstrip().startswith("{") and _is_json(text)
        if not queue.name and needs_queue:
            where = f", {each.where}" if each.where else ""
            raise Problem(
                f"{name}{where}: it is not known to which queue the policy belongs", "say it with --queue-arn"
            )
        if said is None and is_plain and queue.name:
            tell(f"The queue is taken to be {queue.arn}, which the policy names.")
        elif each.kind == Kind.POLICY and said is not None and each.queue.name and each.queue.arn != said.arn:
            tell(f"The policy is about {each.queue.arn}, and not about {said.arn}.")
        if len(each.branches) > 1:
            tell(f"{each.where}: only the policy is looked at that comes first of {len(each.branches)}, by condition.")
        policies.append(
            Named(
                f"{name}: {each.where}" if each.where else name,
                text if is_plain else each.policy,
                queue,
                is_plain,
                each.shown,
            )
        )
    return policies


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


# --- showing and writing -----------------------------------------------------------------------------------------


def _show_diff(diff: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        click.echo(without_controls(diff), nl=False)
        return
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in without_controls(diff).split("\n")[:-1]:
        console.print(Text(line, "bold" if line.startswith(("+++", "---")) else styles.get(line[:1], "")))


def _as_data(found: Repair, each: Named) -> dict[str, Any]:
    return {
        "file": each.name,
        "queue": each.queue.arn,
        "changed": found.is_changed,
        "changes": [change._asdict() for change in found.changes],
        "left": [
            {
                "rule": each.rule,
                "mode": each.mode.value,
                "found": each.found,
                "next_step": each.next_step,
                "unverifiable": each.unverifiable,
            }
            for each in found.left
        ],
        "limits": list(found.limits),
        "policy": found.after,
        "diff": found.diff(each.name),
    }


def _write(found: Repair, source: str, write: bool, output: str | None) -> bool:
    """Write the new policy where it is wanted. Returns True when it is written."""
    if output is None and (not write or not found.is_changed):
        return False
    if found.after is None:
        raise Problem("nothing of the policy is left", "remove the policy from the queue; no file was written")
    if output == "-":
        click.echo(found.after, nl=not found.after.endswith("\n"))
    else:
        replace_text(Path(output if output is not None else source), found.after)
        tell(f"{output if output is not None else source} is written.")
    return True


def replace_text(path: Path, text: str) -> None:
    """Put a text into a file, all of it or none, and keep the file's mode. A link is followed."""
    target = path.resolve()
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    if target.exists() and not target.is_file():
        raise Problem(f"{path} is no regular file", "name another file")
    new = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with new.open("x", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            new.chmod(mode)
        new.replace(target)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def without_controls(text: str) -> str:
    """A text as a terminal may show it: what would steer the terminal is written as an escape."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )


def tell(text: str) -> None:
    """Tell something on standard error."""
    click.echo(without_controls(text), err=True)


def _tell_left(found: Repair, each: Named) -> None:
    before = "" if each.is_plain else f"{each.name}: "
    for change in found.changes:
        tell(each.shown(f"{before}{change.rule}: {change.words}"))
    if not found.is_changed and not found.left:
        tell(f"{before}The policy passes; there is nothing to change.")
    for finding in found.left:
        tell(each.shown(f"{before}left for you, {finding.rule}: {finding.found}; {finding.next_step}"))
    for limit in found.limits:
        tell(f"{before}SQS would not take the new policy: {limit}; make statements that are alike into one")
