"""Data: from corpora to vocabularies, ids and batches."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from seq2seq.system.errors import DataError

if TYPE_CHECKING:
    from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Batch
    from seq2seq.data.corpora.corpus import Corpus
    from seq2seq.data.loaders import EvaluationLoader, TrainLoader
    from seq2seq.data.own_model import adopt_subwords
    from seq2seq.data.parallel import ParallelData, prepare
    from seq2seq.data.subword_training import train_subwords
    from seq2seq.data.subwords import Subwords, seed_sampling
    from seq2seq.data.vocabulary import Vocabulary
    from seq2seq.data.vocabulary_building import build_subwords
    from seq2seq.data.vocabulary_pair import VocabularyPair
    from seq2seq.data.word_counts import count_words
    from seq2seq.data.words import Words

__all__ = [
    "BOS_ID",
    "EOS_ID",
    "PAD_ID",
    "UNK_ID",
    "Batch",
    "Corpus",
    "DataError",
    "EvaluationLoader",
    "ParallelData",
    "Subwords",
    "TrainLoader",
    "Vocabulary",
    "VocabularyPair",
    "Words",
    "adopt_subwords",
    "build_subwords",
    "count_words",
    "prepare",
    "seed_sampling",
    "train_subwords",
]

# The module of each public name, imported when the name is first used. Importing `datasets` and
# pandas takes a second, and a translation needs only vocabularies and batches.
_HOMES = {
    **dict.fromkeys(("BOS_ID", "EOS_ID", "PAD_ID", "UNK_ID", "Batch"), "batch"),
    "Corpus": "corpora.corpus",
    **dict.fromkeys(("EvaluationLoader", "TrainLoader"), "loaders"),
    **dict.fromkeys(("ParallelData", "prepare"), "parallel"),
    **dict.fromkeys(("Subwords", "seed_sampling"), "subwords"),
    "Vocabulary": "vocabulary",
    "VocabularyPair": "vocabulary_pair",
    "Words": "words",
    "adopt_subwords": "own_model",
    "build_subwords": "vocabulary_building",
    "count_words": "word_counts",
    "train_subwords": "subword_training",
}


def __getattr__(name: str) -> Any:
    """Return a public name; import its module first if needed."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
