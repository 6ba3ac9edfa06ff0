"""The distribution that search uses."""

import pytest
import torch

from seq2seq.mappings import Fusedmax, Mapping, Softmax, Sparsemax
from seq2seq.search.distribution import log_probabilities


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


def test_nothing_is_possible_where_all_that_is_possible_is_forbidden() -> None:
    """Logits that are log-probabilities have zeros of their own: no NaN comes of it."""
    logits = torch.tensor([[0.25, 0.0, 0.75, 0.0], [0.5, 0.25, 0.0, 0.25]]).log()
    found = log_probabilities(logits, Softmax(), torch.tensor([0, 2]))
    assert (found[0] == -torch.inf).all()
    torch.testing.assert_close(found[1].exp(), torch.tensor([0.0, 0.5, 0.0, 0.5]))


@pytest.mark.parametrize("shape", [(1, 5), (7, 8001), (64, 8000), (3, 50_000)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_in_the_place_of_the_logits_as_anywhere_else(
    shape: tuple[int, int], dtype: torch.dtype
) -> None:
    logits = (5 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))).to(dtype)
    forbidden = torch.tensor([0, 2])
    expected = logits.index_fill(-1, forbidden, -torch.inf)
    expected = expected.log_softmax(-1, dtype=torch.promote_types(dtype, torch.float32))
    found = log_probabilities(logits, Softmax(), forbidden)
    torch.testing.assert_close(found, expected)
