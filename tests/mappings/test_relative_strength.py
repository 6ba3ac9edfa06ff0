"""γ relative to softmax: the same lead gives half of the weight, for any mapping and length."""

from __future__ import annotations

import math
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from seq2seq.mappings import (
    ConstrainedSoftmax,
    ConstrainedSparsemax,
    Entmax,
    Fusedmax,
    Mapping,
    Normmax,
    Oscarmax,
    Softmax,
    Sparsemax,
    Sqpnormmax,
)
from seq2seq.mappings.regularizer import Regularizer

MAKERS: dict[str, Callable[[float], Mapping]] = {
    "softmax": lambda gamma: Softmax(gamma),
    "sparsemax": lambda gamma: Sparsemax(gamma),
    "entmax α=1": lambda gamma: Entmax(1.0, gamma),
    "entmax α=1.2": lambda gamma: Entmax(1.2, gamma),
    "entmax α=1.5": lambda gamma: Entmax(1.5, gamma),
    "entmax α=3": lambda gamma: Entmax(3.0, gamma),
    "sqpnormmax p=1.2": lambda gamma: Sqpnormmax(1.2, gamma),
    "sqpnormmax p=2": lambda gamma: Sqpnormmax(2.0, gamma),
    "normmax p=1.5": lambda gamma: Normmax(1.5, gamma),
    "normmax p=4": lambda gamma: Normmax(4.0, gamma),
    "fusedmax λ=0": lambda gamma: Fusedmax(gamma, lam=0.0),
    "oscarmax λ=0": lambda gamma: Oscarmax(gamma, lam=0.0),
    "constrained softmax": lambda gamma: ConstrainedSoftmax(2.0, gamma),
    "constrained sparsemax": lambda gamma: ConstrainedSparsemax(2.0, gamma),
}


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=25, deadline=None)
@given(
    gamma=st.floats(0.1, 10.0),
    length=st.integers(2, 40),
    extra=st.integers(0, 4),
    seed=st.integers(0, 10**6),
)
def test_the_lead_of_softmax_gives_half_of_the_weight(
    name: str, gamma: float, length: int, extra: int, seed: int
) -> None:
    order = torch.randperm(length + extra, generator=torch.Generator().manual_seed(seed))
    valid, hidden = order[:length], order[length:]
    scores = torch.zeros(length + extra, dtype=torch.float64)
    scores[valid[0]] = gamma * math.log(length - 1)
    scores[hidden] = 50.0
    mask = torch.ones_like(scores, dtype=torch.bool).index_fill(0, hidden, False)
    weights = MAKERS[name](gamma).relative()(scores[None], mask[None])[0]
    assert float(weights[valid[0]]) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in MAKERS if "λ" not in name])
@pytest.mark.parametrize("others", [2, 3, 24, 500])
def test_the_strength_is_the_quotient_of_the_leads(name: str, others: int) -> None:
    omega = MAKERS[name](1.0).omega
    y = torch.full((1, others + 1), 0.5 / others, dtype=torch.float64)
    y[0, 0] = 0.5
    y.requires_grad_()
    (slope,) = torch.autograd.grad(omega.value(y, torch.ones_like(y, dtype=torch.bool)).sum(), y)
    lead = float(slope[0, 0] - slope[0, 1])
    _, strength = omega.relative(torch.tensor(float(others), dtype=torch.float64))
    assert float(strength) == pytest.approx(math.log(others) / lead, rel=1e-9)


def test_each_row_has_the_strength_of_its_own_length() -> None:
    scores = torch.randn(3, 2, 9, generator=torch.Generator().manual_seed(1)).double()
    lengths = [9, 4, 1]
    mask = (torch.arange(9) < torch.tensor(lengths)[:, None])[:, None]
    for mapping in (Sparsemax(0.3), Entmax(1.3, 0.3), Fusedmax(0.3, lam=0.1), Oscarmax(0.3)):
        batch = mapping.relative()(scores, mask)
        for row, length in enumerate(lengths):
            alone = mapping.relative()(scores[row, :, :length])
            torch.testing.assert_close(batch[row, :, :length], alone)


@pytest.mark.parametrize("length", [2, 5, 50])
def test_a_word_alone_costs_twice_lambda_in_oscarmax_at_any_length(length: int) -> None:
    y = torch.zeros(1, length, dtype=torch.float64)
    y[0, 0] = 1.0
    omega = Oscarmax(lam=0.1).relative()
    plain = Oscarmax(lam=0.0).relative()
    assert float(omega.regularizer(y) - plain.regularizer(y)) == pytest.approx(0.2)


def test_the_smoothed_max_and_the_loss_have_the_relative_strength_too() -> None:
    scores = torch.randn(4, 7, generator=torch.Generator().manual_seed(2)).double()
    mask = torch.arange(7) < torch.tensor([[7], [5], [2], [1]])
    mapping = Entmax(1.4, 0.7).relative()
    x = scores.clone().requires_grad_()
    (slope,) = torch.autograd.grad(mapping.max(x, mask).sum(), x)
    torch.testing.assert_close(slope, mapping(scores, mask))
    target = torch.tensor([3, 1, 0, 0])
    (slope,) = torch.autograd.grad(mapping.loss(x, target, mask).sum(), x)
    one_hot = torch.nn.functional.one_hot(target, 7)
    torch.testing.assert_close(slope, mapping(scores, mask) - one_hot)


@pytest.mark.parametrize("kind", [Entmax, Sqpnormmax, Normmax, Fusedmax, Oscarmax])
def test_what_is_learned_has_the_gradient_of_finite_differences(kind: type[Mapping]) -> None:
    scores = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(3)).double()
    mask = (torch.arange(6) < torch.tensor([[6], [4]]))[:, None]
    name = next(iter(set(kind().domains) - {"gamma"}))

    def weights(theta: Tensor, gamma: Tensor) -> Tensor:
        return kind(**{name: theta, "gamma": gamma}).relative()(scores, mask)

    start = 0.05 if name == "lam" else 1.4
    theta = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    gamma = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(weights, (theta, gamma), eps=1e-7, atol=1e-5)


def test_a_copy_is_relative_and_the_original_is_not() -> None:
    mapping = Sparsemax()
    relative = mapping.relative().for_layer()
    scores = torch.tensor([[1.0, 0.9, 0.1]])
    assert not torch.equal(mapping(scores), relative(scores))
    assert "relative=True" in repr(relative)
    assert "relative" not in repr(mapping)


def test_a_learned_gamma_of_one_layer_is_not_that_of_another() -> None:
    mapping = Sparsemax(learn=["gamma"]).relative()
    first, second = mapping.for_layer(), mapping.for_layer()
    assert first.tensors().keys() == {"gamma"}
    assert {*map(id, first.parameters())}.isdisjoint(map(id, second.parameters()))


def test_a_regularizer_that_does_not_say_its_strength_is_refused() -> None:
    with pytest.raises(NotImplementedError, match=r"has no method relative.*model\.strength"):
        Regularizer.relative(Sparsemax().omega, torch.tensor(3.0))
