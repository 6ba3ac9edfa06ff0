"""Learned parameters: initial values, domains, and sharing."""

import copy

import pytest
import torch
from torch import nn

from seq2seq.mappings import (
    ConstrainedSoftmax,
    ConstrainedSparsemax,
    Entmax,
    Fusedmax,
    Normmax,
    Oscarmax,
    Softmax,
    Sparsemax,
    Sqpnormmax,
)
from seq2seq.mappings.domain import GAMMA
from seq2seq.mappings.learned import Learned

# The module, a parameter, where it starts, and the ends that it never passes.
CASES = [
    *(
        pytest.param(kind, "gamma", 0.7, 0.0, torch.inf, id=f"{kind.__name__}-gamma")
        for kind in (Softmax, Sparsemax, Entmax, Sqpnormmax, Normmax, Fusedmax, Oscarmax)
    ),
    pytest.param(ConstrainedSoftmax, "gamma", 0.7, 0.0, torch.inf, id="ConstrainedSoftmax-gamma"),
    pytest.param(ConstrainedSparsemax, "gamma", 30.0, 0.0, torch.inf, id="large-gamma"),
    pytest.param(Entmax, "alpha", 1.3, 1.0, 2.0, id="entmax-alpha"),
    pytest.param(Sqpnormmax, "p", 1.5, 1.0, 2.0, id="sqpnormmax-p"),
    pytest.param(Normmax, "p", 3.0, 1.0, torch.inf, id="normmax-p"),
    pytest.param(Fusedmax, "lam", 0.1, 0.0, torch.inf, id="fusedmax-lam"),
    pytest.param(Oscarmax, "lam", 0.01, 0.0, torch.inf, id="oscarmax-lam"),
]
every = pytest.mark.parametrize(("kind", "name", "start", "low", "high"), CASES)


def scores(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@every
def test_it_starts_at_the_number_given(kind, name, start, low, high):
    mapping, fixed = kind(**{name: start}, learn=[name]), kind(**{name: start})
    assert getattr(mapping, name).item() == pytest.approx(start, rel=1e-6)
    torch.testing.assert_close(mapping(scores(4, 9)), fixed(scores(4, 9)), atol=1e-6, rtol=0)
    assert [*dict(mapping.named_parameters())] == [f"{name}.free"]
    assert f"learn=['{name}'], per=layer" in repr(mapping)
    assert f"{start:.4g} in (" in repr(mapping)


@every
def test_it_moves_by_its_gradient_and_never_leaves_its_domain(kind, name, start, low, high):
    mapping = kind(**{name: start}, learn=[name]).double()
    x, y = scores(6, 9).double(), scores(6, 9, seed=1).double()
    free = mapping.learned()[name].free
    (mapping(x) * y).sum().backward()
    step = 1e-6
    values = []
    for change in (step, -step):
        with torch.no_grad():
            free += change
            values.append((mapping(x) * y).sum().item())
            free -= change
    assert free.grad.item() == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-5)
    for far in (-30.0, 30.0):
        with torch.no_grad():
            free.fill_(far)
        assert low < getattr(mapping, name).item() < high


@every
def test_each_layer_has_its_own_and_each_head_its_own(kind, name, start, low, high):
    mapping = kind(**{name: start}, learn=[name], per="head")
    first, second = mapping.for_layer(3), mapping.for_layer(3)
    free = first.learned()[name].free
    assert getattr(first, name).shape == (3, 1, 1)
    x = scores(2, 3, 5, 9)
    expected = second(x)
    with torch.no_grad():
        free[1] += 1.0
    changed = first(x)
    assert torch.equal(second(x), expected), "another layer is as it was"
    assert torch.equal(changed[:, [0, 2]], expected[:, [0, 2]])
    assert not torch.equal(changed[:, 1], expected[:, 1])
    assert kind(**{name: start}, learn=[name]).for_layer(3).tensors()[name].shape == ()


def test_two_are_learned_together_and_saved():
    mapping = Fusedmax(gamma=0.5, lam=0.2, learn=["gamma", "lam"], per="head").for_layer(2)
    with torch.no_grad():
        for parameter in mapping.parameters():
            parameter += torch.tensor([0.3, -0.4])[:, None, None]
    again = Fusedmax(gamma=0.5, lam=0.2, learn=["gamma", "lam"], per="head").for_layer(2)
    again.load_state_dict(mapping.state_dict())
    x = scores(3, 2, 4, 7)
    assert torch.equal(again(x), mapping(x))
    assert torch.equal(copy.deepcopy(mapping)(x), mapping(x))
    assert set(mapping.tensors()) == {"gamma", "lam"}


