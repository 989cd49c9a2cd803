"""A small TLS server that says what a test scripts, in the protocol of SQS and KMS, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

import boto3
import trustme
from botocore.config import Config as ClientConfig
from support import REGION, TEMPORARY

from safe_sqs import Config, guard
from safe_sqs.cache import Clock, all_caches

ACCOUNT = "123456789012"
ONCE = ClientConfig(retries={"total_max_attempts": 1})
"""A client that never retries, so that one call is one request."""

_PREFIXES = ("AmazonSQS.", "TrentService.")


class Asked(NamedTuple):
    """One request: the operation and its parameters."""

    operation: str
    parameters: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def queue(self) -> str:
        """The URL of the queue that the request names, or ""."""
        return str(self.parameters.get("QueueUrl", ""))


class Answer(NamedTuple):
    """What the server says. Without a body it breaks the connection, and it waits for `after` before either."""

    body: bytes | None
    status: int = 200
    headers: Mapping[str, str] = {}
    after: Event | None = None


Script = Callable[[Asked], Answer]

RESET = Answer(None)


def says(**parameters: Any) -> Answer:
    """A successful answer."""
    return Answer(json.dumps(parameters).encode())


def fails(code: str, status: int = 400, message: str = "no reason", query_code: str = "") -> Answer:
    """An error of the service. Where `query_code` is given, it is the code that old clients of SQS know."""
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message}).encode()
    return Answer(body, status, {"x-amzn-query-error": f"{query_code};Sender"} if query_code else {})


def attributes(asked: Asked, **changed: str) -> Answer:
    """The attributes of an encrypted queue without a policy, as far as they are asked for."""
    account, name = asked.queue.split("/")[-2:]
    known = {"QueueArn": f"arn:aws:sqs:{REGION}:{account}:{name}", "SqsManagedSseEnabled": "true"} | changed
    return says(Attributes={each: known[each] for each in asked.parameters.get("AttributeNames", ()) if each in known})


class Server(ThreadingHTTPServer):
    """Answers by `script`: an operation's next answer, or what makes it. It starts as a service with good queues."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.socket = _tls().wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.script: dict[str, Script | Answer] = {
            "GetQueueAttributes": attributes,
            "DescribeKey": says(KeyMetadata={"KeyId": "key", "KeyManager": "CUSTOMER"}),
        }
        self.asked: list[Asked] = []
        self.authority = ""
        self._lock = Lock()

    @property
    def host(self) -> str:
        """host:port, as `trusted_endpoint_hosts` wants it."""
        return f"localhost:{self.server_port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    def queue(self, name: str = "queue", account: str = ACCOUNT) -> str:
        """The URL of a queue. All queues exist."""
        return f"{self.url}/{account}/{name}"

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            script = self.script.get(asked.operation, says(MessageId="id"))
        return script if isinstance(script, Answer) else script(asked)

    def count(self, operation: str = "GetQueueAttributes", queue: str = "") -> int:
        """How often an operation was asked for, for one queue or for all."""
        with self._lock:
            return len([1 for each in self.asked if each.operation == operation and (not queue or each.queue == queue)])

    def settings(self, **arguments: Any) -> dict[str, Any]:
        """The arguments with which boto3 makes a client for this server."""
        known = {"endpoint_url": self.url, "verify": self.authority, "region_name": REGION, "config": ONCE, **TEMPORARY}
        return known | arguments

    def raw(self, **arguments: Any) -> Any:
        """An SQS client of boto3 that is not guarded. It never retries unless told."""
        return _session().client("sqs", **self.settings(**arguments))

    def config(self, **settings: Any) -> Config:
        """A configuration that trusts this server."""
        return Config(**({"trusted_endpoint_hosts": [self.host]} | settings))

    def client(self, *, clock: Clock | None = None, client: Mapping[str, Any] | None = None, **settings: Any) -> Any:
        """A guarded client: `client(config_key=..., client={...}, clock=...)`."""
        return guard(self.raw(**(client or {})), self.config(**settings), clock=clock)


class _Handler(BaseHTTPRequestHandler):
    """One connection for each request, so that nothing is left open."""

    server: Server
    timeout = 60

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target", "")
        operation = next((target.removeprefix(each) for each in _PREFIXES if target.startswith(each)), target)
        answer = self.server.answer(Asked(operation, json.loads(body), dict(self.headers)))
        if answer.after is not None:
            answer.after.wait(60)
        if answer.body is None:
            # Without lingering, closing resets the connection in place of ending it.
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        pass


@cache
def _session() -> boto3.session.Session:
    """One for all, because most of the time that a client takes is spent on a session's reading of botocore's data."""
    return boto3.session.Session()


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@contextmanager
def running() -> Iterator[Server]:
    """Start a server on a free port of the loopback address, and stop it at the end."""
    for known in all_caches():  # the port may have been that of another server, whose queues are known
        known.clear()
    with tempfile.TemporaryDirectory(prefix="scripted-") as folder, Server() as server:
        file = Path(folder) / "authority.pem"
        _authority().cert_pem.write_to_path(str(file))
        server.authority = str(file)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
