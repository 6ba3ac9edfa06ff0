"""The regularizer Ω of a mapping: its value, its argmax, and the derivatives of the argmax.

This is the seam of the package: a mapping supplies one :class:`Regularizer`, its reference
implementation, and everything else is the same for all: kernels that take its place
(``implementations``), operators (``operators``), and the face of the module (``mapping``).
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
    ``[rows, length]``, ``valid`` bool of the same shape. All methods are at γ = 1: a strength γ
    only divides the scores. A parameter θ is a number, or ``[rows, 1]``: a tensor that a user gives
    in another shape goes through :meth:`at` first.

    Attributes:
        name: of the mapping; compiled kernels are found by it.
        domain: what θ is called, as a field of the class, and may be; None without a parameter.
        of_holes: whether Ω depends on which other positions may be attended.
        neighbors: whether positions have neighbors, so that J·v depends on where holes are.
        piecewise_linear: whether J depends on what the weights share, not on how large they are.
        pools: what shares one gradient: a ``word``, a ``run`` of equal neighbors, or a ``group`` of
            equal weights. J is zero where the support is a single one.
    """

    name: ClassVar[str]
    domain: ClassVar[Domain | None] = None
    of_holes: ClassVar[bool] = False
    neighbors: ClassVar[bool] = False
    piecewise_linear: ClassVar[bool] = False
    _named: ClassVar[dict[str, type["Regularizer"]]] = {}

    @property
    def pools(self) -> str:
        """Return ``word``, ``run`` or ``group``; see the class."""
        return "word"

    def __init_subclass__(cls, **options: Any) -> None:
        """Make the class known by the name of its mapping."""
        super().__init_subclass__(**options)
        if "name" in cls.__dict__:
            Regularizer._named[cls.name] = cls

    @classmethod
    def of(cls, theta: float | Tensor) -> Self:
        """Ω at θ; those of numbers are kept, as making one counts in a small call."""
        if isinstance(theta, Tensor) or torch.compiler.is_compiling():
            return cls._with(theta)
        return _at_number(cls, float(theta))

    @classmethod
    def _with(cls, theta: float | Tensor) -> Self:
        assert cls.domain is not None
        return cls(**{cls.domain.name: theta})

    @staticmethod
    def named(name: str, theta: float | None = None) -> "Regularizer":
        """The regularizer of a mapping, at a number θ, or where that is given otherwise, at any."""
        kind = Regularizer._named[name]
        return kind(**({kind.domain.name: theta} if kind.domain and theta is not None else {}))

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
        if theta is self.parameter:
            return self
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

    def relative(self, others: Tensor) -> tuple[Self, float | Tensor]:
        r"""Return Ω, and the strength κ at which it needs the same lead as softmax.

        The lead Δ is how far one score has to lie above ``others`` equal ones for its weight to
        be ½. At γ = 1 it is :math:`\Delta_\Omega = \partial_1\Omega(y) - \partial_2\Omega(y)`
        at the weights :math:`y = (\tfrac12, \tfrac1{2m}, \dots)` with m = ``others``, and at γ it
        is γΔ. For softmax it is log m, so :math:`\kappa = \log m / \Delta_\Omega`.

        Args:
            others: m ≥ 1, the number of valid positions less one; broadcastable to θ.

        Returns:
            The same Ω, at a θ that suits the number of positions where θ depends on it, and κ.

        Raises:
            NotImplementedError: if the class does not say what κ is.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no method relative(), which tells the strength that "
            "compares with softmax's; add it, or set model.strength=absolute"
        )


@lru_cache
def _at_number(kind: Any, theta: float) -> Any:
    return kind._with(theta)
