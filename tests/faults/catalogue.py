"""The faults: what can happen to a connection, to a request and to its answer."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from enum import Enum
from functools import cache
from threading import Event
from typing import Any, NamedTuple

import trustme

__all__ = ["FAULTS", "FAULTS_BY_NAME", "Certificates", "Exchange", "Fault", "Level", "Stage", "certificates"]


class Level(str, Enum):
    """Where a fault strikes."""

    TCP = "tcp"
    TLS = "tls"
    HTTP = "http"


class Stage(str, Enum):
    """Whether the service has done what was asked when the fault strikes."""

    BEFORE = "before"
    AFTER = "after"


class Certificates(NamedTuple):
    """What the proxy can show. `authority` is the one that clients trust, in PEM."""

    authority: bytes
    good: ssl.SSLContext
    expired: ssl.SSLContext
    wrong_host: ssl.SSLContext
    unknown_authority: ssl.SSLContext


@cache
def certificates() -> Certificates:
    """Those of this process."""
    ours, others = trustme.CA(), trustme.CA()
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    return Certificates(
        ours.cert_pem.bytes(),
        _context(ours.issue_cert("localhost")),
        _context(ours.issue_cert("localhost", not_after=yesterday)),
        _context(ours.issue_cert("sqs.us-east-1.amazonaws.com")),
        _context(others.issue_cert("localhost")),
    )


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


class Exchange:
    """One request on one connection, and, where it was forwarded, the answer of the service."""

    def __init__(
        self, connection: ssl.SSLSocket, answer: bytes | None, timeout: float, elsewhere: str, is_over: Event
    ) -> None:
        self.connection = connection
        self.answer = answer or b""
        self.timeout = timeout
        self.elsewhere = elsewhere
        self.is_over = is_over

    def send(self, data: bytes) -> None:
        """Hand bytes to the client, as far as it still listens."""
        self.connection.sendall(data)

    def reset(self) -> None:
        """Close the connection so that the client gets a RST."""
        reset(self.connection)

    def be_silent(self) -> None:
        """Say nothing until the client gives up."""
        be_silent(self.connection, self.is_over)

    @property
    def head(self) -> bytes:
        """The head of the answer, with the empty line."""
        head, end, _ = self.answer.partition(b"\r\n\r\n")
        return head + end

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return self.answer.partition(b"\r\n\r\n")[2]


Act = Callable[[Exchange], bool]
"""Does the harm. Returns whether the connection lives on."""
Shake = Callable[[socket.socket, Event], ssl.SSLContext | None]
"""Does harm to a new connection. Returns the certificate to go on with, or None where the connection is done with."""


class Fault(NamedTuple):
    """One thing that can go wrong, with a request (`act`) or with a new connection (`shake`)."""

    name: str
    level: Level
    act: Act | None = None
    shake: Shake | None = None
    stages: tuple[Stage, ...] = (Stage.BEFORE, Stage.AFTER)
    only: str = ""
    """"facts" or "call" where it means nothing elsewhere."""
    waits: bool = False
    """True where a client waits as long as its timeout."""
    lies: bool = False
    """True where it says that all went well, which is not so before the request was forwarded."""
    misleads: bool = False
    """True where the request that is forwarded is another one than the client's."""
    points_elsewhere: bool = False
    """True where the answer is a redirect to plain HTTP."""


