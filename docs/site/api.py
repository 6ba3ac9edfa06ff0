"""The API reference: a page for each package, from the docstrings of its modules."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import seq2seq

LEFT_OUT = ("seq2seq.cli",)  # the commands: the reference of the configuration is theirs


def packages() -> Iterator[ModuleType]:
    """Every public package, from the top."""
    yield seq2seq
    for found in pkgutil.walk_packages(seq2seq.__path__, "seq2seq."):
        if found.ispkg and _public(found.name):
            yield importlib.import_module(found.name)


def modules(package: ModuleType) -> list[str]:
    """Full names of a package's own public modules."""
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [module.name for module in found if not module.ispkg and _public(module.name)]


def page(package: ModuleType) -> str:
    """Return reStructuredText with an ``automodule`` for a package and each of its modules."""
    name = package.__name__
    parts = [_heading(name, "="), _automodule(name)]
    if exported := [_reference(package, public) for public in getattr(package, "__all__", ())]:
        parts.append(f"From ``{name}`` itself: {', '.join(exported)}.\n")
    for module in modules(package):
        parts += [_heading(module.rsplit(".", 1)[1], "-"), _automodule(module)]
    return "\n".join(parts)


def index(names: list[str]) -> str:
    """Return the parent page of the pages of packages."""
    entries = "".join(f"   {name}\n" for name in names)
    text = "Everything but the commands, from the docstrings. Floors are in :doc:`/contributing`."
    return f"{_heading('API', '=')}\n{text}\n\n.. toctree::\n   :maxdepth: 1\n\n{entries}"


def _public(name: str) -> bool:
    left_out = any(name == top or name.startswith(f"{top}.") for top in LEFT_OUT)
    return not left_out and not any(part.startswith("_") for part in name.split("."))


def _reference(package: ModuleType, public: str) -> str:
    """Return a link to the definition of a name that a package exports."""
    obj = getattr(package, public)
    module = getattr(obj, "__module__", None)
    return f":py:obj:`{public} <{module}.{public}>`" if module else f"``{public}``"


def _automodule(name: str) -> str:
    return f".. automodule:: {name}\n"


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"
