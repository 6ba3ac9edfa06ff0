"""Oscarmax is the argmax, also where the published algorithm is not."""

import torch
from torch import Tensor

from seq2seq.mappings import Oscarmax, oscarmax, sparsemax


def published_recipe(x: Tensor, lam: float) -> Tensor:
    """Compute OSCAR's prox of |x|, clipped at 0, with signs; project it onto the simplex."""
    size, order = x.abs().sort(descending=True)
    z = size - lam * torch.arange(len(x) - 1, -1, -1, dtype=x.dtype)
    # Isotonic regression by its definition: t_k = min_{i ≤ k} max_{j ≥ k} mean(z_i … z_j).
    means = torch.full((len(x), len(x)), -torch.inf, dtype=x.dtype)
    for i in range(len(x)):
        means[i, i:] = z[i:].cumsum(0) / torch.arange(1, len(x) - i + 1)
    t = torch.stack([means[: k + 1, k:].amax(1).amin() for k in range(len(x))]).clamp(min=0)
    return sparsemax(torch.empty_like(x).scatter(0, order, t) * x.sign())


def objective(y: Tensor, x: Tensor, lam: float) -> Tensor:
    return x @ y - Oscarmax(lam=lam).regularizer(y)


def test_published_recipe_agrees_on_scores_well_above_zero():
    x = torch.randn(16, dtype=torch.float64) + 20
    torch.testing.assert_close(oscarmax(x, lam=0.05), published_recipe(x, 0.05))


def test_published_recipe_is_not_the_argmax_on_negative_scores():
    generator = torch.Generator().manual_seed(0)
    different = 0
    for _ in range(40):
        x = torch.randn(16, dtype=torch.float64, generator=generator) - 1
        ours, theirs = oscarmax(x, lam=0.05), published_recipe(x, 0.05)
        different += int((ours - theirs).abs().max() > 1e-3)
        assert objective(ours, x, 0.05) >= objective(theirs, x, 0.05) - 1e-12
    assert different > 20


def test_groups_hold_positions_that_are_not_neighbors():
    weights = oscarmax(torch.tensor([1.0, 0.2, 1.01, -5.0, 0.99]), lam=0.05)
    assert weights[0] == weights[2] == weights[4] > weights[1]


def test_penalty_counts_valid_positions_only():
    x = torch.tensor([1.0, 0.5, 0.3, 9.0, 9.0, 9.0])
    mask = torch.tensor([True, True, True, False, False, False])
    assert torch.equal(oscarmax(x, mask)[:3], oscarmax(x[:3]))
    assert Oscarmax(lam=0.1).regularizer(oscarmax(x, mask), mask) == Oscarmax(lam=0.1).regularizer(
        oscarmax(x[:3])
    )


def test_regularizer_is_the_sum_over_pairs():
    y = torch.rand(7, dtype=torch.float64)
    pairs = torch.combinations(y).amax(-1).sum()
    torch.testing.assert_close(Oscarmax(lam=0.3).regularizer(y), 0.5 * y @ y + 0.3 * pairs)
