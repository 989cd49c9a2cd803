"""What judging a queue policy costs, in CPU time.

Three parts:

  typical    policies as they are met, from their text, with all questions that the default rules ask: each alone,
             "together" on one text, and as the rules ask them ("rules"), who also look for the smallest change that
             closes what was found. Goal: 300 us together.
  growth     how the cost grows with the number of statements, from 1 to the 20 that SQS takes; --plot draws it.
  worst      a search for bad cases, within the limits of SQS (8,192 bytes, 20 statements, 50 principals, 10
             conditions): random policies, and random changes to those that took longest. Goal: 20 ms, and at most
             100 ms where the answer is "undecided" because the budget was used up. Each time is the least of three.
             "rules": the rules on queue policies, one after the other.
             AWS does not say of what 10 conditions is the limit, so both readings are tried, for half of the time.

No text is judged twice. What the judge remembers all the same (patterns and addresses that it has read before) helps
with the typical policies, as it helps a process that looks again at the same queues; the column "cold" is the median
after it was made to forget them. In the search it forgets before each question.

Examples:
  python benchmarks/policy_cost.py
  python benchmarks/policy_cost.py --seconds 300 --seed 7 --save worst   # search longer, and keep what was found
  python benchmarks/policy_cost.py --keep    # and keep the record that the page of results is made from
  python benchmarks/policy_cost.py --quick --plot docs/assets/policy-cost.svg

The exit status is 0 whether or not the goals are met: a busy machine is no fault of the code.
"""

from __future__ import annotations

import argparse
import gc
import json
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, NamedTuple

from curves import Curve, drawing
from hard_policies import Limits, mutated, random_policy, size_of
from record import ROOT, Plot, Table, describe_machine, keep
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from typical_policies import QUEUE_ARN, TYPICAL, policy_of, statements

from safe_sqs import Config, policy
from safe_sqs.model import Facts, Queue
from safe_sqs.rules import RULES_BY_NAME

Policy = dict[str, Any]
Question = Callable[[str], Any]

QUEUE = Queue("https://sqs.us-east-1.amazonaws.com/111122223333/orders", "aws", "us-east-1", "111122223333", "orders")
CONFIG = Config()


class Answers(NamedTuple):
    """What the rules say: `found` as a question would answer."""

    found: bool | None


def ask_rules(text: str) -> Answers:
    facts = Facts(queue=QUEUE, policy=text)
    problems = [
        problem
        for name in ("public-access", "tls-only-policy", "least-privilege")
        for problem in RULES_BY_NAME[name].check(facts, CONFIG)
    ]
    return Answers(None if any(problem.unverifiable for problem in problems) else bool(problems))


RULES_ASK: dict[str, Question] = {
    "public_access": lambda text: policy.public_access(text, queue_arn=QUEUE_ARN),
    "plaintext_access": lambda text: policy.plaintext_access(text, queue_arn=QUEUE_ARN),
    "grants": lambda text: policy.grants(text, queue_arn=QUEUE_ARN),
    "foreign_accounts": lambda text: policy.foreign_accounts(text, queue_arn=QUEUE_ARN),
}
SEARCHING: dict[str, Question] = {
    "public_access": RULES_ASK["public_access"],
    "plaintext_access": RULES_ASK["plaintext_access"],
    "outside_vpc_access": lambda text: policy.outside_vpc_access(text, queue_arn=QUEUE_ARN),
    "rules": ask_rules,
}

TYPICAL_GOAL_MICROSECONDS = 300
DECIDED_GOAL_MILLISECONDS = 20
UNDECIDED_GOAL_MILLISECONDS = 100
GIVE_UP_SECONDS = 2.0
"""The CPU time after which no question is waited for."""
POOL = 28
FRESH = 0.25
"""How many of the policies tried are new, and not changed ones."""


def main() -> None:
    arguments = parse()
    command = shlex.join(["python", "benchmarks/policy_cost.py", *sys.argv[1:]])
    for name, value in describe_machine().items():
        print(f"{name:<10}{value}")
    print(f"{'command':<10}{command}")
    rounds = 20 if arguments.quick else 100
    usual = list(typical(rounds))
    print("\n".join(typical_table(usual)), flush=True)
    grown = list(growth(rounds))
    print("\n".join(growth_table(grown)), flush=True)
    worst: dict[bool, Found] = {}
    if arguments.plot:
        arguments.plot.write_text(plot(grown), encoding="utf-8")
    for each_statement in (False, True) if arguments.seconds > 0 else ():
        found = search(arguments.seconds / 2, arguments.seed, Limits(each_statement))
        print("\n".join(worst_table(found, each_statement=each_statement)), flush=True)
        if arguments.save:
            save(found, arguments.save, "each" if each_statement else "all")
        worst[each_statement] = found
    if arguments.keep:
        keep_record(usual, grown, worst, arguments.seconds)


