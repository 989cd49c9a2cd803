"""The drop-in face: boto3's session, default session, `client` and `resource`, with SQS clients that are guarded."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

import boto3.session

from safe_sqs.first_use import guard_at_first_use
from safe_sqs.sources import any_said

if TYPE_CHECKING:  # so that boto3-stubs types the drop-in exactly as it types boto3
    from boto3.session import Session as Session
else:

    class Session(boto3.session.Session):
        """boto3's Session, whose SQS clients and resources are guarded by the configuration of the process."""

        @wraps(boto3.session.Session.client)
        def client(self, service_name, *args, **kwargs):
            client = super().client(service_name, *args, **kwargs)
            if client.meta.service_model.service_name != "sqs":
                return client
            if not any_said():
                guard_at_first_use(client)
                return client
            from safe_sqs.hooks import guard

            return guard(client)


__all__ = ["Session"]
