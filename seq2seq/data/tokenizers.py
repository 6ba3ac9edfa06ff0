"""What splits a text into words, by name."""

from __future__ import annotations

from collections.abc import Callable

Tokenize = Callable[[str], list[str]]

WHITESPACE = "whitespace"


def _treebank() -> Tokenize:
    """Punctuation apart, `isn't` as `is n't`, as GloVe's words are; by rules, without a model."""
    from nltk.tokenize.destructive import NLTKWordTokenizer  # takes a second to load

    tokenize: Tokenize = NLTKWordTokenizer().tokenize
    return tokenize


TOKENIZERS: dict[str, Callable[[], Tokenize]] = {
    WHITESPACE: lambda: str.split,
    "treebank": _treebank,
}
"""What makes each tokenizer; a vocabulary of words keeps the name of its own."""
