"""The cells' single steps against PyTorch's whole sequences."""

import pytest
import torch
import torch.nn.functional as F

from seq2seq.nn import cell_kernels, cells
from seq2seq.nn.cells import CELLS
from seq2seq.nn.repeated import Repeated


@pytest.mark.parametrize("name", CELLS)
def test_steps_add_up_to_the_sequence(name: str) -> None:
    torch.manual_seed(0)
    cell = CELLS[name]
    network = cell.module(5, 7, batch_first=True).double()
    x = torch.randn(3, 6, 5, dtype=torch.float64)
    states = tuple(torch.randn(3, 7, dtype=torch.float64) for _ in range(cell.states))
    first = tuple(state[None] for state in states)
    expected, _ = network(x, first if cell.states == 2 else first[0])
    for position in range(6):
        gates = F.linear(x[:, position], network.weight_ih_l0, network.bias_ih_l0)
        states = cell.step(Repeated(gates), states, network.weight_hh_l0, network.bias_hh_l0)
        torch.testing.assert_close(states[0], expected[:, position])


GATES = {"lstm": 4, "gru": 3}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_compiled_pass_is_the_cell(
    name: str, shared: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    cell, rows, size = CELLS[name], 333, 129
    gates = GATES[name] * size
    inputs, past = 3 * torch.randn(rows, gates), torch.randn(rows, size)
    given, place = Repeated(inputs), None
    if shared:
        given = Repeated(inputs, torch.randint(rows, (400,)))
        place = torch.randint(rows, (400,))
    states = (past, *(2 * torch.randn(rows, size) for _ in range(cell.states - 1)))
    weight, bias = 0.2 * torch.randn(gates, size), torch.randn(gates)
    exact = [tensor.double() for tensor in (*states, weight, bias)]
    expected = cell.step(
        Repeated(inputs.double(), given.place), tuple(exact[:-2]), *exact[-2:], place
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            monkeypatch.setattr(cells, "WORTH_COMPILING", 1)
            found = cell.step(given, states, weight, bias, place)
    finally:
        torch.set_num_threads(before)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-5, atol=5e-6)


def test_the_compiled_pass_of_extremes() -> None:
    nan, inf = torch.nan, torch.inf
    x = torch.tensor([nan, inf, -inf, 1e30, -1e30, 0.0, -0.0, 1e-30, 1e-3, 0.6249, 0.6251, 90, -90])
    gates = torch.zeros(len(x), 4)
    gates[:, 2] = x  # memory = σ(20) tanh x
    gates[:, 0] = 20
    nothing = Repeated(torch.zeros(len(x), 4))
    _, memory = cell_kernels.lstm(Repeated(gates), nothing, torch.zeros(len(x), 1))
    expected = torch.sigmoid(torch.tensor(20.0)) * torch.tanh(x[:, None])
    torch.testing.assert_close(memory, expected, rtol=3e-7, atol=0, equal_nan=True)
