"""The parameters of the rule: settings of safe_sqs, spelled as AWS Config spells names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from safe_sqs.config import Config, setting_from_text
from safe_sqs.errors import ConfigError
from safe_sqs.model import Mode

__all__ = ["RuleParameters", "parameters_from"]

_SETTINGS = {
    "profile": "profile",
    "modes": "modes",
    "levels": "levels",
    "trustedAccounts": "trusted_accounts",
    "vpcs": "vpcs",
    "vpcEndpoints": "vpc_endpoints",
    "exemptions": "exemptions",
}
_FAIL_ON, _SECURITY_HUB, _EXECUTION_ROLE = "failOn", "securityHub", "ExecutionRoleName"
_KNOWN = (*_SETTINGS, _FAIL_ON, _SECURITY_HUB, _EXECUTION_ROLE)
_SOURCE = "parameter of the AWS Config rule"
_ROLE_NAME = re.compile(r"[A-Za-z0-9+=,.@_/-]{1,512}", re.ASCII)


class RuleParameters(NamedTuple):
    """What the rule was told. `execution_role` is the name of the role to assume in another account, or ""."""

    config: Config
    fail_on: Mode = Mode.WARN
    security_hub: bool = False
    execution_role: str = ""


def parameters_from(text: str | None) -> RuleParameters:
    """Read what AWS Config hands over in `ruleParameters`: a JSON object of strings.

    Strings have the form of the environment variables of the same settings; an empty one says nothing, as an empty
    parameter of a template does. What is not said comes from the environment of the function, the files in its layer,
    and the profile. Raises ConfigError.
    """
    said = _object(text)
    for name in said:
        if name not in _KNOWN:
            close = get_close_matches(name, _KNOWN, n=1)
            raise ConfigError(name, _SOURCE, "is not a parameter" + (f"; did you mean {close[0]!r}?" if close else ""))
    settings = {_SETTINGS[name]: _setting(name, value) for name, value in said.items() if name in _SETTINGS}
    return RuleParameters(
        _config(settings),
        Mode(_one_of(said, _FAIL_ON, {"warn": Mode.WARN, "enforce": Mode.ENFORCE}, Mode.WARN)),
        bool(_one_of(said, _SECURITY_HUB, {"true": True, "false": False}, False)),
        _role_name(said.get(_EXECUTION_ROLE, "")),
    )


def _object(text: str | None) -> Mapping[str, Any]:
    try:
        said = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise ConfigError("ruleParameters", _SOURCE, "is not a JSON object")
    return {name: value for name, value in said.items() if value not in ("", None)}


def _setting(name: str, value: Any) -> Any:
    return setting_from_text(_SETTINGS[name], value, _SOURCE) if isinstance(value, str) else value


def _config(settings: Mapping[str, Any]) -> Config:
    """The configuration, with mistakes told by the names that the rule has for them."""
    try:
        return Config(**settings)
    except ConfigError as error:
        if error.source not in ("code", _SOURCE):
            raise
        key, separator, rest = error.key.partition(".")
        shown = next((name for name, setting in _SETTINGS.items() if setting == key), key)
        raise ConfigError(f"{shown}{separator}{rest}", _SOURCE, error.problem) from None


def _one_of(said: Mapping[str, Any], name: str, choices: Mapping[str, Any], otherwise: Any) -> Any:
    if name not in said:
        return otherwise
    value = said[name]
    text = str(value).lower() if isinstance(value, bool) else value
    if not isinstance(text, str) or text not in choices:
        raise ConfigError(name, _SOURCE, f"{value!r} is none of {', '.join(choices)}")
    return choices[text]


def _role_name(value: Any) -> str:
    if value and (not isinstance(value, str) or _ROLE_NAME.fullmatch(value) is None):
        raise ConfigError(_EXECUTION_ROLE, _SOURCE, f"{value!r} is not the name of a role (a name, not an ARN)")
    return str(value).strip("/")
