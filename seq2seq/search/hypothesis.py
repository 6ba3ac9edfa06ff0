"""What a search returns."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Hypothesis:
    """A translation of one sentence.

    Attributes:
        tokens: the target ids, without bos and eos.
        score: what hypotheses are ranked by: the log-probability under the length penalty.
        log_probability: of the tokens and the end of the sentence.
        attention: ``[layer, head, len(tokens) + 1, source_length]``, the last row that of eos,
            the source without padding; None unless it was asked for.
    """

    tokens: list[int]
    score: float
    log_probability: float
    attention: Tensor | None = field(default=None, compare=False, repr=False)
