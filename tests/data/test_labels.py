"""Class numbers of examples, also in batches."""

import pytest
from datasets import Dataset, DatasetDict

from seq2seq.data.labels import label_ids
from seq2seq.data.parallel import ParallelData
from seq2seq.system.errors import DataError

ROWS = {
    "label": ["yes", "NO", "no", "Yes"],
    "source": ["a small sentence", "words", "a number 3", "with"],
    "target": ["small", "a sentence number 9", "a", "b"],
}


def test_labels_are_numbered_in_the_order_given_whatever_their_case():
    texts = Dataset.from_dict(ROWS)
    assert label_ids(texts, ["no", "yes"], "train").tolist() == [1, 0, 0, 1]
    assert label_ids(texts, ["YES", "maybe", "no"], "train").tolist() == [0, 2, 2, 0]


def test_unknown_labels_and_a_missing_column_are_refused():
    texts = Dataset.from_dict(ROWS)
    with pytest.raises(DataError, match=r"test has 2 label\(s\).*first is 'NO'.*premise 'words'"):
        label_ids(texts, ["yes", "maybe"], "test")
    with pytest.raises(DataError, match="if that is a header, name its columns"):
        label_ids(Dataset.from_dict({"label": ["l", "a"], "source": ["p", "b"]}), ["a"], "test")
    with pytest.raises(DataError, match="test has no column label, only source, target"):
        label_ids(texts.remove_columns("label"), ["yes", "no"], "test")


@pytest.mark.parametrize("sampling", [None, {"alpha": 0.1}])
def test_every_batch_has_the_labels_of_its_examples(subwords, tmp_path, sampling):
    corpus = DatasetDict({"train": Dataset.from_dict(ROWS)})
    data = ParallelData(corpus, subwords, labels=["no", "yes"], cache=tmp_path, sampling=sampling)
    numbers = [1, 0, 0, 1]
    for loader in (data.loader("train", tokens=40), data.train_loader(tokens=40)):
        seen = {}
        for batch in loader:
            moved = batch.to("cpu")
            seen |= dict(zip(moved.indices.tolist(), moved.labels.tolist(), strict=True))
        assert seen == dict(enumerate(numbers))


def test_without_classes_a_batch_has_none(subwords, tmp_path):
    data = ParallelData(DatasetDict({"train": Dataset.from_dict(ROWS)}), subwords, cache=tmp_path)
    assert all(batch.to("cpu").labels is None for batch in data.loader("train"))
