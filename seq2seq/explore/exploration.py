"""What the page shows, as plain data: one `Exploration`, ready for JSON."""

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
    """A parameter of a mapping, and where a slider may carry it.

    Attributes:
        name: ``gamma``, ``lam``, …
        value: as trained; the mean where layers or heads have their own.
        low: of its domain; not always in it.
        high: likewise; None for no end.
        varies: whether layers or heads differ in it.
    """

    name: str
    value: float
    low: float
    high: float | None
    varies: bool


@dataclass(frozen=True)
class Model:
    """One checkpoint.

    Attributes:
        mapping: the name of its cross-attention's mapping.
        parameters: of that mapping.
        family: the class of the model.
        folder: as the user named it.
        layers: of its cross-attention.
        heads: of each layer.
        runs: by what the model did, how many fused runs of each length, over all examples.
    """

    mapping: str
    parameters: list[Parameter]
    family: str
    folder: str
    layers: int
    heads: int
    runs: dict[str, dict[int, int]]


@dataclass(frozen=True)
class Answer:
    """What one model made of one example.

    Attributes:
        text: its answer.
        score: the task's score of it, if there is a reference.
        log_probability: of the answer.
        looks: by what the model did, pieces and packed weights; see `packed_look`.
    """

    text: str
    score: float | None
    log_probability: float | None
    looks: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, outcome: Outcome, score: float | None) -> Answer:
        """An outcome, packed."""
        probability = outcome.log_probability
        if probability is not None and not math.isfinite(probability):
            probability = None  # which JSON does not have
        looks = {doing: packed_look(look) for doing, look in outcome.looks.items()}
        return cls(outcome.text, score, probability, looks)


@dataclass(frozen=True)
class Example:
    """One example with the answers of all models, in their order.

    Attributes:
        source: its text.
        references: the texts of its other side.
        label: the right answer, where the references are none; empty otherwise.
        gold: links (source word, target word) of the first reference.
        answers: one a model.
    """

    source: str
    references: list[str]
    label: str
    gold: list[Link]
    answers: list[Answer]


@dataclass(frozen=True)
class Exploration:
    """All that the page shows.

    Attributes:
        corpus: its name.
        split: of the corpus.
        languages: of source and target.
        sides: what the two texts of an example are called.
        score: the name of the score of single examples.
        models: in the user's order.
        examples: in the order of the split.
    """

    corpus: str
    split: str
    languages: tuple[str, str]
    sides: tuple[str, str]
    score: str
    models: list[Model]
    examples: list[Example]

    def plain(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return asdict(self)


def packed_look(look: AttentionMap) -> dict[str, Any]:
    """A look, ready for JSON.

    Returns:
        ``source``, ``target``, ``source_words``, ``target_words`` as in `AttentionMap`;
        ``weights``, packed ``[layer, head, target_length, source_length]``; ``support``, the mean
        number of weights above 0 of a distribution; ``zeros``, the share of weights that are
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
