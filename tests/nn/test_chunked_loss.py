"""Losses of logits in chunks: the same values as for all logits at once, with less memory."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from seq2seq.mappings import Entmax, Fusedmax, Mapping, Softmax, Sparsemax
from seq2seq.nn import chunked_loss
from seq2seq.nn.chunked_loss import Projected
from seq2seq.nn.losses import SequenceLoss

BATCH, LENGTH, SIZE, VOCABULARY = 3, 5, 4, 9
MAPPINGS = [Softmax(), Softmax(0.7), Sparsemax(), Entmax(1.5), Fusedmax(1.0, 0.1)]
EXACT = {"atol": 1e-12, "rtol": 1e-12}


def layer(dtype: torch.dtype = torch.float64) -> Projected:
    """States, weight and bias of random numbers, which have gradients."""
    torch.manual_seed(0)
    shapes = [(BATCH, LENGTH, SIZE), (VOCABULARY, SIZE), (VOCABULARY,)]
    return Projected(*(torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes))


@pytest.fixture
def target() -> Tensor:
    return torch.tensor([[4, 5, 3, 1, 0], [6, 3, 0, 0, 0], [8, 1, 7, 2, 3]])


@pytest.fixture
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of so many rows."""
    monkeypatch.setattr(chunked_loss, "ROWS", request.param)
    monkeypatch.setattr(chunked_loss, "NUMBERS", {"cpu": 1})


def gradients(loss: Tensor, given: Projected) -> list[Tensor]:
    return [*torch.autograd.grad(loss, [part for part in given if part is not None])]


