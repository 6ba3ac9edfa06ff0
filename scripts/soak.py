"""Train with accidents, and end with the weights of a run that had none, to the last bit.

    python scripts/soak.py --minutes 60 --seed 1

A small model learns the embedded toy corpus, by the command that users type. At random moments it
is killed (SIGKILL), asked to stop (SIGTERM, SIGINT, SIGHUP), or finds the disk full (a limit on the
size of files, half way through a write); between two starts its newest saved state is cut short or
changed in some bytes. Each time it is resumed. When time is up it trains some steps more in peace;
then another run makes as many steps undisturbed, and all weights, the state of training and the
scores of both are compared.

The exit code is 0 if they are the same and no process ended as it should not have.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

SAVE_EVERY = 6
TRAINING = [
    *("data.corpus.train_size=400", "data.corpus.validation_size=8", "data.corpus.test_size=8"),
    *("data.subwords.size=500", "data.subwords.sampling.alpha=0.1", "data.batch.tokens=800"),
    *("model.hidden_size=24", "model.embedding_size=24", "model.dropout=0.2"),
    *("attention=fusedmax", "optimizer=adamw", "schedule=constant"),
    *("trainer.accelerator=cpu", "trainer.accumulate_grad_batches=2"),
    *("trainer.log_every_n_steps=1", f"validation.every_n_steps={SAVE_EVERY}"),
    *("validation.heat_maps=0", "validation.patience=1000000"),
]
SIGNALS = {name: getattr(signal, f"SIG{name}") for name in ("KILL", "TERM", "INT", "HUP")}
#: How often each accident happens, once all have; the last come first.
ACCIDENTS = {"HUP": 1, "INT": 2, "TERM": 2, "KILL": 6, "disk full": 3, "damage": 4}
#: Seconds after an accident in which a process has to end.
PATIENCE = 900
STATES = ("resume.ckpt", "resume.previous.ckpt")


@dataclass
class Start:
    """One start of the command, and how it ended."""

    accident: str
    first: int | None
    last: int | None
    code: int
    seconds: float


class Soak:
    """A run that meets accidents.

    Args:
        folder: of both runs.
        seed: draws accidents and their moments.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.run = folder / "disturbed"
        self.random = random.Random(seed)
        self.starts: list[Start] = []
        self.to_first_step = 5.0  # seconds, of the last start that came so far
        self.log_read = 0

    def disturb(self, minutes: float, accidents: int | None) -> None:
        """Start, have an accident, start again, until time is up or there were enough."""
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until and (accidents is None or len(self.starts) < accidents):
            self._start(self._choose())

    def finish(self) -> int:
        """Train some steps more in peace; the number of the last step."""
        last = max((start.last or 0 for start in self.starts), default=0) + SAVE_EVERY + 1
        self._start("none", f"trainer.max_steps={last}")
        return last

    def _choose(self) -> str:
        names = dict(ACCIDENTS)
        if not (self.run / STATES[0]).is_file():
            del names["disk full"]
        if not all((self.run / name).is_file() for name in STATES):
            del names["damage"]  # the newest state is not to be the only one
        if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
            del names["HUP"]  # under nohup, where the command ignores it too
        # Each kind before any comes again, so that short soaks have all.
        seen = {start.accident for start in self.starts}
        if new := [name for name in names if name not in seen]:
            return new[-1]
        return self.random.choices([*names], [*names.values()])[0]

    def _start(self, accident: str, *limits: str) -> None:
        """Start the command, and let an accident happen to it."""
        if accident == "damage":
            self._damage(self.run / STATES[0])
        print(f"start {len(self.starts) + 1}: {accident} … ", end="", flush=True)
        began = time.monotonic()
        with (self.folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "seq2seq.cli.train", *self._arguments(*limits)],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
            steps: list[int] = []
            if accident != "none":
                self._wait(process, steps, began)
                if process.poll() is None:
                    self._strike(process, accident)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                sys.exit(f"{accident} did not end the process:\n{self._output()}")
        steps += self._new_steps()
        code, seconds = process.returncode, time.monotonic() - began
        first, last = (steps[0], steps[-1]) if steps else (None, None)
        self.starts.append(Start(accident, first, last, code, seconds))
        print(f"steps {first} to {last}, exit code {code}, {seconds:.0f} s", flush=True)
        self._check(accident, code)

    def _arguments(self, *limits: str) -> list[str]:
        limits = limits or ("trainer.max_steps=1000000",)
        if any((self.run / name).is_file() for name in STATES):
            return [f"resume={self.run}", *limits]
        return [*TRAINING, f"hydra.run.dir={self.run}", *limits]

    def _wait(self, process: subprocess.Popen[bytes], steps: list[int], began: float) -> None:
        """Until some moment before the first step, or some steps after it."""
        early = self.random.random() < 0.25 and any(start.first for start in self.starts)
        number = self.random.randint(1, 3 * SAVE_EVERY)
        moment = began + self.random.uniform(0.1, 1.0) * self.to_first_step
        while process.poll() is None:
            steps += self._new_steps()
            if len(steps) == 1:
                self.to_first_step = time.monotonic() - began
            if time.monotonic() > moment if early else len(steps) >= number:
                return time.sleep(self.random.uniform(0, 0.2))
            time.sleep(0.01)

    def _strike(self, process: subprocess.Popen[bytes], accident: str) -> None:
        if accident in SIGNALS:
            process.send_signal(SIGNALS[accident])
        elif accident == "damage":
            process.kill()
        elif accident == "disk full":
            import resource

            state = self.run / STATES[0]
            size = int(self.random.uniform(0.2, 0.95) * state.stat().st_size)
            limit = (size, resource.RLIM_INFINITY)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)

    def _damage(self, path: Path) -> None:
        """Cut a file short, or change some of its bytes."""
        content = bytearray(path.read_bytes())
        if self.random.random() < 0.5:
            del content[self.random.randrange(len(content)) :]
        else:
            for _ in range(16):
                content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
        path.write_bytes(content)

    def _check(self, accident: str, code: int) -> None:
        """End the soak where a process ended as it should not have.

        A signal that comes before the command listens ends it as signals do.
        """
        number = SIGNALS.get(accident, signal.SIGKILL)
        expected = {-number, 128 + number} if accident != "disk full" else {1}
        if accident == "none":
            expected = {0}
        if code not in expected:
            sys.exit(f"exit code {code} after {accident}:\n{self._output()}")

    def _output(self) -> str:
        return (self.folder / "output.txt").read_text(errors="replace")

    def _new_steps(self) -> list[int]:
        """Return the steps that the run has logged since the last call."""
        log = self.run / "train.log"
        if not log.is_file():
            return []
        with log.open("rb") as file:
            file.seek(self.log_read)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self.log_read += len(new)
        return [int(step) for step in re.findall(rb"step (\d+)/", new)]

    def report(self) -> str:
        """Return what happened."""
        seen = Counter(start.accident for start in self.starts[:-1])
        pairs = [s for s in self.starts if s.first is not None]
        lost = sum(
            before.last - after.first + 1
            for before, after in itertools.pairwise(pairs)
            if before.last is not None and after.first is not None
        )
        log = (self.run / "train.log").read_text()
        return (
            f"accidents: {', '.join(f'{n} {name}' for name, n in seen.most_common())}\n"
            f"starts: {len(self.starts)}, of which {len(self.starts) - len(pairs)} ended before a "
            f"step was logged\nsteps: {pairs[-1].last}, and {lost} made again after an accident\n"
            f"states found damaged, the one before used: {log.count('is damaged')}"
        )


