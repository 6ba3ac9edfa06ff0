"""What attention looks like, in numbers: sparsity, entropy, fused runs, groups, coverage."""

from collections.abc import Sequence
from typing import Any

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
)
"""Averaged over target tokens; defined in ``token_statistics``."""

SENTENCE_STATISTICS = ("coverage_mean", "coverage_deviation", "uncovered_share")
"""Averaged over sentences; defined in ``coverage_statistics``."""

_COUNTS = ("tokens", "sentences", "entries", "zeros")
_QUANTITIES = _COUNTS + TOKEN_STATISTICS + SENTENCE_STATISTICS


def token_statistics(weights: Tensor, lengths: Tensor, tolerance: float = 0.0) -> Tensor:
    """Statistics of each distribution y ∈ Δⁿ over the n valid source positions.

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
        group_count       number of distinct non-zero values, wherever they stand
        group_size        k / group_count                    mean size of the row's groups

    Equality is exact; with ``tolerance`` > 0, neighbours (in position for runs, in order of value
    for groups) are equal when they differ by at most ``tolerance``. Zero is always exactly zero.

    Args:
        weights: [..., length] float64, valid positions first, zeros behind them.
        lengths: [...] int64, n, broadcastable to the leading dimensions; at least 1.
        tolerance: absolute.

    Returns:
        [statistic, ...] float64; a row of zeros has all statistics 0.
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
        )
    )


def _stretches(values: Tensor, nonzero: Tensor, tolerance: float) -> Tensor:
    """Number of maximal stretches of equal non-zero neighbours: [..., length] → [...]."""
    differs = (values[..., 1:] - values[..., :-1]).abs() > tolerance
    starts = nonzero[..., 1:] & (differs | ~nonzero[..., :-1])
    return (starts.sum(-1) + nonzero[..., 0]).to(values.dtype)


def coverage_statistics(
    weights: Tensor, source_mask: Tensor, target_mask: Tensor, uncovered_below: float
) -> Tensor:
    """How evenly the target tokens of a sentence look at its source.

    Coverage of source position i is its column sum cᵢ = Σₜ yₜᵢ over the target tokens t. In the
    order of ``SENTENCE_STATISTICS``, over the n valid positions of one sentence:

        coverage_mean       c̄ = Σᵢ cᵢ / n            (target tokens / n, if rows sum to 1)
        coverage_deviation  √(Σᵢ (cᵢ − c̄)² / n)
        uncovered_share     |{i : cᵢ < uncovered_below}| / n    positions as good as never looked at

    Args:
        weights: [batch, layer, head, target_length, source_length] float64.
        source_mask: [batch, source_length] bool.
        target_mask: [batch, target_length] bool.
        uncovered_below: the least coverage that counts as being looked at.

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


