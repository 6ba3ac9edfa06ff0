r"""Annealing of γ: attention mappings start smooth and become sparse, or the other way round.

With :math:`t` updates done and :math:`s = \min(1, t/T)`, :math:`T` = ``steps``, γ goes from
:math:`a` = ``start`` to :math:`b` = ``end`` by the formula of each class, and then stays at
:math:`b`. It depends on the step only, so a resumed run continues with the same values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import lightning

from seq2seq.mappings import Mapping
from seq2seq.models.attending import AttendingModel
from seq2seq.training.logging_interval import logging_interval


class Annealing(ABC):
    """γ as a function of the updates done.

    Args:
        start: γ before the first update.
        end: γ after ``steps`` updates and later.
        steps: updates between the two.
        attentions: kinds of attention whose mappings are set: ``cross``, ``encoder``, ``decoder``.

    Raises:
        ValueError: if ``start`` or ``end`` is not above 0 and finite, ``steps`` is below 1 or
            ``attentions`` is not a list.
    """

    def __init__(
        self, start: float, end: float, steps: int, attentions: Sequence[str] = ("cross",)
    ) -> None:
        for name, value in (("start", start), ("end", end)):
            if not 0 < value < math.inf:
                raise ValueError(f"annealing.{name}={value:g}: gamma must be above 0 and finite")
        if steps < 1:
            raise ValueError(f"annealing.steps must be at least 1, got {steps}")
        if isinstance(attentions, str) or not attentions:
            raise ValueError(f"annealing.attentions={attentions!r} must be a list such as [cross]")
        self.start, self.end, self.steps = start, end, steps
        self.attentions = attentions

    def __call__(self, updates_done: int) -> float:
        """Return γ for the next update, and for a checkpoint saved at this step."""
        return self.at(updates_done / self.steps) if updates_done < self.steps else self.end

    @abstractmethod
    def at(self, share: float) -> float:
        """Return γ at the fraction s in [0, 1) of the steps."""

    def mappings(self, model: AttendingModel) -> list[Mapping]:
        """Return the mappings of a model whose γ is annealed.

        Raises:
            ValueError: if the model lacks one of the kinds of attention.
        """
        held = model.attention_mappings()
        for kind in self.attentions:
            if not held.get(kind):
                raise ValueError(
                    f"annealing.attentions={list(self.attentions)}: {type(model).__name__} has no "
                    f"{kind} attention, only {', '.join(held)}"
                )
        return [mapping for kind in self.attentions for mapping in held[kind]]


class Linear(Annealing):
    r"""Linear annealing, :math:`a + (b - a)\,s`."""

    def at(self, share: float) -> float:
        """See the base class."""
        return self.start + (self.end - self.start) * share


class Cosine(Annealing):
    r"""Cosine annealing, :math:`b + (a - b)\,\tfrac12(1 + \cos \pi s)`: slow at both ends."""

    def at(self, share: float) -> float:
        """See the base class."""
        return self.end + (self.start - self.end) * 0.5 * (1 + math.cos(math.pi * share))


class Exponential(Annealing):
    r"""Exponential annealing, :math:`a\,(b/a)^s`: the same factor at every update."""

    def at(self, share: float) -> float:
        """See the base class."""
        return self.start * (self.end / self.start) ** share


class Annealer(lightning.Callback):
    """Callback that sets γ before every update.

    It logs γ as ``train/gamma``; validations log it by layer. List this callback before those that
    evaluate or save, so that they see γ(t) at step t. γ is saved with the weights, so a checkpoint
    computes the same values as its evaluation.

    Args:
        annealing: γ as a function of the updates done.
        model: the model whose mappings get this γ.

    Raises:
        ValueError: if a mapping learns its γ, or the model lacks one of the kinds of attention.
    """

    def __init__(self, annealing: Annealing, model: AttendingModel) -> None:
        self.annealing = annealing
        self.mappings = annealing.mappings(model)
        self.set(0)

    def set(self, updates_done: int) -> float:
        """Set γ in the mappings and return it."""
        gamma = self.annealing(updates_done)
        for mapping in self.mappings:
            mapping.set_gamma(gamma)
        return gamma

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Set the γ of the first step, or of the step that is resumed."""
        self.set(trainer.global_step)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_index: int,
    ) -> None:
        """Set the γ of the next update."""
        gamma = self.set(trainer.global_step)
        if trainer.global_step % logging_interval(trainer) == 0:
            module.log("train/gamma", gamma)
