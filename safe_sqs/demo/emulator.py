"""An AWS emulator inside this process, over real TLS: moto's server, with a certificate authority made for the run."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import trustme
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

__all__ = ["Emulator", "running"]


class Emulator(NamedTuple):
    """Where it listens, and the file with the certificate of its authority, for `verify=`."""

    url: str
    port: int
    authority: str

    @property
    def host(self) -> str:
        """host:port, as `trusted_endpoint_hosts` wants it."""
        return f"localhost:{self.port}"


class _Quiet(WSGIRequestHandler):
    """Keeps connections open between calls, and writes no access log."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing: the demonstration shows what the guard says."""


@contextmanager
def running() -> Iterator[Emulator]:
    """Start the emulator on a free port of the loopback address, and stop it at the end."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet, ssl_context=context)
    Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="safe-sqs-") as folder:
        file = Path(folder) / "authority.pem"
        authority.cert_pem.write_to_path(str(file))
        try:
            yield Emulator(f"https://localhost:{server.server_port}", server.server_port, str(file))
        finally:
            server.shutdown()
