"""The length penalty, which makes scores of hypotheses of different lengths comparable."""

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
