"""The race: what safe_sqs costs, beside what programs put around boto3 anyway.

In one run, in turn: boto3 as it is (twice, to show how far two equal things come out apart), safe_sqs, the botocore
instrumentations of OpenTelemetry, AWS X-Ray and Datadog, and a naive guard that asks for the queue's attributes before
each call. Each is a process of its own, since instrumentations patch botocore's classes. A parent tells one after the
other, in shuffled order, to make some calls. Measured are:

  - the guard alone beside boto3 in one process, which tells smaller differences;
  - a send, a batch of ten and a receive of ten of each, on a stubbed network and over loopback TLS: processor time,
    what is added to boto3 in the same round, and percentiles of single calls by the clock;
  - instructions, where valgrind is installed: the figure that the machine's other work does not touch;
  - 1 to 64 threads that share a client; 1 to 100,000 queues that the guard knows; import and client;
  - what is left in the guard, part by part, and why it is needed.

Examples:
  python benchmarks/race.py                  # about five minutes
  python benchmarks/race.py --quick          # about one and a half
  python benchmarks/race.py --keep           # and keep the record and the plots that the page of results is made from

Contestants whose libraries are not installed are left out; benchmarks/peers/race.txt names them. The exit status is 0
whether or not the goals are met: a busy machine is no fault of the code.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from contestants import CONTESTANTS, GUARD, INSTRUMENTATIONS, NAIVE, RAW
from curves import Bar, Curve, bars, drawing
from instructions import Counts, can_count, count, count_parts, counts_table, parts_table, raw_of
from laps import Crowd, Effort, Growth, Result, Start, crowds, growth, laps, results, starts
from quick_server import serving
from racer import taking_part
from record import ROOT, Plot, Table, as_text, describe_machine, keep

from safe_sqs.demo import cost
from safe_sqs.demo.unplugged import OPERATIONS, Provider

FULL = Effort(
    sets=5,
    rounds=30,
    sets_over_tls=3,
    calls=20,
    crowd_rounds=5,
    starts=10,
    queues=(1, 10, 100, 1_000, 10_000, 100_000),
    counted=60,
)
QUICK = FULL._replace(sets=2, rounds=15, sets_over_tls=1, crowd_rounds=2, starts=3, queues=(1, 100, 10_000))

RATIO_GOAL = 1.01
PEER_GOAL = 0.1
GROWTH_GOAL = 0.005
MANY = 10_000
"""The queues that are known when instructions are counted: under valgrind all takes much longer."""

ASSETS = ROOT / "docs" / "assets"
STUBBED, OVER_TLS = "stubbed network", "loopback TLS"
Results = dict[tuple[str, str], Result]


class Race(NamedTuple):
    """All that was measured. What needs valgrind is empty without it."""

    names: Sequence[str]
    in_one_process: dict[str, cost.Calls]
    stubbed: Results
    over_tls: Results
    counts: Counts
    by_queues: dict[int, float]
    crowds: dict[str, list[Crowd]]
    growth: list[Growth]
    starts: list[Start]


class Goal(NamedTuple):
    """What should hold. `found` and `most` are in the same unit."""

    what: str
    found: float
    most: float
    unit: str

    @property
    def is_met(self) -> bool:
        """It holds."""
        return self.found <= self.most


def run(effort: Effort) -> Iterator[tuple[str, object]]:
    """Measure all of it. Gives each part of a `Race`, with its name, as soon as it is there."""
    names = taking_part()
    few = [name for name in names if name in (*RAW, GUARD, NAIVE)]
    yield "names", names
    yield "in_one_process", in_one_process(effort)
    yield "stubbed", results(laps(names, effort, None, show))
    with serving() as server:
        yield "over_tls", results(laps(names, effort, server, show))
        over_tls = crowds(few, effort, server, show)
    yield "crowds", {STUBBED: crowds(few, effort, None, show), OVER_TLS: over_tls}
    yield "growth", growth(effort, show)
    yield "starts", starts(names, effort, show)
    yield "counts", counts_of(names, effort.counted) if can_count() else {}
    yield "by_queues", counts_by_queues(effort.counted) if can_count() else {}


def in_one_process(effort: Effort) -> dict[str, cost.Calls]:
    """Guarded calls and others, in turn in one process, which tells smaller differences than processes beside each
    other do."""
    rounds = cost.FULL._replace(sets=effort.sets, rounds=2 * effort.rounds)
    found = {}
    for operation in OPERATIONS:
        show(f"{operation}, in one process")
        found[operation] = cost.measure_calls(operation, Provider.STATIC, rounds)
    return found


def counts_of(names: Sequence[str], calls: int) -> Counts:
    """The instructions of each contestant, and of the guard with less."""
    counts: Counts = {}
    for name in names:
        show(f"counting instructions of {name}")
        counts[name] = count(name, calls=calls)
    show("counting instructions of the parts of the guard")
    return count_parts(counts, calls=calls)


def counts_by_queues(calls: int) -> dict[int, float]:
    """The instructions of a guarded send to queues in turn, by how many the guard knows."""
    found = {}
    for queues in (1, MANY):
        show(f"counting instructions with {queues:,} queues")
        found[queues] = count(GUARD, calls=calls, operations=(), queues=queues)["turn"]
    return found


# --- goals -------------------------------------------------------------------------------------------------------


def goals(race: Race) -> list[Goal]:
    """What the guard should do, by instructions and by the processor's time."""
    found = []
    peers = [name for name in INSTRUMENTATIONS if name in race.names]
    for operation in OPERATIONS:
        beside = race.in_one_process[operation]
        if race.counts:
            raw, own = raw_of(race.counts, operation), race.counts[GUARD][operation]
            found.append(Goal(f"{operation}: instructions, of boto3's", own / raw, RATIO_GOAL, "x"))
        found.append(Goal(f"{operation}: processor time, of boto3's", beside.ratio.value, RATIO_GOAL, "x"))
        if peers and race.counts:
            cheapest = min(peers, key=lambda name: race.counts[name][operation])
            part = (own - raw) / (race.counts[cheapest][operation] - raw)
            found.append(Goal(f"{operation}: added instructions, of {cheapest}'s", part, PEER_GOAL, "x"))
        if peers:
            cheapest = min(peers, key=lambda name: race.stubbed[name, operation].added)
            added = (beside.ratio.value - 1) * beside.raw_microseconds
            part = added / race.stubbed[cheapest, operation].added
            found.append(Goal(f"{operation}: added processor time, of {cheapest}'s", part, PEER_GOAL, "x"))
    if race.by_queues:
        few, many = race.by_queues.values()
        what = f"a send with {MANY:,} queues: instructions more than with 1, of boto3's send"
        found.append(Goal(what, (many - few) / raw_of(race.counts, "send"), GROWTH_GOAL, "x"))
    return found


