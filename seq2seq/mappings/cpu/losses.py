"""The compiled loss as functions of tensors: losses of class indices, and their gradient."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq.mappings.cpu import loss_rows, rows
from seq2seq.mappings.cpu.compilation import REACH, SOLVER, address, kernel
from seq2seq.mappings.cpu.kernels import REALS, SOLVERS, mask_of
from seq2seq.mappings.cpu.lift import LIFT, LIFTS
from seq2seq.mappings.implementations import Call

TILE = 1 << 20  # numbers that are copied together, where a kernel cannot read them in place


class RowLosses(NamedTuple):
    """What a pass over the scores found, ``[rows]`` each.

    Attributes:
        losses: float64, the loss less γΩ(q).
        surprises: float64, −log of the weight of the target.
        sizes: the number of positions that may be attended; 0 where a row has no loss.
        sides: the sides on which the target has a neighbor, for Ω that know of neighbors.
        kept: what the gradient needs.
    """

    losses: Tensor
    surprises: Tensor
    sizes: Tensor
    sides: Tensor
    kept: tuple[Tensor, ...]


@cache
def _forward(name: str, dtype: torch.dtype) -> tuple[Any, int, int, int]:
    module = SOLVERS[name]
    signature = loss_rows.forward_signature(*REALS[dtype])
    driver = kernel(loss_rows.forward, signature)
    lift = address(LIFTS[name], LIFT) if name in LIFTS else 0
    return driver, address(module.solve, SOLVER), address(module.reach, REACH), lift


@cache
def _backward(dtype: torch.dtype) -> Any:
    signature = loss_rows.backward_signature(REALS[dtype][0])
    return kernel(loss_rows.backward, signature)


def class_losses(
    scores: Tensor,
    index: Tensor,
    mask: Tensor | None,
    call: Call,
    smoothing: float,
    ignore_index: int | None,
) -> RowLosses:
    """Losses of ``scores`` ``[..., length]`` of any float type against ``index`` ``[...]``."""
    length, real = scores.size(-1), _exact(scores.dtype)
    x, target = scores.reshape(-1, length), index.reshape(-1).contiguous()
    number = x.size(0)
    driver, *solver = _forward(call.omega.name, real)
    # Memory that is not written to is never handed out: room for all is the room for what there is.
    entries = torch.empty(number * length, dtype=real)
    places = torch.empty(number * length, dtype=torch.int32)
    starts, counts, sizes, sides = torch.empty(4, number, dtype=torch.int64)
    rests, losses, surprises = torch.empty(3, number, dtype=torch.float64)
    found = (entries, places, starts, counts, rests, losses, surprises, sizes, sides)
    given = rows.HOLES if call.omega.of_holes or call.omega.neighbors else 0
    given |= loss_rows.NEIGHBORS if call.omega.neighbors else 0
    given |= loss_rows.IGNORED if ignore_index is not None else 0
    masks, geometry, given = mask_of(mask, scores.shape, given)
    rest = (length, given, call.gamma, call.theta, smoothing, ignore_index or 0, *solver)
    pointers = (masks, geometry, target.data_ptr(), *(part.data_ptr() for part in found))
    for near, base in _tiles(x, real):
        place, end = near.data_ptr(), base + near.size(0)
        driver(place, place, *pointers, base, base, end, *rest)
    return RowLosses(losses, surprises, sizes, sides, (*found[:5], sizes))


def class_gradient(
    scores: Tensor,
    upstream: Tensor,
    mask: Tensor | None,
    kept: tuple[Tensor, ...],
    smoothing: float,
) -> Tensor:
    """The gradient of ``scores``, of their type, from that of the losses ``[...]``."""
    length, real = scores.size(-1), _exact(scores.dtype)
    x, slope = scores.reshape(-1, length), upstream.reshape(-1).double().contiguous()
    # With smoothing, every valid position has a gradient, so it matters which these are.
    looked_at = smoothing > 0 and bool((kept[-1] < length).any())
    masks, geometry, given = mask_of(mask, scores.shape, loss_rows.SCORES if looked_at else 0)
    result = torch.empty(x.shape, dtype=scores.dtype)
    pointers = (masks, geometry, slope.data_ptr(), *(part.data_ptr() for part in kept))
    driver = _backward(real)
    in_place = result.dtype == real and (not looked_at or x.is_contiguous())
    for near, base in [(x, 0)] if in_place else _tiles(x, real, filled=looked_at):
        out = result if in_place else torch.empty(near.shape, dtype=real)
        place, end = near.data_ptr() if looked_at else None, base + near.size(0)
        rest = (base, base, end, length, given)
        driver(place, *pointers, out.data_ptr(), *rest)
        if not in_place:
            result[base:end] = out
    return result.view(scores.shape)


def _exact(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _tiles(x: Tensor, real: torch.dtype, filled: bool = True) -> Iterator[tuple[Tensor, int]]:
    """Rows of type ``real``, contiguous, and the number of the first: a part after the other.

    What is of another type or layout is copied a part at a time, to stay in the cache.
    """
    if x.dtype == real and x.is_contiguous():
        yield x, 0
        return
    step = max(TILE // x.size(1), 1)
    memory = torch.empty(min(step, x.size(0)), x.size(1), dtype=real)
    for base in range(0, x.size(0), step):
        part = x[base : base + step]
        near = memory[: part.size(0)]
        yield near.copy_(part) if filled else near, base
