"""The root of a decreasing function of one variable, for many rows at once."""

from collections.abc import Callable

import torch
from torch import Tensor

from seq2seq.mappings.tracing import repeated

TOLERANCE = 1e-12  # above the rounding of a sum over a vocabulary in float64


def decreasing_root(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], low: Tensor, high: Tensor
) -> Tensor:
    """Find x in [low, high], ``[rows, 1]`` float64, where ``function(x) = (value, slope)`` is 0.

    This is Newton's method inside a bracket. If a step leaves the bracket, or if the step before it
    did not halve the value, a bisection replaces it. The search starts at ``low``, because from
    there Newton's method does not overshoot a convex function.

    If no float is close enough to the root, the one just below it is returned.
    """
    epsilon = torch.finfo(low.dtype).eps

    def unsettled(x: Tensor, low: Tensor, high: Tensor, value: Tensor, *_: Tensor) -> Tensor:
        return ~_settled(low, high, value, epsilon).all()

    def step(
        x: Tensor, low: Tensor, high: Tensor, value: Tensor, slope: Tensor, previous: Tensor
    ) -> tuple[Tensor, ...]:
        settled = _settled(low, high, value, epsilon)
        newton = x - value / slope
        trusted = (newton >= low) & (newton <= high) & (value.abs() <= 0.5 * previous)
        previous = value.abs()
        # Do not move a settled row, because a bisection would move it away from the root.
        x = torch.where(settled, x, torch.where(trusted, newton, 0.5 * (low + high)))
        return (*_evaluated(function, x, low, high), previous)

    first = (*_evaluated(function, low, low, high), torch.full_like(low, torch.inf))
    x, low, high, value, _, _ = repeated(unsettled, step, first, most=99)
    return torch.where(value.abs() <= TOLERANCE, x, low)


def _settled(low: Tensor, high: Tensor, value: Tensor, epsilon: float) -> Tensor:
    """Return ``[rows, 1]``, True where x is the root, or the bracket cannot shrink further."""
    return (value.abs() <= TOLERANCE) | (high - low <= epsilon * high.abs())


def _evaluated(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, ...]:
    """Return x, the bracket narrowed by the value at x, the value and the slope."""
    value, slope = function(x)
    positive = value > 0
    return x, torch.where(positive, x, low), torch.where(positive, high, x), value, slope
