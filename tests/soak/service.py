"""A service of SQS's protocol over real TLS, in a process of its own, that holds the truth about its queues.

Queues change at random under way. Every request tells the referee what arrived and when. What the clients report, they
write as lines into a pipe. It prints one line of JSON when it listens, one each second, and the last word when its
standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections import Counter
from functools import cache
from importlib.util import find_spec
from random import Random
from time import monotonic
from typing import Any, NamedTuple

import trustme
from support import REGION

from soak.referee import Referee, State, Verdict

__all__ = ["ACCOUNT", "Play", "name_of"]

ACCOUNT = "123456789012"
BAD_SHARE = 0.1
HOT_SHARE = 0.5
"""How many of the changes are about the queues that are used most."""
SLOW_SHARE, SLOW_SECONDS = 0.05, 0.5
"""How many looks are answered slowly, and how slowly at the most."""

_GOOD = (State.GOOD,)
_TROUBLES = tuple(state for state in State if state is not State.GOOD)
_CODES = {
    State.KEY_DISABLED: "KmsDisabled",
    State.DELETED: "QueueDoesNotExist",
    State.DENIED: "AccessDeniedException",
    State.THROTTLED: "RequestThrottled",
}
_DROPPING = (State.KEY_DISABLED, State.DELETED)
"""The service denies a message to such a queue, and the guard forgets what it knew of it."""
_ANSWERS: dict[str, Any] = {
    "SendMessage": {"MessageId": "id", "MD5OfMessageBody": "0"},
    "SendMessageBatch": {"Successful": [{"Id": "0", "MessageId": "id", "MD5OfMessageBody": "0"}], "Failed": []},
    "ReceiveMessage": {"Messages": [{"MessageId": "id", "ReceiptHandle": "handle", "Body": "a teapot"}]},
}


class Play(NamedTuple):
    """What a run consists of. Both sides of it know this."""

    seconds: float
    threads: int
    tasks: int
    queues: int
    seed: int
    ttl_seconds: float
    calls_per_second: float
    changes_per_second: float
    fork_seconds: float
    way_seconds: float
    reports: int = 0  # the file descriptor of the pipe
    port: int = 0
    authority: str = ""
    trace: bool = False

    @property
    def has_tasks(self) -> bool:
        """True where aiobotocore is installed, so that there can be an asynchronous half."""
        return self.tasks > 0 and find_spec("aiobotocore") is not None

    @property
    def hot(self) -> int:
        """How many queues are used much at a time."""
        return max(5, self.queues // 50)

    def first_hot(self, now: float) -> int:
        """Where they begin: every three lives it is the turn of others."""
        return int(now / (3 * self.ttl_seconds)) * self.hot % self.queues


def name_of(number: int) -> str:
    """The name of a queue."""
    return f"soak-{number}"


class Service:
    """The queues, and what happens to them."""

    def __init__(self, play: Play) -> None:
        self.referee = Referee(play.ttl_seconds, play.way_seconds)
        self.asked: Counter[str] = Counter()
        self._play = play
        self._random = Random(play.seed)
        self._troubled: list[int] = []
        self._rest = b""
        for number in range(play.queues):
            is_bad = self._random.random() < BAD_SHARE
            if is_bad:
                self._troubled.append(number)
            self._set(number, self._random.choice(_TROUBLES if is_bad else _GOOD))

    def _set(self, number: int, state: State) -> None:
        self.referee.changed(name_of(number), state, monotonic())

    def change(self) -> None:
        """Something happens to a queue: a good one turns bad, or a bad one turns good or bad in another way."""
        random, play = self._random, self._play
        if self._troubled and len(self._troubled) >= BAD_SHARE * play.queues * 2 * random.random():
            at = random.randrange(len(self._troubled))
            self._troubled[at], self._troubled[-1] = self._troubled[-1], self._troubled[at]
            if random.random() < 0.8:
                self._set(self._troubled.pop(), State.GOOD)
            else:
                self._set(self._troubled[-1], random.choice(_TROUBLES))
            return
        number = random.randrange(play.queues)
        if random.random() < HOT_SHARE:
            number = (play.first_hot(monotonic()) + random.randrange(play.hot)) % play.queues
        if self.referee.state(name_of(number)) is State.GOOD:
            self._troubled.append(number)
            self._set(number, random.choice(_TROUBLES))

    async def change_for_ever(self) -> None:
        """Let things happen, as often as was asked for."""
        started, made = monotonic(), 0
        while True:
            await asyncio.sleep(0.05)
            due = int((monotonic() - started) * self._play.changes_per_second)
            for _ in range(made, due):
                self.change()
            made = due

    def answer(self, operation: str, queue: str, stamp: bytes, names: list[str]) -> tuple[int, bytes, float]:
        """The status and body of an answer, and after how many seconds it is given."""
        self.asked[operation] += 1
        process, side, outer, left = stamp.decode().split()
        if operation == "GetQueueAttributes":
            state = self.referee.looked(int(process), side, queue, float(outer), float(left))
            wait = self._random.random() * SLOW_SECONDS if self._random.random() < SLOW_SHARE else 0.0
            if state.verdict is Verdict.UNTOLD:
                return 400, _error(state), wait
            known = _attributes(queue, state)
            return 200, _json({"Attributes": {name: known[name] for name in names if name in known}}), wait
        now = monotonic()
        state = self.referee.arrived(int(process), queue, float(left), now)
        if state in _DROPPING:
            self.referee.dropped(int(process), queue, now)
            return 400, _error(state), 0.0
        return 200, _json(_ANSWERS[operation]), 0.0

    def read_reports(self) -> int:
        """Take what the clients have reported. Returns how many bytes that was."""
        try:
            read = os.read(self._play.reports, 1 << 16)
        except BlockingIOError:
            return 0
        if not read:
            asyncio.get_running_loop().remove_reader(self._play.reports)
        *lines, self._rest = (self._rest + read).split(b"\n")
        for line in lines:
            self._take(line.decode().split())
        return len(read)

    def _take(self, report: list[str]) -> None:
        what, process = report[0], int(report[1])
        if what == "refused":
            queue, began, ended, untold = report[2:]
            self.referee.refused(process, queue, float(began), float(ended), untold=untold == "1")
        elif what == "looked":
            queue, left, now = report[2:]
            self.referee.settled(process, queue, float(left), float(now))
        elif what == "cancelled":
            self.referee.dropped(process, report[2], float(report[3]))
        elif what == "ended":
            self.referee.ended(process)
        else:
            raise ValueError(f"nobody reports {what}")

    def figures(self) -> dict[str, Any]:
        """What was seen until now."""
        referee = self.referee
        return {
            "messages": referee.messages,
            "looks": referee.looks,
            "least_looks": referee.least_looks,
            "pardoned": referee.pardoned,
            "refusals": referee.refusals,
            "changes": referee.changes,
            "latest_check": referee.latest_check,
            "latest_arrival": referee.latest_arrival,
            "longest_way": referee.longest_way,
            "breaches": {breach.name: count for breach, count in referee.breaches.items()},
            "examples": referee.examples,
            "asked": dict(self.asked),
        }


@cache
def _statements(queue: str, state: State) -> str:
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
    owner = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    common = {"Action": "sqs:*", "Resource": arn}
    statements: list[dict[str, Any]] = [{"Sid": "owner", "Effect": "Allow", "Principal": owner, **common}]
    if state is not State.PLAIN_HTTP:
        condition = {"Bool": {"aws:SecureTransport": "false"}}
        statements.append({"Sid": "tls", "Effect": "Deny", "Principal": "*", **common, "Condition": condition})
    if state is State.PUBLIC:
        statements.append({"Sid": "anyone", "Effect": "Allow", "Principal": "*", **common})
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _attributes(queue: str, state: State) -> dict[str, str]:
    return {
        "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
        "SqsManagedSseEnabled": "false" if state is State.UNENCRYPTED else "true",
        "Policy": _statements(queue, state),
    }


def _json(data: object) -> bytes:
    return json.dumps(data).encode()


def _error(state: State) -> bytes:
    return _json({"__type": f"com.amazonaws.sqs#{_CODES[state]}", "message": "no reason"})


class _Connection(asyncio.Protocol):
    """One connection that is kept, with one request at a time on it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._read = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end:
            return
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(headers[b"content-length"]):
            return
        self._read = b""
        parameters = json.loads(body)
        queue = parameters["QueueUrl"].rpartition("/")[2]
        operation = _OPERATIONS[headers[b"x-amz-target"].rpartition(b".")[2]]
        stamp, names = headers[b"x-soak"], parameters.get("AttributeNames", [])
        status, said, wait = self._service.answer(operation, queue, stamp, names)
        keeps = b"x-soak-close" not in headers
        if wait:
            asyncio.get_running_loop().call_later(wait, self._say, status, said, keeps)
        else:
            self._say(status, said, keeps)

    def _say(self, status: int, body: bytes, keeps: bool) -> None:
        kept = "keep-alive" if keeps else "close"
        self._transport.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: {kept}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        if not keeps:
            self._transport.close()


_OPERATIONS = {name.lower().encode(): name for name in (*_ANSWERS, "GetQueueAttributes")}


def _tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def _serve(play: Play) -> None:
    loop = asyncio.get_running_loop()
    service = Service(play)
    authority = trustme.CA()
    server = await loop.create_server(
        lambda: _Connection(service), "127.0.0.1", 0, ssl=_tls(authority), backlog=2_000, ssl_handshake_timeout=120
    )
    os.set_blocking(play.reports, False)
    loop.add_reader(play.reports, service.read_reports)
    changing = asyncio.create_task(service.change_for_ever())
    say({"port": server.sockets[0].getsockname()[1], "authority": authority.cert_pem.bytes().decode()})
    over = loop.run_in_executor(None, sys.stdin.read)
    while not over.done():
        await asyncio.wait([over, changing], timeout=1, return_when=asyncio.FIRST_COMPLETED)
        if changing.done():
            changing.result()
        service.referee.settle(monotonic())
        say(service.figures())
    changing.cancel()
    server.close()
    while service.read_reports():
        pass
    service.referee.settle(float("inf"))
    say(service.figures())


def say(line: dict[str, Any]) -> None:
    """Print a line of JSON at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(Play(**json.loads(sys.argv[1]))))