def test_a_passed_parameter_is_not_copied():
    lam = nn.Parameter(torch.tensor(0.1))
    mapping = Fusedmax(lam=lam, learn=["gamma"])
    layers = [mapping.for_layer(), mapping.for_layer()]
    assert all(layer.lam is lam for layer in layers)
    assert layers[0].learned()["gamma"] is not layers[1].learned()["gamma"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_mapping_learns():
    torch._dynamo.reset()
    mapping = Entmax(learn=["alpha", "gamma"], per="head").for_layer(2)
    compiled = torch.compile(copy.deepcopy(mapping), fullgraph=True, backend="aot_eager")
    x, y = scores(3, 2, 4, 7), scores(3, 2, 4, 7, seed=1)
    for form in (mapping, compiled):
        (form(x) * y).sum().backward()
    for plain, traced in zip(mapping.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(traced.grad, plain.grad)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Fusedmax(learn=["gama"]),
            "learn='gama' is unknown; Fusedmax can learn gamma, lam",
        ),
        (lambda: Softmax(learn=["lam"]), "Softmax can learn gamma"),
        (lambda: ConstrainedSoftmax(learn=["x"]), "can learn gamma, fertility"),
        (lambda: Fusedmax(learn="lam"), r"learn=\[lam\]"),
        (lambda: Softmax(per="heads"), "per='heads' is unknown; choose one of layer, head"),
        (lambda: Entmax(2.0, learn=["alpha"]), "alpha=2 cannot be learned, .* between 1 and 2"),
        (lambda: Fusedmax(lam=0.0, learn=["lam"]), "lam=0 cannot be learned, .* between 0 and inf"),
        (lambda: Softmax(torch.ones(()), learn=["gamma"]), "needs a number to start from"),
        (lambda: Softmax(-1.0, learn=["gamma"]), "gamma must be greater than 0"),
    ],
)
def test_what_cannot_be_learned_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_learned_number_is_not_overwritten():
    with pytest.raises(TypeError, match="cannot assign"):
        Softmax(learn=["gamma"]).gamma = 2.0


def test_a_gamma_set_from_outside_is_saved_and_loaded():
    mapping, x = Fusedmax(lam=0.2), scores(4, 9)
    mapping.set_gamma(3.0)
    assert mapping.tensors() == {"gamma": torch.tensor(3.0)}
    torch.testing.assert_close(mapping(x), Fusedmax(3.0, 0.2)(x))
    again = Fusedmax(lam=0.2)
    again.load_state_dict(mapping.state_dict())
    assert torch.equal(again(x), mapping(x))
    mapping.set_gamma(0.25)
    torch.testing.assert_close(mapping(x), Fusedmax(0.25, 0.2)(x))
    assert again.gamma == 3.0


def test_a_gamma_set_in_one_layer_is_not_that_of_another():
    mapping = Softmax()
    mapping.set_gamma(3.0)
    given = torch.tensor(3.0)
    for held in (mapping, Softmax(given)):
        first, second = held.for_layer(), held.for_layer()
        first.set_gamma(0.5)
        assert [first.gamma, second.gamma, held.gamma, given] == [0.5, 3.0, 3.0, 3.0]


def test_only_one_number_is_taken_over_from_what_was_saved():
    with pytest.raises(RuntimeError, match="Unexpected key"):
        Softmax().load_state_dict({"gamma": torch.ones(3)})


@pytest.mark.parametrize(
    "mapping", [Softmax(learn=["gamma"]), Softmax(nn.Parameter(torch.ones(())))]
)
def test_a_learned_gamma_is_not_set_from_outside(mapping):
    with pytest.raises(ValueError, match="take gamma out of learn"):
        mapping.set_gamma(2.0)


def test_a_gamma_out_of_its_domain_is_refused():
    with pytest.raises(ValueError, match="greater than 0"):
        Softmax().set_gamma(0.0)


def test_a_start_in_the_far_tail_is_met():
    for start in (1e-6, 1e-3, 80.0):
        assert Learned(GAMMA, start)().item() == pytest.approx(
            start, rel=2e-3 if start < 1e-5 else 1e-5
        )
