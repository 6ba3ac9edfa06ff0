"""What a search returns."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Hypothesis:
    """What a search found for one sentence.

    Attributes:
        tokens: the target ids, a given prefix among them, without bos and eos. Where the model, of
            a sparse output mapping, rules out every end, those it had come to.
        score: what hypotheses are ranked by: the log-probability under the penalties; −inf where no
            end was possible.
        log_probability: of the tokens and the end of the sentence, given the prefix.
        attention: ``[layer, head, len(tokens) + 1, source_length]``, the last row that of eos,
            the source without padding; None unless it was asked for.
        complete: the search has proved that no output that the options allow, other than
            those returned, scores higher. Only beam search proves it: of all that fell out of the
            beam, none had a beginning probable enough.
    """

    tokens: list[int]
    score: float
    log_probability: float
    attention: Tensor | None = field(default=None, compare=False, repr=False)
    complete: bool = False
