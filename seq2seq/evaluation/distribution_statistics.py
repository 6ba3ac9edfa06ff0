"""Statistics of one attention distribution, and of the coverage of one sentence."""

import torch
from torch import Tensor

TOKEN_STATISTICS = (
    "support_size",
    "support_fraction",
    "entropy",
    "entropy_ratio",
    "top_mass",
    "gini",
    "run_count",
    "run_length",
    "group_count",
    "group_size",
    "one_word_share",
    "no_gradient_share",
)
"""Statistics averaged over target tokens; ``token_statistics`` defines them."""

SENTENCE_STATISTICS = ("coverage_mean", "coverage_deviation", "uncovered_share")
"""Statistics averaged over sentences; ``coverage_statistics`` defines them."""


#: For each ``Regularizer.pools``, the statistic that counts the parts of a distribution with
#: separate gradients.
PARTS = {"word": "support_size", "run": "run_count", "group": "group_count"}


def token_statistics(
    weights: Tensor, lengths: Tensor, tolerance: float = 0.0, pools: str = "word"
) -> Tensor:
    """Compute statistics of each distribution y ∈ Δⁿ over the n valid source positions.

    With y₍₁₎ ≥ … ≥ y₍ₙ₎ the entries in decreasing order, in the order of ``TOKEN_STATISTICS``:

        support_size      k = |{i : yᵢ ≠ 0}|                 exactly non-zero
        support_fraction  k / n
        entropy           H = −Σᵢ yᵢ log yᵢ                  nats, 0 log 0 = 0
        entropy_ratio     H / log n                          0 for n = 1
        top_mass          y₍₁₎
        gini              Σᵣ (n + 1 − 2r) y₍ᵣ₎ / n            0 uniform, (n − 1)/n one-hot
        run_count         number of fused runs: maximal stretches i … j of consecutive valid
                          positions with yᵢ = yᵢ₊₁ = … = yⱼ ≠ 0
        run_length        k / run_count                      mean length of the row's runs
        group_count       number of distinct non-zero values, at any positions
        group_size        k / group_count                    mean size of the row's groups
        one_word_share    1 if k = 1 < n, else 0             all of the weight on one word
        no_gradient_share 1 − k/n; 1 if the row has only one part; 0 for n = 1
                          share of the scores that receive no gradient, for any loss

    The parts of a row are its words, with fusedmax its runs, with oscarmax its groups. The weights
    of a part are equal and share their gradient. Weights of zero have no gradient, and a single
    part that is the whole support has none either. (Softmax has a gradient everywhere. Upper bounds
    of weights are ignored here.)

    Equality is exact by default. With ``tolerance`` > 0, neighbours (in position for runs, in order
    of value for groups) are equal if they differ by at most ``tolerance``. Zero always means
    exactly zero.

    Args:
        weights: [..., length] float64, valid positions first, then zeros.
        lengths: [...] int64, n, broadcastable to the leading dimensions; at least 1.
        tolerance: absolute tolerance.
        pools: kind of the parts: ``word``, ``run`` or ``group``.

    Returns:
        [statistic, ...] float64; all statistics of a row of zeros are 0.
    """
    nonzero = weights > 0
    ordered = weights.sort(dim=-1, descending=True).values
    n = lengths.to(weights.dtype)
    rank = torch.arange(1, weights.shape[-1] + 1, device=weights.device, dtype=weights.dtype)

    support = nonzero.sum(-1).to(weights.dtype)
    entropy = torch.special.entr(weights).sum(-1)
    gini = ((n + 1) * ordered.sum(-1) - 2 * (ordered @ rank)) / n
    runs = _stretches(weights, nonzero, tolerance)
    groups = _stretches(ordered, ordered > 0, tolerance)
    parts = {"support_size": support, "run_count": runs, "group_count": groups}[PARTS[pools]]
    choice = (n > 1) & (support > 0)
    return torch.stack(
        (
            support,
            support / n,
            entropy,
            entropy / torch.where(n > 1, n, torch.e).log() * (n > 1),
            ordered[..., 0],
            gini,
            runs,
            support / runs.clamp(min=1),
            groups,
            support / groups.clamp(min=1),
            (choice & (support == 1)).to(weights.dtype),
            choice * torch.where(parts > 1, 1 - support / n, 1.0),
        )
    )


def _stretches(values: Tensor, nonzero: Tensor, tolerance: float) -> Tensor:
    """Count maximal stretches of equal non-zero neighbours: [..., length] → [...]."""
    differs = (values[..., 1:] - values[..., :-1]).abs() > tolerance
    starts = nonzero[..., 1:] & (differs | ~nonzero[..., :-1])
    return (starts.sum(-1) + nonzero[..., 0]).to(values.dtype)


def coverage_statistics(
    weights: Tensor, source_mask: Tensor, target_mask: Tensor, uncovered_below: float
) -> Tensor:
    """Compute how evenly the target tokens of a sentence attend to its source.

    Coverage of source position i is its column sum cᵢ = Σₜ yₜᵢ over the target tokens t. In the
    order of ``SENTENCE_STATISTICS``, over the n valid positions of one sentence:

        coverage_mean       c̄ = Σᵢ cᵢ / n            (target tokens / n, if rows sum to 1)
        coverage_deviation  √(Σᵢ (cᵢ − c̄)² / n)
        uncovered_share     |{i : cᵢ < uncovered_below}| / n    positions with almost no attention

    Args:
        weights: [batch, layer, head, target_length, source_length] float64.
        source_mask: [batch, source_length] bool.
        target_mask: [batch, target_length] bool.
        uncovered_below: positions with less coverage than this are uncovered.

    Returns:
        [statistic, batch, layer, head] float64.
    """
    valid = source_mask[:, None, None, :].to(weights.dtype)
    n = valid.sum(-1).clamp(min=1)
    coverage = torch.einsum("blhts,bt->blhs", weights, target_mask.to(weights.dtype))
    mean = (coverage * valid).sum(-1) / n
    deviation = (((coverage - mean[..., None]) * valid).square().sum(-1) / n).sqrt()
    uncovered = ((coverage < uncovered_below) * valid).sum(-1) / n
    return torch.stack((mean, deviation, uncovered))
