"""The mappings as PyTorch operators: autograd, transforms, ``torch.compile`` and export.

All mappings are computed by :func:`weights` and :func:`maximum`. These choose one of three forms:

- In eager mode, an autograd function calls an implementation.
- Under a transform of ``torch.func`` or forward-mode differentiation, an autograd function that
  supports transforms does (``transforms``).
- Under ``torch.compile`` and ``torch.export``, a registered operator does, which the tracer does
  not look into (``registration``).

All three share the derivatives below.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seq2seq.mappings import implementations, tracing
from seq2seq.mappings.domain import GAMMA
from seq2seq.mappings.implementations import Call
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import broadcast_mask, check_scores, flatten, widened
from seq2seq.system.torch_internals import (
    forward_mode_active,
    is_legacy_batched,
    transforms_active,
)


def weights(
    omega: Regularizer, scores: Tensor, mask: Tensor | None, dim: int, gamma: float | Tensor
) -> Tensor:
    """Return argmax_y ⟨y, x⟩ − γΩ(y) of ``scores`` along ``dim``.

    The result has the shape and type of the scores.
    """
    x, mask, call = prepare(omega, scores, mask, dim, gamma)
    y = weights_of(x, mask, call)
    if y.dtype != scores.dtype:
        y = y.to(scores.dtype)
    return y if dim in (-1, scores.dim() - 1) else y.movedim(-1, dim)


def maximum(
    omega: Regularizer, scores: Tensor, mask: Tensor | None, dim: int, gamma: float | Tensor
) -> Tensor:
    """Return the smoothed max, float64, in the shape of ``scores`` without ``dim``; 0 if empty."""
    x, mask, call = prepare(omega, scores, mask, dim, gamma)
    return maximum_of(x, mask, call).reshape(x.shape[:-1])


def weights_of(x: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """Return the weights of scores that :func:`prepare` returned."""
    if not plain():
        return _form("weights")(x, mask, call.gammas, call.thetas, call)
    if torch.is_grad_enabled():
        return _Weights.apply(x, mask, call.gammas, call.thetas, call)
    # Without gradients, skip autograd's overhead: search makes many small calls.
    return implementations.argmax(x, mask, call)


def maximum_of(x: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """Return the smoothed max of scores that :func:`prepare` returned, ``[rows]`` float64."""
    form = _Maximum.apply if plain() else _form("maximum")
    return form(x, mask, call.gammas, call.thetas, call)


def prepare(
    omega: Regularizer,
    scores: Tensor,
    mask: Tensor | None,
    dim: int,
    gamma: float | Tensor,
    *,
    widen: bool = True,
) -> tuple[Tensor, Tensor | None, Call]:
    """Check the arguments, and return scores, mask and the other arguments as a :class:`Call`.

    Scores and mask have the mapped dimension last. With ``widen``, half-precision scores are
    converted to float32.
    """
    check_scores(scores)
    x = widened(scores) if widen else scores
    last = dim in (-1, x.dim() - 1)
    if not last:
        x = x.movedim(dim, -1)
    if mask is not None:
        mask = broadcast_mask(mask, scores)
        mask = mask if last else mask.movedim(dim, -1)
    gammas = thetas = None
    if isinstance(gamma, Tensor):
        gammas = GAMMA.of_rows(gamma, x.shape, dim).to(_exact(x))
        gamma = 1.0
    elif not gamma > 0:
        GAMMA.check(gamma)
    if isinstance(omega.parameter, Tensor):
        assert omega.domain is not None
        thetas = omega.domain.of_rows(omega.parameter, x.shape, dim).to(_exact(x))
    return x, mask, Call(omega, gamma, gammas, thetas)


def _exact(x: Tensor) -> torch.dtype:
    """Return the type of the parameters of rows: that of ``x``, at least float32."""
    return torch.promote_types(x.dtype, torch.float32)


# Other forms of the operators by name; ``transforms``, ``registration`` and ``traced`` add them.
FORMS: dict[str, dict[str, Callable[..., Tensor]]] = {}


def _form(name: str) -> Callable[..., Tensor]:
    """Return the form of an operator for the active transform, compiler or exporter."""
    if tracing.active():
        return FORMS["traced"][name]
    return FORMS["registered" if torch.compiler.is_compiling() else "transformed"][name]


def plain() -> bool:
    """Return True if only autograd is active: no compiler, no transform, no forward mode."""
    if torch.compiler.is_compiling():
        return False
    return not (transforms_active() or forward_mode_active())


class _Weights(torch.autograd.Function):
    """Π(x; γ, θ) as an autograd function.

    Its derivatives need the weights that it returns. Those of γ and θ also need the scores.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor | None, gammas: Any, thetas: Any, call: Call):  # type: ignore[no-untyped-def]
        y = implementations.argmax(x, mask, call)
        ctx.call = call
        ctx.save_for_backward(y, *kept(x, mask, call), gammas, thetas)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*pull_back(_product(gradient), ctx, ctx.call, gradient), None)


