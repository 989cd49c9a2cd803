"""One HTML page that holds everything: no other file, no network, and nothing in it runs but the script written here.

What comes from outside (names, statement ids, texts made from policies) is escaped; and should that fail one day, the
page's Content-Security-Policy allows one script and one style sheet, by their hashes, and nothing else. The page is
ASCII, so that no encoding of a stream can spoil it, and written queue by queue: those that do not comply come first.
"""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.resources import files
from typing import TextIO

from safe_sqs.controls import CONTROLS, Control
from safe_sqs.evaluation import QUEUE_RULES, Compliance, Evaluation, State
from safe_sqs.formats.words import (
    COMPLIANCE,
    FAIL_ON,
    JUDGED,
    MEANINGS,
    PRACTICES,
    SHORT,
    counted,
    exemptions_in_words,
    headline,
    name_of,
    opinion_in_words,
    state_of,
    visible,
)
from safe_sqs.inspection import Inspection, Trouble
from safe_sqs.model import Finding, Practice, Rule

__all__ = ["write"]

_LOOKS = {
    Compliance.NON_COMPLIANT: State.REFUSED,
    Compliance.INSUFFICIENT_DATA: State.UNKNOWN,
    Compliance.COMPLIANT: State.PASSED,
}
"""A result looks like the state that leads to it."""


def write(inspection: Inspection, stream: TextIO) -> None:
    """Write the page."""
    for part in _page(inspection):
        stream.write(part)


def _page(inspection: Inspection) -> Iterator[str]:
    script, style = (_part(name) for name in ("page.js", "page.css"))
    yield _HEAD.format(
        policy=f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'",
        title=_text(headline(inspection)),
        style=style,
    )
    yield from _header(inspection)
    yield '<main id="main">\n'
    yield from _troubles(inspection.troubles)
    if inspection.tally.queues:
        yield from _practices(inspection)
        yield from _queues(inspection)
    yield from _rules(inspection)
    yield from _legend()
    yield f"</main>\n{_footer()}<script>{script}</script>\n</body>\n</html>\n"


