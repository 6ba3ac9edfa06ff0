"""Check reference sets: lists as long as the hypotheses."""

from __future__ import annotations

from collections.abc import Sequence


def check_references(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Raise an error if hypotheses and references cannot be scored.

    Args:
        hypotheses: one text per example.
        references: one list per reference set, each as long as ``hypotheses``.

    Raises:
        TypeError: if ``references`` is a list of texts instead of a list of lists.
        ValueError: if one of them is empty, or a set has another length.
    """
    if isinstance(hypotheses, str) or any(isinstance(lines, str) for lines in references):
        raise TypeError(
            "hypotheses must be a list of texts, and references a list of reference sets; put a "
            "single set into a list: [references]"
        )
    if not hypotheses:
        raise ValueError("hypotheses is empty; pass at least one hypothesis")
    if not references:
        raise ValueError("references: no reference set; pass at least one list of references")
    for number, lines in enumerate(references):
        if len(lines) != len(hypotheses):
            raise ValueError(
                f"references[{number}] has {len(lines):,} lines, but hypotheses has "
                f"{len(hypotheses):,}; each hypothesis needs one reference in every set"
            )
