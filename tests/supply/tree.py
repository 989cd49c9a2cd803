"""The files of the repository, as they are committed or as they lie there, written to a folder of their own."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from supply.processes import FailedError

__all__ = ["ROOT", "commit_of", "epoch_of", "export", "uncommitted", "write_tree"]

ROOT = Path(__file__).resolve().parent.parent.parent


def commit_of(revision: str = "HEAD") -> str:
    """The full name of a commit."""
    return _git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()


def epoch_of(revision: str = "HEAD") -> int:
    """When a commit was made, in seconds since 1970: the only time that gets into what is built of it."""
    return int(_git("log", "-1", "--format=%ct", revision))


def uncommitted() -> list[str]:
    """The files that differ from the last commit, or are not in it."""
    return [line[3:] for line in _git("status", "--porcelain").decode().splitlines()]


def export(revision: str, folder: Path) -> list[str]:
    """Writes the files of a commit into the folder, which is new, and gives their names. Whoever may run a file in the
    repository is all that is kept of its mode, whatever the umask."""
    return _unpack(_archive(revision), folder)


def write_tree(folder: Path) -> list[str]:
    """As `export`, with the files as they lie in the checkout, but those that git ignores. The repository is not
    changed: its index and its objects are kept elsewhere meanwhile."""
    with TemporaryDirectory(prefix="safe-sqs-index-") as elsewhere:
        objects = _git("rev-parse", "--path-format=absolute", "--git-path", "objects").decode().strip()
        env = {
            **os.environ,
            "GIT_INDEX_FILE": str(Path(elsewhere, "index")),
            "GIT_OBJECT_DIRECTORY": elsewhere,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
        }
        _git("add", "--all", env=env)
        tree = _git("write-tree", env=env).decode().strip()
        return _unpack(_archive(tree, env), folder)


def _archive(tree: str, env: Mapping[str, str] | None = None) -> bytes:
    return _git("-c", "core.autocrlf=false", "archive", "--format=tar", tree, env=env)


def _unpack(archive: bytes, folder: Path) -> list[str]:
    folder.mkdir(parents=True)
    names = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            source = tar.extractfile(member) if member.isfile() else None
            if source is not None:
                file = folder / member.name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(source.read())
                file.chmod(0o755 if member.mode & 0o100 else 0o644)
                names.append(member.name)
            elif not member.isdir():
                raise FailedError(f"{member.name} is neither a file nor a folder")
    return sorted(names)


def _git(*words: str, env: Mapping[str, str] | None = None) -> bytes:
    done = subprocess.run(["git", *words], cwd=ROOT, env=env, capture_output=True, timeout=120, check=False)
    if done.returncode:
        raise FailedError(f"git {words[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
