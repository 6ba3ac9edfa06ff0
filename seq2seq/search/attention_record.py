"""The attention of hypotheses, kept where it was made."""

import torch
from torch import Tensor


class AttentionRecord:
    """Attention step by step, and for each hypothesis the row that it had at each step.

    A beam that goes on from other hypotheses reorders these rows; the attention, which is larger,
    is looked up when a hypothesis is done.
    """

    def __init__(self) -> None:
        self.steps: list[Tensor] = []
        self.rows: Tensor | None = None  # [hypotheses, length]

    def add(self, attention: Tensor) -> None:
        """One position of every hypothesis, ``[hypotheses, layer, head, 1, source_length]``."""
        here = torch.arange(attention.size(0), device=attention.device)[:, None]
        self.rows = here if self.rows is None else torch.cat([self.rows, here], dim=1)
        self.steps.append(attention)

    def reorder(self, rows: Tensor) -> None:
        """Hypothesis i goes on from ``rows[i]``; there may be more or fewer than before."""
        if self.rows is not None:
            self.rows = self.rows[rows]

    def read(self, rows: list[int], source_length: int) -> Tensor:
        """Of a hypothesis that had these rows, ``[layer, head, length, source_length]``."""
        steps = zip(self.steps, rows, strict=False)  # it may have ended before others did
        rows_of_it = [step[row, ..., :source_length] for step, row in steps]
        return torch.cat(rows_of_it, dim=2)
