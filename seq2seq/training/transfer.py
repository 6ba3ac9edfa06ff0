"""Begin from a trained model: take over its weights, freeze parts of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2seq.data.vocabulary_extension import written_before
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.mappings import Mapping
from seq2seq.models.attending import AttendingModel

MOST_SHOWN = 8  # tensors that a message names


@dataclass(frozen=True)
class Taken:
    """What a new model has of a trained one.

    Attributes:
        parameters: numbers that were copied.
        new_rows: for each side, or for "target" if both share one, pieces that the trained model
            did not have.
        grown: names of the tensors that have rows for them.
        own: names of the learned parameters of mappings that start anew.
    """

    parameters: int
    new_rows: dict[str, int]
    grown: tuple[str, ...]
    own: tuple[str, ...]

    def __str__(self) -> str:
        """One line: what was taken, what is new."""
        new = [f"{n:,} {side} pieces" for side, n in self.new_rows.items() if n]
        if new:
            new = [f"{' and '.join(new)} (rows of {', '.join(self.grown)})"]
        new += self.own
        return f"{self.parameters:,} parameters taken; new: {', '.join(new) or 'none'}"


@torch.no_grad()
def take_weights(
    model: AttendingModel,
    trained: AttendingModel,
    old: VocabularyPair,
    new: VocabularyPair,
) -> Taken:
    """Copy the weights of a trained model into a new one of the same architecture.

    Rows of the old pieces are copied. The row of a new piece starts at the mean of the rows of the
    old pieces that wrote its text, so that it begins with what the model knows of them. Where none
    could write it, the row keeps what the new model drew.

    Parameters of a mapping are taken only if the new model has the same mapping at that place,
    learning the same parameters from the same start; otherwise the mapping starts as configured.

    Args:
        model: the new model; changed in place.
        trained: the trained model, of the same architecture (`check_architecture`).
        old: the vocabularies of the trained model.
        new: the vocabularies of the new model, which begin with the old ones.

    Raises:
        ValueError: if the architecture is another, listing the shapes that differ.
    """
    given, state = trained.state_dict(), model.state_dict()
    of_mappings = _mapping_tensors(trained) | _mapping_tensors(model)
    kept = _kept_mappings(model, trained)
    sides = {
        "source": _Rows(old.source.size, written_before(old.source, new.source)),
        "target": _Rows(old.target.size, written_before(old.target, new.target)),
    }
    grown: dict[str, _Rows] = {}
    for name, tensor in state.items():
        rows = sides["source" if name.startswith("source_embedding") else "target"]
        if name not in of_mappings and name in given and rows.fit(given[name], tensor):
            grown[name] = rows
    shared = [name for name in state if name not in of_mappings or name in kept]
    _check_shapes(_without(given, of_mappings - kept), _without(state, of_mappings - kept), grown)
    for name in shared:
        if name in grown:
            grown[name].copy(given[name], state[name])
        else:
            state[name].copy_(given[name])
    _check_ties({name: given[name] for name in shared}, state)
    return Taken(
        sum(parameter.numel() for parameter in _unique(trained, set(shared))),
        {s: len(r.written) for s, r in sides.items() if s == "target" or not new.joint},
        tuple(grown),
        tuple(n for n, _ in model.named_parameters() if n in of_mappings and n not in kept),
    )


def check_architecture(model: AttendingModel, trained: AttendingModel) -> None:
    """Compare the shapes of a new model's weights, of the same vocabularies, with a trained one's.

    Args:
        model: the new model.
        trained: the trained model.

    Raises:
        ValueError: listing the tensors that differ.
    """
    own = _mapping_tensors(trained) | _mapping_tensors(model)
    _check_shapes(_without(trained.state_dict(), own), _without(model.state_dict(), own), {})


def freeze(model: AttendingModel, names: Sequence[str]) -> int:
    """Exclude parts of a model from training; return the number of parameters that are left.

    A frozen parameter receives no gradient, so neither updates nor weight decay. Dropout is as
    before. What a mapping learns is not frozen: ``attention.learn`` decides that.

    Args:
        model: changed in place.
        names: keys of ``model.parts()``.

    Raises:
        ValueError: for an unknown name, or if nothing is left to train.
    """
    parts = model.parts()
    of_mappings = {id(p) for part in _mappings(model) for p in part.parameters()}
    for name in names:
        if name not in parts:
            raise ValueError(
                f"init.freeze: {type(model).__name__} has no part {name!r}; choose from "
                f"{', '.join(sorted(parts))}"
            )
        for parameter in (p for module in parts[name] for p in module.parameters()):
            if id(parameter) not in of_mappings:
                parameter.requires_grad_(False)
    left = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if not left:
        raise ValueError(f"init.freeze=[{','.join(names)}] leaves nothing to train; freeze less")
    return left


def check_new_rows_are_trained(model: AttendingModel, taken: Taken, names: Sequence[str]) -> None:
    """Refuse to freeze rows that have not been trained yet.

    Raises:
        ValueError: naming the parts.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    if any(not parameters[name].requires_grad for name in taken.grown):
        raise ValueError(
            f"init.freeze=[{','.join(names)}] would freeze the rows of the new pieces too, before "
            "any training (tied tables are one part: model.tie_embeddings); leave embeddings and "
            "output out of init.freeze, or set init.extend_vocabulary=false"
        )


