"""Weights are the argmax: checked by a convex solver and by optimality conditions."""

import cvxpy as cp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optimality import fused_bound, oscar_bound, smooth_bound

from seq2seq.mappings import Entmax, Fusedmax, Normmax, Oscarmax, Softmax, Sparsemax, Sqpnormmax


def squared_norm(y):
    return 0.5 * cp.sum_squares(y)


def power_norm(p):
    return lambda y: 0.5 * cp.square(cp.pnorm(y, p))


def tsallis(alpha):
    return lambda y: (cp.sum(cp.power(y, alpha)) - 1) / (alpha * (alpha - 1))


def fused(lam):
    return lambda y: 0.5 * cp.sum_squares(y) + (lam * cp.tv(y) if y.size > 1 else 0)


def oscar(lam):
    return lambda y: (
        0.5 * cp.sum_squares(y) + lam * sum(cp.sum_largest(y, k) for k in range(1, y.size))
    )


# Each with the solver's Ω; powers are solved through cones, less precisely than quadratics.
SOLVED = [
    pytest.param(Sparsemax(), squared_norm, 1e-6, id="sparsemax"),
    pytest.param(Sparsemax(gamma=0.3), squared_norm, 1e-6, id="sparsemax-gamma"),
    pytest.param(Fusedmax(lam=0.1), fused(0.1), 1e-6, id="fusedmax-0.1"),
    pytest.param(Fusedmax(lam=0.5, gamma=0.5), fused(0.5), 1e-6, id="fusedmax-0.5"),
    pytest.param(Fusedmax(lam=2.0, gamma=0.2), fused(2.0), 1e-6, id="fusedmax-2"),
    pytest.param(Oscarmax(lam=0.02), oscar(0.02), 1e-6, id="oscarmax-0.02"),
    pytest.param(Oscarmax(lam=0.1, gamma=0.2), oscar(0.1), 1e-6, id="oscarmax-0.1"),
    pytest.param(Softmax(gamma=0.7), lambda y: -cp.sum(cp.entr(y)), 1e-6, id="softmax"),
    pytest.param(Entmax(1.5), tsallis(1.5), 2e-5, id="entmax-1.5"),
    pytest.param(Entmax(1.25), tsallis(1.25), 2e-5, id="entmax-1.25"),
    pytest.param(Entmax(3.0), tsallis(3), 2e-5, id="entmax-3"),
    pytest.param(Sqpnormmax(1.5), power_norm(1.5), 2e-5, id="sqpnormmax-1.5"),
    pytest.param(Normmax(2.0), lambda y: cp.norm(y), 2e-5, id="normmax-2"),
    pytest.param(Normmax(1.5, 0.5), lambda y: cp.pnorm(y, 1.5), 2e-5, id="normmax-1.5"),
    pytest.param(Normmax(4.0), lambda y: cp.pnorm(y, 4), 2e-5, id="normmax-4"),
]


def solve(x, omega):
    y = cp.Variable(len(x), nonneg=True)
    problem = cp.Problem(cp.Maximize(x @ y - omega(y)), [cp.sum(y) == 1])
    problem.solve("CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    return y.value


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize(("mapping", "omega", "tolerance"), SOLVED)
@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 40, 64])
def test_weights_are_the_solution_of_the_convex_problem(mapping, omega, tolerance, length):
    generator = torch.Generator().manual_seed(length)
    for scale, shift in [(0.3, -2.0), (3.0, 0.0)]:
        x = scale * torch.randn(length, generator=generator, dtype=torch.float64) + shift
        expected = solve(x.numpy() / mapping.gamma, omega)
        np.testing.assert_allclose(mapping(x).numpy(), expected, rtol=0, atol=tolerance)
        found = mapping(x.float()).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=max(1e-5, tolerance))


@st.composite
def rows(draw, most=64):
    """Scores of many kinds: ties, plateaus, spread from 0.001 to 10,000, all signs."""
    length = draw(st.integers(1, most))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = generator.standard_normal(length)
    if draw(st.booleans()):
        x = np.round(x * draw(st.sampled_from([1, 2, 8]))) / 4  # many exact ties
    if draw(st.booleans()):
        x = np.repeat(x, 3)[:length]  # plateaus
    return x * draw(st.sampled_from([0.001, 0.1, 1, 10, 1e4])) + draw(st.sampled_from([0, -5, 1e4]))


