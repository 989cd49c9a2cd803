"""The exceptions of safe_sqs. None of them is an OSError or botocore's, so that no retry loop swallows a refusal."""

from __future__ import annotations

from collections.abc import Iterable

from safe_sqs.model import Finding

__all__ = ["ConfigError", "GuardError", "RefusedError", "UnverifiableError"]


class GuardError(Exception):
    """Base of everything that safe_sqs raises."""


class ConfigError(GuardError):
    """The configuration is wrong. Raised when a client is made or guarded, never in the middle of a call.

    `key` is the setting, `source` says where the value came from.
    """

    def __init__(self, key: str, source: str, problem: str) -> None:
        super().__init__(key, source, problem)
        self.key = key
        self.source = source
        self.problem = problem

    def __str__(self) -> str:
        return f"safe_sqs configuration: {self.key} ({self.source}): {self.problem}"


class RefusedError(GuardError):
    """A call was refused before a byte of it was sent.

    `findings` are all the reasons, `operation` the API operation, `queue` the queue's URL ("" when the call concerns
    no queue). The error pickles, and carries no message body, secret key, token or signature.
    """

    def __init__(self, findings: Iterable[Finding], operation: str, queue: str) -> None:
        self.findings = tuple(findings)
        self.operation = operation
        self.queue = queue
        super().__init__(self.findings, operation, queue)

    def __str__(self) -> str:
        return render(self._headline(), self.findings)

    def _headline(self) -> str:
        return f"safe_sqs refused {subject(self.operation, self.queue)}"


class UnverifiableError(RefusedError):
    """A call was refused because it could not be told whether it is safe: every finding says what is missing."""

    def _headline(self) -> str:
        return f"safe_sqs could not verify {subject(self.operation, self.queue)}, so it was refused"


def refusal(findings: Iterable[Finding], operation: str, queue: str) -> RefusedError:
    """The error for these findings: UnverifiableError when nothing bad was seen and nothing good could be told."""
    findings = tuple(findings)
    if all(finding.unverifiable for finding in findings):
        return UnverifiableError(findings, operation, queue)
    return RefusedError(findings, operation, queue)


def subject(operation: str, queue: str) -> str:
    """The call in words: the operation, and the queue where there is one."""
    return f"{operation} on {queue}" if queue else operation


def render(headline: str, findings: tuple[Finding, ...]) -> str:
    """The findings as a readable list under a headline."""
    count = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    lines = [f"{headline}: {count}"]
    for number, finding in enumerate(findings, start=1):
        lines += [
            f"  {number}. {finding.rule} ({finding.mode.value})",
            f"     found:     {finding.found}",
            f"     expected:  {finding.expected}",
            f"     next step: {finding.next_step}",
        ]
    return "\n".join(lines)
