"""The log-probabilities of a mixture of vocabulary and copied words.

As in ``nn.cross_entropy``, passes over the rows of the vocabulary dominate the cost. Copying
changes only a few entries of a row. The forward and the backward pass gather and scatter only these
entries, and shift all others.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def log_mixture(
    logits: Tensor, log_share: Tensor, copied: Tensor, ids: Tensor, extra: Tensor
) -> Tensor:
    """Compute ``log(p_gen softmax(logits) + exp(copied))`` in float32 or float64.

    The result is differentiable only once.

    Args:
        logits: ``[batch, target_length, V]``.
        log_share: ``[batch, target_length]``, log p_gen.
        copied: ``[batch, target_length, source_length + 1]``, the log-probability of copying each
            word, at the position where the word first occurs; −inf at all other positions and in
            the last column.
        ids: ``[batch, source_length]``, the ids of the words.
        extra: ``[batch, extra]``, the column of ``copied`` for the word V + k.

    Returns:
        ``[batch, target_length, V + extra]`` log-probabilities.
    """
    mixed: Tensor = _LogMixture.apply(logits, log_share, copied, ids, extra)
    return mixed


def at(places: Tensor, like: Tensor) -> Tensor:
    """Expand the columns ``[batch, n]`` to every target position of ``like``."""
    return places[:, None].expand(-1, like.size(1), -1)


class _LogMixture(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, log_share: Tensor, copied: Tensor, ids: Tensor, extra: Tensor
    ) -> Tensor:
        size = logits.size(-1)
        softmax = torch.softmax(logits, dim=-1, dtype=copied.dtype)
        # log softmax(x)_k = x_k − max x + log max softmax(x), as in the cross-entropy
        shift = softmax.amax(-1).log() - logits.amax(-1) + log_share
        output = softmax.new_empty(*logits.shape[:2], size + extra.size(1))
        generated = torch.add(logits, shift[..., None], out=output[..., :size])
        known = ids < size
        places = at(ids.where(known, 0), copied)
        # log(u + v) = log u + softplus(log v − log u): add it once per distinct source word.
        lead = (copied[..., :-1] - generated.gather(-1, places)).where(known[:, None], -torch.inf)
        generated.scatter_add_(-1, places, F.softplus(lead, threshold=40.0))
        output[..., size:] = copied.gather(-1, at(extra, copied))
        ctx.dtype, ctx.size = logits.dtype, size
        ctx.save_for_backward(softmax, lead, places, extra)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        softmax, lead, places, extra = ctx.saved_tensors
        size = ctx.size
        whole = upstream[..., :size]
        by_copying = whole.gather(-1, places) * torch.sigmoid(lead)  # times v / (u + v)
        log_share = whole.sum(-1) - by_copying.sum(-1)
        gradient = torch.addcmul(whole, softmax, log_share[..., None], value=-1)
        gradient.scatter_add_(-1, places, -by_copying)
        copied = F.pad(by_copying, (0, 1)).scatter_add_(
            -1, at(extra, by_copying), upstream[..., size:]
        )
        return gradient.to(ctx.dtype), log_share, copied, None, None
