"""Ways for a beam to go on."""

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Candidates(NamedTuple):
    """Ways to go on, ``[sentences, groups, number]`` each, best first.

    ``total`` is the log-probability, ``merit`` what they are ordered by (the same, but for diverse
    groups), ``parent`` the row of the hypothesis gone on from among those of the sentence.
    """

    merit: Tensor
    total: Tensor
    parent: Tensor
    token: Tensor


def best_candidates(totals: Tensor, costs: Tensor | None, number: int) -> Candidates:
    """The best of ``[sentences, width, vocabulary]``, as one group; −inf where there are fewer."""
    vocabulary = totals.size(2)
    merits = totals if costs is None else totals - costs
    merit, flat = merits.flatten(1).topk(min(number, merits[0].numel()), dim=1)
    total = merit if costs is None else totals.flatten(1).gather(1, flat)
    columns = [merit, total, flat // vocabulary, flat % vocabulary]
    if missing := number - merit.size(1):
        fill = (-math.inf, -math.inf, 0, 0)
        columns = [
            F.pad(column, (0, missing), value=value)
            for column, value in zip(columns, fill, strict=True)
        ]
    return Candidates(*(column[:, None] for column in columns))
