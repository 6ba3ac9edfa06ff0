"""The coverage loss of attention (See, Liu & Manning 2017, section 2.3)."""

import torch
from torch import Tensor


def coverage_loss(attention: Tensor, real: Tensor) -> Tensor:
    r"""Compute ``Σ_t Σ_i min(a_ti, c_ti)`` with the coverage ``c_t = Σ_{u<t} a_u``.

    This loss is a cost for attending to the same source position again. It is between 0 and 1 per
    target token. The weights a are the mean over the heads of the last layer.

    Args:
        attention: ``[batch, layer, head, target_length, source_length]``.
        real: ``[batch, target_length]``, bool: False for padding, which is ignored.

    Returns:
        the sum over the batch, in float32 or float64.
    """
    weights = attention[:, -1].mean(1, dtype=torch.promote_types(attention.dtype, torch.float32))
    coverage = weights.cumsum(1) - weights
    return torch.minimum(weights, coverage).sum(-1).where(real, 0.0).sum()
