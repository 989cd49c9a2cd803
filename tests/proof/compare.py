"""The judge against the oracles, on random policies: `python -m proof.compare --pairs 100000`.

Prints how often each answer was given and confirmed. What disagrees is saved as a file, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from random_policies import EVERYTHING, listed, random_policy

from proof import brute_force, solver
from proof.brute_force import World
from proof.worlds import FROM_ELSEWHERE, OVER_PLAIN_HTTP, PARTNER, QUEUE, Shape, closing_world, random_world
from safe_sqs import policy
from safe_sqs.policy.evaluate import Decision, decide_of

PUBLIC, PLAINTEXT, OUTSIDE_VPC = "public", "plaintext", "outside VPC"
_VPC, _ENDPOINT = "vpc-0a1b", "vpce-0a1c"
_OF_ENDPOINT = ("aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:vpceaccount", "aws:vpceorgid") + (
    "aws:vpceorgpaths",
)


class Case(NamedTuple):
    """One policy, and one question about it."""

    document: dict[str, Any]
    question: str
    trusted_accounts: tuple[str, ...] = ()
    vpcs: tuple[str, ...] = ()
    vpc_endpoints: tuple[str, ...] = ()

    @property
    def world(self) -> World:
        """What the policy and the question say."""
        world = World.of(self.document, QUEUE, self.trusted_accounts)
        if self.vpcs or self.vpc_endpoints:
            return world._replace(inside=frozenset((*self.vpcs, *self.vpc_endpoints)))
        return world

    def answer(self) -> policy.Answer:
        """What the judge says."""
        if self.question == PUBLIC:
            return policy.public_access(self.document, queue_arn=QUEUE, trusted_accounts=self.trusted_accounts)
        if self.question == PLAINTEXT:
            return policy.plaintext_access(self.document, queue_arn=QUEUE)
        return policy.outside_vpc_access(
            self.document, queue_arn=QUEUE, vpcs=self.vpcs, vpc_endpoints=self.vpc_endpoints
        )


class Outcome(NamedTuple):
    """What came of one case. `problem` says what is wrong, or is ""."""

    question: str
    judge: bool | None
    oracle: bool | None
    problem: str = ""


def case_of(seed: int, shape: Shape = Shape()) -> Case:  # noqa: B008 - it is frozen
    """The case of this seed: of ten, six ask whether the policy is public, two about plain HTTP, two about the VPC."""
    trusted = (PARTNER,) if seed % 7 == 0 else ()
    if seed % 10 < 5:
        return Case(random_world(seed, shape), PUBLIC, trusted)
    if seed % 10 == 5:
        features = replace(EVERYTHING, doubtful=shape.doubt, statements=shape.statements, conditions=2)
        return Case(random_policy(Random(f"everything {seed}"), features), PUBLIC, trusted)
    if seed % 10 < 8:
        return Case(closing_world(seed, OVER_PLAIN_HTTP, shape), PLAINTEXT)
    vpcs, endpoints = ((_VPC,), (_ENDPOINT,)) if seed % 3 == 0 else ((), ())
    return Case(closing_world(seed, FROM_ELSEWHERE, shape), OUTSIDE_VPC, (), vpcs, endpoints)


def with_brute_force(case: Case) -> Outcome:
    """The judge against brute force."""
    answer = case.answer()
    world = case.world
    if answer.found:
        assert answer.witness is not None
        problem = wrong_witness(case, world, answer.witness)
        return Outcome(case.question, True, True, problem and f"{problem}: {answer.witness}")
    found = next(_found(case, world), None)
    missed = answer.found is False and found is not None
    return Outcome(case.question, answer.found, found is not None, f"missed {found}" if missed else "")


def _found(case: Case, world: World) -> Iterator[policy.Request]:
    statements = policy.parse(_asked(case))
    settled = {"aws:securetransport": "false"} if case.question == PLAINTEXT else {}
    outsiders = case.question == PUBLIC
    for request in brute_force.requests(world, QUEUE, outsiders=outsiders, settled=settled):
        decision = decide_of(statements, request)
        let_in = decision is Decision.ALLOW or (not outsiders and decision is Decision.NO_MATCH)
        if let_in and not wrong_witness(case, world, request):
            yield request


def _asked(case: Case) -> dict[str, Any]:
    """The policy as the question takes it: who is named in full as the Principal of an Allow, is not public by that."""
    if case.question != PUBLIC:
        return case.document
    statements = []
    for statement in listed(case.document["Statement"]):
        named = statement.get("Principal")
        if statement["Effect"] == "Allow" and isinstance(named, dict):
            wide = {kind: [name for name in listed(names) if _is_wide(name)] for kind, names in named.items()}
            statement = {**statement, "Principal": {kind: names for kind, names in wide.items() if names}}
        if statement.get("Principal") != {}:
            statements.append(statement)
    return {**case.document, "Statement": statements}


def _is_wide(name: str) -> bool:
    return not name or "*" in name or "?" in name


def wrong_witness(case: Case, world: World, request: policy.Request) -> str:
    """Why a request does not show what the judge says it shows, or ""."""
    decision = policy.decide(_asked(case), request)
    keys = {key.lower(): values for key, values in request.keys.items()}
    if decision is not Decision.ALLOW and (case.question == PUBLIC or decision is Decision.DENY):
        return f"the decision is {decision.value}"
    if request.resource != QUEUE:
        return f"it is about {request.resource}"
    if case.question == PUBLIC:
        wrong = brute_force.is_insider(world, request)
    elif case.question == PLAINTEXT:
        wrong = "" if keys.get("aws:securetransport") == ("false",) else "it is not over plain HTTP"
    else:
        wrong = brute_force.comes_from_inside(world, keys)
    return wrong or brute_force.is_impossible(world, request)


def with_solver(case: Case) -> Outcome | None:
    """The judge against z3, or None where the policy is beyond what is translated."""
    question = solver.Question(case.question == PUBLIC, case.question == PLAINTEXT, case.question == OUTSIDE_VPC)
    try:
        found = solver.solve(_asked(case), QUEUE, question, case.world)
    except solver.BeyondError:
        return None
    judge = case.answer().found
    differ = judge is not None and found is not None and judge is not found
    return Outcome(case.question, judge, found, f"the judge says {judge}, z3 says {found}" if differ else "")


class Figures:
    """Counts of outcomes."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, bool | None, bool | None]] = Counter()
        self.beyond = 0
        self.problems: list[tuple[int, str]] = []

    def add(self, seed: int, outcome: Outcome | None) -> None:
        """Counts one outcome; None is beyond the oracle."""
        if outcome is None:
            self.beyond += 1
            return
        self.counts[outcome[:3]] += 1
        if outcome.problem:
            self.problems.append((seed, outcome.problem))

    @property
    def total(self) -> int:
        """How many pairs were compared."""
        return sum(self.counts.values())

    def share(self, question: str, judge: bool | None) -> float:
        """How often the judge gave an answer to a question."""
        of_question = {outcome: count for outcome, count in self.counts.items() if outcome[0] == question}
        return sum(count for outcome, count in of_question.items() if outcome[1] is judge) / sum(of_question.values())

    def undecided(self, by: int) -> float:
        """How often the judge (1) or the oracle (2) could not tell."""
        return sum(count for outcome, count in self.counts.items() if outcome[by] is None) / self.total


