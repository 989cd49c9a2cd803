"""A proxy between a client and the emulator. It ends TLS, reads each request whole, and breaks what it is armed for."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

from faults.catalogue import Exchange, Fault, Stage, certificates, whole

__all__ = ["Asked", "Proxy", "Upstream", "running"]

_MOST_SECONDS = 600.0
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


class Upstream(NamedTuple):
    """The emulator: where it is, and how it is known."""

    host: str
    port: int
    context: ssl.SSLContext


class Asked(NamedTuple):
    """One request that came whole: what for, about which queue, with which messages, and what became of it."""

    operation: str
    subject: str
    messages: tuple[str, ...]
    forwarded: bool
    fault: str


class Armed(NamedTuple):
    """What the next requests for these operations, or the next connections, suffer. `left` None is without end."""

    fault: Fault
    stage: Stage
    operations: frozenset[str]
    left: int | None


class Request(NamedTuple):
    """A request as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """The operation of SQS or KMS."""
        return self.headers.get("x-amz-target", "").rpartition(".")[2]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the call."""
        found: Mapping[str, Any] = json.loads(self.body or b"{}")
        return found

    def asked(self, forwarded: bool, fault: Fault | None) -> Asked:
        """What is remembered of it."""
        said = self.parameters
        bodies = [each["MessageBody"] for each in (said, *said.get("Entries", ())) if "MessageBody" in each]
        subject = str(said.get("QueueUrl") or said.get("KeyId") or "").rpartition("/")[2]
        return Asked(self.operation, subject, tuple(bodies), forwarded, fault.name if fault else "")


class Proxy:
    """Stands between one client and the emulator, on a port of its own. It starts without a fault."""

    def __init__(self, upstream: Upstream, timeout: float, elsewhere: str, crossed: Mapping[str, str]) -> None:
        self.asked: list[Asked] = []
        self.shaken = 0
        """Handshakes that a fault struck."""
        self.fooled: list[str] = []
        """Faults whose certificate a client sent a request over."""
        self.slowest = 0.0
        """Seconds that the service took for an answer, or a client for a handshake, at the most: what no fault did."""
        self.keeps_connections = True
        self._upstream = upstream
        self._timeout = timeout
        self._elsewhere = elsewhere
        self._crossed = crossed
        self._armed: Armed | None = None
        self._lock = Lock()
        self._is_over = Event()
        self._threads: list[Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]

    @property
    def host(self) -> str:
        """host:port, as `trusted_endpoint_hosts` wants it."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"https://{self.host}"

    def arm(self, fault: Fault, stage: Stage, operations: frozenset[str], times: int | None) -> None:
        """From now on, break what comes for these operations; a fault of the handshake breaks every new connection."""
        with self._lock:
            self._armed = Armed(fault, stage, operations, times)

    def disarm(self) -> None:
        """From now on, break nothing."""
        with self._lock:
            self._armed = None

    def count(self, operation: str, subject: str = "") -> int:
        """How many requests for an operation came whole, about one queue or key, or about all."""
        with self._lock:
            return sum(1 for each in self.asked if each.operation == operation and subject in ("", each.subject))

    def sent(self, message: str) -> tuple[int, int]:
        """In how many requests a message came, and in how many of those it was forwarded."""
        with self._lock:
            found = [each.forwarded for each in self.asked if message in each.messages]
        return len(found), sum(found)

    def serve(self) -> None:
        """Serve connections until `close`."""
        while not self._is_over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = Thread(target=self._serve, args=(connection,), daemon=True, name="faults proxy")
            self._threads.append(thread)
            thread.start()

    def close(self) -> int:
        """End everything. Returns how many threads did not end."""
        self._is_over.set()
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        return sum(1 for thread in self._threads if thread.is_alive())

    def _take(self, *, operation: str = "") -> Armed | None:
        """What strikes now: a request for an operation, or a handshake where none is given."""
        with self._lock:
            armed = self._armed
            if armed is None or (operation == "") is (armed.fault.shake is None) or armed.left == 0:
                return None
            if operation and operation not in armed.operations:
                return None
            if armed.left is not None:
                self._armed = armed._replace(left=armed.left - 1)
            return armed

    def _serve(self, connection: socket.socket) -> None:
        started = time.monotonic()
        with suppress(OSError, http.client.HTTPException), connection:
            connection.settimeout(_MOST_SECONDS)
            armed = self._take()
            context: ssl.SSLContext | None = certificates().good
            if armed is not None and armed.fault.shake is not None:
                with self._lock:
                    self.shaken += 1
                context = armed.fault.shake(connection, self._is_over)
            if context is None:
                return
            with context.wrap_socket(connection, server_side=True) as tls:
                if armed is None:
                    self._note_seconds(time.monotonic() - started)
                self._serve_requests(tls, armed)

    def _serve_requests(self, connection: ssl.SSLSocket, shaken: Armed | None) -> None:
        service = http.client.HTTPSConnection(self._upstream.host, self._upstream.port, context=self._upstream.context)
        try:
            while (request := self._read(connection)) is not None:
                if shaken is not None:
                    self.fooled.append(shaken.fault.name)
                if not self._exchange(connection, service, request):
                    return
        finally:
            service.close()

    def _exchange(self, connection: ssl.SSLSocket, service: http.client.HTTPSConnection, request: Request) -> bool:
        started = time.monotonic()
        armed = self._take(operation=request.operation)
        forwarded = armed is None or armed.stage is Stage.AFTER
        with self._lock:
            self.asked.append(request.asked(forwarded, armed.fault if armed else None))
        crosses = armed is not None and armed.fault.misleads
        answer = self._ask(service, request, crosses=crosses) if forwarded else None
        self._note_seconds(time.monotonic() - started)
        if armed is None or armed.fault.act is None:
            connection.sendall(answer or b"")
            return self.keeps_connections
        exchange = Exchange(connection, answer, self._timeout, self._elsewhere, self._is_over)
        return armed.fault.act(exchange) and self.keeps_connections

    def _ask(self, service: http.client.HTTPSConnection, request: Request, *, crosses: bool) -> bytes:
        """The answer of the service, as bytes."""
        body = request.body
        if crosses:
            for name, other in self._crossed.items():
                body = body.replace(f'/{name}"'.encode(), f'/{other}"'.encode())
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        service.request("POST", "/", body, headers)
        answer = service.getresponse()
        said = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        if not self.keeps_connections:
            said["Connection"] = "close"
        return whole(answer.status, answer.read(), said)

    def _read(self, connection: ssl.SSLSocket) -> Request | None:
        """The next request, or None where the client has ended the connection."""
        data = b""
        while b"\r\n\r\n" not in data:
            received = self._receive(connection)
            if not received:
                return None
            data += received
        head, _, body = data.partition(b"\r\n\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        }
        while len(body) < int(headers.get("content-length", 0)):
            received = self._receive(connection)
            if not received:
                return None
            body += received
        return Request(headers, body)

    def _receive(self, connection: ssl.SSLSocket) -> bytes:
        """What the client sends next; nothing where it has ended the connection, or the proxy is about to."""
        connection.settimeout(0.1)
        try:
            while not self._is_over.is_set():
                with suppress(TimeoutError):
                    return connection.recv(65536)
            return b""
        finally:
            connection.settimeout(_MOST_SECONDS)

    def _note_seconds(self, seconds: float) -> None:
        with self._lock:
            self.slowest = max(self.slowest, seconds)


@contextmanager
def running(upstream: Upstream, timeout: float, elsewhere: str, crossed: Mapping[str, str]) -> Iterator[Proxy]:
    """Start a proxy on a free port of the loopback address, and stop it at the end.

    `timeout` is that of its clients, in seconds; `elsewhere` the URL that redirects point to; `crossed` says which
    queue's name is put for which, where a fault mixes them up.
    """
    proxy = Proxy(upstream, timeout, elsewhere, crossed)
    thread = Thread(target=proxy.serve, daemon=True, name="faults door")
    thread.start()
    try:
        yield proxy
    finally:
        left = proxy.close()
        thread.join(10)
        assert left == 0, f"{left} threads of the proxy are stuck"
