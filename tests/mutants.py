"""Mutation tests: the code is changed in small ways, and each time the tests run. A change that no test sees survives.

mutmut makes the mutants, and `trials` tries them. mutmut changes what is inside of functions: tables outside of them,
and functions under a decorator (properties, cached ones), are left out. What was seen is kept in mutants/, and is not
tried again until its function changes; survivors are.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import pytest  # noqa: E402
from mutmut.configuration import config  # noqa: E402
from mutmut.mutation.file_mutation import mutate_file_contents  # noqa: E402
from mutmut.utils.format_utils import get_mutant_name  # noqa: E402
from record import Table, as_text, keep  # noqa: E402
from trials import NO_TEST, SEEN, SURVIVED, TIMED_OUT, Outcome, Trials, function_of  # noqa: E402

EQUAL = ROOT / "tests" / "mutants.md"
GOAL = 95.0
EXAMPLES = """examples:
  python tests/mutants.py                               everything, which takes an hour or two
  python tests/mutants.py --sample 300                  300 mutants, the same ones each time
  python tests/mutants.py --group guard --only cache.   the mutants of one module
  python tests/mutants.py --patience 2                  quick, and then again for those that survived
  python tests/mutants.py --only look_up --tests tests/test_cache.py
                                                        what one file of tests sees
