"""Smoothed cross-entropy over a large vocabulary, with few passes over the logits.

A translation model spends as much time on its output probabilities as on a layer. The gradient of
``−Σ_k q_k log softmax(x)_k`` is ``softmax(x) − q``. The forward pass therefore computes it together
with the loss, in the memory of the softmax, and the backward pass only scales it.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def smoothed_cross_entropy(
    logits: Tensor, target: Tensor, real: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Sum the smoothed and the plain cross-entropy over the rows where ``real`` is True.

    The smoothed target is ``q = (1−ε) one-hot(target) + ε/V`` for V entries of the vocabulary, as
    in ``F.cross_entropy``. Sums of half precision are computed in float32.

    Args:
        logits: ``[rows, vocabulary]``.
        target: ``[rows]`` ids; any valid id where ``real`` is False.
        real: ``[rows]``, bool.
        smoothing: ε.

    Returns:
        the loss, which is differentiable only once, and the plain cross-entropy without a gradient.
    """
    loss, plain = _SmoothedCrossEntropy.apply(logits, target, real, smoothing)
    return loss, plain


def losses_and_gradient(
    logits: Tensor, target: Tensor, smoothing: float, *, differentiate: bool = True
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Compute the smoothed and the plain cross-entropy of each row, and the gradient.

    Args:
        logits: ``[rows, vocabulary]``.
        target: ``[rows]`` ids.
        smoothing: ε.
        differentiate: whether to compute the gradient.

    Returns:
        the smoothed cross-entropy ``[rows]``, the plain one ``[rows]``, and the gradient
        ``softmax(x) − q`` ``[rows, vocabulary]`` or ``None``, in float32 or float64.
    """
    exact = torch.promote_types(logits.dtype, torch.float32)
    softmax = torch.softmax(logits, dim=-1, dtype=exact)
    # log softmax(x)_k = x_k − max x + log max softmax(x) needs no second pass of exponentials.
    # Subtract the logits, which may be large, first, so that the small rest loses no digits.
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
                "backward() was called twice on this loss, but the first call freed its gradient; "
                "compute the loss again instead of using retain_graph=True"
            )
        gradient = ctx.gradient.mul_((upstream * real)[:, None])
        ctx.gradient = None
        return gradient.to(ctx.dtype), None, None, None
