"""The HTML page: nothing from outside gets into its structure, and a real browser shows, filters and prints it."""

from __future__ import annotations

import io
import re
import struct
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import browser as browsers
import pytest
from inspections import (
    AT,
    OWN,
    TROUBLE,
    Many,
    evaluation,
    evaluations,
    facts_named,
    inspection,
    inspection_of,
    policy,
    queue,
    statement,
)
from support import NEXT_MONTH

from safe_sqs import Exemption
from safe_sqs.controls import CONTROLS
from safe_sqs.evaluation import QUEUE_RULES, Compliance, Opinion, State
from safe_sqs.formats.html import write
from safe_sqs.inspection import Inspection, Tally, Trouble
from safe_sqs.model import Facts, Mode, Practice

HOSTILE = [
    "</script><script>window.pwned = 1</script>",
    "</style><img src=x onerror='window.pwned = 1'>",
    '" onmouseover="window.pwned = 1" autofocus onfocus="window.pwned = 1" x="',
    "' onmouseover='window.pwned = 1'",
    "<!-- <svg onload=window.pwned=1>",
    "]]></td></tr></table><iframe src='javascript:parent.pwned = 1'></iframe>",
    "{{policy}} {style} %s $&",
    "&lt;script&gt; &#x3c;b&#x3e; &amp",
    "javascript:window.pwned=1",
    "line\r\nbreak\0null\x1b[31m\u202eesrever\u200b\ud800",
]


def page_of(shown: Inspection) -> str:
    stream = io.StringIO()
    write(shown, stream)
    return stream.getvalue()


def told_by(text: str) -> Inspection:
    """An inspection in which everything that comes from outside is this text."""
    known = facts_named(text, policy=policy(statement(Sid=text, Principal="*")))
    judged = evaluation(known=known)
    odd = judged.findings[0]._replace(rule=text, found=text, expected=text, next_step=text, practice=None)
    exempt = Exemption("*", "tls-only-policy", text, NEXT_MONTH)
    judged = judged._replace(
        findings=(*judged.findings, odd),
        opinions=(Opinion(text, agrees=None, told=text),),
        states=tuple((rule, State.EXEMPT if rule == exempt.rule else state) for rule, state in judged.states),
    )
    nameless = judged._replace(queue=judged.queue._replace(url=text, name="", account=text, region=text))
    return inspection_of([judged, nameless], Trouble(text, text, text), exemptions=[exempt])


class Structure(HTMLParser):
    """The tags and attributes of a page, whether each tag is closed, and the text between them."""

    VOID = ("br", "input", "meta")

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def structure_of(page: str) -> Structure:
    structure = Structure()
    structure.feed(page)
    structure.close()
    assert structure.open == []
    return structure


