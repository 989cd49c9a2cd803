"""As whom the account is entered: sessions and clients for those who look at queues, or change them.

AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and the AWS files count as they do for the AWS CLI. An SQS client
from `Account.sqs` is guarded.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import botocore.config
import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, InvalidConfigError, NoCredentialsError

from safe_sqs.adapters import subscribe
from safe_sqs.config import Config

__all__ = ["Access", "Account"]

_SESSION_NAME = "safe-sqs"
_REGION = {"region": ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)}
"""As the AWS CLI reads it, in its version 2. botocore alone knows the second only."""


class Access(NamedTuple):
    """As whom: a profile of the AWS files, or none for what the environment says, and a role to assume with it."""

    aws_profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None


class Account:
    """An account that is entered in one way. Clients come from one session, which is not safe to use from several
    threads: make them first, and share them.

    Raises botocore's ProfileNotFound and PartialCredentialsError.
    """

    def __init__(self, access: Access = Access()) -> None:  # noqa: B008
        self.access = access
        self._session = botocore.session.Session(_REGION, profile=access.aws_profile)
        self._session.get_scoped_config()  # so that a profile that is not there is told now
        if access.role_arn is not None:
            credentials = self._role(access.role_arn, self._session)
            self._session = botocore.session.Session(_REGION, profile=access.aws_profile)
            self._session.register_component("credential_provider", _Assumed(credentials))

    @property
    def region(self) -> str | None:
        """The region that the environment or the profile says."""
        region: str | None = self._session.get_config_variable("region")
        return region

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that botocore knows to have SQS, in the partition of this one's."""
        partition = self._session.get_partition_for_region(self.region or "us-east-1")
        return tuple(self._session.get_available_regions("sqs", partition_name=partition))

    def client(self, service: str, region: str | None = None, **settings: Any) -> Any:
        """A client of botocore for any service. `settings` are those of `botocore.config.Config`.

        Raises botocore's NoRegionError, InvalidRegionError and InvalidConfigError. An SQS client from here is not
        guarded: see `sqs`.
        """
        settings.setdefault("user_agent_extra", f"safe-sqs/{version('safe_sqs')}")
        config = botocore.config.Config(**settings)
        try:
            return self._session.create_client(service, region_name=region or self.region, config=config)
        except ValueError as error:  # which botocore raises as such for an endpoint that is no URL
            if isinstance(error, BotoCoreError):
                raise
            raise InvalidConfigError(error_msg=str(error)) from error

    def sqs(self, config: Config, region: str | None = None, **settings: Any) -> Any:
        """A guarded SQS client."""
        client = self.client("sqs", region, **settings)
        subscribe(client, config)
        return client

    def _role(self, role_arn: str, session: Any) -> Any:
        source = session.get_credentials()
        if source is None:
            raise NoCredentialsError
        more = {"RoleSessionName": _SESSION_NAME}
        if self.access.external_id is not None:
            more["ExternalId"] = self.access.external_id
        create = partial(session.create_client, region_name=self.region or "us-east-1")
        fetcher = AssumeRoleCredentialFetcher(create, source, role_arn, extra_args=more)
        return DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)


class _Assumed:
    """Hands out the credentials of a role that is assumed when they are first used."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Any:
        return self._credentials
