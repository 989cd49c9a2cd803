"""`safe-sqs check`: how named queues do by the rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from safe_sqs.cli.inspections import (
    Report,
    can_be_written,
    carried_out,
    equipped,
    jobs_option,
    reporting,
    second_opinion_option,
    with_opinion,
)
from safe_sqs.cli.options import as_whom, judging, read_config
from safe_sqs.cli.problems import Command, Problem
from safe_sqs.model import Mode

if TYPE_CHECKING:
    from safe_sqs.fleet.access import Account
    from safe_sqs.fleet.audit import Audit, Reach
    from safe_sqs.fleet.naming import Named

__all__ = ["check"]


@click.command(cls=Command, short_help="Judge queues by the rules.")
@click.argument("queues", nargs=-1, metavar="QUEUE...", required=True)
@judging
@as_whom
@reporting
@jobs_option
@second_opinion_option
@click.pass_context
def check(
    context: click.Context,
    queues: tuple[str, ...],
    profile: str | None,
    modes: tuple[str, ...],
    levels: tuple[str, ...],
    file: str | None,
    aws_profile: str | None,
    region: str | None,
    format: str,  # noqa: A002
    output: str | None,
    fail_on: str,
    jobs: int,
    second_opinion: str | None,
) -> None:
    """Look at queues and judge them by the rules that the guard enforces in a program.

    A QUEUE is a URL, an ARN or a name. URLs and ARNs say their region themselves; for names it is --region, or what
    AWS_REGION or the profile says. @FILE stands for the queues in a file, one a line, and - for those on standard
    input; # begins a comment there.

    \b
    Examples:
        safe-sqs check orders
        safe-sqs check arn:aws:sqs:eu-central-1:111122223333:orders --profile strict
        safe-sqs check --format sarif --output queues.sarif @queues.txt
        terraform output -json queue_urls | jq -r '.[]' | safe-sqs check --fail-on enforce -

    Only sqs:GetQueueAttributes is needed, sqs:GetQueueUrl for names, and kms:DescribeKey where the level of
    queue-encryption is customer-key. Nothing is changed, and no message is read. The connection is guarded: it has to
    be HTTPS, with temporary credentials.

    The exit status is 0 when all comply, 1 when one does not, and 2 when it could not be told, or a value was wrong.
    """  # noqa: D301
    from safe_sqs.fleet.access import Access, Account
    from safe_sqs.fleet.audit import Audit
    from safe_sqs.fleet.journal import Journal

    report = Report(format, output, Mode(fail_on))
    can_be_written(report)
    config = read_config(profile, modes, levels, file)
    account = Account(Access(aws_profile))
    wanted = list(_reached(account, _named(queues), region, config, jobs, second_opinion))
    journal = Journal.begin(None, {}, _now())

    def go(watch: Any) -> Audit:
        judge = with_opinion if second_opinion else None
        audit = Audit(config, journal, jobs=min(jobs, len(wanted)), watch=watch, judge=judge)
        audit.of_queues(wanted)
        return audit

    context.exit(carried_out(journal, config, report, go, can_resume=False))


def _now() -> Any:
    from datetime import datetime, timezone

    return datetime.now(timezone.utc)


def _reached(
    account: Account, queues: list[Named], region: str | None, config: Any, jobs: int, second_opinion: str | None
) -> Iterator[tuple[Reach, Named]]:
    """Each queue with the clients of its region."""
    from safe_sqs.fleet.audit import reach

    reaches: dict[str, Reach] = {}
    for queue in queues:
        where = queue.region or region or account.region or ""
        if where not in reaches:
            made = reach(account, where, config, jobs)
            reaches[where] = equipped(account, made) if second_opinion else made
        yield reaches[where], queue


def _named(texts: tuple[str, ...]) -> list[Named]:
    from safe_sqs.fleet.naming import NamingError, named

    found: dict[Named, None] = {}
    for text in _spread(texts):
        try:
            found[named(text)] = None
        except NamingError as error:
            raise Problem(str(error)) from None
    return list(found)


def _spread(texts: tuple[str, ...]) -> Iterator[str]:
    for text in texts:
        if text == "-":
            yield from _lines(sys.stdin.read(), "standard input")
        elif text.startswith("@"):
            yield from _lines(_read(text[1:]), text[1:])
        else:
            yield text


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Problem(f"{name} is not a file of text", "name one with a queue a line") from None


def _lines(text: str, source: str) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    if not any(lines):
        raise Problem(f"{source} names no queue", "write one a line")
    return [line for line in lines if line]
