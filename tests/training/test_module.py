"""The parameter groups of the optimizer."""

from __future__ import annotations

import torch
from torch import nn

from seq2seq.mappings import Fusedmax, Softmax
from seq2seq.models import Recurrent, Transformer
from seq2seq.training.module import parameter_groups

SIZES = {"size": 8, "feedforward_size": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 2}


def test_weight_decay_leaves_what_mappings_learn_alone() -> None:
    mapping = Fusedmax(learn=["gamma", "lam"], per="head")
    model = Transformer(9, 9, cross_mapping=mapping, **SIZES)
    optimizer = torch.optim.AdamW(parameter_groups(model), lr=0.1, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    for name, parameter in model.named_parameters():
        moved = not torch.equal(parameter, before[name])
        assert moved == (not name.endswith(".free") and bool(before[name].any())), name


def test_every_parameter_is_trained_once() -> None:
    given = nn.Parameter(torch.tensor(0.1))
    models = [
        Recurrent(9, 9, mapping=Softmax(), tie_embeddings="target"),
        Transformer(9, 9, cross_mapping=Fusedmax(lam=given, learn=["gamma"]), **SIZES),
    ]
    for model in models:
        found = [
            parameter
            for group in parameter_groups(model)
            for parameter in (group["params"] if isinstance(group, dict) else [group])
        ]
        assert len(found) == len({id(p) for p in found}) == len(list(model.parameters()))