def _product(gradient: Tensor) -> Callable[..., Tensor]:
    """Return the form of J·v that computes this gradient.

    If no second derivative can follow, skip the graph, which takes a third of the time of a small
    call. ``torch.autograd.grad(…, is_grads_batched=True)`` passes tensors that only registered
    operators can read. ``vmap`` passes tensors that only a function with a batching rule can read.
    """
    if is_legacy_batched(gradient):
        return FORMS["registered"]["product"]
    if transforms_active():
        return FORMS["transformed"]["product"]
    differentiated = torch.is_grad_enabled() or forward_mode_active()
    return _Product.apply if differentiated else _compute_product


def _compute_product(y: Tensor, v: Tensor, x: Any, mask: Any, gammas: Any, thetas: Any, call: Call):  # type: ignore[no-untyped-def]
    return implementations.jacobian_product(y, v, x, mask, call)


class _Product(torch.autograd.Function):
    """J·v as an autograd function.

    It is linear in v, with J = Jᵀ. Unless Ω is piecewise linear, J depends on the weights too.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, v: Tensor, x: Any, mask: Any, gammas: Any, thetas: Any, call):  # type: ignore[no-untyped-def]
        ctx.call = call
        ctx.save_for_backward(y, v, x, mask, gammas, thetas)
        return _compute_product(y, v, x, mask, gammas, thetas, call)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*pull_back_product(_product(gradient), ctx, ctx.call, gradient), None)


class _Maximum(torch.autograd.Function):
    """The smoothed max as an autograd function; its gradient is Π(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor | None, gammas: Any, thetas: Any, call: Call):  # type: ignore[no-untyped-def]
        values, y = implementations.maximum(x, mask, call)
        ctx.call = call
        ctx.save_for_backward(y, x, mask, gammas, thetas)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*pull_back_maximum(_Weights.apply, ctx, ctx.call, gradient), None)


def kept(x: Tensor, mask: Tensor | None, call: Call) -> tuple[Tensor | None, Tensor | None]:
    """Return scores and mask if the derivatives of the weights need them, else None for both."""
    needed = call.omega.neighbors or call.gammas is not None or call.thetas is not None
    return (x, mask) if needed else (None, None)


def with_parameters(call: Call, gammas: Tensor | None, thetas: Tensor | None) -> Call:
    """Return the call with the γ and θ that autograd tracks."""
    if gammas is None and thetas is None:
        return call
    return Call(call.omega, call.gamma, gammas, thetas)


