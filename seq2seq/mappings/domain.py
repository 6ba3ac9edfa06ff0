"""The parameters of mappings (γ, λ, α, p): a number, or a tensor with one for each row."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Domain:
    """The values θ that a parameter may take.

    A tensor is not looked into when a mapping is called, as that would wait for its device. One
    that an optimizer has carried out of [low, high] acts as the nearer end, with the gradient that
    θ has there, so that it can come back.

    Attributes:
        name: of the parameter.
        condition: what is asked of it, in words.
        contains: the same of a number or a tensor.
        low: the least that a tensor acts as.
        high: the most that a tensor acts as.
        learned_high: the most that a learned one can become, where that is less.
    """

    name: str
    condition: str
    contains: Callable[[Any], Any]
    low: float
    high: float = math.inf
    learned_high: float = math.inf

    def check(self, theta: float | Tensor) -> None:
        """Refuse a number, or a tensor in the memory of the CPU, that is outside."""
        if isinstance(theta, Tensor):
            inside = theta.device.type != "cpu" or bool(self.contains(theta.detach()).all())
        else:
            inside = bool(self.contains(theta))
        if not inside:
            raise ValueError(f"{self.name} must be {self.condition}, not {theta}")

    def of_rows(self, theta: Tensor, shape: torch.Size, dim: int) -> Tensor:
        """``theta`` as ``[rows]``; it may differ between rows, not along one.

        Args:
            theta: broadcastable to the scores with 1 along ``dim``.
            shape: of the scores, with the mapped dimension last.
            dim: the dimension of the scores that the mapping works along.
        """
        single = list(shape[:-1])
        single.insert(dim % len(shape), 1)
        try:
            theta = theta.broadcast_to(single).reshape(-1)
        except RuntimeError:
            raise ValueError(
                f"{self.name} of shape {tuple(theta.shape)} does not broadcast to {tuple(single)} "
                "(the shape of the scores with 1 along dim)"
            ) from None
        return self.nearest(theta)

    def nearest(self, theta: Tensor) -> Tensor:
        """``theta`` where it is inside, else the nearer end, with the gradient of θ."""
        held = theta.detach()
        return held.clamp(self.low, self.high) + (theta - held)


def is_number(theta: float | Tensor, value: float) -> bool:
    """Whether ``theta`` is the plain number ``value``, for which there is a shorter way."""
    return not isinstance(theta, Tensor) and theta == value


GAMMA = Domain("gamma", "greater than 0", lambda gamma: gamma > 0, low=1e-9)
LAM = Domain("lam", "at least 0 and finite", lambda lam: (lam >= 0) & (lam < math.inf), low=0.0)
