"""Tell a model that diverged from one that learns slowly."""

from __future__ import annotations

import math

import torch

from seq2seq.mappings import Mapping
from seq2seq.nn.losses import SequenceLoss

#: Times the loss of guessing. Overfitted models stay below it, diverged ones come far above.
FACTOR = 10.0


def guessing_loss(mapping: Mapping, choices: int, device: torch.device | str = "cpu") -> float:
    """Return the loss of a prediction that gives every choice the same logit.

    Args:
        mapping: logits → probabilities.
        choices: number of classes or tokens.
        device: where the parameters of the mapping are.
    """
    logits = torch.full(
        (1, 1, choices), -math.log(choices), device=device
    )  # log-probabilities, where asked for
    target = torch.zeros(1, 1, dtype=torch.long, device=device)
    with torch.no_grad():
        return float(SequenceLoss(ignore_index=-1)(logits, target, mapping).loss_sum)


def has_diverged(loss: float, guessing: float) -> bool:
    """Return True for a loss of validation that is not finite, or far above that of guessing."""
    return not math.isfinite(loss) or loss > FACTOR * guessing


ADVICE = (
    "lower optimizer.lr, lengthen schedule.warmup_steps or lower trainer.gradient_clip_val, and "
    "train anew"
)
