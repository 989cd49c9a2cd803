"""Builds the sdist and the wheel of a commit, the same bytes for everybody: `python -m supply.build --output FOLDER`.

It needs a Python with the setuptools of locks/build.txt, git, and nothing else. The commit is written to a new
folder, setuptools' own build backend is asked there for the sdist, and in the unpacked sdist for the wheel; then both
are packed once more without what the machine left in them (see supply/archives.py). SHA256SUMS has the hashes.

Examples, from tests/:

  python -m supply.build --output ../dist/release                 the last commit
  python -m supply.build --output /tmp/again --revision v0.1.0    a release, built again
  python -m supply.build --output /tmp/again --compare FOLDER     and held against what lies in FOLDER
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from supply.archives import compare, digest, digest_of_contents, normalise, unpack
from supply.processes import FailedError, run, say
from supply.tree import epoch_of, export

__all__ = ["Built", "build", "build_in", "wheel_of_tree"]

_ASK = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
"""How a build frontend asks the backend that pyproject.toml names."""


class Built(NamedTuple):
    """What is released."""

    sdist: Path
    wheel: Path


def build(revision: str, output: Path, *, python: str | Path = sys.executable) -> Built:
    """The archives of a commit, in the folder `output`."""
    with TemporaryDirectory(prefix="safe-sqs-build-") as folder:
        tree = Path(folder, "tree")
        export(revision, tree)
        return build_in(tree, output, epoch_of(revision), python=python)


def build_in(
    tree: Path,
    output: Path,
    epoch: int,
    *,
    python: str | Path = sys.executable,
    env: Mapping[str, str] | None = None,
) -> Built:
    """The archives of the files in `tree`, which are left with what setuptools writes beside them."""
    output.mkdir(parents=True, exist_ok=True)
    sdist = _ask_backend("build_sdist", tree, output, epoch, python, env)
    normalise(sdist, epoch)
    with TemporaryDirectory(prefix="safe-sqs-sdist-") as folder:
        unpack(sdist, folder)
        wheel = wheel_of_tree(Path(folder, sdist.name.removesuffix(".tar.gz")), output, epoch, python=python, env=env)
    return Built(sdist, wheel)


def wheel_of_tree(
    tree: Path,
    output: Path,
    epoch: int,
    *,
    python: str | Path = sys.executable,
    env: Mapping[str, str] | None = None,
) -> Path:
    """The wheel of the files in `tree`, without an sdist on the way."""
    output.mkdir(parents=True, exist_ok=True)
    wheel = _ask_backend("build_wheel", tree, output, epoch, python, env)
    normalise(wheel, epoch)
    return wheel


def _ask_backend(
    hook: str, tree: Path, output: Path, epoch: int, python: str | Path, env: Mapping[str, str] | None
) -> Path:
    settings = {**(os.environ if env is None else env), "SOURCE_DATE_EPOCH": str(epoch)}
    settings.pop("PYTHONPATH", None)  # nothing of this checkout is to be imported by the build
    said = run([python, "-c", _ASK, hook, output.resolve()], cwd=tree, env=settings)
    return output / said.splitlines()[-1]


def write_sums(folder: Path) -> Path:
    """SHA256SUMS of the other files in the folder, in the form that `sha256sum --check` reads."""
    sums = folder / "SHA256SUMS"
    files = sorted(file for file in folder.iterdir() if file.is_file() and file != sums)
    sums.write_text("".join(f"{digest(file)}  {file.name}\n" for file in files), encoding="utf-8")
    return sums


def main() -> int:
    """Builds, prints the hashes, and compares where it was asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="the folder for sdist, wheel and SHA256SUMS")
    parser.add_argument("--revision", default="HEAD", help="the commit or tag that is built (HEAD)")
    parser.add_argument(
        "--compare", type=Path, metavar="FOLDER", help="a folder with the same archives, built elsewhere"
    )
    options = parser.parse_args()
    try:
        built = build(options.revision, options.output)
    except FailedError as error:
        say(str(error))
        return 1
    for archive in built:
        say(f"{digest(archive)}  {archive.name}  (contents {digest_of_contents(archive)})")
    write_sums(options.output)
    return _hold_against(options.compare, built) if options.compare else 0


def _hold_against(folder: Path, built: Built) -> int:
    different = 0
    for archive in built:
        there = folder / archive.name
        difference = compare(archive, there) if there.is_file() else "it is not there"
        say(f"{there}: {difference or 'the same, byte for byte'}")
        different += bool(difference)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
