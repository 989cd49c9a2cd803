"""The configuration: what a team decides, checked when it is read. The environment and files are read only here.

Each setting comes from the first source that says it: code, then `SAFE_SQS_*` in the environment, then one TOML
file. Under all of them lies the organisation's file, which the others can only tighten.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from safe_sqs.errors import ConfigError
from safe_sqs.floor import Layer, Said, hold_to, said_by_rule
from safe_sqs.model import Mode, Profile, Role, Rule, Subject, without_secrets
from safe_sqs.patterns import matches
from safe_sqs.rules import ALL_RULES, RULES_BY_NAME
from safe_sqs.sources import FILE_VARIABLE, NOT_SETTINGS, PREFIX, organisation_files, user_file

__all__ = ["Config", "Exemption", "asking_only", "running_in_lambda", "setting_from_text"]

_LONGEST_EXEMPTION = timedelta(days=366)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_VPC = re.compile(r"vpc-[0-9a-z]+", re.ASCII)
_VPC_ENDPOINT = re.compile(r"vpce-[0-9a-z]+", re.ASCII)
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)
_QUEUE_PATTERN = re.compile(r"\*|arn:[^\s:]+:sqs:[^\s:]+:[^\s:]+:[^\s:]+", re.ASCII)

E = TypeVar("E", Mode, Profile, Role)


class Exemption(NamedTuple):
    """A rule that does not hold for some queues until a day, and why.

    `queue` is a queue ARN in which `*` and `?` are wildcards; `until` is the last day (UTC) on which it counts.
    """

    queue: str
    rule: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True, init=False)
class Config:
    """The settings of the guard. Frozen; what is left out here comes from the environment, a file, or the profile.

    Raises ConfigError, which names the key and where its value came from.

    - `profile`: `baseline` (default), `strict`, `observe` or `local`.
    - `role`: `producer`, `consumer`, `administrator`, or None for no restriction.
    - `modes`: rule name to `enforce`, `warn` or `off`, where it differs from the profile.
    - `levels`: rule name to level, for the rules that have levels.
    - `ttl_seconds`: how long a verdict about a queue may be reused; 300 unless said, 1 to 86,400.
    - `trusted_accounts`: 12-digit account ids that queue policies may name.
    - `trusted_endpoint_hosts`: hosts that are not AWS and still trusted, `host` (port 443) or `host:port`.
    - `vpcs`, `vpc_endpoints`: the ids from which, and through which, queues may be used.
    - `exemptions`: rules that do not hold for some queues until a day.
    - `when_unverifiable`: `enforce` (refuse, the default) or `warn`, as a whole or by queue ARN pattern.
    - `verify_queues`: queue URLs that are judged when a client is guarded, before the first call.
    - `event_source`: what to do when a Lambda function is handed messages of a queue that would be refused: `warn` (the
      default), `enforce`, or `off`, which does not look.
    """

    profile: Profile
    role: Role | None
    modes: tuple[tuple[str, Mode], ...]
    levels: tuple[tuple[str, str], ...]
    ttl_seconds: float
    trusted_accounts: tuple[str, ...]
    trusted_endpoint_hosts: tuple[str, ...]
    vpcs: tuple[str, ...]
    vpc_endpoints: tuple[str, ...]
    exemptions: tuple[Exemption, ...]
    when_unverifiable: tuple[tuple[str, Mode], ...]
    verify_queues: tuple[str, ...]
    event_source: Mode

    def __init__(
        self,
        *,
        profile: Profile | str | None = None,
        role: Role | str | None = None,
        modes: Mapping[str, Mode | str] | Iterable[tuple[str, Mode | str]] | None = None,
        levels: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        ttl_seconds: float | None = None,
        trusted_accounts: Iterable[str] | None = None,
        trusted_endpoint_hosts: Iterable[str] | None = None,
        vpcs: Iterable[str] | None = None,
        vpc_endpoints: Iterable[str] | None = None,
        exemptions: Iterable[Exemption | Mapping[str, Any]] | None = None,
        when_unverifiable: Mode | str | Mapping[str, Mode | str] | Iterable[tuple[str, Mode | str]] | None = None,
        verify_queues: Iterable[str] | None = None,
        event_source: Mode | str | None = None,
    ) -> None:
        given = {
            "profile": profile,
            "role": role,
            "modes": modes,
            "levels": levels,
            "ttl_seconds": ttl_seconds,
            "trusted_accounts": trusted_accounts,
            "trusted_endpoint_hosts": trusted_endpoint_hosts,
            "vpcs": vpcs,
            "vpc_endpoints": vpc_endpoints,
            "exemptions": exemptions,
            "when_unverifiable": when_unverifiable,
            "verify_queues": verify_queues,
            "event_source": event_source,
        }
        code = {key: Said(value, "code") for key, value in given.items() if value is not None}
        self._resolve(code, _environment_layer(), _user_file_layer())

    @classmethod
    def of_nobody(cls) -> Config:
        """What holds where neither code nor environment nor a file of the user's says anything."""
        config = object.__new__(cls)
        config._resolve()
        return config

    def _resolve(self, *layers: Layer) -> None:
        floors = [_checked(_file_layer(path)) for path in organisation_files()]
        said = _merge([*map(_checked, layers), *floors])
        for key in _KEYS:
            object.__setattr__(self, key, said[key].value if key in said else _DEFAULTS.get(key, ()))
        modes, levels = said_by_rule(said, "modes"), said_by_rule(said, "levels")
        complete_modes = tuple((rule.name, modes.get(rule.name, rule.mode_in(self.profile))) for rule in ALL_RULES)
        complete_levels = tuple(
            (rule.name, levels.get(rule.name, rule.level_in(self.profile))) for rule in ALL_RULES if rule.levels
        )
        object.__setattr__(self, "modes", complete_modes)
        object.__setattr__(self, "levels", complete_levels)
        for floor in floors:
            hold_to(floor, self, said)

    @property
    def loopback_is_safe(self) -> bool:
        """Plain HTTP and made-up credentials are fine to a loopback address: the profile `local`."""
        return self.profile is Profile.LOCAL

    @property
    def refuses(self) -> bool:
        """True when a rule refuses anything, rather than warn."""
        return any(mode is Mode.ENFORCE for _, mode in self.modes)

    def mode(self, rule: str) -> Mode:
        """The mode of a rule. Raises KeyError for a rule that does not exist."""
        return dict(self.modes)[rule]

    def level(self, rule: str) -> str:
        """The level of a rule, or "" when it has no levels."""
        return dict(self.levels).get(rule, "")

    def mode_when_unverifiable(self, queue_arn: str) -> Mode:
        """What to do with a queue that cannot be judged. The first pattern that fits decides."""
        for pattern, mode in self.when_unverifiable:
            if pattern == "*" or (queue_arn and matches(pattern, queue_arn)):
                return mode
        return Mode.ENFORCE

    def exemption(self, rule: str, queue_arn: str, today: date) -> Exemption | None:
        """The exemption that counts today for this rule and queue, or None."""
        for exemption in self.exemptions:
            if (
                exemption.rule == rule
                and exemption.until >= today
                and queue_arn
                and matches(exemption.queue, queue_arn)
            ):
                return exemption
        return None