def reset(connection: socket.socket) -> None:
    """Close without lingering, which resets the connection in place of ending it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def be_silent(connection: socket.socket, is_over: Event) -> None:
    """Say nothing on a connection until the other side ends it."""
    connection.settimeout(0.05)
    while not is_over.is_set():
        try:
            if not connection.recv(4096):
                return
        except TimeoutError:
            continue
        except OSError:
            return


# --- at the TCP level ---------------------------------------------------------------------------------------------


def _late(exchange: Exchange) -> bool:
    time.sleep(exchange.timeout / 5)
    exchange.send(exchange.answer)
    return True


def _slow_loris(exchange: Exchange) -> bool:
    """Each byte comes in time, and all of them together come later than the timeout."""
    pause = 1.2 * exchange.timeout / len(exchange.answer)
    for at in range(len(exchange.answer)):
        exchange.send(exchange.answer[at : at + 1])
        time.sleep(pause)
    return True


def _reset(exchange: Exchange) -> bool:
    exchange.reset()
    return False


def _reset_in_the_middle(exchange: Exchange) -> bool:
    exchange.send(exchange.head + exchange.body[: len(exchange.body) // 2])
    time.sleep(0.05)  # else the reset may overtake the bytes
    exchange.reset()
    return False


def _end(exchange: Exchange) -> bool:
    return False


def _end_in_the_head(exchange: Exchange) -> bool:
    exchange.send(exchange.head[:30])
    return False


def _end_in_the_body(exchange: Exchange) -> bool:
    exchange.send(exchange.head + exchange.body[: len(exchange.body) // 2])
    return False


def _silence(exchange: Exchange) -> bool:
    exchange.be_silent()
    return False


def _stall(exchange: Exchange) -> bool:
    exchange.send(exchange.head + exchange.body[: len(exchange.body) // 2])
    exchange.be_silent()
    return False


# --- at the TLS level ---------------------------------------------------------------------------------------------


def _shows(name: str) -> Shake:
    return lambda _connection, _is_over: getattr(certificates(), name)


def _cut_off(connection: socket.socket, is_over: Event) -> None:
    connection.recv(4096)
    reset(connection)


def _end_handshake(connection: socket.socket, is_over: Event) -> None:
    connection.recv(4096)


def _never_shake_hands(connection: socket.socket, is_over: Event) -> None:
    be_silent(connection, is_over)


def _garble_handshake(connection: socket.socket, is_over: Event) -> None:
    connection.recv(4096)
    connection.sendall(b"\x16\x03\x03\x00\x40" + bytes(range(64)))


def _speak_plainly(connection: socket.socket, is_over: Event) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _garble_record(exchange: Exchange) -> bool:
    os.write(exchange.connection.fileno(), b"\x17\x03\x03\x00\x40" + bytes(range(64)))  # below TLS
    time.sleep(0.05)
    return False


# --- at the HTTP level --------------------------------------------------------------------------------------------

_JSON = {"Content-Type": "application/x-amz-json-1.0"}
_HTML = {"Content-Type": "text/html"}
_PAGE = b"<html><body><h1>It works!</h1></body></html>"


def whole(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    """An answer in HTTP."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


def _says(status: int, body: bytes, headers: Mapping[str, str]) -> Act:
    def act(exchange: Exchange) -> bool:
        exchange.send(whole(status, body, headers))
        return True

    return act


def _fails(status: int, code: str, headers: Mapping[str, str] | None = None) -> Act:
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no reason"}).encode()
    return _says(status, body, _JSON | (headers or {}))


def _points_elsewhere(status: int) -> Act:
    def act(exchange: Exchange) -> bool:
        exchange.send(whole(status, b"", {"Location": exchange.elsewhere}))
        return True

    return act


def _promise_too_much(exchange: Exchange) -> bool:
    exchange.send(whole(200, exchange.body, _JSON | {"Content-Length": str(len(exchange.body) + 100)}))
    return False


