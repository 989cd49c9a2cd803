"""The way out of a client: judged before anything is signed for it, and again on what really leaves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn

from botocore.awsrequest import AWSPreparedRequest, AWSRequest, HeadersDict

from safe_sqs import events
from safe_sqs.decisions import Guard
from safe_sqs.errors import GuardError
from safe_sqs.model import Connection, Finding, Identity, Mode
from safe_sqs.wire import (
    SIGNATURE,
    SIGNATURE_START,
    describe,
    identity_in_header,
    identity_of,
    key_in_header,
    queue_in_body,
    shown_url,
)

__all__ = ["MARK", "SealedUnsigned", "WayOut", "is_watched"]

Refuse = Callable[[tuple[Finding, ...], str, str], NoReturn]

MARK = "safe_sqs"
"""The key in botocore's request context under which the name of the judged queue travels to the answer."""

_MOST_TOLD = 256


class Way:
    """A connection that was approved: a request that goes exactly this way needs no second look."""

    __slots__ = ("credentials", "ends", "http_session", "signature_start", "signature_version", "url", "verify")

    def __init__(
        self, url: str, signature_version: Any, credentials: Any, signature_start: bytes, http_session: Any, ends: float
    ) -> None:
        self.url = url
        self.signature_version = signature_version
        self.credentials = credentials
        self.signature_start = signature_start
        self.http_session = http_session
        self.verify = getattr(http_session, "_verify", None)
        self.ends = ends


_UNKNOWN = b"\0"
"""Where no signature is known yet: no header begins so."""

_NO_WAY = Way("", None, object(), _UNKNOWN, None, 0.0)


def _changed(name: str) -> GuardError:
    return GuardError(f"the {name} of a request was changed after safe_sqs had checked it, so it is not sent")


class SealedUnsigned(AWSRequest):
    """A request that was judged and is about to be signed: where it goes and what it says stay as they are."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("url", "method", "data", "params"):
            raise _changed(name)
        super().__setattr__(name, value)


class SealedHeaders(HeadersDict):
    """Headers whose signature stays as it is. Others may be added, as tracing does."""

    def __setitem__(self, key: str, value: Any) -> None:
        self._keep(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._keep(key)
        super().__delitem__(key)

    def _keep(self, key: str) -> None:
        if key.lower() in ("authorization", "x-amz-security-token", "host"):
            raise _changed(f"header {key}")


class SealedRequest(AWSPreparedRequest):
    """A signed request that was checked: what decides where it goes, and what goes there, stays as it is."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("url", "method", "headers", "body"):
            raise _changed(name)
        super().__setattr__(name, value)


def is_watched(request: Any, signature_version: Any) -> bool:
    """True when a request that is about to be signed will pass `before-send` too: botocore's own road out notes its
    attempts in the context. Presigned URLs, and requests that a program signs and sends by itself, do not."""
    return signature_version == "v4" and "retries" in request.context


class WayOut:
    """Judges the connection of one client. `approved` is the way that the last request went."""

    def __init__(self, client: Any, guard: Guard, service: str, refuse: Refuse) -> None:
        self.approved = _NO_WAY
        self._client = client
        self._guard = guard
        self._service = service
        self._refuse = refuse
        self._told: set[tuple[str, Identity]] = set()

    def send_handler(self) -> Callable[..., None]:
        """The subscriber to `before-send`."""
        client = self._client
        judge = self._judge_signed

        def before_send(request: Any, event_name: str, **_: Any) -> None:
            way = self.approved
            session = client._endpoint.http_session
            try:
                signature = request.headers["Authorization"]
            except KeyError:
                signature = None
            if (
                request.url != way.url
                or type(signature) is not bytes
                or not signature.startswith(way.signature_start)
                or SIGNATURE not in signature
                or session is not way.http_session
                or session._verify is not way.verify
            ):
                judge(request, event_name.rpartition(".")[2])
            if type(request) is AWSPreparedRequest:
                if isinstance(request.headers, HeadersDict):
                    request.headers.__class__ = SealedHeaders
                request.__class__ = SealedRequest

        return before_send

    def judge_unsigned(
        self, request: Any, signature_version: Any, request_signer: Any, operation_name: str, **_: Any
    ) -> None:
        """Judge a request before it is signed, as a subscriber to `before-sign`. Raises RefusedError."""
        findings = self.findings_before_signature(request, signature_version, request_signer, operation_name)
        if findings:
            self._refuse(findings, operation_name, "")

    def findings_before_signature(
        self, request: Any, signature_version: Any, request_signer: Any, operation: str
    ) -> tuple[Finding, ...]:
        """What refuses a request that is about to be signed; when nothing does, its way is approved."""
        override = request.context.get("signing", {}).get("request_credentials")
        credentials = override or request_signer._credentials
        identity = identity_of(credentials, signature_version)
        refusals = self._refusals(request.url, identity, operation, shown_url(queue_in_body(request.data)))
        if not refusals and is_watched(request, signature_version):
            self._approve(request.url, signature_version, credentials, _UNKNOWN)
        return refusals

    def _judge_signed(self, request: Any, operation: str) -> None:
        credentials = self._client._request_signer._credentials
        identity = identity_in_header(request.headers, credentials)
        queue = shown_url(queue_in_body(request.body))
        refusals = self._refusals(request.url, identity, operation, queue)
        if refusals:
            self._refuse(refusals, operation, queue)
        key = key_in_header(request.headers)
        start = SIGNATURE_START + key + b"/" if key else _UNKNOWN
        self._approve(request.url, self.approved.signature_version, credentials, start)

    def _refusals(self, url: str, identity: Identity, operation: str, queue: str) -> tuple[Finding, ...]:
        connection = describe(
            self._client, url, identity, self._service, with_addresses=self._guard.asks_for_addresses()
        )
        verdict = self._guard.judge_connection(connection)
        self._warn_once(connection, verdict.findings, operation, queue)
        return verdict.refusals

    def _approve(self, url: str, signature_version: Any, credentials: Any, signature_start: bytes) -> None:
        guard, session = self._guard, self._client._endpoint.http_session
        ends = guard.clock.monotonic() + guard.config.ttl_seconds if guard.asks_for_addresses() else math.inf
        self.approved = Way(url, signature_version, credentials, signature_start, session, ends)

    def _warn_once(self, connection: Connection, findings: tuple[Finding, ...], operation: str, queue: str) -> None:
        warnings = tuple(finding for finding in findings if finding.mode is Mode.WARN)
        told = (connection.url, connection.identity)
        if warnings and told not in self._told:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told.add(told)
            events.emit(events.Warned(operation, queue, warnings))
