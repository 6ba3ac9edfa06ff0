"""Write, check and load checkpoint directories."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_model, save_file
from torch import Tensor, nn

from seq2seq.checkpoint.building import (
    CONFIG,
    CheckpointError,
    build,
    check_ranges,
    check_targets,
    checkpoint_task,
    target_class,
)
from seq2seq.checkpoint.checksum import check, write_checksum
from seq2seq.checkpoint.hub import fetched, is_hub
from seq2seq.checkpoint.inspection import check_files, check_parameters, check_sizes, too_large
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.models.attending import AttendingModel
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.ensemble import Ensemble
from seq2seq.system.atomic_writing import follow_umask, previous_folder, replacing_folder
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_yaml import read_yaml
from seq2seq.tasks.task import Task

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with its task and vocabularies.

    Attributes:
        folder: the checkpoint directory.
        task: the task of the model.
        model: the model, in evaluation mode.
        subwords: the vocabularies of both sides.
        config: the plain dictionary of ``config.yaml``.
    """

    folder: Path
    task: Task
    model: AttendingModel
    subwords: VocabularyPair
    config: dict[str, Any]


def save_checkpoint(
    folder: str | Path,
    model: AttendingModel,
    subwords: VocabularyPair,
    config: dict[str, Any],
) -> Path:
    """Write a checkpoint directory atomically.

    Args:
        folder: destination; an existing folder is replaced.
        model: the model whose weights are saved.
        subwords: the vocabularies.
        config: the resolved configuration, whose key ``model`` describes the model.

    Raises:
        OSError: if writing fails, for example because the disk is full; the old folder stays.
    """
    folder = Path(folder)
    with replacing_folder(folder) as temporary:
        try:
            save_file(_distinct(model), str(temporary / WEIGHTS))
            follow_umask(temporary / WEIGHTS)
        except SafetensorError as error:
            raise writing_error(folder / WEIGHTS, error) from error
        write_checksum(temporary / WEIGHTS)
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        (temporary / CONFIG).write_text(text, encoding="utf-8")
        subwords.save(temporary)
    return folder


