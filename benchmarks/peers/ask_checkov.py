"""Checkov: its Terraform runner on a file with one `aws_sqs_queue_policy`, and two checks: CKV_AWS_168 and CKV_AWS_387.
A check that says neither passed nor failed could not read the policy.
"""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

from adapter import Case, serve
from checkov.common.models.enums import CheckResult
from checkov.runner_filter import RunnerFilter
from checkov.terraform.runner import Runner

CHECKS = ("CKV_AWS_168", "CKV_AWS_387")


class Scan:
    """The last file, with what both checks said of it: one run serves both."""

    def __init__(self) -> None:
        self._of: Case | None = None
        self._results: dict[str, CheckResult] = {}

    def result(self, check: str, case: Case) -> CheckResult:
        if case is not self._of:
            self._results = run(case)
            self._of = case
        return self._results.get(check, CheckResult.UNKNOWN)


def run(case: Case) -> dict[str, CheckResult]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "queue.tf").write_text(terraform(case), encoding="utf-8")
        report = Runner().run(root_folder=folder, runner_filter=RunnerFilter(checks=list(CHECKS)))
    records = [*report.passed_checks, *report.failed_checks]
    return {record.check_id: record.check_result["result"] for record in records}


def terraform(case: Case) -> str:
    """The policy as a string of Terraform: what would be a reference in it is escaped."""
    queue = json.dumps(f"https://sqs.{case.region}.amazonaws.com/{case.account}/queue")
    policy = json.dumps(case.policy).replace("${", "$${").replace("%{", "%%{")
    return f'resource "aws_sqs_queue_policy" "queue" {{\n  queue_url = {queue}\n  policy    = {policy}\n}}\n'


scan = Scan()


def judge(check: str):
    def is_public(case: Case) -> bool:
        if not case.policy:
            return False  # a queue without a policy is no aws_sqs_queue_policy
        result = scan.result(check, case)
        if result is CheckResult.UNKNOWN:
            raise ValueError("the check neither passed nor failed")
        return result is CheckResult.FAILED

    return is_public


if __name__ == "__main__":
    serve(version("checkov"), {f"Checkov {check}": judge(check) for check in CHECKS})
