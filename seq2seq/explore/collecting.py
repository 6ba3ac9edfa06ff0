"""Collect the content of the page from checkpoints and texts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from datasets import Dataset

from seq2seq.checkpoint import Checkpoint
from seq2seq.data.corpora.corpus import references
from seq2seq.evaluation.alignment import parse_pharaoh
from seq2seq.explore.exploration import Answer, Example, Exploration, Model, Parameter
from seq2seq.explore.packing import run_lengths
from seq2seq.mappings import Mapping
from seq2seq.search import Search
from seq2seq.tasks.looking import Outcome


def collect(
    checkpoints: Sequence[Checkpoint],
    texts: Dataset,
    search: Search,
    *,
    corpus: str,
    split: str,
    languages: tuple[str, str],
    batch_tokens: int = 4096,
    device: torch.device | str = "cpu",
) -> Exploration:
    """Let each model write answers to the sources of ``texts``, and read the references.

    Args:
        checkpoints: checkpoints of the same task.
        texts: the part of a split to show, with the columns of a corpus.
        search: search algorithm, for tasks that write text.
        corpus: name of the corpus.
        split: name of the split.
        languages: languages of source and target.
        batch_tokens: padded subwords per batch.
        device: device of the models.

    Raises:
        ValueError: if there are no examples, the checkpoints have different tasks, or the task has
            no attention to show.
    """
    if not len(texts):
        raise ValueError(f"the split {split} has no examples; choose another with data.split")
    task = checkpoints[0].task
    for other in checkpoints[1:]:
        if type(other.task) is not type(task):
            raise ValueError(
                f"checkpoint: {checkpoints[0].folder} does {type(task).__name__} and "
                f"{other.folder} {type(other.task).__name__}; give checkpoints of one task"
            )
    sources, known, right = list(texts["source"]), references(texts), task.right_answers(texts)
    labels = [""] * len(texts) if right == known else right[0]
    models, answers = [], []
    for checkpoint in checkpoints:
        outcomes = checkpoint.task.look(
            checkpoint.model,
            checkpoint.subwords,
            sources,
            known[0],
            search=search,
            batch_tokens=batch_tokens,
            device=device,
        )
        scores = task.answer_scores([outcome.text for outcome in outcomes], right)
        models.append(describe(checkpoint, outcomes))
        answers.append([Answer.of(o, round(s, 2)) for o, s in zip(outcomes, scores, strict=True)])
    gold = texts["alignment"] if "alignment" in texts.column_names else [""] * len(texts)
    examples = [
        Example(source, list(others), label, sorted(parse_pharaoh(links).possible), list(theirs))
        for source, others, label, links, theirs in zip(
            sources,
            zip(*known, strict=True),
            labels,
            gold,
            zip(*answers, strict=True),
            strict=True,
        )
    ]
    models = with_names(models)
    return Exploration(corpus, split, languages, task.sides, task.example_score, models, examples)


def with_names(models: Sequence[Model]) -> list[Model]:
    """Name each model after its mapping; add the run folder if several have the same mapping.

    Of the run folders, only the parts that differ are in the names.
    """
    named = []
    for model in models:
        same = [other.folder for other in models if other.mapping == model.mapping]
        run = _differing_part(model.folder, same)
        name = f"{model.mapping} ({run})" if run else model.mapping
        named.append(dataclasses.replace(model, name=name))
    return named


def _differing_part(folder: str, folders: Sequence[str]) -> str:
    """Return the path without the parts at its start and end that all folders have."""
    parts = [list(Path(name).parts) for name in folders]
    if all(other == parts[0] for other in parts):
        return ""
    own = list(Path(folder).parts)
    for end in (-1, 0):
        while all(len(other) > 1 and other[end] == own[end] for other in parts):
            for part in (own, *parts):
                part.pop(end)
    return "/".join(own)


def describe(checkpoint: Checkpoint, outcomes: Sequence[Outcome] = ()) -> Model:
    """Describe the model of a checkpoint: its mapping, its size, and its fused runs."""
    mappings = checkpoint.model.attention_mappings()["cross"]
    runs: dict[str, Counter[int]] = {}
    heads = 1
    for outcome in outcomes:
        for doing, look in outcome.looks.items():
            heads = look.weights.size(1)
            runs.setdefault(doing, Counter()).update(run_lengths(look.weights))
    mapping = mappings[0].omega.name
    return Model(
        name=mapping,
        mapping=mapping,
        parameters=parameters(mappings),
        family=type(checkpoint.model).__name__,
        folder=str(checkpoint.folder),
        layers=len(mappings),
        heads=heads,
        runs={doing: dict(sorted(counts.items())) for doing, counts in runs.items()},
    )


def parameters(mappings: Sequence[Mapping]) -> list[Parameter]:
    """Describe the parameters of the mappings of all layers, which have the same class."""
    described = []
    for name, domain in mappings[0].domains.items():
        values = torch.cat(
            [torch.as_tensor(getattr(m, name)).detach().cpu().double().flatten() for m in mappings]
        )
        high = None if domain.high == float("inf") else domain.high
        varies = bool((values != values[0]).any())
        low = 0.0 if domain.low < 1e-6 else domain.low
        described.append(Parameter(name, float(f"{float(values.mean()):.6g}"), low, high, varies))
    return described
