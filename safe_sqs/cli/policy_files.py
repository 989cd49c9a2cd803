"""The files that `safe-sqs policy check` is given: read, with the directories among them gone through."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from safe_sqs.templates import Place, TemplateError

__all__ = ["Source", "read_source", "sources_in"]

_MOST_BYTES = 50_000_000
_ENDS = (".json", ".yaml", ".yml", ".template", ".tfstate")
_TELLING = ("AWS::SQS::", "aws_sqs_queue")
_MANIFEST = "manifest.json"
_NOT_ENTERED = frozenset({".git", ".terraform", ".venv", "node_modules", "__pycache__"})
STANDARD_INPUT = "standard-input"


class Source(NamedTuple):
    """A file to be judged. `is_sought` says that it was found in a directory, and may have to do with other things."""

    name: str
    path: Path | None
    place: Place = Place()
    is_sought: bool = False


def sources_in(argument: str) -> Iterator[Source]:
    """The files that an argument means. Raises TemplateError for a directory without any."""
    path = Path(argument)
    if argument == "-":
        yield Source(STANDARD_INPUT, None)
    elif not path.is_dir():
        yield Source(argument, path)
    else:
        found = list(_in_assembly(path) if (path / _MANIFEST).is_file() and _is_assembly(path) else _in_directory(path))
        if not found:
            raise TemplateError(
                "there is no template with a queue in this directory",
                "name a file, or run cdk synth first",
                is_unrelated=True,
            )
        yield from found


def _is_assembly(directory: Path) -> bool:
    """True unless the manifest is surely one of something else, such as of a web application."""
    if directory.name == "cdk.out" or (directory / "cdk.out").is_file():
        return True
    try:
        return "artifacts" in json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, TypeError, RecursionError):
        return False


def _in_assembly(directory: Path) -> Iterator[Source]:
    """The templates of a cloud assembly, which `cdk synth` writes, with those of its stages and nested stacks."""
    places = {}
    for manifest in sorted(directory.rglob(_MANIFEST)):
        try:
            artifacts = json.loads(manifest.read_text(encoding="utf-8")).get("artifacts", {})
            for each in artifacts.values():
                template = each.get("properties", {}).get("templateFile")
                if template:
                    places[manifest.parent / template] = _place_of(each.get("environment", ""))
        except (ValueError, AttributeError, RecursionError) as error:
            raise TemplateError(f"{manifest} is not the manifest of a cloud assembly", "run cdk synth anew") from error
    for path in sorted(directory.rglob("*.template.json")):
        yield Source(str(path), path, places.get(path, Place()), is_sought=True)


def _place_of(environment: str) -> Place:
    """From `aws://account/region`, in which what is not known is called unknown."""
    account, _, region = str(environment).removeprefix("aws://").partition("/")
    return Place(account if account.isdigit() else "", "" if region.startswith("unknown") else region)


def _in_directory(directory: Path) -> Iterator[Source]:
    for folder, folders, files in os.walk(directory, onerror=_raise):
        folders[:] = sorted(set(folders) - _NOT_ENTERED)
        for name in sorted(files):
            path = Path(folder) / name
            if name.lower().endswith(_ENDS) and path.is_file() and _tells_of_queues(path):
                yield Source(str(path), path, is_sought=True)


def _raise(error: OSError) -> NoReturn:
    raise TemplateError(f"{error.filename} cannot be read: {error.strerror}", "let it be read, or name other files")


def _tells_of_queues(path: Path) -> bool:
    """True for a file that has to do with queues, or may have: one that cannot be read is no pass."""
    try:
        data = _bytes(path)
    except OSError:
        return True
    text = data.replace(b"\0", b"")  # of UTF-16 this leaves what is ASCII
    return any(word.encode() in text for word in _TELLING)


def read_source(source: Source) -> str:
    """The text of a file. Raises TemplateError and OSError."""
    if source.path is None:
        return _decoded(sys.stdin.buffer.read(_MOST_BYTES + 1))
    return _text(source.path)


def _text(path: Path) -> str:
    return _decoded(_bytes(path))


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES + 1)


def _decoded(data: bytes) -> str:
    if len(data) > _MOST_BYTES:
        raise TemplateError(f"it is bigger than {_MOST_BYTES // 1_000_000} MB", "name a smaller file")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"  # as PowerShell writes it
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise TemplateError("it is not text", "name a file of JSON or YAML") from None
