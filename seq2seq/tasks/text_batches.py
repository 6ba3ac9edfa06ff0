"""Batches of texts that are not part of a corpus."""

from __future__ import annotations

from collections.abc import Sequence

from seq2seq.data.extended_ids import ExtendedIds
from seq2seq.data.loaders import Encoded, EvaluationLoader
from seq2seq.data.sequences import Sequences
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.models.attending import AttendingModel
from seq2seq.system.processes import ALONE, Group


def text_batches(
    model: AttendingModel,
    subwords: VocabularyPair,
    sources: Sequence[str],
    targets: Sequence[str] | None,
    batch_tokens: int,
    max_length: int | None = None,
    group: Group = ALONE,
) -> EvaluationLoader:
    """Return a loader of batches of texts, cut to the model's maximum length.

    Args:
        model: the model that will read them.
        subwords: the vocabularies of both sides.
        sources: the source texts.
        targets: a target for each source; None: empty targets.
        batch_tokens: maximum number of subwords in a batch, including padding.
        max_length: maximum number of subwords; longer texts are cut. None: only the model's limit.
        group: processes that share the batches.
    """
    if model.max_length is not None:
        max_length = min(max_length or model.max_length, model.max_length - 1)
    texts = {"source": list(sources), "target": list(targets or [""] * len(sources))}
    source, target = (
        Sequences.from_arrays(
            row[:max_length] for row in getattr(subwords, side).encode_batch(texts[side])
        )
        for side in texts
    )
    extended = None
    if getattr(model, "copying", False):
        from datasets import Dataset  # takes a second to import; only copying models need it

        extended = ExtendedIds(Dataset.from_dict(texts), subwords.source)
    encoded = Encoded(source, target, extended_ids=extended)
    return EvaluationLoader(encoded, batch_tokens, group=group)
