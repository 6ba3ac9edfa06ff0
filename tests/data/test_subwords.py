import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data import BOS_ID, EOS_ID, PAD_ID, DataError, Subwords, VocabularyPair, seed_sampling
from seq2seq.data import train_subwords as train

WORDS = st.sampled_from(["the", "dog", "Katze", "sieht", "xyzzy", "grün", "漢字", "1,5", "a-b"])


def words_by_text(subwords, text):
    """Join the pieces of each word."""
    ids = subwords.encode(text)
    joined = {}
    for word, piece in zip(subwords.words(ids), subwords.pieces(ids), strict=True):
        joined[word] = joined.get(word, "") + piece
    return [joined[k].strip("▁") for k in range(len(joined))]


@given(words=st.lists(WORDS, min_size=1, max_size=8))
def test_text_comes_back_and_nothing_is_unknown(subwords, words):
    text = " ".join(words)
    ids = subwords.source.encode(text)
    assert subwords.source.decode(ids) == text
    assert min(ids) > EOS_ID


@given(words=st.lists(st.sampled_from(["the", "dog", "dogs", "tttt", "se", "Hhe"]), min_size=1))
def test_words_are_the_whitespace_words_of_the_text(subwords, words):
    assert words_by_text(subwords.source, "  ".join(words)) == words


@given(words=st.lists(WORDS, min_size=1, max_size=8))
def test_characters_written_as_bytes_belong_to_their_word(subwords, words):
    ids = subwords.source.encode(" ".join(words))
    found = subwords.source.words(ids)
    assert found == sorted(found)
    assert set(found) == set(range(len(words)))


def test_blank_that_is_a_piece_of_its_own_belongs_to_the_word_after_it(subwords):
    model = subwords.source
    blank = model.encode("漢")[0]
    dog = model.encode("dog")
    assert model.pieces([blank]) == ["▁"]
    inner = [i for i in range(model.size) if model.pieces([i]) == ["o"]]
    assert model.words([*dog, blank, *inner, *inner]) == [*[0] * len(dog), 1, 1, 1]
    assert model.words([*dog, blank]) == [0] * (len(dog) + 1)


def test_special_pieces_belong_to_no_word_and_are_not_decoded(subwords):
    dog = subwords.source.encode("dog")
    ids = [BOS_ID, *dog, EOS_ID, PAD_ID]
    assert subwords.source.words(ids) == [-1, *[0] * len(dog), -1, -1]
    assert subwords.source.decode(ids) == "dog"


def test_text_without_pieces(subwords):
    assert subwords.source.encode("") == subwords.source.words([]) == []
    assert subwords.source.decode([]) == ""


def test_pickle_keeps_a_joint_pair_joint(subwords):
    again = pickle.loads(pickle.dumps(subwords))
    assert again.joint
    assert again.source == subwords.source


def test_pair_is_saved_as_one_model_or_two(texts, subwords, tmp_path):
    subwords.save(tmp_path / "joint")
    assert [p.name for p in (tmp_path / "joint").iterdir()] == ["subwords.model"]
    assert VocabularyPair.load(tmp_path / "joint").joint
    separate = train(texts["train"], size=300, joint=False)
    separate.save(tmp_path / "two")
    assert VocabularyPair.load(tmp_path / "two") == separate
    assert not VocabularyPair.load(tmp_path / "two").joint
    assert separate.source != separate.target
    separate.save(tmp_path / "joint")
    assert VocabularyPair.load(tmp_path / "joint") == separate, "of two pairs, the last"


@pytest.mark.parametrize("damage", [b"", b"junk" * 20, None])
def test_bytes_that_are_no_model_are_refused(subwords, damage):
    model = subwords.source.model[:1000] if damage is None else damage
    with pytest.raises(DataError, match="not a SentencePiece model"):
        Subwords(model)


def test_missing_model_file_is_named(tmp_path):
    with pytest.raises(DataError, match=f"no subword model at {tmp_path}/x.model"):
        Subwords.load(tmp_path / "x.model")


@pytest.mark.parametrize("wrong", [-1, 10**6])
def test_ids_outside_the_vocabulary_are_refused(subwords, wrong):
    with pytest.raises(DataError, match=f"no piece {wrong}"):
        subwords.source.decode([wrong])


def test_lone_surrogates_are_refused_by_a_clear_message(subwords):
    with pytest.raises(DataError, match="surrogates"):
        subwords.source.encode("a\ud800")


def test_case_folding_is_recorded_in_the_model(texts, tmp_path):
    pair = train(texts["train"], size=300, lowercase=True)
    pair.save(tmp_path)
    loaded = VocabularyPair.load(tmp_path).source
    assert loaded.encode("THE Dog") == loaded.encode("the dog")
    plain = train(texts["train"], size=300).source
    assert plain.encode("THE Dog") != plain.encode("the dog")


@pytest.mark.parametrize(
    ("normalization", "same"), [("nfkc", True), ("nmt_nfkc", True), ("identity", False)]
)
def test_normalization_is_recorded_in_the_model(texts, normalization, same):
    model = Subwords(train(texts["train"], size=320, normalization=normalization).source.model)
    assert (model.encode("ﬁne １２") == model.encode("fine 12")) is same


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sampling_draws_other_segmentations_of_the_same_text(texts, kind):
    model = train(texts["train"], size=100, kind=kind, byte_fallback=False).source
    text = "the young dog likes the house"
    seed_sampling(1)
    drawn = [model.encode(text, sample=True, alpha=0.1) for _ in range(60)]
    seed_sampling(1)
    assert drawn == [model.encode(text, sample=True, alpha=0.1) for _ in range(60)]
    assert len({tuple(ids) for ids in drawn}) > 3
    assert {model.decode(ids) for ids in drawn} == {text}
