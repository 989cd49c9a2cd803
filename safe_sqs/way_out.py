"""The way out of a client: judged before anything is signed for it, and again on what really leaves."""

from __future__ import annotations

import math
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSRequest, HeadersDict

from safe_sqs import events
from safe_sqs.decisions import Guard
from safe_sqs.errors import GuardError
from safe_sqs.model import Connection, Finding, Identity, Mode
from safe_sqs.redirects import follow_no_redirect
from safe_sqs.wire import (
    Steps,
    addresses_of,
    describe,
    identity_in_header,
    identity_of,
    queue_in_body,
    shown_url,
    signed_in_header,
)

__all__ = ["MARK", "WayOut", "is_watched", "seal"]

MARK = "safe_sqs"
"""The key in botocore's request context under which the body of a request travels to the answer."""

_MOST_TOLD = 256


class Way:
    """A connection that was approved: a request that goes exactly this way needs no second look."""

    __slots__ = ("credentials", "ends", "http_session", "signature_version", "signed", "url", "verify")

    def __init__(
        self, url: str, signature_version: Any, credentials: Any, signed: bytes, http_session: Any, ends: float
    ) -> None:
        self.url = url
        self.signature_version = signature_version
        self.credentials = credentials
        self.signed = signed
        # Of a session that does not say what it checks, each request is looked at.
        self.http_session: Any = http_session if hasattr(http_session, "_verify") else None
        self.verify = getattr(http_session, "_verify", None)
        self.ends = ends


_UNKNOWN = b"\0"
"""Where no signature is known yet: no header begins so."""

_NO_WAY = Way("", None, object(), _UNKNOWN, None, 0.0)


def _changed(name: str) -> GuardError:
    return GuardError(f"the {name} of a request was changed after safe_sqs had judged it, so it is not sent")


class SealedUnwatched(AWSRequest):
    """A request that was judged, is about to be signed, and will not be seen again: it goes where it went. A signer may
    move the parameters and its signature into the query of the URL."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "url":
            if value.partition("?")[0] != str(self.url).partition("?")[0]:
                raise _changed(name)
        elif name == "method" or (name in ("data", "params") and value):
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
    """A signed request that was judged: what decides where it goes, and what goes there, stays as it is."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("url", "method", "headers", "body"):
            raise _changed(name)
        super().__setattr__(name, value)


def seal(request: Any) -> None:
    """Keep a request as it was judged, whatever handler comes after."""
    if type(request) is AWSPreparedRequest:
        headers: Any = request.headers
        if type(headers) is HeadersDict:
            headers.__class__ = SealedHeaders
        request.__class__ = SealedRequest
    elif type(request) is AWSRequest:
        request.__class__ = SealedUnwatched


def is_watched(request: Any, signature_version: Any) -> bool:
    """True when a request that is about to be signed will pass `before-send` too: botocore's own road out notes its
    attempts in the context. Presigned URLs, requests that a program signs and sends by itself, and requests with
    credentials of their own are judged in full before the signature."""
    context = request.context
    return signature_version == "v4" and "retries" in context and "signing" not in context


class WayOut:
    """Judges the connection of one client. `approved` is the way that the last request went."""

    def __init__(self, client: Any, guard: Guard, service: str) -> None:
        self.approved = _NO_WAY
        self._client = client
        self._guard = guard
        self._service = service
        self._told: set[tuple[str, Identity]] = set()

    def findings_before_signature(
        self, request: Any, signature_version: Any, request_signer: Any, operation: str
    ) -> Steps[tuple[Finding, ...]]:
        """What refuses a request that is about to be signed; when nothing does, its way is approved."""
        override = request.context.get("signing", {}).get("request_credentials")
        credentials = override or request_signer._credentials
        identity = yield from identity_of(credentials, signature_version)
        queue = shown_url(queue_in_body(request.data))
        refusals = yield from self._refusals(request.url, identity, operation, queue)
        if not refusals and is_watched(request, signature_version):
            self._approve(request.url, signature_version, credentials, _UNKNOWN)
        return refusals

    def findings_after_signature(self, request: Any, operation: str) -> Steps[tuple[Finding, ...]]:
        """What refuses a request that is about to leave; when nothing does, its way is approved."""
        identity = identity_in_header(request.headers, self._client._request_signer._credentials)
        queue = shown_url(queue_in_body(request.body))
        refusals = yield from self._refusals(request.url, identity, operation, queue)
        if not refusals:
            way = self.approved
            self._approve(request.url, way.signature_version, way.credentials, signed_in_header(request.headers))
        return refusals

    def _refusals(self, url: str, identity: Identity, operation: str, queue: str) -> Steps[tuple[Finding, ...]]:
        connection = describe(self._client, url, identity, self._service)
        verdict = self._guard.judge_connection(connection)
        if self._guard.asks_for_addresses() and not verdict.refusals:  # a bad name is not even asked of the resolver
            addresses = yield from addresses_of(url)
            connection = connection._replace(addresses=addresses)
            verdict = self._guard.judge_connection(connection)
        self._warn_once(connection, verdict.findings, operation, queue)
        return verdict.refusals

    def _approve(self, url: str, signature_version: Any, credentials: Any, signed: bytes) -> None:
        guard, session = self._guard, self._client._endpoint.http_session
        ends = guard.clock.monotonic() + guard.config.ttl_seconds if guard.asks_for_addresses() else math.inf
        if guard.config.refuses:
            follow_no_redirect(session)
        self.approved = Way(url, signature_version, credentials, signed, session, ends)

    def _warn_once(self, connection: Connection, findings: tuple[Finding, ...], operation: str, queue: str) -> None:
        warnings = tuple(finding for finding in findings if finding.mode is Mode.WARN)
        told = (connection.url, connection.identity)
        if warnings and told not in self._told:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told.add(told)
            events.emit(events.Warned(operation, queue, warnings))
