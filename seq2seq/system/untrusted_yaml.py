"""YAML from strangers: plain values only, no tags, bounded in size and depth, aliases included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import read_bounded, shown

LARGEST_YAML = 1 << 20  # bytes; a configuration has some thousand
MOST_VALUES = 100_000  # with aliases written out; a configuration has some hundred
DEEPEST = 40  # levels; a configuration has some ten

# What YAML 1.1 makes of plain words beside numbers, truth values and null: dates, `=`, and `<<`,
# which merges mappings.
_UNWANTED = tuple(f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value", "merge"))


class _PlainLoader(yaml.SafeLoader):
    """Refuses what a configuration that this package wrote never holds."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in the base class
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNWANTED]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._depth = self._values = 0
        self._sizes: dict[int, int] = {}  # of finished nodes, by their identities

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node, after a look at what introduces it."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            known = self.anchors.get(event.anchor)
            if known is not None and id(known) not in self._sizes:
                self._refuse("a value that holds itself is", event)
            self._count(self._sizes[id(known)] if known is not None else 0, event)
            return super().compose_node(parent, index)
        if getattr(event, "tag", None) is not None:
            self._refuse("tags (!) are", event)
        if self._depth >= DEEPEST:
            self._refuse(f"more than {DEEPEST} levels are", event)
        before = self._values
        self._count(1, event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._sizes[id(node)] = self._values - before
        return node

    def _count(self, values: int, event: Any) -> None:
        self._values += values
        if self._values > MOST_VALUES:
            self._refuse(f"more than {MOST_VALUES:,} values are", event)

    def _refuse(self, what: str, event: Any) -> None:
        raise yaml.constructor.ConstructorError(
            None, None, f"{what} refused; write plain values", event.start_mark
        )


def read_yaml(path: Path) -> Any:
    """A YAML file as dictionaries, lists, texts, numbers, truth values and None.

    Raises:
        DataError: if it is not that, naming the place.
        FileNotFoundError: if there is none.
    """
    content = read_bounded(path, LARGEST_YAML, "configuration")
    try:
        value = yaml.load(content, _PlainLoader)
        _check_values(value)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f", line {mark.line + 1:,}, column {mark.column + 1:,}"
        raise DataError(
            f"{path}{place}: this cannot be read as YAML of plain values: "
            f"{shown(error.problem or error.context, 200)}"
        ) from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be read as YAML of plain values: {shown(error, 200)}"
        ) from error
    return value


def _check_values(value: Any) -> None:
    """Refuse halves of characters (lone surrogates) and numbers that no tensor can hold."""
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, int) and abs(value) >= 1 << 63:
        raise ValueError("a whole number has more than 63 bits")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_values(key)
            _check_values(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner)
