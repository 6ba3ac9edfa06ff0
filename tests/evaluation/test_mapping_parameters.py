"""Reports of learned parameters of attention, by layer and head."""

from __future__ import annotations

import pytest
import torch

from seq2seq.evaluation.mapping_parameters import mapping_parameters
from seq2seq.mappings import Entmax, Fusedmax, Softmax
from seq2seq.models import Recurrent, Transformer

SIZES = {"size": 8, "feedforward_size": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 2}


def test_by_layer_and_head_with_means_over_both() -> None:
    cross = Entmax(alpha=1.5, learn=["alpha"], per="head")
    encoder = Softmax(gamma=0.5, learn=["gamma"])
    model = Transformer(9, 9, cross_mapping=cross, encoder_mapping=encoder, **SIZES)
    with torch.no_grad():
        model.attention_mappings()["cross"][1].learned()["alpha"].free[1] = 50.0  # alpha = 2
    found = mapping_parameters(model)
    assert found["overall"] == {
        "cross/alpha": pytest.approx((3 * 1.5 + 2) / 4),
        "encoder/gamma": pytest.approx(0.5),
    }
    alphas = {
        (entry["layer"], entry["head"]): entry["cross/alpha"]
        for entry in found["by_layer_head"]
        if "cross/alpha" in entry
    }
    assert alphas == pytest.approx({(0, 0): 1.5, (0, 1): 1.5, (1, 0): 1.5, (1, 1): 2.0})
    assert {"layer": 0, "encoder/gamma": pytest.approx(0.5)} in found["by_layer_head"]


def test_plain_numbers_are_left_out() -> None:
    assert mapping_parameters(Recurrent(9, 9, mapping=Fusedmax())) == {}
