"""The organisation's file: a floor that code, environment and the user's file can tighten, and never loosen.

What the file does not mention is not locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from safe_sqs.errors import ConfigError
from safe_sqs.model import Mode, Profile, Subject
from safe_sqs.rules import ALL_RULES, RULES_BY_NAME

if TYPE_CHECKING:
    from safe_sqs.config import Config

__all__ = ["Layer", "Said", "hold_to", "said_by_rule"]


class Said(NamedTuple):
    """A value and where it was said. The value of `modes` and `levels` is a mapping from rule name to such a pair."""

    value: Any
    source: str


Layer = dict[str, Said]
"""What one source says, by key."""

_ORDER = (Mode.OFF, Mode.WARN, Mode.ENFORCE)
_WEAKENED_BY_LOOPBACK = ("https-endpoint", "endpoint-host", "static-credentials")


def said_by_rule(layer: Layer, key: str) -> dict[str, Any]:
    """What a layer says of single rules under `modes` or `levels`."""
    return {name: said.value for name, said in layer[key].value.items()} if key in layer else {}


def hold_to(floor: Layer, config: Config, said: Layer) -> None:
    """Raise ConfigError where a configuration is looser than the floor. `said` is where its values came from."""
    if floor:
        check = _Floor(floor, said)
        check.rules(config)
        check.loopback(config)
        check.values(config)
        check.lists(config)
        check.exemptions(config)
        check.unverifiable(config)


class _Floor:
    """One organisation file, and the comparison of a configuration with it."""

    def __init__(self, floor: Layer, said: Layer) -> None:
        self._floor = floor
        self._said = said
        profile = self._of("profile")
        self._modes = {rule.name: rule.mode_in(profile) for rule in ALL_RULES} if profile else {}
        self._levels = {rule.name: rule.level_in(profile) for rule in ALL_RULES if rule.levels} if profile else {}
        self._modes |= said_by_rule(floor, "modes")
        self._levels |= said_by_rule(floor, "levels")
        self._enforced = {name for name, mode in self._modes.items() if mode is Mode.ENFORCE}

    def rules(self, config: Config) -> None:
        for name, least in self._modes.items():
            mode = config.mode(name)
            if _ORDER.index(mode) < _ORDER.index(least):
                self._too_loose(f"modes.{name}", mode.value, least.value)
        for name, level in self._levels.items():
            order = RULES_BY_NAME[name].levels
            if order.index(config.level(name)) < order.index(level):
                self._too_loose(f"levels.{name}", config.level(name), level)

    def loopback(self, config: Config) -> None:
        locked = self._of("profile") or self._enforced.intersection(_WEAKENED_BY_LOOPBACK)
        if config.loopback_is_safe and locked and self._of("profile") is not Profile.LOCAL:
            least = self._of("profile")
            self._too_loose("profile", "local", least.value if least else "a profile that trusts no loopback address")

    def values(self, config: Config) -> None:
        role, seconds = self._of("role"), self._of("ttl_seconds")
        if role and config.role is not role:
            self._too_loose("role", config.role.value if config.role else "none", role.value)
        if seconds and config.ttl_seconds > seconds:
            self._too_loose("ttl_seconds", config.ttl_seconds, seconds)
        least = self._of("event_source") or Mode.OFF
        if _ORDER.index(config.event_source) < _ORDER.index(least):
            self._too_loose("event_source", config.event_source.value, least.value)

    def lists(self, config: Config) -> None:
        if "trusted_endpoint_hosts" in self._floor or "endpoint-host" in self._enforced:
            self._only("trusted_endpoint_hosts", config.trusted_endpoint_hosts)
        if "trusted_accounts" in self._floor:
            self._only("trusted_accounts", config.trusted_accounts, at_least_one=True)
        # A queue may be open to either of the two, so a new entry in one of them goes around a lock of the other.
        if "vpcs" in self._floor or "vpc_endpoints" in self._floor:
            for key in ("vpcs", "vpc_endpoints"):
                self._only(key, getattr(config, key), at_least_one=bool(self._of(key)))
        missing = set(self._of("verify_queues") or ()) - set(config.verify_queues)
        if missing:
            self._too_loose("verify_queues", f"a list without {_words(missing)}", _words(self._of("verify_queues")))

    def exemptions(self, config: Config) -> None:
        for exemption in config.exemptions:
            if exemption.rule in self._enforced and exemption not in (self._of("exemptions") or ()):
                self._too_loose("exemptions", f"an exemption from {exemption.rule}", "none")

    def unverifiable(self, config: Config) -> None:
        """A pattern may warn only where the floor has it warn, and only behind what the floor enforces before it."""
        if "when_unverifiable" not in self._floor and not any(
            RULES_BY_NAME[name].subject is Subject.QUEUE for name in self._enforced
        ):
            return
        allowed = self._of("when_unverifiable") or ()
        for index, entry in enumerate(config.when_unverifiable):
            if entry[1] is Mode.ENFORCE:
                continue
            before = allowed[: allowed.index(entry)] if entry in allowed else None
            enforced = [each for each in before or () if each[1] is Mode.ENFORCE]
            if before is None or not set(enforced) <= set(config.when_unverifiable[:index]):
                self._too_loose("when_unverifiable", f"warn for {entry[0]}", "enforce")

    def _of(self, key: str) -> Any:
        return self._floor[key].value if key in self._floor else None

    def _only(self, key: str, values: tuple[str, ...], *, at_least_one: bool = False) -> None:
        allowed = self._of(key) or ()
        extra = set(values) - set(allowed)
        if extra or (at_least_one and not values):
            self._too_loose(key, _words(extra) or "none", _words(allowed) or "none")

    def _too_loose(self, key: str, value: object, least: object) -> NoReturn:
        organisation = next(iter(self._floor.values())).source
        problem = f"{value} is looser than {least}, which the organisation locks ({organisation})"
        raise ConfigError(key, self._source(key), problem)

    def _source(self, key: str) -> str:
        """Who said the value: the one who spoke of this rule, or else of the profile."""
        key, _, rule = key.partition(".")
        if rule and rule in said_by_rule(self._said, key):
            return str(self._said[key].value[rule].source)
        key = "profile" if rule else key
        return self._said[key].source if key in self._said else "default"


def _words(values: Iterable[str]) -> str:
    return ", ".join(sorted(values))
