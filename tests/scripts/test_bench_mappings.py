"""The benchmark of mappings runs, compares the right contenders, and checks its bars."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq import mappings

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the names of a script; scripts import their neighbors."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return lambda name: runpy.run_path(str(SCRIPTS / f"{name}.py"))


def race(mapping: str, shape: str, ratio: float, **others: Any) -> dict[str, Any]:
    usual = {"by": "seq2seq", "scale": 1.0, "threads": 1, "direction": "forward+backward"}
    length = int(shape.split("x")[1])
    return {"mapping": mapping, "shape": shape, "length": length, "ratio": ratio, **usual, **others}


@pytest.mark.e2e
@pytest.mark.slow
def test_all_that_was_found_is_in_the_output(tmp_path: Path) -> None:
    options = ["--quick", "--rounds", "2", "--turn", "0.0001", "--exactness", "--output", tmp_path]
    shapes = ["--shapes", "3x4,5x6", "--scales", "1,0.1"]
    result = subprocess.run(
        [sys.executable, SCRIPTS / "bench_mappings.py", *options, *shapes],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads((tmp_path / "mappings.json").read_text(encoding="utf-8"))
    assert "published: " in found["caption"]
    assert {(r["shape"], r["scale"]) for r in found["races"]} == {
        (shape, scale) for shape in ("3x4", "5x6") for scale in (1.0, 0.1)
    }
    by = {(r["mapping"], r["by"]) for r in found["races"]}
    assert {("softmax", "torch"), ("fusedmax", "seq2seq"), ("fusedmax", "published")} <= by
    for r in found["races"]:
        assert len(r["seconds"]) == 2
        assert min(r["seconds"]) > 0
        assert r["ratio"] == 1 or r["by"] != "torch"
    largest = {"float64": 1e-12, "float32": 1e-6}
    assert found["exactness"]
    for row in found["exactness"]:
        assert max(row["weights"], row["product"]) < largest[row["dtype"]], row
    assert (tmp_path / "mappings.png").stat().st_size > 1000


def test_verdicts_depend_on_the_measurements(script: Any) -> None:
    races = [
        race("sparsemax", "4096x32", 3.4),
        race("sparsemax", "4096x32", 3.6, scale=3.0),
        race("sparsemax", "4096x128", 2.3),
        race("sparsemax", "1024x512", 0.1, threads=2),
        race("fusedmax", "64x30", 3.0),
        race("fusedmax", "64x30", 299.0, by="published"),
        race("fusedmax", "4096x64", 9.0, scale=0.1),
    ]
    found = {
        (bar.mapping, bar.against, bar.shape, bar.scale): bar.verdict
        for bar in script("mapping_bars")["bars"](races, "cpu")
    }
    assert found["sparsemax", "torch softmax", "4096x32", 1.0] == "met"
    assert found["sparsemax", "torch softmax", "4096x32", 3.0] == "not met"
    assert found["sparsemax", "torch softmax", "4096x128", 1.0] == "not met"
    assert found["sparsemax", "torch softmax", "1024x512", 1.0] == "not measured"
    assert found["fusedmax", "published fusedmax", "64x30", 1.0] == "not met"
    assert found["fusedmax", "torch softmax", "4096x64", 0.1] == "met"


def test_no_scores_come_twice_in_a_row(script: Any) -> None:
    names = script("mapping_race")
    seen: list[int] = []
    contender = names["Contender"]("", "", lambda x: seen.append(x.data_ptr()), "")
    names["race"]([contender], names["Setting"]("2x3", 1.0, 1, "forward", "cpu", 3, 1e-5))
    assert len(set(seen)) > 2
    assert all(a != b for a, b in pairwise(seen))


@pytest.mark.parametrize("name", ["fusedmax", "oscarmax"])
def test_exact_solutions_maximize(script: Any, name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    mapping = {"fusedmax": mappings.Fusedmax, "oscarmax": mappings.Oscarmax}[name](lam=0.25)
    solve = script("mapping_exactness")[name]
    for _ in range(10):
        x = torch.randn(7, dtype=torch.float64, generator=generator)
        y = torch.tensor(
            [float(e) for e in solve([Fraction(e) for e in x.tolist()], Fraction(0.25))],
            dtype=torch.float64,
        )
        others = torch.rand(500, 7, dtype=torch.float64, generator=generator)
        near = y + 0.01 * (others / others.sum(-1, keepdim=True) - y)
        assert (near @ x - mapping.regularizer(near)).max() <= y @ x - mapping.regularizer(y)
