"""The word of each id of a text, for every kind of vocabulary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data import BOS_ID, EOS_ID, PAD_ID, Words, train_subwords
from seq2seq.data.tokenizers import TOKENIZERS, token_spans

PERSIAN = "می‌خواهم به خانه بروم"  # the first word holds a zero-width non-joiner
TREEBANK = Words.of(["is", "n't"], lowercase=True, tokenizer="treebank")
ODD = st.text(st.sampled_from("aBİΣ.,'\"`-()n't \u200b\u200c\u00a0\u3000¨½ﬁ漢\u0301"), max_size=12)


def words_read(vocabulary, text):
    """For each word of the text the pieces that belong to it."""
    ids = vocabulary.encode(text)
    found = [""] * len(text.split())
    for word, piece in zip(vocabulary.words_of(text, ids), vocabulary.pieces(ids), strict=True):
        found[word] += piece.replace("▁", "")
    return found


@pytest.fixture(scope="module")
def persian(texts, tmp_path_factory):
    split = texts["train"].select(range(100))
    split = split.map(lambda _: {"source": PERSIAN})
    return train_subwords(split, size=350, cache_folder=tmp_path_factory.mktemp("persian")).source


def test_a_zero_width_joiner_inside_a_word_makes_no_second_word(persian):
    ids = persian.encode(PERSIAN)
    assert max(persian.words(ids)) == 4, "the model reads a blank there"
    assert words_read(persian, PERSIAN) == [word.replace("\u200c", "") for word in PERSIAN.split()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the dog\u200bs see", ["the", "dog s", "see"]),
        ("the\u00a0dog  sees\u3000", ["the", "dog", "sees"]),
        ("a ¨ dog", ["a", "̈", "dog"]),
        ("a ½ dog", ["a", "1⁄2", "dog"]),
    ],
)
def test_what_normalization_rewrites_stays_in_its_word(subwords, text, words):
    model = subwords.source
    ids = model.encode(text)
    places = model.words_of(text, ids)
    grouped = [
        model.decode([i for i, place in zip(ids, places, strict=True) if place == k])
        for k in range(len(words))
    ]
    assert grouped == words


def test_tokens_of_treebank_belong_to_the_word_that_they_were_split_from():
    text = '"It isn\'t," said İda.'
    ids = TREEBANK.encode(text)
    assert TREEBANK.words_of(text, ids) == [0, 0, 1, 1, 1, 1, 2, 3, 3]
    assert TREEBANK.attended_words(text) == ['"', "It", "is", "n't", ",", '"', "said", "İda", "."]


def test_ids_of_the_beginning_and_their_controls(subwords):
    ids = subwords.source.encode("the dog sees")
    cut = [BOS_ID, *ids[:2], EOS_ID, PAD_ID]
    words = subwords.source.words_of("the dog sees", ids)
    assert subwords.source.words_of("the dog sees", cut) == [-1, *words[:2], -1, -1]


@given(text=ODD)
def test_every_id_belongs_to_a_word_of_any_text(subwords, text):
    count = len(text.split())
    for vocabulary in (subwords.source, TREEBANK, Words.of(["a"], lowercase=True)):
        ids = vocabulary.encode(text)
        found = vocabulary.words_of(text, ids)
        assert found == sorted(found)
        assert len(found) == len(ids) == len(vocabulary.attended_words(text))
        assert set(found) <= set(range(count)) if count else set(found) <= {-1}


@given(text=ODD)
def test_spans_of_tokens_are_where_they_stand(text):
    for name in ("whitespace", "treebank"):
        tokens = TOKENIZERS[name]()(text)
        spans = token_spans(text, tokens)
        for token, (start, end) in zip(tokens, spans, strict=True):
            written = "".join(text[start:end].split())
            assert token == written or {token, written} <= {"``", "''", '"'}
        ends = [0, *(end for _, end in spans)]
        starts = [*(start for start, _ in spans), len(text)]
        assert all(not text[a:b].strip() for a, b in zip(ends, starts, strict=True))
