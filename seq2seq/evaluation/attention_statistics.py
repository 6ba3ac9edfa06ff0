"""Statistics of attention: sparsity, entropy, fused runs, groups, coverage."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from seq2seq.evaluation.distribution_statistics import (
    SENTENCE_STATISTICS,
    TOKEN_STATISTICS,
    coverage_statistics,
    token_statistics,
)

_TOKEN_QUANTITIES = ("tokens", "entries", "zeros", *TOKEN_STATISTICS)
_QUANTITIES = (*_TOKEN_QUANTITIES, "sentences", *SENTENCE_STATISTICS)


class AttentionStatistics:
    """Running averages of attention statistics by layer, head, source length, target position.

    The memory is constant, because only sums are stored. They are two float64 tensors on the device
    of the attention: ``totals`` [quantity, bucket of source length, layer, head] and
    ``position_totals`` [quantity of tokens, bucket of target position, layer, head]. Several
    processes combine them by an all-reduce of both tensors or by ``merge``.

    Statistics of a distribution (``token_statistics``) are averaged over target tokens, those of
    coverage (``coverage_statistics``) over sentences. ``zero_share`` is pooled: the number of
    exactly zero weights divided by the number of all weights, over valid positions. Sentences
    without a valid source position or target token are skipped.

    Args:
        layers: number of layers of the attention.
        heads: number of heads per layer.
        tolerance: largest difference that counts as equal in runs and groups. 0 compares exactly,
            which is correct for weights in the type that the mapping computed in. Use a tolerance
            only for weights that were cast to another type or computed differently.
        pools: which positions share a gradient in the mapping that computed the weights
            (``omega.pools``); used for ``no_gradient_share``.
        uncovered_below: source positions with less coverage than this are uncovered.
        length_boundaries: the largest source length of each bucket except the open last one. The
            length counts valid positions, including eos if the mask does.
        position_boundaries: the same for the position of a target token, where 1 is the first
            predicted token. Coverage is a property of sentences, so it has no position.
    """

    def __init__(
        self,
        layers: int,
        heads: int,
        *,
        tolerance: float = 0.0,
        pools: str = "word",
        uncovered_below: float = 0.05,
        length_boundaries: Sequence[int] = (10, 20, 30, 40, 50, 100),
        position_boundaries: Sequence[int] = (1, 5, 10, 20, 30, 50),
    ) -> None:
        for name, boundaries in (
            ("length_boundaries", length_boundaries),
            ("position_boundaries", position_boundaries),
        ):
            if list(boundaries) != sorted(set(boundaries)):
                raise ValueError(f"{name}: {boundaries} must increase")
        self.layers = layers
        self.heads = heads
        self.tolerance = tolerance
        self.pools = pools
        self.uncovered_below = uncovered_below
        self.length_boundaries = tuple(length_boundaries)
        self.position_boundaries = tuple(position_boundaries)
        self.totals = self._zeros(_QUANTITIES, self.length_boundaries)
        self.position_totals = self._zeros(_TOKEN_QUANTITIES, self.position_boundaries)

    def _zeros(self, quantities: Sequence[str], boundaries: Sequence[int]) -> Tensor:
        shape = (len(quantities), len(boundaries) + 1, self.layers, self.heads)
        return torch.zeros(shape, dtype=torch.float64)

    @torch.no_grad()
    def update(self, attention: Tensor, source_mask: Tensor, target_mask: Tensor) -> None:
        """Add the attention of a batch.

        Args:
            attention: [batch, layer, head, target_length, source_length], any float type.
            source_mask: [batch, source_length] bool, True = valid. Invalid positions are removed,
                so the positions on both sides of them become neighbours.
            target_mask: [batch, target_length] bool, True = a target token (not padding).
        """
        self._check(attention, source_mask, target_mask)
        # Move valid positions to the front, in order, because runs are over valid positions only.
        order = source_mask.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)
        source_mask = source_mask.gather(-1, order)
        weights = attention.gather(-1, order[:, None, None, None].expand_as(attention))
        # float64 represents every smaller float exactly, so equal weights stay equal.
        weights = weights.to(torch.float64).masked_fill_(~source_mask[:, None, None, None], 0.0)

        lengths = source_mask.sum(-1)
        target_mask = target_mask & (lengths > 0)[:, None]
        real = target_mask.to(torch.float64)
        lengths_of_rows = lengths.clamp(min=1)[:, None, None, None]
        rows = token_statistics(weights, lengths_of_rows, self.tolerance, self.pools)
        n = lengths.to(torch.float64)[:, None, None, None].expand(rows.shape[1:])
        rows = torch.cat((torch.stack((torch.ones_like(n), n, n - rows[0])), rows))
        tokens = torch.einsum("kblht,bt->kblh", rows, real)
        present = target_mask.any(-1).to(torch.float64)[None, :, None, None]
        coverage = coverage_statistics(weights, source_mask, target_mask, self.uncovered_below)
        sums = torch.cat((tokens, present.expand_as(tokens[:1]), coverage * present))

        # index_add is not deterministic on CUDA, so the sums use products with indicators instead.
        members = _members(lengths, self.length_boundaries)
        self.totals = self.totals.to(sums.device) + torch.einsum("kblh,bu->kulh", sums, members)
        positions = torch.arange(1, target_mask.shape[1] + 1, device=lengths.device)
        members = _members(positions, self.position_boundaries)
        self.position_totals = self.position_totals.to(sums.device) + torch.einsum(
            "kblht,bt,tu->kulh", rows, real, members
        )

    def merge(self, other: "AttentionStatistics") -> None:
        """Add the statistics of another process."""
        if self._settings() != other._settings():
            raise ValueError(
                f"cannot merge statistics of {other._settings()} into those of {self._settings()}"
            )
        self.totals = self.totals + other.totals.to(self.totals.device)
        self.position_totals = self.position_totals + other.position_totals.to(
            self.position_totals.device
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with tensors on the CPU, because other processes have other devices."""
        state = vars(self).items()
        return {name: part.cpu() if isinstance(part, Tensor) else part for name, part in state}

    def summary(self) -> dict[str, Any]:
        """Return all averages, ready for JSON.

        Returns:
            ``{"overall": {…}, "by_layer_head": [{"layer": 0, "head": 0, …}, …],
            "by_source_length": [{"minimum": 1, "maximum": 10, …}, …], "by_target_position": […],
            "definitions": {…}}``. All except ``by_layer_head`` are averages over layers and heads.
            Buckets without tokens are left out. The open last bucket has ``maximum`` None.
        """
        totals, position_totals = self.totals.cpu(), self.position_totals.cpu()
        if totals[0].sum() == 0:
            raise ValueError(
                "no attention seen: call update() with at least one target token before summary()"
            )
        by_layer_head = [
            {"layer": layer, "head": head, **_averages(totals[:, :, layer, head].sum(-1))}
            for layer in range(self.layers)
            for head in range(self.heads)
        ]
        pooled = totals.mean((-2, -1))
        return {
            "overall": _averages(pooled.sum(-1)),
            "by_layer_head": by_layer_head,
            "by_source_length": _buckets(pooled, self.length_boundaries),
            "by_target_position": _buckets(
                position_totals.mean((-2, -1)), self.position_boundaries
            ),
            "definitions": {
                "tolerance": self.tolerance,
                "pools": self.pools,
                "uncovered_below": self.uncovered_below,
            },
        }

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the averages of every layer and head, overall and for each bucket.

        Yields:
            ``{"statistic": …, "layer": 0, "head": 0, "by": "source_length", "minimum": 1,
            "maximum": 10, "value": …, "tokens": …}``. ``layer`` and ``head`` are ``all`` for means
            over layers and heads. ``by`` is ``all``, ``source_length`` or ``target_position``.
        """
        totals, position_totals = self.totals.cpu(), self.position_totals.cpu()
        places: list[tuple[Any, Any]] = [("all", "all")]
        places += [(layer, head) for layer in range(self.layers) for head in range(self.heads)]
        for layer, head in places:
            lengths, positions = (
                part.mean((-2, -1)) if layer == "all" else part[:, :, layer, head]
                for part in (totals, position_totals)
            )
            rows = [("all", {"minimum": None, "maximum": None, **_averages(lengths.sum(-1))})]
            rows += [("source_length", row) for row in _buckets(lengths, self.length_boundaries)]
            rows += [
                ("target_position", row) for row in _buckets(positions, self.position_boundaries)
            ]
            for by, averages in rows:
                low, high = averages.pop("minimum"), averages.pop("maximum")
                place = {"layer": layer, "head": head, "by": by, "minimum": low, "maximum": high}
                tokens = averages.pop("tokens")
                averages.pop("sentences", None)
                for name, value in averages.items():
                    yield {"statistic": name, **place, "value": value, "tokens": tokens}

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.endswith("totals")}

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


def _members(values: Tensor, boundaries: Sequence[int]) -> Tensor:
    """Map [number] to [number, bucket] float64, with 1 in the bucket of each value."""
    bucket = torch.bucketize(values, torch.tensor(boundaries, device=values.device))
    return torch.nn.functional.one_hot(bucket, len(boundaries) + 1).to(torch.float64)


def _buckets(totals: Tensor, boundaries: Sequence[int]) -> list[dict[str, Any]]:
    """Map [quantity, bucket] sums to averages of the non-empty buckets, with their limits."""
    lower = [1, *(boundary + 1 for boundary in boundaries)]
    upper = [*boundaries, None]
    return [
        {"minimum": lower[bucket], "maximum": upper[bucket], **_averages(totals[:, bucket])}
        for bucket in range(len(lower))
        if totals[0, bucket] > 0
    ]


def _averages(totals: Tensor) -> dict[str, Any]:
    """Map [quantity] sums to averages by name; sums of sentences may be missing."""
    sums = dict(zip(_QUANTITIES, totals.tolist(), strict=False))
    averages: dict[str, Any] = {"tokens": round(sums["tokens"])}
    if "sentences" in sums:
        averages["sentences"] = round(sums["sentences"])
    averages |= {name: sums[name] / sums["tokens"] for name in TOKEN_STATISTICS}
    averages["zero_share"] = sums["zeros"] / sums["entries"]
    if "sentences" in sums:
        averages |= {name: sums[name] / sums["sentences"] for name in SENTENCE_STATISTICS}
    return averages
