"""What guard, audit and AWS Config rule cost and load, for few queues and many, one process and a million.

The tables come from formulas, which stand in docs/explanation/scale.md beside them. The formula for the guard is held
against a simulation: many processes, each with the guard's own cache (safe_sqs.cache) and a clock that the simulation
moves, whose look-ups are counted. Prices are those of us-east-1 without free tiers, as of November 2026; they and all
other assumptions can be changed.

Examples:
  python benchmarks/scale.py
  python benchmarks/scale.py --ttl 3600 --dead-letter 1.0      # another life of verdicts, a dead-letter queue for each
  python benchmarks/scale.py --sqs-usd-per-million 0.5
  python benchmarks/scale.py --processes 5000 --seed 7         # a longer simulation
  python benchmarks/scale.py --write docs/explanation/scale.md # writes the tables into the page, between their marks

The exit status is 0 when every simulation is as near to its formula as is promised, else 1.
"""

from __future__ import annotations

import argparse
import math
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from heapq import heapify, heapreplace
from pathlib import Path
from random import Random
from typing import NamedTuple

from safe_sqs.cache import MAX_QUEUES, REFUSAL_SECONDS, UNVERIFIABLE_SECONDS, Clock, Entry, VerdictCache
from safe_sqs.config import Config
from safe_sqs.facts import name_of
from safe_sqs.fleet.audit import DEFAULT_JOBS
from safe_sqs.judge import judge_queue
from safe_sqs.model import Facts, Finding, Mode, Verdict

SECONDS_PER_MONTH = 30.4 * 86_400
DAYS_PER_MONTH = 30.4
QUEUES = (10, 1_000, 100_000)
PROCESSES = (1, 1_000, 1_000_000)
FRESH_FROM, FRESH_TO = 0.80, 0.95
"""From which shares of its life on a good verdict is refreshed."""
WITHIN = 0.01
"""How near the simulation has to be to the formula."""
WITHIN_IN_A_WAVE = 0.10
BEGINNING, END = "<!-- made by benchmarks/scale.py, part {} -->", "<!-- end of part {} -->"


class Assumptions(NamedTuple):
    """What the tables rest on. Prices are in USD."""

    ttl_seconds: float = 300.0
    uses_per_second: float = 1.0  # of each queue by each process that uses it
    queues_per_process: int = 10  # at the most; one process alone uses all
    dead_letter: float = 0.5  # the share of queues that have a dead-letter queue
    customer_key: float = 0.0  # the share whose KMS key has to be described (level customer-key)
    changes_per_month: float = 2.0  # of a queue's configuration
    jobs: int = DEFAULT_JOBS
    look_seconds: float = 0.03  # from a request to its answer, within a region
    bytes_per_verdict: int = 1_500  # of a queue that passes with a warning
    lambda_gigabytes: float = 0.5
    lambda_at_once: int = 8
    sqs_usd_per_million: float = 0.40
    kms_usd_per_million: float = 3.00
    item_usd: float = 0.003
    evaluation_usd: float = 0.001
    lambda_usd_per_million: float = 0.20
    lambda_usd_per_gigabyte_second: float = 0.0000166667

    @property
    def calls_per_look(self) -> float:
        """Calls of SQS for one look at a queue."""
        return 1 + self.dead_letter

    @property
    def usd_per_look(self) -> float:
        """The price of one look."""
        keys = self.customer_key * (1 + self.dead_letter)
        return (self.calls_per_look * self.sqs_usd_per_million + keys * self.kms_usd_per_million) / 1e6


class Load(NamedTuple):
    """What something costs: calls of SQS in a second and a month, and the month's price."""

    calls_per_second: float
    calls_per_month: float
    usd_per_month: float


# --- the formulas ------------------------------------------------------------------------------------------------


def looks_per_second(life: float, uses: float, *, refreshed_early: bool = True) -> float:
    """Looks of one process at one queue that it goes on using: one in each cycle, which lasts from a look to the first
    use after the verdict wants to be refreshed."""
    share = (FRESH_FROM + FRESH_TO) / 2 if refreshed_early else 1.0
    return 1 / (share * life + 1 / uses)


