"""The regularizer Ω of a mapping: its value, its argmax, and the derivative of the argmax.

This is the seam of the package: :func:`weights` and :func:`maximum` below, and the face in
``mapping.py``, are the same for every mapping; a mapping supplies one :class:`Regularizer`, and a
compiled kernel replaces its ``argmax`` (and ``jacobian_product``) on the devices that have one,
under the same tests.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from seq2seq.mappings.rows import Rows, as_rows


class Regularizer(ABC):
    """A strongly convex function Ω on the simplex of a row's valid positions.

    Arguments are rows as in :class:`seq2seq.mappings.rows.Rows`: ``values`` and ``weights``
    ``[rows, length]``, ``valid`` bool of the same shape. All methods are at γ = 1: a strength γ
    only divides the scores.
    """

    @abstractmethod
    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Ω(y) of each row, ``[rows]``."""

    @abstractmethod
    def vertex(self, index: Tensor, valid: Tensor) -> Tensor | float:
        """Ω of the one-hot distribution at ``index`` ``[rows]``: a number or ``[rows]``."""

    @abstractmethod
    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Argmax_y ⟨y, x⟩ − Ω(y), ``[rows, length]``; 0 where not valid. Autograd stays outside."""

    @abstractmethod
    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """J·v at the ``weights`` Π(x), ``[rows, length]``, in differentiable operations; J = Jᵀ."""


class _Argmax(torch.autograd.Function):
    """Π(x), whose derivative needs Π(x) alone."""

    @staticmethod
    def forward(values: Tensor, valid: Tensor, regularizer: Regularizer) -> Tensor:
        return regularizer.argmax(values, valid) if values.numel() else values.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, valid, ctx.regularizer = inputs
        ctx.save_for_backward(output, valid)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, valid = ctx.saved_tensors
        return ctx.regularizer.jacobian_product(weights, valid, gradient), None, None


class _Maximum(torch.autograd.Function):
    """The smoothed max ⟨Π(x), x⟩ − Ω(Π(x)), whose gradient is Π(x), and whose Hessian is J."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, values: Tensor, valid: Tensor, regularizer: Regularizer
    ) -> Tensor:
        weights = regularizer.argmax(values, valid) if values.numel() else values.clone()
        ctx.save_for_backward(values, valid, weights)
        ctx.regularizer = regularizer  # type: ignore[attr-defined]
        product = (weights * values.masked_fill(~valid, 0.0)).sum(-1)
        return product - regularizer.value(weights, valid)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, valid, weights = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted: Π must be part of the graph
            weights = _Argmax.apply(values, valid, ctx.regularizer)
        return gradient[:, None] * weights, None, None


def weights(
    regularizer: Regularizer,
    scores: Tensor,
    mask: Tensor | None,
    dim: int,
    gamma: float | Tensor,
) -> Tensor:
    """Argmax_y ⟨y, x⟩ − γΩ(y) of ``scores`` along ``dim``, in the shape and type of the scores."""
    rows = as_rows(scores, mask, dim, gamma)
    return rows.restore(_Argmax.apply(rows.values, rows.valid, regularizer))


def maximum(regularizer: Regularizer, rows: Rows) -> Tensor:
    """Smoothed max of (x − max x)/γ, ``[rows]``; 0 for an empty row."""
    value: Tensor = _Maximum.apply(rows.values, rows.valid, regularizer)
    return value.masked_fill(rows.empty, 0.0)
