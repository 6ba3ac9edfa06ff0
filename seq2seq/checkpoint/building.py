"""Objects of a configuration that may come from a stranger."""

from __future__ import annotations

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf.errors import OmegaConfBaseException

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

CONFIG = "config.yaml"


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
    """Refuse every ``_target_`` that is not a class of :data:`ALLOWED_PACKAGES`.

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
    for key, value in node.items():
        name = f"{where}: {key}" if where == CONFIG else f"{where}.{key}"
        if key == "_target_":
            _check_target(value, name)
        elif isinstance(key, str) and key.startswith("_") and key.endswith("_"):
            raise CheckpointError(f"{name} is refused: a checkpoint may name classes only")
        else:
            check_targets(value, name)


def _check_target(target: Any, where: str) -> None:
    allowed = isinstance(target, str) and target.startswith(
        tuple(f"{package}." for package in ALLOWED_PACKAGES)
    )
    if allowed:
        try:
            defined_in = get_class(target).__module__
        except Exception as error:
            raise CheckpointError(f"{where}: this version has no class {target!r:.80}") from error
        allowed = f"{defined_in}.".startswith(tuple(f"{p}." for p in ALLOWED_PACKAGES))
    if not allowed:
        raise CheckpointError(
            f"{where} names {target!r:.80}, which a checkpoint may not: only classes of "
            f"{', '.join(ALLOWED_PACKAGES)} are built"
        )


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
    task = build(changes if "_target_" in changes else _merged(given, changes))
    if not isinstance(task, Task):
        raise CheckpointError(f"{CONFIG}: task is a {type(task).__name__}")
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
