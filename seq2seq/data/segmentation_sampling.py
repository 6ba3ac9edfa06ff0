"""Sample segmentations reproducibly: the same seed draws the same in every process.

SentencePiece's own sampling differs between processes whatever its seed, so a run could be neither
repeated nor resumed. The samples here have the same distribution. Pieces rarely cross blanks; if
none does, the words of a text are drawn one by one, each from a table that is computed once.
"""

from __future__ import annotations

import functools
import heapq
import math
import random
import re
from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as _generated

from seq2seq.data.batch import UNK_ID
from seq2seq.system.errors import DataError

_SPACE = "▁"
#: For each position in a word, the pieces that can end there, as cumulative probabilities, starts
#: and ids.
_Table = list[tuple[list[float], list[int], list[int]]]


class SegmentationSampler:
    """Sampler of segmentations of normalized texts.

    Attributes:
        merges: True for a BPE model, False for a unigram model.

    Args:
        model: the bytes of a SentencePiece model.

    Raises:
        DataError: if the pieces of the model are characters or words: they have one segmentation.
    """

    def __init__(self, model: bytes) -> None:
        proto: Any = _generated.ModelProto()  # type: ignore[attr-defined]  # made at run time
        proto.ParseFromString(model)
        kinds, spec = type(proto).SentencePiece, proto.trainer_spec
        if spec.model_type not in (spec.UNIGRAM, spec.BPE):
            kind = spec.ModelType.Name(spec.model_type).lower()
            raise DataError(
                f"this subword model of the kind {kind} has only one segmentation of a text; set "
                "data.subwords.sampling.alpha=null, or use a unigram or bpe model"
            )
        self.merges = spec.model_type == spec.BPE
        by_kind: dict[int, dict[str, tuple[int, float]]] = {
            kind: {} for kind in (kinds.NORMAL, kinds.USER_DEFINED, kinds.UNUSED)
        }
        for i, piece in enumerate(proto.pieces):
            if piece.type in by_kind:
                by_kind[piece.type][piece.piece] = (i, piece.score)
        self._pieces = by_kind[kinds.NORMAL]
        self._unused = by_kind[kinds.UNUSED]
        scores = [score for _, score in self._pieces.values()] or [0.0]
        self._unknown = min(scores) - 10.0  # SentencePiece's score of a character without a piece
        # SentencePiece ignores the scores of symbols that the user defined.
        symbols = by_kind[kinds.USER_DEFINED]
        self._pieces |= {text: (i, 0.1 * (len(text) - 1)) for text, (i, _) in symbols.items()}
        self._symbols = set(symbols)
        alternatives = [re.escape(text) for text in sorted(symbols, key=len, reverse=True)]
        self._parts = re.compile("|".join([*alternatives, "."]), re.DOTALL).findall
        self._longest = max(map(len, self._pieces), default=1)
        bytes_ = {p.piece: i for i, p in enumerate(proto.pieces) if p.type == kinds.BYTE}
        self._bytes = [bytes_.get(f"<0x{n:02X}>") for n in range(256)] if bytes_ else None
        self._words = _words_of([*self._pieces, *self._unused])
        self._table = functools.lru_cache(maxsize=1 << 17)(self._make_table)

    def draw(self, text: str, alpha: float, generator: random.Random) -> list[int]:
        """Return the ids of a segmentation drawn from all segmentations of a text.

        Args:
            text: the normalized text.
            alpha: for a unigram model, a segmentation is drawn in proportion to its probability to
                the power of alpha; for a BPE model, each merge is skipped with probability alpha.
            generator: source of randomness.
        """
        draw = self._merge if self.merges else self._walk
        ids = [i for word in self._words(text) for i in draw(word, alpha, generator)]
        return ids if UNK_ID not in ids else _run_together(ids)

    def _walk(self, word: str, alpha: float, generator: random.Random) -> list[int]:
        """Draw pieces from the end of a word, each given the pieces after it."""
        table, end, ids = self._table(word, alpha), len(word), []
        while end:
            summed, starts, found = table[end]
            k = bisect(summed, generator.random(), hi=len(summed) - 1)
            ids += self._ids(word[starts[k] : end], found[k])[::-1]
            end = starts[k]
        return ids[::-1]

    def _make_table(self, word: str, alpha: float) -> _Table:
        """Compute the forward sums total(j) = Σ_i total(i)·exp(α·score(i…j)) as logarithms."""
        totals, table = [0.0], _Table([([], [], [])])
        for end in range(1, len(word) + 1):
            starts, ids, logs = [], [], []
            for start in range(max(0, end - self._longest), end):
                piece = self._pieces.get(word[start:end])
                if piece is None and end - start == 1:
                    piece = (UNK_ID, self._unknown)
                if piece is not None:
                    starts.append(start)
                    ids.append(piece[0])
                    logs.append(totals[start] + alpha * piece[1])
            highest = max(logs)
            weights = [math.exp(log - highest) for log in logs]
            total = math.fsum(weights)
            totals.append(highest + math.log(total))
            table.append((list(accumulate(weight / total for weight in weights)), starts, ids))
        return table

    def _merge(self, word: str, alpha: float, generator: random.Random) -> list[int]:
        """Apply BPE with dropout: the best merge first, each skipped with probability ``alpha``.

        User-defined symbols are parts from the start, and no merge joins them.
        """
        parts: list[str] = self._parts(word)
        before = list(range(-1, len(parts) - 1))
        after = [*range(1, len(parts)), -1]
        waiting: list[tuple[float, int, str]] = []
        origin: dict[str, tuple[str, str]] = {}  # the two halves of each unused piece

        def consider(left: int) -> None:
            if left < 0 or after[left] < 0:
                return
            if self._symbols and self._symbols & {parts[left], parts[after[left]]}:
                return
            joined = parts[left] + parts[after[left]]
            if joined in self._unused:
                origin[joined] = (parts[left], parts[after[left]])
            if (piece := self._pieces.get(joined) or self._unused.get(joined)) is not None:
                heapq.heappush(waiting, (-piece[1], left, joined))

        for left in range(len(parts)):
            consider(left)
        while waiting:
            _, left, joined = heapq.heappop(waiting)
            right = after[left]
            if not parts[left] or right < 0 or parts[left] + parts[right] != joined:
                continue  # another merge has used one of the two parts
            if generator.random() < alpha:
                continue
            parts[left], parts[right] = joined, ""
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
            consider(before[left])
            consider(left)
        return [i for part in parts if part for i in self._merged_ids(part, origin)]

    def _merged_ids(self, part: str, origin: dict[str, tuple[str, str]]) -> list[int]:
        """Return the ids of a part; an unused piece is split into its halves again."""
        if part in origin:
            return [i for half in origin[part] for i in self._merged_ids(half, origin)]
        return self._ids(part, self._pieces.get(part, (UNK_ID, 0.0))[0])

    def _ids(self, text: str, known: int) -> list[int]:
        """Return the id of a piece; for a character without one, those of its bytes if any."""
        if known != UNK_ID or self._bytes is None:
            return [known]
        return [self._bytes[byte] or UNK_ID for byte in text.encode("utf-8")]


