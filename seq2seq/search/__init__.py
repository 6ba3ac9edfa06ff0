"""Search for outputs, over any model that has ``start`` and ``step``."""

from seq2seq.search.beam import Beam
from seq2seq.search.greedy import Greedy
from seq2seq.search.hypothesis import Hypothesis
from seq2seq.search.sample import Sample
from seq2seq.search.search import Search

__all__ = ["Beam", "Greedy", "Hypothesis", "Sample", "Search"]