# --- what is written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [inspection(TROUBLE), inspection(profile="strict"), inspection_of([])])
def test_the_page_is_well_formed_and_its_ids_are_unique(shown):
    structure = structure_of(page_of(shown))
    ids = [value for _, name, value in structure.attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    referred = [value for _, name, value in structure.attributes if name in ("for", "aria-labelledby")]
    assert set(referred) <= set(ids)
    assert [tag for tag, _ in structure.tags].count("h1") == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_what_comes_from_outside_changes_nothing_in_the_structure(text):
    page = page_of(told_by(text))
    hostile, harmless = structure_of(page), structure_of(page_of(told_by("harmless")))
    assert hostile.tags == harmless.tags
    assert not [name for _, name, _ in hostile.attributes if name.startswith("on") or name in ("style", "src")]
    assert page.isascii()


@pytest.mark.parametrize("text", HOSTILE[:-1])
def test_what_comes_from_outside_is_shown_as_it_is(text):
    assert structure_of(page_of(told_by(text))).texts.count(text) >= 5


def test_characters_that_are_not_seen_are_shown_as_codes_so_that_a_copied_command_is_one_line():
    page = page_of(told_by(HOSTILE[-1]))
    assert "line\\x0d\\x0abreak\\x00null\\x1b[31m\\u202eesrever\\u200b\\ud800" in page


def test_the_page_fetches_nothing_and_links_only_to_pages_for_people():
    structure = structure_of(page_of(inspection(TROUBLE)))
    assert {tag for tag, _ in structure.tags} & {"link", "img", "iframe", "object", "embed", "base", "audio"} == set()
    links = {value for tag, name, value in structure.attributes if name == "href" and tag == "a"}
    assert all(link.startswith(("https://", "#")) for link in links)
    assert {practice.url for practice in Practice} <= links
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|import\(", page_of(inspection()))
    (csp,) = [value for _, name, value in structure.attributes if name == "content" and "default-src" in value]
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-[^' ]+'; style-src 'sha256-[^' ]+'; base-uri 'none'; "
        r"form-action 'none'",
        csp,
    )


def test_every_finding_stands_there_with_its_witness_what_is_expected_its_fix_and_the_page_of_aws():
    shown = inspection()
    texts = "\n".join(structure_of(page_of(shown)).texts)
    for each in shown.evaluations:
        for finding in each.findings:
            assert finding.found[1:] in texts
            assert finding.expected in texts
            assert finding.next_step in texts
        for opinion in each.opinions:
            assert opinion.told in texts


def test_the_published_controls_and_the_exemptions_are_named():
    texts = "\n".join(structure_of(page_of(inspection())).texts)
    ids = {control.id for rule in QUEUE_RULES for control in CONTROLS[rule.name]}
    assert ids
    assert all(each in texts for each in ids)
    assert "the partner cannot use it yet" in texts


def test_queues_that_do_not_comply_come_first_and_those_that_comply_last():
    page = page_of(inspection())
    results = re.findall(r'data-result="(\w+)"', page)
    order = [each.value for each in (Compliance.NON_COMPLIANT, Compliance.INSUFFICIENT_DATA, Compliance.COMPLIANT)]
    assert results == sorted(results, key=order.index)
    assert len(results) == len(evaluations())


def test_what_counts_is_what_the_inspection_counts():
    warned = page_of(inspection_of([evaluation("plain HTTP")], fail_on=Mode.ENFORCE))
    assert "<h1>The queue complies</h1>" in warned
    assert "only findings that refuse count" in warned


@pytest.mark.parametrize(
    ("shown", "title"),
    [
        (inspection_of([]), "No queues were found"),
        (inspection_of([], TROUBLE), "No queues were found, and 1 place was not looked at"),
        (inspection_of([evaluation("good")], TROUBLE, TROUBLE), "The queue complies, and 2 places were not looked at"),
        (inspection_of([evaluation("good"), evaluation("exempt")]), "All 2 queues comply"),
        (inspection_of([evaluation("unreadable"), evaluation("good")]), "1 of 2 queues could not be judged"),
        (inspection_of([evaluation("public")]), "1 of 1 queue does not comply"),
    ],
)
def test_the_title_says_how_it_stands_and_hides_nothing(shown, title):
    page = page_of(shown)
    assert f"<h1>{title}</h1>" in page
    assert f"<title>{title}: " in page


def test_the_page_is_written_queue_by_queue_and_memory_stays_flat():
    class Nowhere(io.TextIOBase):
        def write(self, text: str) -> int:
            return len(text)

    def peak(count: int) -> int:
        many = Many(count)
        tally = Tally()
        for each in many:
            tally.add(each)
        tracemalloc.start()
        write(Inspection(many, tally, AT, inspection().config), Nowhere())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(14)
    assert peak(1400) < peak(140) + 100_000


# --- in a browser ------------------------------------------------------------------------------------------------


needs_browser = pytest.mark.skipif(browsers.binary() is None, reason="no chromium or google-chrome is installed")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chromium")
    with browsers.running(folder) as running:
        yield running


@pytest.fixture
def address(tmp_path):
    def write_page(shown: Inspection, name: str = "page.html", more: str = "") -> str:
        file = tmp_path / name
        file.write_text(page_of(shown).replace("</body>", f"{more}</body>"))
        return file.as_uri()

    return write_page


NAMES_SHOWN = """
[...document.querySelectorAll("#matrix tbody tr")].filter(row => row.checkVisibility())
    .map(row => row.querySelector("th").firstChild.textContent).sort()
"""


def names(*wanted: Any) -> list[str]:
    return sorted(each.queue.name for each in evaluations() if all(want(each) for want in wanted))


FILTERS = {
    "": [],
    "result=NON_COMPLIANT": [lambda each: each.compliance() is Compliance.NON_COMPLIANT],
    "result=NON_COMPLIANT,INSUFFICIENT_DATA": [lambda each: each.compliance() is not Compliance.COMPLIANT],
    "state=warned": [lambda each: State.WARNED in {each.state_in(practice) for practice in Practice}],
    f"practice={Practice.NOT_PUBLIC.value}&state=refused": [
        lambda each: each.state_in(Practice.NOT_PUBLIC) is State.REFUSED
    ],
    f"practice={Practice.ENCRYPTION_AT_REST.value}&state=unknown,refused": [
        lambda each: each.state_in(Practice.ENCRYPTION_AT_REST) in (State.UNKNOWN, State.REFUSED)
    ],
    "account=444455556666": [lambda each: each.queue.account == "444455556666"],
    f"account={OWN}&region=eu-west-1": [
        lambda each: each.queue.account == OWN,
        lambda each: each.queue.region == "eu-west-1",
    ],
    "q=anyone+INTERNET": [lambda each: any("anyone on the internet" in finding.found for finding in each.findings)],
    "q=arn:aws:sqs:us-east-1:111122223333:payroll": [lambda each: each.queue.name == "payroll"],
    "q=nothing+like+it": [lambda _: False],
    "account=%3Cscript%3E&state=x&practice=y&result=": [],
    "queues": [],
}


@needs_browser
@pytest.mark.parametrize("fragment", FILTERS)
def test_the_fragment_of_the_address_filters(chromium, address, fragment):
    wanted = names(*FILTERS[fragment])
    with chromium.page(f"{address(inspection(TROUBLE))}#{fragment}") as page:
        assert page.run(NAMES_SHOWN) == wanted
        counted = page.run("document.getElementById('count').textContent")
        assert str(len(wanted)) in counted
        assert page.complaints == []


@needs_browser
def test_filters_work_by_hand_and_the_address_keeps_them(chromium, address):
    at = address(inspection())
    with chromium.page(at) as page:
        page.run("document.querySelector('[data-filter=result][value=NON_COMPLIANT]').click()")
        assert page.run(NAMES_SHOWN) == names(*FILTERS["result=NON_COMPLIANT"])
        page.run("document.getElementById('region').value = 'eu-west-1'")
        page.run("document.getElementById('region').dispatchEvent(new Event('change'))")
        page.run("document.getElementById('search').focus()")
        page.ask("Input.insertText", text="Anyone")
        page.run("new Promise(done => setTimeout(done, 400))")
        shown = page.run(NAMES_SHOWN)
        assert shown == ["clicks", "sandbox"]
        sent_on = page.run("location.href")
    with chromium.page(sent_on) as page:
        assert page.run(NAMES_SHOWN) == shown
        pressed = "document.querySelector('[data-filter=result][value=NON_COMPLIANT]').getAttribute('aria-pressed')"
        assert page.run(pressed) == "true"
        page.run("document.getElementById('clear').click()")
        assert page.run(NAMES_SHOWN) == names()
        assert page.run(pressed) == "false"
        assert page.run("location.hash") == ""


@needs_browser
def test_a_count_leads_to_its_queues(chromium, address):
    with chromium.page(address(inspection())) as page:
        page.run("document.querySelector('a.tile.unknown').click()")
        page.run("new Promise(done => setTimeout(done, 50))")
        assert page.run(NAMES_SHOWN) == names(lambda each: each.compliance() is Compliance.INSUFFICIENT_DATA)


@needs_browser
def test_a_next_step_can_be_copied(chromium, address):
    with chromium.page(address(inspection_of([evaluation("unencrypted")]))) as page:
        chromium.ask("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        page.ask("Page.bringToFront")
        page.run("document.querySelector('.step button').click()")
        page.run("new Promise(done => setTimeout(done, 200))")
        assert page.run("document.querySelector('.step button').textContent") == "Copied"
        assert page.run("navigator.clipboard.readText()") == evaluation("unencrypted").findings[0].next_step


@needs_browser
def test_findings_are_closed_at_first_where_there_are_many_and_open_together(chromium, address):
    opened = "[...document.querySelectorAll('details')].map(each => each.open)"
    with chromium.page(address(inspection())) as page:
        assert not any(page.run(opened))
        page.run("document.getElementById('open').click()")
        assert all(page.run(opened))
        copies = page.run(
            "new Promise(done => setTimeout(() => done(document.querySelectorAll('.step button').length), 200))"
        )
        assert copies == sum(len(each.findings) for each in evaluations())
    with chromium.page(address(inspection_of([evaluation("public")]), "one.html")) as page:
        assert page.run(opened) == [True]


@needs_browser
def test_without_scripts_everything_is_there_and_open_and_the_filters_are_not(chromium, address):
    with chromium.page(address(inspection(TROUBLE)), script=False) as page:
        assert page.run(NAMES_SHOWN) == names()
        assert page.run("document.getElementById('filters').checkVisibility()") is False
        assert page.run("[...document.querySelectorAll('details')].every(each => each.open)") is True
        assert page.run("document.querySelectorAll('button:not([hidden])').length > 0") is True
        visible = "[...document.querySelectorAll('button')].filter(each => each.checkVisibility()).length"
        assert page.run(visible) == 0
        assert page.complaints == []


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 820, 1100, 1280])
def test_nothing_is_wider_than_the_screen(chromium, address, width):
    long = queue("q" * 75 + ".fifo", "ap-southeast-2")
    judged = [*evaluations(profile="strict"), evaluation(known=(long, Facts(long)), profile="strict")]
    with chromium.page(address(inspection_of(judged, TROUBLE)), width=width, height=844) as page:
        page.run("document.getElementById('open').click()")
        assert page.run("document.documentElement.scrollWidth") <= width
        beyond = """[...document.querySelectorAll("body *")]
            .filter(each => each.checkVisibility() && !each.closest(".heard, .skip, thead"))
            .filter(each => each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML)"""
        assert page.run(beyond) == []


