"""What all tests share: an emulator over real TLS, an environment with nothing of the machine's in it, and a clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from support import REGION, TEMPORARY, UNENCRYPTED, ManualClock

from safe_sqs import Config, events, guard, sources
from safe_sqs.cache import Clock
from safe_sqs.demo import emulator as emulators


@pytest.fixture(scope="session")
def emulator() -> Iterator[emulators.Emulator]:
    """One emulator for the whole run."""
    with emulators.running() as running:
        yield running


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No AWS or safe_sqs setting of the machine reaches a test, and the working directory is empty."""
    for variable in os.environ:
        if variable.upper().startswith(("AWS_", "SAFE_SQS_")) or variable.upper().endswith(("_PROXY", "_CA_BUNDLE")):
            monkeypatch.delenv(variable)
    empty = tmp_path_factory.mktemp("empty")
    monkeypatch.setenv("HOME", str(empty))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(empty / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(empty / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.chdir(empty)
    monkeypatch.setattr(sources, "ORGANISATION_FILES", ())


@pytest.fixture
def make_config(emulator: emulators.Emulator) -> Callable[..., Config]:
    """A configuration that trusts the emulator."""

    def make(**settings: Any) -> Config:
        settings.setdefault("trusted_endpoint_hosts", [emulator.host])
        return Config(**settings)

    return make


@pytest.fixture
def make_raw(emulator: emulators.Emulator) -> Callable[..., Any]:
    """An SQS client of boto3 for the emulator, not guarded."""

    def make(service: str = "sqs", **arguments: Any) -> Any:
        settings = {"endpoint_url": emulator.url, "verify": emulator.authority, "region_name": REGION, **TEMPORARY}
        return boto3.session.Session().client(service, **(settings | arguments))

    return make


@pytest.fixture
def make_client(make_raw: Callable[..., Any], make_config: Callable[..., Config]) -> Callable[..., Any]:
    """A guarded SQS client for the emulator: `make_client(config_key=..., client={...}, clock=...)`."""

    def make(*, client: dict[str, Any] | None = None, clock: Clock | None = None, **settings: Any) -> Any:
        return guard(make_raw(**(client or {})), make_config(**settings), clock=clock)

    return make


@pytest.fixture
def raw(make_raw: Callable[..., Any]) -> Any:
    """An SQS client that is not guarded, to set the stage with."""
    return make_raw()


@pytest.fixture
def queue_name(request: pytest.FixtureRequest) -> str:
    """A queue name of this test's own."""
    return f"q-{abs(hash((request.node.nodeid, os.getpid()))):x}"


@pytest.fixture
def make_queue(raw: Any, queue_name: str) -> Callable[..., str]:
    """Create a queue on the emulator: `make_queue(suffix="", SqsManagedSseEnabled="false", ...)`, giving its URL."""

    def make(suffix: str = "", **attributes: str) -> str:
        url: str = raw.create_queue(QueueName=f"{queue_name}{suffix}", Attributes=attributes)["QueueUrl"]
        return url

    return make


@pytest.fixture
def good(make_queue: Callable[..., str]) -> str:
    """The URL of an encrypted queue without a policy."""
    return make_queue("-good")


@pytest.fixture
def bad(make_queue: Callable[..., str]) -> str:
    """The URL of a queue without encryption."""
    return make_queue("-bad", **UNENCRYPTED)


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def told() -> Iterator[list[events.Event]]:
    """Every event of safe_sqs while the test runs."""
    seen: list[events.Event] = []
    unsubscribe = events.subscribe(seen.append)
    yield seen
    unsubscribe()