def keep_record(usual: Sequence[Cost], grown: Sequence[Cost], worst: Mapping[bool, Found], seconds: float) -> None:
    """Keep what was measured for the page of results, and the plot with it."""
    drawn = Plot("policy-cost.svg", "What judging a queue policy costs, by its statements")
    (ROOT / "docs" / "assets" / drawn.file).write_text(plot(grown), encoding="utf-8")
    middle = {entry.name: entry.median("together") for entry in usual}
    met = sum(each <= TYPICAL_GOAL_MICROSECONDS for each in middle.values())
    summary = (
        f"{met} of {len(middle)} typical policies are judged within {TYPICAL_GOAL_MICROSECONDS} us, "
        f"with all questions that the default rules ask; the dearest takes {max(middle.values()):.0f} us"
    )
    if worst:
        slowest = max(one.milliseconds for found in worst.values() for one in found.worst)
        summary += f". The worst question that a search of {seconds:.0f} s found takes {slowest:.0f} ms"
    typical_rows = [
        (entry.name, entry.bytes, f"{entry.median('together'):.0f}", f"{entry.median('cold'):.0f}") for entry in usual
    ]
    worst_rows = [
        (
            "a statement" if each_statement else "a policy",
            one.question,
            "undecided" if one.found is None else str(one.found),
            f"{one.milliseconds:.1f}",
            f"{one.goal}",
        )
        for each_statement, found in worst.items()
        for one in found.worst
    ]
    keep(
        "policy-cost",
        title="What judging a policy costs",
        command="make bench-policy",
        tables=[
            Table("Typical policies", ("Policy", "Bytes", "CPU us", "Cold, us"), typical_rows),
            Table("The worst that was found", ("10 conditions", "Question", "Answer", "CPU ms", "Goal ms"), worst_rows),
        ],
        plots=[drawn],
        summary=f"{summary}.",
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds for the typical policies and the growth")
    parser.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        metavar="N",
        help="how long to search for bad cases, 0 for no search (default: 20)",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="where the search starts (default: 1)")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write the worst policies to a folder, as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the growth into an SVG file")
    parser.add_argument("--keep", action="store_true", help="keep the record and the plot for the page of results")
    return parser.parse_args()


# --- typical policies, and how the cost grows --------------------------------------------------------------------


class Cost(NamedTuple):
    """Microseconds of each round, by question; "together" is all of them on one text."""

    name: str
    bytes: int
    rounds: dict[str, list[float]]

    def median(self, question: str) -> float:
        return median(self.rounds[question])


_numbers = count(100_000)


def fresh_text(document: Policy) -> str:
    """The text of the policy, with an Id that no text had before."""
    return json.dumps({**document, "Id": f"policy-{next(_numbers)}"})


def forget() -> None:
    """Empty the caches of the policy package."""
    for name, module in list(sys.modules.items()):
        if name.startswith("safe_sqs.policy"):
            for entry in vars(module).values():
                if hasattr(entry, "cache_clear"):
                    entry.cache_clear()


def cost(name: str, document: Policy, rounds: int) -> Cost:
    def together(text: str) -> None:
        for question in RULES_ASK.values():
            question(text)

    asked = {**RULES_ASK, "together": together, "rules": ask_rules, "cold": together}
    taken: dict[str, list[float]] = {question: [] for question in asked}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for question, ask in asked.items():
                text = fresh_text(document)
                if question == "cold":
                    forget()
                start = time.thread_time()
                ask(text)
                taken[question].append((time.thread_time() - start) * 1e6)
    finally:
        gc.enable()
    return Cost(name, size_of(document), taken)


def typical(rounds: int) -> Iterator[Cost]:
    for name, document in TYPICAL.items():
        yield cost(name, document, rounds)


def growth(rounds: int) -> Iterator[Cost]:
    for number in range(1, 21):
        yield cost(str(number), policy_of(*statements(number)), rounds)


def typical_table(costs: Iterable[Cost]) -> Iterator[str]:
    heads = "".join(f"{question:>18}" for question in RULES_ASK)
    rest = f"{'together':>10}{'least':>8}{'most':>8}{'goal':>6}{'cold':>8}{'rules':>8}"
    yield f"\n{'typical, us (median)':<26}{'bytes':>6}{heads}{rest}"
    for entry in costs:
        together = entry.rounds["together"]
        parts = "".join(f"{entry.median(question):>18.0f}" for question in RULES_ASK)
        middle = entry.median("together")
        verdict = "met" if middle <= TYPICAL_GOAL_MICROSECONDS else "not met"
        yield (
            f"{entry.name:<26}{entry.bytes:>6}{parts}{middle:>10.0f}{min(together):>8.0f}{max(together):>8.0f}"
            f"{TYPICAL_GOAL_MICROSECONDS:>6}{entry.median('cold'):>8.0f}{entry.median('rules'):>8.0f}  {verdict}"
        )


def growth_table(costs: Iterable[Cost]) -> Iterator[str]:
    heads = "".join(f"{question:>18}" for question in RULES_ASK)
    yield f"\n{'statements, us (median)':<26}{'bytes':>6}{heads}{'together':>10}{'cold':>8}{'rules':>8}"
    for entry in costs:
        parts = "".join(f"{entry.median(question):>18.0f}" for question in RULES_ASK)
        together, cold, rules = (entry.median(name) for name in ("together", "cold", "rules"))
        yield f"{entry.name:<26}{entry.bytes:>6}{parts}{together:>10.0f}{cold:>8.0f}{rules:>8.0f}"


