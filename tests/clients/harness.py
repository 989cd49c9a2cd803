"""Unmodified programs of users, each in a process of its own, against the emulator over real TLS: the clients, what is
attempted with each of them, and what became of it.

A program sends or receives one message. It knows nothing of safe_sqs, and is started by `safe-sqs run`. All that an
attempt changes is what an operator would get wrong: the environment, or the queue.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal, NamedTuple

from clients.launched import trusting_certifi
from sockets import Listener, listening
from support import LONG_TERM, REGION, TEMPORARY, UNENCRYPTED, new_session

from safe_sqs import report
from safe_sqs.demo.emulator import Emulator, running

__all__ = [
    "ATTEMPTS",
    "CLIENTS",
    "PROGRAMS",
    "PUBLIC",
    "TASKS",
    "TLS_ONLY",
    "Attempt",
    "Cell",
    "Client",
    "Outcome",
    "Stage",
    "bin_of",
    "cells",
    "environment",
    "is_installed",
    "new_queue",
    "on_stage",
    "problems",
    "run",
    "run_program",
]

Task = Literal["send", "receive"]

PROGRAMS = Path(__file__).resolve().parent / "programs"
ROOT = PROGRAMS.parent.parent.parent
TASKS: tuple[Task, ...] = ("send", "receive")
BODY = "hello"
SECONDS = 60
"""How long a program may take before it counts as hanging."""
BUCKET = "payloads"

TLS_ONLY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
)
PUBLIC = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": ["sqs:SendMessage", "sqs:ReceiveMessage"],
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "true"}},
            }
        ],
    }
)


# --- what is attempted -------------------------------------------------------------------------------------------


class Attempt(NamedTuple):
    """What is tried with each client. `rule` refuses it, or "" where it has to work."""

    name: str
    rule: str
    queue: Mapping[str, str]
    is_plain: bool = False
    credentials: Mapping[str, str] = TEMPORARY


ATTEMPTS = (
    Attempt("compliant", "", {"Policy": TLS_ONLY}),
    Attempt("plain-HTTP endpoint", "https-endpoint", {"Policy": TLS_ONLY}, is_plain=True),
    Attempt("long-term key", "static-credentials", {"Policy": TLS_ONLY}, credentials=LONG_TERM),
    Attempt("unencrypted queue", "queue-encryption", {"Policy": TLS_ONLY, **UNENCRYPTED}),
    Attempt("public queue", "public-access", {"Policy": PUBLIC}),
)


# --- the clients -------------------------------------------------------------------------------------------------


class Client(NamedTuple):
    """A released client, and the program that uses it.

    `libraries` are the distributions whose versions the table names; `venv` is the environment that has them, or ""
    for the one of the tests. `command` makes the command line from the task, the queue URL and the endpoint; `read`
    gets the messages from what the program prints. `writes_own_format`: what arrives has to be made by the client
    itself. `trusts_certifi`: it knows no other authorities than those of certifi. `uses_s3`: it calls S3 as well.
    `is_mocked`: nothing goes over a socket. `not_applicable`: why an attempt says nothing about this client, by its
    name, or by its name and task (`"compliant send"`).
    """

    name: str
    libraries: tuple[str, ...]
    venv: str
    command: Callable[[Task, str, str], Sequence[str]]
    read: Callable[[str], Sequence[str]]
    environment: Mapping[str, str] = {}
    writes_own_format: bool = False
    trusts_certifi: bool = False
    uses_s3: bool = False
    is_mocked: bool = False
    not_applicable: Mapping[str, str] = {}


def _program(name: str) -> Callable[[Task, str, str], Sequence[str]]:
    return lambda task, queue_url, _: ("python", str(PROGRAMS / name), task, queue_url)


def _read(printed: str) -> Sequence[str]:
    told = json.loads(printed.splitlines()[-1])
    assert told["passed"] is True
    return [str(each) for each in told["messages"]]


def _aws(task: Task, queue_url: str, endpoint: str) -> Sequence[str]:
    body = ("--message-body", BODY) if task == "send" else ()
    return ("aws", "--endpoint-url", endpoint, "sqs", f"{task}-message", "--queue-url", queue_url, *body)


def _read_aws(printed: str) -> Sequence[str]:
    told = json.loads(printed)
    return [each["Body"] for each in told["Messages"]] if "Messages" in told else [told["MessageId"]]


_QUIET_DATADOG = {"DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_REMOTE_CONFIGURATION_ENABLED": "false"}

_NO_CALL = (
    "It makes no call to SQS: the Lambda service receives and deletes the messages. The queue that an event names is "
    "judged by the handler of safe_sqs, before the function sees the event."
)

_ALL_CLIENTS = (
    Client("boto3", ("boto3",), "", _program("boto3_client.py"), _read),
    Client("botocore, in batches", ("botocore",), "", _program("botocore_client.py"), _read),
    Client("AWS CLI v1", ("awscli",), "awscli", _aws, _read_aws),
    Client("aiobotocore", ("aiobotocore",), "clients", _program("aiobotocore_client.py"), _read),
    Client("aioboto3, a resource", ("aioboto3", "aiobotocore"), "aioboto3", _program("aioboto3_resource.py"), _read),
    Client(
        "boto3 under OpenTelemetry, X-Ray and ddtrace",
        ("boto3", "opentelemetry-instrumentation-botocore", "aws-xray-sdk", "ddtrace"),
        "clients",
        _program("traced.py"),
        _read,
        _QUIET_DATADOG,
    ),
    Client("boto3 under moto's mock", ("boto3", "moto"), "", _program("mocked.py"), _read, is_mocked=True),
    Client(
        "Celery with kombu's SQS transport",
        ("celery", "kombu"),
        "clients",
        _program("celery_client.py"),
        _read,
        writes_own_format=True,
        trusts_certifi=True,
    ),
    Client(
        "dramatiq-sqs",
        ("dramatiq-sqs", "dramatiq"),
        "clients",
        _program("dramatiq_client.py"),
        _read,
        writes_own_format=True,
    ),
    Client(
        "amazon-sqs-extended-client",
        ("amazon-sqs-extended-client",),
        "clients",
        _program("extended_client.py"),
        _read,
        {"PAYLOAD_BUCKET": BUCKET},
        writes_own_format=True,
        uses_s3=True,
    ),
    Client(
        "AWS Lambda Powertools, batch processing",
        ("aws-lambda-powertools",),
        "clients",
        _program("powertools_batch.py"),
        _read,
        not_applicable=dict.fromkeys((attempt.name for attempt in ATTEMPTS), _NO_CALL),
    ),
)


def _is_there(client: Client) -> bool:
    return all(Path(word).exists() for word in client.command("send", "", "") if word.endswith(".py"))


CLIENTS = tuple(client for client in _ALL_CLIENTS if _is_there(client))


class Cell(NamedTuple):
    """One field of the table."""

    client: Client
    attempt: Attempt
    task: Task

    def __str__(self) -> str:
        return f"{self.client.name}: {self.attempt.name}, {self.task}"

    @property
    def why_not_applicable(self) -> str:
        """Why there is nothing to try here, or ""."""
        reasons = self.client.not_applicable
        return reasons.get(self.attempt.name, reasons.get(f"{self.attempt.name} {self.task}", ""))


def cells() -> Iterator[Cell]:
    """All of them, row by row."""
    for client in CLIENTS:
        for task in TASKS:
            for attempt in ATTEMPTS:
                yield Cell(client, attempt, task)


# --- environments that have the clients --------------------------------------------------------------------------


def bin_of(venv: str) -> Path:
    """The folder with the programs of an environment: `.venv-NAME` in the checkout, or NAME in the folder that
    CLIENT_VENVS names."""
    if not venv:
        return Path(sys.executable).parent
    folder = os.environ.get("CLIENT_VENVS")
    return (Path(folder) / venv if folder else ROOT / f".venv-{venv}") / "bin"


def is_installed(client: Client) -> bool:
    """Whether the environment of a client is there."""
    return (bin_of(client.venv) / "python").exists()


# --- the stage ---------------------------------------------------------------------------------------------------


class Stage(NamedTuple):
    """Where one attempt at a time is made: an emulator, a plain socket that only counts, an agent that takes traces,
    and a client to look around with."""

    emulator: Emulator
    plain: Listener
    agent: Listener
    raw: Any
    letters: dict[str, Mapping[str, Any]]


@contextmanager
def on_stage(emulator: Emulator | None = None) -> Iterator[Stage]:
    """Set the stage, with an emulator of its own where none is given."""
    if emulator is None:
        with running() as own, on_stage(own) as stage:
            yield stage
        return
    session: Any = new_session(region_name=REGION, **TEMPORARY)
    raw = session.client("sqs", endpoint_url=emulator.url, verify=emulator.authority)
    session.client("s3", endpoint_url=emulator.url, verify=emulator.authority).create_bucket(Bucket=BUCKET)
    with listening() as plain, listening() as agent:
        yield Stage(emulator, plain, agent, raw, {})


_numbers = count()


def new_queue(stage: Stage, attributes: Mapping[str, str]) -> str:
    """Make a queue, and return its URL."""
    name = f"orders-{os.getpid()}-{next(_numbers)}"
    return str(stage.raw.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def environment(stage: Stage, client: Client, attempt: Attempt) -> dict[str, str]:
    """What an operator has set for a program: nothing of this machine's AWS settings is in it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("AWS_", "SAFE_SQS_", "PYTHON", "VIRTUAL_ENV", "COV_", "PYTEST_"))
        and not name.upper().endswith(("_PROXY", "_CA_BUNDLE"))
    }
    endpoint = stage.plain.url if attempt.is_plain else stage.emulator.url
    home = str(Path(stage.emulator.authority).parent)
    return {
        **kept,
        "HOME": home,
        "PATH": os.pathsep.join([str(bin_of(client.venv)), os.environ.get("PATH", "")]),
        "AWS_CONFIG_FILE": f"{home}/config",
        "AWS_SHARED_CREDENTIALS_FILE": f"{home}/credentials",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CA_BUNDLE": stage.emulator.authority,
        **{name.upper(): value for name, value in attempt.credentials.items()},
        **({} if client.is_mocked and not attempt.is_plain else {"AWS_ENDPOINT_URL_SQS": endpoint}),
        "AWS_ENDPOINT_URL_S3": stage.emulator.url,
        "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": f"{stage.emulator.host},{stage.plain.netloc}",
        "QUEUE_ATTRIBUTES": json.dumps(attempt.queue),
        "DD_TRACE_AGENT_URL": stage.agent.url,
        **({"PYTHONPATH": str(trusting_certifi(stage.emulator, Path(home)))} if client.trusts_certifi else {}),
        **client.environment,
    }


