"""`safe-sqs policy check`: policies and queues in files, judged by the rules before they are deployed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from safe_sqs.cli.inspections import Report, can_be_written, reporting, second_opinion_option
from safe_sqs.cli.options import as_whom, judging, read_config
from safe_sqs.cli.problems import Command, Problem
from safe_sqs.model import Mode

if TYPE_CHECKING:
    from safe_sqs.evaluation import Evaluation
    from safe_sqs.fleet.second_opinion import AccessAnalyzer
    from safe_sqs.inspection import Inspection, Trouble
    from safe_sqs.templates import FoundPolicy

__all__ = ["check"]


@click.command(
    cls=Command,
    short_help="Judge policies in files.",
    context_settings={"default_map": {"fail_on": Mode.ENFORCE.value}},
)
@click.argument("files", nargs=-1, metavar="FILE...", required=True, type=click.Path(allow_dash=True))
@click.option("--queue-arn", metavar="ARN", help="The queue of a policy that is alone in its file.")
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="Say what a file leaves open, such as a parameter of a template. Repeatable.",
)
@click.option("--skip-unrelated", is_flag=True, help="Pass over files that have to do with other things than queues.")
@second_opinion_option
@judging
@as_whom
@reporting
@click.pass_context
def check(
    context: click.Context,
    files: tuple[str, ...],
    queue_arn: str | None,
    values: tuple[str, ...],
    skip_unrelated: bool,
    second_opinion: str | None,
    profile: str | None,
    modes: tuple[str, ...],
    levels: tuple[str, ...],
    file: str | None,
    aws_profile: str | None,
    region: str | None,
    format: str,  # noqa: A002
    output: str | None,
    fail_on: str,
) -> None:
    """Judge queue policies, and whole queues of templates, by the rules that the guard enforces in a program.

    A FILE is a queue policy, an answer of aws sqs get-queue-attributes, a CloudFormation or SAM template in JSON or
    YAML, what terraform show -json says of a plan or a state, or a directory with such, as the cdk.out of the CDK; -
    is standard input.

    A policy alone is judged by the rules about policies only. In a template, queues are judged as a whole, with their
    encryption and dead-letter queues. What is known only when it is deployed, and could make a difference, counts as
    what could not be told; --value says it. Conditions are judged both ways.

    \b
    Examples:
        safe-sqs policy check queue-policy.json
        safe-sqs policy check queue-policy.json --queue-arn arn:aws:sqs:eu-central-1:111122223333:orders
        safe-sqs policy check template.yaml --value TopicArn=arn:aws:sns:eu-central-1:111122223333:placed
        terraform show -json plan | safe-sqs policy check -
        safe-sqs policy check cdk.out --format sarif --output policies.sarif

    Nothing is asked of AWS, but for --second-opinion.

    The exit status is 0 when all pass, 1 when one is public or another rule that enforces has found something (with
    --fail-on warn, any rule), and 2 when it could not be told, or a file could not be read.
    """  # noqa: D301
    report = Report(format, output, Mode(fail_on))
    if format == "asff":
        raise Problem("findings for Security Hub are about queues that are there", "use --format sarif, or json")
    can_be_written(report)
    config = read_config(profile, modes, levels, file)
    analyzer = _analyzer(aws_profile, region) if second_opinion else None
    found, troubles = _found_in(files, _pairs(values), skip_unrelated=skip_unrelated)
    if queue_arn is not None:
        found = [_with_arn(found, queue_arn)]
    if not found and len(troubles) == 1:
        from safe_sqs.formats.words import visible

        raise Problem(visible(f"{troubles[0].place}: {troubles[0].found}"), visible(troubles[0].next_step))
    inspection = _inspection(found, config, report, troubles, analyzer)
    _deliver(inspection, report, found)
    context.exit(inspection.exit_status)


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE", param_hint="--value")
        pairs[name] = value
    return pairs


def _analyzer(aws_profile: str | None, region: str | None) -> AccessAnalyzer:
    from safe_sqs.fleet.access import Access, Account
    from safe_sqs.fleet.second_opinion import AccessAnalyzer

    account = Account(Access(aws_profile))
    return AccessAnalyzer(account.client(AccessAnalyzer.SERVICE, region, **AccessAnalyzer.SETTINGS))


# --- files -------------------------------------------------------------------------------------------------------


def _found_in(
    files: tuple[str, ...], values: dict[str, str], *, skip_unrelated: bool
) -> tuple[list[tuple[str, FoundPolicy]], list[Trouble]]:
    """What is in the files, with the name of each, and what went wrong with some. All are looked at."""
    from safe_sqs.cli.policy_files import Source, read_source, sources_in
    from safe_sqs.inspection import Trouble
    from safe_sqs.templates import TemplateError, find

    found: list[tuple[str, FoundPolicy]] = []
    troubles: list[Trouble] = []

    def take(source: Source) -> None:
        try:
            policies = find(read_source(source), source.name, place=source.place, values=values)
            found.extend((source.name, each) for each in policies)
        except TemplateError as error:
            if not (error.is_unrelated and (skip_unrelated or source.is_sought)):
                troubles.append(Trouble(source.name, error.found, error.next_step))
        except OSError as error:
            troubles.append(Trouble(source.name, error.strerror or "cannot be read", "name another file"))

    for name in dict.fromkeys(files):
        try:
            for source in sources_in(name):
                take(source)
        except TemplateError as error:
            if not (error.is_unrelated and skip_unrelated):
                troubles.append(Trouble(name, error.found, error.next_step))
    return found, troubles


def _with_arn(found: list[tuple[str, FoundPolicy]], arn: str) -> tuple[str, FoundPolicy]:
    from safe_sqs.facts import queue_of_arn
    from safe_sqs.templates import Kind

    queue = queue_of_arn(arn)
    if queue is None:
        raise click.BadParameter(f"{arn!r} is not the ARN of a queue", param_hint="--queue-arn")
    if len(found) != 1 or found[0][1].kind not in (Kind.POLICY, Kind.ATTRIBUTES):
        raise Problem(
            "--queue-arn is for one policy that is alone in its file", "leave it out: a template names its queues"
        )
    name, policy = found[0]
    return name, policy._replace(queue=queue)


# --- judging -----------------------------------------------------------------------------------------------------


def _inspection(
    found: list[tuple[str, FoundPolicy]],
    config: Any,
    report: Report,
    troubles: list[Trouble],
    analyzer: AccessAnalyzer | None,
) -> Inspection:
    from datetime import datetime, timezone

    from safe_sqs.inspection import Inspection, Tally
    from safe_sqs.templates import evaluate

    at = datetime.now(timezone.utc)
    tally = Tally(report.fail_on)
    evaluations = []
    by_file: dict[str, list[FoundPolicy]] = {}
    for name, policy in found:
        by_file.setdefault(name, []).append(policy)
    everywhere = [policy for _, policy in found]
    for name, policy in found:
        others = [*everywhere, *by_file[name]]  # those of the file itself count more
        evaluation = evaluate(policy, config, at.date(), others=others, url=_place_in_file(name, policy))
        if analyzer is not None:
            evaluation = _with_opinion(evaluation, policy, analyzer)
        tally.add(evaluation)
        evaluations.append(evaluation)
    return Inspection(evaluations, tally, at, config, tuple(troubles))


def _place_in_file(name: str, found: FoundPolicy) -> str:
    """Where a policy is, in place of a queue's URL: `file:line`, and what it is called there."""
    from urllib.parse import quote

    where = f" {quote(found.where, safe=' []./_-:,')}" if found.where else ""
    return f"{quote(name, safe='/._-')}:{found.line}{where}"


