"""The operators registered in the PyTorch library, such as ``torch.ops.seq2seq.weights``.

``torch.compile`` and ``torch.export`` see each as one node with known shapes, whichever
implementation computes it.
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
)
from seq2seq.mappings.regularizer import Regularizer


def _call(
    name: str, gamma: float, theta: float, gammas: Tensor | None, thetas: Tensor | None
) -> Call:
    return Call(Regularizer.named(name, theta if thetas is None else None), gamma, gammas, thetas)


def _at(call: Call) -> tuple[str, float, float]:
    return call.omega.name, call.gamma, call.theta


@torch.library.custom_op("seq2seq::weights", mutates_args=())
def _weights(
    x: Tensor,
    mask: Tensor | None,
    gammas: Tensor | None,
    thetas: Tensor | None,
    name: str,
    gamma: float,
    theta: float,
) -> Tensor:
    return implementations.argmax(x, mask, _call(name, gamma, theta, gammas, thetas))


@torch.library.custom_op("seq2seq::jacobian_product", mutates_args=())
def _product(
    y: Tensor,
    v: Tensor,
    x: Tensor | None,
    mask: Tensor | None,
    gammas: Tensor | None,
    thetas: Tensor | None,
    name: str,
    gamma: float,
    theta: float,
) -> Tensor:
    call = _call(name, gamma, theta, gammas, thetas)
    return implementations.jacobian_product(y, v, x, mask, call)


@torch.library.custom_op("seq2seq::parameter_product", mutates_args=())
def _parameter_product(
    y: Tensor,
    v: Tensor,
    x: Tensor | None,
    mask: Tensor | None,
    thetas: Tensor | None,
    name: str,
    theta: float,
) -> Tensor:
    call = _call(name, 1.0, theta, None, thetas)
    return implementations.parameter_product(y, v, x, mask, call)


@torch.library.custom_op("seq2seq::maximum", mutates_args=())
def _maximum(
    x: Tensor,
    mask: Tensor | None,
    gammas: Tensor | None,
    thetas: Tensor | None,
    name: str,
    gamma: float,
    theta: float,
) -> tuple[Tensor, Tensor]:
    return implementations.maximum(x, mask, _call(name, gamma, theta, gammas, thetas))


@_weights.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@_product.register_fake
def _(y: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(y, memory_format=torch.contiguous_format)


@_parameter_product.register_fake
def _(y: Tensor, *_: Any) -> Tensor:
    return y.new_empty(y.shape[:-1].numel())


@_maximum.register_fake
def _(x: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    values = x.new_empty(x.shape[:-1].numel(), dtype=torch.float64)
    return values, torch.empty_like(x, memory_format=torch.contiguous_format)


def weights(x: Tensor, mask: Any, gammas: Any, thetas: Any, call: Call) -> Tensor:
    """Return Π(x; γ, θ) as one node."""
    return _weights(x, mask, gammas, thetas, *_at(call))


def product(
    y: Tensor, v: Tensor, x: Any, mask: Any, gammas: Any, thetas: Any, call: Call
) -> Tensor:
    """Return J·v as one node."""
    return _product(y, v, x, mask, gammas, thetas, *_at(call))


def parameter_product(y: Tensor, v: Tensor, x: Any, mask: Any, call: Call) -> Tensor:
    """Return ⟨v, ∂∇Ω(y; θ)/∂θ⟩ as one node."""
    return _parameter_product(y, v, x, mask, call.thetas, call.omega.name, call.theta)


def maximum(x: Tensor, mask: Any, gammas: Any, thetas: Any, call: Call) -> Tensor:
    """Return the smoothed max as one node."""
    return _maximum(x, mask, gammas, thetas, *_at(call))[0]


def _keep_weights(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, mask, gammas, thetas, name, gamma, theta = inputs
    ctx.call = _call(name, gamma, theta, gammas, thetas)
    ctx.save_for_backward(output, *kept(x, mask, ctx.call), gammas, thetas)


def _pull_back_weights(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    return (*pull_back(product, ctx, ctx.call, gradient, parameter_product), None, None, None)


def _keep_product(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *saved, name, gamma, theta = inputs
    ctx.call = _call(name, gamma, theta, *saved[-2:])
    ctx.save_for_backward(*saved)


def _pull_back_product(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    return (*pull_back_product(product, ctx, ctx.call, gradient), None, None, None)


def _keep_maximum(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, mask, gammas, thetas, name, gamma, theta = inputs
    y = output[1]
    ctx.call = _call(name, gamma, theta, gammas, thetas)
    ctx.save_for_backward(y, x, mask, gammas, thetas)


def _pull_back_maximum(ctx: Any, gradient: Tensor, _: Any) -> tuple[Tensor | None, ...]:
    return (*pull_back_maximum(weights, ctx, ctx.call, gradient), None, None, None)


_weights.register_autograd(_pull_back_weights, setup_context=_keep_weights)
_product.register_autograd(_pull_back_product, setup_context=_keep_product)
_maximum.register_autograd(_pull_back_maximum, setup_context=_keep_maximum)

FORMS["registered"] = {"weights": weights, "product": product, "maximum": maximum}
