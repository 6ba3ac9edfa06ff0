"""Mappings with upper bounds y ≤ u on the weights, where a bound is the remaining fertility.

The fertility of a source word is the attention that it can receive over all target positions
(Malaviya, Ferreira and Martins, 2018). The attention of one step reduces the fertility of later
steps, so such a mapping is stateful.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from seq2seq.mappings.domain import Domain
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.mapping import Mapping, shown
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import as_rows, flatten

FERTILITY = Domain("fertility", "greater than 0", lambda fertility: fertility > 0, low=0.0)
Solver = Callable[[Tensor, Tensor, Tensor], Tensor]


def bounded(
    solve: Solver,
    scores: Tensor,
    upper: Tensor,
    mask: Tensor | None,
    dim: int,
    gamma: float | Tensor,
) -> Tensor:
    """Return argmax_y ⟨y, x⟩ − γΩ(y) subject to y ≤ u, in the shape and type of the scores.

    Args:
        solve: the solver, in differentiable operations. Its arguments are the values (x − max x)/γ
            ``[rows, length]``, where they are valid, and bounds in [0, 1], 0 where not valid. If
            the bounds of a row sum to less than 1, the solution is the bounds.
        scores: ``[..., length]`` of any float type.
        upper: the bounds u, broadcastable to ``scores``; they are clamped to [0, 1].
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        gamma: the strength γ > 0.
    """
    rows = as_rows(scores, mask, dim, gamma)
    try:
        u = flatten(upper.broadcast_to(scores.shape), dim)
    except RuntimeError:
        raise ValueError(
            f"upper of shape {tuple(upper.shape)} does not broadcast to scores of shape "
            f"{tuple(scores.shape)}; add dimensions of size 1 where they differ"
        ) from None
    u = u.to(rows.values.dtype).masked_fill(~rows.valid, 0.0).clamp(0.0, 1.0)
    return rows.restore(solve(rows.values, rows.valid, u) if u.numel() else rows.values)


class Constrained(Mapping):
    """A mapping whose weights have upper bounds; ``max`` and ``loss`` ignore the bounds.

    In the attention of a recurrent decoder, the bounds are the remaining fertility: with weights
    a_t at step t, u_t = f − Σ_{s<t} a_s. The last valid position, the end of the sentence, has no
    bound. It takes the weight that no word can take, so that the weights sum to 1 at every step.

    Args:
        omega: the regularizer Ω.
        fertility: f > 0, the total attention that a source position can receive.
        gamma: the strength γ > 0.
        dim: the dimension along which the mapping is computed.
        learning: what to learn; see :class:`Learning`.
    """

    stateful = True

    def __init__(
        self,
        omega: Regularizer,
        fertility: float | Tensor = 2.0,
        gamma: float | Tensor = 1.0,
        dim: int = -1,
        **learning: Unpack[Learning],
    ) -> None:
        super().__init__(omega, gamma, dim, others=[(FERTILITY, fertility)], **learning)
        self.fertility: float | Tensor

    @property
    def domains(self) -> dict[str, Domain]:
        """Return the domain of each parameter by its name."""
        return {FERTILITY.name: FERTILITY, **super().domains}

    @staticmethod
    @abstractmethod
    def solve(values: Tensor, valid: Tensor, upper: Tensor) -> Tensor:
        """Return the weights of rows; see :func:`bounded`."""

    def forward(
        self, scores: Tensor, mask: Tensor | None = None, upper: Tensor | None = None
    ) -> Tensor:
        """Return weights like ``scores``, at most ``upper``, which broadcasts to them.

        The weights of a row sum to 1. If its bounds sum to less than 1, the weights are the bounds.
        Without ``upper`` there are no bounds.
        """
        if upper is None:
            return super().forward(scores, mask)
        _, gamma = self.strength(scores, mask)
        return bounded(self.solve, scores, upper, mask, self.dim, gamma)

    def start(self, mask: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Return the fertility of all positions, with inf for the last valid one."""
        count = mask.long().cumsum(self.dim)
        last = mask & (count == count.amax(self.dim, keepdim=True))
        fertility = torch.as_tensor(self.fertility, dtype=dtype, device=mask.device)
        return (torch.where(last, math.inf, fertility),)

    def step(
        self, scores: Tensor, mask: Tensor | None, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the weights of one step within the remaining fertility, and what then remains."""
        (left,) = past
        weights = self(scores, mask, left)
        return weights, (left - weights,)

    def extra_repr(self) -> str:
        """Return the parameters as text: numbers by their value, tensors by their shape."""
        return f"fertility={shown(self.fertility)}, {super().extra_repr()}"
