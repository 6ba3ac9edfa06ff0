"""The face that all mappings share: weights, smoothed max, Fenchel–Young loss, regularizer."""

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

    γ and the parameter θ of Ω (λ, α, p) may be tensors: one number, or one for each row or head,
    broadcastable to the scores with 1 along ``dim``. They receive exact gradients, and those given
    to a module are its parameters or buffers, so that it can learn and move them.

    Numbers can be learned by name, ``learn=["gamma"]``: what the module keeps is then free, and
    ``mapping.gamma`` reads as a tensor inside the domain of γ (see :class:`Learned`).

    Args:
        omega: the regularizer Ω.
        gamma: the strength γ > 0.
        dim: the dimension that the mapping works along.
        others: parameters besides γ and θ, with their domains.
        learn: names of the parameters to learn, from the numbers given on.
        per: ``layer`` or ``head``: what each attention layer learns a number for.

    Attributes:
        stateful: whether the weights of a step depend on those of the steps before it, so that
            steps are to be mapped in order, by ``start`` and ``step``.
        is_relative: whether γ is relative to the strength that compares with softmax's, as
            :meth:`relative` makes it.
    """

    stateful: ClassVar[bool] = False
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
        held = [(GAMMA, gamma), *others]
        if omega.domain is not None and omega.parameter is not None:
            held.insert(1, (omega.domain, omega.parameter))
        self._names = tuple(domain.name for domain, _ in held)
        check_learning(type(self).__name__, self._names, learn, per)
        for domain, parameter in held:
            domain.check(parameter)
            self._hold(domain, parameter, learned=domain.name in learn)
        self._omega = omega
        self.dim = dim
        self.per = per

    @property
    def omega(self) -> Regularizer:
        """The regularizer Ω at the parameter that the module holds."""
        domain = self._omega.domain
        return self._omega if domain is None else self._omega.at(getattr(self, domain.name))

    def forward(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        """Weights like ``scores``: non-negative, of sum 1 over True, exactly 0 elsewhere.

        Scores of −inf count as masked. A row with nothing to attend is all 0 and has no gradient.
        """
        omega, gamma = self.strength(scores, mask)
        return weights(omega, scores, mask, self.dim, gamma)

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
        """:meth:`loss` of class indices, row by row, and −log of the weight of the true class.

        In double precision for sums to come; one pass over the scores gives both.
        """
        check_options(label_smoothing)
        if self._is_distribution(target, scores):
            raise ValueError("target must be class indices here; loss() takes distributions")
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

    def regularizer(self, weights: Tensor, mask: Tensor | None = None) -> Tensor:
        """Ω(y), without γ, of ``weights`` ``[..., length]``, in their shape without ``dim``."""
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
        """The parameters: numbers as given, tensors by their shape."""
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
        r"""Return a mapping whose γ is relative to the strength that compares with softmax's.

        A row of n valid positions then has the strength :math:`\gamma\,\kappa_\Omega(n)`. At γ = 1
        a word gets half of the weight when its score lies log(n − 1) above the others, whatever
        the mapping and the length (see :meth:`Regularizer.relative`).
        """
        twin = self._copy()
        twin.is_relative = True
        return twin

    def strength(
        self, scores: Tensor, mask: Tensor | None = None
    ) -> tuple[Regularizer, float | Tensor]:
        """Return Ω and γ for rows of scores: those of the module, or what they are relative to."""
        if not self.is_relative:
            return self.omega, self.gamma
        exact = torch.promote_types(scores.dtype, torch.float32)
        if mask is None:
            count = torch.full((), scores.size(self.dim), dtype=exact, device=scores.device)
        else:
            count = mask.sum(self.dim, keepdim=True, dtype=exact)
        return self.strength_among((count - 1).clamp(min=1))

    def strength_among(self, others: Tensor) -> tuple[Regularizer, float | Tensor]:
        """Return Ω and γκ for rows with so many valid positions besides one, at least 1."""
        omega, factor = self.omega.relative(others)
        return omega, self.gamma * factor

    def for_layer(self, heads: int = 1) -> Self:
        """The same mapping for one attention layer, which learns parameters of its own.

        They start at the numbers given. Tensors that were given are not copied: layers share them.

        Args:
            heads: of the layer; where a number is learned for each, it is ``[heads, 1, 1]``.
        """
        twin = self._copy()
        for name, learned in self.learned().items():
            twin._modules[name] = learned.again(SHAPES[self.per](heads))
        return twin

    def _copy(self) -> Self:
        """Return a shallow copy that holds its parameters in dictionaries of its own."""
        twin = copy.copy(self)
        for part in ("_parameters", "_buffers", "_modules"):
            twin.__dict__[part] = dict(self.__dict__[part])
        return twin

    def set_gamma(self, gamma: float) -> None:
        """Set γ from outside, step by step; it becomes a buffer, saved and loaded with the weights.

        The first time is before the module moves to its device, so that γ moves along.

        Raises:
            ValueError: if γ is learned, or was given as a tensor.
        """
        GAMMA.check(gamma)
        if not isinstance(self.gamma, Tensor):
            del self.gamma
            self.register_buffer(GAMMA.name, torch.tensor(float(gamma)))
        held = self._buffers.get(GAMMA.name)
        if held is None or held.dim():
            raise ValueError(
                f"gamma of {type(self).__name__} is learned or was given as a tensor, and cannot "
                "be annealed too: take gamma out of learn, or choose annealing=none"
            )
        self.gamma = torch.full_like(held, gamma, requires_grad=False)  # others may share the old

    @property
    def domains(self) -> dict[str, Domain]:
        """Where the value of each parameter may lie."""
        omega = self._omega.domain
        found = [GAMMA] if omega is None or omega.name not in self._names else [omega, GAMMA]
        return {domain.name: domain for domain in found}

    def tensors(self) -> dict[str, Tensor]:
        """The parameters that are tensors, now: what is learned, set from outside, or given so."""
        values = {name: getattr(self, name) for name in self._names}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    def learned(self) -> dict[str, Learned]:
        """The learned parameters by their names, free as the module keeps them."""
        return {name: part for name, part in self._modules.items() if isinstance(part, Learned)}

    def __getattr__(self, name: str) -> Any:
        """What PyTorch keeps for the module; a learned parameter is read in its domain."""
        value = super().__getattr__(name)
        return value() if isinstance(value, Learned) else value

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take over a γ that was set from outside in the mapping that was saved."""
        saved = state.get(f"{prefix}{GAMMA.name}")
        if isinstance(saved, Tensor) and not saved.dim() and not isinstance(self.gamma, Tensor):
            self.set_gamma(self.gamma)
        super()._load_from_state_dict(state, prefix, *rest)

    def _hold(self, domain: Domain, parameter: float | Tensor, learned: bool) -> None:
        """Keep γ or θ; a tensor moves with the module, and is saved with it."""
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


def shown(parameter: object) -> str:
    """A parameter in the ``repr`` of a module."""
    return f"Tensor{tuple(parameter.shape)}" if isinstance(parameter, Tensor) else str(parameter)
