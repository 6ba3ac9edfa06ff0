"""``seq2seq-compare``: run folders → one table of scores, significance and attention."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seq2seq.cli.application import plain, run


def compare_runs(config: DictConfig) -> None:
    """Find the runs, print their table, name those left out, write what ``output`` asks for."""
    from rich.console import Console

    from seq2seq.evaluation.comparison import compare
    from seq2seq.evaluation.comparison_formats import check_outputs, terminal, write_comparison
    from seq2seq.evaluation.runs import find_runs

    given = plain(config)
    outputs = [Path(name) for name in _listed(given["output"])]
    check_outputs(outputs)
    if OmegaConf.is_missing(config, "runs"):
        raise ValueError("name run folders or folders of them: seq2seq-compare runs/translation")
    runs, left_out = find_runs(_listed(given["runs"]), given["split"])
    for entry in left_out:
        print(f"left out: {entry.folder}: {entry.reason}", file=sys.stderr)
    if not runs:
        raise ValueError("none of the runs has results to compare")
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
        # As wide as it is: cells cut to fit a narrow terminal could not be read.
        needed = console.measure(shown, options=console.options.update(max_width=1000)).maximum
        console.width = max(console.width, needed)
        console.print(shown)
        print("\n".join([*table.notes, ""]))
    for path in outputs:
        write_comparison(path, tables)
        print(f"written: {path}")


#: Hydra's options that a value follows.
_VALUED = {"--cfg", "-c", "--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"}
_VALUED |= {"--package", "-p", "--shell-completion", "-sc"}


def _listed(value: Any) -> list[str]:
    """A value that may be one, a list or nothing."""
    return [] if value is None else list(map(str, value)) if isinstance(value, list) else [value]


def folders_as_key(arguments: list[str]) -> list[str]:
    """Plain arguments, which are folders or patterns, as the value of ``runs``."""
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
