"""An AWS emulator inside this process, over real TLS: moto's server, with a certificate authority made for the run."""

from __future__ import annotations

import io
import json
import ssl
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple

import trustme
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

__all__ = ["Emulator", "running"]

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Emulator(NamedTuple):
    """Where it listens, the file with the certificate of its authority, for `verify=`, and how often each operation of
    SQS has arrived."""

    url: str
    port: int
    authority: str
    arrived: Counter[str]

    @property
    def host(self) -> str:
        """host:port, as `trusted_endpoint_hosts` wants it."""
        return f"localhost:{self.port}"


class _Quiet(WSGIRequestHandler):
    """Keeps connections open between calls, and writes no access log."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Nothing: the demonstration shows what the guard says."""


@contextmanager
def running(*, unreadable: Collection[str] = ()) -> Iterator[Emulator]:
    """Start the emulator on a free port of the loopback address, and stop it at the end.

    `unreadable` are names of queues whose attributes nobody may read: moto itself enforces no permissions.
    """
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    door = _Door(DomainDispatcherApplication(create_backend_app), frozenset(unreadable))
    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=_Quiet, ssl_context=context)
    # A client that is slow with its handshake must not keep the others waiting at the door.
    server.socket.do_handshake_on_connect = False  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="safe-sqs-") as folder:
        file = Path(folder) / "authority.pem"
        authority.cert_pem.write_to_path(str(file))
        try:
            yield Emulator(f"https://localhost:{server.server_port}", server.server_port, str(file), door.arrived)
        finally:
            server.shutdown()


class _Door:
    """Stands before moto: counts what arrives, and denies what nobody may read."""

    def __init__(self, application: Application, unreadable: frozenset[str]) -> None:
        self.arrived: Counter[str] = Counter()
        self._application = application
        self._unreadable = unreadable
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        with self._lock:
            self.arrived[operation] += 1
        if operation == "GetQueueAttributes" and self._unreadable:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            if json.loads(body)["QueueUrl"].rpartition("/")[2] in self._unreadable:
                return self._deny(start_response)
        return self._application(environ, start_response)

    def _deny(self, start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = {
            "__type": "com.amazon.coral.service#AccessDeniedException",
            "message": "User is not authorized to perform: sqs:getqueueattributes on this resource",
        }
        body = json.dumps(answer).encode()
        headers = [("Content-Type", "application/x-amz-json-1.0"), ("Content-Length", str(len(body)))]
        start_response("400 Bad Request", headers)
        return [body]
