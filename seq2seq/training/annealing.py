r"""Annealing of γ: the attention mappings begin smooth and grow sparse, or the other way.

With :math:`t` updates done and :math:`s = \min(1, t/T)`, :math:`T` = ``steps``, γ goes from
:math:`a` = ``start`` to :math:`b` = ``end`` as stated at each class, and stays there. It is a
function of the step alone, so that a resumed run goes on with the same numbers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import lightning

from seq2seq.mappings import Mapping
from seq2seq.models.attending import AttendingModel
from seq2seq.training.interval import logging_interval


class Annealing(ABC):
    """γ as a function of the updates done.

    Args:
        start: γ before the first update.
        end: γ after ``steps`` updates, and from there on.
        steps: updates between the two.
        attentions: whose mappings: ``cross``, ``encoder``, ``decoder``.

    Raises:
        ValueError: if γ would not be above 0, or there is no step.
    """

    def __init__(
        self, start: float, end: float, steps: int, attentions: Sequence[str] = ("cross",)
    ) -> None:
        for name, value in (("start", start), ("end", end)):
            if not 0 < value < math.inf:
                raise ValueError(f"annealing.{name}={value:g}: gamma has to be above 0 and finite")
        if steps < 1:
            raise ValueError(f"annealing.steps must be at least 1, got {steps}")
        if isinstance(attentions, str) or not attentions:
            raise ValueError(
                f"annealing.attentions={attentions!r} has to be a list such as [cross]"
            )
        self.start, self.end, self.steps = start, end, steps
        self.attentions = attentions

    def __call__(self, updates_done: int) -> float:
        """The γ of the update that comes next, and of a checkpoint that is written here."""
        return self.at(updates_done / self.steps) if updates_done < self.steps else self.end

    @abstractmethod
    def at(self, share: float) -> float:
        """The γ at a share s in [0, 1) of the way."""

    def mappings(self, model: AttendingModel) -> list[Mapping]:
        """The mappings of a model whose γ this is.

        Raises:
            ValueError: if the model has no such attention.
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
    r""":math:`a + (b - a)\,s`."""

    def at(self, share: float) -> float:
        """See the class."""
        return self.start + (self.end - self.start) * share


class Cosine(Annealing):
    r""":math:`b + (a - b)\,\tfrac12(1 + \cos \pi s)`: slow at both ends."""

    def at(self, share: float) -> float:
        """See the class."""
        return self.end + (self.start - self.end) * 0.5 * (1 + math.cos(math.pi * share))


class Exponential(Annealing):
    r""":math:`a\,(b/a)^s`: by the same factor at every update."""

    def at(self, share: float) -> float:
        """See the class."""
        return self.start * (self.end / self.start) ** share


class Annealer(lightning.Callback):
    """Sets γ before every update; logged as ``train/gamma``, and by layer at validations.

    To be named before callbacks that evaluate or save: what they see at step t has γ(t). γ is saved
    with the weights, so that the checkpoint computes what was evaluated.

    Args:
        annealing: γ as a function of the updates done.
        model: whose mappings it is set in.

    Raises:
        ValueError: if a mapping learns its γ, or the model has no such attention.
    """

    def __init__(self, annealing: Annealing, model: AttendingModel) -> None:
        self.annealing = annealing
        self.mappings = annealing.mappings(model)
        self.set(0)

    def set(self, updates_done: int) -> float:
        """Set γ in the mappings."""
        gamma = self.annealing(updates_done)
        for mapping in self.mappings:
            mapping.set_gamma(gamma)
        return gamma

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Begin, or go on, with the γ of the step."""
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
