"""Regularized max operators: mappings from scores to sparse and structured probabilities."""

from seq2seq.mappings import registration, traced, transforms  # noqa: F401 (forms of the operators)
from seq2seq.mappings.constrained_softmax import ConstrainedSoftmax
from seq2seq.mappings.constrained_sparsemax import ConstrainedSparsemax
from seq2seq.mappings.entmax import Entmax
from seq2seq.mappings.functional import (
    constrained_softmax,
    constrained_sparsemax,
    entmax,
    fusedmax,
    normmax,
    oscarmax,
    softmax,
    sparsemax,
    sqpnormmax,
)
from seq2seq.mappings.fusedmax import Fusedmax
from seq2seq.mappings.mapping import Mapping
from seq2seq.mappings.normmax import Normmax
from seq2seq.mappings.oscarmax import Oscarmax
from seq2seq.mappings.softmax import Softmax
from seq2seq.mappings.sparsemax import Sparsemax
from seq2seq.mappings.sqpnormmax import Sqpnormmax

__all__ = [
    "ConstrainedSoftmax",
    "ConstrainedSparsemax",
    "Entmax",
    "Fusedmax",
    "Mapping",
    "Normmax",
    "Oscarmax",
    "Softmax",
    "Sparsemax",
    "Sqpnormmax",
    "constrained_softmax",
    "constrained_sparsemax",
    "entmax",
    "fusedmax",
    "normmax",
    "oscarmax",
    "softmax",
    "sparsemax",
    "sqpnormmax",
]
