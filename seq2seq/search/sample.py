"""Sampling: tokens drawn from the model's distribution, whole or cut."""

from typing import Unpack

import torch
from torch import Tensor

from seq2seq.search.noise import fork, keys, uniform
from seq2seq.search.search import Options
from seq2seq.search.single import Single


class Sample(Single):
    """Draws a token at every position, until it is eos (ancestral sampling).

    The distribution is ``p^(1/temperature)``, normalized, of it the ``top_k`` most probable tokens
    (Fan et al. 2018), of them the fewest with a mass of at least ``top_p`` (Holtzman et al. 2020).

    What is drawn is a function of ``seed``, the sentence's ids, the number of the sample and the
    position. So a sentence has the same samples in any batch and place, as far as the model gives
    it the same probabilities; and equal sentences have equal samples.

    Args:
        n_best: samples of each sentence, independent of each other; returned most probable first.
        temperature: below 1 prefers the probable, above 1 evens out.
        top_k: draw from so many tokens; 0: from all.
        top_p: draw from the fewest tokens with that mass; 1: from all.
        seed: another seed, other samples.
        options: those of every search, see ``Search``. Log-probabilities and scores are the
            model's, at temperature 1 and of all tokens.
    """

    def __init__(
        self,
        n_best: int = 1,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        if n_best < 1:
            raise ValueError(f"n_best={n_best} has to be at least 1")
        if temperature <= 0:
            raise ValueError(f"temperature={temperature} has to be above 0; search=greedy is 0")
        if top_k < 0:
            raise ValueError(f"top_k={top_k} has to be at least 0")
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p={top_p} has to be above 0 and at most 1")
        self.n_best = self.width = n_best
        self.temperature, self.top_k, self.top_p, self.seed = temperature, top_k, top_p, seed

    def prepare(self, source: Tensor, source_lengths: Tensor) -> Tensor:
        """See the base class."""
        return fork(keys(self.seed, source, source_lengths), self.width)

    def choose(self, step: Tensor, length: int, keys: Tensor) -> Tensor:
        """See the base class. The first token up to which the probabilities exceed ``uniform``."""
        reached = self.probabilities(step).cumsum(-1)
        threshold = uniform(keys, length) * reached[:, -1]
        token = torch.searchsorted(reached, threshold[:, None], right=True).squeeze(-1)
        return token.clamp(max=step.size(-1) - 1)

    def probabilities(self, step: Tensor) -> Tensor:
        """What is drawn from, float64, like ``step`` ``[…, vocabulary]``."""
        x = step.double() / self.temperature
        if 0 < self.top_k < x.size(-1):
            least = x.topk(self.top_k, dim=-1).values[..., -1:]
            x = x.masked_fill(x < least, -torch.inf)
        p = x.softmax(-1)
        if self.top_p < 1:
            ordered, index = p.sort(dim=-1, descending=True)
            beyond = ordered.cumsum(-1) - ordered >= self.top_p
            p = p.scatter(-1, index, ordered.masked_fill(beyond, 0.0))
        return p.nan_to_num(0.0)  # nothing is possible
