"""What `safe-sqs check` and `safe-sqs audit` share: how a run is shown, interrupted, told and ended."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, TypeVar

import click
from click.core import ParameterSource

from safe_sqs.cli.problems import Problem, give_up_standard_output, in_words
from safe_sqs.model import Mode

if TYPE_CHECKING:
    from safe_sqs.evaluation import Evaluation
    from safe_sqs.fleet.access import Account
    from safe_sqs.fleet.audit import Audit, Left, Reach
    from safe_sqs.fleet.journal import Journal
    from safe_sqs.fleet.looks import Look
    from safe_sqs.inspection import Inspection, Trouble

__all__ = [
    "FORMATS",
    "Report",
    "can_be_written",
    "carried_out",
    "deliver",
    "equipped",
    "jobs_option",
    "reporting",
    "say",
    "second_opinion_option",
    "with_opinion",
]

FORMATS = ("table", "json", "junit", "sarif", "asff", "html")

F = TypeVar("F", bound=Callable[..., Any])


class Report(NamedTuple):
    """What is to become of an inspection: in which format, where to, and which findings count."""

    format: str
    output: str | None
    fail_on: Mode


def reporting(command: F) -> F:
    """--format, --output and --fail-on. For `Report`."""
    for option in reversed(
        (
            click.option(
                "--format", type=click.Choice(FORMATS), default="table", show_default=True, help="What is written."
            ),
            click.option(
                "--output",
                "-o",
                metavar="FILE",
                type=click.Path(),
                help="Write to a file, which is replaced when all of it is there. Otherwise to standard output.",
            ),
            click.option(
                "--fail-on",
                type=click.Choice([Mode.WARN.value, Mode.ENFORCE.value, Mode.OFF.value]),
                default=Mode.WARN.value,
                show_default=True,
                help="Which findings make the exit status 1: all, those of rules that enforce, or none.",
            ),
        )
    ):
        command = option(command)
    return command


def jobs_option(command: F) -> F:
    """--jobs."""
    return click.option(
        "--jobs",
        metavar="N",
        type=click.IntRange(1, 64),
        default=16,
        show_default=True,
        help="How many queues are looked at at a time, 1 to 64.",
    )(command)


def second_opinion_option(command: F) -> F:
    """--second-opinion. For `equipped` and `with_opinion`."""
    return click.option(
        "--second-opinion",
        type=click.Choice(("access-analyzer",)),
        help="Ask IAM Access Analyzer about each policy as well, for which AWS charges, and show where it differs.",
    )(command)


def equipped(account: Account, made: Reach) -> Reach:
    """Clients, with that of IAM Access Analyzer."""
    from safe_sqs.fleet.second_opinion import AccessAnalyzer

    client = account.client(AccessAnalyzer.SERVICE, made.place.region, **AccessAnalyzer.SETTINGS)
    return made._replace(more=AccessAnalyzer(client))


def with_opinion(made: Reach, seen: Look) -> Evaluation:
    """The evaluation from a look, with what IAM Access Analyzer says."""
    evaluation = seen.evaluation
    return evaluation._replace(opinions=(*evaluation.opinions, made.more.opinion_on(seen)))


def say(text: str) -> None:
    """A remark for whoever is watching, in one line on standard error, below the progress bar where there is one."""
    context = click.get_current_context(silent=True)
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    click.echo(f"{context.command_path if context else 'safe-sqs'}: {shown}", err=True)


# --- the run -----------------------------------------------------------------------------------------------------


class _Interrupted(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does."""


def carried_out(
    journal: Journal,
    config: Any,
    report: Report,
    go: Callable[[Callable[[int, int], None]], Audit],
    *,
    can_resume: bool,
    after: Callable[[Inspection, Audit], Iterable[Trouble]] | None = None,
) -> int:
    """Carry a run out, tell what came of it, and give the exit status. `go` makes the run and returns it.

    `after` is what is done with the findings besides; what goes wrong with it counts as what could not be told.
    """
    is_done = False
    try:
        with _ends_with_sigterm():
            with _progress() as watch:
                audit = _carry_out(go, watch)
            inspection = _inspection(journal, config, report, audit)
            deliver(inspection, report)
            troubles = tuple(after(inspection, audit)) if after is not None else ()
        is_done = True
    except KeyboardInterrupt as interrupt:
        say("interrupted")
        click.get_current_context().exit(
            128 + (signal.SIGTERM if isinstance(interrupt, _Interrupted) else signal.SIGINT)
        )
    finally:
        _end(journal, is_done=is_done, can_resume=can_resume)
    is_told = report.format == "table" and report.output is None
    for trouble in (*(() if is_told else inspection.troubles), *troubles):
        say(f"{trouble.place}: {trouble.found}; {trouble.next_step}".rstrip("; "))
    return inspection._replace(troubles=(*inspection.troubles, *troubles)).exit_status


def _carry_out(go: Callable[[Callable[[int, int], None]], Audit], watch: Callable[[int, int], None]) -> Audit:
    from safe_sqs.fleet.journal import JournalError

    try:
        return go(watch)
    except JournalError as error:
        raise Problem(error.found, error.next_step) from None


def _end(journal: Journal, *, is_done: bool, can_resume: bool) -> None:
    keeps = can_resume and not is_done and len(journal) > 0
    journal.close(remove=(journal.is_temporary and not keeps) or (not is_done and not len(journal)))
    if keeps:
        say(f"what was seen so far is kept; go on with: {_resuming(journal.path)}")


