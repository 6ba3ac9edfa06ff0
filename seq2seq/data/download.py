"""Download published corpora, for scripts; resume broken downloads and verify every file.

Size and SHA-256 are verified if they are published. If no SHA-256 is published, the first download
of an archive is read through once, and its SHA-256 is saved beside it (`NAME.sha256`, in the format
of `sha256sum -c`). Later runs verify the file with that.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from seq2seq.data.unpacking import damage, is_packed
from seq2seq.system.atomic_writing import write_atomically
from seq2seq.system.errors import DataError

ATTEMPTS = 3
PAUSE = 1.0  # seconds before the second attempt; twice as long before the third
TIMEOUT = 30  # seconds without receiving a byte
BLOCK = 1 << 18


class DownloadError(DataError):
    """A download failed; the message says where to get the file and where to put it."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        url: address of the file.
        size: bytes, if published.
        sha256: its SHA-256 in hexadecimal, if published.
        name: file name in the folder of the corpus; the last part of the URL by default.
    """

    url: str
    size: int | None = None
    sha256: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", unquote(urlsplit(self.url).path.rsplit("/", 1)[-1]))
        if self.name in ("", "..") or Path(self.name).name != self.name:
            raise ValueError(f"the URL {self.url!r} does not end in a file name; set name=")


def fetch(
    files: Iterable[RemoteFile], folder: str | Path, *, mirror: str | None = None
) -> list[Path]:
    """Download files into a folder; keep those that exist already and verify.

    Args:
        files: the files, with distinct names.
        folder: destination; created if it does not exist.
        mirror: URL of a folder with files of the same names, to download from instead.

    Returns:
        The path of each file, verified.

    Raises:
        DownloadError: if a file cannot be downloaded, or fails verification.
    """
    files, folder = list(files), Path(folder)
    if len({file.name for file in files}) < len(files):
        raise ValueError("two files have the same name, so one would replace the other")
    folder.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn()) as progress:
        for file in files:
            path = folder / file.name
            if _is_right(path, file):
                continue
            url = f"{mirror.rstrip('/')}/{file.name}" if mirror else file.url
            bar = progress.add_task(file.name, total=file.size)
            _download(url, path, file, _Bar(progress, bar))
    return [folder / file.name for file in files]


@dataclass(frozen=True)
class _Bar:
    progress: Progress
    task: object

    def __call__(self, done: int, total: int | None) -> None:
        self.progress.update(self.task, completed=done, total=total)  # type: ignore[arg-type]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded(path: Path) -> str | None:
    """Return the SHA-256 of the first download of a file; None before the first download."""
    record = _record(path)
    words = record.read_text("utf-8").split() if record.is_file() else []
    return words[0] if words else None


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _is_right(path: Path, file: RemoteFile) -> bool:
    """Return True if the file exists and verifies; records its SHA-256, whoever put it there."""
    return path.is_file() and not _wrong(path, path, file)


def _wrong(content: Path, path: Path, file: RemoteFile) -> str:
    """Return what is wrong with a file's content, or "" after recording its SHA-256."""
    size = content.stat().st_size
    if file.size is not None and size != file.size:
        return f"it has {size:,} bytes, not the {file.size:,} that were published"
    digest = sha256(content)
    if file.sha256 is not None:
        return "" if digest == file.sha256 else _other(f"SHA-256 is not {file.sha256}")
    if (first := recorded(path)) is not None:
        where = f"SHA-256 is not that of the first download, {_record(path).absolute()}"
        return "" if digest == first else _other(f"{where}; delete that file to accept this one")
    if problem := damage(content, path.name):
        return problem
    write_atomically(_record(path), f"{digest}  {path.name}\n".encode())
    return ""


def _other(why: str) -> str:
    return f"its content is not the expected one ({why})"


def _download(
    url: str, path: Path, file: RemoteFile, advance: Callable[[int, int | None], None]
) -> None:
    """Download and verify a file; it gets its name only after that."""
    part = path.with_name(f"{path.name}.part")
    if file.sha256 is None and recorded(path) is None and not is_packed(path.name):
        part.unlink(missing_ok=True)  # no check would show that both halves are of the same file
    problem = ""
    for attempt in range(ATTEMPTS):
        time.sleep(attempt * PAUSE)
        try:
            total = _append(url, part, file.size, advance)
        except (OSError, http.client.HTTPException) as error:
            problem = str(getattr(error, "reason", "") or error or type(error).__name__)
            continue
        have = part.stat().st_size
        if total is not None and have < total:
            problem = f"the connection closed after {have:,} of {total:,} bytes"
        elif problem := _wrong(part, path, file):
            part.unlink()
        else:
            if path.exists():
                print(f"replaced {path}, which was not the published file")
            os.replace(part, path)
            return
    raise DownloadError(
        f"{url} could not be downloaded: {problem}. Get that file by other means and put it at "
        f"{path.absolute()}, then run this again; it verifies existing files and gets the rest."
    )


def _append(
    url: str, part: Path, size: int | None, advance: Callable[[int, int | None], None]
) -> int | None:
    """Append the missing bytes to `part`; return the full size, None if it is unknown."""
    have = part.stat().st_size if part.exists() else 0
    if have and have == size:
        return size
    if size is not None and have > size:
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()  # `part` is as long as the file or longer: the next attempt starts over
        raise
    with response:
        resumed = have > 0 and response.status == http.client.PARTIAL_CONTENT
        done = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = size if size is not None else done + int(length) if length else None
        with part.open("ab" if resumed else "wb") as file:
            while block := response.read(BLOCK):
                file.write(block)
                done += len(block)
                advance(done, total)
    return total
