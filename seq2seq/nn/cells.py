"""LSTM and GRU cells as single steps, beside the ``nn`` modules that hold the weights.

A step takes the input's part of the gates, ``W_ih x + b_ih``, as an argument. A caller that knows
all inputs computes this part for all positions in one matrix product. If several hypotheses
continue from the same state, ``place`` gives the state's row for each of them, and the step
computes that row's part of the gates once.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seq2seq.nn.linear import HAS_AVX512, linear
from seq2seq.nn.repeated import Repeated, spread

States = tuple[Tensor, ...]  # (hidden, memory) of an LSTM, (hidden,) of a GRU: [batch, size] each


def lstm_step(
    inputs: Repeated, state: States, weight: Tensor, bias: Tensor, place: Tensor | None = None
) -> States:
    """Compute one step of an LSTM.

    ``c = σ(f) c + σ(i) tanh(g)`` and ``h = σ(o) tanh(c)`` with ``(i, f, g, o) = inputs + W h + b``.
    """
    hidden, memory = state
    past = Repeated(linear(hidden, weight, bias), place)
    i, f, g, o = (inputs.all() + past.all()).chunk(4, dim=-1)
    memory = torch.sigmoid(f) * spread(memory, place) + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(memory), memory


def gru_step(
    inputs: Repeated, state: States, weight: Tensor, bias: Tensor, place: Tensor | None = None
) -> States:
    """Compute one step of a GRU with gates z and r.

    ``h = (1 − z) n + z h`` with ``n = tanh(inputs_n + r (W_n h + b_n))``.
    """
    (hidden,) = state
    past = Repeated(linear(hidden, weight, bias), place)
    input_r, input_z, input_n = inputs.all().chunk(3, dim=-1)
    past_r, past_z, past_n = past.all().chunk(3, dim=-1)
    reset, update = torch.sigmoid(input_r + past_r), torch.sigmoid(input_z + past_z)
    candidate = torch.tanh(input_n + reset * past_n)
    return (candidate + update * (spread(hidden, place) - candidate),)


class Step(Protocol):
    """The step of one position, from the input's part of the gates to the next states."""

    def __call__(
        self,
        inputs: Repeated,
        state: States,
        weight: Tensor,
        bias: Tensor,
        place: Tensor | None = None,
    ) -> States:
        """Return the states that follow ``state[place]``; see :func:`lstm_step`."""
        ...


@dataclass(frozen=True)
class Cell:
    """A kind of recurrent cell.

    Attributes:
        module: runs whole sequences.
        step: computes one position.
        states: number of tensors in its state.
    """

    module: type[nn.LSTM] | type[nn.GRU]
    step: Step
    states: int


CELLS = {"lstm": Cell(nn.LSTM, lstm_step, 2), "gru": Cell(nn.GRU, gru_step, 1)}


HAS_BFLOAT16 = torch.backends.mkldnn.is_available() and HAS_AVX512


def run(
    network: nn.RNNBase,
    inputs: Tensor | PackedSequence,
    first: Tensor | tuple[Tensor, ...] | None,
) -> tuple[Any, Any]:
    """Run the module over whole sequences, beginning in the states ``first``.

    PyTorch computes LSTMs on the CPU by oneDNN, which fails in bfloat16 on CPUs without AVX-512.
    There, an LSTM under autocast runs in single precision.
    """
    lacking = isinstance(network, nn.LSTM) and not HAS_BFLOAT16
    if not (lacking and torch.is_autocast_enabled("cpu") and inputs.data.device.type == "cpu"):
        return network(inputs, first)
    if first is not None:
        first = first.float() if isinstance(first, Tensor) else tuple(s.float() for s in first)
    with torch.autocast("cpu", enabled=False):
        return network(inputs.float(), first)


def initialize(network: nn.RNNBase) -> None:
    """Set Xavier inputs, orthogonal recurrence, zero biases, and 1 for the LSTM's forget gates."""
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
