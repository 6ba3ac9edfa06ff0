"""Rules for the source of the package: no private names, no question for a mapping's class."""

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
NAMED_TUPLE = {"_replace", "_asdict", "_fields"}  # documented, in spite of the underscore


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Return the path of each module of the package, and its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name.strip("_") != ""


def defined(tree: ast.Module) -> Iterator[str]:
    """Return the names that a module defines: functions, classes, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from [node.attr] if ast.unparse(node.value) in ("self", "cls") else []


def used(node: ast.AST) -> list[str]:
    """Return the names that a node takes from another object or module."""
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.Import):
        return [part for alias in node.names for part in alias.name.split(".")]
    if isinstance(node, ast.ImportFrom):
        return [*(node.module or "").split("."), *(alias.name for alias in node.names)]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr"):
        name = node.args[1]
        return [str(name.value)] if isinstance(name, ast.Constant) else []
    return []


def test_private_names_of_libraries_stand_in_their_own_files() -> None:
    own = {name for path, tree in sources() for name in defined(tree)} | NAMED_TUPLE
    foreign = [
        f"{path}:{node.lineno}: {name}"
        for path, tree in sources()
        if not path.endswith("_internals.py")
        for node in ast.walk(tree)
        for name in used(node)
        if private(name) and name not in own
    ]
    assert foreign == [], "move the name to a file *_internals.py; see CONTRIBUTING.md"


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
