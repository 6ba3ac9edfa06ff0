"""How often training logs."""

from __future__ import annotations

import lightning


def logging_interval(trainer: lightning.Trainer) -> int:
    """``trainer.log_every_n_steps``, which Lightning sets without declaring; at least 1."""
    return max(1, int(trainer.log_every_n_steps))  # type: ignore[attr-defined]
