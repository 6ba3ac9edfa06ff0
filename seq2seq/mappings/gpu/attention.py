"""Sparse attention for long sequences: sparsemax and entmax without a matrix of scores."""

import math
from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from seq2seq.mappings.gpu import attention_kernels

TYPES = (torch.float16, torch.bfloat16, torch.float32)
WIDEST = 256
KINDS = {1.5: 1, 2.0: 2}  # the α whose weights need no logarithm


def sparse_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    alpha: float = 1.5,
    gamma: float = 1.0,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Return entmax(scale · q kᵀ; α, γ)·v, a sparse ``scaled_dot_product_attention``.

    A weight is y = (1 + (α − 1)(x − c))_+^{1/(α − 1)}, with one number c for all positions of a
    query. So the kernel reads the keys in blocks, a few times:

    - once for the maximum of a query's scores;
    - a few times in Newton's method for c, where each block contributes to two sums;
    - once for Σ y·v.

    The backward pass recomputes the blocks from the maximum and c. Memory is proportional to the
    lengths, not to their product.

    Fusedmax and oscarmax cannot be computed in blocks. Their prox averages a score with others that
    may be any distance away, along the row or in rank. A block cannot be finished, or summarised in
    one number, before all others are read. These mappings need whole rows; see
    :func:`seq2seq.mappings.gpu.argmax`.

    Args:
        query: ``[batch, heads, target, size]``, float16, bfloat16 or float32, of any strides; size
            and value_size up to 256.
        key: ``[batch, heads, source, size]``.
        value: ``[batch, heads, source, value_size]``.
        mask: bool ``[batch, 1, 1, source]`` or None, True = may be attended; masked positions are
            not read.
        alpha: α > 1; 2 is sparsemax.
        gamma: the strength γ > 0; larger values give denser weights.
        causal: whether query i attends only to keys 0 to i.
        scale: positive factor of the scores; 1/√size by default.

    Returns:
        ``[batch, heads, target, value_size]``; 0 for a query without valid keys, NaN for a query
        with a score of NaN or +inf.
    """
    _check(query, key, value, mask, alpha, gamma, scale)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    output: Tensor = _SparseAttention.apply(query, key, value, mask, alpha, scale / gamma, causal)
    return output


class _SparseAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        alpha: float,
        factor: float,
        causal: bool,
    ) -> Tensor:
        batch, heads, target, _ = query.shape
        output = query.new_zeros(batch, heads, target, value.shape[-1])
        maxima = query.new_empty(batch, heads, target, dtype=torch.float32)
        thresholds = torch.empty_like(maxima)
        ctx.save_for_backward(query, key, value, mask, maxima, thresholds)
        ctx.constants = (alpha, factor, causal)
        if output.numel() and key.shape[2]:
            shapes = _Shapes(query, key, value, mask, *ctx.constants)
            shapes.run(
                attention_kernels.forward,
                target,
                (query, key, value, mask, output, maxima, thresholds),
                (query, key, value, output),
            )
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, maxima, thresholds = ctx.saved_tensors
        gradient = gradient.to(value.dtype)
        gradients = [torch.zeros_like(x) for x in (query, key, value)]
        if gradient.numel() and key.shape[2]:
            means = torch.empty_like(maxima)
            read = (query, key, value, mask, gradient, maxima, thresholds, means)
            shapes = _Shapes(query, key, value, mask, *ctx.constants)
            shapes.run(
                attention_kernels.backward_query,
                query.shape[2],
                (*read, gradients[0]),
                (query, key, value, gradient, gradients[0]),
            )
            shapes.run(
                attention_kernels.backward_key,
                key.shape[2],
                (*read, *gradients[1:]),
                (query, key, value, gradient, *gradients[1:]),
            )
        return *gradients, None, None, None, None


class _Shapes:
    """The arguments that all three kernels share: sizes, constants and the tile."""

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        alpha: float,
        factor: float,
        causal: bool,
    ) -> None:
        batch, heads, target, width = query.shape
        if mask is not None:
            mask = mask.expand(batch, 1, 1, key.shape[2])
        self.pairs = batch * heads
        self.mask_strides = (0, 0) if mask is None else (mask.stride(0), mask.stride(3))
        self.sizes = (heads, target, key.shape[2], width, value.shape[-1], factor, alpha - 1)
        widths = [max(16, triton.next_power_of_2(x.shape[-1])) for x in (query, value)]
        # Choose tiles that fit into the registers of four warps and into 99 KiB of shared memory.
        largest = 32 if query.dtype == torch.float32 else 64
        self.block = min(largest, 2**14 // (max(widths) * query.element_size()))
        self.constants = {
            "KIND": KINDS.get(alpha, 0),
            "CAUSAL": causal,
            "HAS_MASK": mask is not None,
            "ROWS": self.block,
            "COLUMNS": self.block,
            "WIDTH": widths[0],
            "VALUE_WIDTH": widths[1],
        }

    def run(
        self,
        kernel: Any,
        length: int,
        tensors: tuple[Tensor | None, ...],
        strided: tuple[Tensor, ...],
    ) -> None:
        """Run ``kernel`` over blocks of ``length`` positions of all heads."""
        strides = [step for x in strided for step in x.stride()]
        with torch.cuda.device_of(strided[0]):
            kernel[(triton.cdiv(length, self.block) * self.pairs,)](
                *tensors, *strides, *self.mask_strides, *self.sizes, num_warps=4, **self.constants
            )


def _check(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    alpha: float,
    gamma: float,
    scale: float | None,
) -> None:
    if query.dtype not in TYPES or not query.dtype == key.dtype == value.dtype:
        raise TypeError(
            "query, key and value must have the same type, float16, bfloat16 or float32, not "
            f"{query.dtype}, {key.dtype}, {value.dtype}; convert them"
        )
    batch, heads, _, size = query.shape
    if key.shape != (batch, heads, key.shape[2], size) or value.shape[:3] != key.shape[:3]:
        raise ValueError(
            "query, key and value must be [batch, heads, length, size] with the same batch, heads "
            f"and size, not {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
        )
    if max(size, value.shape[3]) > WIDEST:
        raise ValueError(
            f"the size of a head must be at most {WIDEST}, not {max(size, value.shape[3])}; "
            "use more heads"
        )
    if mask is not None and (
        mask.dtype != torch.bool or mask.dim() != 4 or mask.shape[1:3] != (1, 1)
    ):
        raise ValueError(
            f"mask must be bool [batch, 1, 1, source], not {mask.dtype} {tuple(mask.shape)}"
        )
    if not (1 < alpha < math.inf and gamma > 0 and (scale is None or scale > 0)):
        raise ValueError(
            "alpha must be finite and greater than 1, and gamma and scale greater than 0, not "
            f"alpha={alpha}, gamma={gamma}, scale={scale}"
        )
