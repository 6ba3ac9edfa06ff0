"""The face that all mappings share: weights, smoothed max, Fenchel–Young loss, regularizer."""

from dataclasses import fields, is_dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from seq2seq.mappings.class_loss import ClassLosses, class_losses
from seq2seq.mappings.domain import GAMMA
from seq2seq.mappings.loss import REDUCTIONS, check_options, distribution_loss
from seq2seq.mappings.operators import maximum, weights
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import broadcast_mask, flatten


class Mapping(nn.Module):
    """A mapping from scores to probabilities, Π(x) = argmax_y ⟨y, x⟩ − γΩ(y) over the simplex.

    γ and the parameter θ of Ω (λ, α, p) may be tensors: one number, or one for each row or head,
    broadcastable to the scores with 1 along ``dim``. They receive exact gradients, and those given
    to a module are its parameters or buffers, so that it can learn and move them.

    Args:
        omega: the regularizer Ω.
        gamma: the strength γ > 0.
        dim: the dimension that the mapping works along.

    Attributes:
        stateful: whether the weights of a step depend on those of the steps before it, so that
            steps are to be mapped in order, by ``start`` and ``step``.
    """

    stateful: ClassVar[bool] = False

    def __init__(self, omega: Regularizer, gamma: float | Tensor = 1.0, dim: int = -1) -> None:
        super().__init__()
        GAMMA.check(gamma)
        self.gamma: float | Tensor
        self._hold(GAMMA.name, gamma)
        if omega.domain is not None and omega.parameter is not None:
            omega.domain.check(omega.parameter)
            self._hold(omega.domain.name, omega.parameter)
        self._omega = omega
        self.dim = dim

    @property
    def omega(self) -> Regularizer:
        """The regularizer Ω at the parameter that the module holds."""
        domain = self._omega.domain
        return self._omega if domain is None else self._omega.at(getattr(self, domain.name))

    def forward(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weights like ``scores``: non-negative, of sum 1 over True, exactly 0 elsewhere.

        Scores of −inf count as masked. A row with nothing to attend is all 0 and has no gradient.
        """
        return weights(self.omega, scores, mask, self.dim, self.gamma)

    def start(self, mask: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """What stands before the first step, each like the scores of a step; here nothing.

        Args:
            mask: bool, like the scores of a step, True = may be attended.
            dtype: what to keep it in.
        """
        return ()

    def step(
        self, scores: Tensor, mask: Tensor | None, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The weights of one step, and what stands after it."""
        return self(scores, mask), past

    def max(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """The smoothed max sup_y ⟨y, x⟩ − γΩ(y), in the shape of ``scores`` without ``dim``.

        Its gradient is ``mapping(scores, mask)``, and its Hessian the Jacobian of the mapping. 0
        for a row with nothing to attend; float32 for half scores.
        """
        value = maximum(self.omega, scores, mask, self.dim, self.gamma)
        return value.to(torch.promote_types(scores.dtype, torch.float32))

    def loss(
        self,
        scores: Tensor,
        target: Tensor,
        mask: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        reduction: str = "none",
    ) -> Tensor:
        """The Fenchel–Young loss, L(x; q) = max_Ω(x) + γΩ(q) − ⟨x, q⟩ ≥ 0, of gradient Π(x) − q.

        With smoothing ε, q = (1 − ε)·target + ε·uniform over the positions of the row that may be
        attended: those of the mask whose score is above −inf. For softmax that is PyTorch's
        cross-entropy at x/γ, times γ, less γ times the entropy of q, so that it reaches 0.

        Args:
            scores: ``[..., length]``.
            target: class indices, integer of the shape of ``scores`` without ``dim``; or
                distributions like ``scores``.
            mask: bool, broadcastable to ``scores``; a target outside the mask costs inf.
            label_smoothing: ε, 0 ≤ ε < 1.
            ignore_index: the class index of rows that do not count; only with class indices.
            reduction: "none"; "sum"; or "mean" over the rows that count, 0 where there is none.

        Returns:
            The loss of each row, in the shape of ``scores`` without ``dim``, or what they are
            reduced to; float32 for half scores; 0 where a row does not count, or nothing may be
            attended.

        Raises:
            ValueError: for a target of another shape, and options that there are not.
            IndexError: for a class index beyond the row, other than ``ignore_index``.
        """
        check_options(label_smoothing, reduction)
        counted = None
        if self._is_distribution(target, scores):
            if ignore_index is not None:
                raise ValueError("ignore_index goes with class indices, not with distributions")
            losses = distribution_loss(
                self.omega, scores, target, mask, self.dim, self.gamma, label_smoothing
            )
        else:
            counted = None if ignore_index is None else target != ignore_index
            losses = self.class_losses(
                scores,
                target,
                mask,
                label_smoothing=label_smoothing,
                ignore_index=ignore_index,
            ).loss
        reduced = REDUCTIONS[reduction](losses, counted)
        return reduced.to(torch.promote_types(scores.dtype, torch.float32))

    def class_losses(
        self,
        scores: Tensor,
        target: Tensor,
        mask: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ) -> ClassLosses:
        """:meth:`loss` of class indices, row by row, and −log of the weight of the true class.

        In double precision for sums to come; one pass over the scores gives both.
        """
        check_options(label_smoothing)
        if self._is_distribution(target, scores):
            raise ValueError("target must be class indices here; loss() takes distributions")
        return class_losses(
            self.omega,
            scores,
            target,
            mask,
            self.dim,
            self.gamma,
            label_smoothing,
            ignore_index,
        )

    def regularizer(self, weights: Tensor, mask: Tensor | None = None) -> Tensor:
        """Ω(y), without γ, of ``weights`` ``[..., length]``, in their shape without ``dim``."""
        if mask is None:
            valid = torch.ones_like(weights, dtype=torch.bool)
        else:
            valid = broadcast_mask(mask, weights)
        y, valid = flatten(weights, self.dim), flatten(valid, self.dim)
        shape = weights.movedim(self.dim, -1).shape
        omega = self.omega.of_rows(shape, self.dim, y.dtype)
        value = omega.value(y.masked_fill(~valid, 0.0), valid)
        return value.reshape(shape[:-1]).to(weights.dtype)

    def extra_repr(self) -> str:
        """The parameters: numbers as given, tensors by their shape."""
        omega = self.omega
        parameters: dict[str, object] = {}
        if is_dataclass(omega):
            parameters = {field.name: getattr(omega, field.name) for field in fields(omega)}
        parameters |= {"gamma": self.gamma, "dim": self.dim}
        return ", ".join(f"{name}={shown(value)}" for name, value in parameters.items())

    def _hold(self, name: str, parameter: float | Tensor) -> None:
        """Keep γ or θ; a tensor moves with the module, and is saved with it."""
        if isinstance(parameter, Tensor) and not isinstance(parameter, nn.Parameter):
            self.register_buffer(name, parameter)
        else:
            setattr(self, name, parameter)

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


def shown(parameter: object) -> str:
    """A parameter in the ``repr`` of a module."""
    return f"Tensor{tuple(parameter.shape)}" if isinstance(parameter, Tensor) else str(parameter)
