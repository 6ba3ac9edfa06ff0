"""Properties of every mapping: masks, shapes, types, derivatives, limits, max and loss."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from seq2seq.mappings import (
    ConstrainedSoftmax,
    ConstrainedSparsemax,
    Entmax,
    Fusedmax,
    Mapping,
    Normmax,
    Oscarmax,
    Softmax,
    Sparsemax,
    Sqpnormmax,
    constrained_softmax,
    constrained_sparsemax,
    entmax,
    fusedmax,
    normmax,
    oscarmax,
    softmax,
    sparsemax,
    sqpnormmax,
)


def bounded(function):
    """Turn a function of scores and bounds into one with bounds that no weight can reach."""
    bounds = torch.ones((), dtype=torch.float64)

    def unbounded(x, mask=None, dim=-1, **parameters):
        return function(x, bounds, mask, dim, **parameters)

    unbounded.__name__ = function.__name__
    return unbounded


FUNCTIONS = [
    softmax,
    sparsemax,
    entmax,
    sqpnormmax,
    normmax,
    fusedmax,
    oscarmax,
    bounded(constrained_softmax),
    bounded(constrained_sparsemax),
]
MAPPINGS = [
    Softmax(),
    Softmax(gamma=0.5),
    Sparsemax(),
    Sparsemax(gamma=2.0),
    Entmax(),
    Entmax(alpha=1.2, gamma=0.7),
    Entmax(alpha=2.0),
    Entmax(alpha=2.5),
    Sqpnormmax(),
    Sqpnormmax(p=1.2, gamma=0.7),
    Normmax(),
    Normmax(p=1.3, gamma=0.7),
    Normmax(p=3.0),
    Fusedmax(),
    Fusedmax(gamma=0.5, lam=0.4),
    Oscarmax(),
    Oscarmax(gamma=0.5, lam=0.02),
    ConstrainedSoftmax(),
    ConstrainedSparsemax(gamma=0.5),
]
every = pytest.mark.parametrize("mapping", MAPPINGS, ids=repr)
holes = torch.tensor([True, True, False, True, False, True, True, True, False])


def scores(*shape, seed=0, dtype=torch.float64, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def double(x):
    return x.detach().requires_grad_()


@every
def test_masked_positions_are_as_if_removed(mapping):
    x = scores(8, 9)
    weights = mapping(x, holes)
    torch.testing.assert_close(weights[:, holes], mapping(x[:, holes]))
    assert (weights[:, ~holes] == 0).all()
    torch.testing.assert_close(mapping.max(x, holes), mapping.max(x[:, holes]))


@every
def test_minus_infinity_is_a_mask(mapping):
    x = scores(8, 9)
    by_mask, by_score = double(x), double(x)
    weights = mapping(by_score.masked_fill(~holes, -math.inf))
    assert torch.equal(weights, mapping(by_mask, holes))
    (weights * x).sum().backward()
    (mapping(by_mask, holes) * x).sum().backward()
    assert torch.equal(by_score.grad, by_mask.grad)
    assert (by_mask.grad[:, ~holes] == 0).all()


@every
@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_masked_does_not_matter(mapping, garbage):
    x = scores(3, 9)
    filled = double(x.masked_fill(~holes, garbage))
    weights = mapping(filled, holes)
    assert torch.equal(weights, mapping(x, holes))
    (weights * x).sum().backward()
    assert filled.grad.isfinite().all()


@every
def test_a_fully_masked_row_is_zero_with_zero_gradient(mapping):
    x = double(scores(3, 9))
    mask = torch.tensor([[True], [False], [True]])
    weights, value = mapping(x, mask), mapping.max(x, mask)
    loss = mapping.loss(x, torch.tensor([0, 1, 2]), mask)
    assert (weights[1] == 0).all()
    assert value[1] == loss[1] == 0
    ((weights * x.detach()).sum() + value.sum() + loss.sum()).backward()
    assert (x.grad[1] == 0).all()
    assert x.grad.isfinite().all()
    assert torch.equal(mapping(torch.full((2, 3), -math.inf)), torch.zeros(2, 3))


@every
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_without_a_solution_does_not_change_the_others(mapping, bad):
    x = scores(3, 9)
    spoilt = x.clone()
    spoilt[1, 4] = bad
    weights = mapping(spoilt)
    assert weights[1].isnan().all()
    assert torch.equal(weights[[0, 2]], mapping(x)[[0, 2]])


@every
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_without_an_answer_is_nan_with_holes_too(mapping, bad):
    x = scores(3, 9)
    x[1, 0], x[2, 2] = bad, bad
    weights = mapping(x, holes)
    assert weights[1].isnan().all()
    assert torch.equal(weights[[0, 2]], mapping(scores(3, 9), holes)[[0, 2]])  # 2 is masked


@every
def test_a_row_does_not_depend_on_its_batch(mapping):
    x = scores(50, 9, dtype=torch.float32)
    assert torch.equal(mapping(x)[:7], mapping(x[:7]))


@every
@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (1,), (3, 1)])
def test_degenerate_shapes(mapping, shape):
    x = double(torch.randn(shape, dtype=torch.float64))
    weights = mapping(x)
    weights.sum().backward()
    assert torch.equal(weights, torch.ones(shape, dtype=torch.float64))
    assert torch.equal(x.grad, torch.zeros_like(x))
    assert mapping.max(x).shape == shape[:-1]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_any_dimension_of_any_layout(function):
    x = scores(2, 3, 5, 4)
    mask = torch.rand(2, 1, 5, 1, generator=torch.Generator().manual_seed(0)) > 0.3
    for dim in range(-4, 4):
        moved = function(x.movedim(dim, -1).contiguous(), mask.expand_as(x).movedim(dim, -1))
        assert torch.equal(function(x, mask, dim), moved.movedim(-1, dim))


@every
def test_derivatives(mapping):
    x = double(scores(4, 9, seed=3))
    assert gradcheck(mapping, x)
    assert gradgradcheck(mapping, x)
    assert gradcheck(lambda x: mapping(x, holes), x)
    assert gradgradcheck(lambda x: mapping(x, holes), x)


@every
def test_gradient_of_max_is_the_mapping_and_its_hessian_the_jacobian(mapping):
    x = double(scores(9, seed=4))
    gradient = torch.autograd.functional.jacobian(mapping.max, x)
    torch.testing.assert_close(gradient, mapping(x), rtol=0, atol=1e-15)
    hessian = torch.autograd.functional.hessian(mapping.max, x)
    torch.testing.assert_close(hessian, torch.autograd.functional.jacobian(mapping, x))
    assert gradcheck(lambda x: mapping.max(x, holes), x)


@every
def test_max_is_the_supremum(mapping):
    x, others = scores(9), torch.rand(500, 9, dtype=torch.float64).softmax(-1)
    others = torch.cat([others, torch.eye(9, dtype=torch.float64), mapping(scores(100, 9))])
    value = others @ x - mapping.gamma * mapping.regularizer(others)
    assert (value <= mapping.max(x) + 1e-12).all()
    own = mapping(x)
    torch.testing.assert_close(mapping.max(x), own @ x - mapping.gamma * mapping.regularizer(own))


@every
def test_loss_of_a_class_is_the_loss_of_its_one_hot_distribution(mapping):
    x, index = scores(2, 9, 9), torch.arange(9).expand(2, 9)
    one_hot = functional.one_hot(index, 9).double()
    torch.testing.assert_close(mapping.loss(x, index), mapping.loss(x, one_hot))
    valid = holes.nonzero()[:, 0]
    torch.testing.assert_close(
        mapping.loss(x[:, : len(valid)], valid.expand(2, -1), holes),
        mapping.loss(
            x[:, : len(valid)], functional.one_hot(valid, 9).expand(2, -1, -1) * 1.0, holes
        ),
    )


@every
def test_loss_is_non_negative_with_gradient_weights_minus_target(mapping):
    x, target = double(scores(40, 9, scale=3)), mapping(scores(40, 9, seed=1))
    index = torch.arange(40) % 9
    for y, given_target in [(target, target), (functional.one_hot(index, 9), index)]:
        loss = mapping.loss(x, given_target)
        assert (loss >= 0).all()
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        torch.testing.assert_close(gradient, mapping(x) - y)
    assert gradcheck(lambda x: mapping.loss(x, index[:3]), double(x[:3]))
    assert gradgradcheck(lambda x: mapping.loss(x, index[:3]), double(x[:3]))


@every
def test_loss_is_zero_at_the_optimum_and_never_below(mapping):
    x = scores(500, 9, dtype=torch.float32, scale=2)
    loss = mapping.loss(x, mapping(x))
    assert (loss >= 0).all()
    assert loss.max() < 2e-6


@every
def test_loss_with_excluded_classes_is_finite(mapping):
    x = scores(4, 9)
    x[:, 5:] = -math.inf
    leaf = double(x)
    loss = mapping.loss(leaf, torch.tensor([0, 1, 2, 7]))
    assert loss[:3].isfinite().all()
    assert loss[3] == math.inf
    loss[:3].sum().backward()
    assert leaf.grad.isfinite().all()


@every
def test_a_vertex_with_a_large_margin_has_no_loss(mapping):
    x = torch.zeros(1, 9)
    x[0, 3] = 1e4
    assert mapping.loss(x, torch.tensor([3])) < 1e-6


def test_softmax_loss_is_cross_entropy():
    x, index = scores(6, 50), torch.arange(6)
    torch.testing.assert_close(
        Softmax().loss(x, index), functional.cross_entropy(x, index, reduction="none")
    )
    torch.testing.assert_close(
        Softmax(gamma=2.0).loss(x, index),
        2 * functional.cross_entropy(x / 2, index, reduction="none"),
    )
    distribution = scores(6, 50, seed=1).softmax(-1)
    divergence = functional.kl_div(x.log_softmax(-1), distribution, reduction="none").sum(-1)
    torch.testing.assert_close(Softmax().loss(x, distribution), divergence)


@every
def test_a_constant_added_to_the_scores_changes_nothing(mapping):
    x = (64 * scores(100, 9)).round() / 64  # so that the sums below are exact
    assert torch.equal(mapping(x + 8192), mapping(x))
    single = x.float()
    assert torch.equal(mapping(single - 8192), mapping(single))


@pytest.mark.parametrize("mapping", [m for m in MAPPINGS if not isinstance(m, Fusedmax)], ids=repr)
def test_permuted_scores_give_permuted_weights(mapping):
    x, order = scores(20, 9), torch.randperm(9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mapping(x[:, order]), mapping(x)[:, order])


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_single_precision_rounded(mapping, dtype):
    x = scores(50, 20).to(dtype)
    weights = mapping(x)
    assert weights.dtype == dtype
    assert torch.equal(weights, mapping(x.float()).to(dtype))
    assert (weights.double().sum(-1) - 1).abs().max() <= torch.finfo(dtype).eps
    leaf = double(x)
    mapping(leaf).pow(2).sum().backward()
    assert leaf.grad.dtype == dtype
    assert leaf.grad.isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mapping(x.float()), mapping(x.float()))
        torch.testing.assert_close(mapping(x.float()), mapping(x.double()).float())


@every
def test_scores_of_ten_thousand(mapping):
    x = torch.tensor([1e4, -1e4, 1e4 - 0.25, 9.9e3, 0.0])
    torch.testing.assert_close(mapping(x), mapping(x.double()).float(), rtol=0, atol=1e-6)
    torch.testing.assert_close(mapping(x - 1e4), mapping(x), rtol=0, atol=0)


def test_limits():
    x = scores(50, 12)
    expected = sparsemax(x)
    torch.testing.assert_close(fusedmax(x, lam=0.0), expected)
    torch.testing.assert_close(oscarmax(x, lam=0.0), expected)
    torch.testing.assert_close(sqpnormmax(x, p=2.0), expected)
    torch.testing.assert_close(entmax(x, alpha=2.0), expected)
    for near in (1e-3, 1e-9, 3e-16):
        difference = (entmax(x, alpha=1 + near) - softmax(x)).abs().max()
        assert difference <= max(3 * near, 1e-12)
    torch.testing.assert_close(sqpnormmax(x, p=2 - 1e-9), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(entmax(x, alpha=2 - 1e-9), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_strength_runs_from_one_hot_to_uniform(function):
    x = scores(20, 12)
    torch.testing.assert_close(
        function(x, gamma=1e6), torch.full_like(x, 1 / 12), atol=1e-5, rtol=0
    )
    one_hot = functional.one_hot(x.argmax(-1), 12).double()
    torch.testing.assert_close(function(x, gamma=1e-6), one_hot)


def test_entmax_at_one_and_a_half_is_its_closed_form():
    x = scores(100, 30)
    z = (x / 2).sort(-1, descending=True).values
    rho = torch.arange(1, 31)
    mean, square = z.cumsum(-1) / rho, (z**2).cumsum(-1) / rho
    tau = mean - ((1 - rho * (square - mean**2)) / rho).clamp(min=0).sqrt()
    tau = tau.gather(-1, (tau <= z).sum(-1, keepdim=True) - 1)
    torch.testing.assert_close(entmax(x), (x / 2 - tau).clamp(min=0) ** 2, atol=1e-13, rtol=0)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gamma_may_be_learned_per_head(function):
    x = scores(2, 3, 5)
    gamma = double(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)[:, None])
    assert gradcheck(lambda gamma: function(x, holes[:5], gamma=gamma), gamma)
    for head in range(3):
        alone = function(x[:, head], gamma=gamma[head].item())
        torch.testing.assert_close(function(x, gamma=gamma)[:, head], alone)


def test_gamma_of_a_module_may_be_a_parameter():
    gamma = torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    mapping, x = Sparsemax(gamma), scores(4, 9)
    assert list(mapping.parameters()) == [gamma]
    mapping.max(x).sum().backward()
    # The envelope theorem: d max/dγ = −Ω(y).
    torch.testing.assert_close(gamma.grad, -mapping.regularizer(mapping(x)).sum().detach())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Softmax(gamma=0.0), "gamma must be greater than 0"),
        (lambda: fusedmax(torch.zeros(3), gamma=-1.0), "gamma must be greater than 0"),
        (lambda: Fusedmax(lam=-0.1), "lam must be at least 0"),
        (lambda: Oscarmax(lam=math.nan), "lam must be at least 0"),
        (lambda: Entmax(alpha=0.99), "alpha must be at least 1"),
        (lambda: entmax(torch.zeros(3), alpha=0.5), "alpha must be at least 1"),
        (lambda: Sqpnormmax(p=1.0), "p must be greater than 1 and at most 2"),
        (lambda: Normmax(p=1.0), "p must be greater than 1 and finite"),
        (lambda: Sqpnormmax(p=2.1), "p must be greater than 1 and at most 2"),
        (lambda: softmax(torch.zeros(3, 4), torch.ones(3, dtype=torch.bool)), "does not broadcast"),
        (lambda: Sparsemax().loss(torch.zeros(3, 4), torch.zeros(4).long()), "class indices"),
    ],
)
def test_wrong_parameters_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@every
def test_integers_are_refused_not_truncated(mapping):
    for call in (mapping, mapping.max, lambda x: mapping.loss(x, torch.zeros(3).long())):
        with pytest.raises(TypeError, match=r"pass scores\.float\(\)"):
            call(torch.zeros(3, 4, dtype=torch.int64))
    with pytest.raises(TypeError, match="mask must be bool"):
        mapping(torch.zeros(3), torch.ones(3))


@every
def test_module_prints_and_copies(mapping):
    x = scores(3, 9)
    for twin in (copy.deepcopy(mapping), pickle.loads(pickle.dumps(mapping))):
        assert repr(twin) == repr(mapping)
        assert torch.equal(twin(x), mapping(x))
    assert isinstance(mapping, Mapping)
    assert f"gamma={mapping.gamma}" in repr(mapping)


@pytest.mark.parametrize("first", [np.float32(0.5), np.array(0.5), 0.5])
@pytest.mark.parametrize("mapping", [fusedmax, oscarmax])
def test_a_number_of_another_type_is_that_number(mapping, first):
    x = scores(4, 30)
    expected = mapping(x, lam=torch.tensor(0.5, dtype=x.dtype))
    for lam in (first, 0.5):
        torch.testing.assert_close(mapping(x, lam=lam), expected)
    two = entmax(x, alpha=np.int64(2))
    torch.testing.assert_close(two, entmax(x, alpha=2))
    torch.testing.assert_close(two, sparsemax(x))