def draw_among(
    best: Sequence[tuple[list[int], float]], alpha: float, generator: random.Random
) -> list[int]:
    """Draw one of the best segmentations; return its ids.

    The weight of a segmentation is its probability to the power of ``alpha``.

    Args:
        best: ids of each segmentation, and the logarithm of its probability.
        alpha: the exponent.
        generator: source of randomness.
    """
    highest = max(score for _, score in best)
    weights = [math.exp(alpha * (score - highest)) for _, score in best]
    return generator.choices([ids for ids, _ in best], weights)[0]


def _words_of(pieces: list[str]) -> Callable[[str], list[str]]:
    """Return a function that cuts a text where no piece can cross."""
    if not any(_SPACE in piece[1:] for piece in pieces):
        return re.compile(f"{_SPACE}[^{_SPACE}]*|[^{_SPACE}]+").findall
    if not any(_SPACE in piece[:-1] for piece in pieces):
        return re.compile(f"[^{_SPACE}]*{_SPACE}|[^{_SPACE}]+").findall
    return lambda text: [text] if text else []


def _run_together(ids: list[int]) -> list[int]:
    """Join neighboring unknown characters into one unknown piece, as the encoder does."""
    return [i for k, i in enumerate(ids) if not (i == UNK_ID and k and ids[k - 1] == UNK_ID)]