def _resuming(path: Path) -> str:
    """The command that goes on with a journal: this one, in the words in which it was given."""
    context = click.get_current_context()
    words = context.command_path.split()
    for parameter in context.command.params:
        if parameter.name in ("journal", "resume") or not isinstance(parameter, click.Option):
            continue
        if context.get_parameter_source(parameter.name or "") is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[parameter.name or ""]
        name = max(parameter.opts, key=len)
        for each in value if parameter.multiple else (value,):
            words += [name] if parameter.is_flag else [name, str(each)]
    return shlex.join([*words, "--resume", str(path)])


@contextmanager
def _ends_with_sigterm() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise _Interrupted

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error where that is a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_interactive:  # older versions of rich write an empty line there
        yield lambda *_: None
        return
    columns = (TextColumn("queues"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("queues", total=None)
        yield lambda done, known: progress.update(task, completed=done, total=known)


# --- what came of it ---------------------------------------------------------------------------------------------


def _inspection(journal: Journal, config: Any, report: Report, audit: Audit) -> Inspection:
    from safe_sqs.inspection import Inspection, Tally

    left = audit.left
    troubles = tuple(map(_trouble, left))
    _raise_what_is_wrong_everywhere(journal, left, troubles)
    tally = Tally(report.fail_on)
    for evaluation in journal:
        tally.add(evaluation)
    if audit.gone:
        say(f"left out, as deleted meanwhile: {audit.gone}")
    if audit.skipped:
        say(f"skipped, as the region is not enabled there: {'; '.join(map(str, audit.skipped))}")
    if not tally.queues and not troubles:
        say("there are no queues")
    return Inspection(journal, tally, journal.at, config, troubles)


def _raise_what_is_wrong_everywhere(journal: Journal, left: tuple[Left, ...], troubles: tuple[Trouble, ...]) -> None:
    """One line, in place of a report, where nothing could be looked at and it was always for the same reason."""
    from safe_sqs.errors import RefusedError

    reasons = {
        each.error.findings if isinstance(each.error, RefusedError) else trouble[1:]
        for each, trouble in zip(left, troubles, strict=True)
    }
    if not len(journal) and len(reasons) == 1:
        places = {trouble.place for trouble in troubles}
        where = f"{next(iter(places))}: " if len(places) == 1 else ""
        raise Problem(f"{where}{troubles[0].found}", troubles[0].next_step)


def _trouble(left: Left) -> Trouble:
    from safe_sqs.fleet.naming import NamingError
    from safe_sqs.inspection import Trouble

    words = in_words(left.error)
    if isinstance(left.error, NamingError):
        words = str(left.error), "pass its ARN"
    if words is None:
        raise left.error
    found, next_step = words
    if left.queues:
        count = "1 queue" if left.queues == 1 else f"{left.queues} queues"
        found = f"{count} could not be looked at: {found}"
    return Trouble(left.where, found, next_step)


def deliver(inspection: Inspection, report: Report) -> None:
    """Write an inspection to where the report goes. Raises Problem when it cannot be written."""
    try:
        if report.output is None:
            _to_standard_output(inspection, report)
        else:
            with _whole_file(report.output) as stream:
                _write(inspection, report, stream)
    except OSError as error:
        raise Problem(f"{report.output or 'standard output'}: {error.strerror}", "name another file") from error


def _to_standard_output(inspection: Inspection, report: Report) -> None:
    if sys.stdout is None:  # it was closed by whoever started this, who wants the exit status alone
        return
    try:
        _write(inspection, report, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has enough, and the exit status is still that of what was found.
        give_up_standard_output()
    except OSError:
        give_up_standard_output()
        raise


def _write(inspection: Inspection, report: Report, stream: TextIO) -> None:
    if report.format == "table":
        from rich.console import Console

        from safe_sqs.cli.table import show

        class Plain(Console):
            def on_broken_pipe(self) -> None:
                raise  # the BrokenPipeError, where rich would end the process

        show(inspection, Plain(file=stream, highlight=False))
    else:
        from safe_sqs.formats import writer

        writer(report.format)(inspection, stream)


def can_be_written(report: Report) -> None:
    """Raises Problem or OSError when the output cannot be written where it is wanted, before anything is done."""
    if report.output is None:
        if report.format == "html" and sys.stdout.isatty():
            raise Problem("a page is not for a terminal", "pass --output FILE")
        return
    path = Path(report.output)
    if path.is_dir():
        raise Problem(f"{path} is a directory", "name a file in it")
    if not path.exists() and not path.absolute().parent.is_dir():
        raise Problem(f"there is no folder {path.absolute().parent}", "make it, or name another file")


@contextmanager
def _whole_file(output: str) -> Iterator[TextIO]:
    """A file that takes the place of `output` when it is complete. A new one is for its owner alone, as what is weak
    and where is in it; one that was there keeps its permissions. What is no file, such as a pipe, is written to."""
    path = Path(output).resolve()
    if path.exists() and not path.is_file():
        with Path(output).open("w", encoding="utf-8") as stream:
            yield stream
        return
    file, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(file)
    unfinished = Path(name)
    try:
        with unfinished.open("w", encoding="utf-8") as stream:
            yield stream
        if path.exists():
            unfinished.chmod(path.stat().st_mode & 0o7777)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
