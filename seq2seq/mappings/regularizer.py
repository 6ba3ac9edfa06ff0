"""The regularizer Ω of a mapping: its value, its argmax, and the derivatives of the argmax.

This is the seam of the package: a mapping supplies one :class:`Regularizer`, and everything else,
here and in ``mapping.py``, is the same for all. Every argmax goes through :func:`weights`, which is
where a compiled kernel takes the place of ``Regularizer.argmax`` and of the two products.
"""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from seq2seq.mappings.domain import Domain
from seq2seq.mappings.rows import Rows, as_rows


class Regularizer(ABC):
    """A strongly convex function Ω(y; θ) on the simplex of a row's valid positions.

    Arguments are rows as in :class:`seq2seq.mappings.rows.Rows`: ``values`` and ``weights``
    ``[rows, length]``, ``valid`` bool of the same shape. All methods are at γ = 1: a strength γ
    only divides the scores. A parameter θ is a number, or ``[rows, 1]``: a tensor that a user gives
    in another shape goes through :meth:`at` first.

    Attributes:
        name: of the mapping; compiled kernels are found by it.
        domain: what θ is called, as a field of the class, and may be; None without a parameter.
    """

    name: ClassVar[str]
    domain: ClassVar[Domain | None] = None

    def __post_init__(self) -> None:
        """Refuse a number that Ω is not defined for."""
        if self.domain and self.parameter is not None and not isinstance(self.parameter, Tensor):
            self.domain.check(self.parameter)

    @property
    def parameter(self) -> float | Tensor | None:
        """The parameter θ, if there is one."""
        return getattr(self, self.domain.name) if self.domain else None

    def at(self, theta: float | Tensor) -> Self:
        """The same regularizer at another θ."""
        assert self.domain is not None
        return dataclasses.replace(self, **{self.domain.name: theta})  # type: ignore[type-var]

    def of_rows(self, shape: torch.Size, dim: int, dtype: torch.dtype) -> Self:
        """The same with θ laid out for the rows of scores of ``shape``, mapped dimension last."""
        theta = self.parameter
        if self.domain is None or not isinstance(theta, Tensor):
            return self
        return self.at(self.domain.of_rows(theta, shape, dim)[:, None].to(dtype))

    @abstractmethod
    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Ω(y) of each row, ``[rows]``, in differentiable operations."""

    @abstractmethod
    def vertex(self, index: Tensor, valid: Tensor) -> Tensor | float:
        """Ω of the one-hot distribution at ``index`` ``[rows]``: a number or ``[rows]``."""

    @abstractmethod
    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Argmax_y ⟨y, x⟩ − Ω(y), ``[rows, length]``; 0 where not valid. Autograd stays outside."""

    @abstractmethod
    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """J·v at the ``weights`` Π(x), ``[rows, length]``, in differentiable operations; J = Jᵀ."""

    def parameter_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """⟨v, ∂∇Ω(y; θ)/∂θ⟩ at the ``weights`` y, ``[rows]``, in differentiable operations.

        At the optimum x − ∇Ω(y; θ) = τ on the support. With θ, y moves there as if the scores moved
        by −∂∇Ω(y; θ)/∂θ: the gradient of θ is −⟨J·g, ∂∇Ω(y; θ)/∂θ⟩, and ``vectors`` are J·g. They
        sum to 0 over a row and are 0 off the support, so terms constant over a row may be left out.
        """
        raise NotImplementedError(f"{type(self).__name__} has no parameter")


class _Argmax(torch.autograd.Function):
    """Π(x; θ), whose derivatives need Π(x; θ) alone."""

    @staticmethod
    def forward(
        values: Tensor, valid: Tensor, theta: Tensor | None, regularizer: Regularizer
    ) -> Tensor:
        return _at(regularizer, theta).argmax(values, valid) if values.numel() else values.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, valid, theta, ctx.regularizer = inputs
        ctx.save_for_backward(output, valid, theta)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, valid, theta = ctx.saved_tensors
        regularizer = _at(ctx.regularizer, theta)
        product = regularizer.jacobian_product(weights, valid, gradient)
        slope = None
        if ctx.needs_input_grad[2]:
            slope = -regularizer.parameter_product(weights, valid, product)[:, None]
        return product, None, slope, None


class _Maximum(torch.autograd.Function):
    """The smoothed max ⟨y, x⟩ − Ω(y; θ) at y = Π(x; θ).

    As y is optimal, its own change does not count (the envelope theorem): the gradient of x is y,
    that of θ is −∂Ω(y; θ)/∂θ with y held. The Hessian of x is J.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, valid: Tensor, theta: Tensor | None, regularizer: Regularizer
    ) -> Tensor:
        regularizer = _at(regularizer, theta)
        y = weights(regularizer, values, None, -1, 1.0)
        ctx.save_for_backward(values, valid, theta, y)
        ctx.regularizer = regularizer
        product = (y * values.masked_fill(~valid, 0.0)).sum(-1)
        return product - regularizer.value(y, valid)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, valid, theta, y = ctx.saved_tensors
        regularizer = _at(ctx.regularizer, theta)
        if torch.is_grad_enabled():  # a second derivative is wanted: Π must be part of the graph
            y = weights(regularizer, values, None, -1, 1.0)
        slope = None
        if ctx.needs_input_grad[2]:
            slope = -gradient[:, None] * _parameter_gradient(regularizer, theta, y, valid)
        return gradient[:, None] * y, None, slope, None


def weights(
    regularizer: Regularizer,
    scores: Tensor,
    mask: Tensor | None,
    dim: int,
    gamma: float | Tensor,
) -> Tensor:
    """Argmax_y ⟨y, x⟩ − γΩ(y) of ``scores`` along ``dim``, in the shape and type of the scores."""
    rows = as_rows(scores, mask, dim, gamma)
    regularizer = regularizer.of_rows(rows.shape, dim, rows.values.dtype)
    theta = _tensor(regularizer)
    return rows.restore(_Argmax.apply(rows.values, rows.valid, theta, regularizer))


def maximum(regularizer: Regularizer, rows: Rows) -> Tensor:
    """Smoothed max of (x − max x)/γ, ``[rows]``, with θ laid out for the rows; 0 if empty."""
    theta = _tensor(regularizer)
    value: Tensor = _Maximum.apply(rows.values, rows.valid, theta, regularizer)
    return value.masked_fill(rows.empty, 0.0)


def _tensor(regularizer: Regularizer) -> Tensor | None:
    """The parameter θ if it is a tensor, for autograd to know."""
    return regularizer.parameter if isinstance(regularizer.parameter, Tensor) else None


def _at(regularizer: Regularizer, theta: Tensor | None) -> Regularizer:
    """The regularizer at what autograd hands back as θ."""
    return regularizer if theta is None else regularizer.at(theta)


def _parameter_gradient(
    regularizer: Regularizer, theta: Tensor, y: Tensor, valid: Tensor
) -> Tensor:
    """∂Ω(y; θ)/∂θ with y held, ``[rows, 1]``."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        alone = theta.view_as(theta)  # y may depend on θ, but not on this
        value = regularizer.at(alone).value(y, valid)
        (gradient,) = torch.autograd.grad(value.sum(), alone, create_graph=again)
    return gradient
