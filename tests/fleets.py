"""Accounts with queues on the emulator, an emulator with moods, and the commands of an operator, for tests."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qs

import boto3
from support import REGION, TEMPORARY, UNENCRYPTED

from safe_sqs.cli.commands import safe_sqs
from safe_sqs.demo import emulator as emulators

COMMAND = str(Path(sys.executable).with_name("safe-sqs"))
CLOSED = json.dumps(
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
GARBAGE = "an answer that nobody can read"
_accounts = count(500_000_000_000)


class Call(NamedTuple):
    """A call as it arrives at the emulator. `about` is the name of a queue or the ARN of a role."""

    operation: str
    region: str
    about: str


Mood = Callable[[Call], "str | None"]
"""Which error a call is answered with; None lets it through."""


@contextmanager
def emulator_with(mood: Mood) -> Iterator[emulators.Emulator]:
    """An emulator before which somebody stands who answers some calls himself."""
    real = emulators.DomainDispatcherApplication
    with patch.object(emulators, "DomainDispatcherApplication", lambda create: _Moody(real(create), mood)):
        running = emulators.running()
        emulator = running.__enter__()
    try:
        yield emulator
    finally:
        running.__exit__(None, None, None)


class _Moody:
    def __init__(self, application: Any, mood: Mood) -> None:
        self._application = application
        self._mood = mood

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/")
        region = scope[2] if len(scope) > 2 else ""
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if operation:
            error = self._mood(Call(operation, region, json.loads(body).get("QueueUrl", "").rpartition("/")[2]))
            kind, answer = (
                "application/x-amz-json-1.0",
                json.dumps({"__type": f"com.amazonaws#{error}", "message": "no"}),
            )
        elif scope[3:4] == ["access-analyzer"]:
            error = self._mood(Call(environ["PATH_INFO"], region, ""))
            kind, answer = "application/json", json.dumps({"__type": error, "message": "no"})
        else:  # STS, in the older protocol
            said = parse_qs(body.decode("latin-1"))
            error = self._mood(Call(said.get("Action", [""])[0], region, said.get("RoleArn", [""])[0]))
            kind, answer = "text/xml", f"<E><Error><Code>{error}</Code><Message>no</Message></Error></E>"
        if error is None:
            return self._application(environ, start_response)
        if error == GARBAGE:
            kind, answer = "text/html", "<html>log in first</p>"
        headers = [("Content-Type", kind), ("Content-Length", str(len(answer)))]
        start_response("200 OK" if error == GARBAGE else "400 Bad Request", headers)
        return [answer.encode()]


class Operator:
    """Somebody at a shell whose credentials are of an account of its own, with no queue in it yet."""

    def __init__(self, emulator: emulators.Emulator, monkeypatch: Any) -> None:
        self.emulator = emulator
        self.account = str(next(_accounts))
        self._monkeypatch = monkeypatch
        said = {
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_CA_BUNDLE": emulator.authority,
            "SAFE_SQS_TRUSTED_ENDPOINT_HOSTS": emulator.host,
            **self.credentials_of(self.account),
        }
        for name, value in said.items():
            monkeypatch.setenv(name, value)

    def credentials_of(self, account: str) -> dict[str, str]:
        """Credentials of another account, as variables."""
        got = self.client("sts", TEMPORARY).assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/Setup", RoleSessionName="setup"
        )["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": got["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": got["SecretAccessKey"],
            "AWS_SESSION_TOKEN": got["SessionToken"],
        }

    def client(self, service: str, keys: dict[str, str], region: str = REGION) -> Any:
        """A client that is not guarded."""
        at = {"endpoint_url": self.emulator.url, "verify": self.emulator.authority, "region_name": region}
        return boto3.session.Session().client(service, **at, **keys)

    def sqs(self, account: str | None = None, region: str = REGION) -> Any:
        """An SQS client for an account, to set the stage with."""
        keys = {name.lower(): value for name, value in self.credentials_of(account or self.account).items()}
        return self.client("sqs", keys, region)

    def make(self, *names: str, account: str | None = None, region: str = REGION) -> list[str]:
        """Make queues: "bad..." has no encryption, "plain..." takes plain HTTP, the others are good."""
        client = self.sqs(account, region)
        return [client.create_queue(QueueName=name, Attributes=_attributes(name))["QueueUrl"] for name in names]

    def arn(self, name: str, account: str | None = None, region: str = REGION) -> str:
        """The ARN of a queue."""
        return f"arn:aws:sqs:{region}:{account or self.account}:{name}"


def _attributes(name: str) -> dict[str, str]:
    if name.startswith("plain"):
        return {}
    return {"Policy": CLOSED, **(UNENCRYPTED if name.startswith("bad") else {})}


class Ran(NamedTuple):
    """What came of a command."""

    status: int
    out: str
    err: str

    @property
    def queues(self) -> list[str]:
        """The names of the queues in its JSON, in their order."""
        return [each["queue"]["name"] for each in self.data["queues"]]

    @property
    def data(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)


def ran(capsys: Any, *arguments: str) -> Ran:
    """Run `safe-sqs` in this process."""
    capsys.readouterr()
    status = 0
    try:
        safe_sqs.main(list(arguments), prog_name="safe-sqs")
    except SystemExit as ended:
        status = int(ended.code or 0)
    return Ran(status, *capsys.readouterr())


def ran_apart(*arguments: str, given: str | None = None) -> Ran:
    """Run it in a process of its own, with pipes."""
    done = subprocess.run([COMMAND, *arguments], input=given, capture_output=True, text=True, timeout=120, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)
