"""Interval between two logged updates."""

from __future__ import annotations

import lightning


def logging_interval(trainer: lightning.Trainer) -> int:
    """Return ``trainer.log_every_n_steps``, but at least 1; Lightning does not declare it."""
    return max(1, int(trainer.log_every_n_steps))  # type: ignore[attr-defined]
