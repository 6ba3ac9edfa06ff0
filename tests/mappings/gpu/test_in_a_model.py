"""A Transformer's attention uses the blockwise kernels where they are faster."""

import pytest
import torch

from seq2seq.mappings import Entmax, Fusedmax, Sparsemax
from seq2seq.nn import blockwise_attention
from seq2seq.nn.multi_head_attention import KeysValues, MultiHeadAttention


@pytest.fixture
def everywhere(device, monkeypatch):
    """Blocks for short sequences too, on the device of the test."""
    monkeypatch.setattr(blockwise_attention, "LONG", 1)
    monkeypatch.setattr(blockwise_attention, "DEVICES", (device,))


@pytest.mark.parametrize(
    "mapping",
    [Sparsemax(gamma=0.5), Entmax(), Sparsemax(0.5).relative(), Entmax(1.7).relative()],
    ids=repr,
)
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_give_what_the_scores_give(mapping, causal, device, everywhere):
    torch.manual_seed(0)
    attention = MultiHeadAttention(16, 2, mapping).to(device)
    x = torch.randn(2, 9, 16, device=device)
    mask = (torch.arange(9) < torch.tensor([9, 5])[:, None])[:, None, None].to(device)
    results = []
    for return_weights in (False, True):  # with weights asked for, by the scores
        leaf = x.clone().requires_grad_()
        queries, attended = attention.queries_keys_values(leaf)
        y, _ = attention(
            queries,
            attended,
            None if causal else mask,
            causal=causal,
            return_weights=return_weights,
        )
        y.square().sum().backward()
        results.append((y.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-4)


def test_what_needs_the_scores_or_weights_does_without_blocks(device, everywhere):
    queries = torch.randn(2, 2, 5, 8, device=device)
    keys = torch.randn(2, 2, 9, 8, device=device)
    mask = torch.ones(2, 1, 1, 9, dtype=torch.bool, device=device)

    def alpha(mapping, mask=mask):
        return blockwise_attention.blockwise_alpha(mapping, queries, keys, mask)

    assert alpha(Entmax(alpha=1.7)) == 1.7
    assert alpha(Sparsemax(), mask=None) == 2.0
    assert alpha(Fusedmax()) is None
    assert alpha(Entmax(learn=["alpha"])) is None
    assert alpha(Sparsemax(), mask=mask.expand(2, 1, 5, 9)) is None
    dropping = MultiHeadAttention(16, 2, Sparsemax(), dropout=0.5)
    assert dropping._blockwise_alpha(queries, KeysValues(keys, keys), mask) is None
    assert dropping.eval()._blockwise_alpha(queries, KeysValues(keys, keys), mask) == 2.0
