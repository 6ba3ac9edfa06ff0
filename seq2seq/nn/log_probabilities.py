"""The output mapping of models whose logits are log-probabilities, such as mixtures."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2seq.mappings import Softmax

EPSILON = 1e-10  # the smallest probability that the loss uses


class LogProbabilities(Softmax):
    """The softmax of log-probabilities, which is their exponential.

    A mixture (``nn.pointer_generator``) predicts ``V + extra`` entries: the vocabulary, and source
    words outside it, which differ between examples. Its loss is the negative log-likelihood. It is
    read from the log-probabilities, without a second normalization.

    Args:
        vocabulary_size: V, the number of entries over which label smoothing is uniform.
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size

    @property
    def rows_are_separate(self) -> bool:
        """False, because ``row_losses`` of the base class would normalize again."""
        return False

    def training_loss(
        self, scores: Tensor, target: Tensor, *, label_smoothing: float, ignore_index: int
    ) -> tuple[Tensor, Tensor]:
        """Sum ``−Σ_w q_w log p(w)`` and ``−log p(target)`` over the target tokens.

        The smoothed target is ``q = (1 − ε) one-hot(target) + ε/V`` over the vocabulary only. Words
        outside the vocabulary get no part of ε: the words of other examples are impossible here,
        and the loss of an example must not depend on its batch.

        In the first sum, the log p of the target is at least log 1e-10. Sparse attention can give a
        copied word the probability 0. Its loss is then 23, without a gradient. The second sum never
        has a gradient, and is inf in this case.

        Args:
            scores: ``[batch, length, V + extra]`` log-probabilities.
            target: ``[batch, length]`` ids below ``V + extra``, or ``ignore_index``.
            label_smoothing: ε.
            ignore_index: target id of positions that are ignored.

        Returns:
            the two sums.
        """
        real = target != ignore_index
        index = target.where(real, 0)[..., None]
        loss, plain = _NegativeLogLikelihood.apply(
            scores, index, real, label_smoothing, self.vocabulary_size
        )
        return loss, plain


class _NegativeLogLikelihood(torch.autograd.Function):
    """The loss with a gradient written once; autograd would write that large tensor four times."""

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