def queues_used(queues: int, processes: int, given: Assumptions) -> int:
    """How many queues each process uses."""
    return queues if processes == 1 else min(queues, given.queues_per_process)


def guard_load(queues: int, processes: int, given: Assumptions) -> Load:
    """The guard in so many processes."""
    pairs = processes * queues_used(queues, processes, given)
    looks = pairs * looks_per_second(given.ttl_seconds, given.uses_per_second)
    month = looks * SECONDS_PER_MONTH
    return Load(looks * given.calls_per_look, month * given.calls_per_look, month * given.usd_per_look)


def verdict_bytes(queues: int, given: Assumptions) -> int:
    """The memory that the verdicts of one process take."""
    return min(queues, MAX_QUEUES) * given.bytes_per_verdict


def audit_calls(queues: int, given: Assumptions) -> float:
    """Calls of SQS in one audit."""
    return math.ceil(queues / 1_000) + queues * given.calls_per_look


def audit_seconds(queues: int, given: Assumptions, rate: float | None = None) -> float:
    """How long an audit takes, at `rate` calls in a second, or as fast as its jobs go."""
    return audit_calls(queues, given) / (rate or given.jobs / given.look_seconds)


def audit_usd(queues: int, given: Assumptions) -> float:
    """The price of one audit."""
    return (math.ceil(queues / 1_000) * given.sqs_usd_per_million) / 1e6 + queues * given.usd_per_look


def evaluations_usd(count: float, given: Assumptions) -> float:
    """The price of evaluations in a month: the first 100,000, the next 400,000, and all others."""
    first, next_, others = min(count, 1e5), min(max(count - 1e5, 0), 4e5), max(count - 5e5, 0)
    return (first + 0.8 * next_ + 0.5 * others) * given.evaluation_usd


class RuleCost(NamedTuple):
    """The AWS Config rule in a month."""

    evaluations: float
    sqs_calls: float
    lambda_seconds: float
    usd_recording: float
    usd_evaluations: float
    usd_rest: float


def rule_cost(queues: int, given: Assumptions) -> RuleCost:
    """Judging each change, and all queues once a day. Recording is paid for once, whatever rules there are."""
    changes, daily = queues * given.changes_per_month, queues * DAYS_PER_MONTH
    calls = math.ceil(queues / 1_000) * DAYS_PER_MONTH + (changes + daily) * given.calls_per_look
    look = given.calls_per_look * given.look_seconds
    seconds = changes * 2 * look + daily * look / given.lambda_at_once
    starts = changes + DAYS_PER_MONTH
    rest = (
        starts * given.lambda_usd_per_million / 1e6
        + seconds * given.lambda_gigabytes * given.lambda_usd_per_gigabyte_second
        + (changes + daily) * given.usd_per_look
    )
    evaluations = changes + daily
    return RuleCost(evaluations, calls, seconds, changes * given.item_usd, evaluations_usd(evaluations, given), rest)


def wave(processes: int, number: int, life: float) -> float:
    """Looks in the worst second, at the number-th refresh after all processes looked at one queue in the same second.

    The n-th refresh comes after n lives, each cut by its own share: a sum of n uniform numbers, which is the wider the
    larger n is. Its density is highest in the middle (Irwin-Hall).
    """
    width = (FRESH_TO - FRESH_FROM) * life
    middle = number / 2
    terms = ((-1) ** k * math.comb(number, k) * (middle - k) ** (number - 1) for k in range(math.floor(middle) + 1))
    return processes * sum(terms) / math.factorial(number - 1) / width if number > 1 else processes / width


# --- the simulations ---------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """A simulation beside its formula. `error` is the standard error of the simulated value, as a share of it."""

    what: str
    formula: float
    simulated: float
    error: float
    within: float

    @property
    def difference(self) -> float:
        """By how much the simulation is off, as a share of the formula."""
        return abs(self.simulated / self.formula - 1)

    @property
    def confirms(self) -> bool:
        """True when it is as near as is promised."""
        return self.difference <= self.within


GOOD = Verdict()
REFUSED = Verdict((Finding("queue-encryption", Mode.ENFORCE, "found", "expected", "next step", None),))
UNTOLD = Verdict((REFUSED.findings[0]._replace(unverifiable=True),))