def run_program(
    command: Sequence[str], settings: Mapping[str, str], *, guarded: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command as its user would, with `safe-sqs run` before it where it is guarded."""
    words = ["safe-sqs", "run", "--", *command] if guarded else list(command)
    words[0] = str(shutil.which(words[0], path=settings["PATH"]))
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryDirectory(prefix="safe-sqs-") as folder,
        subprocess.Popen(
            words, cwd=folder, env=dict(settings), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        ) as process,
    ):
        try:
            printed, complaint = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, complaint = process.communicate()
            complaint += f"\n(killed after {SECONDS} seconds)"
    return subprocess.CompletedProcess(words, process.returncode, printed, complaint)


# --- what became of it -------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What an attempt did. `rules` refused it; `arrived` is what reached the emulator, by operation; `connections` were
    opened to the plain socket; `waiting` and `taken` are the messages that are in the queue afterwards, and those that
    somebody has received and not deleted."""

    status: int
    printed: str
    complaint: str
    rules: tuple[str, ...]
    arrived: Counter[str]
    connections: int
    waiting: int
    taken: int


def run(stage: Stage, cell: Cell, *, guarded: bool = True) -> Outcome:
    """Make one attempt, with a queue of its own."""
    client, attempt, task = cell
    queue_url = new_queue(stage, attempt.queue)
    if task == "receive":
        stage.raw.send_message(QueueUrl=queue_url, **_letter(stage, client))
    if client.is_mocked:
        queue_url = f"https://sqs.{REGION}.amazonaws.com/123456789012/mocked"
    settings = environment(stage, client, attempt)
    connections = stage.plain.connections
    stage.emulator.arrived.clear()
    with tempfile.TemporaryDirectory(prefix="safe-sqs-") as folder:
        file = Path(folder) / "report.jsonl"
        command = client.command(task, queue_url, settings.get("AWS_ENDPOINT_URL_SQS", ""))
        done = run_program(command, {**settings, "SAFE_SQS_REPORT": str(file)}, guarded=guarded)
        rules = _rules(file)
    arrived = Counter(stage.emulator.arrived)
    waiting, taken = (0, 0) if client.is_mocked else _depth(stage, queue_url)
    return Outcome(
        done.returncode, done.stdout, done.stderr, rules, arrived, stage.plain.connections - connections, waiting, taken
    )


def _letter(stage: Stage, client: Client) -> Mapping[str, Any]:
    """A message as the client itself writes it."""
    if not client.writes_own_format:
        return {"MessageBody": BODY}
    if client.name not in stage.letters:
        queue_url = new_queue(stage, ATTEMPTS[0].queue)
        settings = environment(stage, client, ATTEMPTS[0])
        done = run_program(client.command("send", queue_url, stage.emulator.url), settings, guarded=False)
        found = stage.raw.receive_message(QueueUrl=queue_url, MessageAttributeNames=["All"]).get("Messages")
        if not found:
            raise AssertionError(f"{client.name} sends nothing, unguarded: {done.stderr}")
        attributes = found[0].get("MessageAttributes", {})
        stage.letters[client.name] = {"MessageBody": found[0]["Body"], "MessageAttributes": attributes}
    return stage.letters[client.name]


def _depth(stage: Stage, queue_url: str) -> tuple[int, int]:
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    told = stage.raw.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return int(told[names[0]]), int(told[names[1]])


def _rules(file: Path) -> tuple[str, ...]:
    found = report.read(file) if file.exists() else ()
    return tuple(dict.fromkeys(each.rule for each in found if each.outcome == report.REFUSED))


_LOOKING = frozenset({"GetQueueAttributes", "GetQueueUrl", "ListQueues", "CreateQueue"})
"""What the guard and the clients ask about a queue before they use it. All of it concerns no message."""


def problems(cell: Cell, outcome: Outcome) -> list[str]:
    """What is not as it must be; nothing when all is well."""
    return _problems_of_use(cell, outcome) if not cell.attempt.rule else _problems_of_refusal(cell, outcome)


def _problems_of_use(cell: Cell, outcome: Outcome) -> list[str]:
    found = []
    if outcome.status != 0 or outcome.rules:
        return [f"it does not work: exit status {outcome.status}, refused by {outcome.rules or 'no rule'}"]
    try:
        messages = cell.client.read(outcome.printed)
    except (ValueError, KeyError, IndexError, AssertionError):
        return [f"it printed {outcome.printed!r}"]
    if cell.client.is_mocked:
        return (
            [] if messages == [BODY] and not outcome.arrived else [f"{messages}, and {outcome.arrived} left the mock"]
        )
    if cell.task == "send" and (outcome.waiting, outcome.taken) != (1, 0):
        found.append(f"the message arrived {outcome.waiting + outcome.taken} times")
    if cell.task == "receive" and (len(messages) != 1 or outcome.waiting):
        found.append(f"{len(messages)} messages were received, and {outcome.waiting} wait")
    if outcome.connections:
        found.append("there was a connection without TLS")
    return found


def _problems_of_refusal(cell: Cell, outcome: Outcome) -> list[str]:
    found = []
    if outcome.rules != (cell.attempt.rule,):
        found.append(f"it was refused by {outcome.rules or 'no rule'}, and not by {cell.attempt.rule}")
    if outcome.status == 0:
        found.append("the program ended as if all were well")
    about_queue = cell.attempt.rule in ("queue-encryption", "public-access")
    unwanted = set(outcome.arrived) - (_LOOKING if about_queue else set()) - ({""} if cell.client.uses_s3 else set())
    if unwanted:
        found.append(f"{sorted(unwanted)} arrived at the service")
    expected = (1 if cell.task == "receive" else 0, 0)
    if not cell.client.is_mocked and (outcome.waiting, outcome.taken) != expected:
        found.append(
            f"{outcome.waiting} messages wait and {outcome.taken} are taken, where {expected} was to be expected"
        )
    if outcome.connections:
        found.append("there was a connection without TLS")
    return found
