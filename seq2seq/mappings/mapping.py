"""The face that all mappings share: weights, smoothed max, Fenchel–Young loss, regularizer."""

import math
from dataclasses import asdict, is_dataclass

import torch
from torch import Tensor, nn

from seq2seq.mappings.regularizer import Regularizer, maximum, weights
from seq2seq.mappings.rows import Rows, as_rows, broadcast_mask, check_gamma, flatten


class Mapping(nn.Module):
    """A mapping from scores to probabilities, Π(x) = argmax_y ⟨y, x⟩ − γΩ(y) over the simplex.

    Args:
        omega: the regularizer Ω.
        gamma: the strength γ > 0. A tensor (one number, or one for each row, broadcastable to the
            scores with 1 along ``dim``) receives a gradient.
        dim: the dimension that the mapping works along.
    """

    def __init__(self, omega: Regularizer, gamma: float | Tensor = 1.0, dim: int = -1) -> None:
        super().__init__()
        check_gamma(gamma)
        self.omega = omega
        self.gamma = gamma
        self.dim = dim

    def forward(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weights like ``scores``: non-negative, of sum 1 over True, exactly 0 elsewhere.

        Scores of −inf count as masked. A row with nothing to attend is all 0 and has no gradient.
        """
        return weights(self.omega, scores, mask, self.dim, self.gamma)

    def max(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """The smoothed max sup_y ⟨y, x⟩ − γΩ(y), in the shape of ``scores`` without ``dim``.

        Its gradient is ``mapping(scores, mask)``, and its Hessian the Jacobian of the mapping. 0
        for a row with nothing to attend; float32 for half scores.
        """
        rows = as_rows(scores, mask, self.dim, self.gamma)
        return rows.restore_values(rows.gamma * maximum(self.omega, rows) + rows.maximum)

    def loss(self, scores: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """The Fenchel–Young loss, L(x; y) = max_Ω(x) + γΩ(y) − ⟨x, y⟩ ≥ 0, of gradient Π(x) − y.

        Args:
            scores: ``[..., length]``.
            target: class indices, integer of the shape of ``scores`` without ``dim``; or
                distributions like ``scores``.
            mask: bool, broadcastable to ``scores``; a target outside the mask costs inf.

        Returns:
            The loss of each row, in the shape of ``scores`` without ``dim``, float32 for half
            scores; 0 where nothing may be attended.
        """
        rows = as_rows(scores, mask, self.dim, self.gamma)
        if self._is_distribution(target, scores):
            difference = self._at_distribution(rows, target)
        else:
            difference = self._at_index(rows, target.reshape(-1))
        value = (maximum(self.omega, rows) + difference).masked_fill(rows.empty, 0.0)
        value = value - value.detach().clamp(max=0.0)  # rounding below 0 goes, the gradient stays
        value = rows.gamma * value
        return rows.restore_values(value)

    def regularizer(self, weights: Tensor, mask: Tensor | None = None) -> Tensor:
        """Ω(y), without γ, of ``weights`` ``[..., length]``, in their shape without ``dim``."""
        if mask is None:
            valid = torch.ones_like(weights, dtype=torch.bool)
        else:
            valid = broadcast_mask(mask, weights)
        y, valid = flatten(weights, self.dim), flatten(valid, self.dim)
        value = self.omega.value(y.masked_fill(~valid, 0.0), valid)
        return value.reshape(weights.movedim(self.dim, -1).shape[:-1]).to(weights.dtype)

    def extra_repr(self) -> str:
        """The parameters, as given."""
        parameters: dict[str, object] = asdict(self.omega) if is_dataclass(self.omega) else {}
        parameters |= {"gamma": self.gamma, "dim": self.dim}
        return ", ".join(f"{name}={value}" for name, value in parameters.items())

    def _is_distribution(self, target: Tensor, scores: Tensor) -> bool:
        without_dim = scores.movedim(self.dim, -1).shape[:-1]
        if target.is_floating_point() and target.shape == scores.shape:
            return True
        if not target.is_floating_point() and target.shape == without_dim:
            return False
        raise ValueError(
            f"target must be class indices (integers of shape {tuple(without_dim)}) or "
            f"distributions (floats of shape {tuple(scores.shape)}), "
            f"not {target.dtype} of shape {tuple(target.shape)}"
        )

    def _at_index(self, rows: Rows, index: Tensor) -> Tensor:
        """Ω(y) − ⟨x, y⟩ for one-hot y, without building y."""
        vertex = self.omega.vertex(index, rows.valid)
        return (vertex - rows.values.gather(1, index[:, None])[:, 0]).to(rows.values.dtype)

    def _at_distribution(self, rows: Rows, target: Tensor) -> Tensor:
        """Ω(y) − ⟨x, y⟩ for distributions y; inf where y has mass on a masked position."""
        y = flatten(target, self.dim).to(rows.values.dtype)
        outside = ((y > 0) & ~rows.valid).any(-1)
        product = (y * rows.values.masked_fill(~rows.valid, 0.0)).sum(-1)
        return (self.omega.value(y, rows.valid) - product).masked_fill(outside, math.inf)
