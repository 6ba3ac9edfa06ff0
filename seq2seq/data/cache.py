"""The cache folder: files named by the hash of everything that determines them.

Entries are written atomically and never changed: other content has another name, so no entry goes
stale. You may delete the folder at any time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from seq2seq.data.datasets_internals import fingerprint
from seq2seq.system.atomic_writing import write_atomically
from seq2seq.system.untrusted_files import check_readable, shown

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

log = logging.getLogger(__name__)

END_OF_TABLE = b"\xff\xff\xff\xff\0\0\0\0"  # ends an Arrow stream; a truncated file lacks it
LARGEST_TO_VALIDATE = 1 << 28  # bytes of a table; reading them takes a tenth of a second
_SYSTEM_FOLDERS = {
    "win32": lambda: Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")),
    "darwin": lambda: Path.home() / "Library" / "Caches",
}


def cache_folder(folder: str | Path | None = None) -> Path:
    """Return the cache folder: `folder`, else $SEQ2SEQ_CACHE, else the system's default."""
    if folder is not None:
        return Path(os.path.expanduser(folder))
    if os.environ.get("SEQ2SEQ_CACHE"):
        return Path(os.path.expanduser(os.environ["SEQ2SEQ_CACHE"]))
    if sys.platform in _SYSTEM_FOLDERS:
        return _SYSTEM_FOLDERS[sys.platform]() / "seq2seq"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seq2seq"


def content_key(*parts: Any) -> str:
    """Return a hash of the parts (bytes, arrays, text, numbers, lists and mappings of them)."""
    digest = xxhash.xxh3_128()
    for part in parts:
        data = _bytes(part)
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def _bytes(part: Any) -> bytes | memoryview:
    if isinstance(part, np.ndarray):
        return np.ascontiguousarray(part).data.cast("B")
    return part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass")


def column_key(column: pa.ChunkedArray) -> str:
    """Return a hash of the texts of an Arrow column; chunks and storage make no difference."""
    return _texts_key(column.chunks)


def _texts_key(chunks: Iterable[pa.Array]) -> str:
    # Imported here, because a translation uses this module but no tables.
    import pyarrow as pa
    import pyarrow.compute

    texts, lengths = xxhash.xxh3_128(), xxhash.xxh3_128()
    for chunk in chunks:
        if not len(chunk):
            continue
        chunk = chunk.cast(pa.large_string())
        _, offsets, data = chunk.buffers()
        starts = memoryview(offsets).cast("q")[chunk.offset : chunk.offset + len(chunk) + 1]
        if data is not None:
            texts.update(memoryview(data)[starts[0] : starts[-1]])
        lengths.update(pa.compute.binary_length(chunk).fill_null(-1).to_numpy().tobytes())
    return texts.hexdigest() + lengths.hexdigest()


def texts_key(split: Dataset, column: str, folder: Path) -> str:
    """Return the `column_key` of a split's rows, cached under the split's fingerprint."""

    def compute() -> str:
        blocks = split.select_columns([column]).with_format("arrow").iter(batch_size=10_000)
        return _texts_key(chunk for block in blocks for chunk in block[column].chunks)

    return _remembered(folder, content_key("column", fingerprint(split), column), compute)


def file_key(path: Path, folder: Path) -> str:
    """Return a hash of the content of a file, cached until the file changes.

    The size, the times of change and the inode of a file show a change, as in git and make. The
    hash of a file changed within the last two seconds is not cached, because the clock might not
    show another change.
    """

    def compute() -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()

    check_readable(path)
    stat = path.stat()
    if time.time_ns() - stat.st_mtime_ns < 2_000_000_000:
        return compute()
    name = content_key(
        "file", str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino
    )
    return _remembered(folder, name, compute)


def _remembered(folder: Path, name: str, compute: Callable[[], str]) -> str:
    path = folder / "hashes" / name
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        content = None
    if content is not None:
        value, _, check = content.decode("ascii", "replace").partition(" ")
        if check == content_key(value):
            return value
        tell_damaged(path)
    value = compute()
    write_atomically(path, f"{value} {content_key(value)}".encode("ascii"))
    return value


def tell_damaged(path: Path, why: object = "its content is not what was written") -> None:
    """Log that an entry is damaged and is rebuilt; the caller rebuilds it."""
    log.warning("the cache entry %s is damaged (%s); it is rebuilt", path, shown(why, 200))


def open_table(path: Path) -> Dataset | None:
    """Return the table of an entry; None if it is missing, or damaged, which is logged."""
    import pyarrow as pa
    from datasets import Dataset

    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < len(END_OF_TABLE):
                raise pa.ArrowInvalid("it is cut off")
            file.seek(-len(END_OF_TABLE), os.SEEK_END)
            if file.read() != END_OF_TABLE:
                raise pa.ArrowInvalid("it is cut off")
        table = Dataset.from_file(str(path))
        # Full validation reads the whole file. A large file is mapped to avoid just that.
        table.data.table.validate(full=path.stat().st_size <= LARGEST_TO_VALIDATE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, pa.ArrowException) as error:
        tell_damaged(path, error)
        return None
    return table
