"""How queues do, for people: counts, a matrix of queues and practices, and each finding with its next step.

On a terminal it keeps to the width. In a pipe there is one line for each queue, with its ARN, and nothing is folded, so
that `grep` and `awk` find what they look for. Everything is told in words; colour only helps.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from safe_sqs.evaluation import Compliance, Evaluation, State
from safe_sqs.formats.words import (
    COMPLIANCE,
    JUDGED,
    SHORT,
    counted,
    exemptions_in_words,
    name_of,
    opinion_in_words,
    state_of,
    visible,
)
from safe_sqs.inspection import Inspection, Trouble
from safe_sqs.model import Finding, Practice

__all__ = ["MOST", "show"]

MOST = 50
"""So many queues are listed at the most, the worst of them."""

_STYLES = {
    State.REFUSED: "bold red",
    State.WARNED: "yellow",
    State.UNKNOWN: "magenta",
    State.PASSED: "green",
    State.EXEMPT: "cyan",
    State.OFF: "dim",
    State.AT_RUN_TIME: "dim",
}
_WORDS = {state: state.value.upper() if state is State.REFUSED else state.value for state in State}
_HEADS = {
    Practice.NOT_PUBLIC: "Not\npublic",
    Practice.LEAST_PRIVILEGE: "Least\npriv.",
    Practice.ENCRYPTION_AT_REST: "At\nrest",
    Practice.ENCRYPTION_IN_TRANSIT: "HTTPS\nonly",
    Practice.VPC_ENDPOINTS: "VPC\nonly",
}
_UNFOLDED = 120
"""Characters for what stands beside the ARN in a pipe."""

_NARROWEST = 60
"""Characters of a row: with fewer, rich would leave out the names of the queues."""

_WIDEST = max(map(len, (_WORDS[state] for state in State if state is not State.AT_RUN_TIME)))


def show(inspection: Inspection, console: Console) -> None:
    """Show an inspection."""
    if inspection.tally.queues:
        _show_queues(inspection, console)
    _show_troubles(inspection.troubles, console)
    _show_end(inspection, console)


def _show_queues(inspection: Inspection, console: Console) -> None:
    if inspection.tally.queues <= MOST:
        every = sorted(inspection.evaluations, key=_from_the_worst)
        _show_matrix(every, console)
        _show_findings(every, inspection, console)
    else:
        _show_counts(inspection, console)
        _show_worst(inspection, console)
    for practice in [each for each in Practice if each not in JUDGED]:
        _say(console, f"\n{SHORT[practice]}: a queue cannot show it; the guard judges it in the running program.")


def _show_worst(inspection: Inspection, console: Console) -> None:
    tally = inspection.tally
    worst = heapq.nsmallest(
        MOST,
        (each for each in inspection.evaluations if each.compliance(tally.fail_on) is not Compliance.COMPLIANT),
        key=_from_the_worst,
    )
    if worst:
        console.print()
        _show_matrix(worst, console)
        _show_findings(worst, inspection, console)
    wanting = tally.queues - tally.by_compliance[Compliance.COMPLIANT]
    if wanting > len(worst):
        _say(
            console,
            f"\nThese are the worst {len(worst)} of {wanting:,} queues that do not comply or could not be judged. "
            "All of them: --format html --output FILE for people, --format json --output FILE for programs.",
        )


def _from_the_worst(evaluation: Evaluation) -> tuple[list[int], str]:
    states = [state for _, state in evaluation.states]
    return [-states.count(state) for state in (State.REFUSED, State.WARNED, State.UNKNOWN)], evaluation.queue.arn


# --- counts ------------------------------------------------------------------------------------------------------


def _show_counts(inspection: Inspection, console: Console) -> None:
    counts = inspection.tally.by_practice
    states = [state for state in State if state is not State.AT_RUN_TIME]
    table = _table("Practice", (state.value for state in states), numbers=True)
    for practice in JUDGED:
        cells = (Text(f"{counts[practice, state]:,}", _style(state, counts[practice, state])) for state in states)
        table.add_row(SHORT[practice], *cells)
    console.print(table)


def _style(state: State, count: int) -> str:
    return _STYLES[state] if count else "dim"


# --- the matrix --------------------------------------------------------------------------------------------------


def _show_matrix(shown: Iterable[Evaluation], console: Console) -> None:
    """On a terminal under the account and region, which all queues of one place share; in a pipe with the ARN."""
    if not console.is_terminal:
        rows = [(visible(each.queue.arn) or name_of(each), each) for each in shown]
        with _width(console, _UNFOLDED + max(len(name) for name, _ in rows)):
            console.print(_matrix(rows))
        return
    with _width(console, max(console.width, _NARROWEST)):
        for number, (place, those) in enumerate(groupby(sorted(shown, key=_place), key=_place)):
            table = _matrix([(f"  {name_of(each)}", each) for each in those], visible(place), with_head=number == 0)
            table.expand = True
            console.print(table)


@contextmanager
def _width(console: Console, width: int) -> Iterator[None]:
    before, console.width = console.width, width
    try:
        yield
    finally:
        console.width = before


def _place(evaluation: Evaluation) -> str:
    queue = evaluation.queue
    return f"{queue.account or 'account unknown'} {queue.region}"


def _matrix(rows: Iterable[tuple[str, Evaluation]], place: str = "", *, with_head: bool = True) -> Table:
    table = _table("Queue", (_HEADS[practice] for practice in JUDGED), width=_WIDEST, with_head=with_head)
    if place:
        table.add_row(Text(place, "bold"))
    for name, evaluation in rows:
        states = (evaluation.state_in(practice) for practice in JUDGED)
        table.add_row(Text(name), *(Text(_WORDS[state], _STYLES[state]) for state in states))
    return table


def _table(
    first: str, others: Iterable[str], *, width: int | None = None, with_head: bool = True, numbers: bool = False
) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", show_header=with_head)
    table.add_column(Text(first), ratio=None if numbers else 1, overflow="fold", vertical="bottom")
    for head in others:
        table.add_column(Text(head), width=width, justify="right" if numbers else "left")
    return table


# --- findings ----------------------------------------------------------------------------------------------------


def _show_findings(listed: Iterable[Evaluation], inspection: Inspection, console: Console) -> None:
    for evaluation in listed:
        queue = evaluation.queue
        exemptions = exemptions_in_words(evaluation, inspection)
        if not (evaluation.findings or evaluation.opinions or exemptions):
            continue
        console.print()
        _say(console, Text.assemble((name_of(evaluation), "bold"), "  ", (visible(queue.arn or queue.shown), "dim")))
        for finding in evaluation.findings:
            _show_finding(finding, console)
        for told in (*exemptions, *map(opinion_in_words, evaluation.opinions)):
            _say(console, told, indent=2)


def _show_finding(finding: Finding, console: Console) -> None:
    state = state_of(finding)
    _say(
        console, Text.assemble((f"{_WORDS[state]:<{_WIDEST}}", _STYLES[state]), "  ", (finding.rule, "bold")), indent=2
    )
    _say(console, f"Found: {visible(finding.found)}", indent=4)
    _say(console, f"Expected: {visible(finding.expected)}", indent=4)
    _say_whole(console, f"Next step: {visible(finding.next_step)}", indent=4)


def _show_troubles(troubles: tuple[Trouble, ...], console: Console) -> None:
    if not troubles:
        return
    _say(console, Text(f"\nNot looked at: {counted(len(troubles), 'place')}", "bold magenta"))
    for trouble in troubles[:MOST]:
        _say(console, Text.assemble((visible(trouble.place), "bold"), f": {visible(trouble.found)}"), indent=2)
        _say_whole(console, f"Next step: {visible(trouble.next_step)}", indent=4)
    if len(troubles) > MOST:
        _say(console, f"and {len(troubles) - MOST:,} more; --format json --output FILE has all of them", indent=2)


def _show_end(inspection: Inspection, console: Console) -> None:
    tally = inspection.tally
    bad, unclear, good = (tally.by_compliance[each] for each in COMPLIANCE)
    told = (
        f"{counted(tally.queues, 'queue')}: {bad:,} {'does' if bad == 1 else 'do'} not comply, {unclear:,} could not "
        f"be judged, {good:,} {'complies' if good == 1 else 'comply'}"
        if tally.queues
        else "No queues were found"
    )
    if inspection.troubles:
        told += f"; {counted(len(inspection.troubles), 'place')} not looked at"
    style = {0: "bold green", 1: "bold red", 2: "bold magenta"}[inspection.exit_status]
    _say(console, Text(f"\n{told} (profile {inspection.config.profile.value}).", style))


# --- lines -------------------------------------------------------------------------------------------------------


def _say(console: Console, what: str | Text, indent: int = 0) -> None:
    """A paragraph, within the width of a terminal, and in one line in a pipe."""
    text = _encodable(what, console)
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        _say_whole(console, text, indent)


def _say_whole(console: Console, what: str | Text, indent: int = 0) -> None:
    """A line that no break is put into, so that a command in it can be copied."""
    console.print(Text(" " * indent) + _encodable(what, console), soft_wrap=True)


def _encodable(what: str | Text, console: Console) -> Text:
    """The text (never markup), with what the encoding of the stream does not have as its code."""
    text = what if isinstance(what, Text) else Text(what)
    plain = text.plain.encode(console.encoding, "backslashreplace").decode(console.encoding)
    return text if plain == text.plain else Text(plain, text.style)
