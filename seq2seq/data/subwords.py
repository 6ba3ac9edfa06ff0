"""Subwords: a SentencePiece model behind the few calls the rest needs."""

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

SPACE = "▁"  # how SentencePiece writes a blank inside a piece
MOST_BEST = 512  # segmentations that SentencePiece finds


_generator = random.Random()


def seed_sampling(seed: int | Sequence[int]) -> None:
    """Seed the sampling of segmentations, of all models: one generator draws them."""
    _generator.seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))


class Subwords(Vocabulary):
    """A SentencePiece model with pad 0, unk 1, bos 2, eos 3.

    Args:
        model: the bytes of the model. They may come from a stranger: they are parsed as data, never
            executed. Models with other special ids: see `adopt_subwords`.
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
            raise DataError("these bytes are not a SentencePiece model: they hold no piece")
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
        """Number of pieces, special ones included."""
        return int(self._processor.GetPieceSize())

    def encode(
        self, text: str, sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[int]:
        """Ids of a text, without bos and eos.

        Args:
            text: one sentence.
            sample: draw a segmentation instead of taking the best one.
            alpha: unigram: how strongly likely segmentations are preferred; BPE: the probability
                that a merge is left out.
            nbest: draw from that many best segmentations, or -1 for all (unigram only).
        """
        return list(self._encode(text, int, sample, alpha, nbest))

    def encode_batch(
        self, texts: list[str], sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[NDArray[np.int32]]:
        """`encode` of many texts at once, as arrays.

        The same call after the same `seed_sampling` draws the same, in any process.
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
                "a text holds characters that are not Unicode (lone surrogates)"
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
            number = max(nbest, 2)  # of one alone SentencePiece says no score
            best = (self._best(text, number)[: max(nbest, 1)] for text in texts)
            drawn = [draw_among(ids, alpha, _generator) for ids in best]
        return [np.array(ids, dtype=np.int32) for ids in drawn]

    def _best(self, text: str, number: int) -> list[tuple[list[int], float]]:
        """The best segmentations, with their scores."""
        found = self._processor.NBestEncode(text, nbest_size=number, return_type="proto").nbests
        return [([piece.id for piece in best.pieces], best.score) for best in found]

    def normalized(self, text: str) -> str:
        """Return a text as it is segmented: normalized, with `▁` for a blank."""
        return str(self._processor.Normalize(text))

    def decode(
        self, ids: Sequence[int], source: str = "", unknown: Sequence[str] | None = None
    ) -> str:
        """The text of some ids, ` ⁇ ` for an unknown one; see the base class."""
        ids = self._checked(ids)
        if unknown is None:
            return str(self._processor.Decode(ids))
        texts = iter(unknown)
        pieces = [next(texts) if i == UNK_ID else self._processor.IdToPiece(i) for i in ids]
        return str(self._processor.DecodePieces(pieces))

    def written_ids(self, text: str) -> list[int]:
        """Also the id of a piece in its written form, such as `▁the`; see the base class."""
        found = self._processor.PieceToId(text)
        return super().written_ids(text) if found == UNK_ID else [found]

    def pieces(self, ids: Sequence[int], source: str = "") -> list[str]:
        """The written form of each id, `▁` where a word begins."""
        return [self._processor.IdToPiece(i) for i in self._checked(ids)]

    def words(self, ids: Sequence[int]) -> list[int]:
        """The words between blanks of what the pieces write; see the base class.

        Normalization may have made two of a word of the text (a zero-width non-joiner becomes a
        blank). A blank that is a piece of its own belongs to the word after it, at the end to the
        word before it.
        """
        words: list[int] = []
        count, blank = 0, True  # words begun so far; whether the next character begins another
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
        """See the base class. A byte has the place of its character."""
        encoded = self._encode(text, "offset_mapping", False, 0.0, 0)
        return [(int(start), int(end)) for start, end in encoded["offsets"]]

    def _checked(self, ids: Sequence[int]) -> list[int]:
        ids = [int(i) for i in ids]
        for i in ids:
            if not 0 <= i < self.size:
                raise DataError(f"there is no piece {i}: the subword model holds {self.size}")
        return ids


def _check_sampling(alpha: float, nbest: int, merges: bool) -> None:
    key = "data.subwords.sampling."
    if merges and not 0 <= alpha <= 1:
        raise DataError(
            f"{key}alpha={alpha} is the probability that a BPE model leaves out a merge: set it "
            "between 0 and 1"
        )
    if not 0 <= alpha < math.inf:
        raise DataError(f"{key}alpha={alpha} must be a number of at least 0")
    if nbest > MOST_BEST:
        raise DataError(f"{key}nbest={nbest} is too large: SentencePiece finds at most {MOST_BEST}")


def _check_pieces(processor: Any) -> None:
    """Refuse what SentencePiece loads but cannot work with: it may come from a stranger."""
    ids = list(range(processor.GetPieceSize()))
    try:
        processor.IdToPiece(ids)
    except UnicodeError as error:
        raise DataError("a piece of this SentencePiece model is not UTF-8: damaged") from error
    if not np.isfinite(processor.GetScore(ids)).all():
        raise DataError("a piece of this SentencePiece model has no finite score: damaged")