# --- tables ------------------------------------------------------------------------------------------------------


def goals_table(race: Race) -> Table:
    rows = [
        (each.what, f"{each.found:.4f} {each.unit}", f"{each.most:g} {each.unit}", "met" if each.is_met else "not met")
        for each in goals(race)
    ]
    return Table("Goals", ("What", "Found", "At most", "Goal"), rows)


def in_one_process_table(found: dict[str, cost.Calls]) -> Table:
    rows = [
        (
            operation,
            f"{each.raw_microseconds:.1f}",
            f"{(each.ratio.value - 1) * each.raw_microseconds:+.1f}",
            f"{each.ratio.value:.4f}",
            f"{each.ratio.error:.4f}",
            f"{each.control.value:.4f}",
        )
        for operation, each in found.items()
    ]
    note = (
        "A guarded client and two others take turns in one process, ten calls at a time, which tells smaller "
        "differences than processes beside each other do. +- is the standard error of the ratio; the last column is "
        "the ratio of the two that are not guarded."
    )
    columns = ("Call", "boto3, CPU us", "Added us", "Ratio", "+-", "boto3 to boto3")
    return Table("The guard and boto3 in one process, stubbed network", columns, rows, note)


def calls_table(found: Results, network: str) -> Table:
    columns = ("Call", "Contestant", "CPU us", "Added us", "+-", "Ratio", "p50 us", "p99 us")
    rows = [
        (
            operation,
            name,
            f"{each.busy:.1f}",
            f"{each.added:+.1f}",
            f"{each.error:.1f}",
            f"{each.ratio:.3f}",
            f"{each.p50:.1f}",
            f"{each.p99:.1f}",
        )
        for wanted in OPERATIONS
        for (name, operation), each in found.items()
        if operation == wanted
    ]
    note = (
        "CPU is the processor time of the contestant's process, in the median of all rounds; what is added is taken "
        "against boto3 in the same round. For boto3 itself it is taken against the other boto3: that is noise. p50 and "
        "p99 are of single calls, by the clock."
    )
    return Table(f"Calls, {network}", columns, rows, note)


