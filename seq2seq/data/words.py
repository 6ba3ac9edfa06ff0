"""Word vocabularies: lists of the most frequent words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.batch import UNK_ID
from seq2seq.data.tokenizers import TOKENIZERS, WHITESPACE, token_spans
from seq2seq.data.vocabulary import CONTROLS, Vocabulary
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import parse_json

SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")  # their ids are 0, 1, 2, 3


class Words(Vocabulary):
    r"""A word vocabulary: four special entries, then words, most frequent first.

    The file is JSON, ``{"lowercase": false, "words": ["the", …]}``; word i has the id 4 + i. All
    other words, and ``<unk>`` in a text, are the unknown word. Words are separated by whitespace,
    unless the file names another one of ``TOKENIZERS`` (``"tokenizer": "treebank"``).

    Args:
        model: the bytes of the file.

    Raises:
        DataError: if the bytes are not such a file.
    """

    kind = "word vocabulary"
    file_name = "words{}.json"

    def __init__(self, model: bytes) -> None:
        self.model = bytes(model)
        self.lowercase, self.tokenizer, words = _read(self.model)
        self._tokenize = TOKENIZERS[self.tokenizer]()
        self._pieces = [*SPECIALS, *words]
        self._ids = {word: i for i, word in enumerate(words, start=len(SPECIALS))}

    @classmethod
    def of(
        cls, words: Iterable[str], *, lowercase: bool = False, tokenizer: str = WHITESPACE
    ) -> Words:
        """Return the vocabulary of some words, in their order.

        Args:
            words: distinct words, without whitespace.
            lowercase: fold the case of every text.
            tokenizer: name in ``TOKENIZERS``.
        """
        content = {"lowercase": lowercase, "words": list(words)}
        if tokenizer != WHITESPACE:
            content["tokenizer"] = tokenizer
        try:
            text = json.dumps(content, ensure_ascii=False, indent=0) + "\n"
            return cls(text.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise DataError("a word has characters that are not Unicode (surrogates)") from error

    @property
    def size(self) -> int:
        """Number of words and special entries."""
        return len(self._pieces)

    def split(self, text: str) -> list[str]:
        """Split a text into words, in the form in which the vocabulary has them."""
        return self._tokenize(text.lower() if self.lowercase else text)

    def encode(
        self, text: str, sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[int]:
        """See the base class; returns one id per word.

        Raises:
            DataError: if `sample` is True, because a text has only one segmentation into words.
        """
        if sample:
            raise DataError(
                "data.subwords.sampling.alpha draws segmentations, but texts have only one "
                "segmentation into words; set it to null, or data.subwords.kind to unigram or bpe"
            )
        return [self._ids.get(word, UNK_ID) for word in self.split(text)]

    def encode_batch(
        self, texts: list[str], sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[NDArray[np.int32]]:
        """See the base class."""
        return [np.array(self.encode(text, sample), dtype=np.int32) for text in texts]

    def decode(
        self, ids: Sequence[int], source: str = "", unknown: Sequence[str] | None = None
    ) -> str:
        """See the base class; words are separated by blanks."""
        ids = [i for i in ids if i not in CONTROLS]
        pieces = self.pieces(ids, source)
        if unknown is not None:
            texts = iter(unknown)
            pieces = [next(texts) if i == UNK_ID else p for i, p in zip(ids, pieces, strict=True)]
        return " ".join(pieces)

    def pieces(self, ids: Sequence[int], source: str = "") -> list[str]:
        """See the base class."""
        ids = [int(i) for i in ids]
        table = self._pieces
        if ids and max(ids) >= self.size:
            table = [*table, *self.unknown_words(source)]
        for i in ids:
            if not 0 <= i < len(table):
                raise DataError(
                    f"there is no word {i}: the vocabulary has {self.size} entries, and the source "
                    f"has {len(table) - self.size} unknown words"
                )
        return [table[i] for i in ids]

    def words(self, ids: Sequence[int]) -> list[int]:
        """See the base class; each id is a word."""
        words, count = [], 0
        for i in ids:
            words.append(-1 if int(i) in CONTROLS else count)
            count += int(i) not in CONTROLS
        return words

    def spans(self, text: str) -> list[tuple[int, int]]:
        """See the base class."""
        if not self.lowercase:
            return token_spans(text, self.split(text))
        # Some characters, such as İ, become two characters in lower case.
        places = [place for place, character in enumerate(text) for _ in character.lower()]
        spans = token_spans(text.lower(), self.split(text))
        return [(places[start], places[end - 1] + 1) for start, end in spans]

    def attended_words(self, text: str) -> list[str]:
        """See the base class; the words of the tokenizer, spelled as in the text."""
        return [text[start:end] for start, end in self.spans(text)]

    def unknown_words(self, text: str) -> list[str]:
        """See the base class."""
        lacking = (word for word in self.split(text) if word not in self._ids)
        return list(dict.fromkeys(word for word in lacking if word != SPECIALS[UNK_ID]))

    def extended(self, ids: Sequence[int], text: str, unknown: Sequence[str]) -> Sequence[int]:
        """See the base class."""
        numbers = {word: self.size + k for k, word in enumerate(unknown)}
        pairs = zip(ids, self.split(text), strict=False)  # the ids may be those of its beginning
        return [numbers.get(word, i) if i == UNK_ID else i for i, word in pairs]


def _read(model: bytes) -> tuple[bool, str, list[str]]:
    """Parse and check a file, which may be untrusted: lowercase, tokenizer and words.

    Raises:
        DataError: with what is wrong.
    """
    try:
        content = parse_json(model)
    except DataError as error:
        raise DataError(
            f"these bytes are not a word vocabulary: they are not JSON, or damaged ({error})"
        ) from error
    if not isinstance(content, dict) or set(content) - {"tokenizer"} != {"lowercase", "words"}:
        raise DataError('this is not a word vocabulary: not JSON with "lowercase" and "words"')
    lowercase, words = content["lowercase"], content["words"]
    if not isinstance(lowercase, bool) or not isinstance(words, list):
        raise DataError(
            '"lowercase" of this word vocabulary is not a boolean, or "words" not a list'
        )
    tokenizer = content.get("tokenizer", WHITESPACE)
    if not isinstance(tokenizer, str) or tokenizer not in TOKENIZERS:
        raise DataError(
            f"the tokenizer {tokenizer!r:.50} of this word vocabulary is not one of: "
            f"{', '.join(TOKENIZERS)}"
        )
    for number, word in enumerate(words, start=1):
        if not isinstance(word, str) or word.split() != [word] or word == SPECIALS[UNK_ID]:
            raise DataError(f"word {number:,} of this word vocabulary is not a word: {word!r:.50}")
        if lowercase and word != word.lower():
            raise DataError(
                f"word {number:,} of this lowercase vocabulary is not lower case: {word!r:.50}"
            )
    if any("\ud800" <= character <= "\udfff" for character in set().union(*words)):
        raise DataError("this word vocabulary has characters that are not Unicode (surrogates)")
    if len(set(words)) < len(words):
        raise DataError("this word vocabulary has a word twice")
    return lowercase, tokenizer, words
