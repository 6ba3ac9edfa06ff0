"""Check the values of a configuration against the annotations of their classes.

``config.yaml`` of an untrusted checkpoint may have any plain value in any place. This module finds
values that do not fit the annotations before an object is built, so a class with ``max_length:
int`` need not check for ``2.0`` or ``true`` itself.
"""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from seq2seq.system.ranges import HUGE
from seq2seq.system.untrusted_files import shown

Classes: TypeAlias = Callable[[dict[str, Any]], type]

PLAIN: dict[Any, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (float, int),
    str: (str,),
    Path: (str,),
    type(None): (type(None),),
}


def problem(node: dict[str, Any], kind: type, class_of: Classes) -> tuple[str, str] | None:
    """Return the first wrong argument of a class and a reason; None if all are right.

    Args:
        node: the configuration, with ``_target_``.
        kind: the class of ``_target_``.
        class_of: function that returns the class of an inner configuration.
    """
    hints = arguments(kind)
    for key, value in node.items():
        if key == "_target_":
            continue
        if key not in hints:
            names = ", ".join(map(str, hints)) or "none"
            return str(key), f"{kind.__name__} has no such argument; it has: {names}"
        if not fits(value, hints[key], class_of):
            wanted = _named(hints[key])
            return str(key), f"{kind.__name__} takes {wanted}, not {shown(repr(value))}"
    required = inspect.signature(kind).parameters.values()
    for parameter in required:
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and parameter.name not in node:
            return parameter.name, f"{kind.__name__} needs this argument"
    return None


@cache
def arguments(kind: type) -> dict[str, Any]:
    """Return the arguments of a class by name, each with its annotation."""
    hints = typing.get_type_hints(kind.__init__)  # type: ignore[misc]
    named: dict[str, Any] = {}
    for parameter in inspect.signature(kind).parameters.values():
        hint = hints.get(parameter.name, Any)
        if parameter.kind is parameter.VAR_KEYWORD:  # Unpack[a TypedDict]
            for options in typing.get_args(hint):
                named |= typing.get_type_hints(options)
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            named[parameter.name] = hint
    return named


def fits(value: Any, hint: Any, class_of: Classes | None = None) -> bool:
    """Return True if a plain value, or the object that it describes, fits an annotation.

    Args:
        value: the value.
        hint: the annotation.
        class_of: function that returns the class of an inner configuration. None: a configuration
            with a class fits everywhere, and so does any value where an annotation says nothing
            about plain values; building the object checks these.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return class_of is None or not _describes(value)
    if hint in PLAIN:
        if type(value) not in PLAIN[hint]:
            return False
        if isinstance(value, float):
            return not math.isnan(value)
        return type(value) is not int or abs(value) <= HUGE
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one, class_of) for one in inner)
    if origin is typing.Annotated:
        return fits(value, inner[0], class_of)
    if origin is typing.Literal:
        return value in inner
    if origin in (Sequence, list, tuple):
        kinds = [one for one in inner if one is not Ellipsis] or [Any]
        return isinstance(value, list) and all(
            any(fits(item, kind, class_of) for kind in kinds) for item in value
        )
    if isinstance(value, dict) and "_target_" in value:
        return class_of is None or _is_a(class_of(value), hint)
    if origin in (Mapping, dict):
        names, kinds = inner or (Any, Any)
        return isinstance(value, dict) and all(
            fits(name, names, class_of) and fits(item, kinds, class_of)
            for name, item in value.items()
        )
    if typing.is_typeddict(hint):
        known = typing.get_type_hints(hint)
        return (
            isinstance(value, dict)
            and value.keys() >= hint.__required_keys__
            and all(fits(item, known.get(key, Any), class_of) for key, item in value.items())
        )
    # Another class is that of an object, which only a configuration with a class describes.
    return class_of is None and not isinstance(hint, type)


def _is_a(kind: type, hint: Any) -> bool:
    if typing.get_origin(hint) is Callable:
        returned = typing.get_type_hints(kind.__call__).get("return")
        return returned is typing.get_args(hint)[-1]
    if typing.Protocol in getattr(hint, "__bases__", ()):
        members = (name for name in vars(hint) if not name.startswith("_"))
        return all(hasattr(kind, name) for name in members)
    return isinstance(hint, type) and issubclass(kind, hint)


def _describes(value: Any) -> bool:
    """Return True if a value, or a value inside it, describes an object."""
    if isinstance(value, list):
        return any(map(_describes, value))
    return isinstance(value, dict) and ("_target_" in value or any(map(_describes, value.values())))


def _named(hint: Any) -> str:
    """Return the text of an annotation, without the names of modules."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " | ".join(map(_named, typing.get_args(hint)))
    if hint is type(None):
        return "null"
    return (
        hint.__name__
        if isinstance(hint, type) and not typing.get_args(hint)
        else (
            str(hint).replace("typing.", "").replace("collections.abc.", "").replace("pathlib.", "")
        )
    )
