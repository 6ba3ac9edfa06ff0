"""Choose what computes a mapping: CPU kernels, Triton kernels on CUDA, or the reference.

All three compute the same functions along the last dimension, without autograd; ``operators`` makes
PyTorch operators of them. The reference is plain PyTorch and runs on any device. The tests compare
the kernels with it. It also computes what the kernels do not support: regularizers of your own,
other devices, and rows that are too long.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import Rows, as_rows, flatten


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of a mapping, except for scores and mask.

    Attributes:
        omega: the regularizer Ω, at the number θ if ``thetas`` is None.
        gamma: the strength γ if ``gammas`` is None.
        gammas: ``[rows]``, the γ of each row, or None.
        thetas: ``[rows]``, the θ of each row, or None.
    """

    omega: Regularizer
    gamma: float = 1.0
    gammas: Tensor | None = None
    thetas: Tensor | None = None

    @property
    def theta(self) -> float:
        """Return the number θ; 0 if Ω has no parameter, or if θ is a tensor."""
        theta = self.omega.parameter
        return 0.0 if theta is None or isinstance(theta, Tensor) else float(theta)

    @property
    def differ(self) -> bool:
        """Return True if γ or θ is a tensor: it may differ between rows, or be learned."""
        return self.gammas is not None or self.thetas is not None

    def laid_out(self, dtype: torch.dtype) -> tuple[Regularizer, float | Tensor]:
        """Return Ω and γ, with parameters that differ between rows as ``[rows, 1]``."""
        omega, gamma = self.omega, self.gamma
        if self.thetas is not None:
            omega = omega.at(self.thetas[:, None].to(dtype))
        return omega, gamma if self.gammas is None else self.gammas[:, None].to(dtype)


PLACES = {"cpu": "cpu.kernels", "cuda": "gpu.kernels"}
_forced = False


@contextlib.contextmanager
def reference() -> Iterator[None]:
    """Compute all mappings by the reference inside this context."""
    global _forced
    before, _forced = _forced, True
    try:
        yield
    finally:
        _forced = before


@cache
def _loaded(name: str) -> ModuleType:
    return import_module(f"seq2seq.mappings.{name}")


def kernels(scores: Tensor, call: Call) -> ModuleType | None:
    """Return the module of kernels that supports this call, or None."""
    if _forced:
        return None
    place = PLACES.get("cpu" if scores.is_cpu else scores.device.type)
    module = _loaded(place) if place else None
    return module if module and module.supports(call.omega.name, scores.size(-1)) else None


def loss_kernels(scores: Tensor, call: Call) -> ModuleType | None:
    """Return the module of kernels for the losses of class indices, or None."""
    has_kernels = scores.is_cpu and kernels(scores, call) is not None
    return _loaded("cpu.losses") if has_kernels else None


def argmax(scores: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """Return the weights of scores ``[..., length]``, float32 or float64."""
    if not scores.numel():
        return scores.clone()
    module = kernels(scores, call)
    if module is not None:
        return module.argmax(scores, mask, call)
    rows, omega = _rows(scores, mask, call)
    return rows.restore(omega.argmax(rows.values, rows.valid))


def maximum(scores: Tensor, mask: Tensor | None, call: Call) -> tuple[Tensor, Tensor]:
    """Return the smoothed max, ``[rows]`` float64, 0 for an empty row; and the weights."""
    if not scores.numel():
        return scores.new_zeros(scores.shape[:-1].numel(), dtype=torch.float64), scores.clone()
    module = kernels(scores, call)
    if module is not None and hasattr(module, "maximum"):
        return module.maximum(scores, mask, call)
    rows, omega = _rows(scores, mask, call)
    y = flatten(argmax(scores, mask, call))
    product = (y * rows.values.masked_fill(~rows.valid, 0.0)).sum(-1, dtype=torch.float64)
    value = (product - omega.value(y, rows.valid)).masked_fill(rows.empty, 0.0)
    value = rows.gamma * value + rows.maximum.double() + rows.poison
    return value, y.reshape(scores.shape)


def jacobian_product(
    weights: Tensor, vectors: Tensor, scores: Tensor | None, mask: Tensor | None, call: Call
) -> Tensor:
    """Return J·v at the weights, including the factor 1/γ; all ``[..., length]``.

    ``scores`` (for their −inf) and ``mask`` matter only if Ω couples neighbors.
    """
    if not weights.numel():
        return weights.clone()
    module = kernels(weights, call)
    if module is not None:
        return module.jacobian_product(weights, vectors, scores, mask, call)
    return reference_product(weights, vectors, scores, mask, call)


def reference_product(
    weights: Tensor, vectors: Tensor, scores: Tensor | None, mask: Tensor | None, call: Call
) -> Tensor:
    """Compute :func:`jacobian_product` by the reference, in differentiable operations."""
    y = flatten(weights)
    omega, gamma = call.laid_out(y.dtype)
    valid = valid_rows(weights, scores, mask)
    return (omega.jacobian_product(y, valid, flatten(vectors)) / gamma).reshape(weights.shape)


def parameter_product(
    weights: Tensor, vectors: Tensor, scores: Tensor | None, mask: Tensor | None, call: Call
) -> Tensor:
    """Return ⟨v, ∂∇Ω(y; θ)/∂θ⟩ at the weights y, ``[rows]``, by differentiable operations."""
    y = flatten(weights)
    omega, _ = call.laid_out(y.dtype)
    return omega.parameter_product(y, valid_rows(weights, scores, mask), flatten(vectors))


def valid_rows(weights: Tensor, scores: Tensor | None, mask: Tensor | None) -> Tensor:
    """Return ``[rows, length]`` bool, True inside the mask where the score is above −inf."""
    valid = weights.new_ones((), dtype=torch.bool) if scores is None else scores > -math.inf
    if mask is not None:
        valid = valid & mask
    return flatten(valid.broadcast_to(weights.shape))


def _rows(scores: Tensor, mask: Tensor | None, call: Call) -> tuple[Rows, Regularizer]:
    omega, gamma = call.laid_out(scores.dtype)
    if isinstance(gamma, Tensor):
        gamma = gamma.reshape(*scores.shape[:-1], 1)
    return as_rows(scores, mask, -1, gamma), omega
