"""Objects of a configuration that may come from a stranger."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf.errors import OmegaConfBaseException

from seq2seq.checkpoint.arguments import problem
from seq2seq.system.untrusted_files import shown
from seq2seq.tasks.task import Task
from seq2seq.tasks.translation import Translation

#: Packages whose classes a configuration may name; nothing else is ever imported or called.
ALLOWED_PACKAGES = (
    "seq2seq.mappings",
    "seq2seq.models",
    "seq2seq.search",
    "seq2seq.tasks",
    "seq2seq.evaluation.rouge",
    "seq2seq.data.corpora",
)

_trusted: list[str] = []  # further packages, for as long as the process lives
CONFIG = "config.yaml"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")


class CheckpointError(ValueError):
    """A checkpoint directory is incomplete, damaged, or names what it may not."""


def build(config: dict[str, Any], **arguments: Any) -> Any:
    """Build the object that ``config`` describes, after checking every ``_target_`` in it.

    Raises:
        CheckpointError: if a target is not a class of :data:`ALLOWED_PACKAGES`, if the
            configuration holds anything else that Hydra would interpret, or if a class refuses its
            arguments.
    """
    try:
        check_targets(config)
        return instantiate(config, **arguments, _convert_="all")
    except RecursionError as error:
        raise CheckpointError(f"{CONFIG} is nested without end") from error
    except (InstantiationException, OmegaConfBaseException) as error:
        raise CheckpointError(f"{CONFIG}: {error.__cause__ or error}") from error


def check_targets(node: Any, where: str = CONFIG) -> None:
    """Refuse a ``_target_`` that is no class of :data:`ALLOWED_PACKAGES`, or not its arguments.

    Raises:
        CheckpointError: naming the key.
    """
    if isinstance(node, str) and "${" in node:
        raise CheckpointError(f"{where}: interpolations are refused, found {node!r:.80}")
    if isinstance(node, list):
        for position, item in enumerate(node):
            check_targets(item, f"{where}[{position}]")
    if not isinstance(node, dict):
        return
    kind = target_class(node["_target_"], _below(where, "_target_")) if "_target_" in node else None
    for key, value in node.items():
        name = _below(where, key)
        if key == "_target_":
            continue
        if isinstance(key, str) and key.startswith("_") and key.endswith("_"):
            raise CheckpointError(f"{name} is refused: a checkpoint may name classes only")
        else:
            check_targets(value, name)
    if kind is not None:  # now that its parts are in order
        _check_arguments(node, kind, where)


def _below(where: str, key: Any) -> str:
    """Return the place of a key, for messages."""
    return f"{where}: {shown(key)}" if where == CONFIG else f"{where}.{shown(key)}"


def _check_arguments(node: dict[str, Any], kind: type, where: str) -> None:
    """Refuse arguments that the class does not have, or that are not of their annotated type."""
    if f"{kind.__module__}.".startswith(tuple(f"{name}." for name in _trusted)):
        return  # which need not have annotations

    def class_of(inner: dict[str, Any]) -> type:
        return target_class(inner["_target_"], where)

    try:
        found = problem(node, kind, class_of)
    except (NameError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{where}: {kind.__name__} is not built from YAML") from error
    if found:
        key, reason = found
        raise CheckpointError(f"{_below(where, key)}: {reason}")


def trust(packages: Sequence[str]) -> None:
    """Let configurations name classes of further packages, whose code then runs.

    Only for what the user says on the command line or in a program; a checkpoint never decides.

    Args:
        packages: names, such as ``my_package``.

    Raises:
        ValueError: if one is no name of a package, is Python's own, or cannot be imported.
    """
    for name in packages:
        top = name.partition(".")[0] if isinstance(name, str) else ""
        if not top.isidentifier() or top in {*sys.stdlib_module_names, "builtins"}:
            raise ValueError(f"trust={shown(name)}: give the name of a package of your own")
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ValueError(
                f"trust={name} cannot be imported ({error}); install it, or put its folder "
                "into PYTHONPATH"
            ) from error
        if name not in _trusted:
            _trusted.append(name)


def packages_to_trust(config: Any) -> list[str]:
    """The packages that a configuration names classes of, besides those of this package."""
    if isinstance(config, list):
        return sorted({name for item in config for name in packages_to_trust(item)})
    if not isinstance(config, dict):
        return []
    target = config.get("_target_")
    own = isinstance(target, str) and not target.startswith("seq2seq.")
    inner = packages_to_trust([*config.values()])
    return sorted({*inner, *([str(target).partition(".")[0]] if own else [])})


def target_class(target: Any, where: str) -> type:
    """The class that a ``_target_`` names.

    Raises:
        CheckpointError: if it is not a class of :data:`ALLOWED_PACKAGES`.
    """
    packages = tuple(f"{package}." for package in (*ALLOWED_PACKAGES, *_trusted))
    # The text is looked at before anything is imported: what an import says of a name that does
    # not exist reaches the terminal.
    if isinstance(target, str) and NAME.fullmatch(target) and target.startswith(packages):
        module, _, name = target.rpartition(".")
        try:
            kind = getattr(importlib.import_module(module), name)
        except Exception as error:
            raise CheckpointError(f"{where}: this version has no class {target!r:.80}") from error
        if isinstance(kind, type) and f"{kind.__module__}.".startswith(packages):
            return kind
    raise CheckpointError(
        f"{where} names {shown(repr(target), 80)}, which a checkpoint may not: only classes of "
        f"{', '.join((*ALLOWED_PACKAGES, *_trusted))} are built{_how_to_trust(target)}"
    )


def _how_to_trust(target: Any) -> str:
    """How the user may allow a class of a package of their own."""
    if not isinstance(target, str) or not NAME.fullmatch(target):
        return ""
    top = target.partition(".")[0]
    if top == "seq2seq" or top in sys.stdlib_module_names:
        return ""
    return f". If {shown(top)} is a package of yours, allow it to run: trust=[{shown(top)}]"


def checkpoint_task(config: dict[str, Any], changes: dict[str, Any] | None = None) -> Task:
    """The task of a checkpoint's configuration, with changes to its arguments.

    Changes that name a ``_target_`` are another task, with its own arguments.

    Raises:
        CheckpointError: if it names no task.
    """
    given = config.get("task")
    # Checkpoints of earlier versions name the only task that there was.
    if not isinstance(given, dict) or "_target_" not in given:
        given = {"_target_": f"{Translation.__module__}.{Translation.__name__}"}
    changes = changes or {}
    config = changes if "_target_" in changes else _merged(given, changes)
    kind = target_class(config["_target_"], f"{CONFIG}: task._target_")
    if not issubclass(kind, Task):
        raise CheckpointError(f"{CONFIG}: task is a {kind.__name__}")
    task: Task = build(config)
    return task


def _merged(given: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Both, with the changes in force at every depth."""
    merged = dict(given)
    for key, value in changes.items():
        inner = merged.get(key)
        if isinstance(inner, dict) and isinstance(value, dict):
            value = _merged(inner, value)
        merged[key] = value
    return merged
