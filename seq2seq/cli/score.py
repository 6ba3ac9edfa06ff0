"""``seq2seq-score``: write how probable given outputs are, for lines of source and target."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from seq2seq.cli.application import run
from seq2seq.cli.importing import quick_imports
from seq2seq.cli.lines import (
    Skipped,
    check_files,
    chunks,
    decoded,
    finite,
    progress,
    reader,
    writer,
)
from seq2seq.cli.trusting import trust_packages

if TYPE_CHECKING:
    from seq2seq.trained import Score, TrainedModel

log = logging.getLogger(__name__)

FORMATS = ("text", "jsonl")


def score_lines(config: DictConfig) -> None:
    """Score all lines, ``buffer`` lines at a time, and write the results in order."""
    with quick_imports():
        from seq2seq.checkpoint import load_checkpoints
        from seq2seq.checkpoint.device import choose_device
        from seq2seq.trained import TrainedModel

    check_files(config.output, config.buffer, input=config.input)
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format} has to be {' or '.join(FORMATS)}")
    device = choose_device(config.device)
    trust_packages(config)
    model = TrainedModel(load_checkpoints(config.checkpoint, device), device)
    if not model.task.searches:
        raise ValueError(
            f"checkpoint={config.checkpoint} does {type(model.task).__name__}, which writes no "
            f"text; use it with: {model.task.use} checkpoint={config.checkpoint}"
        )
    number, skipped = 0, Skipped(config.on_error)
    with (
        reader(config.input) as lines,
        writer(config.output) as out,
        progress(config.input, config.output) as advance,
    ):
        for chunk in chunks(decoded(lines, config.input, skipped), config.buffer):
            pairs = [
                _pair(model, line, number + k, skipped) for k, line in enumerate(chunk, start=1)
            ]
            whole = [pair for pair in pairs if pair is not None]
            scores = iter(
                model.score(
                    [source for source, _ in whole],
                    [target for _, target in whole],
                    batch_tokens=config.batch_tokens,
                )
            )
            for pair in pairs:
                number += 1
                score = None if pair is None else next(scores)
                if config.format == "jsonl":
                    out.write(_record(number, score, skipped.reason(number)) + "\n")
                else:
                    out.write(_fields(score) + "\n")
            out.flush()
            advance(len(chunk))


def _fields(score: Score | None) -> str:
    if score is None:
        return ""
    length = len(score.tokens)
    return f"{score.log_probability:.6f}\t{score.log_probability / length:.6f}\t{length}"


def _record(number: int, score: Score | None, error: str | None) -> str:
    record: dict[str, Any] = {"line": number, "error": error}
    if score is not None:
        record |= {
            "log_probability": finite(score.log_probability),
            "mean": finite(score.log_probability / len(score.tokens)),
            "tokens": score.tokens,
            "token_log_probabilities": [finite(value) for value in score.token_log_probabilities],
        }
    return json.dumps(record, ensure_ascii=False)


def _pair(model: TrainedModel, line: str, number: int, skipped: Skipped) -> tuple[str, str] | None:
    """Return source and target; None for an empty or skipped line, whose result is empty.

    Raises:
        ValueError: if the line is not two texts separated by a tab, or one is longer than the model
            can read, and the line is not skipped.
    """
    if not line.strip():
        return None
    texts = line.split("\t")
    if len(texts) != 2 or not texts[0].strip():
        skipped.refuse(
            number,
            f"input line {number:,}: expected a source, a tab and a target, got {line!r:.80}",
        )
        return None
    source, target = texts
    if problem := model.too_long(source=[source], target=[target]):
        skipped.refuse(number, f"input line {number:,}: {problem}")
        return None
    return source, target


def main() -> None:
    """Entry point of ``seq2seq-score``."""
    run(score_lines, "score")


if __name__ == "__main__":
    main()
