"""Whether an output looked at all of its source."""

import torch
from torch import Tensor

#: What a word counts as that was hardly looked at: sparse attention may leave exactly nothing.
LEAST = 0.01


def coverage_penalty(coverage: Tensor, beta: float) -> Tensor:
    """``β Σ_i log min(max(Σ_j a_ij, 0.01), 1)``, to be added to a score (Wu et al. 2016, eq. 14).

    Wu et al. have no 0.01; without, a word with a weight of exactly zero costs −∞. It is never
    above 0, and rises as an output goes on.

    Args:
        coverage: ``[…, source_length]`` the sum over target positions of the attention to source
            position i, ≥ 1 at padding.
        beta: ≥ 0.
    """
    return beta * coverage.clamp(LEAST, 1.0).log().sum(-1)


def covered(attention: Tensor) -> Tensor:
    """The mean over layers and heads, ``[rows, source_length]``, of a step's attention."""
    return attention.mean(dim=(1, 2, 3))


def nothing_covered(source: Tensor, source_lengths: Tensor, dtype: torch.dtype) -> Tensor:
    """Coverage before the first step, ``[sentences, source_length]``: 0, and 1 at padding."""
    padding = torch.arange(source.size(1), device=source.device) >= source_lengths[:, None]
    return padding.to(dtype)