@pytest.mark.parametrize("rows", [1, 2, 5, 11, 100], indirect=True)
@pytest.mark.parametrize("mapping", MAPPINGS, ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("biased", [True, False])
def test_chunks_give_the_loss_and_the_gradients_of_the_whole(
    target: Tensor, mapping: Mapping, smoothing: float, biased: bool, rows: None
) -> None:
    given = layer() if biased else layer()._replace(bias=None)
    loss = SequenceLoss(smoothing)
    found, expected = (loss(x, target, mapping) for x in (given, given.whole()))
    torch.testing.assert_close(found, expected, **EXACT)
    assert not found.nll_sum.requires_grad
    mine, theirs = (gradients(2 * x.loss_sum / x.tokens, given) for x in (found, expected))
    torch.testing.assert_close(mine, theirs, **EXACT)


@pytest.mark.parametrize("rows", [3], indirect=True)
@pytest.mark.parametrize("mapping", [Softmax(), Softmax(0.7), Entmax(1.5)], ids=str)
def test_the_gradients_are_those_of_finite_differences(
    target: Tensor, mapping: Mapping, rows: None
) -> None:
    def loss(step: float) -> Tensor:
        moved = (x + step * along for x, along in zip(given, direction, strict=True))
        return SequenceLoss(0.1)(Projected(*moved), target, mapping).loss_sum

    given = layer()
    direction = [torch.randn_like(part) for part in given]
    slope = sum((g * d).sum() for g, d in zip(gradients(loss(0.0), given), direction, strict=True))
    torch.testing.assert_close(slope, (loss(1e-5) - loss(-1e-5)) / 2e-5, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("rows", [2], indirect=True)
def test_a_table_tied_to_the_embedding_gets_both_gradients(target: Tensor, rows: None) -> None:
    embedding = nn.Embedding(VOCABULARY, SIZE).double()
    slopes = []
    for whole in (False, True):
        given = Projected(embedding(target).tanh(), embedding.weight, None)
        total = SequenceLoss(0.1)(given.whole() if whole else given, target, Softmax()).loss_sum
        slopes.append(torch.autograd.grad(total, embedding.weight)[0])
    torch.testing.assert_close(*slopes, **EXACT)


def test_nothing_but_padding_costs_nothing(target: Tensor) -> None:
    given = layer()
    found = SequenceLoss(0.1)(given, torch.zeros_like(target), Softmax())
    assert [part.item() for part in found] == [0.0, 0.0, 0]
    assert all(not slope.any() for slope in gradients(found.loss_sum, given))


@pytest.mark.parametrize("mapping", [Softmax(), Sparsemax()], ids=str)
def test_where_rows_are_not_picked_those_of_padding_are_left_out(
    target: Tensor, mapping: Mapping
) -> None:
    """As on a GPU, where picking would wait for it."""
    given, real = layer(), (target != 0).flatten()
    score = partial(mapping.row_losses, label_smoothing=0.1)
    states = torch.where(real[:, None], given.states.flatten(0, 1), torch.inf)
    rows = (states, *given[1:], target.flatten(), real, score, True, 4)
    loss, surprise = chunked_loss._InChunks.apply(*rows)
    expected = SequenceLoss(0.1)(given.whole(), target, mapping)
    torch.testing.assert_close((loss, surprise), expected[:2], **EXACT)
    slopes = torch.autograd.grad(loss, given.bias)
    torch.testing.assert_close(slopes, torch.autograd.grad(expected[0], given.bias), **EXACT)


@pytest.mark.parametrize("rows", [2], indirect=True)
@pytest.mark.parametrize("mapping", [Softmax(), Sparsemax()], ids=str)
def test_autocast_computes_in_half_and_sums_in_single_precision(
    target: Tensor, mapping: Mapping, rows: None
) -> None:
    given = layer(torch.float32)
    exact = SequenceLoss(0.1)(given, target, mapping).loss_sum
    with torch.autocast("cpu", torch.bfloat16):
        half = SequenceLoss(0.1)(given, target, mapping).loss_sum
    assert half.dtype == torch.float32
    assert half != exact
    torch.testing.assert_close(half, exact, rtol=0.02, atol=0.0)
    for mine, theirs in zip(gradients(half, given), gradients(exact, given), strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, theirs, rtol=0.1, atol=0.05)


class Largest(TorchDispatchMode):
    """Keeps the size of the largest tensor that an operation gave."""

    numbers = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = function(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, tuple | list) else [found]:
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return found


@pytest.mark.parametrize("mapping", [Softmax(), Sparsemax()], ids=str)
def test_no_tensor_holds_all_logits(mapping: Mapping) -> None:
    tokens, vocabulary = 2048, 8000
    state, weight = torch.randn(1, tokens, 2), torch.randn(vocabulary, 2)
    given = Projected(state.requires_grad_(), weight.requires_grad_(), None)
    target = torch.randint(1, vocabulary, (1, tokens))
    with Largest() as largest:
        SequenceLoss(0.1)(given, target, mapping).loss_sum.backward()
    assert largest.numbers <= tokens * vocabulary / 4
    with Largest() as largest:
        SequenceLoss(0.1)(given.whole(), target, mapping).loss_sum.backward()
    assert largest.numbers >= tokens * vocabulary


def test_what_is_frozen_has_no_gradient_and_costs_none(target: Tensor) -> None:
    given = layer()
    frozen = Projected(given.states, given.weight.detach(), None)
    loss = SequenceLoss(0.1)(frozen, target, Softmax()).loss_sum
    expected = SequenceLoss(0.1)(frozen.whole(), target, Softmax()).loss_sum
    slopes = (torch.autograd.grad(x, given.states)[0] for x in (loss, expected))
    torch.testing.assert_close(*slopes, **EXACT)


@pytest.mark.parametrize("mapping", [Softmax(), Sparsemax()], ids=str)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_evaluation_computes_no_gradient(target: Tensor, mapping: Mapping, mode: Any) -> None:
    given, asked = layer(), []

    def score(logits: Tensor, target: Tensor, *, differentiate: bool) -> Any:
        asked.append(differentiate)
        return mapping.row_losses(logits, target, 0.1, differentiate=differentiate)

    expected = SequenceLoss(0.1)(given, target, mapping)
    with mode():
        found = SequenceLoss(0.1)(given, target, mapping)
        chunked_loss.in_chunks(score, given, target, target != 0)
    assert not found.loss_sum.requires_grad
    assert asked == [False]
    torch.testing.assert_close(found.loss_sum, expected.loss_sum.detach(), **EXACT)


def test_a_temperature_that_learns_has_its_gradient_by_the_whole(target: Tensor) -> None:
    gamma = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    given = layer()
    losses = [SequenceLoss(0.1)(x, target, Softmax(gamma)) for x in (given, given.whole())]
    slopes = [torch.autograd.grad(x.loss_sum, gamma)[0] for x in losses]
    assert slopes[0] != 0
    torch.testing.assert_close(*slopes, **EXACT)


def test_a_second_backward_pass_and_a_second_derivative_are_refused(target: Tensor) -> None:
    given = layer()
    loss = SequenceLoss()(given, target, Softmax()).loss_sum
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="called twice"):
        loss.backward()
    loss = SequenceLoss()(given, target, Softmax()).loss_sum
    (slope,) = torch.autograd.grad(loss, given.states, create_graph=True)
    assert not slope.requires_grad


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mapping", MAPPINGS, ids=str)
def test_a_gpu_gives_the_same(target: Tensor, mapping: Mapping) -> None:
    given = layer()
    moved = Projected(
        *(part.detach().cuda().requires_grad_() for part in given if part is not None)
    )
    found = SequenceLoss(0.1)(moved, target.cuda(), mapping).loss_sum
    expected = SequenceLoss(0.1)(given, target, mapping).loss_sum
    torch.testing.assert_close(found.cpu(), expected)
    for mine, theirs in zip(gradients(found, moved), gradients(expected, given), strict=True):
        torch.testing.assert_close(mine.cpu(), theirs)
