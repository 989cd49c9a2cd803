"""A small SQS over TLS that answers from memory and keeps its connections: the other side of the race over the
loopback address, in a process of its own. It says where it listens in a line of JSON, and ends with its input.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import NamedTuple

from safe_sqs.demo.unplugged import content_of

__all__ = ["Server", "serving"]

_TARGET = b"X-Amz-Target: "
_LENGTH = b"Content-Length: "
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%b"


class Server(NamedTuple):
    """Where it listens, and the file with the certificate of its authority."""

    url: str
    authority: str


@contextmanager
def serving() -> Iterator[Server]:
    """The server, until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Server(*json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


# --- in the process ----------------------------------------------------------------------------------------------


def answer_all(plain: socket.socket, context: ssl.SSLContext) -> None:
    """Answer the requests of one connection, until the other side has had enough."""
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        with context.wrap_socket(plain, server_side=True) as connection:
            received = b""
            while True:
                while (end := received.find(b"\r\n\r\n")) < 0:
                    if not (more := connection.recv(65_536)):
                        return
                    received += more
                head, received = received[:end], received[end + 4 :]
                length = int(_header(head, _LENGTH))
                while len(received) < length:
                    if not (more := connection.recv(65_536)):
                        return
                    received += more
                content = content_of(_header(head, _TARGET), received[:length])
                received = received[length:]
                connection.sendall(_ANSWER % (len(content), content))
    except OSError:
        pass


def _header(head: bytes, name: bytes) -> bytes:
    begin = head.index(name) + len(name)
    return head[begin : (head + b"\r\n").index(b"\r\n", begin)]


def main() -> None:
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            Thread(target=answer_all, args=(connection, context), daemon=True).start()

    with TemporaryDirectory(prefix="safe-sqs-") as folder:
        file = Path(folder) / "authority.pem"
        authority.cert_pem.write_to_path(str(file))
        Thread(target=accept, daemon=True).start()
        print(json.dumps([f"https://localhost:{listener.getsockname()[1]}", str(file)]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
