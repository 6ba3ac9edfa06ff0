"""BLEU counts words as its target language needs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from seq2seq.checkpoint import checkpoint_task
from seq2seq.tasks.entailment import Entailment
from seq2seq.tasks.translation import Translation

CHINESE = ["我喜欢苹果。", "他去学校上课。", "猫在桌子上睡觉。", "她写信给朋友。"] * 3
#: The configuration of checkpoints of earlier versions.
OLD = {"task": {"_target_": "seq2seq.tasks.translation.Translation", "tokenizer": "13a"}}


class Corpus:
    """Pairs into a language that is named, or not."""

    source_language = "source"
    next_step = ""

    def __init__(self, targets: list[str], target_language: str = "target") -> None:
        self.targets, self.target_language = targets, target_language

    def load(self) -> DatasetDict:
        rows = {"source": ["a b c"] * len(self.targets), "target": self.targets}
        return DatasetDict(train=Dataset.from_dict(rows), test=Dataset.from_dict(rows))


def prepared(task: Translation | Entailment, corpus: Corpus, cache: Path, kind: str = "word"):
    return task.prepare(corpus, subwords={"kind": kind, "size": 60}, cache=cache)


@pytest.mark.parametrize("language", ["zh", "target"])
def test_chinese_is_scored_as_sacrebleu_scores_chinese(language: str, tmp_path: Path) -> None:
    task = Translation()
    prepared(task, Corpus(CHINESE, language), tmp_path)
    score = task.scores(CHINESE, [CHINESE], ["bleu"])["bleu"]
    assert score["score"] == pytest.approx(100)
    assert "tok:zh" in score["signature"]
    worse = [text.replace("我", "你") for text in CHINESE]
    assert 50 < task.scores(worse, [CHINESE], ["bleu"])["bleu"]["score"] < 100


def test_hypotheses_of_no_corpus_are_scored_by_the_script_of_their_references() -> None:
    assert "tok:zh" in Translation().scores(CHINESE, [CHINESE], ["bleu"])["bleu"]["signature"]


def test_a_tokenizer_that_is_named_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = checkpoint_task(OLD)
    assert isinstance(task, Translation)
    prepared(task, Corpus(CHINESE, "zh"), tmp_path)
    assert task.tokenizer == "13a"
    assert caplog.text.count("BLEU's tokenizer 13a finds 1.0 words") == 1


def test_a_missing_package_is_reported_before_vocabularies_are_built(tmp_path: Path) -> None:
    if importlib.util.find_spec("mecab_ko") is not None:
        pytest.skip("the Korean tokenizer is installed")
    with pytest.raises(ValueError, match=r"task.tokenizer=ko-mecab.*sacrebleu\[ko\]"):
        prepared(Translation(), Corpus(["안녕하세요 세계"] * 9), tmp_path)
    assert not (tmp_path / "ids").exists()


def test_sentences_without_blanks_in_a_word_vocabulary_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepared(Translation("char"), Corpus(["私は猫が好きです", "彼は犬が好きです"]), tmp_path)
    assert "data.subwords.kind=word, on the target side, finds 1.0 words" in caplog.text
    assert "on the source side" not in caplog.text
