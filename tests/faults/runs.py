"""One run: a fault, at a place, under a way of retrying. A raw client of botocore suffers it first, then a guarded one,
and what the second does has to follow from what the first did.
"""

from __future__ import annotations

import itertools
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

from botocore.config import Config as ClientConfig
from sockets import Listener, listening
from support import REGION, TEMPORARY, UNENCRYPTED, ManualClock, new_session

from faults.callers import OK, STUCK, Call, Caller, Outcome, Tasks, Threads
from faults.catalogue import FAULTS, FAULTS_BY_NAME, Fault, Stage, certificates
from faults.proxy import Upstream, running
from safe_sqs import Config, guard
from safe_sqs.cache import UNVERIFIABLE_SECONDS
from safe_sqs.demo import emulator as emulators

__all__ = ["Case", "Place", "Report", "World", "all_cases", "run", "short_cases", "try_all", "world"]

ACCOUNT = "123456789012"
TTL = 300.0
REFUSED, UNVERIFIABLE = "RefusedError", "UnverifiableError"
LOOK = frozenset({"GetQueueAttributes"})
ATTRIBUTES = ["KmsMasterKeyId", "Policy", "QueueArn", "RedrivePolicy", "SqsManagedSseEnabled"]
MOST_TIMES_RAW, MOST_SECONDS_MORE = 10.0, 30.0
"""A guarded call may take so many times as long as what botocore alone needs for the look and the call, and so many
seconds more, because others may be busy on the machine."""
GUARDED = "guarded"
RETRIES = ("legacy", "standard", "adaptive")
SIDES = ("sync", "async")


class Place(str, Enum):
    """At which requests a fault strikes."""

    FACTS = "facts"  # the first look at a queue
    REFRESH = "refresh"  # a look at a queue whose verdict is still good
    KEY = "key"  # the look at the queue's KMS key
    CALL = "call"  # the call itself


class Case(NamedTuple):
    """What is tried: a fault, when, where, once or always, and by what kind of client."""

    fault: str
    stage: str
    place: str
    lasts: str
    retries: str
    side: str

    def __str__(self) -> str:
        return " ".join(f"--{name} {value}" for name, value in self._asdict().items())


class Report(NamedTuple):
    """What came of a run: what does not hold, what was counted, and whether the machine was too slow to tell."""

    case: Case
    problems: tuple[str, ...]
    counts: Counter[str]
    disturbed: bool
    seconds: tuple[float, float]
    """The longest call of the raw client, and that of the guarded one."""


def all_cases(sides: Iterable[str] = SIDES) -> Iterator[Case]:
    """Every combination that means something."""
    for fault, place, retries, side in itertools.product(FAULTS, Place, RETRIES, sides):
        if strikes(fault, place):
            for stage, lasts in itertools.product(fault.stages, ("once", "always")):
                yield Case(fault.name, stage.value, place.value, lasts, retries, side)


def strikes(fault: Fault, place: Place) -> bool:
    """False where a fault means nothing at a place: a handshake belongs to no operation, so one that fails is tried
    with nothing known of the queue, and with everything known."""
    if fault.shake is not None:
        return place in (Place.FACTS, Place.CALL)
    if fault.only:
        return (fault.only == "call") is (place is Place.CALL) and place is not Place.KEY
    return True


# --- the world ----------------------------------------------------------------------------------------------------


class World:
    """What all runs share: the emulator, a client that goes straight to it, and where redirects point to."""

    def __init__(self, emulator: emulators.Emulator, elsewhere: Listener, authority: str, timeout: float) -> None:
        self.timeout = timeout
        self.authority = authority
        self.elsewhere = elsewhere
        self.upstream = Upstream("localhost", emulator.port, _trusting(emulator.authority))
        self.session = new_session(**TEMPORARY)
        straight = {"endpoint_url": emulator.url, "verify": emulator.authority, "region_name": REGION}
        straight["config"] = ClientConfig(max_pool_connections=64)
        self.sqs = self.session.client("sqs", **straight)
        self.key = self.session.client("kms", **straight).create_key()["KeyMetadata"]["KeyId"]
        self.pauses = Pauses()
        self._numbers = itertools.count()
        self._lock = Lock()

    def names(self) -> str:
        """How the names of a run's queues begin."""
        return f"faults-{next(self._numbers):05}"

    def make_client(self, service: str, settings: Mapping[str, Any]) -> Any:
        """A client of boto3."""
        with self._lock:  # sessions are not for many threads
            return self.session.client(service, **settings)


