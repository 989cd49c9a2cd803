"""Queue policies: reading the document, deciding about a request, and the questions that the rules ask of it."""

from __future__ import annotations

from safe_sqs.policy.document import PolicyError, Statement, parse
from safe_sqs.policy.evaluate import Decision, Request, decide
from safe_sqs.policy.grants import Foreigner, Grant, foreign_accounts, grants
from safe_sqs.policy.mending import closes_plaintext, public_findings
from safe_sqs.policy.questions import (
    Answer,
    outside_vpc_access,
    plaintext_access,
    plaintext_of,
    public_access,
    public_statements,
)

__all__ = [
    "Answer",
    "Decision",
    "Foreigner",
    "Grant",
    "PolicyError",
    "Request",
    "Statement",
    "closes_plaintext",
    "decide",
    "foreign_accounts",
    "grants",
    "outside_vpc_access",
    "parse",
    "plaintext_access",
    "plaintext_of",
    "public_access",
    "public_findings",
    "public_statements",
]
