"""Constrained mappings: argmax within bounds, gradients of scores and bounds, fertility."""

import math

import cvxpy as cp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from seq2seq.mappings import (
    ConstrainedSoftmax,
    ConstrainedSparsemax,
    constrained_softmax,
    constrained_sparsemax,
    softmax,
    sparsemax,
)

PAIRS = [(constrained_softmax, softmax), (constrained_sparsemax, sparsemax)]
functions = pytest.mark.parametrize("function", [pair[0] for pair in PAIRS])
modules = pytest.mark.parametrize("build", [ConstrainedSoftmax, ConstrainedSparsemax])
OMEGA = {
    constrained_softmax: lambda y: -cp.sum(cp.entr(y)),
    constrained_sparsemax: lambda y: 0.5 * cp.sum_squares(y),
}


def draw(*shape, seed=0, least=0.0, most=0.5):
    """Scores, and bounds between ``least`` and ``most``."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    u = torch.rand(shape, generator=generator, dtype=torch.float64)
    return x, least + (most - least) * u


def solve(x, u, omega):
    y = cp.Variable(len(x), nonneg=True)
    problem = cp.Problem(cp.Maximize(x @ y - omega(y)), [cp.sum(y) == 1, y <= u])
    problem.solve("CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    return y.value


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@functions
@pytest.mark.parametrize("length", [2, 3, 7, 16, 40])
def test_weights_are_the_solution_of_the_convex_problem(function, length):
    for seed, scale, gamma in [(0, 0.3, 1.0), (1, 3.0, 0.5), (2, 1.0, 0.2)]:
        x, u = draw(length, seed=seed, least=1 / length, most=4 / length)
        x = scale * x
        u[: length // 3] = 1.0  # some without bound
        expected = solve(x.numpy() / gamma, u.numpy(), OMEGA[function])
        found = function(x, u, gamma=gamma)
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-6)
        single = function(x.float(), u.float(), gamma=gamma).numpy()
        np.testing.assert_allclose(single, expected, rtol=0, atol=1e-5)


@functions
@settings(max_examples=150, deadline=None)
@given(
    length=st.integers(1, 40),
    scale=st.sampled_from([0.0, 0.01, 1.0, 100.0, 1e4]),
    most=st.sampled_from([0.02, 0.1, 0.5, 1.0, 3.0]),
    seed=st.integers(0, 2**32),
)
def test_weights_meet_the_optimality_conditions(function, length, scale, most, seed):
    x, u = draw(length, seed=seed, most=most)
    x = (4 * x).round() / 4 * scale  # ties
    u = torch.where(u < most / 5, 0.0, (u * 16).round() / 16)  # ties, and nothing left
    u = u.clamp(max=1.0)
    y = function(x, u)
    assert (y >= 0).all()
    assert (y <= u + 1e-12).all()
    if u.sum() <= 1:
        assert torch.equal(y, u)
        return
    torch.testing.assert_close(y.sum().item(), 1.0, atol=1e-12, rtol=0)
    # x − ∇Ω(y): τ where free, at least τ at the bound, at most τ at 0.
    slack = x - (y.log() if function is constrained_softmax else y)
    used, room = y > 1e-9, u > y + 1e-9
    if function is constrained_softmax:
        room = room & (y > 1e-300)  # below, the type is at its end
    if room.any():
        assert slack[room].max() <= slack[used].min() + 1e-6


@pytest.mark.parametrize(("function", "plain"), PAIRS)
def test_bounds_that_no_weight_reaches_change_nothing(function, plain):
    x, _ = draw(50, 9)
    torch.testing.assert_close(function(x, torch.tensor(math.inf)), plain(x))
    torch.testing.assert_close(function(x, plain(x) + 1e-9), plain(x), atol=1e-9, rtol=0)


@functions
def test_bounds_that_leave_no_choice_are_the_weights(function):
    x, u = draw(20, 9, most=0.2)
    u = u / u.sum(-1, keepdim=True).clamp(min=1.0)
    torch.testing.assert_close(function(x, u), u)
    assert torch.equal(function(x, 0.5 * u), 0.5 * u)
    assert torch.equal(function(x, torch.zeros(9)), torch.zeros_like(x))
    assert torch.equal(function(x, -torch.ones(9)), torch.zeros_like(x))


@functions
def test_masked_positions_are_as_if_removed_and_have_no_gradient(function):
    x, u = draw(6, 9, least=0.1, most=0.4)
    mask = torch.tensor([True, True, False, True, False, True, True, True, False])
    torch.testing.assert_close(function(x, u, mask)[:, mask], function(x[:, mask], u[:, mask]))
    some = mask & torch.tensor([[True], [False], [True], [True], [True], [True]])
    x.requires_grad_()
    u[:, 2] = math.nan  # masked
    u.requires_grad_()
    weights = function(x, u, some)
    (weights * torch.arange(9)).sum().backward()
    assert (weights[1] == 0).all()
    assert (weights[~some.expand(6, 9)] == 0).all()
    for gradient in (x.grad, u.grad):
        assert (gradient[~some.expand(6, 9)] == 0).all()
        assert gradient.any()


@functions
def test_derivatives_in_scores_and_bounds(function):
    x, u = draw(5, 7, seed=3, most=0.5)
    u[1] *= 0.3  # too little in all
    mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(1)) > 0.2
    gamma = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    inputs = (x.requires_grad_(), u.requires_grad_(), gamma)
    assert gradcheck(lambda x, u, gamma: function(x, u, mask, gamma=gamma), inputs)
    assert gradgradcheck(lambda x, u, gamma: function(x, u, mask, gamma=gamma), inputs)


@functions
def test_any_dimension_and_shape_of_bounds(function):
    x, u = draw(2, 3, 5, 4, most=0.9)
    for dim in range(-4, 4):
        moved = function(x.movedim(dim, -1), u.movedim(dim, -1))
        assert torch.equal(function(x, u, dim=dim), moved.movedim(-1, dim))
    assert torch.equal(function(x, u[0, 0]), function(x, u[0, 0].expand_as(x)))
    with pytest.raises(ValueError, match=r"upper of shape \(3,\) does not broadcast"):
        function(x, torch.ones(3))
    half = function(x.half(), u.half())
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.double(), function(x, u), atol=2e-3, rtol=0)


@functions
@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (1,), (3, 1)])
def test_degenerate_shapes(function, shape):
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    weights = function(x, torch.ones(()))
    weights.sum().backward()
    assert torch.equal(weights, torch.ones_like(x))
    assert torch.equal(x.grad, torch.zeros_like(x))


@functions
def test_a_row_without_a_solution_does_not_change_the_others(function):
    x, u = draw(3, 9, most=0.9)
    spoilt = x.clone()
    spoilt[1, 4] = math.nan
    weights = function(spoilt, u)
    assert weights[1].isnan().all()
    assert torch.equal(weights[[0, 2]], function(x, u)[[0, 2]])


@functions
def test_a_constant_added_to_the_scores_changes_nothing(function):
    x, u = draw(20, 9, most=0.9)
    x = (64 * x).round() / 64
    assert torch.equal(function(x + 8192, u), function(x, u))
    assert torch.equal(function(x.float() - 8192, u), function(x.float(), u))


@modules
def test_steps_never_give_a_word_more_than_its_fertility(build):
    x, _ = draw(3, 8, 6, seed=2)
    x[:, :, 1] += 3.0  # a favorite
    lengths = torch.tensor([6, 4, 1])
    mask = torch.arange(6) < lengths[:, None]
    mapping = build(fertility=0.75)
    past, given_weights = mapping.start(mask, torch.float64), []
    for scores in x.unbind(1):
        weights, past = mapping.step(scores, mask, past)
        given_weights.append(weights)
    total = torch.stack(given_weights).sum(0)
    for row, length in enumerate(lengths.tolist()):
        assert (total[row, : length - 1] <= 0.75 + 1e-12).all()
        assert total[row].sum().item() == pytest.approx(8)  # the sink, the last, takes the rest
    assert total[0, 1].item() == pytest.approx(0.75)
    torch.testing.assert_close(
        past[0][mask], (0.75 - total)[mask].where(total[mask] <= 0.76, math.inf)
    )


@modules
def test_fertility_may_be_learned(build):
    fertility = torch.nn.Parameter(torch.tensor(0.75, dtype=torch.float64))
    mapping = build(fertility)
    x, mask = draw(3, 5)[0] * 0.3, torch.ones(3, 5, dtype=torch.bool)

    def spent(fertility):
        past, total = build(fertility).start(mask, torch.float64), 0.0
        for step in range(4):
            weights, past = mapping.step(x.roll(step, 0), mask, past)
            total = total + weights * (step + 1)
        return total

    assert dict(mapping.named_parameters()) == {"fertility": fertility}
    assert gradcheck(spent, fertility.detach().requires_grad_())
    with pytest.raises(ValueError, match="fertility must be greater than 0"):
        build(fertility=0.0)
    assert "fertility=2.0, gamma=1.0" in repr(build())
