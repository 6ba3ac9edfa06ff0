"""A stack of LSTMs or GRUs with Luong attention on top, without and with input feeding."""

import torch
from torch import Tensor, nn

from seq2seq.nn.cells import Cell, States, initialize, run
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.linear import linear
from seq2seq.nn.luong_attention import LuongAttention, Memory
from seq2seq.nn.repeated import Repeated, spread


class RecurrentDecoder(nn.Module):
    """A decoder without input feeding, whose states do not depend on the attention.

    It therefore computes the states of all positions first, and then attends with all of them.

    Args:
        input_size: width of the embeddings.
        hidden_size: width of the states, and of the attentional states.
        layers: number of layers.
        cell: LSTM or GRU.
        attention: the attention of the states to the source.
        dropout: dropout probability between layers, and of attentional states.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        layers: int,
        cell: Cell,
        attention: LuongAttention,
        dropout: float,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.layers = input_size, hidden_size, layers
        self.cell = cell
        self.attention = attention
        self.dropout = Dropout(dropout)
        self.network = cell.module(
            self.network_input_size,
            hidden_size,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        initialize(self.network)

    @property
    def network_input_size(self) -> int:
        """The width of the input of the lowest layer."""
        return self.input_size

    def start(self, bridged: States, memory: Memory) -> States:
        """Split ``[batch, layers · hidden_size]`` each into the states of the layers.

        The result also contains, at the end, the tensors that the attention passes from step to
        step, if any.
        """
        layers = zip(*(state.chunk(self.layers, dim=-1) for state in bridged), strict=True)
        states = (tensor for layer in layers for tensor in layer)
        return (*states, *self.attention.start(memory))

    def forward(self, embedded: Tensor, bridged: States, memory: Memory) -> tuple[Tensor, Tensor]:
        """Decode all of ``embedded`` ``[batch, target_length, input_size]``.

        Returns the attentional states ``[batch, target_length, hidden_size]`` and the weights
        ``[batch, target_length, source_length]``.
        """
        first = [state.unflatten(-1, (self.layers, -1)).transpose(0, 1) for state in bridged]
        first = [state.contiguous() for state in first]
        hidden, _ = run(self.network, embedded, tuple(first) if len(first) > 1 else first[0])
        attentional, weights = self.attention(hidden, memory)
        return self.dropout(attentional), weights

    def step(
        self, embedded: Repeated, past: States, memory: Memory, origin: Tensor | None = None
    ) -> tuple[Tensor, States, Tensor]:
        """Decode one position.

        Args:
            embedded: ``[batch, input_size]``.
            past: the tensors that ``start`` or the previous ``step`` returned.
            memory: the projected source.
            origin: ``[batch]``, the row of ``past`` that each row continues; ``None`` if row i
                continues row i.

        Returns:
            the attentional state ``[batch, hidden_size]``, the tensors to pass to the next
            ``step``, and the weights ``[batch, source_length]``.
        """
        weight, bias = self.weights("ih", 0)
        states, carried = self._split(past)
        gates = embedded.map(lambda rows: linear(rows, weight, bias))
        hidden, states = self._climb(gates, states, origin)
        carried = tuple(spread(part, origin) for part in carried)
        attentional, weights, carried = self.attention.step(hidden, memory, carried)
        return self.dropout(attentional), (*states, *carried), weights

    def weights(self, kind: str, layer: int) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a layer: of its input (``ih``) or of its own past (``hh``)."""
        suffix = f"{kind}_l{layer}"
        return getattr(self.network, f"weight_{suffix}"), getattr(self.network, f"bias_{suffix}")

    def _climb(
        self, gates: Repeated, past: States, origin: Tensor | None = None
    ) -> tuple[Tensor, States]:
        """Run all layers at one position.

        ``gates`` is the part of the lowest layer's gates that depends on the input.
        """
        after: list[Tensor] = []
        size = self.cell.states
        for layer in range(self.layers):
            if layer:
                weight, bias = self.weights("ih", layer)
                gates = Repeated(linear(self.dropout(after[-size]), weight, bias))
            state = past[layer * size : (layer + 1) * size]
            after.extend(self.cell.step(gates, state, *self.weights("hh", layer), origin))
        return after[-size], tuple(after)

    def _split(self, past: States) -> tuple[States, States]:
        """Split ``past`` into the states of the layers and the tensors after them."""
        count = self.layers * self.cell.states
        return past[:count], past[count:]


class InputFeedingDecoder(RecurrentDecoder):
    """A decoder with input feeding (Luong et al. 2015, section 3.3).

    Each step also reads the attentional state of the previous step.
    """

    @property
    def network_input_size(self) -> int:
        """The width of an embedding and an attentional state."""
        return self.input_size + self.hidden_size

    def start(self, bridged: States, memory: Memory) -> States:
        """See the base class; zeros after the states stand for the first attentional state."""
        states, carried = self._split(super().start(bridged, memory))
        return (*states, bridged[0].new_zeros(bridged[0].size(0), self.hidden_size), *carried)

    def forward(self, embedded: Tensor, bridged: States, memory: Memory) -> tuple[Tensor, Tensor]:
        """See the base class."""
        weight, bias = self.weights("ih", 0)
        gates = linear(embedded, weight[:, : self.input_size], bias)  # once for all positions
        noise = self.dropout(embedded.new_ones(*embedded.shape[:2], self.hidden_size))
        past = self.start(bridged, memory)
        attentional, weights = [], []
        for gate, keep in zip(gates.unbind(1), noise.unbind(1), strict=True):
            gate = gate + linear(self._fed(past), weight[:, self.input_size :])
            feed, past, weight_row = self._feed(gate, past, memory, keep)
            attentional.append(feed)
            weights.append(weight_row)
        return torch.stack(attentional, dim=1), torch.stack(weights, dim=1)

    def step(
        self, embedded: Repeated, past: States, memory: Memory, origin: Tensor | None = None
    ) -> tuple[Tensor, States, Tensor]:
        """See the base class."""
        weight, bias = self.weights("ih", 0)
        inputs = torch.cat([embedded.all(), spread(self._fed(past), origin)], dim=-1)
        gates = linear(inputs, weight, bias)
        noise = self.dropout(inputs.new_ones(inputs.size(0), self.hidden_size))
        attentional, past, weights = self._feed(gates, past, memory, noise, origin)
        return attentional, past, weights

    def _fed(self, past: States) -> Tensor:
        """Return the attentional state of the previous step."""
        return self._split(past)[1][0]

    def _feed(
        self,
        gates: Tensor,
        past: States,
        memory: Memory,
        noise: Tensor,
        origin: Tensor | None = None,
    ) -> tuple[Tensor, States, Tensor]:
        """Run the layers and the attention at one position; ``noise`` is a dropout mask."""
        states, (_, *rest) = self._split(past)
        hidden, states = self._climb(Repeated(gates), states, origin)
        carried = tuple(spread(part, origin) for part in rest)
        attentional, weights, after = self.attention.step(hidden, memory, carried)
        attentional = attentional * noise
        return attentional, (*states, attentional, *after), weights
