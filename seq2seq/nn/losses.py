"""The training loss of a sequence model: a Fenchel–Young loss with label smoothing."""

from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq.mappings import Mapping, Softmax
from seq2seq.nn.cross_entropy import smoothed_cross_entropy


class SequenceLossOutput(NamedTuple):
    """Sums over real target tokens.

    ``loss_sum`` is to be differentiated, ``nll_sum`` is that of −log p (no smoothing, no gradient;
    inf when a sparse mapping rules a true token out), and ``tokens`` is their number.
    """

    loss_sum: Tensor
    nll_sum: Tensor
    tokens: Tensor


class SequenceLoss:
    r"""``L(x; q) = max_Ω(x) + γΩ(y) − ⟨x, q⟩`` with the smoothed target ``q = (1−ε) y + ε u``.

    x are the logits of one position, y is the one-hot true token and u uniform over the
    vocabulary, padding included (PyTorch's convention). A Fenchel–Young loss is linear in its
    target but for the constant Ω, so no dense target is ever made:

        L(x; q) = L(x; y) − ε ⟨x, u − y⟩ = L(x; y) + ε (x_y − mean(x))

    Its gradient is ``Π_Ω(x) − q``. For softmax this is
    ``F.cross_entropy(x, y, label_smoothing=ε)``; for other mappings γ(Ω(q) − Ω(y)), which does not
    depend on x, is left out likewise, so that the loss may go below zero when ε > 0.

    Args:
        label_smoothing: ε, 0 ≤ ε < 1.
        ignore_index: target id of positions that do not count.
    """

    def __init__(self, label_smoothing: float = 0.0, ignore_index: int = 0) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"label_smoothing={label_smoothing} has to be in [0, 1)")
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index

    def __call__(self, logits: Tensor, target: Tensor, mapping: Mapping) -> SequenceLossOutput:
        """``logits`` ``[batch, length, vocabulary]``, ``target`` ``[batch, length]``."""
        logits, target = logits.flatten(0, -2), target.flatten()
        if isinstance(mapping, Softmax) and not isinstance(mapping.gamma, Tensor):
            return self._softmax(logits, target, mapping.gamma)
        real = target != self.ignore_index
        logits, target = logits[real], target[real]
        true = logits.gather(-1, target[:, None]).squeeze(-1)
        loss = mapping.loss(logits, target) + self.label_smoothing * (true - logits.mean(-1))
        with torch.no_grad():
            probability = mapping(logits).gather(-1, target[:, None])
        exact = torch.promote_types(logits.dtype, torch.float32)
        nll = -probability.to(exact).log().sum()
        count = torch.tensor(target.numel(), device=target.device)
        return SequenceLossOutput(loss.sum(dtype=exact), nll, count)

    def _softmax(self, logits: Tensor, target: Tensor, gamma: float) -> SequenceLossOutput:
        """Ω is zero on one-hot targets, so ``L = γ · cross-entropy(x/γ)``."""
        real = target != self.ignore_index
        scaled = logits if gamma == 1.0 else logits / gamma
        loss, nll = smoothed_cross_entropy(
            scaled, target.where(real, 0), real, self.label_smoothing
        )
        return SequenceLossOutput(loss * gamma, nll, real.sum())
