"""What several processes have counted, as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar


class Mergeable(Protocol):
    """What adds up: ``AttentionStatistics``, ``AlignmentScore``."""

    def merge(self, other: Any) -> None:
        """Add what another process has counted."""


Counted = TypeVar("Counted", bound=Mergeable)


def merged(parts: Iterable[Counted | None]) -> Counted | None:
    """All of them in the first, one after the other; None where nobody counted anything."""
    found = [part for part in parts if part is not None]
    for other in found[1:]:
        found[0].merge(other)
    return found[0] if found else None
