"""Temporary parameters of a mapping, to answer questions such as: what if γ were smaller?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from seq2seq.mappings.mapping import Mapping


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
    tensors = (*mapping.named_parameters(recurse=False), *mapping.named_buffers(recurse=False))
    registered = dict((*tensors, *mapping.named_children()))
    before = {name: registered.get(name, vars(mapping).get(name)) for name in values}
    _replace(mapping, {name: float(value) for name, value in values.items()})
    try:
        yield
    finally:
        _replace(mapping, before)


def _replace(mapping: Mapping, parts: dict[str, Any]) -> None:
    """Store numbers, tensors or modules under names that the mapping has."""
    for name, part in parts.items():
        delattr(mapping, name)
        if isinstance(part, Tensor) and not isinstance(part, nn.Parameter):
            mapping.register_buffer(name, part)
        else:
            setattr(mapping, name, part)
