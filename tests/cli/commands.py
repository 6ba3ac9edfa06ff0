"""Run the commands in processes of their own: from cold, as users start them, or forked.

To import torch, Lightning and all the rest takes a command five seconds, and what most tests ask of
it half of one. A forked command is a copy of a process that has imported them: it has its own
arguments, folder, environment and streams, and runs the same module as ``python -m`` would.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

# Which the commands set themselves, before their imports.
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

TIMEOUT = 280
#: A recurrent model of the embedded corpus that trains in a second.
SMALL = (
    "data.corpus.train_size=300",
    "data.corpus.validation_size=12",
    "data.corpus.test_size=12",
    "data.subwords.size=500",
    "data.batch.tokens=800",
    "model.hidden_size=24",
    "model.embedding_size=24",
)
PRELOADED = (
    "seq2seq.cli.application",
    "seq2seq.training.fit",
    "seq2seq.models",
    "seq2seq.tasks.translation",
    "seq2seq.data.corpora.toy",
)


def cold(
    name: str,
    *arguments: str,
    cwd: Path,
    stdin: str | bytes = b"",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """``python -m seq2seq.cli.NAME ARGUMENTS`` in the folder ``cwd``, ``environment`` added."""
    result = subprocess.run(
        [sys.executable, "-m", f"seq2seq.cli.{name}", *arguments],
        cwd=cwd,
        capture_output=True,
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        timeout=TIMEOUT,
        env={**os.environ, **environment},
    )
    return _completed(name, arguments, result.returncode, result.stdout, result.stderr)


def forked(
    name: str,
    *arguments: str,
    cwd: Path,
    stdin: str | bytes = b"",
    environment: Mapping[str, str] = MappingProxyType({}),
    before: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command with libraries imported before the fork; without fork, in a new process.

    A ``name`` that ends with ``.py`` is the path of a script. ``before`` is called in the process
    before it becomes the command, to prepare an accident.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        if before is not None:
            pytest.skip("accidents are prepared in a forked process")
        return cold(name, *arguments, cwd=cwd, stdin=stdin, environment=environment)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / stream for stream in ("in", "out", "err")]
        streams[0].write_bytes(stdin.encode() if isinstance(stdin, str) else stdin)
        process = context.Process(
            target=_run,
            args=(name, arguments, str(cwd), {**os.environ, **environment}, streams, before),
        )
        process.start()
        process.join(TIMEOUT)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired([name, *arguments], TIMEOUT)
        return _completed(name, arguments, process.exitcode, *(p.read_bytes() for p in streams[1:]))


def _run(
    name: str,
    arguments: tuple[str, ...],
    cwd: str,
    environment: dict,
    streams: list[Path],
    before: Callable[[], None] | None,
) -> None:
    """Become the command."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, (path, mode) in enumerate(zip(streams, ("rb", "wb", "wb"), strict=True)):
        with path.open(mode) as file:
            os.dup2(file.fileno(), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = [name, *arguments]
    if before is not None:
        before()
    try:
        if name.endswith(".py"):
            sys.path.insert(0, str(Path(name).parent))
            runpy.run_path(name, run_name="__main__")
        else:
            runpy.run_module(f"seq2seq.cli.{name}", run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()


def _completed(
    name: str, arguments: tuple[str, ...], code: int, out: bytes, err: bytes
) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([name, *arguments], code, out.decode(), err.decode())