_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}: Amazon SQS security best practices</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the contents</a>
"""


def _part(name: str) -> str:
    """A file that goes into the page, with the names of the columns where a style sheet has to say them."""
    text = files("safe_sqs.formats").joinpath(name).read_text("utf-8")
    if name.endswith(".css"):
        columns = enumerate((SHORT[practice] for practice in Practice), 2)
        rules = (f'#matrix td:nth-of-type({column})::before{{content:"{label}"}}' for column, label in columns)
        text += f"@media (max-width: 68rem), print {{{''.join(rules)}}}\n"
    return text


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _text(text: str) -> str:
    """Any text, fit to stand between tags and as the value of an attribute in double quotes."""
    return html.escape(visible(text)).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _link(url: str, text: str) -> str:
    return f'<a href="{_text(url)}" rel="noopener noreferrer">{_text(text)}</a>'


def _css(state: State) -> str:
    return state.value.replace(" ", "-")


def _state(state: State, text: str = "") -> str:
    return f'<span class="state {_css(state)}">{_text(text or state.value)}</span>'


# --- the head of the page ----------------------------------------------------------------------------------------


def _header(inspection: Inspection) -> Iterator[str]:
    tally, config, at = inspection.tally, inspection.config, inspection.at
    shown = f"{at:%Y-%m-%d %H:%M} UTC"
    facts = {
        "Looked at": f'<time datetime="{at.isoformat()}">{shown}</time>',
        "Profile": _text(config.profile.value),
        "What counts": _text(FAIL_ON[tally.fail_on]),
    }
    yield '<header>\n<p class="eyebrow">Amazon SQS security best practices, judged by safe_sqs</p>\n'
    yield f'<h1>{_text(headline(inspection))}</h1>\n<dl class="run">'
    yield "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    yield '</dl>\n<div class="tiles">\n'
    yield f'<div class="tile"><strong>{tally.queues:,}</strong><span>{_noun(tally.queues)}</span></div>\n'
    for compliance in COMPLIANCE:
        count = tally.by_compliance[compliance]
        look = f"{_css(_LOOKS[compliance])}{'' if count else ' zero'}"
        inside = f"<strong>{count:,}</strong><span>{_TILES[compliance][count != 1]}</span>"
        yield (
            f'<a class="tile {look}" href="#result={compliance.value}">{inside}</a>\n'
            if count
            else f'<div class="tile {look}">{inside}</div>\n'
        )
    yield "</div>\n</header>\n"


def _noun(count: int) -> str:
    return "queue" if count == 1 else "queues"


_TILES = {
    Compliance.NON_COMPLIANT: ("does not comply", "do not comply"),
    Compliance.INSUFFICIENT_DATA: ("could not be judged", "could not be judged"),
    Compliance.COMPLIANT: ("complies", "comply"),
}
"""What stands below the number, of one queue and of others."""


def _troubles(troubles: tuple[Trouble, ...]) -> Iterator[str]:
    if not troubles:
        return
    yield '<section aria-labelledby="h-troubles">\n<h2 id="h-troubles">Not looked at</h2>\n<ul class="card troubles">\n'
    for trouble in troubles:
        yield (
            f"<li><strong>{_text(trouble.place)}</strong>: {_text(trouble.found)}"
            f"<br>Next step: {_text(trouble.next_step)}</li>\n"
        )
    yield "</ul>\n</section>\n"


# --- by practice -------------------------------------------------------------------------------------------------


def _practices(inspection: Inspection) -> Iterator[str]:
    yield '<section aria-labelledby="h-practices">\n<h2 id="h-practices">By practice</h2>\n'
    yield '<ul class="card practices">\n'
    for practice in Practice:
        counts = {state: inspection.tally.by_practice[practice, state] for state in State}
        yield f'<li><div>{_link(practice.url, PRACTICES[practice])}</div>\n{_bar(counts)}\n<div class="counts">'
        if practice in JUDGED:
            for state, count in counts.items():
                if count:
                    where = f"#practice={practice.value}&amp;state={_css(state)}"
                    yield f'<a class="state {_css(state)}" href="{where}">{count:,} {state.value}</a>'
        else:
            yield _state(State.AT_RUN_TIME, "judged in the running program")
        yield "</div></li>\n"
    yield "</ul>\n</section>\n"


def _bar(counts: dict[State, int]) -> str:
    """What the numbers beside it say, as a bar."""
    total = sum(counts.values())
    rectangles, x = [], 0.0
    for state, count in counts.items():
        if count:
            width = 100 * count / total
            rectangles.append(f'<rect class="{_css(state)}" x="{x:.2f}" width="{width:.2f}" height="1"></rect>')
            x += width
    return f'<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">{"".join(rectangles)}</svg>'


# --- the queues --------------------------------------------------------------------------------------------------


def _queues(inspection: Inspection) -> Iterator[str]:
    yield '<section id="queues" aria-labelledby="h-queues">\n<h2 id="h-queues">Queues</h2>\n'
    yield _filters()
    yield '<table id="matrix" role="table" aria-labelledby="h-queues"><thead role="rowgroup"><tr role="row">'
    for head in ("Queue", "Result", *(SHORT[practice] for practice in Practice)):
        yield f'<th role="columnheader" scope="col">{_text(head)}</th>'
    yield '</tr></thead>\n<tbody role="rowgroup">\n'
    for compliance in COMPLIANCE:
        if inspection.tally.by_compliance[compliance]:
            for evaluation in inspection.evaluations:
                if evaluation.compliance(inspection.tally.fail_on) is compliance:
                    yield _row(evaluation, compliance, inspection)
    yield "</tbody></table>\n</section>\n"


def _filters() -> str:
    """Hidden until the script has made them work."""
    results = "".join(_choice("result", each.value, told) for each, told in COMPLIANCE.items())
    states = "".join(_choice("state", _css(state), state.value) for state in State if state is not State.AT_RUN_TIME)
    practices = "".join(f'<option value="{each.value}">{_text(SHORT[each])}</option>' for each in Practice)
    return (
        '<form id="filters" class="filters" role="search" aria-label="Filter the queues" hidden>\n'
        '<div class="search"><label for="search">Search names and findings</label>'
        '<input id="search" type="search" autocomplete="off" spellcheck="false"></div>\n'
        f'<fieldset><legend>Result</legend><div class="choices">{results}</div></fieldset>\n'
        '<div><label for="practice">Practice</label>'
        f'<select id="practice"><option value="">any</option>{practices}</select></div>\n'
        f'<fieldset><legend>State</legend><div class="choices">{states}</div></fieldset>\n'
        '<div><label for="account">Account</label><select id="account"><option value="">any</option></select></div>\n'
        '<div><label for="region">Region</label><select id="region"><option value="">any</option></select></div>\n'
        "</form>\n"
        '<div id="shown" class="shown" hidden><p id="count" role="status"></p>'
        '<button id="clear" type="button" hidden>Clear the filters</button>'
        '<button id="open" type="button" aria-expanded="true">Close all findings</button>'
        '<span id="said" class="heard" role="status"></span></div>\n'
    )


def _choice(name: str, value: str, told: str) -> str:
    return f'<button type="button" aria-pressed="false" data-filter="{name}" value="{value}">{told}</button>'


def _row(evaluation: Evaluation, compliance: Compliance, inspection: Inspection) -> str:
    queue = evaluation.queue
    arn = queue.arn or f"arn:{queue.partition}:sqs:{queue.region}:{queue.account}:"
    place = " \N{MIDDLE DOT} ".join((queue.account or "account unknown", queue.region or "region unknown"))
    cells = [_state(_LOOKS[compliance], COMPLIANCE[compliance])]
    cells += [_state(evaluation.state_in(practice)) for practice in Practice]
    return (
        f'<tr role="row" data-result="{compliance.value}" data-arn="{_text(arn)}">'
        f'<th role="rowheader" scope="row">{_text(name_of(evaluation))}'
        f'<span class="place">{_text(place)}</span></th>'
        + "".join(f'<td role="cell">{cell}</td>' for cell in cells)
        + f"{_why(evaluation, inspection)}</tr>\n"
    )


def _why(evaluation: Evaluation, inspection: Inspection) -> str:
    """What was found, and what else there is to say. It is open, for browsers without a script and for paper."""
    remarks = [*exemptions_in_words(evaluation, inspection), *map(opinion_in_words, evaluation.opinions)]
    if not evaluation.findings and not remarks:
        return ""
    heads = [counted(len(evaluation.findings), "finding")] if evaluation.findings else []
    heads += [counted(len(remarks), "remark")] if remarks else []
    rules = ", ".join(dict.fromkeys(finding.rule for finding in evaluation.findings))
    told = f"{' and '.join(heads)}{f': {rules}' if rules else ''}"
    inside = [*map(_finding, evaluation.findings), *(f'<li class="remark">{_text(remark)}</li>' for remark in remarks)]
    return (
        f'<td role="cell" class="why"><details open><summary>{_text(told)}</summary>'
        f'<ol class="findings">{"".join(inside)}</ol></details></td>'
    )


def _finding(finding: Finding) -> str:
    state = state_of(finding)
    practice = finding.practice
    source = f"<span>AWS: {_link(practice.url, PRACTICES[practice])}</span>" if practice else ""
    rule = (
        f'<a href="#{finding.rule}">{finding.rule}</a>' if finding.rule in _NAMES else f"<b>{_text(finding.rule)}</b>"
    )
    return (
        f'<li class="finding {_css(state)}"><div class="rule">{_state(state)}<span>{rule}</span>{source}</div>'
        f"<h3>{_text(_sentence(finding.found))}</h3><dl><dt>Expected</dt><dd>{_text(finding.expected)}</dd>"
        f'<dt>Next step</dt><dd class="step"><code>{_text(finding.next_step)}</code></dd></dl></li>'
    )


_NAMES = frozenset(rule.name for rule in QUEUE_RULES)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- the rules, and what the words mean --------------------------------------------------------------------------


def _rules(inspection: Inspection) -> Iterator[str]:
    config = inspection.config
    levels = dict(config.levels)
    yield (
        '<section aria-labelledby="h-rules">\n<h2 id="h-rules">The rules</h2>\n'
        "<p>With the published controls that check the same, or a part of it.</p>\n"
        '<div class="rules">\n'
    )
    for rule in QUEUE_RULES:
        level = f", level {levels[rule.name]}" if rule.name in levels else ""
        yield (
            f'<article class="card" id="{rule.name}"><h3>{_text(rule.title)}</h3>'
            f"<p>{rule.name}: {_text(config.mode(rule.name).value)}{_text(level)}</p>{_controls(rule)}</article>\n"
        )
    yield "</div>\n"
    if config.exemptions:
        yield '<h3>Exemptions in this configuration</h3>\n<ul class="card exemptions">'
        for each in config.exemptions:
            yield (
                f"<li>{_text(each.queue)}: {_text(each.rule)} until {each.until.isoformat()}, {_text(each.reason)}</li>"
            )
        yield "</ul>\n"
    yield "</section>\n"


def _controls(rule: Rule) -> str:
    by_source: dict[str, list[Control]] = {}
    for control in CONTROLS.get(rule.name, ()):
        by_source.setdefault(control.source, []).append(control)
    items = (f"<li>{_text(source)}: {_joined(controls)}</li>" for source, controls in by_source.items())
    return f"<ul>{''.join(items)}</ul>" if by_source else "<p>No published control checks this.</p>"


def _joined(controls: Iterable[Control]) -> str:
    return ", ".join(_link(each.url, each.id) if each.url else _text(each.id) for each in controls)


def _legend() -> Iterator[str]:
    yield '<section aria-labelledby="h-legend">\n<h2 id="h-legend">What the words mean</h2>\n<dl class="card legend">\n'
    for state, meaning in MEANINGS.items():
        yield f"<dt>{_state(state)}</dt><dd>{_text(meaning)}</dd>\n"
    yield "</dl>\n</section>\n"


def _footer() -> str:
    from importlib.metadata import version

    return (
        f"<footer>Written by safe_sqs {_text(version('safe_sqs'))}. The page is one file and fetches nothing; "
        "its filters are in its address, so that what you see can be sent on.</footer>\n"
    )
