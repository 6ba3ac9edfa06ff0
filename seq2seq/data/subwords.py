"""Subword vocabularies: SentencePiece models."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from seq2seq.data.segmentation_sampling import SegmentationSampler, draw_among
from seq2seq.data.vocabulary import Vocabulary
from seq2seq.system.errors import DataError

SPACE = "▁"  # SentencePiece's character for a blank in a piece
MOST_BEST = 512  # SentencePiece's limit on the number of best segmentations


_generator = random.Random()


def seed_sampling(seed: int | Sequence[int]) -> None:
    """Seed the sampling of segmentations; all models share one generator."""
    _generator.seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))


class Subwords(Vocabulary):
    """A SentencePiece model with pad 0, unk 1, bos 2, eos 3.

    Args:
        model: the bytes of the model. They may be untrusted: they are parsed as data and never
            executed. For models with other special ids, use `adopt_subwords`.

    Raises:
        DataError: if the bytes are not such a model.
    """

    kind = "subword model"
    file_name = "subwords{}.model"

    def __init__(self, model: bytes) -> None:
        self.model = bytes(model)
        self._processor = sentencepiece.SentencePieceProcessor()
        self._sampler: SegmentationSampler | None = None
        try:
            self._processor.LoadFromSerializedProto(self.model)
        except (RuntimeError, TypeError, UnicodeError) as error:
            raise DataError("these bytes are not a SentencePiece model, or damaged") from error
        processor = self._processor
        if processor.GetPieceSize() == 0:
            raise DataError("these bytes are not a SentencePiece model: they have no pieces")
        ids = (processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id())
        if ids != (PAD_ID, UNK_ID, BOS_ID, EOS_ID):
            raise DataError(
                f"this SentencePiece model has pad, unk, bos, eos at {ids}, not at (0, 1, 2, 3); "
                "convert it with seq2seq.data.adopt_subwords(model), as "
                "data.subwords.source_model does"
            )
        _check_pieces(processor)

    @property
    def size(self) -> int:
        """Number of pieces, including the special pieces."""
        return int(self._processor.GetPieceSize())

    def encode(
        self, text: str, sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[int]:
        """Return the ids of a text, without bos and eos.

        Args:
            text: one sentence.
            sample: draw a segmentation instead of using the best.
            alpha: for unigram models, the exponent of the probabilities of segmentations; for BPE,
                the probability of skipping a merge.
            nbest: draw from this many best segmentations; -1: from all (unigram only).

        Raises:
            DataError: if the text has lone surrogates, or alpha or nbest is out of range.
        """
        return list(self._encode(text, int, sample, alpha, nbest))

    def encode_batch(
        self, texts: list[str], sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[NDArray[np.int32]]:
        """Return `encode` of many texts, as arrays.

        The same call after the same `seed_sampling` draws the same in every process.
        """
        return self._encode(texts, "numpy", sample, alpha, nbest, num_threads=1)

    def _encode(
        self, texts: Any, kind: Any, sample: bool, alpha: float, nbest: int, **options: Any
    ) -> Any:
        try:
            if sample:
                return self._drawn(texts, alpha, nbest)
            return self._processor.Encode(texts, return_type=kind, **options)
        except (RuntimeError, TypeError, UnicodeError) as error:
            raise DataError(
                "a text has characters that are not Unicode (lone surrogates); remove them"
            ) from error

    def _drawn(self, texts: str | list[str], alpha: float, nbest: int) -> Any:
        if isinstance(texts, str):
            return self._drawn([texts], alpha, nbest)[0].tolist()
        if self._sampler is None:
            self._sampler = SegmentationSampler(self.model)
        _check_sampling(alpha, nbest, self._sampler.merges)
        if self._sampler.merges or nbest < 0:
            drawn = [
                self._sampler.draw(text, alpha, _generator)
                for text in self._processor.Normalize(texts)
            ]
        else:
            number = max(nbest, 2)  # for a single one, SentencePiece returns no score
            best = (self._best(text, number)[: max(nbest, 1)] for text in texts)
            drawn = [draw_among(ids, alpha, _generator) for ids in best]
        return [np.array(ids, dtype=np.int32) for ids in drawn]

    def _best(self, text: str, number: int) -> list[tuple[list[int], float]]:
        """Return the best segmentations, with their scores."""
        found = self._processor.NBestEncode(text, nbest_size=number, return_type="proto").nbests
        return [([piece.id for piece in best.pieces], best.score) for best in found]

    def normalized(self, text: str) -> str:
        """Return the normalized text that is segmented, with `▁` for blanks."""
        return str(self._processor.Normalize(text))

    def decode(
        self, ids: Sequence[int], source: str = "", unknown: Sequence[str] | None = None
    ) -> str:
        """See the base class; an unknown id becomes ⁇ between blanks."""
        ids = self._checked(ids)
        if unknown is None:
            return str(self._processor.Decode(ids))
        texts = iter(unknown)
        pieces = [next(texts) if i == UNK_ID else self._processor.IdToPiece(i) for i in ids]
        return str(self._processor.DecodePieces(pieces))

    def written_ids(self, text: str) -> list[int]:
        """See the base class; also accepts a piece in its written form, such as `▁the`."""
        piece_id = self._processor.PieceToId(text)
        return super().written_ids(text) if piece_id == UNK_ID else [piece_id]

    def pieces(self, ids: Sequence[int], source: str = "") -> list[str]:
        """See the base class; `▁` marks the beginning of a word."""
        return [self._processor.IdToPiece(i) for i in self._checked(ids)]

    def words(self, ids: Sequence[int]) -> list[int]:
        """See the base class; words are separated by the blanks in the pieces.

        Normalization may have split a word of the text in two (a zero-width non-joiner becomes a
        blank). A piece that is a blank belongs to the word after it; at the end, to the last word.
        """
        words: list[int] = []
        count, blank = 0, True  # words so far; whether the next character begins a word
        for i, piece in zip(ids, self.pieces(ids), strict=True):
            if self._processor.IsControl(int(i)):
                words.append(-1)
                continue
            first = None
            for position, part in enumerate(piece.split(SPACE)):
                blank = blank or position > 0
                if part:
                    count, blank = count + blank, False
                    first = count - 1 if first is None else first
            words.append(count if first is None else first)
        return [min(word, max(count - 1, 0)) for word in words]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """See the base class; a byte piece has the span of its character."""
        encoded = self._encode(text, "offset_mapping", False, 0.0, 0)
        return [(int(start), int(end)) for start, end in encoded["offsets"]]

    def _checked(self, ids: Sequence[int]) -> list[int]:
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < self.size:
                raise DataError(f"there is no piece {i}: the subword model has {self.size} pieces")
        return ids


def _check_sampling(alpha: float, nbest: int, merges: bool) -> None:
    key = "data.subwords.sampling."
    if merges and not 0 <= alpha <= 1:
        raise DataError(
            f"{key}alpha={alpha} is not a probability (of skipping a merge of the BPE model); set "
            "it between 0 and 1"
        )
    if not 0 <= alpha < math.inf:
        raise DataError(f"{key}alpha={alpha} must be a finite number of at least 0")
    if nbest > MOST_BEST:
        raise DataError(
            f"{key}nbest={nbest} is too large for SentencePiece; set at most {MOST_BEST}"
        )


def _check_pieces(processor: Any) -> None:
    """Raise `DataError` for pieces that SentencePiece loads but cannot use."""
    ids = list(range(processor.GetPieceSize()))
    try:
        processor.IdToPiece(ids)
    except UnicodeError as error:
        raise DataError(
            "this SentencePiece model is damaged: a piece of it is not UTF-8"
        ) from error
    if not np.isfinite(processor.GetScore(ids)).all():
        raise DataError("this SentencePiece model is damaged: a piece of it has no finite score")
