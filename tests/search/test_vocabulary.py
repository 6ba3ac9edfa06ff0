"""The distribution that search reads."""

import pytest
import torch

from seq2seq.mappings import Fusedmax, Mapping, Softmax, Sparsemax
from seq2seq.search.vocabulary import log_probabilities


@pytest.mark.parametrize("mapping", [Softmax(), Softmax(0.5), Sparsemax(), Fusedmax()], ids=str)
def test_it_is_the_output_mappings_over_the_tokens_that_may_come(mapping: Mapping) -> None:
    logits = torch.randn(3, 9, dtype=torch.float64)
    allowed = torch.ones(9, dtype=torch.bool)
    allowed[[0, 2]] = False
    expected = mapping(logits, allowed)
    found = log_probabilities(logits.clone(), mapping, torch.tensor([0, 2])).exp()
    torch.testing.assert_close(found, expected)
    assert (found[:, [0, 2]] == 0).all()
    torch.testing.assert_close(found.sum(-1), torch.ones(3, dtype=torch.float64))
