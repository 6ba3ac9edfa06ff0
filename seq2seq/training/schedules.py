r"""Learning-rate schedules, as factors of the optimizer's own rate.

Each function takes an optimizer and returns PyTorch's scheduler, stepped once an update. With
:math:`t` the number of the update, counted from 1, and :math:`w` ``warmup_steps``, the rate is
``optimizer.lr`` times the factor stated at each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau


def _schedule(optimizer: Optimizer, factor: Callable[[int], float]) -> LambdaLR:
    return LambdaLR(optimizer, lambda updates_done: factor(updates_done + 1))


def _check(name: str, value: float, least: float) -> None:
    if value < least:
        raise ValueError(f"schedule.{name} must be at least {least:g}, got {value:g}")


def constant(optimizer: Optimizer, warmup_steps: int = 0) -> LambdaLR:
    r""":math:`\min(1, t/w)`: constant after a linear warm-up.

    Raises:
        ValueError: if ``warmup_steps`` is negative.
    """
    _check("warmup_steps", warmup_steps, 0)
    return _schedule(optimizer, lambda t: min(1.0, t / max(warmup_steps, 1)))


def inverse_square_root(optimizer: Optimizer, warmup_steps: int = 4000) -> LambdaLR:
    r""":math:`\min(t/w, \sqrt{w/t})`: ``optimizer.lr`` is the peak, reached at step :math:`w`.

    Raises:
        ValueError: if ``warmup_steps`` is below 1.
    """
    _check("warmup_steps", warmup_steps, 1)
    return _schedule(optimizer, lambda t: min(t / warmup_steps, math.sqrt(warmup_steps / t)))


def noam(optimizer: Optimizer, size: int, warmup_steps: int = 4000) -> LambdaLR:
    r""":math:`d^{-1/2} \min(t^{-1/2}, t\,w^{-3/2})`, :math:`d` = ``size`` (Vaswani et al. 2017).

    Raises:
        ValueError: if ``size`` or ``warmup_steps`` is below 1.
    """
    _check("size", size, 1)
    _check("warmup_steps", warmup_steps, 1)
    return _schedule(optimizer, lambda t: size**-0.5 * min(t**-0.5, t * warmup_steps**-1.5))


def cosine(
    optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, final: float = 0.0
) -> LambdaLR:
    r"""Linear warm-up to 1, then half a cosine wave down to ``final`` at ``total_steps``.

    .. math:: f + (1 - f)\,\tfrac12\bigl(1 + \cos(\pi\,\tfrac{t - w}{T - w})\bigr)

    In a run shorter than :math:`2w`, half of it is warm-up.

    Raises:
        ValueError: if ``total_steps`` is below 1.
    """
    _check("warmup_steps", warmup_steps, 0)
    if total_steps < 1:
        raise ValueError(
            f"schedule=cosine ends at trainer.max_steps, which is {total_steps}: set it, or choose "
            "schedule=inverse_square_root, which has no end"
        )
    warmup_steps = min(warmup_steps, total_steps // 2)

    def factor(t: int) -> float:
        if t <= warmup_steps:
            return t / warmup_steps
        done = min(1.0, (t - warmup_steps) / (total_steps - warmup_steps))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))

    return _schedule(optimizer, factor)


def stepwise(optimizer: Optimizer, start: int, every_n_steps: int, factor: float = 0.5) -> LambdaLR:
    r""":math:`f^{\lceil (t - s)/n \rceil}` after update :math:`s` = ``start``, until then 1.

    :math:`n` is ``every_n_steps`` and :math:`f` ``factor``: with :math:`n` an epoch, this is
    OpenNMT's decay of SGD (``start_decay_at``, ``learning_rate_decay``).

    Raises:
        ValueError: if ``start`` is negative or ``every_n_steps`` below 1.
    """
    _check("start", start, 0)
    _check("every_n_steps", every_n_steps, 1)
    return _schedule(optimizer, lambda t: factor ** max(0, math.ceil((t - start) / every_n_steps)))


class Plateau(ReduceLROnPlateau):
    r"""Linear warm-up, then a reduction whenever the validation loss no longer falls.

    For :math:`t \le w` the factor is :math:`t/w`. After that, :meth:`step`, called with the loss of
    every validation, multiplies the rate by ``factor`` after ``patience`` validations without a
    lower one; losses during the warm-up do not count.

    Args:
        optimizer: whose rate is the peak.
        warmup_steps: updates of the warm-up.
        options: of PyTorch's ``ReduceLROnPlateau``: ``factor``, ``patience``, ``min_lr``, ….

    Raises:
        ValueError: if ``warmup_steps`` is negative.
    """

    def __init__(self, optimizer: Optimizer, warmup_steps: int = 0, **options: Any) -> None:
        _check("warmup_steps", warmup_steps, 0)
        super().__init__(optimizer, **options)
        self.warmup_steps = warmup_steps
        self.peaks = [float(group["lr"]) for group in optimizer.param_groups]
        self.warming = False

    def warm_up(self, updates_done: int) -> None:
        """Set the rate of the next update, if it belongs to the warm-up."""
        self.warming = updates_done < self.warmup_steps
        if self.warming:
            for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
                group["lr"] = peak * (updates_done + 1) / self.warmup_steps

    def step(self, *losses: Any, **epoch: Any) -> None:
        """Take the loss of a validation into account, once the warm-up is over."""
        if not self.warming:
            super().step(*losses, **epoch)
