"""An emulator behind a TLS front that remembers every request, whoever made it."""

from __future__ import annotations

import io
import re
import ssl
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import trustme
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

__all__ = ["Arrived", "Front", "in_front_of_an_emulator"]

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/")


class Arrived(NamedTuple):
    """A request that arrived: the operation, with which access key id and for which region it was signed, and all that
    it said in path, query and body."""

    operation: str
    access_key: str
    region: str
    text: str
    size: int


class Front:
    """Remembers what arrives, and hands it on."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.arrived: list[Arrived] = []
        self.port = 0
        self.authority = ""
        self._application = application
        self._lock = Lock()

    @property
    def host(self) -> str:
        """host:port, as `trusted_endpoint_hosts` wants it."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://{self.host}"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            self.arrived.append(_arrived(environ, body))
        try:
            return self._application(environ, start_response)
        except NotImplementedError:  # it arrived, which is what counts
            start_response("501 Not Implemented", [("Content-Length", "0")])
            return [b""]


def _arrived(environ: dict[str, Any], body: bytes) -> Arrived:
    said = f"{environ.get('PATH_INFO', '')} {unquote_plus(environ.get('QUERY_STRING', ''))} {body.decode('latin-1')}"
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    key, region = (scope["key"], scope["region"]) if scope else ("", "")
    return Arrived(operation, key, region, said, len(body) + len(environ.get("QUERY_STRING", "")))


class _Quiet(WSGIRequestHandler):
    """Keeps connections open, and writes no log."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def in_front_of_an_emulator() -> Iterator[Front]:
    """Start the front on a free port of the loopback address, and stop it at the end."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    front = Front(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=_Quiet, ssl_context=context)
    server.socket.do_handshake_on_connect = False  # one that is slow with its handshake keeps nobody waiting
    front.port = server.server_port
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    with tempfile.TemporaryDirectory(prefix="bypasses-") as folder:
        file = Path(folder) / "authority.pem"
        authority.cert_pem.write_to_path(str(file))
        front.authority = str(file)
        try:
            yield front
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
