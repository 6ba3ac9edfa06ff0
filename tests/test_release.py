"""Name and version of the distribution are the same wherever they stand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import seq2seq

REPOSITORY = Path(__file__).parents[1]
#: Would install a package of the same name that belongs to somebody else.
FOREIGN = re.compile(r"pip3? install [^#`\n]*(?<![\w./-])seq2seq(?![\w-])")


def texts() -> list[tuple[str, str]]:
    """Return name and text of each file of the repository, this one excepted."""
    listing = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a Git checkout")
    files = [REPOSITORY / name for name in listing.stdout.split("\n") if name]
    kinds = (".py", ".md", ".yaml", ".toml", ".ipynb", ".cff", "")
    here = Path(__file__).resolve()
    readable = [file for file in files if file.suffix in kinds and file.is_file() and file != here]
    return [(str(file), file.read_text(encoding="utf-8")) for file in readable]


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ('pip install "seq2seq[onnx]"', True),
        ("pip install -U seq2seq", True),
        ('pip install -e ".[dev]" && seq2seq-train', False),
        ('pip install "seq2seq-attention[onnx]"', False),
        ("pip install ./seq2seq", False),
    ],
)
def test_the_name_of_the_other_project_is_recognized(text: str, foreign: bool) -> None:
    assert bool(FOREIGN.search(text)) == foreign


def test_no_text_tells_users_to_install_another_project_of_the_same_name() -> None:
    wrong = [(name, match[0]) for name, text in texts() for match in FOREIGN.finditer(text)]
    assert wrong == []


def test_the_citation_has_the_version_of_the_package() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == seq2seq.__version__
    changes = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {seq2seq.__version__}" in changes
