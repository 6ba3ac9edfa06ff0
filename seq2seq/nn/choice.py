"""Options that users choose by name, looked up in a table."""

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


def choose(option: str, name: str, table: Mapping[str, Value]) -> Value:
    """Return ``table[name]``, or raise ``ValueError`` with the known names if it is unknown."""
    if name not in table:
        raise ValueError(f"{option}={name!r} is unknown; choose one of {', '.join(table)}")
    return table[name]
