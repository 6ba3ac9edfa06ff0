"""The coverage penalty: a cost for source words that an output did not attend to."""

import torch
from torch import Tensor

#: Smallest coverage of a word. Sparse attention can leave a coverage of exactly 0.
LEAST = 0.01


def coverage_penalty(coverage: Tensor, beta: float) -> Tensor:
    """Return ``β Σ_i log min(max(Σ_j a_ij, 0.01), 1)``, to be added to a score.

    This is equation 14 of Wu et al. (2016), except for the 0.01. Without it, the penalty would be
    −inf if a word had a weight of exactly 0. The penalty is at most 0, and never falls while an
    output grows.

    Args:
        coverage: ``[…, source_length]``, the attention to source position i summed over target
            positions j; at least 1 at padding.
        beta: β ≥ 0.
    """
    return beta * coverage.clamp(LEAST, 1.0).log().sum(-1)


def covered(attention: Tensor) -> Tensor:
    """Return the mean of a step's attention over layers and heads, ``[rows, source_length]``."""
    return attention.mean(dim=(1, 2, 3))


def nothing_covered(source: Tensor, source_lengths: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the initial coverage ``[sentences, source_length]``: 0, but 1 at padding."""
    padding = torch.arange(source.size(1), device=source.device) >= source_lengths[:, None]
    return padding.to(dtype)