class Process:
    """A process with the guard's own cache, on a clock that the simulation moves."""

    def __init__(self, ttl_seconds: float, random: Random, verdict: Verdict) -> None:
        self.now = 0.0
        self.looks = 0
        self.cache = VerdictCache(ttl_seconds, Clock(lambda: self.now, lambda: self.now), jitter=random.random)
        self._verdict = verdict

    def use(self, queue: bytes) -> Entry:
        """Use a queue as the guard does: by the entry while it is fresh and passes, else by what the cache says."""
        entry = self.cache.entries.get(queue)
        if entry is not None and entry.passes and self.now < entry.fresh:
            return entry
        found = self.cache.look_up(queue)
        if found.flight is not None:
            assert found.leads
            self.looks += 1
            return self.cache.settle(queue, found.flight, self._verdict)
        assert found.entry is not None
        return found.entry


def simulated_rate(
    processes: int, queues: int, seconds: float, ttl_seconds: float, uses: float, verdict: Verdict, random: Random
) -> tuple[float, float]:
    """Looks in a second of one process at one queue, and the standard error: every use at random times (Poisson).

    Counting begins two to three lives after the start, at another time in each process: otherwise all of them would be
    in the same part of their cycles when it begins and ends.
    """
    counts = []
    for _ in range(processes):
        warm = (2 + random.random()) * ttl_seconds
        process = Process(ttl_seconds, random, verdict)
        names = [b"https://sqs.us-east-1.amazonaws.com/123456789012/queue-%d" % each for each in range(queues)]
        next_uses = [(random.expovariate(uses), name) for name in names]
        heapify(next_uses)
        before = None
        while next_uses[0][0] < warm + seconds:
            process.now, name = next_uses[0]
            if before is None and process.now >= warm:
                before = process.looks
            process.use(name)
            heapreplace(next_uses, (process.now + random.expovariate(uses), name))
        counts.append((process.looks - (before or 0)) / seconds / queues)
    mean = sum(counts) / processes
    spread = math.sqrt(sum((each - mean) ** 2 for each in counts) / max(processes - 1, 1))
    return mean, spread / math.sqrt(processes) / mean


def simulated_start(processes: int, seconds: float, ttl_seconds: float, uses: float, random: Random) -> Counter[int]:
    """Looks by second, where all processes use one queue for the first time in the same second.

    Uses that come while the entry is fresh change nothing, so the next one after that is drawn at once.
    """
    by_second: Counter[int] = Counter()
    queue = b"https://sqs.us-east-1.amazonaws.com/123456789012/queue"
    for _ in range(processes):
        process = Process(ttl_seconds, random, GOOD)
        process.now = random.random()
        while process.now < seconds:
            before = process.looks
            entry = process.use(queue)
            by_second[int(process.now)] += process.looks - before
            process.now = max(entry.fresh, process.now) + random.expovariate(uses)
    return by_second


def rates(given: Assumptions, processes: int, seed: int) -> Iterator[Outcome]:
    """The rate of looks, where queues are good, refused, and unreadable, and where they are used rarely."""
    ttl = given.ttl_seconds
    cases = (
        ("good queues, used once a second", ttl, 1.0, GOOD, 5),
        ("good queues, used once a minute", ttl, 1 / 60, GOOD, 5),
        ("good queues, used once an hour", ttl, 1 / 3600, GOOD, 5),
        ("refused queues, used once a second", min(ttl, REFUSAL_SECONDS), 1.0, REFUSED, 1),
        ("unreadable queues, used once a second", min(ttl, UNVERIFIABLE_SECONDS), 1.0, UNTOLD, 1),
    )
    for what, life, uses, verdict, queues in cases:
        random = Random(f"{seed} {what}")
        seconds = min(max(8 * life, 1_200), 4_800) if uses >= 1 else max(20 / uses, 8 * life)
        many = processes if uses >= 1 else 4 * processes
        simulated, error = simulated_rate(many, queues, seconds, ttl, uses, verdict, random)
        formula = looks_per_second(life, uses, refreshed_early=verdict is GOOD)
        yield Outcome(what, formula, simulated, error, WITHIN)


