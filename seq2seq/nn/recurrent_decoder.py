"""A stack of LSTMs or GRUs with Luong attention on top, without and with input feeding."""

import torch
from torch import Tensor, nn

from seq2seq.nn.cells import Cell, States, initialize, run
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.linear import linear
from seq2seq.nn.luong_attention import LuongAttention, Memory
from seq2seq.nn.repeated import Repeated, spread


class RecurrentDecoder(nn.Module):
    """The states do not depend on the attention: all of them first, then all attend at once.

    Args:
        input_size: width of the embeddings.
        hidden_size: width of the states, and of the attentional states.
        layers: its depth.
        cell: LSTM or GRU.
        attention: of the states to the source.
        dropout: between layers, and on attentional states.
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
        """What the lowest layer reads."""
        return self.input_size

    def start(self, bridged: States, memory: Memory) -> States:
        """``[batch, layers · hidden_size]`` each → the states of layer after layer.

        After them comes what the attention carries from step to step, if it does.
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
        """Decode one position, ``[batch, input_size]``, that goes on from ``past[origin]``.

        Returns the attentional state ``[batch, hidden_size]``, the states after it and the weights
        ``[batch, source_length]``.
        """
        weight, bias = self.weights("ih", 0)
        states, carried = self._split(past)
        gates = embedded.map(lambda rows: linear(rows, weight, bias))
        hidden, states = self._climb(gates, states, origin)
        carried = tuple(spread(part, origin) for part in carried)
        attentional, weights, carried = self.attention.step(hidden, memory, carried)
        return self.dropout(attentional), (*states, *carried), weights

    def weights(self, kind: str, layer: int) -> tuple[Tensor, Tensor]:
        """Weight and bias of a layer: ``ih`` reads its input, ``hh`` its own past."""
        suffix = f"{kind}_l{layer}"
        return getattr(self.network, f"weight_{suffix}"), getattr(self.network, f"bias_{suffix}")

    def _climb(
        self, gates: Repeated, past: States, origin: Tensor | None = None
    ) -> tuple[Tensor, States]:
        """One position through all layers, from the input's part of the lowest layer's gates."""
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
        """The states of the layers, and what follows them."""
        count = self.layers * self.cell.states
        return past[:count], past[count:]


class InputFeedingDecoder(RecurrentDecoder):
    """Each step also reads the attentional state of the step before (Luong et al. 2015, 3.3)."""

    @property
    def network_input_size(self) -> int:
        """An embedding and an attentional state."""
        return self.input_size + self.hidden_size

    def start(self, bridged: States, memory: Memory) -> States:
        """The same, with zeros after the layers for the attentional state before the first."""
        states, carried = self._split(super().start(bridged, memory))
        return (*states, bridged[0].new_zeros(bridged[0].size(0), self.hidden_size), *carried)

    def forward(self, embedded: Tensor, bridged: States, memory: Memory) -> tuple[Tensor, Tensor]:
        """Decode all of ``embedded``; see the base class."""
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
        """Decode one position; see the base class."""
        weight, bias = self.weights("ih", 0)
        inputs = torch.cat([embedded.all(), spread(self._fed(past), origin)], dim=-1)
        gates = linear(inputs, weight, bias)
        noise = self.dropout(inputs.new_ones(inputs.size(0), self.hidden_size))
        attentional, past, weights = self._feed(gates, past, memory, noise, origin)
        return attentional, past, weights

    def _fed(self, past: States) -> Tensor:
        """The attentional state of the step before."""
        return self._split(past)[1][0]

    def _feed(
        self,
        gates: Tensor,
        past: States,
        memory: Memory,
        noise: Tensor,
        origin: Tensor | None = None,
    ) -> tuple[Tensor, States, Tensor]:
        states, (_, *rest) = self._split(past)
        hidden, states = self._climb(Repeated(gates), states, origin)
        carried = tuple(spread(part, origin) for part in rest)
        attentional, weights, after = self.attention.step(hidden, memory, carried)
        attentional = attentional * noise
        return attentional, (*states, attentional, *after), weights
