"""All that is promised about a release, tried: `make supply`, or `python -m supply` from tests/.

The last commit is built several times: in two folders, with other umasks, time zones, languages, hash seeds and times
of files, and by every supported Python that is installed. The archives have to be the same bytes. What is in them is
checked; the wheel is installed with hashes into a clean environment and used; the tests of the package are run out of
the sdist; bills of materials are made twice and held to their schema; and pip-audit is asked about every pin of every
lock.

It ends with 0 only when all of that held. Without the network, known vulnerabilities cannot be judged, and it ends
with 1; `--database FOLDER` judges them by a clone of the advisory database in addition, which does not stand in for
pip-audit.

Examples, from tests/:

  python -m supply                              everything; the archives and bills are left in dist/release
  python -m supply --step build --step contents some of it
  python -m supply --keep                       and the record of it in benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from record import Table, keep

from supply.advisories import Database, ask_service, releases_of
from supply.archives import compare, digest, digest_of_contents, entries_of, unpack
from supply.build import Built, build, build_in, wheel_of_tree, write_sums
from supply.locks import LOCKS, pins_of, required, unmet
from supply.processes import FailedError, environment_with, run, say
from supply.sbom import EXTRAS, write_bills
from supply.tree import ROOT, commit_of, epoch_of, export, uncommitted

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

GENERATED = {"PKG-INFO"} | {
    f"safe_sqs.egg-info/{name}"
    for name in ("PKG-INFO", "SOURCES.txt", "dependency_links.txt", "entry_points.txt", "requires.txt", "top_level.txt")
}
"""What setuptools adds to the files of the repository."""

SMOKE = """
import safe_sqs as boto3
from safe_sqs import RefusedError
client = boto3.client("sqs", region_name="eu-central-1", endpoint_url="http://sqs.eu-central-1.amazonaws.com",
                      aws_access_key_id="ASIAEXAMPLE", aws_secret_access_key="secret", aws_session_token="token")
try:
    client.list_queues()
except RefusedError as error:
    print(" ".join(finding.rule for finding in error.findings))
