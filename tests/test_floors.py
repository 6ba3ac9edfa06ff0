"""The import layers, checked by import-linter and by the modules that are really loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
# What takes a second or more to import, or is for a few, and is imported where it is used.
SLOW = (
    *("lightning", "torchmetrics", "tensorboard", "torch._dynamo", "sympy", "triton"),
    *("numba", "scipy", "sklearn", "transformers", "matplotlib", "nltk", "plotly", "starlette"),
)


def test_every_module_imports_only_from_floors_below() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("modules", "never"),
    [
        (
            ["seq2seq.mappings", "seq2seq.models", "seq2seq.search"],
            ["hydra", "lightning", "datasets", "sentencepiece", "seq2seq.data"],
        ),
        (
            ["seq2seq.tasks.translation", "seq2seq.checkpoint", "seq2seq.explore.collecting"],
            ["lightning", "seq2seq.training", "starlette", "plotly"],
        ),
        # So that --help and mistakes answer at once.
        (["seq2seq.cli.explore", "seq2seq.cli.train", "seq2seq.cli.importing"], ["torch", *SLOW]),
        # What seq2seq-translate and seq2seq-predict are made of, so that they answer soon.
        (
            ["seq2seq.tasks.generation", "seq2seq.tasks.translation", "seq2seq.checkpoint"],
            ["datasets", "pandas", "pyarrow", *SLOW],
        ),
        (["seq2seq.tasks.entailment"], ["datasets", "pandas", "pyarrow", *SLOW]),
        # seq2seq-evaluate reads a corpus too.
        (["seq2seq.tasks.translation", "seq2seq.data.parallel", "seq2seq.data.corpora.toy"], SLOW),
    ],
)
def test_importing_modules_does_not_load(modules: list[str], never: Sequence[str]) -> None:
    assert loaded(f"import {', '.join(modules)}", never) == []


def test_training_does_not_load_what_torchmetrics_would_like() -> None:
    script = "with without_extras(): import seq2seq.training.fit"
    unused = ["scipy", "transformers", "torchvision", "matplotlib", "numba", "nltk", "sklearn"]
    assert loaded(f"from seq2seq.cli.importing import without_extras\n{script}", unused) == []


def test_afterwards_the_packages_of_torchmetrics_are_there_again() -> None:
    script = """
from seq2seq.cli.importing import without_extras
from lightning_utilities.core import imports
with without_extras():
    hidden = imports.RequirementCache("matplotlib"), imports.package_available("matplotlib")
    assert not any(map(bool, hidden)) and imports.package_available("torch")
assert imports.RequirementCache("matplotlib") and imports.package_available("matplotlib")
"""
    assert loaded(script, []) == []


def loaded(script: str, modules: Sequence[str]) -> list[str]:
    """Which of the modules a process has loaded that ran the script."""
    script += f"\nimport sys; print(*[m for m in {[*modules]!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()
