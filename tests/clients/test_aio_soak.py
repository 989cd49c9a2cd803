"""The short form of `make soak` with its asynchronous half: threads and tasks share one cache in one process."""

from __future__ import annotations

import pytest
from soak.__main__ import run
from soak.service import Play
from test_soak import SECONDS, WAY, broken, needs_linux

pytest.importorskip("aiobotocore")


@needs_linux
def test_under_threads_tasks_forks_and_changes_everything_holds():
    play = Play(
        seconds=SECONDS,
        threads=64,
        tasks=1_000,
        queues=10_000,
        seed=1,
        ttl_seconds=5.0,
        calls_per_second=200.0,
        changes_per_second=40.0,
        fork_seconds=3.0,
        way_seconds=WAY,
    )
    outcome = run(play)
    assert broken(outcome) == []
    assert outcome.load["tasks_made"] >= 1_000
