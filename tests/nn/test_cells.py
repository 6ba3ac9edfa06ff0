"""The cells' single steps against PyTorch's whole sequences."""

import pytest
import torch
import torch.nn.functional as F

from seq2seq.nn.cells import CELLS


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
        states = cell.step(gates, states, network.weight_hh_l0, network.bias_hh_l0)
        torch.testing.assert_close(states[0], expected[:, position])