def crowds_table(found: Sequence[Crowd], network: str) -> Table:
    names = list(dict.fromkeys(each.name for each in found))
    by_threads: dict[int, list[object]] = {}
    for each in sorted(found, key=lambda one: (one.threads, names.index(one.name))):
        by_threads.setdefault(each.threads, []).extend((f"{each.per_second:,.0f}", f"{each.p99 / 1e3:.1f}"))
    columns = ("Threads", *(column for name in names for column in (f"{name}, sends/s", "p99 ms")))
    rows = [(str(threads), *cells) for threads, cells in by_threads.items()]
    note = "All threads use one client. Python runs one of them at a time, except while it waits for the network."
    return Table(f"Threads, {network}", columns, rows, note)


def growth_table(race: Race) -> Table:
    first = race.growth[0]
    rows = [
        (
            f"{each.queues:,}",
            f"{each.memory / 2**20:.1f}",
            f"{(each.memory - first.memory) / (each.queues - first.queues):,.0f}" if each.queues >= 1_000 else "",
            f"{each.added:+.1f}",
            f"{race.by_queues[each.queues]:,.0f}" if each.queues in race.by_queues else "",
        )
        for each in race.growth
    ]
    columns = ("Queues", "Memory of the process, MiB", "Bytes a queue", "Added us", "Instructions of a send")
    note = "The memory is what the system says that the process takes. Each send goes to one of the queues at random."
    return Table("Queues that the guard knows", columns, rows, note)


def starts_table(found: Sequence[Start]) -> Table:
    raw = sum(each.busy for each in found if each.name in RAW) / len(RAW)
    rows = [(each.name, f"{each.busy:.0f}", f"{each.added:+.1f}", f"{1 + each.added / raw:.3f}") for each in found]
    note = "A fresh interpreter imports all that is needed, puts it in place and makes a client."
    return Table("Import and client", ("Contestant", "CPU ms", "Added ms", "Ratio"), rows, note)


def versions_table(names: Sequence[str]) -> Table:
    from importlib.metadata import version

    rows = [(name, library, version(library)) for name in names for library in CONTESTANTS[name].libraries]
    return Table("Contestants", ("Contestant", "Library", "Version"), rows)


def table_of(part: str, race: dict[str, object]) -> Iterator[Table]:
    """The tables that can be made when this part is there."""
    if part == "in_one_process":
        yield in_one_process_table(race["in_one_process"])
    elif part == "stubbed":
        yield calls_table(race["stubbed"], STUBBED)
    elif part == "over_tls":
        yield calls_table(race["over_tls"], OVER_TLS)
    elif part == "crowds":
        for network, found in race["crowds"].items():
            yield crowds_table(found, network)
    elif part == "starts":
        yield starts_table(race["starts"])
    elif part == "counts" and race["counts"]:
        counts = race["counts"]
        yield counts_table({name: counts[name] for name in race["names"]})
        yield parts_table(counts)


# --- plots -------------------------------------------------------------------------------------------------------