OVERLAPS = """
[...document.querySelectorAll("#matrix tr")].flatMap(row => {
  const boxes = [...row.querySelectorAll(":scope > :not(.why) > .state")].map(each => each.getBoundingClientRect());
  return boxes.flatMap((one, at) => boxes.slice(at + 1).filter(other => one.right > other.left + 1
    && other.right > one.left + 1 && one.bottom > other.top + 1 && other.bottom > one.top + 1));
}).length
"""


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 820, 1100, 1280])
def test_no_state_lies_over_another(chromium, address, width):
    with chromium.page(address(inspection()), width=width) as page:
        assert page.run(OVERLAPS) == 0


@needs_browser
def test_on_a_phone_each_state_carries_the_name_of_its_practice(chromium, address):
    label = "getComputedStyle(document.querySelector('#matrix tbody td:nth-of-type(2)'), '::before').content"
    at = address(inspection())
    with chromium.page(at, width=390) as page:
        assert page.run(label) == '"Not public"'
    with chromium.page(at, width=1280) as page:
        assert page.run(label) == "none"


@needs_browser
def test_the_head_of_the_matrix_stays_in_sight(chromium, address):
    with chromium.page(address(inspection_of(list(Many(60))))) as page:
        page.run("document.querySelectorAll('#matrix tbody tr')[40].scrollIntoView()")
        page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
        assert abs(page.run("document.querySelector('#matrix thead').getBoundingClientRect().top")) < 1


