"""The kernels against the references: values, derivatives, masks, types, strides and odd rows."""

import math

import pytest
import torch

from seq2seq.mappings import entmax, fusedmax, gpu, oscarmax, sparsemax, sqpnormmax

FLOAT = {torch.float32: 1e-6, torch.float64: 1e-12}


def shown(value):
    """Return the name of a case for the test's name; functions would show their address."""
    return getattr(value, "__name__", repr(value))


CASES = [
    ("sparsemax", sparsemax, {}),
    ("entmax", entmax, {"alpha": 1.5}),
    ("entmax", entmax, {"alpha": 1.05}),
    ("entmax", entmax, {"alpha": 1.3}),
    ("entmax", entmax, {"alpha": 2.0}),
    ("entmax", entmax, {"alpha": 2.5}),
    ("sqpnormmax", sqpnormmax, {"p": 1.5}),
    ("sqpnormmax", sqpnormmax, {"p": 1.1}),
    ("sqpnormmax", sqpnormmax, {"p": 2.0}),
    ("fusedmax", fusedmax, {"lam": 0.1}),
    ("fusedmax", fusedmax, {"lam": 0.01}),
    ("fusedmax", fusedmax, {"lam": 0.0}),
    ("oscarmax", oscarmax, {"lam": 0.1}),
    ("oscarmax", oscarmax, {"lam": 0.003}),
    ("oscarmax", oscarmax, {"lam": 0.0}),
]
every = pytest.mark.parametrize(("name", "reference", "keywords"), CASES, ids=shown)
ONE_EACH = [CASES[0], CASES[1], CASES[3], CASES[6], CASES[9], CASES[12]]
one_each = pytest.mark.parametrize(("name", "reference", "keywords"), ONE_EACH, ids=shown)
types = pytest.mark.parametrize("dtype", FLOAT, ids=str)


