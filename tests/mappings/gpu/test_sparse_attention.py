"""Blockwise attention against attention with a matrix of scores."""

import math

import pytest
import torch

from seq2seq.mappings import entmax
from seq2seq.mappings.gpu.attention import sparse_attention


def draw(*shape, seed=0, dtype=torch.float32, scale=1.0):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (scale * x).to(dtype)


def whole(query, key, value, mask=None, *, alpha=1.5, gamma=1.0, causal=False, scale=None):
    """In float64, with all scores at once."""
    q, k, v = query.double(), key.double(), value.double()
    scores = q @ k.mT * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    allowed = torch.ones(scores.shape[-2:], dtype=torch.bool)
    if causal:
        allowed = allowed.tril()
    if mask is not None:
        allowed, v = allowed & mask, v.masked_fill(~mask.mT, 0.0)
        scores = scores.masked_fill(~mask, 0.0)
    return entmax(scores, allowed, alpha=alpha, gamma=gamma) @ v


def run(attend, tensors, gradient, device="cpu", mask=None, **keywords):
    """Return the result and the gradients of query, key and value."""
    leaves = [x.detach().to(device).requires_grad_() for x in tensors]
    mask = None if mask is None else mask.to(device)
    out = attend(*leaves, mask, **keywords)
    gradients = torch.autograd.grad(out, leaves, gradient.to(device, out.dtype))
    return [x.detach().cpu() for x in (out, *gradients)]


def compare(tensors, device, tolerance, mask=None, **keywords):
    gradient = draw(*tensors[0].shape[:3], tensors[2].shape[-1], seed=9)
    ours = run(sparse_attention, tensors, gradient, device, mask, **keywords)
    expected = run(whole, tensors, gradient, "cpu", mask, **keywords)
    for x, y in zip(ours, expected, strict=True):
        torch.testing.assert_close(x.double(), y.double(), rtol=tolerance, atol=tolerance)
    return ours


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0, 2.5])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("target", "source"), [(1, 1), (33, 7), (45, 70)])
def test_it_is_attention_by_entmax(alpha, causal, target, source, device):
    tensors = draw(2, 2, target, 8), draw(2, 2, source, 8, seed=1), draw(2, 2, source, 5, seed=2)
    # Above α = 2 the derivative is unbounded where a weight tends to 0: float32 scores tell on it.
    tolerance = 3e-4 if alpha > 2 else 3e-6
    compare(tensors, device, tolerance, alpha=alpha, causal=causal, gamma=0.4)


@pytest.mark.parametrize("alpha", [1.5, 2.0])
def test_masked_keys_are_as_if_removed(alpha, device):
    """Whatever they hold; and a sentence with no key gets zeros and no gradient."""
    tensors = draw(3, 2, 20, 8), draw(3, 2, 40, 8, seed=1), draw(3, 2, 40, 8, seed=2)
    mask = torch.rand(3, 1, 1, 40, generator=torch.Generator().manual_seed(3)) > 0.4
    mask[2] = False
    tensors[1][~mask.mT.expand(3, 2, 40, 1).squeeze(-1)] = math.nan
    tensors[2][~mask.mT.expand(3, 2, 40, 1).squeeze(-1)] = math.inf
    gradient = draw(3, 2, 20, 8, seed=9)
    ours = run(sparse_attention, tensors, gradient, device, mask, alpha=alpha, gamma=0.5)
    clean = [x.nan_to_num(nan=0.0, posinf=0.0) for x in tensors]
    expected = run(whole, clean, gradient, "cpu", mask, alpha=alpha, gamma=0.5)
    for x, y in zip(ours, expected, strict=True):
        torch.testing.assert_close(x, y.float(), rtol=3e-6, atol=3e-6)
    assert all((x[2] == 0).all() for x in ours)
    assert (ours[2].mT[~mask.expand(3, 2, 8, 40)] == 0).all()


@pytest.mark.parametrize("alpha", [1.3, 1.5, 2.0])
def test_a_constant_added_to_the_scores_changes_nothing(alpha, device):
    """Numbers that float32 products hold exactly, so that any difference is the method's."""
    q, k = ((draw(1, 2, 20, 16, seed=seed) * 4).round() / 4 for seed in (0, 1))
    v = draw(1, 2, 20, 8, seed=2)
    far = [torch.cat([x, torch.full((1, 2, 20, 1), 100.0)], dim=-1) for x in (q, k)]
    here = sparse_attention(*(x.to(device) for x in (q, k, v)), alpha=alpha, scale=0.25)
    there = sparse_attention(*(x.to(device) for x in (*far, v)), alpha=alpha, scale=0.25)
    torch.testing.assert_close(here, there, rtol=1e-6, atol=1e-6)


# Triton's interpreter multiplies the bits of bfloat16, as if they were integers.
BFLOAT16 = pytest.param(torch.bfloat16, marks=pytest.mark.gpu)


@pytest.mark.parametrize("dtype", [torch.float16, BFLOAT16])
def test_half_precision(dtype, device):
    tensors = [draw(1, 2, 70, 16, seed=seed, dtype=dtype) for seed in range(3)]
    compare(tensors, device, 4e-2 if dtype == torch.bfloat16 else 5e-3, causal=True)


def test_any_strides(device):
    tensors = [draw(2, 35, 3, 8, seed=seed).transpose(1, 2) for seed in range(3)]
    tensors[2] = draw(2, 3, 8, 70, seed=2).mT[:, :, ::2]
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool).expand(2, 1, 1, 35)
    compare(tensors, device, 3e-6, mask)


def test_a_broken_query_breaks_itself_alone(device):
    tensors = draw(1, 1, 6, 4), draw(1, 1, 9, 4, seed=1), draw(1, 1, 9, 4, seed=2)
    tensors[0][0, 0, 2, 0] = math.nan
    out, query_gradient, *_ = run(sparse_attention, tensors, draw(1, 1, 6, 4, seed=9), device)
    for x in (out, query_gradient):
        assert x[0, 0, 2].isnan().all()
        assert x[0, 0, [0, 1, 3, 4, 5]].isfinite().all()


def test_no_keys_to_attend_to(device):
    for target, source in [(0, 3), (3, 0)]:
        tensors = draw(2, 1, target, 4), draw(2, 1, source, 4), draw(2, 1, source, 4)
        out = sparse_attention(*(x.to(device) for x in tensors))
        assert out.shape == (2, 1, target, 4)
        assert (out == 0).all()


def test_errors_say_how_to_fix_them(device):
    x = draw(1, 1, 3, 4)
    with pytest.raises(TypeError, match="float32"):
        sparse_attention(x.double(), x.double(), x.double())
    with pytest.raises(ValueError, match="batch, 1, 1, source"):
        sparse_attention(x, x, x, torch.ones(3, dtype=torch.bool))
    with pytest.raises(ValueError, match="alpha"):
        sparse_attention(x, x, x, alpha=1.0)
