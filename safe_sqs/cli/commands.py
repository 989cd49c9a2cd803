"""The commands of `safe-sqs`."""

from __future__ import annotations

from typing import Any

import click

from safe_sqs.cli.problems import Group

__all__ = ["safe_sqs"]

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _tell_version(context: click.Context, _: click.Parameter, is_asked: Any) -> None:
    if not is_asked or context.resilient_parsing:
        return
    import platform
    from importlib.metadata import version

    import boto3

    click.echo(f"safe-sqs {version('safe_sqs')} (boto3 {boto3.__version__}, Python {platform.python_version()})")
    context.exit()


_LOADS = {
    "audit": ("safe_sqs.cli.audit", "audit"),
    "check": ("safe_sqs.cli.check", "check"),
    "completion": ("safe_sqs.cli.completion", "completion"),
    "fix": ("safe_sqs.cli.fix", "fix"),
    "policy": ("safe_sqs.cli.policy", "policy"),
    "run": ("safe_sqs.cli.run", "run"),
}
"""Where a command lives that is not here."""


@click.group(cls=Group, loads=_LOADS, context_settings=_SETTINGS, invoke_without_command=True)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_tell_version, help="Show the versions."
)
@click.pass_context
def safe_sqs(context: click.Context) -> None:
    """A guard around boto3's SQS client: what is unsafe is refused before a byte leaves.

    The guard itself works inside your program, in place of boto3:

    \b
        import safe_sqs as boto3
        sqs = boto3.client("sqs")

    Or around it, when the program is not to be changed:

    \b
        safe-sqs run -- python app.py

    For those who run queues, the same rules from outside of the programs:

    \b
        safe-sqs check orders
        safe-sqs audit --all-regions --format html --output queues.html
        safe-sqs policy check template.yaml

    What it does can be seen here, without touching anything:

    \b
        safe-sqs demo
    """  # noqa: D301
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@safe_sqs.command()
@click.option("--no-overhead", is_flag=True, help="Leave out the measurement of what the guard costs (some seconds).")
def demo(no_overhead: bool) -> None:
    """Show guarded programs at work, and what is refused.

    Starts an AWS emulator in this process, over real TLS with a certificate authority made for the run, and good and
    bad queues in it. A producer and a consumer work through a guarded client; then unsafe things are attempted, each by
    another road. The table tells what passed, what was refused, by which rule, and why.

    Nothing leaves this machine, and neither your AWS settings nor your credentials are read.

    The exit status is 0 when everything went as it must, else 1.

    \b
    Examples:
        safe-sqs demo
        safe-sqs demo --no-overhead | less
    """  # noqa: D301
    from safe_sqs.demo.surroundings import clean_surroundings

    # The emulator is imported in clean surroundings as well, because it looks for AWS settings when it is.
    with clean_surroundings():
        from safe_sqs.cli.demo import show

        is_well = show(with_overhead=not no_overhead)
    click.get_current_context().exit(0 if is_well else 1)
