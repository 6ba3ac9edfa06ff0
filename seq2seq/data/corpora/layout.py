"""Write a parallel corpus to files `train.de`, `validation.de`, …, for the scripts."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from seq2seq.system.atomic_writing import replacing
from seq2seq.system.errors import DataError


def lay_out(
    sides: Sequence[Iterable[str]],
    languages: Sequence[str],
    folder: str | Path,
    splits: Sequence[str],
    choose: Callable[[int], str],
) -> dict[str, int]:
    """Write every pair of lines to the files of one split; on an error, write no file.

    Args:
        sides: the lines of each side.
        languages: for each side the suffix of its files.
        folder: folder of the files `SPLIT.LANGUAGE`.
        splits: names of the splits.
        choose: function that returns the split of pair k, from 0.

    Returns:
        The number of pairs of each split.

    Raises:
        DataError: if one side has more lines than the other.
    """
    counts = dict.fromkeys(splits, 0)
    with contextlib.ExitStack() as stack:
        files = {}
        for split in splits:
            names = [Path(folder) / f"{split}.{language}" for language in languages]
            temporary = [stack.enter_context(replacing(name)) for name in names]
            files[split] = [
                stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
                for path in temporary
            ]
        for number, lines in enumerate(itertools.zip_longest(*sides)):
            if None in lines:
                short = languages[lines.index(None)]
                raise DataError(
                    f"the {short} side ends after line {number:,}, but the other does not"
                )
            split = choose(number)
            counts[split] += 1
            for file, line in zip(files[split], lines, strict=True):
                file.write(line + "\n")
    return counts


def spread(total: int, held_out: int) -> Callable[[int], str]:
    """Return a function that spreads `validation` and `test` evenly; the rest is `train`.

    Args:
        total: number of pairs.
        held_out: number of pairs of `validation`, and of `test`.

    Raises:
        DataError: if more than a quarter of the pairs would be held out.
    """
    if held_out < 1 or 8 * held_out > total:
        raise DataError(
            f"{held_out:,} pairs each for validation and test are too many of {total:,} pairs; "
            "give a smaller --held-out"
        )
    step = total // held_out
    last = held_out * step

    def choose(number: int) -> str:
        place = number % step if number < last else -1
        return {0: "validation", step // 2: "test"}.get(place, "train")

    return choose
