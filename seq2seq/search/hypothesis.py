"""The result of a search."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Hypothesis:
    """An output that a search returns for one sentence.

    Attributes:
        tokens: the target ids, including the prefix, without bos and eos. A partial output, if a
            sparse output mapping gives every way to finish the probability 0.
        score: the log-probability with all penalties, by which hypotheses are ranked; −inf for a
            partial output.
        log_probability: log-probability of the tokens and of eos, given the prefix.
        attention: ``[layer, head, len(tokens) + 1, source_length]``, without padding of the source.
            The last row is the attention of eos. ``None`` unless requested.
        complete: whether the search has proved that no output outside the returned ones scores
            higher, among the outputs that the options allow. Only beam search can prove this: no
            hypothesis that it dropped could have reached this score.
    """

    tokens: list[int]
    score: float
    log_probability: float
    attention: Tensor | None = field(default=None, compare=False, repr=False)
    complete: bool = False
