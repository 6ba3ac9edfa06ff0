import logging

import pytest
from datasets import Dataset

from seq2seq.data import DataError, subword_training, train_subwords

TINY = Dataset.from_dict({"source": ["a b c d"], "target": ["das ist ein Haus"]})


def forbidden(*_):
    raise AssertionError("trained again")


def test_same_texts_and_settings_give_the_same_model(texts, tmp_path):
    a = train_subwords(texts["train"], size=300, cache_folder=tmp_path / "a")
    b = train_subwords(texts["train"], size=300, cache_folder=tmp_path / "b")
    assert a.source.model == b.source.model
    assert a.source.size == 300


def test_second_time_it_comes_from_the_cache(texts, monkeypatch):
    first = train_subwords(texts["train"], size=300)
    monkeypatch.setattr(subword_training, "train_model", forbidden)
    again = Dataset.from_dict(texts["train"][:])  # the same texts in another table
    assert train_subwords(again, size=300) == first


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "bpe"},
        {"size": 301},
        {"joint": False},
        {"byte_fallback": False},
        {"lowercase": True},
        {"normalization": "identity"},
    ],
)
def test_every_setting_changes_the_model(texts, change):
    base = train_subwords(texts["train"], size=300)
    assert train_subwords(texts["train"], **{"size": 300, **change}) != base


def test_character_coverage_leaves_rare_characters_out():
    split = Dataset.from_dict(
        {"source": ["abcab" * 3] * 500, "target": ["abc", "€"] + ["cab"] * 498}
    )
    everything = train_subwords(split, size=20, byte_fallback=False).source
    common = train_subwords(split, size=20, byte_fallback=False, character_coverage=0.99).source
    assert 1 not in everything.encode("€")
    assert 1 in common.encode("€")


def test_byte_fallback_leaves_nothing_unknown(texts):
    with_bytes = train_subwords(texts["train"], size=320).source
    without = train_subwords(texts["train"], size=320, byte_fallback=False).source
    assert 1 not in with_bytes.encode("漢字")
    assert 1 in without.encode("漢字")


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_size_beyond_the_texts_is_lowered_and_logged(kind, caplog):
    with caplog.at_level(logging.INFO):
        model = train_subwords(TINY, size=8000, kind=kind, byte_fallback=False).source
    assert 10 < model.size < 60
    assert f"the texts yield only {model.size} subwords of data.subwords.size=8000" in caplog.text


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_size_below_the_characters_is_refused_with_the_least_size(kind):
    with pytest.raises(DataError, match=r"size=10 is too small.* are \d+ already; raise it"):
        train_subwords(TINY, size=10, kind=kind, byte_fallback=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "word"}, "data.subwords.kind=word is none of: unigram, bpe"),
        ({"normalization": "nfd"}, "data.subwords.normalization=nfd is none of: "),
        ({"lowercase": True, "normalization": "identity"}, "set data.subwords.normalization=nfkc"),
    ],
)
def test_impossible_settings_say_what_is_possible(change, message):
    with pytest.raises(DataError, match=message):
        train_subwords(TINY, **change)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_long_texts_train_as_well(kind, joint, tmp_path):
    sentence = "der alte Ξενία Hund "
    long = Dataset.from_dict({"source": [sentence * 1000] * 2, "target": ["漢字仮名" * 4000] * 2})
    settings = {"size": 40, "kind": kind, "joint": joint, "byte_fallback": False}
    pair = train_subwords(long, **settings, cache_folder=tmp_path / "long")
    assert 1 not in pair.source.encode(sentence)
    assert 1 not in pair.target.encode("漢字仮名")


def test_long_texts_are_cut_between_words_only(texts, tmp_path):
    short = texts["train"].select(range(300))["source"]
    split = Dataset.from_dict({"source": [" ".join(short)], "target": ["a b c"]})
    apart = Dataset.from_dict({"source": list(short), "target": ["a b c"] * 300})
    models = [
        train_subwords(
            x, size=60, kind="bpe", joint=False, byte_fallback=False, cache_folder=tmp_path / str(n)
        ).source
        for n, x in enumerate((split, apart))
    ]
    assert sum(map(len, map(str.encode, short))) > 4192
    for text in short:
        assert models[0].pieces(models[0].encode(text)) == models[1].pieces(models[1].encode(text))


def test_texts_with_the_reserved_character_are_trained_on_and_reported(tmp_path, caplog):
    split = Dataset.from_dict({"source": ["a zebra ▅ here"] * 9, "target": ["ein Zebra"] * 9})
    model = train_subwords(split, size=40, byte_fallback=False, cache_folder=tmp_path).source
    assert 1 not in model.encode("a zebra here")
    assert "9 text(s) of the source side have the character ▅ (U+2585)" in caplog.text
