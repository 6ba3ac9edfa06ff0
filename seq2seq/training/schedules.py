r"""Learning-rate schedules, as factors of the optimizer's learning rate.

Each function takes an optimizer and returns a PyTorch scheduler, which is stepped once per update.
Let :math:`t` be the number of the update, counted from 1, and :math:`w` be ``warmup_steps``. The
learning rate is ``optimizer.lr`` times the factor that each function states.
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
    r"""Return the schedule :math:`\min(1, t/w)`: constant after a linear warm-up.

    Raises:
        ValueError: if ``warmup_steps`` is negative.
    """
    _check("warmup_steps", warmup_steps, 0)
    return _schedule(optimizer, lambda t: min(1.0, t / max(warmup_steps, 1)))


def inverse_square_root(optimizer: Optimizer, warmup_steps: int = 4000) -> LambdaLR:
    r"""Return the schedule :math:`\min(t/w, \sqrt{w/t})`, whose peak is at step :math:`w`.

    Raises:
        ValueError: if ``warmup_steps`` is below 1.
    """
    _check("warmup_steps", warmup_steps, 1)
    return _schedule(optimizer, lambda t: min(t / warmup_steps, math.sqrt(warmup_steps / t)))


def noam(optimizer: Optimizer, size: int, warmup_steps: int = 4000) -> LambdaLR:
    r"""Return the schedule :math:`d^{-1/2} \min(t^{-1/2}, t\,w^{-3/2})` of Vaswani et al. (2017).

    :math:`d` is ``size``.

    Raises:
        ValueError: if ``size`` or ``warmup_steps`` is below 1.
    """
    _check("size", size, 1)
    _check("warmup_steps", warmup_steps, 1)
    return _schedule(optimizer, lambda t: size**-0.5 * min(t**-0.5, t * warmup_steps**-1.5))


def cosine(
    optimizer: Optimizer, total_steps: int, warmup_steps: int = 0, final: float = 0.0
) -> LambdaLR:
    r"""Return a linear warm-up to 1, then half a cosine wave down to ``final``.

    .. math:: f + (1 - f)\,\tfrac12\bigl(1 + \cos(\pi\,\tfrac{t - w}{T - w})\bigr)

    :math:`f` is ``final`` and :math:`T` is ``total_steps``. The warm-up takes at most half of the
    run.

    Raises:
        ValueError: if ``total_steps`` is below 1.
    """
    _check("warmup_steps", warmup_steps, 0)
    if total_steps < 1:
        raise ValueError(
            f"schedule=cosine ends at trainer.max_steps, which is {total_steps}. Set "
            "trainer.max_steps to at least 1, or choose schedule=inverse_square_root, which has no "
            "end"
        )
    warmup_steps = min(warmup_steps, total_steps // 2)

    def factor(t: int) -> float:
        if t <= warmup_steps:
            return t / warmup_steps
        done = min(1.0, (t - warmup_steps) / (total_steps - warmup_steps))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))

    return _schedule(optimizer, factor)


def stepwise(optimizer: Optimizer, start: int, every_n_steps: int, factor: float = 0.5) -> LambdaLR:
    r"""Return the schedule :math:`f^{\lceil (t - s)/n \rceil}`, which is 1 until update :math:`s`.

    :math:`s` is ``start``, :math:`n` is ``every_n_steps`` and :math:`f` is ``factor``. If :math:`n`
    is one epoch, this is OpenNMT's decay for SGD (``start_decay_at``, ``learning_rate_decay``).

    Raises:
        ValueError: if ``start`` is negative or ``every_n_steps`` below 1.
    """
    _check("start", start, 0)
    _check("every_n_steps", every_n_steps, 1)
    return _schedule(optimizer, lambda t: factor ** max(0, math.ceil((t - start) / every_n_steps)))


class Plateau(ReduceLROnPlateau):
    r"""Schedule with a linear warm-up, then reductions when the validation loss stops falling.

    For :math:`t \le w` the factor is :math:`t/w`. After that, :meth:`step` is called with the loss
    of every validation. It multiplies the learning rate by ``factor`` if the loss has not fallen
    for more than ``patience`` validations. Losses during the warm-up do not count.

    Args:
        optimizer: the optimizer; its learning rate is the peak.
        warmup_steps: number of warm-up updates.
        options: arguments of PyTorch's ``ReduceLROnPlateau``: ``factor``, ``patience``,
            ``min_lr``, ….

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
        """Set the learning rate of the next update if it belongs to the warm-up."""
        self.warming = updates_done < self.warmup_steps
        if self.warming:
            for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
                group["lr"] = peak * (updates_done + 1) / self.warmup_steps

    def step(self, *losses: Any, **epoch: Any) -> None:
        """Process the loss of a validation; does nothing during the warm-up."""
        if not self.warming:
            super().step(*losses, **epoch)
