"""The operators work with PyTorch's compile, export, transforms and derivatives."""

import io
import math

import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.nn import functional

from seq2seq.mappings import (
    Entmax,
    Fusedmax,
    Normmax,
    Oscarmax,
    Softmax,
    Sparsemax,
    Sqpnormmax,
    entmax,
    fusedmax,
    oscarmax,
)

MAPPINGS = [
    Softmax(),
    Sparsemax(),
    Entmax(),
    Entmax(alpha=1.3, gamma=0.7),
    Sqpnormmax(p=1.4),
    Normmax(p=1.5),
    Fusedmax(lam=0.2),
    Oscarmax(lam=0.05, gamma=0.6),
]
every = pytest.mark.parametrize("mapping", MAPPINGS, ids=repr)
compiled = pytest.mark.filterwarnings("ignore")


def scores(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def jacobian(mapping, x):
    return torch.autograd.functional.jacobian(mapping, x)


@every
def test_both_jacobians_are_that_of_autograd(mapping):
    x = scores(9)
    torch.testing.assert_close(jacrev(mapping)(x), jacobian(mapping, x))
    torch.testing.assert_close(jacfwd(mapping)(x), jacobian(mapping, x))


@every
def test_vmap_is_a_loop(mapping):
    x, mask = scores(3, 4, 9), torch.rand(3, 9, generator=torch.Generator().manual_seed(1)) < 0.7
    wanted = torch.stack([mapping(rows, valid) for rows, valid in zip(x, mask, strict=True)])
    torch.testing.assert_close(vmap(mapping)(x, mask), wanted)
    across = vmap(mapping, in_dims=(1, None))(x.transpose(0, 1), mask[0])
    torch.testing.assert_close(across, mapping(x, mask[0]))
    values = vmap(mapping.max)(x)
    torch.testing.assert_close(values, mapping.max(x))


def test_vmap_over_parameters():
    x, lam = scores(4, 9), torch.tensor([0.0, 0.1, 0.5], dtype=torch.float64)
    together = vmap(lambda lam: fusedmax(x, lam=lam))(lam)
    torch.testing.assert_close(together, torch.stack([fusedmax(x, lam=at) for at in lam.tolist()]))
    slopes = vmap(grad(lambda lam: (fusedmax(x, lam=lam) ** 2).sum()))(lam[1:])
    assert slopes.isfinite().all()


@every
def test_the_hessian_of_the_smoothed_max_is_the_jacobian(mapping):
    x = scores(9)
    reverse_twice = jacrev(jacrev(mapping.max))(x)
    torch.testing.assert_close(reverse_twice, jacobian(mapping, x))
    torch.testing.assert_close(jacrev(grad(mapping.max))(x), jacobian(mapping, x))
    torch.testing.assert_close(hessian(mapping.max)(x), jacobian(mapping, x))


@every
def test_forward_mode_pushes_tangents(mapping):
    x, v = scores(4, 9), scores(4, 9, seed=1)
    y, pushed = jvp(mapping, (x,), (v,))
    torch.testing.assert_close(y, mapping(x))
    leaf = x.clone().requires_grad_()
    (pulled,) = torch.autograd.grad(mapping(leaf), leaf, v)
    torch.testing.assert_close(pushed, pulled)  # J is symmetric
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, v)
        torch.testing.assert_close(
            torch.autograd.forward_ad.unpack_dual(mapping(dual)).tangent, pushed
        )


@every
def test_many_gradients_at_once(mapping):
    x, mask = scores(3, 9).requires_grad_(), torch.arange(9) < torch.tensor([[9], [4], [1]])
    v, u = scores(5, 3, 9, seed=1), scores(5, 3, seed=2)
    for values, vectors in ((mapping(x, mask), v), (mapping.max(x, mask), u)):
        together = torch.autograd.grad(values, x, vectors, retain_graph=True, is_grads_batched=True)
        alone = [torch.autograd.grad(values, x, one, retain_graph=True)[0] for one in vectors]
        torch.testing.assert_close(together[0], torch.stack(alone))

    def energy(x):
        return (mapping(x, mask) ** 2).sum()

    at_once = torch.autograd.functional.hessian(energy, x, vectorize=True)
    torch.testing.assert_close(at_once, torch.autograd.functional.hessian(energy, x))


