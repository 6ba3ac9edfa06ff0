"""The coverage loss against hand-computed values, and coverage in attention scores."""

import pytest
import torch
from torch import Tensor

from seq2seq.mappings import Softmax, Sparsemax
from seq2seq.nn.coverage import coverage_loss
from seq2seq.nn.losses import SequenceLoss
from seq2seq.nn.luong_attention import SCORES, LuongAttention


def test_looking_twice_costs_by_hand() -> None:
    rows = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.2, 0.8, 0.0], [1.0, 0.0, 0.0]])
    attention = rows[None, None, None]
    # coverage before each row: 0 0 0 | .5 .5 0 | 1 .5 .5 | 1.2 1.3 .5
    real = torch.ones(1, 4, dtype=torch.bool)
    assert float(coverage_loss(attention, real)) == pytest.approx(0.0 + 0.5 + 0.7 + 1.0)
    real[0, 3] = False
    assert float(coverage_loss(attention, real)) == pytest.approx(1.2)


def test_it_is_of_the_mean_over_heads_of_the_last_layer() -> None:
    one, two = torch.eye(2), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    attention = torch.stack([torch.stack([two, two]), torch.stack([one, two])])[None]
    # the mean is .5 .5 | 0 1, which has .5 on what was seen
    assert float(coverage_loss(attention, torch.ones(1, 2, dtype=torch.bool))) == 0.5


def test_the_sequence_loss_adds_it_by_its_weight() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 7), torch.tensor([[4, 5, 3], [6, 3, 0]])
    attention = torch.softmax(torch.randn(2, 1, 1, 3, 4), -1)
    without, loss = SequenceLoss(), SequenceLoss(coverage=0.5)
    assert loss.reads_attention
    assert not without.reads_attention
    plain = without(logits, target, Softmax())
    found = loss(logits, target, Softmax(), attention)
    extra = coverage_loss(attention, target != 0)
    torch.testing.assert_close(found.loss_sum, plain.loss_sum + 0.5 * extra)
    assert found.nll_sum == plain.nll_sum
    with pytest.raises(ValueError, match="needs the attention of the model"):
        loss(logits, target, Softmax())
    with pytest.raises(ValueError, match=r"loss\.coverage=-1"):
        SequenceLoss(coverage=-1)


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_those_of_keys_moved_by_the_coverage(score: str) -> None:
    torch.manual_seed(0)
    attention = LuongAttention(6, 6, Sparsemax(), score, coverage=True).double()
    torch.nn.init.normal_(attention.coverage)
    states = torch.randn(2, 3, 6, dtype=torch.float64)
    source = torch.randn(2, 5, 6, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    memory = attention.prepare(source, mask)
    _, weights = attention(states, memory)
    coverage = torch.zeros(2, 5, dtype=torch.float64)
    for position in range(3):
        keys = memory.keys + coverage[..., None] * attention.coverage
        scores: Tensor = attention.score(states[:, position : position + 1], keys)
        expected = Sparsemax()(scores, mask[:, None])
        torch.testing.assert_close(weights[:, position : position + 1], expected)
        coverage = coverage + expected[:, 0]


def test_with_nothing_learned_yet_coverage_changes_nothing() -> None:
    def weights(coverage: bool) -> Tensor:
        torch.manual_seed(0)
        attention = LuongAttention(6, 6, Softmax(), "general", coverage)
        memory = attention.prepare(torch.ones(1, 4, 6), torch.ones(1, 4, dtype=torch.bool))
        return attention(torch.ones(1, 3, 6), memory)[1]

    torch.testing.assert_close(weights(True), weights(False))