def _with_opinion(evaluation: Evaluation, found: FoundPolicy, analyzer: AccessAnalyzer) -> Evaluation:
    from safe_sqs.evaluation import Opinion
    from safe_sqs.fleet.second_opinion import SOURCE

    if found.unresolved or len(found.branches) > 1:
        opinion = Opinion(SOURCE, None, "nothing was asked, as the policy is known only when it is deployed")
    else:
        opinion = analyzer.opinion_of(found.policy, evaluation._replace(queue=found.queue))
    return evaluation._replace(opinions=(*evaluation.opinions, opinion))


# --- telling -----------------------------------------------------------------------------------------------------


def _deliver(inspection: Inspection, report: Report, found: list[tuple[str, FoundPolicy]]) -> None:
    from safe_sqs.cli.inspections import deliver, say

    if report.format == "table" and report.output is None and _is_one_policy(inspection, found):
        (evaluation,) = inspection.evaluations
        for line in _sentences(evaluation, *found[0]):
            click.echo(line)
        return
    deliver(inspection, report)
    if report.format != "table":
        for trouble in inspection.troubles:
            say(f"{trouble.place}: {trouble.found}; {trouble.next_step}")


def _is_one_policy(inspection: Inspection, found: list[tuple[str, FoundPolicy]]) -> bool:
    return len(found) == 1 and found[0][1].is_bare and not inspection.troubles


def _sentences(evaluation: Evaluation, name: str, found: FoundPolicy) -> Iterator[str]:
    """What came of a policy that is alone."""
    from safe_sqs.evaluation import State
    from safe_sqs.formats.words import opinion_in_words, state_of, visible

    name = visible(name)
    state = evaluation.state_of("public-access")
    yield {
        State.REFUSED: f"{name} is public.",
        State.WARNED: f"{name} is public.",
        State.UNKNOWN: f"It could not be told whether {name} is public.",
        State.PASSED: f"{name} is not public.",
    }.get(state, f"Whether {name} is public was not asked: the rule public-access is {state.value}.")
    for finding in evaluation.findings:
        yield ""
        yield f"{finding.rule} ({state_of(finding).value})"
        yield f"  Found: {visible(finding.found)}"
        yield f"  Expected: {visible(finding.expected)}"
        yield f"  Next step: {visible(finding.next_step)}"
    yield ""
    if found.queue.arn:
        yield f"Judged as the policy of {visible(found.queue.arn)}."
    else:
        yield "Judged as the policy of any queue, since it is not clear of which: --queue-arn says it."
    for opinion in evaluation.opinions:
        yield opinion_in_words(opinion)
