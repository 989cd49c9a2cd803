"""What botocore is about to do, read from botocore's own objects: the one place that knows where they keep it.

What cannot be read is described as unsafe, never left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from functools import cache
from ssl import CERT_REQUIRED, SSLContext
from typing import Any, NamedTuple, TypeVar

from botocore import UNSIGNED
from botocore.awsrequest import HeadersDict
from botocore.credentials import RefreshableCredentials
from botocore.loaders import Loader

from safe_sqs.cache import Flight
from safe_sqs.config import running_in_lambda
from safe_sqs.hosts import is_aws_host, parse_endpoint
from safe_sqs.model import Ask, Connection, Identity, IdentityKind, Partition, Work, without_secrets

__all__ = [
    "AUTHORIZATION",
    "QUEUE_FIRST",
    "QUEUE_URL",
    "Freeze",
    "Resolve",
    "Steps",
    "addresses_of",
    "describe",
    "emitter_of",
    "identity_in_header",
    "identity_of",
    "key_client_arguments",
    "key_in_header",
    "key_of",
    "parameters_in_body",
    "partitions",
    "queue_in_body",
    "shown_url",
    "signed_in_header",
    "url_of",
]

R = TypeVar("R")

QUEUE_URL = b'"QueueUrl": "'
"""What stands before the queue URL in the JSON that botocore writes."""

_SIGNATURE = b", Signature="
"""What stands before the 64 digits of the signature, at the end of the Authorization header."""

QUEUE_FIRST = b"{" + QUEUE_URL
"""How a body begins whose first parameter is the queue URL."""

_SIGNATURE_START = b"AWS4-HMAC-SHA256 Credential="

AUTHORIZATION = next(iter(getattr(HeadersDict({"Authorization": b""}), "_dict", ())), None)
"""The key under which botocore's headers keep the signature, ready made: making one for each look costs more than the
look. None where a botocore keeps its headers otherwise."""

_AUTHORIZATION = re.compile(rb"AWS4-[A-Z0-9-]+ Credential=(?P<key>[^/\s,]+)/\S.*Signature=\S+")
_PLAIN = re.compile(rb"[\x20-\x5b\x5d-\x7e]+")
_UNSIGNED = Identity(IdentityKind.UNSIGNED)


@cache
def partitions() -> tuple[Partition, ...]:
    """The partitions in botocore's own data; what AWS_DATA_PATH or ~/.aws/models add is not AWS's word."""
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    return tuple(
        Partition(
            id=entry["id"],
            dns_suffix=entry["outputs"]["dnsSuffix"],
            dual_stack_dns_suffix=entry["outputs"].get("dualStackDnsSuffix", ""),
            region_pattern=entry["regionRegex"],
            regions=frozenset(entry["regions"]),
        )
        for entry in loader.load_data("partitions")["partitions"]
    )


def describe(client: Any, url: str, identity: Identity, service: str) -> Connection:
    """The connection over which `client` would send a request to `url`."""
    session = client._endpoint.http_session
    proxy = _proxy(session, url)
    settings = getattr(getattr(session, "_proxy_config", None), "settings", None) or {}
    return Connection(
        url=url,
        service=service,
        certificates_checked=_checks_certificates(getattr(session, "_verify", False)),
        proxied=proxy is not None,
        proxy_sees_plain_text=bool(proxy is not None and settings.get("proxy_use_forwarding_for_https")),
        identity=identity,
        partitions=partitions(),
    )


def _checks_certificates(verify: Any) -> bool:
    if isinstance(verify, SSLContext):  # what aiobotocore's httpx session makes of every setting, False included
        return verify.verify_mode is CERT_REQUIRED and verify.check_hostname
    # botocore checks certificates when this is true in the sense of `if`: an empty AWS_CA_BUNDLE is not.
    return bool(verify)


def _proxy(http_session: Any, url: str) -> str | None:
    configuration = getattr(http_session, "_proxy_config", None)
    return configuration.proxy_url_for(url) if configuration is not None else None


class _Unknown:
    """An emitter of which nothing is known."""

    _lookup_cache: Mapping[str, Any] = {}


def emitter_of(client: Any) -> Any:
    """What calls the handlers of a client's events. `_lookup_cache` has those that are being called for an event, in
    their order, and is empty for as long as that is not known."""
    emitter = getattr(client.meta.events, "_emitter", None)
    return emitter if hasattr(emitter, "_lookup_cache") else _Unknown()


class Freeze(NamedTuple):
    """Wanted: `credentials` of botocore as they are now. Answered with their frozen form."""

    credentials: Any


class Resolve(NamedTuple):
    """Wanted: the addresses of a host, as the system's resolver gives them; none when it does not resolve."""

    host: str
    port: int


