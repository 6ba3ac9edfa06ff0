"""The sequence loss against PyTorch's cross-entropy and against dense smoothed targets."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seq2seq.mappings import Entmax, Fusedmax, Mapping, Softmax, Sparsemax
from seq2seq.nn.losses import SequenceLoss


@pytest.fixture
def logits() -> Tensor:
    torch.manual_seed(0)
    return (2 * torch.randn(3, 4, 9, dtype=torch.float64)).requires_grad_()


@pytest.fixture
def target() -> Tensor:
    return torch.tensor([[4, 5, 3, 0], [6, 3, 0, 0], [8, 1, 7, 3]])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_softmax_loss_is_cross_entropy(logits: Tensor, target: Tensor, smoothing: float) -> None:
    loss_sum, nll_sum, tokens = SequenceLoss(smoothing)(logits, target, Softmax())
    rows, labels = logits.flatten(0, 1), target.flatten()
    expected = F.cross_entropy(
        rows, labels, ignore_index=0, label_smoothing=smoothing, reduction="sum"
    )
    torch.testing.assert_close(loss_sum, expected)
    torch.testing.assert_close(
        nll_sum, F.cross_entropy(rows, labels, ignore_index=0, reduction="sum").detach()
    )
    assert int(tokens) == 9
    (3 * loss_sum).backward()
    (gradient,) = torch.autograd.grad(3 * expected, logits)
    torch.testing.assert_close(logits.grad, gradient)


MAPPINGS = [Softmax(0.5), Sparsemax(), Sparsemax(2.0), Entmax(1.5), Fusedmax(1.0, 0.1)]


@pytest.mark.parametrize("mapping", MAPPINGS, ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_is_the_fenchel_young_loss_of_the_smoothed_target(
    logits: Tensor, target: Tensor, mapping: Mapping, smoothing: float
) -> None:
    loss_sum, nll_sum, _ = SequenceLoss(smoothing)(logits, target, mapping)
    (gradient,) = torch.autograd.grad(loss_sum, logits)
    real = target != 0
    rows, labels = logits[real], F.one_hot(target[real], 9).double()
    smooth = (1 - smoothing) * labels + smoothing / 9
    dense = mapping.loss(rows, smooth)
    if isinstance(mapping, Softmax):  # as PyTorch's cross-entropy: less the entropy of the target
        dense = dense - mapping.gamma * mapping.regularizer(smooth)
    torch.testing.assert_close(loss_sum, dense.sum())
    torch.testing.assert_close(gradient, torch.autograd.grad(dense.sum(), logits)[0])
    probability = mapping(rows).gather(-1, target[real][:, None])
    torch.testing.assert_close(nll_sum, -probability.log().sum().detach())


@pytest.mark.parametrize("mapping", [Softmax(), Sparsemax()], ids=str)
def test_ignored_positions_have_no_influence(
    logits: Tensor, target: Tensor, mapping: Mapping
) -> None:
    loss = SequenceLoss(0.1)(logits, target, mapping).loss_sum
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient[target == 0] == 0).all()
    assert (gradient[target != 0] != 0).any(-1).all()
    poisoned = logits.detach().clone()
    poisoned[target == 0] = 1e4
    torch.testing.assert_close(SequenceLoss(0.1)(poisoned, target, mapping).loss_sum, loss)


@pytest.mark.parametrize("mapping", [Softmax(), Sparsemax(), Entmax(1.3)], ids=str)
def test_nothing_but_padding_costs_nothing(logits: Tensor, mapping: Mapping) -> None:
    nothing = torch.zeros(3, 4, dtype=torch.long)
    loss_sum, nll_sum, tokens = SequenceLoss(0.1)(logits, nothing, mapping)
    assert loss_sum.item() == nll_sum.item() == tokens.item() == 0
    loss_sum.backward()
    assert (logits.grad == 0).all()


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[[1e4, -1e4, 0.0, 5.0]]], requires_grad=True)
    for label in (1, 2):
        loss = SequenceLoss(0.1)(logits, torch.tensor([[label]]), Softmax()).loss_sum
        expected = F.cross_entropy(logits[0], torch.tensor([label]), label_smoothing=0.1)
        torch.testing.assert_close(loss, expected)


def test_half_precision_sums_in_float32() -> None:
    logits = torch.randn(50, 40, 100).bfloat16().requires_grad_()
    target = torch.randint(1, 100, (50, 40))
    loss = SequenceLoss()(logits, target, Softmax()).loss_sum
    exact = SequenceLoss()(logits.double(), target, Softmax()).loss_sum
    torch.testing.assert_close(loss.double(), exact, rtol=1e-4, atol=0.0)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.dtype == torch.bfloat16


@pytest.mark.parametrize("mapping", MAPPINGS, ids=str)
def test_a_true_token_that_is_ruled_out_has_infinite_surprise_and_finite_loss(
    mapping: Mapping,
) -> None:
    logits = torch.zeros(1, 2, 9, requires_grad=True)
    with torch.no_grad():
        logits[0, :, 3] = 20.0
    loss_sum, nll_sum, tokens = SequenceLoss(0.1)(logits, torch.tensor([[3, 4]]), mapping)
    assert loss_sum.isfinite()
    assert nll_sum.isinf() == (not isinstance(mapping, Softmax))
    assert tokens == 2
    loss_sum.backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_softmax_whose_temperature_learns_keeps_the_convention(
    logits: Tensor, target: Tensor
) -> None:
    gamma = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    learned = SequenceLoss(0.1)(logits, target, Softmax(gamma))
    fixed = SequenceLoss(0.1)(logits, target, Softmax(0.7))
    torch.testing.assert_close(learned, fixed)
    (slope,) = torch.autograd.grad(learned.loss_sum, gamma)
    higher, lower = (SequenceLoss(0.1)(logits, target, Softmax(g)).loss_sum for g in (0.701, 0.699))
    torch.testing.assert_close(slope[0], (higher - lower) / 0.002, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mapping", [Sparsemax(), Entmax(1.5), Fusedmax(1.0, 0.1)], ids=str)
def test_the_loss_of_a_sparse_mapping_reaches_zero_at_the_smoothed_target(mapping: Mapping) -> None:
    logits = torch.zeros(1, 1, 9, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, tolerance_grad=1e-12)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = SequenceLoss(0.2)(logits, torch.tensor([[4]]), mapping).loss_sum
        loss.backward()
        assert loss >= 0
        return loss

    optimizer.step(closure)
    assert closure() < 1e-6


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_impossible_smoothing_is_refused(smoothing: float) -> None:
    with pytest.raises(ValueError, match="has to be in"):
        SequenceLoss(smoothing)


def test_a_second_backward_pass_is_refused_rather_than_wrong(
    logits: Tensor, target: Tensor
) -> None:
    loss = SequenceLoss()(logits, target, Softmax()).loss_sum
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="called twice"):
        loss.backward()


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_two_equal_passes_have_the_loss_of_one(
    logits: Tensor, target: Tensor, mapping: Mapping
) -> None:
    one = SequenceLoss(0.1)(logits, target, mapping)
    both = SequenceLoss(0.1, r_drop=3.0).of_two_passes((logits, logits), target, mapping)
    for first, second in zip(one, both, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-6)


def test_two_passes_by_softmax_are_half_of_r_drop(logits: Tensor, target: Tensor) -> None:
    torch.manual_seed(1)
    other = logits.detach() + 0.3 * torch.randn_like(logits)
    found = SequenceLoss(r_drop=5.0).of_two_passes((logits, other), target, Softmax())
    p, q = (x[target != 0].log_softmax(-1) for x in (logits, other))
    divergence = F.kl_div(p, q, reduction="sum", log_target=True)
    divergence = (divergence + F.kl_div(q, p, reduction="sum", log_target=True)) / 2
    labels = target[target != 0]
    expected = F.nll_loss(p, labels, reduction="sum") + F.nll_loss(q, labels, reduction="sum")
    torch.testing.assert_close(found.loss_sum, (expected + 5.0 * divergence) / 2)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_the_divergence_pulls_two_passes_together(
    logits: Tensor, target: Tensor, mapping: Mapping
) -> None:
    torch.manual_seed(1)
    other = (logits.detach() + 0.3 * torch.randn_like(logits)).requires_grad_()
    losses = [
        SequenceLoss(r_drop=alpha).of_two_passes((logits, other), target, mapping).loss_sum
        for alpha in (0.0, 4.0)
    ]
    assert losses[1] > losses[0]
    first, second = torch.autograd.grad(losses[1] - losses[0], (logits, other))
    real = (target != 0)[..., None]
    difference = torch.where(real, mapping(logits) - mapping(other), 0.0).detach()
    torch.testing.assert_close(first, difference, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(second, -difference, rtol=1e-5, atol=1e-6)
