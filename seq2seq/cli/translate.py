"""``seq2seq-translate``: translate lines, in order, as they arrive."""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from seq2seq.cli.application import run
from seq2seq.cli.importing import quick_imports
from seq2seq.cli.launch import follow, lead, leads
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
    from seq2seq.system.processes import Group
    from seq2seq.trained import Output

log = logging.getLogger(__name__)

FORMATS = ("text", "jsonl")
UNITS = ("word", "subword")


def translate_lines(config: DictConfig, folder: Path, group: Group) -> None:
    """Translate all lines, ``buffer`` lines at a time, and write the translations in order.

    Args:
        config: the composed configuration.
        folder: folder in which the command was started.
        group: processes that share the lines; the first one reads and writes.
    """
    with quick_imports():
        from hydra.utils import instantiate

        from seq2seq.checkpoint import load_checkpoints
        from seq2seq.checkpoint.device import choose_device
        from seq2seq.tasks.writer import Writer
        from seq2seq.trained import TrainedModel

    _check(config)
    device = choose_device(config.device, group)
    trust_packages(config)
    checkpoint = load_checkpoints(config.checkpoint, device)
    trained = TrainedModel(checkpoint, device)
    task = trained.task
    if not task.searches:
        raise ValueError(
            f"checkpoint={config.checkpoint} does {type(task).__name__}, which writes no text; "
            f"use it with: {task.use} checkpoint={config.checkpoint}"
        )
    search = instantiate(config.search, _convert_="all")
    attends = config.return_attention is not None or config.alignments is not None
    writes = Writer(trained.model, checkpoint.subwords, search, return_attention=attends)
    longest = config.max_source_length
    if trained.model.max_length is not None:
        longest = min(longest, trained.model.max_length - 1)
    number, skipped = 0, Skipped(config.on_error)
    files = (config.input, config.prefix, config.output, config.alignments)
    own = files if group.leads else (None, None, os.devnull, None)
    with (
        reader(own[0]) as lines,
        reader(own[1]) as beginnings,
        writer(own[2]) as out,
        writer(own[3] or os.devnull) as links,
        progress(config.input if group.leads else "-", config.output) as advance,
    ):
        pairs = _paired(decoded(lines, config.input, skipped), beginnings, config)
        read = chunks(pairs, config.buffer)
        while chunk := group.from_first(next(read, []) if group.leads else []):
            sentences, prefixes = zip(*chunk, strict=True)
            results = writes.write_texts(
                sentences,
                prefixes,
                batch_tokens=config.batch_tokens,
                max_source_length=longest,
                device=device,
                group=group,
            )
            for sentence, written in zip(sentences, results, strict=True):
                number += 1
                length = len(checkpoint.subwords.source.encode(sentence))
                _warn_if_cut(number, length, longest)
                output = trained.output(sentence, written)
                if config.format == "jsonl":
                    record = _record(number, output, config.return_attention)
                    record |= {"source_truncated": length > longest}
                    record |= {"error": skipped.reason(number)}
                    out.write(json.dumps(record, ensure_ascii=False) + "\n")
                else:
                    for line in _written(number, output, config.search.get("n_best", 1)):
                        out.write(f"{line}\n")
                if config.alignments is not None:
                    links.write(f"{output.alignment if sentence.strip() else ''}\n")
            out.flush()
            advance(len(chunk))


def _check(config: DictConfig) -> None:
    """Raise `ValueError` for files and formats that do not go together."""
    check_files(config.output, config.buffer, input=config.input, prefix=config.prefix)
    if config.alignments is not None:
        others = {"input": config.input, "prefix": config.prefix, "output": config.output}
        check_files(config.alignments, config.buffer, **others, key="alignments")
        if config.alignments == "-":
            raise ValueError("alignments=- is standard output; give the name of a file")
    unit = config.return_attention
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format} has to be {' or '.join(FORMATS)}")
    if unit not in (None, *UNITS):
        raise ValueError(f"return_attention={unit} has to be {' or '.join(UNITS)} or null")
    if unit is not None and config.format != "jsonl":
        raise ValueError(
            f"return_attention={unit} is written as JSON; set format=jsonl, or write word "
            "alignments with alignments=FILE"
        )


def _record(number: int, output: Output, unit: str | None) -> dict[str, Any]:
    """Return an output, and the other outputs for its line, as plain values."""
    record: dict[str, Any] = {
        "line": number,
        "text": output.text,
        "score": finite(output.score),
        "log_probability": finite(output.log_probability),
        "tokens": output.tokens,
    }
    attention = output.word_attention if unit == "word" else output.attention
    if unit is not None and attention is not None:
        record["alignment"] = output.alignment
        record["attention"] = {
            "source": attention.source,
            "target": attention.target,
            "weights": _shortened(attention.weights.tolist()),
        }
    if output.alternatives:
        others = [_record(number, other, unit) for other in output.alternatives]
        record["alternatives"] = [{k: v for k, v in o.items() if k != "line"} for o in others]
    return record


def _shortened(weights: Any) -> Any:
    """Return nested lists of numbers with 6 digits; only a weight of exactly 0 becomes 0."""
    if isinstance(weights, list):
        return [_shortened(inner) for inner in weights]
    return float(f"{weights:.6g}")


def _written(number: int, output: Output, n_best: int) -> list[str]:
    """Return the output lines of input line ``number``: always ``n_best`` of them.

    The last hypothesis fills the places of those that the search did not find. There is only one
    for an empty line, and with a sparse output mapping there may be fewer than ``n_best``.
    """
    lines = []
    for one in (output, *output.alternatives):
        text = " ".join(one.text.splitlines())
        lines.append(f"{number} ||| {text} ||| {one.score:.6f}" if n_best > 1 else text)
    return lines + lines[-1:] * (n_best - len(lines))


def _warn_if_cut(number: int, length: int, longest: int) -> None:
    if length > longest:
        log.warning(
            "line %s has %s subwords; the part after the first %s is ignored (max_source_length)",
            f"{number:,}",
            f"{length:,}",
            f"{longest:,}",
        )


def _paired(
    lines: Iterator[str], beginnings: Iterable[bytes], config: DictConfig
) -> Iterator[tuple[str, str]]:
    """Yield each line with its prefix.

    Raises:
        ValueError: if one file ends before the other.
    """
    if config.prefix is None:
        yield from zip(lines, itertools.repeat(""))
        return
    prefixes = decoded(beginnings, config.prefix)
    for number, (line, prefix) in enumerate(itertools.zip_longest(lines, prefixes), start=1):
        if line is None or prefix is None:
            short, long = ("input", "prefix") if line is None else ("prefix", "input")
            raise ValueError(
                f"{short} {config[short]} ends before line {number:,}, which {long} "
                f"{config[long]} has; write one prefix per line, or an empty line for none"
            )
        yield line, prefix


def main() -> None:
    """Entry point of ``seq2seq-translate``."""
    if not leads():
        follow(translate_lines)
        return
    run(lambda config: lead(translate_lines, config), "translate")


if __name__ == "__main__":
    main()
