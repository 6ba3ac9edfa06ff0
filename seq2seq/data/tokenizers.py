"""Tokenizers, which split a text into words, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Tokenize = Callable[[str], list[str]]

WHITESPACE = "whitespace"


def _treebank() -> Tokenize:
    """Return a tokenizer that splits `isn't` into `is n't` and separates punctuation, by rules.

    GloVe's words are split in the same way.
    """
    from nltk.tokenize.destructive import NLTKWordTokenizer  # importing it takes a second

    tokenize: Tokenize = NLTKWordTokenizer().tokenize
    return tokenize


TOKENIZERS: dict[str, Callable[[], Tokenize]] = {
    WHITESPACE: lambda: str.split,
    "treebank": _treebank,
}
"""Functions that create the tokenizers; a word vocabulary stores the name of its tokenizer."""

QUOTES = ("``", "''")  # the treebank tokenizer's replacements of a double quote


def token_spans(text: str, tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Return the start and the end of each token in the text.

    Args:
        text: the text.
        tokens: the tokens that one of `TOKENIZERS` returned for it: its characters in order,
            without whitespace, and with double quotes possibly replaced.
    """
    places = [place for place, character in enumerate(text) if not character.isspace()]
    spans, first = [], 0
    for token in tokens:
        quote = token in QUOTES and text[places[first]] == '"'
        end = first + (1 if quote else len(token))
        spans.append((places[first], places[end - 1] + 1))
        first = end
    return spans
