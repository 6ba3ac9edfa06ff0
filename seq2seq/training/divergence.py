"""Distinguish a model that diverged from one that learns slowly."""

from __future__ import annotations

import math

import torch

from seq2seq.mappings import Mapping
from seq2seq.nn.losses import SequenceLoss

#: Multiple of the loss of a uniform prediction above which a model counts as diverged. Overfitted
#: models stay below it; diverged ones are far above.
FACTOR = 10.0


def guessing_loss(mapping: Mapping, choices: int, device: torch.device | str = "cpu") -> float:
    """Return the loss of a prediction that gives every choice the same logit.

    Args:
        mapping: turns logits into probabilities.
        choices: number of classes or tokens.
        device: device of the mapping's parameters.
    """
    # The logits are also correct log-probabilities, which some mappings expect.
    logits = torch.full((1, 1, choices), -math.log(choices), device=device)
    target = torch.zeros(1, 1, dtype=torch.long, device=device)
    with torch.no_grad():
        return float(SequenceLoss(ignore_index=-1)(logits, target, mapping).loss_sum)


def has_diverged(loss: float, guessing: float) -> bool:
    """Return True if the loss is not finite or far above ``guessing``, a uniform prediction's."""
    return not math.isfinite(loss) or loss > FACTOR * guessing


ADVICE = (
    "lower optimizer.lr, lengthen schedule.warmup_steps or lower trainer.gradient_clip_val, and "
    "start the run again"
)
