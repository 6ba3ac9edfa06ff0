"""In which choices and values runs differ: what names the rows of a comparison."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seq2seq.data.foreign import shown

#: Keys (and all below them) that say nothing of what was trained and tested.
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
    """For each key in which configurations differ, what each of them says.

    A part with a ``_target_`` (an attention mapping, a model) that differs in it is one key, shown
    by the name of its class; its arguments are keys only as far as they differ between equal
    targets. A key that says what a shorter one says (``model.mapping``, for ``attention``) is left
    out. Seeds and what is incidental, such as caches, do not count.

    Returns:
        Shortest keys first; ``–`` where a configuration has no such key.
    """
    found: list[tuple[str, list[Any]]] = []
    _collect("", [dict(config) for config in configs], found)
    columns: dict[str, list[str]] = {}
    for key, values in sorted(found, key=lambda entry: entry[0].count(".")):
        shown = [ABSENT if value is _NOTHING else show(value) for value in values]
        if not any(_repeats(shown, known) for known in columns.values()):
            columns[key] = shown
    return columns


_NOTHING: Any = object()


def _collect(prefix: str, values: Sequence[Any], found: list[tuple[str, list[Any]]]) -> None:
    """Append the keys under ``prefix`` in which the values differ; _NOTHING takes no part."""
    if prefix in INCIDENTAL:
        return
    present = [value for value in values if value is not _NOTHING]
    if all(value == present[0] for value in present) and len(present) == len(values):
        return
    if not all(isinstance(value, dict) for value in present):
        found.append((prefix, list(values)))
        return
    targets = {_target(value) for value in present}
    if len(targets) > 1:
        found.append((prefix, list(values)))
    for target in sorted(targets, key=str):
        group = [
            value if value is not _NOTHING and _target(value) == target else _NOTHING
            for value in values
        ]
        for key in dict.fromkeys(key for value in group if value is not _NOTHING for key in value):
            inner = [_NOTHING if value is _NOTHING else value.get(key, _NOTHING) for value in group]
            here = [value for value in inner if value is not _NOTHING]
            members = sum(value is not _NOTHING for value in group)
            if key != "_target_" and (len(here) < members or any(v != here[0] for v in here)):
                _collect(f"{prefix}.{key}" if prefix else str(key), inner, found)


def _target(value: Config) -> str | None:
    """The name of the class; of a stranger's configuration it may be anything."""
    target = value.get("_target_")
    return target if target is None else str(target)


def _repeats(shown: Sequence[str], known: Sequence[str]) -> bool:
    """Whether a column says nothing that the other does not say."""
    return all(one in (ABSENT, other) for one, other in zip(shown, known, strict=True))


def at(config: Config, key: str) -> Any:
    """The value of a dotted key, None where there is none."""
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def show(value: Any) -> str:
    """A value as a cell: a part by the name of its class, as the command line has it."""
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
    """What each configuration says of the keys that the user names.

    Raises:
        ValueError: if none has a key.
    """
    configs = list(configs)
    columns = {}
    for key in keys:
        values = [at(config, key) for config in configs]
        if all(value is None for value in values):
            known = ", ".join(sorted({shown(name) for config in configs for name in config}))
            raise ValueError(f"by={key}: no run has that key; at the top they have {known}")
        columns[key] = [ABSENT if value is None else show(value) for value in values]
    return columns
