"""A stack of LSTMs or GRUs over the source, in one or both directions."""

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq.nn.cells import Cell, States, initialize, run


class RecurrentEncoder(nn.Module):
    """An encoder that returns one state per position and the final states of every layer.

    In a bidirectional encoder, each direction has half of ``hidden_size``, as in OpenNMT-py. The
    sequences are packed, so that the network never reads padding.

    Args:
        input_size: width of the embeddings.
        hidden_size: width of the outputs.
        layers: number of layers.
        cell: LSTM or GRU.
        bidirectional: whether to read the sequences in both directions.
        dropout: dropout probability between layers.

    Raises:
        ValueError: if ``bidirectional`` is True and ``hidden_size`` is odd.
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
                f"hidden_size={hidden_size} is divided between two directions and has to be even; "
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
        """Encode a batch of sequences.

        Args:
            embedded: ``[batch, source_length, input_size]``.
            lengths: ``[batch]``.
            first: the initial states, in the form of the final states; zeros by default.

        Returns:
            the outputs ``[batch, source_length, hidden_size]``, and the concatenated final states
            of all layers, ``[batch, layers · hidden_size]`` each.
        """
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, final = run(self.network, packed, self._by_layer(first))
        memory, _ = pad_packed_sequence(outputs, batch_first=True, total_length=embedded.size(1))
        states = final if isinstance(final, tuple) else (final,)
        return memory, tuple(state.transpose(0, 1).flatten(1) for state in states)

    def _by_layer(self, states: States | None) -> Tensor | tuple[Tensor, ...] | None:
        """Convert ``[batch, layers · hidden_size]`` each to the form that the network needs."""
        if states is None:
            return None
        parts = [
            state.unflatten(1, (self.layers * self.directions, -1)).transpose(0, 1).contiguous()
            for state in states
        ]
        return parts[0] if len(parts) == 1 else tuple(parts)
