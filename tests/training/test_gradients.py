"""Gradients of a sum become those of the mean, clipped by their norm."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from seq2seq.training.gradients import scale_and_clip


def parameters(seed: int) -> list[nn.Parameter]:
    torch.manual_seed(seed)
    found = [nn.Parameter(torch.randn(shape)) for shape in ((3, 4), (5,), ())]
    for parameter in found:
        parameter.grad = 10 * torch.randn_like(parameter)
    return [*found, nn.Parameter(torch.ones(2))]  # the last took no part


@pytest.mark.parametrize("limit", [1.0, 1e6, math.inf])
def test_they_are_scaled_and_clipped_as_pytorch_clips_means(limit: float) -> None:
    found, expected = parameters(1), parameters(1)
    norm = scale_and_clip(found, torch.tensor(0.125, dtype=torch.float64), limit)
    for parameter in expected[:-1]:
        parameter.grad *= 0.125
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(expected, limit))
    for one, other in zip(found[:-1], expected[:-1], strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    assert found[-1].grad is None