class Pauses:
    """Notes when the process was kept from going on: no thread ran that wanted to."""

    STEP = 0.05

    def __init__(self) -> None:
        self._found: list[tuple[float, float]] = []
        self._is_over = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._is_over.wait(self.STEP):
            now = time.monotonic()
            if now - last > 4 * self.STEP:
                self._found.append((now, now - last))
            last = now

    def longest_since(self, began: float) -> float:
        """The longest pause since a time, in seconds."""
        return max((seconds for at, seconds in list(self._found) if at >= began), default=0.0)

    def close(self) -> None:
        """End the watch."""
        self._is_over.set()
        self._thread.join()


@contextmanager
def world(timeout: float = 2.0) -> Iterator[World]:
    """Everything that runs need. `timeout` is that of the clients, in seconds."""
    with (
        emulators.running() as emulator,
        listening() as elsewhere,
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
    ):
        authority = Path(folder) / "authority.pem"
        authority.write_bytes(certificates().authority)
        made = World(emulator, elsewhere, str(authority), timeout)
        try:
            yield made
        finally:
            made.pauses.close()


def _trusting(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority)


def try_all(world: World, cases: Iterable[Case], jobs: int, seed: int = 0) -> list[Report]:
    """Try cases, some at the same time."""
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda case: run(world, case, seed), cases))


# --- a run --------------------------------------------------------------------------------------------------------


