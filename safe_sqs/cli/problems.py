"""What went wrong, in one line with the next step: a mistake of the user's never ends in a stack trace."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from safe_sqs.model import Unreadable

__all__ = [
    "Command",
    "Group",
    "Problem",
    "give_up_standard_output",
    "in_words",
    "quiet_log",
    "shortened",
    "told",
    "unread_in_words",
]


class Problem(click.ClickException):
    """Something that a user can put right. The exit status is 2."""

    exit_code = 2

    def __init__(self, found: str, next_step: str = "") -> None:
        super().__init__(f"{found}; {next_step}" if next_step else found)
        self.command = _command()

    def show(self, file: Any = None) -> None:
        """One line on standard error, which begins with the command."""
        click.echo(f"{self.command}: {self.message}", err=True, file=file)


def _command() -> str:
    context = click.get_current_context(silent=True)
    return context.command_path if context else "safe-sqs"


class Command(click.Command):
    """A command whose expected errors are told in one line, and not in the log as well."""

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **others: Any) -> click.Context:
        """Read the arguments."""
        with _misuse_told():
            return super().make_context(info_name, args, *more, **others)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        with told(), quiet_log():
            return super().invoke(ctx)


class Group(click.Group):
    """A group of commands, each loaded when it is first needed: `loads` has the module and the name of each."""

    command_class = Command

    def __init__(self, *args: Any, loads: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loads = loads or {}

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **others: Any) -> click.Context:
        """Read the arguments."""
        with _misuse_told():
            return super().make_context(info_name, args, *more, **others)

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
    """Tell in one line what a user can put right, and Ctrl-C and Ctrl-D; let everything else through."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"{_command()}: interrupted", err=True)
        raise click.exceptions.Exit(128 + signal.SIGINT) from None
    except click.UsageError as error:
        raise _in_one_line(error) from error
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise
    except Exception as error:
        words = in_words(error)
        if words is None:
            raise
        raise Problem(*words) from error


@contextmanager
def _misuse_told() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        raise _in_one_line(error) from error


def _in_one_line(error: click.UsageError) -> click.ClickException:
    """What is wrong with the arguments, where click takes four lines; but the help of a group is whole."""
    if type(error).__name__ == "NoArgsIsHelpError":  # click has it from 8.2 on
        return error
    command = error.ctx.command_path if error.ctx is not None else _command()
    text = shortened(" ".join(error.format_message().split())).rstrip(".")
    problem = Problem(f"{text[:1].lower()}{text[1:]}", f"see {command} --help")
    problem.command = command
    return problem


@contextmanager
def quiet_log() -> Iterator[None]:
    """Without the lines that the guard and botocore log: a command says itself what they would."""
    loggers = [logging.getLogger(name) for name in ("botocore", "safe_sqs")]
    before = [logger.propagate for logger in loggers]
    handler = logging.NullHandler()
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate


_LONGEST = 300


def shortened(text: str) -> str:
    """A text of somebody else's, as long as a line may be."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


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
    if isinstance(error, OSError) and error.errno in _OF_OUTPUT:
        give_up_standard_output()
        return f"the output could not be written: {error.strerror}", "send it to another place"
    return None


_OF_OUTPUT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def give_up_standard_output() -> None:
    """So that Python does not try again to write it, and fails, when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def unread_in_words(unreadable: Unreadable) -> tuple[str, str]:
    """Why a queue's attributes could not be read, and the next step."""
    code = unreadable.code
    if unreadable.permission:
        return f"the queue could not be read ({code})", f"allow {unreadable.permission} to these credentials"
    if any(name in code for name in _NO_QUEUE):
        return "there is no such queue", _LOOK_AT_NAME
    return f"the queue could not be read ({code})", _NEXT_STEPS.get(code, _LOOK_AT_NAME)


_NO_QUEUE = ("NonExistentQueue", "QueueDoesNotExist")
_LOOK_AT_NAME = "look at its name, and at the region and account that are asked"


def _of_service(error: Any) -> tuple[str, str]:
    code = str(error.response.get("Error", {}).get("Code", "an error without a code"))
    operation = error.operation_name
    if "AccessDenied" in code or "Unauthorized" in code:
        return f"{operation} is not allowed to these credentials ({code})", f"allow it, or use others: {_AS_WHOM}"
    if any(name in code for name in _NO_QUEUE):
        return "there is no such queue", _LOOK_AT_NAME
    if "ExpiredToken" in code or "InvalidClientTokenId" in code or "UnrecognizedClient" in code:
        return f"the credentials are no longer good, or not for this service ({code})", f"renew them; {_AS_WHOM}"
    return f"{operation} failed ({code})", "try again, or look at the AWS documentation of that error"


_AS_WHOM = "--aws-profile or AWS_PROFILE says as whom"


_NEXT_STEPS = {
    "NoCredentialsError": f"log in, for example with aws sso login; {_AS_WHOM}",
    "PartialCredentialsError": f"complete them; {_AS_WHOM}",
    "CredentialRetrievalError": f"log in anew; {_AS_WHOM}",
    "NoRegionError": "pass --region, or set AWS_REGION",
    "InvalidRegionError": "look at --region, AWS_REGION and the profile",
    "ProfileNotFound": "aws configure list-profiles lists those that there are",
    "ConfigParseError": "correct it; AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name others",
    "InvalidConfigError": "correct AWS_ENDPOINT_URL, or the endpoint_url in the AWS files",
    "EndpointConnectionError": "look at the network, and at AWS_ENDPOINT_URL",
    "ConnectTimeoutError": "look at the network, and at AWS_ENDPOINT_URL",
    "ReadTimeoutError": "look at the network, and at AWS_ENDPOINT_URL",
    "ConnectionClosedError": "look at the network, and at AWS_ENDPOINT_URL",
    "ProxyConnectionError": "look at HTTPS_PROXY and NO_PROXY",
    "SSLError": "set AWS_CA_BUNDLE to the file with the certificate authority of the endpoint",
}
"""By the names of botocore's errors."""


def _of_botocore(error: Any) -> tuple[str, str]:
    name = type(error).__name__
    text = " ".join(str(error).split()).rstrip(".")
    next_step = _NEXT_STEPS.get(name, "")
    if "SSO" in name or "Token" in name or "Login" in name:
        next_step = "log in, for example with aws sso login"
    return text or name, next_step