CONTRASTS = """
(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = each => {
    for (; each; each = each.parentElement) {
      const found = parse(getComputedStyle(each).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter(each => each.checkVisibility() && [...each.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(each => !["SCRIPT", "STYLE", "OPTION"].includes(each.tagName))
    .map(each => {
      const [a, b] = [light(parse(getComputedStyle(each).color)), light(ground(each))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), each.outerHTML.slice(0, 120)];
    }).sort((a, b) => a[0] - b[0]);
})()
"""


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground(chromium, address, dark):
    with chromium.page(address(inspection(TROUBLE)), dark=dark, height=8000) as page:
        page.run("document.querySelector('[data-filter=state][value=passed]').click()")
        page.run("document.getElementById('open').click()")
        contrasts = page.run(CONTRASTS)
        assert len(contrasts) > 100
        assert contrasts[0][0] >= 4.5, contrasts[0]


@needs_browser
def test_the_keyboard_reaches_the_page_and_shows_where_it_is(chromium, address):
    with chromium.page(address(inspection())) as page:
        reached = []
        for _ in range(8):
            for kind in ("keyDown", "keyUp"):
                page.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            reached.append(page.run("document.activeElement.className"))
            assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert reached[0] == "skip"
        assert "tile refused" in reached


@needs_browser
def test_assistive_technology_is_told_a_table_with_heads_and_named_controls(chromium, address):
    with chromium.page(address(inspection())) as page:
        page.wait_until_drawn()
        nodes = page.ask("Accessibility.getFullAXTree")["nodes"]
    seen = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    roles = [role for role, _ in seen]
    assert {"main", "banner", "contentinfo", "search", "table"} <= set(roles)
    assert roles.count("columnheader") == 8
    assert roles.count("rowheader") == len(evaluations())
    unnamed = [
        role for role, name in seen if role in ("button", "combobox", "searchbox", "link", "region") and not name
    ]
    assert unnamed == []
    assert ("searchbox", "Search names and findings") in seen


