"""Log-probabilities of hypotheses of different lengths, made comparable."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.nn.choice import choose

BASES = {"average": (0.0, 1.0), "gnmt": (5.0, 6.0)}


@dataclass(frozen=True)
class LengthPenalty:
    """``score = log p / penalty(length)``, the length counting eos.

    - ``average``: ``penalty = length^α``; α = 1 is the mean log-probability a token;
    - ``gnmt``: ``penalty = ((5 + length) / 6)^α`` (Wu et al. 2016).

    α = 0 ranks by log-probability alone, a larger α favors longer hypotheses.
    """

    kind: str = "average"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        choose("length_penalty", self.kind, BASES)

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Rank-ready score of finished hypotheses."""
        plus, over = BASES[self.kind]
        return log_probability / ((length + plus) / over) ** self.alpha

    def bound(self, log_probability: Tensor, next_length: Tensor, longest: Tensor) -> Tensor:
        """The best score that a live hypothesis can still reach.

        Its log-probability can only fall from here, and the penalty is monotone in the length
        (growing for α > 0, falling for α < 0), so the best that can come is to end, at no further
        cost, either now or at the limit.
        """
        return torch.maximum(
            self.score(log_probability, next_length), self.score(log_probability, longest)
        )
