"""Random states survive; a torn write never replaces the state before."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from seq2seq.training.survival import Survival, random_states, restore_random_states


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002


def test_restored_generators_go_on_with_the_same_numbers(tmp_path: Path) -> None:
    draw()
    torch.save(random_states(), tmp_path / "states")
    expected = [draw() for _ in range(3)]
    draw()
    restore_random_states(torch.load(tmp_path / "states", weights_only=True))
    assert [draw() for _ in range(3)] == expected


class FullDisk:
    """A trainer whose disk is full half way through the write."""

    global_step = 7

    def save_checkpoint(self, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")


def test_a_failed_write_leaves_the_state_before(tmp_path: Path) -> None:
    path = tmp_path / "resume.ckpt"
    path.write_bytes(b"the state before")
    survival = Survival(path, every_n_steps=5)
    with pytest.raises(OSError, match="No space"):
        survival.save(FullDisk())  # type: ignore[arg-type]
    assert path.read_bytes() == b"the state before"
