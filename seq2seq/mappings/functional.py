"""The mappings as functions: ``weights = fusedmax(scores, mask=mask, gamma=1.0, lam=0.1)``."""

from seq2seq.mappings.entmax import entmax
from seq2seq.mappings.fusedmax import fusedmax
from seq2seq.mappings.oscarmax import oscarmax
from seq2seq.mappings.softmax import softmax
from seq2seq.mappings.sparsemax import sparsemax
from seq2seq.mappings.sqpnormmax import sqpnormmax

__all__ = ["entmax", "fusedmax", "oscarmax", "softmax", "sparsemax", "sqpnormmax"]
