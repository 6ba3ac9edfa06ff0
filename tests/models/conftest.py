"""Small models in every shape, and a batch with padding."""

import pytest
import torch
from small_models import VARIANTS
from torch import Tensor

from seq2seq.models import EncoderDecoder


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest) -> EncoderDecoder:
    """Each family with each value of each option."""
    return VARIANTS[request.param]()


@pytest.fixture
def source() -> Tensor:
    return torch.tensor([[4, 5, 6, 7, 3], [8, 9, 3, 0, 0], [10, 11, 12, 3, 0]])


@pytest.fixture
def source_lengths() -> Tensor:
    return torch.tensor([5, 3, 4])


@pytest.fixture
def target() -> Tensor:
    return torch.tensor([[2, 4, 5, 6], [2, 7, 8, 9], [2, 10, 4, 11]])
