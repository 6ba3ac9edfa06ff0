"""Options that are chosen by name: a table instead of a chain of branches."""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


def choose(option: str, name: str, table: Mapping[str, Value]) -> Value:
    """Return ``table[name]``; a misspelt name is refused with the names that exist."""
    if name not in table:
        raise ValueError(f"{option}={name!r} is unknown; choose one of {', '.join(table)}")
    return table[name]
