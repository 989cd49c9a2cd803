"""Bills of materials of safe_sqs and of each extra, as CycloneDX JSON: `python -m supply.sbom WHEEL --output FOLDER`.

Each is read off an environment in which the wheel was installed with the releases of its lock, by cyclonedx-bom, and
held to the schema by CycloneDX' own validator. It says what was there when the release was made, with this Python on
this platform; whoever installs safe_sqs later may get newer releases. The same wheel and lock give the same bytes:
the serial number is derived from them, and the time is that of the commit.
"""

from __future__ import annotations

import argparse
import json
import sys
import sysconfig
import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply.archives import digest
from supply.locks import LOCKS, Lock, pins_of
from supply.processes import FailedError, environment_with, run, say
from supply.tree import epoch_of

__all__ = ["EXTRAS", "bill_of", "described", "problem_of", "write_bills"]

EXTRAS = tuple(LOCKS[name] for name in ("runtime", "cli", "demo", "aio", "otel"))
"""What there is a bill of."""

_SERIAL_NUMBERS = uuid.uuid5(uuid.NAMESPACE_URL, "https://pypi.org/project/safe-sqs/#sbom")
_VERSION = "1.6"


def write_bills(wheel: Path, output: Path, epoch: int, locks: Sequence[Lock] = EXTRAS) -> list[Path]:
    """The bills of the wheel, one for each lock; raises FailedError where one is not valid or leaves something out."""
    output.mkdir(parents=True, exist_ok=True)
    return [_write(bill_of(wheel, lock, epoch), _file_of(wheel, lock, output)) for lock in locks]


def bill_of(wheel: Path, lock: Lock, epoch: int) -> dict[str, Any]:
    """The bill of the wheel with what the lock pins."""
    with TemporaryDirectory(prefix="safe-sqs-bill-") as folder:
        inside = environment_with(Path(folder, "environment"), lock.file, pip=False)
        pip = [sys.executable, "-m", "pip", "--python", inside]
        run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel])
        run([*pip, "check"])
        options = ["--output-reproducible", "--spec-version", _VERSION, "--output-format", "JSON"]
        bill = json.loads(run([sys.executable, "-m", "cyclonedx_py", "environment", *options, inside]))
    finished = described(bill, wheel, lock, epoch)
    problem = problem_of(finished) or _left_out(finished, lock)
    if problem:
        raise FailedError(f"the bill of {lock.name}: {problem}")
    return finished


def described(bill: dict[str, Any], wheel: Path, lock: Lock, epoch: int) -> dict[str, Any]:
    """The bill with safe_sqs as what it describes, and with nothing of the machine that made it."""
    (subject,) = [component for component in bill["components"] if component["name"] == "safe_sqs"]
    subject.pop("externalReferences", None)  # the path that it was installed from
    subject["purl"] = f"pkg:pypi/safe-sqs@{subject['version']}"
    subject["hashes"] = [{"alg": "SHA-256", "content": digest(wheel)}]
    bill["components"].remove(subject)
    bill["metadata"]["component"] = subject
    bill["metadata"]["timestamp"] = datetime.fromtimestamp(epoch, timezone.utc).isoformat()
    bill["serialNumber"] = uuid.uuid5(
        _SERIAL_NUMBERS, f"{digest(wheel)} {digest(lock.file)} {sys.version_info[:2]}"
    ).urn
    return bill


def problem_of(bill: dict[str, Any]) -> str:
    """What the schema has against a bill, or ""."""
    problem = JsonStrictValidator(SchemaVersion.from_version(_VERSION)).validate_str(json.dumps(bill))
    return "" if problem is None else str(problem)


def _left_out(bill: dict[str, Any], lock: Lock) -> str:
    """Which pins of the lock for this Python a bill lacks, or names in other versions."""
    listed = {(component["name"].lower().replace("_", "-"), component["version"]) for component in bill["components"]}
    python = sysconfig.get_python_version()
    expected = {(pin.name, pin.version) for pin in pins_of(lock.file) if pin.applies(python)}
    different = sorted(listed ^ expected)
    return f"it and the lock differ in {different}" if different else ""


def _file_of(wheel: Path, lock: Lock, output: Path) -> Path:
    release = "-".join(wheel.name.split("-")[:2])
    return output / f"{release}{'' if lock.name == 'runtime' else f'-{lock.name}'}.cdx.json"


def _write(bill: dict[str, Any], file: Path) -> Path:
    file.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return file


def main() -> int:
    """Writes the bills beside the wheel or elsewhere."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--output", type=Path, required=True, help="the folder for the bills")
    parser.add_argument("--revision", default="HEAD", help="the commit that the wheel was built of (HEAD)")
    parser.add_argument("--only", choices=[lock.name for lock in EXTRAS], action="append", help="leave the others out")
    options = parser.parse_args()
    locks = [LOCKS[name] for name in options.only] if options.only else EXTRAS
    try:
        for file in write_bills(options.wheel.resolve(), options.output, epoch_of(options.revision), locks):
            say(str(file))
    except FailedError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
