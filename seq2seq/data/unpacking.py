"""Check archives for damage, and unpack untrusted archives safely."""

from __future__ import annotations

import fnmatch
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from seq2seq.data.corpora.lines import OPENERS
from seq2seq.system.atomic_writing import replacing
from seq2seq.system.errors import DataError

BLOCK = 1 << 20
TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
PACKERS: dict[str, Callable[..., Any]] = {**OPENERS, ".tgz": gzip.open}
DAMAGES = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,  # zipfile: a method that it does not know
    RuntimeError,  # zipfile: encrypted
)
MOST_BYTES = 64 << 30


def is_packed(name: str) -> bool:
    """Return True if a file of this name is an archive or compressed, so that damage shows."""
    return name.endswith((*TAR_SUFFIXES, *PACKERS, ".zip"))


def damage(path: Path, name: str) -> str:
    """Read an archive or compressed file through; return what is wrong with it, or "".

    Args:
        path: the file.
        name: name whose suffix tells the format; files of other formats are not checked.
    """
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                bad = archive.testzip()
                return f"its member {bad} is damaged" if bad else ""
        opener = next((o for suffix, o in PACKERS.items() if name.endswith(suffix)), None)
        if opener is not None:
            with opener(path) as file:
                while file.read(BLOCK):
                    pass
        if name.endswith(TAR_SUFFIXES):
            with tarfile.open(path, "r:*") as archive:
                for _ in archive:
                    pass
    except DAMAGES as error:
        return f"it is not a complete {PurePosixPath(name).suffix} file ({error})"
    return ""


def unpack(
    archive: str | Path,
    folder: str | Path,
    members: Sequence[str] = ("*",),
    *,
    most_bytes: int = MOST_BYTES,
) -> list[Path]:
    """Unpack files of a tar or zip archive, which may be untrusted.

    Existing files of the right size are kept. Only regular files are unpacked, no links or devices,
    and nothing is written outside the folder.

    Args:
        archive: the archive.
        folder: destination; files keep their names in the archive.
        members: patterns of names, such as "training/*.fr-en.*"; each must match a file.
        most_bytes: raise an error instead of writing more bytes than this.

    Returns:
        The unpacked and the existing files, in the archive's order.

    Raises:
        DataError: if a pattern matches no file, a name leads out of the folder, or the archive is
            damaged or too large.
    """
    archive, folder = Path(archive), Path(folder)
    matched: set[str] = set()
    paths: list[Path] = []
    left = most_bytes
    try:
        for name, size, content in _files(archive, members, matched):
            path = folder / _safe(name, archive)
            paths.append(path)
            if path.is_file() and path.stat().st_size == size:
                continue
            with replacing(path) as temporary, temporary.open("wb") as file:
                while block := content.read(BLOCK):
                    left -= len(block)
                    if left < 0:
                        raise DataError(
                            f"{archive} unpacks to more than {most_bytes:,} bytes; if you expect "
                            "that, unpack it yourself"
                        )
                    file.write(block)
    except DAMAGES as error:
        raise DataError(f"{archive} is damaged ({error}); delete it and run this again") from error
    if missing := [pattern for pattern in members if pattern not in matched]:
        raise DataError(f"{archive} has no file {' or '.join(missing)}")
    return paths


def _files(
    archive: Path, members: Sequence[str], matched: set[str]
) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield name, size and content of the matching regular files, in the archive's order."""

    def matches(name: str) -> bool:
        patterns = [p for p in members if fnmatch.fnmatchcase(name.removeprefix("./"), p)]
        matched.update(patterns)
        return bool(patterns)

    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if not info.is_dir() and kind in (0, stat.S_IFREG) and matches(info.filename):
                    with zipped.open(info) as content:
                        yield info.filename, info.file_size, content
        return
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            if member.isfile() and matches(member.name):
                file = tar.extractfile(member)
                if file is not None:
                    yield member.name, member.size, file


def _safe(name: str, archive: Path) -> Path:
    """Return the name as a relative path that cannot leave its folder."""
    parts = PureWindowsPath(name)  # knows both kinds of separators, drives, and `..`
    if parts.drive or parts.root or ".." in parts.parts or not parts.parts:
        raise DataError(
            f"{archive} has a file {name!r}, which would leave its folder; not unpacked"
        )
    return Path(*parts.parts)
