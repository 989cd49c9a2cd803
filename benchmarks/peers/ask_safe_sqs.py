"""safe_sqs itself, in the environment that asks the others."""

from __future__ import annotations

from importlib.metadata import version

from adapter import Case, serve

from safe_sqs import policy


def is_public(case: Case) -> bool:
    answer = policy.public_access(case.policy, queue_arn=case.queue_arn, trusted_accounts=case.trusted_accounts)
    if answer.found is None:
        raise ValueError("undecided")
    return answer.found


if __name__ == "__main__":
    serve(version("safe_sqs"), {"safe_sqs": is_public})
