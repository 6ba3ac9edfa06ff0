"""Parameters of mappings that are learned: free numbers, carried into the domain of each."""

import math
from collections.abc import Callable, Sequence
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.mappings.domain import Domain

# What one number is learned for: the shape of the parameter in an attention with so many heads,
# broadcastable to scores ``[batch, head, target_length, source_length]``.
SHAPES: dict[str, Callable[[int], tuple[int, ...]]] = {
    "layer": lambda heads: (),
    "head": lambda heads: (heads, 1, 1),
}


class Learning(TypedDict, total=False):
    """What a mapping learns.

    ``learn``: names of its parameters, such as ``["gamma", "lam"]``; each starts at the number
    given. ``per``: ``layer`` (one number for each attention layer) or ``head`` (one for each of its
    heads, as in the adaptively sparse Transformer of Correia et al., 2019).
    """

    learn: Sequence[str]
    per: str


class Learned(nn.Module):
    """θ = l + softplus(u), or l + (h − l)·σ(u) where the domain [l, h] ends; u is the parameter.

    So that no step of an optimizer leaves the domain, and that a step of u moves a small γ or λ in
    proportion to its size. θ starts at ``start``, up to rounding, and never reaches l or h.

    Args:
        domain: of θ.
        start: strictly between the ends.
        shape: of θ.
    """

    def __init__(self, domain: Domain, start: float | Tensor, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        if isinstance(start, Tensor):
            raise ValueError(
                f"learn={domain.name} starts from a number, and {domain.name} is a tensor; give a "
                "number, or an nn.Parameter without learn"
            )
        self.domain = domain
        self.low, self.high = domain.low, min(domain.high, domain.learned_high)
        if not self.low < start < self.high:
            raise ValueError(
                f"{domain.name} is learned between {self.low:g} and {self.high:g}, and cannot "
                f"start at {start:g}; give a number between them, or leave it out of learn"
            )
        self.start = start
        self.free = nn.Parameter(torch.full(shape, self._inverse(start)))

    def forward(self) -> Tensor:
        """θ, of the shape of u."""
        if self.high == math.inf:
            return self.low + F.softplus(self.free)
        return self.low + (self.high - self.low) * torch.sigmoid(self.free)

    def again(self, shape: tuple[int, ...]) -> "Learned":
        """Another parameter of the same start."""
        return Learned(self.domain, self.start, shape)

    def extra_repr(self) -> str:
        """What has been learned so far."""
        values = ", ".join(f"{value:.4g}" for value in self().detach().flatten().tolist())
        return f"{values} in ({self.low:g}, {self.high:g})"

    def _inverse(self, theta: float) -> float:
        """The u of θ."""
        if self.high == math.inf:
            excess = theta - self.low
            return excess + math.log(-math.expm1(-excess))
        return math.log(theta - self.low) - math.log(self.high - theta)


def check_learning(owner: str, names: Sequence[str], learn: Sequence[str], per: str) -> None:
    """Refuse what a mapping with parameters ``names`` cannot learn.

    Raises:
        ValueError: naming what it can.
    """
    if isinstance(learn, str):
        raise ValueError(f"learn={learn} has to be a list of names: learn=[{learn}]")
    for name in learn:
        if name not in names:
            raise ValueError(f"learn={name!r} is unknown; {owner} can learn {', '.join(names)}")
    if per not in SHAPES:
        raise ValueError(f"per={per!r} is unknown; choose one of {', '.join(SHAPES)}")
