"""The runs behind docs/results.csv: list what is done and what is missing, and run the next ones.

    python scripts/study.py list                                  # how far each study is
    python scripts/study.py table toy_2000                        # its rows, mean ± deviation
    python scripts/study.py run --corpora DIR --only toy_2000     # the missing runs, one by one
    python scripts/study.py run --corpora DIR --shard 0/2         # half of them; 1/2: the others

A finished run becomes a row of docs/results.csv, with its command and commit. A run that was
stopped is resumed from its folder. ``scripts/study.yaml`` holds the studies; ``DIR`` is the folder
above those of the corpora.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "docs" / "results.csv"
#: The measures of a row: the name in the file, and where ``metrics.json`` has it.
MEASURES = {
    "bleu": "bleu.score",
    "chrf": "chrf.score",
    "rouge_1": "rouge_1.score",
    "rouge_2": "rouge_2.score",
    "rouge_l": "rouge_l.score",
    "accuracy": "accuracy.score",
    "support_size": "attention.overall.support_size",
    "zero_share": "attention.overall.zero_share",
    "run_length": "attention.overall.run_length",
    "group_size": "attention.overall.group_size",
    "one_word_share": "attention.overall.one_word_share",
    "aer": "alignment.overall.aer",
    "segment_exact": "alignment.overall.segment_exact",
    "segment_mass": "alignment.overall.segment_mass",
}
COLUMNS = ("study", "attention", "seed", "validation", *MEASURES, "commit", "command")


@dataclass(frozen=True)
class Run:
    """One training run of a study.

    Attributes:
        study: its name in ``study.yaml``.
        attention: the label of the attention there.
        seed: of the run.
        arguments: of ``seq2seq-train``, without the folder of the corpus.
        corpus: the folder of the corpus below that of all corpora; None: an embedded corpus.
    """

    study: str
    attention: str
    seed: int
    arguments: tuple[str, ...]
    corpus: str | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies a row."""
        return self.study, self.attention, str(self.seed)

    @property
    def folder(self) -> Path:
        """The run folder."""
        label = self.attention.replace(" ", "-").replace("γ=", "g").replace("λ=", "l")
        return REPOSITORY / "runs" / "study" / self.study / f"{label}-{self.seed}"

    def command(self, root: str) -> list[str]:
        """Return the arguments of ``seq2seq-train`` with the corpus in ``root``."""
        place = [f"data.root={root}"] if self.corpus else []
        return [*self.arguments, f"seed={self.seed}", *place]


def all_runs() -> list[Run]:
    """Return the runs of all studies, seed by seed."""
    plan = yaml.safe_load((REPOSITORY / "scripts" / "study.yaml").read_text(encoding="utf-8"))
    runs = []
    for name, study in plan["studies"].items():
        attentions = {key: text for part in study["attentions"] for key, text in part.items()}
        for seed in study.get("seeds", plan["seeds"]):
            for label, text in attentions.items():
                arguments = (*study["arguments"].split(), *text.split())
                runs.append(Run(name, label, seed, arguments, study.get("corpus")))
    return runs


def done() -> set[tuple[str, str, str]]:
    """Return the keys of the rows that are there."""
    if not RESULTS.exists():
        return set()
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return {(row["study"], row["attention"], row["seed"]) for row in csv.DictReader(file)}


def measures(folder: Path) -> dict[str, str]:
    """Return the measures of a finished run: of the test split, and the monitored one's best."""
    test = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["test"]
    values = {name: at(test, place) for name, place in MEASURES.items()}
    best = json.loads((folder / "checkpoints" / "best" / "metrics.json").read_text("utf-8"))
    name = next(name for name in ("bleu", "rouge_l", "accuracy") if name in test)
    values["validation"] = at(best["validation"], f"{name}.score")
    return {name: "" if value is None else f"{value:.6g}" for name, value in values.items()}


def at(node: Any, place: str) -> float | None:
    """Return the number at a dotted place, or None."""
    for part in place.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node if isinstance(node, int | float) else None


