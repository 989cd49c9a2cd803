"""Danger: the queue is meant to be used through a VPC endpoint, and this process reaches it over the internet: private
DNS is off, or the wrong resolver answers. Source: "Consider using VPC endpoints to access Amazon SQS", Amazon SQS
security best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.hosts import is_private
from safe_sqs.model import Connection, Mode, Practice, Problem, Rule, Settings, Subject

__all__ = ["RULE"]

_NEXT_STEP = (
    "create an interface VPC endpoint for com.amazonaws.REGION.sqs with private DNS in this VPC, or pass its own name "
    "as endpoint_url"
)


def check(connection: Connection, settings: Settings) -> Iterator[Problem]:
    """Every address that the endpoint's name resolves to is private."""
    if connection.addresses is None and not connection.proxied:
        return
    expected = "an endpoint that resolves to private addresses only"
    if connection.proxied:
        yield Problem(
            found="a proxy that resolves the endpoint's name, so its addresses are not known here",
            expected=expected,
            next_step="exclude the endpoint from the proxy (NO_PROXY)",
            unverifiable=True,
        )
    elif not connection.addresses:
        yield Problem(
            found="the endpoint's name does not resolve",
            expected=expected,
            next_step=_NEXT_STEP,
            unverifiable=True,
        )
    elif public := [address for address in connection.addresses if not is_private(address)]:
        yield Problem(
            found=f"the endpoint resolves to the public address {public[0]}", expected=expected, next_step=_NEXT_STEP
        )


RULE = Rule(
    name="vpc-route",
    title="This process reaches SQS through a VPC endpoint",
    practice=Practice.VPC_ENDPOINTS,
    subject=Subject.CONNECTION,
    check=check,
    baseline=Mode.OFF,
)
