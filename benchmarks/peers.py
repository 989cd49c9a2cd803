"""How safe_sqs and the known tools judge the same queue policies.

Asks each tool, about every policy of the corpus: is this queue public? The corpus (tests/corpus/public/*.yaml) says
what is right, and why. Each tool is its own released package in a virtual environment of its own, and is asked through
its own code, as its users run it (benchmarks/peers/ask_*.py):

  safe_sqs          policy.public_access
  policyuniverse    Policy.is_internet_accessible
  Prowler           the check sqs_queues_not_publicly_accessible
  Checkov           the checks CKV_AWS_168 and CKV_AWS_387, on a Terraform file
  Cloud Custodian   the filter cross-account with everyone_only

The columns: right; said safe, but the queue is open; said open, but it is safe; could not read: the tool raised an
error or gave no answer. A tool that fails as a whole has a row that says so, and stops no other. No network, no AWS.

Examples:
  make bench-policy                                 # installs the tools where needed, then runs this
  python benchmarks/peers.py                        # with what is installed below .venv-peers/
  python benchmarks/peers.py --details              # which policies each tool got wrong or could not read
  python benchmarks/peers.py --only safe_sqs --only prowler
  python benchmarks/peers.py --json judged.json     # every answer, as JSON too

The exit status is 0 however the tools did, and 2 when the corpus cannot be read.
"""

from __future__ import annotations

import argparse
import enum
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
QUEUE_ARN = "arn:aws:sqs:us-east-1:111122223333:orders"
"""The queue of a policy that names none."""


class Peer(NamedTuple):
    """A tool to ask. `name` is that of its adapter, its requirements file and its virtual environment."""

    name: str
    title: str


PEERS = (
    Peer("safe_sqs", "safe_sqs"),
    Peer("policyuniverse", "policyuniverse"),
    Peer("prowler", "Prowler"),
    Peer("checkov", "Checkov"),
    Peer("c7n", "Cloud Custodian"),
)


class Entry(NamedTuple):
    """One policy of the corpus: what the adapters are given, and what is right."""

    id: str
    public: bool
    asked: dict[str, object]


class Outcome(enum.Enum):
    """What became of one policy. The values are the heads of the columns."""

    RIGHT = "right"
    MISSED = "said safe, is open"
    FALSE_ALARM = "said open, is safe"
    UNREAD = "could not read"


class Row(NamedTuple):
    """What one judge said. `outcomes` holds the outcome of each policy by its id, `errors` why one could not be read;
    `fault` says what went wrong with the tool as a whole."""

    judge: str
    version: str
    outcomes: dict[str, Outcome]
    errors: dict[str, str]
    fault: str = ""

    def count(self, outcome: Outcome) -> int:
        return Counter(self.outcomes.values())[outcome]


class CorpusError(Exception):
    """The corpus cannot be read: where, and why."""


