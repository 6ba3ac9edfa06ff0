"""How a beam search ranks hypotheses, and when it stops: penalties and stopping rules."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.nn.choice import choose

BASES = {"average": (0.0, 1.0), "gnmt": (5.0, 6.0)}


@dataclass(frozen=True)
class LengthPenalty:
    """The score ``log p / penalty(length)``, where the length includes eos.

    - ``average``: ``penalty = length^α``; with α = 1, the score is the mean log-probability per
      token.
    - ``gnmt``: ``penalty = ((5 + length) / 6)^α`` (Wu et al. 2016).

    With α = 0, hypotheses are ranked by log-probability alone. A larger α favors longer hypotheses.
    """

    kind: str = "average"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        choose("length_penalty", self.kind, BASES)

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Return the scores of finished hypotheses."""
        plus, over = BASES[self.kind]
        return log_probability / ((length + plus) / over) ** self.alpha

    def bound(self, log_probability: Tensor, next_length: Tensor, longest: Tensor) -> Tensor:
        """Return an upper bound on the score that a live hypothesis can still reach.

        The log-probability can only fall, and the penalty is monotone in the length: it grows for
        α > 0 and falls for α < 0. So the best case is that the hypothesis keeps its log-probability
        and ends at the shortest or at the longest possible length.

        Args:
            log_probability: of the live hypothesis.
            next_length: the shortest length at which it can end.
            longest: the longest length at which it can end.
        """
        return torch.maximum(
            self.score(log_probability, next_length), self.score(log_probability, longest)
        )


#: Smallest coverage of a word. Sparse attention can leave a coverage of exactly 0.
LEAST = 0.01


def coverage_penalty(coverage: Tensor, beta: float) -> Tensor:
    """Return ``β Σ_i log min(max(Σ_j a_ij, 0.01), 1)``, to be added to a score.

    This is equation 14 of Wu et al. (2016), except for the 0.01. Without it, the penalty would be
    −inf if a word had a weight of exactly 0. The penalty is at most 0, and never falls while an
    output grows.

    Args:
        coverage: ``[…, source_length]``, the attention to source position i summed over target
            positions j; at least 1 at padding.
        beta: β ≥ 0.
    """
    return beta * coverage.clamp(LEAST, 1.0).log().sum(-1)


def covered(attention: Tensor) -> Tensor:
    """Return the mean of a step's attention over layers and heads, ``[rows, source_length]``."""
    return attention.mean(dim=(1, 2, 3))


def nothing_covered(source: Tensor, source_lengths: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the initial coverage ``[sentences, source_length]``: 0, but 1 at padding."""
    padding = torch.arange(source.size(1), device=source.device) >= source_lengths[:, None]
    return padding.to(dtype)


def exact(reachable: Tensor, last: Tensor) -> Tensor:
    """Continue while a live hypothesis may beat the ``n_best``-th finished one."""
    return reachable > last


def first(reachable: Tensor, last: Tensor) -> Tensor:
    """Continue until ``n_best`` hypotheses have finished."""
    return (last == -torch.inf) & (reachable > -torch.inf)


def never(reachable: Tensor, last: Tensor) -> Tensor:
    """Continue while there are live hypotheses."""
    return reachable > -torch.inf


#: Functions of ``(reachable, last)`` that return whether to continue. ``reachable`` is an upper
#: bound on the scores of live hypotheses, or −inf if no hypothesis is live. ``last`` is the score
#: of the ``n_best``-th finished hypothesis, or −inf if fewer have finished.
STOPPING: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "exact": exact,
    "first": first,
    "never": never,
}
