"""Says aloud when a configuration refuses less than usual."""

from __future__ import annotations

from safe_sqs import events
from safe_sqs.config import Config
from safe_sqs.model import Mode
from safe_sqs.rules import ALL_RULES

__all__ = ["tell_if_loose"]

_told: set[Config] = set()


def tell_if_loose(config: Config) -> None:
    """Say once in a process that a configuration refuses less than the profile `baseline` does."""
    loose = [
        f"{rule.name} is {config.mode(rule.name).value}"
        for rule in ALL_RULES
        if rule.baseline is Mode.ENFORCE and config.mode(rule.name) is not Mode.ENFORCE
    ]
    if config.loopback_is_safe:
        loose.append("plain HTTP and made-up credentials pass to loopback addresses")
    if loose and config not in _told:
        _told.add(config)
        events.emit(events.Noticed("loosened", f"safe_sqs is set to refuse less than usual: {', '.join(loose)}"))
