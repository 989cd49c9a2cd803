"""The locks: what is installed for the work on safe_sqs, for its build, and with each extra, by version and hash.

`make lock` renews them: `python -m supply.locks --renew`. Each is resolved by uv for every supported Python and
platform at once, from setup.cfg and pyproject.toml alone. Releases younger than a week are left out, since most
malicious ones are found and withdrawn within days.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from supply.processes import FailedError, run, say
from supply.tree import ROOT

__all__ = ["LOCKS", "Lock", "Pin", "pins_of", "required", "unmet"]

FOLDER = Path(__file__).parent / "locks"
COOL_DOWN_DAYS = 7
OLDEST_PYTHON = "3.10"


class Lock(NamedTuple):
    """A lock file: with which extras safe_sqs is resolved, and which other lock it agrees with."""

    name: str
    extras: tuple[str, ...] = ()
    within: str = ""

    @property
    def file(self) -> Path:
        """Where it is."""
        return FOLDER / f"{self.name}.txt"


LOCKS = {
    lock.name: lock
    for lock in (
        Lock("build"),
        Lock("development", ("test", "docs", "supply")),
        Lock("runtime", within="development"),
        Lock("cli", ("cli",), within="development"),
        Lock("demo", ("demo",), within="development"),
        Lock("otel", ("otel",), within="development"),
        Lock("aio", ("aio",)),
    )
}
"""aiobotocore asks for an older botocore, so `aio` agrees with no other."""


class Pin(NamedTuple):
    """One line of a lock."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def applies(self, python: str) -> bool:
        """Whether it is installed for a Python, "3.12", on Linux."""
        surroundings = {"python_version": python, "python_full_version": f"{python}.99"}
        return not self.marker or Marker(self.marker).evaluate(surroundings)


_PIN = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[\w, -]+\])?==(?P<version>[\w.!+-]+)(?: ; (?P<marker>[^\\]+?))?"
    r"(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)


def pins_of(file: Path) -> list[Pin]:
    """What a lock pins; raises FailedError for a line that is anything but a pin."""
    return list(_read(file))


def _read(file: Path) -> Iterator[Pin]:
    text = re.sub(r"\s*\\\n\s*", " ", file.read_text(encoding="utf-8"))
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        found = _PIN.fullmatch(line)
        if found is None:
            raise FailedError(f"{file.name}: {line[:80]!r} is not a version with hashes")
        hashes = tuple(found["hashes"].split())
        yield Pin(canonicalize_name(found["name"]), found["version"], found["marker"] or "", hashes)


def required(lock: Lock) -> list[Requirement]:
    """What setup.cfg, or for the build pyproject.toml, asks of a lock."""
    if lock.name == "build":
        (entry,) = re.findall(r'^requires = \["([^"]+)"\]$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
        return [Requirement(entry)]
    described = configparser.ConfigParser(interpolation=None)
    described.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = described["options.extras_require"]
    wanted = [re.sub(r"%\((\w+)\)s", lambda match: extras[match[1]], extras[extra]) for extra in lock.extras]
    wanted.append(described["options"]["install_requires"])
    return [Requirement(entry) for text in wanted for entry in text.splitlines() if entry]


def unmet(wanted: Sequence[Requirement], pins: Sequence[Pin], python: str) -> list[str]:
    """The requirements that the pins do not fulfil on a Python, and the names that are pinned twice there."""
    here = [pin for pin in pins if pin.applies(python)]
    versions = {pin.name: Version(pin.version) for pin in here}
    problems = [f"{name} is pinned twice" for name, count in Counter(pin.name for pin in here).items() if count > 1]
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"python_version": python}):
            continue
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{requirement} has {version}")
    return problems


def renew(locks: Sequence[Lock], until: datetime) -> None:
    """Resolves the locks anew, from the index that uv and pip are set to."""
    with TemporaryDirectory(prefix="safe-sqs-lock-") as folder:
        for lock in locks:
            asked = Path(folder, f"{lock.name}.in")
            asked.write_text("".join(f"{requirement}\n" for requirement in required(lock)), encoding="utf-8")
            lock.file.write_text(_header(lock, until) + _resolved(lock, asked, until), encoding="utf-8")
            say(f"{lock.file.name}: {len(pins_of(lock.file))} pins")


def _resolved(lock: Lock, asked: Path, until: datetime) -> str:
    """The lines of a lock. Extras stay in them: for one that is not there, pip looks for the newest release."""
    within = ["--constraint", LOCKS[lock.within].file] if lock.within else []
    what = ["--universal", "--python-version", OLDEST_PYTHON, "--exclude-newer", until.strftime("%Y-%m-%dT%H:%M:%SZ")]
    how = ["--generate-hashes", "--no-strip-extras", "--no-annotate", "--no-header", "--no-emit-index-url"]
    command = [sys.executable, "-m", "uv", "--no-config", "--quiet", "pip", "compile", *what, *how, *within, asked]
    return run(command, env={key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"})


def _header(lock: Lock, until: datetime) -> str:
    extras = f"[{','.join(lock.extras)}]" if lock.extras else ""
    what = "What builds safe_sqs" if lock.name == "build" else f"What safe_sqs{extras} needs"
    return f"# {what}, in releases up to {until:%Y-%m-%d}. Made by `make lock`.\n"


def main() -> int:
    """Says whether the locks fulfil what is asked of them, or renews them."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Examples, from tests/:\n\n"
        "  python -m supply.locks                       do the locks fulfil setup.cfg?\n"
        "  python -m supply.locks --renew               newer versions of everything\n"
        "  python -m supply.locks --renew --only build  of one lock",
    )
    parser.add_argument("--renew", action="store_true", help="resolve them anew")
    parser.add_argument("--only", choices=list(LOCKS), action="append", help="leave the others alone")
    parser.add_argument("--cool-down", type=int, default=COOL_DOWN_DAYS, metavar="DAYS", help="youngest release (7)")
    options = parser.parse_args()
    chosen = [LOCKS[name] for name in options.only or LOCKS]
    if options.renew:
        renew(chosen, datetime.now(timezone.utc) - timedelta(days=options.cool_down))
    problems = [
        f"{lock.file.name}, Python {python}: {problem}"
        for lock in chosen
        for python in ("3.10", "3.11", "3.12", "3.13", "3.14")
        for problem in unmet(required(lock), pins_of(lock.file), python)
    ]
    say("\n".join(problems) or "the locks fulfil what setup.cfg and pyproject.toml ask for")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