def pull_back(
    product: Callable[..., Tensor],
    ctx: Any,
    call: Call,
    gradient: Tensor,
    parameter_product: Callable[..., Tensor] = implementations.parameter_product,
) -> tuple[Tensor | None, ...]:
    """Return gradients of x, mask, γ and θ from the gradient g of the weights: dx = J·g.

    The weights are a function of x/γ, so dγ = −⟨dx, x⟩/γ. A change of θ moves them as a change of
    the scores by −γ∂∇Ω/∂θ would, so dθ = −γ⟨dx, ∂∇Ω/∂θ⟩.
    """
    y, x, mask, gammas, thetas = ctx.saved_tensors
    call = with_parameters(call, gammas, thetas)
    dx = product(y, gradient, x, mask, gammas, thetas, call)
    d_gamma = d_theta = None
    if gammas is not None and ctx.needs_input_grad[2]:
        near = y > 0
        top = x.detach().masked_fill(~near, -torch.inf).amax(-1, keepdim=True)
        # Subtract the largest score for precision; as ⟨dx, 1⟩ = 0, that does not change the sum.
        centered = torch.where(near, x - top, 0.0)
        d_gamma = -flatten(dx * centered).sum(-1) / gammas
    if thetas is not None and ctx.needs_input_grad[3]:
        slope = parameter_product(y, dx, x, mask, call)
        d_theta = -slope * (call.gamma if gammas is None else gammas)
    return dx, None, d_gamma, d_theta


def pull_back_product(
    product: Callable[..., Tensor], ctx: Any, call: Call, gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """Return gradients of y, v, x, mask, γ and θ from the gradient of J·v."""
    y, v, x, mask, gammas, thetas = ctx.saved_tensors
    call = with_parameters(call, gammas, thetas)
    dv = product(y, gradient, x, mask, gammas, thetas, call)
    wanted = [0] if ctx.needs_input_grad[0] and not call.omega.piecewise_linear else []
    wanted += [4] if gammas is not None and ctx.needs_input_grad[4] else []
    if thetas is not None and ctx.needs_input_grad[5] and not call.omega.piecewise_linear:
        wanted += [5]
    slopes: list[Tensor | None] = [None] * 6
    slopes[1] = dv
    if wanted:

        def product_of(*variables: Tensor) -> Tensor:
            values = dict(zip(wanted, variables, strict=True))
            at = with_parameters(call, values.get(4, gammas), values.get(5, thetas))
            return implementations.reference_product(values.get(0, y), v, x, mask, at)

        variables = [(y, v, x, mask, gammas, thetas)[k] for k in wanted]
        pull = torch.func.vjp(product_of, *variables)[1]
        for k, slope in zip(wanted, pull(gradient), strict=True):
            slopes[k] = slope
    return tuple(slopes)


def pull_back_maximum(
    weigh: Callable[..., Tensor], ctx: Any, call: Call, gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """Return gradients of x, mask, γ and θ from the gradient of the smoothed max.

    The weights y are optimal, so their own change does not matter (the envelope theorem). The
    gradients are y, −Ω(y; θ) and −γ∂Ω(y; θ)/∂θ, with y held constant.
    """
    y, x, mask, gammas, thetas = ctx.saved_tensors
    call = with_parameters(call, gammas, thetas)
    if torch.is_grad_enabled():  # a second derivative may follow, so Π must be part of the graph
        y = weigh(x, mask, gammas, thetas, call)
    dx = gradient.to(y.dtype).reshape(*y.shape[:-1], 1) * y
    d_gamma = d_theta = None
    if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
        rows = flatten(y)
        valid = implementations.valid_rows(y, x, mask)
        omega, _ = call.laid_out(rows.dtype)
        if ctx.needs_input_grad[2]:
            d_gamma = -gradient.to(rows.dtype) * omega.value(rows, valid)
        if ctx.needs_input_grad[3]:
            strength = call.gamma if gammas is None else gammas

            def objective(theta: Tensor) -> Tensor:
                return -strength * call.omega.at(theta[:, None]).value(rows, valid)

            pull = torch.func.vjp(objective, thetas)[1]
            (d_theta,) = pull(gradient.to(rows.dtype))
    return dx, None, d_gamma, d_theta
