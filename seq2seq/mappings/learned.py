"""Learned parameters of mappings: unconstrained numbers, transformed into the domain of each."""

import math
from collections.abc import Callable, Sequence
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.mappings.domain import Domain

# From the number of heads to the shape of a parameter that is learned per layer or per head. It
# broadcasts to scores ``[batch, head, target_length, source_length]``.
SHAPES: dict[str, Callable[[int], tuple[int, ...]]] = {
    "layer": lambda heads: (),
    "head": lambda heads: (heads, 1, 1),
}


class Learning(TypedDict, total=False):
    """What a mapping learns, as keyword arguments.

    ``learn``: names of its parameters, such as ``["gamma", "lam"]``; each starts at the number
    passed for it. ``per``: ``layer`` (one number for each attention layer) or ``head`` (one for
    each of its heads, as in the adaptively sparse Transformer of Correia et al., 2019).
    """

    learn: Sequence[str]
    per: str


class Learned(nn.Module):
    """A learned parameter θ = l + softplus(u), or l + (h − l)·σ(u) in a bounded domain [l, h].

    The ``nn.Parameter`` is u. No step of an optimizer can move θ out of its domain, and a step of u
    changes a small γ or λ in proportion to its size. θ starts at ``start``, up to rounding, and
    never reaches l or h.

    Args:
        domain: the domain of θ.
        start: the initial θ, strictly between l and h.
        shape: the shape of θ.
    """

    def __init__(self, domain: Domain, start: float | Tensor, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        if isinstance(start, Tensor):
            raise ValueError(
                f"learn=[{domain.name}] needs a number to start from, but {domain.name} is a "
                "tensor; pass a number, or pass an nn.Parameter and leave it out of learn"
            )
        self.domain = domain
        self.low, self.high = domain.low, min(domain.high, domain.learned_high)
        if not self.low < start < self.high:
            raise ValueError(
                f"{domain.name}={start:g} cannot be learned, because a learned value lies strictly "
                f"between {self.low:g} and {self.high:g}; choose another, or leave it out of learn"
            )
        self.start = start
        self.free = nn.Parameter(torch.full(shape, self._inverse(start)))

    def forward(self) -> Tensor:
        """Return θ, in the shape of u."""
        if self.high == math.inf:
            return self.low + F.softplus(self.free)
        return self.low + (self.high - self.low) * torch.sigmoid(self.free)

    def again(self, shape: tuple[int, ...]) -> "Learned":
        """Return another learned parameter with the same start and domain."""
        return Learned(self.domain, self.start, shape)

    def extra_repr(self) -> str:
        """Return the current values of θ and its domain as text."""
        values = ", ".join(f"{value:.4g}" for value in self().detach().flatten().tolist())
        return f"{values} in ({self.low:g}, {self.high:g})"

    def _inverse(self, theta: float) -> float:
        """Return the u of θ."""
        if self.high == math.inf:
            excess = theta - self.low
            return excess + math.log(-math.expm1(-excess))
        return math.log(theta - self.low) - math.log(self.high - theta)


def check_learning(owner: str, names: Sequence[str], learn: Sequence[str], per: str) -> None:
    """Raise ``ValueError`` if a mapping with parameters ``names`` cannot learn ``learn`` this way.

    Raises:
        ValueError: with the allowed values in its message.
    """
    if isinstance(learn, str):
        raise ValueError(f"learn={learn!r} must be a list of names; write learn=[{learn}]")
    for name in learn:
        if name not in names:
            raise ValueError(f"learn={name!r} is unknown; {owner} can learn {', '.join(names)}")
    if per not in SHAPES:
        raise ValueError(f"per={per!r} is unknown; choose one of {', '.join(SHAPES)}")
