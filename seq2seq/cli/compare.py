"""``seq2seq-compare``: compare runs in a table of scores, significance and attention."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seq2seq.cli.application import plain, run


def compare_runs(config: DictConfig) -> None:
    """Find the runs, print their table and the skipped folders, and write ``output``."""
    from rich.console import Console

    from seq2seq.evaluation.comparison import compare
    from seq2seq.evaluation.comparison_formats import check_outputs, terminal, write_comparison
    from seq2seq.evaluation.runs import find_runs

    given = plain(config)
    outputs = [Path(name) for name in _listed(given["output"])]
    check_outputs(outputs)
    if OmegaConf.is_missing(config, "runs"):
        raise ValueError("name run folders, or their parent: seq2seq-compare runs/translation")
    runs, left_out = find_runs(_listed(given["runs"]), given["split"])
    for entry in left_out:
        print(f"left out: {entry.folder}: {entry.reason}", file=sys.stderr)
    if not runs:
        raise ValueError("none of the runs has results to compare; evaluate them first")
    tables = compare(
        runs,
        by=_listed(given["by"]) or None,
        columns=_listed(given["columns"]) or None,
        baseline=None if given["baseline"] is None else str(given["baseline"]),
        test=given["test"],
        samples=given["samples"],
        level=given["level"],
    )
    console = Console()
    for table in tables:
        shown = terminal(table)
        # Use the full width, because cells cut for a narrow terminal would be unreadable.
        needed = console.measure(shown, options=console.options.update(max_width=1000)).maximum
        console.width = max(console.width, needed)
        console.print(shown)
        print("\n".join([*table.notes, ""]))
    for path in outputs:
        write_comparison(path, tables)
        print(f"written: {path}")


#: Hydra's options with a value.
_VALUED = {"--cfg", "-c", "--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"}
_VALUED |= {"--package", "-p", "--shell-completion", "-sc"}


def _listed(value: Any) -> list[str]:
    """Return a value, a list or None as a list."""
    return [] if value is None else list(map(str, value)) if isinstance(value, list) else [value]


def folders_as_key(arguments: list[str]) -> list[str]:
    """Turn plain arguments, which are folders or patterns, into the value of ``runs``."""
    folders: list[str] = []
    others: list[str] = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        plain = not argument.startswith(("-", "+", "~")) and before not in _VALUED
        is_folder = plain and ("=" not in argument or Path(argument).exists())
        (folders if is_folder else others).append(argument)
    if not folders:
        return arguments
    quoted = ("'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'" for name in folders)
    return [f"runs=[{','.join(quoted)}]", *others]


def main() -> None:
    """Entry point of ``seq2seq-compare``."""
    sys.argv[1:] = folders_as_key(sys.argv[1:])
    run(compare_runs, "compare")


if __name__ == "__main__":
    main()
