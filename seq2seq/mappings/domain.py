"""The parameters of mappings (γ, λ, α, p): a number, or a tensor with one value for each row."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Domain:
    """The values that a parameter θ may take.

    A call of a mapping does not check the values of a tensor, because on a GPU that would force a
    synchronisation. If an optimizer moved a tensor out of [low, high], the nearer end takes its
    place. Its gradient is the one that θ has there, so that θ can return into the domain.

    Attributes:
        name: the name of the parameter.
        condition: the condition on its values, in words.
        contains: the same condition, as a function of a number or a tensor.
        low: the smallest value that a tensor acts as.
        high: the largest value that a tensor acts as.
        learned_high: the largest value that a learned parameter can reach, if below ``high``.
    """

    name: str
    condition: str
    contains: Callable[[Any], Any]
    low: float
    high: float = math.inf
    learned_high: float = math.inf

    def check(self, theta: float | Tensor) -> None:
        """Raise ``ValueError`` if a number, or a tensor on the CPU, is outside the domain."""
        if isinstance(theta, Tensor):
            inside = theta.device.type != "cpu" or bool(self.contains(theta.detach()).all())
        else:
            inside = bool(self.contains(theta))
        if not inside:
            raise ValueError(f"{self.name} must be {self.condition}, not {theta}")

    def of_rows(self, theta: Tensor, shape: torch.Size, dim: int) -> Tensor:
        """Return ``theta`` as ``[rows]``; it may differ between rows, but not within a row.

        Args:
            theta: broadcastable to the scores with size 1 along ``dim``.
            shape: the shape of the scores, with the mapped dimension last.
            dim: the dimension along which the mapping is computed.
        """
        single = list(shape[:-1])
        single.insert(dim % len(shape), 1)
        try:
            theta = theta.broadcast_to(single).reshape(-1)
        except RuntimeError:
            raise ValueError(
                f"{self.name} of shape {tuple(theta.shape)} does not broadcast to {tuple(single)}, "
                "the shape of the scores with size 1 along dim; reshape it"
            ) from None
        return self.nearest(theta)

    def nearest(self, theta: Tensor) -> Tensor:
        """Return ``theta``, or the nearer end if it is outside, with the gradient of ``theta``."""
        value = theta.detach()
        return value.clamp(self.low, self.high) + (theta - value)


def is_number(theta: float | Tensor, value: float) -> bool:
    """Return True if ``theta`` is the plain number ``value``, which allows a shortcut."""
    return not isinstance(theta, Tensor) and theta == value


GAMMA = Domain("gamma", "greater than 0", lambda gamma: gamma > 0, low=1e-9)
LAM = Domain("lam", "at least 0 and finite", lambda lam: (lam >= 0) & (lam < math.inf), low=0.0)
