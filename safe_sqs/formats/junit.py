"""JUnit XML, as CI systems show it: a suite for each queue, and in it a test for each rule.

A suite has to begin with its counts. Suites of accounts or regions would need the whole inspection in memory, or a pass
for each of them, so a suite is a queue. The format has no standard; this keeps to what Jenkins, GitLab and the
reporters for GitHub have in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TextIO

from safe_sqs.evaluation import Evaluation, State, counts
from safe_sqs.formats.outcomes import Outcome, of_no_rule, outcomes_of
from safe_sqs.formats.texts import xml_attribute, xml_text
from safe_sqs.inspection import Inspection, Trouble
from safe_sqs.model import Finding, Mode, Queue

__all__ = ["write"]

_PLACES = "places that could not be looked at"


class _Test(NamedTuple):
    """`result` is the element inside of the test, or "" for a test that passed and has nothing to say."""

    name: str
    result: str = ""
    message: str = ""
    text: str = ""


def write(inspection: Inspection, stream: TextIO) -> None:
    """Write the document, in ASCII.

    A failure is what is certain and counts by `inspection.tally.fail_on`. What is certain and does not count passes,
    and is told in system-out. What could not be told is an error. Rules that are off, or from which the queue is
    exempt, are skipped.
    """
    at = inspection.at.strftime("%Y-%m-%dT%H:%M:%S")
    stream.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="safe_sqs">\n')
    for evaluation in inspection.evaluations:
        queue = evaluation.queue
        tests = tuple(_tests_of(evaluation, inspection.tally.fail_on))
        stream.writelines(_suite(queue.arn or queue.shown, _class_of(queue), at, tests))
    if inspection.troubles:
        stream.writelines(_suite(_PLACES, "safe_sqs", at, tuple(map(_test_of_trouble, inspection.troubles))))
    stream.write("</testsuites>\n")


def _class_of(queue: Queue) -> str:
    """What stands in place of a Java class: CI systems group tests by the parts between its dots."""
    return f"{queue.account}.{queue.region}.{queue.name}" if queue.name else queue.shown


def _tests_of(evaluation: Evaluation, fail_on: Mode) -> Iterator[_Test]:
    for finding in of_no_rule(evaluation):
        yield _Test(finding.rule, "error", finding.found, _told([finding]))
    for outcome in outcomes_of(evaluation):
        yield _test_of(outcome, fail_on)


def _test_of(outcome: Outcome, fail_on: Mode) -> _Test:
    name, findings = outcome.rule.name, outcome.findings
    if outcome.state is State.EXEMPT:
        return _Test(name, "skipped", "the queue is exempt from this rule")
    if outcome.state is State.OFF:
        return _Test(name, "skipped", "the rule is off")
    failing = [finding for finding in findings if counts(finding, fail_on)]
    if failing:
        return _Test(name, "failure", failing[0].found, _told(findings))
    unknown = [finding for finding in findings if finding.unverifiable]
    if unknown:
        return _Test(name, "error", unknown[0].found, _told(findings))
    if outcome.state is State.UNKNOWN:
        return _Test(name, "skipped", "could not be told, since the queue could not be read")
    return _Test(name, "system-out", "", _told(findings)) if findings else _Test(name)


def _test_of_trouble(trouble: Trouble) -> _Test:
    return _Test(trouble.place, "error", trouble.found, f"next step: {trouble.next_step}")


def _told(findings: Iterable[Finding]) -> str:
    return "\n\n".join(
        f"found:     {finding.found}\n"
        f"expected:  {finding.expected}\n"
        f"next step: {finding.next_step}\n"
        f"mode:      {finding.mode.value}"
        for finding in findings
    )


def _suite(name: str, of_class: str, at: str, tests: tuple[_Test, ...]) -> Iterator[str]:
    results = Counter(test.result for test in tests)
    yield (
        f'  <testsuite name={xml_attribute(name)} tests="{len(tests)}" failures="{results["failure"]}" '
        f'errors="{results["error"]}" skipped="{results["skipped"]}" timestamp="{at}" time="0">\n'
    )
    for test in tests:
        yield f'    <testcase classname={xml_attribute(of_class)} name={xml_attribute(test.name)} time="0"'
        yield f">{_result(test)}</testcase>\n" if test.result else "/>\n"
    yield "  </testsuite>\n"


def _result(test: _Test) -> str:
    message = f" message={xml_attribute(test.message)}" if test.message else ""
    kind = f' type="{test.result}"' if test.result in ("failure", "error") else ""
    return f"<{test.result}{kind}{message}>{xml_text(test.text)}</{test.result}>"
