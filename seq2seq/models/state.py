"""Where a decoder stands between two steps of a search."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from torch import Tensor

from seq2seq.nn.history import History


@dataclass(frozen=True)
class State:
    """Tensors of ``sentences · width`` rows of hypotheses, a sentence's rows side by side.

    Attributes:
        source: what is computed once a sentence, ``[sentences, …]`` each; the hypotheses of a
            sentence share its row, so that a beam neither copies nor reorders it.
        past: what each hypothesis has of its own, ``[sentences · width, …]`` each.
        width: hypotheses a sentence.
        history: what grows with every position, in a room that a sentence's hypotheses share.
    """

    source: tuple[Tensor, ...]
    past: tuple[Tensor, ...]
    width: int = 1
    history: History | None = None

    @property
    def batch_size(self) -> int:
        """Rows, which is the number of tokens that a step takes."""
        return self.source[0].size(0) * self.width

    def select(self, rows: Tensor) -> "State":
        """Take any rows ``[n]``, repeats allowed; each then stands for a sentence of its own."""
        history = self.history and self.history.select(rows, self.width)
        source = _take(self.source, rows // self.width)
        return State(source, _take(self.past, rows), history=history)

    def widen(self, width: int) -> "State":
        """Give every row ``width`` hypotheses that go on from it."""
        past = tuple(tensor.repeat_interleave(width, dim=0) for tensor in self.past)
        history = self.history and self.history.widen(width)
        return State(self.source, past, self.width * width, history)

    def reorder(self, rows: Tensor) -> "State":
        """Row i goes on from row ``rows[i]`` ``[batch]``, which is of the same sentence."""
        history = self.history and self.history.reorder(rows)
        return replace(self, past=_take(self.past, rows), history=history)

    def keep(self, sentences: Tensor) -> "State":
        """Go on with these sentences ``[n]`` and all their hypotheses."""
        past = (tensor.unflatten(0, (-1, self.width)) for tensor in self.past)
        kept = tuple(tensor.flatten(0, 1) for tensor in _take(past, sentences))
        history = self.history and self.history.keep(sentences)
        return replace(self, source=_take(self.source, sentences), past=kept, history=history)


def _take(tensors: Iterable[Tensor], indices: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.index_select(0, indices) for tensor in tensors)
