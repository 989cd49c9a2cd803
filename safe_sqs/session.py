"""The drop-in face: boto3's session, default session, `client` and `resource`, with SQS clients that are guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3.session

from safe_sqs.first_use import guard_at_first_use
from safe_sqs.sources import any_said

if TYPE_CHECKING:  # so that boto3-stubs types the drop-in exactly as it types boto3
    from boto3 import client as client
    from boto3 import resource as resource
    from boto3.session import Session as Session
else:

    class Session(boto3.session.Session):
        """boto3's Session, whose SQS clients and resources are guarded by the configuration of the process."""

        def client(self, service_name, *args, **kwargs):
            client = super().client(service_name, *args, **kwargs)
            if client.meta.service_model.service_name != "sqs":
                return client
            if not any_said():
                guard_at_first_use(client)
                return client
            from safe_sqs.hooks import guard

            return guard(client)

    def client(*args, **kwargs):
        """Create a client with the default session, as `boto3.client` does. An SQS client is guarded."""
        return _get_default_session().client(*args, **kwargs)

    def resource(*args, **kwargs):
        """Create a resource with the default session, as `boto3.resource` does. An SQS resource is guarded."""
        return _get_default_session().resource(*args, **kwargs)


__all__ = ["Session", "client", "resource", "setup_default_session"]

DEFAULT_SESSION: Session | None = None
"""The default session, made when it is first needed. It is not boto3's own."""


def setup_default_session(**kwargs: Any) -> None:
    """Set up the default session, as `boto3.setup_default_session` does."""
    global DEFAULT_SESSION
    DEFAULT_SESSION = Session(**kwargs)


def _get_default_session() -> Session:
    if DEFAULT_SESSION is None:
        setup_default_session()
    assert DEFAULT_SESSION is not None
    return DEFAULT_SESSION