"""
"""Nothing is sent: plain HTTP is what is refused."""


class Row(NamedTuple):
    """What was tried, what came of it, and whether that is what is promised."""

    what: str
    result: str
    held: bool = True


class Trial(NamedTuple):
    """Where the archives of one run lie."""

    output: Path
    database: Path | None
    work: Path

    @property
    def built(self) -> Built:
        """The archives that the step `build` left."""
        (sdist,), (wheel,) = (sorted(self.output.glob(pattern)) for pattern in ("*.tar.gz", "*.whl"))
        return Built(sdist, wheel)


# --- building twice ----------------------------------------------------------------------------------------------


def try_build(trial: Trial) -> Iterator[Row]:
    """The same bytes wherever and by whichever Python they are built."""
    shutil.rmtree(trial.output, ignore_errors=True)
    python = environment_with(trial.work / "build", LOCKS["build"].file)
    built = build("HEAD", trial.output, python=python)
    for archive in built:
        yield Row(archive.name, f"SHA-256 {digest(archive)}, {archive.stat().st_size:,} bytes")
        yield Row(f"contents of {archive.name}", digest_of_contents(archive))
    again = build_elsewhere(trial.work, python)
    yield from _held_against(built, again, "folder, umask, time zone, language, hash seed, times of files")
    yield _directly(trial, built, python)
    yield from _by_other_pythons(trial, built)
    yield Row("SHA256SUMS", write_sums(trial.output).name)


def build_elsewhere(work: Path, python: Path, revision: str = "HEAD") -> Built:
    """The archives, built in surroundings that differ in all that a build could notice."""
    tree = work / "elsewhere, with a long name" / "ünïcode"
    export(revision, tree)
    for number, file in enumerate(sorted(tree.rglob("*"), reverse=True)):
        os.utime(file, (10**9 + number, 10**9 + number))
        file.chmod(0o700 if file.is_dir() or file.stat().st_mode & 0o100 else 0o600)
    surroundings = {
        **os.environ,
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "4711",
        "HOME": str(work),
        "USER": "somebody",
    }
    before = os.umask(0o077)
    try:
        return build_in(tree, work / "again", epoch_of(revision), python=python, env=surroundings)
    finally:
        os.umask(before)


def _held_against(built: Built, again: Built, changed: str) -> Iterator[Row]:
    for one, other in zip(built, again, strict=True):
        difference = compare(one, other)
        yield Row(f"{one.name}, built with another {changed}", difference or "the same bytes", not difference)


def _directly(trial: Trial, built: Built, python: Path) -> Row:
    tree = trial.work / "directly"
    export("HEAD", tree)
    difference = compare(built.wheel, wheel_of_tree(tree, trial.work / "wheel", epoch_of(), python=python))
    return Row("the wheel, built from the tree and not from the sdist", difference or "the same bytes", not difference)


def _by_other_pythons(trial: Trial, built: Built) -> Iterator[Row]:
    for version in PYTHONS:
        program = shutil.which(f"python{version}")
        if version == sysconfig.get_python_version():
            continue
        try:
            run([program or f"python{version}", "--version"])
        except (FailedError, OSError):
            yield Row(f"built by Python {version}", "not installed here, left out")
            continue
        python = environment_with(trial.work / f"build-{version}", LOCKS["build"].file, python=str(program))
        differences = [
            compare(one, other)
            for one, other in zip(built, build("HEAD", trial.work / version, python=python), strict=True)
        ]
        difference = "; ".join(filter(None, differences))
        yield Row(f"built by Python {version}", difference or "the same bytes, both", not difference)


# --- what is in them ---------------------------------------------------------------------------------------------


def try_contents(trial: Trial) -> Iterator[Row]:
    """Everything that belongs in the archives, and nothing else."""
    sdist, wheel = trial.built
    names = export("HEAD", trial.work / "contents")
    yield _listing("files in the sdist", names_in_sdist(sdist), set(names) | GENERATED)
    yield _listing("files in the wheel", names_in_wheel(wheel), {n for n in names if n.startswith("safe_sqs/")})
    run([_tool("check-wheel-contents"), wheel])
    yield Row("check-wheel-contents", "nothing found")
    run([_tool("twine"), "check", "--strict", sdist, wheel])
    yield Row("twine check --strict", "passed, both")


def names_in_sdist(sdist: Path) -> set[str]:
    """The files of an sdist, without the folder that they are all in."""
    return {entry.name.partition("/")[2] for entry in entries_of(sdist)}


def names_in_wheel(wheel: Path) -> set[str]:
    """The files of a wheel, but its metadata."""
    return {entry.name for entry in entries_of(wheel) if ".dist-info/" not in entry.name}


def _listing(what: str, found: set[str], expected: set[str]) -> Row:
    different = sorted(found ^ expected)
    wrong = f"missing or too many: {', '.join(different[:10])}"
    return Row(what, wrong if different else f"{len(found)}, as in the repository", not different)


def _tool(name: str) -> Path:
    return Path(sysconfig.get_path("scripts"), name)


# --- using them --------------------------------------------------------------------------------------------------


def try_install(trial: Trial) -> Iterator[Row]:
    """A clean environment gets the wheel and what it needs by hash, and the guard refuses; the sdist can be tested."""
    sdist, wheel = trial.built
    python = environment_with(trial.work / "clean", LOCKS["runtime"].file)
    pinned = trial.work / "safe_sqs.txt"
    pinned.write_text(f"safe_sqs @ {wheel.resolve().as_uri()} --hash=sha256:{digest(wheel)}\n", encoding="utf-8")
    run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", pinned])
    run([python, "-m", "pip", "check"])
    installed = json.loads(run([python, "-m", "pip", "list", "--format", "json"]))
    yield Row("installed with --require-hashes", f"{len(installed)} packages, pip check passed")
    refused = run([python, "-I", "-c", SMOKE], cwd=trial.work).strip()
    yield Row("a client over plain HTTP is refused by", refused or "nothing", refused == "https-endpoint")
    yield from _tests_of_sdist(trial, sdist, wheel)


def _tests_of_sdist(trial: Trial, sdist: Path, wheel: Path) -> Iterator[Row]:
    python = environment_with(trial.work / "development", LOCKS["development"].file)
    yield Row(
        "the development lock, installed with --require-hashes", f"{len(pins_of(LOCKS['development'].file))} pins"
    )
    run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel])
    unpack(sdist, trial.work / "unpacked")
    folder = trial.work / "unpacked" / sdist.name.removesuffix(".tar.gz")
    shutil.move(folder / "safe_sqs", folder / "out-of-the-way")  # so that the installed wheel is what is tested
    tests = ["tests/test_package.py", "tests/test_smoke.py", "tests/test_transport.py"]
    said = run([python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *tests], cwd=folder)
    yield Row("tests out of the sdist, on the installed wheel", said.strip().splitlines()[-1])


# --- locks, bills, advisories ------------------------------------------------------------------------------------


def try_locks(trial: Trial) -> Iterator[Row]:
    """The locks fulfil what is asked of them, on every Python."""
    for lock in LOCKS.values():
        pins = pins_of(lock.file)
        problems = [problem for python in PYTHONS for problem in unmet(required(lock), pins, python)]
        hashes = sum(len(pin.hashes) for pin in pins)
        yield Row(f"lock {lock.name}", "; ".join(problems) or f"{len(pins)} pins, {hashes} hashes", not problems)


def try_bills(trial: Trial) -> Iterator[Row]:
    """Bills of materials that are valid, whole, and the same when they are made again."""
    wheel = trial.built.wheel
    bills = write_bills(wheel, trial.output, epoch_of())
    again = write_bills(wheel, trial.work / "bills", epoch_of())
    for lock, one, other in zip(EXTRAS, bills, again, strict=True):
        same = one.read_bytes() == other.read_bytes()
        count = len(json.loads(one.read_text(encoding="utf-8"))["components"])
        result = f"{count} components, valid, {'the same' if same else 'not the same'} when made again"
        yield Row(f"bill of materials, {lock.name}", result, same)
    write_sums(trial.output)


def try_advisories(trial: Trial) -> Iterator[Row]:
    """No pin of any lock has a known vulnerability."""
    releases = releases_of(LOCKS.values())
    if trial.database:
        database = Database(trial.database)
        vulnerable = [" ".join(release) for release, found in database.judge(releases).items() if found]
        result = f"{len(releases)} releases, {len(vulnerable)} with known vulnerabilities {' '.join(vulnerable)}"
        yield Row(f"the advisory database as of {database.day}", result.strip(), not vulnerable)
    try:
        vulnerable = [" ".join(release) for release, found in ask_service(releases).items() if found]
    except FailedError as error:
        yield Row("pip-audit", f"not judged: {error}", held=False)
    else:
        result = f"{len(releases)} releases, {len(vulnerable)} with known vulnerabilities {' '.join(vulnerable)}"
        yield Row("pip-audit", result.strip(), not vulnerable)


STEPS: dict[str, Callable[[Trial], Iterator[Row]]] = {
    "build": try_build,
    "contents": try_contents,
    "install": try_install,
    "locks": try_locks,
    "bills": try_bills,
    "advisories": try_advisories,
}


def tried(name: str, trial: Trial) -> Iterator[Row]:
    """The rows of a step, printed as they come; a step that cannot go on has that as its last row."""
    try:
        for row in STEPS[name](trial):
            say(f"  {'ok  ' if row.held else 'NOT '}{row.what}: {row.result}")
            yield row
    except FailedError as error:
        say(f"  NOT {error}")
        yield Row(name, str(error).splitlines()[-1], held=False)


def main() -> int:
    """Tries everything, or the steps that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step", choices=list(STEPS), action="append", help="only this; build comes before the others")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "dist" / "release", help="where archives and bills are left"
    )
    parser.add_argument("--database", type=Path, metavar="FOLDER", help="a clone of pypa's advisory-database")
    parser.add_argument("--keep", action="store_true", help="write the record into benchmarks/results")
    options = parser.parse_args()
    started = time.monotonic()
    say(f"commit {commit_of()[:12]}; what is not committed is not built ({len(uncommitted())} files)")
    rows: dict[str, list[Row]] = {}
    with TemporaryDirectory(prefix="safe-sqs-supply-") as folder:
        trial = Trial(options.output, options.database, Path(folder))
        for name in options.step or STEPS:
            say(f"{name}: {STEPS[name].__doc__}")
            rows[name] = list(tried(name, trial))
    took = time.monotonic() - started
    fell_short = [row.what for found in rows.values() for row in found if not row.held]
    say(f"{took:.0f} s: " + (f"did not hold: {', '.join(fell_short)}" if fell_short else "all of it held"))
    if options.keep:
        _record(rows, took, fell_short)
    return 1 if fell_short else 0


def _record(rows: dict[str, list[Row]], took: float, fell_short: list[str]) -> None:
    tables = [
        Table(
            title=name,
            columns=("What", "Result", "Held"),
            rows=[(row.what, row.result, "yes" if row.held else "no") for row in found],
            note=STEPS[name].__doc__ or "",
        )
        for name, found in rows.items()
    ]
    count = sum(map(len, rows.values()))
    summary = f"{count - len(fell_short)} of {count} checks of the release held, in {took:.0f} s."
    if fell_short:
        summary += f" Not: {', '.join(fell_short)}."
    keep("supply", title="Supply chain", command="make supply", tables=tables, summary=summary)


if __name__ == "__main__":
    sys.exit(main())
