"""Save the training state for an exact resume, and stop cleanly on signals."""

from __future__ import annotations

import logging
import os
import random
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import lightning
import numpy
import torch

from seq2seq.system.processes import ALONE, Agreement, Group
from seq2seq.training.event_log import EventLog

log = logging.getLogger(__name__)


class InterruptedRunError(Exception):
    """Error raised after a signal stopped training and the state was saved.

    Attributes:
        signal_number: the signal that stopped training.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


def heeded_signals() -> list[int]:
    """Return the signals that stop training.

    They are SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal closes). SIGHUP is left out if the
    process ignores it, as under ``nohup``.
    """
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers


class StateSaver(lightning.Callback):
    """Callback that saves the training state for an exact resume, and stops cleanly on signals.

    The state holds weights, optimizer, schedule, position in the data, random states and counters.
    It is saved when training begins, every ``every_n_steps`` updates, when training ends, and after
    SIGINT (Ctrl-C), SIGTERM or SIGHUP. After a signal, training first finishes the current update.
    A second signal ends the process at once.

    Args:
        path: file that the trainer's ``StateFile`` writes the state to.
        every_n_steps: updates between saves.
        group: the processes that train together. They save together, and the first one writes. A
            signal to one process stops all of them after the same update.
    """

    def __init__(self, path: Path, every_n_steps: int, group: Group = ALONE) -> None:
        self.path = path
        self.every_n_steps = every_n_steps
        self.group = group
        self._agreement = Agreement(group)
        self.asked: int | None = None
        self._previous: dict[int, Any] = {}
        self._seen = -1
        self._random_states: dict[str, Any] | None = None
        self._resumed = False

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Install the signal handlers, then restore the random states of a resumed run."""
        self._seen = trainer.global_step
        for number in heeded_signals():
            self._previous[number] = signal.signal(number, self._ask)
        if self._random_states is not None:
            restore_random_states(self._random_states)
        elif self.group.rank > 0:  # otherwise dropout would be the same in all processes
            seeds = numpy.random.SeedSequence([torch.initial_seed(), self.group.rank])
            torch.manual_seed(int(seeds.generate_state(1)[0]))
        if not self._resumed:
            self.save(trainer)  # an unwritable folder then fails now, not hours later

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.asked = number
        log.warning(
            "%s: training finishes this step, then saves and stops", signal.Signals(number).name
        )

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_index: int,
    ) -> None:
        """Save the state if it is due; stop if a signal has arrived.

        Both happen only between updates, because accumulated gradients are not saved. Neither
        happens after the last update: ``on_train_end`` saves then, so that the final state includes
        what happens at the end of training.
        """
        step = trainer.global_step
        if step == self._seen or step == trainer.max_steps or _stops(trainer):
            return
        self._seen = step
        asked = self._agreement.exchange(self.asked or 0)
        if step % self.every_n_steps == 0 or asked:
            self.save(trainer)
        if asked:
            raise InterruptedRunError(asked)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Save the final state, for training longer later; stop if a signal has arrived."""
        self.save(trainer)
        asked = max(self._agreement.exchange(self.asked or 0), self._agreement.finish())
        if asked:
            raise InterruptedRunError(asked)

    def teardown(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str
    ) -> None:
        """Restore the previous signal handlers."""
        self._agreement.finish()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def save(self, trainer: lightning.Trainer) -> None:
        """Write the events of this update, then the training state."""
        for logger in trainer.loggers:
            if isinstance(logger, EventLog):
                logger.settle(trainer)
        trainer.save_checkpoint(self.path)

    @property
    def state_key(self) -> str:
        """The name of the state of this callback in a training state, also of earlier versions."""
        return "Survival"

    def state_dict(self) -> dict[str, Any]:
        """Return the random states of Python, NumPy and torch of each process."""
        return {"random_states": self.group.gathered(random_states())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Store the random states; ``on_train_start`` restores them."""
        states = state["random_states"]
        self._random_states = dict(enumerate(states)).get(self.group.rank)
        self._resumed = True


def _stops(trainer: lightning.Trainer) -> bool:
    """Return True if training ends with this batch: a stop is requested and all minima are met."""
    enough = trainer.global_step >= (trainer.min_steps or 0)
    return trainer.should_stop and enough and trainer.current_epoch >= (trainer.min_epochs or 0)


def random_states() -> dict[str, Any]:
    """Return the generator states of Python, NumPy and torch, as plain data and tensors."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = numpy.random.get_state()  # noqa: NPY002
    generator = torch.from_numpy(numpy.asarray(keys, dtype="int64"))
    states: dict[str, Any] = {
        "python": [version, list(words), gauss],
        "numpy": [name, generator, position, has_gauss, cached],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()  # the device of this process
    return states


def restore_random_states(states: dict[str, Any]) -> None:
    """Restore the generator states that :func:`random_states` returned."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = states["numpy"]
    numpy.random.set_state((name, keys.numpy().astype("uint32"), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