@dataclass(frozen=True)
class _Rows:
    """How the tables of one side grow: old rows, and what wrote each new piece before."""

    old: int
    written: list[list[int]]

    def fit(self, given: Tensor, tensor: Tensor) -> bool:
        """Return True if ``tensor`` is ``given`` with a row for each new piece."""
        larger = (self.old + len(self.written), *given.shape[1:])
        grows = bool(self.written) and given.dim() > 0 and len(given) == self.old
        return grows and tensor.shape == larger

    def copy(self, given: Tensor, tensor: Tensor) -> None:
        tensor[: self.old] = given
        for row, ids in enumerate(self.written, start=self.old):
            if ids:
                tensor[row] = given[ids].mean(0)


def _mappings(model: nn.Module) -> Iterator[Mapping]:
    return (part for part in model.modules() if isinstance(part, Mapping))


def _mapping_tensors(model: nn.Module) -> set[str]:
    """The names of the tensors of all mappings."""
    return {
        f"{name}.{key}"
        for name, part in model.named_modules()
        if isinstance(part, Mapping)
        for key in part.state_dict()
    }


def _kept_mappings(model: nn.Module, trained: nn.Module) -> set[str]:
    """The names of the learned parameters whose mapping is the same in both models."""
    before = {name: part for name, part in trained.named_modules() if isinstance(part, Mapping)}
    return {
        f"{name}.{key}"
        for name, part in model.named_modules()
        if isinstance(part, Mapping) and name in before and _alike(part, before[name])
        for key in part.state_dict()
        if key.partition(".")[0] in part.learned()
    }


def _alike(mapping: Mapping, other: Mapping) -> bool:
    """Whether two mappings learn the same parameters, from the same start."""
    starts = [{n: learned.start for n, learned in m.learned().items()} for m in (mapping, other)]
    return (type(mapping), mapping.per) == (type(other), other.per) and starts[0] == starts[1]


def _without(tensors: dict[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name not in names}


def _check_shapes(
    given: dict[str, Tensor], state: dict[str, Tensor], grown: Collection[str]
) -> None:
    differing = [
        f"{name} is {_shape(given, name)} in the checkpoint and {_shape(state, name)} here"
        for name in dict.fromkeys([*given, *state])
        if name not in grown and _shape(given, name) != _shape(state, name)
    ]
    if differing:
        more = len(differing) - MOST_SHOWN
        raise ValueError(
            "; ".join(differing[:MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        )


def _shape(tensors: dict[str, Tensor], name: str) -> str:
    return str(tuple(tensors[name].shape)) if name in tensors else "missing"


def _check_ties(given: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """Refuse to tie tables that were trained apart: one has overwritten the other.

    Raises:
        ValueError: naming the first.
    """
    for name, tensor in given.items():
        copied = state[name][: len(tensor)] if tensor.dim() else state[name]
        if not torch.equal(copied, tensor.to(copied)):
            raise ValueError(
                f"init: {name} is a table of its own in the checkpoint, and tied to another one "
                "here; leave model.tie_embeddings as it was"
            )


def _unique(model: nn.Module, names: set[str]) -> list[nn.Parameter]:
    """The parameters with one of these names, each once."""
    return [p for name, p in model.named_parameters() if name in names]
