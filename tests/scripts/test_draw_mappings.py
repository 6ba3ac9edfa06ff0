"""The page on mappings has the current pictures and the current table."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "scripts"
PAGE = (REPOSITORY / "docs" / "mappings.md").read_text(encoding="utf-8")
ERRORS = {"float64": 3e-16, "float32": 2e-8}


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return runpy.run_path(str(SCRIPTS / "mapping_page.py"))


def found(**others: Any) -> dict[str, Any]:
    """Return a benchmark of one shape, in the form of its JSON."""
    usual = {"shape": "64x30", "threads": 1, "scale": 1.0, "direction": "forward+backward"}
    contenders = [("softmax", "torch", 1.0), ("fusedmax", "seq2seq", 2.34)]
    contenders += [("fusedmax", "published", 345.6)]
    races = [
        {"mapping": mapping, "by": by, "ratio": ratio, "seconds": [ratio * 1e-5], **usual}
        for mapping, by, ratio in contenders
    ]
    races.append({**races[1], "threads": 2, "ratio": 99.0})
    errors = [
        {"mapping": "fusedmax", "dtype": kind, "weights": error, "product": 2 * error}
        for kind, error in ERRORS.items()
    ]
    found = {"caption": "A machine", "device": "cpu", "races": races, "exactness": errors}
    return {**found, **others}


def test_table_says_what_the_bench_found(page: Any) -> None:
    text = page["section"](found())
    assert "| **fusedmax** | ours | 2.3 |" in text
    assert "| fusedmax | published | 346 |" in text
    assert "`torch.softmax` itself, µs: 10." in text
    assert "| fusedmax | 3e-16 | 6e-16 | 2e-08 | 4e-08 |" in text
    assert "99" not in text, "that was on two threads"


def test_a_bench_without_the_scores_of_the_table_is_refused(page: Any) -> None:
    others = [{**race, "scale": 3.0} for race in found()["races"]]
    with pytest.raises(SystemExit, match="--scales 1"):
        page["section"](found(races=others))


def test_only_the_section_between_the_markers_is_replaced(page: Any) -> None:
    before = "above\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nbelow\n"
    once = page["replaced"](before, found())
    assert once.startswith("above\n")
    assert once.endswith("\nbelow\n")
    assert "old" not in once
    assert page["replaced"](once, found()) == once
    with pytest.raises(SystemExit, match="bench:begin"):
        page["replaced"]("no markers", found())


@pytest.mark.e2e
@pytest.mark.slow
def test_pictures_are_drawn_small(tmp_path: Path) -> None:
    command = [sys.executable, SCRIPTS / "draw_mappings.py", "--documents", tmp_path]
    subprocess.run(command, check=True, timeout=280)
    drawn = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(drawn) == set(re.findall(r"\]\(([\w-]+\.png)\)", PAGE))
    assert max(drawn.values()) <= 60_000
