"""What a decoder's self-attention has seen, grown in place and never reordered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seq2seq.nn.multi_head_attention import KeysValues


@dataclass
class Room:
    """Keys and values of every layer, ``[sentences, head, capacity, head_size]`` each.

    ``filled`` entries are in use by whoever wrote last.
    """

    layers: list[KeysValues]
    filled: int = 0

    @property
    def capacity(self) -> int:
        """Entries that there is room for."""
        return self.layers[0].keys.size(2)

    def take(self, sentences: Tensor) -> Room:
        """Rooms of these sentences ``[n]``, repeats allowed."""
        return self._each(lambda tensor: tensor.index_select(0, sentences))

    def gathered(self, order: Tensor) -> Room:
        """Of each sentence the entries ``order`` ``[sentences, n]``."""

        def gather(tensor: Tensor) -> Tensor:
            index = order[:, None, :, None].expand(-1, tensor.size(1), -1, tensor.size(3))
            return tensor.gather(2, index)

        return replace(self._each(gather), filled=order.size(1))

    def resized(self, entries: int, capacity: int) -> Room:
        """A room of its own with the first ``entries``."""

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
    """The past of a sentence's hypotheses side by side, which share one room.

    At every position each hypothesis adds an entry. ``visible`` says which entries are its own
    past, so that a beam in which hypotheses go on from others reorders bits, not keys and values.
    Entries that no hypothesis sees any longer leave when there is no room for more.

    Attributes:
        room: where keys and values lie.
        entries: how many of them are of this history; further ones are not looked at.
        length: positions decoded.
        visible: ``[sentences, width, entries]`` bool; None: every entry to every hypothesis.
    """

    room: Room
    entries: int = 0
    length: int = 0
    visible: Tensor | None = None

    @classmethod
    def empty(cls, like: Iterable[KeysValues]) -> History:
        """No positions yet, and a room for each layer, like its memory ``like``."""
        return cls(Room([KeysValues(k[:, :, :0], v[:, :, :0]) for k, v in like]))

    def advance(self, width: int) -> History:
        """One position more, with an entry for each of ``width`` hypotheses, still to be written.

        Whoever goes on from one history twice gets a room of its own the second time.
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
        """The same without entries that no hypothesis sees, and with room for as many again."""
        if self.visible is None:
            room = self.room.resized(self.entries, max(2 * self.entries, 8 * width))
            return replace(self, room=room)
        seen = self.visible.any(1)
        number = int(seen.sum(1).max())
        # The seen ones first, in their order; sentences that have fewer keep some that are not.
        order = seen.int().argsort(dim=1, descending=True, stable=True)[:, :number]
        room = self.room.gathered(order).resized(number, max(2 * number, 8 * width))
        visible = self.visible.gather(2, order[:, None].expand(-1, self.visible.size(1), -1))
        return replace(self, room=room, entries=number, visible=visible)

    def write(self, layer: int, new: KeysValues) -> KeysValues:
        """Enter a layer's keys and values ``[sentences, head, width, head_size]``; all so far."""
        keys, values = self.room.layers[layer]
        first = self.entries - new.keys.size(2)
        keys[:, :, first : self.entries] = new.keys
        values[:, :, first : self.entries] = new.values
        return KeysValues(keys[:, :, : self.entries], values[:, :, : self.entries])

    def mask(self) -> Tensor | None:
        """``visible`` as attention reads it, ``[sentences, 1, width, entries]``."""
        return None if self.visible is None else self.visible[:, None]

    def select(self, rows: Tensor, width: int) -> History:
        """Any rows ``[n]``, each a sentence of its own from here."""
        visible = self.visible
        if visible is not None:
            visible = visible.flatten(0, 1).index_select(0, rows)[:, None]
        return replace(self, room=self.room.take(rows // width), visible=visible)

    def widen(self, width: int) -> History:
        """``width`` hypotheses from each."""
        if self.visible is None:
            return self
        return replace(self, visible=self.visible.repeat_interleave(width, dim=1))

    def reorder(self, rows: Tensor) -> History:
        """Row i goes on from row ``rows[i]``, which is of the same sentence."""
        if self.visible is None:
            return self
        visible = self.visible.flatten(0, 1).index_select(0, rows).view_as(self.visible)
        return replace(self, visible=visible)

    def keep(self, sentences: Tensor) -> History:
        """Go on with these sentences ``[n]``."""
        visible = self.visible
        if visible is not None:
            visible = visible.index_select(0, sentences)
        return replace(self, room=self.room.take(sentences), visible=visible)
