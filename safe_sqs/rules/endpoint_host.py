"""Danger: signed requests, and the messages in them, go to a host that is not Amazon SQS: a left-over emulator
setting, a typing error, a name made to look like AWS. Source: "Amazon Simple Queue Service endpoints and quotas".
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.hosts import is_aws_host, is_loopback, is_trusted, parse_endpoint, vpc_endpoint_of
from safe_sqs.model import Connection, Mode, Practice, Problem, Rule, Settings, Subject

__all__ = ["RULE"]

_DEFAULT_PORTS = {"https": 443, "http": 80}


def check(connection: Connection, settings: Settings) -> Iterator[Problem]:
    """The host is one under which AWS serves the service, on the standard port, or one that is trusted by name."""
    endpoint = parse_endpoint(connection.url)
    expected = f"a host of Amazon {connection.service.upper()}, or one in trusted_endpoint_hosts"
    if endpoint is None:
        yield Problem(
            found="an endpoint URL that could be read in more than one way (user information, a back slash, white "
            "space, or letters outside ASCII)",
            expected=expected,
            next_step="write the endpoint as https://HOST or https://HOST:PORT",
        )
        return
    if is_trusted(endpoint, settings.trusted_endpoint_hosts):
        return
    if settings.loopback_is_safe and is_loopback(endpoint.host):
        return
    if not is_aws_host(endpoint.host, connection.service, connection.partitions):
        yield Problem(
            found=f"the host {endpoint.netloc}",
            expected=expected,
            next_step="remove the endpoint setting that leads there, or, if the host is yours, add "
            f'"{endpoint.netloc}" to trusted_endpoint_hosts',
        )
    elif endpoint.port != _DEFAULT_PORTS.get(endpoint.scheme):
        yield Problem(
            found=f"port {endpoint.port} of {endpoint.host}",
            expected="the standard port, 443",
            next_step="remove the port from the endpoint URL",
        )
    elif settings.vpc_endpoints and vpc_endpoint_of(endpoint.host) not in ("", *settings.vpc_endpoints):
        vpc_endpoint = vpc_endpoint_of(endpoint.host)
        yield Problem(
            found=f"the VPC endpoint {vpc_endpoint}",
            expected=f"one of {', '.join(settings.vpc_endpoints)}",
            next_step=f'use one of those, or add "{vpc_endpoint}" to vpc_endpoints',
        )


RULE = Rule(
    name="endpoint-host",
    title="Requests go to AWS, or to a host that is trusted by name",
    practice=Practice.ENCRYPTION_IN_TRANSIT,
    subject=Subject.CONNECTION,
    check=check,
    baseline=Mode.ENFORCE,
)
