"""Rewrite overrides of the command line so that Hydra reads them as the user means them.

Names, paths and labels are text, even if they look like numbers, and `~` is the home folder.
"""

from __future__ import annotations

import os
import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

#: Keys whose values are text: files, folders, names of languages, labels.
TEXT = re.compile(
    r"""\+{0,2}(?:
        checkpoint | hypotheses | references | input | prefix | output | to | name | license | runs
        | hydra\.run\.dir | hydra\.sweep\.(?:dir|subdir)
        | task\.(?:labels | embeddings)
        | data\.(?:[\w.]+\.)?(?:
            train | validation | test | tests\.\w+ | source | target | references | alignment
            | root | path | name | cache | no_label | \w+_language | \w+_model
        )
    )=""",
    re.VERBOSE,
)
#: Lists of files with both sides.
FILES = re.compile(r"data\.(?:[\w.]+\.)?(?:train|validation|test)=\[")
#: A list of simple elements.
PLAIN_LIST = re.compile(r"\[([^\[\]{}()'\"$\\]*)\]")


def as_meant(arguments: list[str]) -> list[str]:
    """Return the arguments of a command, with rewritten overrides."""
    found = []
    for argument in arguments:
        if FILES.match(argument):
            # Hydra cannot merge a list into a mapping, so set the mapping to null first.
            found.append(f"{argument.partition('=')[0]}=null")
        found.append(_as_text(argument) if TEXT.match(argument) else argument)
    return found


def _as_text(argument: str) -> str:
    key, _, written = argument.partition("=")
    written = written.strip()
    if home := re.fullmatch(
        r"""(['"]?)(~(?:/[^'"]*)?)\1""", written
    ):  # not a value in Hydra's grammar
        expanded = os.path.expanduser(home[2]).replace("\\", "\\\\").replace("'", "\\'")
        return f"{key}='{expanded}'"
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException:
        return argument  # Hydra reports what is wrong with it
    if override.is_sweep_override():
        return argument
    value = override.value()
    if _is_number(value):
        return f"{key}='{written}'"
    listed = isinstance(value, list) and any(map(_is_number, value))
    if listed and (match := PLAIN_LIST.fullmatch(written)):
        return f"{key}=[{','.join(_quoted(element.strip()) for element in match[1].split(','))}]"
    return argument


def _quoted(element: str) -> str:
    """Return a simple element of a list; a number is quoted as text."""
    override = OverridesParser.create().parse_override(f"x={element}")
    return f"'{element}'" if _is_number(override.value()) else element


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
