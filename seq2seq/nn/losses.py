"""The training loss of sequence models: a Fenchel–Young loss with label smoothing."""

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
    """Sums over the target tokens, without padding.

    - ``loss_sum``: the loss to differentiate.
    - ``nll_sum``: −log p of the true tokens, without smoothing and without a gradient. It is inf if
      a sparse mapping gives a true token the probability 0.
    - ``tokens``: the number of tokens.
    """

    loss_sum: Tensor
    nll_sum: Tensor
    tokens: Tensor


class SequenceLoss:
    r"""The Fenchel–Young loss of the output mapping, with label smoothing, summed over tokens.

    ``L(x; q) = max_Ω(x) + γΩ(q) − ⟨x, q⟩`` with the smoothed target ``q = (1−ε) y + ε u``. Here x
    are the logits of one position, y is the one-hot true token, and u is uniform over the
    vocabulary, including padding (as in PyTorch). The gradient is ``Π_Ω(x) − q``. The loss is never
    negative, and it is 0 if Π_Ω(x) = q.

    There are two exceptions:

    - Softmax with a single γ uses PyTorch's loss, γ times ``F.cross_entropy(x/γ, y,
      label_smoothing=ε)``. It lacks the constant γΩ(q), so it does not reach 0 if ε > 0. Its values
      can be compared with those of other toolkits.
    - With copying, the logits are log-probabilities and the loss is ``−Σ q log p``, see
      :class:`LogProbabilities`.

    With ``coverage`` λ, the loss λ Σ_t Σ_i min(a_ti, c_ti) of the attention a is added
    (``nn.coverage``).

    Args:
        label_smoothing: ε, 0 ≤ ε < 1.
        ignore_index: target id of positions that are ignored.
        coverage: λ ≥ 0, the weight of the coverage loss. If λ > 0, the loss needs the attention.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self, label_smoothing: float = 0.0, ignore_index: int = 0, *, coverage: float = 0.0
    ) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"label_smoothing={label_smoothing} has to be in [0, 1)")
        if not coverage >= 0.0:
            raise ValueError(f"loss.coverage={coverage} has to be at least 0; 0 disables it")
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.coverage = coverage

    @property
    def reads_attention(self) -> bool:
        """Whether the loss needs the attention of the model."""
        return self.coverage > 0.0

    def __call__(
        self,
        logits: Tensor | Projected,
        target: Tensor,
        mapping: Mapping,
        attention: Tensor | None = None,
    ) -> SequenceLossOutput:
        """Compute the sums over a batch.

        Args:
            logits: ``[batch, length, vocabulary]``, or a ``Projected``. The logits of a
                ``Projected`` are computed in chunks and never stored as a whole; the loss is then
                differentiable only once.
            target: ``[batch, length]`` ids.
            mapping: logits → probabilities, the model's ``output_mapping``.
            attention: ``[batch, layer, head, length, source_length]``; required if
                ``reads_attention``.

        Raises:
            ValueError: if the loss needs the attention, but ``attention`` is ``None``.
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
            losses = mapping.class_losses(
                logits,
                target,
                label_smoothing=self.label_smoothing,
                ignore_index=self.ignore_index,
            )
            exact = torch.promote_types(logits.dtype, torch.float32)
            loss, nll = (part.sum().to(exact) for part in losses)
        if self.reads_attention:
            if attention is None:
                raise ValueError(
                    f"loss.coverage={self.coverage} needs the attention of the model; call the "
                    "model with return_attention=True"
                )
            loss = loss + self.coverage * coverage_loss(attention, real)
        return SequenceLossOutput(loss, nll, real.sum())

    def _softmax(
        self, logits: Tensor, target: Tensor, real: Tensor, gamma: float | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute ``γ · cross-entropy(x/γ)``, which is L because Ω is 0 on one-hot targets."""
        logits, real = logits.flatten(0, -2), real.flatten()
        loss, nll = smoothed_cross_entropy(
            _divided(logits, gamma), target.flatten().where(real, 0), real, self.label_smoothing
        )
        if isinstance(gamma, Tensor):
            gamma = gamma.reshape(())
        return loss * gamma, nll

    def _score(self, mapping: Mapping) -> Score:
        """Return a function that computes the same losses for a chunk of rows."""
        smoothing, gamma = self.label_smoothing, mapping.gamma
        if not _is_cross_entropy(mapping):
            return by_autograd(partial(mapping.class_losses, label_smoothing=smoothing))

        def score(
            logits: Tensor, target: Tensor, differentiate: bool
        ) -> tuple[Tensor, Tensor, Tensor | None]:
            loss, nll, gradient = losses_and_gradient(
                _divided(logits, gamma), target, smoothing, differentiate=differentiate
            )
            return loss * gamma, nll, gradient  # the gradient of γ · loss(x/γ) by x

        return score


def _divided(logits: Tensor, gamma: float | Tensor) -> Tensor:
    """Return ``x/γ``, where γ is a single number."""
    if isinstance(gamma, Tensor):
        return logits / gamma.reshape(())
    return logits if gamma == 1.0 else logits / gamma


def _is_cross_entropy(mapping: Mapping) -> bool:
    """Return True for a softmax with a single γ."""
    gamma = mapping.gamma
    return isinstance(mapping, Softmax) and (not isinstance(gamma, Tensor) or gamma.numel() == 1)


def _by_row(mapping: Mapping) -> bool:
    """Return True if the loss can be computed for each row of logits separately.

    Learned parameters, and parameters that differ between rows, need all logits together.
    """
    parameters = mapping.tensors().values()
    constant = all(p.numel() == 1 and not p.requires_grad for p in parameters)
    return constant and mapping.dim == -1 and not isinstance(mapping, LogProbabilities)