def waves(given: Assumptions, processes: int, seed: int, scale: int = 1_000_000) -> Iterator[Outcome]:
    """The looks in the worst second after a start of all at once, of a sample, for as many as `scale`."""
    random = Random(f"{seed} start")
    ttl, factor = given.ttl_seconds, scale / processes
    by_second = simulated_start(processes, 3.5 * ttl, ttl, 10.0, random)
    yield Outcome("the first second", scale, by_second[0] * factor, 0.0, WITHIN)
    for number in (1, 2, 3):
        formula = wave(scale, number, ttl)
        middle = number * ttl * (FRESH_FROM + FRESH_TO) / 2
        half = max(round(ttl * (FRESH_TO - FRESH_FROM) / (3 if number == 1 else 20)), 1)
        seconds = range(round(middle) - half, round(middle) + half)
        found = sum(by_second[each] for each in seconds) or 1
        simulated = found / len(seconds) * factor
        yield Outcome(f"refresh {number}", formula, simulated, 1 / math.sqrt(found), WITHIN_IN_A_WAVE)


def measured_bytes(queues: int = 5_000) -> float:
    """The memory that the verdict about a queue without a policy takes, measured with so many: by the profile baseline
    it passes, with a warning."""
    cache, config, today = VerdictCache(300.0, Clock()), Config(), date(2026, 11, 1)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(queues):
        queue = b"https://sqs.us-east-1.amazonaws.com/123456789012/some-queue-%d" % number
        flight = cache.look_up(queue).flight
        assert flight is not None
        facts = Facts(name_of(queue.decode(), "us-east-1", "aws"), sse_sqs=True)
        cache.settle(queue, flight, judge_queue(facts, facts.queue, config, today))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / queues


# --- the tables --------------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """A number for a person to read, to three digits that say something."""
    if value == 0 or value >= 99.95:
        rounded = round(value, max(2 - math.floor(math.log10(value)), -12)) if value else 0
        for size, name in ((1e9, " billion"), (1e6, " million")):
            if rounded >= size:
                return f"{rounded / size:.3g}{name}"
        return f"{rounded:,.0f}"
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"


