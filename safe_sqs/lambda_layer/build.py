"""Builds the Lambda layer: `python -m safe_sqs.lambda_layer.build`.

The zip has the installed safe_sqs and what it needs, at pinned versions with known hashes, but neither boto3 nor
botocore, which Lambda's runtimes bring. The same inputs give the same bytes.

Lambda's file system keeps no compiled files, so the layer brings them: a cold start that compiles the sources takes
longer than all the rest of the guard.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import safe_sqs
from safe_sqs import Config, ConfigError, sources

__all__ = ["ARCHITECTURES", "PYTHONS", "BuildError", "Layer", "Order", "build", "main"]

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""As Lambda names them, and as wheels do."""
WRAPPER = "safe-sqs-wrapper"
ORGANISATION = "safe-sqs/organisation.toml"

_HERE = Path(__file__).parent
_NEVER_NEEDED = ("cli", "demo", "launch", "pytest_plugin.py", "templates", "writing")
"""What a function does not use, below the package safe_sqs."""
_ONLY_HERE = ("build.py",)
"""The same, below this one."""
_OF_THE_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "entry_points.txt"})
"""What describes an installation of a distribution, and not the distribution."""

_COMPILE = """
import py_compile, sys
for file in sys.stdin.read().splitlines():
    py_compile.compile(file, dfile="/opt/" + file, doraise=True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


class BuildError(Exception):
    """The layer cannot be built; the text says why, and what to do."""


class Order(NamedTuple):
    """What to build. `organisation` is the file that sets the floor; it is None for none."""

    python: str
    architecture: str
    with_boto3: bool = False
    organisation: Path | None = None
    compiled: bool = True


class Layer(NamedTuple):
    """What was built; `size` is in bytes."""

    path: Path
    size: int
    sha256: str


def build(order: Order, output: Path, progress: Callable[[str], None] = lambda _: None) -> Layer:
    """Build the layer into the folder `output`. Raises BuildError."""
    organisation = _checked(order.organisation)
    interpreter = _interpreter(order.python) if order.compiled else None
    with tempfile.TemporaryDirectory(prefix="safe-sqs-layer-") as temporary:
        folder = Path(temporary)
        progress("fetching wheels")
        wheels = _fetch(order, folder / "wheels")
        progress("unpacking")
        root = folder / "root"
        for name, content in [*_own_files(), *(entry for wheel in wheels for entry in _files_of(wheel))]:
            _write(root / "python" / name, content)
        if interpreter:
            progress("compiling")
            _compile(interpreter, root)
        _write(root / WRAPPER, (_HERE / WRAPPER).read_bytes())
        if organisation is not None:
            _write(root / ORGANISATION, organisation)
        progress("packing")
        output.mkdir(parents=True, exist_ok=True)
        version = metadata.version("safe_sqs")
        path = output / f"safe-sqs-{version}-python{order.python}-{order.architecture}.zip"
        _pack(root, path)
    content = path.read_bytes()
    return Layer(path, len(content), hashlib.sha256(content).hexdigest())


# --- what goes in ------------------------------------------------------------------------------------------------


def _checked(file: Path | None) -> bytes | None:
    """The organisation's file, after the configuration has read it."""
    if file is None:
        return None
    if not file.is_file():
        raise BuildError(f"there is no organisation file {str(file)!r}")
    before = sources.ORGANISATION_FILES
    sources.ORGANISATION_FILES = (file,)
    try:
        Config.of_nobody()
    except ConfigError as error:
        raise BuildError(str(error)) from None
    finally:
        sources.ORGANISATION_FILES = before
    return file.read_bytes()


def _fetch(order: Order, folder: Path) -> list[Path]:
    """The wheels of the pinned versions, for the machine where the layer will run."""
    pins = ["pins.txt", *(["pins-3.10.txt"] if order.python == "3.10" else [])]
    if order.with_boto3:
        pins.append("pins-boto3.txt")
    machine = ARCHITECTURES[order.architecture]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--python-version", order.python, "--dest", str(folder)]
    command += ["--implementation", "cp", "--platform", f"manylinux2014_{machine}"]
    command += [argument for name in pins for argument in ("--requirement", str(_HERE / name))]
    done = _run(command)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        reason = "; ".join(line.removeprefix("ERROR: ") for line in said[:3])
        raise BuildError(f"pip cannot fetch what the layer carries, which takes a package index: {reason}")
    return sorted(folder.iterdir())