class AttentionStatistics:
    """Running averages of attention statistics by layer, head and source length.

    On-line and of constant memory: everything seen is kept as sums, in one float64 tensor
    ``totals`` [quantity, bucket, layer, head] on the device of the attention, so that several
    processes combine by one all-reduce of ``totals`` or by ``merge``.

    Statistics of a distribution (``token_statistics``) are averaged over target tokens, those of
    coverage (``coverage_statistics``) over sentences. ``zero_share`` is pooled: exactly zero
    weights divided by all weights over valid positions. Sentences without a valid source position
    or target token are passed over.

    Args:
        layers: number of layers of the attention.
        heads: number of heads a layer.
        tolerance: what counts as equal in runs and groups; 0 compares exactly, which is right in
            the type a mapping computed in. Give a tolerance only for weights computed or cast
            otherwise.
        uncovered_below: source positions with less coverage than this are uncovered.
        length_boundaries: last source length (valid positions, eos included where the mask
            includes it) of each bucket but the open last one.
    """

    def __init__(
        self,
        layers: int,
        heads: int,
        *,
        tolerance: float = 0.0,
        uncovered_below: float = 0.05,
        length_boundaries: Sequence[int] = (10, 20, 30, 40, 50, 100),
    ) -> None:
        if list(length_boundaries) != sorted(set(length_boundaries)):
            raise ValueError(f"length_boundaries: {length_boundaries} must increase")
        self.layers = layers
        self.heads = heads
        self.tolerance = tolerance
        self.uncovered_below = uncovered_below
        self.length_boundaries = tuple(length_boundaries)
        buckets = len(self.length_boundaries) + 1
        self.totals = torch.zeros(len(_QUANTITIES), buckets, layers, heads, dtype=torch.float64)

    @torch.no_grad()
    def update(self, attention: Tensor, source_mask: Tensor, target_mask: Tensor) -> None:
        """Add the attention of a batch.

        Args:
            attention: [batch, layer, head, target_length, source_length], any float type.
            source_mask: [batch, source_length] bool, True = valid; holes are taken out of the
                row, so that the two sides of a hole are neighbours.
            target_mask: [batch, target_length] bool, True = a target token (not padding).
        """
        self._check(attention, source_mask, target_mask)
        # Valid positions first, in their order: contiguity is over valid positions.
        order = source_mask.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)
        source_mask = source_mask.gather(-1, order)
        weights = attention.gather(-1, order[:, None, None, None].expand_as(attention))
        # float64 holds every smaller float exactly: equality survives, sums lose nothing.
        weights = weights.to(torch.float64).masked_fill_(~source_mask[:, None, None, None], 0.0)

        lengths = source_mask.sum(-1)
        target_mask = target_mask & (lengths > 0)[:, None]
        tokens = target_mask.sum(-1)
        present = (tokens > 0).to(torch.float64)
        rows = token_statistics(weights, lengths.clamp(min=1)[:, None, None, None], self.tolerance)
        token_sums = torch.einsum("kblht,bt->kblh", rows, target_mask.to(torch.float64))
        coverage = coverage_statistics(weights, source_mask, target_mask, self.uncovered_below)
        coverage = coverage * present[:, None, None]
        entries = (tokens * lengths).to(torch.float64)
        counts = torch.stack((tokens.to(torch.float64), present, entries))
        counts = counts[..., None, None].expand(-1, -1, self.layers, self.heads)
        zeros = counts[2] - token_sums[0]
        sums = torch.cat((counts, zeros[None], token_sums, coverage))

        boundaries = torch.tensor(self.length_boundaries, device=lengths.device)
        bucket = torch.bucketize(lengths, boundaries)
        # A product with indicators, not index_add: the sum is the same on every run on CUDA.
        members = torch.nn.functional.one_hot(bucket, len(boundaries) + 1).to(torch.float64)
        self.totals = self.totals.to(sums.device) + torch.einsum("kblh,bu->kulh", sums, members)

    def merge(self, other: "AttentionStatistics") -> None:
        """Add what another process has seen."""
        if self._settings() != other._settings():
            raise ValueError(
                f"cannot merge statistics of {other._settings()} into those of {self._settings()}"
            )
        self.totals = self.totals + other.totals.to(self.totals.device)

    def summary(self) -> dict[str, Any]:
        """All averages, ready for JSON.

        Returns:
            ``{"overall": {…}, "by_layer_head": [{"layer": 0, "head": 0, …}, …],
            "by_source_length": [{"minimum": 1, "maximum": 10, …}, …], "definitions": {…}}``;
            ``overall`` and ``by_source_length`` average over layers and heads; buckets that saw no
            token are left out, and the open last bucket has ``maximum`` None.
        """
        totals = self.totals.cpu()
        if totals[0].sum() == 0:
            raise ValueError("no attention seen: call update() with at least one target token")
        by_layer_head = [
            {"layer": layer, "head": head, **_averages(totals[:, :, layer, head].sum(-1))}
            for layer in range(self.layers)
            for head in range(self.heads)
        ]
        pooled = totals.mean((-2, -1))
        lower = [1, *(boundary + 1 for boundary in self.length_boundaries)]
        upper = [*self.length_boundaries, None]
        by_source_length = [
            {"minimum": lower[bucket], "maximum": upper[bucket], **_averages(pooled[:, bucket])}
            for bucket in range(len(lower))
            if pooled[0, bucket] > 0
        ]
        return {
            "overall": _averages(pooled.sum(-1)),
            "by_layer_head": by_layer_head,
            "by_source_length": by_source_length,
            "definitions": {
                "tolerance": self.tolerance,
                "uncovered_below": self.uncovered_below,
            },
        }

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "totals"}

    def _check(self, attention: Tensor, source_mask: Tensor, target_mask: Tensor) -> None:
        if attention.dim() != 5 or attention.shape[1:3] != (self.layers, self.heads):
            raise ValueError(
                f"attention has shape {list(attention.shape)}; expected [batch, layer, head, "
                f"target_length, source_length] with {self.layers} layers and {self.heads} heads"
            )
        batch, _, _, target_length, source_length = attention.shape
        for name, mask, shape in (
            ("source_mask", source_mask, (batch, source_length)),
            ("target_mask", target_mask, (batch, target_length)),
        ):
            if mask.shape != shape or mask.dtype != torch.bool:
                raise ValueError(
                    f"{name} is {mask.dtype} {list(mask.shape)}; expected torch.bool "
                    f"{list(shape)} for attention {list(attention.shape)}"
                )


def _averages(totals: Tensor) -> dict[str, float]:
    """[quantity] sums → averages by name."""
    sums = dict(zip(_QUANTITIES, totals.tolist(), strict=True))
    averages: dict[str, float] = {"tokens": round(sums["tokens"])}
    averages["sentences"] = round(sums["sentences"])
    averages |= {name: sums[name] / sums["tokens"] for name in TOKEN_STATISTICS}
    averages["zero_share"] = sums["zeros"] / sums["entries"]
    return averages | {name: sums[name] / sums["sentences"] for name in SENTENCE_STATISTICS}


def stack_attention(
    attentions: Sequence[Tensor], source_lengths: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Pad the attention of single sentences (of search, say) to a batch for ``update``.

    Args:
        attentions: each [layer, head, target_length, source_length]; lengths may differ, and
            columns from the sentence's source length on are padding.
        source_lengths: valid source positions of each, from the first.

    Returns:
        ``attention`` [batch, layer, head, target_length, source_length], ``source_mask``
        [batch, source_length], ``target_mask`` [batch, target_length].
    """
    if not attentions or len(attentions) != len(source_lengths):
        raise ValueError(
            f"{len(attentions)} attentions and {len(source_lengths)} source lengths: "
            "give as many of one as of the other, at least one"
        )
    first = attentions[0]
    target_length = max(attention.shape[-2] for attention in attentions)
    shape = (len(attentions), *first.shape[:2], target_length, max(source_lengths))
    stacked = first.new_zeros(shape)
    source_mask = torch.zeros(shape[0], shape[-1], dtype=torch.bool, device=first.device)
    target_mask = torch.zeros(shape[0], shape[-2], dtype=torch.bool, device=first.device)
    for row, (attention, length) in enumerate(zip(attentions, source_lengths, strict=True)):
        rows = attention.shape[-2]
        stacked[row, :, :, :rows, :length] = attention[..., :length]
        source_mask[row, :length] = True
        target_mask[row, :rows] = True
    return stacked, source_mask, target_mask
