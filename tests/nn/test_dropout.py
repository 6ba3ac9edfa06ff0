"""The distribution, scale and gradient of dropout."""

import pytest
import torch

from seq2seq.nn.dropout import Dropout


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_zeros_come_with_probability_p_and_independently(p: float) -> None:
    torch.manual_seed(0)
    dropped = Dropout(p)(torch.ones(4, 100_001)) == 0  # a size that is no multiple of four
    deviation = (p * (1 - p) / dropped.numel()) ** 0.5
    assert dropped.double().mean().item() == pytest.approx(p, abs=5 * deviation)
    for distance in range(1, 9):  # neighbors share a random word
        both = (dropped[:, distance:] & dropped[:, :-distance]).double().mean().item()
        assert both == pytest.approx(p * p, abs=8 * deviation)


def test_what_stays_is_scaled_and_the_gradient_goes_the_same_way() -> None:
    x = torch.randn(50, 30, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.25)(x)
    kept = y != 0
    torch.testing.assert_close(y, torch.where(kept, x / 0.75, 0.0))
    y.sum().backward()
    torch.testing.assert_close(x.grad, kept.double() / 0.75)


def test_it_follows_the_seed() -> None:
    x = torch.ones(1000)
    torch.manual_seed(3)
    first, second = Dropout(0.5)(x), Dropout(0.5)(x)
    torch.manual_seed(3)
    assert torch.equal(Dropout(0.5)(x), first)
    assert not torch.equal(second, first)


def test_evaluation_and_zero_leave_x_alone() -> None:
    x = torch.randn(5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_impossible_probabilities_are_refused(p: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        Dropout(p)
