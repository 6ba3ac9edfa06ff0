"""Build the objects of a configuration that may be untrusted."""

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
from seq2seq.system.ranges import out_of_range
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

_trusted: list[str] = []  # packages that the user trusts, until the process ends
CONFIG = "config.yaml"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+")


class CheckpointError(ValueError):
    """A checkpoint directory is incomplete or damaged, or names a forbidden class or file."""


def build(config: dict[str, Any], **arguments: Any) -> Any:
    """Build the object that ``config`` describes, after checking every ``_target_`` in it.

    Raises:
        CheckpointError: if a target is not a class of :data:`ALLOWED_PACKAGES`, the configuration
            has other keys that Hydra interprets, or a class raises an error for its arguments.
    """
    try:
        check_targets(config)
        return instantiate(config, **arguments, _convert_="all")
    except RecursionError as error:
        raise CheckpointError(f"{CONFIG} is nested without end") from error
    except (InstantiationException, OmegaConfBaseException) as error:
        raise CheckpointError(f"{CONFIG}: {error.__cause__ or error}") from error


def check_targets(node: Any, where: str = CONFIG) -> None:
    """Check every ``_target_`` and its arguments.

    Raises:
        CheckpointError: naming the key, if a target is not a class of :data:`ALLOWED_PACKAGES`, or
            an argument does not fit.
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
    if kind is not None:  # after its parts have been checked
        _check_arguments(node, kind, where)


def _below(where: str, key: Any) -> str:
    """Return the path of a key, for messages."""
    return f"{where}: {shown(key)}" if where == CONFIG else f"{where}.{shown(key)}"


def _check_arguments(node: dict[str, Any], kind: type, where: str) -> None:
    """Raise `CheckpointError` for arguments that the class lacks, or of a wrong type."""
    if f"{kind.__module__}.".startswith(tuple(f"{name}." for name in _trusted)):
        return  # classes of trusted packages need no annotations

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


def check_ranges(node: Any, key: str) -> None:
    """Check the values that :mod:`seq2seq.system.ranges` has a range for.

    Args:
        node: a value of the configuration, and what is below it.
        key: its dotted key.

    Raises:
        CheckpointError: naming the first key whose value is out of its range.
    """
    for name, value, allowed in out_of_range(node, key):
        raise CheckpointError(
            f"{CONFIG}: {shown(name)} has to be {allowed}, not {shown(repr(value))}"
        )


def trust(packages: Sequence[str]) -> None:
    """Allow configurations to name classes of other packages, whose code then runs.

    Call it only with names from the command line or from your program, never from a checkpoint.

    Args:
        packages: names, such as ``my_package``.

    Raises:
        ValueError: if a name is not that of a package, is Python's own, or cannot be imported.
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
    """Return the packages other than this one whose classes a configuration names."""
    if isinstance(config, list):
        return sorted({name for item in config for name in packages_to_trust(item)})
    if not isinstance(config, dict):
        return []
    target = config.get("_target_")
    own = isinstance(target, str) and not target.startswith("seq2seq.")
    inner = packages_to_trust([*config.values()])
    return sorted({*inner, *([str(target).partition(".")[0]] if own else [])})


def target_class(target: Any, where: str) -> type:
    """Return the class that a ``_target_`` names.

    Raises:
        CheckpointError: if it is not a class of :data:`ALLOWED_PACKAGES`.
    """
    packages = tuple(f"{package}." for package in (*ALLOWED_PACKAGES, *_trusted))
    # Check the text before importing anything, because the message of a failed import would print
    # the untrusted name on the terminal.
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
    """Return a hint how the user can allow a class of their own package; "" if they cannot."""
    if not isinstance(target, str) or not NAME.fullmatch(target):
        return ""
    top = target.partition(".")[0]
    if top == "seq2seq" or top in sys.stdlib_module_names:
        return ""
    return f". If {shown(top)} is a package of yours, allow it to run: trust=[{shown(top)}]"


def checkpoint_task(config: dict[str, Any], changes: dict[str, Any] | None = None) -> Task:
    """Build the task of a checkpoint's configuration, with changes to its arguments.

    Changes with a ``_target_`` are another task, with its own arguments.

    Raises:
        CheckpointError: if the configuration does not name a task.
    """
    task_config = config.get("task")
    # Checkpoints of early versions have no task: translation was the only one.
    if not isinstance(task_config, dict) or "_target_" not in task_config:
        task_config = {"_target_": f"{Translation.__module__}.{Translation.__name__}"}
    changes = changes or {}
    config = changes if "_target_" in changes else _merged(task_config, changes)
    kind = target_class(config["_target_"], f"{CONFIG}: task._target_")
    if not issubclass(kind, Task):
        raise CheckpointError(f"{CONFIG}: task is a {kind.__name__}")
    task: Task = build(config)
    return task


def _merged(original: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Merge the changes into a nested mapping."""
    merged = dict(original)
    for key, value in changes.items():
        inner = merged.get(key)
        if isinstance(inner, dict) and isinstance(value, dict):
            value = _merged(inner, value)
        merged[key] = value
    return merged
