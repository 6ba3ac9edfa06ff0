"""Sampling from the model's distribution, with temperature, top-k and top-p.

The random numbers are computed from a key and a counter, independent of what was drawn before.
"""

from typing import Unpack

import torch
from torch import Tensor

from seq2seq.search.greedy import Single
from seq2seq.search.search import Options


class Sample(Single):
    """Ancestral sampling: draw a token at every position, up to eos.

    The distribution is ``p^(1/temperature)``, normalized. Only the ``top_k`` most probable tokens
    are used (Fan et al. 2018), and of these only the smallest set with a probability of at least
    ``top_p`` (Holtzman et al. 2020).

    The random numbers depend on ``seed``, the ids of the sentence, the index of the sample and the
    position. A sentence therefore has the same samples in any batch, if the model computes the same
    probabilities. Equal sentences have equal samples.

    The log-probabilities and scores of hypotheses are the model's: at temperature 1, over all
    tokens.

    Args:
        n_best: number of independent samples of each sentence, returned most probable first.
        temperature: below 1, probable tokens become more probable; above 1, less.
        top_k: draw from the ``top_k`` most probable tokens; 0 disables this limit.
        top_p: draw from the smallest set of tokens with at least this probability; 1 disables this
            limit.
        seed: the seed of the random numbers.
        options: the options of every search, see ``Search``.

    Raises:
        ValueError: if an option is out of range.
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
            raise ValueError(
                f"temperature={temperature} has to be above 0; for 0, use search=greedy"
            )
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
        """Return the first tokens at which the cumulative probability exceeds a random number."""
        reached = self.probabilities(step).cumsum(-1)
        threshold = uniform(keys, length) * reached[:, -1]
        token = torch.searchsorted(reached, threshold[:, None], right=True).squeeze(-1)
        return token.clamp(max=step.size(-1) - 1)

    def probabilities(self, step: Tensor) -> Tensor:
        """Return the distribution to draw from, in float64, like ``step`` ``[…, vocabulary]``."""
        x = step.double() / self.temperature
        if 0 < self.top_k < x.size(-1):
            least = x.topk(self.top_k, dim=-1).values[..., -1:]
            x = x.masked_fill(x < least, -torch.inf)
        p = x.softmax(-1)
        if self.top_p < 1:
            ordered, index = p.sort(dim=-1, descending=True)
            beyond = ordered.cumsum(-1) - ordered >= self.top_p
            p = p.scatter(-1, index, ordered.masked_fill(beyond, 0.0))
        return p.nan_to_num(0.0)  # NaN if no token is possible


def keys(seed: int, source: Tensor, source_lengths: Tensor) -> Tensor:
    """Return a 64-bit number for each source ``[batch, source_length]``.

    It depends only on the seed and the ids of the source without padding.
    """
    state = _mix(torch.full_like(source_lengths, seed))
    for position, ids in enumerate(source.unbind(1)):
        state = torch.where(position < source_lengths, _mix(state ^ ids), state)
    return state


def fork(keys: Tensor, number: int) -> Tensor:
    """Derive ``number`` keys from each key: ``[n]`` → ``[n · number]``, consecutive per key."""
    return _mix(keys[:, None] ^ torch.arange(number, device=keys.device)).flatten()


def uniform(keys: Tensor, counter: int) -> Tensor:
    """Return a float64 number in (0, 1) for each key; it also depends on ``counter``."""
    bits = _shift(_mix(keys ^ counter), 11)
    return (bits.double() + 0.5) * 2.0**-53


def _mix(state: Tensor) -> Tensor:
    """Apply SplitMix64 (Steele et al. 2014), in two's complement."""
    state = state - 0x61C8864680B583EB  # + 0x9E3779B97F4A7C15
    state = (state ^ _shift(state, 30)) * -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
    state = (state ^ _shift(state, 27)) * -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB
    return state ^ _shift(state, 31)


def _shift(state: Tensor, bits: int) -> Tensor:
    """Shift to the right and fill with zeros (a logical shift)."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)
