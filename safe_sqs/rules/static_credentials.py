"""Danger: an access key that is stored somewhere never ends, and works for whoever finds it.

Judged by what signs this very request, not by where credentials should have come from: AWS gives temporary
credentials ids that begin with ASIA, and long-term ones ids that begin with AKIA. Source: "Use IAM roles for
applications and AWS services which require Amazon SQS access", Amazon SQS security best practices; "Understanding
unique ID prefixes", IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterator

from safe_sqs.hosts import is_loopback, parse_endpoint
from safe_sqs.model import Connection, IdentityKind, Mode, Practice, Problem, Rule, Settings, Subject

__all__ = ["RENEWING", "RULE", "TEMPORARY"]

TEMPORARY, RENEWING = "temporary", "renewing"
_NEXT_STEP = (
    "let an IAM role supply the credentials (instance profile, task role, execution role, IAM Identity Center, or "
    "assume-role in the AWS config file) and remove the stored keys"
)


def check(connection: Connection, settings: Settings) -> Iterator[Problem]:
    """The request is signed with temporary credentials; at the level `renewing`, by a provider that renews them."""
    endpoint = parse_endpoint(connection.url)
    if endpoint and settings.loopback_is_safe and is_loopback(endpoint.host) and not connection.proxied:
        return
    kind, key_tail, provider, renews_itself = connection.identity
    if kind is IdentityKind.ABSENT:
        return
    access_key = f"the access key that ends in {key_tail}" if key_tail else "the access key"
    of_provider = f" of the provider {provider!r}" if provider else ""
    if kind is IdentityKind.UNSIGNED:
        yield Problem(
            found="a request without a Signature Version 4 signature",
            expected="a signature made with temporary credentials",
            next_step="remove signature_version=UNSIGNED, or whatever takes the signature away",
        )
    elif kind is IdentityKind.LONG_TERM:
        yield Problem(
            found=f"long-term credentials: {access_key}{of_provider}",
            expected="temporary credentials (an access key id that begins with ASIA, with a session token)",
            next_step=_NEXT_STEP,
        )
    elif settings.level(RULE.name) == RENEWING and not renews_itself:
        yield Problem(
            found=f"temporary credentials that nothing renews: {access_key}{of_provider}",
            expected="credentials from a provider that renews them by itself",
            next_step=_NEXT_STEP,
        )


RULE = Rule(
    name="static-credentials",
    title="Requests are signed with temporary credentials",
    practice=Practice.IAM_ROLES,
    subject=Subject.CONNECTION,
    check=check,
    baseline=Mode.ENFORCE,
    levels=(TEMPORARY, RENEWING),
    strict_level=RENEWING,
)
