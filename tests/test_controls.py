"""The table of published controls: complete, without doubles, and on its page of the documentation as it is here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from safe_sqs.controls import CONTROLS, NOT_OURS, UNPUBLISHED, Coverage, as_markdown
from safe_sqs.rules import ALL_RULES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "controls.md"
IDS = {
    "Security Hub": r"[A-Za-z]+\.\d+",
    "AWS Config": r"[a-z0-9-]+",
    "CIS AWS Foundations 7.0.0": r"\d+\.\d+",
    "Prowler": r"[a-z0-9_]+",
    "Checkov": r"CKV2?_(?:AWS|SECRET)_\d+",
    "Trivy": r"AVD-AWS-\d{4}",
    "cdk-nag": r"(?:AwsSolutions|Serverless)-[A-Za-z0-9]+",
    "cfn_nag": r"[FW]\d+",
    "Steampipe": r"sqs_[a-z_]+",
}
EVERYTHING = [control for controls in CONTROLS.values() for control in controls] + list(NOT_OURS)


def test_each_rule_is_in_the_table_in_the_order_of_the_rules():
    assert list(CONTROLS) == [rule.name for rule in ALL_RULES]


def test_there_is_a_reason_for_each_rule_that_nobody_publishes_and_for_no_other():
    assert set(UNPUBLISHED) == {rule for rule, controls in CONTROLS.items() if not controls}
    assert all(UNPUBLISHED.values())


@pytest.mark.parametrize("rule", CONTROLS)
def test_no_control_stands_twice_at_a_rule(rule):
    named = [(control.source, control.id) for control in CONTROLS[rule]]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("control", EVERYTHING, ids=lambda control: f"{control.source} {control.id}")
def test_an_id_is_of_the_kind_that_its_publisher_gives_and_a_remark_says_what_differs(control):
    assert re.fullmatch(IDS[control.source], control.id)
    assert control.url.startswith("https://")
    assert control.remark[0].isupper() or control.remark.startswith("SQS")
    assert not control.remark.endswith(".")
    assert "|" not in control.remark


def test_a_control_has_one_address_wherever_it_stands():
    addresses = {(control.source, control.id, control.url) for control in EVERYTHING}
    assert len({(source, name) for source, name, _ in addresses}) == len(addresses)


def test_what_is_not_ours_is_at_no_rule():
    ours = {(control.source, control.id) for controls in CONTROLS.values() for control in controls}
    assert not ours & {(control.source, control.id) for control in NOT_OURS}


def test_the_controls_of_security_hub_for_sqs_are_all_accounted_for():
    numbers = {control.id for control in EVERYTHING if control.source == "Security Hub" and "SQS" in control.id}
    assert numbers == {"SQS.1", "SQS.2", "SQS.3"}


def test_only_what_asks_the_same_of_a_live_queue_is_called_the_same():
    same = {control.source for controls in CONTROLS.values() for control in controls if control.covers is Coverage.SAME}
    assert same == {"Security Hub", "AWS Config", "Prowler", "Steampipe"}


def test_the_page_has_the_table_as_it_is_in_the_code():
    if not PAGE.is_file():
        pytest.skip("the documentation is not here")
    text = PAGE.read_text(encoding="utf-8")
    shown = text.partition("<!-- controls: begin -->\n")[2].partition("<!-- controls: end -->")[0]
    assert shown.strip() == as_markdown().strip(), "put what safe_sqs.controls.as_markdown() gives between the marks"
