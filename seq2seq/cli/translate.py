"""``seq2seq-translate``: lines in, translations out, in the same order, as they come."""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO, cast

from omegaconf import DictConfig

from seq2seq.cli.application import run

log = logging.getLogger(__name__)


def translate_lines(config: DictConfig) -> None:
    """Read ``buffer`` lines, translate them together, write them, until there are no more."""
    from hydra.utils import instantiate

    from seq2seq.checkpoint import load_checkpoint
    from seq2seq.cli.device import choose_device
    from seq2seq.models.encoder_decoder import EncoderDecoder
    from seq2seq.tasks.generation import Generation

    if config.buffer < 1:
        raise ValueError(f"buffer must be at least 1 line, got {config.buffer}")
    if config.output != "-" and Path(config.input).resolve() == Path(config.output).resolve():
        raise ValueError(f"input and output are the same file, {config.input}: nothing was written")
    device = choose_device(config.device)
    checkpoint = load_checkpoint(config.checkpoint, device)
    task = checkpoint.task
    if not isinstance(task, Generation):
        raise ValueError(
            f"checkpoint={config.checkpoint} does {type(task).__name__}, which writes no text"
        )
    model = cast(EncoderDecoder, checkpoint.model)  # of this task
    search = instantiate(config.search)
    numbered = config.search.get("n_best", 1) > 1
    subwords = checkpoint.subwords
    longest = config.max_source_length
    if model.max_length is not None:
        longest = min(longest, model.max_length - 1)
    number = 0
    with _reader(config.input) as lines, _writer(config.output) as out:
        for chunk in _chunks(_decoded(lines, config.input), config.buffer):
            for offset, line in enumerate(chunk):
                length = len(subwords.source.encode(line))
                if length > longest:
                    log.warning(
                        "line %s has %s subwords; the part after the first %s is left out "
                        "(max_source_length)",
                        f"{number + offset + 1:,}",
                        f"{length:,}",
                        f"{longest:,}",
                    )
            for hypotheses in task.generate(
                model,
                subwords,
                chunk,
                search,
                batch_tokens=config.batch_tokens,
                max_source_length=longest,
                device=device,
            ):
                number += 1
                for text, score in hypotheses:
                    text = " ".join(text.splitlines())  # one line in, one line out
                    out.write(f"{number} ||| {text} ||| {score:.6f}\n" if numbered else f"{text}\n")
            out.flush()


def _decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines as text, without their ends.

    Raises:
        ValueError: at the first line that is not UTF-8.
    """
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"input {name}: line {number:,} is not UTF-8 ({error})") from error


def _chunks(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    while chunk := list(itertools.islice(lines, size)):
        yield chunk


def _reader(name: str) -> contextlib.AbstractContextManager[Iterable[bytes]]:
    if name == "-":
        return contextlib.nullcontext(iter(sys.stdin.buffer.readline, b""))
    return Path(name).open("rb")


def _writer(name: str) -> contextlib.AbstractContextManager[TextIO]:
    if name == "-":
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        return contextlib.nullcontext(sys.stdout)
    return Path(name).open("w", encoding="utf-8")


def main() -> None:
    """Entry point of ``seq2seq-translate``."""
    run(translate_lines, "translate")


if __name__ == "__main__":
    main()
