"""Write texts with a model: search for hypotheses, and decode them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from seq2seq.data.batch import UNK_ID, Batch
from seq2seq.data.vocabulary import CONTROLS
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.models.encoder_decoder import Decodable
from seq2seq.search import Hypothesis, Search
from seq2seq.system.processes import ALONE, Group
from seq2seq.tasks.text_batches import text_batches


class Written(NamedTuple):
    """A text that a model wrote.

    - ``text``: the text.
    - ``hypothesis``: what the search found.
    - ``source``: the source ids that the model read, including the end of the sentence.
    """

    text: str
    hypothesis: Hypothesis
    source: list[int]


class Writer:
    """A search and the vocabularies that turn its hypotheses into texts.

    Evaluation, translation, the explore page and ``seq2seq.load`` all write texts with it.

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
    ) -> Iterator[tuple[int, list[Written]]]:
        """Yield the index of each example, and what the model wrote, best first.

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
            yield (
                index,
                [
                    Written(self._text(best, sources[index], source), best, source)
                    for best in hypotheses
                ],
            )

    def write_texts(
        self,
        sources: Sequence[str],
        prefixes: Sequence[str] | None = None,
        *,
        batch_tokens: int = 4096,
        max_source_length: int | None = None,
        device: torch.device | str = "cpu",
        group: Group = ALONE,
        progress: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
    ) -> list[list[Written]]:
        """Return what the model writes for each source text, best first, in their order.

        An empty source has one output of score 0: its prefix, or an empty text.

        Args:
            sources: the source texts.
            prefixes: for each source, a text that its outputs begin with, or an empty text.
            batch_tokens: maximum number of subwords in a batch, including padding.
            max_source_length: maximum number of source subwords, without the end of the sentence;
                longer texts are cut. None: only the limit of the model.
            device: device of the model.
            group: processes that share the batches; each one returns all outputs.
            progress: wraps the iterable of batches to show progress.
        """
        starts = [""] * len(sources) if prefixes is None else prefixes
        ids = self.subwords.source.encode_batch(list(sources))
        places = [i for i, row in enumerate(ids) if len(row)]  # an empty text has no ids
        texts, beginnings = ([side[i] for i in places] for side in (sources, starts))
        results: dict[int, list[Written]] = {}
        with torch.inference_mode():
            for batch in progress(
                text_batches(
                    self.model, self.subwords, texts, None, batch_tokens, max_source_length, group
                )
            ):
                for index, written in self.write(batch.to(device), texts, beginnings):
                    results[places[index]] = written
        results = group.united(results)
        nothing = Hypothesis([], 0.0, 0.0)
        return [results.get(i, [Written(start, nothing, [])]) for i, start in enumerate(starts)]

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
