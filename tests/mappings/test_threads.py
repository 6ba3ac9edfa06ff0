"""Kernels over rows: every row once, whoever's threads they are."""

import sys

import pytest
import torch
from numba import types

from seq2seq.mappings.cpu import threads
from seq2seq.mappings.cpu.threads import GRAIN, RowKernel


def visit(counts, first, end, weight, size):
    """Adds ``weight · size`` to the rows from ``first`` to before ``end``."""
    for row in range(first, end):
        counts[row] += weight * size


SIGNATURE = types.void(
    types.CPointer(types.float64), types.int64, types.int64, types.float64, types.int64
)
VISIT = RowKernel(visit, SIGNATURE, 1)


@pytest.fixture(params=["OpenMP", "a pool"])
def three_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    if request.param == "OpenMP" and threads._openmp() is None:
        pytest.skip("PyTorch runs on no OpenMP here that can be found")
    if request.param == "a pool":
        monkeypatch.setattr(threads, "_openmp", lambda: None)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("rows", [1, 2, 3, 11, 12, 13, 1000, 1001])
@pytest.mark.parametrize("length", [1, GRAIN // 8, GRAIN])
def test_every_row_has_its_turn_once(rows: int, length: int, first: int, three_threads) -> None:
    counts = torch.zeros(rows + 10, dtype=torch.float64)
    VISIT(counts.data_ptr(), first, first + rows, 1.5, 2, length=length)
    expected = torch.zeros_like(counts)
    expected[first : first + rows] = 3.0
    assert torch.equal(counts, expected)


def test_pytorchs_openmp_is_found_where_it_has_one() -> None:
    if sys.platform != "linux" or not torch.backends.openmp.is_available():
        pytest.skip("a PyTorch without OpenMP, or whose symbols are not shared")
    assert threads._openmp() is not None
