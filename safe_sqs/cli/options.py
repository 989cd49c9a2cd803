"""Options that several commands share, and what is made from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from safe_sqs.model import Mode, Profile
from safe_sqs.sources import FILE_VARIABLE

__all__ = ["as_whom", "judging", "profiles_completed", "read_config"]

F = TypeVar("F", bound=Callable[..., Any])


def judging(command: F) -> F:
    """--profile, --mode, --level and --config: by which rules it is judged. For `read_config`."""
    for option in reversed(
        (
            click.option(
                "--profile", type=click.Choice([profile.value for profile in Profile]), help="Which rules enforce."
            ),
            click.option(
                "--mode",
                "modes",
                multiple=True,
                metavar="RULE=MODE",
                shell_complete=_rules_completed,
                help="Set a rule to enforce, warn or off. Repeatable.",
            ),
            click.option(
                "--level",
                "levels",
                multiple=True,
                metavar="RULE=LEVEL",
                shell_complete=_rules_completed,
                help="Set the level of a rule, such as queue-encryption=kms. Repeatable.",
            ),
            click.option("--config", "file", metavar="FILE", type=click.Path(), help="The file with the settings."),
        )
    ):
        command = option(command)
    return command


def read_config(
    profile: str | None = None, modes: Iterable[str] = (), levels: Iterable[str] = (), file: str | None = None
) -> Any:
    """The configuration that these options, the environment and files say. Raises ConfigError and UsageError.

    The option for the profile `strict` is about queues. How the command itself reaches AWS stays what the environment
    and files say: a queue can be judged strictly from a place that no program would be allowed to use it from.
    """
    from safe_sqs.config import Config

    if file is not None:
        os.environ[FILE_VARIABLE] = file
    said_modes: dict[str, Any] = {**_pairs(modes, "--mode", "RULE=MODE")}
    said_levels: dict[str, Any] = {**_pairs(levels, "--level", "RULE=LEVEL")}
    if profile == Profile.STRICT.value:
        own = Config()
        said_modes = {name: own.mode(name) for name in _about_connections()} | said_modes
        said_levels = {name: own.level(name) for name in _about_connections() if own.level(name)} | said_levels
    return Config(profile=profile, modes=said_modes or None, levels=said_levels or None)


def _about_connections() -> list[str]:
    from safe_sqs.model import Subject
    from safe_sqs.rules import ALL_RULES

    return [rule.name for rule in ALL_RULES if rule.subject is Subject.CONNECTION]


def _pairs(texts: Iterable[str], option: str, form: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            raise click.BadParameter(f"{text!r} is not of the form {form}", param_hint=option)
        pairs[left] = right
    return pairs


def profiles_completed(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The profiles of the AWS files."""
    import botocore.session

    profiles = botocore.session.Session().available_profiles
    return [CompletionItem(profile) for profile in profiles if profile.startswith(incomplete)]


def as_whom(command: F) -> F:
    """--aws-profile and --region: as whom, and where."""
    for option in reversed(
        (
            click.option(
                "--aws-profile",
                metavar="NAME",
                shell_complete=profiles_completed,
                help="The profile of the AWS files. Otherwise AWS_PROFILE or the environment says as whom.",
            ),
            click.option("--region", metavar="REGION", help="The region. Otherwise AWS_REGION or the profile says it."),
        )
    ):
        command = option(command)
    return command


def _rules_completed(_: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from safe_sqs.rules import ALL_RULES

    values = [
        f"{rule.name}={value}"
        for rule in ALL_RULES
        for value in (rule.levels if parameter.name == "levels" else [mode.value for mode in Mode])
    ]
    return [CompletionItem(value) for value in values if value.startswith(incomplete)]
