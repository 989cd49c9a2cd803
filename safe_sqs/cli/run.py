"""`safe-sqs run`: a program that nobody has to change, started guarded."""

from __future__ import annotations

import os

import click

from safe_sqs.cli.problems import Command
from safe_sqs.launch import CannotStart, start
from safe_sqs.model import Profile, Role
from safe_sqs.sources import FILE_VARIABLE, PREFIX, RECORD_VARIABLE, REPORT_VARIABLE

__all__ = ["run"]

_MODES = f"{PREFIX}MODES"


@click.command(
    cls=Command, context_settings={"allow_interspersed_args": False}, short_help="Start a program guarded, unchanged."
)
@click.option("--profile", type=click.Choice([profile.value for profile in Profile]), help="Which rules enforce.")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="What the program is to the queues.")
@click.option(
    "--mode", "modes", multiple=True, metavar="RULE=MODE", help="Set a rule to enforce, warn or off. Repeatable."
)
@click.option("--config", metavar="FILE", help="The file with the settings.")
@click.option("--report", metavar="FILE", help="Collect what is refused, or would be, as lines of JSON.")
@click.option("--record", metavar="FILE", help="Collect which actions on which queues it uses, for policy from-usage.")
@click.option("-m", "is_module", is_flag=True, help="The program is a module, run by the Python of safe-sqs.")
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="-- PROGRAM [ARGUMENT]...")
@click.pass_context
def run(
    context: click.Context,
    profile: str | None,
    role: str | None,
    modes: tuple[str, ...],
    config: str | None,
    report: str | None,
    record: str | None,
    is_module: bool,
    program: tuple[str, ...],
) -> None:
    """Start a program guarded, and the Python processes that it starts, without a change to it.

    \b
    Examples:
        safe-sqs run -- python app.py
        safe-sqs run -- -m package.module
        safe-sqs run --profile observe -- celery -A tasks worker
        safe-sqs run --record usage.jsonl -- python app.py
        safe-sqs run --role producer -- gunicorn --workers 4 shop:app
        safe-sqs run -- aws sqs send-message --queue-url URL --message-body hello

    The program takes the place of this command: exit status, signals, input and output are its own. SQS clients of
    boto3, botocore, aiobotocore and the AWS CLI version 1 in it are guarded when they are made. Settings that are not
    options come from SAFE_SQS_* variables, or from safe-sqs.toml or pyproject.toml in the working directory.

    safe_sqs has to be installed for the Python that runs the program. Where the guard cannot be set up, the program
    is not started, and the reason is told.

    The exit status is that of the program; 2 when it was not started; 126 or 127 when the command cannot be run or is
    not there.
    """  # noqa: D301
    if not program:
        click.echo(context.get_help(), err=True)
        context.exit(2)
    settings = {
        f"{PREFIX}PROFILE": profile,
        f"{PREFIX}ROLE": role,
        _MODES: ",".join([*filter(None, [os.environ.get(_MODES)]), *modes]) if modes else None,
        FILE_VARIABLE: config,
        REPORT_VARIABLE: report,
        RECORD_VARIABLE: record,
    }
    try:
        start(
            ["-m", *program] if is_module else program,
            {name: value for name, value in settings.items() if value is not None},
        )
    except CannotStart as problem:
        click.echo(f"safe-sqs run: {problem}", err=True)
        context.exit(problem.status)
