"""The result of a search, and the record of its attention."""

from dataclasses import dataclass, field

import torch
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


class AttentionRecord:
    """The attention of each step, and for each hypothesis its row at each step.

    When a beam reorders its hypotheses, only the row numbers are reordered. The attention is much
    larger; it is looked up once, when a hypothesis is done.
    """

    def __init__(self) -> None:
        self.steps: list[Tensor] = []
        self.rows: Tensor | None = None  # [hypotheses, length]

    def add(self, attention: Tensor) -> None:
        """Add one position: ``attention`` is ``[hypotheses, layer, head, 1, source_length]``."""
        new = torch.arange(attention.size(0), device=attention.device)[:, None]
        self.rows = new if self.rows is None else torch.cat([self.rows, new], dim=1)
        self.steps.append(attention)

    def reorder(self, rows: Tensor) -> None:
        """Let hypothesis i continue hypothesis ``rows[i]``; their number may change."""
        if self.rows is not None:
            self.rows = self.rows[rows]

    def read(self, rows: list[int], source_length: int) -> Tensor:
        """Return the attention of a hypothesis, ``[layer, head, length, source_length]``.

        Args:
            rows: the row of the hypothesis at each step.
            source_length: length of its source without padding.
        """
        steps = zip(self.steps, rows, strict=False)  # it may have ended before other hypotheses
        positions = [step[row, ..., :source_length] for step, row in steps]
        return torch.cat(positions, dim=2)
