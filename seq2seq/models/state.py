"""Where a decoder stands between two steps of a search."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from seq2seq.nn.history import History
from seq2seq.nn.repeated import Repeated, spread


@dataclass(frozen=True)
class State:
    """What ``sentences · width`` rows of hypotheses go on from, a sentence's rows side by side.

    A step reads ``past`` by way of ``origin``: ``nn.repeated.spread``.

    Attributes:
        source: what is computed once a sentence, ``[sentences, …]`` each; the hypotheses of a
            sentence share its row, so that a beam neither copies nor reorders it.
        past: what hypotheses go on from, ``[pasts, …]`` each.
        width: hypotheses a sentence.
        history: what grows with every position, in a room that a sentence's hypotheses share.
        origin: ``[sentences · width]``, the row of ``past`` that each hypothesis goes on from, so
            that those of one past share it; None: each from its own.
    """

    source: tuple[Tensor, ...]
    past: tuple[Tensor, ...]
    width: int = 1
    history: History | None = None
    origin: Tensor | None = None

    @property
    def batch_size(self) -> int:
        """Rows, which is the number of tokens that a step takes."""
        return self.source[0].size(0) * self.width

    def select(self, rows: Tensor) -> "State":
        """Take any rows ``[n]``, repeats allowed; each then stands for a sentence of its own."""
        history = self.history and self.history.select(rows, self.width)
        source = _take(self.source, rows // self.width)
        return State(source, _take(self.past, spread(self._origins(), rows)), history=history)

    def widen(self, width: int) -> "State":
        """Give every row ``width`` hypotheses that go on from it."""
        origin = self._origins().repeat_interleave(width, dim=0) if self.past else None
        history = self.history and self.history.widen(width)
        return State(self.source, self.past, self.width * width, history, origin)

    def reorder(self, rows: Tensor) -> "State":
        """Row i goes on from row ``rows[i]`` ``[batch]``, which is of the same sentence."""
        history = self.history and self.history.reorder(rows)
        return self._from(spread(self._origins(), rows), history=history)

    def keep(self, sentences: Tensor) -> "State":
        """Go on with these sentences ``[n]`` and all their hypotheses."""
        history = self.history and self.history.keep(sentences)
        origins = self._origins().unflatten(0, (-1, self.width))[sentences].flatten()
        return self._from(origins, source=_take(self.source, sentences), history=history)

    def _origins(self) -> Tensor:
        """``origin``, None being the numbers of all rows."""
        if self.origin is not None:
            return self.origin
        return torch.arange(self.batch_size, device=self.source[0].device)

    def _from(self, origins: Tensor, **changes: Any) -> "State":
        """Go on from these rows of ``past``, each of which is kept once.

        To find them a GPU would have to be waited for; there each hypothesis has its own.
        """
        if not self.past:
            return replace(self, **changes)
        shared = Repeated.of(origins) if origins.device.type == "cpu" else None
        if shared is None or shared.distinct.numel() == origins.numel():
            return replace(self, past=_take(self.past, origins), origin=None, **changes)
        past = _take(self.past, shared.distinct)
        return replace(self, past=past, origin=shared.place, **changes)


def _take(tensors: Iterable[Tensor], indices: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.index_select(0, indices) for tensor in tensors)
