"""Where a way is tried: queues, servers and clients for one attempt, and what was seen of it outside of the process."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.awsrequest import AWSRequest, prepare_request_dict
from botocore.httpsession import URLLib3Session
from sockets import Answer, Listener, certificates, listening
from support import LONG_TERM, REGION, TEMPORARY, UNENCRYPTED, new_core, new_session

import safe_sqs
from bypasses.front import Front, in_front_of_an_emulator
from bypasses.ways import Face
from safe_sqs import Config, guard
from safe_sqs.cache import Clock, all_caches
from safe_sqs.demo.surroundings import clean_surroundings
from safe_sqs.guarded import note_guard
from safe_sqs.operations import OPERATIONS, Kind

__all__ = [
    "ACCOUNT",
    "KEYS",
    "MESSAGES",
    "NEXT_WEEK",
    "OPEN_POLICY",
    "Seen",
    "Stage",
    "Theatre",
    "name_of",
    "on_stage",
    "open_theatre",
    "with_living_client",
]

ACCOUNT = "123456789012"
KEYS = (LONG_TERM["aws_access_key_id"], LONG_TERM["aws_secret_access_key"])
NEXT_WEEK = date.today() + timedelta(days=7)
OPEN_POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}]}
)
MESSAGES = frozenset(name for name, kind in OPERATIONS.items() if kind in (Kind.PRODUCE, Kind.CONSUME))
"""The operations that put messages in or take them out."""

_HANDS = {**TEMPORARY, "aws_access_key_id": "ASIASETTINGTHESTAGE1"}
"""With what the stage itself is set, so that the front can tell."""


class Seen(NamedTuple):
    """What was seen of an attempt from outside, that should not have been there.

    `requests` and `bytes` are those of messages at the emulator, and of everything at other listeners, where
    `connections` count as well. `other` is what the way itself has a witness for.
    """

    connections: int
    requests: int
    bytes: int
    other: int

    @property
    def anything(self) -> bool:
        """Whether the attempt got anywhere."""
        return any(self)


class Theatre:
    """What all attempts share, because it takes long to set up."""

    def __init__(self, front: Front, unknown: Listener) -> None:
        self.front = front
        self.unknown = unknown
        self.numbers = itertools.count()
        self._hands: dict[str, Any] = {}

    def hands(self, region: str = REGION) -> Any:
        """A client that sets the stage."""
        if region not in self._hands:
            where = {"endpoint_url": self.front.url, "verify": self.front.authority, "region_name": region}
            client = boto3.session.Session(botocore_session=new_core()).client("sqs", **where, **_HANDS)
            note_guard(client, SimpleNamespace(config=None))  # so that install() does not look for it, and name it
            self._hands[region] = client
        return self._hands[region]


@contextmanager
def open_theatre() -> Iterator[Theatre]:
    """Start the emulator with its front, and a TLS server of an authority that nobody knows."""
    with tempfile.TemporaryDirectory(prefix="bypasses-") as folder, in_front_of_an_emulator() as front:
        context, authority = certificates(Path(folder))
        for cache in all_caches():  # the ports may have been those of other servers, whose queues are known
            cache.clear()
        with listening(context=context) as unknown:
            unknown.authority = authority
            yield Theatre(front, unknown)


@contextmanager
def on_stage(theatre: Theatre, face: Face) -> Iterator[Stage]:
    """A stage for one attempt, on which every client leads to the emulator unless it is told otherwise."""
    with clean_surroundings() as folder, pytest.MonkeyPatch.context() as patch, listening() as plain:
        os.environ |= {name.upper(): value for name, value in TEMPORARY.items()}
        os.environ |= {
            "AWS_ENDPOINT_URL": theatre.front.url,
            "AWS_CA_BUNDLE": theatre.front.authority,
            "AWS_MAX_ATTEMPTS": "1",
            "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": theatre.front.host,
        }
        patch.setattr(safe_sqs, "DEFAULT_SESSION", None)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        theatre.unknown.answer = lambda _: Answer()
        theatre.unknown.forget()
        try:
            yield Stage(theatre, face, plain, folder, patch)
        finally:
            safe_sqs.uninstall()


class Stage:
    """Queues, servers and clients for one attempt, and witnesses that tell whether it got anywhere."""

    def __init__(self, theatre: Theatre, face: Face, plain: Listener, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.face = face
        self.front = theatre.front
        self.unknown = theatre.unknown
        self.plain = plain
        self.folder = folder
        self.patch = patch
        self.allowed_at_unknown = 0
        """How many requests may go to the unknown server, where a way begins there."""
        self._theatre = theatre
        self._name = f"q{os.getpid()}-{next(theatre.numbers)}"
        self.secret = f"a message that should not be there ({self._name})"
        self._watches: list[tuple[Collection[str], str, str, int]] = []
        self._witnesses: list[Callable[[], int]] = []
        self._start = len(self.front.arrived)
        self.raw = theatre.hands()
        self.good = self.queue("good")
        self.bad = self.queue("evil", **UNENCRYPTED)  # as long a name, so that one can stand in the place of the other
        self.watch(self.bad)
        if face is Face.SWITCH:
            self._install()

    # --- clients -------------------------------------------------------------------------------------------------

    @property
    def is_guarded(self) -> bool:
        """Whether there is a guard."""
        return self.face is not Face.RAW

    @property
    def library(self) -> Any:
        """What the program imports as boto3. Where the switch is on, it was started with the settings that the
        environment holds by now."""
        if self.face is Face.SWITCH:
            safe_sqs.install()
        return safe_sqs if self.face is Face.GUARD else boto3

    def session(self, **arguments: Any) -> Any:
        """A session of that library which reads the environment and the AWS files as they are by now."""
        return self.library.Session(botocore_session=new_core(), **arguments)

    def unprotected(self, **arguments: Any) -> Any:
        """A client of boto3 itself, for the emulator unless the arguments say otherwise."""
        return new_session().client("sqs", **arguments)

    def config(self, **settings: Any) -> Config:
        """A configuration that trusts the emulator and the unknown server."""
        return Config(**({"trusted_endpoint_hosts": [self.front.host, self.unknown.netloc]} | settings))

    def protect(self, client: Any, *, clock: Clock | None = None, **settings: Any) -> Any:
        """Guard a client, where there is a guard."""
        return guard(client, self.config(**settings), clock=clock) if self.is_guarded else client

    def client(self, arguments: dict[str, Any] | None = None, *, clock: Clock | None = None, **settings: Any) -> Any:
        """A client that is guarded, where there is a guard: by hand, or by the switch alone."""
        if self.face is Face.SWITCH and clock is None:
            self._install(**settings)
            return self.unprotected(**(arguments or {}))
        return self.protect(self.unprotected(**(arguments or {})), clock=clock, **settings)

    def _install(self, **settings: Any) -> None:
        safe_sqs.install(self.config(**settings))

    @cached_property
    def to_unknown(self) -> dict[str, Any]:
        """The arguments with which a client talks to the unknown server, and checks its certificate."""
        return {"endpoint_url": self.unknown.url, "verify": self.unknown.authority}

    # --- queues --------------------------------------------------------------------------------------------------

    def queue(self, suffix: str, region: str = REGION, **attributes: str) -> str:
        """Create a queue. Returns its URL."""
        client = self._theatre.hands(region)
        url: str = client.create_queue(QueueName=f"{self._name}-{suffix}", Attributes=attributes)["QueueUrl"]
        return url

    def hands(self, region: str) -> Any:
        """A client that sets the stage in a region."""
        return self._theatre.hands(region)

    def attribute(self, url: str, name: str) -> str:
        """An attribute of a queue, or ""."""
        answer = self.raw.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return str(answer.get("Attributes", {}).get(name, ""))

    def point_at_dead_letters(self, source: str, target: str) -> None:
        """Give a queue a dead-letter queue."""
        self.raw.set_queue_attributes(QueueUrl=source, Attributes={"RedrivePolicy": self.redrive_to(target)})

    def redrive_to(self, target: str) -> str:
        """The RedrivePolicy that names a queue."""
        return json.dumps({"deadLetterTargetArn": self.attribute(target, "QueueArn"), "maxReceiveCount": 3})

    def arn(self, url: str, suffix: str = "") -> str:
        """The ARN of a queue."""
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name_of(url)}{suffix}"

    # --- witnesses -----------------------------------------------------------------------------------------------

    def watch(self, queue: str, operations: Collection[str] = MESSAGES, region: str = "") -> None:
        """From now on, no request for one of these operations on this queue may arrive."""
        self._watches.append((operations, name_of(queue), region, len(self.front.arrived)))

    def watch_state(self, witness: Callable[[], int]) -> None:
        """Watch something else: the witness counts what should not be there."""
        self._witnesses.append(witness)

    def note(self) -> None:
        """Note that something happened that should not have."""
        self._witnesses.append(lambda: 1)

    def arrivals(self, operation: str, queue: str = "") -> int:
        """How often an operation arrived in this attempt, in a program's own requests."""
        return len([each for each in self._arrived() if each.operation == operation and name_of(queue) in each.text])

    def seen(self) -> Seen:
        """What was seen of the attempt, that should not have been there."""
        offending = [each for index, each in enumerate(self._arrived(), self._start) if self._offends(index, each)]
        foreign = self.unknown.requests[self.allowed_at_unknown :]
        inside = sum(len(request.body) for request in foreign) if self.allowed_at_unknown else self.unknown.bytes_read
        strangers = 0 if self.allowed_at_unknown else self.unknown.connections
        return Seen(
            connections=self.plain.connections + strangers,
            requests=len(offending) + len(foreign) + len(self.plain.requests),
            bytes=sum(each.size for each in offending) + inside + self.plain.bytes_read,
            other=sum(witness() for witness in self._witnesses),
        )

    def _arrived(self) -> list[Any]:
        return list(self.front.arrived[self._start :])

    def _offends(self, index: int, arrived: Any) -> bool:
        if arrived.access_key == _HANDS["aws_access_key_id"]:
            return False
        return self.secret in arrived.text or any(
            arrived.operation in operations and name in arrived.text and region in ("", arrived.region)
            for operations, name, region, since in self._watches
            if index >= since
        )

    # --- requests by hand ----------------------------------------------------------------------------------------

    def dict_by_hand(self, client: Any, url: str) -> dict[str, Any]:
        """A request as botocore makes it between the call and the endpoint."""
        context = {"client_config": client.meta.config, "client_region": REGION, "has_streaming_input": False}
        request = {
            "url_path": "/",
            "query_string": "",
            "method": "POST",
            "headers": {"X-Amz-Target": "AmazonSQS.SendMessage", "Content-Type": "application/x-amz-json-1.0"},
            "body": json.dumps({"QueueUrl": url, "MessageBody": self.secret}).encode(),
        }
        prepare_request_dict(request, endpoint_url=client.meta.endpoint_url, context=context)
        return request

    def request_by_hand(self, client: Any, url: str) -> AWSRequest:
        """A request that a program makes by itself."""
        request = self.dict_by_hand(client, url)
        return AWSRequest(method="POST", url=request["url"], data=request["body"], headers=request["headers"])

    def send_by_hand(self, request: Any) -> None:
        """Send a request with an HTTP client of the program's own."""
        http = URLLib3Session(verify=self.front.authority)
        try:
            http.send(request.prepare() if isinstance(request, AWSRequest) else request)
        finally:
            http.close()


def name_of(url: str) -> str:
    """The queue's own name."""
    return url.rpartition("/")[2]


def with_living_client(change: Callable[[Any], None]) -> Callable[[Stage], None]:
    """A change of a client that has been in use, and a message over it."""

    def attempt(stage: Stage) -> None:
        client = stage.client()
        client.send_message(QueueUrl=stage.good, MessageBody="harmless")
        client.receive_message(QueueUrl=stage.good)
        client.purge_queue(QueueUrl=stage.good)
        change(client)
        client.send_message(QueueUrl=stage.good, MessageBody=stage.secret)

    return attempt