def _distinct(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights; tied weights occur once, under the first of their names.

    safetensors' ``save_model`` also stores the other names, in an order that differs between
    processes. Files of equal weights would then differ.
    """
    names: dict[tuple[int, torch.Size], str] = {}
    state = model.state_dict()
    for name in sorted(state):
        names.setdefault((state[name].data_ptr() or id(state[name]), state[name].shape), name)
    return {name: state[name].contiguous() for name in sorted(names.values())}


def writing_error(path: Path, error: SafetensorError) -> OSError:
    """Turn safetensors' error into an `OSError` with its number, which only the text has."""
    number = re.search(r"os error (\d+)", str(error))
    if number is None:
        return OSError(f"{path} could not be written: {error}")
    return OSError(int(number[1]), os.strerror(int(number[1])), str(path))


def checkpoint_folder(path: str | Path) -> Path:
    """Return the checkpoint directory of ``path``: itself, or the best one of a run folder.

    ``hub:OWNER/NAME[@REVISION]`` is fetched from the Hugging Face hub.

    Raises:
        CheckpointError: if there is no checkpoint directory, or it has symbolic links.
    """
    if is_hub(path):
        return _found(fetched(str(path)))  # the hub's cache has symbolic links, which are safe
    path = Path(os.path.expanduser(path))
    folder = _found(path)
    check_files(path if folder.is_relative_to(path) else folder, folder)
    return folder


def _found(path: Path) -> Path:
    """Return the checkpoint directory at ``path`` or below."""
    for candidate in (path, path / "checkpoints" / "best", path / "best"):
        if (candidate / CONFIG).is_file() and (candidate / WEIGHTS).is_file():
            return candidate
        if not candidate.exists() and (previous := previous_folder(candidate)):
            return previous
    if not path.exists():
        raise CheckpointError(f"checkpoint={path}: there is no such folder")
    raise CheckpointError(
        f"checkpoint={path}: neither a checkpoint directory (with {WEIGHTS} and {CONFIG}) nor "
        "a run folder with checkpoints/best"
    )


def load_config(folder: Path) -> dict[str, Any]:
    """Read ``config.yaml`` as plain data.

    Raises:
        CheckpointError: if it is not a YAML mapping of plain values with a ``model`` entry.
    """
    try:
        config = read_yaml(folder / CONFIG)
    except (OSError, DataError) as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise CheckpointError(f"{folder / CONFIG} has no 'model': it is not a checkpoint's")
    return config


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Load a checkpoint directory, which may be untrusted.

    Args:
        path: a checkpoint directory, a run folder, or ``hub:OWNER/NAME[@REVISION]``.
        device: device of the model.

    Raises:
        CheckpointError: if a file is missing or damaged, or the configuration is not allowed.
    """
    folder = checkpoint_folder(path)
    config = load_config(folder)
    subwords = VocabularyPair.load(folder)
    with _named(folder):
        task = checkpoint_task(config)
    for name, given in task.model_arguments(subwords).items():
        if (expected := config["model"].get(name)) != given:
            raise CheckpointError(
                f"{folder / CONFIG}: model.{name} is {expected!r:.80}, but what lies beside it "
                f"(its subwords, its task) says {given!r:.80}"
            )
    check(folder / WEIGHTS)
    with _named(folder):
        check_targets(config["model"])
        check_ranges(config["model"], "model")
        if "_target_" not in config["model"]:
            raise CheckpointError(f"{folder / CONFIG}: model has no _target_, the class to build")
        task.check_model(target_class(config["model"]["_target_"], f"{CONFIG}: model._target_"))
        check_sizes(partial(build, config["model"]), folder / WEIGHTS)
        model = build(config["model"])
    try:
        load_model(model, str(folder / WEIGHTS), device="cpu")
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder / WEIGHTS} does not fit its config.yaml: {error}"
        ) from error
    except MemoryError as error:
        raise too_large(folder / WEIGHTS) from error
    check_parameters(model, folder / WEIGHTS)
    return Checkpoint(folder, task, model.to(device).eval(), subwords, config)


@contextlib.contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Add the folder to errors about the configuration that the block raises."""
    try:
        yield
    except ValueError as error:
        text = str(error) if str(folder) in str(error) else f"{folder / CONFIG}: {error}"
        raise CheckpointError(text.replace(f"{CONFIG}: {CONFIG}", CONFIG)[:1000]) from error


def load_checkpoints(
    given: str | Path | Sequence[str | Path], device: torch.device | str = "cpu"
) -> Checkpoint:
    """Load a checkpoint, or several checkpoints with one vocabulary as an ``Ensemble``.

    Args:
        given: a checkpoint directory or a run folder, or a list of these.
        device: device of the models.

    Returns:
        the checkpoint; for several, the first one, with the ensemble as its model.

    Raises:
        CheckpointError: if a checkpoint cannot be loaded, or they cannot form an ensemble.
    """
    if isinstance(given, str | Path):
        return load_checkpoint(given, device)
    if not given:
        raise CheckpointError("checkpoint=[] names no checkpoint; give one or several")
    first, *others = checkpoints = [load_checkpoint(path, device) for path in given]
    if not others:
        return first
    for other in checkpoints:
        if not isinstance(other.model, EncoderDecoder):
            raise CheckpointError(
                f"{other.folder} is a {type(other.model).__name__}: only models that write text "
                "make an ensemble"
            )
        if type(other.task) is not type(first.task):
            raise CheckpointError(f"{other.folder} and {first.folder} are of different tasks")
        for side in ("source", "target"):
            if getattr(other.subwords, side) != getattr(first.subwords, side):
                raise CheckpointError(
                    f"{other.folder} and {first.folder} have different {side} subwords; the "
                    "models of an ensemble have to share them: train them on the same prepared data"
                )
    try:
        model = Ensemble([checkpoint.model for checkpoint in checkpoints])  # type: ignore[misc]
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    return replace(first, model=model.eval())
