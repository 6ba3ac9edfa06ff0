"""Affine maps that use the fastest matrix product of the CPU when no gradient is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.system.torch_internals import HAS_ONEDNN, onednn_linear, onednn_packed

HAS_AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
#: Whether to use oneDNN's product. On a CPU without AVX-512, MKL's is up to a quarter faster.
PREFERS_ONEDNN = HAS_ONEDNN and HAS_AVX512
#: Smallest number of elements of a weight that is packed. Converting a smaller one takes no longer
#: than reading it.
LARGE = 1 << 20
SEVERAL = 16  # pack for at least this many rows; below, the number makes no difference


class Packed:
    """Large parameters in the memory layout that oneDNN multiplies by.

    Without it, each product converts the weight first, which takes as long as multiplying some
    dozens of rows. Only parameters and their parts are packed: a weight that a parametrization
    computes anew at each use would be converted each time.

    Args:
        parameters: kept alive, so that no other tensor takes their memory.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.memory = {p.untyped_storage().data_ptr(): p for p in parameters}
        self.matrices: dict[tuple[int, torch.Size], Tensor] = {}

    def get(self, weight: Tensor, rows: int) -> Tensor | None:
        """Return the weight packed for about ``rows`` rows; None if it is small or computed."""
        if weight.numel() < LARGE or weight.untyped_storage().data_ptr() not in self.memory:
            return None
        key = (weight.data_ptr(), weight.shape)
        if key not in self.matrices:
            rows = max(rows, SEVERAL)
            self.matrices[key] = onednn_packed(weight.detach(), rows)
        return self.matrices[key]


_packed: ContextVar[Packed | None] = ContextVar("packed", default=None)


@contextmanager
def fixed_weights(parameters: Iterable[Tensor]) -> Iterator[None]:
    """Pack large weights in this block, in which nobody changes, differentiates or traces them.

    A search runs in such a block.

    Args:
        parameters: the weights that may be packed, such as all parameters of a model.
    """
    token = _packed.set(Packed(parameters))
    try:
        yield
    finally:
        _packed.reset(token)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x Wᵀ + b``, with ``x`` ``[…, size]`` and ``weight`` ``[output_size, size]``.

    PyTorch multiplies float32 matrices by MKL, which leaves half of AVX-512 unused on CPUs that are
    not Intel's. oneDNN, which comes with PyTorch too, uses all of it and is twice as fast there.
    PyTorch's function for it has no gradient, and is slow if a matrix is not contiguous. With
    packed weights it is faster than MKL on CPUs without AVX-512 too.
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
    return onednn_linear(x, matrix, bias)


class Linear(nn.Linear):
    """``nn.Linear`` that computes with :func:`linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``[…, in_features]`` to ``[…, out_features]``."""
        return linear(input, self.weight, self.bias)