def commit() -> str:
    """Return the commit that is checked out, with a + if files are changed."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def append(run: Run, version: str) -> None:
    """Add the row of a finished run."""
    study, attention, seed = run.key
    command = shlex.join(["seq2seq-train", *run.command("DIR")])
    row = {"study": study, "attention": attention, "seed": seed, **measures(run.folder)}
    row |= {"commit": version, "command": command}
    with FileLock(f"{RESULTS}.lock"):
        fresh = not RESULTS.exists()
        with RESULTS.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerow(row)


def train(run: Run, corpora: str | None) -> bool:
    """Make or resume a run; return whether it ended well."""
    if run.corpus and corpora is None:
        raise SystemExit(f"{run.study} reads {run.corpus}: give --corpora DIR, the folder above it")
    if (run.folder / "metrics.json").exists():  # it ended, and then this script was stopped
        return True
    if (run.folder / "resume.ckpt").exists():
        arguments = [f"resume={run.folder}"]
    else:
        arguments = [*run.command(f"{corpora}/{run.corpus}"), f"hydra.run.dir={run.folder}"]
    command = [sys.executable, "-m", "seq2seq.cli.train", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=REPOSITORY, env=environment).returncode == 0


def missing(only: list[str], finished: set[tuple[str, str, str]]) -> Iterator[Run]:
    """Yield the runs without a row, of the studies (or ``study/attention``) named, or of all."""
    for run in all_runs():
        chosen = not only or run.study in only or f"{run.study}/{run.attention}" in only
        if chosen and run.key not in finished:
            yield run


def table(study: str) -> Iterator[str]:
    """Yield the lines of a Markdown table: mean ± standard deviation over the seeds of a study.

    Raises:
        SystemExit: if the study has no row.
    """
    with RESULTS.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["study"] == study]
    if not rows:
        raise SystemExit(f"{RESULTS} has no row of {study}")
    names = [name for name in MEASURES if any(row[name] for row in rows)]
    yield "| attention | seeds | " + " | ".join(names) + " |"
    yield "|---" * (2 + len(names)) + "|"
    for attention in dict.fromkeys(row["attention"] for row in rows):
        same = [row for row in rows if row["attention"] == attention]
        cells = [spread([float(row[name]) for row in same]) for name in names]
        yield f"| {attention} | {len(same)} | " + " | ".join(cells) + " |"


def spread(values: list[float]) -> str:
    """Return the mean, and behind ± the sample standard deviation of several values."""
    mean = statistics.mean(values)
    digits = 2 if abs(mean) >= 1 else 3
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{deviation}"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("action", choices=("list", "run", "table"))
    parser.add_argument("study", nargs="?", help="of the table")
    parser.add_argument("--corpora", help="folder that holds the folders of the corpora")
    parser.add_argument("--only", nargs="*", default=[], help="studies, or STUDY/ATTENTION")
    parser.add_argument("--seeds", nargs="*", type=int, help="these only")
    parser.add_argument("--shard", default="0/1", help="K/N: every N-th missing run from the K-th")
    arguments = parser.parse_args()
    if arguments.action == "table":
        print("\n".join(table(arguments.study)))
        return
    if arguments.action == "list":
        finished = done()
        for study in dict.fromkeys(run.study for run in all_runs()):
            runs = [run for run in all_runs() if run.study == study]
            left = [f"{run.attention} {run.seed}" for run in runs if run.key not in finished]
            print(f"{study}: {len(runs) - len(left)} of {len(runs)}; missing: {', '.join(left)}")
        return
    shard, shards = map(int, arguments.shard.split("/"))
    runs = [
        run
        for run in missing(arguments.only, done())
        if arguments.seeds is None or run.seed in arguments.seeds
    ]
    for run in runs[shard::shards]:
        version = commit()
        if run.key not in done() and train(run, arguments.corpora):
            append(run, version)


if __name__ == "__main__":
    main()
