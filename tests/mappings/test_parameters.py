"""γ, λ, α and p as tensors: exact gradients, one for each row or head, learned in a module."""

import math
from functools import partial

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

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
    softmax,
    sparsemax,
    sqpnormmax,
)

# The module, the parameter, and three values: one for each head.
CASES = [
    pytest.param(Softmax, "gamma", [0.5, 1.0, 2.0], id="softmax-gamma"),
    pytest.param(Sparsemax, "gamma", [0.5, 1.0, 2.0], id="sparsemax-gamma"),
    pytest.param(Entmax, "gamma", [0.5, 1.0, 2.0], id="entmax-gamma"),
    pytest.param(Sqpnormmax, "gamma", [0.5, 1.0, 2.0], id="sqpnormmax-gamma"),
    pytest.param(Normmax, "gamma", [0.5, 1.0, 2.0], id="normmax-gamma"),
    pytest.param(Fusedmax, "gamma", [0.5, 1.0, 2.0], id="fusedmax-gamma"),
    pytest.param(Oscarmax, "gamma", [0.5, 1.0, 2.0], id="oscarmax-gamma"),
    pytest.param(Entmax, "alpha", [1.05, 1.5, 2.0], id="entmax-alpha"),
    pytest.param(Sqpnormmax, "p", [1.2, 1.5, 1.9], id="sqpnormmax-p"),
    pytest.param(Normmax, "p", [1.3, 2.0, 3.0], id="normmax-p"),
    pytest.param(partial(Fusedmax, 0.5), "lam", [0.03, 0.1, 0.4], id="fusedmax-lam"),
    pytest.param(partial(Oscarmax, 0.5), "lam", [0.01, 0.03, 0.1], id="oscarmax-lam"),
]
every = pytest.mark.parametrize(("build", "name", "values"), CASES)
learned = pytest.mark.parametrize(("build", "name", "values"), CASES[7:])
mask = torch.tensor(
    [
        [True, True, False, True, True, False, True],
        [False] * 7,
        [True] * 7,
        [False, False, True, False, False, False, False],
    ]
)[:, None]  # holes, an empty row, a full one, a single position; the same for all heads


