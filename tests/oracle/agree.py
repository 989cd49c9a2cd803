"""Does policy.decide agree with an evaluator of IAM policies that nobody here wrote?

Makes random policies and requests, asks both safe_sqs and iam-simulate (through node), and counts. A disagreement is
explained when iam-simulate agrees once it is asked in a way that avoids one of its known faults; explanations.py has
the faults, with the sentence of the IAM reference that shows who is right. Exits with 1 when one is left unexplained.

Needs node, and `npm ci` in this directory; `make oracle` sees to that. From the directory of the tests:

  python -m oracle.agree --pairs 20000
  python -m oracle.agree --pairs 1 --seed 4711 --show 1     # one pair again
  python -m oracle.agree --record                           # recorded.jsonl, which the tests replay without node
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from oracle.explanations import EXPLANATIONS, Pair, rewritings
from random_policies import EVERYTHING, Features, random_policy, random_request

from safe_sqs.policy import decide

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "recorded.jsonl"
AT_ONCE = 5_000
AGREED, UNEXPLAINED = "agreed", "not explained"


class Verdict(NamedTuple):
    """A pair, what both sides said of it, and why they differ. `asked` is the pair as iam-simulate understands it."""

    pair: Pair
    decided: str
    answered: str
    why: str
    asked: Pair


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.record:
        return record(options.record)
    counts: Counter[str] = Counter()
    decisions: Counter[str] = Counter()
    for verdict in verdicts(random_pairs(options.seed, options.pairs)):
        counts[verdict.why] += 1
        decisions[verdict.decided] += 1
        if verdict.why == UNEXPLAINED and counts[UNEXPLAINED] <= options.show:
            say(f"{described(verdict)}\n")
    say(report(counts, decisions))
    return 1 if counts[UNEXPLAINED] else 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20_000, metavar="N", help="how many (default 20,000)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the first pair; the next has the next seed"
    )
    parser.add_argument("--show", type=int, default=5, metavar="N", help="print so many that are not explained (5)")
    parser.add_argument(
        "--record", type=Path, nargs="?", const=RECORDED, metavar="FILE", help="write pairs for the tests"
    )
    return parser.parse_args(arguments)


def random_pairs(seed: int, count: int, features: Features = EVERYTHING) -> Iterator[Pair]:
    """As many pairs, each made from a seed of its own, so that one can be made again alone."""
    for index in range(seed, seed + count):
        rng = Random(index)
        policy = random_policy(rng, features)
        yield policy, random_request(rng, policy, features)


def verdicts(pairs: Iterable[Pair]) -> Iterator[Verdict]:
    """Ask both sides about each pair."""
    for chunk in _chunks(pairs, AT_ONCE):
        answers = ask(chunk)
        rewritten: list[tuple[int, str, Pair]] = []
        found: dict[int, Verdict] = {}
        for index, (pair, answered) in enumerate(zip(chunk, answers, strict=True)):
            decided = decide(*pair).value
            why = AGREED if decided == answered else UNEXPLAINED
            found[index] = Verdict(pair, decided, answered, why, pair)
            if why == UNEXPLAINED:
                rewritten.extend((index, name, other) for name, other in rewritings(*pair))
        others = ask([other for _, _, other in rewritten])
        for (index, name, other), answered in zip(rewritten, others, strict=True):
            if found[index].why == UNEXPLAINED and answered == found[index].decided:
                found[index] = found[index]._replace(why=name, asked=other)
        yield from found.values()


def ask(pairs: Sequence[Pair]) -> list[str]:
    """What iam-simulate says of each pair; where it cannot say anything, why."""
    lines = "".join(f"{json.dumps({'policy': policy, **as_json(request)})}\n" for policy, request in pairs)
    command = ["node", str(HERE / "simulate.mjs")]
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    return [reply.get("answer", f"error: {reply.get('error')}") for reply in replies]


def as_json(request: Any) -> dict[str, Any]:
    return {**request._asdict(), "keys": {key: list(values) for key, values in request.keys.items()}}


def described(verdict: Verdict) -> str:
    policy, request = verdict.pair
    return (
        f"decide says {verdict.decided}, iam-simulate says {verdict.answered}\n"
        f"  policy: {json.dumps(policy)}\n  request: {json.dumps(as_json(request))}"
    )


def report(counts: Counter[str], decisions: Counter[str]) -> str:
    """The counts as a table, with the sentence that decides for each explanation."""
    total = sum(counts.values())
    lines = [f"{total:>9,} pairs ({', '.join(f'{count:,} {name}' for name, count in decisions.most_common())})"]
    lines += [f"{counts[AGREED]:>9,} {AGREED}"]
    alone = {explanation.name: explanation for explanation in EXPLANATIONS}
    for name, count in counts.most_common():
        if name in alone:
            explanation = alone[name]
            lines.append(f"{count:>9,} {name}: iam-simulate {explanation.fault}")
            lines.append(f'{"":>12}"{explanation.sentence}" ({explanation.page})')
    several = sum(count for name, count in counts.items() if " + " in name)
    lines += [f"{several:>9,} by several of these together", f"{counts[UNEXPLAINED]:>9,} {UNEXPLAINED}"]
    return "\n".join(lines)


def record(path: Path, count: int = 60_000) -> int:
    """Write a few hundred of so many pairs, so that each answer and each explanation is among them."""
    features = dataclasses.replace(EVERYTHING, statements=2)
    wanted = Counter({"allow": 90, "deny": 90, "no match": 60, **{entry.name: 8 for entry in EXPLANATIONS}})
    with path.open("w", encoding="utf-8") as file:
        for verdict in verdicts(random_pairs(1_000_000, count, features)):
            kind = verdict.decided if verdict.why == AGREED else verdict.why
            if wanted[kind] > 0 and verdict.why != UNEXPLAINED:
                wanted[kind] -= 1
                file.write(f"{json.dumps(recorded(verdict), separators=(',', ':'))}\n")
            if not any(count > 0 for count in wanted.values()):
                break
    missing = {kind: count for kind, count in wanted.items() if count > 0}
    say(f"{path.name} is written{f', short of {missing}' if missing else ''}")
    return 1 if missing else 0


def recorded(verdict: Verdict) -> dict[str, Any]:
    """A line of the record. `asked` is the pair by the explanation, and `answer_to_asked` what was said of that."""
    policy, request = verdict.pair
    entry = {"policy": policy, **as_json(request), "answer": verdict.answered}
    if verdict.why != AGREED:
        policy, request = verdict.asked
        entry |= {
            "why": verdict.why,
            "asked": {"policy": policy, **as_json(request)},
            "answer_to_asked": verdict.decided,
        }
    return entry


def _chunks(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    chunk: list[Pair] = []
    for pair in pairs:
        chunk.append(pair)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


if __name__ == "__main__":
    sys.exit(main())
