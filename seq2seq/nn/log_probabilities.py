"""Logits that are log-probabilities already, as a mixture of distributions has them."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2seq.mappings import Softmax

EPSILON = 1e-10  # what the loss takes a probability of zero for


class LogProbabilities(Softmax):
    """The softmax of log-probabilities, which is their exponential.

    A mixture (``nn.pointer_generator``) predicts ``V + extra`` entries: the vocabulary, and source
    words beyond it that differ from example to example. Its loss is the negative log-likelihood,
    read off instead of normalized a second time.

    Args:
        vocabulary_size: V, the entries that label smoothing spreads its mass over.
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size

    def negative_log_likelihood(
        self, logits: Tensor, target: Tensor, real: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Sums of ``−Σ_w q_w log p(w)`` and of ``−log p(target)``, over the ``real`` positions.

        With ε the smoothing, ``q = (1 − ε) one-hot(target) + ε/V`` over the vocabulary alone. The
        words beyond it get none of ε: those of other examples are impossible here, and what an
        example is charged must not depend on the batch that it is in.

        In the first sum, log p is at least log 1e-10: sparse attention can leave a word to be
        copied no probability at all, which then costs 23 and has no gradient. The second, without
        gradient, is inf there.

        Args:
            logits: ``[batch, length, V + extra]`` log-probabilities.
            target: ``[batch, length]`` ids below ``V + extra``; any id where not real.
            real: ``[batch, length]``, bool.
            smoothing: ε.
        """
        loss, plain = _NegativeLogLikelihood.apply(
            logits, target.where(real, 0)[..., None], real, smoothing, self.vocabulary_size
        )
        return loss, plain


class _NegativeLogLikelihood(torch.autograd.Function):
    """Its gradient is written once; that of gathering and averaging apart would be four times."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, index: Tensor, real: Tensor, smoothing: float, size: int
    ) -> tuple[Tensor, Tensor]:
        surprise = -logits.gather(-1, index).squeeze(-1)
        highest = -math.log(EPSILON)
        loss = surprise.clamp(max=highest)
        if smoothing:
            loss = (1 - smoothing) * loss - smoothing * logits[..., :size].mean(-1)
        ctx.smoothing, ctx.size, ctx.extra = smoothing, size, logits.size(-1) - size
        ctx.save_for_backward(index, real, real & (surprise <= highest))
        plain = surprise.where(real, 0.0).sum()
        ctx.mark_non_differentiable(plain)
        return loss.where(real, 0.0).sum(), plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        index, real, learns = ctx.saved_tensors
        share = real * (upstream * (-ctx.smoothing / ctx.size))
        gradient = share.new_empty(*real.shape, ctx.size + ctx.extra)
        gradient[..., : ctx.size] = share[..., None]
        gradient[..., ctx.size :] = 0.0
        gradient.scatter_add_(-1, index, (learns * (upstream * (ctx.smoothing - 1)))[..., None])
        return gradient, None, None, None, None
