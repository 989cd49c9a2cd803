"""Known vulnerabilities of what the locks pin: `python -m supply.advisories`.

pip-audit asks PyPI, or with `--service osv` OSV, about every pin of every lock, whatever Python it is for. An answer
counts only when it is complete: every pin was judged, and a release that is known to be vulnerable was found to be so
in the same run. pip-audit by itself calls a release that its service does not know "skipped", and ends with success.

Where neither service can be reached, `--database FOLDER` judges by a clone of the Python advisory database (pypa's
advisory-database on GitHub). That is worth what its newest entry is worth: the day of its last commit is printed with
the result.

Examples, from tests/:

  python -m supply.advisories                           every lock, by PyPI
  python -m supply.advisories --lock runtime            what everybody gets
  python -m supply.advisories --database ~/advisories   without the network
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from supply.locks import LOCKS, Lock, pins_of
from supply.processes import FailedError, run, say

__all__ = ["CANARY", "Database", "Release", "affects", "ask_service", "layers", "releases_of", "understood"]


class Release(NamedTuple):
    """A release of a package."""

    name: str
    version: str


CANARY = Release("jinja2", "2.4.1")
"""Known to be vulnerable since 2014 (PYSEC-2014-8). A source that does not say so is not believed about anything."""

Verdicts = Mapping[Release, Sequence[str]]
"""The advisories that hold for each release."""


def releases_of(locks: Iterable[Lock]) -> list[Release]:
    """What the locks pin, for any Python and platform."""
    return sorted({Release(pin.name, pin.version) for lock in locks for pin in pins_of(lock.file)})


# --- by pip-audit ------------------------------------------------------------------------------------------------


def ask_service(releases: Sequence[Release], service: str = "pypi") -> Verdicts:
    """What pip-audit says; raises FailedError when it is not a complete answer."""
    verdicts: dict[Release, Sequence[str]] = {}
    for layer in layers([*releases, CANARY]):
        verdicts.update(understood(_pip_audit(layer, service), layer))
    return _without_canary(verdicts)


def layers(releases: Sequence[Release]) -> list[list[Release]]:
    """The releases in lists that have no package twice, as pip-audit wants them."""
    found: list[dict[str, Release]] = []
    for release in releases:
        for layer in found:
            if release.name not in layer:
                layer[release.name] = release
                break
        else:
            found.append({release.name: release})
    return [list(layer.values()) for layer in found]


def _pip_audit(releases: Sequence[Release], service: str) -> str:
    with TemporaryDirectory(prefix="safe-sqs-audit-") as folder:
        asked = Path(folder, "requirements.txt")
        asked.write_text("".join(f"{name}=={version}\n" for name, version in releases), encoding="utf-8")
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--timeout", "30"]
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", *options, "--vulnerability-service", service, "--requirement", asked],
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    if not done.stdout.strip():  # 1 is how it ends both with findings and without an answer
        raise FailedError(f"pip-audit has no answer of {service}: {_last_line(done.stderr)}")
    return done.stdout


def _last_line(said: str) -> str:
    return said.strip().splitlines()[-1] if said.strip() else "it said nothing"


def understood(answer: str, asked: Sequence[Release]) -> Verdicts:
    """pip-audit's JSON as verdicts; raises FailedError for a release that it left out or skipped."""
    verdicts: dict[Release, Sequence[str]] = {}
    skipped: dict[str, str] = {}
    for entry in json.loads(answer)["dependencies"]:
        name = canonicalize_name(entry["name"])
        if "skip_reason" in entry:
            skipped[name] = entry["skip_reason"]
        else:
            verdicts[Release(name, entry["version"])] = [finding["id"] for finding in entry["vulns"]]
    missing = [release for release in asked if release not in verdicts]
    if missing:
        reason = skipped.get(missing[0].name, f"no word of {' '.join(missing[0])}")
        raise FailedError(
            f"pip-audit did not judge {len(missing)} of {len(asked)} releases, the first because {reason}"
        )
    return verdicts


def _without_canary(verdicts: dict[Release, Sequence[str]]) -> Verdicts:
    if not verdicts.pop(CANARY, ()):
        raise FailedError(f"the source calls {' '.join(CANARY)} harmless, so it is not believed about anything else")
    return verdicts


# --- by a clone of the database ------------------------------------------------------------------------------------


class Database:
    """The advisories of a clone of pypa's advisory-database, with a work tree or without."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.day = run(["git", "-C", folder, "log", "-1", "--format=%cs"]).strip()
        self._advisories: dict[str, list[dict[str, Any]]] = {}

    def judge(self, releases: Sequence[Release]) -> Verdicts:
        """The advisories for each release, as far as they were known on `day`."""
        if not self._advisories:
            self._read()
        judged = [*releases, CANARY]
        return _without_canary({release: list(self._affecting(release)) for release in judged})

    def _affecting(self, release: Release) -> Iterator[str]:
        for advisory in self._advisories.get(release.name, ()):
            if "withdrawn" not in advisory and any(affects(part, release) for part in advisory["affected"]):
                yield advisory["id"]

    def _read(self) -> None:
        packed = subprocess.run(
            ["git", "-C", str(self._folder), "archive", "--format=tar", "HEAD", "vulns"],
            capture_output=True,
            check=True,
        ).stdout
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            for member in tar:
                if member.name.endswith(".yaml"):
                    advisory = yaml.load(tar.extractfile(member), loader)
                    for name in {canonicalize_name(part["package"]["name"]) for part in advisory["affected"]}:
                        self._advisories.setdefault(name, []).append(advisory)


def affects(part: Mapping[str, Any], release: Release) -> bool:
    """Whether an `affected` entry of OSV names a release, in its list of versions or by a range between events."""
    if canonicalize_name(part["package"]["name"]) != release.name:
        return False
    version = Version(release.version)
    if any(_same(listed, version) for listed in part.get("versions", ())):
        return True
    ranges = [events["events"] for events in part.get("ranges", ()) if events["type"] == "ECOSYSTEM"]
    return any(_within(events, version) for events in ranges)


def _same(listed: str, version: Version) -> bool:
    try:
        return Version(listed) == version
    except InvalidVersion:
        return False


def _within(events: Sequence[Mapping[str, str]], version: Version) -> bool:
    """The events in the order of their versions: the last at or before this version says whether it is affected."""
    affected = False
    for kind, at in sorted(((kind, Version(at)) for event in events for kind, at in event.items()), key=lambda e: e[1]):
        if kind == "introduced" and version >= at:
            affected = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            affected = False
    return affected


def main() -> int:
    """Prints what is known, and ends with 0 when all was judged and nothing is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", choices=list(LOCKS), action="append", help="judge this lock and not the others")
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi", help="whom pip-audit asks (pypi)")
    parser.add_argument("--database", type=Path, metavar="FOLDER", help="a clone of pypa's advisory-database")
    options = parser.parse_args()
    releases = releases_of(LOCKS[name] for name in options.lock or LOCKS)
    try:
        if options.database:
            database = Database(options.database)
            verdicts, source = database.judge(releases), f"the advisory database of {database.day}"
        else:
            verdicts, source = ask_service(releases, options.service), f"pip-audit, by {options.service}"
    except FailedError as error:
        say(f"not judged: {error}")
        return 1
    vulnerable = {release: found for release, found in verdicts.items() if found}
    for release, found in vulnerable.items():
        say(f"{' '.join(release)}: {', '.join(found)}")
    say(f"{len(verdicts)} releases judged by {source}: {len(vulnerable)} with known vulnerabilities")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
