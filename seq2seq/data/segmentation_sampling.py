"""Segmentations drawn by a generator whose seed means the same in every process.

SentencePiece's own drawing is salted by the process, whatever its seed: a run could be neither
repeated nor resumed. What is drawn here is distributed as there. Pieces rarely cross blanks, and
then the words of a text are drawn one by one, each from tables that are made once.
"""

from __future__ import annotations

import functools
import heapq
import math
import random
import re
from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as _generated

from seq2seq.data.batch import UNK_ID

_SPACE = "▁"
#: For each end in a word, the ways that a piece can end there: summed probabilities, starts, ids.
_Table = list[tuple[list[float], list[int], list[int]]]


class SegmentationSampler:
    """Draws segmentations of normalized texts.

    Args:
        model: the bytes of a SentencePiece model.
        nbest: the best segmentations of a text, so many of them, as ids.
    """

    def __init__(self, model: bytes, nbest: Callable[[str, int], list[list[int]]]) -> None:
        proto: Any = _generated.ModelProto()  # type: ignore[attr-defined]  # made at run time
        proto.ParseFromString(model)
        kinds, spec = type(proto).SentencePiece, proto.trainer_spec
        usable = [
            (i, piece)
            for i, piece in enumerate(proto.pieces)
            if piece.type in (kinds.NORMAL, kinds.USER_DEFINED)
        ]
        normal = [piece.score for _, piece in usable if piece.type == kinds.NORMAL] or [0.0]
        self._unknown = min(normal) - 10.0  # SentencePiece's score of a character without a piece
        #: Piece → id, score. Those that the user defined win over whatever they are made of.
        self._pieces = {
            piece.piece: (i, piece.score)
            if piece.type == kinds.NORMAL
            else (i, len(piece.piece) * max(normal) - 0.1)
            for i, piece in usable
        }
        self._scores = dict(self._pieces.values())
        self._longest = max(map(len, self._pieces), default=1)
        bytes_ = {p.piece: i for i, p in enumerate(proto.pieces) if p.type == kinds.BYTE}
        self._bytes = [bytes_.get(f"<0x{n:02X}>") for n in range(256)] if bytes_ else None
        self._words = _words_of(self._pieces)
        self._nbest = nbest
        self._merges = spec.model_type == spec.BPE
        self._table = functools.lru_cache(maxsize=1 << 17)(self._make_table)

    def draw(self, text: str, alpha: float, nbest: int, generator: random.Random) -> list[int]:
        """The ids of a segmentation of a text that is normalized.

        Args:
            text: normalized.
            alpha: of a unigram model: p(segmentation) is proportional to its probability to the
                power of alpha; of a BPE model: the probability with which a merge is left out.
            nbest: of a unigram model: draw from so many best ones; below 0: from all.
            generator: draws.
        """
        if self._merges:
            drawn = [self._merge(word, alpha, generator) for word in self._words(text)]
        elif nbest < 0:
            drawn = [self._walk(word, alpha, generator) for word in self._words(text)]
        else:
            return self._among(self._nbest(text, max(nbest, 1)), alpha, generator)
        ids = [i for word in drawn for i in word]
        return ids if UNK_ID not in ids else _run_together(ids)

    def _walk(self, word: str, alpha: float, generator: random.Random) -> list[int]:
        """Backwards through the word, each piece with its probability given what follows."""
        table, end, ids = self._table(word, alpha), len(word), []
        while end:
            summed, starts, found = table[end]
            k = bisect(summed, generator.random(), hi=len(summed) - 1)
            ids += self._ids(word[starts[k] : end], found[k])[::-1]
            end = starts[k]
        return ids[::-1]

    def _make_table(self, word: str, alpha: float) -> _Table:
        """Forward sums: total(j) = Σ_i total(i)·exp(α·score(i…j)), kept as logarithms."""
        totals, table = [0.0], _Table([([], [], [])])
        for end in range(1, len(word) + 1):
            starts, ids, logs = [], [], []
            for start in range(max(0, end - self._longest), end):
                found = self._pieces.get(word[start:end])
                if found is None and end - start == 1:
                    found = (UNK_ID, self._unknown)
                if found is not None:
                    starts.append(start)
                    ids.append(found[0])
                    logs.append(totals[start] + alpha * found[1])
            highest = max(logs)
            weights = [math.exp(log - highest) for log in logs]
            total = math.fsum(weights)
            totals.append(highest + math.log(total))
            table.append((list(accumulate(weight / total for weight in weights)), starts, ids))
        return table

    def _merge(self, word: str, alpha: float, generator: random.Random) -> list[int]:
        """BPE with dropout: the best merge first, each left out with probability ``alpha``."""
        parts: list[str] = list(word)
        before = list(range(-1, len(parts) - 1))
        after = [*range(1, len(parts)), -1]
        waiting: list[tuple[float, int, str]] = []

        def consider(left: int) -> None:
            if left >= 0 and after[left] >= 0:
                joined = parts[left] + parts[after[left]]
                if joined in self._pieces:
                    heapq.heappush(waiting, (-self._pieces[joined][1], left, joined))

        for left in range(len(parts)):
            consider(left)
        while waiting:
            _, left, joined = heapq.heappop(waiting)
            right = after[left]
            if not parts[left] or right < 0 or parts[left] + parts[right] != joined:
                continue  # one of the two has been merged with another since
            if generator.random() < alpha:
                continue
            parts[left], parts[right] = joined, ""
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
            consider(before[left])
            consider(left)
        found = ((part, self._pieces.get(part, (UNK_ID, 0.0))[0]) for part in parts if part)
        return [i for part, known in found for i in self._ids(part, known)]

    def _among(self, best: list[list[int]], alpha: float, generator: random.Random) -> list[int]:
        """One of the best segmentations."""
        scores = [
            alpha * sum(self._scores.get(i, self._unknown) for i in segmentation)
            for segmentation in best
        ]
        weights = [math.exp(score - max(scores)) for score in scores]
        return generator.choices(best, weights)[0]

    def _ids(self, text: str, known: int) -> list[int]:
        """The id of a piece; a character without one is its bytes, where the model has those."""
        if known != UNK_ID or self._bytes is None:
            return [known]
        return [self._bytes[byte] or UNK_ID for byte in text.encode("utf-8")]


def _words_of(pieces: dict[str, Any]) -> Callable[[str], list[str]]:
    """How to cut a text where no piece can cross."""
    if not any(_SPACE in piece[1:] for piece in pieces):
        return re.compile(f"{_SPACE}[^{_SPACE}]*|[^{_SPACE}]+").findall
    if not any(_SPACE in piece[:-1] for piece in pieces):
        return re.compile(f"[^{_SPACE}]*{_SPACE}|[^{_SPACE}]+").findall
    return lambda text: [text] if text else []


def _run_together(ids: list[int]) -> list[int]:
    """Neighboring unknown characters are one unknown piece, as when encoding."""
    return [i for k, i in enumerate(ids) if not (i == UNK_ID and k and ids[k - 1] == UNK_ID)]
