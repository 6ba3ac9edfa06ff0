"""Coverage: what attention has looked at already (See, Liu & Manning 2017, 2.3)."""

import torch
from torch import Tensor


def coverage_loss(attention: Tensor, real: Tensor) -> Tensor:
    r"""``Σ_t Σ_i min(a_ti, c_ti)`` with the coverage ``c_t = Σ_{u<t} a_u``: looking twice costs.

    Between 0 and 1 a target token. a is the mean over heads of the last layer.

    Args:
        attention: ``[batch, layer, head, target_length, source_length]``.
        real: ``[batch, target_length]``, bool: the positions that count.

    Returns:
        the sum over the batch, in float32 or float64.
    """
    weights = attention[:, -1].mean(1, dtype=torch.promote_types(attention.dtype, torch.float32))
    coverage = weights.cumsum(1) - weights
    return torch.minimum(weights, coverage).sum(-1).where(real, 0.0).sum()
