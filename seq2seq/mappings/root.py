"""The root of a decreasing function of one variable, for many rows at once."""

from collections.abc import Callable

import torch
from torch import Tensor

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
    x = low
    previous = torch.full_like(low, torch.inf)
    for _ in range(100):
        value, slope = function(x)
        positive = value > 0
        low, high = torch.where(positive, x, low), torch.where(positive, high, x)
        exact = value.abs() <= TOLERANCE
        settled = exact | (high - low <= epsilon * high.abs())
        if bool(settled.all()):
            break
        newton = x - value / slope
        trusted = (newton >= low) & (newton <= high) & (value.abs() <= 0.5 * previous)
        previous = value.abs()
        # A settled row stays where it is: a bisection would take it away again.
        x = torch.where(settled, x, torch.where(trusted, newton, 0.5 * (low + high)))
    return torch.where(exact, x, low)
