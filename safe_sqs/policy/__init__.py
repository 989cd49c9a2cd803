"""Queue policies: reading the document, deciding about a request, and the questions that the rules ask of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from safe_sqs.policy.document import PolicyError as PolicyError
    from safe_sqs.policy.document import Statement as Statement
    from safe_sqs.policy.document import parse as parse
    from safe_sqs.policy.evaluate import Decision as Decision
    from safe_sqs.policy.evaluate import Request as Request
    from safe_sqs.policy.evaluate import decide as decide
    from safe_sqs.policy.granted import Foreigner as Foreigner
    from safe_sqs.policy.granted import Grant as Grant
    from safe_sqs.policy.granted import foreign_accounts as foreign_accounts
    from safe_sqs.policy.granted import grants as grants
    from safe_sqs.policy.mending import closes_plaintext as closes_plaintext
    from safe_sqs.policy.mending import confines as confines
    from safe_sqs.policy.mending import public_findings as public_findings
    from safe_sqs.policy.questions import Answer as Answer
    from safe_sqs.policy.questions import outside_vpc_access as outside_vpc_access
    from safe_sqs.policy.questions import plaintext_access as plaintext_access
    from safe_sqs.policy.questions import plaintext_of as plaintext_of
    from safe_sqs.policy.questions import public_access as public_access
    from safe_sqs.policy.questions import public_statements as public_statements

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

_HOMES = {
    "Answer": "questions",
    "Decision": "evaluate",
    "Foreigner": "granted",
    "Grant": "granted",
    "PolicyError": "document",
    "Request": "evaluate",
    "Statement": "document",
    "closes_plaintext": "mending",
    "confines": "mending",
    "decide": "evaluate",
    "foreign_accounts": "granted",
    "grants": "granted",
    "outside_vpc_access": "questions",
    "parse": "document",
    "plaintext_access": "questions",
    "plaintext_of": "questions",
    "public_access": "questions",
    "public_findings": "mending",
    "public_statements": "questions",
}
"""Where a name lives. A client that is being made needs the rules, and not yet the judge, which takes as long to load
as all the rest of the package."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
