"""``seq2seq-predict``: write labels and their probabilities for lines of sentence pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from omegaconf import DictConfig

from seq2seq.cli.application import run
from seq2seq.cli.importing import quick_imports
from seq2seq.cli.lines import Skipped, check_files, chunks, decoded, progress, reader, writer
from seq2seq.cli.trusting import trust_packages

if TYPE_CHECKING:
    from seq2seq.models.pair_classifier import PairClassifier
    from seq2seq.tasks.entailment import Entailment


def predict_lines(config: DictConfig) -> None:
    """Classify all lines, ``buffer`` lines at a time, and write the results in order."""
    with quick_imports():
        from seq2seq.checkpoint import load_checkpoint
        from seq2seq.checkpoint.device import choose_device

    check_files(config.output, config.buffer, input=config.input)
    device = choose_device(config.device)
    trust_packages(config)
    checkpoint = load_checkpoint(config.checkpoint, device)
    task = checkpoint.task
    if task.labels is None:
        raise ValueError(
            f"checkpoint={config.checkpoint} does {type(task).__name__}, which has no labels; "
            f"use it with: {task.use} checkpoint={config.checkpoint}"
        )
    model, task = cast("PairClassifier", checkpoint.model), cast("Entailment", task)
    number, skipped = 0, Skipped(config.on_error)
    with (
        reader(config.input) as lines,
        writer(config.output) as out,
        progress(config.input, config.output) as advance,
    ):
        if config.header:
            out.write("\t".join(["label", *task.labels]) + "\n")
        for chunk in chunks(decoded(lines, config.input, skipped), config.buffer):
            pairs = [_pair(line, number + k, skipped) for k, line in enumerate(chunk, start=1)]
            number += len(chunk)
            predictions = task.predict(
                model,
                checkpoint.subwords,
                [pair for pair in pairs if pair is not None],
                batch_tokens=config.batch_tokens,
                device=device,
            )
            rows = iter(predictions.tolist())
            for pair in pairs:
                fields = [] if pair is None else _answer(next(rows), task.labels)
                out.write("\t".join(fields) + "\n")
            out.flush()
            advance(len(chunk))


def _answer(probabilities: list[float], labels: Sequence[str]) -> list[str]:
    best = labels[probabilities.index(max(probabilities))]
    return [best, *(f"{p:.6f}" for p in probabilities)]


def _pair(line: str, number: int, skipped: Skipped) -> tuple[str, str] | None:
    """Return premise and hypothesis; None for an empty or skipped line: its result is empty too.

    Raises:
        ValueError: if the line is not two texts separated by a tab, and is not skipped.
    """
    if not line.strip():
        return None
    texts = line.split("\t")
    if len(texts) != 2 or not all(text.strip() for text in texts):
        skipped.refuse(
            number,
            f"input line {number:,}: expected a premise, a tab and a hypothesis, got {line!r:.80}",
        )
        return None
    return texts[0], texts[1]


def main() -> None:
    """Entry point of ``seq2seq-predict``."""
    run(predict_lines, "predict")


if __name__ == "__main__":
    main()
