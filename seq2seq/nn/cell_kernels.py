"""What a cell makes of its gates in one compiled pass: of floats, on the CPU, without a gradient.

PyTorch takes ten operations for it, each through memory, and as many more to spread the rows that
hypotheses share. Sigmoid and tanh are off by 2e-7 at most.
"""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np
import torch
from numba import types
from torch import Tensor

from seq2seq.mappings.cpu.compilation import careful
from seq2seq.mappings.cpu.powers import LOWEST_EXPONENT, exp2_single
from seq2seq.mappings.cpu.threads import RowKernel
from seq2seq.nn.repeated import Repeated

single = np.float32
ONE, TWO, LOG2_E = single(1.0), single(2.0), single(1 / math.log(2.0))
LARGEST_EXPONENT = single(126.0)
SMALL = single(0.625)  # to here a fraction is more precise than exponentials
A0, A1, B0, B1 = (single(number) for number in (945.0, 105.0, 945.0, 420.0))
B2 = single(15.0)
INPUTS_SHARED, PAST_SHARED = 1, 2


@careful
def exponential(power):
    """2^power, of what is no number too, within [2^−126, 2^126]."""
    power = power if power > LOWEST_EXPONENT else LOWEST_EXPONENT
    return exp2_single(power if power < LARGEST_EXPONENT else LARGEST_EXPONENT)


@careful
def sigmoid(x):
    """1/(1 + exp(−x))."""
    value = ONE / (ONE + exponential(-x * LOG2_E))
    return value if x == x else x


@careful
def tanh(x):
    """By Lambert's fraction where x is small, and by exp(2|x|) where not."""
    size, square = abs(x), x * x
    near = size * (A0 + square * (A1 + square)) / (B0 + square * (B1 + square * B2))
    far = ONE - TWO / (ONE + exponential(size * (TWO * LOG2_E)))
    value = math.copysign(near if size < SMALL else far, x)
    return value if x == x else x


def lstm_rows(
    inputs,  # [input rows, 4 · size]
    input_places,  # [rows]: the input row of each, if INPUTS_SHARED
    past,  # [past rows, 4 · size]
    places,  # [rows]: the past row of each, if PAST_SHARED
    memory,  # [past rows, size]
    hidden,  # [rows, size]
    carried,  # [rows, size]
    first,
    end,
    size,
    shared,
):
    """``hidden`` and ``carried`` from ``first`` to before ``end``; see ``cells.lstm_step``."""
    for row in range(first, end):
        a = 4 * size * (input_places[row] if shared & INPUTS_SHARED else row)
        source = places[row] if shared & PAST_SHARED else row
        b, c, to = 4 * size * source, size * source, size * row
        for k in range(size):
            keep = sigmoid(inputs[a + size + k] + past[b + size + k]) * memory[c + k]
            new = tanh(inputs[a + 2 * size + k] + past[b + 2 * size + k])
            value = keep + sigmoid(inputs[a + k] + past[b + k]) * new
            carried[to + k] = value
            out = sigmoid(inputs[a + 3 * size + k] + past[b + 3 * size + k])
            hidden[to + k] = out * tanh(value)


def gru_rows(inputs, input_places, past, places, memory, hidden, _, first, end, size, shared):
    """``hidden`` of the rows from ``first`` to before ``end``; see ``cells.gru_step``."""
    for row in range(first, end):
        a = 3 * size * (input_places[row] if shared & INPUTS_SHARED else row)
        source = places[row] if shared & PAST_SHARED else row
        b, c, to = 3 * size * source, size * source, size * row
        for k in range(size):
            reset = sigmoid(inputs[a + k] + past[b + k])
            update = sigmoid(inputs[a + size + k] + past[b + size + k])
            new = tanh(inputs[a + 2 * size + k] + reset * past[b + 2 * size + k])
            hidden[to + k] = new + update * (memory[c + k] - new)


def lstm(inputs: Repeated, past: Repeated, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden state and memory, from the gates' two parts ``[…, 4 · size]``; see ``lstm_step``."""
    hidden = memory.new_empty(past.rows, memory.size(1))
    carried = torch.empty_like(hidden)
    _run(LSTM, inputs, past, memory, hidden, carried)
    return hidden, carried


def gru(inputs: Repeated, past: Repeated, memory: Tensor) -> tuple[Tensor]:
    """The hidden state, from the gates' two parts ``[…, 3 · size]``; see ``gru_step``."""
    hidden = memory.new_empty(past.rows, memory.size(1))
    _run(GRU, inputs, past, memory, hidden, hidden)
    return (hidden,)


def _run(
    kernel: RowKernel,
    inputs: Repeated,
    past: Repeated,
    memory: Tensor,
    hidden: Tensor,
    carried: Tensor,
) -> None:
    # What is contiguous is held here, for as long as its address is used.
    given = (inputs.distinct, inputs.place, past.distinct, past.place, memory)
    parts = [None if part is None else part.contiguous() for part in given]
    pointers = [None if part is None else part.data_ptr() for part in (*parts, hidden, carried)]
    shared = INPUTS_SHARED * (inputs.place is not None) | PAST_SHARED * (past.place is not None)
    size = memory.size(1)
    kernel(*pointers, 0, hidden.size(0), size, shared, length=4 * size)


_REALS, _PLACES = types.CPointer(types.float32), types.CPointer(types.int64)
_SIGNATURE = types.void(*[_REALS, _PLACES] * 2, *[_REALS] * 3, *[types.int64] * 4)
LSTM, GRU = (RowKernel(function, _SIGNATURE, 7) for function in (lstm_rows, gru_rows))
