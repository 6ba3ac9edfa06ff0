"""The reference of the configuration, from ``configs``: every group, choice and key, as they are.

A line of YAML is a row of a table: the key, its value, and the comment behind it. The comment above
the first key says what the choice is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

LEFT_OUT = ("hydra",)  # its own logging and help
BASES = ("base", "pairs")  # choices that others of the group take in, with their comments
PLUMBING = ("_target_", "_partial_")


@dataclass(frozen=True)
class Option:
    """A key of a choice, with dots; its value as YAML has it; the comment behind it."""

    key: str
    value: str
    comment: str


@dataclass(frozen=True)
class Choice:
    """A file of ``configs``."""

    name: str
    about: str
    package: str
    defaults: list[str]
    target: str
    options: list[Option]


def groups(configs: Path) -> dict[str, list[Path]]:
    """Files of each group; those at the top belong to the group ``""``."""
    found: dict[str, list[Path]] = {}
    for path in sorted(configs.rglob("*.yaml")):
        group = path.parent.relative_to(configs).as_posix()
        if group.split("/")[0] not in LEFT_OUT:
            found.setdefault("" if group == "." else group, []).append(path)
    return found


def read(path: Path) -> Choice:
    """Return the page of a configuration file, with its comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    root = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    options = list(_options(root, lines, "")) if root is not None else []
    package = next((line[11:] for line in lines if line.startswith("# @package ")), "")
    about = []
    for line in lines:
        if not line.startswith("#"):
            break
        about.append(line[2:])
    kept = [line for line in about if not line.startswith("@package")]
    targets = [option.value for option in options if option.key == "_target_"]
    return Choice(
        path.stem,
        "\n".join(kept),
        package,
        _defaults(root),
        targets[0] if targets else "",
        [option for option in options if not _plumbing(option)],
    )


def page(group: str, paths: list[Path]) -> str:
    """Return the page of a group, in Markdown."""
    title = group or "Commands"
    parts = [f"# {title}\n", _usage(group, paths)]
    choices = {path.stem: read(path) for path in paths}
    known: dict[str, str] = {}
    for base in BASES:
        known |= (
            {o.key: o.comment for o in choices[base].options if o.comment}
            if base in choices
            else {}
        )
    parts += [_section(group, choice, known) for choice in choices.values()]
    return "\n".join(parts)


def index(names: list[str]) -> str:
    """Return the parent page of the pages of groups."""
    entries = "\n".join(names)
    return (
        "# Configuration\n\nEvery choice and key, with its default, generated from `configs/`."
        " A choice is made by `group=choice`, a key is set by its full name, as in"
        " `attention=fusedmax attention.lam=0.2`; `seq2seq-train --help` shows those in force,"
        " and a misspelt one is answered with the nearest names.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"
    )


def _options(node: yaml.Node, lines: list[str], prefix: str) -> Iterator[Option]:
    """Leaves of a mapping in block style; what is in flow style is one value."""
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if name == "defaults":
            continue
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            head = _comment(lines[key.start_mark.line], key.end_mark.column)
            if head:
                yield Option(name, "", head)
            yield from _options(value, lines, f"{name}.")
            continue
        start, end = value.start_mark, value.end_mark
        if start.line == end.line:
            text = lines[start.line][start.column : end.column]
        else:
            text = " ".join(line.strip() for line in lines[start.line : end.line + 1])
        yield Option(name, text, _comment(lines[end.line], end.column))


def _plumbing(option: Option) -> bool:
    """Whether it is of no use on the command line: what builds, and keys handed on to a corpus."""
    handed = option.key.startswith("corpus.") and option.value.startswith("${")
    inner = option.key.startswith("hydra.") and not option.key.endswith("dir")
    return option.key.rsplit(".", 1)[-1] in PLUMBING or handed or inner


def _defaults(root: yaml.Node | None) -> list[str]:
    """Other files that a file takes in, but for those of Hydra itself."""
    entries = []
    for key, value in root.value if isinstance(root, yaml.MappingNode) else []:
        for item in value.value if key.value == "defaults" else []:
            if isinstance(item, yaml.MappingNode):
                ((group, choice),) = item.value
                entries.append(f"{group.value}: {choice.value}")
            elif item.value != "_self_":
                entries.append(item.value)
    return [entry for entry in entries if not entry.startswith("override hydra/")]


def _comment(line: str, column: int) -> str:
    found = re.search(r"(?:^|\s)#\s*(.*)$", line[column:])
    return found[1].strip() if found else ""


def _usage(group: str, paths: list[Path]) -> str:
    if not group:
        return "Keys at the top of each command's configuration.\n"
    names = [path.stem for path in paths if path.stem != "base"]
    return f"`{group}=` {' · '.join(f'`{name}`' for name in names)}\n"


def _section(group: str, choice: Choice, known: dict[str, str]) -> str:
    command = not group
    title = f"seq2seq-{choice.name}" if command else choice.name
    parts = [f"## {title}\n"]
    if choice.about:
        parts.append(_about(choice.about))
    facts = []
    if choice.target:
        facts.append(f"Builds `{choice.target}`.")
    if shown := ", ".join(f"`{text}`" for text in choice.defaults):
        facts.append(f"Takes in {shown}.")
    if facts:
        parts.append(" ".join(facts) + "\n")
    if choice.options:
        prefix = "" if command or choice.package == "_global_" else f"{group}."
        rows = "\n".join(_row(prefix, option, known) for option in choice.options)
        parts.append(f"| key | default | |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _about(text: str) -> str:
    """Comment above the first key: sentences as they are, indented lines as commands."""
    parts, code = [], False
    for line in text.splitlines():
        indented = line.startswith("  ")
        if indented != code:
            parts.append("```" if code else "\n```text")
            code = indented
        parts.append(line if indented else _plain(line))
    return "\n".join([*parts, *(["```"] if code else [])]) + "\n"


def _row(prefix: str, option: Option, known: dict[str, str]) -> str:
    value = f"`{option.value}`" if option.value else ""
    comment = option.comment or known.get(option.key, "")
    cells = (f"`{prefix}{option.key}`", value, _plain(comment))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    """Text in which nothing is markup."""
    return re.sub(r"([\\<*_$\[\]])", r"\\\1", text)
