"""A stack of LSTMs or GRUs over the source, in one or both directions."""

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq.nn.cells import Cell, States, initialize, run


class RecurrentEncoder(nn.Module):
    """Reads embeddings, gives a state a position and the final states of every layer.

    With both directions, each has half of ``hidden_size``, as in OpenNMT-py. Sequences are packed:
    padding is never read.

    Args:
        input_size: width of the embeddings.
        hidden_size: width of the outputs.
        layers: its depth.
        cell: LSTM or GRU.
        bidirectional: whether it reads both ways.
        dropout: between layers.

    Raises:
        ValueError: for two directions of an odd width.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        layers: int,
        cell: Cell,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        if hidden_size % directions:
            raise ValueError(
                f"hidden_size={hidden_size} is shared by two directions and has to be even; "
                f"change it or set bidirectional=false"
            )
        self.layers, self.directions = layers, directions
        self.network = cell.module(
            input_size,
            hidden_size // directions,
            layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
        )
        initialize(self.network)

    def forward(
        self, embedded: Tensor, lengths: Tensor, first: States | None = None
    ) -> tuple[Tensor, States]:
        """Encode ``embedded`` ``[batch, source_length, input_size]`` of ``lengths`` ``[batch]``.

        ``first`` are the states to begin in, in the form of the final states; zeros by default.

        Returns ``[batch, source_length, hidden_size]`` and the final states of all layers side by
        side, ``[batch, layers · hidden_size]`` each.
        """
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, final = run(self.network, packed, self._by_layer(first))
        memory, _ = pad_packed_sequence(outputs, batch_first=True, total_length=embedded.size(1))
        states = final if isinstance(final, tuple) else (final,)
        return memory, tuple(state.transpose(0, 1).flatten(1) for state in states)

    def _by_layer(self, states: States | None) -> Tensor | tuple[Tensor, ...] | None:
        """``[batch, layers · hidden_size]`` each → what the network takes."""
        if states is None:
            return None
        parts = [
            state.unflatten(1, (self.layers * self.directions, -1)).transpose(0, 1).contiguous()
            for state in states
        ]
        return parts[0] if len(parts) == 1 else tuple(parts)
