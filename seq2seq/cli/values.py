"""Check type and range of every value of a configuration, before anything is loaded.

The arguments of a class (``_target_``) have to fit its annotations. :mod:`seq2seq.system.ranges`
has the types of all other keys, and the ranges of both.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError

from seq2seq.system.ranges import NAMES, range_of

MISSING = "???"


def check_values(config: DictConfig) -> None:
    """Refuse values that their keys cannot have.

    Args:
        config: composed; values that are missing (``???``) are not looked at.

    Raises:
        ValueError: one message that names all keys, their values, and what they take.
    """
    try:
        content: Any = OmegaConf.to_container(config, resolve=True)
    except InterpolationToMissingValueError:
        return  # the command names the keys that it needs
    content.pop("hydra", None)
    if wrong := [
        f"{key}={_shown(value)} has to be {what}" for key, value, what in _problems(content)
    ]:
        raise ValueError("; ".join(wrong))


def _problems(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield key, value, and what the key takes, for every value that does not fit."""
    # This imports PyTorch, which --help does not need.
    from seq2seq.checkpoint.arguments import fits

    hints = _hints(node.get("_target_"))
    for name, value in node.items():
        key = f"{prefix}{name}"
        if value == MISSING or str(name).startswith("_"):
            continue
        if (allowed := range_of(key)) is not None:
            if not allowed.holds(value):
                yield key, value, str(allowed)
        elif isinstance(value, dict) and ("_target_" in value or name not in hints):
            yield from _problems(value, f"{key}.")
        elif name in hints and not fits(value, hints[name]):
            yield key, value, _named(hints[name])


def _hints(target: Any) -> dict[str, Any]:
    """Return the annotation of each argument of a class or function that has one."""
    if not isinstance(target, str) or target.partition(".")[0] not in sys.modules:
        return {}  # to import Lightning takes seconds; seq2seq-train does so, and checks again
    # This imports PyTorch, which --help does not need.
    from seq2seq.checkpoint.arguments import arguments

    try:
        kind = get_object(target)
        return arguments(kind) if isinstance(kind, type) else typing.get_type_hints(kind)
    except (HydraException, ImportError, NameError, TypeError, ValueError, AttributeError):
        return {}  # building it says what is wrong


def _named(hint: Any) -> str:
    """Return an annotation in words, without the objects that no configuration can give."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        names = [_named(one) for one in inner]
        return " or ".join(dict.fromkeys(name for name in names if name)) or "something else"
    if origin is typing.Literal:
        return " or ".join(map(str, inner))
    if origin in (Sequence, list, tuple):
        return NAMES[list]
    if origin in (Mapping, dict):
        return NAMES[dict]
    return NAMES.get(hint, "")


def _shown(value: Any) -> str:
    """Return a value as the command line has it, cut to 60 characters."""
    text = {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))
    return text if len(text) <= 60 else f"{text[:57]}…"