def draw(*shape, seed=0, dtype=torch.float32, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def holes(*shape, seed=0, share=0.3):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > share


def parameter(keywords):
    return next(iter(keywords.values()), 0.0)


def weights(name, scores, device, keywords, mask=None, gamma=1.0):
    mask = None if mask is None else mask.to(device)
    return gpu.argmax(name, scores.to(device), mask, None, None, gamma, parameter(keywords)).cpu()


def product(name, y, v, device, keywords, scores=None, mask=None, gamma=1.0):
    scores, mask = (None if x is None else x.to(device) for x in (scores, mask))
    return gpu.jacobian_product(
        name, y.to(device), v.to(device), scores, mask, None, None, gamma, parameter(keywords)
    ).cpu()


def expect(reference, scores, v, mask=None, gamma=1.0, **keywords):
    """Weights and the product of the Jacobian with v."""
    x = scores.clone().requires_grad_()
    y = reference(x, mask, gamma=gamma, **keywords)
    (gradient,) = torch.autograd.grad(y, x, v)
    return y.detach(), gradient


@every
@types
@pytest.mark.parametrize("length", [1, 2, 7, 17, 64, 130])
def test_weights_and_derivatives_are_those_of_the_reference(
    name, reference, keywords, dtype, length, device
):
    scales = torch.tensor([0.05, 0.3, 1.0, 3.0], dtype=dtype)[:, None]
    x = draw(4, length, seed=length, dtype=dtype) * scales
    v = draw(4, length, seed=length + 1, dtype=dtype)
    mask = holes(4, length, seed=length)
    y, gradient = expect(reference, x, v, mask, 0.7, **keywords)
    close = {"rtol": 0, "atol": FLOAT[dtype]}
    torch.testing.assert_close(weights(name, x, device, keywords, mask, 0.7), y, **close)
    ours = product(name, y, v, device, keywords, x, mask, 0.7)
    torch.testing.assert_close(ours, gradient, rtol=10 * FLOAT[dtype], atol=10 * FLOAT[dtype])


@every
@types
@pytest.mark.parametrize("seed", [0, 3])
def test_rows_of_many_kinds(name, reference, keywords, dtype, seed, device):
    x = draw(12, 100, seed=seed, dtype=torch.float64)
    x[:5] *= torch.tensor([0.01, 0.1, 0.3, 5.0, 30.0])[:, None]
    x[5] = 0.1 * x[5].cumsum(0)  # long runs
    x[6] = (4 * x[6]).round() / 4  # ties
    x[7], x[8] = torch.linspace(0, 1, 100), 3 * torch.linspace(0, 1, 100).pow(8)
    x[9] = (torch.arange(100) > 50) + 0.01 * x[9]
    x[10] = 0.0
    x, v = x.to(dtype), draw(12, 100, seed=seed + 1, dtype=dtype)
    y, gradient = expect(reference, x, v, **keywords)
    torch.testing.assert_close(weights(name, x, device, keywords), y, rtol=0, atol=FLOAT[dtype])
    ours = product(name, y, v, device, keywords)
    torch.testing.assert_close(ours, gradient, rtol=10 * FLOAT[dtype], atol=10 * FLOAT[dtype])


@one_each
def test_a_long_row(name, reference, keywords, device):
    x = draw(1, 4096, scale=0.5)
    v = draw(1, 4096, seed=1)
    y, gradient = expect(reference, x, v, **keywords)
    torch.testing.assert_close(weights(name, x, device, keywords), y, rtol=0, atol=1e-6)
    ours = product(name, y, v, device, keywords)
    torch.testing.assert_close(ours, gradient, rtol=1e-5, atol=1e-5)


@one_each
def test_odd_rows_stay_their_own(name, reference, keywords, device):
    """Rows with NaN, +inf, −inf, nothing to attend, ties and large scores, side by side."""
    x = draw(8, 21)
    mask = holes(8, 21, share=0.2)
    mask[:, :3] = True
    x[0, 0], x[1, 1], x[2, :2] = math.nan, math.inf, -math.inf
    x[3] = -math.inf
    mask[4] = False
    x[5] = 2.5
    x[6] += 1e4
    x[7, ~mask[7]] = math.nan
    y = weights(name, x, device, keywords, mask)
    torch.testing.assert_close(y, reference(x, mask, **keywords), rtol=0, atol=1e-6, equal_nan=True)
    assert y[:2].isnan().all()
    assert (y[3:5] == 0).all()
    ours = product(name, y, draw(8, 21, seed=1), device, keywords, x, mask)
    assert ours[:2].isnan().all()
    assert (ours[2:][y[2:] == 0] == 0).all()


@one_each
@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_a_constant_changes_nothing(name, reference, keywords, shift, device):
    x = (draw(3, 40) * 64).round() / 64  # which float32 holds with the shift as well
    shifted = weights(name, x + shift, device, keywords)
    assert torch.equal(shifted, weights(name, x, device, keywords))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@one_each
def test_half_precision_is_computed_in_float32(name, reference, keywords, dtype, device):
    x = draw(3, 20).to(dtype)
    y = weights(name, x, device, keywords)
    assert y.dtype == dtype
    torch.testing.assert_close(y, weights(name, x.float(), device, keywords).to(dtype))


@pytest.mark.parametrize("dtype", FLOAT, ids=str)
@pytest.mark.parametrize("name", ["fusedmax", "oscarmax"])
def test_fused_weights_are_equal_floats(name, dtype, device):
    x = draw(6, 60, dtype=dtype, scale=0.3)
    x[1] = torch.linspace(0, 0.2, 60, dtype=dtype)
    x[2] = (x[2] * 8).round() / 8
    keywords = {"lam": 0.1}
    reference = {"fusedmax": fusedmax, "oscarmax": oscarmax}[name]
    y, expected = weights(name, x, device, keywords), reference(x, **keywords)
    apart = y.sort(-1).values.diff() if name == "oscarmax" else y.diff()
    alike = expected.sort(-1).values.diff() if name == "oscarmax" else expected.diff()
    assert torch.equal(apart == 0, alike == 0)


@pytest.mark.parametrize("name", ["fusedmax"])
def test_both_sides_of_a_hole_are_neighbors(name, device):
    x = torch.tensor([[0.1, -math.inf, 0.2, 5.0, 0.15, -3.0]])
    mask = torch.tensor([[True, True, True, False, True, True]])
    v = draw(1, 6, seed=1)
    y, gradient = expect(fusedmax, x, v, mask, lam=0.2)
    keywords = {"lam": 0.2}
    ours = weights(name, x, device, keywords, mask)
    assert ours[0, 0] == ours[0, 2] == ours[0, 4] > 0
    torch.testing.assert_close(ours, y)
    torch.testing.assert_close(product(name, ours, v, device, keywords, x, mask), gradient)


@one_each
def test_parameters_may_differ_between_rows(name, reference, keywords, device):
    """γ a head, θ a query, and a mask a sentence: all read where they are."""
    x = draw(2, 3, 4, 11, dtype=torch.float64)
    v = draw(2, 3, 4, 11, seed=1, dtype=torch.float64)
    mask = holes(2, 1, 1, 11)
    gamma = torch.tensor([0.5, 1.0, 1.7], dtype=torch.float64)[:, None, None]
    theta = parameter(keywords) * torch.tensor([1.0, 1.2, 1.3, 1.1], dtype=torch.float64)
    theta = theta[:, None].to(device)
    y = gpu.argmax(name, x.to(device), mask.to(device), gamma.to(device), theta).cpu()
    ours = gpu.jacobian_product(name, *(t.to(device) for t in (y, v, x, mask, gamma)), theta).cpu()
    for query in range(4):
        arguments = {key: float(theta[query]) for key in keywords}
        at = (slice(None), slice(None), slice(query, query + 1))
        expected, gradient = expect(reference, x[at], v[at], mask, gamma, **arguments)
        torch.testing.assert_close(y[at], expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(ours[at], gradient, rtol=1e-10, atol=1e-11)


@one_each
def test_any_strides(name, reference, keywords, device):
    x = draw(13, 4, 2, 3, 2).to(device).permute(3, 1, 4, 2, 0)[:, ::2, :, :1]
    assert not x.is_contiguous()
    before = x.clone()
    y = gpu.argmax(name, x, None, None, None, 1.0, parameter(keywords))
    assert torch.equal(x, before)
    expected = gpu.argmax(name, before.contiguous(), None, None, None, 1.0, parameter(keywords))
    assert torch.equal(y, expected)
    v = torch.ones((), device=device).expand_as(y)
    ours = gpu.jacobian_product(name, y, v, x, None, None, None, 1.0, parameter(keywords))
    assert float(ours.abs().max()) < 1e-5  # weights of sum 1 do not move along 1


@one_each
def test_shapes_without_rows(name, reference, keywords, device):
    for shape in [(0, 5), (3, 0), (0,)]:
        assert weights(name, torch.zeros(shape), device, keywords).shape == shape
    assert weights(name, torch.zeros(4), device, keywords).tolist() == [0.25] * 4


@types
@pytest.mark.parametrize("p", [1.2, 1.5, 2.0, 3.0])
def test_normmax_is_optimal(p, dtype, device):
    """⟨y, x⟩ − ‖y‖_p is largest where x − ∇‖y‖_p is the same, τ, on the support and less off it."""
    x = draw(5, 33, dtype=dtype) * torch.tensor([0.02, 0.1, 0.5, 1.0, 3.0], dtype=dtype)[:, None]
    y = weights("normmax", x, device, {"p": p})
    torch.testing.assert_close(y.sum(-1), torch.ones(5, dtype=dtype), rtol=0, atol=1e-6)
    y, x = y.double(), x.double()
    gradient = (y / y.norm(p=p, dim=-1, keepdim=True)).pow(p - 1)
    rest = x - gradient
    tau = (y * rest).sum(-1, keepdim=True)
    close = 4 * p * FLOAT[dtype]
    assert float(((rest - tau).abs() * (y > 1e-4)).max()) < close
    assert float(((x - tau) * (y == 0)).max()) < close


@pytest.mark.parametrize("p", [1.2, 1.5, 2.0, 3.0])
def test_the_derivative_of_normmax(p, device):
    x, v = draw(4, 9, dtype=torch.float64), draw(4, 9, seed=1, dtype=torch.float64)
    keywords, step = {"p": p}, 1e-6
    y = weights("normmax", x, device, keywords, gamma=0.6)
    ahead = weights("normmax", x + step * v, device, keywords, gamma=0.6)
    behind = weights("normmax", x - step * v, device, keywords, gamma=0.6)
    ours = product("normmax", y, v, device, keywords, gamma=0.6)
    torch.testing.assert_close(ours, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-6)


def test_what_is_supported():
    assert all(gpu.supports(name, 4096) for name in gpu.NAMES)
    assert not gpu.supports("softmax", 8)
    assert not gpu.supports("sparsemax", 2**20)
