"""Losses that compute the output layer in chunks of rows and never store all logits.

A batch of 2,000 target tokens and a vocabulary of 8,000 make 64 MB of logits. Probabilities and
gradients take as much again, and none of them fit into the caches. But the loss is a sum over rows,
and the gradient by the logits of a row is known together with the loss of the row. The forward pass
therefore projects, scores and differentiates a chunk of rows while it is in the cache. It keeps
only the gradients of states, weight and bias, to which each chunk adds its part. The backward pass
scales them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2seq.nn.linear import linear

ROWS = 256  # the smallest chunk: matrix products of fewer rows are slow
NUMBERS = {"cpu": 1 << 21}  # logits of a chunk, approximately: 8 MB, which fit into the cache
NUMBERS_ELSEWHERE = 1 << 26  # a chunk has to keep a whole GPU busy


class Score(Protocol):
    """The losses of a chunk of rows, such as ``Mapping.row_losses`` with a label smoothing."""

    def __call__(
        self, logits: Tensor, target: Tensor, *, differentiate: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return losses ``[rows]``, −log p ``[rows]``, and the gradient of the summed losses.

        Args:
            logits: ``[rows, vocabulary]``.
            target: ``[rows]``.
            differentiate: whether to compute the gradient by the logits; otherwise it is ``None``.
        """
        ...


class Projected(NamedTuple):
    """The logits ``states Wᵀ + b``, not computed yet.

    ``states`` ``[batch, length, size]``, ``weight`` ``[vocabulary, size]``, ``bias``
    ``[vocabulary]`` or None.
    """

    states: Tensor
    weight: Tensor
    bias: Tensor | None

    def whole(self) -> Tensor:
        """Compute all logits, ``[batch, length, vocabulary]``."""
        return linear(self.states, self.weight, self.bias)

    def detach(self) -> Projected:
        """Return a copy without gradients."""
        bias = None if self.bias is None else self.bias.detach()
        return Projected(self.states.detach(), self.weight.detach(), bias)


def in_chunks(
    score: Score, projected: Projected, target: Tensor, real: Tensor, rows: int | None = None
) -> tuple[Tensor, Tensor]:
    """Sum a loss over the rows where ``real`` is True, in chunks of rows.

    Args:
        score: computes the losses of a chunk.
        projected: states, weight and bias, which may all need gradients.
        target: ``[batch, length]`` ids; any id where ``real`` is False.
        real: ``[batch, length]``, bool.
        rows: number of rows of a chunk; the default depends on the device.

    Returns:
        the loss, which is differentiable only once, and the sum of −log p without a gradient.
    """
    states, weight, bias = projected if torch.is_grad_enabled() else projected.detach()
    states, target, real = states.flatten(0, -2), target.flatten(), real.flatten()
    place = states.device.type
    target = target.where(real, 0)
    padded = place != "cpu"
    if not padded:  # CPU only: on a GPU, the number of rows would force a synchronisation
        kept = real.nonzero().squeeze(1)
        states, target, real = states.index_select(0, kept), target[kept], real[kept]
    if torch.is_autocast_enabled(place) and states.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(place)
        states, weight = states.to(dtype), weight.to(dtype)
        bias = bias if bias is None else bias.to(dtype)
    if rows is None:
        rows = max(ROWS, NUMBERS.get(place, NUMBERS_ELSEWHERE) // len(weight))
    loss, surprise = _InChunks.apply(states, weight, bias, target, real, score, padded, rows)
    return loss, surprise


class _InChunks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: Tensor,
        real: Tensor,
        score: Score,
        padded: bool,
        rows: int,
    ) -> tuple[Tensor, Tensor]:
        exact = torch.promote_types(states.dtype, torch.float32)
        wanted = ctx.needs_input_grad[:3]
        loss = torch.zeros((), dtype=exact, device=states.device)
        surprise = torch.zeros_like(loss)
        of_states = torch.empty_like(states) if wanted[0] else None
        of_weight = torch.zeros_like(weight, dtype=exact) if wanted[1] else None
        of_bias = torch.zeros_like(bias, dtype=exact) if bias is not None and wanted[2] else None
        for first in range(0, len(states), rows):
            part = slice(first, first + rows)
            near = states[part]
            logits = linear(near, weight, bias)
            losses, surprises, gradient = score(logits, target[part], differentiate=any(wanted))
            loss += losses.where(real[part], 0.0).sum()
            surprise += surprises.where(real[part], 0.0).sum()
            if gradient is None:
                continue
            if padded:
                gradient.masked_fill_(~real[part][:, None], 0.0)
            if of_bias is not None:
                of_bias += gradient.sum(0)
            gradient = gradient.to(near.dtype)
            if of_states is not None:
                torch.mm(gradient, weight, out=of_states[part])
            if of_weight is not None:
                _add_product(of_weight, gradient, near)
        ctx.gradients = (
            of_states,
            None if of_weight is None else of_weight.to(weight.dtype),
            None if of_bias is None or bias is None else of_bias.to(bias.dtype),
        )
        ctx.mark_non_differentiable(surprise)
        return loss, surprise

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise RuntimeError(
                "backward() was called twice on this loss, but the first call freed its gradient; "
                "compute the loss again instead of using retain_graph=True"
            )
        scaled = tuple(g if g is None else g.mul_(upstream) for g in ctx.gradients)
        ctx.gradients = None
        return *scaled, None, None, None, None, None


def _add_product(total: Tensor, gradient: Tensor, states: Tensor) -> None:
    """Add ``gradientᵀ states`` to ``total``, which is float32 or float64."""
    if total.dtype == states.dtype:
        total.addmm_(gradient.t(), states)
    else:
        total += gradient.t() @ states
