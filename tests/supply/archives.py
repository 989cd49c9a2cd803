"""An sdist or a wheel without what a machine leaves in it: times, owners, permissions, the order of folders.

setuptools writes the time at which a file was made into an sdist, the gzip header, and (unless SOURCE_DATE_EPOCH is
set) a wheel, and permissions as the umask left them. What is packed is not touched: every file has the bytes that
setuptools wrote, and a wheel's RECORD holds before and after.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Entry", "compare", "digest", "digest_of_contents", "entries_of", "normalise", "unpack"]

_EARLIEST_IN_ZIP = 315532800
"""1980-01-01, in seconds since 1970."""


class Entry(NamedTuple):
    """A file in an archive."""

    name: str
    executable: bool
    content: bytes


def unpack(archive: Path, folder: str | Path) -> None:
    """Put the files of an sdist into a folder."""
    # Early releases of Python 3.10 and 3.11 have no filters for what is dangerous in an archive.
    shutil.unpack_archive(archive, folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))


def digest(archive: Path) -> str:
    """The SHA-256 of the archive's bytes."""
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def digest_of_contents(archive: Path) -> str:
    """A SHA-256 over names, permissions and bytes of what is packed, however it was compressed: the same where one
    machine's zlib packs otherwise than another's."""
    listing = "".join(
        f"{hashlib.sha256(entry.content).hexdigest()} {'x' if entry.executable else '-'} {entry.name}\n"
        for entry in sorted(entries_of(archive))
    )
    return hashlib.sha256(listing.encode()).hexdigest()


def compare(one: Path, other: Path) -> str:
    """In what two archives differ, in words; "" where they are the same byte for byte."""
    if one.read_bytes() == other.read_bytes():
        return ""
    try:
        left, right = ({entry.name: entry for entry in entries_of(archive)} for archive in (one, other))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError) as error:
        return f"one of them cannot be read: {error}"
    different = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    return f"they differ in {', '.join(different)}" if different else "their contents are the same, packed otherwise"


def entries_of(archive: Path) -> list[Entry]:
    """The files in a `.tar.gz` or a `.whl`, in their order."""
    return list(_from_zip(archive) if archive.suffix == ".whl" else _from_tar(archive))


def normalise(archive: Path, epoch: int) -> None:
    """Packs the archive again, in place: entries by name, all times `epoch`, no owner, permissions 644 or 755."""
    entries = entries_of(archive)
    archive.write_bytes(_to_zip(entries, epoch) if archive.suffix == ".whl" else _to_tar(entries, epoch))


def _from_zip(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            if not info.is_dir():
                yield Entry(info.filename, bool(info.external_attr >> 16 & 0o100), packed.read(info))


def _from_tar(archive: Path) -> Iterator[Entry]:
    with tarfile.open(archive) as packed:
        for member in packed:
            content = packed.extractfile(member)
            if content is not None:
                yield Entry(member.name, bool(member.mode & 0o100), content.read())


def _to_zip(entries: list[Entry], epoch: int) -> bytes:
    """A wheel; its metadata stand last, as PEP 427 recommends, and RECORD at the very end."""
    moment = time.gmtime(max(epoch, _EARLIEST_IN_ZIP))[:6]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        for entry in sorted(entries, key=_place_in_wheel):
            info = zipfile.ZipInfo(entry.name, moment)
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | _permissions(entry)) << 16
            wheel.writestr(info, entry.content)
    return packed.getvalue()


def _place_in_wheel(entry: Entry) -> tuple[bool, bool, str]:
    folder, _, name = entry.name.partition("/")
    in_metadata = folder.endswith(".dist-info")
    return (in_metadata, in_metadata and name == "RECORD", entry.name)


def _to_tar(entries: list[Entry], epoch: int) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=epoch) as stream,
        tarfile.open(mode="w", fileobj=stream, format=tarfile.PAX_FORMAT) as tar,
    ):
        for entry in sorted(entries):
            member = tarfile.TarInfo(entry.name)
            member.size = len(entry.content)
            member.mode = _permissions(entry)
            member.mtime = epoch
            tar.addfile(member, io.BytesIO(entry.content))
    return packed.getvalue()


def _permissions(entry: Entry) -> int:
    return 0o755 if entry.executable else 0o644
