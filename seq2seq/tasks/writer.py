"""Write texts with a model: search for hypotheses, and decode them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from seq2seq.data.batch import UNK_ID, Batch
from seq2seq.data.vocabulary import CONTROLS
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.models.encoder_decoder import Decodable
from seq2seq.search import Hypothesis, Search


class Writer:
    """The way from a batch to texts, for everything that writes with a model.

    Args:
        model: the model that writes.
        subwords: the vocabularies of both sides.
        search: finds the hypotheses.
        return_attention: whether the hypotheses contain their attention.
    """

    def __init__(
        self,
        model: Decodable[Any],
        subwords: VocabularyPair,
        search: Search,
        *,
        return_attention: bool = False,
    ) -> None:
        self.model, self.subwords = model, subwords
        self.search = search.with_vocabulary(subwords.target.written_ids)
        self.return_attention = return_attention or search.replace_unknown

    def write(
        self, batch: Batch, sources: Sequence[str], prefixes: Sequence[str] | None = None
    ) -> Iterator[tuple[int, list[tuple[str, Hypothesis]]]]:
        """Yield the index of each example, and its texts with their hypotheses, best first.

        Args:
            batch: the ids of the examples, on the device of the model.
            sources: the source text of each example, by its index.
            prefixes: a text that its hypotheses begin with, by its index.
        """
        indices = batch.indices.tolist()
        starts = None
        if prefixes is not None:
            starts = [self._prefix_ids(prefixes[index], sources[index]) for index in indices]
        results = self.search(
            self.model,
            batch.source,
            batch.source_lengths,
            prefixes=starts,
            return_attention=self.return_attention,
        )
        for row, (index, hypotheses) in enumerate(zip(indices, results, strict=True)):
            source, _ = batch.ids(row)
            yield index, [(self._text(best, sources[index], source), best) for best in hypotheses]

    def _prefix_ids(self, prefix: str, source: str) -> Sequence[int]:
        """Return the ids of a prefix; if the model copies, unknown source words have their own."""
        vocabulary = self.subwords.target
        ids = vocabulary.encode(prefix)
        if not self.model.copying:
            return ids
        return vocabulary.extended(ids, prefix, vocabulary.unknown_words(source))

    def _text(self, hypothesis: Hypothesis, sentence: str, source: Sequence[int]) -> str:
        if self.search.replace_unknown:
            return hypothesis_text(hypothesis, sentence, source, self.subwords)
        return self.subwords.target.decode(hypothesis.tokens, sentence)


def hypothesis_text(
    hypothesis: Hypothesis, sentence: str, source: Sequence[int], subwords: VocabularyPair
) -> str:
    """Return the text of a hypothesis; replace unknown words if it has attention weights.

    Each unknown word is replaced by the source word with the largest attention weight, averaged
    over layers and heads (Luong et al. 2015b).

    Args:
        hypothesis: a hypothesis of the search.
        sentence: the source text.
        source: the source ids that the model read, including the end of the sentence.
        subwords: the vocabularies of both sides.
    """
    if hypothesis.attention is None or UNK_ID not in hypothesis.tokens:
        return subwords.target.decode(hypothesis.tokens, sentence)
    words = subwords.source.attended_words(sentence)
    real = [i for i, token in enumerate(source) if token not in CONTROLS]
    attention = hypothesis.attention.float().mean(dim=(0, 1))[:, real]
    unknown = [
        words[int(row.argmax())] if real else ""
        for token, row in zip(hypothesis.tokens, attention[:-1], strict=True)
        if token == UNK_ID
    ]
    return subwords.target.decode(hypothesis.tokens, sentence, unknown)
