"""The compiled loss as functions of tensors: losses of class indices, and their gradient."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2seq.mappings.cpu.compilation import VERSION
from seq2seq.mappings.cpu.kernels import SOLVERS, as_rows, mask_rows, strengths_of
from seq2seq.mappings.cpu.loss_rows import loss_kernel
from seq2seq.mappings.implementations import Call, valid_rows


class RowLosses(NamedTuple):
    """The results of one pass over the scores, ``[rows]`` each.

    Attributes:
        losses: float64, the loss without γΩ(q).
        surprises: float64, −log of the weight of the target.
        sizes: the number of positions that may be attended; 0 if a row has no loss.
        sides: the sides on which the target has a neighbor.
        kept: what the gradient needs.
    """

    losses: Tensor
    surprises: Tensor
    sizes: Tensor
    sides: Tensor
    kept: tuple[Tensor, ...]


@cache
def _kernel(name: str) -> Any:
    return loss_kernel(SOLVERS[name].solve, SOLVERS[name].workspace, VERSION)


def class_losses(
    scores: Tensor,
    index: Tensor,
    mask: Tensor | None,
    call: Call,
    smoothing: float,
    ignore_index: int | None,
) -> RowLosses:
    """Return losses of ``scores`` ``[..., length]``, of any float type, for ``index`` ``[...]``."""
    length, real = scores.size(-1), torch.promote_types(scores.dtype, torch.float32)
    x, targets = scores.detach().to(real), index.reshape(-1)
    if ignore_index is not None:
        targets = targets.masked_fill(targets == ignore_index, -1)
    rows = targets.numel()
    # The system hands out memory at the first write, so that unused room costs nothing.
    entries = torch.empty(rows * length, dtype=real)
    places = torch.empty(rows * length, dtype=torch.int64)
    counts, sizes, sides = torch.empty(3, rows, dtype=torch.int64)
    losses, surprises = torch.empty(2, rows, dtype=torch.float64)
    gammas, thetas = strengths_of(call, scores.shape)
    neighbors = call.omega.neighbors
    used = _kernel(call.omega.name)(
        scores=as_rows(x),
        mask=mask_rows(mask, scores.shape),
        holes=call.omega.of_holes or neighbors or smoothing > 0.0,
        targets=targets.contiguous().numpy(),
        gamma=gammas[0],
        theta=thetas[0],
        span=SOLVERS[call.omega.name].reach(thetas, length)[0],
        smoothing=float(smoothing),
        entries=entries.numpy(),
        places=places.numpy(),
        counts=counts.numpy(),
        losses=losses.numpy(),
        surprises=surprises.numpy(),
        sizes=sizes.numpy(),
        sides=sides.numpy(),
    )
    if not neighbors:
        sides.zero_()  # Ω(q) is the same wherever the target is
    return RowLosses(
        losses, surprises, sizes, sides, (entries[:used], places[:used], counts, sizes, losses)
    )


def class_gradient(
    scores: Tensor,
    upstream: Tensor,
    mask: Tensor | None,
    kept: tuple[Tensor, ...],
    smoothing: float,
) -> Tensor:
    """Return the gradient of the scores, of their type, from that of the losses ``[...]``."""
    entries, places, counts, sizes, losses = kept
    slope = upstream.reshape(-1).double()
    gradient = torch.zeros(slope.numel(), scores.size(-1), dtype=scores.dtype)
    if smoothing > 0.0:
        share = torch.where(sizes > 0, smoothing / sizes.double(), 0.0) * slope
        gradient -= share[:, None].to(gradient.dtype)
        if bool((sizes < scores.size(-1)).any()):
            gradient.masked_fill_(~valid_rows(scores, scores, mask), 0.0)
    gradient[losses.isnan()] = torch.nan
    values = entries * slope.repeat_interleave(counts)
    gradient.view(-1)[places] = values.to(gradient.dtype)
    return gradient.view(scores.shape)
