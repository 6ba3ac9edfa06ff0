"""Affine maps, by the fastest of the CPU's matrix products where no gradient is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
#: Whether oneDNN's product is the one to take: on a CPU without AVX-512, MKL's is up to a quarter
#: faster.
PREFERS_ONEDNN = HAS_ONEDNN and torch.backends.cpu.get_cpu_capability() == "AVX512"


#: Numbers of a matrix that is packed: the output layer, the gates of wide cells. Smaller ones are
#: brought into order as fast as they are read.
LARGE = 1 << 20


class Packed:
    """Large weights in the order in which oneDNN multiplies by them, from their second use on.

    Each product would bring them into an order like this, which takes as long as multiplying some
    dozens of rows.
    """

    def __init__(self) -> None:
        # With the weight itself, so that no other can come to lie where it lies.
        self.found: dict[tuple[int, torch.Size], tuple[Tensor, Tensor | None]] = {}

    def get(self, weight: Tensor, rows: int) -> Tensor | None:
        """The weight packed for about so many rows, if it was used before."""
        key = (weight.data_ptr(), weight.shape)
        if key not in self.found:
            self.found[key] = (weight, None)
            return None
        _, packed = self.found[key]
        if packed is None:
            packed = torch.ops.mkldnn._reorder_linear_weight.default(weight.detach(), rows)
            self.found[key] = (weight, packed)
        return packed


_packed: ContextVar[Packed | None] = ContextVar("packed", default=None)


@contextmanager
def fixed_weights() -> Iterator[None]:
    """Inside, nobody changes weights: those used again and again are packed."""
    token = _packed.set(Packed())
    try:
        yield
    finally:
        _packed.reset(token)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x Wᵀ + b``, with ``x`` ``[…, size]`` and ``weight`` ``[output_size, size]``.

    PyTorch multiplies float32 matrices by MKL, which leaves half of AVX-512 unused on CPUs that are
    not Intel's; oneDNN, which comes with PyTorch too, uses all of it and is twice as fast there.
    What PyTorch offers of it has no gradient, and is slow where a matrix has gaps. By weights that
    are packed it multiplies faster than MKL on every CPU.
    """
    if (
        not HAS_ONEDNN
        or torch.is_grad_enabled()
        or x.dtype != torch.float32
        or weight.dtype != torch.float32
        or x.device.type != "cpu"
        or not weight.is_contiguous()
        or not x.numel()
        or torch.is_autocast_enabled("cpu")
    ):
        return F.linear(x, weight, bias)
    packed = _packed.get()
    matrix = None
    if packed is not None and weight.numel() >= LARGE:
        matrix = packed.get(weight, x.numel() // weight.size(1))
    if matrix is None:
        if not PREFERS_ONEDNN:
            return F.linear(x, weight, bias)
        matrix = weight
    return torch.ops.mkldnn._linear_pointwise.default(x, matrix, bias, "none", [], "")


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """``[…, in_features]`` → ``[…, out_features]``."""
        return linear(input, self.weight, self.bias)