def usd(value: float) -> str:
    """An amount."""
    return "under 0.01" if 0 < value < 0.005 else f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """A time."""
    for size, name in ((3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} s"


def size(count: float) -> str:
    """An amount of memory."""
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(header)} |", f"|{'---:|' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def guard_table(given: Assumptions) -> str:
    """The guard."""
    rows = []
    for queues in QUEUES:
        for processes in PROCESSES:
            load, used = guard_load(queues, processes, given), queues_used(queues, processes, given)
            rows.append(
                (
                    f"{queues:,}",
                    f"{processes:,}",
                    f"{used:,}",
                    number(load.calls_per_second),
                    number(load.calls_per_month),
                    usd(load.usd_per_month),
                    size(verdict_bytes(used, given)),
                )
            )
    header = (
        "Queues",
        "Processes",
        "Queues used by each",
        "Calls/s",
        "Calls/month",
        "USD/month",
        "Memory of verdicts, each process",
    )
    return table(header, rows)


def audit_table(given: Assumptions) -> str:
    """The audit."""
    rows = [
        (
            f"{queues:,}",
            number(audit_calls(queues, given)),
            usd(audit_usd(queues, given)),
            duration(audit_seconds(queues, given)),
            duration(audit_seconds(queues, given, 100)),
            duration(audit_seconds(queues, given, 10)),
        )
        for queues in QUEUES
    ]
    jobs = f"Time, {given.jobs} jobs"
    return table(("Queues", "Calls", "USD", jobs, "Time at 100 calls/s", "Time at 10 calls/s"), rows)


def rule_table(given: Assumptions) -> str:
    """The AWS Config rule."""
    rows = []
    for queues in QUEUES:
        cost = rule_cost(queues, given)
        usds = (cost.usd_recording, cost.usd_evaluations, cost.usd_rest)
        row = (f"{queues:,}", number(cost.evaluations), number(cost.sqs_calls), number(cost.lambda_seconds))
        rows.append((*row, *map(usd, usds), usd(sum(usds))))
    header = (
        "Queues",
        "Evaluations/month",
        "Calls of SQS/month",
        "Lambda seconds/month",
        "USD recording",
        "USD evaluations",
        "USD Lambda and SQS",
        "USD/month",
    )
    return table(header, rows)


def wave_table(given: Assumptions) -> str:
    """A start of a million processes at once."""
    steady = 1_000_000 * looks_per_second(given.ttl_seconds, 10.0)
    rows = [("the first use", "0 s", number(1_000_000))]
    for each in (1, 2, 3, 10, 100):
        middle = each * given.ttl_seconds * (FRESH_FROM + FRESH_TO) / 2
        worst = wave(1_000_000, each, given.ttl_seconds) if each <= 10 else steady
        rows.append((f"refresh {each}", f"about {duration(middle)}", number(max(worst, steady))))
    slow = "the first use, when the start takes {} min"
    rows += [(slow.format(each), "all the while", number(1_000_000 / each / 60)) for each in (1, 5, 15)]
    return table(("What", "After", "Looks in the worst second"), rows)


def outcome_table(outcomes: Sequence[Outcome], unit: str) -> str:
    """Simulations beside their formulas."""
    rows = [
        (
            each.what,
            f"{each.formula:.4g}",
            f"{each.simulated:.4g}",
            f"{each.difference:.1%}",
            f"{each.error:.1%}",
            "yes" if each.confirms else "**no**",
        )
        for each in outcomes
    ]
    header = ("Case", f"Formula, {unit}", "Simulated", "Difference", "Standard error", "Confirmed")
    return table(header, rows)


def parts_of(given: Assumptions, steady: Sequence[Outcome], started: Sequence[Outcome]) -> dict[str, str]:
    """What the page shows, by the name of the part."""
    return {
        "guard": guard_table(given),
        "rates": outcome_table(steady, "looks/s"),
        "start": wave_table(given),
        "waves": outcome_table(started, "looks/s"),
        "audit": audit_table(given),
        "rule": rule_table(given),
    }


def written_into(page: str, parts: dict[str, str]) -> str:
    """The page with these parts in the place of those that it has. Raises ValueError where it has no marks."""
    for name, text in parts.items():
        beginning, end = BEGINNING.format(name), END.format(name)
        before, found, rest = page.partition(beginning)
        _, found_end, after = rest.partition(end)
        if not found or not found_end:
            raise ValueError(f"the page has no {beginning} and {end}")
        page = f"{before}{beginning}\n\n{text}\n\n{end}{after}"
    return page


# --- the command -------------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """Every assumption is an option."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in Assumptions()._asdict().items():
        option = f"--{name.replace('_seconds', '').replace('_', '-')}" if name == "ttl_seconds" else None
        made.add_argument(
            option or f"--{name.replace('_', '-')}", dest=name, type=type(default), default=default, metavar="N"
        )
    made.add_argument("--processes", type=int, default=400, metavar="N", help="to simulate, of each kind")
    made.add_argument("--started", type=int, default=50_000, metavar="N", help="to simulate in a start of all at once")
    made.add_argument("--seed", type=int, default=1, metavar="N")
    made.add_argument("--write", type=Path, metavar="PAGE", help="write the tables into this page, between their marks")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables. Returns the exit status."""
    chosen = parser().parse_args(arguments)
    given = Assumptions(**{name: getattr(chosen, name) for name in Assumptions._fields})
    assert Config().ttl_seconds == Assumptions().ttl_seconds, "the default life of a verdict is another one"
    steady = list(rates(given, chosen.processes, chosen.seed))
    started = list(waves(given, chosen.started, chosen.seed))
    parts = parts_of(given, steady, started)
    for name, text in parts.items():
        sys.stdout.write(f"{name}\n\n{text}\n\n")
    sys.stdout.write(f"measured: {measured_bytes():.0f} bytes for a verdict\n")
    if chosen.write:
        page = chosen.write.read_text(encoding="utf-8")
        chosen.write.write_text(written_into(page, parts), encoding="utf-8")
    return 0 if all(each.confirms for each in (*steady, *started)) else 1


if __name__ == "__main__":
    sys.exit(main())
