"""Temporary parameters of a mapping, to answer questions such as: what if γ were smaller?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from seq2seq.mappings.mapping import Mapping

_PARTS = ("_parameters", "_buffers", "_modules")


@contextmanager
def parameters_set(mapping: Mapping, values: dict[str, float]) -> Iterator[None]:
    """Set γ, λ, … of ``mapping`` to these numbers inside the context, and restore them afterwards.

    Learned parameters and tensors are set aside, not changed: afterwards the mapping holds the same
    objects again.

    Args:
        mapping: the mapping that a model uses for its attention.
        values: some of its parameters by name, as in ``mapping.domains``.

    Raises:
        ValueError: if a parameter does not exist, or a number is outside its domain.
    """
    domains = mapping.domains
    for name, value in values.items():
        if name not in domains:
            raise ValueError(
                f"{type(mapping).__name__} has no parameter {name!r}; it has {', '.join(domains)}"
            )
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, not {value}")
        domains[name].check(value)
    kept = {part: dict(mapping.__dict__[part]) for part in _PARTS}
    plain = {name: mapping.__dict__[name] for name in values if name in mapping.__dict__}
    try:
        for name, value in values.items():
            for part in _PARTS:
                mapping.__dict__[part].pop(name, None)
            mapping.__dict__[name] = float(value)
        yield
    finally:
        for name in values:
            mapping.__dict__.pop(name, None)
        mapping.__dict__.update(kept | plain)
