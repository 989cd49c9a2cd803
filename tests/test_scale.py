"""The page about cost and load: its tables are what the formulas give, and simulations of real caches confirm these."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from pathlib import Path

import pytest

from safe_sqs.cache import REFUSAL_SECONDS, UNVERIFIABLE_SECONDS
from safe_sqs.config import Config

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "scale.md"


def _load():
    spec = importlib.util.spec_from_file_location("scale", ROOT / "benchmarks" / "scale.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale"] = module  # where its named tuples look their annotations up
    spec.loader.exec_module(module)
    return module


scale = _load()
GIVEN = scale.Assumptions()


def part(name: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    return text.split(scale.BEGINNING.format(name))[1].split(scale.END.format(name))[0].strip()


@pytest.mark.parametrize("name", ["guard", "start", "audit", "rule"])
def test_the_tables_of_the_page_are_what_the_formulas_give(name):
    assert part(name) == scale.parts_of(GIVEN, (), ())[name]


@pytest.mark.parametrize(("name", "count"), [("rates", 5), ("waves", 4)])
def test_every_simulation_on_the_page_confirms_its_formula(name, count):
    rows = [line.strip("| ").split(" | ") for line in part(name).splitlines()[2:]]
    assert len(rows) == count
    assert {row[-1] for row in rows} == {"yes"}


def test_the_formulas_on_the_page_are_those_of_today():
    shown = {row.split(" | ")[0].strip("| "): row.split(" | ")[1] for row in part("rates").splitlines()[2:]}
    ttl = GIVEN.ttl_seconds
    assert ttl == Config().ttl_seconds
    assert shown == {
        "good queues, used once a second": f"{scale.looks_per_second(ttl, 1):.4g}",
        "good queues, used once a minute": f"{scale.looks_per_second(ttl, 1 / 60):.4g}",
        "good queues, used once an hour": f"{scale.looks_per_second(ttl, 1 / 3600):.4g}",
        "refused queues, used once a second": f"{1 / (REFUSAL_SECONDS + 1):.4g}",
        "unreadable queues, used once a second": f"{1 / (UNVERIFIABLE_SECONDS + 1):.4g}",
    }


@pytest.mark.parametrize(
    ("verdict", "life", "refreshed_early", "uses"),
    [
        (scale.GOOD, 300.0, True, 0.2),
        (scale.GOOD, 300.0, True, 1 / 600),
        (scale.REFUSED, REFUSAL_SECONDS, False, 0.5),
        (scale.UNTOLD, UNVERIFIABLE_SECONDS, False, 0.5),
    ],
)
def test_a_short_simulation_confirms_the_rate_of_looks(verdict, life, refreshed_early, uses):
    random = scale.Random("rates")
    simulated, error = scale.simulated_rate(60, 4, max(3_000, 20 / uses), 300.0, uses, verdict, random)
    formula = scale.looks_per_second(life, uses, refreshed_early=refreshed_early)
    assert simulated == pytest.approx(formula, rel=0.03)
    assert error < 0.03


def test_a_formula_that_forgets_the_early_refresh_would_be_noticed():
    simulated, _ = scale.simulated_rate(60, 4, 3_000, 300.0, 0.2, scale.GOOD, scale.Random("rates"))
    wrong = scale.looks_per_second(300.0, 0.2, refreshed_early=False)
    assert simulated != pytest.approx(wrong, rel=0.03)


def test_a_short_simulation_confirms_the_waves_after_a_start():
    outcomes = list(scale.waves(GIVEN, 4_000, 1))
    assert outcomes[0].simulated == 1_000_000
    assert outcomes[1].simulated == pytest.approx(outcomes[1].formula, rel=0.06)
    assert outcomes[2].simulated == pytest.approx(outcomes[2].formula, rel=0.15)


def test_a_wave_is_as_wide_as_its_share_of_the_life_and_flattens():
    assert scale.wave(45, 1, 300.0) == pytest.approx(1)
    assert scale.wave(45, 2, 300.0) == pytest.approx(1)
    assert scale.wave(45, 3, 300.0) == pytest.approx(3 / 4)
    later = scale.wave(45, 20, 300.0)
    assert later == pytest.approx(math.sqrt(6 / (math.pi * 20)), rel=0.01)


def test_a_process_alone_uses_all_queues_and_many_use_a_few():
    assert scale.queues_used(1_000, 1, GIVEN) == 1_000
    assert scale.queues_used(1_000, 1_000, GIVEN) == 10
    assert scale.queues_used(5, 1_000, GIVEN) == 5


def test_the_audit_lists_by_thousands_and_looks_at_each():
    assert scale.audit_calls(1_001, GIVEN._replace(dead_letter=0.0)) == 2 + 1_001
    assert scale.audit_seconds(1_000, GIVEN, 10) == pytest.approx(150.1)


@pytest.mark.parametrize(("count", "usd"), [(1, 0.001), (100_000, 100), (500_000, 420), (600_000, 470)])
def test_evaluations_cost_less_beyond_each_step(count, usd):
    assert scale.evaluations_usd(count, GIVEN) == pytest.approx(usd)


def test_the_memory_of_a_verdict_is_about_what_the_tables_assume():
    assert scale.measured_bytes(2_000) == pytest.approx(GIVEN.bytes_per_verdict, rel=0.5)


def test_what_the_text_of_the_page_says_follows_too():
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    calls = scale.guard_load(1, 1, GIVEN).calls_per_month
    assert re.search(r"The guard adds ([\d,]+) to them", text)[1] == f"{round(calls, -3):,.0f}"
    assert f"makes {round(scale.SECONDS_PER_MONTH / 20, -3):,.0f} calls a month" in text
    cost = scale.rule_cost(1, GIVEN)
    cents = 100 * (cost.usd_recording + cost.usd_evaluations + cost.usd_rest)
    assert re.search(r"a queue costs (\d) cents a month", text)[1] == f"{cents:.0f}"
    queues = 900 / (GIVEN.look_seconds * GIVEN.calls_per_look / GIVEN.lambda_at_once)
    assert f"that is {round(queues, -4):,.0f} queues" in text


def test_a_page_without_marks_is_told():
    with pytest.raises(ValueError, match="part guard"):
        scale.written_into("# A page", {"guard": "table"})


def test_numbers_are_told_in_three_digits():
    numbers = (0.0, 0.0571, 5.69, 99.9, 151.2, 56_943.0, 149_519_000.0, 1.5e11)
    assert [scale.number(each) for each in numbers] == [
        "0",
        "0.057",
        "5.69",
        "99.9",
        "151",
        "56,900",
        "150 million",
        "150 billion",
    ]


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as ended:
        scale.main(["--help"])
    assert ended.value.code == 0
    assert "--write docs/explanation/scale.md" in capsys.readouterr().out
