"""safe_sqs: a runtime guard around the boto3 SQS client.

Import it in place of boto3 (`import safe_sqs as boto3`), or guard a client that exists (`guard(client)`). A message
leaves the process only over verified HTTPS, with temporary credentials, to a queue that is encrypted and not public.

PYTEST_DONT_REWRITE: pytest would warn wherever this is imported before it, as `safe-sqs run` does.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boto3 import client as client
    from boto3 import resource as resource
    from boto3 import setup_default_session as setup_default_session

    from safe_sqs import session as session
    from safe_sqs.adapters import guard as guard
    from safe_sqs.config import Config as Config
    from safe_sqs.config import Exemption as Exemption
    from safe_sqs.errors import ConfigError as ConfigError
    from safe_sqs.errors import GuardError as GuardError
    from safe_sqs.errors import RefusedError as RefusedError
    from safe_sqs.errors import UnverifiableError as UnverifiableError
    from safe_sqs.events import subscribe as subscribe
    from safe_sqs.model import Finding as Finding
    from safe_sqs.model import Mode as Mode
    from safe_sqs.model import Profile as Profile
    from safe_sqs.model import Role as Role
    from safe_sqs.model import Rule as Rule
    from safe_sqs.process_wide import install as install
    from safe_sqs.process_wide import uninstall as uninstall
    from safe_sqs.session import Session as Session

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
    "install",
    "resource",
    "setup_default_session",
    "subscribe",
    "uninstall",
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
    "Session": "session",
    "UnverifiableError": "errors",
    "_get_default_session": "session",
    "client": "session",
    "guard": "adapters",
    "install": "process_wide",
    "resource": "session",
    "setup_default_session": "session",
    "subscribe": "events",
    "uninstall": "process_wide",
}
"""Where a public name lives. Nothing is loaded before it is asked for: neither boto3, which a program may want to load
after other things, nor what a client that was not used yet does without."""

_OF_BOTO3 = ("__author__", "__version__")

DEFAULT_SESSION: Session | None = None
"""The default session, made when it is first needed: the guarded face of boto3's own."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(f"safe_sqs.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    # Test runners and the like ask every module for names such as __wrapped__ and __warningregistry__.
    if not name.startswith("__") or name in _OF_BOTO3:
        try:
            return import_module(f"safe_sqs.{name}")
        except ModuleNotFoundError as missing:
            if missing.name != f"safe_sqs.{name}":
                raise
        boto3 = import_module("boto3")
        if hasattr(boto3, name):
            return getattr(boto3, name)
    raise AttributeError(f"module 'safe_sqs' has no attribute {name!r}")


def __dir__() -> list[str]:
    import boto3

    return sorted({*globals(), *__all__, *dir(boto3)})
