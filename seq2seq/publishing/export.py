"""Export a checkpoint as programs that run without this package, with a description.

::

    encoder.pt2, step.pt2     (or classifier.pt2) by torch.export, or the same as .onnx
    interface.json            inputs and outputs: names, types, shapes; ids of the special tokens
    subwords.model            the vocabulary, as in the checkpoint
    README.md                 the same for readers
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from seq2seq import __version__
from seq2seq.checkpoint import Checkpoint
from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from seq2seq.mappings import tracing
from seq2seq.models.attending import AttendingModel
from seq2seq.publishing.errors import PublishingError
from seq2seq.publishing.programs import Port, Program, programs
from seq2seq.system.atomic_writing import replacing_folder

INTERFACE = "interface.json"
Saver = Callable[[Path], None]  # writes a program to a file
LONGEST = 2**31 - 1  # limit of dimensions without another limit


def export(checkpoint: Checkpoint, folder: str | Path, form: str = "torch") -> Path:
    """Write the folder atomically.

    Args:
        checkpoint: a checkpoint of any task.
        folder: destination; an earlier export is replaced.
        form: ``torch`` or ``onnx``.

    Raises:
        PublishingError: if the model cannot be exported, the form is unknown, or the folder has
            other files.
    """
    folder = Path(os.path.expanduser(folder))
    if form not in FORMS:
        raise PublishingError(f"format={form} is unknown; choose {' or '.join(FORMS)}")
    if folder.exists() and any(folder.iterdir()) and not _is_export(folder):
        raise PublishingError(
            f"output={folder} has other files, which would be deleted; give a new folder"
        )
    suffix, convert = FORMS[form]
    parts = programs(checkpoint.model)
    with _quiet():
        savers = [convert(part, recorded(part, checkpoint.model)) for part in parts]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as new:
        for part, save in zip(parts, savers, strict=True):
            save(new / f"{part.name}{suffix}")
        checkpoint.subwords.save(new)
        described = interface(checkpoint, parts, suffix)
        (new / INTERFACE).write_text(json.dumps(described, indent=2), encoding="utf-8")
        (new / "README.md").write_text(_readme(described, parts), encoding="utf-8")
    return folder


def _is_export(folder: Path) -> bool:
    """Return whether a folder has an export, and nothing else that would be lost."""
    patterns = (INTERFACE, "README.md", "*.pt2", "*.onnx", "subwords*.model", "words*.json")
    ours = {path.name for pattern in patterns for path in folder.glob(pattern)}
    return INTERFACE in ours and ours == {path.name for path in folder.iterdir()}


def recorded(part: Program, model: AttendingModel) -> ExportedProgram:
    """Export a part as one graph of PyTorch operators, for any batch size and length.

    Args:
        part: the part of the model.
        model: the model, which limits the length of texts.
    """
    longest = model.max_length or LONGEST
    dims: dict[int | str, Dim] = {
        name: Dim(name, min=0 if name == "history_length" else 1, max=most)
        for name, most in {
            "batch": LONGEST,
            "source_length": longest,
            "premise_length": longest,
            "hypothesis_length": longest,
            "history_length": longest - 1,
        }.items()
    }
    shapes = [
        {axis: dims[size] for axis, size in enumerate(port.shape) if isinstance(size, str)}
        for port in part.inputs
    ]
    # The step takes its first input, and the others as a tuple.
    given: Any = (shapes[0], tuple(shapes[1:])) if part.name == "step" else tuple(shapes)
    with tracing.tracing():
        return torch.export.export(
            part.module,
            part.examples,
            dynamic_shapes=given,
            # Guards that it cannot prove, such as s ≤ s², become runtime checks.
            prefer_deferred_runtime_asserts_over_guards=True,
        )


def _torch(part: Program, program: ExportedProgram) -> Saver:
    def save(path: Path) -> None:
        # On a full disk, PyTorch's own writer raises an error without the reason, or aborts.
        content = io.BytesIO()
        torch.export.save(program, content)
        path.write_bytes(content.getbuffer())

    return save


def _onnx(part: Program, program: ExportedProgram) -> Saver:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise PublishingError(
            f"format=onnx needs {error.name}: pip install onnx onnxscript, or use format=torch"
        ) from None
    try:
        onnx_program = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=[port.name for port in part.inputs],
            output_names=[_after(port, part) for port in part.outputs],
        )
    except torch.onnx.errors.OnnxExporterError as error:
        lines = [
            line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()
        ]
        raise PublishingError(
            f"format=onnx: {part.name} has an operator that ONNX does not have "
            f"({lines[0]:.200}); use format=torch, or another attention mapping"
        ) from error
    assert onnx_program is not None
    return lambda path: onnx_program.save(path, external_data=False)


#: For each format the suffix of files, and the function that writes a program.
FORMS: dict[str, tuple[str, Callable[[Program, ExportedProgram], Saver]]] = {
    "torch": (".pt2", _torch),
    "onnx": (".onnx", _onnx),
}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings of the exporters about their own internals."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _after(port: Port, part: Program) -> str:
    """Return the name of an output; ONNX needs another name if it is an input, too."""
    return f"{port.name}_after" if port.name in {port.name for port in part.inputs} else port.name


def interface(checkpoint: Checkpoint, parts: list[Program], suffix: str) -> dict[str, Any]:
    """Return the content of ``interface.json``."""
    return {
        "seq2seq": __version__,
        "torch": str(torch.__version__),
        "task": type(checkpoint.task).__name__,
        "model": type(checkpoint.model).__name__,
        "labels": list(checkpoint.task.labels or []),
        "max_length": checkpoint.model.max_length,
        "ids": {
            "padding": PAD_ID,
            "unknown": UNK_ID,
            "beginning": BOS_ID,
            "end": EOS_ID,
        },
        "programs": {
            part.name: {
                "file": f"{part.name}{suffix}",
                "inputs": [asdict(port) for port in part.inputs],
                "outputs": [{**asdict(port), "name": _after(port, part)} for port in part.outputs],
            }
            for part in parts
        },
    }


def _readme(described: dict[str, Any], parts: list[Program]) -> str:
    lines = [
        f"# {described['model']} for {described['task'].lower()}, exported",
        "",
        HOW[parts[0].name],
    ]
    for part in parts:
        lines += ["", f"## {described['programs'][part.name]['file']}", ""]
        lines += ["| | name | type | shape |", "|---|---|---|---|"]
        for side, ports in (("in", part.inputs), ("out", part.outputs)):
            for port in ports:
                name = port.name if side == "in" else _after(port, part)
                shape = ", ".join(str(size) for size in port.shape)
                lines.append(f"| {side} | {name} | {port.dtype} | {shape} |")
    return "\n".join([*lines, ""])


HOW = {
    "encoder": """\
The ids of a sentence are those of its subwords, then eos (`interface.json` has the special ids).
The encoder takes the padded `source` and its lengths, and returns the state before the first target
token. The first step takes bos as `token`, and this state. Each step returns the log-probabilities
of the next token (−inf for padding and bos), the attention over the source in each layer and head,
and the new values of `past_…` and `history_…` for the next step. `memory_…` stays the same.""",
    "classifier": """\
The ids of a sentence are those of its subwords, then eos (`interface.json` has the special ids).
The program takes the padded premise and hypothesis and their lengths. It returns the probabilities
of the classes, in the order of `labels`, and the attention.""",
}
