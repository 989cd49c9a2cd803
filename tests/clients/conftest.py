"""What the tests with real clients share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clients.harness import Stage, on_stage

from safe_sqs.demo.emulator import Emulator


def pytest_configure(config: pytest.Config) -> None:
    """`make test` leaves out what is marked so, and `make compat` shows it."""
    config.addinivalue_line("markers", "whole_matrix: a field of the table of clients that the short form leaves out")


@pytest.fixture(scope="session")
def stage(emulator: Emulator) -> Iterator[Stage]:
    """Where programs of users are run, one at a time."""
    with on_stage(emulator) as stage:
        yield stage
