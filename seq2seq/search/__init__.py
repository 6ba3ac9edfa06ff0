"""Search for translations, over any model that has ``start`` and ``step``."""

from seq2seq.search.beam import Beam
from seq2seq.search.greedy import Greedy
from seq2seq.search.hypothesis import Hypothesis

__all__ = ["Beam", "Greedy", "Hypothesis"]
