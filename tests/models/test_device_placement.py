"""Every tensor that a model makes is on the model's device, and nothing waits for its numbers.

The tensors are fake: they have a device, but no numbers. Operations on two devices, and operations
whose shape depends on numbers, raise an error. So this needs no device, but for ``cuda`` it needs a
build of PyTorch for CUDA. Recurrent encoders pack their sequences by length, which waits. Mappings
run as the operators that ``torch.compile`` traces, because kernels need numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from fake_internals import FakeTensorMode
from torch import Tensor

from seq2seq.mappings import (
    Entmax,
    Fusedmax,
    Mapping,
    Oscarmax,
    Softmax,
    Sparsemax,
    operators,
    registration,
)
from seq2seq.models import DecomposableAttention, Transformer
from seq2seq.nn.losses import SequenceLoss

MAPPINGS = [Softmax, Sparsemax, Entmax, Fusedmax, Oscarmax]
SIZES: dict[str, Any] = {"size": 16, "feedforward_size": 16, "heads": 2, "strength": "relative"}
needs_cuda = pytest.mark.skipif(
    not torch.backends.cuda.is_built(), reason="this build of PyTorch does not support CUDA"
)
on_each_device = pytest.mark.parametrize("device", ["meta", pytest.param("cuda", marks=needs_cuda)])


@pytest.fixture(autouse=True)
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mappings take the form that ``torch.compile`` traces."""
    monkeypatch.setattr(operators, "plain", lambda: False)
    monkeypatch.setattr(operators, "_form", partial(getattr, registration))


def on_the_default_device(model: torch.nn.Module) -> Any:
    """Move the buffers of a new model; fake parameters do not allow ``Module.to``."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(torch.get_default_device()))
    return model


def transformer(mapping: Callable[[], Mapping]) -> Transformer:
    places = {f"{place}_mapping": mapping() for place in ("cross", "encoder", "decoder")}
    model = Transformer(30, 30, **places, output_mapping=mapping(), **SIZES)
    return on_the_default_device(model)


def ids(*shape: int) -> Tensor:
    return torch.randint(4, 30, shape)


def gradients_are_on(device: str, model: torch.nn.Module) -> bool:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return bool(gradients) and {g.device.type for g in gradients} == {device}


@on_each_device
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_transformer_reads_on_its_device(mapping: Callable[[], Mapping], device: str) -> None:
    with FakeTensorMode(), torch.device(device):
        model, target = transformer(mapping), ids(3, 9)
        output = model(ids(3, 7), torch.full((3,), 7), target[:, :-1])
        assert output.logits.device.type == device
        if device == "meta":  # the backward pass of CUDA tensors needs a driver
            output.logits.sum().backward()
            assert gradients_are_on(device, model)


@needs_cuda
def test_the_loss_is_on_the_device() -> None:
    with FakeTensorMode(), torch.device("cuda"):
        model, target = transformer(Softmax), ids(3, 9)
        output = model(ids(3, 7), torch.full((3,), 7), target[:, :-1], return_logits=False)
        loss = SequenceLoss(0.1)(output.logits, target[:, 1:], model.output_mapping)
        assert {part.device.type for part in loss} == {"cuda"}


@on_each_device
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_transformer_decodes_on_its_device(mapping: Callable[[], Mapping], device: str) -> None:
    with FakeTensorMode(), torch.device(device), torch.no_grad():
        model = transformer(mapping).eval()
        state = model.start(ids(3, 7), torch.full((3,), 7))
        for _ in range(2):
            step = model.step(state, ids(3), return_attention=True)
            state = step.state
            assert step.attention is not None
            assert {step.logits.device.type, step.attention.device.type} == {device}


@on_each_device
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_classifier_reads_on_its_device(mapping: Callable[[], Mapping], device: str) -> None:
    with FakeTensorMode(), torch.device(device):
        model = DecomposableAttention(
            *(30, 30, ["yes", "no"]), mapping=mapping(), reverse_mapping=mapping(), hidden_size=8
        )
        lengths = torch.full((3,), 7)
        output = model(ids(3, 7), lengths, ids(3, 6), lengths - 1, return_attention=True)
        for tensor in output:
            assert tensor is not None
            assert tensor.device.type == device


def test_two_devices_are_an_error() -> None:
    """The tests above can fail."""
    with FakeTensorMode(), pytest.raises(Exception, match="device"):
        torch.zeros(3, device="meta") + torch.zeros(3, device="cpu")
