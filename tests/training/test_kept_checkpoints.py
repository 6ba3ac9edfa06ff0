"""The keeper saves the best few checkpoints and their average."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq.checkpoint import build, load_checkpoint
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.training.kept_checkpoints import CheckpointKeeper
from seq2seq.training.validation import Validation


@pytest.fixture
def config(subwords: VocabularyPair) -> dict[str, Any]:
    return {
        "model": {
            "_target_": "seq2seq.models.recurrent.Recurrent",
            "source_vocabulary_size": subwords.source.size,
            "target_vocabulary_size": subwords.target.size,
            "mapping": {"_target_": "seq2seq.mappings.Softmax"},
            "embedding_size": 4,
            "hidden_size": 4,
            "tie_embeddings": "target",
        }
    }


def filled(model: EncoderDecoder, value: float) -> EncoderDecoder:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


def constant_of(folder: Path) -> float:
    return next(load_checkpoint(folder).model.parameters()).flatten()[0].item()


@pytest.mark.parametrize(("higher", "best"), [(True, 3.0), (False, 1.0)])
def test_keeps_the_best_and_points_to_the_very_best(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any], higher: bool, best: float
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config, keep=2, higher_is_better=higher)
    model = build(config["model"])
    for step, score in enumerate([2.0, 3.0, 1.0, 2.5], start=1):
        keeper.offer(filled(model, score), step, score, {"loss": score})
    assert constant_of(tmp_path / "best") == best
    assert constant_of(tmp_path / "last") == 2.5
    expected = {"step-000002", "step-000004"} if higher else {"step-000001", "step-000003"}
    assert {path.name for path in tmp_path.glob("step-*")} == expected


@pytest.mark.parametrize("keep", [1, 3])
def test_a_tie_of_scores_is_decided_by_the_loss(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any], keep: int
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config, keep=keep)
    model = build(config["model"])
    losses = [1.57, 0.4, 0.08, math.nan, 0.9]
    offered = [
        keeper.offer(filled(model, step), step, 0.0, {"loss": loss})
        for step, loss in enumerate(losses, start=1)
    ]
    assert offered == [True, True, True, False, False]
    assert constant_of(tmp_path / "best") == 3.0
    assert [entry.step for entry in keeper.kept] == [3, 2, 5][:keep]
    again = CheckpointKeeper(tmp_path, subwords, config, keep=keep)
    again.load_state_dict(keeper.state_dict())
    assert not again.offer(filled(model, 6.0), 6, 0.0, {"loss": 0.09})
    assert again.offer(filled(model, 7.0), 7, 0.0, {"loss": 0.07})


def test_a_state_without_losses_is_gone_on_with(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any]
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config)
    keeper.load_state_dict({"kept": [[5.0, 2], [4.0, 1]], "best_score": 5.0})
    assert keeper.offer(build(config["model"]), 3, 5.0, {"loss": 1.0})
    assert [entry.step for entry in keeper.kept] == [3, 2, 1]


def test_at_equal_scores_and_losses_the_earlier_stays_the_best(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any]
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config, keep=1)
    model = build(config["model"])
    assert keeper.offer(filled(model, 1.0), 1, 5.0, {"loss": 0.0})
    assert not keeper.offer(filled(model, 2.0), 2, 5.0, {"loss": 0.0})
    assert constant_of(tmp_path / "best") == 1.0


@pytest.mark.parametrize("better", [True, False])
def test_the_average_is_the_mean_and_is_taken_only_where_it_is_better(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any], better: bool
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config, keep=3)
    model = build(config["model"])
    for step, value in enumerate([1.0, 2.0, 6.0], start=1):
        keeper.offer(filled(model, value), step, value, {"loss": value})

    def evaluate(averaged: EncoderDecoder) -> tuple[float, dict[str, Any], dict[str, Any]]:
        values = {p.flatten()[0].item() for p in averaged.parameters()}
        assert values == {3.0}
        return (7.0 if better else 5.0), {"loss": 0.0}, {}

    assert keeper.average(model, evaluate) == ((7.0, True) if better else (5.0, False))
    assert constant_of(tmp_path / "best") == (3.0 if better else 6.0)
    assert constant_of(tmp_path / "average") == 3.0


def test_one_checkpoint_has_no_average(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any]
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config)
    keeper.offer(build(config["model"]), 1, 1.0, {"loss": 0.0})
    assert keeper.average(build(config["model"]), lambda _: (1.0, {}, {})) is None


def test_a_resumed_keeper_forgets_what_came_after(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any]
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config, keep=3)
    model = build(config["model"])
    keeper.offer(filled(model, 1.0), 1, 1.0, {"loss": 0.0})
    state = keeper.state_dict()
    keeper.offer(filled(model, 2.0), 2, 0.5, {"loss": 0.0})
    again = CheckpointKeeper(tmp_path, subwords, config, keep=3)
    again.load_state_dict(state)
    again.restore()
    assert again.kept == [(1.0, 1, 0.0)]
    assert again.best_score == 1.0
    assert not again.path(2).exists()


def test_a_resumed_keeper_makes_the_folder_what_it_was(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any]
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config, keep=2)
    model = build(config["model"])
    for step in (1, 2):
        keeper.offer(filled(model, step), step, float(step), {"loss": 0.0})
    state = keeper.state_dict()
    keeper.offer(filled(model, 3.0), 3, 3.0, {"loss": 0.0})
    assert constant_of(tmp_path / "best") == 3.0
    again = CheckpointKeeper(tmp_path, subwords, config, keep=2)
    again.load_state_dict(state)
    again.restore()
    assert again.kept == [(2.0, 2, 0.0)], "the first, which the third pushed out, is gone"
    assert constant_of(tmp_path / "best") == 2.0
    again.offer(filled(model, 3.0), 3, 3.0, {"loss": 0.0})
    assert (again.kept, again.best_score) == (keeper.kept, keeper.best_score)


def test_a_damaged_checkpoint_is_not_averaged(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any]
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config, keep=3)
    model = build(config["model"])
    for step in (1, 2, 3):
        keeper.offer(filled(model, step), step, float(step), {"loss": 0.0})
    weights = tmp_path / "step-000002" / "model.safetensors"
    whole = weights.read_bytes()
    weights.unlink()  # which other names have too
    weights.write_bytes(whole[:-1])
    keeper.average(model, lambda _: (9.0, {"loss": 0.0}, {}))
    assert constant_of(tmp_path / "average") == 2.0, "of 1 and 3"


@pytest.mark.parametrize("lost", [["model.safetensors.sha256"], ["model.safetensors"]], ids=str)
def test_a_checkpoint_half_removed_does_not_become_the_best(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any], lost: list[str]
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config, keep=1)
    keeper.offer(filled(build(config["model"]), 1.0), 1, 1.0, {"loss": 0.0})
    state = keeper.state_dict()
    for name in lost:
        (keeper.path(1) / name).unlink()
    again = CheckpointKeeper(tmp_path, subwords, config, keep=1)
    again.load_state_dict(state)
    again.restore()
    assert again.kept == []
    assert constant_of(tmp_path / "best") == 1.0


def test_scores_of_two_kinds_are_not_compared(
    tmp_path: Path,
    subwords: VocabularyPair,
    config: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def validation(monitor: str) -> Validation:
        keeper = CheckpointKeeper(tmp_path, subwords, config)
        return Validation(lambda _: pytest.fail("not yet"), lambda *_: None, keeper, 1, monitor)

    first = validation("chrf")
    first.keeper.offer(build(config["model"]), 1, 55.0, {"loss": 0.0})
    state = first.state_dict()
    for monitor, best in (("chrf", 55.0), ("bleu", None)):
        resumed = validation(monitor)
        resumed.load_state_dict(state)
        assert resumed.keeper.best_score == best
    assert "validation.monitor is now bleu and was chrf" in caplog.text
