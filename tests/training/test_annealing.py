"""Annealed γ follows its formula, is saved with the weights, and resumes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.checkpoint import build, load_checkpoint
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.mappings import Fusedmax, Softmax
from seq2seq.models import EncoderDecoder, Recurrent, Transformer
from seq2seq.training.annealing import Annealer, Annealing, Cosine, Exponential, Linear
from seq2seq.training.kept_checkpoints import CheckpointKeeper

SIZES = {"size": 8, "feedforward_size": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 2}


def transformer(**options: Any) -> EncoderDecoder:
    return Transformer(9, 9, **({"cross_mapping": Fusedmax()} | SIZES | options))


@pytest.mark.parametrize(
    ("annealing", "middle"), [(Linear, 2.5), (Cosine, 2.5), (Exponential, 2.0)]
)
def test_it_goes_from_start_to_end_and_stays(annealing: type[Annealing], middle: float) -> None:
    gamma = annealing(4.0, 1.0, 100)
    assert gamma(0) == 4.0
    assert gamma(50) == pytest.approx(middle)
    assert [gamma(100), gamma(1000)] == [1.0, 1.0]
    assert all(gamma(t) > gamma(t + 1) for t in range(100))
    rising = annealing(1.0, 4.0, 100)
    assert all(rising(t) < rising(t + 1) for t in range(100))


def test_each_follows_its_formula() -> None:
    for t in range(10):
        s = t / 10
        assert Linear(4.0, 1.0, 10)(t) == pytest.approx(4 - 3 * s)
        assert Cosine(4.0, 1.0, 10)(t) == pytest.approx(1 + 1.5 * (1 + math.cos(math.pi * s)))
        assert Exponential(4.0, 1.0, 10)(t) == pytest.approx(4.0 * 0.25**s)


@pytest.mark.parametrize("kinds", [["cross"], ["encoder"], ["cross", "decoder"]])
def test_it_sets_the_mappings_that_are_named_and_no_others(kinds: list[str]) -> None:
    model = transformer()
    Annealer(Linear(4.0, 2.0, 10, kinds), model).set(5)
    for kind, mappings in model.attention_mappings().items():
        for mapping in mappings:
            assert mapping.gamma == (3.0 if kind in kinds else 1.0)


def test_a_mapping_that_two_attentions_were_given_is_annealed_in_one() -> None:
    shared = Softmax()
    model = transformer(cross_mapping=shared, encoder_mapping=shared)
    Annealer(Linear(4.0, 2.0, 10), model)
    held = model.attention_mappings()
    assert [mapping.gamma for mapping in held["cross"]] == [4.0, 4.0]
    assert held["encoder"][0].gamma == shared.gamma == 1.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Linear(0.0, 1.0, 10), "annealing.start=0"),
        (lambda: Cosine(1.0, -1.0, 10), "annealing.end=-1"),
        (lambda: Linear(4.0, 1.0, 0), "annealing.steps must be at least 1"),
        (lambda: Linear(4.0, 1.0, 10, "cross"), r"such as \[cross\]"),
        (
            lambda: Annealer(Linear(4.0, 1.0, 9, ["encoder"]), Recurrent(9, 9, mapping=Softmax())),
            "Recurrent has no encoder attention, only cross",
        ),
        (
            lambda: Annealer(
                Linear(4.0, 1.0, 9), transformer(cross_mapping=Softmax(learn=["gamma"]))
            ),
            "take gamma out of learn, or set annealing=none",
        ),
    ],
)
def test_what_cannot_be_annealed_is_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_another_parameter_may_be_learned_meanwhile() -> None:
    model = transformer(cross_mapping=Fusedmax(learn=["lam"], per="head"))
    Annealer(Linear(4.0, 2.0, 10), model)
    assert set(model.attention_mappings()["cross"][0].tensors()) == {"gamma", "lam"}


@pytest.fixture
def config(subwords: VocabularyPair) -> dict[str, Any]:
    return {
        "model": {
            "_target_": "seq2seq.models.transformer.Transformer",
            "source_vocabulary_size": subwords.source.size,
            "target_vocabulary_size": subwords.target.size,
            "cross_mapping": {"_target_": "seq2seq.mappings.Softmax", "gamma": 1.0},
            **SIZES,
        }
    }


def logits(model: EncoderDecoder) -> Tensor:
    source = torch.tensor([[4, 5, 6, 3]])
    return model.eval()(source, torch.tensor([4]), torch.tensor([[2, 4, 5]])).logits


def test_every_checkpoint_has_its_own_gamma_and_the_average_the_mean(
    tmp_path: Path, subwords: VocabularyPair, config: dict[str, Any]
) -> None:
    keeper = CheckpointKeeper(tmp_path, subwords, config, keep=2)
    model = build(config["model"])
    annealer = Annealer(Linear(8.0, 2.0, 3), model)
    expected = {}
    for step, score in ((1, 1.0), (2, 3.0), (3, 2.0)):
        annealer.set(step)
        keeper.offer(model, step, score, {"loss": 0.0})
        expected[step] = logits(model)
    for place, step in (("best", 2), ("last", 3), ("step-000002", 2), ("step-000003", 3)):
        loaded = load_checkpoint(tmp_path / place).model
        assert {m.gamma.item() for m in loaded.attention_mappings()["cross"]} == {8.0 - 2 * step}
        assert torch.equal(logits(loaded), expected[step])
    assert not torch.equal(expected[2], expected[3])

    scored = {}

    def evaluate(averaged: EncoderDecoder) -> tuple[float, dict[str, Any], dict[str, Any]]:
        scored["logits"] = logits(averaged)
        return 9.0, {"loss": 0.0}, {}

    assert keeper.average(model, evaluate) == (9.0, True)
    for place in ("average", "best"):
        loaded = load_checkpoint(tmp_path / place).model
        assert loaded.attention_mappings()["cross"][0].gamma == 3.0
        assert torch.equal(logits(loaded), scored["logits"])
