"""The training loss of a sequence model: a Fenchel–Young loss with label smoothing."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq.mappings import Mapping, Softmax
from seq2seq.nn.coverage import coverage_loss
from seq2seq.nn.cross_entropy import losses_and_gradient, smoothed_cross_entropy
from seq2seq.nn.log_probabilities import LogProbabilities
from seq2seq.nn.projected import Projected, Score, by_autograd, in_chunks


class SequenceLossOutput(NamedTuple):
    """Sums over real target tokens.

    ``loss_sum`` is to be differentiated, ``nll_sum`` is that of −log p (no smoothing, no gradient;
    inf when a sparse mapping rules a true token out), and ``tokens`` is their number.
    """

    loss_sum: Tensor
    nll_sum: Tensor
    tokens: Tensor


class SequenceLoss:
    r"""``L(x; q) = max_Ω(x) + γΩ(q) − ⟨x, q⟩`` with the smoothed target ``q = (1−ε) y + ε u``.

    x are the logits of one position, y is the one-hot true token and u uniform over the
    vocabulary, padding included (PyTorch's convention). The gradient is ``Π_Ω(x) − q``, and the
    loss is 0 where Π_Ω(x) = q, never below.

    Softmax, of one γ, is the exception that its users expect: its loss is PyTorch's, γ times
    ``F.cross_entropy(x/γ, y, label_smoothing=ε)``, without the constant γΩ(q), the entropy of q. So
    it does not reach 0 when ε > 0, and its values are those of other toolkits. Where logits are
    log-probabilities (copying), it is ``−Σ q log p`` as :class:`LogProbabilities` has it.

    With coverage, λ Σ_t Σ_i min(a_ti, c_ti) of the attention a is added (``nn.coverage``).

    Args:
        label_smoothing: ε, 0 ≤ ε < 1.
        ignore_index: target id of positions that do not count.
        coverage: λ ≥ 0, the weight of the coverage loss; above 0, attention has to be given.
    """

    def __init__(
        self, label_smoothing: float = 0.0, ignore_index: int = 0, *, coverage: float = 0.0
    ) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"label_smoothing={label_smoothing} has to be in [0, 1)")
        if not coverage >= 0.0:
            raise ValueError(f"loss.coverage={coverage} has to be at least 0; 0 is without")
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.coverage = coverage

    @property
    def reads_attention(self) -> bool:
        """Whether the model has to return its attention."""
        return self.coverage > 0.0

    def __call__(
        self,
        logits: Tensor | Projected,
        target: Tensor,
        mapping: Mapping,
        attention: Tensor | None = None,
    ) -> SequenceLossOutput:
        """Sum over a batch.

        Args:
            logits: ``[batch, length, vocabulary]``, or what gives them: then they are never there
                as a whole, and the loss is differentiable once.
            target: ``[batch, length]``.
            mapping: logits → probabilities, the model's ``output_mapping``.
            attention: ``[batch, layer, head, length, source_length]``, where ``reads_attention``.
        """
        real = target != self.ignore_index
        if isinstance(logits, Projected) and not _by_row(mapping):
            logits = logits.whole()
        if isinstance(logits, Projected):
            loss, nll = in_chunks(self._score(mapping), logits, target, real)
        elif isinstance(mapping, LogProbabilities):
            loss, nll = mapping.negative_log_likelihood(logits, target, real, self.label_smoothing)
        elif _is_cross_entropy(mapping):
            loss, nll = self._softmax(logits, target, real, mapping.gamma)
        else:
            found = mapping.class_losses(
                logits,
                target,
                label_smoothing=self.label_smoothing,
                ignore_index=self.ignore_index,
            )
            exact = torch.promote_types(logits.dtype, torch.float32)
            loss, nll = (part.sum().to(exact) for part in found)
        if self.reads_attention:
            if attention is None:
                raise ValueError("loss.coverage needs the model's attention: ask the model for it")
            loss = loss + self.coverage * coverage_loss(attention, real)
        return SequenceLossOutput(loss, nll, real.sum())

    def _softmax(
        self, logits: Tensor, target: Tensor, real: Tensor, gamma: float | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Ω is zero on one-hot targets, so ``L = γ · cross-entropy(x/γ)``."""
        logits, real = logits.flatten(0, -2), real.flatten()
        loss, nll = smoothed_cross_entropy(
            _divided(logits, gamma), target.flatten().where(real, 0), real, self.label_smoothing
        )
        if isinstance(gamma, Tensor):
            gamma = gamma.reshape(())
        return loss * gamma, nll

    def _score(self, mapping: Mapping) -> Score:
        """The same losses, of a chunk of rows."""
        smoothing, gamma = self.label_smoothing, mapping.gamma
        if not _is_cross_entropy(mapping):
            return by_autograd(partial(mapping.class_losses, label_smoothing=smoothing))

        def score(
            logits: Tensor, target: Tensor, differentiate: bool
        ) -> tuple[Tensor, Tensor, Tensor | None]:
            loss, nll, gradient = losses_and_gradient(
                _divided(logits, gamma), target, smoothing, differentiate=differentiate
            )
            return loss * gamma, nll, gradient  # by x, of γ · loss(x/γ)

        return score


def _divided(logits: Tensor, gamma: float | Tensor) -> Tensor:
    """``x/γ``, for a γ of one number."""
    if isinstance(gamma, Tensor):
        return logits / gamma.reshape(())
    return logits if gamma == 1.0 else logits / gamma


def _is_cross_entropy(mapping: Mapping) -> bool:
    """Whether it is a softmax of one γ."""
    gamma = mapping.gamma
    return isinstance(mapping, Softmax) and (not isinstance(gamma, Tensor) or gamma.numel() == 1)


def _by_row(mapping: Mapping) -> bool:
    """Whether the loss of a row of logits can be had apart, with its gradient by the logits only.

    Parameters that learn, or that differ from row to row, need all logits together.
    """
    parameters = mapping.tensors().values()
    alike = all(p.numel() == 1 and not p.requires_grad for p in parameters)
    return alike and mapping.dim == -1 and not isinstance(mapping, LogProbabilities)
