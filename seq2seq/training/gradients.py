"""Scale and clip gradients in one pass over memory."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


def scale_and_clip(
    parameters: Iterable[nn.Parameter], factor: Tensor, limit: float = math.inf
) -> Tensor:
    r"""Set :math:`g \leftarrow c f g` in place, with :math:`c = \min(1, l / \lVert f g \rVert)`.

    With sharded parameters, each process has a part of every gradient. The norm is over all parts.

    Args:
        parameters: parameters with gradients g; those without are ignored.
        factor: f, a scalar tensor.
        limit: l; infinity disables clipping.

    Returns:
        The norm of f·g over all parameters, before clipping.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    shards = [g.to_local() for g in gradients if isinstance(g, DTensor)]
    whole = [g for g in gradients if not isinstance(g, DTensor)]
    norm = torch.nn.utils.get_total_norm(whole)
    if shards:
        square = torch.nn.utils.get_total_norm(shards).square()
        torch.distributed.all_reduce(square)
        norm = (norm.square().to(square.device) + square).sqrt()
    factor = factor.to(norm.device, norm.dtype)
    norm = norm * factor
    if limit < math.inf:
        factor = factor * (limit / (norm + 1e-6)).clamp(max=1.0)
    for gradient in (*whole, *shards):
        gradient.mul_(factor)
    return norm
