"""From the encoder's final states to the decoder's first."""

import torch
from torch import Tensor, nn

from seq2seq.nn.cells import States


class Copy(nn.Module):
    """Layer by layer as they are, like OpenNMT-py."""

    def __init__(self, hidden_size: int, encoder_layers: int, decoder_layers: int, states: int):
        super().__init__()
        if encoder_layers != decoder_layers:
            raise ValueError(
                f"bridge=copy hands each layer its state, but there are encoder_layers="
                f"{encoder_layers} and decoder_layers={decoder_layers}; use bridge=linear"
            )

    def forward(self, final: States) -> States:
        """``[batch, encoder_layers · hidden_size]`` → ``[batch, decoder_layers · hidden_size]``."""
        return final


class Linear(nn.Module):
    """``tanh(W s + b)`` with the states of all layers as one vector s."""

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
        """``[batch, encoder_layers · hidden_size]`` → ``[batch, decoder_layers · hidden_size]``."""
        pairs: zip[tuple[nn.Module, Tensor]] = zip(self.projections, final, strict=True)
        return tuple(torch.tanh(projection(state)) for projection, state in pairs)


BRIDGES: dict[str, type[Copy] | type[Linear]] = {"copy": Copy, "linear": Linear}