def scores(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def leaf(values, *shape):
    return torch.tensor(values, dtype=torch.float64).reshape(shape).requires_grad_()


def targets():
    return torch.tensor([3, 0, 6, 2])[:, None].expand(4, 3)


def results(build, name):
    """Weights, smoothed max and both losses as functions of scores and parameter."""
    distribution = scores(4, 3, 7, seed=9).softmax(-1) * mask
    distribution = distribution / distribution.sum(-1, keepdim=True).clamp(min=1e-9)
    return {
        "weights": lambda x, theta: build(**{name: theta})(x, mask),
        "max": lambda x, theta: build(**{name: theta}).max(x, mask),
        "loss": lambda x, theta: build(**{name: theta}).loss(x, targets(), mask),
        "distribution": lambda x, theta: build(**{name: theta}).loss(x, distribution, mask),
    }


@every
@pytest.mark.parametrize("result", ["weights", "max", "loss", "distribution"])
def test_gradients_are_those_of_finite_differences(build, name, values, result):
    function, x = results(build, name)[result], scores(4, 3, 7, seed=1).requires_grad_()
    generator = torch.Generator().manual_seed(0)
    rows = torch.tensor(values, dtype=torch.float64)[
        torch.randint(2, (4, 3, 1), generator=generator)
    ]
    for theta in (
        leaf(values[1]),
        leaf(values[:2] + values[:1], 3, 1),
        leaf(rows.tolist(), 4, 3, 1),
    ):
        assert gradcheck(function, (x, theta))
        assert gradgradcheck(function, (x, theta), fast_mode=True)


@every
def test_each_head_has_its_own(build, name, values):
    x, theta = scores(4, 3, 7), leaf(values, 3, 1)
    for result, function in results(build, name).items():
        together = function(x, theta)
        for head, value in enumerate(values):
            one = x[:, head : head + 1].expand_as(x)
            alone = function(one, value)
            torch.testing.assert_close(together[:, head], alone[:, head], msg=result)
    y = build()(x)
    omega = build(**{name: theta}).regularizer(y)
    for head, value in enumerate(values):
        torch.testing.assert_close(omega[:, head], build(**{name: value}).regularizer(y[:, head]))


@every
@pytest.mark.parametrize("dim", [0, 1, -1, -2])
def test_parameters_go_along_with_any_dimension(build, name, values, dim):
    x = scores(3, 3, 3)
    theta = torch.tensor(values, dtype=torch.float64).reshape(3, 1, 1)  # differs along the first
    moved = theta.movedim(0, 1 if dim == 0 else 0)
    mapping = build(**{name: moved}, dim=dim)
    expected = build(
        **{name: moved.expand([1 if i == dim % 3 else 3 for i in range(3)]).movedim(dim, -1)}
    )
    assert torch.equal(mapping(x), expected(x.movedim(dim, -1)).movedim(-1, dim))


@learned
def test_a_module_learns_it(build, name, values):
    theta = torch.nn.Parameter(torch.tensor(values).reshape(3, 1))
    mapping = build(**{name: theta})
    assert dict(mapping.named_parameters()) == {name: theta}
    assert name in mapping.state_dict()
    assert f"{name}=Tensor(3, 1)" in repr(mapping)
    x, goal = scores(20, 3, 9).float(), build(**{name: values[1]})(scores(20, 3, 9).float())
    optimizer = torch.optim.Adam(mapping.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        ((mapping(x) - goal) ** 2).sum().backward()
        optimizer.step()
    torch.testing.assert_close(theta.detach(), torch.full((3, 1), values[1]), atol=0.02, rtol=0)
    assert mapping.double().omega.parameter.dtype == torch.float64
    assert build(**{name: torch.tensor(values[0])}).state_dict()[name] == values[0]


@learned
def test_a_parameter_that_steps_outside_acts_as_the_nearest_and_can_return(build, name, values):
    low = build(**{name: values[0]}).omega.domain.low
    theta, x, y = leaf(low - 0.3), scores(4, 9), scores(4, 9, seed=1)
    mapping = build(**{name: torch.nn.Parameter(torch.tensor(values[0], dtype=torch.float64))})
    setattr(mapping, name, torch.nn.Parameter(theta.detach()))
    edge = leaf(low)
    at_edge = build(**{name: edge})
    assert torch.equal(mapping(x), at_edge(x))
    (mapping(x) * y).sum().backward()
    (at_edge(x) * y).sum().backward()
    assert getattr(mapping, name).grad == edge.grad != 0


@every
def test_wrong_tensors_are_refused_at_construction(build, name, values):
    with pytest.raises(ValueError, match=f"{name} must be"):
        build(**{name: torch.tensor([values[0], -1.0])})
    with pytest.raises(
        ValueError, match=rf"{name} of shape \(2, 1\) does not broadcast to \(3, 1\)"
    ):
        build(**{name: torch.tensor([[values[0]], [values[1]]])})(torch.zeros(3, 5))


@every
def test_tensor_parameters_work_in_half_precision(build, name, values):
    theta = torch.tensor(values).reshape(3, 1).requires_grad_()
    weights = build(**{name: theta})(scores(4, 3, 7).half(), mask)
    assert weights.dtype == torch.float16
    (weights * scores(4, 3, 7, seed=1)).sum().backward()
    assert theta.grad.isfinite().all()
    assert theta.grad.any()


def test_entmax_at_one_is_softmax():
    x = scores(5, 9)
    torch.testing.assert_close(entmax(x, alpha=1), softmax(x), atol=2e-12, rtol=0)
    alpha = torch.tensor([[1.0], [1.5], [1.0], [2.0], [1.0 + 1e-9]], dtype=torch.float64)
    expected = torch.stack(
        [softmax(x[0]), entmax(x[1]), softmax(x[2]), sparsemax(x[3]), softmax(x[4])]
    )
    torch.testing.assert_close(entmax(x, alpha=alpha), expected, atol=1e-8, rtol=0)
    for mapping in (Entmax(1.0), Entmax(torch.ones(5, 1))):
        torch.testing.assert_close(mapping.max(x), Softmax().max(x))
        torch.testing.assert_close(
            mapping.loss(x, torch.arange(5)), Softmax().loss(x, torch.arange(5))
        )
    assert entmax(torch.zeros(0), alpha=1).shape == (0,)


def test_derivatives_of_entmax_at_one_are_the_limit():
    x, v = scores(4, 9).requires_grad_(), scores(4, 9, seed=1)
    for result in (lambda a: (entmax(x, alpha=a) * v).sum(), lambda a: Entmax(a).max(x).sum()):
        one, near = leaf(1.0), leaf(1.0 + 1e-5)
        found = torch.autograd.grad(result(one), (x, one), create_graph=True)
        wanted = torch.autograd.grad(result(near), (x, near), create_graph=True)
        torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-4)
        step = 1e-6
        difference = (result(leaf(1 + step)) - result(one)) / step
        torch.testing.assert_close(found[1], difference, atol=1e-4, rtol=1e-4)
        second = torch.autograd.grad(found[1] + found[0].square().sum(), (x, one))
        assert all(gradient.isfinite().all() for gradient in second)


def test_a_row_with_lam_zero_among_others_is_sparsemax_with_its_derivative():
    x = torch.zeros(3, 4, dtype=torch.float64)
    lam = torch.tensor([[0.1], [0.0], [0.1]], dtype=torch.float64)
    for function in (fusedmax, oscarmax):
        jacobian = torch.autograd.functional.jacobian(lambda x: function(x, lam=lam), x)  # noqa: B023
        expected = torch.autograd.functional.jacobian(sparsemax, x[1])
        assert torch.equal(jacobian[1, :, 1], expected)
        assert (jacobian[0] == 0).all()


def test_gradient_of_lam_with_a_group_and_a_border():
    # Three runs: 1 at the border above its neighbor, 2 in the middle, 1 at the other border.
    x, lam = torch.tensor([0.6, 0.31, 0.29, 0.1], dtype=torch.float64), leaf(0.02)
    weights = fusedmax(x, lam=lam)
    gradient = [torch.autograd.grad(w, lam, retain_graph=True)[0].item() for w in weights]
    # −(s_left + s_right)/length, less its mean over the support, which is 0.
    assert gradient == pytest.approx([-1, 0, 0, 1], abs=1e-12)
    assert math.isclose(weights.sum().item(), 1)


@pytest.mark.parametrize("function", [entmax, sqpnormmax, fusedmax, oscarmax])
def test_a_tensor_and_a_number_agree_in_single_precision(function):
    name = {entmax: "alpha", sqpnormmax: "p"}.get(function, "lam")
    x, value = scores(50, 30).float(), {entmax: 1.25, sqpnormmax: 1.25}.get(function, 0.0625)
    torch.testing.assert_close(
        function(x, **{name: torch.tensor(value)}), function(x, **{name: value}), atol=1e-7, rtol=0
    )
