"""Softmax: the mapping of negative entropy, dense everywhere."""

import math
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor
from torch.nn import functional

from seq2seq.mappings import operators
from seq2seq.mappings.domain import is_number
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.mapping import Mapping
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import check_scores, flatten


@dataclass(frozen=True)
class Negentropy(Regularizer):
    """Ω(y) = Σ y log y."""

    name = "softmax"

    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Σ y log y, ``[rows]``."""
        return (weights * torch.where(weights > 0, weights, 1.0).log()).sum(-1)

    def vertex(self, index: Tensor, valid: Tensor) -> float:
        """0 at every vertex."""
        return 0.0

    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Exp(x) / Σ exp(x); a row's largest value is 0, so nothing overflows."""
        exponentials = values.exp()
        return exponentials / exponentials.sum(-1, keepdim=True).clamp(min=1.0)

    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """y∘v − y⟨y, v⟩."""
        return weights * (vectors - (weights * vectors).sum(-1, keepdim=True))


def softmax(
    scores: Tensor, mask: Tensor | None = None, dim: int = -1, *, gamma: float | Tensor = 1.0
) -> Tensor:
    """Π(x) = argmax_y ⟨y, x⟩ − γΣ y log y, the same as exp(x/γ) / Σ exp(x/γ).

    Args:
        scores: ``[..., length]`` of any float type.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension that the mapping works along.
        gamma: the strength γ > 0, known as temperature.

    Returns:
        Weights like ``scores``, positive wherever the mask is True.
    """
    x, hidden, call = operators.prepare(Negentropy(), scores, mask, dim, gamma)
    if hidden is not None:
        x = x.masked_fill(~hidden, -math.inf)
    if call.gammas is not None:
        hidden = x == -math.inf  # −inf would make a NaN of γ's gradient
        x = x.masked_fill(hidden, 0.0) / call.gammas.reshape(*x.shape[:-1], 1)
        x = x.masked_fill(hidden, -math.inf)
    elif call.gamma != 1.0:
        x = x / call.gamma
    y = torch.softmax(x, -1)
    # Rows with nothing to attend come out as NaN. Looking for them costs a pass, so that where a
    # device need not be waited for, it is made only if there may be any.
    near = x.device.type == "cpu" and operators.plain()
    if not near or bool(y.detach()[..., :1].isnan().any()):
        empty = (x.detach() == -math.inf).all(-1, keepdim=True)
        y = torch.softmax(x.masked_fill(empty, 0.0), -1).masked_fill(empty, 0.0)
    return y.to(scores.dtype).movedim(-1, dim)


class Softmax(Mapping):
    """:func:`softmax` as a module; its loss is cross-entropy at temperature γ."""

    def __init__(
        self, gamma: float | Tensor = 1.0, dim: int = -1, **learning: Unpack[Learning]
    ) -> None:
        super().__init__(Negentropy(), gamma, dim, **learning)

    def forward(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """See :func:`softmax`."""
        return softmax(scores, mask, self.dim, gamma=self.gamma)

    def loss(self, scores: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """The Fenchel–Young loss: γ·cross-entropy at x/γ, less γ·entropy of the target.

        Unmasked class indices, a language model's loss, go straight to PyTorch's fused
        cross-entropy.
        """
        check_scores(scores)
        if (
            mask is None
            and is_number(self.gamma, 1.0)
            and not self._is_distribution(target, scores)
        ):
            value = functional.cross_entropy(
                flatten(scores, self.dim), target.reshape(-1), reduction="none"
            )
            if not bool(value.isnan().any()):  # else a row of −inf only, or NaN: sorted out below
                return value.reshape(target.shape)
        return super().loss(scores, target, mask)
