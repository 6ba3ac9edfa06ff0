"""Losses of class indices: kernels, tensor operations and dense targets agree."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from seq2seq.mappings import (
    ConstrainedSparsemax,
    Entmax,
    Fusedmax,
    Normmax,
    Oscarmax,
    Softmax,
    Sparsemax,
    Sqpnormmax,
)
from seq2seq.mappings.implementations import reference

MAPPINGS = [
    Softmax(),
    Softmax(gamma=0.6),
    Sparsemax(),
    Sparsemax(gamma=2.0),
    Entmax(),
    Entmax(alpha=1.0),
    Entmax(alpha=1.3, gamma=0.7),
    Entmax(alpha=2.5),
    Sqpnormmax(p=1.4),
    Normmax(),
    Normmax(p=1.5, gamma=0.6),
    Fusedmax(lam=0.2),
    Fusedmax(lam=0.3, gamma=1.7),
    Oscarmax(lam=0.03, gamma=0.6),
    ConstrainedSparsemax(),
]
every = pytest.mark.parametrize("mapping", MAPPINGS, ids=repr)
smoothings = pytest.mark.parametrize("smoothing", [0.0, 0.1])
IGNORED = -100


def scores(*shape, seed=0, dtype=torch.float64, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def double(x):
    return x.detach().requires_grad_()


def loss_and_gradient(mapping, x, target, *arguments, **options):
    leaf = double(x)
    loss = mapping.loss(leaf, target, *arguments, **options)
    some = torch.where(loss.isfinite(), loss, 0.0).sum()
    return loss.detach(), torch.autograd.grad(some, leaf)[0]


def dense(mapping, x, target, valid, smoothing):
    """Compute the loss of the smoothed target as a distribution, with the user's Ω."""
    uniform = valid.double() / valid.sum(-1, keepdim=True)
    one_hot = functional.one_hot(target, x.size(-1)).double()
    q = (1 - smoothing) * one_hot + smoothing * uniform
    product = (q * x.masked_fill(~valid, 0.0)).sum(-1)
    return mapping.max(x, valid) + mapping.gamma * mapping.regularizer(q, valid) - product, q


@st.composite
def problems(draw):
    """Scores, targets, mask and options; a target that may not be attended among them."""
    shape = draw(st.sampled_from([(), (5,), (2, 3), (2, 1, 3)]))
    length = draw(st.one_of(st.integers(1, 40), st.sampled_from([64, 127, 513])))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    x = torch.randn(*shape, length, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        x = (2 * x).round() / 4  # ties
    x = x * draw(st.sampled_from([0.01, 1.0, 10.0])) + draw(st.sampled_from([0.0, 1e4, -1e4]))
    if draw(st.booleans()):
        x[torch.rand(x.shape, generator=generator) < 0.3] = -math.inf
    target = torch.randint(0, length, shape, generator=generator)
    if draw(st.booleans()):
        target = torch.where(torch.rand(shape, generator=generator) < 0.3, IGNORED, target)
    mask = None
    kind = draw(st.sampled_from(["none", "lengths", "holes", "rows"]))
    if kind == "lengths":
        lengths = torch.randint(0, length + 1, (*shape[:1], *[1] * len(shape)), generator=generator)
        mask = torch.arange(length) < lengths
    elif kind == "holes":
        mask = torch.rand(length, generator=generator) < 0.7
    elif kind == "rows":
        mask = torch.rand(x.shape, generator=generator) < 0.7
    return x, target, mask, draw(st.sampled_from([0.0, 0.1, 0.7]))


@every
@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_kernels_and_tensor_operations_agree(mapping, problem):
    x, target, mask, smoothing = problem
    options = {"label_smoothing": smoothing, "ignore_index": IGNORED}
    found = loss_and_gradient(mapping, x, target, mask, **options)
    with reference():
        wanted = loss_and_gradient(mapping, x, target, mask, **options)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)
    assert (found[0] >= 0).all()
    assert (found[0][target == IGNORED] == 0).all()
    assert (found[1][target == IGNORED] == 0).all()
    valid = (x > -math.inf) if mask is None else (x > -math.inf) & mask
    assert (found[1][~valid] == 0).all()


