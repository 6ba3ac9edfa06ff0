"""The training state on disk: two generations, written atomically and checked on reading."""

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

from seq2seq.system.atomic_writing import replacing

log = logging.getLogger(__name__)

#: File of the training state in the run folder; it holds everything that resuming needs.
RESUME = "resume.ckpt"
#: File of the state saved before that one.
PREVIOUS = "resume.previous.ckpt"

#: Errors that a disk or a folder causes, not the program.
_FAULTS = ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EIO", "ESTALE")
_ERRORS = {getattr(errno, name) for name in _FAULTS if hasattr(errno, name)}


class StateFile(TorchCheckpointIO):
    """Writer of the training state for Lightning, and finder of the newest undamaged state.

    The new state is written to a temporary file and synced to disk. Then it replaces
    ``resume.ckpt``. Until then the old state has a second name, and only after that it replaces
    ``resume.previous.ckpt``. So two complete states are on the disk at every moment.

    torch writes a zip archive with a CRC-32 of each record. The archive's structure and the
    checksums are verified before a state is used.

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
        """Write a state; if that fails, the previous states stay unchanged.

        Raises:
            OSError: if the state cannot be written, for example because the disk is full.
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
        """Return the path of the newest undamaged state and its number of updates.

        Raises:
            FileNotFoundError: if there is no state.
            ValueError: if all states are damaged.
        """
        damaged = []
        for path in (self.path, self.previous):
            if not path.is_file():
                continue
            try:
                updates = _check(path)
            except Exception as error:  # a damaged file can raise any error
                reason = str(error).partition("\n")[0] or type(error).__name__
                damaged.append(f"{path} is damaged ({reason})")
                self._current_is_whole = False
                continue
            for message in damaged:
                log.warning(
                    "%s; training continues from the state before it, step %d", message, updates
                )
            return path, updates
        if damaged:
            raise ValueError(
                f"resume={self.path.parent}: {'; '.join(damaged)}. No state is left to resume "
                "from. The checkpoints in this folder can still be used"
            )
        raise FileNotFoundError(
            f"resume={self.path.parent}: this folder has no {RESUME}, because the run ended before "
            "it saved a state. Start the run again without resume"
        )


def check_fits(path: Path, module: nn.Module) -> None:
    """Raise `ValueError` if the shapes of a state's weights differ from those of the model.

    Raises:
        ValueError: for the first weight that differs.
    """
    saved = torch.load(path, map_location="cpu", mmap=True, weights_only=True)["state_dict"]
    own = module.state_dict()
    for name in {**saved, **own}:
        shapes = [_shape(state, name) for state in (saved, own)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"resume={path.parent}: the state in {path.name} does not fit the model that "
                f".hydra/config.yaml describes: {name} is {shapes[0]} in the state and {shapes[1]} "
                "in the model. Change .hydra/config.yaml back to the values the run started with"
            )


def _shape(state: dict[str, Any], name: str) -> tuple[int, ...] | str:
    value = state.get(name)
    return tuple(value.shape) if isinstance(value, torch.Tensor) else "missing"


def _write(checkpoint: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:  # torch's writer hides the disk's error behind its own
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
    """Return the number of updates of a state; raise any error if it is damaged."""
    with zipfile.ZipFile(path) as archive:
        if (record := archive.testzip()) is not None:
            raise ValueError(f"the checksum of its record {record} does not match")
    state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    return int(state["global_step"])


@contextlib.contextmanager
def telling_what_is_saved(folder: Path, again: str) -> Iterator[None]:
    """Add to an error of the disk what is saved and how to resume.

    Args:
        folder: the run folder.
        again: the command that resumes the run.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _ERRORS:
            raise
        saved = (
            f"the states and checkpoints saved before are complete. Fix the cause, then resume "
            f"with: {again}"
            if (folder / RESUME).is_file()
            else "no state was saved yet. Fix the cause, then start the run again"
        )
        raise OSError(
            f"{error.filename or folder} could not be written: {error.strerror}. "
            f"Training stopped; {saved}"
        ) from error
