"""Decode the hypotheses of a search to text."""

from __future__ import annotations

from collections.abc import Sequence

from seq2seq.data.batch import UNK_ID
from seq2seq.data.vocabulary import CONTROLS
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.search import Hypothesis


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