@every
@settings(max_examples=30, deadline=None)
@given(problem=problems())
def test_the_loss_is_that_of_the_dense_smoothed_target(mapping, problem):
    x, target, mask, smoothing = problem
    valid = (x > -math.inf) if mask is None else (x > -math.inf) & mask
    some = valid.any(-1)
    target = valid.float().argmax(-1)  # of those that may be attended
    wanted, q = dense(mapping, x, target, valid, smoothing)
    found, gradient = loss_and_gradient(mapping, x, target, mask, label_smoothing=smoothing)
    torch.testing.assert_close(found[some], wanted[some], rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(gradient[some], (mapping(x, mask) - q)[some], rtol=1e-7, atol=1e-8)
    assert (found[~some] == 0).all()


@every
@smoothings
@pytest.mark.parametrize("how", [reference, None], ids=["operations", "kernels"])
def test_derivatives_are_those_of_finite_differences(mapping, smoothing, how):
    x, target = double(scores(4, 9, seed=3)), torch.tensor([3, IGNORED, 0, 8])
    x.data[2, 4] = -math.inf
    finite = x.isfinite()

    def loss(values):
        full = x.detach().masked_scatter(finite, values)
        return mapping.loss(full, target, label_smoothing=smoothing, ignore_index=IGNORED)

    values = double(x[finite])
    if how is None:
        assert gradcheck(loss, values)
        assert gradgradcheck(loss, values)
    else:
        with how():
            assert gradcheck(loss, values)
            assert gradgradcheck(loss, values)


@every
@smoothings
def test_transforms_give_the_same(mapping, smoothing):
    x, target = scores(4, 9, seed=3), torch.tensor([3, IGNORED, 0, 8])

    def loss(x):
        return mapping.loss(
            x, target, label_smoothing=smoothing, ignore_index=IGNORED, reduction="sum"
        )

    wanted = torch.autograd.grad(loss(leaf := double(x)), leaf)[0]
    torch.testing.assert_close(torch.func.grad(loss)(x), wanted)
    value, pushed = torch.func.jvp(loss, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(value, loss(x))
    torch.testing.assert_close(pushed, torch.zeros_like(pushed))  # shifts change nothing


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mapping", [Softmax(), Sparsemax(), Entmax(1.3), Fusedmax()], ids=repr)
def test_compiled_in_one_graph(mapping):
    torch._dynamo.reset()

    def loss(x, target):
        return mapping.loss(
            2 * x, target, label_smoothing=0.1, ignore_index=IGNORED, reduction="mean"
        )

    x, target = scores(4, 9, seed=3), torch.tensor([3, IGNORED, 0, 8])
    results = []
    for run in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        leaf = double(x)
        value = run(leaf, target)
        value.backward()
        results.append((value.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1])


def test_smoothed_softmax_is_pytorchs_less_the_entropy_of_the_target():
    x, target = scores(6, 50), torch.arange(6)
    q = torch.full((6, 50), 0.1 / 50, dtype=torch.float64)
    q[torch.arange(6), target] += 0.9
    wanted = functional.cross_entropy(x, target, reduction="none", label_smoothing=0.1)
    wanted = wanted + (q * q.log()).sum(-1)
    for mapping in (Softmax(), Entmax(alpha=1.0)):
        torch.testing.assert_close(mapping.loss(x, target, label_smoothing=0.1), wanted)


@every
@smoothings
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_it_is_never_below_zero_and_zero_at_the_target(mapping, smoothing, dtype):
    x = scores(500, 30, scale=3).to(dtype)
    target = torch.arange(500) % 30
    x[torch.arange(500), target] += 20
    for values in (x, x + 1000):
        assert (mapping.loss(values, target, label_smoothing=smoothing) >= 0).all()
    sure = 40.0 * functional.one_hot(target, 30).to(dtype)
    if smoothing == 0:
        assert mapping.loss(sure, target).max() < 1e-6


def test_the_smoothed_target_itself_costs_nothing():
    q = torch.full((1, 8), 0.02, dtype=torch.float64)
    q[0, 3] = 0.86
    for mapping, x in ((Sparsemax(), q), (Softmax(), q.log()), (Sparsemax(gamma=3.0), 3 * q)):
        loss, gradient = loss_and_gradient(mapping, x, torch.tensor([3]), label_smoothing=0.16)
        assert loss.item() < 1e-15
        assert gradient.abs().max() < 1e-15


@every
@smoothings
@pytest.mark.parametrize("how", [reference, None], ids=["operations", "kernels"])
def test_reductions_are_over_the_rows_that_count(mapping, smoothing, how):
    x, target = scores(2, 3, 9), torch.tensor([[3, IGNORED, 0], [IGNORED, IGNORED, 8]])
    options = {"label_smoothing": smoothing, "ignore_index": IGNORED}

    def check():
        losses = mapping.loss(x, target, **options)
        alone = mapping.loss(x[target >= 0], target[target >= 0], label_smoothing=smoothing)
        assert losses.shape == target.shape
        torch.testing.assert_close(losses[target >= 0], alone)
        total, mean = (mapping.loss(x, target, reduction=r, **options) for r in ("sum", "mean"))
        torch.testing.assert_close(total, alone.sum())
        torch.testing.assert_close(mean, alone.mean())
        nothing = torch.full_like(target, IGNORED)
        for shape in ((2, 3, 9), (0, 9)):
            ids = nothing if shape[0] else nothing[:0, 0]
            for reduction in ("sum", "mean"):
                leaf = double(torch.ones(shape))
                loss = mapping.loss(leaf, ids, reduction=reduction, **options)
                assert loss.item() == 0
                loss.backward()
                assert torch.equal(leaf.grad, torch.zeros(shape))

    if how is None:
        check()
    else:
        with how():
            check()


@every
@smoothings
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_garbage_in_an_ignored_row_is_not_looked_at(mapping, smoothing, bad):
    x, target = scores(4, 9), torch.tensor([3, IGNORED, 0, 8])
    options = {"label_smoothing": smoothing, "ignore_index": IGNORED}
    wanted = loss_and_gradient(mapping, x, target, **options)
    x[1, 5] = bad
    torch.testing.assert_close(loss_and_gradient(mapping, x, target, **options), wanted)
    target[1] = 5
    loss, gradient = loss_and_gradient(mapping, x, target, **options)
    assert loss.isnan().tolist() == [False, True, False, False]
    assert gradient[[0, 2, 3]].isfinite().all()


@every
@smoothings
def test_a_class_that_may_not_be_attended_costs_inf_and_others_nothing(mapping, smoothing):
    x, target = scores(3, 9), torch.tensor([0, 7, 1])
    by_score = x.clone()
    by_score[:, 5:] = -math.inf
    mask = torch.arange(9) < 5
    for arguments in ((by_score, target), (x, target, mask), (x[:, :5], target.clamp(max=4))):
        leaf = double(arguments[0])
        loss = mapping.loss(leaf, *arguments[1:], label_smoothing=smoothing)
        if leaf.size(-1) == 9:
            assert loss[1] == math.inf
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        assert gradient.isfinite().all()
        torch.testing.assert_close(
            loss[[0, 2]],
            mapping.loss(x[[0, 2], :5], target[[0, 2]], label_smoothing=smoothing),
        )
    empty = torch.full((2, 4), -math.inf)
    loss, gradient = loss_and_gradient(
        mapping, empty, torch.tensor([1, 2]), label_smoothing=smoothing
    )
    assert torch.equal(loss, torch.zeros(2))
    assert torch.equal(gradient, torch.zeros(2, 4))


@every
@smoothings
def test_surprise_is_minus_the_logarithm_of_the_weight(mapping, smoothing):
    x, target = double(scores(3, 40, 9)), torch.arange(120).view(3, 40) % 9
    target[0, :2] = IGNORED
    with reference():
        composed = mapping.class_losses(x, target, ignore_index=IGNORED)
    found = mapping.class_losses(x, target, label_smoothing=smoothing, ignore_index=IGNORED)
    wanted = -mapping(x).gather(-1, target.clamp(min=0)[..., None])[..., 0].log()
    wanted = wanted.detach().masked_fill(target == IGNORED, 0.0)
    torch.testing.assert_close(found.surprise, wanted)
    torch.testing.assert_close(composed.surprise, wanted)
    assert not found.surprise.requires_grad


@every
@smoothings
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_single_precision_rounded(mapping, smoothing, dtype):
    x, target = scores(70, 513, scale=2).to(dtype), torch.arange(70)
    x[3, 100:] = -math.inf
    half = loss_and_gradient(mapping, x, target, label_smoothing=smoothing)
    single = loss_and_gradient(mapping, x.float(), target, label_smoothing=smoothing)
    assert half[0].dtype == torch.float32
    assert half[1].dtype == dtype
    torch.testing.assert_close(half[0], single[0])
    assert torch.equal(half[1], single[1].to(dtype))


@every
@smoothings
def test_any_layout_gives_the_same_and_is_left_as_it_was(mapping, smoothing):
    x, target = scores(3, 4, 5, 30, dtype=torch.float32), torch.arange(60).view(3, 4, 5) % 30
    x[0, 0, 0, 20:] = -math.inf
    wanted = loss_and_gradient(mapping, x, target, label_smoothing=smoothing)
    wide = torch.empty(3, 4, 5, 60)
    wide[..., ::2] = x
    layouts = [x.transpose(0, 2).contiguous().transpose(0, 2), wide[..., ::2]]
    for layout in layouts:
        before = layout.clone()
        found = loss_and_gradient(mapping, layout, target, label_smoothing=smoothing)
        assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
        assert torch.equal(layout, before)
    across = type(mapping)(**{**options_of(mapping), "dim": 1})
    loss, gradient = loss_and_gradient(
        across, x.movedim(-1, 1).contiguous(), target, label_smoothing=smoothing
    )
    assert torch.equal(loss, wanted[0])
    assert torch.equal(gradient.movedim(1, -1), wanted[1])


def options_of(mapping):
    names = ("gamma", "lam", "alpha", "p", "fertility")
    return {name: getattr(mapping, name) for name in names if hasattr(mapping, name)}


@every
@smoothings
def test_threads_change_no_bit(mapping, smoothing):
    x, target = scores(100, 2000, dtype=torch.float32, scale=2), torch.arange(100)
    target[::7] = IGNORED
    mask = torch.arange(2000) < torch.arange(1900, 2000)[:, None]
    threads, results = torch.get_num_threads(), []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results.append(
                loss_and_gradient(
                    mapping, x, target, mask, label_smoothing=smoothing, ignore_index=IGNORED
                )
            )
    finally:
        torch.set_num_threads(threads)
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=0, atol=0)


def test_a_second_backward_pass_is_allowed():
    x = double(scores(4, 9))
    loss = Entmax().loss(x, torch.arange(4), reduction="sum")
    first = torch.autograd.grad(loss, x, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(loss, x)[0])


def test_the_gradient_is_scaled_row_by_row():
    x, slopes = double(scores(4, 9)), scores(4, seed=1)
    mapping, target = Sparsemax(), torch.arange(4)
    (gradient,) = torch.autograd.grad(mapping.loss(x, target, label_smoothing=0.1), x, slopes)
    (plain,) = torch.autograd.grad(mapping.loss(x, target, label_smoothing=0.1).sum(), x)
    torch.testing.assert_close(gradient, slopes[:, None] * plain)


def test_learned_parameters_receive_the_gradient_of_the_smoothed_target():
    x, target = scores(5, 9), torch.tensor([0, 3, IGNORED, 8, 2])
    for build, value in ((lambda a: Entmax(alpha=a), 1.4), (lambda lam: Fusedmax(lam=lam), 0.1)):

        def loss(theta, build=build):
            return build(theta).loss(x, target, label_smoothing=0.2, ignore_index=IGNORED)

        theta = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        torch.testing.assert_close(loss(theta), loss(value))
        assert gradcheck(loss, theta)


@every
def test_distributions_are_smoothed_too(mapping):
    x, target = scores(4, 9), torch.tensor([3, 5, 0, 8])
    one_hot = functional.one_hot(target, 9).double()
    torch.testing.assert_close(
        mapping.loss(x, one_hot, label_smoothing=0.1), mapping.loss(x, target, label_smoothing=0.1)
    )


@every
@pytest.mark.parametrize(
    ("target", "options", "error", "message"),
    [
        ([9, 0], {}, IndexError, "target 9 is out of range for "),
        ([0, -1], {}, IndexError, "pass ignore_index="),
        ([0, 9], {"ignore_index": 0}, IndexError, "out of range for 9 classes"),
        ([0, 1], {"label_smoothing": 1.0}, ValueError, "at least 0 and less than 1"),
        ([0, 1], {"label_smoothing": -0.1}, ValueError, "at least 0 and less than 1"),
        ([0, 1], {"reduction": "max"}, ValueError, "one of none, sum, mean"),
        ([0, 1, 2], {}, ValueError, "class indices"),
    ],
)
def test_mistakes_are_named(mapping, target, options, error, message):
    with pytest.raises(error, match=message):
        mapping.loss(scores(2, 9), torch.tensor(target), **options)
    with pytest.raises(ValueError, match="needs class indices"):
        mapping.loss(scores(2, 9), scores(2, 9).softmax(-1), ignore_index=0)


@pytest.mark.parametrize("alpha", [1.0005, 1.01, 1.05, 1.3, 1.5, 1.99, 2.0, 2.5])
@pytest.mark.parametrize("scale", [0.0, 0.01, 1.0, 30.0])
def test_entmax_over_a_vocabulary_includes_every_positive_weight(alpha, scale):
    mapping, x = Entmax(alpha=alpha), scores(6, 3000, scale=scale)
    x[1] = (4 * x[1]).round() / 4
    x[2, 7:] -= 2.0
    target = torch.tensor([0, 1, 2, 3, 2998, 2999])
    found = loss_and_gradient(mapping, x, target, label_smoothing=0.1)
    with reference():
        wanted = loss_and_gradient(mapping, x, target, label_smoothing=0.1)
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_single_precision_is_as_good_as_double_far_from_zero(dtype):
    x = scores(20, 500, scale=2).float() + torch.tensor([[-1e4], [1e4]]).repeat(10, 1)
    target = torch.arange(20)
    for mapping in MAPPINGS:
        found = loss_and_gradient(mapping, x.to(dtype), target, label_smoothing=0.1)
        wanted = loss_and_gradient(mapping, x.double(), target, label_smoothing=0.1)
        torch.testing.assert_close(found[0].double(), wanted[0], rtol=1e-6, atol=2e-6)
        torch.testing.assert_close(found[1].double(), wanted[1], rtol=1e-5, atol=1e-6)
