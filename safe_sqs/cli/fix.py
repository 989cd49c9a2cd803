"""`safe-sqs fix`: shows what would mend queues, makes it when agreed to, and takes it back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from safe_sqs.cli.options import as_whom, judging, read_config
from safe_sqs.cli.problems import Command, Problem, in_words, unread_in_words

if TYPE_CHECKING:
    from safe_sqs.config import Config
    from safe_sqs.fleet.access import Account
    from safe_sqs.fleet.fixing import Plan, Seen, Step, Wishes
    from safe_sqs.fleet.rollback import Attributes, Rollback, Undoing
    from safe_sqs.model import Queue

__all__ = ["fix"]

_WELL, _LEFT, _COULD_NOT = 0, 1, 2
_SOON_SECONDS = 8.0
"""How long to wait for a change to be seen before the run goes on to say what is left."""


def _rules_completed(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from safe_sqs.fleet.fixing import FIXABLE

    return [CompletionItem(rule) for rule in FIXABLE if rule.startswith(incomplete)]


@click.command(cls=Command)
@click.argument("queues", nargs=-1, metavar="QUEUE...")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, as a run without --apply does.")
@click.option("--apply", "applies", is_flag=True, help="Make the changes, each after a question.")
@click.option("--yes", is_flag=True, help="Do not ask. Needed where there is no terminal to ask on.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="RULE",
    shell_complete=_rules_completed,
    help="Mend only what this rule finds. Repeatable.",
)
@click.option("--kms-key", metavar="KEY", help="Encrypt with this KMS key: its id, ARN or alias.")
@click.option(
    "--rollback", "way_back", metavar="FILE", type=click.Path(), help="The file for the way back, which must be new."
)
@click.option("--undo", metavar="FILE", type=click.Path(), help="Take back the changes in a rollback file.")
@click.option("--force", is_flag=True, help="With --undo: also where a queue was changed since.")
@judging
@as_whom
def fix(
    queues: tuple[str, ...],
    dry_run: bool,
    applies: bool,
    yes: bool,
    rules: tuple[str, ...],
    kms_key: str | None,
    way_back: str | None,
    undo: str | None,
    force: bool,
    profile: str | None,
    modes: tuple[str, ...],
    levels: tuple[str, ...],
    file: str | None,
    aws_profile: str | None,
    region: str | None,
) -> None:
    """Mend queues: encrypt, deny plain HTTP, let no strangers in.

    QUEUE is a queue's URL, ARN or name. Its dead-letter queue is mended with it.

    Without --apply nothing is changed: the changes are shown, each with its diff, and what is left for a person to do.
    With --apply each change is shown, asked for and made. A change that would lock out you, or anyone whom the queue's
    policy names, is never offered.

    Before a change, the way back is written to a rollback file, whose name is printed. --undo takes back everything in
    it, the last change first. The file also has the commands of the AWS CLI that do the same.

    The exit status is 0 when nothing is left to do, 1 when something is left (or would be changed), 2 when something
    could not be done, and 130 when it was interrupted.

    \b
    Examples:
        safe-sqs fix orders
        safe-sqs fix --apply orders
        safe-sqs fix --apply --yes --rule queue-encryption orders invoices
        safe-sqs fix --apply --level queue-encryption=kms --kms-key alias/orders orders
        safe-sqs fix --undo safe-sqs-rollback-20260901T080000Z.json
    """  # noqa: D301
    _check_usage(queues, undo, dry_run=dry_run, applies=applies, force=force, of_fix=bool(rules or kms_key or way_back))
    context = click.get_current_context()
    if os.environ.get("NO_COLOR"):
        context.color = False
    if (applies or (undo is not None and not dry_run)) and not yes and not _can_ask():
        raise Problem("there is no terminal to ask on", "look at what --dry-run shows, then add --yes")
    from safe_sqs.fleet.access import Access, Account

    account = Account(Access(aws_profile))
    if undo is not None:
        config = _config_to_undo(profile, modes, levels, file)
        context.exit(_undo(Path(undo), account, config, asks=not yes, dry_run=dry_run, force=force))
    run = _Run(account, read_config(profile, modes, levels, file), region)
    run.look(queues, _checked_rules(rules), kms_key)
    run.show(in_full=not applies or yes)
    if applies:
        run.apply(Path(way_back) if way_back is not None else None, asks=not yes)
    context.exit(run.exit_status)


def _check_usage(
    queues: tuple[str, ...], undo: str | None, *, dry_run: bool, applies: bool, force: bool, of_fix: bool
) -> None:
    if dry_run and applies:
        raise click.UsageError("--dry-run and --apply exclude each other.")
    if undo is None and not queues:
        raise click.UsageError("Name a queue, or a rollback file with --undo.")
    if undo is not None and (queues or of_fix):
        raise click.UsageError("--undo takes only a file: leave out queues, --rule, --kms-key and --rollback.")
    if force and undo is None:
        raise click.UsageError("--force goes with --undo.")


def _checked_rules(rules: tuple[str, ...]) -> frozenset[str] | None:
    from safe_sqs.fleet.fixing import FIXABLE

    for rule in rules:
        if rule not in FIXABLE:
            raise click.BadParameter(f"{rule!r} is none of {', '.join(FIXABLE)}.", param_hint="--rule")
    return frozenset(rules) or None


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _confirmed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)  # what is said next begins on a line of its own
        raise


# --- a run -------------------------------------------------------------------------------------------------------


class _Run:
    """One run over the queues that were named."""

    def __init__(self, account: Account, config: Config, region: str | None) -> None:
        self._account = account
        self._config = config
        self._region = region
        self._clients: dict[str | None, Any] = {}
        self._work: list[tuple[Any, Seen, Wishes]] = []
        self._declined: dict[tuple[str, tuple[str, ...]], str] = {}
        self._made: dict[str, list[Attributes]] = {}
        self._failed = False
        self._left = False

    @property
    def exit_status(self) -> int:
        """What the run has come to."""
        return _COULD_NOT if self._failed else _LEFT if self._left else _WELL

    def _client(self, region: str) -> Any:
        region = region or self._region or ""
        if region not in self._clients:
            self._clients[region] = self._account.sqs(self._config, region or None)
        return self._clients[region]

    def look(self, queues: tuple[str, ...], rules: frozenset[str] | None, kms_key: str | None) -> None:
        """Look at the queues, and at their dead-letter queues, each once."""
        from safe_sqs.model import Facts

        seen: list[tuple[Any, Seen]] = []
        for text in dict.fromkeys(queues):
            with self._told(text):
                client, found = self._see(text)
                if found.facts.queue.arn not in {other.facts.queue.arn for _, other in seen}:
                    seen.append((client, found))
        alone = {found.facts.queue.arn for _, found in seen}
        for client, found in seen:
            dead_letter = found.facts.dead_letter
            if isinstance(dead_letter, Facts):
                if dead_letter.queue.arn in alone:
                    found = found._replace(dead_letter=None)
                alone.add(dead_letter.queue.arn)
            with self._told(found.facts.queue.name):
                self._work.append((client, found, self._wishes(found.facts.queue.region, rules, kms_key)))

    def _see(self, text: str) -> tuple[Any, Seen]:
        from safe_sqs.fleet.fixing import see
        from safe_sqs.fleet.naming import NamingError, named, url_of
        from safe_sqs.model import Unreadable

        try:
            queue = named(text)
            client = self._client(queue.region)
            found = see(client, url_of(client, queue), self._config)
        except NamingError as error:
            raise Problem(str(error)) from error
        if isinstance(found, Unreadable):
            raise Problem(*unread_in_words(found))
        return client, found

    def _wishes(self, region: str, rules: frozenset[str] | None, kms_key: str | None) -> Wishes:
        from datetime import datetime, timezone

        from safe_sqs.fleet.fixing import UnfitKeyError, Wishes, caller_of, key_of

        if not self._work or self._work[-1][0].meta.region_name != region:
            try:
                key = key_of(self._account, region, kms_key) if kms_key else None
            except UnfitKeyError as error:
                raise Problem(str(error), "aws kms list-aliases lists those that there are") from error
            caller = self._work[-1][2].caller if self._work else caller_of(self._account, region)
            today = datetime.now(timezone.utc).date()
            return Wishes(self._config, today, caller, rules, key)
        return self._work[-1][2]

    @contextmanager
    def _told(self, queue: str) -> Iterator[None]:
        """Tell what is wrong with one queue, and go on with the others."""
        try:
            yield
        except Exception as error:
            words = error.message if isinstance(error, click.ClickException) else "; ".join(filter(None, _words(error)))
            self._failed = True
            _remark(f"{queue}: {words}")

    # --- to be looked at ---

    def show(self, *, in_full: bool) -> None:
        """Show what would be done, and what is left when it is."""
        from safe_sqs.fleet.fixing import plan

        offers = False
        for _, seen, wishes in self._work:
            made = plan(seen, wishes)
            _heading(made.queue)
            for number, step in enumerate(made.steps, 1):
                _show_step(step, number, in_full=in_full)
            _show_left(made)
            offers = offers or bool(made.steps)
            self._left = self._left or bool(made.steps or made.left)
        if offers and in_full and not _is_applying():
            _remark("Nothing was changed. To make these changes, add --apply.")

    # --- to be done ---

    def apply(self, path: Path | None, *, asks: bool) -> None:
        """Make the changes, each when it is agreed to, and say what is left."""
        from datetime import datetime, timezone

        from safe_sqs.fleet.rollback import Rollback

        rollback = Rollback(path, self._work[0][2].caller.arn if self._work else "", datetime.now(timezone.utc))
        self._left = False
        try:
            for index, (client, seen, wishes) in enumerate(self._work):
                after = self._make(client, seen, wishes, rollback, asks=asks)
                self._work[index] = (client, after, wishes)
            self._say_what_is_left()
        finally:
            if rollback.changes:
                _remark(f"To undo what was changed: safe-sqs fix --undo {_shown(str(rollback.path))}")

    def _make(self, client: Any, seen: Seen, wishes: Wishes, rollback: Rollback, *, asks: bool) -> Seen:
        """Make the steps for one queue, planned anew after each, since a step that is declined changes the others."""
        from safe_sqs.fleet.fixing import plan, seen_after

        while True:
            steps = plan(seen, wishes, self._declined).steps
            if not steps:
                return seen
            step = steps[0]
            if asks:
                click.echo()
                _show_step(step, None, in_full=True)
                if not _confirmed(f"Make this change to {_shown(step.queue.name)}?"):
                    self._declined[step.name] = "you did not want it"
                    continue
            self._make_step(client, step, rollback)
            seen = seen_after(seen, step, wishes)
            click.echo(f"{click.style('made', fg='green')}: {_shown(step.queue.name)}: {_shown(step.title)}")

    def _make_step(self, client: Any, step: Step, rollback: Rollback) -> None:
        from safe_sqs.fleet.fixing import NotSpreadError, apply_step
        from safe_sqs.fleet.rollback import OtherStateError

        earlier = self._made.setdefault(step.queue.url, [])
        name = _shown(step.queue.name)
        try:
            apply_step(client, step, rollback, earlier)
        except OtherStateError as error:
            found = f"{name}: somebody else has changed the queue meanwhile, so this step was not made"
            raise Problem(found, "run it again, to plan anew") from error
        except NotSpreadError as error:
            found = f"{name}: the last change has not arrived everywhere, so this step was not made"
            raise Problem(found, "run it again in a minute") from error
        except OSError as error:
            found = f"{name}: {error.filename}: {error.strerror}, so this step was not made"
            raise Problem(found, "say with --rollback where the way back can be written") from error
        earlier.append(step.expected)

    def _say_what_is_left(self) -> None:
        """Look once more, as far as what was changed is to be seen already."""
        from safe_sqs.fleet.fixing import plan, see
        from safe_sqs.model import Unreadable

        for client, seen, wishes in self._work:
            queue = seen.facts.queue
            now = seen
            if not self._has_arrived(client, seen):
                _remark(f"{queue.name}: SQS can take 60 seconds to show the changes; look again with safe-sqs check.")
            else:
                found = see(client, queue.url, self._config)
                if not isinstance(found, Unreadable):
                    now = found._replace(dead_letter=found.dead_letter and seen.dead_letter and found.dead_letter)
            last = plan(now, wishes, self._declined)
            is_left = bool(last.left or last.steps)
            self._left = self._left or is_left
            if not is_left:
                click.echo(f"{_shown(queue.name)}: {click.style('nothing is left to do', fg='green')}")
                continue
            _heading(queue)
            _show_left(last)
            for step in last.steps:
                click.echo(f"  not made: {_shown(step.title)}")

    def _has_arrived(self, client: Any, seen: Seen) -> bool:
        from safe_sqs.fleet.fixing import read_present
        from safe_sqs.fleet.rollback import OtherStateError, wait_for
        from safe_sqs.model import Facts

        expected = {seen.facts.queue.url: seen.present}
        if isinstance(seen.facts.dead_letter, Facts) and seen.dead_letter is not None:
            expected[seen.facts.dead_letter.queue.url] = seen.dead_letter
        try:
            return all(
                wait_for(
                    lambda url=url: read_present(client, url),  # type: ignore[misc]
                    state,
                    self._made.get(url, ()),
                    seconds=_SOON_SECONDS,
                )
                is not None
                for url, state in expected.items()
            )
        except OtherStateError:
            return True  # whatever it is now, the look will tell


# --- the way back ------------------------------------------------------------------------------------------------


def _config_to_undo(profile: str | None, modes: tuple[str, ...], levels: tuple[str, ...], file: str | None) -> Config:
    """A configuration in which the rules about queues only warn: what is taken back was bad, or it would not have been
    changed. Where the organisation does not allow that, the one that holds."""
    from safe_sqs.errors import ConfigError
    from safe_sqs.evaluation import QUEUE_RULES

    held = read_config(profile, modes, levels, file)
    try:
        config: Config = read_config(profile, (*modes, *(f"{rule.name}=warn" for rule in QUEUE_RULES)), levels, file)
    except ConfigError:
        _remark("The organisation's file holds the rules about queues; what they refuse is not undone here.")
        return held  # type: ignore[no-any-return]
    return config


def _undo(path: Path, account: Account, config: Config, *, asks: bool, dry_run: bool, force: bool) -> int:
    from safe_sqs.fleet.rollback import RollbackFileError, read_rollback, undoings

    try:
        found = undoings(read_rollback(path))
    except RollbackFileError as error:
        raise Problem(f"{path}: not a rollback file of safe-sqs fix", "name the file that it printed") from error
    clients: dict[str, Any] = {}
    status = _WELL
    if not dry_run:
        _remark("While this is undone, the guard's rules about queues only warn: it may open or uncover queues again.")
    for each in found:
        if each.change.region not in clients:
            clients[each.change.region] = account.sqs(config, each.change.region)
        client = clients[each.change.region]
        status = max(status, _undo_one(client, each, asks=asks, dry_run=dry_run, force=force))
    return status


def _undo_one(client: Any, undoing: Undoing, *, asks: bool, dry_run: bool, force: bool) -> int:
    from safe_sqs.errors import RefusedError
    from safe_sqs.fleet.fixing import read_present
    from safe_sqs.fleet.rollback import Standing, command_of, is_its_endpoint, put

    change = undoing.change
    name = change.queue_arn.rpartition(":")[2]
    if not is_its_endpoint(client, change):
        raise Problem(
            f"{_shown(name)} was changed at {_shown(change.endpoint)}, and not at {client.meta.endpoint_url}",
            "set or unset AWS_ENDPOINT_URL",
        )
    present = read_present(client, change.queue_url)
    standing = undoing.standing(present)
    click.echo(f"{click.style(_shown(name), bold=True)}  {_shown(change.queue_arn)}")
    for words in change.words:
        click.echo(f"  to be undone: {_shown(words)}")
    if standing is Standing.AS_BEFORE:
        click.echo("  it is as it was before; there is nothing to undo")
        return _WELL
    if standing is Standing.OTHER and not force:
        _remark(f"{name}: the queue was changed since, so this is not undone; --force undoes it all the same.")
        return _COULD_NOT
    _show_diff(_difference({key: present[key] for key in change.before}, change.before, name))
    if dry_run:
        return _LEFT
    if asks and not _confirmed(f"Undo this change to {_shown(name)}?"):
        return _LEFT
    try:
        put(client, change.queue_url, change.before, present)
    except RefusedError as error:
        _remark(f"{name}: {'; '.join(filter(None, in_words(error) or ()))}. Without safe-sqs: {command_of(change)}")
        return _COULD_NOT
    click.echo(f"{click.style('undone', fg='green')}: {_shown(name)}")
    return _WELL


# --- for a person to see -----------------------------------------------------------------------------------------


def _difference(now: Attributes, then: Attributes, name: str) -> str:
    """What changes, as a diff, with policies laid out line by line."""
    import json
    from difflib import unified_diff

    def lines(attributes: Mapping[str, str]) -> list[str]:
        shown = []
        for key, value in sorted(attributes.items()):
            try:
                text = json.dumps(json.loads(value), indent=2) if key == "Policy" and value else value
            except ValueError:
                text = value
            shown += [f"{line}\n" for line in f"{key}={text}".splitlines()]
        return shown

    return "".join(unified_diff(lines(now), lines(then), fromfile=f"{name} (now)", tofile=f"{name} (undone)"))


def _heading(queue: Queue) -> None:
    click.echo(f"{click.style(_shown(queue.name), bold=True)}  {_shown(queue.arn)}")


def _show_step(step: Step, number: int | None, *, in_full: bool) -> None:
    before = "" if number is None else f"{number}. "
    where = f", on the queue {step.queue.name}"
    rules = f"[{' of '.join(reversed(step.rules))}{where if len(step.rules) > 1 or number is None else ''}]"
    click.echo(f"  {before}{click.style(_shown(step.title), bold=True)}  {_shown(rules)}")
    if in_full:
        for words in step.words:
            _paragraph(words, "     ")
        for remark in step.remarks:
            _paragraph(remark, "     ! ")
        _show_diff(step.diff)


def _show_left(made: Plan) -> None:
    if made.left:
        click.echo(f"  {click.style('Left for you', bold=True)}")
        for finding, reason in made.left:
            _paragraph(f"{finding.rule}: {finding.found}", "   - ")
            _paragraph(reason or f"next step: {finding.next_step}", "     ")
    elif not made.steps:
        click.echo(f"  {click.style('nothing to mend', fg='green')}")


def _paragraph(text: str, start: str) -> None:
    click.echo(f"{start}{_shown(text)}")


def _show_diff(diff: str) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.splitlines():
        is_name = line.startswith(("+++", "---"))
        click.echo("     " + click.style(_shown(line), fg=None if is_name else colours.get(line[:1])))


def _shown(text: str) -> str:
    """A text that came from elsewhere, without what a terminal would obey."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _remark(text: str) -> None:
    click.echo(f"safe-sqs fix: {_shown(text)}", err=True)


def _words(error: Exception) -> tuple[str, str]:
    words = in_words(error)
    if words is None:
        raise error
    return words


def _is_applying() -> bool:
    return bool(click.get_current_context().params.get("applies"))
