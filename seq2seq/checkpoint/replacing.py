"""A folder that appears whole or not at all, and what a process that was killed left of one."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from seq2seq.data.cache import sync_folder


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
