"""Tokenizers of word vocabularies: how they split, and that a vocabulary stores its own."""

import pytest
from datasets import Dataset

from seq2seq.data.word_counts import count_words
from seq2seq.data.words import Words
from seq2seq.system.errors import DataError

TEXT = "He said: \"it isn't John's.\""
TREEBANK = ["he", "said", ":", "``", "it", "is", "n't", "john", "'s", ".", "''"]


def counted(tmp_path, **settings):
    split = Dataset.from_dict({"source": [TEXT], "target": ["it is"]})
    return count_words(split, lowercase=True, cache_folder=tmp_path, **settings).source


def test_treebank_splits_punctuation_and_clitics_and_whitespace_does_not(tmp_path):
    words = counted(tmp_path, tokenizer="treebank")
    assert words.split(TEXT) == TREEBANK
    assert words.pieces(words.encode(TEXT)) == TREEBANK
    assert counted(tmp_path).split(TEXT) == TEXT.lower().split()


def test_the_file_of_a_vocabulary_names_its_tokenizer(tmp_path):
    words = counted(tmp_path, tokenizer="treebank")
    words.save(tmp_path / "words.json")
    assert Words.load(tmp_path / "words.json").encode(TEXT) == words.encode(TEXT)
    assert b"tokenizer" not in counted(tmp_path).model  # as files of before there were any


def test_unknown_tokenizers_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"tokenizer=moses is none of: whitespace, treebank"):
        counted(tmp_path, tokenizer="moses")
    with pytest.raises(DataError, match="tokenizer 'moses' of this word vocabulary is not one of"):
        Words(b'{"lowercase": true, "words": ["a"], "tokenizer": "moses"}')
