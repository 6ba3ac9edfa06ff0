"""Words: a list of the most frequent words, the rest unknown."""

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

SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")  # the ids 0, 1, 2, 3


class Words(Vocabulary):
    r"""Words by id, most frequent first after the four special ones.

    The file is JSON, ``{"lowercase": false, "words": ["the", …]}``; word i has the id 4 + i. A word
    ``<unk>`` in a text is the unknown word itself. Words are those between whitespace, unless the
    file names another of ``TOKENIZERS`` (``"tokenizer": "treebank"``).

    Args:
        model: the bytes of the file.
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
        """The vocabulary of these words, in their order.

        Args:
            words: distinct, without whitespace.
            lowercase: fold the case of every text.
            tokenizer: what splits a text, one of ``TOKENIZERS``.
        """
        content = {"lowercase": lowercase, "words": list(words)}
        if tokenizer != WHITESPACE:
            content["tokenizer"] = tokenizer
        try:
            text = json.dumps(content, ensure_ascii=False, indent=0) + "\n"
            return cls(text.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise DataError("a word holds characters that are not Unicode (surrogates)") from error

    @property
    def size(self) -> int:
        """Number of words and special ids."""
        return len(self._pieces)

    def split(self, text: str) -> list[str]:
        """The words of a text as they are looked up."""
        return self._tokenize(text.lower() if self.lowercase else text)

    def encode(
        self, text: str, sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[int]:
        """An id a word.

        Raises:
            DataError: for `sample`: a text has one segmentation into words.
        """
        if sample:
            raise DataError(
                "data.subwords.sampling.alpha draws segmentations into subwords, and words have "
                "only one: set it to null, or data.subwords.kind to unigram or bpe"
            )
        return [self._ids.get(word, UNK_ID) for word in self.split(text)]

    def encode_batch(
        self, texts: list[str], sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[NDArray[np.int32]]:
        """`encode` of many texts, as arrays."""
        return [np.array(self.encode(text, sample), dtype=np.int32) for text in texts]

    def decode(
        self, ids: Sequence[int], source: str = "", unknown: Sequence[str] | None = None
    ) -> str:
        """The words with blanks between; see the base class."""
        ids = [i for i in ids if i not in CONTROLS]
        pieces = self.pieces(ids, source)
        if unknown is not None:
            texts = iter(unknown)
            pieces = [next(texts) if i == UNK_ID else p for i, p in zip(ids, pieces, strict=True)]
        return " ".join(pieces)

    def pieces(self, ids: Sequence[int], source: str = "") -> list[str]:
        """The word of each id; see the base class."""
        ids = [int(i) for i in ids]
        table = self._pieces
        if ids and max(ids) >= self.size:
            table = [*table, *self.unknown_words(source)]
        for i in ids:
            if not 0 <= i < len(table):
                raise DataError(
                    f"there is no word {i}: the vocabulary holds {self.size}, and the source "
                    f"{len(table) - self.size} that it lacks"
                )
        return [table[i] for i in ids]

    def words(self, ids: Sequence[int]) -> list[int]:
        """Each id is a word; see the base class."""
        words, count = [], 0
        for i in ids:
            words.append(-1 if int(i) in CONTROLS else count)
            count += int(i) not in CONTROLS
        return words

    def spans(self, text: str) -> list[tuple[int, int]]:
        """See the base class."""
        if not self.lowercase:
            return token_spans(text, self.split(text))
        # A character may be several in lower case, such as İ.
        places = [place for place, character in enumerate(text) for _ in character.lower()]
        spans = token_spans(text.lower(), self.split(text))
        return [(places[start], places[end - 1] + 1) for start, end in spans]

    def attended_words(self, text: str) -> list[str]:
        """The words that the tokenizer makes, as the text writes them; see the base class."""
        return [text[start:end] for start, end in self.spans(text)]

    def unknown_words(self, text: str) -> list[str]:
        """See the base class."""
        lacking = (word for word in self.split(text) if word not in self._ids)
        return list(dict.fromkeys(word for word in lacking if word != SPECIALS[UNK_ID]))

    def extended(self, ids: Sequence[int], text: str, unknown: Sequence[str]) -> Sequence[int]:
        """See the base class."""
        numbers = {word: self.size + k for k, word in enumerate(unknown)}
        pairs = zip(ids, self.split(text), strict=False)  # a text may have been cut
        return [numbers.get(word, i) if i == UNK_ID else i for i, word in pairs]


def _read(model: bytes) -> tuple[bool, str, list[str]]:
    """Check all that the rest relies on: the file may be a stranger's.

    Raises:
        DataError: saying what is wrong.
    """
    try:
        content = parse_json(model)
    except DataError as error:
        raise DataError(
            f"these bytes are not a word vocabulary: not JSON, or damaged ({error})"
        ) from error
    if not isinstance(content, dict) or set(content) - {"tokenizer"} != {"lowercase", "words"}:
        raise DataError('this is not a word vocabulary: no JSON of "lowercase" and "words"')
    lowercase, words = content["lowercase"], content["words"]
    if not isinstance(lowercase, bool) or not isinstance(words, list):
        raise DataError('this word vocabulary\'s "lowercase" is no boolean or "words" no list')
    tokenizer = content.get("tokenizer", WHITESPACE)
    if not isinstance(tokenizer, str) or tokenizer not in TOKENIZERS:
        raise DataError(
            f"this word vocabulary's tokenizer {tokenizer!r:.50} is none of {', '.join(TOKENIZERS)}"
        )
    for number, word in enumerate(words, start=1):
        if not isinstance(word, str) or word.split() != [word] or word == SPECIALS[UNK_ID]:
            raise DataError(f"word {number:,} of this word vocabulary is no word: {word!r:.50}")
        if lowercase and word != word.lower():
            raise DataError(f"word {number:,} of this lowercase word vocabulary is {word!r:.50}")
    if any("\ud800" <= character <= "\udfff" for character in set().union(*words)):
        raise DataError("this word vocabulary holds characters that are not Unicode (surrogates)")
    if len(set(words)) < len(words):
        raise DataError("this word vocabulary holds a word twice")
    return lowercase, tokenizer, words
