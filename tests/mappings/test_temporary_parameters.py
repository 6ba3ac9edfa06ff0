"""Setting other parameters of a mapping temporarily."""

from collections.abc import Callable

import pytest
import torch

from seq2seq.mappings import (
    ConstrainedSoftmax,
    Entmax,
    Fusedmax,
    Mapping,
    Softmax,
    Sqpnormmax,
)
from seq2seq.mappings.temporary_parameters import parameters_set

SCORES = torch.tensor([[1.0, 0.9, 1.1, -2.0], [0.3, 0.2, 0.0, 0.1]])


@pytest.mark.parametrize(
    ("mapping", "values", "same"),
    [
        (Softmax(), {"gamma": 0.1}, Softmax(gamma=0.1)),
        (Fusedmax(learn=["gamma", "lam"]), {"lam": 0.0}, Fusedmax(lam=0.0)),
        (Fusedmax(gamma=torch.tensor(2.0)), {"gamma": 0.3, "lam": 1}, Fusedmax(0.3, 1.0)),
        (Entmax(alpha=torch.nn.Parameter(torch.tensor(1.3))), {"alpha": 2.0}, Entmax(2.0)),
        (Sqpnormmax(), {"p": 2.0}, Sqpnormmax(2.0)),
    ],
)
def test_within_the_block_it_is_the_mapping_of_these_parameters(
    mapping: Mapping, values: dict[str, float], same: Mapping
) -> None:
    before, state = mapping(SCORES), {k: v.clone() for k, v in mapping.state_dict().items()}
    with parameters_set(mapping, values):
        torch.testing.assert_close(mapping(SCORES), same(SCORES), rtol=0, atol=0)
    torch.testing.assert_close(mapping(SCORES), before, rtol=0, atol=0)
    assert mapping.state_dict().keys() == state.keys()
    assert all(torch.equal(mapping.state_dict()[name], state[name]) for name in state)


def test_what_is_learned_is_the_same_object_afterwards() -> None:
    mapping = Fusedmax(learn=["gamma"])
    held = [*mapping.parameters()]
    with pytest.raises(RuntimeError, match="inside"), parameters_set(mapping, {"gamma": 5.0}):
        raise RuntimeError("inside")
    assert [*map(id, mapping.parameters())] == [*map(id, held)]
    assert mapping.learned().keys() == {"gamma"}


def test_a_gamma_set_from_outside_returns() -> None:
    mapping = Softmax()
    mapping.set_gamma(0.5)
    with parameters_set(mapping, {"gamma": 4.0}):
        assert mapping.gamma == 4.0
    assert float(mapping.gamma) == 0.5
    mapping.set_gamma(0.25)
    assert float(mapping.gamma) == 0.25


def test_fertility_holds_from_the_first_step_on() -> None:
    mask = torch.ones(1, 4, dtype=torch.bool)
    mapping = ConstrainedSoftmax(fertility=2.0)
    with parameters_set(mapping, {"fertility": 0.3}):
        weights, _ = mapping.step(SCORES[:1], mask, mapping.start(mask, torch.float32))
    assert weights[0, :3].max() <= 0.3


@pytest.mark.parametrize(
    ("make", "values", "message"),
    [
        (Softmax, {"lam": 1.0}, "Softmax has no parameter 'lam'; it has gamma"),
        (Fusedmax, {"gamma": 0.0}, "gamma must be greater than 0"),
        (Fusedmax, {"lam": -1.0}, "lam must be at least 0"),
        (Fusedmax, {"gamma": float("inf")}, "finite"),
        (Fusedmax, {"gamma": float("nan")}, "finite"),
    ],
)
def test_what_there_is_not_is_refused_and_nothing_changes(
    make: Callable[[], Mapping], values: dict[str, float], message: str
) -> None:
    mapping = make()
    before = mapping(SCORES)
    with pytest.raises(ValueError, match=message), parameters_set(mapping, values):
        pass
    assert torch.equal(mapping(SCORES), before)


def test_domains_name_every_parameter() -> None:
    assert [*Softmax().domains] == ["gamma"]
    assert [*Fusedmax().domains] == ["lam", "gamma"]
    assert [*ConstrainedSoftmax().domains] == ["fertility", "gamma"]
