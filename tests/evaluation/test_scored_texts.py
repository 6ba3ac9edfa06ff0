"""Scores are not mixed up with those of other texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

from seq2seq.evaluation.report import write_metrics
from seq2seq.evaluation.scored_texts import ScoredTexts, check_output, own_folders

PAIRS = Dataset.from_dict({"source": ["a b", "c"], "target": ["x", "y z"]})
OTHERS = Dataset.from_dict({"source": ["a b", "c"], "target": ["x", "z y"]})


def test_recorded_content_decides_whose_texts_they_are(tmp_path: Path) -> None:
    own, other = (ScoredTexts.of("Text", "test", texts) for texts in (PAIRS, OTHERS))
    assert own.belong_to(tmp_path, same_corpus=True), "nothing is recorded: the configuration says"
    assert not own.belong_to(tmp_path, same_corpus=False)
    write_metrics(tmp_path / "metrics.json", {"test": {"loss": 1.0, **own.entry()}})
    assert own.belong_to(tmp_path, same_corpus=False), "the same texts by another name"
    assert not other.belong_to(tmp_path, same_corpus=True), "a file that has changed since"


def test_other_texts_have_a_folder_of_their_own(tmp_path: Path) -> None:
    first, second = (ScoredTexts.of("Text", "test", texts) for texts in (PAIRS, OTHERS))
    best = tmp_path / "run" / "checkpoints" / "best"
    place = first.folder(best)
    assert place.parent == tmp_path / "run" / "evaluations" / "best"
    assert place.name == f"text-test-{first.content[:8]}"
    folders = {place, second.folder(best), first.folder(best.with_name("last"))}
    assert len(folders) == 3
    assert first.folder(tmp_path / "published").parent == tmp_path / "published" / "evaluations"


def test_a_folder_with_scores_of_other_texts_or_another_model_is_refused(tmp_path: Path) -> None:
    texts = ScoredTexts.of("Text", "test", PAIRS)
    run = tmp_path / "run"
    best = run / "checkpoints" / "best"
    check_output(tmp_path / "new", "test", texts.content)
    write_metrics(tmp_path / "scored" / "metrics.json", {"test": texts.entry()})
    check_output(tmp_path / "scored", "test", texts.content)
    check_output(tmp_path / "scored", "validation", "other texts of another name")
    with pytest.raises(ValueError, match="has scores of other texts under the name test"):
        check_output(tmp_path / "scored", "test", "other texts")
    for folder in (run, best):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").touch()
        with pytest.raises(ValueError, match="is a run or a checkpoint"):
            check_output(folder, "test", texts.content)
        check_output(folder, "test", texts.content, own_folders(best))
    with pytest.raises(ValueError, match="is a run or a checkpoint"):
        check_output(run, "test", texts.content, own_folders(run / "checkpoints" / "last"))
