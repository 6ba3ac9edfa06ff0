"""Softmax: the mapping of negative entropy, whose weights are all positive."""

import math
from dataclasses import dataclass
from typing import ClassVar, Self, Unpack

import torch
from torch import Tensor

from seq2seq.mappings import operators
from seq2seq.mappings.class_loss import ClassLosses, check_index, countable
from seq2seq.mappings.cross_entropy import losses_and_gradient, smoothed_cross_entropy
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.mapping import Mapping
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import check_scores, flatten

FAR = 100.0  # from this size of the scores, log-softmax loses digits in float32


@dataclass(frozen=True)
class Negentropy(Regularizer):
    """The regularizer Ω(y) = Σ y log y."""

    name = "softmax"

    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Return Σ y log y, ``[rows]``."""
        return (weights * torch.where(weights > 0, weights, 1.0).log()).sum(-1)

    def vertex(self, index: Tensor, valid: Tensor) -> float:
        """Return 0, the value at every vertex."""
        return 0.0

    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Return exp(x) / Σ exp(x); the maximum of a row is 0, so it cannot overflow."""
        exponentials = values.exp()
        return exponentials / exponentials.sum(-1, keepdim=True).clamp(min=1.0)

    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return y∘v − y⟨y, v⟩."""
        return weights * (vectors - (weights * vectors).sum(-1, keepdim=True))

    def relative(self, others: Tensor) -> tuple[Self, float]:
        """Return Ω and κ = 1, because all mappings are compared with softmax."""
        return self, 1.0


def softmax(
    scores: Tensor, mask: Tensor | None = None, dim: int = -1, *, gamma: float | Tensor = 1.0
) -> Tensor:
    """Return Π(x) = argmax_y ⟨y, x⟩ − γΣ y log y = exp(x/γ) / Σ exp(x/γ).

    Args:
        scores: ``[..., length]`` of any float type.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        gamma: the strength γ > 0, also called temperature.

    Returns:
        Weights like ``scores``, positive wherever the mask is True.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or if it or ``mask`` does not broadcast.
    """
    x, visible, call = operators.prepare(Negentropy(), scores, mask, dim, gamma)
    if visible is not None:
        x = x.masked_fill(~visible, -math.inf)
    if call.gammas is not None:
        hidden = x == -math.inf  # replace −inf, because it would make γ's gradient NaN
        x = x.masked_fill(hidden, 0.0) / call.gammas.reshape(*x.shape[:-1], 1)
        x = x.masked_fill(hidden, -math.inf)
    elif call.gamma != 1.0:
        x = x / call.gamma
    y = torch.softmax(x, -1)
    # Rows without valid positions are NaN here, and another pass sets them to 0. On the CPU, first
    # check whether any exist. The check would force a synchronisation on a GPU, and cannot be
    # traced, so in these cases the pass always runs.
    can_check = x.device.type == "cpu" and operators.plain()
    if not can_check or bool(y.detach()[..., :1].isnan().any()):
        empty = (x.detach() == -math.inf).all(-1, keepdim=True)
        y = torch.softmax(x.masked_fill(empty, 0.0), -1).masked_fill(empty, 0.0)
    y = y.to(scores.dtype)
    return y if dim in (-1, y.dim() - 1) else y.movedim(-1, dim)


class Softmax(Mapping):
    """:func:`softmax` as a module; its loss is cross-entropy at temperature γ."""

    is_softmax: ClassVar[bool] = True

    def __init__(
        self, gamma: float | Tensor = 1.0, dim: int = -1, **learning: Unpack[Learning]
    ) -> None:
        super().__init__(Negentropy(), gamma, dim, **learning)

    def forward(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute :func:`softmax` with the module's γ and dimension."""
        return softmax(scores, mask, self.dim, gamma=self.gamma)

    def class_losses(
        self,
        scores: Tensor,
        target: Tensor,
        mask: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ) -> ClassLosses:
        """Return class losses as the base class does; if unmasked, by PyTorch's log-softmax."""
        check_scores(scores)
        plain = operators.plain() and mask is None and not isinstance(self.gamma, Tensor)
        if plain and scores.numel() and not self._is_distribution(target, scores):
            x = near_zero(flatten(scores, self.dim))
            losses = _cross_entropy(_divided(x, self.gamma), target, label_smoothing, ignore_index)
            if losses is not None:
                return losses._replace(loss=losses.loss * self.gamma)
        return super().class_losses(
            scores, target, mask, label_smoothing=label_smoothing, ignore_index=ignore_index
        )

    def log_weights(self, scores: Tensor, *, overwrite: bool = False) -> Tensor:
        """Return log-softmax, which does not underflow to −inf."""
        x = _divided(scores, self.gamma)
        exact = torch.promote_types(x.dtype, torch.float32)
        # In place, because allocating memory at every step would double the time on a CPU.
        if overwrite and x.dtype == exact and x.device.type == "cpu" and not x.requires_grad:
            return torch.log_softmax(x, self.dim, out=x)
        return torch.log_softmax(x, self.dim, dtype=None if x.dtype == exact else exact)

    def row_losses(
        self, scores: Tensor, target: Tensor, label_smoothing: float, *, differentiate: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the rows of :meth:`training_loss`, and the gradient of their sum."""
        if (gamma := self._single_gamma()) is None:
            return super().row_losses(scores, target, label_smoothing, differentiate=differentiate)
        loss, surprise, gradient = losses_and_gradient(
            _divided(scores, gamma), target, label_smoothing, differentiate=differentiate
        )
        return loss * gamma, surprise, gradient

    def training_loss(
        self, scores: Tensor, target: Tensor, *, label_smoothing: float, ignore_index: int
    ) -> tuple[Tensor, Tensor]:
        """Return γ · cross-entropy(x/γ), as ``F.cross_entropy`` computes it, and −log p, summed.

        It differs from :meth:`class_losses` by the constant γΩ(q), so it does not reach 0 under
        label smoothing. Its values can be compared with those of other toolkits.
        """
        if (gamma := self._single_gamma()) is None:
            return super().training_loss(
                scores, target, label_smoothing=label_smoothing, ignore_index=ignore_index
            )
        counted, index = countable(target.flatten(), ignore_index)
        x = _divided(scores, gamma).flatten(0, -2)
        loss, surprise = smoothed_cross_entropy(x, index, counted, label_smoothing)
        return loss * gamma, surprise

    def _single_gamma(self) -> float | Tensor | None:
        """Return γ as a scalar, or None if it differs between rows."""
        if not isinstance(self.gamma, Tensor):
            return self.gamma
        return self.gamma.reshape(()) if self.gamma.numel() == 1 else None


def _divided(scores: Tensor, gamma: float | Tensor) -> Tensor:
    return scores / gamma if isinstance(gamma, Tensor) or gamma != 1.0 else scores


def near_zero(x: Tensor) -> Tensor:
    """Subtract the maximum of each row if one is far from 0; this changes no loss."""
    top = x.detach().amax(-1, keepdim=True)
    return x - top if bool((top.abs() > FAR).any()) else x


def _cross_entropy(
    x: Tensor, target: Tensor, smoothing: float, ignore_index: int | None
) -> ClassLosses | None:
    """Return KL(q ‖ softmax(x)) for the smoothed target q, and −log softmax(x) of the true class.

    Return None if a loss is not finite, because the base class treats −inf and NaN differently.

    Args:
        x: ``[rows, length]``.
        target: class indices of any shape, one for each row.
        smoothing: ε.
        ignore_index: the class index that marks rows to ignore.
    """
    index = target.reshape(-1).long()
    check_index(index, ignore_index, x.size(-1))
    counted, index = countable(index, ignore_index)
    logarithms = x.log_softmax(-1)
    surprise = -logarithms.gather(-1, index[:, None])[:, 0]
    loss = surprise
    if smoothing:
        rest = smoothing / x.size(-1)
        sure = 1 - smoothing + rest
        entropy = -sure * math.log(sure) - (x.size(-1) - 1) * rest * math.log(rest)
        loss = (1 - smoothing) * surprise - smoothing * logarithms.mean(-1) - entropy
        loss = loss - loss.detach().clamp(max=0.0)
    if not bool(loss.isfinite().all()):
        return None
    loss, surprise = loss.where(counted, 0.0), surprise.where(counted, 0.0)
    return ClassLosses(loss.view(target.shape), surprise.detach().view(target.shape))
