"""Properties of position encodings."""

import pytest
import torch

from seq2seq.nn.positions import Rotary, Sinusoidal


def test_rotary_scores_depend_on_distance_alone() -> None:
    rotary = Rotary(size=16, heads=2, max_length=64).double()
    query, key = torch.randn(2, 1, 2, 1, 8, dtype=torch.float64)

    def score(query_position: int, key_position: int) -> torch.Tensor:
        left, right = rotary.rotate(query, query_position), rotary.rotate(key, key_position)
        return (left * right).sum(-1)

    torch.testing.assert_close(score(9, 4), score(45, 40), atol=1e-5, rtol=0.0)
    assert not torch.allclose(score(9, 4), score(9, 5))


def test_rotary_turns_and_never_stretches() -> None:
    rotary = Rotary(size=8, heads=1, max_length=32)
    heads = torch.randn(2, 1, 32, 8)
    torch.testing.assert_close(rotary.rotate(heads).norm(dim=-1), heads.norm(dim=-1))


def test_sinusoids_are_those_of_the_paper() -> None:
    table = Sinusoidal(size=6, heads=1, max_length=20).add(torch.zeros(1, 20, 6))[0]
    for position in (0, 1, 19):
        for pair in range(3):
            angle = torch.tensor(position / 10000 ** (2 * pair / 6))
            expected = torch.stack([angle.sin(), angle.cos()])
            torch.testing.assert_close(table[position, 2 * pair : 2 * pair + 2], expected)


@pytest.mark.parametrize("kind", [Sinusoidal, Rotary])
def test_an_offset_continues_where_the_sequence_stopped(kind: type[Sinusoidal]) -> None:
    positions = kind(size=8, heads=1, max_length=16)
    x = torch.randn(1, 10, 8)
    torch.testing.assert_close(positions.add(x)[:, 6:], positions.add(x[:, 6:], 6))
    heads = x[:, None]
    torch.testing.assert_close(
        positions.rotate(heads)[:, :, 6:], positions.rotate(heads[:, :, 6:], 6)
    )
