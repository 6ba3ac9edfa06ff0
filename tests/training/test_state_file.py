"""The training state: two generations, and detection of every kind of damage."""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq.training.state_file import PREVIOUS, RESUME, StateFile, check_fits


def state(step: int) -> dict[str, Any]:
    weights = torch.full((64, 8), float(step))
    return {"global_step": step, "state_dict": {"w": weights}, "rest": list(range(200))}


@pytest.fixture
def states(tmp_path: Path) -> StateFile:
    states = StateFile(tmp_path)
    for step in (1, 2, 3):
        states.save_checkpoint(state(step), tmp_path / RESUME)
    return states


def test_the_newest_state_is_loaded_and_the_previous_one_is_kept(states: StateFile) -> None:
    assert states.newest() == (states.path, 3)
    assert torch.load(states.previous, weights_only=True)["global_step"] == 2
    assert {path.name for path in states.path.parent.iterdir()} == {RESUME, PREVIOUS}


def test_a_damaged_state_falls_back_to_the_previous_one_with_a_warning(
    states: StateFile, caplog: pytest.LogCaptureFixture
) -> None:
    whole = states.path.read_bytes()
    for torn in (b"", whole[:100], whole[: len(whole) // 2], whole[:-1], whole + bytes(100_000)):
        states.path.write_bytes(torn)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert states.newest() == (states.previous, 2)
        assert "is damaged" in caplog.text
        assert "training continues from the state before it, step 2" in caplog.text


def test_a_damaged_state_does_not_become_the_previous_one(states: StateFile) -> None:
    states.path.write_bytes(b"torn")
    resumed = StateFile(states.path.parent)
    assert resumed.newest()[1] == 2
    resumed.save_checkpoint(state(4), resumed.path)
    assert torch.load(states.previous, weights_only=True)["global_step"] == 2
    resumed.save_checkpoint(state(5), resumed.path)
    assert torch.load(states.previous, weights_only=True)["global_step"] == 4


def test_no_bit_of_a_state_flips_unnoticed(states: StateFile) -> None:
    whole = states.path.read_bytes()
    expected = state(3)
    draw = random.Random(1)
    noticed = 0
    for _ in range(300):
        flipped = bytearray(whole)
        flipped[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        states.path.write_bytes(flipped)
        path, _ = states.newest()
        noticed += path == states.previous
        if path == states.path:  # a bit of the padding between records, which says nothing
            found = torch.load(path, weights_only=True)
            assert torch.equal(found["state_dict"]["w"], expected["state_dict"]["w"])
            assert found["rest"] == expected["rest"]
    assert noticed > 150


def test_resuming_without_a_complete_state_is_an_error(states: StateFile) -> None:
    states.path.write_bytes(b"torn")
    states.previous.write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"resume\.ckpt is damaged .*No state is left"):
        states.newest()


def test_a_write_that_fails_leaves_both_states(
    states: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("seq2seq.training.state_file.os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*resume\.ckpt'"):
        states.save_checkpoint(state(4), states.path)
    assert states.newest() == (states.path, 3)
    assert {path.name for path in states.path.parent.iterdir()} == {RESUME, PREVIOUS}


class Killed(BaseException):
    """Nothing after it happens, as if the process had been killed."""


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("call", [0, 1, 2])
def test_two_generations_are_there_whenever_a_save_is_killed(
    states: StateFile, monkeypatch: pytest.MonkeyPatch, call: int, links: bool
) -> None:
    """And they are two files: what damages one leaves the other whole."""
    replace = os.replace
    calls = 0

    def killing(source: Path, target: Path) -> None:
        nonlocal calls
        if calls == call:
            raise Killed
        calls += 1
        replace(source, target)

    monkeypatch.setattr("os.replace", killing)
    if not links:
        monkeypatch.setattr("os.link", refused)
    if call == 2:
        states.save_checkpoint(state(4), states.path)
        assert calls == 2, "there is no further moment to be killed at"
    else:
        with pytest.raises(Killed):
            states.save_checkpoint(state(4), states.path)
    monkeypatch.undo()
    newest, steps = StateFile(states.path.parent).newest()
    assert (newest, steps) == (states.path, 3 if call == 0 else 4)
    newest.write_bytes(b"torn")
    assert StateFile(states.path.parent).newest() == (states.previous, [2, 2, 3][call])


def refused(*_: object) -> None:
    raise PermissionError("no links here")


def test_a_file_system_without_links_keeps_two_generations_too(
    states: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.link", refused)
    states.save_checkpoint(state(4), states.path)
    assert states.newest() == (states.path, 4)
    assert torch.load(states.previous, weights_only=True)["global_step"] == 3


@pytest.mark.parametrize("weight", [None, "text", [1.0]])
def test_a_state_whose_weights_are_no_tensors_is_refused(tmp_path: Path, weight: object) -> None:
    path = tmp_path / RESUME
    torch.save({"state_dict": {"weight": weight}}, path)
    with pytest.raises(ValueError, match="weight is missing in the state"):
        check_fits(path, torch.nn.Linear(2, 2, bias=False))
