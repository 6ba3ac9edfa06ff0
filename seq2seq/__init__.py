"""Encoder–decoders whose attention mapping is a plug.

A module imports only from the layers below its own; CONTRIBUTING.md draws them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seq2seq.trained import TrainedModel

__version__ = "0.1.0"


def load(checkpoint: Any, **options: Any) -> TrainedModel:
    """Load a trained model: ``seq2seq.load("RUN").translate(["…"])``.

    See :func:`seq2seq.trained.load` for the arguments. The parts that it needs are imported only
    now, so that ``import seq2seq`` is fast.
    """
    from seq2seq.trained import load

    return load(checkpoint, **options)