def main() -> int:
    arguments = parse()
    try:
        entries = read_corpus(arguments.corpus)
    except CorpusError as error:
        print(f"{error}", file=sys.stderr)
        return 2
    peers = [peer for peer in PEERS if not arguments.only or peer.name in arguments.only]
    rows = ask_all(peers, entries, arguments.environments, arguments.timeout)
    print("\n".join(table(entries, rows)))
    if arguments.details:
        print("\n".join(details(rows)))
    if arguments.json:
        arguments.json.write_text(json.dumps([as_json(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--details", action="store_true", help="print the ids of what was not judged right")
    parser.add_argument(
        "--only", action="append", metavar="TOOL", choices=[peer.name for peer in PEERS],
        help=f"ask this tool, one of {', '.join(peer.name for peer in PEERS)}; may be given more than once",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every answer to a file as well")
    parser.add_argument(
        "--corpus", type=Path, default=ROOT / "tests" / "corpus" / "public", metavar="FOLDER",
        help="the folder of the labelled policies, *.yaml (default: tests/corpus/public)",
    )  # fmt: skip
    parser.add_argument(
        "--environments", type=Path, default=ROOT / ".venv-peers", metavar="FOLDER",
        help="the folder of the tools' virtual environments (default: .venv-peers)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="the most that one tool may take (default: 600)"
    )
    return parser.parse_args()


# --- corpus ------------------------------------------------------------------------------------------------------


def read_corpus(folder: Path) -> list[Entry]:
    """Every entry of every file. Raises CorpusError."""
    entries: list[Entry] = []
    for file in sorted(folder.glob("*.yaml")):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            entries += [_entry(raw) for raw in content or ()]
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise CorpusError(f"{file}: {type(error).__name__}: {error}") from error
    if not entries:
        raise CorpusError(f"{folder}: no labelled policies here (*.yaml); see --corpus")
    if twice := [name for name, times in Counter(entry.id for entry in entries).items() if times > 1]:
        raise CorpusError(f"{folder}: used by more than one policy: {', '.join(twice)}")
    return entries


def _entry(raw: dict[str, Any]) -> Entry:
    policy = raw["policy"]
    asked = {
        "id": raw["id"],
        "policy": policy if isinstance(policy, str) else "" if policy is None else json.dumps(policy),
        "queue_arn": raw.get("queue_arn", QUEUE_ARN),
        "trusted_accounts": list(raw.get("trusted_accounts", ())),
    }
    return Entry(raw["id"], raw["public"], asked)


# --- asking ------------------------------------------------------------------------------------------------------


def ask_all(peers: Sequence[Peer], entries: Sequence[Entry], environments: Path, timeout: float) -> list[Row]:
    """Every tool about every policy, with a bar for each on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn())
    rows = []
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        tasks = {peer: progress.add_task(peer.title, total=len(entries)) for peer in peers}
        for peer in peers:
            done = _counter_of_policies(lambda number, task=tasks[peer]: progress.update(task, completed=number))
            rows += ask(peer, entries, environments, timeout, done)
    return rows


def _counter_of_policies(show: Callable[[int], None]) -> Callable[[str], None]:
    """Counts each policy once, however many judges answer about it."""
    seen: set[str] = set()

    def count(name: str) -> None:
        seen.add(name)
        show(len(seen))

    return count


def ask(
    peer: Peer,
    entries: Sequence[Entry],
    environments: Path,
    timeout: float = 600.0,
    done: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """One row for each judge of the tool, or a single one that says why there is none."""
    python = Path(sys.executable) if peer.name == "safe_sqs" else environments / peer.name / "bin" / "python"
    if peer.name != "safe_sqs" and not (environments / peer.name / ".installed").exists():
        return [Row(peer.title, pinned(peer), {}, {}, f"not installed: {why_not(peer, environments)}")]
    version, answers, fault = pinned(peer), {}, ""
    for record in run(python, HERE / "peers" / f"ask_{peer.name}.py", entries, timeout):
        if "version" in record:
            version = record["version"]
        elif "fault" in record:
            fault = record["fault"]
        else:
            answers.setdefault(record["judge"], {})[record["id"]] = record
            done(record["id"])
    if not answers:
        return [Row(peer.title, version, {}, {}, fault or "no answer")]
    return [judged(judge, version, entries, said, fault) for judge, said in answers.items()]


def judged(judge: str, version: str, entries: Iterable[Entry], said: dict[str, dict[str, Any]], fault: str = "") -> Row:
    """The answers held against the labels."""
    outcomes, errors = {}, {}
    for entry in entries:
        answer = said.get(entry.id, {"error": fault or "no answer"})
        if "error" in answer:
            outcomes[entry.id] = Outcome.UNREAD
            errors[entry.id] = answer["error"]
        elif answer["public"] == entry.public:
            outcomes[entry.id] = Outcome.RIGHT
        else:
            outcomes[entry.id] = Outcome.MISSED if entry.public else Outcome.FALSE_ALARM
    return Row(judge, version, outcomes, errors, fault)


def run(python: Path, adapter: Path, entries: Iterable[Entry], timeout: float) -> Iterator[dict[str, Any]]:
    """What the adapter answers, record by record, and at the end a record "fault" where it did not end well."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile() as told:
        asked.writelines(json.dumps(entry.asked) + "\n" for entry in entries)
        asked.seek(0)
        try:
            process = subprocess.Popen(
                [python, adapter], stdin=asked, stdout=subprocess.PIPE, stderr=told, cwd=home, env=surroundings(home)
            )
        except OSError as error:
            yield {"fault": f"does not start: {error}"}
            return
        late = threading.Event()
        timer = threading.Timer(timeout, lambda: (late.set(), process.kill()))
        timer.start()
        try:
            with process:
                yield from map(json.loads, process.stdout or ())
        except ValueError:
            yield {"fault": "said something that is no JSON"}  # or was stopped within a word: the one below is better
        finally:
            timer.cancel()
            process.kill()
        if late.is_set():
            yield {"fault": f"stopped after {timeout:g} seconds"}
        elif process.returncode:
            told.seek(0)
            last = told.read().decode(errors="replace").strip().rpartition("\n")[2]
            yield {"fault": f"ended with exit status {process.returncode}: {last[:200]}"}


def surroundings(home: str) -> dict[str, str]:
    """The environment without what would steer Python, AWS or a tool's own configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AWS_", "BC_"))}
    return {**kept, "HOME": home, "AWS_EC2_METADATA_DISABLED": "true"}


def pinned(peer: Peer) -> str:
    """The version that the requirements file asks for."""
    file = HERE / "peers" / f"{peer.name}.txt"
    return file.read_text(encoding="utf-8").strip().rpartition("==")[2] if file.exists() else ""


def why_not(peer: Peer, environments: Path) -> str:
    """What the attempt to install it said last."""
    log = environments / f"{peer.name}.log"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    errors = [line for line in lines if "error" in line.lower()] or lines
    return errors[-1][:200] if errors else "`make bench-policy` installs it"


# --- telling -----------------------------------------------------------------------------------------------------


def table(entries: Sequence[Entry], rows: Iterable[Row]) -> Iterator[str]:
    public = sum(entry.public for entry in entries)
    yield f"{len(entries)} labelled policies: {public} public, {len(entries) - public} not\n"
    head = "".join(f"{outcome.value:>20}" for outcome in list(Outcome)[1:])
    yield f"{'tool':<44}{'version':<17}{'right':>14}{head}"
    for row in rows:
        start = f"{row.judge:<44}{row.version:<17}"
        if not row.outcomes:
            yield f"{start}  {row.fault}"
            continue
        right = row.count(Outcome.RIGHT)
        rest = "".join(f"{row.count(outcome):>20}" for outcome in list(Outcome)[1:])
        fault = f"   {row.fault}" if row.fault else ""
        yield f"{start}{right:>5}{percent(right, len(row.outcomes)):>9}{rest}{fault}"


def percent(part: int, whole: int) -> str:
    """Rounded, but never up to 100 %."""
    return f"{100 if part == whole else min(99.9, 100 * part / whole):.1f} %"


def details(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        for outcome in list(Outcome)[1:]:
            names = [name for name, became in row.outcomes.items() if became is outcome]
            if not names:
                continue
            yield f"\n{row.judge}: {outcome.value} ({len(names)})"
            if outcome is Outcome.UNREAD:
                yield from (f"  {name}: {row.errors[name]}" for name in names)
            else:
                yield textwrap.fill(
                    ", ".join(names), 118, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
                )


def as_json(row: Row) -> dict[str, object]:
    outcomes = {name: outcome.value for name, outcome in row.outcomes.items()}
    return {**row._asdict(), "outcomes": outcomes}


if __name__ == "__main__":
    sys.exit(main())
