import pytest

from seq2seq.evaluation.novelty import novel_share, output_summary

SOURCES = ["The king bought a red horse", "it rained"]


def test_novel_are_the_ngrams_that_their_own_source_lacks():
    outputs = ["king buys horse", "it rained horse"]
    # buys and the second horse are new, of six words.
    assert novel_share(outputs, SOURCES, 1) == pytest.approx(2 / 6)
    # king-buys, buys-horse and rained-horse are new, of four pairs.
    assert novel_share(outputs, SOURCES, 2) == pytest.approx(3 / 4)


def test_a_copy_has_no_novel_ngrams_ignoring_case():
    assert novel_share(["the KING bought"], SOURCES[:1], 2) == 0


def test_outputs_without_such_ngrams_have_no_share():
    assert novel_share(["king", ""], SOURCES, 2) is None


def test_the_summary_distinguishes_outputs_and_references():
    summary = output_summary(["king buys", "rain"], ["a red horse", "it rained"], SOURCES)
    assert summary["words"] == 1.5
    assert summary["reference_words"] == 2.5
    assert summary["novel_unigrams"] == pytest.approx(2 / 3)
    assert summary["reference_novel_trigrams"] == 0
    assert summary["novel_trigrams"] is None
