"""The recurrent encoder in a form that can be exported: one ``scan``, for any length."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2seq.nn.cells import CELLS, Cell, States
from seq2seq.nn.linear import linear
from seq2seq.nn.recurrent_encoder import RecurrentEncoder
from seq2seq.nn.repeated import Repeated
from seq2seq.system.torch_internals import scan


class ScannedEncoder(nn.Module):
    """Exportable equivalent of ``RecurrentEncoder``, with its weights.

    ``RecurrentEncoder`` packs its sequences, so shapes depend on data, and PyTorch unrolls an LSTM
    in an export. Here a cell scans all positions, and padding leaves its state unchanged.

    Args:
        encoder: the encoder whose weights are used.
    """

    def __init__(self, encoder: RecurrentEncoder) -> None:
        super().__init__()
        self.network = encoder.network
        self.layers, self.directions = encoder.layers, encoder.directions
        self.cell = next(cell for cell in CELLS.values() if isinstance(self.network, cell.module))

    def forward(
        self, embedded: Tensor, lengths: Tensor, first: States | None = None
    ) -> tuple[Tensor, States]:
        """See ``RecurrentEncoder``."""
        real = torch.arange(embedded.size(1), device=embedded.device)[:, None] < lengths
        size = self.network.hidden_size
        zero = embedded.new_zeros(embedded.size(0), size)
        begin = [
            [zero] * (self.layers * self.directions)
            if first is None
            else list(first[state].split(size, dim=1))
            for state in range(self.cell.states)
        ]
        x, final = embedded.transpose(0, 1), []
        for layer in range(self.layers):
            sides = []
            for direction in range(self.directions):
                number = layer * self.directions + direction
                states = tuple(part[number] for part in begin)
                outputs, last = self._read(x, real, states, layer, backwards=direction == 1)
                sides.append(outputs)
                final.append(last)
            x = torch.cat(sides, dim=-1)
        return x.transpose(0, 1), tuple(
            torch.cat(parts, dim=1) for parts in zip(*final, strict=True)
        )

    def _read(
        self, x: Tensor, real: Tensor, states: States, layer: int, *, backwards: bool
    ) -> tuple[Tensor, States]:
        """Run one layer in one direction, on ``[length, batch, size]`` and ``[length, batch]``."""
        suffix = f"l{layer}" + ("_reverse" if backwards else "")
        weights = [
            getattr(self.network, f"{part}_{suffix}")
            for part in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        ]
        gates = linear(x, weights[0], weights[1])
        if backwards:
            gates, real = gates.flip(0), real.flip(0)
        outputs, last = _scanned(self.cell, gates, real[:, :, None], states, *weights[2:])
        return outputs.flip(0) if backwards else outputs, last


def _scanned(
    cell: Cell, gates: Tensor, real: Tensor, states: States, weight: Tensor, bias: Tensor
) -> tuple[Tensor, States]:
    """Scan a cell over the first dimension; return outputs, 0 at padding, and last states."""

    def step(states: States, at: tuple[Tensor, Tensor]) -> tuple[States, Tensor]:
        gates, real = at
        after = cell.step(Repeated(gates), states, weight, bias)
        kept = tuple(torch.where(real, new, old) for new, old in zip(after, states, strict=True))
        return kept, torch.where(real, after[0], 0.0)

    last, outputs = scan(step, tuple(state.clone() for state in states), (gates, real))
    return outputs, last
