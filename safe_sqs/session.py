"""The drop-in face: boto3's session, default session, `client` and `resource`, with SQS clients that are guarded."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import boto3.session

import safe_sqs
from safe_sqs.first_use import guard_new, said
from safe_sqs.guarded import is_guarded, is_sqs

if TYPE_CHECKING:  # so that boto3-stubs types the drop-in exactly as it types boto3
    from boto3.session import Session as Session
else:

    class Session(boto3.session.Session):
        """boto3's Session, whose SQS clients and resources are guarded by the configuration of the process."""

        @wraps(boto3.session.Session.client)
        def client(self, service_name, *args, **kwargs):
            client = super().client(service_name, *args, **kwargs)
            if is_sqs(client) and not is_guarded(client):
                guard_new(client, said())
            return client


__all__ = ["Session", "client", "resource", "setup_default_session"]


# --- the default session -----------------------------------------------------------------------------------------

_theirs: Any = None
"""The face of the default session that stands in `boto3.DEFAULT_SESSION`."""


def setup_default_session(**kwargs: Any) -> None:
    """Set up the default session, as `boto3.setup_default_session` does."""
    global _theirs
    safe_sqs.DEFAULT_SESSION = Session(**kwargs)
    boto3.DEFAULT_SESSION = _theirs = _face_of(safe_sqs.DEFAULT_SESSION, boto3.session.Session)


def _get_default_session() -> Session:
    global _theirs
    if boto3.DEFAULT_SESSION is not _theirs:  # set up through boto3 itself, or reset, as moto does
        _theirs = boto3.DEFAULT_SESSION
        safe_sqs.DEFAULT_SESSION = _face_of(_theirs, Session) if _theirs is not None else None
    if safe_sqs.DEFAULT_SESSION is None:
        setup_default_session()
    if not isinstance(safe_sqs.DEFAULT_SESSION, Session):  # somebody assigned a session of boto3's
        safe_sqs.DEFAULT_SESSION = _face_of(safe_sqs.DEFAULT_SESSION, Session)
    return safe_sqs.DEFAULT_SESSION


def _face_of(session: Any, kind: Any) -> Any:
    """The same session, as another class of sessions. Made anew, it would register boto3's own handlers twice."""
    face = object.__new__(kind)
    face.__dict__.update(session.__dict__)
    return face


if TYPE_CHECKING:
    from boto3 import client as client
    from boto3 import resource as resource
else:

    def client(*args, **kwargs):
        """Create a client with the default session, as `boto3.client` does. An SQS client is guarded."""
        return _get_default_session().client(*args, **kwargs)

    def resource(*args, **kwargs):
        """Create a resource with the default session, as `boto3.resource` does. An SQS resource is guarded."""
        return _get_default_session().resource(*args, **kwargs)