def asking_only(config: Config, rules: Iterable[str]) -> Config:
    """The same with all other rules about queues off: to ask about some, never to guard with.

    It is no method, and no public name of the package, because the organisation's file does not hold it.
    """
    others = {name for name, rule in RULES_BY_NAME.items() if rule.subject is Subject.QUEUE} - {*rules}
    asked = copy(config)
    modes = tuple((rule, Mode.OFF if rule in others else mode) for rule, mode in config.modes)
    object.__setattr__(asked, "modes", modes)
    return asked


_KEYS = tuple(Config.__dataclass_fields__)
_DEFAULTS: dict[str, Any] = {
    "profile": Profile.BASELINE,
    "role": None,
    "ttl_seconds": 300.0,
    "event_source": Mode.WARN,
}


def running_in_lambda() -> bool:
    """True inside AWS Lambda, whose service renews the credentials it puts into the environment."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


# --- sources -----------------------------------------------------------------------------------------------------


def _environment_layer() -> Layer:
    layer: Layer = {}
    for variable, text in os.environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        key = variable.removeprefix(PREFIX).lower()
        source = f"environment variable {variable}"
        if key not in _KEYS:
            raise ConfigError(variable, "environment", f"is not a setting{_suggest(key, _KEYS, _as_variable)}")
        layer[key] = Said(setting_from_text(key, text, source), source)
    return layer


def _as_variable(key: str) -> str:
    return PREFIX + key.upper()


def setting_from_text(key: str, text: str, source: str) -> Any:
    """The value of an environment variable in the shape that the same key has in a file."""
    if key in ("profile", "role", "event_source"):
        return text.strip()
    if key == "ttl_seconds":
        try:
            return float(text)
        except ValueError:
            raise ConfigError(key, source, f"{text!r} is not a number of seconds") from None
    if key == "exemptions":
        return _exemptions_from_json(text, source)
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if key in ("modes", "levels") or (key == "when_unverifiable" and "=" in text):
        pairs = [entry.rpartition("=") for entry in entries]
        if not all(left and right for left, _, right in pairs):
            raise ConfigError(key, source, f"{text!r} is not of the form NAME=VALUE,NAME=VALUE")
        return {left.strip(): right.strip() for left, _, right in pairs}
    return text.strip() if key == "when_unverifiable" else entries


def _exemptions_from_json(text: str, source: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError:
        raise ConfigError("exemptions", source, "is not a JSON list of objects") from None


def _user_file_layer() -> Layer:
    path = user_file()
    if path is None:
        return {}
    if not path.is_file():
        raise ConfigError(FILE_VARIABLE, "environment", f"there is no file {str(path)!r}")
    return _file_layer(path)


def _file_layer(path: Path) -> Layer:
    source = f"file {path}"
    document = _read_toml(path, source)
    if path.name == "pyproject.toml":
        source = f"{source}, [tool.safe-sqs]"
        for name in ("tool", "safe-sqs"):
            document = document.get(name, {})
            if not isinstance(document, dict):
                raise ConfigError(name, source, "is not a table")
    for key in document:
        if key not in _KEYS:
            raise ConfigError(key, source, f"is not a setting{_suggest(key, _KEYS)}")
    return {key: Said(value, source) for key, value in document.items()}


def _read_toml(path: Path, source: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("file", source, f"is not TOML: {error}") from None
    except OSError as error:
        raise ConfigError("file", source, f"cannot be read: {error.strerror}") from None


def _merge(layers: list[Layer]) -> Layer:
    """The first layer that says a key wins; `modes` and `levels` are merged rule by rule."""
    merged: Layer = {}
    for layer in reversed(layers):
        for key, said in layer.items():
            if key in ("modes", "levels") and key in merged:
                said = said._replace(value=(merged[key].value | said.value))
            merged[key] = said
    return merged


# --- checks of single values -------------------------------------------------------------------------------------


def _checked(layer: Layer) -> Layer:
    return {key: Said(_CHECKS[key](key, said.value, said.source), said.source) for key, said in layer.items()}


def _enum(kind: type[E], key: str, value: Any, source: str) -> E:
    try:
        return kind(value)
    except ValueError:
        names = [member.value for member in kind]
        raise ConfigError(
            key, source, f"{value!r} is none of {', '.join(names)}{_suggest(str(value), names)}"
        ) from None


def _pairs(key: str, value: Any, source: str) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    try:
        return [(left, right) for left, right in value]
    except (TypeError, ValueError):
        raise ConfigError(key, source, f"{value!r} is not a mapping") from None


def _check_modes(key: str, value: Any, source: str) -> dict[str, Said]:
    modes = {}
    for name, mode in _pairs(key, value, source):
        _rule(f"{key}.{name}", name, source)
        modes[name] = Said(_enum(Mode, f"{key}.{name}", mode, source), source)
    return modes


def _check_levels(key: str, value: Any, source: str) -> dict[str, Said]:
    levels = {}
    for name, level in _pairs(key, value, source):
        rule = _rule(f"{key}.{name}", name, source)
        if level not in rule.levels:
            known = f"none of {', '.join(rule.levels)}" if rule.levels else "out of place: the rule has no levels"
            raise ConfigError(f"{key}.{name}", source, f"{level!r} is {known}")
        levels[name] = Said(level, source)
    return levels


def _rule(key: str, name: Any, source: str) -> Rule:
    if not isinstance(name, str) or name not in RULES_BY_NAME:
        raise ConfigError(key, source, f"there is no rule {name!r}{_suggest(str(name), RULES_BY_NAME)}")
    return RULES_BY_NAME[name]


def _check_ttl(key: str, value: Any, source: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 86_400:
        raise ConfigError(key, source, f"{value!r} is not a number of seconds from 1 to 86400")
    return float(value)


def _list_of(pattern: re.Pattern[str], what: str) -> Any:
    def check(key: str, value: Any, source: str) -> tuple[str, ...]:
        if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            raise ConfigError(key, source, f"{_shown(value)} is not a list")
        entries = tuple(value)
        for entry in entries:
            if not isinstance(entry, str) or pattern.fullmatch(entry) is None:
                raise ConfigError(key, source, f"{_shown(entry)} is not {what}")
        return entries

    return check


def _check_exemptions(key: str, value: Any, source: str) -> tuple[Exemption, ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise ConfigError(key, source, f"{value!r} is not a list")
    return tuple(_exemption(f"{key}[{index}]", entry, source) for index, entry in enumerate(value))


def _exemption(key: str, entry: Any, source: str) -> Exemption:
    fields = entry._asdict() if isinstance(entry, Exemption) else entry
    if not isinstance(fields, Mapping):
        raise ConfigError(key, source, f"{entry!r} is not a table with {', '.join(Exemption._fields)}")
    for name in fields:
        if name not in Exemption._fields:
            raise ConfigError(f"{key}.{name}", source, f"is not a setting{_suggest(str(name), Exemption._fields)}")
    for name in Exemption._fields:
        if not fields.get(name):
            raise ConfigError(f"{key}.{name}", source, "is missing")
    rule = _rule(f"{key}.rule", fields["rule"], source)
    if rule.subject is not Subject.QUEUE:
        raise ConfigError(f"{key}.rule", source, f"{rule.name} judges no queue; set its mode instead")
    if not isinstance(fields["queue"], str) or _QUEUE_PATTERN.fullmatch(fields["queue"]) is None:
        raise ConfigError(f"{key}.queue", source, f"{fields['queue']!r} is not a queue ARN, with * and ? as wildcards")
    until = _day(f"{key}.until", fields["until"], source)
    today = _today()
    if until < today:
        raise ConfigError(f"{key}.until", source, f"the exemption expired on {until}")
    if until > today + _LONGEST_EXEMPTION:
        raise ConfigError(f"{key}.until", source, f"{until} is further away than a year; an exemption has to end")
    return Exemption(fields["queue"], rule.name, str(fields["reason"]), until)


def _day(key: str, value: Any, source: str) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigError(key, source, f"{value!r} is not a day, such as 2030-01-31") from None


def _today() -> date:
    return datetime.fromtimestamp(time.time(), timezone.utc).date()


def _check_unverifiable(key: str, value: Any, source: str) -> tuple[tuple[str, Mode], ...]:
    if isinstance(value, str):
        value = {"*": value}
    checked = []
    for pattern, text in _pairs(key, value, source):
        if not isinstance(pattern, str) or _QUEUE_PATTERN.fullmatch(pattern) is None:
            raise ConfigError(key, source, f"{_shown(pattern)} is not a queue ARN, with * and ? as wildcards")
        mode = _enum(Mode, f"{key}.{pattern}", text, source)
        if mode is Mode.OFF:
            raise ConfigError(f"{key}.{pattern}", source, "'off' would hide queues that nobody judged; use 'warn'")
        checked.append((pattern, mode))
    return tuple(checked)


def _shown(value: Any) -> str:
    """A wrong value for a person to see; it may be a URL with a password in it."""
    return repr(without_secrets(value)) if isinstance(value, str) else repr(value)


def _suggest(text: str, known: Iterable[str], shape: Any = str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(text, list(known), n=1)
    return f"; did you mean {shape(close[0])!r}?" if close else ""


_CHECKS: dict[str, Any] = {
    "profile": lambda key, value, source: _enum(Profile, key, value, source),
    "role": lambda key, value, source: _enum(Role, key, value, source),
    "modes": _check_modes,
    "levels": _check_levels,
    "ttl_seconds": _check_ttl,
    "trusted_accounts": _list_of(_ACCOUNT, "a 12-digit account id"),
    "trusted_endpoint_hosts": _list_of(_HOST, "a host or host:port"),
    "vpcs": _list_of(_VPC, "the id of a VPC (vpc-...)"),
    "vpc_endpoints": _list_of(_VPC_ENDPOINT, "the id of a VPC endpoint (vpce-...)"),
    "exemptions": _check_exemptions,
    "when_unverifiable": _check_unverifiable,
    "verify_queues": _list_of(re.compile(r"https?://\S+/\S+", re.ASCII), "a queue URL"),
    "event_source": lambda key, value, source: _enum(Mode, key, value, source),
}
