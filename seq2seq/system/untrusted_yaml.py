"""Read untrusted YAML: plain values only, no tags, with limits on size, depth and aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import read_bounded, shown

LARGEST_YAML = 1 << 20  # bytes; a configuration has thousands
MOST_VALUES = 100_000  # with aliases expanded; a configuration has hundreds
DEEPEST = 40  # levels; a configuration has about ten

# Plain words that YAML 1.1 turns into other values than numbers, booleans and null: dates, `=`, and
# `<<`, which merges mappings. They are read as text.
_UNWANTED = tuple(f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value", "merge"))


class _PlainLoader(yaml.SafeLoader):
    """YAML loader that raises errors for what a configuration of this package never has."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in the base class
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNWANTED]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._depth = self._values = 0
        self._sizes: dict[int, int] = {}  # number of values of each finished node, by id()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Build a node; raise an error first if it has a tag or exceeds a limit."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            known = self.anchors.get(event.anchor)
            if known is not None and id(known) not in self._sizes:
                self._refuse("a value that contains itself is", event)
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
            None, None, f"{what} not allowed; write plain values", event.start_mark
        )


def read_yaml(path: Path) -> Any:
    """Read a YAML file as dictionaries, lists, strings, numbers, booleans and None.

    Raises:
        DataError: if the file has other values, naming the line.
        FileNotFoundError: if the file does not exist.
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
    """Raise `ValueError` for lone surrogates and for integers that no tensor can hold."""
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, int) and abs(value) >= 1 << 63:
        raise ValueError("an integer has more than 63 bits")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_values(key)
            _check_values(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner)
