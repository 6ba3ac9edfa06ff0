"""Sets of references: lists as long as the hypotheses."""

from __future__ import annotations

from collections.abc import Sequence


def check_references(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Refuse what cannot be scored.

    Args:
        hypotheses: one text an example.
        references: one list a reference set, each as long as ``hypotheses``.

    Raises:
        TypeError: if a list of texts stands where a list of lists should.
        ValueError: if there is nothing to score, or a set is of another length.
    """
    if isinstance(hypotheses, str) or any(isinstance(lines, str) for lines in references):
        raise TypeError(
            "give a list of hypotheses and a list of reference sets; wrap a single set in a list: "
            "[references]"
        )
    if not hypotheses:
        raise ValueError("hypotheses: empty, there is nothing to score")
    if not references:
        raise ValueError("references: no reference set; give at least one list of references")
    for number, lines in enumerate(references):
        if len(lines) != len(hypotheses):
            raise ValueError(
                f"references[{number}] holds {len(lines):,} lines, hypotheses {len(hypotheses):,}; "
                "they must be parallel, one reference a hypothesis"
            )
