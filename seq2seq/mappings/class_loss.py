"""Fenchel–Young losses of class indices, with label smoothing: L(x; q) = max_Ω(x) + γΩ(q) − ⟨x, q⟩.

The target is q = (1 − ε)·onehot + ε·uniform over the n valid positions. Kernels do not build q:
⟨x, q⟩ is (1 − ε)x_target + ε·mean x, and Ω(q) is the same for all rows of n positions.

The gradient Π(x) − q is −ε/n except on the support and at the target. Kernels store only these few
*entries*, so training a sparse output layer reads the logits once and writes their gradient once.
Without a kernel, tensor operations compute the same values.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq.mappings import implementations, operators
from seq2seq.mappings.implementations import Call
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import flatten, widened


class ClassLosses(NamedTuple):
    """Losses of each row, in the shape of the target, in float32 or float64; 0 if ignored.

    Attributes:
        loss: the loss, which is differentiable.
        surprise: −log of the weight of the true class, without smoothing and without gradient; inf
            if a sparse mapping gives the class the weight 0.
    """

    loss: Tensor
    surprise: Tensor


def class_losses(
    omega: Regularizer,
    scores: Tensor,
    index: Tensor,
    mask: Tensor | None,
    dim: int,
    gamma: float | Tensor,
    smoothing: float,
    ignore_index: int | None,
) -> ClassLosses:
    """Return the losses of class indices in float64; inf if the class is not a valid position."""
    x, mask, call = operators.prepare(omega, scores, mask, dim, gamma, widen=False)
    index = index.long()
    if operators.plain():
        check_index(index, ignore_index, x.size(-1))
    if operators.plain() and not call.differ:
        loss, surprise = _ClassLoss.apply(x, index, mask, call, smoothing, ignore_index)
        return ClassLosses(loss, surprise)
    counted, index = countable(index, ignore_index)
    # Replace the scores of ignored rows, so that a NaN in them does not reach the gradient.
    x = torch.where(counted[..., None], widened(x), 0.0)
    value = operators.maximum_of(x, mask, call).reshape(index.shape)
    loss = against(value, x, index, mask, call, smoothing)
    loss = loss - loss.detach().clamp(max=0.0)  # at least 0 in spite of rounding, same gradient
    surprise = surprise_of(operators.weights_of(x.detach(), mask, call), index).detach()
    return ClassLosses(loss.where(counted, 0.0), surprise.where(counted, 0.0))


def check_index(index: Tensor, ignore_index: int | None, length: int) -> None:
    """Raise ``IndexError`` for class indices out of range.

    Skipped on a GPU, where the check would force a synchronisation. There, the gather itself fails.
    """
    if index.device.type != "cpu" or not index.numel():
        return
    counted, checked = countable(index, ignore_index)
    wrong = [int(i) for i in checked.aminmax() if not 0 <= i < length]
    if wrong and bool(counted.any()):
        raise IndexError(
            f"target {wrong[0]} is out of range for {length} classes, which are counted from 0; "
            "pass ignore_index= to mark rows that the loss ignores"
        )


def countable(index: Tensor, ignore_index: int | None) -> tuple[Tensor, Tensor]:
    """Return which rows are not ignored, and the index with 0 in the others."""
    if ignore_index is None:
        return torch.ones_like(index, dtype=torch.bool), index
    counted = index != ignore_index
    return counted, index.where(counted, 0)


def surprise_of(weights: Tensor, index: Tensor) -> Tensor:
    """Return −log of the weight at the index, float64."""
    return -weights.gather(-1, index.unsqueeze(-1)).squeeze(-1).double().log()


def against(
    value: Tensor, x: Tensor, index: Tensor, mask: Tensor | None, call: Call, smoothing: float
) -> Tensor:
    """Return ``value`` + γΩ(q) − ⟨x, q⟩; 0 for a row without valid positions."""
    omega, strength = call.laid_out(x.dtype)
    if isinstance(strength, Tensor):
        strength = strength[:, 0]
    smooth = smoothing > 0.0
    penalty: Tensor | float
    valid = implementations.valid_rows(x, x if omega.of_holes or smooth else None, mask)
    place = index.unsqueeze(-1)
    score = x.gather(-1, place).squeeze(-1).double()
    if mask is not None:
        attended = mask.broadcast_to(x.shape).gather(-1, place).squeeze(-1)
        score = score.masked_fill(~attended, -torch.inf)
    if smooth:
        rows, count = flatten(x), valid.sum(-1).clamp(min=1)
        best = rows.detach().masked_fill(~valid, -torch.inf).amax(-1, keepdim=True)
        rest = torch.where(valid, rows - best, 0.0).sum(-1, dtype=torch.float64) / count
        mean = (rest + best[:, 0]).reshape(index.shape)
        score = (1 - smoothing) * score + smoothing * mean
        penalty = omega.value(smoothed(index.reshape(-1), valid, smoothing), valid)
    else:
        penalty = omega.vertex(index.reshape(-1), valid)
    penalty = strength * penalty
    if isinstance(penalty, Tensor):
        penalty = penalty.reshape(index.shape)
    empty = (value == 0) & (score == -torch.inf)
    if not operators.plain() or bool(empty.any()):
        valid = implementations.valid_rows(x, x, mask)
        empty = empty & ~valid.any(-1).reshape(index.shape)
    return (value + penalty - score).masked_fill(empty, 0.0)


def smoothed(index: Tensor, valid: Tensor, smoothing: float) -> Tensor:
    """Return q = (1 − ε)·onehot + ε/n at valid positions, ``[rows, length]`` float64."""
    share = smoothing / valid.sum(-1, keepdim=True, dtype=torch.float64).clamp(min=1.0)
    sure = torch.full_like(share, 1 - smoothing)
    return torch.where(valid, share, 0.0).scatter_add(-1, index[:, None], sure)


@lru_cache(4096)
def target_value(omega: Regularizer, count: int, sides: int, smoothing: float) -> float:
    """Return Ω(q) for a row of ``count`` valid positions.

    Args:
        omega: the regularizer Ω.
        count: the number of valid positions.
        sides: the sides on which the target has a valid neighbor: 0 none, 1 left, 2 right, 3 both.
        smoothing: ε.
    """
    if not count:
        return 0.0
    place = {0: 0, 1: count - 1, 2: 0, 3: 1}[sides]
    index, valid = torch.tensor([place]), torch.ones(1, count, dtype=torch.bool)
    if smoothing == 0.0:
        return float(omega.vertex(index, valid))
    return float(omega.value(smoothed(index, valid, smoothing), valid))


def target_values(omega: Regularizer, sizes: Tensor, sides: Tensor, smoothing: float) -> Tensor:
    """Return Ω(q) of each row, ``[rows]`` float64."""
    kinds, which = (4 * sizes + sides).unique(return_inverse=True)
    values = [target_value(omega, kind // 4, kind % 4, smoothing) for kind in kinds.tolist()]
    return torch.tensor(values, dtype=torch.float64)[which]


class _ClassLoss(torch.autograd.Function):
    """Loss and surprise as an autograd function, which saves what the gradient Π(x) − q needs."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        index: Tensor,
        mask: Tensor | None,
        call: Call,
        smoothing: float,
        ignore_index: int | None,
    ) -> tuple[Tensor, Tensor]:
        module = implementations.loss_kernels(x, call) if x.numel() else None
        kept: tuple[Tensor, ...]
        if module is not None:
            result = module.class_losses(x, index, mask, call, smoothing, ignore_index)
            penalty = target_values(call.omega, result.sizes, result.sides, smoothing)
            loss = (result.losses + call.gamma * penalty).clamp_(min=0.0).reshape(index.shape)
            surprise, kept = result.surprises.reshape(index.shape), result.kept
        else:
            exact, counted, class_index = widened(x), *countable(index, ignore_index)
            values, y = implementations.maximum(exact, mask, call)
            loss = against(values.reshape(index.shape), exact, class_index, mask, call, smoothing)
            loss = loss.clamp_(min=0.0).where(counted, 0.0)
            surprise, kept = surprise_of(y, class_index).where(counted, 0.0), (y,)
        ctx.module, ctx.call, ctx.smoothing = module, call, smoothing
        ctx.ignore_index = ignore_index
        ctx.save_for_backward(x, index, mask, *kept)
        ctx.mark_non_differentiable(surprise)
        return loss, surprise

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, index, mask, *kept = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative may follow, so Π must be in the graph
            y = operators.weights_of(widened(x), mask, ctx.call)
        elif ctx.module is not None:
            dx = ctx.module.class_gradient(x, upstream, mask, tuple(kept), ctx.smoothing)
            return dx, None, None, None, None, None
        else:
            (y,) = kept
        counted, index = countable(index, ctx.ignore_index)
        dx = _gradient(y, x, index, mask, ctx.smoothing, upstream.to(y.dtype))
        dx = dx.masked_fill(~counted[..., None], 0.0)
        return dx.to(x.dtype), None, None, None, None, None


def _gradient(
    y: Tensor, x: Tensor, index: Tensor, mask: Tensor | None, smoothing: float, slope: Tensor
) -> Tensor:
    """Return (Π(x) − q)·slope, with the gradient 0 for a row without valid positions."""
    slope, place = slope.unsqueeze(-1), index.unsqueeze(-1)
    valid = implementations.valid_rows(x, x, mask).view(x.shape)
    dx = y * slope
    if smoothing:
        share = smoothing / valid.sum(-1, keepdim=True).clamp(min=1).to(y.dtype)
        dx = dx - torch.where(valid, share * slope, 0.0)
    attended = valid.gather(-1, place)
    return dx.scatter_add(-1, place, (smoothing - 1) * slope.where(attended, 0.0))
