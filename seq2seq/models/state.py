"""The state of a decoder between two steps of a search."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from seq2seq.nn.history import History
from seq2seq.nn.repeated import Repeated, spread


class DecoderState(Protocol):
    """What a search does with the state of a decoder.

    It has ``sentences · width`` rows, one for each hypothesis; those of a sentence are consecutive.
    """

    @property
    def width(self) -> int:
        """The number of hypotheses per sentence."""
        ...

    @property
    def batch_size(self) -> int:
        """The number of rows, ``sentences · width``: one token each is the input of a step."""
        ...

    def select(self, rows: Tensor) -> Self:
        """Return a state of width 1 with the rows ``[n]``, which may repeat, as sentences."""
        ...

    def widen(self, width: int) -> Self:
        """Repeat every row ``width`` times, as hypotheses that continue it."""
        ...

    def reorder(self, rows: Tensor) -> Self:
        """Let row i continue row ``rows[i]`` of the same sentence; ``rows`` is ``[batch]``."""
        ...

    def keep(self, sentences: Tensor) -> Self:
        """Keep the sentences with the indices ``[n]``, and all their hypotheses."""
        ...


@dataclass(frozen=True)
class State:
    """The decoder's state for ``sentences · width`` hypotheses, one row each.

    The rows of a sentence are consecutive. Hypotheses that continue the same earlier hypothesis
    share its row of ``past``: hypothesis i continues the row ``origin[i]``. A step expands ``past``
    to one row per hypothesis with ``nn.repeated.spread(past, origin)``.

    Attributes:
        source: tensors computed once per sentence, ``[sentences, …]`` each. The hypotheses of a
            sentence share its row, so that a beam neither copies nor reorders it.
        past: the decoder's recurrent tensors, one row per distinct past, ``[pasts, …]`` each.
        width: number of hypotheses per sentence.
        history: keys and values of the positions decoded so far, which the hypotheses of a sentence
            share; ``None`` if the model has no self-attention.
        origin: ``[sentences · width]``, the row of ``past`` that each hypothesis continues;
            ``None`` if hypothesis i continues row i.
    """

    source: tuple[Tensor, ...]
    past: tuple[Tensor, ...]
    width: int = 1
    history: History | None = None
    origin: Tensor | None = None

    @property
    def batch_size(self) -> int:
        """The number of rows, ``sentences · width``: one token each is the input of a step."""
        return self.source[0].size(0) * self.width

    def select(self, rows: Tensor) -> "State":
        """Return a state of width 1 with the rows ``[n]``, which may repeat, as sentences."""
        history = self.history and self.history.select(rows, self.width)
        source = _take(self.source, rows // self.width)
        return State(source, _take(self.past, spread(self._origins(), rows)), history=history)

    def widen(self, width: int) -> "State":
        """Repeat every row ``width`` times, as hypotheses that continue it."""
        origin = self._origins().repeat_interleave(width, dim=0) if self.past else None
        history = self.history and self.history.widen(width)
        return State(self.source, self.past, self.width * width, history, origin)

    def reorder(self, rows: Tensor) -> "State":
        """Let row i continue row ``rows[i]`` of the same sentence; ``rows`` is ``[batch]``."""
        history = self.history and self.history.reorder(rows)
        return self._from(spread(self._origins(), rows), history=history)

    def keep(self, sentences: Tensor) -> "State":
        """Keep the sentences with the indices ``[n]``, and all their hypotheses."""
        history = self.history and self.history.keep(sentences)
        origins = self._origins().unflatten(0, (-1, self.width))[sentences].flatten()
        return self._from(origins, source=_take(self.source, sentences), history=history)

    def _origins(self) -> Tensor:
        """Return ``origin`` as a tensor: the row numbers if it is ``None``."""
        if self.origin is not None:
            return self.origin
        return torch.arange(self.batch_size, device=self.source[0].device)

    def _from(self, origins: Tensor, **changes: Any) -> "State":
        """Return a state whose hypotheses continue the rows ``origins`` of ``past``.

        On a CPU, each distinct row is kept once. On a GPU, finding the distinct rows would force a
        synchronisation, so each hypothesis has a row of its own.
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
