"""The benchmark of the judge keeps to the limits of SQS, tells crashes and endless questions from answers, and draws
what it measured. What it measures is not judged here: a busy machine is no bug."""

from __future__ import annotations

import importlib
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from random import Random

import pytest

from safe_sqs import policy

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODULES = ("curves", "hard_policies", "overhead", "typical_policies", "policy_cost")


@pytest.fixture(scope="module")
def benchmark():
    """The benchmark's modules, which find each other as they do when it is run."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("policy_cost")
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in MODULES:
            sys.modules.pop(name, None)


def statement(**elements):
    return {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*", **elements}


@pytest.mark.parametrize("conditions_are_of_each_statement", [True, False])
def test_hard_policies_are_policies_within_the_limits(benchmark, conditions_are_of_each_statement):
    limits, rng = benchmark.Limits(conditions_are_of_each_statement), Random(7)
    made = [benchmark.random_policy(rng, limits, number) for number in range(40)]
    made += [benchmark.mutated(rng.choice(made), rng.choice(made), rng, limits) for _ in range(80)]
    for document in made:
        assert limits.hold(document)
        assert len(policy.parse(document)) == len(document["Statement"])


@pytest.mark.parametrize(
    ("statements", "of_policy", "of_each"),
    [
        ([statement()] * 20, True, True),
        ([statement()] * 21, False, False),
        ([statement(Condition={"StringEquals": {f"a:{number}": "" for number in range(10)}})], True, True),
        ([statement(Condition={"StringEquals": {f"a:{number}": "" for number in range(11)}})], False, False),
        ([statement(Condition={"StringEquals": {f"a:{number}": "" for number in range(6)}})] * 2, False, True),
        ([statement(Principal={"AWS": ["1" * 12] * 50})], True, True),
        ([statement(Principal={"AWS": ["1" * 12] * 50}), statement()], False, False),
        ([statement(Action=["sqs:SendMessage"] * 8)], False, False),
        ([statement(Resource="*" * 8192)], False, False),
    ],
)
def test_the_limits_are_those_of_sqs(benchmark, statements, of_policy, of_each):
    document = {"Version": "2012-10-17", "Statement": statements}
    assert benchmark.Limits(conditions_are_of_each_statement=False).hold(document) is of_policy
    assert benchmark.Limits(conditions_are_of_each_statement=True).hold(document) is of_each


def test_the_search_keeps_the_longest_of_each_answer(benchmark):
    found = benchmark.search(0.3, 1, benchmark.Limits(conditions_are_of_each_statement=False))
    assert found.tried > 0
    assert len({(one.question, one.found) for one in found.worst}) == len(found.worst)
    assert [one.milliseconds for one in found.worst] == sorted((one.milliseconds for one in found.worst), reverse=True)


def test_a_question_that_crashes_is_told_apart_from_an_answer(benchmark, monkeypatch):
    def crash(text):
        raise RecursionError("too deep")

    monkeypatch.setitem(benchmark.SEARCHING, "public_access", crash)
    judged = benchmark.ask("public_access", benchmark.TYPICAL["SNS"])
    assert judged.found == "RecursionError: too deep"
    assert "not met" in list(benchmark.worst_table(benchmark.Found(1, [judged]), each_statement=True))[-1]


def test_a_question_that_does_not_end_is_given_up(benchmark, monkeypatch):
    def hang(text):
        while True:
            pass

    monkeypatch.setitem(benchmark.SEARCHING, "public_access", hang)
    monkeypatch.setattr(benchmark, "GIVE_UP_SECONDS", 0.1)
    assert benchmark.ask("public_access", benchmark.TYPICAL["SNS"]).found == "gave up"


def test_no_text_is_judged_twice(benchmark):
    texts = [benchmark.fresh_text(benchmark.TYPICAL["SNS"]) for _ in range(50)]
    assert len(set(texts)) == 50
    assert len({policy.parse(text) for text in texts}) == 1


def test_every_size_up_to_the_limit_is_drawn(benchmark):
    grown = [benchmark.cost(str(number), benchmark.TYPICAL["SNS"], 1) for number in range(1, 21)]
    drawn = ElementTree.fromstring(benchmark.plot(grown))
    space = "{http://www.w3.org/2000/svg}"
    curves = [curve.attrib["points"].split() for curve in drawn.iter(f"{space}polyline")]
    assert [len(points) for points in curves] == [20] * len(benchmark.RULES_ASK) + [20]
    words = [text.text for text in drawn.iter(f"{space}text")]
    assert "statements in the policy" in words
    assert "CPU time in microseconds (median)" in words
    assert set(benchmark.RULES_ASK) < set(words)
