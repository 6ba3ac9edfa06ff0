"""Metrics as a table for the terminal and as metrics.json; outputs as text files."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from seq2seq.data.corpora.lines import read_lines
from seq2seq.system.atomic_writing import replacing
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import LARGEST_JSON, parse_json, read_bounded


def metrics_table(metrics: Mapping[str, Any], title: str | None = None) -> Table:
    """Return a table of an evaluation: scores with signatures, attention statistics, alignment.

    Args:
        metrics: metrics of one split by name. Each is a score ``{"score": …, "signature": …}``
            (optionally with a confidence ``interval``), a number, or a summary with an ``overall``
            part (``attention``, ``alignment``).
        title: title above the table; None: no title.
    """
    table = Table(title=Text(title, "bold") if title else None, title_justify="left")
    table.add_column("measure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("signature, details", style="dim", overflow="fold")
    sections = {name: part["overall"] for name, part in metrics.items() if _is_summary(part)}
    above = ""
    for name, value in metrics.items():
        if name not in sections:
            for measure, shown, signature in _rows(name, value):
                repeated = signature != "" and signature == above
                details = "as above" if repeated else signature
                table.add_row(Text(measure), Text(shown), _Fields(details))
                above = signature
    if sections:
        table.caption = "docs/scores.md explains each row"
    for name, overall in sections.items():
        table.add_section()
        table.add_row(Text(name, style="bold"), "", "")
        for key, value in overall.items():
            table.add_row(f"  {key.replace('_', ' ')}", _number(value), "")
    return table


class _Fields:
    """Renderable signature that wraps after the bars between its fields, not inside a field."""

    def __init__(self, signature: str) -> None:
        self.parts = [f"{part}|" for part in signature.split("|")]
        self.parts[-1] = self.parts[-1][:-1]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        most = sum(map(len, self.parts))
        return Measurement(min(max(map(len, self.parts)), options.max_width), most)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [""]
        for part in self.parts:
            if lines[-1] and len(lines[-1]) + len(part) > options.max_width:
                lines.append("")
            lines[-1] += part
        yield Text("\n".join(lines), overflow="fold")


def _is_summary(part: Any) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("overall"), Mapping)


def _rows(name: str, value: Any) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and signature: one row for a score, one row per entry of a mapping."""
    if isinstance(value, Mapping) and "score" in value:
        interval = "[{:.2f}, {:.2f}]".format(*value["interval"]) if "interval" in value else ""
        shown = f"{value['score']:.2f} {interval}".rstrip()
        yield name, shown, str(value.get("signature", ""))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _rows(f"{name} {key}", inner)
    else:
        yield name.replace("_", " "), _number(value), ""


def _number(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_metrics(path: str | Path) -> dict[str, Any]:
    """Read ``metrics.json``; return an empty dictionary if the file does not exist.

    Raises:
        ValueError: if the file cannot be read or is not a JSON object.
    """
    path = Path(path)
    try:
        metrics = parse_json(read_bounded(path, LARGEST_JSON, "file of metrics"))
    except FileNotFoundError:
        return {}
    except DataError as error:
        raise ValueError(
            f"{path} cannot be read: {error}; move it away, and a new file will be written"
        ) from error
    if not isinstance(metrics, dict):
        raise ValueError(
            f"{path} is not a JSON object of splits; move it away, and a new file will be written"
        )
    return metrics


def write_metrics(path: str | Path, metrics: Mapping[str, Any]) -> None:
    """Write ``{split: measures}`` to ``metrics.json``; other splits in the file stay.

    Keys are sorted, so equal metrics give equal files. NaN and infinities become null, because JSON
    does not have them. The file is replaced atomically: a reader never sees a partial file, and a
    crash leaves the old one.
    """
    path = Path(path)
    merged = read_metrics(path) | {split: _plain(part) for split, part in metrics.items()}
    text = json.dumps(merged, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with replacing(path, lasting=True) as draft:
        draft.write_text(text + "\n", encoding="utf-8", newline="\n")


def _plain(value: Any) -> Any:
    """Convert to JSON types: tensors and NumPy numbers to numbers, NaN and infinities to None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def value_lines(values: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the lines of ``example_scores.jsonl``: for each example, its value of each score.

    The scores must be means over examples: the mean of a score's values is the score, in the same
    unit. ``seq2seq-compare`` tests differences with these values.
    """
    rows = zip(*values.values(), strict=True)
    return [json.dumps(dict(zip(values, map(float, row), strict=True))) for row in rows]


def reference_lines(references: Sequence[Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the outputs ``references.txt``, ``references_2.txt``, …: one per reference set."""
    return {
        f"references{f'_{number}' if number > 1 else ''}.txt": lines
        for number, lines in enumerate(references, start=1)
    }


def statistics_lines(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of ``attention.csv``: one per statistic, layer, head and bucket."""
    columns = ("statistic", "layer", "head", "by", "minimum", "maximum", "value", "tokens")
    lines = [",".join(columns)]
    for record in records:
        cells = ("" if record[name] is None else str(record[name]) for name in columns)
        lines.append(",".join(cells))
    return lines


def read_texts(path: str | Path) -> list[str]:
    """Read the lines of a file without trailing blanks; decompress ``.gz``, ``.bz2`` and ``.xz``.

    The file may also be a pipe.

    Raises:
        FileNotFoundError: if the file does not exist.
        DataError: if it is not UTF-8 or damaged.
    """
    path = Path(os.path.expanduser(path))
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    return [line.rstrip() for _, line in read_lines(path)]


def write_outputs(
    folder: str | Path, split: str, outputs: Mapping[str, Sequence[str]]
) -> list[Path]:
    """Write the outputs of a model on a split, one line per example.

    ``hypotheses.txt`` of the split ``test`` is written to ``hypotheses.test.txt``, atomically. Line
    breaks inside an output become spaces.

    Returns:
        The paths of the files.
    """
    paths = []
    for name, lines in outputs.items():
        stem, suffix = os.path.splitext(name)
        path = Path(folder) / f"{stem}.{split}{suffix}"
        text = "".join(f"{' '.join(line.splitlines())}\n" for line in lines)
        with replacing(path, lasting=True) as draft:
            draft.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