def _own_files() -> Iterator[tuple[str, bytes]]:
    """The installed package, without what a function never needs, and its metadata."""
    package = Path(safe_sqs.__file__).parent
    for file in sorted(package.rglob("*")):
        inside = file.relative_to(package)
        if file.suffix != ".py" or inside.parts[0] in _NEVER_NEEDED:
            continue
        if inside.parts[0] == "lambda_layer" and inside.name in _ONLY_HERE:
            continue
        yield f"safe_sqs/{inside.as_posix()}", file.read_bytes()
    distribution = metadata.distribution("safe_sqs")
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    yield f"safe_sqs-{distribution.version}.dist-info/METADATA", text.encode()


def _files_of(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if name.endswith(("/", ".pyi", "/py.typed")) or ".." in path.parts or path.is_absolute():
                continue
            if path.parts[0].endswith(".dist-info") and path.name in _OF_THE_INSTALLER:
                continue
            yield name, archive.read(name)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# --- compiled files ----------------------------------------------------------------------------------------------


def _interpreter(python: str) -> str:
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{python}")
    if not found or _run([found, "--version"]).returncode:
        raise BuildError(
            f"python{python} is needed to compile the layer's files for Python {python}, and is not here; "
            "install it, or pass --sources-only, with which each cold start compiles them anew"
        )
    return found


def _compile(interpreter: str, root: Path) -> None:
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONHASHSEED"] = "0"
    done = _run([interpreter, "-c", _COMPILE], cwd=root, env=environment, stdin="\n".join(files))
    if done.returncode:
        raise BuildError(f"{interpreter} cannot compile the layer's files: {done.stderr.strip()}")


def _run(command: list[str], *, stdin: str = "", **where: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, **where)  # noqa: S603


# --- the zip -----------------------------------------------------------------------------------------------------


def _pack(root: Path, path: Path) -> None:
    """The same folder gives the same bytes: fixed times, modes and order."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(root.rglob("*"), key=lambda each: each.relative_to(root).as_posix()):
            if file.is_file():
                name = file.relative_to(root).as_posix()
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                entry.create_system = 3  # Unix, whose modes these are
                executable = name == WRAPPER or file.suffix == ".so"
                entry.external_attr = (0o100755 if executable else 0o100644) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, file.read_bytes())


# --- the command -------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Build as the command line says. Returns the exit code: 0, or 2 when the layer cannot be built."""
    parser = argparse.ArgumentParser("python -m safe_sqs.lambda_layer.build", description="Build the Lambda layer.")
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument("--python", default=here, help=f"of the function: {', '.join(PYTHONS)} (default: {here})")
    parser.add_argument("--architecture", default="x86_64", help="of the function: x86_64 (default) or arm64")
    parser.add_argument("--with-boto3", action="store_true", help="put boto3 and botocore in, at versions known to us")
    parser.add_argument("--organisation", type=Path, metavar="FILE", help="the floor, which functions cannot loosen")
    parser.add_argument("--sources-only", action="store_true", help="no compiled files: smaller, and slower to start")
    parser.add_argument("--output", type=Path, default=Path("dist/layer"), metavar="DIR", help="default: dist/layer")
    chosen = parser.parse_args(arguments)
    order = Order(
        chosen.python, chosen.architecture, chosen.with_boto3, chosen.organisation, compiled=not chosen.sources_only
    )
    try:
        _check(order)
        layer = build(order, chosen.output, _progress)
    except BuildError as error:
        _progress("")
        sys.stderr.write(f"error: {error}\n")
        return 2
    _progress("")
    sys.stdout.write(f"{layer.path}\n{layer.size:,} bytes ({layer.size / 2**20:.2f} MiB)\nsha256 {layer.sha256}\n")
    return 0


def _check(order: Order) -> None:
    if order.python not in PYTHONS:
        raise BuildError(f"there is no layer for Python {order.python}; choose one of {', '.join(PYTHONS)}")
    if order.architecture not in ARCHITECTURES:
        raise BuildError(f"there is no architecture {order.architecture!r}; choose x86_64 or arm64")


def _progress(step: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{step}{'...' if step else ''}")
        sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
