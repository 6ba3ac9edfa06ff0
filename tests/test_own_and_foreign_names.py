"""Rules for the source of the package, such as not asking a mapping for its class."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from seq2seq import mappings

PACKAGE = Path(__file__).parents[1] / "seq2seq"
MAPPINGS = {
    name
    for name, kind in {**vars(mappings), "LogProbabilities": mappings.Softmax}.items()
    if isinstance(kind, type) and issubclass(kind, mappings.Mapping) and name != "Mapping"
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Return the path of each module of the package, and its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_only_the_mappings_ask_for_the_class_of_a_mapping() -> None:
    assert {"Softmax", "Fusedmax", "LogProbabilities"} <= MAPPINGS
    questions = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        if not path.startswith("mappings/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass")
        if any(isinstance(n, ast.Name) and n.id in MAPPINGS for n in ast.walk(node.args[1]))
    ]
    assert questions == [], "let the mapping answer, as Mapping.log_weights or Mapping.is_softmax"
