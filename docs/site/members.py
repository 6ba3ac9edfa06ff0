"""How docstrings become pages: which members have a place, and what is shown as it is typed."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

Skipped = bool | None


def as_typed(lines: list[str]) -> list[str]:
    """Formulas and tables that a docstring sets apart, by a blank line and an indent, as they are.

    Sections such as ``Args:`` have no blank line before what they indent.
    """
    found: list[str] = []
    last = ""
    for before, line in zip(["", *lines], lines, strict=False):
        apart = not before.strip() and line.startswith("    ")
        if apart and last and not last.startswith(" ") and not last.endswith("::"):
            found += ["::", ""]
        found.append(line)
        last = line if line.strip() else last
    return found


def _process(
    _app: Sphinx, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]
) -> None:
    lines[:] = as_typed(lines)


def _skip(_app: Sphinx, _what: str, _name: str, obj: Any, _skip: bool, _options: Any) -> Skipped:
    """Return True for members whose text is Python's own, such as the fields of a named tuple."""
    text = getattr(obj, "__doc__", None) or ""
    return True if text.startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Listen to autodoc, before Napoleon does."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _process, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
