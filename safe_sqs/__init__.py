"""safe_sqs: a runtime guard around the boto3 SQS client.

Import it in place of boto3 (`import safe_sqs as boto3`), or guard a client that exists (`guard(client)`). A message
leaves the process only over verified HTTPS, with temporary credentials, to a queue that is encrypted and not public.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from safe_sqs import session as session
from safe_sqs.session import Session

if TYPE_CHECKING:
    from boto3 import client as client
    from boto3 import resource as resource

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
    try:
        return getattr(boto3, name)
    except AttributeError:
        raise AttributeError(f"module 'safe_sqs' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *dir(boto3)})


DEFAULT_SESSION: Session | None = None
"""The default session, made when it is first needed: the guarded face of boto3's own."""

_theirs: Any = None
"""The face of it that stands in `boto3.DEFAULT_SESSION`."""


def setup_default_session(**kwargs: Any) -> None:
    """Set up the default session, as `boto3.setup_default_session` does."""
    global DEFAULT_SESSION, _theirs
    DEFAULT_SESSION = Session(**kwargs)
    boto3.DEFAULT_SESSION = _theirs = _face_of(DEFAULT_SESSION, boto3.session.Session)


def _get_default_session() -> Session:
    global DEFAULT_SESSION, _theirs
    if boto3.DEFAULT_SESSION is not _theirs:  # set up through boto3 itself, or reset, as moto does
        _theirs = boto3.DEFAULT_SESSION
        DEFAULT_SESSION = _face_of(_theirs, Session) if _theirs is not None else None
    if DEFAULT_SESSION is None:
        setup_default_session()
    if not isinstance(DEFAULT_SESSION, Session):  # somebody assigned a session of boto3's
        DEFAULT_SESSION = _face_of(DEFAULT_SESSION, Session)
    return DEFAULT_SESSION


def _face_of(session: Any, kind: Any) -> Any:
    """The same session, as another class of sessions. Made anew, it would register boto3's own handlers twice."""
    face = object.__new__(kind)
    face.__dict__.update(session.__dict__)
    return face


if not TYPE_CHECKING:

    def client(*args, **kwargs):
        """Create a client with the default session, as `boto3.client` does. An SQS client is guarded."""
        return _get_default_session().client(*args, **kwargs)

    def resource(*args, **kwargs):
        """Create a resource with the default session, as `boto3.resource` does. An SQS resource is guarded."""
        return _get_default_session().resource(*args, **kwargs)
