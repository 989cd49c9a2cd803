"""Broken policies: whatever the text, the parser and the judge raise PolicyError or answer, within their budget.

`make fuzz` does the same guided by coverage, for minutes.
"""

from __future__ import annotations

import time
from random import Random

import pytest
from proof.mutations import PLACES, asked, corpus, mutated

POLICIES = corpus()
AT_ONCE = 100
ENOUGH_SECONDS = 1.0
"""Far more than the budget of all questions together: on a slow machine, and with the lines counted."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("first", range(0, 1_000, AT_ONCE))
def test_a_broken_policy_is_refused_or_judged(place: str, first: int):
    problems = []
    for seed in range(first, first + AT_ONCE):
        rng = Random(f"{place} {seed}")
        text = mutated(rng, rng.choice(POLICIES), place, POLICIES)
        started = time.process_time()
        problems.append(asked(text))
        assert time.process_time() - started < ENOUGH_SECONDS, text
    assert 0.1 < problems.count("") / AT_ONCE < 0.9, "nearly all are policies still, or none is"