"""


class Group(NamedTuple):
    """Modules, and the tests that are to see their mutants."""

    modules: Sequence[str]
    tests: Sequence[str]
    start: str = "tests/test_"
    """How the file of each of these tests begins."""

    def files(self) -> list[str]:
        return [f"{self.start}{name}.py" for name in self.tests]


GROUPS = {
    "guard": Group(
        (
            "adapters",
            "cache",
            "changes",
            "decisions",
            "evaluation",
            "facts",
            "guarded",
            "hooks",
            "hosts",
            "inspection",
            "judge",
            "model",
            "operations",
            "rules/*",
            "session",
            "way_out",
            "wire",
        ),
        (
            "cache",
            "changes",
            "credentials",
            "decisions",
            "drop_in",
            "errors",
            "evaluation",
            "events",
            "fleet",
            "guarded",
            "hooks",
            "hosts",
            "in_flight",
            "late",
            "lookups",
            "operations",
            "report",
            "rules",
            "secrets",
            "transport",
            "usage",
            "wire",
        ),
    ),
    "asyncio": Group(
        ("async_hooks", "redirects"),
        ("faces", "faults", "same_answers", "waiting", "ways_out"),
        "tests/clients/test_aio_",
    ),
    "policy": Group(
        ("patterns", "policy/*"), ("mending", "policy", "policy_corpus", "policy_foreign", "policy_semantics")
    ),
}

HOW = [
    "-q",
    "--tb=no",
    f"--rootdir={ROOT}",
    f"--config-file={ROOT / 'setup.cfg'}",
    *("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"),
    *("-W", "ignore:It looks like `register_random`"),  # trio, when Hypothesis is loaded after the tests
]
"""The arguments of pytest."""
SHARED_BY_TESTS = ("conftest", "scripted", "sockets", "support")

OWN = {"way_out": "hooks"}
"""The modules whose tests are in the file of another."""

AREAS = {
    "rules": ("rules.",),
    "judge": ("judge", "patterns", "policy", "policy."),
    "cache": ("cache",),
    "hooks": ("hooks", "async_hooks", "redirects"),
}
"""The parts of the package for which the goal holds, by the modules in them. The rest is the guard."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Tries the mutants, prints the scores and the survivors, and gives 1 where a score is below the goal."""
    options = argparse.ArgumentParser(
        description="Mutation tests.", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--group", action="append", choices=GROUPS, help="these modules and their tests (all)")
    options.add_argument("--sample", type=int, metavar="N", help="take so many mutants, the same ones each time")
    options.add_argument("--only", action="append", metavar="TEXT", help="take those with this in their names")
    options.add_argument("--tests", nargs="+", metavar="FILE", help="with these tests in place of the group's")
    options.add_argument("--anew", action="store_true", help="try again what was seen before")
    options.add_argument("--show", type=int, default=30, metavar="N", help="show so many survivors (30)")
    options.add_argument("--processes", type=int, default=os.cpu_count(), metavar="N", help="try so many at a time")
    options.add_argument(
        "--patience",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="try each this long with cheap tests, and with others as long again (20); what no test sees until then, "
        "counts as what no test sees",
    )
    options.add_argument("--into", type=Path, default=ROOT / "mutants", metavar="FOLDER", help="work there (mutants)")
    options.add_argument("--keep", action="store_true", help="write the figures to benchmarks/results")
    chosen = options.parse_args(arguments)
    os.chdir(ROOT)
    config()  # which reads setup.cfg, and is asked for when tests have gone elsewhere
    copy = Copy(chosen.into.resolve())
    groups = chosen.group or list(GROUPS)
    mutants = {group: copy.mutants_of(GROUPS[group].modules, chosen.only or [""]) for group in groups}
    names = sorted(name for found in mutants.values() for name in found)
    if chosen.sample and chosen.sample < len(names):
        names = sorted(random.Random(0).sample(names, chosen.sample))
    results = Results(copy.folder / "results.json", copy.hashes)
    equal = equal_ones(names, copy)
    status = 0
    for group in groups:
        taken = [name for name in names if name in mutants[group]]
        pending = [name for name in taken if chosen.anew or results.of(name).result not in (SEEN, TIMED_OUT)]
        tell(f"{group}: {len(taken)} mutants, of which {len(pending)} are to be tried")
        if pending:
            tests = chosen.tests or GROUPS[group].files()
            known = copy.folder / "tests.json"
            process = multiprocessing.get_context("fork").Process(
                target=try_mutants, args=(copy, known, pending, equal, tests, results, chosen)
            )
            process.start()
            process.join()
            status |= process.exitcode or 0
            results.read()
    if status:
        return 2
    return report(names, equal, copy, results, chosen)


class Copy:
    """The package in another folder, with the mutants of some modules in it, of which none is switched on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hashes: dict[str, str] = {}
        """Of each mutant, what its function was when it was made."""
        self._files: dict[str, Path] = {}
        self._spans: dict[str, dict[str, tuple[int, int]]] = {}
        shutil.copytree(ROOT / "safe_sqs", folder / "safe_sqs", dirs_exist_ok=True, copy_function=self._copy_file)

    def _copy_file(self, source: str, target: str) -> None:
        """Copy a file, unless its mutants stand there already."""
        if not Path(f"{target}.json").exists():
            shutil.copy2(source, target)

    def mutants_of(self, modules: Iterable[str], only: Iterable[str]) -> set[str]:
        """The names of the mutants of these modules that have one of the texts in them. They are made if need be."""
        found = [file for module in modules for file in sorted((ROOT / "safe_sqs").glob(f"{module}.py"))]
        files = [file for file in found if any(may_be_in(text, file) for text in only)]
        with multiprocessing.Pool() as pool:
            made = pool.starmap(make_mutants, [(file, self.folder / file.relative_to(ROOT)) for file in files])
        names = set()
        for file, (mutants, hashes, spans) in zip(files, made, strict=True):
            for mutant in mutants:
                name = get_mutant_name(file.relative_to(ROOT), mutant)
                if not any(text in name for text in only):
                    continue
                self.hashes[name] = hashes.get(function_of(mutant), "")
                self._files[name] = self.folder / file.relative_to(ROOT)
                self._spans[name] = spans
                names.add(name)
        return names

    def change_of(self, name: str) -> str:
        """The change that a mutant is: its function, the line that goes, and the line that comes."""
        function, mutant = function_of(name).rpartition(".")[2], name.rpartition(".")[2]
        lines = self._files[name].read_text(encoding="utf-8").splitlines()
        texts = []
        for each in (f"{function}__mutmut_orig", mutant):
            first, last = self._spans[name][each]
            texts.append([line.replace(each, "") for line in lines[first - 1 : last]])
        changed = [line for line in difflib.unified_diff(*texts) if re.match(r"\+(?!\+\+)|-(?!--)", line)]
        where = name_of_function(name)
        return " ".join([where, *(re.sub(r"\s+", " ", line) for line in changed)])


def may_be_in(text: str, file: Path) -> bool:
    """True when a mutant of a file may have a text in its name, as far as the name of the file tells."""
    start = get_mutant_name(file.relative_to(ROOT), "x")
    return not text.startswith("safe_sqs.") or text.startswith(start) or start.startswith(text)


def make_mutants(file: Path, target: Path) -> tuple[list[str], dict[str, str], dict[str, tuple[int, int]]]:
    """Write a file with all mutants of its functions. Gives their names, the hash of each function, and the lines."""
    source = file.read_text(encoding="utf-8")
    of = hashlib.sha256(source.encode()).hexdigest()
    notes = Path(f"{target}.json")
    if notes.exists():
        known = json.loads(notes.read_text(encoding="utf-8"))
        if known["of"] == of:
            return known["made"]
    mutated = mutate_file_contents(str(file.relative_to(ROOT)), source)
    spans = {name: (span.start, span.end) for name, span in mutated.line_span_by_function_name.items()}
    made = (list(mutated.mutant_names), dict(mutated.hash_by_function_name), spans)
    target.write_text(mutated.code, encoding="utf-8")
    notes.write_text(json.dumps({"of": of, "made": made}), encoding="utf-8")
    return made


def name_of_function(mutant: str) -> str:
    """The function that a mutant is one of, as in "cache.VerdictCache.drop"; of policy.search, as in "search.cost"."""
    name = re.sub(r"\.x_|\.xǁ|ǁ", ".", function_of(mutant))
    return name.removeprefix("safe_sqs.").removeprefix("policy.")


class Results:
    """What became of the mutants, kept in a file. One whose function has changed is forgotten."""

    def __init__(self, file: Path, hashes: Mapping[str, str]) -> None:
        self._file = file
        self._hashes = hashes
        self.read()

    def read(self) -> None:
        known = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        self._kept = {name: entry for name, entry in known.items() if self._hashes.get(name, entry[0]) == entry[0]}

    def of(self, name: str) -> Outcome:
        return Outcome(*self._kept.get(name, ("", "not tried"))[1:])

    def keep(self, name: str, outcome: Outcome) -> None:
        self._kept[name] = (self._hashes[name], *outcome)

    def write(self) -> None:
        self._file.write_text(json.dumps(self._kept, indent=0), encoding="utf-8")


# --- trying --------------------------------------------------------------------------------------------------------


def try_mutants(
    copy: Copy,
    known: Path,
    mutants: Sequence[str],
    equal: Set[str],
    tests: Sequence[str],
    results: Results,
    chosen: argparse.Namespace,
) -> None:
    """Try mutants, in this process, which has to be a new one. Ends it with 2 where the tests fail without any."""
    sys.path.insert(0, str(copy.folder))
    os.environ["PYTHONPATH"] = str(copy.folder)
    package = digest_of(sorted((ROOT / "safe_sqs").rglob("*.py")))
    shared = digest_of(ROOT / "tests" / f"{name}.py" for name in SHARED_BY_TESTS)
    last = time.monotonic()

    def note(name: str, outcome: Outcome) -> None:
        nonlocal last
        results.keep(name, outcome)
        if time.monotonic() - last > 5:
            results.write()
            last = time.monotonic()

    trials = Trials(
        mutants,
        note,
        equal=equal,
        own=own_tests_of,
        patience=chosen.patience,
        known=known,
        edition=lambda module: package + shared + digest_of([module]),
        processes=chosen.processes,
        tell=tell,
    )
    status = pytest.main([*HOW, "-s", *tests], plugins=[trials])
    if status not in (
        pytest.ExitCode.OK,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):  # it counts the tests that it runs itself
        os._exit(2)
    for name in mutants:
        if results.of(name).result in (SURVIVED, NO_TEST) and function_of(name) in trials.while_importing:
            note(name, when_imported(name, copy, tests))
    for test in trials.wrong:
        tell(f"fails without a mutant, so that its word counts for nothing: {test}")
    for name in mutants:
        if results.of(name).test in trials.wrong:
            results.keep(name, Outcome("not tried"))
    results.write()
    sys.stdout.flush()
    os._exit(2 if trials.wrong else 0)


def digest_of(files: Iterable[Path]) -> str:
    """What tells other contents of these files from those."""
    texts = hashlib.sha256()
    for file in files:
        texts.update(file.read_bytes())
    return texts.hexdigest()[:16]


def when_imported(name: str, copy: Copy, tests: Sequence[str]) -> Outcome:
    """What becomes of a mutant that is there from the start of a process, in functions that the import calls."""
    environment = os.environ | {"MUTANT_UNDER_TEST": name, "PYTHONPATH": str(copy.folder)}
    # `python -m pytest` would find the package of the checkout first.
    command = [Path(sys.executable).with_name("pytest"), *HOW, "-x", *tests]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
    except subprocess.TimeoutExpired:
        return Outcome(TIMED_OUT)
    failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    return Outcome(SEEN, failed[1] if failed else "the import") if done.returncode else Outcome(SURVIVED)


# --- telling -------------------------------------------------------------------------------------------------------


NOTE = (
    "mutmut changes what is inside of functions; what is evaluated on import, as the tables of the rules, and what is "
    "under a decorator, as properties, it leaves alone. A mutant that takes ten times as long as the code, or hangs, "
    "has timed out, and counts as seen. Equal are those that tests/mutants.md lists, with the reasons."
)
COLUMNS = ("module", "mutants", "seen", "timed out", "survived", "equal", "score %")


class Count(NamedTuple):
    """Of some mutants, how many became what. `survived` are those that nothing excuses."""

    mutants: int
    seen: int
    timed_out: int
    survived: int
    equal: int

    @property
    def score(self) -> float:
        return 100 * (1 - self.survived / max(self.mutants - self.equal, 1))

    def row(self, name: str) -> tuple[object, ...]:
        return (name, *self, f"{self.score:.1f}")


def equal_ones(names: Sequence[str], copy: Copy) -> frozenset[str]:
    """Those that tests/mutants.md lists."""
    listed = re.findall(r"^- `(.+?)`:", EQUAL.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(name for name in names if any(re.search(each, copy.change_of(name)) for each in listed))


def report(names: Sequence[str], equal: Set[str], copy: Copy, results: Results, chosen: argparse.Namespace) -> int:
    """Prints what became of these mutants, and keeps it where that is wanted."""
    unseen = [name for name in names if results.of(name).result not in (SEEN, TIMED_OUT)]
    excused = equal & set(unseen)
    survivors = {name: copy.change_of(name) for name in unseen if name not in equal}
    for name, change in list(survivors.items())[: chosen.show]:
        tell(f"{results.of(name).result}: {change}  [{name}]")
    if len(survivors) > chosen.show:
        tell(f"and {len(survivors) - chosen.show} more")

    def count(taken: Iterable[str]) -> Count:
        taken = list(taken)
        became = Counter(results.of(name).result for name in taken)
        return Count(
            len(taken),
            became[SEEN],
            became[TIMED_OUT],
            sum(name in survivors for name in taken),
            sum(name in excused for name in taken),
        )

    modules, areas = group_by(names, module_of), group_by(names, area_of)
    by_module = [count(modules[module]).row(module) for module in sorted(modules)]
    totals = {area: count(areas[area]) for area in sorted(areas)}
    whole = count(names)
    rows = [*by_module, *(total.row(f"all of {area}") for area, total in totals.items()), whole.row("all")]
    table = Table("What became of the mutants", COLUMNS, rows, NOTE)
    tell(as_text(table))
    # Of a sample, a part may be too small for a score.
    if chosen.keep:
        keep_record(table, whole, chosen)
    short = [area for area, total in (totals if not chosen.sample else {"all": whole}).items() if total.score < GOAL]
    tell(
        f"mutation score: {whole.score:.1f} % (goal: {GOAL:.0f} %{', missed by ' + ', '.join(short) if short else ''})"
    )
    return 1 if short else 0


def keep_record(table: Table, whole: Count, chosen: argparse.Namespace) -> None:
    """Write the figures to benchmarks/results: those of a sample to a file of their own."""
    parts = [f"--group {group}" for group in chosen.group or ()] + [f"--only {text}" for text in chosen.only or ()]
    taken = (f" SAMPLE={chosen.sample}" if chosen.sample else "") + (f' MUTANTS="{" ".join(parts)}"' if parts else "")
    keep(
        "mutants-sample" if chosen.sample else "mutants",
        title=f"Mutation tests, {whole.mutants} of them at random" if chosen.sample else "Mutation tests",
        command=f"make mutants{taken}",
        tables=[table],
        summary=f"Of {whole.mutants} small changes of the code, the tests see {whole.score:.1f} %.",
    )


def group_by(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name in names:
        grouped.setdefault(key(name), []).append(name)
    return grouped


def module_of(mutant: str) -> str:
    """The module that a mutant is in, as in "rules.public_access"."""
    return re.split(r"\.x[_ǁ]", mutant)[0].removeprefix("safe_sqs.")


def own_tests_of(mutant: str) -> str:
    """The file of tests that is about the module of a mutant, as in "test_cache", or about the package it is in."""
    package, module = ("", *module_of(mutant).split("."))[-2:]
    own = f"test_{OWN.get(module, module)}"
    return own if not package or (ROOT / "tests" / f"{own}.py").exists() else f"test_{package}"


def area_of(mutant: str) -> str:
    """The part of the package for which a goal is set."""
    module = module_of(mutant)
    for area, modules in AREAS.items():
        if any(module == each or (each.endswith(".") and f"{module}.".startswith(each)) for each in modules):
            return area
    return "guard"


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
