"""Merge the statistics of several processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar


class Mergeable(Protocol):
    """Statistics that can be added up: ``AttentionStatistics``, ``AlignmentScore``."""

    def merge(self, other: Any) -> None:
        """Add the statistics of another process."""


Counted = TypeVar("Counted", bound=Mergeable)


def merged(parts: Iterable[Counted | None]) -> Counted | None:
    """Merge all parts into the first, in order, and return it; None if all parts are None."""
    present = [part for part in parts if part is not None]
    for part in present[1:]:
        present[0].merge(part)
    return present[0] if present else None
