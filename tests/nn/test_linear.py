"""Both matrix products of the CPU agree, and gradients are PyTorch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import seq2seq.nn.linear
from seq2seq.nn.linear import Linear, fixed_weights, linear
from seq2seq.system.torch_internals import HAS_ONEDNN


@pytest.fixture(autouse=True)
def every_matrix_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.nn.linear.LARGE", 1)


@pytest.fixture(autouse=True, params=[True, False], ids=["oneDNN", "MKL"])
def either_product(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.nn.linear.PREFERS_ONEDNN", HAS_ONEDNN and request.param)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 5, 7), (0, 7)], ids=str)
def test_the_product_is_that_of_pytorch(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    x, weight, bias = (torch.randn(*s).to(dtype) for s in (shape, (6, 14), (6,)))
    with torch.no_grad():
        for matrix in (weight[:, :7].contiguous(), weight[:, 7:]):
            torch.testing.assert_close(linear(x, matrix, bias), F.linear(x, matrix, bias))
            torch.testing.assert_close(linear(x, matrix), F.linear(x, matrix))


def test_gradients_flow_where_they_are_wanted() -> None:
    layer, twin = Linear(7, 6), torch.nn.Linear(7, 6)
    twin.load_state_dict(layer.state_dict())
    x = torch.randn(5, 7)
    for module in (layer, twin):
        module(x).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, twin.weight.grad)
    torch.testing.assert_close(layer.bias.grad, twin.bias.grad)


def test_autocast_decides_the_type() -> None:
    layer, x = Linear(7, 6), torch.randn(5, 7)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16


@pytest.mark.skipif(not HAS_ONEDNN, reason="this PyTorch has no oneDNN")
def test_without_gradients_it_is_onednns_where_that_is_preferred() -> None:
    layer, x = Linear(7, 6), torch.randn(5, 7)
    with torch.profiler.profile() as profile, torch.inference_mode():
        layer(x)
    found = any("_linear_pointwise" in event.key for event in profile.key_averages())
    assert found == seq2seq.nn.linear.PREFERS_ONEDNN


@pytest.mark.skipif(not HAS_ONEDNN, reason="this PyTorch has no oneDNN")
@pytest.mark.parametrize("inference", [True, False])
def test_fixed_weights_are_packed_once(inference: bool) -> None:
    weight, bias = nn.Parameter(torch.randn(90, 24)), torch.randn(90)
    with torch.inference_mode(inference), torch.no_grad(), fixed_weights([weight]):
        packed = seq2seq.nn.linear._packed.get()
        for rows in (64, 320, 5, 1):
            x = torch.randn(rows, 24)
            for first in (0, 30):  # parts of a matrix are matrices of their own
                expected = F.linear(x, weight[first:], bias[first:])
                result = linear(x, weight[first:], bias[first:])
                torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
            assert len(packed.matrices) == 2
        x = torch.randn(7, 1, 24)
        torch.testing.assert_close(linear(x, weight), F.linear(x, weight), rtol=1e-5, atol=1e-5)


def test_the_same_call_in_a_search_gives_the_same_digits() -> None:
    weight, x = nn.Parameter(torch.randn(90, 24)), torch.randn(64, 24)
    with torch.no_grad(), fixed_weights([weight]):
        first, *others = (linear(x, weight) for _ in range(4))
    assert all(torch.equal(first, other) for other in others)


def test_weights_are_fixed_inside_only() -> None:
    layer, x = Linear(7, 90), torch.randn(5, 7)
    with torch.no_grad():
        for factor in (1.0, 2.0):
            layer.weight.mul_(factor)
            with fixed_weights(layer.parameters()):
                for _ in range(3):
                    expected = F.linear(x, layer.weight, layer.bias)
                    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_what_is_computed_at_each_use_is_neither_kept_nor_taken_for_another() -> None:
    x, parameter = torch.randn(5, 7), nn.Parameter(torch.randn(90, 7))
    with torch.no_grad(), fixed_weights([parameter]):
        for _ in range(6):
            weight = torch.randn(90, 7)
            torch.testing.assert_close(linear(x, weight), F.linear(x, weight), rtol=1e-5, atol=1e-5)
            del weight
        assert not seq2seq.nn.linear._packed.get().matrices


def test_it_is_compiled_in_one_graph_without_gradients() -> None:
    layer, x = Linear(7, 90), torch.randn(5, 7)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    with torch.no_grad(), fixed_weights(layer.parameters()):
        torch.testing.assert_close(compiled(x), layer(x))