def plots(race: Race, note: str) -> Iterator[tuple[Plot, str]]:
    """The drawings, with their SVG text."""
    rivals = [name for name in race.names if name not in RAW]
    title = "Processor time that a call takes more than with boto3"
    groups = [
        (operation, [_bar(name, race.stubbed[name, operation].added) for name in rivals]) for operation in OPERATIONS
    ]
    yield (
        Plot("race-added.svg", title),
        bars(groups, title=title, across="microseconds of one call, stubbed network", note=note),
    )
    if race.counts:
        title = "Instructions that a call takes more than with boto3"
        groups = [
            (
                operation,
                [_bar(name, (race.counts[name][operation] - raw_of(race.counts, operation)) / 1e3) for name in rivals],
            )
            for operation in OPERATIONS
        ]
        yield (
            Plot("race-instructions.svg", title),
            bars(groups, title=title, across="thousands of instructions of one call, stubbed network", note=note),
        )
    title = "Sends in a second by threads that share a client, loopback TLS"
    found = sorted(race.crowds[OVER_TLS], key=lambda one: one.name != GUARD)  # its colour is the first in every plot
    stops = list(dict.fromkeys(each.threads for each in found))
    lines = [
        Curve(name, [(stops.index(each.threads), each.per_second) for each in found if each.name == name])
        for name in dict.fromkeys(each.name for each in found)
    ]
    text = drawing(lines, title=title, across="threads", up="sends in a second", note=note, stops=[*map(str, stops)])
    yield Plot("race-threads.svg", title), text
    title = "What the guard adds to a send, by the queues that it knows"
    stops = [f"{each.queues:,}" for each in race.growth]
    points = [(float(number), max(each.added, 0)) for number, each in enumerate(race.growth)]
    cost = [(float(number), race.stubbed[RAW[0], "send"].busy) for number, _ in enumerate(race.growth)]
    lines = [Curve("added", points), Curve("boto3's send", cost)]
    text = drawing(lines, title=title, across="queues", up="microseconds", note=note, stops=stops)
    yield Plot("race-queues.svg", title), text


def _bar(name: str, value: float) -> Bar:
    return Bar(name, max(value, 0), f"{value:,.1f}")


# --- the command -------------------------------------------------------------------------------------------------


def main() -> int:
    arguments = parse()
    effort = Effort(**json.loads(arguments.effort)) if arguments.effort else QUICK if arguments.quick else FULL
    measured_on = describe_machine()
    for name, value in measured_on.items():
        print(f"{name:<10}{value}")
    tables = [versions_table(taking_part())]
    print(as_text(tables[0]))
    left_out = [name for name in CONTESTANTS if name not in taking_part()]
    if left_out:
        print(f"\nleft out, as not installed: {', '.join(left_out)}")
    parts: dict[str, object] = {}
    for part, found in run(effort):
        parts[part] = found
        for table in table_of(part, parts):
            show("")
            print(as_text(table), flush=True)
            tables.append(table)
    race = Race(**parts)
    for table in (growth_table(race), goals_table(race)):
        print(as_text(table))
        tables.append(table)
    if arguments.keep:
        note = f"{measured_on['python']}; make bench"
        drawn = list(plots(race, note))
        for plot, text in drawn:
            (arguments.assets / plot.file).write_text(text, encoding="utf-8")
        file = keep(
            "race",
            title="The race against peers",
            command="make bench",
            tables=[tables[-1], *tables[:-1]],
            plots=[plot for plot, _ in drawn],
            summary=summary(race),
            measured_on=measured_on,
            folder=arguments.records,
        )
        print(f"\nkept: {file}")
    return 0


def summary(race: Race) -> str:
    """One sentence out of the figures."""
    beside = race.in_one_process["send"]
    added = (beside.ratio.value - 1) * beside.raw_microseconds
    told = f"A send takes {added:.1f} us more than boto3's {beside.raw_microseconds:.0f} us"
    if race.counts:
        raw = raw_of(race.counts, "send")
        told += f", by instructions {race.counts[GUARD]['send'] / raw - 1:.2%}"
    rivals = [f"{name} {race.stubbed[name, 'send'].added:.0f} us" for name in race.names if name not in (*RAW, GUARD)]
    met = sum(each.is_met for each in goals(race))
    return f"{told}; {', '.join(rivals)}. {met} of {len(goals(race))} goals are met."


def show(text: str) -> None:
    """Progress, for a person who waits."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer of everything")
    parser.add_argument("--keep", action="store_true", help="keep the record and the plots for the page of results")
    # For the tests, which want to see that everything runs and not what it costs.
    parser.add_argument("--effort", help=argparse.SUPPRESS)
    parser.add_argument("--records", type=Path, default=ROOT / "benchmarks" / "results", help=argparse.SUPPRESS)
    parser.add_argument("--assets", type=Path, default=ASSETS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
