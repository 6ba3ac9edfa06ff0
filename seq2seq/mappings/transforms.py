"""The operators under transforms of ``torch.func`` and under forward-mode differentiation.

They compute the same values and derivatives as ``operators``, in functions that define a batching
rule (``vmap``) and a forward derivative (``jvp``). They are slower to call, so other calls do not
use them.
"""

from typing import Any

import torch
from torch import Tensor

from seq2seq.mappings import implementations
from seq2seq.mappings.implementations import Call
from seq2seq.mappings.operators import (
    FORMS,
    kept,
    pull_back,
    pull_back_maximum,
    pull_back_product,
    with_parameters,
)
from seq2seq.mappings.rows import flatten


class Weights(torch.autograd.Function):
    """Π(x; γ, θ) with a batching rule and a forward derivative."""

    @staticmethod
    def forward(x: Tensor, mask: Any, gammas: Any, thetas: Any, call: Call) -> Tensor:
        """See ``operators``."""
        return implementations.argmax(x, mask, with_parameters(call, gammas, thetas))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save what the derivatives need."""
        x, mask, gammas, thetas, ctx.call = inputs
        saved = (output, *kept(x, mask, ctx.call), gammas, thetas)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """See ``operators``."""
        return (*pull_back(Product.apply, ctx, ctx.call, gradient), None)

    @staticmethod
    def jvp(ctx: Any, dx: Tensor | None, _: Any, d_gamma: Any, d_theta: Any, __: Any) -> Tensor:
        """Return J·dx."""
        _refuse(d_gamma, d_theta)
        y, x, mask, gammas, thetas = ctx.saved_tensors
        return Product.apply(y, dx, x, mask, gammas, thetas, ctx.call)

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """Compute all batches in one call: the mapped dimension becomes the first of the rows."""
        return Weights.apply(*batched(info.batch_size, dims, inputs, tensors=1)), 0


class Product(torch.autograd.Function):
    """J·v with a batching rule and a forward derivative."""

    @staticmethod
    def forward(y: Tensor, v: Tensor, x: Any, mask: Any, gammas: Any, thetas: Any, call: Call):  # type: ignore[no-untyped-def]
        """See ``operators``."""
        at = with_parameters(call, gammas, thetas)
        return implementations.jacobian_product(y, v, x, mask, at)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save what the derivatives need."""
        *saved, ctx.call = inputs
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """See ``operators``."""
        return (*pull_back_product(Product.apply, ctx, ctx.call, gradient), None)

    @staticmethod
    def jvp(ctx: Any, dy: Any, dv: Any, *others: Any) -> Tensor:
        """Return J·dv, plus the change of J·v with y."""
        y, v, x, mask, gammas, thetas = ctx.saved_tensors
        call = with_parameters(ctx.call, gammas, thetas)
        result = torch.zeros_like(y)
        if dv is not None:
            result = Product.apply(y, dv, x, mask, gammas, thetas, call)
        if dy is not None and not call.omega.piecewise_linear:

            def product(y: Tensor) -> Tensor:
                return implementations.reference_product(y, v, x, mask, call)

            result = result + torch.func.jvp(product, (y,), (dy,))[1]
        return result

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """Compute all batches in one call: the mapped dimension becomes the first of the rows."""
        return Product.apply(*batched(info.batch_size, dims, inputs, tensors=3)), 0


class Maximum(torch.autograd.Function):
    """The smoothed max, ``[rows]``, and the weights, which callers do not use."""

    @staticmethod
    def forward(x: Tensor, mask: Any, gammas: Any, thetas: Any, call: Call):  # type: ignore[no-untyped-def]
        """See ``operators``."""
        return implementations.maximum(x, mask, with_parameters(call, gammas, thetas))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Save what the derivatives need."""
        x, mask, gammas, thetas, ctx.call = inputs
        y = output[1]
        ctx.mark_non_differentiable(y)
        ctx.save_for_backward(y, x, mask, gammas, thetas)
        ctx.save_for_forward(y, x, mask, gammas, thetas)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        """See ``operators``."""
        return (*pull_back_maximum(Weights.apply, ctx, ctx.call, gradient), None)

    @staticmethod
    def jvp(ctx: Any, dx: Tensor | None, _: Any, d_gamma: Any, d_theta: Any, __: Any):  # type: ignore[no-untyped-def]
        """Return ⟨y, dx⟩."""
        _refuse(d_gamma, d_theta)
        y, *_rest = ctx.saved_tensors
        return flatten(y * dx).sum(-1).double(), None

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
        """Compute all batches in one call: the mapped dimension becomes the first of the rows."""
        values, y = Maximum.apply(*batched(info.batch_size, dims, inputs, tensors=1))
        return (values.unflatten(0, (info.batch_size, -1)), y), (0, 0)


def batched(
    size: int, dims: tuple[int | None, ...], inputs: tuple[Any, ...], tensors: int
) -> tuple[Any, ...]:
    """Return the inputs of an operator with the mapped dimension in front of the others.

    Args:
        size: the size of the mapped dimension.
        dims: its index in each input, or None if the input does not have it.
        inputs: first ``tensors`` tensors ``[…, length]``, then the mask, γ and θ ``[rows]``, and
            the call.
        tensors: the number of inputs that have rows like the scores.
    """
    *like_scores, mask, gammas, thetas, call = inputs
    moved = []
    for tensor, dim in zip(like_scores, dims, strict=False):
        if tensor is not None:
            tensor = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        moved.append(tensor)
    dim_of = dict(zip(("mask", "gammas", "thetas"), dims[tensors:], strict=False))
    if mask is not None and dim_of["mask"] is not None:
        mask = mask.movedim(dim_of["mask"], 0)
    rows = []
    for name, parameter in (("gammas", gammas), ("thetas", thetas)):
        if parameter is not None:
            dim = dim_of[name]
            parameter = parameter.movedim(dim, 0) if dim is not None else parameter.expand(size, -1)
            parameter = parameter.reshape(-1)
        rows.append(parameter)
    call = with_parameters(call, *rows)
    return (*moved, mask, *rows, call)


def _refuse(*tangents: Tensor | None) -> None:
    """Raise ``NotImplementedError`` for tangents of parameters, instead of ignoring them."""
    if any(tangent is not None for tangent in tangents):
        raise NotImplementedError(
            "forward-mode differentiation with respect to the parameters of a mapping is not "
            "supported; use reverse mode (torch.func.jacrev, backward)"
        )


def _maximum(*inputs: Any) -> Tensor:
    return Maximum.apply(*inputs)[0]


FORMS["transformed"] = {"weights": Weights.apply, "product": Product.apply, "maximum": _maximum}
