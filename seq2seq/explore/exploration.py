"""The content of the page as plain data for JSON: one `Exploration`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from seq2seq.evaluation.alignment import Link
from seq2seq.evaluation.evaluation import AttentionMap
from seq2seq.explore.packing import pack
from seq2seq.tasks.looking import Outcome


@dataclass(frozen=True)
class Parameter:
    """A parameter of a mapping, and the range of its slider.

    Attributes:
        name: ``gamma``, ``lam``, …
        value: trained value; the mean over layers and heads.
        low: lower bound of its domain, which may be excluded.
        high: upper bound, which may be excluded; None: no bound.
        varies: whether layers or heads have different values.
    """

    name: str
    value: float
    low: float
    high: float | None
    varies: bool


@dataclass(frozen=True)
class Model:
    """A checkpoint.

    Attributes:
        name: what to call it: its mapping, and its run if models of several runs share a mapping.
        mapping: name of the mapping of cross-attention.
        parameters: parameters of that mapping.
        family: class of the model.
        folder: folder as the user named it.
        layers: number of layers of cross-attention.
        heads: number of heads per layer.
        runs: for each activity, the number of fused runs of each length, over all examples.
    """

    name: str
    mapping: str
    parameters: list[Parameter]
    family: str
    folder: str
    layers: int
    heads: int
    runs: dict[str, dict[int, int]]


@dataclass(frozen=True)
class Answer:
    """The answer of a model to an example.

    Attributes:
        text: the answer.
        score: the task's score of the answer; None without a reference.
        log_probability: log-probability of the answer; None if it is not finite.
        looks: for each activity, pieces and packed weights; see `packed_look`.
    """

    text: str
    score: float | None
    log_probability: float | None
    looks: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, outcome: Outcome, score: float | None) -> Answer:
        """Pack an outcome."""
        probability = outcome.log_probability
        if probability is not None and not math.isfinite(probability):
            probability = None  # JSON has no infinity and no NaN
        looks = {doing: packed_look(look) for doing, look in outcome.looks.items()}
        return cls(outcome.text, score, probability, looks)


@dataclass(frozen=True)
class Example:
    """An example with the answers of all models.

    Attributes:
        source: the source text.
        references: the target texts.
        label: the gold label, if references are not answers; else "".
        gold: links (source word, target word) of the first reference.
        answers: one answer per model, in their order.
    """

    source: str
    references: list[str]
    label: str
    gold: list[Link]
    answers: list[Answer]


@dataclass(frozen=True)
class Exploration:
    """The content of the page.

    Attributes:
        corpus: name of the corpus.
        split: name of the split.
        languages: languages of source and target.
        sides: names of the two texts of an example.
        score: name of the score of single examples.
        models: the models, in the user's order.
        examples: the examples, in the order of the split.
    """

    corpus: str
    split: str
    languages: tuple[str, str]
    sides: tuple[str, str]
    score: str
    models: list[Model]
    examples: list[Example]

    def plain(self) -> dict[str, Any]:
        """Return a dictionary for ``json.dumps``."""
        return asdict(self)


def packed_look(look: AttentionMap) -> dict[str, Any]:
    """Pack an attention map for JSON.

    Returns:
        ``source``, ``target``, ``source_words``, ``target_words`` as in `AttentionMap`;
        ``weights``, packed ``[layer, head, target_length, source_length]``; ``support``, the mean
        number of weights above 0 per distribution; ``zeros``, the share of weights that are
        exactly 0.
    """
    above = (look.weights > 0).double()
    return {
        "source": look.source,
        "target": look.target,
        "source_words": look.source_words,
        "target_words": look.target_words,
        "weights": pack(look.weights),
        "support": round(float(above.sum(-1).mean()), 4),
        "zeros": round(1 - float(above.mean()), 4),
    }
