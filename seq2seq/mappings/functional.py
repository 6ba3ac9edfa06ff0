"""The mappings as functions: ``weights = fusedmax(scores, mask=mask, gamma=1.0, lam=0.1)``.

Every parameter (γ, λ, α, p) is a number or a tensor. A tensor holds one number, or one for each row
or head, and broadcasts to the scores with size 1 along ``dim``. It receives an exact gradient.
"""

from seq2seq.mappings.constrained_softmax import constrained_softmax
from seq2seq.mappings.constrained_sparsemax import constrained_sparsemax
from seq2seq.mappings.entmax import entmax
from seq2seq.mappings.fusedmax import fusedmax
from seq2seq.mappings.normmax import normmax
from seq2seq.mappings.oscarmax import oscarmax
from seq2seq.mappings.softmax import softmax
from seq2seq.mappings.sparsemax import sparsemax
from seq2seq.mappings.sqpnormmax import sqpnormmax

__all__ = [
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
