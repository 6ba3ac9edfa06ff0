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

    Where no float comes near enough to the root, the one just below it is returned.

    Newton's method inside a bracket: a step that leaves the bracket, or that follows one which did
    not halve the value, is a bisection instead. Starts from ``low``, from where Newton's method
    does not overshoot a convex function.
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
        # A settled row stays where it is: a bisection would take it away again.
        x = torch.where(settled, x, torch.where(trusted, newton, 0.5 * (low + high)))
        return (*_looked_at(function, x, low, high), previous)

    first = (*_looked_at(function, low, low, high), torch.full_like(low, torch.inf))
    x, low, high, value, _, _ = repeated(unsettled, step, first, most=99)
    return torch.where(value.abs() <= TOLERANCE, x, low)


def _settled(low: Tensor, high: Tensor, value: Tensor, epsilon: float) -> Tensor:
    """``[rows, 1]``: where x is the root, or nothing is left between the ends of the bracket."""
    return (value.abs() <= TOLERANCE) | (high - low <= epsilon * high.abs())


def _looked_at(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], x: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, ...]:
    """x, the bracket that the value there leaves, value and slope."""
    value, slope = function(x)
    positive = value > 0
    return x, torch.where(positive, x, low), torch.where(positive, high, x), value, slope
