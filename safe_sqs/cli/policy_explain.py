"""`safe-sqs policy explain`: who can do what by a queue policy, in sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from safe_sqs.cli.options import as_whom, judging, read_config
from safe_sqs.cli.policy_fix import Named, policies_in, tell, without_controls
from safe_sqs.cli.problems import Command, Problem, unread_in_words

if TYPE_CHECKING:
    from safe_sqs.config import Config
    from safe_sqs.writing.explain import Section

__all__ = ["explain"]


@click.command(cls=Command)
@click.argument("source", metavar="[FILE|-]", type=click.Path(allow_dash=True), required=False)
@click.option("--queue-arn", metavar="ARN", help="The queue to which the policy in the file belongs.")
@click.option("--queue", metavar="URL|ARN", help="Read the policy of this queue from AWS, in place of a file.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How it is told.")
@judging
@as_whom
def explain(
    source: str | None,
    queue_arn: str | None,
    queue: str | None,
    form: str,
    profile: str | None,
    modes: tuple[str, ...],
    levels: tuple[str, ...],
    file: str | None,
    aws_profile: str | None,
    region: str | None,
) -> None:
    """Tell in sentences who can do what by a queue policy.

    For each principal: what it may do, under which conditions, by which statement, with a request that the policy
    allows. Then: what is denied to whom, whether strangers get in, which other accounts and services do, whether plain
    HTTP is denied, whether access is confined to a VPC, and what the policy does not decide. An exclamation mark is
    before what the rules of the guard would find.

    FILE is a queue policy, or a file with policies in it: a CloudFormation template, a Terraform plan. - is standard
    input. Values of aws:Referer and aws:UserAgent are not shown, because some use them as passwords.

    The exit status is 0 when it was told, whatever it is, and 2 when it could not be. To judge, use policy check.

    \b
    Examples:
        safe-sqs policy explain queue-policy.json
        safe-sqs policy explain template.yaml
        safe-sqs policy explain --queue https://sqs.eu-central-1.amazonaws.com/111122223333/orders
    """  # noqa: D301
    if (source is None) is (queue is None):
        raise click.UsageError("Name a file, or a queue with --queue.")
    if queue is not None and queue_arn is not None:
        raise click.UsageError("--queue-arn goes with a file.")
    config = read_config(profile, modes, levels, file)
    if queue is not None:
        policies = [_live(queue, config, aws_profile, region)]
    else:
        policies = policies_in(str(source), queue_arn, needs_queue=False)
    from safe_sqs.writing.explain import explain as explained

    told = [(each, explained(each.text, each.queue.arn, config)) for each in policies]
    if form == "json":
        click.echo(json.dumps([_as_data(each, sections) for each, sections in told], indent=2))
        return
    for each, sections in told:
        _show(each, sections, is_named=len(told) > 1 or queue is not None)


def _live(queue: str, config: Config, aws_profile: str | None, region: str | None) -> Named:
    """The policy of a queue as it is now."""
    from safe_sqs.facts import queue_of_arn
    from safe_sqs.fleet.access import Access, Account
    from safe_sqs.fleet.looks import look, url_of_arn
    from safe_sqs.model import Unreadable

    by_arn = queue_of_arn(queue)
    if by_arn is None and "://" not in queue:
        raise Problem(f"{queue!r} is neither the URL nor the ARN of a queue", "aws sqs get-queue-url gives the URL")
    client = Account(Access(aws_profile)).sqs(config, region or (by_arn.region if by_arn else None))
    url = url_of_arn(client, queue) if by_arn else queue
    found = look(client, str(url), config)
    if isinstance(found.facts, Unreadable):
        raise Problem(*unread_in_words(found.facts))
    known = found.facts.queue
    if not known.arn:
        tell("The queue's ARN is not known, so every statement counts as one about it.")
    return Named(known.arn or known.shown, found.policy, known, False, str)


def _show(each: Named, sections: tuple[Section, ...], *, is_named: bool) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)

    def show(text: str, style: str = "", indent: int = 0) -> None:
        text = without_controls(each.shown(text))
        if console.is_terminal:
            console.print(Padding(Text(text, style), (0, 0, 0, indent)))
        else:
            click.echo(" " * indent + text)

    if is_named:
        show(each.name, "bold cyan")
    for section in sections:
        show(section.title, "bold")
        for sentence in section.sentences:
            show(f"{'!' if sentence.danger else '-'} {sentence.text}", "red" if sentence.danger else "", 2)
            if sentence.example:
                show(f"for example: {sentence.example}", "dim", 4)
        click.echo("")


def _as_data(each: Named, sections: tuple[Section, ...]) -> dict[str, Any]:
    return {
        "file": each.name,
        "queue": each.shown(each.queue.arn),
        "sections": [
            {
                "title": section.title,
                "sentences": [_shown(sentence.as_data(), each.shown) for sentence in section.sentences],
            }
            for section in sections
        ],
    }


def _shown(data: Any, shown: Callable[[str], str]) -> Any:
    if isinstance(data, dict):
        return {key: _shown(value, shown) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_shown(value, shown) for value in data]
    return shown(data) if isinstance(data, str) else data
