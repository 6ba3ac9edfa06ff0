"""The figure of a comparison, drawn from run folders."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest
from run_folders import writer

from seq2seq.evaluation.comparison import compare
from seq2seq.evaluation.comparison_formats import write_comparison
from seq2seq.evaluation.comparison_plot import quality_against_sparsity
from seq2seq.evaluation.comparison_table import Comparison
from seq2seq.evaluation.runs import find_runs


@pytest.fixture
def tables(tmp_path: Path) -> list[Comparison]:
    write = writer(tmp_path / "runs")
    for seed, rate in ((1, 4), (2, 5)):
        write(f"dense-{seed}", "Softmax", seed, rate, support=8.0)
        write(f"sparse-{seed}", "Sparsemax", seed, rate + 2, support=1.5 + 0.5 * seed)
    runs, _ = find_runs([str(tmp_path / "runs")], None)
    return compare(runs, test=None)


def test_each_row_is_a_point_at_its_support_and_score(tables: list[Comparison]) -> None:
    (axes,) = quality_against_sparsity(tables).axes
    points = {
        text.get_text(): tuple(text.xy)  # type: ignore[attr-defined]
        for text in axes.texts
    }
    cells = {", ".join(row.labels): row.cells for row in tables[0].rows}
    assert points.keys() == cells.keys()
    assert sorted(x for x, _ in points.values()) == [2.25, 8.0]
    for label, point in points.items():
        assert point == (cells[label]["support_size"].mean, cells[label]["bleu"].mean)
    assert axes.get_ylabel() == "BLEU"


def test_a_figure_is_written_as_png_and_as_the_same_svg(
    tables: list[Comparison], tmp_path: Path
) -> None:
    write_comparison(tmp_path / "plot.png", tables)
    assert matplotlib.image.imread(tmp_path / "plot.png").shape[0] > 100
    write_comparison(tmp_path / "plot.svg", tables)
    first = (tmp_path / "plot.svg").read_text()
    assert first.startswith("<?xml")
    write_comparison(tmp_path / "plot.svg", tables)
    assert (tmp_path / "plot.svg").read_text() == first


def test_missing_columns_are_named(tables: list[Comparison], tmp_path: Path) -> None:
    runs = [run for row in tables[0].rows for run in row.runs]
    (narrow,) = compare(runs, columns=["bleu"], test=None)
    with pytest.raises(ValueError, match=r"the columns are bleu; name both"):
        write_comparison(tmp_path / "plot.svg", [narrow])
    assert not list(tmp_path.glob("plot*"))
