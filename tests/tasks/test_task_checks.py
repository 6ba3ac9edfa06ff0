"""Problems of an evaluation are reported before it computes anything."""

from __future__ import annotations

import importlib.util

import pytest
from datasets import Dataset, DatasetDict

from seq2seq.data.parallel import ParallelData
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.words import Words
from seq2seq.mappings import Softmax
from seq2seq.models import Transformer
from seq2seq.search import Greedy
from seq2seq.system.errors import DataError
from seq2seq.tasks.translation import Translation

WORDS = Words.of(["a", "b"])


def data(*lengths: tuple[int, int]) -> ParallelData:
    texts = {"source": ["a " * s for s, _ in lengths], "target": ["b " * t for _, t in lengths]}
    return ParallelData(DatasetDict(test=Dataset.from_dict(texts)), VocabularyPair(WORDS, WORDS))


@pytest.fixture
def model() -> Transformer:
    return Transformer(
        WORDS.size,
        WORDS.size,
        cross_mapping=Softmax(),
        size=8,
        heads=2,
        encoder_layers=1,
        max_length=6,
    )


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((5, 6), r"1 example\(s\) .*max_length=6 .*example 2, whose target has 7 .*max_length=7"),
        ((9, 1), r"1 example\(s\) .*max_length=6 .*example 2, whose source has 10 .*max_length=10"),
    ],
)
def test_a_sentence_longer_than_max_length_is_reported_with_its_number(
    model: Transformer, lengths: tuple[int, int], message: str
) -> None:
    fits, task = data((5, 5), (1, 1)), Translation()
    task.check_split(model, fits, "test")
    task.evaluate(model, fits, "test", search=Greedy(max_length=2))
    long = data((5, 5), lengths)
    with pytest.raises(DataError, match=rf"data\.test: {message}"):
        task.evaluate(model, long, "test", search=Greedy(max_length=2))
    task.check_split(model, long, "test", sentences=1)


@pytest.mark.skipif(importlib.util.find_spec("MeCab") is not None, reason="MeCab is installed")
def test_a_tokenizer_without_its_package_says_what_to_install(model: Transformer) -> None:
    with pytest.raises(DataError, match=r"cannot be computed: .*pip install sacrebleu\[ja\]"):
        Translation(tokenizer="ja-mecab").check_split(model, data((1, 1)), "test")
