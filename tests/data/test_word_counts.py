import logging
from collections import Counter

import pytest
from datasets import Dataset

from seq2seq.data import DataError, count_words, word_counts

SPLIT = Dataset.from_dict({"source": ["b a a C <unk> c"], "target": ["a\tc d  b c e"]})


def listed(words):
    return words.pieces(range(4, words.size))


def test_the_most_frequent_words_come_first_and_ties_in_code_point_order():
    words = count_words(SPLIT, size=100).source
    assert listed(words) == ["a", "c", "b", "C", "d", "e"]
    assert words.pieces([0, 1, 2, 3]) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert listed(count_words(SPLIT, size=7).source) == ["a", "c", "b"]
    assert listed(count_words(SPLIT, lowercase=True).source) == ["c", "a", "b", "d", "e"]
    assert listed(count_words(SPLIT, min_frequency=2).source) == ["a", "c", "b"]


def test_they_agree_with_counting_all_texts(texts):
    counts = Counter()
    for side in ("source", "target"):
        counts.update(word for text in texts["train"][side] for word in text.split())
    words = count_words(texts["train"], size=20)
    assert words.joint
    assert [counts[w] for w in listed(words.source)] == sorted(counts.values(), reverse=True)[:16]


def test_each_side_may_have_its_own():
    pair = count_words(SPLIT, joint=False)
    assert not pair.joint
    assert set(listed(pair.source)) == {"a", "b", "c", "C"}
    assert set(listed(pair.target)) == {"a", "b", "c", "d", "e"}


def test_the_second_time_it_comes_from_the_cache(texts, monkeypatch, caplog):
    with caplog.at_level(logging.INFO):
        first = count_words(texts["train"], size=20)
    assert "16 of 33 distinct words; they cover " in caplog.text

    def forbidden(*_):
        raise AssertionError("counted again")

    monkeypatch.setattr(word_counts, "_most_frequent", forbidden)
    again = Dataset.from_dict(texts["train"][:])
    assert count_words(again, size=20) == first
    for change in ({"size": 21}, {"min_frequency": 2}, {"lowercase": True}, {"joint": False}):
        with pytest.raises(AssertionError):
            count_words(texts["train"], **{"size": 20, **change})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 4}, "data.subwords.size=4 leaves no room"),
        ({"min_frequency": 0}, "data.subwords.min_frequency=0 must be at least 1"),
        ({"min_frequency": 9}, "no word occurs data.subwords.min_frequency=9 times"),
    ],
)
def test_impossible_settings_say_how_to_fix_them(settings, message):
    with pytest.raises(DataError, match=message):
        count_words(SPLIT, **settings)
