"""The rules: one file, one danger each. Adding a rule is its file, its test, its page, and its line here."""

from __future__ import annotations

from safe_sqs.model import Rule
from safe_sqs.rules import (
    dead_letter_queue,
    endpoint_host,
    https_endpoint,
    least_privilege,
    public_access,
    queue_encryption,
    role_operations,
    static_credentials,
    tls_only_policy,
    tls_verification,
    vpc_only_policy,
    vpc_route,
)

__all__ = ["ALL_RULES", "RULES_BY_NAME"]

ALL_RULES: tuple[Rule, ...] = (
    https_endpoint.RULE,
    tls_verification.RULE,
    endpoint_host.RULE,
    static_credentials.RULE,
    vpc_route.RULE,
    role_operations.RULE,
    queue_encryption.RULE,
    public_access.RULE,
    dead_letter_queue.RULE,
    least_privilege.RULE,
    tls_only_policy.RULE,
    vpc_only_policy.RULE,
)

RULES_BY_NAME: dict[str, Rule] = {rule.name: rule for rule in ALL_RULES}
