"""Constants and small tools that tests import by name."""

from __future__ import annotations

from datetime import date, timedelta
from inspect import signature
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session

from safe_sqs.cache import Clock
from safe_sqs.model import Mode, Subject
from safe_sqs.rules import ALL_RULES

if TYPE_CHECKING:
    from click.testing import CliRunner

REGION = "us-east-1"
TEMPORARY = {
    "aws_access_key_id": "ASIAEXAMPLEEXAMPLE01",
    "aws_secret_access_key": "temporary-secret-for-tests",
    "aws_session_token": "session-token-for-tests",
}
LONG_TERM = {"aws_access_key_id": "AKIAEXAMPLEEXAMPLE02", "aws_secret_access_key": "long-term-secret-for-tests"}
UNENCRYPTED = {"SqsManagedSseEnabled": "false"}
NEXT_MONTH = date.today() + timedelta(days=30)
"""When the exemptions of tests end: a day that is written down comes to pass, and one a year away is not accepted."""


class ManualClock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.wall_seconds = 1_790_000_000.0
        self.clock = Clock(lambda: self.seconds, lambda: self.wall_seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, on both readings."""
        self.seconds += seconds
        self.wall_seconds += seconds


WIRE_ONLY = {rule.name: Mode.OFF for rule in ALL_RULES if rule.subject is Subject.QUEUE}
"""Modes for `Config` under which only the call and its way out are judged, so that no queue is looked at."""

_data_files = botocore.session.Session().get_component("data_loader")


def new_core() -> botocore.session.Session:
    """A session of botocore that reads the environment and the AWS files anew, but not botocore's data files, which
    takes ten times as long as all the rest."""
    core = botocore.session.Session()
    core.register_component("data_loader", _data_files)
    return core


def new_session(**arguments: Any) -> boto3.session.Session:
    """The same for boto3."""
    return boto3.session.Session(botocore_session=new_core(), **arguments)


def cli_runner() -> CliRunner:
    """What runs a command of click in this process, with standard error apart, which before 8.2 had to be asked for."""
    from click.testing import CliRunner

    apart = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
    return CliRunner(**apart)
