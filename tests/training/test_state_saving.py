"""Random states are saved and restored."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from seq2seq.training.state_saving import _stops, random_states, restore_random_states


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002


def test_restored_generators_continue_with_the_same_numbers(tmp_path: Path) -> None:
    draw()
    torch.save(random_states(), tmp_path / "states")
    expected = [draw() for _ in range(3)]
    draw()
    restore_random_states(torch.load(tmp_path / "states", weights_only=True))
    assert [draw() for _ in range(3)] == expected


@pytest.mark.parametrize(
    ("minimum", "stops"),
    [({}, True), ({"min_steps": 50}, True), ({"min_steps": 51}, False), ({"min_epochs": 3}, False)],
    ids=str,
)
def test_a_run_that_continues_for_a_while_saves_and_listens(
    minimum: dict[str, int], stops: bool
) -> None:
    """Patience is at its end, and Lightning trains on up to the minimum."""
    now: dict[str, Any] = {"global_step": 50, "current_epoch": 2, "should_stop": True}
    trainer: Any = SimpleNamespace(**{**now, "min_steps": None, "min_epochs": None, **minimum})
    assert _stops(trainer) == stops
    trainer.should_stop = False
    assert not _stops(trainer)
