"""Claim a run folder for one run, so that no other run writes there, then or later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Claim(Callback):
    """Hydra callback that claims the run folder before Hydra writes its own files there.

    The claim is a lock of the operating system on ``run.lock``. It ends with the process, so the
    file of a killed run blocks no other run. If several processes train together, only the first
    one runs Hydra, and claims the folder for all.
    """

    def __init__(self) -> None:
        self._lock: FileLock | None = None

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a single run."""
        HydraConfig.instance().set_config(config)  # the path may contain names of groups
        self._claim(Path(config.hydra.run.dir), resumes=config.resume is not None)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Set the configuration of a sweep, because its path may contain names of groups."""
        HydraConfig.instance().set_config(config)

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a run of a sweep."""
        if self._lock is None:
            self._claim(Path(config.hydra.runtime.output_dir), resumes=False)

    def on_job_end(self, config: DictConfig, job_return: Any, **_: Any) -> None:
        """Release the folder, because a sweep continues with the next one."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _claim(self, folder: Path, resumes: bool) -> None:
        """Lock the folder, or exit with a message.

        Hydra turns other exceptions of a callback into warnings, but not ``SystemExit``.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / "run.lock", blocking=False)
            self._lock.acquire()
        except Timeout:
            raise SystemExit(
                f"error: another run is training in {folder}; wait until it ends, or choose "
                "another folder: hydra.run.dir=…"
            ) from None
        except OSError as error:
            raise SystemExit(
                f"error: {error.filename or folder} cannot be written: {error.strerror}; make the "
                "run folder writable, or choose another: hydra.run.dir=…"
            ) from None
        if not resumes and (any(folder.glob("resume*.ckpt")) or (folder / "checkpoints").exists()):
            raise SystemExit(
                f"error: {folder} has a run already, which this one would overwrite; continue it "
                f"with resume={folder}, or choose another folder: hydra.run.dir=…"
            )
