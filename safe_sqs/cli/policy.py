"""`safe-sqs policy`: queue policies before they are deployed."""

from __future__ import annotations

import click

from safe_sqs.cli.problems import Group

__all__ = ["policy"]

_LOADS = {
    "check": ("safe_sqs.cli.policy_check", "check"),
    "explain": ("safe_sqs.cli.policy_explain", "explain"),
    "fix": ("safe_sqs.cli.policy_fix", "fix"),
    "from-usage": ("safe_sqs.cli.policy_from_usage", "from_usage"),
    "generate": ("safe_sqs.cli.policy_generate", "generate"),
}


@click.group(cls=Group, loads=_LOADS, short_help="Judge, explain, write and mend queue policies.")
def policy() -> None:
    """Judge, explain, write and mend queue policies, before they are deployed.

    The judge is the guard's: it asks whether there is a request of an outsider that the policy allows, and shows that
    request. Nothing here asks AWS anything, unless an option says so.

    \b
    Is a policy public, and where is it open?
        safe-sqs policy check queue-policy.json
        safe-sqs policy check template.yaml plan.json cdk.out

    \b
    Who can do what with it, and what is the smallest change that makes it pass?
        safe-sqs policy explain queue-policy.json
        safe-sqs policy fix queue-policy.json

    \b
    Write one from the names of those who need the queue, or from what a program was seen to do:
        safe-sqs policy generate --help
        safe-sqs policy from-usage --help
    """  # noqa: D301