def short_cases(sides: Iterable[str]) -> list[Case]:
    """One case for each fault and stage, of those that do not take long."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in all_cases(sides):
        takes_long = case.place == Place.CALL.value and FAULTS_BY_NAME[case.fault].waits
        if not takes_long and (case.lasts == "once" or case.retries != "adaptive"):
            groups.setdefault((case.fault, case.stage), []).append(case)
    return [Random(str(which)).choice(group) for which, group in groups.items()]


def run(world: World, case: Case, seed: int, spoil: Callable[[Any], Any] = lambda client: client) -> Report:
    """Try a case. Where the machine was too slow to tell, it is tried again, with clients that wait longer.

    `spoil` does something to the guarded client, to see that it is found out.
    """
    counts: Counter[str] = Counter()
    for again in range(4):
        one = _Run(world, case, Random(f"{seed} {case}"), world.timeout * 2**again, spoil)
        report = one.report()
        if not report.problems or not report.disturbed or one.unsafe:
            break
        counts["runs repeated because the machine was too slow"] += 1
    return report._replace(counts=report.counts + counts)


class Expected(NamedTuple):
    """What botocore alone made of a look: whether it learned something, in how many requests, and how long it took."""

    known: bool
    requests: int
    seconds: float


class _Run:
    def __init__(self, world: World, case: Case, random: Random, timeout: float, spoil: Callable[[Any], Any]) -> None:
        self.problems: list[str] = []
        self.unsafe = False
        self._world = world
        self._case = case
        self._fault = FAULTS_BY_NAME[case.fault]
        self._place = Place(case.place)
        self._random = random
        self._timeout = timeout
        self._spoil = spoil
        self._counts: Counter[str] = Counter()
        self._clock = ManualClock()
        self._attempts = 2 if self._fault.waits else random.choice((2, 3))
        self._ends: dict[str, Outcome] = {}
        self._broken: set[str] = set()
        self._raw_seconds = [0.0]
        self._guarded_seconds = [0.0]
        name = world.names()
        self.good, self.bad, self.alone = f"{name}-good", f"{name}-bad", f"{name}-raw"

    def report(self) -> Report:
        """Do it, and say what came of it."""
        began = time.monotonic()
        self._make_queues()
        crossed = {self.bad: self.good}
        with running(self._world.upstream, self._timeout, self._world.elsewhere.url, crossed) as self._proxy:
            self._raw = self._raw_caller("sqs")
            self._guarded = self._caller("sqs", self._case.side, self._guard, GUARDED)
            try:
                self._act()
            finally:
                self._proxy.disarm()
                left = self._guarded.close()
                self._raw.close()
            self._must(left == 0, f"{left} threads, tasks or looks are left over")
            self._counts["stuck"] += left
            self._check_messages()
        slow = max(self._proxy.slowest, self._world.pauses.longest_since(began))
        self._count_requests()
        longest = (max(self._raw_seconds), max(self._guarded_seconds))
        return Report(self._case, tuple(self.problems), self._counts, slow > self._timeout / 3, longest)

    def _act(self) -> None:
        if self._place is Place.CALL:
            self._break_the_call()
        elif self._place is Place.REFRESH:
            self._break_the_refresh()
        else:
            self._break_the_first_look()

    # --- what is broken -------------------------------------------------------------------------------------------

    def _break_the_first_look(self) -> None:
        operations = frozenset({"DescribeKey"}) if self._place is Place.KEY else LOOK
        good, bad = self._expectations(operations)
        held = self._hold(self.good, 1)
        self._arm(operations)
        before, shaken = self._looks(operations), self._proxy.shaken
        crowd = self._send_all(self.good, "crowd", self._random.randint(2, 5))
        self._expect(crowd, OK if good.known else UNVERIFIABLE, good.seconds)
        found = self._proxy.shaken - shaken if self._fault.shake else self._looks(operations) - before
        self._must(found == good.requests, f"the look took {found} requests, and botocore alone takes {good.requests}")
        if self._fault.shake is None:
            self._finish(held)
        self._use_bad(operations, bad)
        self._proxy.disarm()
        self._come_back(good)

    def _come_back(self, good: Expected) -> None:
        """The fault has ended: what could not be told is asked anew when its life has ended, and no later."""
        if not good.known:
            self._clock.advance(UNVERIFIABLE_SECONDS - 0.01)
            before = len(self._proxy.asked)
            self._expect(self._send_all(self.good, "soon", 1), UNVERIFIABLE, 0)
            self._must(len(self._proxy.asked) == before, "a verdict of five seconds did not last so long")
            self._clock.advance(0.01)
        self._expect(self._send_all(self.good, "after", 2), OK, 0)
        if good.known:
            self._clock.advance(UNVERIFIABLE_SECONDS)
        self._expect(self._use(self.bad), REFUSED, 0)
        self._receive_all()

    def _break_the_refresh(self) -> None:
        good, bad = self._expectations(LOOK)
        self._expect(self._send_all(self.good, "warm", 1), OK, 0)
        self._expect(self._use(self.bad), REFUSED, 0)
        self._clock.advance(0.96 * TTL)
        self._arm(LOOK)
        before = self._looks(LOOK)
        self._expect(self._send_all(self.good, "crowd", self._random.randint(2, 5)), OK, good.seconds)
        found = self._looks(LOOK) - before
        self._must(found == good.requests, f"the refresh took {found} requests, and botocore takes {good.requests}")
        self._use_bad(LOOK, bad)
        self._clock.advance(0.04 * TTL)
        self._arm(LOOK)
        late = self._send_all(self.good, "late", 1)
        self._expect(late, OK if good.known else UNVERIFIABLE, good.seconds)
        self._proxy.disarm()
        self._come_back(good)

    def _break_the_call(self) -> None:
        warm = self._fault.shake is not None or self._random.random() < 0.5
        if warm:
            self._expect(self._send_all(self.good, "warm", 1), OK, 0)
            self._call(self._raw, [self._send(self.alone, "warm-0")])
            self._must(self._proxy.sent(f"{self.alone}:warm-0") == (1, 1), "the raw client sent one message twice")
            self._expect(self._use(self.bad), REFUSED, 0)
        self._break("ReceiveMessage", *self._receives())
        self._break("DeleteMessage", *self._deletes())
        self._break("SendMessage", *self._sends())
        self._break("SendMessageBatch", *self._batches())
        self._arm(frozenset({"ReceiveMessage", "SendMessage", "SendMessageBatch"}))
        self._expect(self._use(self.bad), REFUSED, 0)
        self._proxy.disarm()
        self._expect(self._send_all(self.good, "after", 1), OK, 0)

    def _break(self, operation: str, alone: Sequence[Call], guarded: Sequence[Call]) -> None:
        """Have botocore alone and the guarded client do the same, under the same fault, one call after the other."""
        ends: list[list[Outcome]] = []
        requests: list[tuple[int, int]] = []
        for caller, queue, calls in ((self._raw, self.alone, alone), (self._guarded, self.good, guarded)):
            self._arm(frozenset({operation}))
            before = (self._proxy.count(operation, queue), self._proxy.shaken)
            ends.append([self._call(caller, [call])[0] for call in calls])
            now = (self._proxy.count(operation, queue), self._proxy.shaken)
            requests.append((now[0] - before[0], now[1] - before[1]))
            self._proxy.disarm()
        for call, raw, ours in zip(guarded, *ends, strict=True):
            self._keep(call, ours)
            self._must(raw.kind == ours.kind, f"{operation} ends with {ours.kind}, and botocore's with {raw.kind}")
            self._bound(ours, raw.seconds)
            found = [sorted(_own_names(each)) for each in (raw, ours)]
            self._must(found[0] == found[1], f"{operation} brings {found[1]}, and botocore's {found[0]}")
        self._must(
            requests[0] == requests[1],
            f"{operation} left in {requests[1]} requests and handshakes, and botocore's in {requests[0]}",
        )
        for raw, ours in zip(alone, guarded, strict=True):
            for theirs, own in zip(messages_in(raw), messages_in(ours), strict=True):
                sent = self._proxy.sent(theirs), self._proxy.sent(own)
                self._must(sent[0] == sent[1], f"{own} was sent (and forwarded) {sent[1]} times, raw {sent[0]}")
                self._broken.add(own)

    # --- calls ----------------------------------------------------------------------------------------------------

    def _receives(self) -> tuple[list[Call], list[Call]]:
        calls = []
        for queue in (self.alone, self.good):
            for at in range(3):
                self._world.sqs.send_message(QueueUrl=self._straight(queue), MessageBody=f"{queue}:given-{at}")
            calls.append([self._receive(queue)])
        return calls[0], calls[1]

    def _receive(self, queue: str) -> Call:
        # Hidden for no time, so that what is received in an answer that is lost can be counted at the end.
        return Call("ReceiveMessage", {"QueueUrl": self._url(queue), "MaxNumberOfMessages": 10, "VisibilityTimeout": 0})

    def _deletes(self) -> tuple[list[Call], list[Call]]:
        raw, ours = (self._hold(queue, 2) for queue in (self.alone, self.good))
        return raw, ours

    def _hold(self, queue: str, count: int) -> list[Call]:
        """Receive messages that nobody else will, and give the calls that delete them."""
        url = self._straight(f"{queue}-held")
        name = f"{queue}-held"
        self._world.sqs.create_queue(QueueName=name)
        for at in range(count):
            self._world.sqs.send_message(QueueUrl=url, MessageBody=f"{name}:{at}")
        found = self._world.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600)["Messages"]
        return [
            Call("DeleteMessage", {"QueueUrl": self._url(name), "ReceiptHandle": each["ReceiptHandle"]})
            for each in found
        ]

    def _finish(self, held: Sequence[Call]) -> None:
        """What is held can be deleted, whether the queue can be looked at or not."""
        before = self._looks(LOOK)
        self._expect(self._call(self._guarded, held), OK, 0)
        self._must(self._looks(LOOK) == before, "a queue was looked at for a delete")

    def _sends(self) -> tuple[list[Call], list[Call]]:
        count = self._random.randint(1, 2)
        raw, ours = ([self._send(queue, f"one-{at}") for at in range(count)] for queue in (self.alone, self.good))
        return raw, ours

    def _batches(self) -> tuple[list[Call], list[Call]]:
        count = self._random.randint(1, 4)
        raw, ours = ([self._batch(queue, [f"batch-{at}" for at in range(count)])] for queue in (self.alone, self.good))
        return raw, ours

    def _send(self, queue: str, name: str) -> Call:
        return Call("SendMessage", {"QueueUrl": self._url(queue), "MessageBody": f"{queue}:{name}"})

    def _batch(self, queue: str, names: Sequence[str]) -> Call:
        entries = [{"Id": str(at), "MessageBody": f"{queue}:{name}"} for at, name in enumerate(names)]
        return Call("SendMessageBatch", {"QueueUrl": self._url(queue), "Entries": entries})

    def _send_all(self, queue: str, name: str, count: int) -> list[Outcome]:
        """Send messages of a guarded client, all at once."""
        calls = [self._send(queue, f"{name}-{at}") for at in range(count)]
        ends = self._call(self._guarded, calls)
        for call, end in zip(calls, ends, strict=True):
            self._keep(call, end)
        return ends

    def _use(self, queue: str) -> list[Outcome]:
        """Send to a queue and receive from it, all at once."""
        number = self._random.getrandbits(32)
        calls = [self._send(queue, f"bad-{number}"), self._batch(queue, [f"bad-{number}-{at}" for at in range(2)])]
        return self._call(self._guarded, [*calls, self._receive(queue)])

    def _use_bad(self, operations: frozenset[str], expected: Expected) -> None:
        self._arm(operations)
        self._expect(self._use(self.bad), REFUSED if expected.known else UNVERIFIABLE, expected.seconds)

    def _receive_all(self) -> None:
        """The guarded client receives what it sent."""
        wanted = {body for body, end in self._ends.items() if end.kind == OK}
        found: set[str] = set()
        for _ in range(20):
            (end,) = self._call(self._guarded, [self._receive(self.good)])
            self._must(end.kind == OK, f"a receive after the fault ends with {end.kind}")
            found |= {each["Body"] for each in end.answer.get("Messages", ())}
            if found >= wanted:
                break
        self._counts["messages received by the guarded client"] += len(found)
        self._must(found >= wanted, f"not received: {sorted(wanted - found)}")

    def _call(self, caller: Caller, calls: Sequence[Call]) -> list[Outcome]:
        ends = caller.at_once(calls)
        seconds = self._guarded_seconds if caller is self._guarded else self._raw_seconds
        seconds += [end.seconds for end in ends]
        stuck = sum(end.kind == STUCK for end in ends)
        self._must(not stuck, f"{stuck} calls are stuck")
        self._counts["stuck"] += stuck
        self._counts[f"calls by the {GUARDED if caller is self._guarded else 'raw'} client"] += len(calls)
        if caller is self._guarded:
            self._counts["calls refused"] += sum(end.kind == REFUSED for end in ends)
            self._counts["calls unverifiable"] += sum(end.kind == UNVERIFIABLE for end in ends)
            for call, end in zip(calls, ends, strict=True):
                if call.parameters["QueueUrl"] == self._url(self.bad):
                    self._must_be_safe(end.kind in (REFUSED, UNVERIFIABLE), f"a call of the bad queue: {end.kind}")
        return ends

    # --- what has to hold -----------------------------------------------------------------------------------------

    def _expectations(self, operations: frozenset[str]) -> tuple[Expected, Expected]:
        """What botocore alone learns of the good queue and of the bad one."""
        if self._place is Place.KEY:
            keys = self._raw_caller("kms")
            try:
                key = self._expectation(
                    keys, Call("DescribeKey", {"KeyId": self._world.key}), operations, "KeyMetadata"
                )
            finally:
                keys.close()
            return key, Expected(True, 0, 0.0)  # about a queue without a key there is nothing to ask
        good, bad = (
            self._expectation(
                self._raw,
                Call("GetQueueAttributes", {"QueueUrl": self._url(queue), "AttributeNames": ATTRIBUTES}),
                operations,
                queue,
            )
            for queue in (self.good, self.bad)
        )
        return good, bad

    def _expectation(self, caller: Caller, call: Call, operations: frozenset[str], about: str) -> Expected:
        self._arm(operations)
        before, shaken = self._looks(operations), self._proxy.shaken
        (end,) = self._call(caller, [call])
        requests = self._proxy.shaken - shaken if self._fault.shake else self._looks(operations) - before
        self._proxy.disarm()
        if self._place is Place.KEY:
            metadata = end.answer.get(about)
            return Expected(isinstance(metadata, dict) and "KeyManager" in metadata, requests, end.seconds)
        attributes = end.answer.get("Attributes")
        arn = attributes.get("QueueArn", "") if isinstance(attributes, dict) else ""
        return Expected(str(arn).endswith(f":{about}"), requests, end.seconds)

    def _expect(self, ends: Sequence[Outcome], kind: str, raw_seconds: float) -> None:
        for end in ends:
            self._must(end.kind == kind, f"a call ends with {end.kind}, not with {kind}")
            self._bound(end, raw_seconds)

    def _bound(self, end: Outcome, raw_seconds: float) -> None:
        most = MOST_TIMES_RAW * raw_seconds + MOST_SECONDS_MORE
        self._must(end.seconds <= most, f"a call took {end.seconds:.1f} s, and botocore alone {raw_seconds:.1f} s")

    def _keep(self, call: Call, end: Outcome) -> None:
        for body in messages_in(call):
            self._ends[body] = end

    def _must(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(problem)

    def _must_be_safe(self, holds: bool, problem: str) -> None:
        self._must(holds, problem)
        self.unsafe = self.unsafe or not holds

    def _check_messages(self) -> None:
        """Every message that was sent once was received once, and what was refused never came as far as the proxy."""
        received = self._drain(self.good)
        for body, end in self._ends.items():
            sent, forwarded = self._proxy.sent(body)
            copies = received[body]
            self._must(copies == forwarded, f"{body} was forwarded {forwarded} times and is there {copies} times")
            if end.kind in (REFUSED, UNVERIFIABLE):
                self._must_be_safe(sent == 0, f"{body} ended with {end.kind}, and left all the same")
            if end.kind != OK:
                continue
            self._counts["messages sent"] += 1
            self._counts["messages received"] += copies
            is_struck_before = body in self._broken and self._case.stage == Stage.BEFORE.value
            if not copies and is_struck_before and self._fault.lies:
                self._counts["messages that a liar in between took, raw as guarded"] += 1
                continue
            self._counts["messages lost"] += not copies
            self._must(copies > 0, f"{body} was sent, and is lost")
            if body not in self._broken or is_struck_before:
                self._counts["messages doubled by the guard"] += copies > 1
                self._must(copies <= 1, f"{body} was sent once, and is there {copies} times")
        doubled = sum(max(0, self._proxy.sent(body)[1] - 1) for body in self._ends)
        self._counts["messages doubled by botocore's retries, guarded"] += doubled
        raw = self._drain(self.alone)
        for body, copies in raw.items():
            given = ":given-" in body  # by nobody who is tried
            self._must(
                given or self._proxy.sent(body)[1] == copies, f"{body} of the raw client is there {copies} times"
            )
        self._counts["messages doubled by botocore's retries, raw"] += sum(
            max(0, copies - 1) for copies in raw.values()
        )
        self._check_bad()

    def _check_bad(self) -> None:
        used = [asked for asked in self._proxy.asked if asked.subject == self.bad and asked.operation not in LOOK]
        self._must_be_safe(not used, f"the bad queue was asked for: {used}")
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._world.sqs.get_queue_attributes(QueueUrl=self._straight(self.bad), AttributeNames=names)
        self._must_be_safe(set(found["Attributes"].values()) == {"0"}, "there are messages in the bad queue")
        self._must_be_safe(not self._proxy.fooled, f"a request was sent in spite of {self._proxy.fooled}")
        mark = f"{self.good}-{GUARDED}"
        followed = [each for each in self._world.elsewhere.requests if mark in each.headers.get("User-Agent", "")]
        self._must_be_safe(not followed, "a redirect to plain HTTP was followed")

    def _drain(self, queue: str) -> Counter[str]:
        """All bodies in a queue."""
        url, sqs = self._straight(queue), self._world.sqs
        bodies: Counter[str] = Counter()
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600).get("Messages"):
            bodies.update(each["Body"] for each in found)
        return bodies

    def _count_requests(self) -> None:
        for asked in self._proxy.asked:
            self._counts[f"requests {asked.operation}"] += 1
            self._counts["faults"] += bool(asked.fault)
        self._counts["faults"] += self._proxy.shaken
        self._counts["handshakes broken"] += self._proxy.shaken

    # --- surroundings ---------------------------------------------------------------------------------------------

    def _make_queues(self) -> None:
        key = {"KmsMasterKeyId": self._world.key} if self._place is Place.KEY else {}
        self._world.sqs.create_queue(QueueName=self.good, Attributes=key)
        self._world.sqs.create_queue(QueueName=self.bad, Attributes=UNENCRYPTED)
        self._world.sqs.create_queue(QueueName=self.alone)

    def _raw_caller(self, service: str) -> Caller:
        # Left alone, aiohttp follows redirects, so there the measure is botocore.
        side = "sync" if self._fault.points_elsewhere else self._case.side
        return self._caller(service, side, lambda client: client, "raw")

    def _caller(self, service: str, side: str, prepare: Callable[[Any], Any], name: str) -> Caller:
        settings = {
            "endpoint_url": self._proxy.url,
            "verify": self._world.authority,
            "region_name": REGION,
            "config": ClientConfig(
                retries={"mode": self._case.retries, "total_max_attempts": self._attempts},
                connect_timeout=self._timeout,
                read_timeout=self._timeout,
                user_agent_extra=f"{self.good}-{name}",
            ),
        }
        self._proxy.keeps_connections = self._fault.shake is None
        if side == "sync":
            return Threads(prepare(self._world.make_client(service, settings)))
        from clients.asynchronous import new_aio_session

        return Tasks(new_aio_session().create_client(service, **settings, **TEMPORARY), prepare)

    def _guard(self, client: Any) -> Any:
        return self._spoil(guard(client, self._config(), clock=self._clock.clock))

    def _config(self) -> Config:
        levels = {"queue-encryption": "customer-key"} if self._place is Place.KEY else {}
        modes = dict.fromkeys(("tls-only-policy", "least-privilege"), "off")  # they only warn
        return Config(
            trusted_endpoint_hosts=[self._proxy.host], ttl_seconds=TTL, levels=levels, modes=modes, profile="baseline"
        )

    def _arm(self, operations: frozenset[str]) -> None:
        times = 1 if self._case.lasts == "once" else None
        self._proxy.arm(self._fault, Stage(self._case.stage), operations, times)

    def _looks(self, operations: frozenset[str]) -> int:
        return sum(self._proxy.count(operation) for operation in operations)

    def _url(self, queue: str) -> str:
        return f"{self._proxy.url}/{ACCOUNT}/{queue}"

    def _straight(self, queue: str) -> str:
        return f"https://localhost:{self._world.upstream.port}/{ACCOUNT}/{queue}"


def messages_in(call: Call) -> list[str]:
    """The messages that a call sends."""
    said = call.parameters
    return [each["MessageBody"] for each in (said, *said.get("Entries", ())) if "MessageBody" in each]


def _own_names(end: Outcome) -> list[str]:
    """The messages that a call brought, without the name of their queue."""
    messages = end.answer.get("Messages")
    return [str(each.get("Body")).rpartition(":")[2] for each in messages] if isinstance(messages, list) else []
