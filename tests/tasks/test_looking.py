"""Attention maps of single texts, for models that copy and for long texts."""

from __future__ import annotations

import pytest
import torch

from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.words import Words
from seq2seq.mappings import Softmax
from seq2seq.models import Recurrent, Transformer
from seq2seq.search import Greedy
from seq2seq.tasks.translation import Translation

SOURCES = ["a small Zanzibar sentence of Quux", "words", "Zanzibar and Quux and Zanzibar"]
TARGETS = ["Quux small", "of words and Quux", "Zanzibar"]


@pytest.fixture
def words() -> VocabularyPair:
    vocabulary = Words.of(["a", "small", "sentence", "of", "words", "and"])
    return VocabularyPair(vocabulary, vocabulary)


def test_words_that_the_vocabulary_lacks_are_copied_and_named(words: VocabularyPair) -> None:
    torch.manual_seed(0)
    sizes = Translation().model_arguments(words)
    options = {"copying": True, "embedding_size": 8, "hidden_size": 8, "tie_embeddings": "all"}
    model = Recurrent(**sizes, mapping=Softmax(), **options).eval()
    search = Greedy(max_length_ratio=1.0)
    outcomes = Translation().look(model, words, SOURCES, TARGETS, search=search, batch_tokens=20)
    written = Translation().generate(model, words, SOURCES, search)
    assert [outcome.text for outcome in outcomes] == [best[0][0] for best in written]
    first, last = outcomes[0].looks["reading"], outcomes[2].looks["reading"]
    assert first.source == ["a", "small", "Zanzibar", "sentence", "of", "Quux", "</s>"]
    assert first.target == ["Quux", "small", "</s>"]
    assert last.target == ["Zanzibar", "</s>"]
    for outcome in outcomes:
        for look in outcome.looks.values():
            assert look.weights.shape == (1, 1, len(look.target), len(look.source))
            torch.testing.assert_close(look.weights.sum(-1), torch.ones(look.weights.shape[:-1]))


def test_texts_are_cut_to_what_the_model_numbers(subwords: VocabularyPair) -> None:
    torch.manual_seed(0)
    sizes = Translation().model_arguments(subwords)
    model = Transformer(
        **sizes,
        **{f"{place}_mapping": Softmax() for place in ("cross", "encoder", "decoder")},
        size=8,
        feedforward_size=8,
        heads=2,
        encoder_layers=1,
        decoder_layers=1,
        positions="learned",
        max_length=12,
    )
    (outcome,) = Translation().look(
        model, subwords, ["words " * 30], ["a sentence " * 30], search=Greedy()
    )
    assert len(outcome.looks["reading"].source) == 12
    assert len(outcome.looks["reading"].target) == 12
    assert outcome.looks["reading"].weights.shape == (1, 2, 12, 12)
    assert model.training, "left in the mode in which it came"


def test_writing_text_needs_a_search(subwords: VocabularyPair) -> None:
    with pytest.raises(ValueError, match="Translation needs a search"):
        Translation().look(None, subwords, ["a"], None)  # type: ignore[arg-type]
    model = Recurrent(**Translation().model_arguments(subwords), mapping=Softmax())
    assert Translation().look(model, subwords, [], None, search=Greedy()) == []
