"""`safe-sqs audit`: how all queues of accounts and regions do by the rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
    say,
    second_opinion_option,
    with_opinion,
)
from safe_sqs.cli.options import judging, profiles_completed, read_config
from safe_sqs.cli.problems import Command, Problem, shortened
from safe_sqs.model import Mode

if TYPE_CHECKING:
    from safe_sqs.fleet.access import Access, Account
    from safe_sqs.fleet.audit import Audit, Place
    from safe_sqs.fleet.journal import Journal
    from safe_sqs.inspection import Inspection, Trouble

__all__ = ["audit"]

_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)
_ROLE_NAME = re.compile(r"[\w+=,.@/-]+", re.ASCII)


@click.command(cls=Command, short_help="Judge all queues of accounts and regions.")
@judging
@click.option(
    "--aws-profile",
    "aws_profiles",
    metavar="NAME",
    multiple=True,
    shell_complete=profiles_completed,
    help="A profile of the AWS files. Otherwise AWS_PROFILE or the environment says as whom. Repeatable.",
)
@click.option(
    "--region",
    "regions",
    metavar="REGION",
    multiple=True,
    help="A region. Otherwise AWS_REGION or the profile says it. Repeatable.",
)
@click.option(
    "--all-regions", is_flag=True, help="All regions of the partition; those that are not enabled are skipped."
)
@click.option("--role-arn", "role_arns", metavar="ARN", multiple=True, help="A role to assume. Repeatable.")
@click.option("--role-name", metavar="NAME", help="The name of a role to assume in each account.")
@click.option(
    "--account",
    "accounts",
    metavar="ID",
    multiple=True,
    help="An account, in which --role-name is assumed. Repeatable.",
)
@click.option(
    "--accounts-from",
    metavar="FILE",
    type=click.Path(),
    help="A file with accounts in which --role-name is assumed, one a line; # begins a comment.",
)
@click.option(
    "--organization", is_flag=True, help="Assume --role-name in every account that organizations:ListAccounts names."
)
@click.option("--external-id", metavar="TEXT", help="The external id with which roles are assumed.")
@reporting
@jobs_option
@second_opinion_option
@click.option("--security-hub", is_flag=True, help="Send the findings to AWS Security Hub as well.")
@click.option("--journal", metavar="FILE", type=click.Path(), help="Keep what is seen in a new file, for --resume.")
@click.option("--resume", metavar="FILE", type=click.Path(), help="Go on where the run with this journal ended.")
@click.pass_context
def audit(
    context: click.Context,
    profile: str | None,
    modes: tuple[str, ...],
    levels: tuple[str, ...],
    file: str | None,
    aws_profiles: tuple[str, ...],
    regions: tuple[str, ...],
    all_regions: bool,
    role_arns: tuple[str, ...],
    role_name: str | None,
    accounts: tuple[str, ...],
    accounts_from: str | None,
    organization: bool,
    external_id: str | None,
    format: str,  # noqa: A002
    output: str | None,
    fail_on: str,
    jobs: int,
    second_opinion: str | None,
    security_hub: bool,
    journal: str | None,
    resume: str | None,
) -> None:
    """Look at all queues, and judge them by the rules that the guard enforces in a program.

    Without options, these are the queues of one account and region: those that AWS_PROFILE, AWS_REGION and the AWS
    files say. With several, every account is looked at in every region.

    \b
    Examples:
        safe-sqs audit
        safe-sqs audit --all-regions --format html --output queues.html
        safe-sqs audit --aws-profile shop --aws-profile billing --region eu-central-1 --region us-east-1
        safe-sqs audit --organization --role-name SafeSqsAudit --all-regions --journal audit.jsonl
        safe-sqs audit --fail-on enforce --format junit --output safe-sqs.xml

    Each queue is written to a journal as soon as it was looked at. A run that is interrupted prints the command that
    goes on with it, and looks at no queue twice. A place that cannot be listed is told, and the others go on.

    It needs sqs:ListQueues and sqs:GetQueueAttributes, and kms:DescribeKey where the level of queue-encryption is
    customer-key; sts:AssumeRole for roles. Nothing is changed, and no message is read. The connection is guarded: it
    has to be HTTPS, with temporary credentials.

    The exit status is 0 when all comply, 1 when a queue does not, and 2 when something could not be told, or a value
    was wrong; 130 or 143 when it was interrupted.
    """  # noqa: D301
    from safe_sqs.fleet.audit import Audit

    report = Report(format, output, Mode(fail_on))
    can_be_written(report)
    if regions and all_regions:
        raise click.UsageError("--region and --all-regions exclude each other")
    if journal is not None and resume is not None:
        raise click.UsageError("--resume goes on with its own file; leave --journal out")
    config = read_config(profile, modes, levels, file)
    ids = [*map(_account, accounts), *(_accounts_in(accounts_from) if accounts_from is not None else ())]
    accesses = list(_accesses(aws_profiles, role_arns, role_name, ids, organization, external_id))
    places = list(dict.fromkeys(_places(accesses, regions, all_regions)))
    book = _journal(journal, resume, config, places, second_opinion)

    def go(watch: Any) -> Audit:
        judge, equip = (with_opinion, equipped) if second_opinion else (None, None)
        run = Audit(config, book, jobs=jobs, watch=watch, judge=judge, equip=equip)
        run.of_places(places, all_regions=all_regions)
        return run

    after = _to_security_hub if security_hub else None
    context.exit(carried_out(book, config, report, go, can_resume=True, after=after))


# --- where -------------------------------------------------------------------------------------------------------


def _accesses(
    aws_profiles: tuple[str, ...],
    role_arns: tuple[str, ...],
    role_name: str | None,
    accounts: list[str],
    organization: bool,
    external_id: str | None,
) -> Iterator[Access]:
    """As whom, one after the other. Profiles are looked up, so that a wrong one is told before anything is done."""
    from safe_sqs.fleet.access import Access, Account

    if role_name is not None and not (accounts or organization):
        raise click.UsageError("--role-name says no account: add --account, --accounts-from or --organization")
    if (accounts or organization) and role_name is None:
        raise click.UsageError("add --role-name, the name of the role that is assumed in each account")
    has_roles = bool(role_arns or role_name)
    if external_id is not None and not has_roles:
        raise click.UsageError("--external-id is for roles: add --role-arn or --role-name")
    if has_roles and len(aws_profiles) > 1:
        raise click.UsageError("roles are assumed as one profile: name one --aws-profile")
    if role_name is not None and not _ROLE_NAME.fullmatch(role_name):
        raise click.BadParameter(f"{role_name!r} is not the name of a role", param_hint="--role-name")
    for arn in role_arns:
        if not _ROLE.fullmatch(arn):
            expected = "expected arn:aws:iam::ACCOUNT:role/NAME"
            raise click.BadParameter(f"{arn!r} is not the ARN of a role: {expected}", param_hint="--role-arn")
    bases = [Account(Access(name)) for name in aws_profiles or (None,)]
    if not has_roles:
        yield from (account.access for account in bases)
        return
    (base,) = bases
    yield from (Access(base.access.aws_profile, arn, external_id) for arn in role_arns)
    if role_name is not None:
        yield from _roles(base, role_name, accounts, organization, external_id)


def _roles(
    base: Account, role_name: str, accounts: list[str], organization: bool, external_id: str | None
) -> Iterator[Access]:
    """A role of this name in each account. The caller's own, in an organisation, is entered as it is: the management
    account seldom has the role."""
    from safe_sqs.fleet.access import Access

    region = base.region or "us-east-1"
    sts = base.client("sts", region)
    for account in accounts:
        yield Access(base.access.aws_profile, _role_arn(sts, account, role_name), external_id)
    if organization:
        own = sts.get_caller_identity()["Account"]
        pages = base.client("organizations", region).get_paginator("list_accounts").paginate()
        for each in (account for page in pages for account in page["Accounts"]):
            if each["Id"] == own:
                yield base.access
            elif each.get("Status", each.get("State")) == "ACTIVE":
                yield Access(base.access.aws_profile, _role_arn(sts, each["Id"], role_name), external_id)


def _role_arn(sts: Any, account: str, role_name: str) -> str:
    return f"arn:{sts.meta.partition}:iam::{account}:role/{role_name.strip('/')}"


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise click.BadParameter(f"{text!r} is not an account id of twelve digits", param_hint="--account")
    return text


def _accounts_in(name: str) -> Iterator[str]:
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise Problem(f"{name} is not a file of text", "name one with an account id a line") from None
    ids = {number: line.partition("#")[0].strip() for number, line in enumerate(lines, start=1)}
    if not any(ids.values()):
        raise Problem(f"{name} names no account", "write one account id a line")
    for number, text in ids.items():
        if text and not _ACCOUNT.fullmatch(text):
            found = f"line {number} of {name}: {shortened(repr(text))} is not an account id of twelve digits"
            raise Problem(found, "correct it")
    yield from filter(None, ids.values())


def _places(accesses: Iterable[Access], regions: tuple[str, ...], all_regions: bool) -> Iterator[Place]:
    from botocore.exceptions import NoRegionError

    from safe_sqs.fleet.access import Access, Account
    from safe_sqs.fleet.audit import Place

    by_profile: dict[str | None, tuple[str, ...]] = {}
    for access in accesses:
        name = access.aws_profile
        if name not in by_profile:
            account = Account(Access(name))
            own = (account.region,) if account.region else ()
            by_profile[name] = account.regions if all_regions else regions or own
        if not by_profile[name]:
            raise NoRegionError
        yield from (Place(access, region) for region in by_profile[name])


# --- the journal -------------------------------------------------------------------------------------------------


def _journal(
    path: str | None, resume: str | None, config: Any, places: list[Place], second_opinion: str | None
) -> Journal:
    from datetime import datetime, timezone

    from safe_sqs.fleet.journal import Journal, JournalError

    asked = {**_settings(config), "second opinion": second_opinion, "places": [str(place) for place in places]}
    try:
        if resume is not None:
            return Journal.resume(Path(resume), asked)
        return Journal.begin(Path(path) if path is not None else None, asked, datetime.now(timezone.utc))
    except JournalError as error:
        raise Problem(error.found, error.next_step) from None


def _settings(config: Any) -> dict[str, Any]:
    """The configuration as what JSON can say."""
    from dataclasses import fields
    from datetime import date

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(each) for each in value]
        return value.isoformat() if isinstance(value, date) else value

    return {field.name: plain(getattr(config, field.name)) for field in fields(config)}


# --- Security Hub ------------------------------------------------------------------------------------------------


def _to_security_hub(inspection: Inspection, audit: Audit) -> Iterator[Trouble]:
    """Send the findings. What was not taken is told, and is a trouble."""
    from functools import lru_cache

    from safe_sqs.fleet.access import Account
    from safe_sqs.fleet.security_hub import clients_of, import_findings
    from safe_sqs.formats.asff import findings_of
    from safe_sqs.inspection import Trouble

    @lru_cache(maxsize=1)
    def of_account(account: str) -> Any:
        return clients_of(Account(audit.accounts[account]))

    unknown: set[str] = set()

    def findings() -> Iterator[dict[str, Any]]:
        for evaluation in inspection.evaluations:
            account = evaluation.queue.account
            if account in audit.accounts:
                yield from findings_of(evaluation, inspection.at)
            elif account:
                unknown.add(account)

    imported = import_findings(lambda account, region: of_account(account)(account, region), findings())
    say(f"Security Hub took {imported.accepted} findings")
    yield from imported.troubles
    for account in sorted(unknown):
        next_step = "resume once more when its queues can be listed"
        yield Trouble(f"Security Hub of {account}", "the account could not be entered in this run", next_step)
    for failed in imported.examples:
        yield Trouble(failed.id, f"Security Hub did not take it: {failed.code}: {failed.message}", "")
