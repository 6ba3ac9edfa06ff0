"""Random states survive."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch

from seq2seq.training.survival import random_states, restore_random_states


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002


def test_restored_generators_go_on_with_the_same_numbers(tmp_path: Path) -> None:
    draw()
    torch.save(random_states(), tmp_path / "states")
    expected = [draw() for _ in range(3)]
    draw()
    restore_random_states(torch.load(tmp_path / "states", weights_only=True))
    assert [draw() for _ in range(3)] == expected
