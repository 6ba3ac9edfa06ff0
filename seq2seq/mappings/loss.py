"""Fenchel–Young losses L(x; y) = max_Ω(x) + γΩ(y) − ⟨x, y⟩ (Blondel, Martins and Niculae, 2020).

The smoothed max comes in double precision, so that what is left of it and ⟨x, y⟩, which may both be
large, is exact.
"""

import math
from typing import Any

import torch
from torch import Tensor

from seq2seq.mappings import implementations, operators
from seq2seq.mappings.implementations import Call
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import flatten


def class_loss(
    omega: Regularizer,
    scores: Tensor,
    index: Tensor,
    mask: Tensor | None,
    dim: int,
    gamma: float | Tensor,
) -> Tensor:
    """The loss of class indices, float64 in the shape of ``index``; inf for a masked class."""
    x, mask, call = operators.prepare(omega, scores, mask, dim, gamma)
    if operators.plain() and not call.differ:
        loss = _ClassLoss.apply(x, index, mask, call)
    else:
        loss = _class_loss(x, index, mask, call)
    return loss - loss.detach().clamp(max=0.0)  # rounding below 0 goes, the gradient stays


def distribution_loss(
    omega: Regularizer,
    scores: Tensor,
    target: Tensor,
    mask: Tensor | None,
    dim: int,
    gamma: float | Tensor,
) -> Tensor:
    """The loss of distributions, float64; inf where one has mass on a masked position."""
    x, mask, call = operators.prepare(omega, scores, mask, dim, gamma)
    rows, y = flatten(x), flatten(target, dim).to(x.dtype)
    valid = implementations.valid_rows(x, x, mask)
    best = rows.detach().masked_fill(~valid, -math.inf).amax(-1, keepdim=True)
    product = (y * torch.where(valid, rows - best, 0.0)).sum(-1, dtype=torch.float64) + best[:, 0]
    at, strength = call.laid_out(x.dtype)
    strength = strength[:, 0] if isinstance(strength, Tensor) else strength
    loss = operators.maximum_of(x, mask, call) + strength * at.value(y, valid) - product
    loss = loss.masked_fill(((y > 0) & ~valid).any(-1), math.inf)
    loss = loss.masked_fill(~valid.any(-1), 0.0)
    return (loss - loss.detach().clamp(max=0.0)).reshape(x.shape[:-1])


def _class_loss(x: Tensor, index: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """The loss in operations that can be differentiated and transformed at will."""
    value = operators.maximum_of(x, mask, call).reshape(index.shape)
    return _against(value, x, index, mask, call)


def _against(value: Tensor, x: Tensor, index: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """``value`` + γΩ(y) − ⟨x, y⟩ for one-hot y; 0 for a row with nothing to attend."""
    at, strength = call.laid_out(x.dtype)
    valid = implementations.valid_rows(x, x if at.of_holes else None, mask)
    vertex = at.vertex(index.reshape(-1), valid)
    if isinstance(strength, Tensor):
        strength = strength[:, 0]
    vertex = strength * vertex
    if isinstance(vertex, Tensor):
        vertex = vertex.reshape(index.shape)
    place = index.unsqueeze(-1)
    score = x.gather(-1, place).squeeze(-1).double()
    if mask is not None:
        seen = mask.broadcast_to(x.shape).gather(-1, place).squeeze(-1)
        score = score.masked_fill(~seen, -math.inf)
        nothing = ~mask.any(-1)
    else:
        nothing = (value == 0) & (score == -math.inf)
        nothing = nothing & (x == -math.inf).all(-1) if bool(nothing.any()) else nothing
    return (value + vertex - score).masked_fill(nothing, 0.0)


class _ClassLoss(torch.autograd.Function):
    """The loss of class indices, with the gradient Π(x) − y in one pass over the row."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, mask: Tensor | None, call: Call) -> Tensor:
        values, y = implementations.maximum(x, mask, call)
        ctx.call = call
        ctx.save_for_backward(y, x, index, mask)
        return _against(values.reshape(index.shape), x, index, mask, call)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y, x, index, mask = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted: Π must be part of the graph
            y = operators.weights_of(x, mask, ctx.call)
        gradient = gradient.to(y.dtype).unsqueeze(-1)
        some = gradient.masked_fill(~(y.sum(-1, keepdim=True) > 0), 0.0)
        return (y * gradient).scatter_add(-1, index.unsqueeze(-1), -some), None, None, None
