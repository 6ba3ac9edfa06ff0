"""Corpora → subwords → batches."""

from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Batch
from seq2seq.data.corpora.corpus import Corpus
from seq2seq.data.errors import DataError
from seq2seq.data.loaders import EvaluationLoader, TrainLoader
from seq2seq.data.own_model import adopt_subwords
from seq2seq.data.parallel import ParallelData, prepare
from seq2seq.data.subword_training import build_subwords, train_subwords
from seq2seq.data.subwords import SubwordPair, Subwords, seed_sampling

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
    "SubwordPair",
    "Subwords",
    "TrainLoader",
    "adopt_subwords",
    "build_subwords",
    "prepare",
    "seed_sampling",
    "train_subwords",
]
