import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from seq2seq.evaluation.comparison_formats import (
    check_outputs,
    comma_separated,
    escape,
    latex,
    markdown,
    terminal,
    write_comparison,
)
from seq2seq.evaluation.comparison_table import Cell, Comparison, Row


def table(**changes) -> Comparison:
    first = {
        "bleu": Cell(30.123, 0.456, 0.01),
        "zero_share": Cell(0.5, 0.25),
        "parameters": Cell(1234567, 0.0),
    }
    rows = [
        Row(("fused_max", "a|b"), [None, None], first),  # type: ignore[list-item]
        Row(("softmax", "50%"), [None], {"bleu": Cell(29.0)}),  # type: ignore[list-item]
    ]
    given = {
        "about": "translation, toy, test",
        "keys": ("attention", "x_y"),
        "measures": ("bleu", "zero_share", "parameters"),
        "rows": rows,
        "notes": ["† p < 0.05.", "BLEU: a:b|c:d."],
        "level": 0.05,
    }
    return Comparison(**{**given, **changes})


def test_markdown_cells_cannot_break_the_table() -> None:
    lines = markdown([table()]).splitlines()
    assert lines[0] == "**translation, toy, test**"
    assert lines[2] == "| attention | x\\_y | runs | BLEU | zeros | parameters |"
    assert lines[4] == ("| fused\\_max | a\\|b | 2 | 30.12 ± 0.46† | 50.0 ± 25.0 % | 1,234,567 |")
    assert lines[5] == "| softmax | 50% | 1 | 29.00 |  |  |"
    assert lines[7] == "† p \\< 0.05. BLEU: a:b\\|c:d."


def test_latex_escapes_what_it_would_interpret() -> None:
    assert escape(r"50% of a_b & {c}~^\d#$") == (
        r"50\% of a\_b \& \{c\}\textasciitilde{}\textasciicircum{}\textbackslash{}d\#\$"
    )
    text = latex([table()])
    assert r"\begin{tabular}{llrrrr}" in text
    assert r"attention & x\_y & runs & BLEU & zeros & parameters \\" in text
    assert (
        r"fused\_max & a\textbar{}b & 2 & 30.12 $\pm$ 0.46$^{\dagger}$ & 50.0 $\pm$ 25.0 \% & "
        r"1,234,567 \\"
    ) in text
    assert r"\caption{translation, toy, test.}" in text
    assert r"\label{tab:comparison-1}" in text
    assert r"\end{tabular}" in text.partition(r"$^{\dagger}$ p \textless{} 0.05.")[0], "notes below"
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1


def has_booktabs() -> bool:
    known = shutil.which("pdflatex") and shutil.which("kpsewhich")
    return bool(known) and not subprocess.run(["kpsewhich", "booktabs.sty"]).returncode


@pytest.mark.skipif(not has_booktabs(), reason="needs pdflatex and booktabs")
def test_latex_compiles(tmp_path: Path) -> None:
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}%s\end{document}"
    (tmp_path / "t.tex").write_text(document % latex([table()]), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)


def test_csv_is_unrounded_and_joins_tables_of_other_columns() -> None:
    other = table(keys=("seed",), measures=("ter",), rows=[Row(("1",), [], {"ter": Cell(50.0)})])
    rows = list(csv.DictReader(io.StringIO(comma_separated([table(), other]))))
    assert [row["table"] for row in rows] == ["1", "1", "2"]
    assert rows[0]["bleu"] == "30.123"
    assert (rows[0]["bleu_deviation"], rows[0]["bleu_p"]) == ("0.456", "0.01")
    assert (rows[0]["x_y"], rows[0]["zero_share"]) == ("a|b", "0.5")
    assert (rows[2]["seed"], rows[2]["ter"], rows[2]["bleu"]) == ("1", "50.0", "")


def test_the_terminal_shows_marks_and_brackets_as_they_are() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(terminal(table(keys=("attention", "[bold]"))))
    shown = console.export_text()
    assert "[bold]" in shown
    assert "30.12 ± 0.46†" in shown


def test_the_suffix_tells_the_format(tmp_path: Path) -> None:
    for suffix in (".md", ".tex", ".csv"):
        check_outputs([tmp_path / f"t{suffix}"])
        write_comparison(tmp_path / "new" / f"t{suffix}", [table()])
        assert "30.1" in (tmp_path / "new" / f"t{suffix}").read_text(encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"t\.docx: the suffix chooses the format; .* \.md, \.tex, \.csv"
    ):
        check_outputs([tmp_path / "t.docx"])
