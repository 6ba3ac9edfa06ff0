import logging

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data import DataError, prepare
from seq2seq.data.filters import Filters

PAIRS = [
    ("a b c", "x y z"),
    ("a b c d", "x"),
    ("a", "x y z w v"),
    ("same text", "same text "),
    ("tab\tis fine", "Blank  is  fine"),
    ("bell \x07", "x y"),
    ("c \x85 d", "x y"),
    ("broken \ufffd", "x y"),
    ("private \ue000", "x y"),
    ("- - -", "x y z"),
    (" a b c", "x y z"),
    ("日本", "日 本 語"),
]


@pytest.fixture
def split():
    source, target = map(list, zip(*PAIRS, strict=True))
    rows = [str(k) for k in range(len(PAIRS))]
    return Dataset.from_dict({"source": source, "target": target, "alignment": rows})


def kept(split, tmp_path, **settings):
    return list(map(int, Filters(**settings).apply(split, tmp_path)["alignment"]))


def dropped(split, tmp_path, **settings):
    return sorted(set(range(len(PAIRS))) - set(kept(split, tmp_path, **settings)))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"min_length": 2}, [1, 2, 11]),
        ({"max_length": 3}, [1, 2]),
        ({"max_ratio": 3}, [1, 2]),
        ({"max_ratio": 4}, [2]),
        ({"max_ratio": 5}, []),
        ({"copies": True}, [3]),
        ({"non_text": True}, [5, 6, 7, 8, 9]),
        ({"duplicates": True}, [10]),
        ({"unit": "characters", "max_length": 7}, [2, 3, 4, 7, 8]),
        ({}, []),
    ],
)
def test_what_each_filter_drops(split, tmp_path, settings, expected):
    assert dropped(split, tmp_path, **settings) == expected


def test_each_filter_logs_its_key_and_how_many_pairs_it_drops(split, tmp_path, caplog):
    settings = {"max_ratio": 3, "copies": True, "duplicates": True}
    for _ in ("made", "from the cache"):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            Filters(**settings).apply(split, tmp_path)
        assert [record.getMessage() for record in caplog.records] == [
            "2 of 12 training pairs dropped: data.filters.max_ratio=3",
            "1 of 12 training pairs dropped: data.filters.copies=True",
            "1 of 12 training pairs dropped: data.filters.duplicates=True",
        ]


@given(rows=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40))
def test_of_equal_pairs_the_first_is_kept(tmp_path_factory, rows):
    split = Dataset.from_dict(
        {"source": rows, "target": rows[:], "row": [*map(str, range(len(rows)))]}
    )
    folder = tmp_path_factory.mktemp("cache")
    found = Filters(duplicates=True).apply(split, folder)["row"][:]
    assert found == [str(rows.index(x)) for x in dict.fromkeys(rows)]


def test_only_training_is_filtered_and_subwords_are_trained_on_what_is_left(texts, tmp_path):
    class Corpus:
        def load(self):
            return texts

    data = prepare(Corpus(), subwords={"size": 350}, filters={"max_length": 5}, cache=tmp_path)
    lengths = [len(text.split()) for text in data.split("train")["source"]]
    assert 0 < len(lengths) < 600
    assert max(lengths) == 5
    assert data.split("test")["source"][:] == texts["test"]["source"][:]
    batches = list(data.train_loader(512))
    assert sum(map(len, batches)) == len(lengths)


def test_the_filter_is_named_if_no_pair_is_left(split, tmp_path):
    with pytest.raises(DataError, match=r"drop all 12 .*data\.filters\.min_length"):
        Filters(min_length=99).apply(split, tmp_path)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(DataError, match=r"data\.filters\.unit=bytes is none of: words, characters"):
        Filters(unit="bytes")
    with pytest.raises(DataError, match=r"data\.filters\.max_ratio=0\.5 would drop every pair"):
        Filters(max_ratio=0.5)


def test_duplicates_are_found_across_blocks(tmp_path):
    rows = [f"text {k % 15_000}" for k in range(30_000)]
    split = Dataset.from_dict({"source": rows, "target": rows})
    found = Filters(duplicates=True).apply(split, tmp_path)
    assert found["source"][:] == rows[:15_000]
    assert np.unique(found["source"][:]).size == 15_000