def check(mapping, x, bound):
    """Check a certified distance below 1e-6 in float64, and that float32 agrees to 1e-5."""
    for dtype, tolerance in [(torch.float64, 1e-6), (torch.float32, 1e-5)]:
        given_scores = torch.tensor(x, dtype=dtype)
        exact = given_scores.double()  # what the type can hold is what is asked for
        y = mapping(exact)
        centered = (exact - exact.max()).numpy() / mapping.gamma
        assert bound(centered, y.numpy()) <= 1e-6
        assert (mapping(given_scores).double() - y).abs().max() <= tolerance


many = settings(max_examples=150, deadline=None)


@many
@given(rows(), st.sampled_from([0.3, 1.0, 4.0]))
def test_sparsemax_is_optimal(x, gamma):
    check(Sparsemax(gamma), x, lambda x, y: smooth_bound(x, y, y))


@many
@given(rows(), st.sampled_from([0.0, 0.001, 0.1, 0.25, 1.0, 100.0]), st.sampled_from([0.3, 1.0]))
def test_fusedmax_is_optimal(x, lam, gamma):
    check(Fusedmax(gamma, lam), x, lambda x, y: fused_bound(x, y, lam))


@many
@given(rows(), st.sampled_from([0.0, 0.001, 0.1, 0.25, 1.0, 100.0]), st.sampled_from([0.3, 1.0]))
def test_oscarmax_is_optimal_for_every_sign(x, lam, gamma):
    check(Oscarmax(gamma, lam), x, lambda x, y: oscar_bound(x, y, lam))


@many
@given(rows(), st.sampled_from([1.0001, 1.1, 1.5, 1.9, 2.0]), st.sampled_from([0.3, 1.0]))
def test_entmax_is_optimal(x, alpha, gamma):
    def bound(x, y):
        x, y = x[y > 1e-300], y[y > 1e-300]  # below, the type is at its end
        with np.errstate(divide="ignore"):
            gradient = np.expm1((alpha - 1) * np.log(y)) / (alpha - 1)
        # A weight that is nearly 0 knows its gradient badly, and matters as little: Ω'' = y^{α−2}.
        slack = (x - gradient - (x - gradient)[y.argmax()]) * y ** (2 - alpha)
        return float(np.abs(slack).sum()) + abs(y.sum() - 1)

    check(Entmax(alpha, gamma), x, bound)


@many
@given(rows(), st.sampled_from([1.05, 1.3, 1.5, 1.9, 2.0]), st.sampled_from([0.3, 1.0]))
def test_sqpnormmax_is_optimal(x, p, gamma):
    def bound(x, y):
        norm = (y**p).sum() ** (1 / p)
        gradient = norm ** (2 - p) * y ** (p - 1)
        slack = x - gradient - (x - gradient)[y.argmax()]
        curved = slack * y ** (2 - p) / (p - 1)
        return float(np.where(y > 0, np.abs(curved), np.maximum(slack, 0)).sum()) + abs(y.sum() - 1)

    check(Sqpnormmax(p, gamma), x, bound)


@many
@given(rows(), st.sampled_from([1.05, 1.3, 1.5, 2.0]), st.sampled_from([0.3, 1.0]))
def test_normmax_is_optimal(x, p, gamma):
    def bound(x, y):
        norm = (y**p).sum() ** (1 / p)
        slack = x - (y / norm) ** (p - 1)
        slack = slack - slack[y.argmax()]
        curved = slack * (y / norm) ** (2 - p) / (p - 1)
        return float(np.where(y > 0, np.abs(curved), np.maximum(slack, 0)).sum()) + abs(y.sum() - 1)

    check(Normmax(p, gamma), x, bound)


@pytest.mark.parametrize("alpha", [2.5, 3.0, 10.0])
def test_entmax_beyond_two_is_optimal(alpha):
    x = torch.randn(200, 30, dtype=torch.float64)
    for x_row, y in zip(x.numpy(), Entmax(alpha)(x).numpy(), strict=True):
        assert smooth_bound(x_row, y, y ** (alpha - 1) / (alpha - 1)) <= 1e-6
