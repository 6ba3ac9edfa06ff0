"""Smoothed cross-entropy over a large vocabulary, with as few passes over the logits as it takes.

A translation model spends as much time on the rows of its vocabulary as on a layer. The gradient
of ``−Σ_k q_k log softmax(x)_k`` is ``softmax(x) − q``: it is known as soon as the loss is, in the
memory of the softmax that gave it, and is only scaled on the way back.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def smoothed_cross_entropy(
    logits: Tensor, target: Tensor, real: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Sums over the rows that are ``real`` of the smoothed and of the plain cross-entropy.

    With ε the smoothing and V the vocabulary, ``q = (1−ε) one-hot(target) + ε/V``, as in
    ``F.cross_entropy``. Half precision is summed in float32.

    Args:
        logits: ``[rows, vocabulary]``.
        target: ``[rows]`` ids; any id where the row is not real.
        real: ``[rows]``, bool.
        smoothing: ε.

    Returns:
        the loss to differentiate (once), and the plain cross-entropy, which has no gradient.
    """
    loss, plain = _SmoothedCrossEntropy.apply(logits, target, real, smoothing)
    return loss, plain


def losses_and_gradient(
    logits: Tensor, target: Tensor, smoothing: float, *, differentiate: bool = True
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Of each row, real or not: smoothed and plain cross-entropy, and ``softmax(x) − q``.

    Args:
        logits: ``[rows, vocabulary]``.
        target: ``[rows]`` ids.
        smoothing: ε.
        differentiate: whether the gradient is wanted.

    Returns:
        ``[rows]``, ``[rows]`` and ``[rows, vocabulary]`` (or None), at least float32.
    """
    exact = torch.promote_types(logits.dtype, torch.float32)
    softmax = torch.softmax(logits, dim=-1, dtype=exact)
    # log softmax(x)_k = x_k − max x + log max softmax(x): no second pass of exponentials. What
    # may be large is subtracted first, so that no digit of the small is lost.
    top, rest = logits.amax(-1).to(exact), -softmax.amax(-1).log()
    target = target[:, None]
    plain = (top - logits.gather(-1, target).squeeze(-1)) + rest
    loss = plain
    if smoothing:
        uniform = (top - logits.mean(-1, dtype=exact)) + rest
        loss = (1 - smoothing) * plain + smoothing * uniform
    if not differentiate:
        return loss, plain, None
    if smoothing:
        softmax -= smoothing / logits.size(-1)
    step = softmax.new_full((), smoothing - 1.0).expand_as(target)
    return loss, plain, softmax.scatter_add_(-1, target, step)


class _SmoothedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, real: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        loss, plain, ctx.gradient = losses_and_gradient(
            logits, target, smoothing, differentiate=ctx.needs_input_grad[0]
        )
        ctx.dtype = logits.dtype
        ctx.save_for_backward(real)
        plain_sum = plain.where(real, 0.0).sum()
        ctx.mark_non_differentiable(plain_sum)
        return loss.where(real, 0.0).sum(), plain_sum

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        (real,) = ctx.saved_tensors
        if ctx.gradient is None:
            raise RuntimeError(
                "the loss went backward a second time, but its memory was given away the first "
                "time; compute the loss anew instead of retaining the graph"
            )
        gradient = ctx.gradient.mul_((upstream * real)[:, None])
        ctx.gradient = None
        return gradient.to(ctx.dtype), None, None, None
