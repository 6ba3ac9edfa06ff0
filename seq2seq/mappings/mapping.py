"""The interface that all mappings share: weights, smoothed max, loss and regularizer."""

import copy
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from seq2seq.mappings.class_loss import ClassLosses, class_losses
from seq2seq.mappings.domain import GAMMA, Domain
from seq2seq.mappings.learned import SHAPES, Learned, check_learning
from seq2seq.mappings.loss import REDUCTIONS, check_options, distribution_loss
from seq2seq.mappings.operators import maximum, weights
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import broadcast_mask, flatten


class Mapping(nn.Module):
    """A mapping from scores to probabilities, Π(x) = argmax_y ⟨y, x⟩ − γΩ(y) over the simplex.

    γ and the parameter θ of Ω (λ, α, p) are numbers or tensors. A tensor holds one number, or one
    for each row or head, and broadcasts to the scores with size 1 along ``dim``. Tensors receive
    exact gradients. The module registers them as parameters or buffers, so that they can be learned
    and move with it.

    ``learn=["gamma"]`` learns parameters by name. The module then stores an unconstrained
    parameter, and ``mapping.gamma`` returns a tensor inside the domain of γ (see :class:`Learned`).

    Args:
        omega: the regularizer Ω.
        gamma: the strength γ > 0.
        dim: the dimension along which the mapping is computed.
        others: parameters besides γ and θ, with their domains.
        learn: names of the parameters to learn; each starts at the number passed for it.
        per: ``layer`` or ``head``: learn one number per attention layer, or one per head.

    Attributes:
        stateful: whether the weights of a step depend on those of earlier steps. Such a mapping
            computes its steps in order, with ``start`` and ``step``.
        is_softmax: whether the weights are exp(x/γ) / Σ exp(x/γ).
        is_relative: whether γ multiplies the strength at which the mapping compares with softmax;
            see :meth:`relative`.
    """

    stateful: ClassVar[bool] = False
    is_softmax: ClassVar[bool] = False
    is_relative: bool = False

    def __init__(
        self,
        omega: Regularizer,
        gamma: float | Tensor = 1.0,
        dim: int = -1,
        *,
        others: Sequence[tuple[Domain, float | Tensor]] = (),
        learn: Sequence[str] = (),
        per: str = "layer",
    ) -> None:
        super().__init__()
        self.gamma: float | Tensor
        parameters = [(GAMMA, gamma), *others]
        if omega.domain is not None and omega.parameter is not None:
            parameters.insert(1, (omega.domain, omega.parameter))
        self._names = tuple(domain.name for domain, _ in parameters)
        check_learning(type(self).__name__, self._names, learn, per)
        for domain, parameter in parameters:
            domain.check(parameter)
            self._hold(domain, parameter, learned=domain.name in learn)
        self._omega = omega
        self.register_load_state_dict_pre_hook(_before_loading)
        self.dim = dim
        self.per = per

    @property
    def omega(self) -> Regularizer:
        """Return the regularizer Ω at the parameter that the module holds."""
        domain = self._omega.domain
        return self._omega if domain is None else self._omega.at(getattr(self, domain.name))

    def forward(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return weights like ``scores``: non-negative, 0 at masked positions, with the sum 1.

        Scores of −inf count as masked. A row without valid positions is all 0 and has no gradient.
        """
        omega, gamma = self.strength(scores, mask)
        return weights(omega, scores, mask, self.dim, gamma)

    def log_weights(self, scores: Tensor, *, overwrite: bool = False) -> Tensor:
        """Return the logarithms of the weights, −inf for weight 0, in float32 or float64.

        Args:
            scores: ``[..., length]``; a softmax returns NaN for a row without valid positions.
            overwrite: whether the result may take the memory of ``scores``; without gradient only.
        """
        weights = self(scores.to(torch.promote_types(scores.dtype, torch.float32)))
        return weights.log_() if overwrite else weights.log()

    def start(self, mask: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Return the state before the first step: tensors like the scores of one step; here none.

        Args:
            mask: bool, in the shape of the scores of one step, True = may be attended.
            dtype: the type of the state.
        """
        return ()

    def step(
        self, scores: Tensor, mask: Tensor | None, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the weights of one step, and the state after it."""
        return self(scores, mask), past

    def max(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the smoothed max sup_y ⟨y, x⟩ − γΩ(y), in the shape of ``scores`` without ``dim``.

        Its gradient is ``mapping(scores, mask)``, and its Hessian is the Jacobian of the mapping.
        It is 0 for a row without valid positions. It is float32 for half-precision scores.
        """
        omega, gamma = self.strength(scores, mask)
        value = maximum(omega, scores, mask, self.dim, gamma)
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
        """Return the Fenchel–Young loss L(x; q) = max_Ω(x) + γΩ(q) − ⟨x, q⟩ ≥ 0.

        Its gradient is Π(x) − q. With smoothing ε, q = (1 − ε)·target + ε·uniform over the valid
        positions of the row: those inside the mask whose score is above −inf.

        For softmax, L is γ times PyTorch's cross-entropy at x/γ, minus γ times the entropy of q.
        Its minimum is therefore 0.

        Args:
            scores: ``[..., length]``.
            target: class indices, integers in the shape of ``scores`` without ``dim``; or
                distributions in the shape of ``scores``.
            mask: bool, broadcastable to ``scores``; a target outside the mask has the loss inf.
            label_smoothing: ε, 0 ≤ ε < 1.
            ignore_index: the class index that marks rows to ignore; only with class indices.
            reduction: "none"; "sum"; or "mean" over the rows that are not ignored, 0 if all are.

        Returns:
            The loss of each row, in the shape of ``scores`` without ``dim``, or the reduced loss;
            float32 for half-precision scores. It is 0 for a row that is ignored or has no valid
            position.

        Raises:
            ValueError: if the target has another shape, or an option is out of range or unknown.
            IndexError: if a class index is out of range and is not ``ignore_index``.
        """
        check_options(label_smoothing, reduction)
        counted = None
        if self._is_distribution(target, scores):
            if ignore_index is not None:
                raise ValueError(
                    f"ignore_index={ignore_index} needs class indices as the target, not "
                    "distributions; leave ignore_index out"
                )
            omega, gamma = self.strength(scores, mask)
            losses = distribution_loss(
                omega, scores, target, mask, self.dim, gamma, label_smoothing
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
        """Return :meth:`loss` of class indices per row, and −log of the weight of the true class.

        One pass over the scores gives both. They are in double precision, so that a caller can sum
        them accurately.
        """
        check_options(label_smoothing)
        if self._is_distribution(target, scores):
            raise ValueError(
                f"class_losses() needs class indices as the target, not {target.dtype}; "
                "pass distributions to loss()"
            )
        omega, gamma = self.strength(scores, mask)
        return class_losses(
            omega,
            scores,
            target,
            mask,
            self.dim,
            gamma,
            label_smoothing,
            ignore_index,
        )

    @property
    def rows_are_separate(self) -> bool:
        """Whether :meth:`row_losses` of some rows equal those of all rows.

        Learned parameters, and parameters that differ between rows, need all rows together.
        """
        parameters = self.tensors().values()
        return self.dim == -1 and all(p.numel() == 1 and not p.requires_grad for p in parameters)

    def row_losses(
        self, scores: Tensor, target: Tensor, label_smoothing: float, *, differentiate: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return :meth:`class_losses` of ``[rows, length]``, and the gradient of their sum."""
        with torch.set_grad_enabled(differentiate):
            leaf = scores.detach().requires_grad_(differentiate)
            loss, surprise = self.class_losses(leaf, target, label_smoothing=label_smoothing)
            gradient = torch.autograd.grad(loss.sum(), leaf)[0] if differentiate else None
        return loss.detach(), surprise, gradient

    def training_loss(
        self, scores: Tensor, target: Tensor, *, label_smoothing: float, ignore_index: int
    ) -> tuple[Tensor, Tensor]:
        """Return the sums of :meth:`class_losses` over the rows, in float32 or float64.

        A mapping may return another loss with the same gradient, such as cross-entropy.
        """
        losses = self.class_losses(
            scores, target, label_smoothing=label_smoothing, ignore_index=ignore_index
        )
        exact = torch.promote_types(scores.dtype, torch.float32)
        return losses.loss.sum().to(exact), losses.surprise.sum().to(exact)

    def regularizer(self, weights: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return Ω(y), without γ, of ``weights``, in their shape without ``dim``."""
        if mask is None:
            valid = torch.ones_like(weights, dtype=torch.bool)
        else:
            valid = broadcast_mask(mask, weights)
        y, valid = flatten(weights, self.dim), flatten(valid, self.dim)
        shape = weights.movedim(self.dim, -1).shape
        omega = self.strength(weights, mask)[0].of_rows(shape, self.dim, y.dtype)
        value = omega.value(y.masked_fill(~valid, 0.0), valid)
        return value.reshape(shape[:-1]).to(weights.dtype)

    def extra_repr(self) -> str:
        """Return the parameters as text: numbers by their value, tensors by their shape."""
        omega = self.omega
        parameters: dict[str, object] = {}
        if is_dataclass(omega):
            parameters = {field.name: getattr(omega, field.name) for field in fields(omega)}
        parameters |= {"gamma": self.gamma, "dim": self.dim}
        if self.is_relative:
            parameters["relative"] = True
        if learned := self.learned():
            parameters |= {"learn": [*learned], "per": self.per}
        return ", ".join(f"{name}={shown(value)}" for name, value in parameters.items())

    def relative(self) -> Self:
        r"""Return a mapping whose γ multiplies the strength at which it compares with softmax.

        A row of n valid positions then has the strength :math:`\gamma\,\kappa_\Omega(n)`. At γ = 1
        a word gets half of the weight if its score lies log(n − 1) above the others, which are
        equal. That holds for every mapping and every length (see :meth:`Regularizer.relative`).
        """
        mapping = self._copy()
        mapping.is_relative = True
        return mapping

    def strength(
        self, scores: Tensor, mask: Tensor | None = None
    ) -> tuple[Regularizer, float | Tensor]:
        """Return Ω and γ for rows of ``scores``.

        With a relative γ, return γκ, which depends on the number of valid positions of each row.
        """
        if not self.is_relative:
            return self.omega, self.gamma
        exact = torch.promote_types(scores.dtype, torch.float32)
        if mask is None:
            count = torch.full((), scores.size(self.dim), dtype=exact, device=scores.device)
        else:
            count = mask.sum(self.dim, keepdim=True, dtype=exact)
        return self.strength_among((count - 1).clamp(min=1))

    def strength_among(self, others: Tensor) -> tuple[Regularizer, float | Tensor]:
        """Return Ω and γκ for rows with ``others`` + 1 valid positions, where ``others`` ≥ 1."""
        omega, factor = self.omega.relative(others)
        return omega, self.gamma * factor

    def for_layer(self, heads: int = 1) -> Self:
        """Return the same mapping for one attention layer, with learned parameters of its own.

        They start at the numbers that the constructor received. Parameters passed as tensors are
        not copied: all layers share them.

        Args:
            heads: the number of heads; a parameter learned per head has the shape
                ``[heads, 1, 1]``.
        """
        copied = self._copy()
        for name, learned in self.learned().items():
            setattr(copied, name, learned.again(SHAPES[self.per](heads)))
        return copied

    def _copy(self) -> Self:
        """Return a copy that shares Ω, parameters, buffers and modules with this mapping."""
        shared = (self._omega, *self.parameters(), *self.buffers(), *self.children())
        return copy.deepcopy(self, {id(part): part for part in shared})

    def set_gamma(self, gamma: float) -> None:
        """Set γ from outside, step by step; it becomes a buffer, saved and loaded with the weights.

        Call this once before the module moves to its device, so that γ moves with it.

        Raises:
            ValueError: if γ is learned, or was passed as a tensor.
        """
        GAMMA.check(gamma)
        if not isinstance(self.gamma, Tensor):
            del self.gamma
            self.register_buffer(GAMMA.name, torch.tensor(float(gamma)))
        buffer = dict(self.named_buffers(recurse=False)).get(GAMMA.name)
        if buffer is None or buffer.dim():
            raise ValueError(
                f"gamma of {type(self).__name__} cannot be annealed, because it is learned or was "
                "passed as a tensor; take gamma out of learn, or set annealing=none"
            )
        # Make a new tensor, because copies of this mapping may share the old one.
        self.gamma = torch.full_like(buffer, gamma, requires_grad=False)

    @property
    def domains(self) -> dict[str, Domain]:
        """Return the domain of each parameter by its name."""
        omega = self._omega.domain
        parameters = [GAMMA] if omega is None or omega.name not in self._names else [omega, GAMMA]
        return {domain.name: domain for domain in parameters}

    def tensors(self) -> dict[str, Tensor]:
        """Return the parameters that are tensors: learned, annealed, or passed as such."""
        values = {name: getattr(self, name) for name in self._names}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def learned(self) -> dict[str, Learned]:
        """Return the learned parameters by name, as modules that hold unconstrained values."""
        return {name: part for name, part in self.named_children() if isinstance(part, Learned)}

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the module; a learned parameter as a tensor in its domain."""
        value = super().__getattr__(name)
        return value() if isinstance(value, Learned) else value

    def _hold(self, domain: Domain, parameter: float | Tensor, learned: bool) -> None:
        """Store γ or θ; a tensor moves with the module and is saved with it."""
        if learned:
            self.add_module(domain.name, Learned(domain, parameter))
        elif isinstance(parameter, Tensor) and not isinstance(parameter, nn.Parameter):
            self.register_buffer(domain.name, parameter)
        else:
            setattr(self, domain.name, parameter)

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


def _before_loading(mapping: Mapping, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Make γ a buffer if the weights that are loaded hold a γ set by ``set_gamma``."""
    saved = state.get(f"{prefix}{GAMMA.name}")
    if isinstance(saved, Tensor) and not saved.dim() and not isinstance(mapping.gamma, Tensor):
        mapping.set_gamma(mapping.gamma)


def shown(parameter: object) -> str:
    """Return a parameter as text for the ``repr`` of a module."""
    return f"Tensor{tuple(parameter.shape)}" if isinstance(parameter, Tensor) else str(parameter)
