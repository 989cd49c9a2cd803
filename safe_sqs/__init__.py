"""safe_sqs: a runtime guard around the boto3 SQS client.

Import it in place of boto3 (`import safe_sqs as boto3`), or guard a client that exists (`guard(client)`). A message
leaves the process only over verified HTTPS, with temporary credentials, to a queue that is encrypted and not public.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safe_sqs import session as session
from safe_sqs.session import Session, client, resource, setup_default_session

if TYPE_CHECKING:
    from safe_sqs.config import Config as Config
    from safe_sqs.config import Exemption as Exemption
    from safe_sqs.errors import ConfigError as ConfigError
    from safe_sqs.errors import GuardError as GuardError
    from safe_sqs.errors import RefusedError as RefusedError
    from safe_sqs.errors import UnverifiableError as UnverifiableError
    from safe_sqs.events import subscribe as subscribe
    from safe_sqs.hooks import guard as guard
    from safe_sqs.model import Finding as Finding
    from safe_sqs.model import Mode as Mode
    from safe_sqs.model import Profile as Profile
    from safe_sqs.model import Role as Role
    from safe_sqs.model import Rule as Rule

__all__ = [
    "Config",
    "ConfigError",
    "Exemption",
    "Finding",
    "GuardError",
    "Mode",
    "Profile",
    "RefusedError",
    "Role",
    "Rule",
    "Session",
    "UnverifiableError",
    "client",
    "guard",
    "resource",
    "setup_default_session",
    "subscribe",
]

_HOMES = {
    "Config": "config",
    "ConfigError": "errors",
    "Exemption": "config",
    "Finding": "model",
    "GuardError": "errors",
    "Mode": "model",
    "Profile": "model",
    "RefusedError": "errors",
    "Role": "model",
    "Rule": "model",
    "UnverifiableError": "errors",
    "guard": "hooks",
    "subscribe": "events",
}
"""Where a public name lives, so that importing the package loads no more than boto3 would."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(f"safe_sqs.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if name in ("DEFAULT_SESSION", "_get_default_session"):  # boto3's own would make clients that are not guarded
        return getattr(session, name)
    import boto3

    try:
        return getattr(boto3, name)
    except AttributeError:
        raise AttributeError(f"module 'safe_sqs' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    import boto3

    return sorted({*globals(), *__all__, *dir(boto3)})
