"""Check the files and sizes of an untrusted checkpoint before building its model."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules import module as registration
from torch.overrides import TorchFunctionMode

from seq2seq.checkpoint.building import CONFIG, CheckpointError

LARGEST_HEADER = 16 << 20  # bytes of names and shapes; 100,000 tensors take about 10 MiB
LARGEST_TABLES = 1 << 30  # bytes of computed buffers, such as sinusoidal positions
#: How often a tensor of the file may be registered while the model is built: tied tensors are
#: registered twice, and each layer has a copy of its mapping's parameters.
MOST_REGISTRATIONS = 4
DRAWING = {"normal_", "uniform_", "trunc_normal_", "bernoulli_", "orthogonal_"}
FLOATS = {"F16", "BF16", "F32", "F64"}


def check_files(path: Path, folder: Path) -> None:
    """Raise `CheckpointError` if a checkpoint has links or devices instead of its own files.

    Args:
        path: the path that the user named; it may be a link.
        folder: the checkpoint directory, or a folder that is written to, at the path or below. What
            does not exist yet is not refused.

    Raises:
        CheckpointError: naming the link or device.
    """
    below = folder.relative_to(path).parts
    for number in range(1, len(below) + 1):
        part = path.joinpath(*below[:number])
        if not os.path.lexists(part):
            return
        _refuse_link(part)
    for entry in sorted(folder.iterdir()):
        _refuse_link(entry)


def _refuse_link(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise CheckpointError(
            f"{path} is a symbolic link to {os.readlink(path)!r:.200}, and a checkpoint holds its "
            f"files itself: if you trust it, copy the folder with its content (cp -rL)"
        )
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise CheckpointError(f"{path} is neither a file nor a folder: take it out")


def check_sizes(build: Callable[[], nn.Module], weights: Path) -> None:
    """Check that a configuration describes a model of the size of its weights.

    Builds the model without memory (on the device ``meta``), and compares its tensors with the
    names and shapes in the header of the file.

    Args:
        build: function that builds the model.
        weights: the file of weights.

    Raises:
        CheckpointError: if they do not fit, or the file is damaged.
    """
    shapes = _shapes(weights)
    with _registering_at_most(len(shapes)), torch.device("meta"), _WithoutDrawing():
        model = build()
    state = model.state_dict(keep_vars=True)
    stored = {id(state[name]) for name in shapes if name in state}
    problems = [
        f"{name} is {list(tensor.shape)} by {CONFIG}, and {shapes.get(name, 'nothing')} in the file"
        for name, tensor in state.items()
        if list(tensor.shape) != shapes.get(name)
        and (name in shapes or id(tensor) not in stored)  # tied tensors are stored once
    ]
    problems += [f"{name} is nothing that the model has" for name in shapes if name not in state]
    # A mapping loads the numbers that were set or learned in the saved mapping.
    problems = [text for text in problems if not _of_mapping(text, state, shapes)]
    if problems:
        raise CheckpointError(f"{weights} does not fit its {CONFIG}: {problems[0]}")


def _of_mapping(text: str, state: dict[str, Tensor], shapes: dict[str, Any]) -> bool:
    """Return True if only loading can decide: an annealed γ, which the configuration lacks."""
    name = text.partition(" ")[0]
    return name not in state and shapes[name] == []


def _shapes(path: Path) -> dict[str, list[int]]:
    """Return names and shapes of the tensors in a file, without reading the tensors.

    Raises:
        CheckpointError: if the file is damaged, or has tensors that are not floats.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > LARGEST_HEADER:
        raise CheckpointError(
            f"{path} is damaged: names and shapes would take {size:,} bytes, and a model's take at "
            f"most {LARGEST_HEADER:,}"
        )
    shapes = {}
    try:
        with safe_open(str(path), "pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a dictionary
                part = file.get_slice(name)
                if part.get_dtype() not in FLOATS:
                    raise CheckpointError(
                        f"{path}: {name!r:.80} has numbers of the kind {part.get_dtype()}; weights "
                        f"are {', '.join(sorted(FLOATS))}"
                    )
                shapes[name] = list(part.get_shape())
    except MemoryError as error:
        raise too_large(path) from error
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path} does not fit its {CONFIG}, or is damaged: {error}"
        ) from error
    return shapes


def too_large(weights: Path) -> CheckpointError:
    """Return the error for a file of weights that does not fit into memory."""
    return CheckpointError(
        f"{weights} has {weights.stat().st_size:,} bytes, which do not fit into memory"
    )


class _WithoutDrawing(TorchFunctionMode):
    """Mode that skips the initialization of weights, which takes seconds even without memory."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in DRAWING:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def _registering_at_most(tensors: int) -> Iterator[None]:
    """Raise an error in the block if modules get many more parts than a file has tensors.

    So a configuration of a billion layers fails at once.
    """
    left = MOST_REGISTRATIONS * tensors + 64
    bytes_left = LARGEST_TABLES

    def count(owner: nn.Module, name: str, part: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError(f"it describes a model of more parts than {tensors} tensors make")

    def count_buffer(owner: nn.Module, name: str, part: Any) -> None:
        nonlocal bytes_left
        count(owner, name, part)
        if isinstance(part, Tensor):
            bytes_left -= part.numel() * part.element_size()
        if bytes_left < 0:
            raise ValueError(f"its tables ({name}) would take more than {LARGEST_TABLES:,} bytes")

    handles = [
        registration.register_module_parameter_registration_hook(count),
        registration.register_module_buffer_registration_hook(count_buffer),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def check_parameters(model: nn.Module, weights: Path) -> None:
    """Check that all weights are finite; otherwise the model would silently write empty texts.

    Raises:
        CheckpointError: naming the first non-finite weight.
    """
    for name, module in model.named_modules():
        tensors = getattr(module, "tensors", None)
        for parameter, value in tensors().items() if callable(tensors) else ():
            if not bool(torch.isfinite(value).all()):
                raise CheckpointError(f"{weights}: {parameter} of {name} is not finite")
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"{weights}: {name} has numbers that are not finite; use an earlier checkpoint of "
                "the run"
            )
