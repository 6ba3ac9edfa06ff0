"""Corpora → subwords → batches."""

from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Batch
from seq2seq.data.corpora.corpus import Corpus
from seq2seq.data.errors import DataError
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
