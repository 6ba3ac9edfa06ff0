"""A shell for the pages: bash itself, the project's commands run in forks of a warm process.

Every command that a page may call is a file of a few lines in the one folder of ``PATH``. It sends
its name, arguments, folder, environment and input to the test over a socket, and gives back what it
hears. What is neither there nor one of ``SYSTEM`` is not found, so that no page can run what the
tests do not know of.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from commands import forked
from page_blocks import REPOSITORY
from page_commands import (
    ALONE,
    NOT_RUN,
    OFFLINE,
    RUN_ELSEWHERE,
    SAID_OFFLINE,
    SCRIPTS,
    shortened,
    shortened_script,
)

SYSTEM = ("cat", "cp", "cut", "head", "ls", "mkdir", "mv", "paste", "rm", "sort", "tail", "wc")
PACKAGE = (
    "train",
    "evaluate",
    "translate",
    "score",
    "predict",
    "explore",
    "compare",
    "push",
    "export",
)
CLIENT = """#!{python} -SE
import base64, json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({socket!r})
words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
stdin = base64.b64encode(sys.stdin.buffer.read()).decode()
request = dict(words=words, cwd=os.getcwd(), environment=dict(os.environ), stdin=stdin)
connection.sendall(json.dumps(request).encode() + b"\\n")
answer = json.loads(connection.makefile("rb").readline())
sys.stdout.buffer.write(base64.b64decode(answer["out"]))
sys.stdout.flush()
sys.stderr.buffer.write(base64.b64decode(answer["err"]))
sys.exit(answer["code"])
"""

Prepare = Callable[[Path, list[str]], None]
Answer = tuple[int, str, str]


@dataclass
class Shell:
    """Runs blocks of a page in ``folder``; ``prepare`` makes the files that a command names."""

    folder: Path
    binaries: Path
    prepare: Prepare
    met: set[str] = field(default_factory=set)

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a block with bash, up to the first command that fails."""
        inherited = {k: v for k, v in os.environ.items() if k not in ("PATH", "BASH_ENV")}
        return subprocess.run(
            [shutil.which("bash") or "bash", "-e", "-o", "pipefail", "-c", text],
            cwd=self.folder,
            env={**inherited, "PATH": str(self.binaries)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1200,
        )

    def answer(self, words: list[str], cwd: Path, environment: dict, stdin: bytes) -> Answer:
        """Run a command of a page; return its exit code, output and errors."""
        line = " ".join(words)
        for known in NOT_RUN:
            if line == known or line.startswith(f"{known} "):
                self.met.add(known)
                return 0, "", ""
        for known in RUN_ELSEWHERE:
            if known in words:
                self.met.add(known)
                return 0, "", ""
        environment = {**environment, "PATH": os.environ["PATH"]}
        if words[0] == "torchrun":
            module = words.index("-m")
            words = [words[module + 1].replace("seq2seq.cli.", "seq2seq-"), *words[module + 2 :]]
            environment |= {**ALONE, "MASTER_PORT": str(_free_port())}
        if words[0].startswith("seq2seq-"):
            name = words[0].removeprefix("seq2seq-")
            self.prepare(cwd, words)
            arguments = shortened(name, words[1:])
            return _ran(forked(name, *arguments, cwd=cwd, stdin=stdin, environment=environment))
        if words[0] == "python" and words[1].startswith("scripts/"):
            return self._script(words[1:], cwd, environment)
        return 127, "", f"{line}: run it, or say in tests/docs/page_commands.py why not\n"

    def _script(self, words: list[str], cwd: Path, environment: dict) -> Answer:
        script, *arguments = words
        name, path = Path(script).stem, str(REPOSITORY / script)
        self.prepare(cwd, words)
        arguments = shortened_script(name, arguments)
        code, out, err = _ran(forked(path, *arguments, cwd=cwd, environment=environment))
        if SCRIPTS.get(name) == OFFLINE:
            expected = code == 1 and SAID_OFFLINE in err
            return (0 if expected else 1), out, err
        return code, out, err


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def _ran(result: subprocess.CompletedProcess[str]) -> Answer:
    return result.returncode, result.stdout, result.stderr


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        request = json.loads(self.rfile.readline())
        try:
            code, out, err = self.server.shell.answer(  # type: ignore[attr-defined]
                request["words"],
                Path(request["cwd"]),
                request["environment"],
                base64.b64decode(request["stdin"]),
            )
        except Exception as error:
            code, out, err = 126, "", f"{type(error).__name__}: {error}"
        streams = {name: base64.b64encode(text.encode()).decode() for name, text in
                   (("out", out), ("err", err))}  # fmt: skip
        self.wfile.write(json.dumps({"code": code, **streams}).encode() + b"\n")


@contextmanager
def shell(folder: Path, binaries: Path, address: Path, prepare: Prepare) -> Iterator[Shell]:
    """Yield a shell whose commands run while the context lasts."""
    binaries.mkdir()
    first_words = {known.split()[0] for known in NOT_RUN}
    for name in (*(f"seq2seq-{name}" for name in PACKAGE), "python", "torchrun", *first_words):
        path = binaries / name
        path.write_text(CLIENT.format(python=sys.executable, socket=str(address)))
        path.chmod(0o755)
    for name in SYSTEM:
        if found := shutil.which(name):
            (binaries / name).symlink_to(found)
    with socketserver.ThreadingUnixStreamServer(str(address), _Handler) as server:
        server.shell = Shell(folder, binaries, prepare)  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.shell  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()
