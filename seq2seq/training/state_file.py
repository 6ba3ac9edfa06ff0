"""The state of training on the disk: two generations, written whole, checked when they are read."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import nn

from seq2seq.data.cache import replacing

log = logging.getLogger(__name__)

#: The state of training, in the run folder: everything that resuming needs.
RESUME = "resume.ckpt"
#: The state that was saved before it.
PREVIOUS = "resume.previous.ckpt"

#: What a disk or a folder can be at fault for.
_FAULTS = ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EIO", "ESTALE")
_ERRORS = {getattr(errno, name) for name in _FAULTS if hasattr(errno, name)}


class StateFile(TorchCheckpointIO):
    """How Lightning writes the state of training; how the newest state that is whole is found.

    The new state is written under a temporary name and synced; then it takes its place, and only
    then the state before, under a second name until now, that of ``resume.previous.ckpt``: there
    are two whole ones on the disk at every moment.

    What torch writes is a zip archive with a CRC-32 of each record; both it and the archive's own
    structure are checked before a state is used.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path, self.previous = folder / RESUME, folder / PREVIOUS
        self._current_is_whole = True

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a state; on a full disk and the like, what was there stays as it was.

        Raises:
            OSError: if it cannot be written.
        """
        path = Path(path)
        keeps = path == self.path and path.is_file() and self._current_is_whole
        with (
            replacing(self.previous) if keeps else contextlib.nullcontext() as before,
            replacing(path, lasting=True) as temporary,
        ):
            try:
                _write(checkpoint, temporary)
                if before is not None:
                    _second_name(path, before)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from error
        self._current_is_whole = True

    def newest(self) -> tuple[Path, int]:
        """The newest state that is whole, and the updates that had been made.

        Raises:
            FileNotFoundError: if there is no state.
            ValueError: if none is whole.
        """
        damaged = []
        for path in (self.path, self.previous):
            if not path.is_file():
                continue
            try:
                updates = _check(path)
            except Exception as error:  # whatever a reader makes of a damaged file
                reason = str(error).partition("\n")[0] or type(error).__name__
                damaged.append(f"{path} is damaged ({reason})")
                self._current_is_whole = False
                continue
            for told in damaged:
                log.warning("%s: going on from the state before it, step %d", told, updates)
            return path, updates
        if damaged:
            raise ValueError(
                f"resume={self.path.parent}: {'; '.join(damaged)}. No state is left to go on from; "
                "the weights in its checkpoints can still be used"
            )
        raise FileNotFoundError(
            f"resume={self.path.parent}: there is no {RESUME} in that folder: the run ended before "
            "its first state was saved. Start it anew"
        )


def check_fits(path: Path, module: nn.Module) -> None:
    """Compare the shapes of a state's weights with those of the model that is to take them.

    Raises:
        ValueError: naming the first that differs.
    """
    saved = torch.load(path, map_location="cpu", mmap=True, weights_only=True)["state_dict"]
    own = module.state_dict()
    for name in {**saved, **own}:
        shapes = [tuple(s[name].shape) if name in s else "missing" for s in (saved, own)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"resume={path.parent}: the state in {path.name} does not fit the model that "
                f".hydra/config.yaml describes: {name} is {shapes[0]} in the one and {shapes[1]} "
                "in the other. Change the file back to what the run began with"
            )


def _write(checkpoint: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:  # torch's writer hides what the disk said behind its own
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        file.flush()
        os.fsync(file.fileno())


def _second_name(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # the file system has no links
        shutil.copyfile(path, name)


def _check(path: Path) -> int:
    """The updates made at a state that is whole; any error otherwise."""
    with zipfile.ZipFile(path) as archive:
        if (record := archive.testzip()) is not None:
            raise ValueError(f"the checksum of its record {record} is another")
    state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    return int(state["global_step"])


@contextlib.contextmanager
def telling_what_is_saved(folder: Path, again: str) -> Iterator[None]:
    """Add to an error of the disk that nothing is lost, and how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ERRORS:
            raise
        saved = (
            f"what was saved before is whole. Mend that, then go on with: {again}"
            if (folder / RESUME).is_file()
            else "nothing was saved yet. Mend that, then start anew"
        )
        raise OSError(
            f"{error.filename or folder} could not be written: {error.strerror}. "
            f"Training stopped; {saved}"
        ) from error
