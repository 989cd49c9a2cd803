"""Danger: a program that only sends is able to receive, delete or reconfigure, and one day does, by mistake or by
somebody's wish. Source: "Implement least-privilege access", Amazon SQS security best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.model import Call, Mode, Practice, Problem, Rule, Settings, Subject
from safe_sqs.operations import ROLE_KINDS, kind_of

__all__ = ["RULE"]


def check(call: Call, settings: Settings) -> Iterator[Problem]:
    """The operation is one that the client's role needs. A client without a role may use all."""
    if call.role is None or kind_of(call.operation) in ROLE_KINDS[call.role]:
        return
    yield Problem(
        found=f"{call.operation} by a client whose role is {call.role.value}",
        expected=f"only what a {call.role.value} needs",
        next_step=f"use another client, with the role for {call.operation}",
    )


RULE = Rule(
    name="role-operations",
    title="A client does only what its role needs",
    practice=Practice.LEAST_PRIVILEGE,
    subject=Subject.CALL,
    check=check,
    baseline=Mode.ENFORCE,
)
