"""A run folder is one run's: nobody else writes there while it works, and no other run after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Claim(Callback):
    """Hydra's callback that claims the run folder, before Hydra writes its own files there.

    The claim is a lock of the operating system on ``run.lock``: it ends with the process, however
    that ends, so the file of a run that was killed hinders nobody. Of several processes that train
    together only the first runs Hydra, and claims for all.
    """

    def __init__(self) -> None:
        self._lock: FileLock | None = None

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a single run."""
        HydraConfig.instance().set_config(config)  # so that names of groups in the path are known
        self._claim(Path(config.hydra.run.dir), resumes=config.resume is not None)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Let a sweep find its folder, whose path has names of groups too."""
        HydraConfig.instance().set_config(config)

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder of a run of a sweep."""
        if self._lock is None:
            self._claim(Path(config.hydra.runtime.output_dir), resumes=False)

    def on_job_end(self, config: DictConfig, job_return: Any, **_: Any) -> None:
        """Give the folder back: a sweep goes on with the next."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _claim(self, folder: Path, resumes: bool) -> None:
        """Lock the folder, or end the process, saying why.

        Hydra makes warnings of a callback's exceptions; ``SystemExit`` gets through.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / "run.lock", blocking=False)
            self._lock.acquire()
        except Timeout:
            raise SystemExit(
                f"error: another run is training in {folder}. Wait for its end, or give this one "
                "a folder of its own: hydra.run.dir=…"
            ) from None
        except OSError as error:
            raise SystemExit(
                f"error: {error.filename or folder} cannot be written: {error.strerror}. Make the "
                "run folder writable, or choose another: hydra.run.dir=…"
            ) from None
        if not resumes and (any(folder.glob("resume*.ckpt")) or (folder / "checkpoints").exists()):
            raise SystemExit(
                f"error: {folder} holds a run already, which another would overwrite. Go on with "
                f"it: resume={folder}; or choose another folder: hydra.run.dir=…"
            )
