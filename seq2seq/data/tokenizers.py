"""What splits a text into words, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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

QUOTES = ("``", "''")  # how the treebank tokenizer writes a double quote


def token_spans(text: str, tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Start and end of each token's characters in the text.

    Args:
        text: the text.
        tokens: what one of `TOKENIZERS` makes of it: they have its characters in their order,
            without whitespace, and perhaps double quotes rewritten.
    """
    places = [place for place, character in enumerate(text) if not character.isspace()]
    spans, first = [], 0
    for token in tokens:
        quote = token in QUOTES and text[places[first]] == '"'
        end = first + (1 if quote else len(token))
        spans.append((places[first], places[end - 1] + 1))
        first = end
    return spans
