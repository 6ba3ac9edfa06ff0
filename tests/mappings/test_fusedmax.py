"""Fusedmax: which neighbors it fuses."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.mappings import Fusedmax, fusedmax, sparsemax


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 64), st.sampled_from([0.01, 0.1, 1.0]), st.integers(0, 2**32))
def test_reversed_scores_give_reversed_weights(length, lam, seed):
    x = torch.randn(length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(fusedmax(x.flip(0), lam=lam).flip(0), fusedmax(x, lam=lam))


def test_a_run_has_exactly_one_weight():
    x = torch.randn(200, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for dtype in (torch.float64, torch.float32):
        jumps = fusedmax(x.to(dtype), lam=0.3).diff().abs()
        fused = (jumps == 0) & (fusedmax(x.to(dtype), lam=0.3)[:, 1:] > 0)
        assert fused.sum() > 100
        assert jumps[jumps > 0].min() > 1e-5  # either the same number or clearly another


def test_three_points_in_line_are_one_run():
    # The string touches the tube at 4 collinear points; between them, slopes are the same number.
    x = torch.tensor([3.0, 0.1, 0.3, 0.1, 0.3, 0.1, 0.3, 0.2]) / 7
    weights = fusedmax(x, lam=0.1 / 7)
    assert len(weights[1:7].unique()) <= 2


def test_lam_is_not_rounded_to_single_precision():
    # The string touches the tube in the middle of a run: any other λ would break it.
    x = torch.tensor([0.00075, 0.00175, 0.00075, -0.0025], dtype=torch.float64)
    weights = fusedmax(x, lam=0.001)
    assert (weights[:3] - weights[:3].mean()).abs().max() < 1e-15


def test_the_two_sides_of_a_masked_hole_are_neighbors():
    x = torch.tensor([1.0, 0.9, 50.0, -50.0, 1.05, -2.0], dtype=torch.float64)
    mask = torch.tensor([True, True, False, False, True, True])
    weights = fusedmax(x, mask, lam=0.2)
    assert torch.equal(weights[mask], fusedmax(x[mask], lam=0.2))
    assert weights[1] == weights[4] > 0
    x.requires_grad_()
    inside, whole = x[mask].detach().requires_grad_(), fusedmax(x, mask, lam=0.2)
    coefficients = torch.tensor([0.3, -1.0, 5.0, 5.0, 2.0, 0.7], dtype=torch.float64)
    whole.backward(coefficients)
    fusedmax(inside, lam=0.2).backward(coefficients[mask])
    assert torch.equal(x.grad[mask], inside.grad)
    assert torch.equal(x.grad[~mask], torch.zeros(2, dtype=torch.float64))


def test_a_valid_zero_between_equal_weights_separates_their_runs():
    x = torch.tensor([1.0, -9.0, 1.0], dtype=torch.float64, requires_grad=True)
    weights = fusedmax(x, lam=0.1)
    assert weights.tolist() == [0.5, 0.0, 0.5]
    weights[0].backward()
    assert x.grad.tolist() == [0.5, 0.0, -0.5]


def test_ties_without_fusion_have_the_derivative_of_sparsemax():
    x = torch.zeros(4, dtype=torch.float64)
    ours = torch.autograd.functional.jacobian(lambda x: fusedmax(x, lam=0.0), x)
    assert torch.equal(ours, torch.autograd.functional.jacobian(sparsemax, x))


def test_regularizer_skips_holes():
    y = torch.tensor([0.5, 0.1, 0.7, 0.3], dtype=torch.float64)
    mask = torch.tensor([True, False, True, True])
    expected = 0.5 * (0.25 + 0.49 + 0.09) + 0.1 * (0.2 + 0.4)
    value = Fusedmax(lam=0.1).regularizer(y, mask)
    torch.testing.assert_close(value, torch.tensor(expected, dtype=torch.float64))