ORACLES = {"brute force": with_brute_force, "z3": with_solver}
PLAIN = Shape(mixed=False)
"""What z3's oracle can mostly follow."""


def compared(oracle: str, seeds: Iterable[int]) -> Figures:
    """The judge against an oracle, on the cases of these seeds."""
    figures = Figures()
    for seed in seeds:
        figures.add(seed, ORACLES[oracle](_case(oracle, seed)))
    return figures


def _case(oracle: str, seed: int) -> Case:
    return case_of(seed, PLAIN if oracle == "z3" else Shape())


def _outcomes(oracle: str, seeds: range) -> list[tuple[int, Outcome | None]]:
    return [(seed, ORACLES[oracle](_case(oracle, seed))) for seed in seeds]


def main() -> int:
    """Runs the comparison at volume."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--oracle", choices=sorted(ORACLES), action="append")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--findings", type=Path, default=Path("build/findings"))
    options = parser.parse_args()
    problems = 0
    for oracle in options.oracle or ORACLES:
        started = time.perf_counter()
        figures = Figures()
        last = options.first + options.pairs
        chunks = [range(first, min(first + 200, last)) for first in range(options.first, last, 200)]
        with ProcessPoolExecutor(options.jobs) as pool:
            for outcomes in pool.map(partial(_outcomes, oracle), chunks):
                for seed, outcome in outcomes:
                    figures.add(seed, outcome)
                    if outcome is not None and outcome.problem:
                        _save(options.findings, oracle, seed, outcome.problem)
        problems += len(figures.problems)
        counted = f"{figures.beyond} more beyond the oracle, {len(figures.problems)} disagreements"
        say(f"{oracle}: {figures.total} pairs in {time.perf_counter() - started:.0f} s, {counted}")
        for (question, judge, found), count in sorted(figures.counts.items(), key=str):
            say(f"  {question:12} judge {judge!s:6} {oracle} {found!s:6} {count:7}")
    return 1 if problems else 0


def _save(folder: Path, oracle: str, seed: int, problem: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    case: Mapping[str, Any] = {**_case(oracle, seed)._asdict(), "oracle": oracle, "seed": seed, "problem": problem}
    path = folder / f"{oracle.replace(' ', '-')}-{seed}.json"
    path.write_text(json.dumps(case, indent=1))
    say(f"  {problem}\n    see {path}")


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