Steps = Generator[Ask | Flight | Freeze | Resolve | Work, Any, R]
"""A judgement under way: it yields what it has to wait for, and is sent the answer. A flight has landed when it is
answered, whatever with. How to wait is the adapter's affair, so that threads and asyncio share the judgement."""


def addresses_of(url: str) -> Generator[Resolve, Any, tuple[str, ...]]:
    """The addresses of the URL's host, or none when it does not resolve."""
    endpoint = parse_endpoint(url)
    if endpoint is None:
        return ()
    addresses: tuple[str, ...] = yield Resolve(endpoint.host, endpoint.port)
    return addresses


def key_client_arguments(client: Any) -> dict[str, Any]:
    """With which arguments a KMS client goes the way that an SQS client goes."""
    endpoint = parse_endpoint(client.meta.endpoint_url)
    is_aws = endpoint is not None and is_aws_host(endpoint.host, "sqs", partitions())
    return {
        "service_name": "kms",
        "region_name": client.meta.region_name,
        "endpoint_url": None if is_aws else client.meta.endpoint_url,
        "verify": client._endpoint.http_session._verify,
        "config": client.meta.config,
    }


def identity_of(credentials: Any, signature_version: Any) -> Generator[Freeze, Any, Identity]:
    """Who is about to sign. `credentials` are botocore's; to freeze them may renew them, as signing would."""
    if signature_version is UNSIGNED or not str(signature_version).startswith("v4"):
        return _UNSIGNED
    if credentials is None:
        return Identity(IdentityKind.ABSENT)
    frozen = yield Freeze(credentials)
    return _identity(frozen.access_key or "", bool(frozen.token), credentials)


def identity_in_header(headers: Any, credentials: Any) -> Identity:
    """Who did sign, by the headers that are about to leave."""
    key = key_in_header(headers)
    if not key:
        return _UNSIGNED
    return _identity(key.decode("latin-1"), bool(headers.get("X-Amz-Security-Token")), credentials)


def key_in_header(headers: Any) -> bytes:
    """The access key id in the Authorization header, or b"" when it is not a Signature Version 4."""
    match = _AUTHORIZATION.fullmatch(_bytes(headers.get("Authorization", b"")))
    return match["key"] if match else b""


def signed_in_header(headers: Any) -> bytes:
    """What stands in the Authorization header before the digits of the signature: who signed, for which day, region and
    service, and which headers. A zero byte where that is not told. A session token that is not there any more is
    missing among the headers."""
    value = _bytes(headers.get("Authorization", b""))
    start = value[:-64]
    is_told = start.startswith(_SIGNATURE_START) and start.endswith(_SIGNATURE) and key_in_header(headers)
    return start if is_told else b"\0"


def parameters_in_body(body: Any) -> Mapping[str, Any] | None:
    """The parameters of a call in a JSON body, or None when it is not one."""
    try:
        parameters = json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return None
    return parameters if isinstance(parameters, dict) else None


def queue_in_body(body: Any) -> bytes:
    """The queue URL in a request body, as it stands there, or b"" where there is none.

    The bytes that are looked for cannot stand inside of a JSON string, because its quotation marks are escaped there.
    """
    if not isinstance(body, bytes):
        return b""
    start = body.find(QUEUE_URL) + len(QUEUE_URL)
    end = body.find(b'"', start)
    key = body[start:end] if start >= len(QUEUE_URL) and end >= 0 else b""
    if _PLAIN.fullmatch(key):
        return key
    url = (parameters_in_body(body) or {}).get("QueueUrl")
    return key_of(url) if isinstance(url, str) else b""


def key_of(url: str) -> bytes:
    """How a JSON body writes a queue URL, without the quotation marks."""
    return json.dumps(url).encode()[1:-1]


def shown_url(key: bytes) -> str:
    """The same for a person to see: without user information and query, which may be secret."""
    return without_secrets(url_of(key))


def url_of(key: bytes) -> str:
    """The queue URL that a JSON body writes so."""
    return str(json.loads(b'"' + key + b'"'))


def _identity(access_key: str, has_token: bool, credentials: Any) -> Identity:
    temporary = access_key.startswith("ASIA") and has_token
    provider = str(getattr(credentials, "method", None) or "")
    return Identity(
        kind=IdentityKind.TEMPORARY if temporary else IdentityKind.LONG_TERM,
        key_tail=access_key[-4:] if len(access_key) >= 16 else "",
        provider=provider,
        # What refreshes from the environment only reads the same variables again; in Lambda, the service renews them.
        renews_itself=running_in_lambda() if provider == "env" else isinstance(credentials, RefreshableCredentials),
    )


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("latin-1", "replace")
