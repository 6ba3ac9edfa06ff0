"""Differences between the configurations of runs, which name the rows of a comparison."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seq2seq.system.untrusted_files import shown

#: Keys, including all keys below them, that do not change what is trained and tested.
INCIDENTAL = (
    "seed",
    "resume",
    "debug",
    "data.cache",
    "data.corpus.cache_folder",
    "data.split",
    "data.batch.num_workers",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
    "validation.heat_maps",
)

ABSENT = "–"

Config = Mapping[str, Any]


def differences(configs: Sequence[Config]) -> dict[str, list[str]]:
    """Return the keys in which configurations differ, with the value of each configuration.

    - If parts such as attention mappings or models differ in ``_target_``, the part is one key,
      whose values are the class names. Its arguments are keys only if they differ between parts
      with the same target.
    - A key that adds nothing to a shorter one (``model.mapping`` to ``attention``) is left out.
    - The seed and other keys of ``INCIDENTAL``, such as caches, are left out.

    Returns:
        Keys with the fewest dots first; ``–`` for configurations without the key.
    """
    entries: list[tuple[str, list[Any]]] = []
    _collect("", [dict(config) for config in configs], entries)
    columns: dict[str, list[str]] = {}
    for key, values in sorted(entries, key=lambda entry: entry[0].count(".")):
        cells = [ABSENT if value is _MISSING else show(value) for value in values]
        if not any(_repeats(cells, earlier) for earlier in columns.values()):
            columns[key] = cells
    return columns


_MISSING: Any = object()


def _collect(prefix: str, values: Sequence[Any], entries: list[tuple[str, list[Any]]]) -> None:
    """Append the keys under ``prefix`` in which the values differ; ignore _MISSING values."""
    if prefix in INCIDENTAL:
        return
    present = [value for value in values if value is not _MISSING]
    if all(value == present[0] for value in present) and len(present) == len(values):
        return
    if not all(isinstance(value, dict) for value in present):
        entries.append((prefix, list(values)))
        return
    targets = {_target(value) for value in present}
    if len(targets) > 1:
        entries.append((prefix, list(values)))
    for target in sorted(targets, key=str):
        group = [
            value if value is not _MISSING and _target(value) == target else _MISSING
            for value in values
        ]
        for key in dict.fromkeys(key for value in group if value is not _MISSING for key in value):
            inner = [_MISSING if value is _MISSING else value.get(key, _MISSING) for value in group]
            here = [value for value in inner if value is not _MISSING]
            members = sum(value is not _MISSING for value in group)
            if key != "_target_" and (len(here) < members or any(v != here[0] for v in here)):
                _collect(f"{prefix}.{key}" if prefix else str(key), inner, entries)


def _target(value: Config) -> str | None:
    """Return the class name as a string; an untrusted configuration may have any value there."""
    target = value.get("_target_")
    return target if target is None else str(target)


def _repeats(column: Sequence[str], earlier: Sequence[str]) -> bool:
    """Return True if each cell of a column is absent or equals that of an earlier column."""
    return all(cell in (ABSENT, other) for cell, other in zip(column, earlier, strict=True))


def at(config: Config, key: str) -> Any:
    """Return the value of a dotted key; None if the configuration does not have it."""
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def show(value: Any) -> str:
    """Return a value as the text of a cell; a part is shown by its class name, in snake case."""
    if isinstance(value, Mapping):
        target = value.get("_target_")
        if target is None:
            return ", ".join(f"{shown(key)}={show(inner)}" for key, inner in value.items())
        name = shown(target, 200).rpartition(".")[2]
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(show, value))}]"
    return shown(value, 200)


def shown_by(configs: Iterable[Config], keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of the keys that the user chose, one per configuration.

    Raises:
        ValueError: if no configuration has a key.
    """
    configs = list(configs)
    columns = {}
    for key in keys:
        values = [at(config, key) for config in configs]
        if all(value is None for value in values):
            known = ", ".join(sorted({shown(name) for config in configs for name in config}))
            raise ValueError(f"by={key}: no run has this key; their top-level keys are {known}")
        columns[key] = [ABSENT if value is None else show(value) for value in values]
    return columns
