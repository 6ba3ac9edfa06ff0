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
    """A temporary name beside `path`; takes its place when the block ends well, else vanishes.

    Args:
        path: of the file.
        lasting: for what is not of the cache: its new name is on the disk before the block ends,
            and what another process wrote there does not do instead.

    The content is on the disk before it takes its place, so that a power cut leaves the old file or
    the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        sync_file(temporary)
        try:
            os.replace(temporary, path)
        except PermissionError:
            # Windows keeps a file that another run has mapped; that one has the same content.
            if lasting or not path.exists():
                raise
        if lasting:
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def follow_umask(path: Path) -> None:
    """Give a file, which safetensors writes for its owner alone, the mode of any other new file."""
    model = path.with_name(f".{uuid.uuid4().hex}")
    model.touch()
    try:
        shutil.copymode(model, path)
    finally:
        model.unlink()


def sync_file(path: Path) -> None:
    """Put the content of a file on the disk."""
    with path.open("rb+") as file:  # Windows refuses it where only reading is allowed
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk: a renamed file is there after a power cut."""
    if os.name == "nt":  # which has no such call
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed in :func:`replacing` left in a folder and below.

    Only for a folder that nobody else writes to now.
    """
    for path in folder.rglob(".*"):
        if re.fullmatch(r"\..+\.[0-9a-f]{32}", path.name) and path.is_file():
            path.unlink()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that others see all of it or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A new folder; takes the place of ``folder``, synced to disk, when the block ends well.

    Where the block fails, nothing of the new folder stays. A folder cannot be renamed over another:
    a process that is killed between the two renames leaves the old one under a name that
    :func:`mend` and :func:`previous_folder` know.
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
    """What stood in the place of ``folder`` when a process was killed while replacing it."""
    found = folder.parent.glob(f".{glob.escape(folder.name)}.*.old")
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def mend(parent: Path) -> None:
    """Put back the folders in ``parent`` that were being replaced; remove what was being written.

    Only for a folder that nobody else writes to now.
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