@every
def test_vmap_over_the_vectors_of_a_gradient(mapping):
    x, v = scores(3, 9).requires_grad_(), scores(5, 3, 9, seed=1)
    y = mapping(x)

    def pulled(v):
        return torch.autograd.grad(y, x, v, retain_graph=True)[0]

    torch.testing.assert_close(vmap(pulled)(v), torch.stack([pulled(one) for one in v]))


def test_a_tangent_of_a_gradient_is_refused_not_dropped():
    x = scores(3, 9).requires_grad_()
    y = entmax(x)
    with torch.autograd.forward_ad.dual_level():
        v = torch.autograd.forward_ad.make_dual(scores(3, 9, seed=1), scores(3, 9, seed=2))
        with pytest.raises((NotImplementedError, RuntimeError)):
            torch.autograd.grad(y, x, v)


def test_forward_mode_of_parameters_is_refused_not_zero():
    x = scores(4, 9)
    with pytest.raises(NotImplementedError, match="use reverse mode"):
        jacfwd(lambda lam: fusedmax(x, lam=lam))(torch.tensor(0.1, dtype=torch.float64))


@compiled
@pytest.mark.slow
@every
def test_compiled_in_one_graph(mapping):
    torch._dynamo.reset()

    def model(x, mask):
        return (mapping(2 * x, mask) * x).sum(-1) + mapping.max(x, mask)

    x, mask = scores(3, 5, 9), torch.arange(9) < torch.tensor([9, 4, 0])[:, None, None]
    results = []
    for run in (model, torch.compile(model, fullgraph=True, backend="aot_eager")):
        leaf = x.clone().requires_grad_()
        value = run(leaf, mask)
        value.sum().backward()
        results.append((value.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1])


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("function", [fusedmax, oscarmax])
def test_learned_parameters_compile(function):
    torch._dynamo.reset()

    def model(x, gamma, lam):
        return function(x, gamma=gamma, lam=lam).square().sum()

    results = []
    for run in (model, torch.compile(model, fullgraph=True, backend="aot_eager")):
        x = scores(2, 3, 9).requires_grad_()
        gamma = torch.tensor([[0.5], [1.0], [2.0]], dtype=torch.float64, requires_grad=True)
        lam = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        run(x, gamma, lam).backward()
        results.append((x.grad, gamma.grad, lam.grad))
    torch.testing.assert_close(results[0], results[1])


@compiled
@pytest.mark.slow
def test_exported_and_loaded_it_computes_the_same():
    class Attention(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mapping = Fusedmax(lam=0.1)

        def forward(self, x, mask):
            return self.mapping(x, mask)

    x, mask = scores(3, 9), torch.arange(9) < torch.tensor([[9], [4], [7]])
    file = io.BytesIO()
    torch.export.save(torch.export.export(Attention(), (x, mask)), file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    torch.testing.assert_close(loaded(x, mask), fusedmax(x, mask, lam=0.1))


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("name", ["sparsemax", "entmax", "fusedmax"])
def test_the_registered_operators_pass_pytorchs_own_check(name):
    from seq2seq.mappings import registration

    x = scores(3, 7).requires_grad_()
    theta = {"sparsemax": 0.0, "entmax": 1.5, "fusedmax": 0.1}[name]
    arguments = (x, None, None, None, name, 1.0, theta)
    torch.library.opcheck(registration._weights, arguments)
    torch.library.opcheck(registration._maximum, arguments)


@every
def test_autocast_leaves_the_arithmetic_alone(mapping):
    x = scores(4, 9).float()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mapping(x), mapping(x.clone()))
        product = functional.linear(x, torch.eye(9))
        assert product.dtype == torch.bfloat16
        assert mapping(product).dtype == torch.bfloat16
        torch.testing.assert_close(mapping(product), mapping(product.float()).bfloat16())


def test_nan_and_infinity_stay_in_their_row():
    x = scores(4, 9)
    x[1, 3], x[2, 5] = math.nan, math.inf
    for mapping in MAPPINGS:
        y = mapping(x)
        assert y[1:3].isnan().all()
        torch.testing.assert_close(y[[0, 3]], mapping(x[[0, 3]]))


def test_a_second_backward_pass_is_allowed():
    x = scores(4, 9).requires_grad_()
    y = entmax(x)
    first = torch.autograd.grad(y, x, scores(4, 9, seed=1), retain_graph=True)
    assert torch.equal(first[0], torch.autograd.grad(y, x, scores(4, 9, seed=1))[0])
