"""Outputs of an evaluation of text: references, statistics, word alignments, values."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from datasets import Dataset, DatasetDict

from seq2seq.data.corpora.text import Text
from seq2seq.data.parallel import ParallelData
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.alignment import parse_pharaoh
from seq2seq.mappings import Sparsemax
from seq2seq.models import Recurrent
from seq2seq.search import Greedy
from seq2seq.system.errors import DataError
from seq2seq.tasks.translation import Translation

SOURCES = ["a small sentence with words", "number 17 with words", "a small number", "words"]
TARGETS = ["with words a small", "number words", "small a number", "a words"]
GOLD = ["0-2 1-3 3-0 4-1", "0-0 3p1", "", "0-1"]


class InMemory:
    source_language, target_language, next_step = "a", "b", ""

    def __init__(self, **columns: Sequence[str]) -> None:
        self.test = Dataset.from_dict({"source": SOURCES, "target": TARGETS, **columns})

    def load(self) -> DatasetDict:
        return DatasetDict(test=self.test)


@pytest.fixture
def model(subwords: VocabularyPair) -> Recurrent:
    torch.manual_seed(3)
    sizes = Translation().model_arguments(subwords)
    return Recurrent(**sizes, mapping=Sparsemax(0.01), embedding_size=16, hidden_size=16)


def test_the_outputs_agree_with_the_metrics(model: Recurrent, subwords: VocabularyPair) -> None:
    second = ["with a", "", "small", "words"]
    task = Translation()
    data = task.open(InMemory(target_2=second, alignment=GOLD), subwords)
    found = task.evaluate(model, data, "test", search=Greedy(), alignments=True)
    assert set(found.outputs) == {
        "hypotheses.txt",
        "references.txt",
        "references_2.txt",
        "attention.csv",
        "alignments.txt",
    }
    assert found.outputs["references.txt"] == TARGETS
    assert found.outputs["references_2.txt"] == second
    assert "nrefs:2" in found.metrics["bleu"]["signature"], "an empty line is a reference, too"

    rows = list(csv.DictReader(found.outputs["attention.csv"]))
    overall = {
        r["statistic"]: float(r["value"]) for r in rows if (r["layer"], r["by"]) == ("all",) * 2
    }
    expected = {**found.metrics["attention"]["overall"], **found.metrics["alignment"]["overall"]}
    assert overall == {name: expected[name] for name in overall}
    assert {"support_size", "coverage_deviation", "zero_share", "aer"} <= set(overall)

    predicted = [parse_pharaoh(line).sure for line in found.outputs["alignments.txt"]]
    gold = [parse_pharaoh(line) for line in GOLD]
    right = sum(len(p & g.possible) for p, g in zip(predicted, gold, strict=True))
    assert found.metrics["alignment"]["overall"]["precision"] == right / sum(map(len, predicted))


def test_alignments_need_no_gold(model: Recurrent, subwords: VocabularyPair) -> None:
    task = Translation()
    data = task.open(InMemory(), subwords)
    found = task.evaluate(
        model, data, "test", search=Greedy(), alignments=True, attention=False, sentences=2
    )
    assert len(found.outputs["alignments.txt"]) == 2
    assert "alignment" not in found.metrics
    for line, source, target in zip(
        found.outputs["alignments.txt"], SOURCES, TARGETS, strict=False
    ):
        for link in parse_pharaoh(line).sure:
            assert link[0] < len(source.split())
            assert link[1] < len(target.split())


def test_gold_alignments_come_from_the_users_own_files(
    tmp_path: Path, subwords: VocabularyPair
) -> None:
    files = {}
    for name, lines in (("source", SOURCES), ("target", TARGETS), ("alignment", GOLD)):
        files[name] = tmp_path / name
        files[name].write_text("".join(f"{line}\n" for line in lines))
    data = Translation().open(Text(test=files, cache_folder=tmp_path), subwords)
    assert list(data.split("test")["alignment"]) == GOLD

    files["alignment"].write_text("0-2\n0-0 9-0\n\n0-1\n")
    with pytest.raises(DataError, match=r"data\.test: example 2: gold link 9-0 lies outside"):
        Translation().open(Text(test=files, cache_folder=tmp_path), subwords)


def test_segments_outside_a_sentence_are_refused_before_anything_is_decoded(
    tmp_path: Path, subwords: VocabularyPair, model: Recurrent
) -> None:
    spans = ["0-1"] * len(SOURCES)
    columns = {"source": SOURCES, "target": TARGETS, "alignment": ["0-0"] * len(SOURCES)}
    columns |= {"source_segments": spans, "target_segments": ["0-1", "0-99", *spans[2:]]}
    files = {}
    for name, lines in columns.items():
        files[name] = tmp_path / name
        files[name].write_text("".join(f"{line}\n" for line in lines))
    wrong = r"example 2: segment 0-1 \| 0-99 lies outside"
    with pytest.raises(DataError, match=rf"data\.test: {wrong}"):
        Translation().open(Text(test=files, cache_folder=tmp_path), subwords)
    data = Translation().open(Text(train=files, cache_folder=tmp_path), subwords)
    with pytest.raises(DataError, match=rf"data\.train: {wrong}"):
        Translation().evaluate(model, data, "train", search=Greedy())


def test_a_zero_width_joiner_shifts_no_link(model: Recurrent, subwords: VocabularyPair) -> None:
    persian = "می\u200cخواهم small"
    assert max(subwords.source.words(subwords.source.encode(persian))) == 2, "it reads three words"
    texts = {"source": [persian], "target": [persian], "alignment": ["0-0 1-1"]}
    data = ParallelData(DatasetDict(test=Dataset.from_dict(texts)), subwords)
    found = Translation().evaluate(model, data, "test", search=Greedy(), alignments=True)
    for link in parse_pharaoh(found.outputs["alignments.txt"][0]).sure:
        assert max(link) < 2
    assert found.metrics["alignment"]["overall"]["sentences"] == 1


def test_values_of_examples_are_handed_over_with_a_whole_evaluation_only(
    model: Recurrent, subwords: VocabularyPair
) -> None:
    class Lengths(Translation):
        def example_scores(
            self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
        ) -> dict[str, Sequence[float]]:
            return {"length": [len(line) for line in references[0]]}

    task = Lengths()
    data = task.open(InMemory(), subwords)
    found = task.evaluate(model, data, "test", search=Greedy())
    assert found.outputs["example_scores.jsonl"][3] == '{"length": 7.0}'
    found = task.evaluate(model, data, "test", search=Greedy(), scores=["bleu"])
    assert "example_scores.jsonl" not in found.outputs
