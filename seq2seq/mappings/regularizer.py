"""The regularizer Ω of a mapping: its value, its argmax, and the derivatives of the argmax.

To add a mapping, write one subclass of :class:`Regularizer`, the reference implementation. All
mappings share the rest: faster kernels (``implementations``), PyTorch operators (``operators``),
and the interface of the module (``mapping``).
"""

import dataclasses
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from seq2seq.mappings.domain import Domain


class Regularizer(ABC):
    """A strongly convex function Ω(y; θ) on the simplex of a row's valid positions.

    Arguments are rows as in :class:`seq2seq.mappings.rows.Rows`: ``values`` and ``weights``
    ``[rows, length]``, and ``valid``, bool of the same shape. All methods assume γ = 1, because a
    strength γ only divides the scores. A parameter θ is a number or ``[rows, 1]``. :meth:`of_rows`
    brings a user's tensor of another shape into that form.

    Attributes:
        name: the name of the mapping, by which its compiled kernels are looked up.
        domain: the name of θ, which is a field of the class, and its values; None without θ.
        of_holes: whether Ω depends on which other positions are valid.
        neighbors: whether Ω couples neighbors, so that J·v depends on which positions are valid.
        piecewise_linear: whether J depends only on which weights are 0 or equal, not on their size.
    """

    name: ClassVar[str]
    domain: ClassVar[Domain | None] = None
    of_holes: ClassVar[bool] = False
    neighbors: ClassVar[bool] = False
    piecewise_linear: ClassVar[bool] = False
    _named: ClassVar[dict[str, type["Regularizer"]]] = {}

    @property
    def pools(self) -> str:
        """Return what shares one gradient: a ``word``, a ``run`` or a ``group``.

        A run is of equal neighbors, a group of equal weights anywhere. J is zero if the support is
        a single one of these.
        """
        return "word"

    def __init_subclass__(cls, **options: Any) -> None:
        """Register the class under the name of its mapping."""
        super().__init_subclass__(**options)
        if "name" in cls.__dict__:
            Regularizer._named[cls.name] = cls

    @classmethod
    def of(cls, theta: float | Tensor) -> Self:
        """Return Ω at θ; cache it for a number, because creating it costs time in a small call."""
        if isinstance(theta, Tensor) or torch.compiler.is_compiling():
            return cls._with(theta)
        return _at_number(cls, float(theta))

    @classmethod
    def _with(cls, theta: float | Tensor) -> Self:
        assert cls.domain is not None
        return cls(**{cls.domain.name: theta})

    @staticmethod
    def named(name: str, theta: float | None = None) -> "Regularizer":
        """Return the regularizer of a mapping by name, at the number θ or at its default."""
        kind = Regularizer._named[name]
        return kind(**({kind.domain.name: theta} if kind.domain and theta is not None else {}))

    def __post_init__(self) -> None:
        """Raise ``ValueError`` if θ is a number for which Ω is not defined."""
        if self.domain and self.parameter is not None and not isinstance(self.parameter, Tensor):
            self.domain.check(self.parameter)

    @property
    def parameter(self) -> float | Tensor | None:
        """Return the parameter θ, or None if Ω has none."""
        return getattr(self, self.domain.name) if self.domain else None

    def at(self, theta: float | Tensor) -> Self:
        """Return the same regularizer at another θ."""
        assert self.domain is not None
        if theta is self.parameter:
            return self
        return dataclasses.replace(self, **{self.domain.name: theta})  # type: ignore[type-var]

    def of_rows(self, shape: torch.Size, dim: int, dtype: torch.dtype) -> Self:
        """Return the same regularizer with a tensor θ as ``[rows, 1]``.

        Args:
            shape: the shape of the scores, with the mapped dimension last.
            dim: the dimension along which the mapping is computed.
            dtype: the type of the result.
        """
        theta = self.parameter
        if self.domain is None or not isinstance(theta, Tensor):
            return self
        return self.at(self.domain.of_rows(theta, shape, dim)[:, None].to(dtype))

    @abstractmethod
    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Return Ω(y) of each row, ``[rows]``, computed by differentiable operations."""

    @abstractmethod
    def vertex(self, index: Tensor, valid: Tensor) -> Tensor | float:
        """Return Ω of the one-hot distribution at ``index`` ``[rows]``: a number or ``[rows]``."""

    @abstractmethod
    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Return argmax_y ⟨y, x⟩ − Ω(y), ``[rows, length]``, with 0 where not valid.

        The caller provides the derivatives, so the operations need not be differentiable.
        """

    @abstractmethod
    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return J·v at the ``weights`` Π(x), ``[rows, length]``, by differentiable operations.

        J is symmetric.
        """

    def parameter_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return ⟨v, ∂∇Ω(y; θ)/∂θ⟩ at the ``weights`` y, ``[rows]``, by differentiable operations.

        At the optimum, x − ∇Ω(y; θ) = τ on the support. A change of θ moves y as a change of the
        scores by −∂∇Ω(y; θ)/∂θ would. The gradient of θ is therefore −⟨J·g, ∂∇Ω(y; θ)/∂θ⟩, and
        ``vectors`` are J·g. They sum to 0 over a row and are 0 outside the support, so terms that
        are constant over a row may be left out.
        """
        raise NotImplementedError(f"{type(self).__name__} has no parameter")

    def relative(self, others: Tensor) -> tuple[Self, float | Tensor]:
        r"""Return Ω, and the strength κ at which it needs the same lead as softmax.

        The lead Δ is how far one score must lie above ``others`` equal scores to get the weight ½.
        At γ = 1 it is :math:`\Delta_\Omega = \partial_1\Omega(y) - \partial_2\Omega(y)` at the
        weights :math:`y = (\tfrac12, \tfrac1{2m}, \ldots)`, where m = ``others``. At another γ it
        is γΔ. For softmax it is log m, so :math:`\kappa = \log m / \Delta_\Omega`.

        Args:
            others: m ≥ 1, the number of valid positions less one; broadcastable to θ.

        Returns:
            The same Ω, with θ adapted to the number of positions if the mapping needs that, and κ.

        Raises:
            NotImplementedError: if the class does not define κ.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no method relative(), so its strength cannot be relative "
            "to softmax's; add the method, or set model.strength=absolute"
        )


@lru_cache
def _at_number(kind: Any, theta: float) -> Any:
    return kind._with(theta)
