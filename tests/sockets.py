"""Witnesses: servers on the loopback address that remember what reached them, and a record of signatures made."""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import botocore.auth
import pytest
import trustme


class Request(NamedTuple):
    """What a server was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """What it says."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = {"Content-Type": "application/x-amz-json-1.0"}


class Signature(NamedTuple):
    """A signature that was made: for which URL, with which access key id."""

    url: str
    access_key: str

    @property
    def netloc(self) -> str:
        """The host and port that the signature is for."""
        return urlsplit(self.url).netloc


class Listener(ThreadingHTTPServer):
    """Counts connections and the bytes that came over them, and keeps requests; answers each with `answer(request)`.

    With TLS, the bytes are those that were inside of it: a handshake alone is none.
    """

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, answer: Callable[[Request], Answer], context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests: list[Request] = []
        self._context = context
        self.bytes_read = 0
        self._accepted = 0
        self._lock = Lock()
        self._probes: dict[int, Event] = {}

    @property
    def netloc(self) -> str:
        """localhost:port"""
        return f"localhost:{self.server_port}"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._context else 'http'}://{self.netloc}"

    @property
    def connections(self) -> int:
        """How many connections were opened until now, by anyone but this property.

        A connection of its own goes through the same queue, so whatever was opened before it has been counted.
        """
        seen = Event()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._probes[probe.getsockname()[1]] = seen
            probe.connect(self.server_address)
            assert seen.wait(10)
        return self._accepted

    def forget(self) -> None:
        """Count from nothing again."""
        self.connections  # noqa: B018  what was opened before is accepted, and so not counted later
        self.requests.clear()
        self._accepted = self.bytes_read = 0

    def note_bytes(self, count: int) -> None:
        """Count bytes that were read."""
        with self._lock:
            self.bytes_read += count

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and count it. The TLS handshake is left to the thread that serves it."""
        connection, address = super().get_request()
        seen = self._probes.pop(address[1], None)
        if seen is not None:
            connection.close()
            seen.set()
            raise OSError("a probe, which nobody serves")
        self._accepted += 1
        connection.settimeout(10)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a handshake that the client breaks off is what a test wants to see from the other side."""


class _Counted(io.RawIOBase):
    """What is read from a connection, counted."""

    def __init__(self, raw: io.RawIOBase, note: Callable[[int], None]) -> None:
        self._raw = raw
        self._note = note

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        self._note(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Handler(BaseHTTPRequestHandler):
    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Counted(self.rfile.detach(), self.server.note_bytes))

    def do(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        request = Request(self.command, self.path, self.headers, self.rfile.read(length))
        self.server.requests.append(request)
        answer = self.server.answer(request)
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # the method of the request
            return self.do
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def listening(
    answer: Callable[[Request], Answer] = lambda _: Answer(), context: ssl.SSLContext | None = None
) -> Iterator[Listener]:
    """A server in a thread of its own: plain HTTP, or TLS when there is a context."""
    with Listener(answer, context) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def certificates(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A certificate for `localhost` by an authority that nobody knows, and the file with that authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    file = folder / "unknown-authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, str(file)


def record_signatures(monkeypatch: pytest.MonkeyPatch) -> list[Signature]:
    """From now on, every Signature Version 4 that botocore makes, whether or not it leaves."""
    made: list[Signature] = []

    def recording(kind: type) -> type:
        class Recording(kind):
            def add_auth(self, request: Any) -> Any:
                made.append(Signature(request.url, getattr(self.credentials, "access_key", "")))
                return super().add_auth(request)

        return Recording

    for version in ("v4", "v4-query"):
        monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, version, recording(botocore.auth.AUTH_TYPE_MAPS[version]))
    return made


def record_resolving(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From now on, no name but `localhost` resolves in this process, and the names that were asked for are kept."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **more: Any) -> Any:
        if host in ("localhost", "127.0.0.1", "::1", b"localhost", None):
            return real(host, *arguments, **more)
        asked.append(host if isinstance(host, str) else repr(host))
        raise socket.gaierror(socket.EAI_NONAME, "no name resolves in this test")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked
