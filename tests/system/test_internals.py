"""Names of libraries that are not public do what this package expects of them."""

from __future__ import annotations

import sys

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from torch import Tensor
from torch.autograd import forward_ad

from seq2seq.cli.hydra_internals import PRINTING, overrides_and_folder
from seq2seq.data.datasets_internals import fingerprint
from seq2seq.mappings import Sparsemax
from seq2seq.system import torch_internals as internals


def test_it_is_known_which_transform_is_active() -> None:
    inside: list[tuple[bool, bool]] = []

    def ask(x: Tensor) -> Tensor:
        inside.append((internals.transforms_active(), internals.forward_mode_active()))
        return x.square().sum()

    x = torch.ones(2, 3)
    ask(x)
    torch.func.vmap(ask)(x)
    torch.func.grad(ask)(x)
    with forward_ad.dual_level():
        ask(x)
    assert inside == [(False, False), (True, False), (True, False), (False, True)]


def test_batched_gradients_are_recognized() -> None:
    x, seen = torch.ones(3, requires_grad=True), []
    y = 2 * x
    y.register_hook(lambda gradient: seen.append(internals.is_legacy_batched(gradient)))
    torch.autograd.grad(y, x, torch.eye(3), is_grads_batched=True)
    assert seen == [True]
    assert not internals.is_legacy_batched(x)


def test_without_these_names_mappings_are_differentiated_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    mapping, v = Sparsemax(), torch.randn(4, 5, dtype=torch.float64)

    def derivatives() -> list[Tensor]:
        (first,) = torch.autograd.grad((mapping(x) * v).sum(), x)
        return [first, torch.func.jacrev(mapping)(x.detach()), mapping.max(x).detach()]

    expected = derivatives()
    monkeypatch.setattr(internals, "_transforms_active", None)
    monkeypatch.setattr(internals, "_is_legacy_batched", None)
    monkeypatch.delattr(forward_ad, "_current_level")
    for ours, theirs in zip(derivatives(), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")
def test_onednn_multiplies_by_packed_weights() -> None:
    assert internals.HAS_ONEDNN
    x, weight, bias = torch.randn(5, 7), torch.randn(6, 7), torch.randn(6)
    for matrix in (weight, internals.onednn_packed(weight, 5)):
        product = internals.onednn_linear(x, matrix, bias)
        torch.testing.assert_close(product, F.linear(x, weight, bias), rtol=1e-5, atol=1e-5)


def test_loops_become_operations() -> None:
    def going(count: Tensor, total: Tensor) -> Tensor:
        return count < 4

    def body(count: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        return count + 1, total + count

    state = (torch.tensor(0), torch.tensor(0))
    assert [int(part) for part in internals.while_loop(going, body, state)] == [4, 6]

    def step(total: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return total + x, 2 * x

    last, doubled = internals.scan(step, torch.tensor(0.0), torch.arange(4.0))
    assert float(last) == 6
    assert doubled.tolist() == [0, 2, 4, 6]


def test_a_data_set_has_a_fingerprint() -> None:
    first, same, other = (Dataset.from_dict({"a": values}) for values in ([1], [1], [2]))
    assert fingerprint(first) == fingerprint(same) != fingerprint(other)
    assert fingerprint(object()) != fingerprint(object()), "nothing is taken for known"


def test_the_command_line_is_read_as_hydra_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--config-dir", "mine", "-m", "a=1", "b=2"]
    monkeypatch.setattr(sys, "argv", ["seq2seq-train", *arguments])
    assert overrides_and_folder() == (["a=1", "b=2"], "mine")
    monkeypatch.setitem(sys.modules, "hydra._internal.utils", None)
    assert overrides_and_folder() == ([], None)


def test_hydra_has_these_options_that_only_print() -> None:
    from hydra._internal.utils import get_args_parser

    assert get_args_parser()._option_string_actions.keys() >= PRINTING
