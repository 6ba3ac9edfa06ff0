"""The compiled kernels as functions of tensors: weights, smoothed max, and J·v."""

from __future__ import annotations

import ctypes
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

import torch
from numba import types
from torch import Tensor

from seq2seq.mappings.cpu import (
    entmax,
    fusedmax,
    normmax,
    oscarmax,
    rows,
    sparsemax,
    sqpnormmax,
)
from seq2seq.mappings.cpu.compilation import REACH, SOLVER, address, kernel
from seq2seq.mappings.implementations import Call

SOLVERS: dict[str, ModuleType] = {
    "entmax": entmax,
    "fusedmax": fusedmax,
    "normmax": normmax,
    "oscarmax": oscarmax,
    "sparsemax": sparsemax,
    "sqpnormmax": sqpnormmax,
}
REALS = {
    torch.float32: (types.float32, types.int32),
    torch.float64: (types.float64, types.int64),
}
ATTENTION = 2048  # the longest rows that single precision may be good enough for


def supports(name: str, length: int) -> bool:
    """Whether there is a kernel for rows of a length."""
    return name in SOLVERS


@cache
def _forward(name: str, dtype: torch.dtype) -> tuple[Any, int, int]:
    module = SOLVERS[name]
    driver = kernel(rows.forward, rows.signature(*REALS[dtype]))
    return driver, address(module.solve, SOLVER), address(module.reach, REACH)


@cache
def _backward(name: str, dtype: torch.dtype) -> tuple[Any, int]:
    driver = kernel(rows.backward, rows.signature(*REALS[dtype]))
    return driver, address(SOLVERS[name].product, SOLVER)


def argmax(scores: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """See ``implementations``."""
    return _solve(scores, mask, call, None)


def maximum(scores: Tensor, mask: Tensor | None, call: Call) -> tuple[Tensor, Tensor]:
    """See ``implementations``."""
    rows_in_all = scores.numel() // scores.size(-1)
    values = scores.new_empty(rows_in_all, dtype=torch.float64)
    return values, _solve(scores, mask, call, values)


def _solve(scores: Tensor, mask: Tensor | None, call: Call, values: Tensor | None) -> Tensor:
    driver, solver, reach = _forward(call.omega.name, scores.dtype)
    scores = scores.contiguous()
    result = torch.empty_like(scores)
    given = rows.HOLES if call.omega.of_holes else 0
    if values is not None:
        given |= rows.VALUES  # whose precision is double
    else:
        given |= _precision(scores)
    x = scores.data_ptr()
    out = (result.data_ptr(), None if values is None else values.data_ptr())
    _run(driver, (x, x, None, None), mask, out, call, scores.shape, given, solver, reach)
    return result


def jacobian_product(
    weights: Tensor, vectors: Tensor, scores: Tensor | None, mask: Tensor | None, call: Call
) -> Tensor:
    """See ``implementations``."""
    driver, solver = _backward(call.omega.name, weights.dtype)
    weights, vectors = weights.contiguous(), vectors.contiguous()
    result = torch.empty_like(weights)
    given = _precision(weights)
    if call.omega.neighbors:
        given |= rows.HOLES
        if scores is not None:
            scores = scores.contiguous()
            given |= rows.SCORES
    else:
        scores = mask = None
    place = None if scores is None else scores.data_ptr()
    pointers = (weights.data_ptr(), None, vectors.data_ptr(), place)
    out = (result.data_ptr(), None)
    _run(driver, pointers, mask, out, call, weights.shape, given, solver, 0)
    return result


def _precision(scores: Tensor) -> int:
    """``SINGLE`` for attention in float32; the small weights of a vocabulary are for logarithms."""
    near = scores.dtype == torch.float32 and scores.size(-1) <= ATTENTION
    return rows.SINGLE if near else 0


def _run(
    driver: Any,
    pointers: tuple[int | None, ...],
    mask: Tensor | None,
    out: tuple[int, int | None],
    call: Call,
    shape: torch.Size,
    given: int,
    solver: int,
    reach: int,
) -> None:
    length = shape[-1]
    masks, geometry, given = mask_of(mask, shape, given)
    gammas = thetas = None
    if call.gammas is not None:
        given |= rows.GAMMAS
        gammas = call.gammas.to(torch.float64).contiguous()
    if call.thetas is not None:
        given |= rows.THETAS
        thetas = call.thetas.to(torch.float64).contiguous()
    parameters = (
        masks,
        *out,
        None if gammas is None else gammas.data_ptr(),
        None if thetas is None else thetas.data_ptr(),
        geometry,
    )
    rest = (length, given, call.gamma, call.theta, solver, reach)
    driver(*pointers, *parameters, 0, shape.numel() // length, *rest)


def mask_of(mask: Tensor | None, shape: torch.Size, given: int) -> tuple[int | None, Any, int]:
    """Where a mask lies and how it is read, and ``given`` with the bit that there is one."""
    if mask is None:
        return None, None, given
    mask = mask.broadcast_to(shape)
    return mask.data_ptr(), _geometry(tuple(shape[:-1]), mask.stride()), given | rows.MASK


@lru_cache(4096)  # a training run has as many shapes of batches as it likes
def _geometry(shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """The step of a mask along its rows, and its leading dimensions, for ``scan.offset_of``."""
    numbers = [strides[-1], len(shape), *shape, *strides[:-1]]
    return (ctypes.c_int64 * len(numbers))(*numbers)
