"""What computes a mapping: kernels compiled for the CPU, Triton's on CUDA, or the reference.

All three compute the same functions along the last dimension, without autograd; ``operators`` makes
PyTorch operators of them. The reference, plain PyTorch on any device, is what the others are tested
against, and takes what they do not: regularizers of one's own, devices and rows without a kernel.
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
    """What a mapping is computed with, besides scores and mask.

    Attributes:
        omega: the regularizer Ω, at the number θ where ``thetas`` is None.
        gamma: the strength γ where ``gammas`` is None.
        gammas: ``[rows]``, the γ of each row.
        thetas: ``[rows]``, the θ of each row.
    """

    omega: Regularizer
    gamma: float = 1.0
    gammas: Tensor | None = None
    thetas: Tensor | None = None

    @property
    def theta(self) -> float:
        """The number θ; 0 where there is none, or one for each row."""
        theta = self.omega.parameter
        return 0.0 if theta is None or isinstance(theta, Tensor) else float(theta)

    @property
    def differ(self) -> bool:
        """Whether γ or θ may differ between rows, or be learned."""
        return self.gammas is not None or self.thetas is not None

    def laid_out(self, dtype: torch.dtype) -> tuple[Regularizer, float | Tensor]:
        """Ω and γ, ``[rows, 1]`` where they differ between rows."""
        omega, gamma = self.omega, self.gamma
        if self.thetas is not None:
            omega = omega.at(self.thetas[:, None].to(dtype))
        return omega, gamma if self.gammas is None else self.gammas[:, None].to(dtype)


PLACES = {"cpu": "cpu.kernels", "cuda": "gpu.kernels"}
_forced = False


@contextlib.contextmanager
def reference() -> Iterator[None]:
    """Inside, mappings are computed by the reference alone."""
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
    """The module of kernels that takes this call, if any."""
    if _forced:
        return None
    place = PLACES.get("cpu" if scores.is_cpu else scores.device.type)
    module = _loaded(place) if place else None
    return module if module and module.supports(call.omega.name, scores.size(-1)) else None


def loss_kernels(scores: Tensor, call: Call) -> ModuleType | None:
    """The module of kernels that takes the losses of class indices against scores, if any."""
    near = scores.is_cpu and kernels(scores, call) is not None
    return _loaded("cpu.losses") if near else None


def argmax(scores: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """Weights of scores ``[..., length]``, float32 or float64."""
    if not scores.numel():
        return scores.clone()
    module = kernels(scores, call)
    if module is not None:
        return module.argmax(scores, mask, call)
    rows, omega = _rows(scores, mask, call)
    return rows.restore(omega.argmax(rows.values, rows.valid))


def maximum(scores: Tensor, mask: Tensor | None, call: Call) -> tuple[Tensor, Tensor]:
    """Smoothed max ``[rows]`` in float64, 0 where there is nothing to attend, and the weights."""
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
    """J·v at the weights, 1/γ included; all ``[..., length]``.

    ``scores`` (for their −inf) and ``mask`` count only where holes in a row matter.
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
    """The same by the reference, in differentiable operations."""
    y = flatten(weights)
    omega, gamma = call.laid_out(y.dtype)
    valid = valid_rows(weights, scores, mask)
    return (omega.jacobian_product(y, valid, flatten(vectors)) / gamma).reshape(weights.shape)


def parameter_product(
    weights: Tensor, vectors: Tensor, scores: Tensor | None, mask: Tensor | None, call: Call
) -> Tensor:
    """⟨v, ∂∇Ω(y; θ)/∂θ⟩ at the weights y, ``[rows]``, in differentiable operations."""
    y = flatten(weights)
    omega, _ = call.laid_out(y.dtype)
    return omega.parameter_product(y, valid_rows(weights, scores, mask), flatten(vectors))


def valid_rows(weights: Tensor, scores: Tensor | None, mask: Tensor | None) -> Tensor:
    """``[rows, length]`` bool: where the scores could be attended."""
    valid = weights.new_ones((), dtype=torch.bool) if scores is None else scores > -math.inf
    if mask is not None:
        valid = valid & mask
    return flatten(valid.broadcast_to(weights.shape))


def _rows(scores: Tensor, mask: Tensor | None, call: Call) -> tuple[Rows, Regularizer]:
    omega, gamma = call.laid_out(scores.dtype)
    if isinstance(gamma, Tensor):
        gamma = gamma.reshape(*scores.shape[:-1], 1)
    return as_rows(scores, mask, -1, gamma), omega
