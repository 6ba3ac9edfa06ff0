"""The cache folder: entries named by the hash of all that determines them, written atomically.

An entry is never changed, so nothing goes stale: other content means another name. The folder may
be deleted at any time.
"""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import xxhash

_SYSTEM_FOLDERS = {
    "win32": lambda: Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")),
    "darwin": lambda: Path.home() / "Library" / "Caches",
}


def cache_folder(folder: str | Path | None = None) -> Path:
    """The folder to cache in: `folder`, else $SEQ2SEQ_CACHE, else the system's own place."""
    if folder is not None:
        return Path(folder).expanduser()
    if os.environ.get("SEQ2SEQ_CACHE"):
        return Path(os.environ["SEQ2SEQ_CACHE"]).expanduser()
    if sys.platform in _SYSTEM_FOLDERS:
        return _SYSTEM_FOLDERS[sys.platform]() / "seq2seq"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seq2seq"


def content_key(*parts: Any) -> str:
    """A name for the given parts (bytes, text, numbers, and lists and mappings of them)."""
    digest = xxhash.xxh3_128()
    for part in parts:
        text = part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass")
        digest.update(f"{len(text)}:".encode())
        digest.update(text)
    return digest.hexdigest()


def column_key(column: pa.ChunkedArray) -> str:
    """Hash of the texts of an Arrow column, whatever its chunks and wherever it is stored."""
    texts, lengths = xxhash.xxh3_128(), xxhash.xxh3_128()
    for chunk in column.cast(pa.large_string()).chunks:
        if not len(chunk):
            continue
        _, offsets, data = chunk.buffers()
        starts = memoryview(offsets).cast("q")[chunk.offset : chunk.offset + len(chunk) + 1]
        if data is not None:
            texts.update(memoryview(data)[starts[0] : starts[-1]])
        lengths.update(pa.compute.binary_length(chunk).fill_null(-1).to_numpy().tobytes())
    return texts.hexdigest() + lengths.hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; takes its place when the block ends well, else vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        try:
            os.replace(temporary, path)
        except PermissionError:
            # Windows keeps a file that another run has mapped; that one has the same content.
            if not path.exists():
                raise
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that others see all of it or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
