"""The compiled kernels as functions of tensors: weights, smoothed max, and J·v."""

from __future__ import annotations

from functools import cache, lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seq2seq.mappings.cpu import entmax, fusedmax, normmax, oscarmax, rows, sparsemax, sqpnormmax
from seq2seq.mappings.cpu.compilation import VERSION
from seq2seq.mappings.implementations import Call

SOLVERS: dict[str, ModuleType] = {
    "entmax": entmax,
    "fusedmax": fusedmax,
    "normmax": normmax,
    "oscarmax": oscarmax,
    "sparsemax": sparsemax,
    "sqpnormmax": sqpnormmax,
}


def supports(name: str, length: int) -> bool:
    """Return whether there is a kernel for rows of this length."""
    return name in SOLVERS


@cache
def _forward(name: str) -> Any:
    return rows.forward_kernel(SOLVERS[name].solve, SOLVERS[name].workspace, VERSION)


@cache
def _backward(name: str) -> Any:
    return rows.backward_kernel(SOLVERS[name].product, SOLVERS[name].workspace, VERSION)


def argmax(scores: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """Return weights; see ``implementations``."""
    return _solve(scores, mask, call, scores.new_empty(0, dtype=torch.float64))


def maximum(scores: Tensor, mask: Tensor | None, call: Call) -> tuple[Tensor, Tensor]:
    """Return the smoothed max and weights; see ``implementations``."""
    values = scores.new_empty(scores.numel() // scores.size(-1), dtype=torch.float64)
    return values, _solve(scores, mask, call, values)


def _solve(scores: Tensor, mask: Tensor | None, call: Call, values: Tensor) -> Tensor:
    result = torch.empty(scores.shape, dtype=scores.dtype)
    strengths = strengths_of(call, scores.shape)
    _forward(call.omega.name)(
        scores=as_rows(scores),
        mask=mask_rows(mask, scores.shape),
        holes=call.omega.of_holes,
        gammas=strengths.gammas,
        thetas=strengths.thetas,
        spans=SOLVERS[call.omega.name].reach(strengths.thetas, scores.size(-1)),
        weights=as_rows(result),
        maxima=values.numpy(),
    )
    return result


def jacobian_product(
    weights: Tensor, vectors: Tensor, scores: Tensor | None, mask: Tensor | None, call: Call
) -> Tensor:
    """Return J·v; see ``implementations``."""
    result = torch.empty(weights.shape, dtype=weights.dtype)
    strengths, neighbors = strengths_of(call, weights.shape), call.omega.neighbors
    y = as_rows(weights)
    _backward(call.omega.name)(
        weights=y,
        vectors=as_rows(vectors),
        scores=as_rows(scores) if neighbors and scores is not None else y,  # no weight is −inf
        mask=mask_rows(mask if neighbors else None, weights.shape),
        neighbors=neighbors,
        gammas=strengths.gammas,
        thetas=strengths.thetas,
        result=as_rows(result),
    )
    return result


class Strengths(NamedTuple):
    """γ and θ in float64, ``[rows]`` if one of them differs between rows, else ``[1]``."""

    gammas: np.ndarray
    thetas: np.ndarray


def strengths_of(call: Call, shape: torch.Size) -> Strengths:
    """Return γ and θ of a call on scores of a shape."""
    count = shape[:-1].numel() if call.differ else 1

    def column(values: Tensor | None, value: float) -> np.ndarray:
        if values is None:
            return np.full(count, value)
        return values.detach().to(torch.float64).contiguous().numpy()

    return Strengths(column(call.gammas, call.gamma), column(call.thetas, call.theta))


def as_rows(x: Tensor) -> np.ndarray:
    """Return ``[..., length]`` as a contiguous array ``[rows, length]``."""
    return x.detach().contiguous().view(-1, x.size(-1)).numpy()


def mask_rows(mask: Tensor | None, shape: torch.Size) -> np.ndarray:
    """Return a mask as an array ``[masks, length]``, each row for equally many rows of scores."""
    if mask is None:
        return _all_true(shape[-1])
    mask = mask.detach().broadcast_to(shape)
    while mask.dim() > 1 and (mask.stride(-2) == 0 or mask.size(-2) == 1):
        mask = mask.select(-2, 0)  # rows next to each other that share their mask
    return mask.reshape(-1, shape[-1]).contiguous().numpy()


@lru_cache(4096)
def _all_true(length: int) -> np.ndarray:
    return np.ones((1, length), dtype=bool)
