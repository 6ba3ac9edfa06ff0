"""Single steps of the cells against PyTorch's whole sequences."""

import pytest
import torch
import torch.nn.functional as F

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


@pytest.mark.parametrize("name", CELLS)
def test_shared_rows_are_as_if_repeated(name: str) -> None:
    torch.manual_seed(0)
    cell, size = CELLS[name], 7
    gates = 28 if name == "lstm" else 21
    inputs, weight, bias = torch.randn(5, gates), torch.randn(gates, size), torch.randn(gates)
    states = tuple(torch.randn(4, size) for _ in range(cell.states))
    which, place = torch.tensor([4, 4, 0, 1, 2, 4]), torch.tensor([3, 0, 0, 1, 2, 3])
    shared = cell.step(Repeated(inputs, which), states, weight, bias, place)
    repeated = cell.step(
        Repeated(inputs[which]), tuple(state[place] for state in states), weight, bias
    )
    for ours, theirs in zip(shared, repeated, strict=True):
        torch.testing.assert_close(ours, theirs)
