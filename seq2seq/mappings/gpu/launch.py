"""Launch the kernels: choose a mapping's device functions by name, and lay out its rows."""

from ctypes import c_float
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from seq2seq.mappings.gpu.entmax import entmax, entmax15, entmax15_product, entmax_product
from seq2seq.mappings.gpu.fusedmax import fusedmax, fusedmax_product
from seq2seq.mappings.gpu.layout import Layout
from seq2seq.mappings.gpu.norms import normmax, normmax_product, sqpnormmax, sqpnormmax_product
from seq2seq.mappings.gpu.oscarmax import oscarmax, oscarmax_product
from seq2seq.mappings.gpu.rows import backward_kernel, forward_kernel
from seq2seq.mappings.gpu.sparsemax import sparsemax, sparsemax_product


class Kernel(NamedTuple):
    """The device functions of a mapping.

    Attributes:
        argmax: ``(x, valid, theta) → y``.
        product: ``(y, v, valid, theta) → J·v``.
        neighbors: whether the product needs to know which positions are valid.
        sorts: whether both functions expect rows in decreasing order, of x and of y.
    """

    argmax: Any
    product: Any
    neighbors: bool = False
    sorts: bool = False


KERNELS = {
    "sparsemax": Kernel(sparsemax, sparsemax_product),
    "entmax": Kernel(entmax, entmax_product),
    "sqpnormmax": Kernel(sqpnormmax, sqpnormmax_product),
    "normmax": Kernel(normmax, normmax_product),
    "fusedmax": Kernel(fusedmax, fusedmax_product, neighbors=True),
    "oscarmax": Kernel(oscarmax, oscarmax_product, sorts=True),
}
# Values of θ with a kernel of their own, for use if θ is the same for all rows.
SPECIAL = {
    ("entmax", 1.5): Kernel(entmax15, entmax15_product),
    ("entmax", 2.0): KERNELS["sparsemax"],
    ("sqpnormmax", 2.0): KERNELS["sparsemax"],
}


def argmax(
    name: str,
    scores: Tensor,
    mask: Tensor | None,
    gamma: Tensor | None,
    theta: Tensor | None,
    gamma_value: float,
    theta_value: float,
) -> Tensor:
    """See :func:`seq2seq.mappings.gpu.argmax`."""
    weights = torch.empty_like(scores, memory_format=torch.contiguous_format)
    if not scores.numel():
        return weights
    lead, length = tuple(scores.shape[:-1]), scores.shape[-1]
    if mask is not None:
        mask = mask.expand(scores.shape)
    kernel = _kernel(name, theta, theta_value)
    gamma, theta = _rows(scores, gamma, gamma_value), _rows(scores, theta, theta_value)
    layout = Layout(lead, [scores, mask, gamma, theta])
    x, m, g, t = layout.tensors
    _launch(
        forward_kernel,
        (x, weights, m, g, t),
        layout,
        length,
        (gamma_value, theta_value),
        MAP=kernel.argmax,
        HAS_MASK=mask is not None,
        HAS_GAMMA=gamma is not None,
        HAS_THETA=theta is not None,
        SORTED=kernel.sorts,
        COMPUTE=_compute(scores),
    )
    return weights


def jacobian_product(
    name: str,
    weights: Tensor,
    vectors: Tensor,
    scores: Tensor | None,
    mask: Tensor | None,
    gamma: Tensor | None,
    theta: Tensor | None,
    gamma_value: float,
    theta_value: float,
) -> Tensor:
    """See :func:`seq2seq.mappings.gpu.jacobian_product`."""
    products = torch.empty_like(vectors, memory_format=torch.contiguous_format)
    if not weights.numel():
        return products
    kernel = _kernel(name, theta, theta_value)
    lead, length = tuple(weights.shape[:-1]), weights.shape[-1]
    scores, mask = (scores, mask) if kernel.neighbors else (None, None)
    if mask is not None:
        mask = mask.expand(weights.shape)
    gamma, theta = _rows(weights, gamma, gamma_value), _rows(weights, theta, theta_value)
    layout = Layout(lead, [scores, mask, gamma, theta])
    x, m, g, t = layout.tensors
    _launch(
        backward_kernel,
        (weights.contiguous(), vectors.contiguous(), products, x, m, g, t),
        layout,
        length,
        (gamma_value, theta_value),
        MAP=kernel.product,
        HAS_SCORES=scores is not None,
        HAS_MASK=mask is not None,
        HAS_GAMMA=gamma is not None,
        HAS_THETA=theta is not None,
        SORTED=kernel.sorts,
        COMPUTE=_compute(weights),
    )
    return products


def _launch(
    kernel: Any,
    tensors: tuple[Tensor | None, ...],
    layout: Layout,
    length: int,
    values: tuple[float, float],
    **constants: Any,
) -> None:
    """Run ``kernel`` over all rows, on the device of the tensors, which need not be the current."""
    scores, mask, gamma, theta = layout.strides
    rows, warps = _tile(length)
    with torch.cuda.device_of(tensors[0]):
        kernel[(triton.cdiv(layout.rows, rows),)](
            *tensors,
            *map(float, values),  # because Triton compiles another kernel for some integers
            layout.rows,
            length,
            *layout.sizes[1:],
            *scores,
            *mask,
            *gamma[:-1],
            *theta[:-1],
            ROWS=rows,
            LENGTH=_padded(length),
            num_warps=warps,
            **constants,
        )


def _kernel(name: str, theta: Tensor | None, theta_value: float) -> Kernel:
    special = SPECIAL.get((name, theta_value)) if theta is None else None
    return special or KERNELS[name]


def _rows(x: Tensor, parameter: Tensor | None, value: float) -> Tensor | None:
    """Return the parameter of the rows of ``x``, ``[..., 1]``, or None if the number suffices.

    A kernel receives numbers in float32. For float64 rows, a number that float32 cannot represent
    is therefore passed as a tensor.
    """
    if parameter is None and x.dtype == torch.float64 and c_float(value).value != value:
        parameter = torch.full((1,), value, dtype=torch.float64, device=x.device)
    return None if parameter is None else parameter.expand(*x.shape[:-1], 1)


def _compute(x: Tensor) -> Any:
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def _padded(length: int) -> int:
    return max(16, triton.next_power_of_2(length))


def _tile(length: int) -> tuple[int, int]:
    """Return the number of rows and of warps of a program, by the padded length of a row.

    - Up to 128 positions: four warps of whole rows, so that sums stay within a warp.
    - Up to 512 positions: one warp and one row.
    - More: one row, with 16 positions for each thread.
    """
    padded = _padded(length)
    if padded <= 128:
        return 512 // padded, 4
    return 1, max(1, padded // 512)
