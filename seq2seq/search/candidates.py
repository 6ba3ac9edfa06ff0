"""The candidates with which a beam search continues."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

PIECE = 64  # entries of a piece of a row


class Candidates(NamedTuple):
    """Hypotheses with one more token, ``[sentences, groups, number]`` each, best first.

    - ``merit``: what they are sorted by. It is ``total`` minus the cost of diversity.
    - ``total``: the log-probability.
    - ``parent``: the index, in its sentence, of the hypothesis that the candidate continues.
    - ``token``: the token that it adds.
    """

    merit: Tensor
    total: Tensor
    parent: Tensor
    token: Tensor


def largest(x: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Return the values and indices of ``x.topk(number)`` for ``x`` ``[rows, length]``.

    On a CPU this takes a third of the time. Each row is divided into pieces. The ``number`` pieces
    with the largest maxima contain the ``number`` largest entries, so only they are searched.
    """
    pieces = x.size(1) // PIECE
    if x.device.type != "cpu" or pieces < 4 * number:
        top = x.topk(number, dim=1)
        return top.values, top.indices
    parts = x[:, : pieces * PIECE].unflatten(1, (pieces, PIECE))
    chosen = parts.amax(2).topk(number, dim=1, sorted=False).indices
    inside = torch.arange(PIECE, device=x.device)
    places = (chosen[:, :, None] * PIECE + inside).flatten(1)
    rest = torch.arange(pieces * PIECE, x.size(1), device=x.device).expand(x.size(0), -1)
    places = torch.cat([places, rest], dim=1)
    top = x.gather(1, places).topk(number, dim=1)
    return top.values, places.gather(1, top.indices)


def best_candidates(totals: Tensor, costs: Tensor | None, number: int) -> Candidates:
    """Return the ``number`` best candidates of each sentence, as one group.

    Args:
        totals: ``[sentences, width, vocabulary]`` log-probabilities.
        costs: costs of the tokens, broadcastable to ``totals``, that lower their merit; ``None``
            for no costs.
        number: how many to return. If fewer exist, the others have the log-probability −inf.
    """
    vocabulary = totals.size(2)
    merits = totals if costs is None else totals - costs
    merit, flat = largest(merits.flatten(1), min(number, merits[0].numel()))
    total = merit if costs is None else totals.flatten(1).gather(1, flat)
    columns = [merit, total, flat // vocabulary, flat % vocabulary]
    if missing := number - merit.size(1):
        fill = (-math.inf, -math.inf, 0, 0)
        columns = [
            F.pad(column, (0, missing), value=value)
            for column, value in zip(columns, fill, strict=True)
        ]
    return Candidates(*(column[:, None] for column in columns))
