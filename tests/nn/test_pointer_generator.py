"""The copying head against a hand-worked example and against sums over positions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.mappings import Softmax, Sparsemax
from seq2seq.nn.log_probabilities import LogProbabilities
from seq2seq.nn.losses import SequenceLoss
from seq2seq.nn.pointer_generator import PointerGenerator

V = 5
TOLERANCE = {"atol": 1e-12, "rtol": 1e-10}


def head(mapping: Softmax | None = None) -> PointerGenerator:
    torch.manual_seed(0)
    return PointerGenerator(3, 4, 2, V, mapping or Softmax()).double()


def inputs(source: Tensor, length: int = 3, seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    batch, width = source.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    return {
        "logits": 2 * normal(batch, length, V),
        "weights": Sparsemax()(normal(batch, length, width)),
        "state": normal(batch, length, 4),
        "embedded": normal(batch, length, 2),
        "memory": normal(batch, width, 3),
    }


def mixture(model: PointerGenerator, source: Tensor, parts: dict[str, Tensor]) -> Tensor:
    prepared = model.prepare(source, parts["memory"])
    rest = {name: part for name, part in parts.items() if name != "memory"}
    return model(**rest, source=prepared)


def test_a_hand_worked_example() -> None:
    model = head()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(model.state.bias, math.log(0.8 / 0.2))  # p_gen = 0.8
    source = torch.tensor([[4, 6, 4, 5, 3]])  # words 5 and 6 are not in the vocabulary
    parts = inputs(source, 1)
    parts["logits"] = torch.tensor([[[0.1, 0.2, 0.3, 0.3, 0.1]]], dtype=torch.float64).log()
    parts["weights"] = torch.tensor([[[0.5, 0.2, 0.3, 0.0, 0.0]]], dtype=torch.float64)
    expected = [0.08, 0.16, 0.24, 0.24, 0.08 + 0.2 * 0.8, 0.0, 0.2 * 0.2]
    found = mixture(model, source, parts).exp()
    torch.testing.assert_close(found, torch.tensor([[expected]], dtype=torch.float64))
    assert found[0, 0, 5] == 0.0


@given(
    source=st.lists(
        st.lists(st.integers(0, V + 3), min_size=4, max_size=4), min_size=1, max_size=3
    ),
    seed=st.integers(0, 1000),
    gamma=st.sampled_from([1.0, 0.5]),
)
def test_it_is_the_sum_over_positions(source: list[list[int]], seed: int, gamma: float) -> None:
    model, ids = head(Softmax(gamma=gamma)), torch.tensor(source)
    parts = inputs(ids, seed=seed)
    found = mixture(model, ids, parts).exp()
    context = parts["weights"] @ parts["memory"]
    gate = model.context(context) + model.state(parts["state"]) + model.input(parts["embedded"])
    share = torch.sigmoid(gate)
    width = max(V, int(ids.max()) + 1)
    assert found.shape == (*parts["logits"].shape[:2], width)
    expected = torch.zeros_like(found)
    expected[..., :V] = share * torch.softmax(parts["logits"] / gamma, dim=-1)
    for row, sentence in enumerate(source):
        for position, word in enumerate(sentence):
            copied = (1 - share[row]) * parts["weights"][row, :, position, None]
            expected[row, :, word] += copied[:, 0]
    torch.testing.assert_close(found, expected, **TOLERANCE)
    torch.testing.assert_close(found.sum(-1), torch.ones_like(found[..., 0]))
    assert ((found == 0) == (expected == 0)).all()


def test_gradients_are_those_of_finite_differences() -> None:
    model, source = head(), torch.tensor([[4, 6, 4, 5, 3], [1, 5, 2, 2, 0]])
    parts = {name: part.requires_grad_() for name, part in inputs(source).items()}
    parts["weights"] = torch.softmax(torch.randn_like(parts["weights"]), -1).requires_grad_()
    index = torch.tensor([[4, 6, 2], [5, 1, 2]])

    def probabilities(*values: Tensor) -> Tensor:
        found = mixture(model, source, dict(zip(parts, values, strict=True)))
        return found.gather(-1, index[..., None])

    assert torch.autograd.gradcheck(probabilities, tuple(parts.values()))


def test_a_word_that_cannot_be_copied_costs_a_finite_amount_and_spoils_no_gradient() -> None:
    model, source = head(), torch.tensor([[4, 5, 3]])
    parts = inputs(source, 2)
    parts["weights"] = torch.tensor([[[1.0, 0, 0], [0, 1.0, 0]]], dtype=torch.float64)
    values = {name: part.requires_grad_() for name, part in parts.items()}
    logits = mixture(model, source, values)
    loss = SequenceLoss(label_smoothing=0.1)(logits, torch.tensor([[5, 5]]), LogProbabilities(V))
    assert loss.nll_sum == torch.inf
    assert loss.loss_sum.isfinite()
    loss.loss_sum.backward()
    for name, part in values.items():
        assert part.grad is not None, name
        assert part.grad.isfinite().all(), name
    plain = SequenceLoss()(logits, torch.tensor([[5, 4]]), LogProbabilities(V))
    charge = -math.log(1e-10) - float(logits[0, 1, 4].detach())
    assert float(plain.loss_sum.detach()) == pytest.approx(charge)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_copied_words_the_loss_is_cross_entropy(smoothing: float) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, V, dtype=torch.float64)
    target = torch.tensor([[4, 3, 0], [1, 2, 3]])
    ours = SequenceLoss(smoothing)(logits.log_softmax(-1), target, LogProbabilities(V))
    theirs = SequenceLoss(smoothing)(logits, target, Softmax())
    torch.testing.assert_close(ours.loss_sum, theirs.loss_sum)
    torch.testing.assert_close(ours.nll_sum, theirs.nll_sum)


def test_smoothing_gives_nothing_to_words_of_other_examples() -> None:
    model, source = head(), torch.tensor([[4, 5, 3], [5, 6, 7]])
    parts = inputs(source)
    target = torch.tensor([[5, 4, 3]])
    together = mixture(model, source, parts)
    alone = mixture(model, source[:1], {name: part[:1] for name, part in parts.items()})
    assert (together.size(-1), alone.size(-1)) == (8, 6)
    assert (together[:1, :, 6:] == -torch.inf).all()
    losses = [
        SequenceLoss(0.1)(logits, target, LogProbabilities(V)).loss_sum
        for logits in (together[:1], alone)
    ]
    torch.testing.assert_close(*losses)


def test_small_probabilities_keep_their_gradients_in_half_precision() -> None:
    model, source = head().bfloat16(), torch.tensor([[4, 5, 3]])
    parts = {name: part.bfloat16() for name, part in inputs(source, 1).items()}
    parts["logits"] = torch.tensor([[[0.0, -300.0, 0, 0, 0]]]).bfloat16().requires_grad_()
    found = mixture(model, source, parts)
    assert found.dtype == torch.float32
    assert found[0, 0, 1] < -300.0
    found[0, 0, 1].backward()
    assert float(parts["logits"].grad[0, 0, 1]) == pytest.approx(1.0, abs=1e-2)


def test_a_sparse_output_layer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"output_mapping=Sparsemax .* copying=true, .*=softmax"):
        PointerGenerator(3, 4, 2, V, Sparsemax())