def plot(costs: Sequence[Cost]) -> str:
    curves = [
        Curve(name, [(int(entry.name), entry.median(question)) for entry in costs])
        for question, name in {"together": "all four", **{question: question for question in RULES_ASK}}.items()
    ]
    return drawing(
        curves,
        title="Judging a queue policy, from its text",
        across="statements in the policy",
        up="CPU time in microseconds (median)",
        note=f"{describe_machine()['python']}; python benchmarks/policy_cost.py --plot FILE",
    )


# --- the search for bad cases ------------------------------------------------------------------------------------


class TooLong(BaseException):
    """The question took longer than this program waits."""


class Judged(NamedTuple):
    """One policy, and what one question took for it. `found` is the answer, or the name of what was raised."""

    document: Policy
    question: str
    milliseconds: float
    found: bool | str | None

    @property
    def is_decided(self) -> bool:
        return isinstance(self.found, bool)

    @property
    def goal(self) -> float:
        return UNDECIDED_GOAL_MILLISECONDS if self.found is None else DECIDED_GOAL_MILLISECONDS


class Found(NamedTuple):
    """What the search came to: how many policies it tried, and the worst for each question and kind of answer."""

    tried: int
    worst: list[Judged]


def ask(question: str, document: Policy) -> Judged:
    text = fresh_text(document)
    forget()
    found: bool | str | None
    with _time_limit():
        start = time.thread_time()
        try:
            found = SEARCHING[question](text).found
        except TooLong:
            found = "gave up"
        except Exception as error:
            found = f"{type(error).__name__}: {error}"[:100]
        taken = (time.thread_time() - start) * 1e3
    return Judged(document, question, taken, found)


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raises TooLong in the middle of what takes too long, where the system can."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, GIVE_UP_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _stop(_number: int, _frame: object) -> None:
    raise TooLong


def least_of_three(judged: Judged) -> Judged:
    if judged.milliseconds > GIVE_UP_SECONDS * 500:
        return judged
    again = [ask(judged.question, judged.document) for _ in range(2)]
    return min((judged, *again), key=lambda one: one.milliseconds)


def search(seconds: float, seed: int, limits: Limits) -> Found:
    """One climb for each question: what took it long is kept and changed."""
    rng = Random(seed)
    pools: dict[str, list[Judged]] = {question: [] for question in SEARCHING}
    worst: dict[tuple[str, bool | str | None], Judged] = {}
    tried = 0
    for part in _until(seconds):
        question = list(SEARCHING)[int(part * len(SEARCHING))]
        pool = pools[question]
        if len(pool) < POOL or rng.random() < FRESH:
            document = random_policy(rng, limits, tried)
        else:
            document = mutated(_one_of(pool, rng), _one_of(pool, rng), rng, limits)
        tried += 1
        judged = ask(question, document)
        place = (question, judged.found)
        is_worst = place not in worst or judged.milliseconds > worst[place].milliseconds
        if is_worst or len(pool) < POOL or judged.milliseconds > pool[-1].milliseconds:
            judged = least_of_three(judged)
            if place not in worst or judged.milliseconds > worst[place].milliseconds:
                worst[place] = judged
            pool.append(judged)
            pool.sort(key=lambda one: -one.milliseconds)
            del pool[POOL:]
    return Found(tried, sorted(worst.values(), key=lambda one: -one.milliseconds))


def _one_of(pool: Sequence[Judged], rng: Random) -> Policy:
    """One of the pool, rather one of the worse."""
    return pool[int(rng.random() ** 2 * len(pool))].document


def _until(seconds: float) -> Iterator[float]:
    """Goes on until the time is over, with a bar on a terminal. Tells which part of it has gone."""
    console = Console(stderr=True)
    columns = (TextColumn("searching"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=seconds)
        start = time.perf_counter()
        while (gone := time.perf_counter() - start) < seconds:
            progress.update(task, completed=gone)
            yield gone / seconds


def worst_table(found: Found, *, each_statement: bool) -> Iterator[str]:
    of_what = "a statement" if each_statement else "a policy"
    yield f"\nthe worst of {found.tried} policies with at most 10 conditions {of_what}"
    yield f"{'question':<24}{'answer':<12}{'ms':>8}{'bytes':>8}{'statements':>12}{'goal':>6}"
    for one in found.worst:
        verdict = "met" if one.milliseconds <= one.goal and not isinstance(one.found, str) else "not met"
        answer = "undecided" if one.found is None else str(one.found)
        yield (
            f"{one.question:<24}{answer:<12}{one.milliseconds:>8.2f}{size_of(one.document):>8}"
            f"{len(one.document['Statement']):>12}{one.goal:>6}  {verdict}"
        )


def save(found: Found, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in found.worst:
        answer = "undecided" if one.found is None else str(one.found).partition(":")[0].replace(" ", "-")
        file = folder / f"{one.question}-{answer}-{name}.json"
        file.write_text(json.dumps(one.document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
