import io
import logging

import pytest
import sentencepiece
from datasets import Dataset

from seq2seq.data import DataError, Subwords, build_subwords, subword_training, train_subwords

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
    monkeypatch.setattr(subword_training, "_train", forbidden)
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
def test_size_beyond_what_the_texts_yield_is_lowered_and_said(kind, caplog):
    with caplog.at_level(logging.INFO):
        model = train_subwords(TINY, size=8000, kind=kind, byte_fallback=False).source
    assert 10 < model.size < 60
    assert f"the texts yield {model.size} subwords, not data.subwords.size=8000" in caplog.text


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_size_below_the_characters_is_refused_with_the_least_size(kind):
    with pytest.raises(DataError, match=r"data.subwords.size=10 is too small.* are \d+; raise it"):
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


def own_model(texts, path, **settings):
    """A model as users train them, with SentencePiece's own defaults."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(texts["train"]["source"]),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        **settings,
    )
    path.write_bytes(model.getvalue())
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {},  # unk 0, bos 1, eos 2, no pad
        {"model_type": "bpe"},
        {"pad_id": 3},
        {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3},
        {"bos_id": -1, "eos_id": -1},
    ],
)
def test_own_model_segments_as_before_under_our_special_ids(texts, tmp_path, settings):
    path = own_model(texts, tmp_path / "own.model", **settings)
    pair = build_subwords(texts["train"], source_model=path)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    assert pair.joint
    for text in texts["validation"]["source"]:
        ids = pair.source.encode(text)
        assert pair.source.pieces(ids) == theirs.encode(text, out_type=str)
        assert pair.source.decode(ids) == text
    assert pair.source.pieces([1]) == ["<unk>"]
    assert pair.source.decode([0, 2, 3]) == ""


def test_own_model_of_one_side_and_a_trained_one_of_the_other(texts, tmp_path):
    path = own_model(texts, tmp_path / "own.model")
    pair = build_subwords(texts["train"], target_model=path, joint=False, size=300)
    trained = train_subwords(texts["train"], joint=False, size=300)
    assert (pair.source, pair.target) == (trained.source, build_own(path))


def build_own(path):
    return build_subwords(Dataset.from_dict({}), source_model=path).source


def test_own_model_with_other_ids_is_not_taken_for_ours(texts, tmp_path):
    path = own_model(texts, tmp_path / "own.model")
    with pytest.raises(DataError, match="adopt_subwords"):
        Subwords.load(path)


@pytest.mark.parametrize("content", [b"", b"no model" * 9, b"\x08\x01"])
def test_own_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "bad.model"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.model: "):
        build_own(path)
