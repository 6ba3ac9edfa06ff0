"""Luong's attention against its formulas."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seq2seq.mappings import Softmax, Sparsemax
from seq2seq.nn.luong_attention import SCORES, LuongAttention


def dot(score: torch.nn.Module, query: Tensor, position: Tensor) -> Tensor:
    return query @ position


def general(score: torch.nn.Module, query: Tensor, position: Tensor) -> Tensor:
    return query @ score.projection.weight @ position


def additive(score: torch.nn.Module, query: Tensor, position: Tensor) -> Tensor:
    return score.vector(torch.tanh(score.query_projection(query) + score.projection(position)))[0]


@pytest.mark.parametrize("score", [dot, general, additive], ids=lambda score: score.__name__)
@pytest.mark.parametrize("mapping", [Softmax(), Sparsemax()], ids=str)
def test_weights_and_attentional_states_are_the_papers(
    score: Callable[..., Tensor], mapping: Softmax
) -> None:
    torch.manual_seed(0)
    attention = LuongAttention(6, 6, mapping, score.__name__).double()
    memory, queries = torch.randn(2, 5, 6).double(), torch.randn(2, 3, 6).double()
    lengths = [5, 3]
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    attentional, weights = attention(queries, attention.prepare(memory, mask))
    matrix = torch.cat([attention.context.weight, attention.query.weight], dim=1)
    for row, length in enumerate(lengths):
        for step, query in enumerate(queries[row]):
            positions = memory[row, :length]
            scores = torch.stack([score(attention.score, query, p) for p in positions])
            expected = mapping(scores)
            torch.testing.assert_close(weights[row, step, :length], expected)
            assert (weights[row, step, length:] == 0).all()
            both = torch.cat([expected @ positions, query])
            torch.testing.assert_close(attentional[row, step], torch.tanh(matrix @ both))


def test_dot_needs_one_size() -> None:
    with pytest.raises(ValueError, match="use score=general"):
        LuongAttention(6, 4, Softmax(), "dot")


@pytest.mark.parametrize("score", ["dot", "general"])
def test_scaled_scores_are_those_of_a_transformer_times_four(score):
    torch.manual_seed(0)
    plain, scaled = (SCORES[score](64, 64, scaled) for scaled in (False, True))
    scaled.load_state_dict(plain.state_dict())
    queries, memory, change = torch.randn(2, 3, 64), torch.randn(2, 5, 64), torch.randn(64)
    expected = plain(queries, plain.keys(memory)) * 4 / 64**0.5
    torch.testing.assert_close(scaled(queries, scaled.keys(memory)), expected)
    coverage = torch.rand(2, 3, 5)
    plain_covered = plain.covered(queries, plain.keys(memory), change, coverage)
    scaled_covered = scaled.covered(queries, scaled.keys(memory), change, coverage)
    torch.testing.assert_close(scaled_covered, plain_covered * 4 / 64**0.5)
