"""Texts of hypotheses: unknown words become the source words that they attend to."""

from __future__ import annotations

import torch
from torch import Tensor

from seq2seq.data.batch import UNK_ID
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.words import Words
from seq2seq.search import Hypothesis
from seq2seq.tasks.writer import hypothesis_text

SENTENCE = "a small Ωmega sentence"


def found(tokens: list[int], looks_at: list[int], source: list[int]) -> Hypothesis:
    weights = torch.full((len(tokens) + 1, len(source)), 0.1)
    for row, column in enumerate(looks_at):
        weights[row, column] = 0.5
    weights[:, -1] = 0.9  # eos is no word
    attention: Tensor = weights.expand(2, 3, -1, -1)
    return Hypothesis(tokens, 0.0, 0.0, attention)


def test_an_unknown_word_is_the_source_word_that_it_attends_to(subwords: VocabularyPair) -> None:
    source = [*subwords.source.encode(SENTENCE), 3]
    words = subwords.source.words(source)
    small, omega = words.index(1), words.index(2)
    number = subwords.target.encode("number")[0]
    tokens = [UNK_ID, number, UNK_ID]
    hypothesis = found(tokens, [omega, 0, small], source)
    text = hypothesis_text(hypothesis, SENTENCE, source, subwords)
    rest = subwords.target.decode([number])
    assert text.replace(" ", "") == f"Ωmega{rest}small".replace(" ", "")
    plain = Hypothesis(tokens, 0.0, 0.0)
    assert "⁇" in hypothesis_text(plain, SENTENCE, source, subwords)


def test_known_words_stay_as_they_are(subwords: VocabularyPair) -> None:
    source = [*subwords.source.encode(SENTENCE), 3]
    tokens = subwords.target.encode("a sentence with words")
    hypothesis = found(tokens, [0] * len(tokens), source)
    assert hypothesis_text(hypothesis, SENTENCE, source, subwords) == "a sentence with words"


def test_a_text_is_the_piece_that_is_written_so_or_its_pieces(subwords: VocabularyPair) -> None:
    target = subwords.target
    assert target.written_ids("<unk>") == [UNK_ID]
    piece = target.pieces([10])[0]
    assert target.written_ids(piece) == [10]
    assert target.written_ids("small words") == target.encode("small words")


def test_words_write_texts_and_take_others_for_unknown_ones() -> None:
    words = Words.of(["a", "small", "sentence"])
    assert words.written_ids("small sentence") == [5, 6]
    assert words.written_ids("<unk>") == [UNK_ID]
    assert words.written_ids("a zebra") == [], "to forbid it must not forbid the unknown word"
    ids = [4, UNK_ID, 7, 6, UNK_ID]
    assert words.decode(ids, "one zebra") == "a <unk> one sentence <unk>"
    assert words.decode(ids, "one zebra", ["X", "Y"]) == "a X one sentence Y"


def test_an_unknown_word_is_the_token_and_not_all_that_stands_between_blanks() -> None:
    words = Words.of(["small"], tokenizer="treebank", lowercase=True)
    pair = VocabularyPair(words, words)
    sentence = "A small, Ωmega."
    source = [*words.encode(sentence), 3]
    assert words.pieces(source[:-1]) == ["<unk>", "small", "<unk>", "<unk>", "<unk>"]
    hypothesis = found([UNK_ID, UNK_ID], [3, 2], source)
    assert hypothesis_text(hypothesis, sentence, source, pair) == "Ωmega ,"


def test_an_unknown_word_is_the_whole_word_around_a_zero_width_character(
    subwords: VocabularyPair,
) -> None:
    sentence = "می‌خواهم small"
    source = [*subwords.source.encode(sentence), 3]
    last = len(subwords.source.encode("می‌خواهم")) - 1
    hypothesis = found([UNK_ID], [last], source)
    assert hypothesis_text(hypothesis, sentence, source, subwords) == "می‌خواهم"
