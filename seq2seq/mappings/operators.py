"""The mappings as PyTorch operators: autograd, transforms, ``torch.compile`` and export.

:func:`weights` and :func:`maximum` are the ways to a mapping. Eagerly they call an implementation
inside an autograd function; while a transform of ``torch.func`` or forward-mode differentiation is
active, inside one that can be transformed (``transforms``); under ``torch.compile`` and
``torch.export``, inside a registered operator, opaque to the tracer (``registration``). The
derivatives, below, are the same in all three.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from seq2seq.mappings import implementations, tracing
from seq2seq.mappings.domain import GAMMA
from seq2seq.mappings.implementations import Call
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import broadcast_mask, check_scores, flatten, widened


def weights(
    omega: Regularizer, scores: Tensor, mask: Tensor | None, dim: int, gamma: float | Tensor
) -> Tensor:
    """Argmax_y ⟨y, x⟩ − γΩ(y) of ``scores`` along ``dim``, in the shape and type of the scores."""
    x, mask, call = prepare(omega, scores, mask, dim, gamma)
    y = weights_of(x, mask, call)
    if y.dtype != scores.dtype:
        y = y.to(scores.dtype)
    return y if dim in (-1, scores.dim() - 1) else y.movedim(-1, dim)


def maximum(
    omega: Regularizer, scores: Tensor, mask: Tensor | None, dim: int, gamma: float | Tensor
) -> Tensor:
    """The smoothed max in float64, in the shape of ``scores`` without ``dim``; 0 if empty."""
    x, mask, call = prepare(omega, scores, mask, dim, gamma)
    return maximum_of(x, mask, call).reshape(x.shape[:-1])


def weights_of(x: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """The weights of what is prepared."""
    if not plain():
        return _form("weights")(x, mask, call.gammas, call.thetas, call)
    if torch.is_grad_enabled():
        return _Weights.apply(x, mask, call.gammas, call.thetas, call)
    return implementations.argmax(x, mask, call)  # as in search, where calls are small and many


def maximum_of(x: Tensor, mask: Tensor | None, call: Call) -> Tensor:
    """The smoothed max of what is prepared, ``[rows]`` float64."""
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
    """Scores and mask with the mapped dimension last, in single or double precision; the rest.

    Without ``widen``, half precision is left to whom the scores are for.
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
    """What parameters of rows are computed in."""
    return torch.promote_types(x.dtype, torch.float32)


# The other forms of the operators, by name; their modules enter them here.
FORMS: dict[str, dict[str, Callable[..., Tensor]]] = {}


def _form(name: str) -> Callable[..., Tensor]:
    """The form of an operator that what is going on asks for, where it is more than autograd."""
    if tracing.active():
        return FORMS["traced"][name]
    return FORMS["registered" if torch.compiler.is_compiling() else "transformed"][name]


def plain() -> bool:
    """Whether nothing but autograd is going on."""
    transformed = torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
    return not (torch.compiler.is_compiling() or transformed)


class _Weights(torch.autograd.Function):
    """Π(x; γ, θ), whose derivatives need what it returns, and the scores for those of γ and θ."""

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
    """The form of J·v that a gradient asks for.

    Without a second derivative to come there is no graph to make, a third of a small call's time.
    ``torch.autograd.grad(…, is_grads_batched=True)`` gives tensors that only operators can read,
    and ``vmap`` those that only a function that says how it is batched can.
    """
    if torch._C._functorch.is_legacy_batchedtensor(gradient):
        return FORMS["registered"]["product"]
    if torch._C._are_functorch_transforms_active():
        return FORMS["transformed"]["product"]
    differentiated = torch.is_grad_enabled() or forward_ad._current_level >= 0
    return _Product.apply if differentiated else _compute_product


def _compute_product(y: Tensor, v: Tensor, x: Any, mask: Any, gammas: Any, thetas: Any, call: Call):  # type: ignore[no-untyped-def]
    return implementations.jacobian_product(y, v, x, mask, call)


class _Product(torch.autograd.Function):
    """J·v, which is linear in v with J = Jᵀ; and, where J bends, a function of the weights."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, v: Tensor, x: Any, mask: Any, gammas: Any, thetas: Any, call):  # type: ignore[no-untyped-def]
        ctx.call = call
        ctx.save_for_backward(y, v, x, mask, gammas, thetas)
        return _compute_product(y, v, x, mask, gammas, thetas, call)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*pull_back_product(_product(gradient), ctx, ctx.call, gradient), None)


class _Maximum(torch.autograd.Function):
    """The smoothed max, whose gradient is Π(x)."""

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
    """Scores and mask, where the derivatives of the weights need more than the weights."""
    needed = call.omega.neighbors or call.gammas is not None or call.thetas is not None
    return (x, mask) if needed else (None, None)


def with_parameters(call: Call, gammas: Tensor | None, thetas: Tensor | None) -> Call:
    """The call with γ and θ as autograd knows them."""
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
    """Gradients of x, mask, γ and θ from that of the weights: dx = J·g.

    The weights are a function of x/γ, so dγ = −⟨dx, x⟩/γ; and with θ they move as if the scores
    moved by −γ∂∇Ω/∂θ, so dθ = −γ⟨dx, ∂∇Ω/∂θ⟩.
    """
    y, x, mask, gammas, thetas = ctx.saved_tensors
    call = with_parameters(call, gammas, thetas)
    dx = product(y, gradient, x, mask, gammas, thetas, call)
    d_gamma = d_theta = None
    if gammas is not None and ctx.needs_input_grad[2]:
        near = y > 0
        top = x.detach().masked_fill(~near, -torch.inf).amax(-1, keepdim=True)
        centered = torch.where(near, x - top, 0.0)  # ⟨dx, 1⟩ = 0: the same, and more precise
        d_gamma = -flatten(dx * centered).sum(-1) / gammas
    if thetas is not None and ctx.needs_input_grad[3]:
        slope = parameter_product(y, dx, x, mask, call)
        d_theta = -slope * (call.gamma if gammas is None else gammas)
    return dx, None, d_gamma, d_theta


def pull_back_product(
    product: Callable[..., Tensor], ctx: Any, call: Call, gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients of y, v, x, mask, γ and θ from that of J·v."""
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

        def of(*variables: Tensor) -> Tensor:
            given = dict(zip(wanted, variables, strict=True))
            at = with_parameters(call, given.get(4, gammas), given.get(5, thetas))
            return implementations.reference_product(given.get(0, y), v, x, mask, at)

        variables = [(y, v, x, mask, gammas, thetas)[k] for k in wanted]
        pull = torch.func.vjp(of, *variables)[1]
        for k, slope in zip(wanted, pull(gradient), strict=True):
            slopes[k] = slope
    return tuple(slopes)


def pull_back_maximum(
    weigh: Callable[..., Tensor], ctx: Any, call: Call, gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients of x, mask, γ and θ from that of the smoothed max.

    As the weights y are optimal, their own change does not count (the envelope theorem): the
    gradients are y, −Ω(y; θ) and −γ∂Ω(y; θ)/∂θ with y held.
    """
    y, x, mask, gammas, thetas = ctx.saved_tensors
    call = with_parameters(call, gammas, thetas)
    if torch.is_grad_enabled():  # a second derivative is wanted: Π must be part of the graph
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

            def of(theta: Tensor) -> Tensor:
                return -strength * call.omega.at(theta[:, None]).value(rows, valid)

            pull = torch.func.vjp(of, thetas)[1]
            (d_theta,) = pull(gradient.to(rows.dtype))
    return dx, None, d_gamma, d_theta
