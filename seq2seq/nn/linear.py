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
SEVERAL = 16  # rows at least that a matrix is packed for: fewer than it is packed for do not matter


class Packed:
    """Large parameters in the order in which oneDNN multiplies by them, from their second use on.

    Each product would bring them into an order like this, which takes as long as multiplying some
    dozens of rows. What is computed at each use, as a parametrization does, stays as it is.
    """

    def __init__(self) -> None:
        # With the weight itself, so that no other can come to lie where it lies.
        self.found: dict[tuple[int, torch.Size], tuple[Tensor, Tensor | None]] = {}

    def get(self, weight: Tensor, rows: int) -> Tensor | None:
        """The weight packed for about so many rows, if it was used before."""
        whole = weight if weight._base is None else weight._base
        if weight.numel() < LARGE or type(whole) is not nn.Parameter:
            return None
        key = (weight.data_ptr(), weight.shape)
        if key not in self.found:
            self.found[key] = (weight, None)
            return None
        _, packed = self.found[key]
        if packed is None:
            rows = max(rows, SEVERAL)
            packed = torch.ops.mkldnn._reorder_linear_weight.default(weight.detach(), rows)
            self.found[key] = (weight, packed)
        return packed


_packed: ContextVar[Packed | None] = ContextVar("packed", default=None)


@contextmanager
def fixed_weights() -> Iterator[None]:
    """Inside, as in a search, nobody changes weights, differentiates or traces; see ``Packed``."""
    token = _packed.set(Packed())
    try:
        yield
    finally:
        _packed.reset(token)


def weights_are_fixed() -> bool:
    """Whether inside of :func:`fixed_weights`."""
    return not torch.compiler.is_compiling() and _packed.get() is not None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x Wᵀ + b``, with ``x`` ``[…, size]`` and ``weight`` ``[output_size, size]``.

    PyTorch multiplies float32 matrices by MKL, which leaves half of AVX-512 unused on CPUs that are
    not Intel's; oneDNN, which comes with PyTorch too, uses all of it and is twice as fast there.
    What PyTorch offers of it has no gradient, and is slow where a matrix has gaps. By large
    weights that are packed it multiplies faster than MKL on CPUs without AVX-512 too.
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
        or torch.compiler.is_compiling()
    ):
        return F.linear(x, weight, bias)
    matrix = None
    if (packed := _packed.get()) is not None:
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
