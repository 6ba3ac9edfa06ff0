"""A small model of each kind, and a batch with padding."""

import pytest
import torch
from enumeration import BUILDERS
from torch import Tensor

from seq2seq.models import EncoderDecoder


@pytest.fixture(params=BUILDERS)
def model(request: pytest.FixtureRequest) -> EncoderDecoder:
    torch.manual_seed(2)
    model = BUILDERS[request.param]().double().eval()
    torch.nn.init.normal_(model.output.weight, std=1.0)  # far from uniform, so that ranks differ
    return model


@pytest.fixture
def source() -> Tensor:
    return torch.tensor([[4, 5, 6, 7, 3], [8, 9, 3, 0, 0], [10, 3, 0, 0, 0], [5, 11, 8, 3, 0]])


@pytest.fixture
def source_lengths() -> Tensor:
    return torch.tensor([5, 3, 2, 4])
