"""Danger: credentials that leak are good from anywhere in the world. Source: "Consider using VPC endpoints to access
Amazon SQS", Amazon SQS security best practices: control which VPCs or endpoints have access with the queue policy.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs import policy
from safe_sqs.model import Facts, Mode, Practice, Problem, Rule, Settings, Subject

__all__ = ["RULE"]


def check(facts: Facts, settings: Settings) -> Iterator[Problem]:
    """The queue's policy denies everyone who does not come from the VPCs or through the endpoints."""
    answer = policy.outside_vpc_access(
        facts.policy, queue_arn=facts.queue.arn, vpcs=settings.vpcs, vpc_endpoints=settings.vpc_endpoints
    )
    if answer.found is not False:
        named = ", ".join((*settings.vpcs, *settings.vpc_endpoints)) or "a VPC or a VPC endpoint"
        yield Problem(
            found=f"the queue can be used from outside the VPC: {answer}" if answer.found else str(answer),
            expected=f"a statement that denies everyone who does not come from {named}",
            next_step=f"{_confines(facts, settings)}; it keeps AWS services out as well",
            unverifiable=answer.found is None,
            identities=answer.identities("outside the VPC"),
        )


def _confines(facts: Facts, settings: Settings) -> str:
    endpoints = settings.vpc_endpoints or (() if settings.vpcs else ("VPC_ENDPOINT_ID",))
    return str(policy.confines(facts.queue.arn, settings.vpcs, endpoints))


RULE = Rule(
    name="vpc-only-policy",
    title="The queue's policy confines access to a VPC or endpoint",
    practice=Practice.VPC_ENDPOINTS,
    subject=Subject.QUEUE,
    check=check,
    baseline=Mode.OFF,
    attributes=frozenset({"Policy"}),
)
