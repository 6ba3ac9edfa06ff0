"""LSTM and GRU cells as one step from gates, beside the ``nn`` modules that hold the weights.

A cell's step takes the input's part of the gates ready-made, ``W_ih x + b_ih``: whoever knows all
inputs beforehand computes it for all positions in one matrix product. Where hypotheses go on
from one state together, ``place`` says from which row of the states each does, and its part is
computed once.
"""

import sys
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seq2seq.nn.linear import linear, weights_are_fixed
from seq2seq.nn.repeated import Repeated, spread

States = tuple[Tensor, ...]  # (hidden, memory) of an LSTM, (hidden,) of a GRU: [batch, size] each
#: Numbers of states on which the compiled pass saves the time that loading the compiler takes. When
#: so many have passed, or a mapping has loaded it, the last digits of scores may change.
REPAID = 1 << 25
COMPILER = "seq2seq.mappings.cpu.compilation"
_passed = 0  # numbers without it so far


def lstm_step(
    inputs: Repeated, state: States, weight: Tensor, bias: Tensor, place: Tensor | None = None
) -> States:
    """``c = σ(f) c + σ(i) tanh(g)``, ``h = σ(o) tanh(c)``, ``(i, f, g, o) = inputs + W h + b``."""
    hidden, memory = state
    past = Repeated(linear(hidden, weight, bias), place)
    if _is_compiled(inputs, past, memory):
        from seq2seq.nn.cell_kernels import lstm  # loads the compiler

        return lstm(inputs, past, memory)
    i, f, g, o = (inputs.all() + past.all()).chunk(4, dim=-1)
    memory = torch.sigmoid(f) * spread(memory, place) + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(memory), memory


def gru_step(
    inputs: Repeated, state: States, weight: Tensor, bias: Tensor, place: Tensor | None = None
) -> States:
    """``h = (1 − z) n + z h``, ``n = tanh(inputs_n + r (W_n h + b_n))``, z and r the gates."""
    (hidden,) = state
    past = Repeated(linear(hidden, weight, bias), place)
    if _is_compiled(inputs, past, hidden):
        from seq2seq.nn.cell_kernels import gru

        return gru(inputs, past, hidden)
    input_r, input_z, input_n = inputs.all().chunk(3, dim=-1)
    past_r, past_z, past_n = past.all().chunk(3, dim=-1)
    reset, update = torch.sigmoid(input_r + past_r), torch.sigmoid(input_z + past_z)
    candidate = torch.tanh(input_n + reset * past_n)
    return (candidate + update * (spread(hidden, place) - candidate),)


def _is_compiled(inputs: Repeated, past: Repeated, state: Tensor) -> bool:
    """Whether the compiled pass does it: in a search on a CPU, once it is worth its loading."""
    gates = past.distinct
    if not weights_are_fixed() or inputs.rows != past.rows or gates.size(0) != state.size(0):
        return False
    tensors = (inputs.distinct, gates, state)
    if any(part.device.type != "cpu" or part.dtype != torch.float32 for part in tensors):
        return False
    global _passed
    if COMPILER not in sys.modules and _passed < REPAID:
        _passed += past.rows * state.size(-1)
        return False
    return True


class Step(Protocol):
    """One position: from the input's part of the gates to the states after it."""

    def __call__(
        self,
        inputs: Repeated,
        state: States,
        weight: Tensor,
        bias: Tensor,
        place: Tensor | None = None,
    ) -> States:
        """Go on from ``state[place]``, whose part of the gates is ``weight · hidden + bias``."""
        ...


@dataclass(frozen=True)
class Cell:
    """The module that runs whole sequences, the step of one position, and the states carried."""

    module: type[nn.LSTM] | type[nn.GRU]
    step: Step
    states: int


CELLS = {"lstm": Cell(nn.LSTM, lstm_step, 2), "gru": Cell(nn.GRU, gru_step, 1)}


HAS_BFLOAT16 = torch.backends.mkldnn.is_available() and bool(
    torch.ops.mkldnn._is_mkldnn_bf16_supported()
)


def run(
    network: nn.RNNBase,
    inputs: Tensor | PackedSequence,
    first: Tensor | tuple[Tensor, ...] | None,
) -> tuple[Any, Any]:
    """What the module makes of whole sequences and the states to begin in.

    oneDNN, by which LSTMs run on the CPU, has none in bfloat16 for CPUs without AVX-512: under
    autocast it fails there. Then this part of the model computes in single precision.
    """
    lacking = isinstance(network, nn.LSTM) and not HAS_BFLOAT16
    if not (lacking and torch.is_autocast_enabled("cpu") and inputs.data.device.type == "cpu"):
        return network(inputs, first)
    if first is not None:
        first = first.float() if isinstance(first, Tensor) else tuple(s.float() for s in first)
    with torch.autocast("cpu", enabled=False):
        return network(inputs.float(), first)


def initialize(network: nn.RNNBase) -> None:
    """Xavier inputs, orthogonal recurrence, zero biases, and an LSTM that starts by remembering."""
    for name, parameter in network.named_parameters():
        if "bias" in name:
            nn.init.zeros_(parameter)
        elif "weight_hh" in name:
            for gate in parameter.data.split(network.hidden_size):
                nn.init.orthogonal_(gate)
        else:
            for gate in parameter.data.split(network.hidden_size):
                nn.init.xavier_uniform_(gate)
        if "bias_ih" in name and isinstance(network, nn.LSTM):
            nn.init.ones_(parameter.data[network.hidden_size : 2 * network.hidden_size])
