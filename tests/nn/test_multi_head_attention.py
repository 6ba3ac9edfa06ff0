"""Multi-head attention against its formula and PyTorch's own module."""

import pytest
import torch
from torch import Tensor, nn

from seq2seq.mappings import Softmax, Sparsemax
from seq2seq.nn.multi_head_attention import MultiHeadAttention


def attend(layer: MultiHeadAttention, x: Tensor, **options: object) -> tuple[Tensor, Tensor]:
    queries, attended = layer.queries_keys_values(x)
    return layer(queries, attended, **options)


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 5, 8, dtype=torch.float64)


@pytest.fixture
def mask() -> Tensor:
    return (torch.arange(5) < torch.tensor([5, 3, 1])[:, None])[:, None, None]


@pytest.mark.parametrize("gamma", [1.0, 0.3])
@pytest.mark.parametrize("causal", [False, True])
def test_fused_and_explicit_softmax_agree(
    x: Tensor, mask: Tensor, gamma: float, causal: bool
) -> None:
    layer = MultiHeadAttention(8, 2, Softmax(gamma=gamma)).double()
    options = {"causal": True} if causal else {"mask": mask}
    fused, nothing = attend(layer, x, **options)
    explicit, weights = attend(layer, x, return_weights=True, **options)
    assert nothing is None
    assert weights is not None
    torch.testing.assert_close(fused, explicit)


@pytest.mark.parametrize("per", ["layer", "head"])
@pytest.mark.parametrize("causal", [False, True])
def test_fused_and_explicit_softmax_agree_on_a_learned_gamma(
    x: Tensor, mask: Tensor, per: str, causal: bool
) -> None:
    layer = MultiHeadAttention(8, 2, Softmax(0.5, learn=["gamma"], per=per)).double()
    free = layer.mapping.learned()["gamma"].free
    with torch.no_grad():
        free += torch.arange(free.numel()).reshape(free.shape)
    options = {"causal": True} if causal else {"mask": mask}
    gradients = []
    for asked in (False, True):
        layer.zero_grad()
        output, weights = attend(layer, x, return_weights=asked, **options)
        output.square().sum().backward()
        assert (weights is not None) == asked
        gradients.append([output, *(parameter.grad for parameter in layer.parameters())])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert free.grad.all()


def test_a_learned_gamma_in_half_precision(x: Tensor) -> None:
    layer = MultiHeadAttention(8, 2, Softmax(learn=["gamma"], per="head"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = attend(layer, x.float())
    output.float().square().sum().backward()
    assert layer.mapping.learned()["gamma"].free.grad.isfinite().all()


def test_a_learned_gamma_receives_its_gradient(x: Tensor) -> None:
    gamma = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    layer = MultiHeadAttention(8, 2, Softmax(gamma=gamma)).double()
    output, _ = attend(layer, x)
    torch.testing.assert_close(
        output, attend(_same(layer, MultiHeadAttention(8, 2, Softmax()).double()), x)[0]
    )
    output.square().sum().backward()
    assert gamma.grad is not None
    assert gamma.grad != 0


def test_agrees_with_pytorchs_module(x: Tensor, mask: Tensor) -> None:
    layer = MultiHeadAttention(8, 2, Softmax()).double()
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).double()
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = layer.inputs.weight, layer.inputs.bias
    theirs.out_proj.load_state_dict(layer.output.state_dict())
    output, weights = attend(layer, x, mask=mask, return_weights=True)
    expected, expected_weights = theirs(
        x, x, x, key_padding_mask=~mask[:, 0, 0], average_attn_weights=False
    )
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(weights, expected_weights)


def test_cross_attention_projects_like_self_attention(x: Tensor) -> None:
    layer = MultiHeadAttention(8, 2, Sparsemax()).double()
    torch.testing.assert_close(
        layer(layer.queries(x), layer.keys_values(x))[0], attend(layer, x)[0]
    )


def test_no_keys_to_attend_to_give_no_nan(x: Tensor) -> None:
    nobody = torch.zeros(3, 1, 1, 5, dtype=torch.bool)
    for mapping in (Softmax(), Sparsemax()):
        layer = MultiHeadAttention(8, 2, mapping).double()
        for asked in (False, True):
            output, _ = attend(layer, x, mask=nobody, return_weights=asked)
            torch.testing.assert_close(output, layer.output.bias.expand_as(output))


def _same(source: nn.Module, target: MultiHeadAttention) -> MultiHeadAttention:
    target.load_state_dict(source.state_dict(), strict=False)
    return target
