"""The page's data agrees with the models' results."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from sacrebleu.metrics.chrf import CHRF

from seq2seq.checkpoint import Checkpoint
from seq2seq.evaluation.attention_statistics import AttentionStatistics
from seq2seq.explore.collecting import collect, with_names
from seq2seq.explore.exploration import Exploration
from seq2seq.explore.packing import JOINED
from seq2seq.search import Beam
from seq2seq.tasks.task import Task
from seq2seq.tasks.translation import Translation

NAMES: dict[str, Any] = {"corpus": "Small", "split": "test", "languages": ("en", "en")}


@pytest.fixture
def found(checkpoints: list[Checkpoint], texts: Dataset, search: Beam) -> Exploration:
    return collect(checkpoints, texts, search, **NAMES)


def weights(look: dict[str, Any], layers: int, heads: int) -> torch.Tensor:
    words = np.frombuffer(base64.b64decode(look["weights"]), "<u2") & np.uint16(0xFFFF - JOINED)
    shape = (layers, heads, len(look["target"]), len(look["source"]))
    return torch.from_numpy(words.view(np.float16).astype(np.float32).reshape(shape))


def test_the_attention_is_that_of_reading_the_reference(
    found: Exploration, checkpoints: list[Checkpoint], texts: Dataset
) -> None:
    for number, checkpoint in enumerate(checkpoints):
        encode = checkpoint.subwords.source.encode
        for text, example in zip(texts, found.examples, strict=True):
            source = torch.tensor([[*encode(text["source"]), 3]])
            target = torch.tensor([[2, *encode(text["target"])]])
            expected = checkpoint.model(
                source, torch.tensor([source.shape[1]]), target, return_attention=True
            ).attention[0]
            look = example.answers[number].looks["reading"]
            torch.testing.assert_close(
                weights(look, *expected.shape[:2]), expected, rtol=1e-3, atol=1e-5
            )
            assert look["source"][-1] == look["target"][-1] == "</s>"
            assert look["source_words"][-1] == -1


def test_answers_and_their_attention_are_those_of_the_search(
    found: Exploration, checkpoints: list[Checkpoint], texts: Dataset, search: Beam
) -> None:
    for number, checkpoint in enumerate(checkpoints):
        written = checkpoint.task.generate(  # type: ignore[attr-defined]
            checkpoint.model, checkpoint.subwords, texts["source"], search
        )
        assert [e.answers[number].text for e in found.examples] == [w[0][0] for w in written]
        source = torch.tensor([[*checkpoint.subwords.source.encode("words"), 3]])
        lengths = torch.tensor([source.shape[1]])
        best = search(checkpoint.model, source, lengths, return_attention=True)[0][0]
        look = found.examples[2].answers[number].looks["writing"]
        assert best.attention is not None
        torch.testing.assert_close(
            weights(look, *best.attention.shape[:2]), best.attention, rtol=1e-3, atol=1e-5
        )


def test_scores_are_sacrebleus_of_each_sentence(found: Exploration) -> None:
    assert found.score == "chrf"
    for example in found.examples:
        for answer in example.answers:
            expected = CHRF().sentence_score(answer.text, example.references).score
            assert answer.score == pytest.approx(expected, abs=0.006)


def test_sparsity_is_that_of_the_attention_statistics(
    found: Exploration, checkpoints: list[Checkpoint], texts: Dataset
) -> None:
    (checkpoint, _) = checkpoints
    encode = checkpoint.subwords.source.encode
    statistics = AttentionStatistics(1, 1)
    for text in texts:
        source, target = [*encode(text["source"]), 3], [2, *encode(text["target"])]
        attention = checkpoint.model(
            torch.tensor([source]),
            torch.tensor([len(source)]),
            torch.tensor([target]),
            return_attention=True,
        ).attention
        masks = torch.ones(1, len(source)).bool(), torch.ones(1, len(target)).bool()
        statistics.update(attention.detach(), *masks)
        one = AttentionStatistics(1, 1)
        one.update(attention.detach(), *masks)
        example = found.examples[texts["source"].index(text["source"])]
        look, expected = example.answers[0].looks["reading"], one.summary()["overall"]
        assert look["support"] == pytest.approx(expected["support_size"], abs=1e-3)
        assert look["zeros"] == pytest.approx(expected["zero_share"], abs=1e-3)
    overall = statistics.summary()["overall"]
    runs = found.models[0].runs["reading"]
    assert sum(runs.values()) == pytest.approx(overall["run_count"] * overall["tokens"])
    assert sum(length * count for length, count in runs.items()) == pytest.approx(
        overall["support_size"] * overall["tokens"]
    )
    assert max(runs) > 1, "fusedmax fuses, or the test looks at nothing"


def test_models_are_described_by_their_mappings(found: Exploration) -> None:
    fused, sparse = found.models
    assert (fused.mapping, fused.family, fused.layers, fused.heads) == (
        *("fusedmax", "Recurrent"),
        *(1, 1),
    )
    assert {p.name: p.value for p in fused.parameters} == {"lam": 0.05, "gamma": 0.5}
    assert (sparse.mapping, sparse.family, sparse.layers, sparse.heads) == (
        *("entmax", "Transformer"),
        *(2, 2),
    )


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (
            ("runs/a/checkpoints/best", "runs/b/checkpoints/best", "runs/c/checkpoints/best"),
            ["fusedmax (a)", "fusedmax (b)", "entmax"],
        ),
        (
            ("runs/seed1", "runs/old/seed1", "c"),
            ["fusedmax (runs)", "fusedmax (runs/old)", "entmax"],
        ),
        (("runs/a", "runs/a", "runs/a"), ["fusedmax", "fusedmax", "entmax"]),
        (("runs/a", "runs/a/b", "c"), ["fusedmax (a)", "fusedmax (a/b)", "entmax"]),
    ],
)
def test_runs_of_one_mapping_have_different_names(
    found: Exploration, folders: tuple[str, ...], names: list[str]
) -> None:
    fused, sparse = found.models
    models = zip((fused, fused, sparse), folders, strict=True)
    named = with_names([dataclasses.replace(model, folder=folder) for model, folder in models])
    assert [model.name for model in named] == names


def test_gold_links_and_every_reference_come_along(
    checkpoints: list[Checkpoint], texts: Dataset, search: Beam
) -> None:
    more = texts.add_column("target_2", ["another"] * len(texts))
    example = collect(checkpoints[:1], more, search, **NAMES).examples[0]
    assert example.gold == [(0, 0), (1, 1), (2, 2)]
    assert example.references == ["a small sentence", "another"]


def test_it_is_ready_for_json(found: Exploration) -> None:
    plain = json.loads(json.dumps(found.plain(), allow_nan=False))
    assert [example["source"] for example in plain["examples"]][:2] == [
        "a small sentence",
        "number 7 with words",
    ]


def test_checkpoints_that_cannot_be_shown_are_errors(
    checkpoints: list[Checkpoint], texts: Dataset, search: Beam
) -> None:
    class Silent(Translation):
        look = Task.look

    with pytest.raises(ValueError, match="Silent cannot show the attention"):
        collect([dataclasses.replace(checkpoints[0], task=Silent())], texts, search, **NAMES)
    other = dataclasses.replace(checkpoints[1], task=Silent())
    with pytest.raises(ValueError, match="fused does Translation and sparse Silent; give"):
        collect([checkpoints[0], other], texts, search, **NAMES)
    with pytest.raises(ValueError, match="the split test has no examples"):
        collect(checkpoints, texts.select([]), search, **NAMES)
