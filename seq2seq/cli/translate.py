"""``seq2seq-translate``: translate lines, in order, as they arrive."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig

from seq2seq.cli.application import run
from seq2seq.cli.importing import quick_imports
from seq2seq.cli.launch import follow, lead, leads
from seq2seq.cli.lines import check_files, chunks, decoded, reader, writer
from seq2seq.cli.trusting import trust_packages

if TYPE_CHECKING:
    from seq2seq.models.encoder_decoder import Decodable
    from seq2seq.system.processes import Group
    from seq2seq.tasks.generation import Generation

log = logging.getLogger(__name__)


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

    check_files(config.output, config.buffer, input=config.input, prefix=config.prefix)
    device = choose_device(config.device, group)
    trust_packages(config)
    checkpoint = load_checkpoints(config.checkpoint, device)
    task = checkpoint.task
    if not task.searches:
        raise ValueError(
            f"checkpoint={config.checkpoint} does {type(task).__name__}, which writes no text; "
            f"use it with: {task.use} checkpoint={config.checkpoint}"
        )
    model, task = cast("Decodable[Any]", checkpoint.model), cast("Generation", task)
    search = instantiate(config.search, _convert_="all")
    n_best = config.search.get("n_best", 1)
    subwords = checkpoint.subwords
    longest = config.max_source_length
    if model.max_length is not None:
        longest = min(longest, model.max_length - 1)
    number = 0
    own = (config.input, config.prefix, config.output) if group.leads else (None, None, os.devnull)
    with reader(own[0]) as lines, reader(own[1]) as beginnings, writer(own[2]) as out:
        pairs = _paired(decoded(lines, config.input), beginnings, config)
        read = chunks(pairs, config.buffer)
        while chunk := group.from_first(next(read, []) if group.leads else []):
            sentences, prefixes = zip(*chunk, strict=True)
            for place, line in enumerate(sentences, start=number + 1):
                _warn_if_cut(place, len(subwords.source.encode(line)), longest)
            for hypotheses in task.generate(
                model,
                subwords,
                sentences,
                search,
                prefixes=prefixes,
                batch_tokens=config.batch_tokens,
                max_source_length=longest,
                device=device,
                group=group,
            ):
                number += 1
                for line in _written(number, hypotheses, n_best):
                    out.write(f"{line}\n")
            out.flush()


def _written(number: int, hypotheses: list[tuple[str, float]], n_best: int) -> list[str]:
    """Return the output lines of input line ``number``: always ``n_best`` of them.

    The last hypothesis fills the places of those that the search did not find. There is only one
    for an empty line, and with a sparse output mapping there may be fewer than ``n_best``.
    """
    lines = []
    for text, score in hypotheses:
        text = " ".join(text.splitlines())
        lines.append(f"{number} ||| {text} ||| {score:.6f}" if n_best > 1 else text)
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