def undisturbed(folder: Path, last: int) -> Path:
    """Train a run of ``last`` steps without accidents."""
    run = folder / "undisturbed"
    command = [sys.executable, "-m", "seq2seq.cli.train", *TRAINING, f"hydra.run.dir={run}"]
    result = subprocess.run(
        [*command, f"trainer.max_steps={last}"], cwd=folder, capture_output=True, text=True
    )
    if result.returncode:
        sys.exit(f"the undisturbed run failed:\n{result.stdout}{result.stderr}")
    return run


def differences(first: Path, second: Path) -> list[str]:
    """Return the differences of two runs: weights of all checkpoints, training state, scores."""
    found = []
    names = [sorted(p.name for p in (run / "checkpoints").iterdir()) for run in (first, second)]
    if names[0] != names[1]:
        found.append(f"checkpoints: {names[0]} and {names[1]}")
    for name in {*names[0]} & {*names[1]}:
        paths = [run / "checkpoints" / name / "model.safetensors" for run in (first, second)]
        if not _same(*(load_file(str(path)) for path in paths)):
            found.append(f"weights of {name}")
    states = [_compared(torch.load(run / STATES[0], weights_only=True)) for run in (first, second)]
    for key in states[0]:
        if not _same(states[0][key], states[1][key]):
            found.append(f"{key} of the state of training")
    for name in ("metrics.json", "hypotheses.test.txt"):
        texts = [(run / name).read_text() for run in (first, second)]
        if texts[0] != texts[1]:
            found.append(name)
    return found


def _compared(state: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of a training state that must be equal in two runs; times may differ.

    Lightning does not count an epoch as begun where a run goes on within it; nothing reads that.
    """
    del state["loops"]["fit_loop"]["epoch_progress"]
    keys = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "global_step")
    random_states = [
        c["random_states"] for c in state["callbacks"].values() if "random_states" in c
    ]
    return {key: state[key] for key in keys} | {"random states": random_states}


def _same(first: Any, second: Any) -> bool:
    """Whether nested data is the same to the bit."""
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    return bool(first == second)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="of accidents (60)")
    parser.add_argument("--accidents", type=int, help="end earlier, after so many")
    parser.add_argument("--seed", type=int, default=1, help="draws accidents and moments (1)")
    parser.add_argument("--folder", type=Path, help="keep both runs here; default: nowhere")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of a shell
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("SEQ2SEQ_CACHE", str(folder / "cache"))
        soak = Soak(folder, given.seed)
        soak.disturb(given.minutes, given.accidents)
        last = soak.finish()
        print(soak.report(), flush=True)
        found = differences(soak.run, undisturbed(folder, last))
        print(f"different: {'; '.join(found)}" if found else "the undisturbed run is the same")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
