"""Figures for papers: vector graphics with fonts, of the requested sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset
from made import exploration

from seq2seq.checkpoint import Checkpoint
from seq2seq.explore.drawing import write_corpus_plots, write_heat_maps
from seq2seq.search import Beam


def test_heat_maps_are_of_the_sentences_asked_for(
    checkpoints: list[Checkpoint], texts: Dataset, search: Beam, tmp_path: Path
) -> None:
    written = [*write_heat_maps(checkpoints, texts, [3], search, tmp_path, "svg")]
    assert sorted(path.name for path in written) == [
        "attention.3.a.reading.svg",
        "attention.3.a.writing.svg",
        "attention.3.b.reading.svg",
        "attention.3.b.writing.svg",
    ]
    for path in written:
        assert "<image" not in path.read_text(encoding="utf-8"), "vectors, no pixels"


def test_a_pdf_is_of_vectors_and_has_its_fonts(
    checkpoints: list[Checkpoint], texts: Dataset, search: Beam, tmp_path: Path
) -> None:
    plots = [*write_corpus_plots(exploration(), tmp_path, "pdf")]
    maps = [*write_heat_maps(checkpoints[:1], texts, [2], search, tmp_path, "pdf")]
    assert [path.name for path in plots] == ["support.pdf", "runs.pdf", "scores.pdf"]
    for path in plots + maps:
        content = path.read_bytes()
        assert b"/FontFile2" in content
        assert b"/Subtype /Type3" not in content
        assert b"/Subtype /Image" not in content


def test_a_sentence_number_out_of_range_is_an_error(
    checkpoints: list[Checkpoint], texts: Dataset, search: Beam, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="draw: there is no sentence 7; choose from 1 to 6"):
        list(write_heat_maps(checkpoints, texts, [1, 7], search, tmp_path, "png"))
