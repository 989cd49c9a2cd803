"""What went wrong, in one line with the next step: a mistake of the user's never ends in a stack trace."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["Command", "Group", "Problem", "in_words", "told"]


class Problem(click.ClickException):
    """Something that a user can put right. The exit status is 2."""

    exit_code = 2

    def __init__(self, found: str, next_step: str = "") -> None:
        super().__init__(f"{found}; {next_step}" if next_step else found)
        self._command = _command()

    def show(self, file: Any = None) -> None:
        """One line on standard error, which begins with the command."""
        click.echo(f"{self._command}: {self.message}", err=True, file=file)


def _command() -> str:
    context = click.get_current_context(silent=True)
    return context.command_path if context else "safe-sqs"


class Command(click.Command):
    """A command whose expected errors are told in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with told():
            return super().invoke(ctx)


class Group(click.Group):
    """A group of commands, each loaded when it is first needed: `loads` has the module and the name of each."""

    command_class = Command

    def __init__(self, *args: Any, loads: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loads = loads or {}

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command of the group."""
        with told():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them."""
        return sorted({*super().list_commands(ctx), *self._loads})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them."""
        if cmd_name not in self.commands and cmd_name in self._loads:
            from importlib import import_module

            module, name = self._loads[cmd_name]
            self.add_command(getattr(import_module(module), name))
        return super().get_command(ctx, cmd_name)


@contextmanager
def told() -> Iterator[None]:
    """Tell in one line what a user can put right, and that Ctrl-C was pressed; let everything else through."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"{_command()}: interrupted", err=True)
        raise click.exceptions.Exit(128 + signal.SIGINT) from None
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:
        words = in_words(error)
        if words is None:
            raise
        raise Problem(*words) from error


def in_words(error: Exception) -> tuple[str, str] | None:
    """What was found and the next step, or None for an error of which we know nothing."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    from safe_sqs.errors import ConfigError, RefusedError
    from safe_sqs.policy import PolicyError

    if isinstance(error, ConfigError):
        return f"the configuration is wrong: {error}", ""
    if isinstance(error, RefusedError):
        found = "; ".join(f"{each.rule}: {each.found}" for each in error.findings)
        return f"refused {error.operation}: {found}", f"next step: {error.findings[0].next_step}"
    if isinstance(error, PolicyError):
        return f"not a policy: {error}", "see the grammar of the IAM JSON policy language"
    if isinstance(error, ClientError):
        return _of_service(error)
    if isinstance(error, BotoCoreError):
        return _of_botocore(error)
    if isinstance(error, ResponseParserError):
        return "an answer that makes no sense", "look at AWS_ENDPOINT_URL, and at proxies on the way"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fspath(error.filename)!s}: {error.strerror}", "name another file"
    return None


def _of_service(error: Any) -> tuple[str, str]:
    code = str(error.response.get("Error", {}).get("Code", "an error without a code"))
    operation = error.operation_name
    if "AccessDenied" in code or "Unauthorized" in code:
        return f"{operation} is not allowed to these credentials ({code})", f"allow it, or use others: {_AS_WHOM}"
    if "NonExistentQueue" in code or "QueueDoesNotExist" in code:
        return "there is no such queue", "look at its name, and at the region and account that are asked"
    if "ExpiredToken" in code or "InvalidClientTokenId" in code or "UnrecognizedClient" in code:
        return f"the credentials are no longer good, or not for this service ({code})", f"renew them; {_AS_WHOM}"
    return f"{operation} failed ({code})", "try again, or look at the AWS documentation of that error"


_AS_WHOM = "--aws-profile or AWS_PROFILE says as whom"


def _of_botocore(error: Any) -> tuple[str, str]:
    name = type(error).__name__
    text = " ".join(str(error).split())
    next_step = {
        "NoCredentialsError": f"log in, for example with aws sso login; {_AS_WHOM}",
        "PartialCredentialsError": f"complete them; {_AS_WHOM}",
        "CredentialRetrievalError": f"log in anew; {_AS_WHOM}",
        "NoRegionError": "pass --region, or set AWS_REGION",
        "ProfileNotFound": "aws configure list-profiles lists those that there are",
        "EndpointConnectionError": "look at the network, and at AWS_ENDPOINT_URL",
        "ConnectTimeoutError": "look at the network, and at AWS_ENDPOINT_URL",
        "SSLError": "set AWS_CA_BUNDLE to the file with the certificate authority of the endpoint",
    }.get(name, "")
    if "SSO" in name or "Token" in name or "Login" in name:
        next_step = "log in, for example with aws sso login"
    return text or name, next_step
