"""Hand-made run folders, with files as training writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from seq2seq.evaluation.report import (
    reference_lines,
    value_lines,
    write_metrics,
    write_outputs,
)
from seq2seq.evaluation.scores import translation_scores

REFERENCES = [
    "the cat sat on the mat today .",
    "a dog ran quickly under the old tree .",
    "we like to eat apples and pears .",
    "nobody saw the small house by the river .",
    "the king and the queen walked home .",
    "it rains on the roof all day long .",
] * 4


def spoiled(rate: int) -> list[str]:
    """Return the references with every ``rate``-th word replaced."""
    lines, count = [], 0
    for line in REFERENCES:
        words = []
        for word in line.split():
            count += 1
            words.append("oops" if count % rate == 0 else word)
        lines.append(" ".join(words))
    return lines


WriteRun = Callable[..., Path]


def writer(top: Path) -> WriteRun:
    """Write run folders under ``top``."""

    def write(
        name: str,
        mapping: str = "Softmax",
        seed: int = 1,
        rate: int = 4,
        *,
        scores: Sequence[str] = ("bleu",),
        values: dict[str, list[float]] | None = None,
        texts: str = "the same",
        support: float = 3.0,
        attention: dict | None = None,
        **config: object,
    ) -> Path:
        folder = top / name
        folder.mkdir(parents=True)
        mappings = {"_target_": f"seq2seq.mappings.{mapping}", **(attention or {})}
        everything = {
            "seed": seed,
            "task": {"_target_": "seq2seq.tasks.translation.Translation"},
            "attention": mappings,
            "model": {"_target_": "seq2seq.models.recurrent.Recurrent", "mapping": mappings},
            "data": {"corpus": {"_target_": "seq2seq.data.corpora.toy.Toy"}},
            "test": {"split": "test"},
            **config,
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(everything))
        hypotheses = spoiled(rate)
        found = translation_scores(hypotheses, [REFERENCES], tuple(scores))
        means = {
            score: {"score": sum(rows) / len(rows), "signature": "mean"}
            for score, rows in (values or {}).items()
        }
        attention = {"overall": {"support_size": support, "zero_share": 0.25, "run_length": 1.5}}
        metrics = {**found, **means, "attention": attention, "texts": texts, "loss": 2.0}
        write_metrics(folder / "metrics.json", {"test": metrics})
        write_metrics(
            folder / "training.json", {"seconds_per_epoch": 10.0 * seed, "parameters": 1234567}
        )
        outputs = {"hypotheses.txt": hypotheses, **reference_lines([REFERENCES])}
        if values:
            outputs["example_scores.jsonl"] = value_lines(values)
        write_outputs(folder, "test", outputs)
        return folder

    return write
