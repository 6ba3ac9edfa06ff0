"""Results of an evaluation, for all tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation on a split.

    Attributes:
        metrics: ``{"loss": …, "bleu": {"score": …, "signature": …}, "attention": {"overall": …}}``.
        examples: texts of each example by name (``source``, ``reference``, ``hypothesis``), in the
            order of the split.
        outputs: lines of the output files by file name, usually one line per example
            (``{"hypotheses.txt": …}``).
        figures: functions that draw further figures, by name.
    """

    metrics: dict[str, Any]
    examples: Sequence[Mapping[str, str]]
    outputs: Mapping[str, Sequence[str]]
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)


@dataclass(frozen=True)
class AttentionMap:
    """Attention of a model while it read or wrote one example.

    Attributes:
        source: the pieces that the model attends to.
        target: the pieces whose positions attend, such as those of the reference, including the end
            of the sentence.
        source_words: the word of each source piece, from 0; −1 for the end of the sentence.
        target_words: the same for the target pieces.
        weights: ``[layer, head, target_length, source_length]`` float32, on the CPU.
    """

    source: list[str]
    target: list[str]
    source_words: list[int]
    target_words: list[int]
    weights: Tensor
