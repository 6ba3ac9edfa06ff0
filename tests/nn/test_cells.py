"""The cells' single steps against PyTorch's whole sequences."""

import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from seq2seq.nn import cell_kernels, cells
from seq2seq.nn.cells import CELLS
from seq2seq.nn.linear import fixed_weights
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


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the cells whose compiled pass has been called."""
    found: list[str] = []
    for name in CELLS:
        real = getattr(cell_kernels, name)

        def called(*arguments: Any, name: str = name, real: Any = real) -> Any:
            found.append(name)
            return real(*arguments)

        monkeypatch.setattr(cell_kernels, name, called)
    return found


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_compiled_pass_is_the_cell(
    name: str, shared: bool, threads: int, compiled: list[str]
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
        with torch.no_grad(), fixed_weights():
            found = cell.step(given, states, weight, bias, place)
    finally:
        torch.set_num_threads(before)
    assert compiled == [name]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-5, atol=5e-6)


def test_the_compiled_pass_is_of_searches_and_what_it_can_read(compiled: list[str]) -> None:
    cell, size = CELLS["lstm"], 12
    weight, bias = torch.randn(48, size), torch.randn(48)

    def step(inputs: torch.Tensor, dtype: torch.dtype = torch.float32) -> None:
        states = (torch.randn(6, size, dtype=dtype), torch.randn(6, size, dtype=dtype))
        cell.step(Repeated(inputs.to(dtype)), states, weight.to(dtype), bias.to(dtype))

    with torch.no_grad():
        step(torch.randn(6, 48))
        with fixed_weights():
            step(torch.randn(1, 48))  # one row for all
            step(torch.randn(6, 48), torch.float64)
            assert not compiled
            step(torch.randn(6, 48))
            assert compiled == ["lstm"]


def test_the_compiler_is_loaded_when_it_is_repaid(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cell_kernels.LSTM.call  # compiled before the compiler is hidden
    monkeypatch.delitem(sys.modules, cells.COMPILER)
    monkeypatch.setattr(cells, "REPAID", 2 * 6 * 12)
    monkeypatch.setattr(cells, "_passed", 0)
    weight, bias, states = torch.randn(48, 12), torch.randn(48), torch.randn(2, 6, 12).unbind()
    counts = []
    with torch.no_grad(), fixed_weights():
        for _ in range(4):
            CELLS["lstm"].step(Repeated(torch.randn(6, 48)), states, weight, bias)
            counts.append(len(compiled))
    assert counts == [0, 0, 1, 2]


@pytest.mark.parametrize(("name", "gate"), [(n, gate) for n in CELLS for gate in range(GATES[n])])
def test_the_compiled_pass_of_extremes(name: str, gate: int) -> None:
    nan, inf = torch.nan, torch.inf
    x = torch.tensor([nan, inf, -inf, 1e30, -1e30, 0.0, -0.0, 1e-30, 1e-3, 0.6249, 0.6251, 90, -90])
    gates = torch.ones(len(x), GATES[name])
    gates[:, gate] = x
    state = (torch.full((len(x), 1), 0.5),) * CELLS[name].states
    nothing = torch.zeros(GATES[name], 1), torch.zeros(GATES[name])
    exact = (tuple(part.double() for part in state), *(part.double() for part in nothing))
    expected = CELLS[name].step(Repeated(gates.double()), *exact)
    past = Repeated(torch.zeros(len(x), GATES[name]))
    found = getattr(cell_kernels, name)(Repeated(gates), past, state[-1])
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-6, atol=1e-37, equal_nan=True)
