"""`safe-sqs completion`: what a shell needs to complete commands, options, rules and profiles."""

from __future__ import annotations

import click

from safe_sqs.cli.problems import Command

__all__ = ["completion"]

_SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command, short_help="Print what a shell needs to complete safe-sqs.")
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the shell code with which commands, options, rules and AWS profiles are completed.

    \b
    Examples:
        safe-sqs completion bash >> ~/.bashrc
        safe-sqs completion zsh >> ~/.zshrc
        safe-sqs completion fish > ~/.config/fish/completions/safe-sqs.fish
    """  # noqa: D301
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # they are click's own
    root = click.get_current_context().find_root()
    click.echo(kind(root.command, {}, "safe-sqs", "_SAFE_SQS_COMPLETE").source())