def _halve_json(exchange: Exchange) -> bool:
    exchange.send(whole(200, exchange.body[: len(exchange.body) // 2], _JSON))
    return True


def _flip_bytes(exchange: Exchange) -> bool:
    exchange.send(
        whole(200, bytes(each ^ (0x15 if at % 7 == 0 else 0) for at, each in enumerate(exchange.body)), _JSON)
    )
    return True


def _change(**changed: Any) -> Act:
    def act(exchange: Exchange) -> bool:
        said = json.loads(exchange.body or b"{}")
        said = {name: changed.get(name, value) for name, value in said.items()}
        exchange.send(whole(200, json.dumps(said).encode(), _JSON))
        return True

    return act


def _as_it_is(exchange: Exchange) -> bool:
    exchange.send(exchange.answer)
    return True


_AFTER = (Stage.AFTER,)
_BEFORE = (Stage.BEFORE,)
_SOON = {"Retry-After": "1"}

FAULTS = (
    Fault("latency", Level.TCP, _late, stages=_AFTER),
    Fault("slow-loris", Level.TCP, _slow_loris, stages=_AFTER, waits=True),
    Fault("reset", Level.TCP, _reset),
    Fault("reset-in-the-body", Level.TCP, _reset_in_the_middle, stages=_AFTER),
    Fault("closed", Level.TCP, _end),
    Fault("closed-in-the-head", Level.TCP, _end_in_the_head, stages=_AFTER),
    Fault("closed-in-the-body", Level.TCP, _end_in_the_body, stages=_AFTER),
    Fault("half-open", Level.TCP, _silence, waits=True),
    Fault("stalled-in-the-body", Level.TCP, _stall, stages=_AFTER, waits=True),
    Fault("expired-certificate", Level.TLS, shake=_shows("expired"), stages=_BEFORE),
    Fault("wrong-host-name", Level.TLS, shake=_shows("wrong_host"), stages=_BEFORE),
    Fault("unknown-authority", Level.TLS, shake=_shows("unknown_authority"), stages=_BEFORE),
    Fault("handshake-reset", Level.TLS, shake=_cut_off, stages=_BEFORE),
    Fault("handshake-closed", Level.TLS, shake=_end_handshake, stages=_BEFORE),
    Fault("handshake-garbled", Level.TLS, shake=_garble_handshake, stages=_BEFORE),
    Fault("handshake-in-plain-text", Level.TLS, shake=_speak_plainly, stages=_BEFORE),
    Fault("handshake-never", Level.TLS, shake=_never_shake_hands, stages=_BEFORE, waits=True),
    Fault("garbled-record", Level.TLS, _garble_record),
    Fault("400-throttled", Level.HTTP, _fails(400, "RequestThrottled")),
    Fault("403-denied", Level.HTTP, _fails(403, "AccessDeniedException"), stages=_BEFORE),
    Fault("429", Level.HTTP, _fails(429, "ThrottlingException")),
    Fault("429-retry-after", Level.HTTP, _fails(429, "ThrottlingException", _SOON)),
    Fault("429-empty", Level.HTTP, _says(429, b"", {})),
    Fault("500", Level.HTTP, _fails(500, "InternalFailure")),
    Fault("502-page", Level.HTTP, _says(502, _PAGE, _HTML)),
    Fault("503", Level.HTTP, _fails(503, "ServiceUnavailable")),
    Fault("503-retry-after", Level.HTTP, _fails(503, "ServiceUnavailable", {**_SOON, "x-amz-retry-after": "500"})),
    Fault("503-page", Level.HTTP, _says(503, _PAGE, _HTML)),
    Fault("504-page", Level.HTTP, _says(504, _PAGE, _HTML)),
    Fault("200-page", Level.HTTP, _says(200, _PAGE, _HTML), lies=True),
    Fault("200-empty", Level.HTTP, _says(200, b"", _JSON), lies=True),
    Fault("200-list", Level.HTTP, _says(200, b"[]", _JSON), lies=True),
    Fault("truncated", Level.HTTP, _promise_too_much, stages=_AFTER),
    Fault("half-of-the-json", Level.HTTP, _halve_json, stages=_AFTER),
    Fault("garbled-json", Level.HTTP, _flip_bytes, stages=_AFTER),
    Fault("wrong-md5", Level.HTTP, _change(MD5OfMessageBody="0" * 32), stages=_AFTER, only="call"),
    Fault("no-attributes", Level.HTTP, _change(Attributes={}), stages=_AFTER, only="facts"),
    Fault("null-attributes", Level.HTTP, _change(Attributes=None), stages=_AFTER, only="facts"),
    Fault("numbers-as-attributes", Level.HTTP, _change(Attributes={"QueueArn": 7}), stages=_AFTER, only="facts"),
    Fault("another-queues-attributes", Level.HTTP, _as_it_is, stages=_AFTER, only="facts", misleads=True),
    Fault("301-to-plain-http", Level.HTTP, _points_elsewhere(301), stages=_BEFORE, points_elsewhere=True),
    Fault("302-to-plain-http", Level.HTTP, _points_elsewhere(302), stages=_BEFORE, points_elsewhere=True),
    Fault("307-to-plain-http", Level.HTTP, _points_elsewhere(307), stages=_BEFORE, points_elsewhere=True),
    Fault("308-to-plain-http", Level.HTTP, _points_elsewhere(308), stages=_BEFORE, points_elsewhere=True),
)
"""All of them."""

FAULTS_BY_NAME = {fault.name: fault for fault in FAULTS}
