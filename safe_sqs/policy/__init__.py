"""Queue policies: reading the document, and the questions that the rules ask of it."""

from __future__ import annotations

from safe_sqs.policy.document import PolicyError, Statement, parse
from safe_sqs.policy.questions import Answer, grants_beyond_a_role, outside_vpc_access, plaintext_access, public_access

__all__ = [
    "Answer",
    "PolicyError",
    "Statement",
    "grants_beyond_a_role",
    "outside_vpc_access",
    "parse",
    "plaintext_access",
    "public_access",
]
