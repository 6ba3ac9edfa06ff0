"""The keys and values of a decoder's self-attention, which grow in place in a search."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seq2seq.nn.multi_head_attention import KeysValues


@dataclass
class Room:
    """A buffer of keys and values of every layer.

    Attributes:
        layers: ``[sentences, head, capacity, head_size]`` each.
        filled: the number of entries that the latest ``History`` uses.
    """

    layers: list[KeysValues]
    filled: int = 0

    @property
    def capacity(self) -> int:
        """The largest number of entries."""
        return self.layers[0].keys.size(2)

    def take(self, sentences: Tensor) -> Room:
        """Return a copy with the sentences of the indices ``[n]``, which may repeat."""
        return self._each(lambda tensor: tensor.index_select(0, sentences))

    def gathered(self, order: Tensor) -> Room:
        """Return a copy with the entries ``order`` ``[sentences, n]`` of each sentence."""

        def gather(tensor: Tensor) -> Tensor:
            index = order[:, None, :, None].expand(-1, tensor.size(1), -1, tensor.size(3))
            return tensor.gather(2, index)

        return replace(self._each(gather), filled=order.size(1))

    def resized(self, entries: int, capacity: int) -> Room:
        """Return a copy of another capacity, with the first ``entries``."""

        def copy(tensor: Tensor) -> Tensor:
            larger = tensor.new_empty(*tensor.shape[:2], capacity, tensor.size(3))
            larger[:, :, :entries] = tensor[:, :, :entries]
            return larger

        return replace(self._each(copy), filled=entries)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Room:
        layers = [KeysValues(change(layer.keys), change(layer.values)) for layer in self.layers]
        return Room(layers, self.filled)


@dataclass(frozen=True)
class History:
    """The past of the hypotheses of each sentence, which share one buffer.

    At every position, each hypothesis adds an entry. The mask ``visible`` says which entries belong
    to the past of a hypothesis. When a beam reorders its hypotheses, only this mask is reordered,
    not the keys and values. When the buffer is full, entries that no hypothesis sees are removed.

    Attributes:
        room: the buffer of keys and values.
        entries: the number of entries of this history; further entries of ``room`` are ignored.
        length: the number of positions decoded.
        visible: ``[sentences, width, entries]``, bool; ``None`` if every hypothesis sees every
            entry.
    """

    room: Room
    entries: int = 0
    length: int = 0
    visible: Tensor | None = None

    @classmethod
    def empty(cls, like: Iterable[KeysValues]) -> History:
        """Return an empty history, with the sizes and types of each layer's memory ``like``."""
        return cls(Room([KeysValues(k[:, :, :0], v[:, :, :0]) for k, v in like]))

    def advance(self, width: int) -> History:
        """Return a history with one more position: one unwritten entry per hypothesis.

        The second call on the same history copies the buffer, so that the results of the two calls
        do not overwrite each other.
        """
        if self.entries + width > self.room.capacity:
            return self._tidied(width).advance(width)
        room, visible = self.room, self.visible
        if room.filled != self.entries:
            room = room.resized(self.entries, room.capacity)
        room.filled = entries = self.entries + width
        if width > 1:
            sentences = room.layers[0].keys.size(0)
            device = room.layers[0].keys.device
            if visible is None:
                visible = torch.ones(
                    sentences, width, self.entries, dtype=torch.bool, device=device
                )
            own = torch.eye(width, dtype=torch.bool, device=device).expand(sentences, -1, -1)
            visible = torch.cat([visible, own], dim=2)
        elif visible is not None:
            visible = torch.nn.functional.pad(visible, (0, 1), value=True)
        return History(room, entries, self.length + 1, visible)

    def _tidied(self, width: int) -> History:
        """Return a copy without unseen entries, with a capacity of at least twice the seen ones."""
        if self.visible is None:
            room = self.room.resized(self.entries, max(2 * self.entries, 8 * width))
            return replace(self, room=room)
        seen = self.visible.any(1)
        number = int(seen.sum(1).max())
        # Seen entries come first, in their order. All sentences keep the same number of entries, so
        # those with fewer seen entries also keep some unseen ones.
        order = seen.int().argsort(dim=1, descending=True, stable=True)[:, :number]
        room = self.room.gathered(order).resized(number, max(2 * number, 8 * width))
        visible = self.visible.gather(2, order[:, None].expand(-1, self.visible.size(1), -1))
        return replace(self, room=room, entries=number, visible=visible)

    def write(self, layer: int, new: KeysValues) -> KeysValues:
        """Write a layer's new keys and values, and return all of its entries so far.

        ``new`` is ``[sentences, head, width, head_size]`` each.
        """
        keys, values = self.room.layers[layer]
        first = self.entries - new.keys.size(2)
        keys[:, :, first : self.entries] = new.keys
        values[:, :, first : self.entries] = new.values
        return KeysValues(keys[:, :, : self.entries], values[:, :, : self.entries])

    def mask(self) -> Tensor | None:
        """Return ``visible`` as an attention mask, ``[sentences, 1, width, entries]``."""
        return None if self.visible is None else self.visible[:, None]

    def select(self, rows: Tensor, width: int) -> History:
        """Return a history of width 1 with the rows ``[n]``, which may repeat, as sentences."""
        visible = self.visible
        if visible is not None:
            visible = visible.flatten(0, 1).index_select(0, rows)[:, None]
        return replace(self, room=self.room.take(rows // width), visible=visible)

    def widen(self, width: int) -> History:
        """Repeat every row ``width`` times, as hypotheses that continue it."""
        if self.visible is None:
            return self
        return replace(self, visible=self.visible.repeat_interleave(width, dim=1))

    def reorder(self, rows: Tensor) -> History:
        """Let row i continue row ``rows[i]`` of the same sentence."""
        if self.visible is None:
            return self
        visible = self.visible.flatten(0, 1).index_select(0, rows).view_as(self.visible)
        return replace(self, visible=visible)

    def keep(self, sentences: Tensor) -> History:
        """Keep the sentences with the indices ``[n]``, and drop the others."""
        visible = self.visible
        if visible is not None:
            visible = visible.index_select(0, sentences)
        return replace(self, room=self.room.take(sentences), visible=visible)
