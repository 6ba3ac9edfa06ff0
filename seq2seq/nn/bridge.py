"""Bridges from the final states of the encoder to the first states of the decoder."""

import torch
from torch import Tensor, nn

from seq2seq.nn.cells import States


class Copy(nn.Module):
    """A bridge that copies the state of each layer, as in OpenNMT-py."""

    def __init__(self, hidden_size: int, encoder_layers: int, decoder_layers: int, states: int):
        super().__init__()
        if encoder_layers != decoder_layers:
            raise ValueError(
                f"bridge=copy needs as many encoder layers as decoder layers, but encoder_layers="
                f"{encoder_layers} and decoder_layers={decoder_layers}; use bridge=linear"
            )

    def forward(self, final: States) -> States:
        """Return ``final``, ``[batch, layers · hidden_size]`` each."""
        return final


class Linear(nn.Module):
    """The bridge ``tanh(W s + b)``, where s is the concatenation of the states of all layers."""

    def __init__(self, hidden_size: int, encoder_layers: int, decoder_layers: int, states: int):
        super().__init__()
        self.projections = nn.ModuleList(
            nn.Linear(encoder_layers * hidden_size, decoder_layers * hidden_size)
            for _ in range(states)
        )
        for projection in self.projections:
            nn.init.xavier_uniform_(projection.weight)  # type: ignore[arg-type]
            nn.init.zeros_(projection.bias)  # type: ignore[arg-type]

    def forward(self, final: States) -> States:
        """Map ``[batch, encoder_layers · size]`` to ``[batch, decoder_layers · size]`` each."""
        pairs: zip[tuple[nn.Module, Tensor]] = zip(self.projections, final, strict=True)
        return tuple(torch.tanh(projection(state)) for projection, state in pairs)


BRIDGES: dict[str, type[Copy] | type[Linear]] = {"copy": Copy, "linear": Linear}
