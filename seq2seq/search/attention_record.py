"""The attention of hypotheses, recorded step by step."""

import torch
from torch import Tensor


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
