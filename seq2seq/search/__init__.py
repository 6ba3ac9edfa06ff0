"""Searches for outputs, with any model that has the methods ``start`` and ``step``."""

from seq2seq.search.beam import Beam
from seq2seq.search.greedy import Greedy
from seq2seq.search.hypothesis import Hypothesis
from seq2seq.search.sample import Sample
from seq2seq.search.search import Search

__all__ = ["Beam", "Greedy", "Hypothesis", "Sample", "Search"]
