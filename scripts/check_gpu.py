"""Check everything that needs a GPU, in at most eight minutes, and write one report.

    python scripts/check_gpu.py
    python scripts/check_gpu.py --parts mappings,attention --output build/gpu
    python scripts/check_gpu.py --device cpu --quick

The parts run one after another, each in a process of its own, so that neither an exception, nor a
broken CUDA context, nor a kernel that never ends keeps the others from running. A part has a budget
of seconds, and it may use what the parts before it did not need. Then the script ends the part. It
writes the report after every part, with the rows that the part had measured when it ended.

`gpu.md` in the folder of `--output` is for you; `gpu.json` beside it has the same for a program.
The exit code is 0 if every part passed.

`--device cpu --quick` runs all parts at small sizes on a CPU. There, kernels of attention run in
Triton's interpreter, and nothing is captured in a CUDA graph. The tests check the script like this.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import gpu_report
import torch
from gpu_report import FAILED, LATE, PASSED, Outcome, Row


@dataclass(frozen=True)
class Part:
    """A part of the check.

    Attributes:
        module: module of the function that gives the rows of the part for the arguments.
        function: name of this function.
        budget: seconds that the part may take, of the 480 of all parts.
        about: what the part does.
    """

    module: str
    function: str
    budget: float
    about: str


PARTS = {
    "machine": Part("gpu_tests", "machine", 15, "The device, and the versions of what is used."),
    "kernel tests": Part(
        "gpu_tests", "kernel_tests", 100, "tests/mappings/gpu: the Triton kernels on the device."
    ),
    "gpu tests": Part(
        "gpu_tests",
        "gpu_tests",
        45,
        "The other tests that are marked `gpu`; they need all packages.",
    ),
    "mappings": Part(
        "gpu_mappings",
        "mappings",
        120,
        "Each mapping beside torch.softmax (float32), and the AdaSplash package where installed. "
        "Ratios are medians over the rounds. Errors are the largest differences from the mapping "
        "on the CPU in float64.",
    ),
    "attention": Part(
        "gpu_mappings",
        "attention",
        60,
        "Blockwise sparse attention beside scaled_dot_product_attention, attention with a matrix "
        "of scores, and AdaSplash (bfloat16, forward and backward). `error` is the largest "
        "relative error of output and gradients in float32, against float64 on the CPU.",
    ),
    "training": Part(
        "gpu_models",
        "training",
        50,
        "Training steps of every model, in float32 and bfloat16. The first loss is compared with "
        "that of the same weights on the CPU.",
    ),
    "search": Part(
        "gpu_models", "search", 30, "Beam search of every encoder-decoder, compared with the CPU's."
    ),
    "graphs": Part(
        "gpu_models",
        "graphs",
        25,
        "CUDA graphs of mappings, a training step and a decoding step. Capture fails where "
        "something waits for the device.",
    ),
    "compile": Part(
        "gpu_models", "compiled", 35, "torch.compile of models and mappings: losses and times."
    ),
}
MINUTES = 8.0  # what the budgets add up to
LAST_CHARACTERS = 3000  # of what a part printed


def run(name: str, args: argparse.Namespace, outcome: Outcome, seconds: float) -> None:
    """Run a part in a process of its own for at most ``seconds``, and complete ``outcome``."""
    part = PARTS[name]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows, log = Path(folder, "rows"), Path(folder, "log")
        rows.touch()
        function = f"{part.module}:{part.function}"
        command = [sys.executable, __file__, "--run", function, "--rows", str(rows)]
        command += ["--device", args.device, *(["--quick"] if args.quick else [])]
        with log.open("w") as file, _started(command, file, args.device) as process:
            try:
                code = process.wait(timeout=seconds)
                outcome.status = FAILED if code else PASSED
            except subprocess.TimeoutExpired:
                outcome.status = LATE
        lines = rows.read_text(encoding="utf-8").splitlines()
        outcome.rows = [json.loads(line) for line in lines if line.endswith("}")]
        if any(map(gpu_report.is_wrong, outcome.rows)) and outcome.status == PASSED:
            outcome.status = FAILED
        if outcome.status != PASSED:
            outcome.log = log.read_text(encoding="utf-8", errors="replace")[-LAST_CHARACTERS:]
    outcome.seconds = time.monotonic() - started


@contextlib.contextmanager
def _started(command: list[str], log: IO[str], device: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, and end it and all that it started."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    if device == "cpu":
        environment["TRITON_INTERPRET"] = "1"
    with subprocess.Popen(
        command, stdout=log, stderr=log, env=environment, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run_here(args: argparse.Namespace) -> int:
    """Run the part of ``args.run`` in this process, and append its rows to a file as they come."""
    module, name = args.run.split(":")
    with args.rows.open("a", encoding="utf-8") as file:
        try:
            part: Callable[[argparse.Namespace], Iterable[Row]]
            part = getattr(importlib.import_module(module), name)
            for row in part(args):
                print(json.dumps(row, ensure_ascii=False), file=file, flush=True)
        except Exception:
            row = {"case": "the part itself", "traceback": traceback.format_exc()}
            print(json.dumps(row), file=file, flush=True)
            return 1
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--device", choices=("cuda", "cpu"), default="cuda", help="(%(default)s)")
    add("--quick", action="store_true", help="small sizes, which show that the script works")
    add("--parts", type=lambda s: s.split(","), default=list(PARTS), help=f"of {','.join(PARTS)}")
    add("--minutes", type=float, default=MINUTES, help="of all parts, at most (%(default)g)")
    add("--output", type=Path, default=Path("build/gpu"), help="folder (%(default)s)")
    add("--run", help=argparse.SUPPRESS)
    add("--rows", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"--parts: {', '.join(unknown)} is none of {', '.join(PARTS)}")
    if args.device == "cuda" and not args.run and not torch.cuda.is_available():
        parser.error(
            f"PyTorch {torch.__version__} finds no CUDA device; run this on a machine with one, or "
            "check the script with --device cpu --quick"
        )
    return args


def _end(*_: Any) -> None:
    raise SystemExit(143)


def main() -> int:
    args = arguments()
    if args.run:
        return run_here(args)
    signal.signal(signal.SIGTERM, _end)  # so that the process of the part is ended, too
    started = time.monotonic()
    about = {"command": " ".join(sys.argv), "started": time.strftime("%Y-%m-%d %H:%M:%S %z")}
    share = args.minutes / MINUTES
    outcomes = [Outcome(name, PARTS[name].about, share * PARTS[name].budget) for name in args.parts]
    deadline = started
    for outcome in outcomes:
        deadline += outcome.budget
        run(outcome.name, args, outcome, deadline - time.monotonic())
        about["seconds"] = f"{time.monotonic() - started:.0f}"
        gpu_report.write(outcomes, about, args.output)
        wrong = sum(map(gpu_report.is_wrong, outcome.rows))
        of_it = f"{len(outcome.rows)} rows, {wrong} wrong, {outcome.seconds:.0f} s"
        print(f"{outcome.name}: {outcome.status} ({of_it})", flush=True)
    print(f"The report is {args.output / 'gpu.md'}")
    return int(any(outcome.status != PASSED for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
