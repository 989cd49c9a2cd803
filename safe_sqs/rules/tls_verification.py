"""Danger: HTTPS without a check of the certificate is HTTPS with whoever answers, and a proxy that takes the request
itself in place of a tunnel reads it. Source: "Enforce encryption of data in transit", Amazon SQS security best
practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.hosts import parse_endpoint
from safe_sqs.model import Connection, Mode, Practice, Problem, Rule, Settings, Subject

__all__ = ["RULE"]


def check(connection: Connection, settings: Settings) -> Iterator[Problem]:
    """The server's certificate is checked, and no proxy stands between the two ends of the encryption."""
    endpoint = parse_endpoint(connection.url)
    if endpoint is None or endpoint.scheme != "https":
        return  # nothing to verify; https-endpoint speaks about it
    if not connection.certificates_checked:
        yield Problem(
            found="certificate verification is switched off",
            expected="certificates are checked against a certificate authority",
            next_step="remove verify=False, and any empty AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE; for a private "
            "authority pass the path of its certificate as verify=, or name it in AWS_CA_BUNDLE",
        )
    if connection.proxy_sees_plain_text:
        yield Problem(
            found="the HTTPS proxy is asked to forward requests, so it reads them (proxy_use_forwarding_for_https)",
            expected="a tunnel through the proxy (CONNECT)",
            next_step="remove proxy_use_forwarding_for_https from proxies_config",
        )


RULE = Rule(
    name="tls-verification",
    title="The server's certificate is checked, end to end",
    practice=Practice.ENCRYPTION_IN_TRANSIT,
    subject=Subject.CONNECTION,
    check=check,
    baseline=Mode.ENFORCE,
)
