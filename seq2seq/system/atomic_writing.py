"""Write files and folders atomically: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, *, lasting: bool = False) -> Iterator[Path]:
    """Yield a temporary file name; on success the file replaces `path`, else it is deleted.

    The content is flushed to the disk before the file is renamed. So a power cut leaves either the
    old file or the new one.

    Args:
        path: the file to write.
        lasting: set it for files outside the cache. The rename is then flushed to the disk too,
            and must succeed, even if another process has written `path` meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        sync_file(temporary)
        try:
            os.replace(temporary, path)
        except PermissionError:
            # Windows does not replace a file that another run has mapped. Its content is the same.
            if lasting or not path.exists():
                raise
        if lasting:
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_output(path: Path) -> Iterator[Path]:
    """Replace a file that the user names: follow links, write to pipes and devices directly."""
    path = Path(os.path.realpath(path))  # `resolve` fails at a loop of links
    if path.exists() and not path.is_file():  # a pipe or a device, which must not be replaced
        yield path
        return
    with replacing(path, lasting=True) as draft:
        yield draft


def follow_umask(path: Path) -> None:
    """Give a file the mode of a new file: safetensors makes it readable by its owner only."""
    model = path.with_name(f".{uuid.uuid4().hex}")
    model.touch()
    try:
        shutil.copymode(model, path)
    finally:
        model.unlink()


def sync_file(path: Path) -> None:
    """Flush the content of a file to the disk."""
    with path.open("rb+") as file:  # Windows flushes only files that are open for writing
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, so that a rename survives a power cut."""
    if os.name == "nt":  # Windows cannot flush a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder and its subfolders.

    Call it only if no other process writes to the folder; see :func:`replacing`.
    """
    for path in folder.rglob(".*"):
        if re.fullmatch(r"\..+\.[0-9a-f]{32}", path.name) and path.is_file():
            path.unlink()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that other processes see either all of it or none of it."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder; on success it is flushed to the disk and replaces ``folder``.

    If the block fails, the new folder is deleted. A folder cannot be renamed over another one. So a
    process that is killed between two renames leaves the old folder under a name that :func:`mend`
    and :func:`previous_folder` recognize.
    """
    new = folder.with_name(f".{folder.name}.{os.getpid()}.writing")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(parents=True)
        yield new
        for path in new.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(new)
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        sync_folder(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def previous_folder(folder: Path) -> Path | None:
    """Return the old ``folder`` that a process killed while replacing it left, or None."""
    candidates = folder.parent.glob(f".{glob.escape(folder.name)}.*.old")
    return max(candidates, key=lambda path: path.stat().st_mtime, default=None)


def mend(parent: Path) -> None:
    """Restore folders in ``parent`` that were being replaced; delete unfinished new ones.

    Call it only if no other process writes to ``parent``.
    """
    for old in parent.glob(".*.old"):
        name = re.fullmatch(r"\.(.+)\.\d+\.old", old.name)
        if name is None:
            continue
        if (parent / name[1]).exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(parent / name[1])
    for new in parent.glob(".*.writing"):
        if re.fullmatch(r"\..+\.\d+\.writing", new.name):
            shutil.rmtree(new, ignore_errors=True)
