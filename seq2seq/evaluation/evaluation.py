"""What evaluation finds, of any task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Evaluation:
    """What evaluation found on a split.

    Attributes:
        metrics: ``{"loss": …, "bleu": {"score": …, "signature": …}, "attention": {"overall": …}}``.
        examples: each example's texts by name (``source``, ``reference``, ``hypothesis``), in the
            order of the split.
        outputs: lines to write, one an example, under the names of their files
            (``{"hypotheses.txt": …}``).
        figures: what draws further figures of this evaluation, by name.
    """

    metrics: dict[str, Any]
    examples: Sequence[Mapping[str, str]]
    outputs: Mapping[str, Sequence[str]]
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)


@dataclass(frozen=True)
class AttentionMap:
    """Where a model looked while it read or wrote one example.

    Attributes:
        source: the pieces that were looked at.
        target: the pieces from which it looked, such as those of the reference, end of sentence
            included.
        source_words: for each source piece its word, from 0; −1 for the end of the sentence.
        target_words: likewise.
        weights: ``[layer, head, target_length, source_length]`` float32, on the CPU.
    """

    source: list[str]
    target: list[str]
    source_words: list[int]
    target_words: list[int]
    weights: Tensor
