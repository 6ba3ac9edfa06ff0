import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, DataError, VocabularyPair, Words
from seq2seq.data import vocabulary as vocabulary_module

KNOWN = Words.of(["the", "dog", "Katze"])
TEXTS = st.lists(st.sampled_from(["the", "dog", "Katze", "Rex", "xyzzy", "</s>", "<unk>", "漢字"]))


@given(words=TEXTS)
def test_every_word_has_an_id_and_others_are_unknown(words):
    ids = KNOWN.encode("  ".join(words) + " \n")
    assert ids == [{"the": 4, "dog": 5, "Katze": 6}.get(word, UNK_ID) for word in words]
    known = [word if word in ("the", "dog", "Katze") else "<unk>" for word in words]
    assert KNOWN.decode([BOS_ID, *ids, EOS_ID, PAD_ID]) == " ".join(known)
    (row,) = KNOWN.encode_batch([" ".join(words)])
    assert row.dtype == np.int32
    assert row.tolist() == ids


@given(words=TEXTS, cut=st.integers(0, 9))
def test_extended_ids_bring_unknown_words_back(words, cut):
    text = " ".join(words)
    ids = KNOWN.extended(KNOWN.encode(text)[:cut], text, KNOWN.unknown_words(text))
    assert KNOWN.decode(ids, text) == " ".join(words[:cut])
    assert KNOWN.pieces(ids, text) == words[:cut]


def test_unknown_words_are_numbered_in_the_order_of_the_source():
    source = "the Rex sees Tom sees <unk>"
    unknown = KNOWN.unknown_words(source)
    assert unknown == ["Rex", "sees", "Tom"]
    assert KNOWN.extended(KNOWN.encode(source), source, unknown) == [4, 7, 8, 9, 8, UNK_ID]
    target = "Tom sieht the Rex"
    assert KNOWN.extended(KNOWN.encode(target), target, unknown) == [9, UNK_ID, 4, 7]


def test_words_of_ids_count_all_but_controls():
    assert KNOWN.words([BOS_ID, 4, UNK_ID, 9, EOS_ID, PAD_ID]) == [-1, 0, 1, 2, -1, -1]


def test_ids_outside_vocabulary_and_source_are_refused():
    for wrong in (-1, 9):
        with pytest.raises(DataError, match=f"no word {wrong}: .* has 7 .*source has 2"):
            KNOWN.pieces([8, wrong], "a b" if wrong == 9 else "a b a")


def test_case_folding_is_recorded_in_the_file(tmp_path):
    words = Words.of(["the", "große"], lowercase=True)
    words.save(tmp_path / "words.json")
    again = Words.load(tmp_path / "words.json")
    assert again == words
    assert again.encode("The GROßE große") == [4, 5, 5]
    assert again.unknown_words("THE Dog") == ["dog"]
    assert Words.of(["the", "große"]) != words


def test_a_pair_is_saved_as_one_file_or_two(tmp_path):
    VocabularyPair(KNOWN, KNOWN).save(tmp_path / "joint")
    assert [path.name for path in (tmp_path / "joint").iterdir()] == ["words.json"]
    assert VocabularyPair.load(tmp_path / "joint").joint
    two = VocabularyPair(KNOWN, Words.of(["der", "Hund"]))
    two.save(tmp_path / "two")
    assert VocabularyPair.load(tmp_path / "two") == two
    assert pickle.loads(pickle.dumps(two)) == two
    assert pickle.loads(pickle.dumps(VocabularyPair(KNOWN, KNOWN))).joint
    with pytest.raises(DataError, match="no subword model or word vocabulary in"):
        VocabularyPair.load(tmp_path)


def test_sides_may_be_of_different_kinds(subwords, tmp_path):
    mixed = VocabularyPair(subwords.source, KNOWN)
    mixed.save(tmp_path)
    assert VocabularyPair.load(tmp_path) == mixed
    assert subwords.source != KNOWN


def test_sampling_is_refused_with_the_keys():
    with pytest.raises(DataError, match=r"data\.subwords\.sampling\.alpha .* set it to null"):
        KNOWN.encode("the dog", sample=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", 'not JSON with "lowercase" and "words"'),
        ({"lowercase": False}, 'not JSON with "lowercase" and "words"'),
        ({"lowercase": False, "words": [], "_target_": "os.system"}, "not JSON with"),
        ({"lowercase": 1, "words": []}, "not a boolean"),
        ({"lowercase": False, "words": "the"}, "not a list"),
        ({"lowercase": False, "words": ["a", 7]}, "word 2 .* is not a word: 7"),
        ({"lowercase": False, "words": ["a b"]}, "word 1 .* is not a word: 'a b'"),
        ({"lowercase": False, "words": [""]}, "is not a word"),
        ({"lowercase": False, "words": ["<unk>"]}, "is not a word"),
        ({"lowercase": True, "words": ["The"]}, "is not lower case: 'The'"),
        ({"lowercase": False, "words": ["a", "a"]}, "has a word twice"),
        ({"lowercase": False, "words": ["\ud800"]}, "surrogates"),
    ],
    ids=str,
)
def test_a_bad_file_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "words.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(DataError, match=rf"words\.json: .*{message}"):
        Words.load(path)


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch):
    KNOWN.save(tmp_path / "words.json")
    monkeypatch.setattr(vocabulary_module, "LARGEST_FILE", 10)
    with pytest.raises(DataError, match="at most 10 bytes"):
        Words.load(tmp_path / "words.json")
