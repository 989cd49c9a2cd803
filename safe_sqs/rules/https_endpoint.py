"""Danger: a message, and the signature that sends it, cross the network readable and changeable by anyone on the way.

AWS serves SQS over plain HTTP too, so nothing on the other side stops a wrong endpoint URL. Source: "Enforce
encryption of data in transit", Amazon SQS security best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.hosts import is_loopback, parse_endpoint
from safe_sqs.model import Connection, Mode, Practice, Problem, Rule, Settings, Subject

__all__ = ["RULE"]


def check(connection: Connection, settings: Settings) -> Iterator[Problem]:
    """The request goes out over HTTPS, or to a loopback address where the profile allows that."""
    endpoint = parse_endpoint(connection.url)
    if endpoint is None:
        return  # endpoint-host refuses an address that cannot be read; here it would only be said twice
    if endpoint.scheme == "https":
        return
    if settings.loopback_is_safe and is_loopback(endpoint.host) and not connection.proxied:
        return
    yield Problem(
        found=f"plain {endpoint.scheme.upper()} to {endpoint}",
        expected="https://",
        next_step="find where the endpoint is set (endpoint_url, use_ssl, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SQS, "
        "endpoint_url in the AWS config file) and use https there, or leave it out",
    )


RULE = Rule(
    name="https-endpoint",
    title="Requests go out over HTTPS",
    practice=Practice.ENCRYPTION_IN_TRANSIT,
    subject=Subject.CONNECTION,
    check=check,
    baseline=Mode.ENFORCE,
)
