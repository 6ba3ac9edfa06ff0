"""The best continuations of hypotheses."""

import pytest
import torch

from seq2seq.search.beams import PIECE, largest


@pytest.mark.parametrize("length", [1, PIECE, 40 * PIECE, 40 * PIECE + 1, 41 * PIECE - 1, 40_000])
@pytest.mark.parametrize("number", [1, 10])
def test_the_largest_are_those_of_topk(length: int, number: int) -> None:
    number = min(number, length)
    generator = torch.Generator().manual_seed(length)
    x = torch.randn(5, length, generator=generator)
    x[1, torch.rand(length, generator=generator) < 0.9] = -torch.inf
    x[2] = -torch.inf
    x[3, length // 2 :] = x[3, 0]  # ties
    x[4, -1] = 9.0
    found, places = largest(x, number)
    torch.testing.assert_close(found, x.topk(number).values, rtol=0, atol=0)
    torch.testing.assert_close(x.gather(1, places), found, rtol=0, atol=0)
    for row in places.tolist():
        assert len(set(row)) == number