@needs_browser
def test_it_prints_with_all_findings_and_without_filters(chromium, address):
    pypdf = pytest.importorskip("pypdf")
    with chromium.page(address(inspection(TROUBLE)), dark=True) as page:
        assert page.run("document.querySelector('details').open") is False
        printed = pypdf.PdfReader(io.BytesIO(page.printed()))
    assert len(printed.pages) >= 3
    text = " ".join(" ".join(each.extract_text() for each in printed.pages).split())
    assert "8 of 14 queues do not comply" in text
    assert text.count("Next step") == sum(len(each.findings) for each in evaluations()) + 1
    assert "Search names" not in text
    assert "Encrypted at rest" in text


@needs_browser
@pytest.mark.parametrize("text", HOSTILE)
def test_a_browser_runs_nothing_that_comes_from_outside(chromium, address, text):
    with chromium.page(address(told_by(text))) as page:
        for event in ("mouseover", "focus"):
            page.run(f"document.querySelectorAll('body *').forEach(each => each.dispatchEvent(new Event('{event}')))")
        assert page.run("window.pwned === undefined") is True
        assert page.complaints == []
        assert len(page.fetched) == 1


@needs_browser
def test_should_escaping_fail_one_day_the_policy_of_the_page_still_stops_it(chromium, address):
    injected = (
        "<script>window.pwned = 1</script><img src='http://127.0.0.1:9/x' onerror='window.pwned = 1'>"
        "<link rel=stylesheet href='http://127.0.0.1:9/x'><iframe src='http://127.0.0.1:9/x'></iframe>"
        "<p style='position: fixed'></p><form action='http://127.0.0.1:9/x'><button id=go></button></form>"
    )
    with chromium.page(address(inspection(), more=injected)) as page:
        page.run("document.getElementById('go').click()")
        assert page.run("window.pwned === undefined") is True
        assert page.run("getComputedStyle(document.querySelector('p[style]')).position") == "static"
        assert len([each for each in page.complaints if "Content Security Policy" in each]) >= 5
        left = [response["response"]["url"] for response in page.told("Network.responseReceived")]
        assert not [each for each in left if "127.0.0.1" in each]
        assert page.run("location.protocol") == "file:"


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_pictures_of_the_page_can_be_taken(chromium, address, tmp_path, width, dark):
    with chromium.page(address(inspection(TROUBLE)), width=width, dark=dark) as page:
        picture = page.screenshot(Path(tmp_path) / f"{width}-{'dark' if dark else 'light'}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) > (width - 1, 1500)
    assert len(picture) > 50_000
