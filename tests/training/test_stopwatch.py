"""Training times: they include only training, and all of it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from seq2seq.training.stopwatch import Stopwatch


class Clock:
    """Seconds that pass when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


ALONE = {"world_size": 1, "is_global_zero": True}


def train(watch: Stopwatch, clock: Clock, first: int, last: int, seconds: float = 2.0) -> object:
    """Run updates ``first`` to ``last`` of two batches each."""
    for step in range(first, last + 1):
        for batch in (1, 2):
            clock.now += seconds
            done = step if batch == 2 else step - 1
            trainer = SimpleNamespace(global_step=done, num_training_batches=10, **ALONE)
            watch.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    return trainer


def module() -> SimpleNamespace:
    layer = torch.nn.Linear(3, 2)
    return SimpleNamespace(device=torch.device("cpu"), parameters=layer.parameters)


def test_validation_and_the_first_batch_are_not_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, pauses = Clock(monkeypatch), [0.0]
    watch = Stopwatch(tmp_path / "training.json", lambda: pauses[0])
    train(watch, clock, 1, 3)
    clock.now, pauses[0] = clock.now + 100, 100.0  # a validation
    trainer = train(watch, clock, 4, 5)
    watch.on_train_end(trainer, module())  # type: ignore[arg-type]
    assert json.loads((tmp_path / "training.json").read_text()) == {
        "parameters": 8,
        "updates": 5,
        "epochs": 0.9,  # nine of ten batches
        "seconds": 18.0,
        "seconds_per_update": 3.6,
        "seconds_per_epoch": 20.0,
        "device": "cpu",
        "devices": 1,
    }


def test_the_time_continues_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    first = Stopwatch(tmp_path / "training.json", lambda: 0.0)
    train(first, clock, 1, 2)
    state = first.state_dict()
    second = Stopwatch(tmp_path / "training.json", lambda: 0.0)
    second.load_state_dict(state)
    clock.now += 1000  # between the two
    trainer = train(second, clock, 3, 4)
    second.on_train_end(trainer, module())  # type: ignore[arg-type]
    found = json.loads((tmp_path / "training.json").read_text())
    assert (found["seconds"], found["epochs"]) == (12.0, 0.6)


def test_a_single_batch_has_no_speed(tmp_path: Path) -> None:
    watch = Stopwatch(tmp_path / "training.json", lambda: 0.0)
    trainer = SimpleNamespace(global_step=1, num_training_batches=1, **ALONE)
    watch.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    watch.on_train_end(trainer, module())  # type: ignore[arg-type]
    found = json.loads((tmp_path / "training.json").read_text())
    assert found["seconds_per_update"] is None
    assert found["parameters"] == 8
